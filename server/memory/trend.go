package memory

import "time"

// A trend tells growth that lasts from a jump and from noise. It keeps the lowest value of
// each of the last spans of time: only what rises from span to span, in steps of a like
// size, is growth. A single jump is one large step among small ones, and a sawtooth has
// lows that stay where they are.
type trend struct {
	pace
	open   low // of the span that is being filled
	closed [trendSpans]low
	n      int // of closed, the oldest first
}

type low struct {
	from  time.Time
	value int64
}

const (
	trendSpans = 4
	// leastStep is the share of the whole rise which each step must have; three even ones
	// have a third.
	leastStep = 1.0 / 6
)

// A pace is what one trend looks for: a rise of at least the given share of the limit from
// the first of its spans to the last.
type pace struct {
	span  time.Duration
	least float64
}

// paces catch leaks from one that fills the limit in seconds to one that takes hours. The
// short ones ask for more: caches get warm in seconds, too.
var paces = []pace{
	{time.Second, 0.075}, {2500 * time.Millisecond, 0.075}, {10 * time.Second, 0.05}, {30 * time.Second, 0.025}, {5 * time.Minute, 0.025},
}

func (t *trend) add(at time.Time, value int64) {
	since := at.Sub(t.open.from)
	if t.open.from.IsZero() || since >= 4*t.span { // the process was stopped: nothing joins before to after
		*t = trend{pace: t.pace, open: low{at, value}}
		return
	}
	if since < t.span {
		t.open.value = min(t.open.value, value)
		return
	}
	if t.n == trendSpans {
		copy(t.closed[:], t.closed[1:])
		t.n--
	}
	t.closed[t.n] = t.open
	t.n++
	t.open = low{at, value}
}

// growth is in bytes per second, 0 when there is none that lasts.
func (t *trend) growth(limit int64) float64 {
	if t.n < trendSpans {
		return 0
	}
	first, last := t.closed[0], t.closed[trendSpans-1]
	rise := float64(last.value - first.value)
	if rise < t.least*float64(limit) {
		return 0
	}
	for i := 1; i < trendSpans; i++ {
		if float64(t.closed[i].value-t.closed[i-1].value) < leastStep*rise {
			return 0
		}
	}
	return rise / last.from.Sub(first.from).Seconds()
}
