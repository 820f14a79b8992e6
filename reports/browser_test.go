package reports

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tomehub/tomehub/internal/browser"
)

// TestBrowserShowsPages loads pages as a phone and as a wide screen, light and dark, and demands that nothing goes wrong in
// the console, nothing else is asked of the network, no page is wider than the screen, the script does its extras, and the
// page reads without it.
func TestBrowserShowsPages(t *testing.T) {
	b := &looker{browser.Start(t), t}
	for name, r := range map[string]Report{"profile": profiled(), "load test": tested(), "parts": parted(), "hostile": hostileReport(), "empty": {}} {
		site := serve(t, written(t, r))
		b.look(name, site.URL, browser.View{Width: 390})
		b.look(name, site.URL, browser.View{Width: 1200, Dark: true})
		if asked := site.asked(); len(asked) != 1 {
			t.Errorf("%s: the browser asked for %v, want only the page", name, asked)
		}
	}
	b.pointsAtAll()
	b.readWithoutScript()
	for _, fault := range b.Faults() {
		t.Error(fault)
	}
}

// A looker looks at the pages of reports.
type looker struct {
	*browser.Browser
	t *testing.T
}

func (b *looker) look(name, url string, v browser.View) {
	b.t.Helper()
	b.Open(url, v)
	var got struct {
		Plots, Copy int
		Background  string
	}
	b.Eval(`({Plots: document.querySelectorAll('.plot').length,
		Copy: document.querySelectorAll('button').length, Background: getComputedStyle(document.body).backgroundColor})`, &got)
	if wide := b.Wide(); wide > v.Width {
		b.t.Errorf("%s: the page is %d wide on a screen of %d", name, wide, v.Width)
	}
	if want := map[bool]string{false: "rgb(255, 255, 255)", true: "rgb(18, 22, 27)"}[v.Dark]; got.Background != want {
		b.t.Errorf("%s: the background is %s in %+v, want %s", name, got.Background, v, want)
	}
	if got.Copy == 0 {
		b.t.Errorf("%s: the script made no buttons", name)
	}
	if got.Plots > 0 {
		b.hover(name)
	}
	if pale := b.Pale(); len(pale) > 0 {
		b.t.Errorf("%s in %+v: too little contrast: %s", name, v, strings.Join(pale, "; "))
	}
	if overlapping := b.Overlaps(".xa, .ya, .la div"); len(overlapping) > 0 && name != "hostile" {
		b.t.Errorf("%s at %d: labels run into each other: %s", name, v.Width, strings.Join(overlapping, "; "))
	}
}

// readWithoutScript reads a page with JavaScript switched off.
func (b *looker) readWithoutScript() {
	b.t.Helper()
	site := serve(b.t, written(b.t, profiled()))
	b.Open(site.URL, browser.View{Width: 390, NoScript: true})
	text, height := b.Painted()
	for _, must := range []string{"Average active sessions by wait class", "7ws9cr0k2mq1z", "12345", "search_ids, 12,345 times", "97.1% of DB time", "43.8% · 700 s"} {
		if !strings.Contains(text, must) {
			b.t.Errorf("%q is not there without JavaScript", must)
		}
	}
	site = serve(b.t, written(b.t, parted()))
	b.Open(site.URL, browser.View{Width: 390, NoScript: true})
	parts, _ := b.Painted()
	for _, must := range []string{"25.8% (20-30%)", "What the plan says.", "All checks", "p95 9.2s > bound 8s (+15%)", "3703.50", "in no part"} {
		if !strings.Contains(parts, must) {
			b.t.Errorf("%q is not there without JavaScript", must)
		}
	}
	if strings.Contains(text, "Copy table") || height < 1000 {
		b.t.Errorf("the page is %d high; did the script run after all?", height)
	}
}

// pointsAtAll moves the pointer over one picture of a run and demands read-outs in all on the same axis of time, of the same
// moment, and none once it has left.
func (b *looker) pointsAtAll() {
	b.t.Helper()
	site := serve(b.t, written(b.t, parted()))
	b.Open(site.URL, browser.View{Width: 1200})
	b.hover("parts")
	var got struct{ Times, Linked []string }
	const read = `({Times: Array.from(document.querySelectorAll('.tip')).map(t => t.textContent.split('\n')[0]),
		Linked: Array.from(document.querySelectorAll('.plot')).filter(p => p.dataset.x.endsWith('elapsed')).map(p => p.dataset.x)})`
	b.Eval(read, &got)
	if len(got.Times) != len(got.Linked) || len(got.Times) < 4 {
		b.t.Errorf("%d read-outs of %d pictures on one axis", len(got.Times), len(got.Linked))
	}
	for i, at := range got.Times {
		if at != got.Times[0] || got.Linked[i] != got.Linked[0] {
			b.t.Errorf("read at %s and %s on the axes %s and %s", at, got.Times[0], got.Linked[i], got.Linked[0])
		}
	}
	b.MovePointer(2, 2)
	b.Eval(read, &got)
	if len(got.Times) != 0 {
		b.t.Errorf("%d read-outs stay when the pointer has left", len(got.Times))
	}
}

func hostileReport() Report {
	s := `</script><img src=http://127.0.0.1:1/x onerror=alert(1)>` + strings.Repeat("W", 300)
	r := Report{Title: s, Judged: true, Summary: s, Facts: []Fact{{s, s}}, Notes: []string{s}, Data: s,
		Tables: []Table{{Name: s, Columns: []Column{{Name: s}, {Name: "n", Align: Right}}, Rows: [][]string{{s, "1"}}}},
		Checks: []Check{{s, s, s, s, s, Fail, s}}}
	for kind := range chartKinds {
		r.Charts = append(r.Charts, hostile(ChartKind(kind), s))
	}
	return r
}

// A site serves one page and remembers what else was asked for.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	paths map[string]int // guarded by mu
}

func serve(t *testing.T, page string) *site {
	t.Helper()
	s := &site{paths: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.paths[r.URL.Path]++
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := io.WriteString(w, page); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("serve the page: %v", err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for path := range s.paths {
		all = append(all, path)
	}
	return all
}

// hover moves the pointer over the first picture and demands a read-out.
func (b *looker) hover(name string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.Eval(`(() => { const p = document.querySelector('.pa'); p.scrollIntoView({block: 'center'}); const r = p.getBoundingClientRect(); return {X: r.left + r.width * 0.3, Y: r.top + 50} })()`, &at)
	b.MovePointer(at.X, at.Y)
	var tip string
	b.Eval(`(document.querySelector('.tip') || {textContent: ''}).textContent`, &tip)
	if !strings.Contains(tip, "≈ ") || strings.Contains(tip, "NaN") {
		b.t.Errorf("%s: the read-out says %q", name, tip)
	}
}
