package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) {
	twwidth.SetEastAsian(false) // tablewriter asks the locale; the goldens are for the usual answer
	flag.Parse()
	os.Exit(m.Run())
}

// odd is a report with everything that ever broke a report: pipes, breaks, formulas, escapes, wide and joined characters.
func odd() Report {
	return Report{
		Title: "Checkpoint A: 100 users", Judged: true, Verdict: Fail,
		Summary: "1 of 3 checks failed: p95 9.2s is above 8s.",
		Facts:   []Fact{{"Target", "http://127.0.0.1:5001"}, {"Duration", "300s"}, {"Kitap", "düşünce"}},
		Tables: []Table{{
			Name: "statements", Caption: "Top 20 Slowest Queries (last 300s)",
			Columns: []Column{
				{Name: "Exec", Align: Right}, {Name: "Total(s)", Align: Right}, {Name: "Avg(s)", Align: Right}, {Name: "SQL"},
				{Name: "Statement"}, {Name: "Rows/exec", Align: Right, Optional: true}, {Name: "Errors", Align: Right, Optional: true},
			},
			Rows: [][]string{
				{"12345", "3703.50", "0.3000", "SELECT id, title FROM tomehub_content WHERE a | b\r\nAND c", "search_ids", "10.0", "0"},
				{"7", "0.01", "0.0014", "=HYPERLINK(\"http://x\")", "日本語の本を探す", "-3", "+15%"},
				{"1", "0.00", "0.0001", "\x1b[31mred\x1b[0m \u202etxet\u202c \x00 \xff", "👩‍👩‍👧 aile, ığüşöç e\u0301", "1"},
				{},
			},
		}, {Name: "empty", Columns: []Column{{Name: "Nothing"}}}},
		Checks: []Check{
			{Name: "latency", Metric: "p95", Bound: "≤ 8s", Measured: "9.2s", Why: "the plan's before was 8–12 s", Verdict: Fail, Reason: "p95 9.2s > bound 8s (+15%)"},
			{Name: "latency", Metric: "p50", Bound: "≤ 5s", Measured: "4.1s", Verdict: Pass},
			{Name: "memory <rss>", Metric: "rss", Bound: "< 85%", Why: "the OOM killer", Reason: "the server does not report its memory"},
			{Name: "hits | misses", Metric: "hit_ratio", Bound: "≥ 0.5"},
		},
		Notes: []string{"Lab times are scaled by 0.1.", "-1+1 is no formula *here*"},
		Data:  map[string]any{"p95_ms": 9200},
	}
}

func TestGolden(t *testing.T) {
	f := func(name string, write func(io.Writer) error) {
		t.Helper()
		var buf bytes.Buffer
		if err := write(&buf); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), buf.String()); diff != "" {
			t.Errorf("%s (run with -update when this is meant):\n%s", name, diff)
		}
	}
	text := func(opt TextOptions) func(io.Writer) error {
		return func(w io.Writer) error { return odd().Write(w, Text, opt) }
	}
	f("odd.txt", text(TextOptions{}))
	f("odd-100.txt", text(TextOptions{Width: 100}))
	f("odd-60.txt", text(TextOptions{Width: 60}))
	f("odd-colour.txt", text(TextOptions{Color: true, Width: 80}))
	for _, format := range []Format{JSON, CSV, Markdown, JUnit} {
		f("odd."+map[Format]string{JSON: "json", CSV: "csv", Markdown: "md", JUnit: "xml"}[format],
			func(w io.Writer) error { return odd().Write(w, format, TextOptions{}) })
	}
	plain := Report{Title: "Top 20 Slowest Queries (last 300s)", Summary: "Nothing ran."}
	f("plain.txt", func(w io.Writer) error { return plain.WriteText(w, TextOptions{}) })
	f("plain.md", plain.WriteMarkdown)
	f("plain.json", plain.WriteJSON)
	f("plain.csv", plain.WriteCSV)
	bare := func(r Report) func(io.Writer) error { // style and script have files of their own
		return func(w io.Writer) error {
			page := strings.NewReplacer(pageCSS, "", pageJS, "").Replace(written(t, r))
			_, err := io.WriteString(w, page)
			return err
		}
	}
	f("odd.html", bare(odd()))
	f("plain.html", bare(plain))
	f("charts.html", bare(drawn()))
	f("charts.json", drawn().WriteJSON)
	f("charts.csv", drawn().WriteCSV)
	f("charts.md", drawn().WriteMarkdown)
	f("charts.txt", func(w io.Writer) error { return drawn().WriteText(w, TextOptions{Width: 100}) })
}

func TestVerdictIsSafe(t *testing.T) {
	if got := (Check{}).Verdict; got != Inconclusive {
		t.Errorf("a check nobody judged is %v", got)
	}
	f := func(want Verdict, verdicts ...Verdict) {
		t.Helper()
		var checks []Check
		for _, v := range verdicts {
			checks = append(checks, Check{Verdict: v})
		}
		if got := Overall(checks); got != want {
			t.Errorf("Overall(%v) = %v, want %v", verdicts, got, want)
		}
	}
	f(Inconclusive)                           // nothing was checked
	f(Pass, Pass, Pass)                       // all hold
	f(Inconclusive, Pass, Inconclusive, Pass) // one is unknown
	f(Fail, Inconclusive, Fail, Pass)         // a failure is certain, whatever else is unknown
	f(Fail, Fail, Inconclusive)               // also what comes after it
	for _, v := range []Verdict{Inconclusive, Pass, Fail} {
		text, _ := v.MarshalText()
		var back Verdict
		if err := back.UnmarshalText(text); err != nil || back != v {
			t.Errorf("%s read back as %v, %v", text, back, err)
		}
	}
	v := Fail
	if err := v.UnmarshalText([]byte("passed")); err == nil || v != Fail {
		t.Errorf("an unknown verdict was taken: %v, %v", v, err)
	}
}

func TestTextFitsTheWidth(t *testing.T) {
	for limit := 40; limit <= 200; limit++ {
		var buf bytes.Buffer
		if err := odd().WriteText(&buf, TextOptions{Width: limit}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(buf.String()) {
			if got := width(strings.TrimSuffix(line, "\n")); got > limit && limit >= 60 {
				t.Errorf("at width %d a line takes %d: %q", limit, got, line)
			}
		}
		for _, must := range []string{"✗ FAIL", "12345", "3703.50", "0.3000", "9.2s"} { // numbers and verdicts are never cut
			if !strings.Contains(buf.String(), must) {
				t.Errorf("at width %d %q is gone:\n%s", limit, must, &buf)
			}
		}
	}
}

func TestTextPassesNoEscapes(t *testing.T) {
	var buf bytes.Buffer
	if err := odd().WriteText(&buf, TextOptions{Width: 80}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(buf.String(), "\x1b\x00\u202e\r") {
		t.Errorf("a control character came through: %q", &buf)
	}
}

func TestCut(t *testing.T) {
	f := func(s string, limit int, want string) {
		t.Helper()
		if got := cut(s, limit); got != want {
			t.Errorf("cut(%q, %d) = %q, want %q", s, limit, got, want)
		}
	}
	f("short", 5, "short")                // fits
	f("longer", 5, "long…")               // the mark takes one
	f("日本語", 5, "日本…")                    // wide runes take two
	f("日本語", 4, "日…")                     // and are never halved
	f("cafe\u0301s et", 5, "cafe\u0301…") // an accent stays with its letter
	f("ab cd", 4, "ab…")                  // no space before the mark
	f("👩‍👩‍👧👩‍👩‍👧", 7, "👩‍👩‍👧…")          // a joined emoji stays whole
	f("", 0, "")                          // nothing
}

func TestCSVCells(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := csvCell(in); got != want {
			t.Errorf("csvCell(%q) = %q, want %q", in, got, want)
		}
	}
	f("-3", "-3") // plain numbers stay numbers
	f("-1.5e-3", "-1.5e-3")
	f("+15%", "+15%")
	f("=1+1", "'=1+1") // formulas
	f("+1+1", "'+1+1")
	f("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0")
	f("@SUM(1)", "'@SUM(1)")
	f("＝1", "'＝1")     // folded by some spreadsheets
	f("  =1", "'  =1") // trimmed by some
	f("\n=1", "'\n=1") // a break in front
	f("\t=1", "' =1")  // a tab in front
	f("a\r\nb\rc", "a\nb\nc")
	f("a=b", "a=b") // only the beginning matters
	f("\x00\xff", "\ufffd\ufffd")
	f("", "")
}

func TestJSONReadsBack(t *testing.T) {
	var buf bytes.Buffer
	if err := odd().WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	var got document
	if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.SchemaVersion != SchemaVersion || got.Verdict == nil || *got.Verdict != Fail || len(got.Checks) != 4 {
		t.Errorf("read back %+v", got)
	}
	err := Report{Data: func() {}}.WriteJSON(io.Discard)
	if err == nil || !strings.Contains(err.Error(), "write JSON report") {
		t.Errorf("data that cannot marshal: %v", err)
	}
}

func TestJUnitCountsAndNames(t *testing.T) {
	var buf bytes.Buffer
	if err := odd().WriteJUnit(&buf); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(buf.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 4 || got.Failures != 1 || got.Skipped != 2 {
		t.Errorf("tests %d, failures %d, skipped %d; want 4, 1, 2", got.Tests, got.Failures, got.Skipped)
	}
	seen := map[string]bool{}
	for _, c := range got.Suite.Cases {
		if seen[c.Class+c.Name] {
			t.Errorf("two cases are called %s %s", c.Class, c.Name)
		}
		seen[c.Class+c.Name] = true
	}
	if err := (Report{Title: "x"}).WriteJUnit(io.Discard); !errors.Is(err, errNoChecks) {
		t.Errorf("a report without checks: %v", err)
	}
}

func TestTooManyCells(t *testing.T) {
	r := Report{Tables: []Table{{Name: "t", Columns: []Column{{Name: "a"}}, Rows: [][]string{{"1"}, {"1", "2"}}}}}
	for _, format := range []Format{Text, JSON, CSV, Markdown, HTML} {
		if err := r.Write(io.Discard, format, TextOptions{}); err == nil || !strings.Contains(err.Error(), `"t": row 2 has 2 cells`) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestMarkdownIsBounded(t *testing.T) {
	r := Report{Title: "big", Tables: []Table{{Name: "t", Columns: []Column{{Name: "a"}}}}, Notes: []string{"read this"}}
	for range 200_000 {
		r.Tables[0].Rows = append(r.Tables[0].Rows, []string{"| ten | wide |"})
	}
	r.Tables[0].Rows = append(r.Tables[0].Rows, []string{"z"})
	var buf bytes.Buffer
	if err := r.WriteMarkdown(&buf); err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(buf.String(), "ten")
	if end := fmt.Sprintf("\n- read this\n\n%d more lines did not fit", 200_001-rows); buf.Len() > 1<<20 || rows < 10_000 ||
		!strings.Contains(buf.String(), end) || strings.Contains(buf.String(), "z |") {
		t.Errorf("%d bytes, ends %q", buf.Len(), buf.String()[buf.Len()-100:])
	}
}

func TestFormats(t *testing.T) {
	for _, want := range Formats() {
		if got, err := ParseFormat(string(want)); got != want || err != nil {
			t.Errorf("ParseFormat(%q) = %q, %v", want, got, err)
		}
	}
	_, err := ParseFormat("yaml")
	if err == nil || !strings.Contains(err.Error(), "text, json, csv, markdown, junit, html") {
		t.Errorf("an unknown format: %v", err)
	}
	if err := (Report{}).Write(io.Discard, "yaml", TextOptions{}); err == nil {
		t.Error("an unknown format was written")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrorsAreReturned(t *testing.T) {
	for _, format := range Formats() {
		if err := odd().Write(brokenWriter{}, format, TextOptions{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s to a closed pipe: %v", format, err)
		}
	}
}

func readCSV(t *testing.T, body []byte) [][]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(body)).ReadAll() // strict: every record as long as the first
	if err != nil {
		t.Fatalf("%v in\n%q", err, body)
	}
	return records
}

func TestWrap(t *testing.T) {
	f := func(s, indent string, limit int, want string) {
		t.Helper()
		if got := wrap(s, indent, limit); got != want {
			t.Errorf("wrap(%q, %q, %d) = %q, want %q", s, indent, limit, got, want)
		}
	}
	f("one two three", "", 0, "one two three")               // no limit
	f("one two three", "", 13, "one two three")              // fits to the last column
	f("one two three", "", 12, "one two\nthree")             // one too many
	f("one two three", "  ", 7, "one two\n  three")          // later lines are indented
	f("extraordinary x", "", 6, "extrao\nrdinar\ny x")       // a word longer than a line: none of it is lost
	f("set A_LONG_NAME 1", " ", 8, "set\n A_LONG_\n NAME 1") // it breaks behind a mark
	f("日本語の本", "", 5, "日本\n語の\n本")
	f("日本", "", 1, "日\n本")          // wider than the line, but there
	f("日本 語の 本", "", 9, "日本 語の\n本") // wide runes take two
	f("", "", 5, "")
}

func TestSentencesWrapInTables(t *testing.T) {
	sentence := strings.Repeat("word ", 40) + "end"
	r := Report{Title: "t", Tables: []Table{{Name: "t", Columns: []Column{{Name: "A"}, {Name: "B", Wrap: true}}, Rows: [][]string{{"x", sentence}}}}}
	for _, limit := range []int{0, 200, 40, 20} {
		var buf bytes.Buffer
		if err := r.WriteText(&buf, TextOptions{Width: limit}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(buf.String(), "word"); got != 40 || !strings.Contains(buf.String(), "end") || strings.Contains(buf.String(), "…") {
			t.Errorf("at width %d words are gone:\n%s", limit, &buf)
		}
		for line := range strings.Lines(buf.String()) {
			if got, most := width(strings.TrimSpace(line)), max(limit, 0); got > 63 || most > 0 && got > most {
				t.Errorf("at width %d a line takes %d: %q", limit, got, line)
			}
		}
	}
}
