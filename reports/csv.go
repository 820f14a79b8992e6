package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// WriteCSV writes every table, then the checks, the facts and the values of the charts, as RFC 4180 CSV (UTF-8, CRLF). A table begins with a
// header whose first cell is "table"; the first cell of its rows is the table's name. All records have the same number
// of cells, the shorter ones end in empty cells, so that strict readers take the file.
//
// A cell that a spreadsheet would run as a formula (it begins with = + - @ and is not a plain number) gets an apostrophe
// in front. Line breaks within a cell are written as CRLF too, tabs as spaces, other control characters and invalid UTF-8
// as U+FFFD.
func (r Report) WriteCSV(w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	tables := append(append([]Table(nil), r.Tables...), r.checksTable(), r.factsTable())
	for _, c := range r.Charts {
		if t := c.dataTable(); len(t.Rows) > 0 {
			tables = append(tables, t)
		}
	}
	width := 0
	for _, t := range tables {
		width = max(width, 1+len(t.Columns))
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	record := make([]string, width)
	write := func(first string, n int, cell func(int) string) error {
		clear(record)
		record[0] = csvCell(first)
		for i := range n {
			record[1+i] = csvCell(cell(i))
		}
		return out.Write(record)
	}
	for _, t := range tables {
		if len(t.Columns) == 0 {
			continue
		}
		if err := write("table", len(t.Columns), func(i int) string { return t.Columns[i].Name }); err != nil {
			return fmt.Errorf("write CSV report: %w", err)
		}
		for _, row := range t.Rows {
			if err := write(t.Name, len(row), func(i int) string { return row[i] }); err != nil {
				return fmt.Errorf("write CSV report: %w", err)
			}
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write CSV report: %w", err)
	}
	return nil
}

// checksTable has no columns, and so is not written, when there are no checks.
func (r Report) checksTable() Table {
	t := Table{Name: "checks"}
	if len(r.Checks) == 0 {
		return t
	}
	for _, name := range []string{"verdict", "name", "metric", "measured", "bound", "reason", "why"} {
		t.Columns = append(t.Columns, Column{Name: name})
	}
	for _, c := range r.Checks {
		t.Rows = append(t.Rows, []string{c.Verdict.String(), c.Name, c.Metric, c.Measured, c.Bound, c.Reason, c.Why})
	}
	return t
}

func (r Report) factsTable() Table {
	t := Table{Name: "facts", Columns: []Column{{Name: "name"}, {Name: "value"}}}
	t.Rows = append(t.Rows, []string{"title", r.Title})
	if r.Judged {
		t.Rows = append(t.Rows, []string{"verdict", r.Verdict.String()})
	}
	if r.Summary != "" {
		t.Rows = append(t.Rows, []string{"summary", r.Summary})
	}
	for _, f := range r.Facts {
		t.Rows = append(t.Rows, []string{f.Name, f.Value})
	}
	for _, note := range r.Notes {
		t.Rows = append(t.Rows, []string{"note", note})
	}
	return t
}

// plainNumber is what may begin with a sign and still is no formula: -3, +15%, -1.5e-3.
var plainNumber = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?%?$`)

// csvCell makes a cell safe to open in a spreadsheet. The list of leading characters is OWASP's, "CSV Injection", with
// the full-width forms that spreadsheets fold to the ASCII ones.
func csvCell(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(printable(s, true))
	trimmed := strings.TrimLeft(s, " \n\u00a0")
	if len(trimmed) == 0 {
		return s
	}
	for _, bad := range []string{"=", "+", "-", "@", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(trimmed, bad) && !plainNumber.MatchString(s) {
			return "'" + s
		}
	}
	return s
}
