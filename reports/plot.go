package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// The picture's own units, two for a pixel at the usual width; the page stretches it to whatever width there is.
const (
	plotWidth  = 1600
	plotHeight = 440
)

// A plot is a chart with everything in its place: axes, and per series the points that are drawn.
type plot struct {
	chart  Chart
	x, y   span
	points [][]Point // at most maxDrawn for each series, half of that in a small chart; of a StackedChart with the series below added
	stats  []stats   // of the values as they were given
	bounds []Bound   // those that are drawn
	spans  []Span
	marks  []Mark
	notes  []string // what is not drawn
}

// newPlot lays out a chart that is not empty and no BarChart.
func newPlot(c Chart) plot {
	p := plot{chart: c}
	if n := len(c.Series) - maxSeries; n > 0 {
		c.Series = c.Series[:maxSeries]
		p.chart.Series = c.Series
		p.note(n, "series", "series")
	}
	for _, s := range c.Series {
		p.stats = append(p.stats, statsOf(s.Points, c.From))
	}
	limit := maxDrawn
	if c.Small {
		limit = maxDrawn / 2
	}
	switch c.Kind {
	case StackedChart:
		p.points = stacked(c.Series, limit)
		for i := 1; i < len(p.points); i++ {
			for j := range p.points[i] {
				p.points[i][j].Y += p.points[i-1][j].Y
			}
		}
	case LineChart, StepChart, ScatterChart, BarChart:
		for _, s := range c.Series {
			points := ordered(s.Points, c.X.Scale == Log && c.Kind != StepChart)
			if c.sparse(s) {
				points = evenly(points, limit)
			} else {
				points = downsample(points, limit, c.Combine)
			}
			p.points = append(p.points, points)
		}
	}
	p.scaleX()
	p.scaleY()
	p.place()
	return p
}

func (p *plot) note(n int, one, many string) {
	if n == 1 {
		p.notes = append(p.notes, "1 more "+one+" is not drawn.")
	} else if n > 1 {
		p.notes = append(p.notes, strconv.Itoa(n)+" more "+many+" are not drawn.")
	}
}

// extent is the smallest and the largest of the values it was shown.
type extent struct{ low, high float64 }

func newExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(v float64, log bool) {
	if usable(v) && (!log || v > 0) {
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

func (p *plot) scaleX() {
	c := p.chart
	e := newExtent()
	for _, s := range c.Series { // not the combined points, which begin in the middle of a bucket
		for _, at := range s.Points {
			e.add(at.X, c.X.Scale == Log)
		}
	}
	if c.X.Max > 0 {
		e.add(c.X.Max, true)
	}
	if c.X.Scale == Elapsed {
		e.add(0, false)
	}
	if c.Kind == StepChart && c.X.Scale == Log {
		e.low /= 2 // a first step that begins at 0 has no place on a log scale, but must have a width
	}
	scatter := c.Kind == ScatterChart
	p.x = newSpan(e.low, e.high, c.X.Scale, scatter && c.X.Scale == Linear, scatter, c.X.Unit)
}

// scaleY makes room for the values, the bands and the bounds; but a bound far above the values would press them flat.
func (p *plot) scaleY() {
	c := p.chart
	log := c.Y.Scale == Log
	e := newExtent()
	for i, points := range p.points {
		for _, at := range points {
			e.add(at.Y, log)
		}
		for _, b := range c.Series[i].Band {
			if usable(b.X) && usable(b.Low) && usable(b.High) {
				e.add(b.Low, log)
				e.add(b.High, log)
			}
		}
	}
	if c.Y.Max > 0 {
		e.add(c.Y.Max, true)
	}
	if log {
		e.add(c.Y.Min, true)
	}
	most := 4 * e.high
	if log {
		most = 100 * e.high
	}
	for _, b := range c.Bounds {
		switch {
		case !usable(b.Value) || log && b.Value <= 0:
			p.notes = append(p.notes, "The bound "+strconv.Quote(b.Label)+" has no place on this axis.")
		case b.Value > most && e.high > 0:
			p.notes = append(p.notes, b.above(c.Y.Unit))
		case len(p.bounds) < maxBounds:
			p.bounds = append(p.bounds, b)
		}
	}
	for _, b := range p.bounds {
		e.add(b.Value, log)
		switch { // room for the label above it, which else would cover what is below
		case log && e.low > 0:
			e.add(e.low*math.Pow(b.Value/e.low, 1.15), log)
		case b.Value > 0.9*e.high:
			e.add(b.Value*1.15, log)
		}
	}
	p.y = newSpan(e.low, e.high, c.Y.Scale, true, true, c.Y.Unit)
}

// above says that a bound is not drawn, with its value unless the label has a number.
func (b Bound) above(unit string) string {
	text := "The bound " + strconv.Quote(oneLine(b.Label))
	if !strings.ContainsAny(b.Label, "0123456789") {
		text += " (" + value(b.Value, unit) + ")"
	}
	return text + " lies above the chart."
}

// place keeps the spans and marks that lie within the chart, the earliest first.
func (p *plot) place() {
	outside := 0
	for _, s := range p.chart.Spans {
		if !usable(s.From) || !usable(s.To) || s.To < s.From || s.To < p.x.low || s.From > p.x.high {
			outside++
			continue
		}
		p.spans = append(p.spans, Span{max(s.From, p.x.low), min(s.To, p.x.high), s.Label})
	}
	for _, m := range p.chart.Marks {
		if !usable(m.X) || m.X < p.x.low || m.X > p.x.high {
			outside++
			continue
		}
		p.marks = append(p.marks, m)
	}
	slices.SortStableFunc(p.spans, func(a, b Span) int { return byX(Point{X: a.From}, Point{X: b.From}) })
	slices.SortStableFunc(p.marks, func(a, b Mark) int { return byX(Point{X: a.X}, Point{X: b.X}) })
	if most := maxMarks; len(p.spans)+len(p.marks) > most {
		p.note(len(p.spans)+len(p.marks)-most, "mark", "marks")
		p.spans = p.spans[:min(len(p.spans), most)]
		p.marks = p.marks[:min(len(p.marks), most-len(p.spans))]
	}
	if outside == 1 {
		p.notes = append(p.notes, "1 mark lies outside of the chart.")
	} else if outside > 1 {
		p.notes = append(p.notes, strconv.Itoa(outside)+" marks lie outside of the chart.")
	}
}

// px and py are places in the picture, always within it.
func (p *plot) px(v float64) int { return int(math.Round(p.x.place(v) * plotWidth)) }
func (p *plot) py(v float64) int { return plotHeight - int(math.Round(p.y.place(v)*plotHeight)) }

// drawable reports whether a point has a place; one that has none breaks the line.
func (p *plot) drawable(at Point) bool { return usable(at.Y) && (p.y.scale != Log || at.Y > 0) }

// runs cuts points at the gaps.
func (p *plot) runs(points []Point) [][]Point {
	var runs [][]Point
	from := -1
	for i, at := range points {
		switch ok := p.drawable(at); {
		case ok && from < 0:
			from = i
		case !ok && from >= 0:
			runs = append(runs, points[from:i])
			from = -1
		}
	}
	if from >= 0 {
		runs = append(runs, points[from:])
	}
	return runs
}

// line is the path of a run, and of single values, which would be invisible in it, one of dots.
func (p *plot) line(points []Point) (line, dots string) {
	var l, d path
	for _, run := range p.runs(points) {
		if len(run) == 1 {
			d.dot(p.px(run[0].X), p.py(run[0].Y))
			continue
		}
		for i, at := range run {
			l.to(p.px(at.X), p.py(at.Y), i == 0)
		}
	}
	return string(l.b), string(d.b)
}

// area is the path between the values and the bottom. The layers of a StackedChart are painted over each other, the top
// one first, which takes half the bytes of cutting each out.
func (p *plot) area(points []Point) string {
	var l path
	for _, run := range p.runs(points) {
		last := p.px(run[len(run)-1].X)
		first := p.px(run[0].X)
		if first == last { // a single value still shows
			last = min(first+3, plotWidth)
			first = last - 3
		}
		l.to(first, plotHeight, true)
		for i, at := range run {
			x := p.px(at.X)
			if i == 0 {
				x = first
			}
			l.to(x, p.py(at.Y), false)
		}
		l.to(last, p.py(run[len(run)-1].Y), false)
		l.to(last, plotHeight, false)
		l.close()
	}
	return string(l.b)
}

// steps is the outline of a distribution: up at an edge, then across to the next.
func (p *plot) steps(points []Point) string {
	var l path
	for _, run := range p.runs(points) {
		l.to(p.px(run[0].X), plotHeight, true)
		y := plotHeight
		for _, at := range run {
			l.to(p.px(at.X), y, false)
			y = p.py(at.Y)
			l.to(p.px(at.X), y, false)
		}
		l.to(p.px(run[len(run)-1].X), plotHeight, false)
	}
	return string(l.b)
}

// dots is a path of nothing but dots, which stay round however wide the page stretches the picture.
func (p *plot) dots(points []Point) string {
	var d path
	for _, at := range points {
		if p.drawable(at) {
			d.dot(p.px(at.X), p.py(at.Y))
		}
	}
	return string(d.b)
}

// band is the path around the ranges: along the top, and back along the bottom.
func (p *plot) band(ranges []Range) string {
	ranges = slices.DeleteFunc(slices.Clone(ranges), func(r Range) bool {
		return !usable(r.X) || !usable(r.Low) || !usable(r.High) || p.x.scale == Log && r.X <= 0
	})
	slices.SortStableFunc(ranges, func(a, b Range) int { return byX(Point{X: a.X}, Point{X: b.X}) })
	ranges = evenly(ranges, maxDrawn/2)
	if len(ranges) < 2 {
		return ""
	}
	var l path
	for i, r := range ranges {
		l.to(p.px(r.X), p.py(r.High), i == 0)
	}
	for _, r := range slices.Backward(ranges) {
		l.to(p.px(r.X), p.py(r.Low), false)
	}
	l.close()
	return string(l.b)
}

// A path writes the d of an SVG path in whole numbers, each relative to the one before: a third of the bytes.
type path struct {
	b    []byte
	x, y int
	op   byte // the command that the next numbers continue
}

func (l *path) to(x, y int, move bool) {
	switch {
	case move:
		l.b = append(l.b, 'M')
		l.number(x, false)
		l.number(y, true)
		l.op = 'M'
	case x == l.x && y == l.y:
		return
	default:
		if l.op != 'l' {
			l.b = append(l.b, 'l')
		}
		l.number(x-l.x, l.op == 'l')
		l.number(y-l.y, true)
		l.op = 'l'
	}
	l.x, l.y = x, y
}

// dot is a line of no length, which round caps make a dot.
func (l *path) dot(x, y int) {
	l.to(x, y, true)
	l.b = append(l.b, 'h', '0')
	l.op = 'h'
}

func (l *path) close() {
	l.b = append(l.b, 'z')
	l.op = 'z'
}

// number needs no space in front of a minus.
func (l *path) number(v int, behind bool) {
	if behind && v >= 0 {
		l.b = append(l.b, ' ')
	}
	l.b = strconv.AppendInt(l.b, int64(v), 10)
}
