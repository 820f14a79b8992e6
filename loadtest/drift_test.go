package loadtest

import (
	"context"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// drifting runs 40 s against a server that answers in 100 ms and, after that many seconds, as slowly as slower says.
func drifting(t *testing.T, checks string, slower func(at time.Duration) time.Duration) *Result {
	t.Helper()
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r = virtual(context.Background(), t, "warm_up: 2s\nduration: 40s\nusers: {count: 5}\npace: 200ms\n"+checks+oneStep,
			func(*http.Request) (int, string) {
				time.Sleep(slower(time.Since(began)))
				return 200, ""
			})
	})
	return r
}

func TestDrift(t *testing.T) {
	const checks = "checks: [{metric: p95_drift, at_most: 20%, why: w}]"
	f := func(why string, slower func(at time.Duration) time.Duration, drift string, want reports.Verdict) {
		t.Helper()
		c := drifting(t, checks, slower).Checks[0]
		if c.Measured != drift || c.Verdict != want || c.Name != "all requests" {
			t.Errorf("%s: %s is %s (%v) %s; want %s (%v)", why, c.Name, c.Measured, c.Verdict, c.Reason, drift, want)
		}
	}
	const ms = time.Millisecond
	f("always the same", func(time.Duration) time.Duration { return 100 * ms }, "0%", reports.Pass)
	f("slower and slower", func(at time.Duration) time.Duration {
		if at < 20*time.Second {
			return 100 * ms
		}
		return 130 * ms
	}, "30.01%", reports.Fail)
	f("a bad second at the end is no drift", func(at time.Duration) time.Duration {
		if at > 35*time.Second && at < 36*time.Second {
			return 190 * ms
		}
		return 100 * ms
	}, "0%", reports.Pass)
	f("a slow warm-up is no drift", func(at time.Duration) time.Duration {
		if at < 2*time.Second {
			return 10 * ms
		}
		return 100 * ms
	}, "0%", reports.Pass)
	f("quicker", func(at time.Duration) time.Duration {
		if at < 20*time.Second {
			return 100 * ms
		}
		return 50 * ms
	}, "-50%", reports.Pass)
	f("too few in a window", func(time.Duration) time.Duration { return 400 * ms }, "", reports.Inconclusive)
}

// What comes before a check's time is not judged, and what comes after it is.
func TestCheckAfter(t *testing.T) {
	f := func(check string, slowFrom, slowTo int, want reports.Verdict) {
		t.Helper()
		r := drifting(t, "checks: ["+check+"]", func(at time.Duration) time.Duration {
			if at >= time.Duration(2+slowFrom)*time.Second && at < time.Duration(2+slowTo)*time.Second {
				return 150 * time.Millisecond
			}
			return 100 * time.Millisecond
		})
		if c := r.Checks[0]; c.Verdict != want || !strings.Contains(c.Name, "each 5s") {
			t.Errorf("slow from %d s to %d s: %s: %v %s, want %v", slowFrom, slowTo, c.Name, c.Verdict, c.Reason, want)
		}
	}
	const after = "{metric: p95, below: 120ms, window: 5s, after: 20s, why: w}"
	f(after, 0, 19, reports.Pass)
	f(after, 0, 21, reports.Fail)
	f(after, 39, 40, reports.Fail)
	f("{metric: p95, below: 120ms, window: 5s, why: w}", 0, 19, reports.Fail)
}

// A server's metric is judged from then on, too.
func TestServerCheckAfter(t *testing.T) {
	f := func(check string, want reports.Verdict) {
		t.Helper()
		var opened atomic.Bool
		r := observe(t, observed+"checks: ["+check+"]", func(f *fakeTomehub) {
			later(5*time.Second, func() { f.mu.Lock(); f.opened++; f.mu.Unlock(); opened.Store(true) })
		})
		if c := r.Checks[0]; c.Verdict != want || !opened.Load() {
			t.Errorf("%s: %v %s, want %v", check, c.Verdict, c.Reason, want)
		}
	}
	f("{metric: server.breaker_opened, at_most: 0, window: 2s, why: w}", reports.Fail)
	f("{metric: server.breaker_opened, at_most: 0, window: 2s, after: 6s, why: w}", reports.Pass)
}

func TestMostLag(t *testing.T) {
	b := GeneratorBounds{MaxSendLag: 50 * time.Millisecond, MaxSendLagShare: 2}
	f := func(medianMS, want float64) {
		t.Helper()
		if got := b.mostLag(medianMS); math.Abs(got-want) > 1e-9 {
			t.Errorf("with a median of %v ms the lag may be %v ms, want %v", medianMS, got, want)
		}
	}
	f(0, 50)
	f(2500, 50)
	f(5000, 100)
	b.MaxSendLagShare = 0
	f(5000, 50)
}
