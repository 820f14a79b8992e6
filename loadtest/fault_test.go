package loadtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// A fakeLab is a server in its lab, by the clock of the test's bubble: its health shows a fault late, and its end too.
type fakeLab struct {
	showsAfter, heals time.Duration
	status            int // of PUT, 0 is 200
	put               []string
	from, to          time.Time // health shows it between these
}

func (l *fakeLab) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	shown := !l.from.IsZero() && !time.Now().Before(l.from) && time.Now().Before(l.to)
	switch path := r.URL.Path; {
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		l.put = append(l.put, strings.TrimPrefix(path, "/lab/fault/")+" "+string(body))
		if l.status != 0 {
			return answer(l.status, "no")
		}
		l.from, l.to = time.Now().Add(l.showsAfter), time.Now().Add(2*time.Second+l.heals)
		return answer(200, "{}")
	case path == "/api/health/circuit-breaker" && shown:
		return answer(200, `{"health":"degraded","circuit_breakers":[{"name":"database","state":"open"}]}`)
	case path == "/api/health/circuit-breaker":
		return answer(200, `{"health":"ok","circuit_breakers":[{"name":"database","state":"closed"}]}`)
	case path == "/api/health/memory" && shown:
		return answer(200, `{"health":"critical"}`)
	case path == "/api/health/memory":
		return answer(200, `{"health":"ok"}`)
	}
	return answer(200, `{"status":"ready","database":"ok"}`)
}

const faulty = `
warm_up: 1s
users: {count: 1}
think: 1s
faults: [{fault: FAULT, at: 3s, for: 2s}]
checks:
  - {metric: fault.seen, at_most: 1s, why: w}
  - {metric: fault.over, at_most: 1s, why: w}
` + oneStep

func TestFaultIsSeen(t *testing.T) {
	f := func(lab *fakeLab, fault, admin string, seen, over reports.Verdict, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			text := strings.Replace(faulty, "FAULT", fault, 1)
			if fault == "memory_pressure" {
				text = strings.Replace(text, "for: 2s", "for: 2s, percent: 90%", 1)
			}
			w := newWatcher(time.Millisecond)
			r := virtual(context.Background(), t, text, w.serve, func(c *Config) { c.observer, c.AdminURL = lab, admin })
			if len(r.Checks) != 2 || r.Checks[0].Verdict != seen || r.Checks[1].Verdict != over {
				t.Errorf("%s: %+v, faults %+v", why, r.Checks, r.Faults)
			}
		})
	}
	const admin = "http://admin"
	lab := &fakeLab{showsAfter: 400 * time.Millisecond, heals: 700 * time.Millisecond}
	f(lab, "database_down", admin, reports.Pass, reports.Pass, "seen after 0.5 s, over after 0.75 s")
	if want := []string{`database_down {"for":"2s"}`}; !slices.Equal(lab.put, want) {
		t.Errorf("sent %q, want %q", lab.put, want)
	}
	f(&fakeLab{}, "memory_pressure", admin, reports.Pass, reports.Pass, "memory is on another page of health")
	f(&fakeLab{showsAfter: 1600 * time.Millisecond}, "database_down", admin, reports.Fail, reports.Pass, "shown too late")
	f(&fakeLab{showsAfter: time.Hour}, "database_down", admin, reports.Fail, reports.Fail, "never shown: it took for ever")
	f(&fakeLab{heals: 4 * time.Second}, "database_down", admin, reports.Pass, reports.Fail, "health went on to show it")
	f(&fakeLab{status: 404}, "database_down", admin, reports.Inconclusive, reports.Inconclusive, "no lab: nothing was put in, nothing proved")
	f(&fakeLab{status: 400}, "database_down", admin, reports.Inconclusive, reports.Inconclusive, "refused")
	f(&fakeLab{}, "database_down", "", reports.Inconclusive, reports.Inconclusive, "no admin listener")
}

func TestFaultTable(t *testing.T) {
	ms := 52.5
	r := &Result{Faults: []FaultFigures{
		{Fault: "database_down", AtS: 5, ForS: 1, SeenMS: &ms, SeenBy: "breaker open"},
		{Fault: "database_slow", ForS: 1, Error: "no lab"},
	}}
	got := r.faultTable(1).Rows
	want := [][]string{{"database_down", "5s", "1s", "52.5ms", "not seen", "breaker open"}, {"database_slow", "", "1s", "", "", "no lab"}}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("row %d is %q, want %q", i, got[i], want[i])
		}
	}
}
