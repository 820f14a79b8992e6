package reports

import (
	"encoding/json"
	"strconv"
)

// The JSON form of a chart. Points are [x, y] with six digits of y, null for a gap; of a series with more than MaxPoints,
// "combined" says how they became fewer.
type (
	chartDocument struct {
		Name    string           `json:"name"`
		Title   string           `json:"title"`
		Caption string           `json:"caption,omitempty"`
		Kind    string           `json:"kind"`
		X       *axisDocument    `json:"x,omitempty"`
		Y       axisDocument     `json:"y"`
		Series  []seriesDocument `json:"series"`
		Bars    []barDocument    `json:"bars,omitempty"`
		Bounds  []boundDocument  `json:"bounds,omitempty"`
		Spans   []spanDocument   `json:"spans,omitempty"`
		Marks   []markDocument   `json:"marks,omitempty"`
	}
	axisDocument struct {
		Label string `json:"label,omitempty"`
		Unit  string `json:"unit,omitempty"`
		Scale string `json:"scale"`
		Zone  string `json:"zone,omitempty"`
	}
	seriesDocument struct {
		Name     string  `json:"name"`
		Color    string  `json:"color,omitempty"`
		Curve    bool    `json:"curve,omitempty"`
		Points   []tuple `json:"points,omitempty"`
		Band     []tuple `json:"band,omitempty"` // [x, low, high]
		Combined string  `json:"combined,omitempty"`
		Whole    *number `json:"whole,omitempty"` // of the whole time, by its maker
		Of       int     `json:"of,omitempty"`    // how many points there were before they were combined
		LeftOut  int     `json:"points_left_out,omitempty"`
	}
	barDocument struct {
		Label  string `json:"label"`
		Title  string `json:"title,omitempty"`
		Values tuple  `json:"values"`
		Text   string `json:"text,omitempty"`
		Within tuple  `json:"within,omitempty"` // [low, high]
	}
	boundDocument struct {
		Value number `json:"value"`
		Label string `json:"label"`
	}
	spanDocument struct {
		From  number `json:"from"`
		To    number `json:"to"`
		Label string `json:"label"`
	}
	markDocument struct {
		X     number `json:"x"`
		Label string `json:"label"`
	}
)

// A tuple is a list of numbers of which the first has all the digits that Unix milliseconds need.
type tuple []float64

// MarshalJSON writes null for what is no number.
func (t tuple) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, v := range t {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendNumber(out, v, 6+7*max(0, 1-i))
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads null as a gap would be: as 0, which only tests do.
func (t *tuple) UnmarshalJSON(body []byte) error { return json.Unmarshal(body, (*[]float64)(t)) }

type number float64

// MarshalJSON writes null for what is no number.
func (n number) MarshalJSON() ([]byte, error) { return appendNumber(nil, float64(n), 13), nil }

func appendNumber(out []byte, v float64, digits int) []byte {
	if !usable(v) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, v, 'g', digits, 64)
}

// document is the chart as data; without points, only their number.
func (c Chart) document(points bool) chartDocument {
	d := chartDocument{
		Name: c.Name, Title: c.Title, Caption: c.Caption, Kind: c.Kind.String(), Y: c.Y.document(), Series: []seriesDocument{},
	}
	if c.Kind != BarChart {
		x := c.X.document()
		d.X = &x
	}
	for _, s := range c.Series {
		d.Series = append(d.Series, s.document(c, points))
	}
	for _, b := range c.Bars {
		bar := barDocument{Label: b.Label, Title: b.Title, Values: b.Values, Text: b.Text}
		if b.Within != nil {
			bar.Within = tuple{b.Within.Low, b.Within.High}
		}
		d.Bars = append(d.Bars, bar)
	}
	for _, b := range c.Bounds {
		d.Bounds = append(d.Bounds, boundDocument{number(b.Value), b.Label})
	}
	for _, s := range c.Spans {
		d.Spans = append(d.Spans, spanDocument{number(s.From), number(s.To), s.Label})
	}
	for _, m := range c.Marks {
		d.Marks = append(d.Marks, markDocument{number(m.X), m.Label})
	}
	return d
}

func (a Axis) document() axisDocument {
	d := axisDocument{Label: a.Label, Unit: a.Unit, Scale: scales[a.Scale]}
	if a.Scale == Clock && a.Zone != nil {
		d.Zone = a.Zone.String()
	}
	return d
}

func (s Series) document(c Chart, points bool) seriesDocument {
	d := seriesDocument{Name: s.Name, Curve: s.Line, Whole: (*number)(s.Whole)}
	if s.Color.known() {
		d.Color = string(s.Color)
	}
	if !points {
		d.LeftOut = len(s.Points)
		return d
	}
	kept := c.kept(s)
	for _, p := range kept {
		d.Points = append(d.Points, tuple{p.X, p.Y})
	}
	for _, r := range evenly(s.Band, MaxPoints) {
		d.Band = append(d.Band, tuple{r.X, r.Low, r.High})
	}
	if len(s.Points) > MaxPoints {
		d.Of, d.Combined = len(s.Points), "extremes"
		switch {
		case c.sparse(s):
			d.Combined = "chosen"
		case c.mean():
			d.Combined = "mean"
		}
	}
	return d
}

// kept is the points that JSON and CSV have: those with a place, at most MaxPoints.
func (c Chart) kept(s Series) []Point {
	points := ordered(s.Points, false)
	if c.sparse(s) {
		return evenly(points, MaxPoints)
	}
	how := Extremes
	if c.mean() {
		how = Mean
	}
	return downsample(points, MaxPoints, how)
}

// sparse series are sets of points that must not be combined into others.
func (c Chart) sparse(s Series) bool {
	return c.Kind == StepChart || c.Kind == ScatterChart && !s.Line
}

// mean reports whether the chart combines points to their mean.
func (c Chart) mean() bool { return c.Combine == Mean || c.Kind == StackedChart }

// dataTable is the chart for CSV, one value a row.
func (c Chart) dataTable() Table {
	t := Table{Name: c.Name}
	exact := func(v float64) string {
		if !usable(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	if c.Kind == BarChart {
		t.Columns = []Column{{Name: "bar"}, {Name: "series"}, {Name: unitName("value", c.Y)}}
		for _, b := range c.Bars {
			for i, v := range b.Values {
				name := ""
				if i < len(c.Series) {
					name = c.Series[i].Name
				}
				t.Rows = append(t.Rows, []string{b.whole(), name, exact(v)})
			}
		}
		return t
	}
	t.Columns = []Column{{Name: "series"}, {Name: unitName("x", c.X)}, {Name: unitName("y", c.Y)}}
	for _, s := range c.Series {
		for _, p := range c.kept(s) {
			t.Rows = append(t.Rows, []string{s.Name, exact(p.X), exact(p.Y)})
		}
	}
	return t
}

// unitName is "x (s)".
func unitName(name string, a Axis) string {
	switch {
	case a.Scale == Elapsed:
		return name + " (s)"
	case a.Scale == Clock:
		return name + " (Unix s)"
	case a.Unit != "":
		return name + " (" + a.Unit + ")"
	}
	return name
}
