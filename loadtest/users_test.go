package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// A watcher is a fake server that answers after a while and remembers who asked when.
type watcher struct {
	took   time.Duration
	answer func(*http.Request) (int, string)
	began  time.Time

	mu    sync.Mutex // guards all below
	now   int        // requests under way
	most  int
	seen  map[string][]time.Duration // by identity
	lines []string
}

func newWatcher(took time.Duration) *watcher {
	return &watcher{took: took, began: time.Now(), seen: map[string][]time.Duration{}}
}

func (w *watcher) serve(r *http.Request) (int, string) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	w.mu.Lock()
	w.now++
	w.most = max(w.most, w.now)
	id := r.Header.Get("X-Tomehub-User")
	w.seen[id] = append(w.seen[id], time.Since(w.began))
	w.lines = append(w.lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
	w.mu.Unlock()
	time.Sleep(w.took)
	w.mu.Lock()
	w.now--
	w.mu.Unlock()
	if w.answer != nil {
		return w.answer(r)
	}
	return 200, ""
}

func TestClosedLoopIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(250 * time.Millisecond)
		r := virtual(context.Background(), t, "users: {count: 50}\nthink: 750ms"+oneStep, w.serve)
		if len(w.seen) != 50 || w.most != 50 {
			t.Errorf("%d users, at most %d at once, want 50 and 50", len(w.seen), w.most)
		}
		// Each asks at 0, 1s, … 9s.
		if r.Total.Completed != 500 || r.Total.Rate != 50 || r.Total.Goodput != 50 {
			t.Errorf("completed %d at %v/s, want 500 at 50/s", r.Total.Completed, r.Total.Rate)
		}
		for id, times := range w.seen {
			for i, at := range times {
				if at != time.Duration(i)*time.Second {
					t.Fatalf("user %s asks at %v for the %dth time, want %v", id, at, i, time.Duration(i)*time.Second)
				}
			}
		}
		if got := r.Total.Response.MaxMS; math.Abs(got-250) > 0.25 {
			t.Errorf("the slowest took %vms, want 250: thinking must not count", got)
		}
		for i, win := range r.Windows {
			if win.Users != 50 || win.Completed != 50 || win.StartS != float64(i) {
				t.Errorf("window %d: %+v", i, win)
			}
		}
	})
}

func TestUsersWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(10 * time.Millisecond)
		r := virtual(context.Background(), t, "users: {count: 7}"+oneStep, w.serve)
		if w.most != 7 || r.Total.Completed != 7*1000 {
			t.Errorf("at most %d at once, %d completed; want 7 and 7000", w.most, r.Total.Completed)
		}
	})
}

func TestRampAndWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(100 * time.Millisecond)
		r := virtual(context.Background(), t, "warm_up: 5s\nusers: {count: 10, ramp_up: 4s}\nthink: 400ms"+oneStep, w.serve)
		var starts []time.Duration
		for _, times := range w.seen {
			starts = append(starts, times[0])
		}
		slices.Sort(starts)
		for i, at := range starts {
			if want := time.Duration(i+1) * 400 * time.Millisecond; at != want {
				t.Errorf("user %d starts at %v, want %v", i+1, at, want)
			}
		}
		// In 10 s each of 10 users asks every 500 ms.
		if r.Total.Completed != 200 || r.WarmUp == 0 {
			t.Errorf("%d measured and %d in the warm-up, want 200 and some", r.Total.Completed, r.WarmUp)
		}
		var all int64
		for _, times := range w.seen {
			all += int64(len(times))
		}
		if all != r.Total.Completed+r.WarmUp {
			t.Errorf("the server saw %d requests, the result has %d and %d", all, r.Total.Completed, r.WarmUp)
		}
	})
}

func TestUsersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(100 * time.Millisecond)
		virtual(context.Background(), t, `
users: {stages: [{for: 0s, to: 4}, {for: 3s, to: 4}, {for: 0s, to: 2}, {for: 3s, to: 2}, {for: 0s, to: 4}]}
think: 900ms`+oneStep, w.serve)
		want := map[string]int{"load-1": 10, "load-2": 10, "load-3": 7, "load-4": 7} // 3 and 4 rest from 3s to 6s
		got := map[string]int{}
		for id, times := range w.seen {
			got[id] = len(times)
		}
		if !maps.Equal(got, want) {
			t.Errorf("requests by user: %v, want %v", got, want)
		}
	})
}

func TestArrivalsFollowTheCurve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(time.Second)
		r := virtual(context.Background(), t, "arrivals: {stages: [{for: 5s, to: 20/s}, {for: 5s, to: 20/s}], identities: 30}"+oneStep, w.serve)
		// 50 by the ramp's end, and 100 more, of which the last is due at the very end.
		if r.Total.Completed != 149 || r.Generator.Asked != 149 || r.Generator.InTime != 149 {
			t.Errorf("completed %d, asked %d, in time %d; want 149", r.Total.Completed, r.Generator.Asked, r.Generator.InTime)
		}
		if len(w.seen) != 30 || len(w.seen["load-1"]) != 5 {
			t.Errorf("%d identities, the first %d times; want 30, 5", len(w.seen), len(w.seen["load-1"]))
		}
		if at := w.seen["load-20"][0]; (at - 3162278*time.Microsecond).Abs() > time.Microsecond { // 2t² = 20
			t.Errorf("the 20th comes at %v, want 3.162278s", at)
		}
	})
}

func TestPoissonArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(0)
		virtual(context.Background(), t, "duration: 100s\narrivals: {rate: 100/s, spacing: poisson, identities: 1}"+oneStep, w.serve)
		times := w.seen["load-1"]
		if n := float64(len(times)); math.Abs(n-10_000) > 400 { // four standard deviations
			t.Errorf("%v arrivals in 100 s at 100/s", n)
		}
		slices.Sort(times)
		short := 0
		for i := 1; i < len(times); i++ {
			if times[i]-times[i-1] < 10*time.Millisecond {
				short++
			}
		}
		// Of exponential gaps 1-1/e are below their mean.
		if share := float64(short) / float64(len(times)); math.Abs(share-(1-1/math.E)) > 0.02 {
			t.Errorf("%.3f of the gaps are below the mean, want 0.632", share)
		}
	})
}

// Visitors who walk through several steps keep their slot until they are done, and only the first step has a schedule.
func TestArrivalsOfSeveralSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(100 * time.Millisecond)
		r := virtual(context.Background(), t, `
arrivals: {rate: 10/s, max_visitors: 50}
think: 400ms
flows:
  - name: f
    steps:
      - {name: a, get: /a}
      - {name: b, get: /b, repeat: 2}
`, w.serve)
		a, b := r.of("a").Completed, r.of("b").Completed
		if a != 99 || r.Generator.Asked != 99 || r.Generator.Held != 0 {
			t.Errorf("%d first steps of %d asked, %d held; want 99, 99, 0", a, r.Generator.Asked, r.Generator.Held)
		}
		if b != 2*99-15 { // what is due after the end is not sent: five visitors lack both, five one
			t.Errorf("%d second steps, want %d", b, 2*99-15)
		}
		if got := r.Total.Response.MaxMS; math.Abs(got-100) > 0.1 {
			t.Errorf("the slowest took %vms: thinking between steps must not count", got)
		}
	})
}

func TestFlowsFeedersAndTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(time.Millisecond)
		w.answer = func(r *http.Request) (int, string) {
			switch q := r.URL.Query().Get("q"); {
			case q == "none":
				return 200, `{"results":[]}`
			case r.URL.Path == "/search":
				return 200, `{"results":[{"id":1},{"id":"b c"},{"id":3}]}`
			}
			return 200, `{}`
		}
		r := virtual(context.Background(), t, `
duration: 2s
users: {count: 1}
think: 99ms
headers: {X-All: "{{query}}"}
feeders: {query: {values: [to be, none], pick: in_order}}
flows:
  - name: f
    steps:
      - name: search
        get: /search?q={{query}}
        take:
          id: {path: "results[*].id", pick: next, max: 2}
          all: {path: "results[*].id"}
      - {name: read, get: "/content/{{id}}?q={{query}}", repeat: 5}
      - {name: batch, post: /batch, json: '{"ids":[{{all|all}}],"n":{{iteration}}}'}
`, w.serve)
		want := []string{
			"GET /search?q=to+be", "GET /content/1?q=to+be", "GET /content/b%20c?q=to+be", `POST /batch {"ids":[1,"b c",3],"n":1}`,
			"GET /search?q=none", // nothing found: nothing to read
			"GET /search?q=to+be", "GET /content/1?q=to+be", "GET /content/b%20c?q=to+be", `POST /batch {"ids":[1,"b c",3],"n":3}`,
			"GET /search?q=none",
		}
		if diff := gocmp.Diff(want, w.lines[:10]); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		// Twenty requests in 2 s: four rounds of five. The repetitions that found no further id count as one skipped step,
		// as does each step after an empty search.
		if s, b := r.of("read").Skipped, r.of("batch").Skipped; r.Total.Completed != 20 || s != 8 || b != 4 {
			t.Errorf("%d requests, skipped %d and %d; want 20, 8 and 4", r.Total.Completed, s, b)
		}
	})
}

// What a step took belongs to its last answer: values of an earlier one are gone.
func TestTakesAreOfTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := virtual(context.Background(), t, `
duration: 1s
users: {count: 1}
think: 99ms
flows:
  - name: f
    steps:
      - {name: search, get: /, repeat: 2, take: {id: {path: id}}}
      - {name: read, get: "/{{id}}"}
`, func(*http.Request) (int, string) {
			time.Sleep(time.Millisecond)
			if n++; n%2 == 1 {
				return 200, `{"id":1}`
			}
			return 200, `{}`
		})
		if r.of("search").Completed != 10 || r.of("read").Completed != 0 {
			t.Errorf("%d searches, %d reads; want 10 and none", r.of("search").Completed, r.of("read").Completed)
		}
	})
}

func TestWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(time.Millisecond)
		r := virtual(context.Background(), t, `
duration: 20s
users: {count: 2}
flows:
  - {name: often, weight: 7, steps: [{name: o, get: /o}]}
  - {name: rare, weight: 3, steps: [{name: r, get: /r}]}
`, w.serve)
		if share := float64(r.of("o").Completed) / float64(r.Total.Completed); math.Abs(share-0.7) > 0.01 {
			t.Errorf("the flow of weight 7 of 10 has %.3f", share)
		}
	})
}

// The same seed makes the same users do the same things.
func TestSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := func(seed uint64) []string {
			w := newWatcher(time.Millisecond)
			virtual(context.Background(), t, "users: {count: 1}\nthink: {min: 5ms, max: 90ms}\nfeeders: {q: {values: [a, b, c, d, e, f]}}\n"+
				"flows: [{name: f, steps: [{name: s, get: '/{{q}}'}]}]", w.serve, func(c *Config) { c.Seed = seed })
			return w.lines
		}
		if a, b := lines(7), lines(7); !slices.Equal(a, b) {
			t.Error("seed 7 gives different requests")
		}
		if a, b := lines(7), lines(8); slices.Equal(a, b) {
			t.Error("seeds 7 and 8 give the same requests")
		}
	})
}

func TestPause(t *testing.T) {
	f := func(p Pause, mean, least, most time.Duration) {
		t.Helper()
		u := newUser(0, newShared(&Scenario{Think: p, Flows: []Flow{{}}}, "", ""), 1)
		var sum time.Duration
		const n = 100_000
		for range n {
			d := u.pause(&Step{})
			if d < least || d > most {
				t.Fatalf("%+v gives %v", p, d)
			}
			sum += d
		}
		near(t, fmt.Sprintf("the mean of %+v", p), milliseconds(sum/n), milliseconds(mean), 1)
	}
	f(Pause{Min: time.Second, Max: time.Second}, time.Second, time.Second, time.Second)
	f(Pause{Min: time.Second, Max: 3 * time.Second}, 2*time.Second, time.Second, 3*time.Second)
	f(Pause{Mean: time.Second}, time.Second, 0, 10*time.Second)
}

// Users who are due at the same moment are served in the order in which they became due.
func TestAgendaOrder(t *testing.T) {
	now := time.Duration(0)
	a := &agenda{ctx: context.Background(), end: forever, last: forever, clock: func() time.Duration { return now }, wait: newTimerWaiter()}
	rng := rand.New(rand.NewPCG(1, 1))
	var want []*user
	at := map[*user]time.Duration{}
	for range 500 {
		u := &user{}
		at[u] = time.Duration(rng.IntN(20))
		a.push(u, at[u])
		want = append(want, u)
	}
	slices.SortStableFunc(want, func(x, y *user) int { return cmp.Compare(at[x], at[y]) })
	now = 20
	for i, u := range want {
		got, ok := a.next()
		if !ok || got != u || got.call.due != at[u] {
			t.Fatalf("user %d is out of order", i)
		}
	}
}

func TestScaled(t *testing.T) {
	s := mustParse(t, `
warm_up: 10s
duration: 20s
timeout: 8s
slow_after: 6s
think: {mean: 4s}
arrivals: {rate: 10/s, stages: [{for: 10s, to: 30/s}]}
checks: [{metric: service_p99, below: 4s, window: 10s, why: w}, {metric: goodput, above: 6/s, why: w}]
flows: [{name: f, steps: [{name: a, get: /a}, {name: b, get: /b, timeout: 2s, think: {min: 2s, max: 4s}}]}]
`)
	before := fmt.Sprintf("%+v %+v", s.Arrivals, s.Checks)
	c := s.scaled(0.5)
	if got := fmt.Sprintf("%+v %+v", s.Arrivals, s.Checks); got != before || s.steps[0].Timeout != 8*time.Second {
		t.Error("the scenario itself was changed")
	}
	half := time.Second / 2
	got := []any{
		c.WarmUp, c.Duration, c.Think.Mean, c.steps[0].Timeout, c.steps[0].SlowAfter, c.steps[1].Timeout, *c.steps[1].Think,
		c.Arrivals.Rate, c.Arrivals.Stages[0], *c.Checks[0].High, c.Checks[0].Window, *c.Checks[1].Low,
	}
	want := []any{
		10 * half, 20 * half, 4 * half, 8 * half, 6 * half, 2 * half, Pause{Min: 2 * half, Max: 4 * half},
		20.0, Stage{10 * half, 60}, Bound{Value: 2000}, 10 * half, Bound{Value: 12},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	// Twice the rate in half the time: as many come.
	if a, b := s.Arrivals.curve.count(30*time.Second), c.Arrivals.curve.count(15*time.Second); math.Abs(a-b) > 1e-6 {
		t.Errorf("%v come in the whole time, %v in half of it", a, b)
	}
	if c.Flows[0].Steps[1] != c.steps[1] {
		t.Error("flows and steps of the copy are not the same steps")
	}
}

func TestTimeScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := `
warm_up: 10s
duration: 100s
timeout: 20s
users: {count: 20, ramp_up: 5s}
think: {min: 1s, max: 3s}
checks: [{metric: p95, below: 8s, why: w}, {metric: rate, above: 5/s, why: w}, {metric: error_rate, below: 5%, why: w}]` + oneStep
		whole := virtual(context.Background(), t, text, newWatcher(time.Second).serve)
		tenth := virtual(context.Background(), t, text, newWatcher(100*time.Millisecond).serve, func(c *Config) { c.TimeScale = 0.1 })
		if tenth.Total.Completed != whole.Total.Completed || tenth.DurationS != 10 || tenth.WarmUpS != 1 {
			t.Errorf("a tenth has %d requests in %vs, the whole %d in %vs", tenth.Total.Completed, tenth.DurationS, whole.Total.Completed, whole.DurationS)
		}
		near(t, "p95", tenth.Total.Response.P95MS, whole.Total.Response.P95MS/10, 0.2)
		near(t, "rate", tenth.Total.Rate, whole.Total.Rate*10, 0.1)
		var bounds []string
		for _, c := range tenth.Checks {
			bounds = append(bounds, c.Bound)
		}
		if diff := gocmp.Diff([]string{"< 800ms", "> 50/s", "< 5%"}, bounds); diff != "" {
			t.Errorf("bounds at a tenth (-want +got):\n%s", diff)
		}
	})
}

// A user paces itself from asking to asking, and waits for what is later than that.
func TestPace(t *testing.T) {
	f := func(took time.Duration, text string, want time.Duration, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWatcher(took)
			virtual(context.Background(), t, "users: {count: 1}\n"+text, w.serve)
			times := w.seen["load-1"]
			for i, at := range times {
				if at != time.Duration(i)*want {
					t.Fatalf("%s: asks at %v, want every %v", why, times, want)
				}
			}
		})
	}
	f(250*time.Millisecond, "pace: 2s\nthink: 500ms"+oneStep, 2*time.Second, "a quick answer is no hurry")
	f(1750*time.Millisecond, "pace: 2s\nthink: 500ms"+oneStep, 2250*time.Millisecond, "a late one is looked at all the same")
	f(3*time.Second, "pace: 2s"+oneStep, 3*time.Second, "one later than the pace is waited for")
	f(time.Second, "pace: 2s\nflows: [{name: f, steps: [{name: s, get: /, pace: 4s}]}]\n", 4*time.Second, "a step has its own")
}

func TestPaceScales(t *testing.T) {
	s := mustParse(t, "users: {count: 1}\npace: {min: 2s, max: 4s}\nflows: [{name: f, steps: [{name: s, get: /, pace: {mean: 6s}}]}]\nfaults: [{fault: database_down, at: 4s, for: 2s}]\n")
	c := s.scaled(0.5)
	if c.Pace != (Pause{Min: time.Second, Max: 2 * time.Second}) || *c.steps[0].Pace != (Pause{Mean: 3 * time.Second}) ||
		c.Faults[0].At != 2*time.Second || c.Faults[0].For != time.Second || s.Faults[0].At != 4*time.Second || s.steps[0].Pace.Mean != 6*time.Second {
		t.Errorf("at half the time: pace %v, of the step %v, fault %+v", c.Pace, *c.steps[0].Pace, c.Faults[0])
	}
}
