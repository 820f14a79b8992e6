package loadtest

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxWorkers bounds the generators that share one scenario.
const MaxWorkers = 1000

// A Worker is one of several generators that run the same scenario at the same time, each with its share of the users or
// arrivals. The zero Worker runs all of it.
//
// User, visitor or value number n of the whole, counted from 0, belongs to worker n mod Of + 1. So the shares of all
// workers together are the whole exactly, at every moment of every ramp, with the same names, random choices and values
// as one generator with the same seed would take.
type Worker struct{ Number, Of int } // from 1 to Of

// ParseWorker reads "2/4".
func ParseWorker(text string) (Worker, error) {
	number, of, ok := strings.Cut(text, "/")
	n, errNumber := strconv.Atoi(number)
	all, errOf := strconv.Atoi(of)
	if !ok || errNumber != nil || errOf != nil || n < 1 || n > all || all > MaxWorkers {
		return Worker{}, fmt.Errorf("read worker %q: want a number and how many there are, such as 2/4, at most %d", text, MaxWorkers)
	}
	return Worker{n, all}, nil
}

// String returns "2/4", or "" for the zero Worker.
func (w Worker) String() string {
	if w == (Worker{}) {
		return ""
	}
	return fmt.Sprintf("%d/%d", w.Number, w.Of)
}

// valid tells whether w is the zero Worker or one that ParseWorker returns.
func (w Worker) valid() bool {
	return w == (Worker{}) || w.Number >= 1 && w.Number <= w.Of && w.Of <= MaxWorkers
}

// whole tells whether w runs all of the scenario.
func (w Worker) whole() bool { return w.Of <= 1 }

// nth is the number in the whole of what is number k of the worker's own; both count from 0.
func (w Worker) nth(k int) int {
	if w.whole() {
		return k
	}
	return k*w.Of + w.Number - 1
}

// takes tells whether number n of the whole is the worker's.
func (w Worker) takes(n int64) bool { return w.whole() || n%int64(w.Of) == int64(w.Number-1) }

// share is how many of the first total are the worker's.
func (w Worker) share(total int) int {
	if w.whole() {
		return total
	}
	return (total + w.Of - w.Number) / w.Of
}

// forWorker returns the scenario without what one worker can neither judge nor do alone: checks of rates and counts,
// which are of the whole load, and the faults, which the first worker puts in for all.
func (s *Scenario) forWorker(w Worker) *Scenario {
	if w.whole() {
		return s
	}
	c := *s
	if w.Number > 1 {
		c.Faults = nil
	}
	c.Checks = nil
	for _, check := range s.Checks {
		if check.judgedBy(w) {
			c.Checks = append(c.Checks, check)
		}
	}
	return &c
}

// judgedBy tells whether the worker can judge the check alone.
func (c Check) judgedBy(w Worker) bool {
	return w.whole() || !c.ofWhole() && (w.Number == 1 || !strings.HasPrefix(c.Metric, "fault."))
}

// leftToMerge lists the metrics of the checks that the result's worker did not judge.
func (r *Result) leftToMerge() []string {
	w, err := ParseWorker(r.Worker)
	if err != nil {
		return nil
	}
	var left []string
	for _, c := range r.Criteria {
		if !c.judgedBy(w) {
			left = append(left, c.Metric)
		}
	}
	return sorted(left)
}

// ofWhole tells whether the check's metric grows with the number of generators, so that one of several cannot judge it.
func (c Check) ofWhole() bool {
	m := metrics[c.Metric]
	return m.server == nil && m.result == nil && (m.unit == unitRate || m.unit == unitCount)
}
