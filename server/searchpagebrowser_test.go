package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/browser"
	"github.com/tomehub/tomehub/server/library"
)

// A visitor is a browser at a server's search page.
type visitor struct {
	*browser.Browser
	t *testing.T
}

// pageConfig is testConfig of a server that does not wait for the browser's idle connections when it leaves.
func pageConfig() Config {
	cfg := testConfig()
	cfg.DrainGrace = 0
	return cfg
}

var desk = browser.View{Width: 1000}

// at opens an address and waits for the page to have settled.
func (v visitor) at(url string, look browser.View, until string) {
	v.t.Helper()
	v.Open(url, look)
	v.Until(until)
}

// ask types a query into the box and presses Enter.
func (v visitor) ask(query string) {
	v.t.Helper()
	v.do(`document.activeElement.blur()`)
	v.Press("/")
	v.Type(query)
	v.Press("Enter")
}

// do runs JavaScript for what it does.
func (v visitor) do(script string) {
	v.t.Helper()
	v.Eval("(() => { "+script+"; return true })()", new(bool))
}

func (v visitor) want(expression, want string) {
	v.t.Helper()
	var got any
	v.Eval(expression, &got)
	if fmt.Sprint(got) != want {
		v.t.Errorf("%s is %v, want %s", expression, got, want)
	}
}

// quiet demands that nothing went wrong; allowed is a part of what may.
func (v visitor) quiet(allowed string) {
	v.t.Helper()
	for _, f := range v.Faults() {
		if allowed == "" || !strings.Contains(f, allowed) {
			v.t.Errorf("the console was told: %s", f)
		}
	}
}

const (
	found  = `document.querySelectorAll('#list > li').length > 0`
	failed = `!document.getElementById('trouble').hidden`
	open   = `document.getElementById('reader').open`
	closed = `!document.getElementById('reader').open && !location.search.includes('passage')`
	// whatever the browser says of a request that was refused or did not come through
	refused = "Failed to load resource"
)

func statusIs(text string) string {
	return fmt.Sprintf("document.getElementById('status').textContent === %q", text)
}

// apiGet asks the API beside the page.
func apiGet[T any](t *testing.T, url string, headers ...string) (v T) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, &v)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", url, err, body)
	}
	return v
}

// picture leaves a screenshot where TOMEHUB_SCREENSHOTS says, for whoever wants to look.
func (v visitor) picture(name string) {
	v.t.Helper()
	if dir := os.Getenv("TOMEHUB_SCREENSHOTS"); dir != "" {
		v.Screenshot(filepath.Join(dir, name+".png"))
	}
}

// TestBrowserSearchPage takes one browser through all that a reader may do or meet.
func TestBrowserSearchPage(t *testing.T) {
	slow(t)
	h := openHouse(t, 10, 300, cached)
	r := run(t, pageConfig(), h.deps())
	v := visitor{browser.Start(t), t}
	for _, part := range []struct {
		name string
		does func()
	}{
		{"pages", func() { v.pages(r.url) }},
		{"passages", func() { v.reads(r.url) }},
		{"answers", v.answers},
		{"keyboard", func() { v.keyboard(r.url) }},
		{"sizes", func() { v.everySize(r.url) }},
		{"no script", func() { v.withoutScript(r.url) }},
		{"refusals", v.isRefused},
		{"degraded", v.isDegraded},
		{"readers", v.keepsReadersApart},
		{"injection", v.isNotInjected},
		{"words", v.foldsAsTheIndexDoes},
	} {
		began := time.Now()
		part.does()
		v.quiet("")
		t.Logf("%s took %v", part.name, time.Since(began).Round(time.Millisecond))
	}
}

// pages searches and goes from page to page, by links, back, reload and address.
func (v visitor) pages(site string) {
	v.t.Helper()
	v.at(site, desk, `document.activeElement.id === 'q'`)
	all := apiGet[library.SearchResult](v.t, site+"/api/search?q=time&page_size=10&include=details")
	first := fmt.Sprintf("%d results, page 1 of %d", all.TotalCount, all.TotalPages)
	second := fmt.Sprintf("%d results, page 2 of %d", all.TotalCount, all.TotalPages)
	if all.TotalPages < 3 {
		v.t.Fatalf("%d pages of matches are too few for this test", all.TotalPages)
	}
	v.Type("TIME")
	v.Press("Enter")
	v.Until(found)
	v.want(statusIs(first), "true")
	v.want(`location.search`, "?q=TIME")
	v.want(`document.querySelectorAll('#list > li').length`, "10")
	v.want(`[...document.querySelectorAll('#list h3 bdi')].map(e => e.textContent).join('|')`, titles(all.Results))
	v.want(`new Set([...document.querySelectorAll('#list mark')].map(e => e.textContent.toLowerCase())).size`, "1")
	v.want(`document.querySelectorAll('#list > li:has(mark)').length`, "10")
	v.want(`document.querySelector('#pages [aria-current]').textContent`, "1")
	v.Click(`#pages a[rel="next"]`)
	v.Until(statusIs(second))
	v.want(`location.search`, "?q=TIME&page=2")
	v.want(`document.activeElement.id`, "results")
	v.want(`document.title`, "TIME – page 2 – TomeHub")
	v.Call("Page.reload", nil, nil)
	v.Until(`document.readyState === 'complete' && ` + statusIs(second))
	v.do(`history.back()`)
	v.Until(statusIs(first))
	v.want(`document.querySelector('#pages [aria-current]').textContent`, "1")
	v.do(`history.forward()`)
	v.Until(statusIs(second))
	v.do(`(e => { e.value = '20'; e.dispatchEvent(new Event('change')) })(document.getElementById('size'))`)
	v.Until(`location.search === '?q=TIME&size=20' && document.querySelectorAll('#list > li').length === 20`)
	v.do(`(e => { e.value = '10'; e.dispatchEvent(new Event('change')) })(document.getElementById('size'))`)
	v.Until(`location.search === '?q=TIME'`)
	v.ask("nosuchwordanywhere")
	v.Until(statusIs("No passage holds all of these words."))
	v.want(`document.querySelectorAll('#results:not([hidden])').length`, "0")
}

func titles(results []library.Result) string {
	var all []string
	for _, r := range results {
		all = append(all, r.Title)
	}
	return strings.Join(all, "|")
}

// reads opens a passage in full, and leaves it by Escape, by back and by the button.
func (v visitor) reads(site string) {
	v.t.Helper()
	v.ask("dasein")
	v.Until(found)
	match := apiGet[library.SearchResult](v.t, site+"/api/search?q=dasein&include=details").Results[0]
	v.Click(`#list h3 a`)
	v.Until(open)
	v.want(`document.getElementById('reader-text').textContent`, match.Content)
	v.want(`document.getElementById('reader-title').textContent`, match.Title)
	v.want(`document.querySelectorAll('#reader-text mark').length > 0`, "true")
	v.want(`location.search`, fmt.Sprintf("?q=dasein&passage=%d", match.ID))
	v.picture("passage")
	v.Press("Escape")
	v.Until(closed + ` && location.search === '?q=dasein'`)
	v.want(`document.activeElement.dataset.passage`, fmt.Sprint(match.ID))
	v.do(`history.forward()`)
	v.Until(open)
	v.Call("Page.reload", nil, nil)
	v.Until(`document.readyState === 'complete' && ` + open)
	v.Click(`#close`)
	v.Until(closed + ` && location.search === '?q=dasein'`)
	v.want(`document.querySelectorAll('#list > li').length > 0`, "true")
}

// answers has an answer written, whose citations open the passages.
func (v visitor) answers() {
	v.t.Helper()
	v.ask("dasein being")
	v.Until(`location.search === '?q=dasein+being' && ` + found)
	v.Click(`#write`)
	v.Until(`document.querySelectorAll('#sources li').length > 0`)
	v.want(`document.getElementById('answer').getAttribute('aria-busy')`, "<nil>")
	v.want(`document.getElementById('said').textContent.startsWith('The answer is written, from ')`, "true")
	v.want(`document.getElementById('answer-note').textContent`, "These are sentences of the passages, as they stand there.")
	v.want(`document.querySelector('#answer-text a').textContent`, "[1]")
	v.picture("answer")
	v.Click(`#answer-text a`)
	v.Until(open)
	v.want(`'' + document.getElementById('reader-title').textContent === document.querySelector('#sources bdi').textContent`, "true")
	v.Press("Escape")
	v.Until(closed)
}

// keyboard uses nothing else.
func (v visitor) keyboard(site string) {
	v.t.Helper()
	v.at(site+"/", desk, `document.activeElement.id === 'q'`)
	v.Type("memory/") // a slash in the box is a slash
	v.want(`document.getElementById('q').value`, "memory/")
	v.Press("Enter")
	v.Until(found)
	focused := func() (name string) {
		v.Eval(`(e => e.id || e.className || e.dataset.passage || e.textContent)(document.activeElement)`, &name)
		return name
	}
	seen := []string{}
	for range 40 {
		v.Press("Tab")
		seen = append(seen, focused())
		var ring bool
		v.Eval(`getComputedStyle(document.activeElement).outlineStyle !== 'none'`, &ring)
		if !ring {
			v.t.Errorf("the focus cannot be seen on %s", focused())
		}
		if v.Eval(`!!document.activeElement.dataset.passage`, &ring); ring {
			break
		}
	}
	if !slices.Contains(seen, "size") || !slices.Contains(seen, "name") || !slices.Contains(seen, "write") {
		v.t.Errorf("Tab went over %q", seen)
	}
	v.Press("Enter")
	v.Until(open)
	v.want(`document.getElementById('reader').contains(document.activeElement)`, "true")
	v.Press("Escape")
	v.Until(closed)
	v.Press("/")
	v.want(`document.activeElement.id`, "q")
	// What a screen reader steers by.
	v.want(`['header', 'main', 'footer', 'nav[aria-label="Pages"]', '[role=search]', '[role=status]', '[role=alert]'].filter(s => !document.querySelector(s)).join()`, "")
	v.want(`[...document.querySelectorAll('input, select')].filter(e => !e.labels.length).map(e => e.id).join()`, "")
	v.want(`[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility()).map(e => e.tagName).join(' ').replace(/( H3)+/g, ' H3')`, "H1 H2 H3")
	v.at(site+"/?q=memory", desk, found)
	v.Press("Tab")
	v.want(`document.activeElement.className`, "skip")
	v.Press("Enter")
	v.want(`document.activeElement.id`, "results")
}

// everySize looks at the page on a phone and a desk, by day and by night.
func (v visitor) everySize(site string) {
	v.t.Helper()
	for _, look := range []browser.View{{Width: 320, Dark: true}, {Width: 1000}} {
		v.at(site+"/?q=time&page=2", look, found)
		v.Click(`#write`)
		v.Until(`document.querySelectorAll('#sources li').length > 0`)
		if w := v.Wide(); w > look.Width {
			v.t.Errorf("the page is %d wide on a screen of %d", w, look.Width)
		}
		if pale := v.Pale(); len(pale) > 0 {
			v.t.Errorf("%+v: too little contrast: %q", look, pale)
		}
		if over := v.Overlaps("#pages ul, #concepts ul, .aside"); len(over) > 0 {
			v.t.Errorf("%+v: %q", look, over)
		}
		v.picture(fmt.Sprintf("search-%d-dark-%t", look.Width, look.Dark))
	}
}

func (v visitor) withoutScript(site string) {
	v.t.Helper()
	v.Open(site+"/", browser.View{Width: 390, NoScript: true})
	text, _ := v.Painted()
	if !strings.Contains(text, "needs JavaScript") || !strings.Contains(text, "curl 'localhost:5001/api/search?q=dasein&include=details'") {
		v.t.Errorf("without JavaScript it says %q", text)
	}
}
