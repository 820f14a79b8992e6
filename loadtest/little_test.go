package loadtest

import (
	"math"
	"strings"
	"testing"
	"time"
)

// plain is a scenario of searches alone, without think time, as design arithmetic has it.
const plain = `
server: {phase: PHASE, lab: {statement_time: 300.85ms}, args: [ARGS]}
users: {count: 100}
flows: [{name: f, steps: [{name: s, get: /api/search?q=x}]}]
`

func TestExpect(t *testing.T) {
	near := func(got, want float64) bool { return math.Abs(got-want) <= 0.005*math.Max(1, math.Abs(want)) }
	f := func(text string, hitRate, rate, mean, statements, use float64, why string) {
		t.Helper()
		e, ok := mustParse(t, text).Expect(hitRate)
		if !ok {
			t.Fatalf("%s: nothing expected", why)
		}
		if !near(e.Rate, rate) || !near(e.MeanMS, mean) || !near(e.Statements, statements) || !near(e.Use, use) {
			t.Errorf("%s: %.2f/s, mean %.0f ms, %.2f statements, pool %.0f%%; want %.2f/s, %.0f ms, %.2f, %.0f%%",
				why, e.Rate, e.MeanMS, e.Statements, e.Use, rate, mean, statements, use)
		}
	}
	// Five statements of a search take 3 × 0.2510 + 0.3173 + 0.4008 = 1.4711 s in the plan's profile, 0.294 s each.
	const search = 1.4711
	f(scenarioOf("baseline", ""), 0, 20/search, 1000*100*search/20, 5, 100, "100 users, 20 connections: 13.6/s and, by Little's law, 7.36 s")
	f(scenarioOf("A", ""), 0, 40/search, 1000*100*search/40, 5, 100, "twice the connections halve it")
	f(scenarioOf("A", `"--db-pool-size", "20"`), 0, 20/search, 1000*100*search/20, 5, 100, "phase A rolled back to 20 connections")
	f(scenarioOf("A", `"--db-pool-size=200"`), 0, 100/search, 1000*search, 5, 50, "more connections than users: nobody waits")
	f(scenarioOf("B", ""), 0, 40/0.6518, 1000*100*0.6518/40, 2, 100, "two statements: 0.2510 + 0.4008 s")
	f(scenarioOf("B", ""), 75, 40/(0.25*0.6518), 1000*100*0.25*0.6518/40, 0.5, 100, "three of four from the cache")
	f(scenarioOf("B", `"--query-cache=false"`), 75, 40/0.6518, 1000*100*0.6518/40, 2, 100, "without a cache no hit rate counts")
	f(scenarioOf("C", `"--db-pool-read-size", "25"`), 0, 25/0.6518, 1000*100*0.6518/25, 2, 100, "the read pool's size from phase C on")
	f(`
server: {phase: baseline, lab: {statement_time: 300.85ms}}
users: {count: 100}
flows: [{name: f, steps: [{name: s, get: /api/search?q=x&include=details&page_size=4, think: 1s}, {name: r, get: /api/content/1, think: {mean: 3s}}]}]
`, 0, 2*20/(search+5*0.2510), 1000*(100*(search+5*0.2510)/(2*20)-2), 5, 100, "a statement for each detail; think time is not the response")
	f(`
server: {phase: baseline, lab: {statement_time: 300.85ms}}
users: {count: 10}
pace: 5s
think: 1s
flows: [{name: f, steps: [{name: s, get: /api/search?q=x}]}]
`, 0, 2, 1000*search, 5, 100*2*search/20, "few users, at their own pace")
	f(`
server: {phase: baseline, lab: {statement_time: 300.85ms}}
users: {count: 100}
pace: 5s
think: 1s
flows: [{name: f, steps: [{name: s, get: /api/search?q=x}]}]
`, 0, 20/search, 1000*(100*search/20-1), 5, 100, "a pace that the service cannot keep is no pace; the second of thinking stays")
}

func scenarioOf(phase, args string) string {
	text := plain
	for _, r := range [][2]string{{"PHASE", phase}, {"ARGS", args}} {
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

func TestExpectSaysNothing(t *testing.T) {
	f := func(text, why string) {
		t.Helper()
		if e, ok := mustParse(t, text).Expect(0); ok {
			t.Errorf("%s: %+v", why, e)
		}
	}
	f("users: {count: 1}"+oneStep, "no lab")
	f("server: {lab: {statement_time: 1s}}\nusers: {count: 1}"+oneStep, "no phase: nobody says how many connections there are")
	f("server: {phase: A, lab: {statement_time: 1s}}\narrivals: {rate: 1/s}"+oneStep, "the open model has no users")
}

// What the scale does to a scenario it does to what theory says of it.
func TestExpectScales(t *testing.T) {
	s := shippedCheckpoints(t)[0]
	whole, _ := s.Expect(0)
	c := s.scaled(0.1)
	lab := *s.Server.Lab
	lab.StatementTime /= 10
	c.Server.Lab = &lab
	tenth, _ := c.Expect(0)
	want := whole.scaled(0.1)
	if math.Abs(tenth.Rate/want.Rate-1) > 1e-6 || math.Abs(tenth.MeanMS/want.MeanMS-1) > 1e-6 || tenth.Statements != want.Statements {
		t.Errorf("a tenth of the times: %+v, scaled: %+v", tenth, want)
	}
}

// The shipped user model is what the plan says of itself, by theory alone.
func TestTheoryOfTheCheckpoints(t *testing.T) {
	all := shippedCheckpoints(t)
	before, _ := all[0].Expect(0)
	a, _ := all[1].Expect(0)
	if before.Use < 99 || a.Use < 99 {
		t.Errorf("the pool is not the bottleneck: %.0f%% and %.0f%% in use", before.Use, a.Use)
	}
	if share := a.MeanMS / before.MeanMS; share < 0.35 || share > 0.5 {
		t.Errorf("40 connections leave %.0f%% of the mean, want about half", 100*share)
	}
	if mean := time.Duration(before.MeanMS) * time.Millisecond; mean < 5*time.Second || mean > 7500*time.Millisecond {
		t.Errorf("mean of %v before, with a p95 of 8 to 12 s in mind", mean)
	}
	for _, s := range all[2:] {
		if e, _ := s.Expect(70); e.Use > 60 {
			t.Errorf("%s: the pool is at %.0f%% with a hit rate of 70%%", s.Name, e.Use)
		}
	}
}

func TestServeArgs(t *testing.T) {
	s := mustParse(t, `
server: {phase: A, lab: {statement_time: 300ms, seed: 7}, args: [--db-pool-size, "20"]}
users: {count: 1}`+oneStep)
	f := func(scale float64, want ...string) {
		t.Helper()
		got := s.Server.ServeArgs(scale)
		if len(got) != len(want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q, want %q", got, want)
				break
			}
		}
	}
	f(0.1, "--phase", "A", "--lab", "--lab-statement-time", "300ms", "--lab-seed", "7", "--lab-time-scale", "0.1", "--db-pool-size", "20")
	s.Server.Lab = nil
	f(0.1, "--phase", "A", "--db-pool-size", "20") // a real database has no scale
}
