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
	t := Table{Name: c.Name, Caption: c.Title, Columns: []Column{{Name: "", Wrap: false}, {Name: "Value"}, {Name: "Bar", Optional: true}}}
	longest := c.Y.Max
	for _, b := range c.Bars {
		longest = max(longest, sum(b.Values))
	}
	for _, b := range c.Bars[:min(len(c.Bars), textBars)] {
		length := 0
		if longest > 0 {
			length = int(math.Round(sum(b.Values) / longest * sparkWidth))
		}
		t.Rows = append(t.Rows, []string{b.Label, b.text(c.Y.Unit), strings.Repeat("█", length)})
	}
	return t
}

// sparkTable has one row per series. All sparklines of a linear chart share one scale, from 0 to the largest mean of a
// stretch, so that they can be compared; the columns beside them say what they stand for.
func (c Chart) sparkTable() Table {
	t := Table{Name: c.Name, Caption: c.Title, Columns: []Column{
		{Name: ""}, {Name: "Last", Align: Right}, {Name: "Mean", Align: Right}, {Name: "Max", Align: Right}, {Name: "Over time", Optional: true},
	}}
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, p := range s.Points {
			if usable(p.X) {
				low, high = min(low, p.X), max(high, p.X)
			}
		}
	}
	xs := make([]float64, sparkWidth)
	stretch := (high - low) / sparkWidth
	cells := make([][]float64, len(c.Series))
	y := newExtent()
	for i, s := range c.Series {
		cells[i] = cellsOf(ordered(s.Points, false), xs, low, max(stretch, math.SmallestNonzeroFloat64), c.mean())
		for _, v := range cells[i] {
			y.add(v, c.Y.Scale == Log)
		}
	}
	scale := newSpan(y.low, y.high, c.Y.Scale, true, false)
	for i, s := range c.Series {
		st := statsOf(s.Points)
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
