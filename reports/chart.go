package reports

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ChartKind is how a chart is drawn.
type ChartKind int

// The kinds of charts.
const (
	LineChart    ChartKind = iota // lines over time or over a number
	StackedChart                  // areas on top of each other, over time: what a total is made of
	BarChart                      // horizontal bars: a ranking
	StepChart                     // a distribution
	ScatterChart                  // dots, with fitted curves and their bands
)

var chartKinds = [...]string{"lines", "stacked", "bars", "steps", "scatter"}

// String returns "lines", "stacked", "bars", "steps" or "scatter".
func (k ChartKind) String() string {
	if k < 0 || int(k) >= len(chartKinds) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return chartKinds[k]
}

// Scale is how an axis turns values into places.
type Scale int

// The scales. Elapsed and Clock are for X only; an Elapsed axis begins at 0, so that all of a run's charts have the same.
const (
	Linear  Scale = iota // begins at 0, for Y
	Log                  // values of 0 and below have no place and are gaps
	Elapsed              // seconds since the run began: 0 s, 30 s, 1 min
	Clock                // Unix seconds, shown as the time of day
)

var scales = [...]string{"linear", "log", "elapsed", "clock"}

// Combine is how the points of a series that fall into one bucket become fewer, when there are too many to draw.
type Combine int

// Extremes keeps the smallest and the largest value of a bucket, so that no spike gets lost: for latencies. Mean keeps
// areas true: for rates and for parts of a total; a StackedChart always takes it.
const (
	Extremes Combine = iota
	Mean
)

// Bounds of a chart. What is beyond them is counted below the chart, never dropped unsaid.
const (
	MaxPoints = 1200 // of a series in JSON and CSV; a series with more is combined into buckets
	maxDrawn  = 560  // of a series in a picture, about one for every pixel of a phone
	maxSeries = 24   // of a chart
	maxBars   = 50   // of a chart
	maxMarks  = 26   // marks and spans of a chart together: one for every letter
	maxBounds = 8    // of a chart
)

// A Chart shows numbers as a picture in HTML and as data in JSON and CSV. Text and Markdown say nothing about it unless
// InText asks for it. A chart without a single number says so in its place.
type Chart struct {
	Name    string // short and the same in every report of a kind ("latency"), as a table's name
	Title   string // the heading
	Caption string // optional sentence below the heading: what to look for
	Kind    ChartKind
	X, Y    Axis // a BarChart has values on Y and no X
	Series  []Series
	Bars    []Bar   // of a BarChart: one value per series each
	Bounds  []Bound // dashed lines across: what a check allows
	Spans   []Span  // shaded stretches of X
	Marks   []Mark  // lines at one X
	Combine Combine
	Within  string  // of a BarChart: what the bars' ranges are, "the plan's figure"
	InText  bool    // text and Markdown show it as a small table with bars or sparklines
	Part    string  // the name of the part of the page in which it stands; empty, or of no part: among the charts at the end
	Small   bool    // on a wide page it stands beside its small neighbours of the same part, lower than others
	From    float64 // the means and largest values beside the picture are of X from here on: behind a warm-up
}

// An Axis has a label and a unit. The units "s" (seconds), "B" (bytes) and "%" are written in the size that reads best
// (250 ms, 64 MiB); any other unit stands behind the number as it is ("/s").
type Axis struct {
	Label string
	Unit  string
	Scale Scale
	Min   float64        // of Y on a log scale: the axis begins no higher; 0 leaves it to the data
	Max   float64        // the axis reaches at least this far; 0 leaves it to the data
	Zone  *time.Location // of a Clock axis; nil is UTC
}

// A Series is one line, area or set of dots. Of a BarChart it names and colours one part of every bar.
type Series struct {
	Name   string
	Color  Color    // empty takes the next colour
	Whole  *float64 // what its maker counted over the whole time: it stands beside the picture instead of last and mean
	Points []Point
	Line   bool    // in a ScatterChart: a curve instead of dots
	Band   []Range // around a line: where the truth lies with some likelihood
}

// A Point with a Y of NaN or ±Inf is a gap; one whose X is not finite is left out. In a StepChart Y holds from X to the
// next point's X, and the last point only ends the last step. In a StackedChart a series without a value where others
// have one counts as 0 there.
type Point struct{ X, Y float64 }

// A Range is what a band covers at X, or what a bar was expected to be.
type Range struct{ X, Low, High float64 }

// A Bar is one line of a ranking.
type Bar struct {
	Label  string    // cut in the picture
	Title  string    // the whole text, shown on hover and in the table of values; empty: the label
	Values []float64 // one per series, or one when there are no series
	Text   string    // stands behind the bar; empty: the sum of the values with the axis's unit
	Within *Range    // the values that were expected, Low to High, drawn behind the bar; X says nothing
}

// A Bound is a dashed line at a value of Y.
type Bound struct {
	Value float64
	Label string // "bound 8 s"
}

// A Span is a stretch of X during which something was so.
type Span struct {
	From, To float64
	Label    string // "fault injected"
}

// A Mark is something that happened at X.
type Mark struct {
	X     float64
	Label string
}

// Every returns points from start on, step apart, for values taken at a steady pace.
func Every(start, step float64, values []float64) []Point {
	points := make([]Point, len(values))
	for i, v := range values {
		points[i] = Point{X: start + float64(i)*step, Y: v}
	}
	return points
}

// check finds what whoever made the chart got wrong. Odd numbers are no error: they become gaps.
func (c Chart) check() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("write chart %q: "+format, append([]any{c.Name}, args...)...))
	}
	if c.Kind < 0 || int(c.Kind) >= len(chartKinds) {
		fault("%v is none of %v", c.Kind, chartKinds)
	}
	for _, a := range []Axis{c.X, c.Y} {
		if a.Scale < 0 || int(a.Scale) >= len(scales) {
			fault("scale %d of axis %q is none of %v", int(a.Scale), a.Label, scales)
		}
	}
	if c.Y.Scale == Elapsed || c.Y.Scale == Clock {
		fault("the Y axis has the scale %s, which is for X", scales[c.Y.Scale])
	}
	if c.Kind == StackedChart && c.Y.Scale == Log {
		fault("areas on a log scale would lie about their share")
	}
	for i, b := range c.Bars {
		if want := max(1, len(c.Series)); len(b.Values) != want {
			fault("bar %d has %d values for %d series", i+1, len(b.Values), want)
		}
	}
	return errors.Join(errs...)
}

// whole reports whether its maker gave figures of the whole time.
func (c Chart) whole() bool {
	return slices.ContainsFunc(c.Series, func(s Series) bool { return s.Whole != nil })
}

// empty reports whether there is nothing to draw.
func (c Chart) empty() bool {
	for _, b := range c.Bars {
		for _, v := range b.Values {
			if usable(v) {
				return false
			}
		}
	}
	for _, s := range c.Series {
		for _, p := range s.Points {
			if usable(p.X) && usable(p.Y) && (c.Y.Scale != Log || p.Y > 0) && (c.X.Scale != Log || p.X > 0 || c.Kind == StepChart) {
				return false
			}
		}
	}
	return true
}

// usable reports whether v has a place on an axis. The bound keeps sums and differences of two values finite.
func usable(v float64) bool { return math.Abs(v) <= 1e18 }
