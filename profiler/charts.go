package profiler

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tomehub/tomehub/reports"
)

// chartBars is how many statements a chart ranks: more would not be compared.
const chartBars = 15

// charts are what a page shows above the tables.
func (p *Profile) charts() []reports.Chart {
	var charts []reports.Chart
	if p.Activity != nil && len(p.Activity.Series) > 0 {
		charts = append(charts, p.Activity.chart())
	}
	if p.Active == 0 {
		return charts
	}
	charts = append(charts, p.timeChart())
	if !p.Lifetime { // their counters began at different times, and there is no rate
		charts = append(charts, p.rateChart())
	}
	return charts
}

// chart stacks the average active sessions by class, in the order and the colours that Oracle's own pages have them.
func (a *Activity) chart() reports.Chart {
	c := reports.Chart{
		Name: "active_sessions", Title: "Average active sessions by wait class", Kind: reports.StackedChart,
		Caption: "Sessions that worked or waited at a time, as sampled. What is on top of CPU waits.",
		X:       reports.Axis{Scale: reports.Clock}, Y: reports.Axis{Label: "active sessions"},
	}
	order := reports.WaitClasses()
	place := func(class string) int {
		if i := slices.Index(order, class); i >= 0 {
			return i
		}
		return len(order)
	}
	classes := byCount(a.Classes)
	slices.SortFunc(classes, func(x, y string) int { return cmp.Or(cmp.Compare(place(x), place(y)), cmp.Compare(x, y)) })
	for _, class := range classes {
		s := reports.Series{Name: class, Color: reports.WaitClassColor(class), Points: make([]reports.Point, len(a.Series))}
		for i, point := range a.Series {
			s.Points[i] = reports.Point{X: float64(point.At.UnixMilli()) / 1e3, Y: point.Classes[class]}
		}
		c.Series = append(c.Series, s)
	}
	return c
}

// A part is a piece of a statement's time.
type part struct {
	class string
	of    func(*Row) Micros
}

var oracleParts = []part{
	{OnCPU, func(r *Row) Micros { return r.CPU }},
	{"User I/O", func(r *Row) Micros { return r.UserIO }},
	{"Concurrency", func(r *Row) Micros { return r.Concurrency }},
	{"Application", func(r *Row) Micros { return r.Application }},
	{"Cluster", func(r *Row) Micros { return r.Cluster }},
	{"Other", (*Row).Other},
}

// timeChart ranks the statements by their time; Oracle tells what it went to.
func (p *Profile) timeChart() reports.Chart {
	c := reports.Chart{Name: "time", Title: "Time by statement", Kind: reports.BarChart, Y: reports.Axis{Unit: "s"}}
	parts := []part{{"", func(r *Row) Micros { return r.Elapsed }}}
	if p.Kind == Oracle {
		c.Title, parts = "Time by statement and what it went to", oracleParts
		for _, x := range parts {
			c.Series = append(c.Series, reports.Series{Name: x.class, Color: reports.WaitClassColor(x.class)})
		}
	}
	for _, r := range p.largest(func(r *Row) int64 { return int64(r.Elapsed) }) {
		b := r.bar(fmt.Sprintf("%.1f %% · %s s", 100*r.Share, total(r.Elapsed.Seconds())))
		for _, x := range parts {
			b.Values = append(b.Values, x.of(r).Seconds())
		}
		c.Bars = append(c.Bars, b)
	}
	return c
}

func (p *Profile) rateChart() reports.Chart {
	c := reports.Chart{Name: "executions", Title: "Executions per second by statement", Kind: reports.BarChart, Y: reports.Axis{Unit: "/s"}}
	for _, r := range p.largest(func(r *Row) int64 { return r.Executions }) {
		b := r.bar("")
		b.Values = []float64{p.rate(r.Executions)}
		c.Bars = append(c.Bars, b)
	}
	return c
}

// largest are the statements with most of something, whatever the table is ordered by. Blocks are left out: what they count is that of
// their statements.
func (p *Profile) largest(of func(*Row) int64) []*Row {
	var rows []*Row
	for i := range p.active {
		if r := &p.active[i]; of(r) > 0 && !r.is(Block) {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b *Row) int { return cmp.Compare(of(b), of(a)) })
	return rows[:min(len(rows), chartBars)]
}

func (r *Row) bar(text string) reports.Bar {
	name, sql := split(r.Name, r.SQL)
	return reports.Bar{Label: cmp.Or(name, cut(sql), r.SQLID), Title: cmp.Or(sql, name, r.SQLID), Text: text}
}
