package reports

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const (
	// maxMarkdown keeps the file below GitHub's bound on a step summary (1 MiB), with room for what else the step writes.
	maxMarkdown = 960 << 10
	// maxMarkdownRows ends the rows of tables earlier, so that the facts and notes behind them are not the ones to go.
	maxMarkdownRows = 900 << 10
)

// WriteMarkdown writes GitHub Markdown of at most 960 KiB; what did not fit is counted in its last line. Every cell is
// escaped, so it shows as it is: pipes and line breaks do not break the table, HTML and links stay text.
func (r Report) WriteMarkdown(w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	var m markdown
	m.line("# " + markdownCell(r.Title))
	if r.Judged {
		m.line(strings.TrimRight(fmt.Sprintf("\n**%s %s** %s", r.Verdict.Mark(), r.Verdict, markdownCell(r.Summary)), " "))
	} else if r.Summary != "" {
		m.line("\n" + markdownLine(r.Summary))
	}
	if len(r.Checks) > 0 {
		m.table(r.markedChecks())
	}
	for _, t := range r.Tables {
		m.table(t)
	}
	for _, c := range r.Charts {
		if t, ok := c.textTable(); ok {
			m.table(t)
		}
	}
	if len(r.Facts) > 0 {
		facts := Table{Columns: []Column{{Name: "Fact"}, {Name: "Value"}}}
		for _, f := range r.Facts {
			facts.Rows = append(facts.Rows, []string{f.Name, f.Value})
		}
		m.table(facts)
	}
	for i, note := range r.Notes {
		if i == 0 {
			m.line("")
		}
		m.line("- " + markdownLine(note))
	}
	if m.lost > 0 {
		fmt.Fprintf(&m.buf, "\n%d more lines did not fit; the JSON and CSV forms have them.\n", m.lost)
	}
	if _, err := w.Write(m.buf.Bytes()); err != nil {
		return fmt.Errorf("write Markdown report: %w", err)
	}
	return nil
}

// markedChecks is the table of checks for people: the mark first, the reason or the why last.
func (r Report) markedChecks() Table {
	t := Table{Name: "checks", Columns: []Column{
		{Name: ""}, {Name: "Check"}, {Name: "Metric"}, {Name: "Measured", Align: Right}, {Name: "Bound", Align: Right}, {Name: "Reason"}, {Name: "Why"},
	}}
	for _, c := range r.Checks {
		reason := c.Reason
		if c.Verdict != Pass {
			reason = c.reason()
		}
		t.Rows = append(t.Rows, []string{c.Verdict.Mark(), c.Name, c.Metric, c.Measured, c.Bound, reason, c.Why})
	}
	return t
}

type markdown struct {
	buf  bytes.Buffer
	lost int // lines that did not fit
}

func (m *markdown) line(s string) { m.bounded(s, maxMarkdown) }

// bounded reports whether the line fitted below the bound.
func (m *markdown) bounded(s string, bound int) bool {
	if m.buf.Len()+len(s)+1 > bound {
		m.lost++
		return false
	}
	m.buf.WriteString(s)
	m.buf.WriteByte('\n')
	return true
}

func (m *markdown) table(t Table) {
	if len(t.Columns) == 0 {
		return
	}
	if t.Caption != "" {
		m.line("\n### " + markdownCell(t.Caption))
	}
	head, rule := "\n|", "|"
	for _, c := range t.Columns {
		head += " " + markdownCell(c.Name) + " |"
		if c.Align == Right {
			rule += " ---: |"
		} else {
			rule += " --- |"
		}
	}
	m.line(head + "\n" + rule) // one line for the bound: a head without its rule is no table
	var row strings.Builder
	rows := padded(t)
	for i, cells := range rows {
		row.Reset()
		row.WriteByte('|')
		for _, cell := range cells {
			row.WriteString(" " + markdownCell(cell) + " |")
		}
		if !m.bounded(row.String(), maxMarkdownRows) { // a shorter, later row would look as if it came next
			m.lost += len(rows) - i - 1
			return
		}
	}
}

// blockStart is what makes a block of a line's beginning: a list item, or the underline of a heading.
var blockStart = regexp.MustCompile(`^([0-9]*)([-+=.)])`)

// markdownLine is markdownCell for text that begins a line.
func markdownLine(s string) string { return blockStart.ReplaceAllString(markdownCell(s), `$1\$2`) }

// markdownCell escapes every character that CommonMark, GitHub's tables or its math give a meaning, and writes a line
// break as <br>. Other control characters become U+FFFD.
func markdownCell(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(strings.TrimSpace(printable(s, true)), "\r\n", "\n") {
		switch r {
		case '\n', '\r':
			b.WriteString("<br>")
		case '\\', '`', '*', '_', '[', ']', '<', '>', '#', '|', '~', '$', '&':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
