package reports

import (
	"math"
	"strings"
)

const (
	sparkWidth = 32
	textBars   = 20 // bars of a ranking in text
)

// textTable is a chart as text can show it: a ranking with bars, series with sparklines. Other kinds have none.
func (c Chart) textTable() (Table, bool) {
	if !c.InText || c.empty() {
		return Table{}, false
	}
	switch c.Kind {
	case BarChart:
		return c.barTable(), true
	case LineChart, StackedChart:
		return c.sparkTable(), true
	case StepChart, ScatterChart:
	}
	return Table{}, false
}

func (c Chart) barTable() Table {
	t := Table{Name: c.Name, Caption: c.Title, Columns: []Column{{Name: ""}, {Name: "Value", Align: Right}, {Name: "Bar", Optional: true}}}
	longest := c.longest()
	for _, b := range c.Bars[:min(len(c.Bars), textBars)] {
		bar := ""
		if all := sum(b.Values); all > 0 {
			bar = strings.Repeat("█", int(math.Round(min(all/longest, 1)*sparkWidth)))
			if bar == "" {
				bar = "▏" // little is not nothing
			}
		}
		t.Rows = append(t.Rows, []string{b.Label, b.text(c.Y.Unit), bar})
	}
	return t
}

// sparkTable has one row per series. All sparklines of a linear chart share one scale, from 0 to the largest mean of a
// stretch, so that they can be compared; the columns beside them say what they stand for.
func (c Chart) sparkTable() Table {
	t := Table{Name: c.Name, Caption: c.Title, Columns: []Column{
		{Name: ""}, {Name: "Last", Align: Right}, {Name: "Mean", Align: Right}, {Name: "Max", Align: Right}, {Name: "Over time", Optional: true},
	}}
	x, most := newExtent(), 1
	for _, s := range c.Series {
		for _, p := range s.Points {
			x.add(p.X, false)
		}
		most = max(most, len(s.Points))
	}
	xs := make([]float64, min(most, sparkWidth))
	stretch := (x.high - x.low) / float64(len(xs))
	cells := make([][]float64, len(c.Series))
	y := newExtent()
	for i, s := range c.Series {
		cells[i] = cellsOf(ordered(s.Points, false), xs, x.low, max(stretch, math.SmallestNonzeroFloat64), c.mean())
		for _, v := range cells[i] {
			y.add(v, c.Y.Scale == Log)
		}
	}
	scale := newSpan(y.low, y.high, c.Y.Scale, true, false, c.Y.Unit)
	for i, s := range c.Series {
		st := statsOf(s.Points, c.From)
		t.Rows = append(t.Rows, []string{s.Name, value(st.last, c.Y.Unit), value(st.mean, c.Y.Unit), value(st.max, c.Y.Unit), spark(cells[i], scale)})
	}
	return t
}

var sparks = []rune("▁▂▃▄▅▆▇█")

// spark draws values; a gap is a space within the line.
func spark(values []float64, scale span) string {
	out := make([]rune, len(values))
	for i, v := range values {
		if !usable(v) || scale.scale == Log && v <= 0 {
			out[i] = '·'
			continue
		}
		out[i] = sparks[int(math.Round(scale.place(v)*float64(len(sparks)-1)))]
	}
	return string(out)
}
