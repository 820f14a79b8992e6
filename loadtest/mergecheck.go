package loadtest

import (
	"fmt"
	"math"

	"github.com/tomehub/tomehub/reports"
)

// keptInWindows are the metrics that a result's windows can tell again; they keep neither steps nor service times.
var keptInWindows = map[string]bool{
	"error_rate": true, "failed_rate": true, "refused_rate": true, "rate": true, "goodput": true, "completed": true, "ok": true,
	"mean": true, "p50": true, "p90": true, "p95": true, "p99": true, "p999": true, "max": true,
}

// inWindows judges a check that must hold in every window. What the merged windows cannot tell is decided by the
// generators' own verdicts where those leave no doubt: a share or a percentile that is within a bound for each part is
// within it for all of them together.
func (m *merger) inWindows(c Check) reports.Check {
	if c.Step == "" && keptInWindows[c.Metric] {
		if w := (&watch{check: c, excess: math.Inf(-1)}); m.replay(w) {
			return w.result()
		}
	}
	held, broken := 0, 0
	var last reports.Check
	for _, p := range m.parts {
		own, ok := c.own(p)
		switch {
		case ok && own.Verdict == reports.Pass:
			held, last = held+1, own
		case ok && own.Verdict == reports.Fail:
			broken++
		}
	}
	if held == len(m.parts) && !c.ofWhole() {
		last.Reason = "each generator saw it hold in its own windows, so it holds for all of them"
		return last
	}
	return c.conclude(0, fmt.Sprintf("results do not keep this metric by windows; of %d generators, %d saw it hold and %d saw it broken", len(m.parts), held, broken))
}

// replay judges the merged windows of the measured time, which hold what ended in them, also what was due in the warm-up
// still; false when the check's window is not made of whole ones.
func (m *merger) replay(w *watch) bool {
	var group []*Window
	length := 0.0
	for i := range m.out.Windows {
		next := &m.out.Windows[i]
		if next.WarmUp || next.StartS < m.out.WarmUpS+w.check.After.Seconds()-1e-6 {
			continue
		}
		group, length = append(group, next), length+next.LengthS
		switch over := length - w.check.Window.Seconds(); {
		case over > 1e-6:
			return false
		case over > -1e-6:
			f, err := windowFigures(group, length)
			if err != nil {
				return false
			}
			w.judge(&f, func(string) {})
			group, length = nil, 0
		}
	}
	return true
}

// windowFigures are those of several windows together, as far as windows keep them.
func windowFigures(group []*Window, length float64) (Figures, error) {
	all, err := mergedWindow(group, newHistogram())
	if err != nil {
		return Figures{}, err
	}
	t := newTally(false)
	t.kinds[OK], t.kinds[Overloaded], t.kinds[OtherError] = all.OK, all.Refused, all.Failed // one of each sort
	t.ended, t.endedOK = all.Completed, all.OK
	if err := addHistogram(t.response, all.Response); err != nil {
		return Figures{}, err
	}
	return t.figures(seconds(length)), nil
}
