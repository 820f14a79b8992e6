package loadtest

import (
	"cmp"
	"math"
	"slices"
)

// A loadSearch decides which load to run next. It holds what was seen and nothing else, so that it can be asked at any
// time what is known.
//
// It doubles the load until the objectives break, halves it until they hold, bisects between the two, repeats what may
// as well be the other way round, sees each end of what is left twice, and last adds loads that the fit wants.
type loadSearch struct {
	whole       bool // loads are numbers of users
	from        float64
	least, most float64
	precision   float64 // of the bracket: 0.05 is 5 %
	need        float64 // 0 when nobody named one
	repeats     int     // most runs of one load
	steps       []*loadStep
}

// step finds or adds the step of a load; steps stay in order.
func (s *loadSearch) step(load float64) *loadStep {
	i, found := slices.BinarySearchFunc(s.steps, load, func(st *loadStep, l float64) int { return cmp.Compare(st.load, l) })
	if !found {
		s.steps = slices.Insert(s.steps, i, &loadStep{load: load})
	}
	return s.steps[i]
}

// A bracket is between which loads the objectives break. Either may be nil.
type bracket struct {
	holds  *loadStep // the largest load at which they hold
	breaks *loadStep // the smallest above it at which they do not, or at which nothing could be seen
}

// bracket is what is known. More load never makes an answer quicker, so steps that seem to say so are averaged first,
// each with as much weight as it has requests: few of them say little.
func (s *loadSearch) bracket() bracket {
	var b bracket
	var seen []*loadStep
	var p, weights []float64
	for _, st := range s.steps {
		if !st.blind() {
			seen, p, weights = append(seen, st), append(p, st.broken()), append(weights, st.requests())
		}
	}
	i := firstBroken(p, weights)
	if i > 0 {
		b.holds = seen[i-1]
	}
	if i < len(seen) {
		b.breaks = seen[i]
	}
	for _, st := range s.steps {
		above := b.holds == nil || st.load > b.holds.load
		if st.blind() && above && (b.breaks == nil || st.load < b.breaks.load) {
			b.breaks = st
			break
		}
	}
	return b
}

// firstBroken is the first of the likelihoods, made to never fall, that is not below one half.
func firstBroken(p, weights []float64) int {
	for i, v := range rising(p, weights) {
		if v >= 0.5 {
			return i
		}
	}
	return len(p)
}

// rising is the series nearest to p that never falls: pools of adjacent violators (R. E. Barlow and others, Statistical
// Inference under Order Restrictions, 1972).
func rising(p, weights []float64) []float64 {
	type pool struct {
		mean, weight float64
		n            int
	}
	var pools []pool
	for i, v := range p {
		pools = append(pools, pool{v, weights[i], 1})
		for n := len(pools); n > 1 && pools[n-2].mean > pools[n-1].mean; n = len(pools) {
			a, b := pools[n-2], pools[n-1]
			w := a.weight + b.weight
			pools = append(pools[:n-2], pool{(a.mean*a.weight + b.mean*b.weight) / w, w, a.n + b.n})
		}
	}
	out := make([]float64, 0, len(p))
	for _, q := range pools {
		for range q.n {
			out = append(out, q.mean)
		}
	}
	return out
}

// next is the load to run next; false when enough is known.
func (s *loadSearch) next() (float64, bool) {
	if len(s.steps) == 0 {
		return s.from, true
	}
	b := s.bracket()
	if b.breaks != nil { // on the way up, more load tells more than the same again: it also brings more requests
		for _, st := range []*loadStep{b.breaks, b.holds} {
			if st != nil && s.again(st) {
				return st.load, true
			}
		}
	}
	switch {
	case b.breaks == nil && b.holds.load < s.most:
		return min(s.most, s.round(2*b.holds.load)), true
	case b.holds == nil && b.breaks.load > s.least:
		return max(s.least, s.round(b.breaks.load/2)), true
	}
	if load, ok := s.between(b); ok {
		return load, true
	}
	for _, st := range []*loadStep{b.holds, b.breaks} {
		if st != nil && len(st.runs) < min(2, s.repeats) {
			return st.load, true
		}
	}
	return s.forFit(b)
}

// again tells whether a step must be repeated before anything is built on it.
func (s *loadSearch) again(st *loadStep) bool {
	if len(st.runs) >= s.repeats {
		return false
	}
	if st.blind() {
		return len(st.runs) < 2
	}
	return st.unclear() || !st.steady() && st.broken() < 0.5
}

// between is the next load of the bisection.
func (s *loadSearch) between(b bracket) (float64, bool) {
	if b.holds == nil || b.breaks == nil {
		return 0, false
	}
	low, high := b.holds.load, b.breaks.load
	if s.need > low && s.need < high {
		return s.need, true // it decides the verdict, so it is seen itself
	}
	if high/low <= 1+s.precision {
		return 0, false
	}
	mid := s.round(math.Sqrt(low * high))
	return mid, mid > low && mid < high
}

// round makes a load that reads well: whole users, three digits of a rate.
func (s *loadSearch) round(load float64) float64 {
	if s.whole {
		return math.Round(load)
	}
	unit := math.Pow(10, math.Floor(math.Log10(load))-2)
	return math.Round(load/unit) * unit
}

// fitLoads is how many different loads a fit should have.
const fitLoads = 8

// forFit is a load that the fit lacks: below the capacity, where one request is seldom disturbed by another, and beyond
// it, where throughput falls if it does.
func (s *loadSearch) forFit(b bracket) (float64, bool) {
	if b.holds == nil {
		return 0, false
	}
	if b.breaks != nil && !b.breaks.blind() {
		if far := s.round(1.5 * b.breaks.load); far <= s.most && s.steps[len(s.steps)-1].load < 1.25*b.breaks.load {
			return far, true
		}
	}
	for _, part := range []float64{0.125, 0.5, 0.25, 0.0625, 0.75} {
		load := s.round(part * b.holds.load)
		if load < s.least || part != 0.125 && s.distinct() >= fitLoads {
			continue
		}
		if !slices.ContainsFunc(s.steps, func(st *loadStep) bool { return st.load > load/1.3 && st.load < load*1.3 }) {
			return load, true
		}
	}
	return 0, false
}

func (s *loadSearch) distinct() int {
	n := 0
	for _, st := range s.steps {
		if !st.blind() {
			n++
		}
	}
	return n
}

// likely is between which loads the objectives break with 95 % likelihood. high is +Inf when it may be beyond all that
// was seen.
func (s *loadSearch) likely() (low, high float64) {
	var seen []*loadStep
	var weights []float64
	for _, st := range s.steps {
		if !st.blind() {
			seen, weights = append(seen, st), append(weights, st.requests())
		}
	}
	if len(seen) == 0 {
		return 0, math.Inf(1)
	}
	lows, highs := make([]float64, beliefs), make([]float64, beliefs)
	p := make([]float64, len(seen))
	for d := range beliefs {
		for i, st := range seen {
			p[i] = 0
			if st.draws[d] {
				p[i] = 1
			}
		}
		i := firstBroken(p, weights)
		highs[d] = math.Inf(1)
		if i > 0 {
			lows[d] = seen[i-1].load
		}
		if i < len(seen) {
			highs[d] = seen[i].load
		}
	}
	low, _ = middle95(lows)
	_, high = middle95(highs)
	return low, high
}

// carries is how likely the load is carried: the share of draws in which no load up to it breaks the objectives. It is
// told for loads that were seen, and for those that lie between two that say the same.
func (s *loadSearch) carries(load float64) float64 {
	low, high := s.likely()
	switch {
	case load <= low:
		return 1
	case load >= high:
		return 0
	}
	for _, st := range s.steps {
		if st.load == load && !st.blind() {
			return 1 - st.broken()
		}
	}
	return 0.5
}
