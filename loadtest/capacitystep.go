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
	out.countCut(slos)
	out.blamed = blame(r, shared, out.breaks(slos))
	return out, nil
}

// countCut counts the requests that had no answer when the run was over as later than any bound: they waited for twice the largest, see
// graceAfter. They are spread over the cells as the others are, since they began at any time.
func (r *loadRun) countCut(slos []Check) {
	timed := total(r.cells, func(c cell) float64 { return c.timed })
	if r.cut == 0 || len(r.cells) == 0 {
		return
	}
	waited := 0.0 // ms
	for _, slo := range slos {
		if metrics[slo.Metric].unit == unitTime {
			waited = max(waited, 2*slo.High.Value)
		}
	}
	for i := range r.cells {
		c := &r.cells[i]
		share := float64(r.cut) / float64(len(r.cells))
		if timed > 0 {
			share = float64(r.cut) * c.timed / timed
		}
		c.timed += share
		c.sum, c.squares = c.sum+share*waited, c.squares+share*waited*waited
		for j := range c.over {
			c.over[j] += share
		}
	}
}

// breaks tells whether the run by itself, without regard to chance, broke an objective.
func (r *loadRun) breaks(slos []Check) bool {
	for i, slo := range slos {
		if slo.Metric == "mean" {
			sum, timed := total(r.cells, func(c cell) float64 { return c.sum }), total(r.cells, func(c cell) float64 { return c.timed })
			if timed > 0 && sum/timed > slo.High.Value {
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
	h, err := decodeHistogram(w.Response)
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
