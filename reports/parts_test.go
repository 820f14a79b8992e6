package reports

import (
	"math"
	"strings"
	"testing"
)

func TestPartsStandInOrder(t *testing.T) {
	r := parted()
	page := written(t, r)
	at := 0
	for _, want := range []string{
		`class="verdict fail"`, `id="p1"><h2>Plan</h2>`, "What the plan says.", `<div class="panels">`, "Errors beside the plan", `id="p2"><h2>Users</h2>`,
		"Latency over time", `<div class="panels">`, "Latency distribution", "Memory of the server", "</div>", `id="p4"><h2>Server</h2>`, "First.", "Second.", "Requests and errors", "Capacity", "Open streams",
		"Top 20 Slowest", `id="p5"><h2>All checks</h2>`, `<table class="checks">`, `id="tables"><h2>Tables</h2>`, "in no part", `id="facts"`, "this page has the figures without what they were drawn",
	} {
		i := strings.Index(page[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come after what should stand before it", want)
		}
		at += i
	}
	for what, n := range map[string]int{"<h2>Nothing</h2>": 0, `id="charts"`: 0, "<h2>Checks</h2>": 0, `<table class="checks">`: 1, "<figure": len(r.Charts)} {
		if got := strings.Count(page, what); got != n {
			t.Errorf("%s stands there %d times, want %d", what, got, n)
		}
	}
	all := checkHTML(t, page)
	if json := embedded(t, all); !strings.Contains(json, `"data":{"p95_ms":1}`) {
		t.Errorf("the page carries the data that is too much for it: %.300s", json)
	}
	if opened, closed := strings.Count(page, "<div"), strings.Count(page, "</div>"); opened != closed {
		t.Errorf("%d divs are opened and %d closed", opened, closed)
	}
}

// Bars with a range are narrow, so that it shows behind them, and a range of one value still has a width.
func TestBarsBesideTheirRange(t *testing.T) {
	r := parted()
	r.Charts = r.Charts[len(r.Charts)-1:]
	page := written(t, r)
	for _, want := range []string{
		`<rect class="wi" x="667" width="333" height="40"/><rect class="ar k1" x="0" width="860" y="11" height="18"/>`,           // 20 to 30 of 30, and 25.8
		`<rect class="wi" x="167" width="6" height="40"/><rect class="ar k1" x="0" width="3" y="11" height="18"/>`,               // 5 is 5 to 5
		`<rect class="wi" width="28" height="12"/></svg>the plan&#39;s figure</li>`, `<td>20% to 30%</td>`, `<td>25.8% (20-30%)`, // and in words
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, odd := range []Range{{Low: 5, High: 1}, {Low: math.NaN(), High: 1}, {Low: 0, High: math.Inf(1)}, {Low: -1e300, High: 1e300}, {Low: -5, High: -1}} {
		r.Charts[0].Bars[0].Within = &odd
		checkSVG(t, checkHTML(t, written(t, r)))
	}
}

// What is overall is its maker's figure, and the largest value is of the time behind the warm-up.
func TestFiguresBesideThePicture(t *testing.T) {
	c := Chart{X: Axis{Scale: Elapsed}, From: 2, Series: []Series{{Name: "a", Points: Every(0, 1, []float64{100, 90, 3, 5, 4})}}}
	page := written(t, Report{Charts: []Chart{c}})
	if want := `<td class="r">4</td><td class="r">4</td><td class="r">5</td>`; !strings.Contains(page, want) { // last, mean and max
		t.Errorf("no %s", want)
	}
	whole := 7.5
	c.Series[0].Whole = &whole
	c.Series = append(c.Series, Series{Name: "b", Points: Every(0, 1, []float64{100, 90})})
	page = written(t, Report{Charts: []Chart{c}})
	for _, want := range []string{`>overall</th>`, `<td class="r">7.5</td><td class="r">5</td>`, `<td class="r">–</td><td class="r">100</td>`} { // of b nothing is behind the warm-up
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

// All charts of a run begin at its beginning, whenever their first value was seen.
func TestElapsedAxesBeginTogether(t *testing.T) {
	late := newPlot(Chart{X: Axis{Scale: Elapsed, Max: 60}, Series: []Series{{Points: Every(12, 1, []float64{1, 2})}}})
	if late.x.low != 0 || late.x.high != 60 {
		t.Errorf("the axis runs from %v to %v", late.x.low, late.x.high)
	}
	low := newPlot(Chart{Y: Axis{Scale: Log, Min: 0.001, Max: 10}, Series: []Series{{Points: Every(0, 1, []float64{1, 2})}}})
	if low.y.low != 0.001 || low.y.high != 10 {
		t.Errorf("the axis runs from %v to %v", low.y.low, low.y.high)
	}
	many := Chart{Small: true, Series: []Series{{Points: Every(0, 1, make([]float64, 5000))}}}
	if n := len(newPlot(many).points[0]); n > maxDrawn/2 {
		t.Errorf("a small chart draws %d points", n)
	}
}
