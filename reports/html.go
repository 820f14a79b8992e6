package reports

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"strings"
)

const (
	// maxHTMLRows of a table are on the page; a browser gets slow with more.
	maxHTMLRows = 2000
	// A cell of more than maxCell bytes shows two lines and unfolds, or one statement would fill a phone's screen.
	maxCell = 160
	// maxEmbeddedJSON is how large the report's JSON may be to be part of the page.
	maxEmbeddedJSON = 2 << 20
	// maxEmbeddedPoints of all charts together are part of that JSON; they are in the pictures already.
	maxEmbeddedPoints = 4000
)

var (
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// pageCSP lets the page load nothing from anywhere, whatever a cell might have managed to say.
const pageCSP = `default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'`

// WriteHTML writes one page that needs nothing else: no network and, to read it, no JavaScript. Charts are SVG drawn here.
// Every cell is shown as text whatever it says. Tables have at most 2,000 rows on the page; the report's JSON is part of
// the page unless it is larger than 2 MiB, and the page says what is missing.
func (r Report) WriteHTML(w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	embedded, left, err := r.embeddedJSON()
	if err != nil {
		return err
	}
	var p page
	p.head(r)
	p.parts(r)
	p.facts(r.Facts)
	p.notes(r.Notes)
	if left != "" {
		p.write(`<p class="note">`, esc(left), "</p>\n")
	}
	p.write("</main>\n")
	if embedded != nil {
		p.write(`<script type="application/json" id="report">`, string(embedded), "</script>\n")
	}
	p.write("<script>\n", pageJS, "</script>\n</body>\n</html>\n")
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write HTML report: %w", err)
	}
	return nil
}

// embeddedJSON is the JSON form on one line, safe within a script element, and what was left out of it.
func (r Report) embeddedJSON() (embedded []byte, left string, err error) {
	points := 0
	for _, c := range r.Charts {
		for _, s := range c.Series {
			points += min(len(s.Points), MaxPoints)
		}
	}
	withPoints := points <= maxEmbeddedPoints
	if !withPoints {
		left = fmt.Sprintf("The JSON within this page leaves out the %d points of the charts; the JSON form (--format json) has them.", points)
	}
	if r.Page != nil {
		r.Data = r.Page
	}
	body, err := r.marshal(withPoints)
	if err != nil {
		return nil, "", err
	}
	// Of a script element's content only < matters ("</script", "<!--"); json.HTMLEscape takes that, > and & as well.
	var safe bytes.Buffer
	json.HTMLEscape(&safe, body)
	if safe.Len() > maxEmbeddedJSON {
		return nil, fmt.Sprintf("The report's JSON is not part of this page: it has %d bytes, the page holds at most %d. The JSON form (--format json) has it.",
			safe.Len(), maxEmbeddedJSON), nil
	}
	if r.Page != nil {
		left = strings.TrimSpace(left + " The JSON within this page has the figures without what they were drawn and counted from; the result's own file (--out) has all of it.")
	}
	return safe.Bytes(), left, nil
}

// hatches are laid over areas and bars whose colours alone could be mistaken for each other.
const hatches = `<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>` +
	`<pattern id="h1" width="16" height="16" patternUnits="userSpaceOnUse"><path class="hd" d="M-4 4l8-8M0 16L16 0M12 20l8-8"/></pattern>` +
	`<pattern id="h2" width="16" height="16" patternUnits="userSpaceOnUse"><path class="hd" d="M12-4l8 8M0 0l16 16M-4 12l8 8"/></pattern>` +
	`<pattern id="h3" width="12" height="12" patternUnits="userSpaceOnUse"><circle class="hf" cx="6" cy="6" r="2.6"/></pattern>` +
	`<pattern id="h4" width="12" height="12" patternUnits="userSpaceOnUse"><path class="hd" d="M0 6h12"/></pattern></defs></svg>` + "\n"

// A page collects HTML. What comes from outside goes through esc; write adds its arguments as they are.
type page struct{ buf bytes.Buffer }

func (p *page) write(parts ...string) {
	for _, s := range parts {
		p.buf.WriteString(s)
	}
}

// esc makes s text or the value of a quoted attribute. Control and bidirectional characters become U+FFFD.
func esc(s string) string { return html.EscapeString(printable(s, true)) }

func (p *page) head(r Report) {
	title := oneLine(r.Title)
	p.write("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
		`<meta http-equiv="Content-Security-Policy" content="`, pageCSP, "\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n",
		"<meta name=\"referrer\" content=\"no-referrer\">\n<title>", esc(title), "</title>\n<style>\n", pageCSS, "</style>\n</head>\n<body>\n", hatches, "<main>\n",
		"<h1>", esc(title), "</h1>\n")
	switch {
	case r.Judged:
		p.write(`<p class="verdict `, r.Verdict.String(), `"><strong><span aria-hidden="true">`, r.Verdict.Mark(), `</span> `,
			strings.ToUpper(r.Verdict.String()), `</strong> `, esc(oneLine(r.Summary)), "</p>\n")
	case r.Summary != "":
		p.write(`<p class="summary">`, esc(oneLine(r.Summary)), "</p>\n")
	}
}

func (p *page) checks(checks []Check) {
	if len(checks) == 0 {
		return
	}
	p.write("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Checks\"><table class=\"checks\"><thead><tr>",
		`<th scope="col">Verdict</th><th scope="col">Check</th><th scope="col">Metric</th><th scope="col" class="r">Measured</th>`,
		`<th scope="col" class="r">Bound</th><th scope="col">Why</th></tr></thead><tbody>`, "\n")
	for _, c := range checks {
		p.write(`<tr><td class="mark `, c.Verdict.String(), `"><span aria-hidden="true">`, c.Verdict.Mark(), `</span> `, c.Verdict.String(),
			`</td><th scope="row">`, esc(c.Name), `</th><td><code>`, esc(c.Metric), `</code></td><td class="r">`, esc(c.Measured),
			`</td><td class="r">`, esc(c.Bound), `</td><td class="w">`)
		reason := c.Reason
		if c.Verdict != Pass {
			reason = c.reason()
		}
		if reason != "" {
			p.write(`<strong>`, esc(reason), `</strong>`)
		}
		if c.Why != "" {
			if reason != "" {
				p.write(`<br>`)
			}
			p.write(esc(c.Why))
		}
		p.write("</td></tr>\n")
	}
	p.write("</tbody></table></div>\n")
}

// table writes a table into a box of its own, which scrolls when the table is wider than the screen.
func (p *page) table(t Table, class string) {
	if len(t.Columns) == 0 {
		return
	}
	label := oneLine(t.Caption)
	if label == "" {
		label = oneLine(t.Name)
	}
	if label == "" {
		label = "Table"
	}
	p.write(`<div class="scroll" tabindex="0" role="region" aria-label="`, esc(label), `"><table`)
	numbers := mostlyNumbers(t)
	if numbers {
		class = strings.TrimSpace(class + " n")
	}
	if class != "" {
		p.write(` class="`, class, `"`)
	}
	p.write(`><caption>`, esc(label), "</caption><thead><tr>")
	classes := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		switch {
		case c.Align == Left && c.Wrap:
			classes[i] = ` class="w"`
		case c.Align == Left && numbers:
			classes[i] = ` class="l"`
		case c.Align == Right && !numbers:
			classes[i] = ` class="r"`
		}
		p.write(`<th scope="col"`, classes[i], `>`, esc(oneLine(c.Name)), `</th>`)
	}
	p.write("</tr></thead><tbody>\n")
	rows := padded(t)
	for _, row := range rows[:min(len(rows), maxHTMLRows)] {
		p.write(`<tr>`)
		for i, cell := range row {
			p.write(`<td`, cellClass(t.Columns[i], classes[i], cell), `>`)
			if len(cell) > maxCell {
				p.write(`<details><summary>`, esc(cell), `</summary></details></td>`)
				continue
			}
			p.write(esc(cell), `</td>`)
		}
		p.write("</tr>\n")
	}
	p.write("</tbody></table></div>")
	switch {
	case len(rows) == 0:
		p.write(`<p class="note">No rows.</p>`)
	case len(rows) > maxHTMLRows:
		p.write(fmt.Sprintf(`<p class="note">%d more rows are not on this page; the JSON and CSV forms have them.</p>`, len(rows)-maxHTMLRows))
	}
}

// mostlyNumbers reports whether more columns stand on the right than on the left. The table then has that side, and only
// the others a class of their own: a fifth of a usual page.
func mostlyNumbers(t Table) bool {
	right := 0
	for _, c := range t.Columns {
		if c.Align == Right {
			right++
		}
	}
	return 2*right > len(t.Columns)
}

// cellClass colours a cell that is a verdict's mark and nothing else, and gives a long text room to break.
func cellClass(c Column, class, cell string) string {
	for _, v := range []Verdict{Inconclusive, Pass, Fail} {
		if cell == v.Mark() {
			return ` class="mark ` + v.String() + `"`
		}
	}
	if c.Align == Left && len(cell) > 40 {
		return ` class="w"`
	}
	return class
}

func (p *page) facts(facts []Fact) {
	if len(facts) == 0 {
		return
	}
	p.write("<section id=\"facts\"><h2>Facts</h2>\n<dl>\n")
	for _, f := range facts {
		p.write(`<div><dt>`, esc(f.Name), `</dt><dd>`, esc(f.Value), "</dd></div>\n")
	}
	p.write("</dl></section>\n")
}

func (p *page) notes(notes []string) {
	if len(notes) == 0 {
		return
	}
	p.write("<section id=\"notes\"><h2>Notes</h2>\n<ul>\n")
	for _, n := range notes {
		p.write(`<li>`, esc(n), "</li>\n")
	}
	p.write("</ul></section>\n")
}
