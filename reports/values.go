package reports

import (
	"fmt"
	"math"
	"slices"
)

// valueRows is how many rows the table of a chart's values has at most. It is there to be read or heard, and JSON has all.
const valueRows = 30

// values is the chart as a table, folded away.
func (p *page) values(c Chart) {
	if c.Kind == StepChart || c.Kind == ScatterChart {
		p.pointValues(c)
		return
	}
	caption, xs, cells := bucketed(c)
	t := Table{Caption: caption, Columns: []Column{{Name: xName(c.X)}}}
	for _, s := range c.Series[:min(len(c.Series), maxSeries)] {
		t.Columns = append(t.Columns, Column{Name: s.Name, Align: Right})
	}
	for i, x := range xs {
		row := []string{c.X.at(x)}
		for j := range t.Columns[1:] {
			row = append(row, value(cells[j][i], c.Y.Unit))
		}
		t.Rows = append(t.Rows, row)
	}
	p.folded(t)
}

func xName(x Axis) string {
	switch {
	case x.Label != "":
		return x.Label
	case x.Scale == Elapsed || x.Scale == Clock:
		return "Time"
	}
	return "x"
}

// bucketed cuts X into at most valueRows stretches and gives for each the mean, or the largest value where the chart
// keeps extremes, of every series. With few enough values it gives each of them.
func bucketed(c Chart) (caption string, xs []float64, cells [][]float64) {
	series := c.Series[:min(len(c.Series), maxSeries)]
	points := make([][]Point, len(series))
	for i, s := range series {
		points[i] = ordered(s.Points, c.X.Scale == Log)
		for _, at := range points[i] {
			xs = append(xs, at.X)
		}
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	caption = "Every value"
	low, width := 0.0, 0.0
	if len(xs) > valueRows {
		low, width = xs[0], (xs[len(xs)-1]-xs[0])/valueRows
		what := "Largest value"
		if c.mean() {
			what = "Mean"
		}
		caption = fmt.Sprintf("%s of each of %d equal stretches", what, valueRows)
		xs = xs[:0]
		for i := range valueRows {
			xs = append(xs, low+float64(i)*width)
		}
	}
	for i := range series {
		cells = append(cells, cellsOf(points[i], xs, low, width, c.mean()))
	}
	return caption, xs, cells
}

// cellsOf gives one value for every one of xs; width 0 says that xs are the points' own.
func cellsOf(points []Point, xs []float64, low, width float64, mean bool) []float64 {
	cells, counts := make([]float64, len(xs)), make([]int, len(xs))
	for _, at := range points {
		if math.IsNaN(at.Y) {
			continue
		}
		i, ok := slices.BinarySearch(xs, at.X)
		if width > 0 {
			i, ok = bucketOf(at.X, low, width, len(xs)), true
		}
		switch {
		case !ok:
			continue
		case mean:
			cells[i] += at.Y
		case counts[i] == 0 || at.Y > cells[i]:
			cells[i] = at.Y
		}
		counts[i]++
	}
	for i, n := range counts {
		switch {
		case n == 0:
			cells[i] = math.NaN()
		case mean:
			cells[i] /= float64(n)
		}
	}
	return cells
}

// pointValues lists the points of every series, at most valueRows of each.
func (p *page) pointValues(c Chart) {
	t := Table{Columns: []Column{{Name: "Series"}, {Name: xName(c.X), Align: Right}, {Name: "Value", Align: Right}}}
	for _, s := range c.Series[:min(len(c.Series), maxSeries)] {
		points := ordered(s.Points, false)
		if len(points) > valueRows {
			t.Caption = fmt.Sprintf("%d points of each series, evenly chosen", valueRows)
		}
		for _, at := range evenly(points, valueRows) {
			t.Rows = append(t.Rows, []string{s.Name, c.X.at(at.X), value(at.Y, c.Y.Unit)})
		}
	}
	p.folded(t)
}

func (p *page) barValues(c Chart, bars []Bar) {
	t := Table{Columns: []Column{{Name: "Bar", Wrap: true}}}
	for _, s := range c.Series {
		t.Columns = append(t.Columns, Column{Name: s.Name, Align: Right})
	}
	if t.Columns = append(t.Columns, Column{Name: "Value", Align: Right}); c.ranged() {
		t.Columns = append(t.Columns, Column{Name: c.Within, Align: Right})
	}
	for _, b := range bars {
		row := []string{b.whole()}
		for i := range c.Series {
			row = append(row, value(b.Values[i], c.Y.Unit))
		}
		row = append(row, b.text(c.Y.Unit))
		switch {
		case c.ranged() && b.Within != nil:
			row = append(row, value(b.Within.Low, c.Y.Unit)+" to "+value(b.Within.High, c.Y.Unit))
		case c.ranged():
			row = append(row, "")
		}
		t.Rows = append(t.Rows, row)
	}
	p.folded(t)
}

func (p *page) folded(t Table) {
	p.write(`<details><summary>Values as a table</summary>`)
	p.table(t, "values")
	p.write(`</details>`)
}
