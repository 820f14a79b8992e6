package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseWorker(t *testing.T) {
	f := func(text string, want Worker) {
		t.Helper()
		got, err := ParseWorker(text)
		if got != want || (err == nil) != (want != Worker{}) {
			t.Errorf("ParseWorker(%q) = %v, %v", text, got, err)
		}
		if err == nil && got.String() != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	f("1/1", Worker{1, 1})
	f("2/4", Worker{2, 4})
	f("1000/1000", Worker{1000, 1000})
	for _, bad := range []string{"", "2", "0/4", "5/4", "-1/4", "1/1001", "a/b", "1/2/3", "1/"} {
		f(bad, Worker{})
	}
}

// Shares add up to the whole, and each thing has one worker.
func TestWorkerShares(t *testing.T) {
	for _, of := range []int{1, 2, 3, 7} {
		for total := range 30 {
			sum, owners := 0, make([]int, total)
			for number := 1; number <= of; number++ {
				w := Worker{number, of}
				own := w.share(total)
				sum += own
				for k := range own {
					owners[w.nth(k)]++
					if !w.takes(int64(w.nth(k))) {
						t.Fatalf("%v does not take its own number %d", w, w.nth(k))
					}
				}
			}
			if sum != total || slices.ContainsFunc(owners, func(n int) bool { return n != 1 }) {
				t.Fatalf("%d workers share %d as %d, owners %v", of, total, sum, owners)
			}
		}
	}
}

// What all workers send together is what one generator sends: who, what, when.
func TestWorkersAreTheWhole(t *testing.T) {
	f := func(why, scenario string) {
		t.Helper()
		sent := func(w Worker) (lines []string) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var mu sync.Mutex
				virtual(context.Background(), t, scenario, func(r *http.Request) (int, string) {
					mu.Lock()
					lines = append(lines, fmt.Sprintf("%v %s %s", time.Since(began), r.Header.Get("X-Tomehub-User"), r.URL.RequestURI()))
					mu.Unlock()
					time.Sleep(30 * time.Millisecond)
					return 200, ""
				}, func(c *Config) { c.Worker = w })
			})
			return lines
		}
		whole := sent(Worker{})
		var together []string
		for number := 1; number <= 3; number++ {
			own := sent(Worker{number, 3})
			if len(own) == 0 {
				t.Errorf("%s: worker %d sends nothing", why, number)
			}
			together = append(together, own...)
		}
		slices.Sort(whole)
		slices.Sort(together)
		if len(whole) < 50 {
			t.Errorf("%s: only %d requests", why, len(whole))
		}
		if diff := cmp.Diff(whole, together); diff != "" {
			t.Errorf("%s: one generator and three workers differ (-one +three):\n%s", why, diff)
		}
	}
	const flows = `
feeders:
  word: {values: [a, b, c, d, e, f, g]}
flows:
  - {name: one, weight: 3, steps: [{name: search, get: "/search?q={{word}}&u={{user}}&i={{iteration}}"}]}
  - {name: two, weight: 1, steps: [{name: read, get: "/read/{{word}}"}, {name: again, get: "/again"}]}
`
	f("users who come, think at random, and go", "users: {stages: [{for: 3s, to: 8}, {for: 3s, to: 8}, {for: 2s, to: 2}]}\nthink: {min: 100ms, max: 900ms}"+flows)
	f("visitors at even gaps", "arrivals: {rate: 5/s, stages: [{for: 10s, to: 20/s}], identities: 10, max_visitors: 30}\nflows: [{name: f, steps: [{name: s, get: '/{{user}}'}]}]")
	f("visitors like strangers", "arrivals: {rate: 15/s, spacing: poisson, max_visitors: 30}\nflows: [{name: f, steps: [{name: s, get: '/{{user}}'}]}]")
}

// Values that are handed out in order go to one worker each.
func TestWorkersShareFeeders(t *testing.T) {
	var values []string
	for i := range 60 {
		values = append(values, fmt.Sprintf("v%02d", i))
	}
	scenario := "users: {count: 3}\nthink: 500ms\nduration: 10s\nfeeders: {v: {pick: in_order, values: [" + strings.Join(values, ", ") + "]}}\nflows: [{name: f, steps: [{name: s, get: '/{{v}}'}]}]"
	var got []string
	runs := map[string]bool{}
	for number := 1; number <= 3; number++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWatcher(0)
			virtual(context.Background(), t, scenario, w.serve, func(c *Config) { c.Worker = Worker{number, 3} })
			for _, line := range w.lines {
				got = append(got, strings.TrimPrefix(line, "GET /"))
			}
			r, err := newRun(Config{Scenario: mustParse(t, scenario), Target: "http://fake", Worker: Worker{number, 3}, waiter: newTimerWaiter()})
			if err != nil {
				t.Fatal(err)
			}
			runs[r.shared.id] = true
			r.agenda.wait.close()
		})
	}
	slices.Sort(got)
	if diff := cmp.Diff(values, got); diff != "" {
		t.Errorf("60 values in 60 requests of three workers (-want +got):\n%s", diff)
	}
	if len(runs) != 3 {
		t.Errorf("three workers at the same moment have {{run}} %v", runs)
	}
}

func TestWorkerWithoutWork(t *testing.T) {
	s := mustParse(t, "users: {count: 3}"+oneStep)
	f := func(w Worker, want string) {
		t.Helper()
		_, _, err := Config{Scenario: s, Target: "http://fake", TimeScale: 1, Worker: w}.validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("worker %v: %v, want %q", w, err, want)
		}
	}
	f(Worker{3, 3}, "")
	f(Worker{4, 4}, "worker 4/4 has nothing to do: the scenario has 3 users")
	f(Worker{2, 1}, "must be from 1/1")
}

// A worker leaves to the merge what is of the whole load, and only the first puts faults in.
func TestWorkerLeavesChecks(t *testing.T) {
	s := mustParse(t, `
users: {count: 4}
faults: [{fault: database_down, at: 1s, for: 1s}]
`+oneStep+`
checks:
  - {metric: rate, at_least: 1/s, why: w}
  - {metric: completed, at_least: 1, why: w, window: 1s, abort: true}
  - {metric: p95, below: 1s, why: w}
  - {metric: server.requests, at_least: 1, why: w}
  - {metric: fault.seen, below: 1s, why: w}
`)
	f := func(w Worker, faults int, want ...string) {
		t.Helper()
		own := s.forWorker(w)
		var got []string
		for _, c := range own.Checks {
			got = append(got, c.Metric)
		}
		if !slices.Equal(got, want) || len(own.Faults) != faults {
			t.Errorf("worker %v has %d faults and judges %v, want %d and %v", w, len(own.Faults), got, faults, want)
		}
		left := (&Result{Worker: w.String(), Criteria: s.Checks}).leftToMerge()
		if len(left)+len(got) != len(s.Checks) {
			t.Errorf("worker %v judges %v and leaves %v", w, got, left)
		}
	}
	f(Worker{}, 1, "rate", "completed", "p95", "server.requests", "fault.seen")
	f(Worker{1, 1}, 1, "rate", "completed", "p95", "server.requests", "fault.seen")
	f(Worker{1, 2}, 1, "p95", "server.requests", "fault.seen")
	f(Worker{2, 2}, 0, "p95", "server.requests")
}
