// Package reports writes what a load test or a profile found, for people and for machines.
//
// A Report says nothing about where it came from. The same Report can be written as text for a terminal, as JSON, CSV,
// Markdown, JUnit XML and as a page of HTML with charts. Cells may hold anything, also text that a client or a database made up: every format keeps
// its own syntax whatever a cell says.
package reports

import (
	"fmt"
	"io"
	"strings"
)

// SchemaVersion is the version of the JSON form. It grows when a field changes its meaning or goes away; a new field
// alone does not change it.
const SchemaVersion = 1

// Verdict is what a check, or all checks of a report, came to.
type Verdict int

// The zero Verdict is Inconclusive, so a check that nobody judged can never pass.
const (
	Inconclusive Verdict = iota
	Pass
	Fail
)

// String returns "inconclusive", "pass" or "fail".
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Inconclusive:
	}
	return "inconclusive"
}

// Mark returns ✓, ✗ or ?, which read without colour.
func (v Verdict) Mark() string {
	switch v {
	case Pass:
		return "✓"
	case Fail:
		return "✗"
	case Inconclusive:
	}
	return "?"
}

// MarshalText writes String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText accepts what MarshalText writes and nothing else.
func (v *Verdict) UnmarshalText(text []byte) error {
	for _, known := range []Verdict{Inconclusive, Pass, Fail} {
		if string(text) == known.String() {
			*v = known
			return nil
		}
	}
	return fmt.Errorf("read verdict %q: not one of inconclusive, pass, fail", text)
}

// Overall is the verdict over all checks: Fail when one failed, else Inconclusive when one could not be judged or there
// are none, else Pass.
func Overall(checks []Check) Verdict {
	if len(checks) == 0 {
		return Inconclusive
	}
	all := Pass
	for _, c := range checks {
		switch c.Verdict {
		case Fail:
			return Fail
		case Inconclusive:
			all = Inconclusive
		case Pass:
		}
	}
	return all
}

// Count is how many of the checks came to v.
func Count(checks []Check, v Verdict) int {
	n := 0
	for _, c := range checks {
		if c.Verdict == v {
			n++
		}
	}
	return n
}

// A Check compares one measured value with its bound.
type Check struct {
	Name     string  `json:"name"`             // what is checked, in a few words; a name given twice is told apart by a number in JUnit
	Metric   string  `json:"metric"`           // what was measured: "latency_p95"
	Bound    string  `json:"bound"`            // what is allowed, with unit: "≤ 8s"
	Measured string  `json:"measured"`         // what was seen, with unit; empty when nothing was
	Why      string  `json:"why,omitempty"`    // why the bound is what it is
	Verdict  Verdict `json:"verdict"`          // Inconclusive unless somebody judged
	Reason   string  `json:"reason,omitempty"` // of a Fail: "p95 9.2s > bound 8s (+15%)"; of an Inconclusive: why it could not be judged
}

// Align is the side on which a column's cells stand.
type Align int

// Left is for words, Right for numbers.
const (
	Left Align = iota
	Right
)

// A Column heads the cells below it.
type Column struct {
	Name  string `json:"name"`
	Align Align  `json:"-"`
	// Optional lets WriteText leave the column out, and say so, when the table is too wide for the terminal. The last
	// optional column goes first. Every other format has all columns.
	Optional bool `json:"-"`
	// Wrap lets WriteText break the column's cells into lines where it would otherwise cut them: for sentences.
	Wrap bool `json:"-"`
}

// A Table has a name that is short and the same in every report of a kind ("statements"), because CSV and JSON readers
// find it by that name. A row with fewer cells than columns is filled with empty ones; cells beyond the last column are
// an error of whoever made the table, and every writer reports it.
type Table struct {
	Name    string     `json:"name"`
	Caption string     `json:"caption,omitempty"` // stands above the table in text and Markdown
	Columns []Column   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Part    string     `json:"-"` // the name of the part of the page in which it stands; empty, or of no part: among the tables at the end
}

// A Part is a stretch of the HTML page with a heading of its own: its charts, then its tables, in the order in which the
// report has them. The other formats know no parts.
type Part struct {
	Name   string   // the heading; charts and tables name it
	Lead   []string // sentences below the heading, one paragraph each
	Checks bool     // the checks stand in this part, not at the top
}

// A Fact is one line about the run: a target, a duration, a version.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Report is what loadtest and profiler hand over to be written.
type Report struct {
	Title   string
	Verdict Verdict // shown only when Judged
	Judged  bool    // false for reports that only tell, such as a profile
	Summary string  // one sentence
	Facts   []Fact
	Tables  []Table
	Charts  []Chart // pictures in HTML, data in JSON and CSV
	Checks  []Check
	Notes   []string // what a reader must know to read the numbers right
	Data    any      // written under "data" in JSON; must marshal
	Parts   []Part   // of the HTML page, in order; what stands in none of them comes after them
	Page    any      // what an HTML page carries of Data, when that is more than a page should; nil: Data
}

// Format names one of the forms a report can be written in.
type Format string

// The formats.
const (
	Text     Format = "text"
	JSON     Format = "json"
	CSV      Format = "csv"
	Markdown Format = "markdown"
	JUnit    Format = "junit"
	HTML     Format = "html"
)

// Formats lists every format, the default first.
func Formats() []Format { return []Format{Text, JSON, CSV, Markdown, JUnit, HTML} }

// ParseFormat finds a format by its name; the error lists them all.
func ParseFormat(name string) (Format, error) {
	names := make([]string, 0, len(Formats()))
	for _, f := range Formats() {
		if string(f) == name {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("read format %q: not one of %s", name, strings.Join(names, ", "))
}

// Write writes the report in one of the formats. The text options concern Text alone.
func (r Report) Write(w io.Writer, format Format, opt TextOptions) error {
	switch format {
	case Text:
		return r.WriteText(w, opt)
	case JSON:
		return r.WriteJSON(w)
	case CSV:
		return r.WriteCSV(w)
	case Markdown:
		return r.WriteMarkdown(w)
	case JUnit:
		return r.WriteJUnit(w)
	case HTML:
		return r.WriteHTML(w)
	}
	_, err := ParseFormat(string(format))
	return err
}

// check finds rows with more cells than columns, which would silently get lost, and charts that cannot be drawn.
func (r Report) check() error {
	for _, t := range r.Tables {
		for i, row := range t.Rows {
			if len(row) > len(t.Columns) {
				return fmt.Errorf("write table %q: row %d has %d cells for %d columns", t.Name, i+1, len(row), len(t.Columns))
			}
		}
	}
	for _, c := range r.Charts {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}
