package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/xml"
	"html"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// FuzzCells puts one string everywhere a report has room for one and reads every format back by a parser that is not ours.
func FuzzCells(f *testing.F) {
	for _, s := range []string{
		"", "|", `\|`, `\\|`, `a\`, "a\nb", "\r", "<!--", "]]>", "</failure>", "`code|code`", "$x$", "=1+1", `"`, `""","`, "\x00", "\xff", "\u2028",
		"&amp;", "| --- |", "<br>", "http://x.y/a_b_c|d", "- a", "# a", "1. a", "\\", "**", "\t", " a ", "日本", "\x1b[31m", "www.a.bc", "a@b.cd", "~~a~~", "\ufffe", ":-|",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Report{
			Title: s, Judged: true, Summary: s, Facts: []Fact{{s, s}}, Notes: []string{s},
			Tables: []Table{{Name: s, Caption: s, Columns: []Column{{Name: s}, {Name: "b", Align: Right}}, Rows: [][]string{{s, "1"}, {"a", s}}}},
			Checks: []Check{{s, s, s, s, s, Fail, s}, {s, s, s, s, s, Inconclusive, ""}},
		}
		page := r
		page.Charts = []Chart{hostile(LineChart, s), hostile(BarChart, s), hostile(StackedChart, s)}
		for _, format := range Formats() {
			r := r
			if format == HTML {
				r = page
			}
			var buf bytes.Buffer
			if err := r.Write(&buf, format, TextOptions{Width: 70, Color: true}); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			switch format {
			case JSON:
				if err := json.Unmarshal(buf.Bytes(), &document{}); err != nil {
					t.Fatal(err)
				}
			case CSV:
				checkCSV(t, buf.Bytes(), s)
			case JUnit:
				checkJUnit(t, buf.Bytes())
			case HTML:
				all := checkHTML(t, buf.String())
				checkSVG(t, all)
				if !json.Valid([]byte(embedded(t, all))) {
					t.Fatalf("the JSON within the page is broken: %s", embedded(t, all))
				}
				if got := content(all["dd"][0]); got != strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(printable(s, true)) {
					t.Fatalf("the fact reads %q, want %q", got, s)
				}
			case Markdown:
				checkMarkdown(t, buf.Bytes(), s)
			case Text:
				plain := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(buf.String())
				if strings.ContainsAny(plain, "\x1b\r\x00") || !utf8.ValidString(plain) {
					t.Fatalf("a control character came through: %q", plain)
				}
			}
		}
	})
}

// checkCSV demands every record, the cell back as it was but for the apostrophe, and no cell that runs as a formula.
func checkCSV(t *testing.T, body []byte, s string) {
	t.Helper()
	want := 3 + 3 + 6 // the table, the checks, the facts
	if s == "" {
		want-- // no summary
	}
	got := readCSV(t, body)
	if len(got) != want {
		t.Fatalf("%d records, want %d in\n%q", len(got), want, body)
	}
	if cell := got[2][2]; strings.TrimPrefix(cell, "'") != strings.TrimPrefix(lineBreaks(printable(s, true)), "'") {
		t.Fatalf("the cell reads %q, want %q", cell, s)
	}
	for _, record := range got {
		for _, cell := range record {
			if start := strings.TrimSpace(cell); start != "" && strings.ContainsAny(start[:1], "=+-@") && !plainNumber.MatchString(cell) {
				t.Fatalf("%q would run as a formula", cell)
			}
		}
	}
}

func checkJUnit(t *testing.T, body []byte) {
	t.Helper()
	var got junitSuites
	if err := xml.Unmarshal(body, &got); err != nil {
		t.Fatalf("%v in\n%q", err, body)
	}
	if n := len(got.Suite.Cases); n != 2 || got.Suite.Cases[0].Name == got.Suite.Cases[1].Name || got.Suite.Cases[0].Failure == nil {
		t.Fatalf("cases %+v", got.Suite.Cases)
	}
}

// checkMarkdown demands the three tables with all their rows and columns, the cell back as it was, and no HTML but <br>.
func checkMarkdown(t *testing.T, body []byte, s string) {
	t.Helper()
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(body))
	var shapes [][2]int
	var cells []string
	once := map[string]int{}
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *east.Table:
			shapes = append(shapes, [2]int{n.ChildCount(), n.FirstChild().ChildCount()})
		case *east.TableCell:
			cells = append(cells, cellText(t, n, body))
		case *ast.Heading:
			if n.Level == 1 {
				once["title"]++
			}
		case *ast.HTMLBlock, *ast.CodeBlock, *ast.FencedCodeBlock, *ast.CodeSpan, *ast.Link, *ast.Image:
			t.Fatalf("content became %v in\n%s", n.Kind(), body)
		case *ast.List, *ast.Emphasis:
			once[n.Kind().String()]++
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"title", "List", "Emphasis"} { // the title, the notes, the verdict; content makes no further ones
		if once[what] != 1 {
			t.Fatalf("%d of %s in\n%s", once[what], what, body)
		}
	}
	want := [][2]int{{3, 7}, {3, 2}, {2, 2}} // rows with the head, columns: checks, the table, facts
	if len(shapes) != len(want) || shapes[0] != want[0] || shapes[1] != want[1] || shapes[2] != want[2] {
		t.Fatalf("tables of %v, want %v in\n%s", shapes, want, body)
	}
	if got, want := cells[len(cells)-1], markdownSeen(s); got != want {
		t.Fatalf("the last cell reads %q, want %q", got, want)
	}
}

// markdownSeen is what a reader of the rendered cell sees of s.
func markdownSeen(s string) string {
	return strings.ReplaceAll(lineBreaks(strings.TrimSpace(printable(s, true))), "\n", "⏎")
}

func lineBreaks(s string) string { return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s) }

// cellText joins a cell's text with its escapes and entities resolved; a <br> reads as ⏎.
func cellText(t *testing.T, cell ast.Node, body []byte) string {
	t.Helper()
	var b strings.Builder
	for n := cell.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			var shown bytes.Buffer
			w := bufio.NewWriter(&shown)
			ghtml.DefaultWriter.Write(w, n.Segment.Value(body))
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			b.WriteString(html.UnescapeString(shown.String()))
		case *ast.String:
			b.Write(n.Value)
		case *ast.AutoLink:
			b.Write(n.Label(body))
		case *ast.RawHTML:
			if got := string(n.Segments.Value(body)); got != "<br>" {
				t.Fatalf("HTML %q came through", got)
			}
			b.WriteString("⏎")
		default:
			t.Fatalf("a cell holds %v", n.Kind())
		}
	}
	return b.String()
}
