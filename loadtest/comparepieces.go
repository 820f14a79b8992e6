package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxPieces bounds into how many stretches of its measured time a run is cut to see how much its figures vary.
// leastPieces is how many it takes to see it at all.
const (
	maxPieces   = 120
	leastPieces = 8
)

// A fragment is what ended in one stretch of the measured time.
type fragment struct {
	start, seconds       float64
	completed, ok, wrong int64
	times                []hdrhistogram.Bar // of answers, in microseconds, ascending, none of them empty
}

// add takes in what ended in a window, with its encoded distribution.
func (p *fragment) add(completed, ok int64, response string) error {
	var times []hdrhistogram.Bar
	if response != "" {
		h, err := decodeHistogram(response)
		if err != nil {
			return err
		}
		if h.TotalCount() > completed {
			return fmt.Errorf("read histogram: holds %d times of %d requests", h.TotalCount(), completed)
		}
		times = slices.DeleteFunc(h.Distribution(), func(b hdrhistogram.Bar) bool { return b.Count == 0 })
	}
	p.plus(completed, ok, slices.Clone(times)) // the clone lets go of the thousands of empty ones
	return nil
}

// plus adds requests.
func (p *fragment) plus(completed, ok int64, times []hdrhistogram.Bar) {
	p.completed, p.ok, p.wrong = p.completed+completed, p.ok+ok, p.wrong+completed-ok
	if len(p.times) == 0 {
		p.times = times
		return
	}
	all := append(slices.Clone(p.times), times...)
	slices.SortFunc(all, func(a, b hdrhistogram.Bar) int { return cmp.Compare(a.To, b.To) })
	p.times = all[:0]
	for _, b := range all {
		if last := len(p.times) - 1; last >= 0 && p.times[last].To == b.To {
			p.times[last].Count += b.Count
		} else {
			p.times = append(p.times, b)
		}
	}
}

// pieces are those of a step.
func (s *StepFigures) pieces() ([]fragment, error) {
	list := make([]fragment, len(s.Windows))
	for i := range s.Windows {
		w := &s.Windows[i]
		list[i].start, list[i].seconds = w.StartS, w.LengthS
		if err := list[i].add(w.Completed, w.OK, w.Response); err != nil {
			return nil, fmt.Errorf("step %s, window %d: %w", s.Step, i, err)
		}
	}
	return list, nil
}

// addedUp adds up the fragments of all steps. It is nil unless every step has the same ones.
func addedUp(steps [][]fragment) []fragment {
	if len(steps) == 0 || len(steps[0]) == 0 {
		return nil
	}
	all := make([]fragment, len(steps[0]))
	for i := range all {
		all[i].start, all[i].seconds = steps[0][i].start, steps[0][i].seconds
	}
	for _, list := range steps {
		if len(list) != len(all) {
			return nil
		}
		for i := range list {
			if list[i].start != all[i].start || list[i].seconds != all[i].seconds {
				return nil
			}
			all[i].plus(list[i].completed, list[i].ok, list[i].times)
		}
	}
	return all
}

// measuredPieces are the windows of the measured time, of a result whose steps have none (one of vegeta's).
func (r *Result) measuredPieces() ([]fragment, error) {
	var windows []*Window
	for i := range r.Windows {
		w := &r.Windows[i]
		// A window in which the warm-up or the measured time ends is partly something else.
		if w.StartS >= r.WarmUpS-1e-9 && w.StartS+w.LengthS <= r.WarmUpS+r.MeasuredS+1e-9 {
			windows = append(windows, w)
		}
	}
	each := (len(windows) + maxPieces - 1) / maxPieces
	var list []fragment
	for i, w := range windows {
		if i%each == 0 {
			list = append(list, fragment{start: w.StartS})
		}
		p := &list[len(list)-1]
		p.seconds += w.LengthS
		if err := p.add(w.Completed, w.OK, w.Response); err != nil {
			return nil, fmt.Errorf("window at %v s: %w", w.StartS, err)
		}
	}
	return list, nil
}

// A series is the pieces of one step, or of all, in a form of which figures can be taken many times over, with each
// fragment counted as often as a resample drew it.
type series struct {
	seconds, completed, ok, wrong []float64
	count, sum                    []float64 // of timed answers: how many, and their milliseconds
	values                        []float64 // the different times in milliseconds, ascending
	near                          int       // the row at which the last percentile was found
	below                         []int64   // for each value a row of how many times of each fragment are at most it
}

func newSeries(list []fragment) *series {
	s := &series{}
	index := map[int64]int{}
	var micros []int64
	for i := range list {
		p := &list[i]
		s.seconds, s.completed = append(s.seconds, p.seconds), append(s.completed, float64(p.completed))
		s.ok, s.wrong = append(s.ok, float64(p.ok)), append(s.wrong, float64(p.wrong))
		var count, sum float64
		for _, b := range p.times {
			count, sum = count+float64(b.Count), sum+float64(b.Count)*float64(b.From+b.To)/2000
			if _, known := index[b.To]; !known {
				index[b.To] = 0
				micros = append(micros, b.To)
			}
		}
		s.count, s.sum = append(s.count, count), append(s.sum, sum)
	}
	slices.Sort(micros)
	for i, v := range micros {
		index[v] = i
		s.values = append(s.values, float64(v)/1000)
	}
	n := len(list)
	s.below = make([]int64, n*len(micros))
	for i := range list {
		for _, b := range list[i].times {
			s.below[index[b.To]*n+i] += b.Count
		}
	}
	for i := n; i < len(s.below); i++ {
		s.below[i] += s.below[i-n]
	}
	return s
}

// once counts every fragment once.
func (s *series) once() []int64 {
	times := make([]int64, len(s.seconds))
	for i := range times {
		times[i] = 1
	}
	return times
}

func dot(times []int64, of []float64) (sum float64) {
	for i, n := range times {
		sum += float64(n) * of[i]
	}
	return sum
}

// quantile is in milliseconds; NaN when there is no time.
func (s *series) quantile(q float64, times []int64) float64 {
	n := len(times)
	at := func(row int) (sum int64) {
		for i, v := range s.below[row*n : (row+1)*n] {
			sum += v * times[i]
		}
		return sum
	}
	if len(s.values) == 0 {
		return math.NaN()
	}
	all := at(len(s.values) - 1)
	if all == 0 {
		return math.NaN()
	}
	rank := max(1, int64(q*float64(all)+0.5)) // as the histograms of a run count
	// A resample's percentile is near that of the run, which is where the last search ended.
	low, high := 0, len(s.values)-1
	for near, step := min(s.near, high), 1; step <= high; step *= 4 {
		if at(near) >= rank {
			high, near = near, max(near-4*step, low)
		} else {
			low, near = near+1, min(near+4*step, high)
		}
		if near <= low || near >= high {
			break
		}
	}
	for low < high {
		if middle := (low + high) / 2; at(middle) >= rank {
			high = middle
		} else {
			low = middle + 1
		}
	}
	s.near = low
	return s.values[low]
}

// statementSeries has requests and statements of the server's samples within its measured time; nil without them.
func (r *Result) statementSeries() (requests, statements []float64) {
	if r.Server == nil || r.Server.Statements == nil {
		return nil, nil
	}
	for i := range r.Server.Samples {
		x := &r.Server.Samples[i]
		if x.Requests == nil || x.Statements == nil || *x.Requests < 0 || *x.Statements < 0 {
			continue
		}
		if x.AtS-x.LengthS >= r.Server.FromS-1e-6 && x.AtS <= r.Server.ToS+1e-6 {
			requests, statements = append(requests, float64(*x.Requests)), append(statements, float64(*x.Statements))
		}
	}
	return requests, statements
}
