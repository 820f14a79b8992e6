package extract

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHTML(t *testing.T) {
	const src = `<!DOCTYPE html><html lang="tr-TR"><head><title>Varl&#305;k ve
	Zaman</title><meta name="author" content="M. Heidegger"><style>p{x}</style><script>var a="<p>no</p>";</script></head>
<body><nav><ul><li>Home</li><li><nav>inner</nav>Menu</li></ul></nav>
<h1>Varlık ve Zaman</h1>
<p>Bir &amp; iki<br>üç&nbsp;d&ouml;rt <b>be</b>ş.</p>loose text
<h2>Giriş</h2><div><div>Alt&shy;ı<div>yedi</div>sekiz</div></div>
<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>
<ul><li>one<li>two</ul>
<span id="Page_12" class="pagenum">[Pg 12]</span>
<h2>Son<em>uç</em></h2><p>İşte<sup><a role="doc-noteref" href="#n1">1</a></sup> bu.</p>
<noscript>Enable JavaScript</noscript><svg><title>pic</title><text>no</text></svg><p>on <span epub:type="pagebreak" title="13"></span>dört</p>
<hr></body></html>`
	want := Text{
		Format: HTML, Title: "Varlık ve Zaman", Author: "M. Heidegger", Language: "tr-TR",
		Sections: []Section{
			{Paragraphs: []string{"Varlık ve Zaman", "Bir & iki üç dört beş.", "loose text"}},
			{Chapter: "Giriş", Paragraphs: []string{"Giriş", "Altı", "yedi", "sekiz", "a b", "c", "one", "two"}},
			{Chapter: "Sonuç", Page: 12, Paragraphs: []string{"Sonuç", "İşte bu.", "on"}},
			{Chapter: "Sonuç", Page: 13, Paragraphs: []string{"dört"}},
		},
	}
	if diff := cmp.Diff(want, mustRead(t, src)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestHTMLTitle(t *testing.T) {
	f := func(src, title, chapter string) {
		t.Helper()
		got := mustRead(t, src)
		if last := got.Sections[len(got.Sections)-1]; got.Title != title || last.Chapter != chapter {
			t.Errorf("Read(%q): title %q chapter %q, want %q, %q", src, got.Title, last.Chapter, title, chapter)
		}
	}
	f("<html><h1>The Book</h1><h2>One</h2>x", "The Book", "One")
	f("<html><h1>One</h1><p>x<h1>Two</h1>y", "One", "Two")
	f("<html><title>The Book</title><h1>One</h1>x", "The Book", "")
	f("<html><title>The Book</title><h1>One</h1>x<h1>Two</h1>y", "The Book", "Two")
	f(`<html><meta property="og:title" content="The Book"><h1>One</h1>x<h1>Two</h1><h3>A</h3>y`, "The Book", "Two / A")
	f("<html><p>x", "", "")
}

func TestHTMLBroken(t *testing.T) {
	f := func(why, src string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, paragraphs(mustRead(t, src))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("nothing is closed", "<html><body><p>one<p>two<div>three", "one", "two", "three")
	f("a nav that is never closed has the book in it", "<html><nav><a>Menu</a><p>The book", "Menu", "The book")
	f("XHTML closes what HTML cannot", `<?xml version="1.0"?><html><head><title/><script src="a"/></head><body><p>text</p></body></html>`, "text")
	f("CDATA in XHTML", `<?xml version="1.0"?><html><body><p><![CDATA[a < b]]></p></body></html>`, "a < b")
	f("prefixed names", `<?xml version="1.0"?><html:html xmlns:html="u"><html:body><html:p>one</html:p><html:p>two</html:p></html:body></html:html>`, "one", "two")
	f("a lone less-than sign", "<html><p>a < b and c", "a < b and c")
	f("cut off within a tag", "<html><p>text</p><a hre", "text")
	f("page break in a heading does not cut it", `<html><h2>The <span epub:type="pagebreak" title="3"/>Sea</h2><p>x`, "The Sea", "x")
}

func TestHTMLDeep(t *testing.T) {
	const depth = 100_000
	start := time.Now()
	got := mustRead(t, "<html>"+strings.Repeat("<div>", depth)+"deep"+strings.Repeat("</div>", depth))
	if diff := cmp.Diff([]string{"deep"}, paragraphs(got)); diff != "" {
		t.Error(diff)
	}
	mustRead(t, "<html>"+strings.Repeat("<b><i><p><nav>", depth)+"deep")
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("100,000 nested elements took %v", d)
	}
}

func TestHTMLHugeTag(t *testing.T) {
	e := refused(t, []byte("<html><p>x<a "+strings.Repeat("b ", maxToken/2+10)+">"), Limits{})
	if e.Kind != TooLarge || !strings.Contains(e.Detail, "8 MiB") {
		t.Errorf("a tag of 8 MiB = %v %q", e.Kind, e.Detail)
	}
}

func TestPageLabel(t *testing.T) {
	for label, want := range map[string]int{"12": 12, "Page 12": 12, "[Pg 12]": 12, "p. 7": 7, "xii": 0, "": 0, "12-13": 0, "123456789": 0} {
		if got := pageLabel(label); got != want {
			t.Errorf("pageLabel(%q) = %d, want %d", label, got, want)
		}
	}
}
