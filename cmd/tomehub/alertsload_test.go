//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// quicker is how many times as fast time goes in the rules that the tests below load: nothing else of them is changed.
const quicker = 30

// timeOfRules is a time in rules and in the settings of Prometheus and Alertmanager: a range, or the value of a setting.
var timeOfRules = regexp.MustCompile(`(\[|\b(?:for|keep_firing_for|scrape_interval|evaluation_interval|group_wait|group_interval|repeat_interval): )(\d+)([smhd])\b`)

// scaleTimes divides every time in a text by quicker. A second is the least, because the server is scraped once a second, and
// four for a range, which must hold two samples also when one is late.
func scaleTimes(text string) string {
	return timeOfRules.ReplaceAllStringFunc(text, func(found string) string {
		m := timeOfRules.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2]) // digits, by the expression
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[3]]
		least := time.Second
		if m[1] == "[" {
			least = 4 * time.Second
		}
		return m[1] + strconv.FormatInt(max(least, time.Duration(n)*unit/quicker).Milliseconds(), 10) + "ms"
	})
}

func TestScaleTimes(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := scaleTimes(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	f("job:x:ratio_rate5m > 14.4 * 0.01 and rate(y[5m]) > 5", "job:x:ratio_rate5m > 14.4 * 0.01 and rate(y[10000ms]) > 5")
	f("max_over_time(x[1m])", "max_over_time(x[4000ms])")
	f("        for: 2m", "        for: 4000ms")
	f("  keep_firing_for: 1d", "  keep_firing_for: 2880000ms")
	f("  scrape_interval: 15s", "  scrape_interval: 1000ms")
	f("description: waits for 5m, above 5 s", "description: waits for 5m, above 5 s")
}

// A notice is an alert as Alertmanager tells it to a webhook.
type notice struct {
	receiver            string
	Status              string
	Labels, Annotations map[string]string
}

// A pager is told by Alertmanager.
type pager struct {
	*httptest.Server
	mu      sync.Mutex // guards notices
	notices []notice
}

func newPager(t *testing.T) *pager {
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Alerts []notice }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, n := range body.Alerts {
			n.receiver = strings.TrimPrefix(r.URL.Path, "/")
			p.notices = append(p.notices, n)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// told returns the first notice of an alert with that status since the notice of that number, and how many there are.
func (p *pager) told(since int, alert, status string) (*notice, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := since; i < len(p.notices); i++ {
		if n := p.notices[i]; n.Labels["alertname"] == alert && n.Status == status && n.Labels["severity"] == "page" {
			return &n, len(p.notices)
		}
	}
	return nil, len(p.notices)
}

// wait waits until somebody was paged about an alert, or told that it is over.
func (p *pager) wait(t *testing.T, alert, status string) {
	t.Helper()
	began := time.Now()
	var n *notice
	eventually(t, "no page: "+alert+" "+status, func() bool {
		n, _ = p.told(0, alert, status)
		return n != nil
	})
	t.Logf("%s %s after %.1f s", alert, status, time.Since(began).Seconds())
	if n.receiver != "pager" {
		t.Errorf("%s went to %s", alert, n.receiver)
	}
	for name, text := range n.Annotations {
		if text == "" || strings.ContainsAny(text, "{}") || strings.Contains(text, "error expanding") || strings.Contains(text, "<no value>") {
			t.Errorf("%s: %s is %q", alert, name, text)
		}
	}
}

// eventually fails the test when a condition does not come true within two minutes.
func eventually(t *testing.T, otherwise string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(otherwise)
		}
	}
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startTool starts a program and waits until it says that it is ready.
func startTool(t *testing.T, address, program string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, out.Bytes()[max(0, out.Len()-3000):])
		}
	})
	eventually(t, program+" is not ready", func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// startAlertmanager runs the shipped configuration with its times scaled, and tells p.
func startAlertmanager(t *testing.T, p *pager) string {
	t.Helper()
	program, dir, address := need(t, "prometheus-alertmanager", "prometheus-alertmanager"), t.TempDir(), freeAddress(t)
	config := strings.NewReplacer("http://pager.invalid/tomehub", p.URL+"/pager", "http://tickets.invalid/tomehub", p.URL+"/ticket").Replace(scaleTimes(readDeploy(t, "alertmanager/alertmanager.yml")))
	file := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startTool(t, address, program, "--config.file="+file, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	return address
}

// startPrometheus runs the shipped configuration and rules with their times scaled.
func startPrometheus(t *testing.T, target, alertmanager string) string {
	t.Helper()
	program, dir, address := need(t, "prometheus", "prometheus"), t.TempDir(), freeAddress(t)
	config := strings.NewReplacer("tomehub:5002", target, "alertmanager:9093", alertmanager).Replace(scaleTimes(readDeploy(t, "prometheus/prometheus.yml")))
	for name, text := range map[string]string{"prometheus.yml": config, "alerts.yml": scaleTimes(readDeploy(t, "prometheus/alerts.yml"))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startTool(t, address, program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	return address
}

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

// readJSON decodes the JSON of a GET.
func readJSON(t *testing.T, address string, into any) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || json.Unmarshal(body, into) != nil {
		t.Fatalf("GET %s: %v, %.300s", address, err, body)
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

// query asks a Prometheus for what an expression is now: one text for each series.
func query(t *testing.T, prometheus, expr string) []string {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []json.RawMessage
		}
	}
	readJSON(t, "http://"+prometheus+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	if answer.Status != "success" {
		t.Errorf("%s: %s", expr, answer.Error)
	}
	var all []string
	for _, r := range answer.Data.Result {
		all = append(all, string(r))
	}
	return all
}
