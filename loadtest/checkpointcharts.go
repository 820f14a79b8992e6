package loadtest

import (
	"math"

	"github.com/tomehub/tomehub/reports"
)

// charts show one phase over time, unscaled: response times, errors, and the pool that searches wait for.
func (c *Checkpoint) charts() []reports.Chart {
	r := c.Result
	windows := r.drawn()
	if len(windows) == 0 {
		return nil
	}
	latency := stretched(r.latencyChart(windows), 1/c.TimeScale, 1/c.TimeScale)
	latency.Caption = ""
	for i, b := range latency.Bounds {
		latency.Bounds[i].Label = "bound " + formatMS(1000*b.Value)
	}
	all := []reports.Chart{latency, stretched(r.errorsChart(windows), 1/c.TimeScale, 1)}
	if f := r.Server.until(r.lasted()); f != nil && len(f.Pools) > 0 {
		all = append(all, stretched(f.poolCharts()[0], 1/c.TimeScale, 1))
	}
	end := windows[len(windows)-1]
	timeline := stretched(reports.Chart{Spans: r.spans(), Marks: r.marks(), From: r.WarmUpS, X: reports.Axis{Max: end.StartS + end.LengthS}}, 1/c.TimeScale, 1)
	for i := range all {
		one := &all[i]
		one.Name, one.Part, one.Small = c.short()+"_"+one.Name, c.part(), true
		one.X = reports.Axis{Scale: reports.Elapsed, Max: timeline.X.Max}
		one.Spans, one.Marks, one.From = timeline.Spans, timeline.Marks, timeline.From
	}
	return all
}

// errorsChart has everything a user was not served for, as the scenarios' error_rate has it.
func (r *Result) errorsChart(windows []Window) reports.Chart {
	s := overWindows(windows, reports.Series{Name: "errors", Color: reports.ColorBad}, func(w *Window) float64 {
		if w.Completed == 0 {
			return math.NaN()
		}
		return percent(w.Refused+w.Failed, w.Completed)
	})
	if r.Total.Completed > 0 {
		s.Whole = new(r.Total.ErrorRate)
	}
	return reports.Chart{
		Name: "errors", Title: "Errors", Y: reports.Axis{Label: "of all requests", Unit: "%"}, Combine: reports.Mean, Series: []reports.Series{s},
	}
}

// stretched multiplies the places of everything in a chart by x, and its values by y.
func stretched(c reports.Chart, x, y float64) reports.Chart {
	c.From, c.X.Max = c.From*x, c.X.Max*x
	series := c.Series
	c.Series, c.Bounds = nil, append([]reports.Bound(nil), c.Bounds...)
	for _, s := range series {
		points := make([]reports.Point, len(s.Points))
		for i, p := range s.Points {
			points[i] = reports.Point{X: p.X * x, Y: p.Y * y}
		}
		s.Points = points
		if s.Whole != nil {
			s.Whole = new(*s.Whole * y)
		}
		c.Series = append(c.Series, s)
	}
	for i := range c.Bounds {
		c.Bounds[i].Value *= y
	}
	spans, marks := c.Spans, c.Marks
	c.Spans, c.Marks = nil, nil
	for _, s := range spans {
		c.Spans = append(c.Spans, reports.Span{From: s.From * x, To: s.To * x, Label: s.Label})
	}
	for _, m := range marks {
		c.Marks = append(c.Marks, reports.Mark{X: m.X * x, Label: m.Label})
	}
	return c
}

// shareAxes gives charts of the same title the same axes: time and values. Pools keep their own, they differ in size.
func shareAxes(charts []reports.Chart) {
	most, low, high := 0.0, map[string]float64{}, map[string]float64{}
	for _, c := range charts {
		most = max(most, c.X.Max)
		for _, b := range c.Bounds {
			high[c.Title] = max(high[c.Title], b.Value)
		}
		for _, s := range c.Series {
			for _, p := range s.Points {
				if p.Y > 0 {
					high[c.Title] = max(high[c.Title], p.Y)
					if before, ok := low[c.Title]; !ok || p.Y < before {
						low[c.Title] = p.Y
					}
				}
			}
		}
	}
	for i := range charts {
		c := &charts[i]
		c.X.Max = most
		if c.Y.Unit != "" {
			c.Y.Min, c.Y.Max = low[c.Title], high[c.Title]
		}
	}
}
