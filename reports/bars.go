package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

const barWidth = 1000 // a bar's own units

// bars writes a ranking: for every bar its label, the bar in parts, and its value.
func (p *page) bars(c Chart, id string) {
	bars, more := c.Bars, 0
	if len(bars) > maxBars {
		bars, more = bars[:maxBars], len(bars)-maxBars
	}
	longest := c.longest()
	p.write(fmt.Sprintf(`<p class="sr" id="%s-d">%d bars, the values are in the table below.</p><ol class="bars" aria-describedby="%s-d">`, id, len(bars), id))
	for _, b := range bars {
		p.bar(c, b, longest)
	}
	p.write(`</ol>`)
	if len(c.Series) > 0 || c.ranged() {
		p.write(`<ul class="keys">`)
		if c.ranged() {
			p.write(`<li><svg class="sw" viewBox="0 0 28 12" aria-hidden="true"><rect class="wi" width="28" height="12"/></svg>`, esc(cut(oneLine(c.Within), 60)), `</li>`)
		}
		for i, s := range c.Series {
			p.write(`<li>`, swatch(c, i), esc(cut(oneLine(s.Name), 60)), `</li>`)
		}
		p.write(`</ul>`)
	}
	if more > 0 {
		p.write(`<p class="note">`, strconv.Itoa(more), ` more bars are not drawn.</p>`)
	}
	p.barValues(c, bars)
}

// longest is what the longest bar stands for, above 0 and finite.
func (c Chart) longest() float64 {
	longest := 0.0
	if usable(c.Y.Max) {
		longest = max(longest, c.Y.Max)
	}
	for _, b := range c.Bars {
		longest = max(longest, sum(b.Values))
		if b.Within != nil && usable(b.Within.High) {
			longest = max(longest, b.Within.High)
		}
	}
	if longest == 0 {
		return 1
	}
	return longest
}

// ranged reports whether some bar has a range. All bars of the chart are then narrow, so that ranges show behind them.
func (c Chart) ranged() bool {
	return slices.ContainsFunc(c.Bars, func(b Bar) bool { return b.Within != nil })
}

// within draws the range behind a bar; one of no width still shows.
func (p *page) within(r *Range, longest float64) {
	if r == nil || !usable(r.Low) || !usable(r.High) || r.High < r.Low {
		return
	}
	place := func(v float64) int { return int(math.Round(min(max(v/longest, 0), 1) * barWidth)) }
	from, to := min(place(r.Low), barWidth-6), place(r.High)
	p.write(fmt.Sprintf(`<rect class="wi" x="%d" width="%d" height="40"/>`, from, max(to-from, 6)))
}

func (p *page) bar(c Chart, b Bar, longest float64) {
	p.write(`<li><span class="l" title="`, esc(cut(oneLine(b.whole()), 1000)), `">`, esc(cut(oneLine(b.Label), 160)),
		fmt.Sprintf(`</span><svg viewBox="0 0 %d 40" preserveAspectRatio="none" aria-hidden="true">`, barWidth))
	place := `height="40"`
	if c.ranged() {
		place = `y="11" height="18"`
	}
	p.within(b.Within, longest)
	done, at := 0.0, 0
	for i, v := range b.Values {
		if !usable(v) || v <= 0 {
			continue
		}
		done += v
		to := int(math.Round(min(done/longest, 1) * barWidth))
		var color Color
		if i < len(c.Series) {
			color = c.Series[i].Color
		}
		if at == 0 {
			to = max(to, 2) // little is not nothing
		}
		if to > at {
			p.write(fmt.Sprintf(`<rect class="ar %s" x="%d" width="%d" %s/>`, color.class(i), at, to-at, place))
			if h := color.hatch(i); h > 0 {
				p.write(fmt.Sprintf(`<rect class="h%d" x="%d" width="%d" %s/>`, h, at, to-at, place))
			}
			at = to
		}
	}
	p.write(`</svg><span class="v">`, esc(cut(oneLine(b.text(c.Y.Unit)), 60)), `</span></li>`)
}

func (b Bar) whole() string {
	if b.Title != "" {
		return b.Title
	}
	return b.Label
}

func (b Bar) text(unit string) string {
	if b.Text != "" {
		return b.Text
	}
	total, some := 0.0, false
	for _, v := range b.Values {
		if usable(v) {
			total, some = total+v, true
		}
	}
	if !some {
		return "–"
	}
	return value(total, unit)
}

// sum adds what can be drawn: a bar has no length below 0.
func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		if usable(v) && v > 0 {
			total += v
		}
	}
	return total
}
