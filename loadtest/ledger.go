package loadtest

import (
	"time"
)

// A ledger turns readings into what happened between them. Counters of a server that was restarted go on from what was
// counted before.
type ledger struct {
	last     *reading
	known    map[string]int64 // the last value of each counter
	began    map[string]bool  // processes seen, by when they began
	several  bool             // processes answer in turn
	overflow bool             // more counters than are kept
}

// Bounds of a ledger.
const (
	maxCounters  = 4096
	maxProcesses = 1000
)

// A step is what happened from one reading to the next.
type step struct {
	since, at time.Duration
	counts    map[string]int64
	now       *reading
	before    *reading // nil of the first
	restarted bool
}

func (s *step) length() time.Duration { return s.at - s.since }

// add takes the next reading.
func (l *ledger) add(r *reading) *step {
	s := &step{since: r.at, at: r.at, counts: make(map[string]int64, len(r.counts)), now: r, before: l.last}
	if l.last == nil {
		l.known, l.began = map[string]int64{}, map[string]bool{}
	} else {
		s.since, s.restarted = l.last.at, l.fresh(r)
	}
	if len(l.began) < maxProcesses {
		l.began[r.started] = true
	}
	for key, v := range r.counts {
		was, there := l.known[key]
		if !there && len(l.known) >= maxCounters {
			l.overflow = true
			continue
		}
		l.known[key] = v
		switch {
		case s.restarted, there && v < was:
			s.counts[key] = v
		case there:
			s.counts[key] = v - was
		default:
			s.counts[key] = 0 // first seen: what it counted before is not of this run
		}
	}
	l.last = r
	return s
}

// fresh tells whether another process answers than before. A server that does not say when it began is known by counters
// that fell.
func (l *ledger) fresh(r *reading) bool {
	if r.started != "" && l.last.started != "" {
		if r.started != l.last.started && l.began[r.started] {
			l.several = true
		}
		return r.started != l.last.started
	}
	for key, v := range r.counts {
		if was, there := l.known[key]; there && v < was {
			return true
		}
	}
	return false
}

// A stretch is what a server did over some time: the measured time, or a window of a check.
type stretch struct {
	polls    int
	length   time.Duration
	counts   map[string]int64
	gauges   map[string]*level
	open     map[string]time.Duration // that a breaker was open or half-open
	health   map[string]time.Duration // of the memory, by name
	restarts int
	growth   line // of the resident memory, since the last restart
	last     *reading
}

// A level gathers one gauge.
type level struct{ peak, sum, weight, last float64 }

func (g *level) figures() PeakMean {
	if g == nil {
		return PeakMean{}
	}
	if g.weight == 0 {
		return PeakMean{Peak: g.peak, Mean: g.last}
	}
	return PeakMean{Peak: g.peak, Mean: g.sum / g.weight}
}

func newStretch() *stretch {
	return &stretch{
		counts: map[string]int64{}, gauges: map[string]*level{}, open: map[string]time.Duration{}, health: map[string]time.Duration{},
	}
}

// add lengthens the stretch by a step.
func (s *stretch) add(p *step) {
	for key, v := range p.counts {
		s.counts[key] += v
	}
	for name, state := range p.now.breakers {
		if state != breakerClosed {
			s.open[name] += p.length()
		}
	}
	s.health[p.now.health] += p.length()
	if p.restarted {
		s.restarts++
		s.growth = line{}
	}
	s.length += p.length()
	s.see(p.now, p.length())
}

// see takes the gauges of a reading that stand for the time before it; at the beginning of a stretch that is none.
func (s *stretch) see(r *reading, length time.Duration) {
	for key, v := range r.gauges {
		g := s.gauges[key]
		if g == nil {
			if len(s.gauges) >= maxCounters {
				continue
			}
			g = &level{}
			s.gauges[key] = g
		}
		g.peak, g.last = max(g.peak, v), v
		g.sum, g.weight = g.sum+v*length.Seconds(), g.weight+length.Seconds()
	}
	if rss, ok := r.gauges[keyRSS]; ok {
		s.growth.add(r.at.Minutes(), rss)
	}
	s.polls++
	s.last = r
}

// The state of a breaker that lets calls through.
const breakerClosed = "closed"

// A line is fitted through points by least squares, in Welford's form so that it loses no digits.
type line struct {
	n                 int
	meanX, meanY      float64
	squares, products float64
}

func (l *line) add(x, y float64) {
	l.n++
	dx := x - l.meanX
	l.meanX += dx / float64(l.n)
	l.meanY += (y - l.meanY) / float64(l.n)
	l.squares += dx * (x - l.meanX)
	l.products += dx * (y - l.meanY)
}

// leastPoints is how many points make a slope.
const leastPoints = 10

// slope is per unit of x; false when there are too few points.
func (l *line) slope() (float64, bool) {
	if l.n < leastPoints || l.squares == 0 {
		return 0, false
	}
	return l.products / l.squares, true
}

// A sampler keeps samples. When there are too many it puts neighbours together: no count gets lost, and no peak.
type sampler struct {
	all []ServerSample
	per int // polls in each
}

// maxSamples bounds a result file; it is even, so that neighbours pair.
const maxSamples = 1200

func (s *sampler) add(x ServerSample) {
	s.per = max(s.per, 1)
	if n := len(s.all); n > 0 && s.all[n-1].Polls < s.per {
		s.all[n-1] = together(s.all[n-1], x)
		return
	}
	if len(s.all) == maxSamples {
		for i := range maxSamples / 2 {
			s.all[i] = together(s.all[2*i], s.all[2*i+1])
		}
		s.all, s.per = s.all[:maxSamples/2], 2*s.per
	}
	s.all = append(s.all, x)
}
