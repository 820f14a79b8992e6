package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tomehub/tomehub/internal/browser"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/words"
)

// Who a reader is decides what is seen, and a token is kept nowhere.
func (v visitor) keepsReadersApart() {
	t := v.t
	h := openHouse(t, 1, 5, cached)
	for owner, text := range map[string]string{"ann": "The quincunx is hers alone.", "bob": "A quincunx of his own."} {
		if _, err := h.library.Ingest(t.Context(), owner, library.Document{Title: "Diary of " + owner, Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, pageConfig(), h.deps())
	be := func(name string) {
		v.do(`document.getElementById('name').focus()`)
		v.do(`document.getElementById('name').select()`)
		if name == "" {
			v.do(`document.getElementById('name').value = ''; document.getElementById('name').dispatchEvent(new Event('change'))`)
			return
		}
		v.Type(name)
		v.Press("Enter")
	}
	v.at(r.url+"/?q=quincunx", desk, statusIs("No passage holds all of these words."))
	be("ann")
	v.Until(statusIs("1 result, page 1 of 1"))
	v.want(`document.querySelector('#list bdi').textContent`, "Diary of ann")
	v.Click(`#list h3 a`)
	v.Until(open)
	hers := v.Text("#reader-text")
	v.Press("Escape")
	v.Until(closed)
	be("bob")
	v.Until(found + ` && document.querySelector('#list bdi').textContent === 'Diary of bob'`)
	if strings.Contains(v.Text("body"), "hers") || !strings.Contains(hers, "hers") {
		t.Errorf("bob sees %q", v.Text("body"))
	}
	v.quiet("")
	// Books of his and of everybody's, by the page.
	file := filepath.Join(t.TempDir(), "okapi.txt")
	if err := os.WriteFile(file, []byte("The okapi <b>hides</b> in the forest."), 0o644); err != nil {
		t.Fatal(err)
	}
	add := func(want string) {
		t.Helper()
		var input struct{ Root, NodeID any }
		v.Call("DOM.getDocument", nil, &input)
		v.Call("DOM.querySelector", map[string]any{"nodeId": input.Root.(map[string]any)["nodeId"], "selector": "#book"}, &input)
		v.Call("DOM.setFileInputFiles", map[string]any{"files": []string{file}, "nodeId": input.NodeID}, nil)
		v.do(`document.getElementById('ingest').requestSubmit()`)
		v.Until(fmt.Sprintf(`document.getElementById('added').textContent === %q`, want))
	}
	add("okapi is in your library now, in 1 passage.")
	add("okapi is there already.")
	be("")
	v.Until(statusIs("No passage holds all of these words."))
	add("okapi is in the shared library now, in 1 passage.")
	v.quiet("")
	// Her passage by its address.
	id := apiGet[library.SearchResult](t, r.url+"/api/search?q=quincunx", "X-Tomehub-User", "ann").Results[0].ID
	v.at(fmt.Sprintf("%s/?q=quincunx&passage=%d", r.url, id), desk, failed)
	v.want(`document.getElementById('trouble').textContent.includes('no such passage')`, "true")
	v.want(open, "false")
	be("中")
	v.Until(failed + ` && document.getElementById('trouble').textContent.startsWith('A name has up to 128')`)
	v.quiet(refused)
	v.keepsTokens(h)
}

// keepsTokens asks with a token, which nothing keeps.
func (v visitor) keepsTokens(h *house) {
	deps := h.deps()
	deps.Identity = stranger{}
	guarded := run(v.t, pageConfig(), deps)
	v.at(guarded.url+"/?q=quincunx", desk, failed)
	v.want(`document.activeElement.id`, "token")
	v.want(`document.getElementById('trouble').textContent.includes('The request has no ID token.')`, "true")
	v.Type("Bearer token-of-ann")
	v.Press("Enter")
	v.Until(statusIs("1 result, page 1 of 1"))
	v.want(`JSON.stringify([Object.keys(localStorage), Object.values(sessionStorage), document.cookie, location.href.includes('token')])`, `[[],[],"",false]`)
	v.Call("Page.reload", nil, nil)
	v.Until(`document.readyState === 'complete' && ` + failed)
	v.quiet(refused)
}

// Books that want to be more than text.
func (v visitor) isNotInjected() {
	t := v.t
	h := openHouse(t, 0, 0, cached)
	long := strings.Repeat("W", 10_000)
	for i, title := range []string{
		`<img src=x onerror="document.title='owned'"> quagga`, `</title></script><script>document.title='owned'</script>`,
		"\u202equagga elttab\u202d", "\u2067quagga", `javascript:document.title='owned'`, strings.Repeat("\u0301", 400) + "quagga", strings.Repeat("w", 900),
	} {
		body := fmt.Sprintf("Of the quagga. </script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> \u202eand backwards %s q\u0301ua\u00adgga &lt;b&gt; %d", long, i)
		if _, err := h.library.Ingest(t.Context(), "", library.Document{Title: title, Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, pageConfig(), h.deps())
	for _, query := range []string{`"quagga" <img src=x onerror=document.title='owned'>`, `</script><script>document.title='owned'</script>`} {
		v.at(r.url+"/?q="+url.QueryEscape(query), browser.View{Width: 390}, found)
		v.Click(`#write`)
		v.Until(`document.querySelectorAll('#sources li').length > 0`)
		if w := v.Wide(); w > 390 {
			t.Errorf("%s: the page is %d wide on a screen of 390", query, w)
		}
		v.want(`document.querySelectorAll('main img, main script, main b, main style, main iframe').length`, "0")
		v.want(`document.title`, strings.Join(strings.Fields(query), " ")+" – TomeHub")
		// What stands behind a title is where it belongs: to its right, and itself from left to right.
		v.want(`[...document.querySelectorAll('#sources li')].filter(li => {
			const box = (node, i) => { const r = document.createRange(); r.setStart(node, i); r.setEnd(node, i + 1); return r.getBoundingClientRect(); };
			const ours = li.querySelector('a').firstChild; // "[1] "
			return box(ours, 0).left > box(ours, 2).left;
		}).length`, "0")
		v.Click(`#list h3 a`)
		v.Until(open)
		if w := v.Wide(); w > 390 {
			t.Errorf("%s: a passage is %d wide on a screen of 390", query, w)
		}
		v.want(`document.querySelectorAll('#reader-text *:not(mark)').length`, "0")
		v.Press("Escape")
		v.Until(closed)
	}
	v.picture("hostile")
	v.quiet("")
	var marked []string
	v.Eval(`(async () => { const {matches, terms} = await import('/page/words.js');
		const text = "Of Q\u0301UA\u00adGGA, quagga’s quaggas";
		return matches(text, terms('quagga')).map(([a, b]) => text.slice(a, b)) })()`, &marked)
	if !slices.Equal(marked, []string{"Q\u0301UA\u00adGGA", "quagga"}) {
		t.Errorf("marked are %q", marked)
	}
}

// An excerpt shows what was searched for together, and cuts no character in two.
func (v visitor) excerpts() {
	v.t.Helper()
	const excerpt = `(async (text, query) => { const {excerpt} = await import('/page/show.js'); const {terms} = await import('/page/words.js');
		return excerpt(text, terms(query)).map(n => n.outerHTML ?? n).join('') })`
	f := func(text, query string, ok func(string) bool) {
		v.t.Helper()
		quoted, err := json.Marshal([]string{text, query})
		if err != nil {
			v.t.Fatal(err)
		}
		var got string
		v.Eval(excerpt+`(...`+string(quoted)+`)`, &got)
		if !ok(got) {
			v.t.Errorf("%q in %.40q… is shown as %q", query, text, got)
		}
	}
	filler := strings.Repeat("nothing much ", 60)
	f("alpha "+filler+"alpha and beta "+filler, "beta alpha", func(s string) bool {
		return strings.Contains(s, "<mark>alpha</mark> and <mark>beta</mark>") && strings.HasPrefix(s, "… ") && strings.HasSuffix(s, " …") && len(s) < 500
	})
	f("short and <b>alpha</b>", "alpha", func(s string) bool { return s == "short and <b><mark>alpha</mark></b>" })
	f("time and being", `"being and time"`, func(s string) bool { return s == "time and being" }) // a phrase in its order alone
	f("being and time", `"being and time"`, func(s string) bool { return s == "<mark>being and time</mark>" })
	f(filler+"the end is alpha", "alpha", func(s string) bool { return strings.HasSuffix(s, "the end is <mark>alpha</mark>") })
	for shift := range 2 {
		f(strings.Repeat("x", shift)+strings.Repeat("𝔘", 2000)+" alpha "+strings.Repeat("𝔘", 2000), "alpha", func(s string) bool {
			return strings.Contains(s, "<mark>alpha</mark>") && !strings.ContainsRune(s, utf8.RuneError)
		})
	}
}

// The words of the page are those of the index: of every character, and of texts and queries with all that is special in them.
func (v visitor) foldsAsTheIndexDoes() {
	t := v.t
	r := run(t, pageConfig(), Deps{Library: echo()})
	v.Open(r.url, desk)
	var folded map[string]string
	v.Eval(`(async () => { const {fold} = await import('/page/words.js'); const changed = {};
		for (let c = 0x20; c < 0x20000; c++) {
			if (c >= 0xd800 && c < 0xe000) continue;
			const s = String.fromCodePoint(c), f = fold(s);
			if (f !== s) changed[s] = f;
		}
		return changed })()`, &folded)
	wrong := 0
	for c := rune(0x20); c < 0x20000; c++ {
		if c >= 0xd800 && c < 0xe000 {
			continue
		}
		got, changed := folded[string(c)]
		if !changed {
			got = string(c)
		}
		if want := words.Fold(string(c)); got != want && unicode.In(c, unicode.L, unicode.M, unicode.N) {
			if wrong++; wrong <= 10 {
				t.Errorf("%U %c folds to %q, want %q", c, c, got, want)
			}
		}
	}
	texts := []string{
		"Being and TIME", "don't stop", "donʼt", "düşünce İstanbul ISPARTA ılık", "straße STRASSE Maß", "ﬁnal ½ ² ①", "電車に乗る", "ひらがなカタカナ がギ",
		"한국어 각", "e\u0301cole É o\u00adther", "naïve—café", "αβγ ΣΊΣΥΦΟΣ ς", "नमस्ते", "ไทย", "العـــربية مُحَمَّد", "שָׁלוֹם", "Ёлка й", "x\u200dy \u2060z", "a\u0085b", "१२३ ٣",
		`say "being and time" now`, `an "open quote`, `a"b`, `«dasein ist» “two words” ＂three＂`, `"" " " ""`, `one"two"three`, strings.Repeat("w ", 80), "C++ C# .NET 3.14",
	}
	for _, text := range texts {
		var got struct {
			Words []string
			Terms [][]string
		}
		quoted, _ := json.Marshal(text)
		v.Eval(`(async () => { const {words, terms} = await import('/page/words.js'); const text = `+string(quoted)+`;
			return {Words: words(text).map(w => w.word), Terms: terms(text)} })()`, &got)
		if want := slices.Collect(words.Split(words.Fold(text))); !slices.Equal(got.Words, want) {
			t.Errorf("%q has the words %q, want %q", text, got.Words, want)
		}
		want, err := store.ParseQuery(text)
		if err != nil && !errors.Is(err, store.ErrNoTerms) {
			t.Fatal(err)
		}
		slices.SortFunc(got.Terms, slices.Compare)
		got.Terms = slices.CompactFunc(got.Terms, slices.Equal)
		if !slices.EqualFunc(got.Terms, want.Terms, func(a []string, b store.Term) bool { return slices.Equal(a, b.Words) }) {
			t.Errorf("%q asks for %q, want %q", text, got.Terms, want.Terms)
		}
	}
	v.excerpts()
}
