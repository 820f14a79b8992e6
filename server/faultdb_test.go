package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// A trouble is what a statement meets: nothing, an error, or a wait.
type trouble func(ctx context.Context) error

var errReset = errors.New("read tcp 127.0.0.1: connection reset by peer")

// The faults of a database that a server must survive.
func reset(context.Context) error { return errReset }

func blackHole(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func fiveSecondsMore(ctx context.Context) error {
	select {
	case <-time.After(5 * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bursts fails every statement for 200 ms of each 400.
func bursts(context.Context) error {
	if time.Now().UnixMilli()%400 < 200 {
		return errReset
	}
	return nil
}

// A patient is a server on a database that can be made to ail.
type patient struct {
	*house
	handler http.Handler
	breaker *breaker.Breaker
	ailment atomic.Pointer[trouble]
}

// shortLived keeps pages for 3 s only, so that the time of those cached before an outage ends in it.
var shortLived = library.Config{Degrade: true, Cache: library.CacheConfig{
	Enabled: true, ContentTTL: 3 * time.Second, ConceptsTTL: 3 * time.Second, StaleFor: time.Hour,
}}

func admitPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{}
	classify := func(err error) breaker.Outcome {
		return map[pool.Verdict]breaker.Outcome{pool.Answered: breaker.Success, pool.Failed: breaker.Failure}[pool.Judge(err)]
	}
	var err error
	p.breaker, err = breaker.New(breaker.Config{Name: "database", Sentinel: pool.ErrUnavailable, Slow: 2 * time.Second, Classify: classify})
	if err != nil {
		t.Fatal(err)
	}
	cfg := shortLived
	cfg.Condition = func() library.Condition {
		return map[breaker.State]library.Condition{breaker.Open: library.Down, breaker.HalfOpen: library.Doubtful}[p.breaker.State()]
	}
	p.house = openHouseOn(t, 3, 60, cfg, func(pc *pool.Config) {
		pc.Guard, pc.QueryTimeout = p.breaker, 30*time.Second
		pc.Intercept = func(ctx context.Context, _ string) error {
			if now := p.ailment.Load(); now != nil {
				return (*now)(ctx)
			}
			return nil
		}
	})
	deps := p.deps()
	deps.Breakers = func() []breaker.Stats { return []breaker.Stats{p.breaker.Stats()} }
	server := testConfig()
	server.ReadyWithoutDatabase = true
	p.handler = newServer(t, server, deps).Handler()
	return p
}

// A visit is one answer that a client got.
type visit struct {
	at, took time.Duration
	status   int
	code     string
	mode     library.Mode
}

// visits sends searches until the time is over: of each user one that was asked before, or one
// that nobody asked before, every 50 ms.
func (p *patient) visits(t *testing.T, users int, known bool, begin time.Time, until time.Duration) []visit {
	var mu sync.Mutex
	var all []visit
	var crowd sync.WaitGroup
	for user := range users {
		crowd.Go(func() {
			for n := 0; time.Since(begin) < until; n++ {
				target := "/api/search?q=time"
				if !known {
					target = fmt.Sprintf("/api/search?q=u%dn%d", user, n)
				}
				start := time.Now()
				w := ask(t, p.handler, "GET", target, "")
				v := visit{at: start.Sub(begin), took: time.Since(start), status: w.Code}
				if w.Code == 200 {
					v.mode = decoded[struct{ Mode library.Mode }](t, w).Mode
				} else {
					v.code = decoded[errorBody](t, w).Error
				}
				mu.Lock()
				all = append(all, v)
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	crowd.Wait()
	return all
}

// reaches waits until the breaker is in that state and returns how long that took.
func (p *patient) reaches(state breaker.State, longest time.Duration) time.Duration {
	start := time.Now()
	for p.breaker.State() != state && time.Since(start) < longest {
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(start)
}

func TestFaultDatabase(t *testing.T) {
	const onset, cure, end = 5 * time.Second, 35 * time.Second, 50 * time.Second
	f := func(name string, fault trouble) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := admitPatient(t)
				ask(t, p.handler, "GET", "/api/search?q=time", "")
				begin := time.Now()
				var known, cold []visit
				var opened, closed time.Duration
				var all sync.WaitGroup
				all.Go(func() { known = p.visits(t, 10, true, begin, end) })
				all.Go(func() { cold = p.visits(t, 10, false, begin, end) })
				all.Go(func() {
					time.Sleep(onset - time.Since(begin))
					p.ailment.Store(&fault)
					opened = p.reaches(breaker.Open, 30*time.Second)
					p.examine(t)
					time.Sleep(cure - time.Since(begin))
					p.ailment.Store(nil)
					closed = p.reaches(breaker.Closed, 30*time.Second)
				})
				all.Wait()
				if opened > 5*time.Second {
					t.Errorf("breaker open %v after the onset, want 5s at most", opened)
				}
				if closed > 10*time.Second {
					t.Errorf("breaker closed %v after the cure, want 10s at most", closed)
				}
				checkKnown(t, known, onset+opened, cure)
				checkCold(t, cold, onset+opened, cure, closed)
				synctest.Wait()
				for _, s := range p.pools.Stats() {
					if s.InUse != 0 || s.Waiting != 0 {
						t.Errorf("%s pool: %d slots in use, %d callers waiting after the end", s.Name, s.InUse, s.Waiting)
					}
				}
				s := p.breaker.Stats()
				t.Logf("open after %v, closed %v after the cure; %d opened, %d rejected, %d cut", opened, closed, s.Opened, s.Rejected, s.Cut)
			})
		})
	}
	f("reset", reset)
	f("black hole", blackHole)
	f("5s latency", fiveSecondsMore)
}

// checkKnown: what was cached stays a 200 all the time, and says so when it is past its time.
func checkKnown(t *testing.T, known []visit, opened, cure time.Duration) {
	t.Helper()
	stale, late := 0, 0
	for _, v := range known {
		if v.status != 200 {
			t.Fatalf("a cached answer was %d %s at %v", v.status, v.code, v.at)
		}
		if v.mode == library.ModeCached {
			stale++
			if v.at > opened && v.took > 10*time.Millisecond {
				late++
			}
		}
		if v.at < opened-5*time.Second && v.mode != library.ModeFull {
			t.Errorf("mode %s at %v, before anything was wrong", v.mode, v.at)
		}
		if v.at > cure+10*time.Second && v.mode != library.ModeFull {
			t.Errorf("mode %s at %v, long after the cure", v.mode, v.at)
		}
	}
	if stale == 0 {
		t.Error("no answer was stale, in an outage of ten times an answer's time")
	}
	if most := probes(cure - opened); late > most {
		t.Errorf("%d of %d stale answers took longer than 10ms, want at most the %d probes", late, stale, most)
	}
}

// probes is how many a breaker lets through in an outage: two after every 3 s.
func probes(outage time.Duration) int { return 2 * int(outage/(3*time.Second)+1) }

// checkCold: while the breaker is open, what is not cached is refused at once, apart from probes.
func checkCold(t *testing.T, cold []visit, opened, cure, closed time.Duration) {
	t.Helper()
	refused, late := 0, 0
	for _, v := range cold {
		switch {
		case v.at < opened-5*time.Second && v.status != 200:
			t.Errorf("%d %s at %v, before anything was wrong", v.status, v.code, v.at)
		case v.at > opened && v.at < cure:
			refused++
			if v.code == "database_unavailable" && v.took > 10*time.Millisecond {
				late++
			}
			if v.status == 200 {
				t.Errorf("200 at %v from a database that is ill", v.at)
			}
		case v.at > cure+closed+time.Second && v.status != 200:
			t.Errorf("%d %s at %v, after the cure", v.status, v.code, v.at)
		}
	}
	if most := probes(cure - opened); late > most || refused < 1000 {
		t.Errorf("%d of %d refusals took longer than 10ms, want at most the %d probes", late, refused, most)
	}
}

// examine holds what the health routes say while the database is ill.
func (p *patient) examine(t *testing.T) {
	t.Helper()
	time.Sleep(probeAge) // in the bubble: the next probe asks again
	if w := ask(t, p.handler, "GET", "/api/health/live", ""); w.Code != 200 {
		t.Errorf("liveness %d: restarting the server does not mend its database", w.Code)
	}
	if w := ask(t, p.handler, "GET", "/api/health/ready", ""); w.Code != 200 || decoded[readiness](t, w) != (readiness{"degraded", dbDown}) {
		t.Errorf("readiness %d %s", w.Code, w.Body)
	}
	if w := ask(t, p.handler, "GET", "/api/health", ""); w.Code != 503 || decoded[healthReport](t, w).Database != dbDown {
		t.Errorf("health %d %s", w.Code, w.Body)
	}
	got := decoded[struct {
		Breakers []breaker.Stats `json:"circuit_breakers"`
		Health   string
	}](t, ask(t, p.handler, "GET", "/api/health/circuit-breaker", ""))
	if got.Health != "degraded" || len(got.Breakers) != 1 || got.Breakers[0].State != breaker.Open || got.Breakers[0].Opened != 1 || got.Breakers[0].LastError != "" {
		t.Errorf("circuit breaker: %+v", got)
	}
	if w := ask(t, p.handler, "GET", "/api/search?q=never%20asked", ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	if w := ask(t, p.handler, "GET", "/api/search?q=time", ""); w.Code != 200 || w.Header().Get("X-Tomehub-Stale") != "true" {
		t.Errorf("%d, X-Tomehub-Stale %q", w.Code, w.Header().Get("X-Tomehub-Stale"))
	}
}

// Clients who leave and queries that are wrong are no fault of the database, however many.
func TestFaultOfClientsOpensNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := admitPatient(t)
		fault := trouble(fiveSecondsMore)
		p.ailment.Store(&fault)
		for range 200 {
			ctx, leave := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, _ = p.library.Content(ctx, store.Scope{}, 1)
			leave()
			ask(t, p.handler, "GET", "/api/search?q=%22%22", "")
			ask(t, p.handler, "GET", "/api/search?q=time&cursor=x", "")
		}
		p.ailment.Store(nil)
		if s := p.breaker.Stats(); s.Opened > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Errors that come in bursts open the breaker, and in the end it is closed.
func TestFaultErrorBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := admitPatient(t)
		begin := time.Now()
		fault := trouble(bursts)
		p.ailment.Store(&fault)
		var cold []visit
		var all sync.WaitGroup
		all.Go(func() { cold = p.visits(t, 10, false, begin, 30*time.Second) })
		all.Go(func() {
			if opened := p.reaches(breaker.Open, 30*time.Second); opened > 5*time.Second {
				t.Errorf("breaker open after %v", opened)
			}
			time.Sleep(15*time.Second - time.Since(begin))
			p.ailment.Store(nil)
			if closed := p.reaches(breaker.Closed, 30*time.Second); closed > 10*time.Second {
				t.Errorf("breaker closed after %v", closed)
			}
		})
		all.Wait()
		for _, v := range cold {
			if v.at > 26*time.Second && v.status != 200 {
				t.Errorf("%d %s at %v, long after the bursts", v.status, v.code, v.at)
			}
		}
	})
}
