package loadtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// server fills in what the observer saw. until is the end of the measured time.
func (r *run) server(out *Result, until time.Duration) {
	o := r.observer
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if out.NoServer = o.seen.noServer(); out.NoServer != "" {
		return
	}
	out.Server = o.figures(until)
	out.Server.CPU = r.cpu.figures()
}

// figures puts together what was seen. The caller holds mu.
func (o *observer) figures(until time.Duration) *ServerFigures {
	s := &o.seen
	f := &ServerFigures{
		Version: s.version, Phase: s.phase, FromS: o.from.Seconds(), ToS: o.to.Seconds(),
		Transitions: s.transitions, MoreTransitions: s.more, Restarts: s.restarts, Samples: s.samples.all, Polls: s.polls,
	}
	f.Polls.EveryS, f.Polls.Asked, f.Polls.Bytes = o.every.Seconds(), o.reader.asked.Load(), o.reader.bytes.Load()
	if n := f.Polls.Taken; n > 0 {
		f.Polls.MeanMS = milliseconds(s.spent) / float64(n)
	}
	if o.measured != nil {
		o.measured.fill(f)
		for i := range f.Pools {
			f.Pools[i].FullShare = f.fullShare(&f.Pools[i])
		}
	}
	window, err := o.statements.result()
	f.Top = window
	if err != nil {
		f.Notes = append(f.Notes, "The statements of the measured time are not known: "+clip(err.Error(), 300))
	}
	if window != nil && f.Statements != nil && f.Statements.Requests > 0 {
		for i := range window.Statements {
			window.Statements[i].PerRequest = float64(window.Statements[i].Executions) / float64(f.Statements.Requests)
		}
	}
	f.Notes = append(f.Notes, o.notes(until)...)
	return f
}

// notes say what a reader of the figures must know. The caller holds mu.
func (o *observer) notes(until time.Duration) []string {
	s := &o.seen
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	switch {
	case s.admin:
	case s.noAdmin != "":
		note("Requests and statements are not known: %s.", s.noAdmin)
	default:
		note("Requests and statements are not known: no admin listener was named (--admin).")
	}
	if o.measured == nil {
		note("The server's counters were not read in the measured time.")
	} else if late, early := o.from-o.warm, until-o.to; late > o.every/2 || early > o.every/2 {
		note("The server's counters were read from %s to %s of the run; the measured time is from %s to %s.",
			formatMS(milliseconds(o.from)), formatMS(milliseconds(o.to)), formatMS(milliseconds(o.warm)), formatMS(milliseconds(until)))
	}
	if n := len(s.restarts); n > 0 {
		note("The server was restarted %s; what it counted after the last poll before is lost, so counts are least ones.", times(n))
	}
	if s.polls.Failed > 0 {
		note("%d of %d polls of the server failed; the first: %s.", s.polls.Failed, s.polls.Taken, s.silent)
	}
	if s.books.overflow {
		note("The server has more than %d counters; those beyond are left out.", maxCounters)
	}
	return notes
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// fill writes the figures of the stretch.
func (s *stretch) fill(f *ServerFigures) {
	if s.admin() {
		f.Statements = s.statementFigures()
		inFlight := s.gauges[keyInFlight].figures()
		f.InFlight = &inFlight
	}
	if hits, told := s.counts[keyHits]; told {
		rate, _ := s.hitRate()
		f.Cache = &CacheFigures{
			Hits: hits, Misses: s.counts[keyMisses], Joined: s.counts[keyJoined], HitRate: rate, MiB: s.gauges[keyCacheBytes].end() / (1 << 20),
		}
	}
	for _, name := range s.last.pools {
		f.Pools = append(f.Pools, s.poolFigures(name))
	}
	if g := s.gauges[keyStreams]; g != nil {
		f.Streams = &StreamFigures{
			Limit: int(s.gauges[keyStreamLimit].end()), Active: g.figures(), Started: s.counts[keyStarted], Completed: s.counts[keyCompleted],
			Failed: s.counts[keyFailed], Stalled: s.counts[keyStalled], Refused: s.counts[keyStreamsRefused],
		}
	}
	if g := s.gauges[keyRSS]; g != nil {
		f.Memory = &MemoryFigures{
			LimitMiB: s.gauges[keyMemoryMost].end(), RSS: g.figures(), Percent: s.gauges[keyMemoryPercent].figures(),
			WarningSeconds: s.health["warning"].Seconds(), CriticalSeconds: s.health["critical"].Seconds(),
		}
		if slope, ok := s.growth.slope(); ok {
			f.Memory.GrowthMiBMin = &slope
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.last.breakers)) {
		f.Breakers = append(f.Breakers, BreakerFigures{
			Name: name, Opened: s.counts[breakerKey(name, "opened")], Rejected: s.counts[breakerKey(name, "rejected")],
			OpenS: s.open[name].Seconds(), State: s.last.breakers[name],
		})
	}
}

// fullShare is the percent of the samples of the measured time in which all connections of a pool were in use.
func (f *ServerFigures) fullShare(p *PoolFigures) float64 {
	full, all := int64(0), int64(0)
	for i := range f.Samples {
		x := &f.Samples[i]
		if x.AtS <= f.FromS || x.AtS > f.ToS {
			continue
		}
		for _, s := range x.Pools {
			if s.Name == p.Name && s.Size > 0 {
				all++
				if s.InUseMax >= s.Size {
					full++
				}
			}
		}
	}
	return percent(full, all)
}

// end is the gauge as it was last seen.
func (g *level) end() float64 {
	if g == nil {
		return 0
	}
	return g.last
}

func (s *stretch) poolFigures(name string) PoolFigures {
	count := func(what string) int64 { return s.counts[poolKey(name, what)] }
	p := PoolFigures{
		Name: name, Size: int(s.gauges[poolKey(name, "size")].end()),
		InUse: s.gauges[poolKey(name, "in_use")].figures(), Waiting: s.gauges[poolKey(name, "waiting")].figures(),
		Acquired: count("acquired"), Waits: count("waits"), Refused: count("timed_out") + count("queue_full") + count("shed"),
		Left: count("cancelled"),
	}
	if p.Waits > 0 {
		p.WaitMS = float64(count("wait_us")) / 1000 / float64(p.Waits)
	}
	p.WaitShare = percent(p.Waits, p.asked())
	return p
}

// asked is everybody whose asking for a connection ended, in whatever way.
func (p *PoolFigures) asked() int64 { return p.Acquired + p.Refused + p.Left }

func (s *stretch) statementFigures() *StatementFigures {
	f := &StatementFigures{Routes: []RouteFigures{}}
	for key, requests := range s.counts {
		name, what, _ := strings.Cut(key, "\x00")
		route, ok := strings.CutPrefix(name, "route.")
		if !ok || what != "requests" || requests == 0 {
			continue
		}
		count := func(what string) int64 { return s.counts[routeKey(route, what)] }
		r := RouteFigures{
			Route: route, Requests: requests, OK: count("ok"), Statements: count("statements"),
			PerRequest: ratio(count("statements"), requests), PerOK: ratio(count("statements"), count("ok")),
			WaitMS: ratio(count("wait_us"), requests) / 1000, MeanMS: ratio(count("elapsed_us"), requests) / 1000,
		}
		f.Routes = append(f.Routes, r)
		f.Requests, f.OK, f.Statements = f.Requests+r.Requests, f.OK+r.OK, f.Statements+r.Statements
	}
	slices.SortFunc(f.Routes, func(a, b RouteFigures) int {
		return cmp.Or(cmp.Compare(b.Statements, a.Statements), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Route, b.Route))
	})
	f.PerRequest, f.PerOK = ratio(f.Statements, f.Requests), ratio(f.Statements, f.OK)
	return f
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
