package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// figure writes one chart: heading, picture, legend, and the values as a table for those who cannot see the picture.
func (p *page) figure(c Chart, id string) {
	c.X.Unit, c.Y.Unit = cut(oneLine(c.X.Unit), 12), cut(oneLine(c.Y.Unit), 12) // they stand at every tick
	class := "chart"
	if c.Small {
		class = "chart small"
	}
	p.write(`<figure class="`, class, `" id="`, id, `"><figcaption><h3>`, esc(oneLine(c.Title)), `</h3>`)
	if c.Caption != "" {
		p.write(`<p>`, esc(oneLine(c.Caption)), `</p>`)
	}
	p.write(`</figcaption>`)
	switch {
	case c.empty():
		p.write(`<p class="none">No data: nothing was measured for this chart.</p>`)
	case c.Kind == BarChart:
		p.bars(c, id)
	default:
		p.plot(newPlot(c), id)
	}
	p.write("</figure>\n")
}

func (p *page) plot(l plot, id string) {
	c := l.chart
	// What the script needs to read values back from the picture.
	p.write(fmt.Sprintf(`<div class="plot" data-x="%g %g %s" data-y="%g %g %s" data-ux="%s" data-uy="%s" data-off="%d"><div class="yl">%s</div>`,
		l.x.low, l.x.high, scales[c.X.Scale], l.y.low, l.y.high, scales[c.Y.Scale], esc(c.X.Unit), esc(c.Y.Unit), l.zoneOffset(), esc(axisLabel(c.Y))))
	p.lanes(l)
	yWant, xWant := 5, 8
	if c.Small {
		yWant, xWant = 3, 5
	}
	yTicks, xTicks := l.y.ticks(c.Y, yWant), l.x.ticks(c.X, xWant)
	p.write(`<div class="ya" aria-hidden="true">`)
	for _, t := range yTicks {
		p.write(fmt.Sprintf(`<span style="bottom:%s%%">%s</span>`, percent(l.y.place(t.value)), esc(t.label)))
	}
	p.write(`</div><div class="pa">`)
	p.svg(l, id, yTicks, xTicks)
	for i, b := range l.bounds {
		at, side := l.y.place(b.Value), "r"
		if i%2 == 1 {
			side = "l"
		}
		if at > 0.9 {
			side += " below"
		}
		p.write(fmt.Sprintf(`<span class="bl %s" style="bottom:%s%%" aria-hidden="true">%s</span>`, side, percent(at), esc(cut(oneLine(b.Label), 40))))
	}
	p.write(`</div><div class="xa" aria-hidden="true">`)
	for i, t := range xTicks {
		at := l.x.place(t.value)
		class := ""
		switch {
		case at < 0.03:
			class = " s"
		case at > 0.97:
			class = " e"
		}
		if i%2 == 1 {
			class += " o" // left out where there is little room
		}
		p.write(fmt.Sprintf(`<span class="t%s" style="left:%s%%">%s</span>`, class, percent(at), esc(t.label)))
	}
	label := axisLabel(c.X)
	if c.Small && c.X.Scale == Elapsed && c.X.Label == "" {
		label = "" // many stand together, and their ticks say that it is time
	}
	p.write(`</div><div class="xl">`, esc(label), `</div></div>`)
	p.legend(l)
	p.happenings(l)
	for _, note := range l.notes {
		p.write(`<p class="note">`, esc(oneLine(note)), `</p>`)
	}
	p.values(c)
}

// zoneOffset is what the script adds to Unix seconds to show the time of day, in seconds.
func (l plot) zoneOffset() int {
	if l.chart.X.Scale != Clock {
		return 0
	}
	_, offset := clock(l.x.low, l.chart.X.Zone).Zone()
	return offset
}

func axisLabel(a Axis) string {
	label := cut(oneLine(a.Label), 60)
	switch a.Scale {
	case Elapsed:
		if label == "" {
			label = "time since the beginning"
		}
	case Clock:
		zone := "UTC"
		if a.Zone != nil {
			zone = a.Zone.String()
		}
		label = strings.TrimSpace(label + " " + zone)
	case Log:
		label = strings.TrimSpace(label + " (log scale)")
	case Linear:
	}
	return label
}

// svg draws from the back to the front: spans, grid, bands, series, bounds, marks.
func (p *page) svg(l plot, id string, yTicks, xTicks []tick) {
	c := l.chart
	p.write(fmt.Sprintf(`<svg viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-labelledby="%s-t %s-d"><title id="%s-t">%s</title><desc id="%s-d">%s</desc>`,
		plotWidth, plotHeight, id, id, id, esc(oneLine(c.Title)), id, esc(describe(l))))
	for _, s := range l.spans {
		from, to := l.px(s.From), l.px(s.To)
		p.write(fmt.Sprintf(`<rect class="sp" x="%d" y="0" width="%d" height="%d"/>`, from, max(to-from, 2), plotHeight))
	}
	var grid path
	for _, t := range yTicks {
		grid.to(0, l.py(t.value), true)
		grid.to(plotWidth, l.py(t.value), false)
	}
	for _, t := range xTicks {
		grid.to(l.px(t.value), 0, true)
		grid.to(l.px(t.value), plotHeight, false)
	}
	p.path("g", grid.b)
	for i, s := range c.Series {
		if d := l.band(s.Band); d != "" {
			p.path("bd "+s.Color.class(i), []byte(d))
		}
	}
	p.series(l, id)
	for _, b := range l.bounds {
		p.path("bo", fmt.Appendf(nil, "M0 %dh%d", l.py(b.Value), plotWidth))
	}
	for _, m := range l.marks {
		p.path("mk", fmt.Appendf(nil, "M%d 0v%d", l.px(m.X), plotHeight))
	}
	p.write(`</svg>`)
}

func (p *page) path(class string, d []byte) {
	if len(d) > 0 {
		p.write(`<path class="`, class, `" d="`, string(d), `"/>`)
	}
}

func (p *page) series(l plot, id string) {
	c := l.chart
	for i := range c.Series {
		if c.Kind == StackedChart { // painted over each other, the top one first
			i = len(c.Series) - 1 - i
		}
		s := c.Series[i]
		color := s.Color.class(i)
		switch c.Kind {
		case StackedChart:
			ref := fmt.Sprintf("%s-s%d", id, i)
			// The path has no colour of its own, so that its second use can have the hatching.
			p.write(fmt.Sprintf(`<g class="ar %s"><path id="%s" data-i="%d" d="%s"/></g>`, color, ref, i, l.area(l.points[i])))
			if h := s.Color.hatch(i); h > 0 {
				p.write(fmt.Sprintf(`<use class="h%d" href="#%s"/>`, h, ref))
			}
		case StepChart:
			d := l.steps(l.points[i])
			if len(c.Series) == 1 && d != "" {
				p.path("af "+color, []byte(d))
			}
			p.write(fmt.Sprintf(`<path class="ln %s d%d" d="%s"/>`, color, i%dashCount, d))
		case ScatterChart, LineChart, BarChart:
			if c.Kind == ScatterChart && !s.Line {
				p.path("dt "+color, []byte(l.dots(l.points[i])))
				continue
			}
			line, dots := l.line(l.points[i])
			p.write(fmt.Sprintf(`<path class="ln %s d%d" data-i="%d" d="%s"/>`, color, i%dashCount, i, line))
			p.path("dt "+color, []byte(dots))
		}
	}
}

// lanes are the labels above the plot. Up to three have a line each, so that they never run into each other; of more, the
// plot has letters, and what they mean stands below it.
func (p *page) lanes(l plot) {
	all := l.happened()
	if len(all) == 0 {
		return
	}
	lanes := make([]string, 1)
	lane, before := 0, -1.0
	for i, h := range all {
		at := l.x.place(h.from)
		label := string(rune('A' + i))
		switch {
		case len(all) <= 3:
			label, lane = cut(oneLine(h.label), 48), i
		case at-before < 0.05:
			lane = (lane + 1) % 4
		default:
			lane = 0
		}
		before = at
		if lane == len(lanes) {
			lanes = append(lanes, "")
		}
		side, where := "left", at
		if at > 0.5 {
			side, where = "right", 1-at
		}
		lanes[lane] += fmt.Sprintf(`<span class="%s" style="%s:%s%%;max-width:%s%%">%s</span>`, side[:1], side, percent(where), percent(1-where), esc(label))
	}
	p.write(`<div class="la" aria-hidden="true">`)
	for i := range lanes {
		p.write(`<div>`, lanes[i], `</div>`)
	}
	p.write(`</div>`)
}

// happening is a span or a mark, whose to is its from.
type happening struct {
	from, to float64
	label    string
}

func (l plot) happened() []happening {
	var all []happening
	for _, s := range l.spans {
		all = append(all, happening{s.From, s.To, s.Label})
	}
	for _, m := range l.marks {
		all = append(all, happening{m.X, m.X, m.Label})
	}
	slices.SortStableFunc(all, func(a, b happening) int { return byX(Point{X: a.from}, Point{X: b.from}) })
	return all
}

func (h happening) when(x Axis) string {
	if h.from == h.to {
		return "at " + x.at(h.from)
	}
	return x.at(h.from) + " to " + x.at(h.to)
}

// happenings lists what the letters mean; with the labels in the picture it is for screen readers only.
func (p *page) happenings(l plot) {
	all := l.happened()
	if len(all) == 0 {
		return
	}
	class := "marks"
	if len(all) <= 3 {
		class = "marks sr"
	}
	p.write(`<ol class="`, class, `" type="A">`)
	for _, h := range all {
		p.write(`<li>`, esc(cut(oneLine(h.label), 160)), ` (`, esc(h.when(l.chart.X)), `)</li>`)
	}
	p.write(`</ol>`)
}

// legend is a table: a reader wants the values of a line more often than its colour.
func (p *page) legend(l plot) {
	c := l.chart
	if len(c.Series) == 0 || c.Kind == StepChart && len(c.Series) == 1 {
		return
	}
	p.write(`<div class="scroll" tabindex="0" role="region" aria-label="Legend"><table class="legend"><thead><tr><th scope="col">Series</th>`)
	figures := []string{"last", "mean", "max"}
	switch {
	case c.Kind == StepChart:
		figures = nil
	case c.whole():
		figures = []string{"overall", "max"}
	}
	for _, name := range figures {
		p.write(`<th scope="col" class="r">`, name, `</th>`)
	}
	p.write(`</tr></thead><tbody>`)
	for i := range c.Series {
		if c.Kind == StackedChart { // as the areas lie
			i = len(c.Series) - 1 - i
		}
		s := c.Series[i]
		p.write(`<tr><th scope="row">`, swatch(c, i), `<span class="n">`, esc(cut(oneLine(s.Name), 60)), `</span></th>`)
		for _, name := range figures {
			v := map[string]float64{"last": l.stats[i].last, "mean": l.stats[i].mean, "max": l.stats[i].max, "overall": math.NaN()}[name]
			if name == "overall" && s.Whole != nil {
				v = *s.Whole
			}
			p.write(`<td class="r">`, esc(value(v, c.Y.Unit)), `</td>`)
		}
		p.write(`</tr>`)
	}
	p.write(`</tbody></table></div>`)
}

// swatch repeats the colour, dash or hatching of a series.
func swatch(c Chart, i int) string {
	s := c.Series[i]
	color := s.Color.class(i)
	out := `<svg class="sw" viewBox="0 0 28 12" aria-hidden="true">`
	switch {
	case c.Kind == StackedChart || c.Kind == BarChart:
		out += `<rect class="ar ` + color + `" width="28" height="12"/>`
		if h := s.Color.hatch(i); h > 0 {
			out += fmt.Sprintf(`<rect class="h%d" width="28" height="12"/>`, h)
		}
	case c.Kind == ScatterChart && !s.Line:
		out += `<path class="dt ` + color + `" d="M14 6h0"/>`
	default:
		out += fmt.Sprintf(`<path class="ln %s d%d" d="M0 6h28"/>`, color, i%dashCount)
	}
	return out + `</svg>`
}

// describe says in words what the picture shows.
func describe(l plot) string {
	c := l.chart
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s to %s.", map[ChartKind]string{
		LineChart: "Lines", StackedChart: "Stacked areas", StepChart: "A distribution in steps", ScatterChart: "Dots and curves",
	}[c.Kind], c.X.at(l.x.low), c.X.at(l.x.high))
	for i, s := range c.Series {
		if i == 8 {
			fmt.Fprintf(&b, " And %d more series.", len(c.Series)-i)
			break
		}
		if st := l.stats[i]; !math.IsNaN(st.mean) {
			fmt.Fprintf(&b, " %s: last %s, mean %s, largest %s.", cut(oneLine(s.Name), 60),
				value(st.last, c.Y.Unit), value(st.mean, c.Y.Unit), value(st.max, c.Y.Unit))
		}
	}
	for _, bound := range l.bounds {
		fmt.Fprintf(&b, " A dashed line at %s: %s.", value(bound.Value, c.Y.Unit), cut(oneLine(bound.Label), 60))
	}
	for _, h := range l.happened() {
		fmt.Fprintf(&b, " %s %s.", cut(oneLine(h.label), 60), h.when(c.X))
	}
	return b.String()
}

// percent is a share of 1 in percent, with as many digits as a screen can show.
func percent(share float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*share), "0"), ".")
}
