package loadtest

import (
	"fmt"
	"math"

	"github.com/tomehub/tomehub/reports"
)

// mostSpans bounds the shaded stretches of a chart, so that each can have its letter.
const mostSpans = 10

// spans are the warm-up, the faults put in, and the times in which a breaker was not closed.
func (r *Result) spans() []reports.Span {
	var all []reports.Span
	if r.WarmUpS > 0 {
		all = append(all, reports.Span{From: 0, To: min(r.WarmUpS, r.lasted()), Label: "warm-up"})
	}
	for _, f := range r.Faults {
		if f.Error == "" && len(all) < mostSpans {
			all = append(all, reports.Span{From: f.AtS, To: min(f.AtS+f.ForS, r.lasted()), Label: "fault " + f.Fault})
		}
	}
	if r.Server == nil {
		return all
	}
	open := map[string]float64{}
	add := func(name string, from, to float64) {
		if len(all) < mostSpans {
			all = append(all, reports.Span{From: from, To: to, Label: "breaker " + name})
		}
	}
	for _, t := range r.Server.Transitions {
		from, is := open[t.Name]
		switch {
		case t.To != breakerClosed && !is:
			open[t.Name] = t.AtS
		case t.To == breakerClosed && is:
			add(t.Name, from, t.AtS)
			delete(open, t.Name)
		}
	}
	for _, b := range r.Server.Breakers {
		if from, is := open[b.Name]; is {
			add(b.Name, from, r.lasted())
		}
	}
	return all
}

// marks are restarts of the server and the moment at which the run was stopped.
func (r *Result) marks() []reports.Mark {
	var all []reports.Mark
	if r.Server != nil {
		for _, x := range r.Server.Restarts[:min(len(r.Server.Restarts), mostSpans)] {
			all = append(all, reports.Mark{X: x.AtS, Label: "restart"})
		}
	}
	if r.MeasuredS < r.DurationS {
		label := "stopped by a check"
		if r.Interrupted {
			label = "interrupted"
		}
		all = append(all, reports.Mark{X: r.lasted(), Label: label})
	}
	return all
}

// over makes a series of the samples, each at its middle; false is a gap.
func (f *ServerFigures) over(name string, of func(*ServerSample) (float64, bool)) reports.Series {
	s := reports.Series{Name: name}
	for i := range f.Samples {
		x := &f.Samples[i]
		y, ok := of(x)
		if !ok {
			y = math.NaN()
		}
		s.Points = append(s.Points, reports.Point{X: x.AtS - x.LengthS/2, Y: y})
	}
	return s
}

// poolCharts are one for each pool: two pools of different sizes on one axis would hide which is full.
func (f *ServerFigures) poolCharts() []reports.Chart {
	var all []reports.Chart
	for _, p := range f.Pools {
		of := func(value func(PoolSample) float64) func(*ServerSample) (float64, bool) {
			return func(s *ServerSample) (float64, bool) {
				for _, x := range s.Pools {
					if x.Name == p.Name {
						return value(x), true
					}
				}
				return 0, false
			}
		}
		use := f.over("in use", of(func(x PoolSample) float64 { return x.InUse }))
		use.Whole = new(p.InUse.Mean)
		waiting := f.over("waiting for one", of(func(x PoolSample) float64 { return x.Waiting }))
		waiting.Whole = new(p.Waiting.Mean)
		c := reports.Chart{
			Name: "pool_" + p.Name, Title: "Connections of pool " + p.Name, Part: serverPart, Small: true, Y: reports.Axis{Label: "connections, requests"},
			Series: []reports.Series{use, waiting},
		}
		if p.Size > 0 {
			c.Bounds = []reports.Bound{{Value: float64(p.Size), Label: fmt.Sprintf("%d connections", p.Size)}}
		}
		all = append(all, c)
	}
	return all
}

func (f *ServerFigures) statementChart() reports.Chart {
	s := f.over("statements per request", func(s *ServerSample) (float64, bool) {
		if s.Requests == nil || s.Statements == nil || *s.Requests == 0 {
			return 0, false
		}
		return ratio(*s.Statements, *s.Requests), true
	})
	if f.Statements != nil {
		s.Whole = new(f.Statements.PerRequest)
	}
	return reports.Chart{
		Name: "statements", Title: "Statements per request", Part: serverPart, Small: true, Y: reports.Axis{Label: "statements"}, Combine: reports.Mean,
		Series: []reports.Series{s},
	}
}

func (f *ServerFigures) cacheChart() reports.Chart {
	s := f.over("hit rate", func(s *ServerSample) (float64, bool) {
		all := s.Hits + s.Misses + s.Joined
		return percent(s.Hits, all), all > 0
	})
	if f.Cache != nil {
		s.Whole = new(f.Cache.HitRate)
	}
	return reports.Chart{
		Name: "cache", Title: "Cache hit rate", Part: serverPart, Small: true, Y: reports.Axis{Label: "of all questions", Unit: "%", Max: 100}, Combine: reports.Mean,
		Series: []reports.Series{s},
	}
}

func (f *ServerFigures) streamChart() reports.Chart {
	c := reports.Chart{Name: "streams", Title: "Streamed answers under way", Part: serverPart, Small: true, Y: reports.Axis{Label: "streams"}}
	if f.Streams == nil || f.Streams.Active.Peak == 0 && f.Streams.Refused == 0 && f.Streams.Started == 0 {
		return c
	}
	s := f.over("streams", func(s *ServerSample) (float64, bool) { return s.Streams, true })
	s.Whole = new(f.Streams.Active.Mean)
	c.Series = []reports.Series{s}
	if f.Streams.Limit > 0 {
		c.Bounds = []reports.Bound{{Value: float64(f.Streams.Limit), Label: fmt.Sprintf("limit %d", f.Streams.Limit)}}
	}
	return c
}

func (f *ServerFigures) memoryChart() reports.Chart {
	s := f.over("resident", func(s *ServerSample) (float64, bool) {
		if s.Memory == nil {
			return 0, false
		}
		return s.Memory.RSSMiB * (1 << 20), true
	})
	if f.Memory != nil {
		s.Whole = new(f.Memory.RSS.Mean * (1 << 20))
	}
	return reports.Chart{
		Name: "memory", Title: "Memory of the server's process", Part: serverPart, Small: true, Y: reports.Axis{Label: "resident", Unit: "B"},
		Series: []reports.Series{s},
	}
}
