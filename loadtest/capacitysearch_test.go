package loadtest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// simulated is a search whose runs are made up: of a second's answers each window has a share of late ones that grows
// with the load and is at the bound, 5 %, when the load is limit. Windows and runs differ by more than chance.
type simulated struct {
	limit  float64
	perRun float64 // requests per load unit in each window
	rng    *rand.Rand
}

func (s *simulated) share(load float64) float64 {
	return min(1, 0.05*math.Pow(load/s.limit, 8))
}

func (s *simulated) run(load float64) *loadRun {
	out := &loadRun{steady: true, whole: newHistogram()}
	share := s.share(load) * math.Exp(0.15*s.rng.NormFloat64())
	for range 10 {
		n := math.Ceil(s.perRun * load)
		here := min(1, share*math.Exp(0.3*s.rng.NormFloat64()))
		over := 0.0
		for range int(n) {
			if s.rng.Float64() < here {
				over++
			}
		}
		out.cells = append(out.cells, cell{seconds: 1, completed: n, ok: n, timed: n, over: []float64{over}})
	}
	return out
}

// search runs a search to its end and tells how many runs it took.
func (s *simulated) search(t *testing.T, l *loadSearch) int {
	t.Helper()
	slos := mustSLO(t, "p95<=1s")
	for n := 0; ; n++ {
		load, more := l.next()
		if !more {
			return n
		}
		if n > 60 {
			t.Fatalf("no end after %d runs", n)
		}
		if load < l.least || load > l.most || l.whole && load != math.Round(load) {
			t.Fatalf("load %v, from %v to %v", load, l.least, l.most)
		}
		st := l.step(load)
		if len(st.runs) >= l.repeats {
			t.Fatalf("load %v is run for the %d. time", load, len(st.runs)+1)
		}
		st.runs = append(st.runs, s.run(load))
		st.judge(slos, uint64(n))
	}
}

// A search ends, closes in as far as it was asked to, and the range it tells holds the truth nineteen times of twenty.
func TestLoadSearchRange(t *testing.T) {
	const repeats = 60
	held, runs := 0, 0
	for i := range uint64(repeats) {
		sim := &simulated{limit: 437, perRun: 1, rng: rand.New(rand.NewPCG(1, i))}
		l := &loadSearch{whole: true, from: 10, least: 1, most: 10_000, precision: 0.05, repeats: 4}
		runs += sim.search(t, l)
		low, high := l.likely()
		if low <= 437 && 437 <= high {
			held++
		}
		b := l.bracket()
		if b.breaks.load/b.holds.load > 1.051 || b.holds.load < 380 || b.breaks.load > 500 || high > 1.6*437 || low < 437/1.35 {
			t.Errorf("repeat %d: between %v and %v, likely %v to %v", i, b.holds.load, b.breaks.load, low, high)
		}
		if len(b.holds.runs) < 2 || len(b.breaks.runs) < 2 {
			t.Errorf("repeat %d: an end was seen only once", i)
		}
		if l.distinct() < leastScalePoints || l.steps[0].load > b.holds.load/6 || l.steps[len(l.steps)-1].load < 1.25*b.breaks.load {
			t.Errorf("repeat %d: too little for a fit", i)
		}
	}
	t.Logf("the range held the truth in %d of %d; %d runs on average", held, repeats, runs/repeats)
	if held < repeats*90/100 || runs/repeats > 25 {
		t.Errorf("the range held the truth in %d of %d; %d runs on average", held, repeats, runs/repeats)
	}
}

func TestLoadSearchEnds(t *testing.T) {
	f := func(why string, limit float64, l *loadSearch, holds, breaks float64) {
		t.Helper()
		l.repeats, l.precision = 3, 0.1
		sim := &simulated{limit: limit, perRun: 3, rng: rand.New(rand.NewPCG(3, 3))}
		sim.search(t, l)
		b := l.bracket()
		load := func(st *loadStep) float64 {
			if st == nil {
				return 0
			}
			return st.load
		}
		if math.Abs(load(b.holds)-holds) > 1e-9 || math.Abs(load(b.breaks)-breaks) > 1e-9 {
			t.Errorf("%s: between %v and %v, want %v and %v", why, load(b.holds), load(b.breaks), holds, breaks)
		}
	}
	f("the most that is tried is carried", 1000, &loadSearch{whole: true, from: 10, least: 1, most: 90}, 90, 0)
	f("not even the least is", 0.1, &loadSearch{whole: true, from: 64, least: 1, most: 90}, 0, 1)
	f("downwards from the beginning, to the last user", 3.4, &loadSearch{whole: true, from: 64, least: 1, most: 90}, 3, 4)
	f("a rate has three digits", 0.0437, &loadSearch{from: 0.01, least: 0.001, most: 90}, 0.0476, 0.0519)
	need := &loadSearch{whole: true, from: 10, least: 1, most: 1000, need: 101}
	f("what is needed is seen itself", 130, need, 127, 135)
	if len(need.step(101).runs) == 0 {
		t.Error("the load that is needed was not run")
	}
}

func TestRising(t *testing.T) {
	f := func(why string, p, weights, want []float64) {
		t.Helper()
		if diff := cmp.Diff(want, rising(p, weights)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("nothing", nil, nil, []float64{})
	f("it rises already", []float64{0, 0.25, 1}, []float64{1, 1, 1}, []float64{0, 0.25, 1})
	f("a fall is averaged", []float64{0, 1, 0.5, 1}, []float64{1, 1, 1, 1}, []float64{0, 0.75, 0.75, 1})
	f("by weight", []float64{1, 0}, []float64{1, 3}, []float64{0.25, 0.25})
	f("what the average falls below goes in too", []float64{0.5, 1, 0}, []float64{1, 1, 2}, []float64{0.375, 0.375, 0.375, 0.375}[:3])
}

func TestSettled(t *testing.T) {
	f := func(why string, drop int, steady bool, series ...float64) {
		t.Helper()
		if d, s := settled(series); d != drop || s != steady {
			t.Errorf("%s: %d left out, steady %v; want %d, %v", why, d, s, drop, steady)
		}
	}
	f("too few to tell", 0, true, 1, 9, 5)
	f("even", 0, true, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5)
	f("a slow beginning", 2, true, 50, 20, 5, 6, 5, 6, 5, 6, 5, 6)
	f("it rises all the time", 5, false, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	f("it falls all the time", 5, false, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2)
	f("it rises a little", 5, true, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109)
}

// What few requests, many, and requests that share their fate say of a share.
func TestBelief(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	likely := func(slo string, cells ...cell) float64 {
		st := &loadStep{load: 1, runs: []*loadRun{{steady: true, cells: cells}}}
		st.judge(mustSLO(t, slo), rng.Uint64())
		return st.broken()
	}
	f := func(why string, got, low, high float64) {
		t.Helper()
		if !(got >= low && got <= high) {
			t.Errorf("%s: broken with likelihood %v, want %v to %v", why, got, low, high)
		}
	}
	late := func(n, over float64) cell { return cell{seconds: 1, completed: n, timed: n, over: []float64{over}} }
	var even, bursts []cell
	for i := range 10 {
		even = append(even, late(100, 4))
		bursts = append(bursts, late(100, map[bool]float64{true: 40}[i == 4]))
	}
	f("twenty and none late", likely("p95<=1s", late(20, 0)), 0.02, 0.2)
	f("a thousand and none late", likely("p95<=1s", late(1000, 0)), 0, 0)
	f("4 % of a thousand, evenly", likely("p95<=1s", even...), 0.03, 0.12)
	f("4 % of a thousand, in one second", likely("p95<=1s", bursts...), 0.2, 0.5)
	f("6 % of a thousand", likely("p95<=1s", late(1000, 60)), 0.85, 0.99)
	f("all late", likely("p95<=1s", late(10, 10)), 1, 1)
	f("nobody was answered", likely("p95<=1s", cell{seconds: 1, completed: 10, failed: 10, over: []float64{0}}), 1, 1)
	f("no error, and none allowed", likely("error_rate<=0%", late(10, 0)), 0, 0)
	f("one error, and none allowed", likely("error_rate<=0%", cell{completed: 100, refused: 1}), 1, 1)
	f("errors of both kinds", likely("error_rate<=10%", cell{completed: 1000, refused: 80, failed: 80}), 1, 1)
	f("failures alone", likely("failed_rate<=10%", cell{completed: 1000, refused: 500, failed: 10}), 0, 0)
	f("refusals alone", likely("refused_rate<=10%", cell{completed: 1000, refused: 500, failed: 10}), 1, 1)
	cut := func(slo string, n int64) float64 {
		run := &loadRun{steady: true, cut: n}
		for range 10 {
			run.cells = append(run.cells, cell{seconds: 1, completed: 10, timed: 10, sum: 9000, squares: 10 * 900 * 900, over: []float64{0}})
		}
		run.countCut(mustSLO(t, slo))
		st := &loadStep{load: 1, runs: []*loadRun{run}}
		st.judge(mustSLO(t, slo), rng.Uint64())
		return st.broken()
	}
	f("a mean well below the bound", cut("mean<=1s", 0), 0, 0.01)
	f("the same, but a third had no answer when the run was over", cut("mean<=1s", 50), 0.99, 1)
	f("no answer late", cut("p95<=1s", 0), 0, 0.05)
	f("the same, but two of five had none", cut("p95<=1s", 66), 0.99, 1)
	mean := func(ms float64) cell {
		return cell{completed: 100, timed: 100, sum: 100 * ms, squares: 100 * (ms*ms + 900)}
	}
	f("a mean below the bound", likely("mean<=100ms", mean(90)), 0, 0.01)
	f("a mean at the bound", likely("mean<=100ms", mean(100)), 0.4, 0.6)
	f("a mean that jumps about", likely("mean<=100ms", mean(40), mean(140), mean(90), mean(90)), 0.2, 0.45)
}

// The generator's faults are not the server's, and what holds on a busy machine holds.
func TestBlame(t *testing.T) {
	f := func(why string, r Result, shared, broken, want bool) {
		t.Helper()
		if got := blame(&r, shared, broken); (got != "") != want {
			t.Errorf("%s: %q", why, got)
		}
	}
	busy := Generator{Busy: "busy", MachinePercent: 99}
	server := func(percent float64) *ServerFigures { return &ServerFigures{CPU: &CPUFigures{Percent: percent}} }
	f("all well", Result{}, true, true, false)
	f("late", Result{Generator: Generator{Problems: []string{"late"}}}, false, false, true)
	f("busy, and broken", Result{Generator: busy}, true, true, true)
	f("busy, and kept", Result{Generator: busy}, true, false, false)
	f("busy, on another machine", Result{Generator: busy}, false, true, false)
	f("busy with the server", Result{Generator: busy, Server: server(70)}, true, true, false)
	f("busy with both", Result{Generator: busy, Server: server(50)}, true, true, true)
	f("arrivals not sent", Result{Generator: Generator{Asked: 100, InTime: 90}}, false, true, true)
	f("arrivals that waited for places", Result{Generator: Generator{Asked: 100, InTime: 90, Held: 10}}, false, true, false)
}

func TestGamma(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []float64{0.3, 0.5, 1, 4, 300} {
		const n = 20000
		var sum, squares float64
		for range n {
			x := gamma(rng, shape)
			sum, squares = sum+x, squares+x*x
		}
		mean := sum / n
		if variance := squares/n - mean*mean; math.Abs(mean/shape-1) > 0.05 || math.Abs(variance/shape-1) > 0.1 {
			t.Errorf("shape %v: mean %v, variance %v", shape, mean, variance)
		}
	}
}
