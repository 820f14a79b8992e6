package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// Ten requests a second, each 30 ms long: nobody is under way at the edges.
const observed = "warm_up: 2s\nusers: {count: 1}\nthink: 70ms\n"

// observe runs a scenario against a fake TomeHub whose admin listener is known.
func observe(t *testing.T, text string, turn func(*fakeTomehub), change ...func(*Config)) *Result {
	t.Helper()
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		f := newFakeTomehub()
		if turn != nil {
			turn(f)
		}
		change = append([]func(*Config){func(c *Config) { c.observer, c.AdminURL = f, "http://admin" }}, change...)
		r = virtual(context.Background(), t, text+oneStep, f.serve, change...)
		time.Sleep(time.Second) // a run that was stopped leaves the server at work
	})
	if _, err := json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	return r
}

// later calls f after d, by the bubble's clock.
func later(d time.Duration, f func()) { time.AfterFunc(d, f) }

// The counters are those of the measured time, to the last request.
func TestObservedCountsAreExact(t *testing.T) {
	r := observe(t, observed, func(f *fakeTomehub) {
		f.per = func(at time.Duration) int64 {
			if at < 2*time.Second {
				return 100 // of the warm-up, and in no figure
			}
			return 6
		}
	})
	s := r.Server
	if s == nil {
		t.Fatalf("no figures: %s", r.NoServer)
	}
	if s.FromS != 2 || s.ToS != 12 || r.Total.Completed != 100 {
		t.Errorf("read from %v to %v, %d requests", s.FromS, s.ToS, r.Total.Completed)
	}
	want := &StatementFigures{Requests: 100, OK: 100, Statements: 600, PerRequest: 6, PerOK: 6, Routes: []RouteFigures{
		{Route: "GET /", Requests: 100, OK: 100, Statements: 600, PerRequest: 6, PerOK: 6, WaitMS: 1, MeanMS: 2},
	}}
	if diff := cmp.Diff(want, s.Statements); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&CacheFigures{Hits: 1800, Misses: 600, HitRate: 75, MiB: 3}, s.Cache); diff != "" {
		t.Errorf("cache (-want +got):\n%s", diff)
	}
	pool := PoolFigures{Name: "read", Size: 20, InUse: PeakMean{3, 3}, Waiting: PeakMean{6, 6}, Acquired: 600, Waits: 300, WaitMS: 10, Refused: 100, Left: 100, WaitShare: 300.0 / 8}
	if got := s.Pools[0]; len(s.Pools) != 2 || !cmp.Equal(pool, got) {
		t.Errorf("pools: %s", cmp.Diff(pool, got))
	}
	if diff := cmp.Diff(&StreamFigures{Limit: 100, Active: PeakMean{1, 1}, Started: 100, Completed: 100, Refused: 100}, s.Streams); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	if s.Version != "v9" || s.Phase != "B" || len(s.Notes) != 0 || len(s.Restarts) != 0 {
		t.Errorf("server %s in phase %s, notes %q", s.Version, s.Phase, s.Notes)
	}
	// One poll before the run and one each second from 0 to 12: at an edge the one for the edge is enough.
	if p := s.Polls; p.Taken != 14 || p.Skipped != 0 || p.Failed != 0 || p.Asked != 14*8 || p.EveryS != 1 || len(s.Samples) != 13 {
		t.Errorf("polls %+v, %d samples", p, len(s.Samples))
	}
	for i, x := range s.Samples[1:] {
		if x.AtS != float64(i+1) || x.LengthS != 1 || *x.Requests != 10 || x.Polls != 1 {
			t.Errorf("sample %d: %+v", i+1, x)
		}
	}
}

// Without a warm-up the counters are read before the first request is sent.
func TestObservedWithoutWarmUp(t *testing.T) {
	r := observe(t, "users: {count: 1}\nthink: 70ms\n", func(f *fakeTomehub) { f.requests, f.stmts = 5000, 7 })
	if s := r.Server; s.FromS != 0 || s.ToS != 10 || s.Statements.Requests != 100 || s.Statements.Statements != 600 {
		t.Errorf("%+v", s.Statements)
	}
}

func TestObservedRestart(t *testing.T) {
	f := func(why string, silent bool) {
		t.Helper()
		r := observe(t, observed+"checks: [{metric: server.restarts, at_most: 0, why: w}]", func(f *fakeTomehub) {
			f.silent = silent
			later(7500*time.Millisecond, f.restart)
		})
		s := r.Server
		// The five requests from 7 s, the last poll before, to 7.5 s are lost.
		if got := s.Statements; got.Requests != 95 || got.Statements != 570 || s.Cache.Hits != 1710 || s.Cache.HitRate != 75 {
			t.Errorf("%s: %+v, %+v", why, got, s.Cache)
		}
		if diff := cmp.Diff([]Restart{{AtS: 8}}, s.Restarts); diff != "" {
			t.Errorf("%s: restarts (-want +got):\n%s", why, diff)
		}
		if len(s.Notes) != 1 || !strings.HasPrefix(s.Notes[0], "The server was restarted once; ") || r.Checks[0].Verdict != reports.Fail {
			t.Errorf("%s: notes %q, %+v", why, s.Notes, r.Checks[0])
		}
	}
	f("it says when it began", false)
	f("an older one, whose counters fall", true)

	// Counters that are above the old ones already do not hide it.
	r := observe(t, observed, func(f *fakeTomehub) {
		later(7500*time.Millisecond, func() { f.restart(); f.mu.Lock(); f.requests = 500; f.mu.Unlock() })
	})
	if s := r.Server; len(s.Restarts) != 1 || s.Statements.Requests != 595 {
		t.Errorf("restarts %v, %d requests", s.Restarts, s.Statements.Requests)
	}
}

// A run that is stopped reads the counters then, and waits for no server that hangs.
func TestObservedInterrupt(t *testing.T) {
	f := func(why string, hang bool, at time.Duration, requests int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(at, cancel)
			fake := newFakeTomehub()
			begin := time.Now()
			fake.cut = func(*http.Request) (bool, int) { return hang && time.Since(begin) > at-time.Second, 0 }
			r := virtual(ctx, t, observed+oneStep, fake.serve, func(c *Config) {
				c.observer, c.AdminURL = fake, "http://admin"
				c.TopStatements = func(context.Context) (func(context.Context) (*StatementWindow, error), error) {
					return func(ctx context.Context) (*StatementWindow, error) {
						if hang {
							<-ctx.Done()
						}
						return &StatementWindow{}, ctx.Err()
					}, nil
				}
			})
			took := time.Since(begin) - at
			time.Sleep(time.Second)
			if took > 500*time.Millisecond {
				t.Errorf("%s: stopped after %v", why, took)
			}
			switch {
			case requests < 0 && (r.Server == nil || r.Server.Statements != nil):
				t.Errorf("%s: %+v, %s", why, r.Server, r.NoServer)
			case requests >= 0 && (r.Server == nil || r.Server.Statements.Requests != requests):
				t.Errorf("%s: %+v, %s", why, r.Server, r.NoServer)
			}
		})
	}
	f("in the measured time", false, 6050*time.Millisecond, 41)
	f("the server hangs", true, 6050*time.Millisecond, 30)
	f("in the warm-up", false, 1500*time.Millisecond, -1)
}

func TestBreakersAreSeen(t *testing.T) {
	turn := func(f *fakeTomehub, state string, opened, half, closed int64) func() {
		return func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.breaker, f.opened, f.half, f.closed = state, f.opened+opened, f.half+half, f.closed+closed
		}
	}
	r := observe(t, observed+`
checks:
  - {metric: server.breaker_open_seconds, at_most: 4s, why: w}
  - {metric: server.breaker_opened, at_most: 2, why: w}
`, func(f *fakeTomehub) {
		later(3500*time.Millisecond, turn(f, "open", 1, 0, 0))
		later(5500*time.Millisecond, turn(f, "half-open", 0, 0, 0)) // its time is up; it counts that when somebody asks
		later(6500*time.Millisecond, turn(f, "open", 1, 1, 0))
		later(7500*time.Millisecond, turn(f, "closed", 0, 1, 1))
		later(9500*time.Millisecond, turn(f, "closed", 1, 1, 1)) // within one poll
	})
	want := []BreakerTransition{
		{4, "database", "open"}, {6, "database", "half-open"}, {7, "database", "half-open"}, {7, "database", "open"},
		{8, "database", "half-open"}, {8, "database", "closed"}, {10, "database", "open"}, {10, "database", "half-open"}, {10, "database", "closed"},
	}
	if diff := cmp.Diff(want, r.Server.Transitions); diff != "" {
		t.Errorf("transitions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]BreakerFigures{{Name: "database", Opened: 3, Rejected: 9, OpenS: 4, State: "closed"}}, r.Server.Breakers); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
	if r.Checks[0].Measured != "4s" || r.Checks[0].Verdict != reports.Pass || r.Checks[1].Verdict != reports.Fail {
		t.Errorf("checks %+v", r.Checks)
	}
}

func TestServerWindows(t *testing.T) {
	grow := func(f *fakeTomehub) {
		began := time.Now()
		f.cut = func(r *http.Request) (bool, int) {
			if r.URL.Path == "/api/health/memory" {
				f.mu.Lock()
				f.rss = 100 + 10*time.Since(began).Seconds()
				f.mu.Unlock()
			}
			return false, 0
		}
	}
	checks := func(r *Result) (all []string) {
		for _, c := range r.Checks {
			all = append(all, c.Name+": "+c.Metric+" "+c.Measured+" "+c.Bound+" "+c.Verdict.String()+" "+c.Reason)
		}
		return all
	}
	r := observe(t, observed+`
checks:
  - {metric: server.memory_used, window: 5s, below: 200MiB, why: w}
  - {metric: server.memory_peak, below: 221MiB, why: w}
  - {metric: server.memory_growth, at_most: 600.5MiB/min, why: w}
  - {metric: server.statements_per_request, step: step, window: 2s, at_least: 6, why: w}
  - {metric: server.memory_growth, window: 3s, at_most: 1MiB/min, why: too few polls in a window}
  - {metric: rate, window: 2s, at_least: 9/s, why: beside those of the server}
`, grow)
	want := []string{
		"the server, each 5s: server.memory_used 200MiB < 200MiB fail server.memory_used is 200MiB, must be < 200MiB", // polls of 8 to 12 s
		"the server: server.memory_peak 220MiB < 221MiB pass ",
		"the server: server.memory_growth 600MiB/min ≤ 600.5MiB/min pass ",
		"step, each 2s: server.statements_per_request 6 ≥ 6 pass ",
		"the server, each 3s: server.memory_growth  ≤ 1MiB/min inconclusive needs 10 polls since the start or the last restart, there were 3",
		"all requests, each 2s: rate 10/s ≥ 9/s pass ",
	}
	if diff := cmp.Diff(want, checks(r)); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	r = observe(t, observed+"checks: [{metric: server.memory_used, window: 2s, below: 155MiB, abort: true, why: w}]", grow)
	if want := "stopped by a check: the server, each 2s: server.memory_used is 155MiB, must be < 155MiB"; r.MeasuredS > 5.1 ||
		r.Verdict != reports.Fail || r.Reasons[0] != want {
		t.Errorf("measured %vs, %v, %q", r.MeasuredS, r.Verdict, r.Reasons)
	}
}

func TestTopStatements(t *testing.T) {
	var begin, end time.Duration
	hook := func(beginErr, endErr error) func(*Config) {
		return func(c *Config) {
			began := time.Now()
			c.TopStatements = func(context.Context) (func(context.Context) (*StatementWindow, error), error) {
				begin = time.Since(began)
				return func(context.Context) (*StatementWindow, error) {
					end = time.Since(began)
					return &StatementWindow{Statements: []TopStatement{{Name: "ids", Executions: 250}}}, endErr
				}, beginErr
			}
		}
	}
	r := observe(t, observed, nil, hook(nil, nil))
	if begin != 2*time.Second || end != 12*time.Second || r.Server.Top.Statements[0].PerRequest != 2.5 {
		t.Errorf("from %v to %v: %+v", begin, end, r.Server.Top)
	}
	for _, change := range []func(*Config){hook(errors.New("no luck"), nil), hook(nil, errors.New("no luck"))} {
		r = observe(t, observed, nil, change)
		if got := strings.Join(r.Server.Notes, ""); got != "The statements of the measured time are not known: no luck" {
			t.Errorf("notes %q", got)
		}
	}
}

func TestProgressTellsTheServer(t *testing.T) {
	var last Progress
	observe(t, observed, nil, func(c *Config) {
		c.Progress = func(p Progress) {
			if p.Elapsed < time.Second/2 && (p.HitRate >= 0 || p.StatementsPerRequest >= 0) {
				t.Errorf("known before anything was: %+v", p)
			}
			last = p
		}
	})
	if last.StatementsPerRequest != 6 || last.HitRate != 75 {
		t.Errorf("%+v", last)
	}
}

func TestObserverKeepsToTheScale(t *testing.T) {
	for scale, want := range map[float64]time.Duration{10: time.Second, 1: time.Second, 0.5: 500 * time.Millisecond, 0.1: 100 * time.Millisecond, 0.01: 100 * time.Millisecond} {
		if got := pollDistance(scale); got != want {
			t.Errorf("scale %v: polls each %v, want %v", scale, got, want)
		}
	}
}
