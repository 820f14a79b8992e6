package loadtest

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tomehub/tomehub/reports"
)

// sought is a scenario of users who think for a second on average.
const sought = "users: {count: 40}\nthink: {mean: 1s}\ntimeout: 30s\n"

func mustSLO(t testing.TB, texts ...string) []Check {
	t.Helper()
	var all []Check
	for _, text := range texts {
		slo, err := ParseSLO(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slo)
	}
	return all
}

// seek searches the capacity of a planted server.
func seek(t *testing.T, p *planted, text string, change func(*CapacityConfig), slos ...string) *CapacityResult {
	t.Helper()
	var r *CapacityResult
	synctest.Test(t, func(t *testing.T) {
		p.start()
		cfg := CapacityConfig{
			Scenario: mustParse(t, text+oneStep), SLO: mustSLO(t, slos...), Target: "http://fake", AdminURL: "http://admin",
			WarmUp: 4 * time.Second, Step: 10 * time.Second, Precision: 0.1,
			change: func(c *Config) {
				c.transport, c.waiter, c.gauge, c.observer, c.serverCPU = fakeServer(p.serve), newTimerWaiter(), idle, p, p.cpu
			},
		}
		if change != nil {
			change(&cfg)
		}
		var err error
		if r, err = Capacity(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // what the last run left under way ends
	})
	text2, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back CapacityResult
	if err := json.Unmarshal(text2, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back, cmpopts.IgnoreUnexported(Scalability{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("back from JSON (-want +got):\n%s", diff)
	}
	for _, f := range reports.Formats() {
		if err := r.Report().Write(&strings.Builder{}, f, reports.TextOptions{}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	return r
}

// quick makes a search coarse.
func quick(c *CapacityConfig) { c.Precision, c.Repeats, c.Step = 0.4, 1, 6*time.Second }

func steadyHold(d time.Duration) func(int) time.Duration {
	return func(int) time.Duration { return d }
}

// carried checks that the capacity is near to what queueing theory says, and which bottleneck is named first.
func carried(t *testing.T, r *CapacityResult, low, high float64, resource string, evidence ...string) {
	t.Helper()
	var b strings.Builder
	if err := r.Report().WriteText(&b, reports.TextOptions{Width: 160}); err != nil {
		t.Fatal(err)
	}
	if r.Verdict != reports.Pass || r.Capacity < low || r.Capacity > high || r.Low > r.Capacity || r.High < r.Capacity {
		t.Errorf("capacity %v (%v to %v), want %v to %v\n%s", r.Capacity, r.Low, r.High, low, high, b.String())
	}
	if len(r.Bottlenecks) == 0 || r.Bottlenecks[0].Resource != resource {
		t.Fatalf("bottlenecks %+v, want %s\n%s", r.Bottlenecks, resource, b.String())
	}
	for _, want := range evidence {
		if !strings.Contains(r.Report().Summary, want) {
			t.Errorf("%q does not say %q", r.Report().Summary, want)
		}
	}
}

// Four places of 100 ms serve 40 requests a second. Users who think for a second and are answered in 0.1 s to 1 s make as
// many of them from 44 (without waiting) to 80 (after a second); the mean of the answers is a known function of the
// users, and their p95 passes a second at about 72.
func TestCapacityOfPool(t *testing.T) {
	r := seek(t, &planted{size: 4, hold: steadyHold(100 * time.Millisecond), statements: 1}, sought, nil, "p95<=1s")
	carried(t, r, 58, 80, "pool read", "pool: 4 of 4 in use", "of the mean response of", "users are carried within p95 ≤ 1s and error_rate ≤ 1%")
	if s := r.Scalability; s == nil || s.Lambda.Value < 8.5 || s.Lambda.Value > 11.5 {
		t.Errorf("one at a time get %+v, want about 10/s", s)
	}
	for _, st := range r.Steps {
		if st.Load < r.Low && st.Verdict != reports.Pass || st.Load > r.High && st.Verdict != reports.Fail {
			t.Errorf("%v users: %v", st.Load, st.Verdict)
		}
	}
}

func TestCapacityFindsPlantedBottlenecks(t *testing.T) {
	f := func(why string, p *planted, low, high float64, resource string, evidence ...string) *CapacityResult {
		t.Helper()
		var r *CapacityResult
		t.Run(why, func(t *testing.T) {
			r = seek(t, p, sought, quick, "p95<=1s")
			carried(t, r, low, high, resource, evidence...)
		})
		return r
	}
	f("a cache that is off, beside a pool", &planted{size: 8, hold: steadyHold(50 * time.Millisecond), statements: 4}, 40, 80,
		"pool read", "8 of 8 in use", "; there is no query cache, so that a request runs")
	f("a database that becomes slower the more it is asked",
		&planted{size: 200, hold: func(inUse int) time.Duration { return time.Duration(10+4*inUse*inUse) * time.Millisecond }, statements: 1}, 4, 60,
		resourceDatabase, "in statements, each", "times as long as at")
	f("the database, though the pool is full too",
		&planted{size: 12, hold: func(inUse int) time.Duration { return time.Duration(20+4*inUse*inUse) * time.Millisecond }, statements: 1}, 4, 60,
		resourceDatabase, "in statements, each")
	f("cores", &planted{size: 50, hold: steadyHold(time.Millisecond), statements: 1, cache: true, work: 60 * time.Millisecond}, 20, 90,
		resourceCPU, "CPU: the server kept")
	f("a limit on the rate", &planted{size: 50, hold: steadyHold(time.Millisecond), statements: 1, cache: true, limit: 90, window: 3 * time.Second}, 15, 40,
		resourceRateLimit, "refused with 429")
	f("a queue that sheds", &planted{size: 4, queue: 3, hold: steadyHold(100 * time.Millisecond), statements: 1, cache: false}, 12, 50,
		"pool read", "were refused")
}

// What a run used up of a limit per minute is missing in the next, unless the search rests: 20 users of about one request a second
// are what 1,200 a minute let through.
func TestCapacityRestsAfterRefusals(t *testing.T) {
	f := func(rest, step time.Duration) *CapacityResult {
		t.Helper()
		p := &planted{size: 50, hold: steadyHold(time.Millisecond), statements: 1, limit: 1200, window: time.Minute}
		return seek(t, p, sought, func(c *CapacityConfig) {
			quick(c)
			c.Rest, c.WarmUp, c.Step, c.MaxTime = rest, 10*time.Second, step, time.Hour
		}, "p95<=1s")
	}
	rested := f(time.Minute, time.Minute)
	carried(t, rested, 12, 22, resourceRateLimit, "refused with 429")
	const note = "(--step 1m)"
	if notes := strings.Join(rested.Report().Notes, " "); strings.Contains(notes, note) {
		t.Error(notes)
	}
	short := f(time.Minute, 20*time.Second)
	if short.Capacity <= rested.Capacity || !strings.Contains(strings.Join(short.Report().Notes, " "), note) {
		t.Errorf("%v are carried in short runs, %v in long ones: %q, %+v", short.Capacity, rested.Capacity, short.Report().Notes, short.Bottlenecks)
	}
	if without := f(0, 20*time.Second); without.TookS >= short.TookS {
		t.Errorf("took %v s without a rest", without.TookS)
	}
}

// A server that does more than it is asked for ends the search at --to, and no bottleneck is made up.
func TestCapacityWithoutEnd(t *testing.T) {
	p := &planted{size: 50, hold: steadyHold(10 * time.Millisecond), statements: 1}
	r := seek(t, p, sought, func(c *CapacityConfig) { c.To = 100 }, "p95<=1s")
	if r.Verdict != reports.Pass || r.Capacity != 100 || r.High != 0 || len(r.Bottlenecks) != 1 || r.Bottlenecks[0].Resource != resourceNone {
		t.Errorf("%v, %v to %v, %+v", r.Verdict, r.Capacity, r.High, r.Bottlenecks)
	}
	if s := r.Report().Summary; !strings.HasPrefix(s, "At least 100 users are carried") || !strings.Contains(s, "none was reached up to 100 users; nearest to its end is the read pool") {
		t.Error(s)
	}
	// No contention and no peak: what the law says of a server without a bottleneck.
	if s := r.Scalability; s == nil || s.Peak != nil && s.Peak.Value < 50 {
		t.Errorf("%+v", s)
	}
}

// Not even one user is carried.
func TestCapacityOfNothing(t *testing.T) {
	p := &planted{size: 50, hold: steadyHold(3 * time.Second), statements: 1}
	r := seek(t, p, sought, quick, "p95<=1s")
	if r.Verdict != reports.Fail || r.Capacity != 0 || r.Bottlenecks[0].Resource != resourceDatabase || r.Steps[0].Load != 1 {
		t.Errorf("%v, %v, %+v", r.Verdict, r.Capacity, r.Bottlenecks)
	}
	if s := r.Report().Summary; !strings.HasPrefix(s, "Not even 1 user is carried") {
		t.Error(s)
	}
}

func TestCapacityNeed(t *testing.T) {
	f := func(need float64, want reports.Verdict) {
		t.Helper()
		r := seek(t, &planted{size: 4, hold: steadyHold(100 * time.Millisecond), statements: 1}, sought, func(c *CapacityConfig) {
			quick(c)
			c.Need = need
		}, "p95<=1s")
		if r.Verdict != want {
			t.Errorf("%v users are needed, %v are carried: %v, want %v; %q", need, r.Capacity, r.Verdict, want, r.Reasons)
		}
	}
	f(30, reports.Pass)
	f(120, reports.Fail)
}

// A generator that is the bottleneck tells nothing about the server.
func TestCapacityOfGenerator(t *testing.T) {
	p := &planted{size: 50, hold: steadyHold(10 * time.Millisecond), statements: 1}
	limited := func(c *CapacityConfig) {
		quick(c)
		c.To = 150
		change := c.change
		c.change = func(cfg *Config) {
			change(cfg)
			users := cfg.Scenario.load()
			cfg.gauge = func(g *gauge) {
				idle(g)
				began := time.Now()
				g.read = func() (time.Duration, uint64, error) { // all cores are the generator's from 100 users on
					used := 0.0
					if users > 100 {
						used = float64(g.cpus)
					}
					return time.Duration(used * float64(time.Since(began))), 1 << 20, nil
				}
			}
		}
	}
	r := seek(t, p, sought, limited, "p95<=1s")
	if r.Verdict != reports.Inconclusive || r.Capacity < 90 || r.Capacity > 100 || r.High != 0 || r.Bottlenecks[0].Resource != resourceGenerator {
		t.Errorf("%v, %v to %v, %+v", r.Verdict, r.Capacity, r.High, r.Bottlenecks)
	}
	if text := strings.Join(r.Reasons, " "); !strings.Contains(text, "nothing could be seen of the server (the generator used 100% of all CPUs") {
		t.Errorf("%q", r.Reasons)
	}
	// What was seen below is enough for a need below.
	if r := seek(t, p, sought, func(c *CapacityConfig) { limited(c); c.Need = 50 }, "p95<=1s"); r.Verdict != reports.Pass {
		t.Errorf("50 are needed, %v are carried: %v", r.Capacity, r.Verdict)
	}
}

// Of a server that stops to answer, those who wait are told, not the few answers before.
func TestCapacityOfHangingServer(t *testing.T) {
	p := &planted{size: 50, hold: steadyHold(10 * time.Millisecond), statements: 1, hang: func(_, under int64) bool { return under > 8 }}
	r := seek(t, p, sought, quick, "p95<=1s")
	last := r.Steps[len(r.Steps)-1]
	if r.Capacity == 0 || r.Capacity > 400 || last.Verdict != reports.Fail || last.Unanswered == 0 {
		t.Errorf("%v are carried; at %v users %v, %d without an answer", r.Capacity, last.Load, last.Verdict, last.Unanswered)
	}
}

// The open model: four places of 100 ms serve 40 a second, and Poisson arrivals wait for long shortly below.
func TestCapacityOfArrivals(t *testing.T) {
	p := &planted{size: 4, hold: steadyHold(100 * time.Millisecond), statements: 1}
	r := seek(t, p, "arrivals: {rate: 20/s, spacing: poisson}\n", quick, "p95<=500ms")
	carried(t, r, 28, 40, "pool read", "arrivals/s are carried")
	if r.Unit != "arrivals/s" || r.Model != "open" {
		t.Errorf("%s, %s", r.Unit, r.Model)
	}
}

func TestCapacityInterrupted(t *testing.T) {
	p := &planted{size: 4, hold: steadyHold(100 * time.Millisecond), statements: 1}
	var r *CapacityResult
	synctest.Test(t, func(t *testing.T) {
		p.start()
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		var seen []CapacityProgress
		var err error
		r, err = Capacity(ctx, CapacityConfig{
			Scenario: mustParse(t, sought+oneStep), SLO: mustSLO(t, "p95<=1s"), Target: "http://fake", WarmUp: 4 * time.Second, Step: 10 * time.Second,
			change: func(c *Config) {
				c.transport, c.waiter, c.gauge, c.observer = fakeServer(p.serve), newTimerWaiter(), idle, p
			},
			Progress: func(p CapacityProgress) { seen = append(seen, p) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if last := seen[len(seen)-1]; last.Runs != 2 || last.Load != 16 || last.Carried != 8 || last.Unit != "users" {
			t.Errorf("progress %+v", last)
		}
		time.Sleep(time.Minute)
	})
	if !r.Interrupted || r.Verdict != reports.Inconclusive || r.Capacity != 8 || len(r.Steps) != 2 || !strings.HasPrefix(r.Report().Summary, "Interrupted. At least 8 users") {
		t.Errorf("%v, %v, %d steps: %s", r.Interrupted, r.Capacity, len(r.Steps), r.Report().Summary)
	}
}

// The time of a search is bounded; what was not closed in on is told as a wider range.
func TestCapacityOutOfTime(t *testing.T) {
	r := seek(t, &planted{size: 4, hold: steadyHold(100 * time.Millisecond), statements: 1}, sought, func(c *CapacityConfig) { c.MaxTime = 100 * time.Second }, "p95<=1s")
	if r.TookS > 101 || r.Ended != "time" || r.Verdict != reports.Pass || r.High/r.Low < 1.1 {
		t.Errorf("took %v s, ended by %s: %v, %v to %v", r.TookS, r.Ended, r.Verdict, r.Low, r.High)
	}
}

func TestCapacityConfig(t *testing.T) {
	f := func(want string, change func(*CapacityConfig)) {
		t.Helper()
		cfg := CapacityConfig{Scenario: mustParse(t, sought+oneStep), SLO: mustSLO(t, "p95<=1s")}
		change(&cfg)
		err := cfg.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("", func(*CapacityConfig) {})
	f("no scenario", func(c *CapacityConfig) { c.Scenario = nil })
	f("give --slo 'p95<=2s'", func(c *CapacityConfig) { c.SLO = nil })
	f("must be an upper bound", func(c *CapacityConfig) { c.SLO[0].Step = "step" })
	f("the search goes from 50 to 10", func(c *CapacityConfig) { c.From, c.To = 50, 10 })
	f("want users from 1 to 100000", func(c *CapacityConfig) { c.To = 1e6 })
	f("the need is 50: want 1 to 10", func(c *CapacityConfig) { c.To, c.Need = 10, 50 })
	f("no number of users", func(c *CapacityConfig) { c.Need = 1.5 })
	f("the precision is 2", func(c *CapacityConfig) { c.Precision = 2 })
	f("the precision is NaN", func(c *CapacityConfig) { c.Precision = math.NaN() })
	f("-1 runs", func(c *CapacityConfig) { c.Repeats = -1 })
	f("the rest after refusals is -1s", func(c *CapacityConfig) { c.Rest = -time.Second })
	f("a step is 1ms", func(c *CapacityConfig) { c.Step = time.Millisecond })
	f("the warm-up of a step is -1s", func(c *CapacityConfig) { c.WarmUp = -time.Second })
	f("the search may take 1s", func(c *CapacityConfig) { c.MaxTime = time.Second })

	s := mustParse(t, sought+oneStep+"\nchecks: [{metric: p95, at_most: 2s, why: w}, {metric: error_rate, below: 3%, why: w}, {metric: p99, at_most: 1s, step: step, why: w}, {metric: rate, at_least: 1/s, why: w}]")
	if got := sloTexts(s.SLOs()); got != "p95 ≤ 2s and error_rate < 3%" {
		t.Errorf("objectives of the scenario: %s", got)
	}
}

func TestParseSLO(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		slo, err := ParseSLO(text)
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%q: %v, want %q", text, err, want)
		case err == nil && sloText(slo) != want:
			t.Errorf("%q: %s, want %s", text, sloText(slo), want)
		}
	}
	f("p95<=2s", "p95 ≤ 2s")
	f(" p99 < 250 ms ", "p99 < 250ms")
	f("p95 ≤ 2s", "p95 ≤ 2s")
	f("error_rate<=1%", "error_rate ≤ 1%")
	f("p95", "want a metric, <= and a bound")
	f("p95>=2s", "want a metric, <= and a bound")
	f("max<=2s", `"max" is none of p50, p90`)
	f("p95<=2", "must be a number")
	f("p95<=two", "must be a number")
	f("p95<=0s", "above 0")
	f("p95<=11m", "at most 10m0s")
	f("error_rate<=100%", "below 100%")
	f("error_rate<=-1%", "from 0%")
}

func FuzzParseSLO(f *testing.F) {
	for _, text := range []string{"p95<=2s", "error_rate < 1 %", "mean≤1e3us", "p95<=NaNs", "<", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		slo, err := ParseSLO(text)
		if err != nil {
			return
		}
		if v := slo.High.Value; !(v >= 0) || math.IsInf(v, 0) || !slices.Contains(sloMetrics, slo.Metric) {
			t.Errorf("%q: %+v", text, slo)
		}
	})
}
