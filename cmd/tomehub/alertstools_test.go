//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
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
