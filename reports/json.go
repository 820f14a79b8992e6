package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// document is the JSON form. The order of its fields is the order in the file; readers may rely on names only.
type document struct {
	SchemaVersion int             `json:"schema_version"`
	Title         string          `json:"title"`
	Verdict       *Verdict        `json:"verdict,omitempty"`
	Summary       string          `json:"summary,omitempty"`
	Facts         []Fact          `json:"facts"`
	Checks        []Check         `json:"checks"`
	Tables        []Table         `json:"tables"`
	Notes         []string        `json:"notes"`
	Data          any             `json:"data,omitempty"`
	Charts        []chartDocument `json:"charts,omitempty"`
}

// WriteJSON writes one indented JSON object that begins with schema_version. Lists are never null; "verdict" is there
// only when the report was judged; "data" holds Data as it marshals; "charts", one a line, is there when there are any.
func (r Report) WriteJSON(w io.Writer) error {
	if err := r.check(); err != nil {
		return err
	}
	d := r.document()
	var buf bytes.Buffer
	if err := encode(&buf, d, "  "); err != nil {
		return fmt.Errorf("write JSON report: %w", err)
	}
	if len(r.Charts) > 0 {
		buf.Truncate(buf.Len() - len("\n}\n"))
		buf.WriteString(",\n  \"charts\": [")
		for i, c := range r.Charts { // a point a line would make the file three times as long
			if i > 0 {
				buf.WriteByte(',')
			}
			buf.WriteString("\n    ")
			if err := encode(&buf, c.document(true), ""); err != nil {
				return fmt.Errorf("write JSON report: %w", err)
			}
			buf.Truncate(buf.Len() - 1)
		}
		buf.WriteString("\n  ]\n}\n")
	}
	if _, err := w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write JSON report: %w", err)
	}
	return nil
}

// marshal is the JSON form on one line, with the charts' points or without.
func (r Report) marshal(points bool) ([]byte, error) {
	d := r.document()
	for _, c := range r.Charts {
		d.Charts = append(d.Charts, c.document(points))
	}
	var buf bytes.Buffer
	if err := encode(&buf, d, ""); err != nil {
		return nil, fmt.Errorf("write JSON report: %w", err)
	}
	return buf.Bytes(), nil
}

func encode(buf *bytes.Buffer, v any, indent string) error {
	enc := json.NewEncoder(buf)
	enc.SetIndent("", indent)
	enc.SetEscapeHTML(false) // the file is not embedded in a page; "p95 > 8s" stays readable
	return enc.Encode(v)
}

// document is the report without its charts.
func (r Report) document() document {
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
	return d
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
