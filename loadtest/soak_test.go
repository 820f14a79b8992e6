package loadtest

import (
	"context"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// The soak finds a server that leaks, and one that becomes slower; a few minutes of it, which pass at once here.
func TestSoakNoticesGrowth(t *testing.T) {
	s, err := Load(os.DirFS("../scenarios"), "soak.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const all = `{"total_count":1,"results":[{"id":7}],"content":"x","status":"complete"}`
	f := func(why string, leak float64, slower time.Duration, want map[string]reports.Verdict) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			tomehub := newFakeTomehub()
			go func() {
				for range 300 {
					time.Sleep(time.Second)
					tomehub.mu.Lock()
					tomehub.rss += leak / 60
					tomehub.work += slower / 60
					tomehub.mu.Unlock()
				}
			}()
			r, err := Run(context.Background(), Config{
				Scenario: s, Target: "http://fake", AdminURL: "http://admin", Duration: 2 * time.Minute,
				transport: fakeServer(func(r *http.Request) (int, string) { tomehub.serve(r); return 200, all }),
				observer:  tomehub, waiter: newTimerWaiter(), gauge: idle,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range r.Checks {
				if w, ok := want[c.Metric]; ok && c.Verdict != w {
					t.Errorf("%s: %s is %s: %v %s, want %v", why, c.Metric, c.Measured, c.Verdict, c.Reason, w)
				}
			}
			time.Sleep(time.Minute) // the server's own
		})
	}
	f("a sound server", 0.1, 0, map[string]reports.Verdict{
		"server.memory_growth": reports.Pass, "p95_drift": reports.Pass, "error_rate": reports.Pass, "server.restarts": reports.Pass,
	})
	f("a leak", 6, 0, map[string]reports.Verdict{"server.memory_growth": reports.Fail, "p95_drift": reports.Pass})
	f("slower and slower", 0, 50*time.Millisecond, map[string]reports.Verdict{"server.memory_growth": reports.Pass, "p95_drift": reports.Fail})
}
