package reports

import (
	"encoding/json"
	"fmt"
	"io"
)

// document is the JSON form. The order of its fields is the order in the file; readers may rely on names only.
type document struct {
	SchemaVersion int      `json:"schema_version"`
	Title         string   `json:"title"`
	Verdict       *Verdict `json:"verdict,omitempty"`
	Summary       string   `json:"summary,omitempty"`
	Facts         []Fact   `json:"facts"`
	Checks        []Check  `json:"checks"`
	Tables        []Table  `json:"tables"`
	Notes         []string `json:"notes"`
	Data          any      `json:"data,omitempty"`
}

// WriteJSON writes one indented JSON object that begins with schema_version. Lists are never null; "verdict" is there
// only when the report was judged; "data" holds Data as it marshals.
func (r Report) WriteJSON(w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	d := document{
		SchemaVersion: SchemaVersion, Title: r.Title, Summary: r.Summary,
		Facts: filled(r.Facts), Checks: filled(r.Checks), Notes: filled(r.Notes), Data: r.Data,
		Tables: make([]Table, 0, len(r.Tables)),
	}
	if r.Judged {
		d.Verdict = &r.Verdict
	}
	for _, t := range r.Tables {
		t.Columns, t.Rows = filled(t.Columns), padded(t)
		d.Tables = append(d.Tables, t)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // the file is not embedded in a page; "p95 > 8s" stays readable
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write JSON report: %w", err)
	}
	return nil
}

// filled makes a nil list an empty one, so that JSON has [] and never null.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// padded gives every row as many cells as the table has columns.
func padded(t Table) [][]string {
	rows := make([][]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make([]string, len(t.Columns))
		copy(rows[i], row)
	}
	return rows
}
