package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// A fakePrometheus has an alert of a fakeLab's fault, by the clock of the test's bubble.
type fakePrometheus struct {
	fakeLab
	fires, lasts time.Duration // since the fault was put in; until the alert is over
	labels       string        // of the alert
	state        string
	target       string        // that it reads
	down         bool          // which it cannot read
	reads        time.Duration // since it was first asked: when it has read it
	began        time.Time
	status       int
	fails        time.Duration // since the fault was put in: when it fails to answer for three seconds
	put          time.Time
	asked        int
}

// healthNow is what it says of its target: unknown until it has read it.
func (p *fakePrometheus) healthNow() string {
	switch {
	case p.down:
		return "down"
	case time.Since(p.began) < p.reads:
		return "unknown"
	}
	return "up"
}

func (p *fakePrometheus) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "prometheus" {
		if r.Method == http.MethodPut {
			p.put = time.Now()
		}
		return p.fakeLab.RoundTrip(r)
	}
	if p.asked++; p.began.IsZero() {
		p.began = time.Now()
	}
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	switch {
	case p.fails > 0 && time.Since(p.put) >= p.fails && time.Since(p.put) < p.fails+3*time.Second:
		return nil, errors.New("connection refused")
	case p.status != 0:
		return answer(p.status, "no")
	case r.URL.Path == "/api/v1/targets":
		return answer(200, fmt.Sprintf(`{"data":{"activeTargets":[{"scrapeUrl":"http://other/metrics","labels":{"instance":"other"}},{"scrapeUrl":"http://%s/metrics","health":%q,"lastError":"no route","labels":{"instance":"one"}}]}}`, p.target, p.healthNow()))
	case time.Since(p.put) < p.fires || time.Since(p.put) >= p.lasts:
		return answer(200, `{"data":{"alerts":[]}}`)
	}
	return answer(200, fmt.Sprintf(`{"data":{"alerts":[{"state":%q,"labels":{%s}}]}}`, p.state, p.labels))
}

// alarming is faulty, whose fault sets off an alert. The checks' bounds are those of a Prometheus and longer than the run.
var alarming = strings.NewReplacer("for: 2s}", "for: 2s, alert: CircuitBreakerOpen}",
	"checks:", "checks:\n  - {metric: fault.alerted, at_most: 20s, why: w}\n  - {metric: fault.alert_over, at_most: 1m, why: w}").Replace(strings.Replace(faulty, "FAULT", "database_down", 1))

func TestAlertIsPartOfTheRun(t *testing.T) {
	f := func(p *fakePrometheus, scale float64, alerted, over reports.Verdict, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWatcher(time.Millisecond)
			r := virtual(context.Background(), t, alarming, w.serve, func(c *Config) {
				c.observer, c.AdminURL, c.PrometheusURL, c.TimeScale = p, "http://admin:5002", "http://prometheus", scale
			})
			if len(r.Checks) != 4 || r.Checks[0].Verdict != alerted || r.Checks[1].Verdict != over || len(r.LeftOut) > 0 {
				t.Errorf("%s: %+v, alerts %+v", why, r.Checks, r.Faults[0].Alerts)
			}
			if len(r.alertTable().Rows) != 1 {
				t.Errorf("%s: the report has %v", why, r.alertTable().Rows)
			}
		})
	}
	usual := func() *fakePrometheus {
		return &fakePrometheus{fires: 15 * time.Second, lasts: 40 * time.Second, labels: `"alertname":"CircuitBreakerOpen","instance":"one"`, state: "firing", target: "admin:5002"}
	}
	p := usual()
	f(p, 1, reports.Pass, reports.Pass, "fires after 15 s, over after 40 s, long after the load")
	f(usual(), 0.1, reports.Pass, reports.Pass, "the clock of Prometheus is not scaled")
	p = usual()
	p.labels = `"alertname":"CircuitBreakerOpen"`
	f(p, 1, reports.Pass, reports.Pass, "an alert of the whole job")
	p = usual()
	p.labels = `"alertname":"CircuitBreakerOpen","instance":"other"`
	f(p, 1, reports.Fail, reports.Fail, "another server's alert")
	p = usual()
	p.labels = `"alertname":"TomehubDown","instance":"one"`
	f(p, 1, reports.Fail, reports.Fail, "another alert")
	p = usual()
	p.state = "pending"
	f(p, 1, reports.Fail, reports.Fail, "only pending")
	p = usual()
	p.fires = 25 * time.Second
	f(p, 1, reports.Fail, reports.Fail, "too late")
	p = usual()
	p.lasts = time.Hour
	f(p, 1, reports.Pass, reports.Fail, "never over")
	p = usual()
	p.fires = 0
	f(p, 1, reports.Inconclusive, reports.Inconclusive, "it fired before")
	p = usual()
	p.target = "elsewhere:5002"
	f(p, 1, reports.Inconclusive, reports.Inconclusive, "Prometheus reads another server")
	p = usual()
	p.down = true
	f(p, 1, reports.Inconclusive, reports.Inconclusive, "it is the target, but cannot be read")
	p = usual()
	p.reads = readWait / 2
	f(p, 1, reports.Pass, reports.Pass, "it has just been told of the server: the run waits")
	p = usual()
	p.reads = readWait + 10*time.Second
	f(p, 1, reports.Inconclusive, reports.Inconclusive, "but no longer than it may")
	p = usual()
	p.status = 500
	f(p, 1, reports.Inconclusive, reports.Inconclusive, "Prometheus answers nothing")
	p = usual()
	p.fails = 30 * time.Second
	f(p, 1, reports.Pass, reports.Pass, "one look failed after the alert fired")
}

// A run that a broken bound stops waits for no alert.
func TestAbortWaitsForNoAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakePrometheus{fires: time.Hour, labels: `"alertname":"CircuitBreakerOpen","instance":"one"`, state: "firing", target: "admin:5002"}
		broken := strings.Replace(alarming, "checks:", "checks:\n  - {metric: rate, below: 0.1/s, window: 2s, after: 4s, abort: true, why: w}", 1)
		began := time.Now()
		r := virtual(context.Background(), t, broken, newWatcher(time.Millisecond).serve, func(c *Config) {
			c.observer, c.AdminURL, c.PrometheusURL = p, "http://admin:5002", "http://prometheus"
		})
		if took := time.Since(began); !strings.Contains(strings.Join(r.Reasons, " "), "stopped by a check") || took > 20*time.Second {
			t.Errorf("took %v: %q", took, r.Reasons)
		}
	})
}

// Without a Prometheus the alert is no part of the run, which is said, and nobody is asked.
func TestAlertIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, w := &fakePrometheus{}, newWatcher(time.Millisecond)
		r := virtual(context.Background(), t, alarming, w.serve, func(c *Config) { c.observer, c.AdminURL = p, "http://admin:5002" })
		if want := []string{"fault.alerted", "fault.alert_over"}; !slices.Equal(r.LeftOut, want) || len(r.Checks) != 2 || p.asked > 0 {
			t.Errorf("left out %v, %d checks, asked %d times", r.LeftOut, len(r.Checks), p.asked)
		}
		if !slices.ContainsFunc(r.notes(), func(n string) bool { return strings.Contains(n, "--prometheus") }) {
			t.Errorf("the report says %q", r.notes())
		}
	})
}

// Workers merge into one result: the first alone puts faults in, so it alone says what is left out, and the others keep the checks for it.
func TestAlertsOfWorkers(t *testing.T) {
	f := func(number int, prometheus string, leftOut, criteria int) {
		t.Helper()
		r, err := newRun(Config{Scenario: mustParse(t, strings.Replace(alarming, "count: 1", "count: 2", 1)), Target: "http://target", AdminURL: "http://admin", PrometheusURL: prometheus, TimeScale: 1, Worker: Worker{Number: number, Of: 2}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.agenda.wait.close()
		if len(r.leftOut) != leftOut || len(r.criteria) != criteria {
			t.Errorf("worker %d with %q leaves out %v, of %d checks", number, prometheus, r.leftOut, len(r.criteria))
		}
	}
	f(1, "", 2, 4)
	f(1, "http://prometheus", 0, 4)
	f(2, "", 0, 4)
	m := &merger{out: &Result{LeftOut: []string{metricAlerted}, Criteria: []Check{{Metric: metricAlerted}, {Metric: "fault.seen"}}}, parts: []Part{{Result: &Result{}}}}
	m.judge()
	if len(m.out.Checks) != 1 || m.out.Checks[0].Metric != "fault.seen" {
		t.Errorf("merged: %+v", m.out.Checks)
	}
}
