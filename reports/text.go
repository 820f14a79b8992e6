package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// TextOptions fit the text form to a terminal.
type TextOptions struct {
	Color bool // ANSI colours on verdicts and marks; without them everything still reads
	Width int  // columns of the terminal; 0 or less cuts nothing
}

// WriteText writes the report for a terminal: the verdict, then checks, tables, facts and notes.
// Long cells are cut with … and optional columns left out until a table fits the width; numbers are never cut, so a table
// of many numbers may still be wider. Control characters, also escape sequences hidden in a cell, are not passed on.
func (r Report) WriteText(w io.Writer, opt TextOptions) error {
	if err := r.check(); err != nil {
		return err
	}
	var buf bytes.Buffer
	fmt.Fprintln(&buf, oneLine(r.Title))
	if r.Judged {
		verdict := r.Verdict.Mark() + " " + strings.ToUpper(r.Verdict.String())
		fmt.Fprintln(&buf, strings.TrimRight(paint(opt, r.Verdict, verdict)+"  "+oneLine(r.Summary), " "))
	} else if r.Summary != "" {
		fmt.Fprintln(&buf, wrap(oneLine(r.Summary), "", opt.Width))
	}
	if err := r.writeChecks(&buf, opt); err != nil {
		return err
	}
	for _, t := range r.Tables {
		blank(&buf)
		if t.Caption != "" {
			fmt.Fprintln(&buf, oneLine(t.Caption))
		}
		if err := writeTable(&buf, t, opt); err != nil {
			return err
		}
	}
	for _, c := range r.Charts {
		if t, ok := c.textTable(); ok {
			blank(&buf)
			fmt.Fprintln(&buf, oneLine(t.Caption))
			if err := writeTable(&buf, t, opt); err != nil {
				return err
			}
		}
	}
	writeFacts(&buf, r.Facts)
	for i, note := range r.Notes {
		if i == 0 {
			blank(&buf)
		}
		fmt.Fprintln(&buf, wrap("- "+oneLine(note), "  ", opt.Width))
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write text report: %w", err)
	}
	return nil
}

// writeChecks writes the table of checks and, below it, uncut, why those that did not pass did not.
func (r Report) writeChecks(buf *bytes.Buffer, opt TextOptions) error {
	if len(r.Checks) == 0 {
		return nil
	}
	t := Table{Name: "checks", Columns: []Column{
		{Name: ""}, {Name: "Check", Wrap: true}, {Name: "Metric", Optional: true}, {Name: "Measured", Align: Right}, {Name: "Bound", Align: Right}, {Name: "Why", Wrap: true},
	}}
	for _, c := range r.Checks {
		t.Rows = append(t.Rows, []string{c.Verdict.Mark(), c.Name, c.Metric, c.Measured, c.Bound, c.Why})
	}
	blank(buf)
	if err := writeTable(buf, t, opt); err != nil {
		return err
	}
	blank(buf)
	for _, l := range r.shortfalls() {
		line := wrap(oneLine(l.who()+": "+l.reason), "  ", opt.Width-2)
		fmt.Fprintln(buf, paint(opt, l.verdict, l.verdict.Mark())+" "+line)
	}
	return nil
}

// A shortfall is why a check did not pass, or several of them for the same reason.
type shortfall struct {
	verdict Verdict
	reason  string
	checks  []string
}

// shortfalls are those of the checks, in their order. A reason that several share, such as a generator that was late, is
// told once.
func (r Report) shortfalls() []shortfall {
	var all []shortfall
	for _, c := range r.Checks {
		if c.Verdict == Pass {
			continue
		}
		i := slices.IndexFunc(all, func(l shortfall) bool { return l.verdict == c.Verdict && l.reason == c.reason() })
		if i < 0 {
			i = len(all)
			all = append(all, shortfall{verdict: c.Verdict, reason: c.reason()})
		}
		all[i].checks = append(all[i].checks, c.Name)
	}
	return all
}

func (l *shortfall) who() string {
	if len(l.checks) == 1 {
		return l.checks[0]
	}
	return fmt.Sprintf("%d checks", len(l.checks))
}

// writeFacts aligns the values behind the longest name.
func writeFacts(buf *bytes.Buffer, facts []Fact) {
	longest := 0
	for _, f := range facts {
		longest = max(longest, width(oneLine(f.Name)))
	}
	for i, f := range facts {
		if i == 0 {
			blank(buf)
		}
		name := oneLine(f.Name)
		fmt.Fprintf(buf, "%s%s  %s\n", name, strings.Repeat(" ", longest-width(name)), oneLine(f.Value))
	}
}

// blank ends a section with one empty line, never two.
func blank(buf *bytes.Buffer) {
	if !bytes.HasSuffix(buf.Bytes(), []byte("\n\n")) {
		buf.WriteByte('\n')
	}
}

// writeTable renders a table without borders, as wide as its cells, each column two spaces from the next.
func writeTable(buf *bytes.Buffer, t Table, opt TextOptions) error {
	f := fit(t, opt.Width)
	if len(f.columns) == 0 {
		return nil
	}
	aligns := make([]tw.Align, len(f.columns))
	pads := make([]tw.Padding, len(f.columns))
	head := make([]string, len(f.columns))
	for i, c := range f.columns {
		head[i], aligns[i] = c.Name, tw.AlignLeft
		pads[i] = tw.Padding{Right: strings.Repeat(" ", gap), Overwrite: true}
		if c.Align == Right {
			aligns[i] = tw.AlignRight
		}
	}
	pads[len(pads)-1] = tw.PaddingNone
	for _, row := range f.rows {
		for i, cell := range row {
			row[i] = paintMark(opt, cell)
		}
	}
	var rendered bytes.Buffer
	tab := tablewriter.NewTable(&rendered,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Separators: tw.Separators{ShowHeader: tw.On, ShowFooter: tw.Off, BetweenRows: tw.Off, BetweenColumns: tw.Off},
				Lines:      tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.On, ShowFooterLine: tw.Off},
			},
		})),
		tablewriter.WithHeaderAutoFormat(tw.Off), tablewriter.WithHeaderAutoWrap(tw.WrapNone), tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithHeaderPaddingPerColumn(pads), tablewriter.WithRowPaddingPerColumn(pads),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
	)
	tab.Header(head)
	if err := tab.Bulk(f.rows); err != nil {
		return fmt.Errorf("render table %q: %w", t.Name, err)
	}
	if err := tab.Render(); err != nil {
		return fmt.Errorf("render table %q: %w", t.Name, err)
	}
	for line := range strings.Lines(strings.TrimSuffix(rendered.String(), "\n")) {
		fmt.Fprintln(buf, strings.TrimRight(line, " \n"))
	}
	if len(f.rows) == 0 {
		fmt.Fprintln(buf, "(no rows)")
	}
	if len(f.left) > 0 {
		fmt.Fprintln(buf, wrap(fmt.Sprintf("(left out at this width: %s)", strings.Join(f.left, ", ")), " ", opt.Width))
	}
	return nil
}

// paint colours s by a verdict: green, red, yellow.
func paint(opt TextOptions, v Verdict, s string) string {
	if !opt.Color {
		return s
	}
	code := "33"
	switch v {
	case Pass:
		code = "32"
	case Fail:
		code = "31"
	case Inconclusive:
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// paintMark colours a cell that is a verdict's mark and nothing else.
func paintMark(opt TextOptions, cell string) string {
	for _, v := range []Verdict{Inconclusive, Pass, Fail} {
		if cell == v.Mark() {
			return paint(opt, v, cell)
		}
	}
	return cell
}

// printable replaces control characters and the marks that turn the direction of text (both can make a terminal show
// something else than the bytes say) by U+FFFD; a tab becomes a space. Line breaks stay when asked for.
func printable(s string, keepBreaks bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r':
			if keepBreaks {
				return r
			}
			return ' '
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029:
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// oneLine is printable text with every run of white space made one space.
func oneLine(s string) string { return strings.Join(strings.Fields(printable(s, false)), " ") }
