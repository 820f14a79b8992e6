package loadtest

import (
	"fmt"
	"math"

	"github.com/tomehub/tomehub/reports"
)

// charts show the run on one time axis, the warm-up shaded: what the users saw and, where it is known, what the server
// did at the same time. Their names are "latency", "rate", "users", "pools", "statements", "cache", "streams" and "memory".
func (r *Result) charts() []reports.Chart {
	if len(r.Windows) == 0 {
		return nil
	}
	all := []reports.Chart{r.latencyChart(), r.rateChart(), r.usersChart()}
	if f := r.Server; f != nil && len(f.Samples) > 0 {
		all = append(all, f.poolChart(), f.statementChart(), f.cacheChart(), f.streamChart(), f.memoryChart())
	}
	spans, marks, most := r.spans(), r.marks(), r.lasted()
	var out []reports.Chart
	for _, c := range all {
		if !drawn(c) {
			continue
		}
		c.X = reports.Axis{Scale: reports.Elapsed, Max: most}
		c.Spans, c.Marks = spans, marks
		out = append(out, c)
	}
	return out
}

// drawn tells whether a chart has a number in it: of a server without streams, their chart has none.
func drawn(c reports.Chart) bool {
	for _, s := range c.Series {
		for _, p := range s.Points {
			if !math.IsNaN(p.Y) {
				return true
			}
		}
	}
	return false
}

// lasted is when the last window ended.
func (r *Result) lasted() float64 {
	w := r.Windows[len(r.Windows)-1]
	return w.StartS + w.LengthS
}

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
		all = append(all, reports.Mark{X: r.WarmUpS + r.MeasuredS, Label: label})
	}
	return all
}

// overWindows makes a series of the windows, each at its middle; NaN is a gap.
func (r *Result) overWindows(name string, color reports.Color, f func(*Window) float64) reports.Series {
	s := reports.Series{Name: name, Color: color}
	for i := range r.Windows {
		w := &r.Windows[i]
		s.Points = append(s.Points, reports.Point{X: w.StartS + w.LengthS/2, Y: f(w)})
	}
	return s
}

func (r *Result) latencyChart() reports.Chart {
	ms := func(of func(*Window) float64) func(*Window) float64 {
		return func(w *Window) float64 {
			if of(w) == 0 {
				return math.NaN() // nobody was served
			}
			return of(w) / 1000
		}
	}
	return reports.Chart{
		Name: "latency", Title: "Response times", Caption: "From when each request was due, by when it ended.",
		Y: reports.Axis{Unit: "s", Scale: reports.Log},
		Series: []reports.Series{
			r.overWindows("p50", "", ms(func(w *Window) float64 { return w.P50MS })),
			r.overWindows("p95", "", ms(func(w *Window) float64 { return w.P95MS })),
			r.overWindows("p99", "", ms(func(w *Window) float64 { return w.P99MS })),
		},
	}
}

func (r *Result) rateChart() reports.Chart {
	per := func(of func(*Window) int64) func(*Window) float64 {
		return func(w *Window) float64 { return float64(of(w)) / w.LengthS }
	}
	return reports.Chart{
		Name: "rate", Title: "Requests and errors", Y: reports.Axis{Unit: "/s"}, Combine: reports.Mean,
		Series: []reports.Series{
			r.overWindows("served", reports.ColorGood, per(func(w *Window) int64 { return w.OK })),
			r.overWindows("refused", reports.ColorIdle, per(func(w *Window) int64 { return w.Refused })),
			r.overWindows("failed", reports.ColorBad, per(func(w *Window) int64 { return w.Failed })),
		},
	}
}

func (r *Result) usersChart() reports.Chart {
	c := reports.Chart{
		Name: "users", Title: "Users", Series: []reports.Series{r.overWindows("users", "", func(w *Window) float64 { return float64(w.Users) })},
	}
	if r.Model == "open" {
		c.Title, c.Series[0].Name = "Visitors", "visitors"
	}
	if r.Server != nil {
		c.Title += " and requests under way"
		c.Series = append(c.Series, r.Server.over("under way", func(s *ServerSample) (float64, bool) {
			if s.InFlight == nil {
				return 0, false
			}
			return *s.InFlight, true
		}))
	}
	return c
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

func (f *ServerFigures) poolChart() reports.Chart {
	c := reports.Chart{Name: "pools", Title: "Connections in use and waited for"}
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
		c.Series = append(c.Series, f.over(p.Name+" in use", of(func(x PoolSample) float64 { return x.InUse })))
		if p.Waits > 0 || p.Waiting.Peak > 0 {
			c.Series = append(c.Series, f.over("waiting for "+p.Name, of(func(x PoolSample) float64 { return x.Waiting })))
		}
		if len(c.Bounds) < 3 {
			c.Bounds = append(c.Bounds, reports.Bound{Value: float64(p.Size), Label: fmt.Sprintf("%s has %d", p.Name, p.Size)})
		}
	}
	return c
}

func (f *ServerFigures) statementChart() reports.Chart {
	return reports.Chart{
		Name: "statements", Title: "Statements per request", Combine: reports.Mean,
		Series: []reports.Series{f.over("statements per request", func(s *ServerSample) (float64, bool) {
			if s.Requests == nil || s.Statements == nil || *s.Requests == 0 {
				return 0, false
			}
			return ratio(*s.Statements, *s.Requests), true
		})},
	}
}

func (f *ServerFigures) cacheChart() reports.Chart {
	return reports.Chart{
		Name: "cache", Title: "Cache hit rate", Y: reports.Axis{Unit: "%", Max: 100}, Combine: reports.Mean,
		Series: []reports.Series{f.over("hit rate", func(s *ServerSample) (float64, bool) {
			all := s.Hits + s.Misses + s.Joined
			return percent(s.Hits, all), all > 0
		})},
	}
}

func (f *ServerFigures) streamChart() reports.Chart {
	c := reports.Chart{Name: "streams", Title: "Streamed answers under way"}
	if f.Streams == nil || f.Streams.Active.Peak == 0 && f.Streams.Refused == 0 && f.Streams.Started == 0 {
		return c
	}
	c.Series = []reports.Series{f.over("streams", func(s *ServerSample) (float64, bool) { return s.Streams, true })}
	if f.Streams.Limit > 0 {
		c.Bounds = []reports.Bound{{Value: float64(f.Streams.Limit), Label: fmt.Sprintf("limit %d", f.Streams.Limit)}}
	}
	return c
}

func (f *ServerFigures) memoryChart() reports.Chart {
	return reports.Chart{
		Name: "memory", Title: "Memory of the server's process", Y: reports.Axis{Unit: "B"},
		Series: []reports.Series{f.over("resident", func(s *ServerSample) (float64, bool) {
			if s.Memory == nil {
				return 0, false
			}
			return s.Memory.RSSMiB * (1 << 20), true
		})},
	}
}
