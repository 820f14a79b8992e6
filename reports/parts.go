package reports

import (
	"fmt"
	"slices"
	"strconv"
)

// parts writes the checks, the parts of the page, and what stands in none of them.
func (p *page) parts(r Report) {
	if len(r.Checks) > 0 && !slices.ContainsFunc(r.Parts, func(one Part) bool { return one.Checks }) {
		p.write("<section id=\"checks\"><h2>Checks</h2>\n")
		p.checks(r.Checks)
		p.write("</section>\n")
	}
	named := func(name string) bool {
		return slices.ContainsFunc(r.Parts, func(one Part) bool { return one.Name == name })
	}
	for i, one := range r.Parts {
		in := func(name string) bool { return name == one.Name }
		if len(one.Lead) == 0 && !r.has(in) && !(one.Checks && len(r.Checks) > 0) {
			continue
		}
		p.write(fmt.Sprintf(`<section class="part" id="p%d"><h2>`, i+1), esc(oneLine(one.Name)), "</h2>\n")
		for _, lead := range one.Lead {
			p.write(`<p class="lead">`, esc(oneLine(lead)), "</p>\n")
		}
		if one.Checks {
			p.checks(r.Checks)
		}
		p.charts(r.Charts, in)
		p.tables(r.Tables, in)
		p.write("</section>\n")
	}
	other := func(name string) bool { return !named(name) }
	if slices.ContainsFunc(r.Charts, func(c Chart) bool { return other(c.Part) }) {
		p.write("<section id=\"charts\"><h2>Charts</h2>\n")
		p.charts(r.Charts, other)
		p.write("</section>\n")
	}
	if slices.ContainsFunc(r.Tables, func(t Table) bool { return other(t.Part) }) {
		p.write("<section id=\"tables\"><h2>Tables</h2>\n")
		p.tables(r.Tables, other)
		p.write("</section>\n")
	}
}

// has reports whether a chart or a table stands in the parts that in accepts.
func (r Report) has(in func(string) bool) bool {
	return slices.ContainsFunc(r.Charts, func(c Chart) bool { return in(c.Part) }) ||
		slices.ContainsFunc(r.Tables, func(t Table) bool { return in(t.Part) })
}

// charts writes those of a part. Small ones that follow each other stand side by side where there is room.
func (p *page) charts(charts []Chart, in func(part string) bool) {
	beside := false
	for i, c := range charts {
		if !in(c.Part) {
			continue
		}
		if c.Small != beside {
			p.write(map[bool]string{true: `<div class="panels">`, false: "</div>\n"}[c.Small])
			beside = c.Small
		}
		p.figure(c, "c"+strconv.Itoa(i+1))
	}
	if beside {
		p.write("</div>\n")
	}
}

func (p *page) tables(tables []Table, in func(part string) bool) {
	for i, t := range tables {
		if in(t.Part) {
			p.write(fmt.Sprintf(`<div class="box" id="t%d">`, i+1))
			p.table(t, "")
			p.write("</div>\n")
		}
	}
}
