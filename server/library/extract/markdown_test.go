package extract

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdown(t *testing.T) {
	const src = "---\ntitle: \"The Book: a Tale\"\nauthor: A. Author\nlang: en\ntags: [x, y]\n---\n" +
		"# One\n\nSome *very* **bold** [linked](http://a.b) words\nwith `code`.[^1]\n\n" +
		"> quoted\n> lines\n\n- first\n- second\n\n## Deeper\n\n| a | b |\n|---|---|\n| c | d |\n\n```go\nx := 1\n```\n\n" +
		"<div>raw <b>html</b></div>\n\n<script>no</script>\n\nTwo\n===\n\n![alt](pic.png)\n\nEnd &amp; done.\n\n[^1]: A note.\n"
	want := Text{
		Format: Markdown, Title: "The Book: a Tale", Author: "A. Author", Language: "en",
		Sections: []Section{
			{Chapter: "One", Paragraphs: []string{"One", "Some very bold linked words with code.", "quoted lines", "first", "second"}},
			{Chapter: "One / Deeper", Paragraphs: []string{"Deeper", "a b", "c d", "x := 1", "raw html"}},
			{Chapter: "Two", Paragraphs: []string{"Two", "End & done.", "A note."}},
		},
	}
	if diff := cmp.Diff(want, mustRead(t, src)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestMarkdownFrontMatter(t *testing.T) {
	f := func(src, title, author string, ok bool) {
		t.Helper()
		h, rest, got := frontMatter(src)
		if h.title != title || h.author != author || got != ok || ok && !strings.HasPrefix(rest, "Text") && !strings.HasPrefix(rest, "\nText") {
			t.Errorf("frontMatter(%q) = %+v, %q, %v", src, h, rest, got)
		}
	}
	f("---\ntitle: T\nauthor: A\n---\nText", "T", "A", true)
	f("---\r\ntitle: 'T'\r\n...\r\nText", "T", "", true)
	f("---\nauthor:\n  - A\ntitle: T\n---\nText", "T", "", true)
	f("% T\n% A\n% 1704\n\nText", "T", "A", true)
	f("% T\n\nText", "T", "", true)
	f("---\ntitle: never ends\n", "", "", false)
	f("---\nIt was a night: dark.\n---\nText", "", "", false)
	f("Text", "", "", false)
}

// TestMarkdownPieces makes sure that cutting a long file into pieces changes nothing.
func TestMarkdownPieces(t *testing.T) {
	var src strings.Builder
	var want []string
	for i := 0; src.Len() < 3*piecesMost; i++ {
		fmt.Fprintf(&src, "## Chapter %d\n\nText *number* %d.\n\n```\ncode\n\n# no heading %d\n```\n\n- item\n\n    more %d\n\n<!-- a\n\ncomment %d -->\n\n", i, i, i, i, i)
		want = append(want, fmt.Sprintf("Chapter %d", i), fmt.Sprintf("Text number %d.", i), fmt.Sprintf("code # no heading %d", i), "item", fmt.Sprintf("more %d", i))
	}
	if diff := cmp.Diff(want, paragraphs(mustRead(t, src.String()))); diff != "" {
		t.Errorf("paragraphs (-want +got):\n%.2000s", diff)
	}
	for _, s := range []string{strings.Repeat("word ", piecesMost), strings.Repeat("ü", piecesMost), strings.Repeat("line\n", piecesMost)} {
		rest, pieces := s, 0
		for rest != "" {
			n := pieceEnd(rest)
			if n <= 0 || n > piecesMost {
				t.Fatalf("pieceEnd = %d", n)
			}
			rest = rest[n:]
			pieces++
		}
		if pieces > len(s)/pieceBytes+1 {
			t.Errorf("%.10q… was cut into %d pieces", s, pieces)
		}
	}
}

// TestMarkdownTangled holds inputs that keep a CommonMark renderer busy far beyond their size, or deep in recursion.
func TestMarkdownTangled(t *testing.T) {
	f := func(name, unit string, n int) {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			text, err := Read([]byte("# Title\n\n"+strings.Repeat(unit, n)), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 30*time.Second {
				t.Errorf("%d bytes took %v (as %s)", len(unit)*n, d, text.Format)
			}
		})
	}
	f("quotations", ">", 2_000_000)
	f("lists", "- ", 1_000_000)
	f("numbered lists", "1) ", 500_000)
	f("brackets", "[", 2_000_000)
	f("links", "[a](", 500_000)
	f("emphasis", "_*a", 700_000)
	f("emphasis turned round", "*a_ ", 500_000)
	f("backticks", "e`", 1_000_000)
	f("comments", "x <!--", 300_000)
	f("wide table", "|a", 10_000)
	wide := strings.Repeat("|-", 5000) + "\n"
	f("tall and wide table", "|a"+strings.Repeat("|a", 4999)+"\n"+wide+strings.Repeat("|\n", 200), 30)
}

func TestTooTangled(t *testing.T) {
	f := func(why, src string, want bool) {
		t.Helper()
		if got := tooTangled(src); got != want {
			t.Errorf("%s: tooTangled = %v, want %v", why, got, want)
		}
	}
	f("a long list of links", strings.Repeat("- [chapter](c.md) *text*\n", 5000), false)
	f("a line across the page", strings.Repeat("- ", 200)+"\n", false)
	f("a long table", "|a|b|c|\n|-|-|-|\n"+strings.Repeat("|1|2|3|\n", 100_000), false)
	f("prose", strings.Repeat("Some *words* (here) [there](a).\n\n", 100_000), false)
	f("nested quotations", strings.Repeat(">", 100), true)
}
