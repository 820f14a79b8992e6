//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// A page hides the ticket about the same, and a server that is down everything else that is said of it.
func TestAlertmanagerInhibits(t *testing.T) {
	need(t, "prometheus-alertmanager", "prometheus-alertmanager")
	address := startAlertmanager(t, newPager(t))
	type labels = map[string]string
	alerts := []struct {
		hidden bool
		labels labels
	}{
		{false, labels{"alertname": "TomehubDown", "severity": "page", "job": "tomehub", "instance": "a"}},
		{true, labels{"alertname": "DBPoolExhausted", "severity": "page", "job": "tomehub", "instance": "a"}},
		{false, labels{"alertname": "DBPoolExhausted", "severity": "page", "job": "tomehub", "instance": "b", "db_name": "read"}},
		{true, labels{"alertname": "DBPoolSaturated", "severity": "ticket", "job": "tomehub", "instance": "b", "db_name": "read"}},
		{false, labels{"alertname": "DBPoolSaturated", "severity": "ticket", "job": "tomehub", "instance": "b", "db_name": "write"}},
		{false, labels{"alertname": "MemoryCritical", "severity": "page", "job": "tomehub", "instance": "b"}},
		{true, labels{"alertname": "MemoryWarning", "severity": "ticket", "job": "tomehub", "instance": "b"}},
		{false, labels{"alertname": "SLOErrorsBudgetBurn", "severity": "page", "job": "tomehub", "slo": "errors"}},
		{true, labels{"alertname": "SLOErrorsBudgetBurn", "severity": "ticket", "job": "tomehub", "slo": "errors"}},
		{false, labels{"alertname": "SLOSlowBudgetBurn", "severity": "ticket", "job": "tomehub", "slo": "slow"}},
		{true, labels{"alertname": "DBQuerySlow", "severity": "ticket", "job": "other", "instance": "c"}},
		{false, labels{"alertname": "TomehubAbsent", "severity": "page", "job": "other"}},
	}
	var body []map[string]labels
	for _, a := range alerts {
		body = append(body, map[string]labels{"labels": a.labels})
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+address+"/api/v2/alerts", "application/json", bytes.NewReader(text))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	type alert struct {
		Labels labels
		Status struct {
			State       string
			InhibitedBy []string
		}
	}
	var known []alert
	eventually(t, "alerts stay unprocessed", func() bool { // an alert's state is known once its group was looked at
		known = nil
		readJSON(t, "http://"+address+"/api/v2/alerts", &known)
		return len(known) == len(alerts) && !slices.ContainsFunc(known, func(a alert) bool { return a.Status.State == "unprocessed" })
	})
	for _, a := range alerts {
		for _, k := range known {
			if fmt.Sprint(k.Labels) == fmt.Sprint(a.labels) && (len(k.Status.InhibitedBy) > 0) != a.hidden {
				t.Errorf("%v: hidden by %v, want %v", a.labels, k.Status.InhibitedBy, a.hidden)
			}
		}
	}
}

// keepAsking has n readers ask a server, each for what nobody has asked yet, until the test ends.
func keepAsking(t *testing.T, s *served, n int) {
	ctx, stop := context.WithCancel(context.Background())
	client := &http.Client{Timeout: 10 * time.Second}
	var all sync.WaitGroup
	for reader := range n {
		all.Go(func() {
			pause := time.NewTicker(200 * time.Millisecond)
			defer pause.Stop()
			for i := 0; ; i++ {
				path := "/api/search?q=time+being+" + strconv.Itoa(reader) + "x" + strconv.Itoa(i)
				if i%10 == 0 {
					path = "/api/search/stream?q=" + url.QueryEscape("being "+strconv.Itoa(i))
				}
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil) // the address is good
				if resp, err := client.Do(req); err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				select {
				case <-ctx.Done():
					return
				case <-pause.C:
				}
			}
		})
	}
	t.Cleanup(func() { stop(); all.Wait() })
}

// fault puts a fault into a server's lab, or takes it out.
func (s *served) fault(method, name, body string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.admin+"/lab/fault/"+name, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, name, resp.StatusCode, said)
	}
}

// The shipped rules, only their times scaled, see each fault in a running server: somebody is paged, and told when it is over.
func TestAlertsReachThePager(t *testing.T) {
	slow(t)
	need(t, "prometheus", "prometheus")
	p := newPager(t)
	alertmanager := startAlertmanager(t, p)
	s := startServer(t, t.TempDir(), slices.Concat([]string{"--demo", "--lab", "--lab-statement-time", "20ms", "--db-pool-read-size", "4", "--db-pool-read-min", "1", "--memory-interval", "1s"}, unlimited)...)
	admin, err := url.Parse(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	prometheus := startPrometheus(t, admin.Host, alertmanager)
	keepAsking(t, s, 8)
	eventually(t, "the rules have no figures", func() bool { return len(query(t, prometheus, "job:tomehub_slo_errors:ratio_rate1h")) > 0 })
	if _, n := p.told(0, "", ""); n > 0 {
		t.Errorf("paged before there was a fault: %+v", p.notices)
	}

	s.fault("PUT", "memory_pressure", `{"for": "5m", "percent": 95}`)
	s.fault("PUT", "database_slow", `{"for": "5m", "factor": 50}`)
	p.wait(t, "MemoryCritical", "firing")
	p.wait(t, "DBPoolExhausted", "firing")
	panelsHaveData(t, prometheus)
	s.fault("DELETE", "memory_pressure", "")
	s.fault("DELETE", "database_slow", "")
	s.fault("PUT", "database_down", `{"for": "5m"}`)
	p.wait(t, "CircuitBreakerOpen", "firing")
	p.wait(t, "SLOErrorsBudgetBurn", "firing")
	s.fault("DELETE", "database_down", "")
	for _, alert := range []string{"MemoryCritical", "DBPoolExhausted", "CircuitBreakerOpen", "SLOErrorsBudgetBurn"} {
		p.wait(t, alert, "resolved")
	}

	alertOfFault(t, s, prometheus)

	s.cmd.Process.Signal(syscall.SIGSTOP)
	p.wait(t, "TomehubDown", "firing")
	s.cmd.Process.Signal(syscall.SIGCONT)
	p.wait(t, "TomehubDown", "resolved")
}

// panelsHaveData holds that every expression of every dashboard has a number to show.
func panelsHaveData(t *testing.T, prometheus string) {
	t.Helper()
	boards, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(boards) != 4 {
		t.Fatalf("dashboards %v: %v", boards, err)
	}
	n := 0
	for _, board := range boards {
		text, err := os.ReadFile(board)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				n++
				expr := strings.NewReplacer("$__rate_interval", "10s", "$instance", ".+").Replace(q.Expr)
				if r := query(t, prometheus, expr); !slices.ContainsFunc(r, func(s string) bool { return !strings.Contains(s, `"NaN"`) }) {
					t.Errorf("%s, %q: %s has %v", filepath.Base(board), p.Title, expr, r)
				}
			}
		}
	}
	t.Logf("%d expressions of panels have numbers", n)
}

// alertOfFault runs a scenario as 'tomehub loadtest run --prometheus' does: the alert that its fault names must fire and end.
func alertOfFault(t *testing.T, s *served, prometheus string) {
	t.Helper()
	const text = `
version: 1
title: an alert of a fault
warm_up: 1s
duration: 6s
users: {count: 2}
think: 500ms
flows:
  - name: search
    steps: [{name: search, get: "/api/search?q=time+{{user}}+{{iteration}}"}]
faults: [{fault: database_down, at: 1s, for: 3s, alert: CircuitBreakerOpen}]
checks:
  - {metric: fault.alerted, at_most: 30s, why: the rules look every second here}
  - {metric: fault.alert_over, at_most: 1m, why: and keep it for some seconds}
`
	sc, err := loadtest.Load(fstest.MapFS{"alert.yaml": {Data: []byte(text)}}, "alert.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sc.Generator = loadtest.GeneratorBounds{MaxSendLag: time.Hour, MaxCPU: 100} // other tests keep the machine busy
	r, err := loadtest.Run(t.Context(), loadtest.Config{Scenario: sc, Target: s.url, AdminURL: s.admin, PrometheusURL: "http://" + prometheus})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checks {
		t.Logf("%s %s", c.Metric, c.Measured)
		if c.Verdict != reports.Pass {
			t.Errorf("%+v, faults %+v", c, r.Faults)
		}
	}
	if len(r.Checks) != 2 {
		t.Errorf("%d checks", len(r.Checks))
	}
}
