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
