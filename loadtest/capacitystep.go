package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A cell is one window of a run, as sums, so that windows of several runs can be put together.
type cell struct {
	run                   int // of its step, from 0
	seconds               float64
	completed, ok, failed float64
	refused, timed        float64
	sum                   float64   // of the timed response times, in ms
	squares               float64   // of them
	over                  []float64 // for each objective on a percentile: timed requests above its bound
}

// A loadRun is one run at one load.
type loadRun struct {
	cells  []cell
	steady bool
	blamed string // why it says nothing about the server
	cut    int64  // requests that had no answer when the run was over, by far
	server *ServerFigures
	kinds  map[Kind]int64
	whole  *hdrhistogram.Histogram // of the cells
	mean   float64                 // ms, of the whole run
	measS  float64
}

// newLoadRun takes from a result what counts. Windows at the beginning in which the server was not yet in its stride are
// left out.
func newLoadRun(r *Result, slos []Check, shared bool) (*loadRun, error) {
	out := &loadRun{steady: true, cut: r.Canceled, server: r.Server, kinds: r.Total.Kinds, whole: newHistogram(), mean: r.Total.Response.MeanMS, measS: r.MeasuredS}
	end := r.WarmUpS + r.DurationS*(1-1e-9)
	var seen []*hdrhistogram.Histogram
	for i := range r.Windows {
		w := &r.Windows[i]
		if w.WarmUp || w.StartS+w.LengthS/2 > end {
			continue
		}
		c, h, err := newCell(w, slos)
		if err != nil {
			return nil, err
		}
		out.cells = append(out.cells, c)
		seen = append(seen, h)
	}
	if total(out.cells, func(c cell) float64 { return c.completed }) == 0 && r.Total.Completed > 0 {
		// Whoever asked in the measured time was answered after it.
		t := &r.Total
		c, h, err := newCell(&Window{
			LengthS: r.MeasuredS, Completed: t.Completed, OK: 0, Failed: t.Failed, Refused: t.Refused, Response: t.Response.Histogram,
		}, slos)
		if err != nil {
			return nil, err
		}
		out.cells, seen = []cell{c}, []*hdrhistogram.Histogram{h}
	}
	means := make([]float64, len(out.cells))
	for i, c := range out.cells {
		if means[i] = c.sum / c.timed; c.timed == 0 && i > 0 {
			means[i] = means[i-1]
		}
	}
	drop, steady := settled(means)
	out.cells, out.steady = out.cells[drop:], steady
	for _, h := range seen[drop:] {
		if h != nil {
			out.whole.Merge(h)
		}
	}
	if n := len(out.cells); n > 0 && out.cut > 0 {
		// They waited for longer than any bound: see graceAfter.
		last := &out.cells[n-1]
		last.timed += float64(out.cut)
		for i := range last.over {
			last.over[i] += float64(out.cut)
		}
	}
	out.blamed = blame(r, shared, out.breaks(slos))
	return out, nil
}

// breaks tells whether the run by itself, without regard to chance, broke an objective.
func (r *loadRun) breaks(slos []Check) bool {
	for i, slo := range slos {
		if slo.Metric == "mean" {
			if latency(r.whole).MeanMS > slo.High.Value {
				return true
			}
			continue
		}
		part, whole, limit := shareOf(slo, i)
		if n := total(r.cells, whole); n == 0 || total(r.cells, part) > limit*n {
			return true
		}
	}
	return false
}

func newCell(w *Window, slos []Check) (cell, *hdrhistogram.Histogram, error) {
	c := cell{
		seconds: w.LengthS, completed: float64(w.Completed), ok: float64(w.OK), failed: float64(w.Failed), refused: float64(w.Refused),
		over: make([]float64, len(slos)),
	}
	if w.Response == "" {
		return c, nil, nil
	}
	h, err := hdrhistogram.Decode([]byte(w.Response))
	if err != nil {
		return c, nil, fmt.Errorf("read the distribution of a window: %w", err)
	}
	c.timed = float64(h.TotalCount())
	for _, bar := range h.Distribution() {
		n, ms := float64(bar.Count), float64(bar.From+bar.To)/2000
		c.sum, c.squares = c.sum+n*ms, c.squares+n*ms*ms
		for i, slo := range slos {
			if quantiles[slo.Metric] > 0 && float64(bar.From)/1000 > slo.High.Value {
				c.over[i] += n
			}
		}
	}
	return c, h, nil
}

// mostOfOthers is the share of the CPU time used that may be the generator's and everybody else's when a shared machine
// has none left: beyond it, what the server could not do may be for want of it.
const mostOfOthers = 1.0 / 3

// blame says why a run tells nothing about the server: the generator was the bottleneck, or the objectives broke on a
// machine that had no CPU left for the server. What holds on such a machine holds with more as well.
func blame(r *Result, shared, broken bool) string {
	g := &r.Generator
	if len(g.Problems) > 0 {
		return g.Problems[0]
	}
	if share := g.reached(); share < leastReached && g.Held == 0 {
		return fmt.Sprintf("%.0f%% of the arrivals were sent in time", 100*share)
	}
	if !shared || g.Busy == "" || !broken {
		return ""
	}
	if r.Server != nil && r.Server.CPU != nil && r.Server.CPU.Percent >= (1-mostOfOthers)*g.MachinePercent {
		return ""
	}
	return g.Busy
}

// settled finds where a series has settled: the beginning whose removal makes the mean of the rest surest is left out (the
// MSER rule: K. P. White, An Effective Truncation Heuristic for Bias Reduction in Simulation Output, 1997). When that is
// more than half of it, and the halves differ by more than a fifth, it has not settled.
func settled(series []float64) (drop int, steady bool) {
	n := len(series)
	if n < 4 {
		return 0, true
	}
	least := math.Inf(1)
	for d := 0; d <= 3*n/4; d++ {
		rest := series[d:]
		m := average(rest)
		e := 0.0
		for _, x := range rest {
			e += (x - m) * (x - m)
		}
		if e /= float64(len(rest) * len(rest)); e < least*(1-1e-9) {
			least, drop = e, d
		}
	}
	if drop <= n/2 {
		return drop, true
	}
	first, second := average(series[:n/2]), average(series[n/2:])
	return n / 2, math.Abs(second-first) <= 0.2*min(first, second)
}

func average(all []float64) float64 {
	sum := 0.0
	for _, x := range all {
		sum += x
	}
	return sum / float64(len(all))
}

// A loadStep is all that is known of one load.
type loadStep struct {
	load  float64
	runs  []*loadRun
	draws []bool // what may be true, given what was seen: whether the objectives are broken
}

// usable are the runs that tell something about the server: steady ones where there are any.
func (s *loadStep) usable() []*loadRun {
	var fair, steady []*loadRun
	for _, r := range s.runs {
		if r.blamed == "" && len(r.cells) > 0 {
			fair = append(fair, r)
			if r.steady {
				steady = append(steady, r)
			}
		}
	}
	if len(steady) > 0 {
		return steady
	}
	return fair
}

// blind tells whether nothing is known of the server at this load.
func (s *loadStep) blind() bool { return len(s.draws) == 0 }

// steady is false when the server never settled at this load.
func (s *loadStep) steady() bool {
	return slices.ContainsFunc(s.usable(), func(r *loadRun) bool { return r.steady })
}

// cells are the windows of all usable runs.
func (s *loadStep) cells() []cell {
	var all []cell
	for i, r := range s.usable() {
		for _, c := range r.cells {
			c.run = i
			all = append(all, c)
		}
	}
	return all
}

// requests is how many the step rests on, at least 1.
func (s *loadStep) requests() float64 {
	return max(1, total(s.cells(), func(c cell) float64 { return max(c.completed, c.timed) }))
}

// broken is how likely the objectives are broken at this load, from 0 to 1.
func (s *loadStep) broken() float64 {
	n := 0
	for _, b := range s.draws {
		if b {
			n++
		}
	}
	return float64(n) / float64(max(len(s.draws), 1))
}

// unclear tells whether it may as well be the other way round.
func (s *loadStep) unclear() bool {
	p := s.broken()
	return p > unlikely && p < 1-unlikely
}

// unlikely is the likelihood of error that is put up with.
const unlikely = 0.05

// beliefs is how many draws there are of what may be true.
const beliefs = 2000

// judge draws anew what may be true, from all runs. seed makes it the same again.
func (s *loadStep) judge(slos []Check, seed uint64) {
	s.draws = nil
	cells := s.cells()
	if total(cells, func(c cell) float64 { return c.completed + c.timed }) == 0 {
		return
	}
	rng := rand.New(rand.NewPCG(seed, math.Float64bits(s.load)))
	s.draws = make([]bool, beliefs)
	for i, slo := range slos {
		believe := belief(cells, slo, i, rng)
		for d := range s.draws {
			s.draws[d] = believe() || s.draws[d]
		}
	}
}

// belief returns draws of whether an objective is broken.
//
// A percentile within a bound is a share of requests above it, so shares are all there is beside the mean. What a share may
// be has a Beta distribution, which knows what twenty requests without a fault are worth. Before anything is seen the
// share is thought to be about as large as it may be, with the weight of half a request above the bound; for a median that
// is Jeffreys' prior. Neighbouring requests share their fate, so they count for fewer than they are, by the design effect
// of the windows and of the runs.
func belief(cells []cell, slo Check, index int, rng *rand.Rand) func() bool {
	bound := slo.High.Value
	if slo.Metric == "mean" {
		sum := func(c cell) float64 { return c.sum }
		timed := func(c cell) float64 { return c.timed }
		n := total(cells, timed)
		if n == 0 {
			return func() bool { return true } // nobody got an answer
		}
		mean := total(cells, sum) / n
		within := total(cells, func(c cell) float64 { return c.squares })/n - mean*mean
		spread := math.Sqrt(max(spreadOf(cells, sum, timed), within/n))
		return func() bool { return mean+spread*rng.NormFloat64() > bound }
	}
	part, whole, limit := shareOf(slo, index)
	k, n := total(cells, part), total(cells, whole)
	switch {
	case n == 0:
		return func() bool { return true }
	case limit == 0:
		return func() bool { return k > 0 }
	}
	share := k / n
	effect := 1.0
	if share > 0 && share < 1 {
		effect = max(1, spreadOf(cells, part, whole)/(share*(1-share)/n))
	}
	a, b := k/effect+0.5, (n-k)/effect+0.5*(1/limit-1)
	return func() bool {
		x, y := gamma(rng, a), gamma(rng, b)
		return x > limit*(x+y)
	}
}

// shareOf are the sums of which an objective bounds the ratio, and the bound. index is its place among the objectives.
func shareOf(slo Check, index int) (part, whole func(cell) float64, limit float64) {
	completed := func(c cell) float64 { return c.completed }
	limit = slo.High.Value / 100
	switch slo.Metric {
	case "error_rate":
		return func(c cell) float64 { return c.failed + c.refused }, completed, limit
	case "failed_rate":
		return func(c cell) float64 { return c.failed }, completed, limit
	case "refused_rate":
		return func(c cell) float64 { return c.refused }, completed, limit
	}
	return func(c cell) float64 { return c.over[index] }, func(c cell) float64 { return c.timed }, quantiles[slo.Metric]
}

func total(cells []cell, of func(cell) float64) float64 {
	sum := 0.0
	for _, c := range cells {
		sum += of(c)
	}
	return sum
}

// batches is into how many pieces a run is cut to learn how its parts differ.
const batches = 10

// spreadOf is the variance of a ratio of sums, by batch means: from how pieces of runs differ, or how runs do, whichever
// is more.
func spreadOf(cells []cell, part, whole func(cell) float64) float64 {
	var pieces, runs [][]cell
	for from := 0; from < len(cells); {
		to := from
		for to < len(cells) && cells[to].run == cells[from].run {
			to++
		}
		run := cells[from:to]
		runs = append(runs, run)
		for i, n := 0, min(batches, len(run)); i < n; i++ {
			pieces = append(pieces, run[i*len(run)/n:(i+1)*len(run)/n])
		}
		from = to
	}
	return max(ratioVariance(pieces, part, whole), ratioVariance(runs, part, whole))
}

// ratioVariance is the variance of the ratio of two sums over groups that differ independently; 0 for a single group.
func ratioVariance(groups [][]cell, part, whole func(cell) float64) float64 {
	n := float64(len(groups))
	if n < 2 {
		return 0
	}
	var k, all float64
	for _, g := range groups {
		k, all = k+total(g, part), all+total(g, whole)
	}
	e := 0.0
	for _, g := range groups {
		d := total(g, part) - k/all*total(g, whole)
		e += d * d
	}
	return e / (all * all) * n / (n - 1)
}

// gamma draws from the Gamma distribution with this shape and scale 1 (G. Marsaglia and W. W. Tsang, A Simple Method for
// Generating Gamma Variables, 2000).
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rng, shape+1) * math.Pow(rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
