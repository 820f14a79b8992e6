package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

func written(t testing.TB, r Report) string {
	t.Helper()
	var buf bytes.Buffer
	if err := r.WriteHTML(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// elements parses a page and returns every element by its name.
func elements(t testing.TB, page string) map[string][]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*html.Node{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all[n.Data] = append(all[n.Data], n)
		}
	}
	return all
}

func content(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// checkHTML demands a page in which nothing but what we wrote is an element, whatever the cells say, that loads nothing, and
// whose tables and pictures have what a screen reader needs.
func checkHTML(t testing.TB, page string) map[string][]*html.Node {
	t.Helper()
	known := strings.Fields("html head meta title style body svg defs pattern path circle rect use g desc main h1 h2 h3 p strong span section div " +
		"table caption thead tbody tr th td code br figure figcaption ol ul li details summary dl dt dd script")
	all := elements(t, page)
	for name, nodes := range all {
		if !slices.Contains(known, name) {
			t.Fatalf("the page has %d elements %s", len(nodes), name)
		}
		for _, n := range nodes {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") {
					t.Fatalf("<%s %s=%q>", name, a.Key, a.Val)
				}
			}
		}
	}
	if len(all["script"]) > 2 || len(all["style"]) != 1 || len(all["h1"]) != 1 || attribute(all["html"][0], "lang") != "en" {
		t.Fatalf("%d scripts, %d styles, %d h1, lang %q", len(all["script"]), len(all["style"]), len(all["h1"]), attribute(all["html"][0], "lang"))
	}
	for _, th := range all["th"] {
		if attribute(th, "scope") == "" {
			t.Fatalf("a head cell without scope: %q", content(th))
		}
	}
	for _, svg := range all["svg"] {
		if attribute(svg, "aria-hidden") == "" && (attribute(svg, "role") != "img" || svg.FirstChild.DataAtom != atom.Title || content(svg.FirstChild) == "" && svg.FirstChild.NextSibling == nil) {
			t.Fatal("a picture without a title")
		}
	}
	for _, div := range all["div"] {
		if attribute(div, "class") == "scroll" && (attribute(div, "tabindex") != "0" || attribute(div, "aria-label") == "") {
			t.Fatal("a box that scrolls but cannot be reached by keyboard")
		}
	}
	return all
}

func embedded(t testing.TB, all map[string][]*html.Node) string {
	t.Helper()
	if len(all["script"]) != 2 || attribute(all["script"][0], "type") != "application/json" {
		t.Fatalf("no JSON within the page")
	}
	return content(all["script"][0])
}

func TestHTMLHasEverything(t *testing.T) {
	for _, r := range []Report{odd(), profiled(), tested(), parted(), {}, {Title: "t", Judged: true}} {
		page := written(t, r)
		all := checkHTML(t, page)
		checkSVG(t, all)
		var back document
		if err := json.Unmarshal([]byte(embedded(t, all)), &back); err != nil {
			t.Fatal(err)
		}
		if back.Title != r.Title || len(back.Charts) != len(r.Charts) || len(back.Tables) != len(r.Tables) {
			t.Errorf("the JSON within the page has %q, %d charts, %d tables", back.Title, len(back.Charts), len(back.Tables))
		}
		if len(r.Parts) > 0 {
			continue // TestPartsStandInOrder
		}
		at := 0
		for _, part := range []string{"<h1>", `class="verdict`, `id="checks"`, `id="charts"`, `id="tables"`, `id="facts"`, `id="notes"`, `id="report"`} {
			i := strings.Index(page, part)
			if i >= 0 && i < at {
				t.Errorf("%s stands too early", part)
			}
			at = max(at, i)
		}
		for _, c := range r.Charts {
			if !strings.Contains(page, esc(c.Title)) {
				t.Errorf("the chart %q is not on the page", c.Title)
			}
		}
	}
}

func TestHTMLShowsHostileTextAsText(t *testing.T) {
	for _, s := range []string{
		`</script><script>alert(1)</script>`, `<!--<script>`, `"><img src=x onerror=alert(1)>`, `' onfocus='alert(1)`, `]]>`, "\u202egnp.exe\u2066", "\x00\x1b[31m", `</style><b>`,
		`</title><b>`, `&lt;b&gt;`, "javascript:alert(1)", "%s%d", "${x}", "{{.}}", strings.Repeat("<b>", 100),
	} {
		r := Report{
			Title: s, Judged: true, Summary: s, Facts: []Fact{{s, s}}, Notes: []string{s}, Data: s,
			Tables: []Table{{Name: s, Caption: s, Columns: []Column{{Name: s}}, Rows: [][]string{{s}}}},
			Checks: []Check{{s, s, s, s, s, Fail, s}},
		}
		for kind := range chartKinds {
			r.Charts = append(r.Charts, hostile(ChartKind(kind), s))
		}
		all := checkHTML(t, written(t, r))
		checkSVG(t, all)
		want := oneLine(s)
		if got := content(all["h1"][0]); got != want {
			t.Errorf("the title reads %q, want %q", got, want)
		}
		var back struct{ Data string }
		if err := json.Unmarshal([]byte(embedded(t, all)), &back); err != nil || back.Data != strings.ToValidUTF8(s, "\ufffd") {
			t.Errorf("the data reads %q, %v; want %q", back.Data, err, s)
		}
	}
}

func hostile(kind ChartKind, s string) Chart {
	c := Chart{
		Name: s, Title: s, Caption: s, Kind: kind, X: Axis{Label: s, Unit: s}, Y: Axis{Label: s, Unit: s}, Series: []Series{{Name: s, Color: Color(s), Points: Every(0, 1, []float64{1, 2})}},
		Bounds: []Bound{{1, s}, {1e6, s}}, Spans: []Span{{0, 1, s}}, Marks: []Mark{{0, s}, {1, s}, {1, s}}, InText: true,
	}
	if kind == BarChart {
		c.Bars = []Bar{{Label: s, Title: s, Values: []float64{1}, Text: s}}
	}
	return c
}

var (
	styleNumber = regexp.MustCompile(`(left|right|bottom|max-width):([^;%]*)%`)
	pathParts   = regexp.MustCompile(`[MlhvzLHV]|-?[0-9]+|[^ ]`)
)

// checkSVG demands that every place is a number within its picture and no width is below 0.
func checkSVG(t testing.TB, all map[string][]*html.Node) {
	t.Helper()
	for _, name := range []string{"path", "rect"} {
		for _, n := range all[name] {
			for _, a := range n.Attr {
				switch a.Key {
				case "x", "y", "width", "height":
					if v, err := strconv.ParseFloat(a.Val, 64); err != nil || v < 0 || v > plotWidth {
						t.Fatalf("<%s %s=%q>", name, a.Key, a.Val)
					}
				case "d":
					if class := attribute(n, "class"); class != "hd" {
						checkPath(t, a.Val)
					}
				}
			}
		}
	}
	for _, name := range []string{"span", "div"} {
		for _, n := range all[name] {
			for _, m := range styleNumber.FindAllStringSubmatch(attribute(n, "style"), -1) {
				if v, err := strconv.ParseFloat(m[2], 64); err != nil || v < 0 || v > 100 {
					t.Fatalf("style %q", attribute(n, "style"))
				}
			}
			for _, key := range []string{"data-x", "data-y"} {
				if s := attribute(n, key); s != "" {
					var low, high float64
					if _, err := fmt.Sscanf(s, "%g %g", &low, &high); err != nil || !usable(low*0.4) || !usable(high*0.4) || low >= high {
						t.Fatalf("%s %q", key, s)
					}
				}
			}
		}
	}
}

// checkPath follows a path and demands that it stays within its picture.
func checkPath(t testing.TB, d string) {
	t.Helper()
	var op string
	var numbers []int
	x, y := 0, 0
	for _, part := range append(pathParts.FindAllString(d, -1), "z") {
		n, err := strconv.Atoi(part)
		switch {
		case err == nil:
			numbers = append(numbers, n)
		case strings.Contains("Mlhvz", part):
			op, numbers = part, nil
		default:
			t.Fatalf("%q in path %q", part, d)
		}
		switch {
		case op == "M" && len(numbers) == 2:
			x, y, numbers = numbers[0], numbers[1], nil
		case op == "l" && len(numbers) == 2:
			x, y, numbers = x+numbers[0], y+numbers[1], nil
		case op == "h" && len(numbers) == 1:
			x, numbers = x+numbers[0], nil
		case op == "v" && len(numbers) == 1:
			y, numbers = y+numbers[0], nil
		}
		if x < 0 || x > plotWidth || y < 0 || y > plotHeight {
			t.Fatalf("a path leaves its picture at %d, %d: %q", x, y, d)
		}
	}
}

// FuzzChart draws whatever numbers there are, in every kind and on every scale.
func FuzzChart(f *testing.F) {
	odd := []float64{0, 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), 1e308, -1e308, 1e-308, math.SmallestNonzeroFloat64, 1e18, -1e18, 1e17, 0.1, 1_760_000_000, 1e12, -62135596800}
	for i := range odd {
		for j := range odd {
			f.Add(odd[i], odd[j], odd[(i+j)%len(odd)], uint16(i*len(odd)+j), uint16(j))
		}
	}
	f.Fuzz(func(t *testing.T, a, b, c float64, shape, n uint16) {
		values := []float64{a, b, c, a + b, b * c, math.NaN(), c, c, a / 3}
		var series [2]Series
		for i := range int(n % 2000) {
			s := &series[i%2]
			x := values[(i*7+int(shape))%len(values)]
			if shape&1 == 0 {
				x = a + float64(i)*b
			}
			s.Points = append(s.Points, Point{x, values[i%len(values)]})
			s.Band = append(s.Band, Range{x, values[(i+1)%len(values)], values[(i+2)%len(values)]})
		}
		chart := Chart{
			Kind: ChartKind(int(shape/2) % len(chartKinds)), X: Axis{Scale: Scale(int(shape/16) % 4), Unit: []string{"s", "B", ""}[shape%3], Max: a},
			Y: Axis{Scale: Scale(int(shape/64) % 2), Unit: []string{"", "s", "B", "%"}[shape%4], Max: b}, Combine: Combine(shape % 2), InText: true,
			Series: series[:], Bars: []Bar{{Values: []float64{a, b}}, {Values: []float64{c, a * b}}},
			Bounds: []Bound{{a, "a"}, {b, "b"}}, Spans: []Span{{a, b, "s"}, {b, c, "t"}}, Marks: []Mark{{c, "m"}, {a, "n"}},
		}
		if chart.Kind == StackedChart {
			chart.Y.Scale = Linear
		}
		r := Report{Charts: []Chart{chart}}
		checkSVG(t, checkHTML(t, written(t, r)))
		var buf bytes.Buffer
		if err := r.WriteJSON(&buf); err != nil || !json.Valid(buf.Bytes()) {
			t.Fatalf("%v in\n%s", err, &buf)
		}
		for _, format := range []Format{Text, Markdown, CSV} {
			if err := r.Write(io.Discard, format, TextOptions{Width: 80}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// large is the largest report that is usual: 5 charts of 4 lines with 1,200 points, and 10 tables of
// 10 rows and 8 columns.
func large() Report {
	r := tested()
	latency, table := r.Charts[0], profiled().Tables[0]
	r.Charts, r.Tables = nil, nil
	table.Columns = append(table.Columns[:7:7], table.Columns[10])
	for i, row := range table.Rows {
		table.Rows[i] = append(row[:7:7], cut(row[10], 60))
	}
	for range 5 {
		r.Charts = append(r.Charts, latency)
	}
	for range 10 {
		r.Tables = append(r.Tables, table)
	}
	return r
}

func TestHTMLIsSmall(t *testing.T) {
	r := large()
	page := written(t, r)
	if len(page) > 150<<10 {
		t.Errorf("%d bytes, want at most %d", len(page), 150<<10)
	}
	if !strings.Contains(page, "leaves out the 24000 points") || strings.Count(page, "points_left_out") != 20 {
		t.Error("the page does not say that its JSON has no points")
	}
	for range 200_000 {
		r.Tables[0].Rows = append(r.Tables[0].Rows, []string{"0123456789"})
	}
	page = written(t, r)
	if all := checkHTML(t, page); len(all["script"]) != 1 || len(page) > 1<<20 || !strings.Contains(page, "198010 more rows are not on this page") ||
		!strings.Contains(page, "is not part of this page") {
		t.Errorf("%d bytes with 200,010 rows", len(page))
	}
}

func TestChartFaults(t *testing.T) {
	f := func(c Chart, want string) {
		t.Helper()
		c.Name = "c"
		for _, format := range []Format{Text, JSON, CSV, Markdown, HTML} {
			if err := (Report{Charts: []Chart{c}}).Write(io.Discard, format, TextOptions{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", format, err, want)
			}
		}
	}
	f(Chart{Kind: 9}, `write chart "c": kind 9 is none of`)
	f(Chart{X: Axis{Scale: 7}}, "scale 7")
	f(Chart{Y: Axis{Scale: Clock}}, "which is for X")
	f(Chart{Kind: StackedChart, Y: Axis{Scale: Log}}, "log scale")
	f(Chart{Kind: BarChart, Series: make([]Series, 2), Bars: []Bar{{Values: []float64{1}}}}, "bar 1 has 1 values for 2 series")
	f(Chart{Kind: BarChart, Bars: []Bar{{}}}, "bar 1 has 0 values for 1 series")
}

func TestWhatIsNotDrawnIsSaid(t *testing.T) {
	c := Chart{X: Axis{Scale: Elapsed}, Bounds: []Bound{{1e6, "far bound"}, {math.NaN(), "no bound"}}, Marks: []Mark{{1e9, "late"}}}
	for i := range 30 {
		c.Series = append(c.Series, Series{Name: fmt.Sprint("s", i), Points: Every(0, 1, []float64{1, 2, 3})})
	}
	for i := range 40 {
		c.Marks = append(c.Marks, Mark{float64(i) / 20, fmt.Sprint("m", i)})
	}
	bars := Chart{Kind: BarChart}
	for i := range 60 {
		bars.Bars = append(bars.Bars, Bar{Label: "b", Values: []float64{float64(i)}})
	}
	page := written(t, Report{Charts: []Chart{c, bars, {Title: "none"}, {Kind: StackedChart, Series: []Series{{Points: Every(0, 1, []float64{math.NaN()})}}}}})
	checkSVG(t, checkHTML(t, page))
	for want, n := range map[string]int{
		"6 more series are not drawn.": 1, "14 more marks are not drawn.": 1, "1 mark lies outside of the chart.": 1, "10 more bars are not drawn.": 1,
		"The bound &#34;far bound&#34; (1M) lies above the chart.": 1, "The bound &#34;no bound&#34; has no place": 1, "No data: nothing was measured": 2,
	} {
		if got := strings.Count(page, want); got != n {
			t.Errorf("%q stands there %d times, want %d", want, got, n)
		}
	}
}

func TestGapsBreakLines(t *testing.T) {
	nan := math.NaN()
	page := written(t, Report{Charts: []Chart{{Series: []Series{{Points: Every(0, 1, []float64{1, 2, nan, 2, nan, 1, 1})}}}}})
	for _, n := range elements(t, page)["path"] {
		d := attribute(n, "d")
		switch class := attribute(n, "class"); {
		case strings.HasPrefix(class, "ln") && d != "M0 220l267-220M1333 220l267 0" && d != "M0 6h28":
			t.Errorf("the line is %q", d)
		case strings.HasPrefix(class, "dt") && d != "M800 0h0":
			t.Errorf("the value that stands alone is %q", d)
		}
	}
}
