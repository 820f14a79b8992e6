package reports

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBrowserShowsPages loads pages as a phone and as a wide screen, light and dark, and demands that nothing goes wrong in
// the console, nothing else is asked of the network, no page is wider than the screen, the script does its extras, and the
// page reads without it.
func TestBrowserShowsPages(t *testing.T) {
	b := startBrowser(t)
	for name, r := range map[string]Report{"profile": profiled(), "load test": tested(), "parts": parted(), "hostile": hostileReport(), "empty": {}} {
		site := serve(t, written(t, r))
		b.look(name, site.URL, 390, "light")
		b.look(name, site.URL, 1200, "dark")
		if asked := site.asked(); len(asked) != 1 {
			t.Errorf("%s: the browser asked for %v, want only the page", name, asked)
		}
	}
	b.pointsAtAll()
	b.readWithoutScript()
	for _, fault := range b.faults {
		t.Error(fault)
	}
}

func (b *browser) look(name, url string, width int, scheme string) {
	b.t.Helper()
	b.open(url, width, scheme, true)
	var got struct {
		Width, Plots, Copy int
		Background         string
	}
	b.eval(`({Width: document.documentElement.scrollWidth, Plots: document.querySelectorAll('.plot').length,
		Copy: document.querySelectorAll('button').length, Background: getComputedStyle(document.body).backgroundColor})`, &got)
	if got.Width > width {
		b.t.Errorf("%s: the page is %d wide on a screen of %d", name, got.Width, width)
	}
	if want := map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}[scheme]; got.Background != want {
		b.t.Errorf("%s: the background is %s in %s, want %s", name, got.Background, scheme, want)
	}
	if got.Copy == 0 {
		b.t.Errorf("%s: the script made no buttons", name)
	}
	if got.Plots > 0 {
		b.hover(name)
	}
	if pale := b.pale(); len(pale) > 0 {
		b.t.Errorf("%s in %s: too little contrast: %s", name, scheme, strings.Join(pale, "; "))
	}
	if overlapping := b.overlaps(); len(overlapping) > 0 && name != "hostile" {
		b.t.Errorf("%s at %d: labels run into each other: %s", name, width, strings.Join(overlapping, "; "))
	}
}

// readWithoutScript reads a page with JavaScript switched off.
func (b *browser) readWithoutScript() {
	b.t.Helper()
	site := serve(b.t, written(b.t, profiled()))
	b.open(site.URL, 390, "light", false)
	text, height := b.without()
	for _, must := range []string{"Average active sessions by wait class", "7ws9cr0k2mq1z", "12345", "search_ids, 12,345 times", "97.1% of DB time", "43.8% · 700 s"} {
		if !strings.Contains(text, must) {
			b.t.Errorf("%q is not there without JavaScript", must)
		}
	}
	site = serve(b.t, written(b.t, parted()))
	b.open(site.URL, 390, "light", false)
	parts, _ := b.without()
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
func (b *browser) pointsAtAll() {
	b.t.Helper()
	site := serve(b.t, written(b.t, parted()))
	b.open(site.URL, 1200, "light", true)
	b.hover("parts")
	var got struct{ Times, Linked []string }
	const read = `({Times: Array.from(document.querySelectorAll('.tip')).map(t => t.textContent.split('\n')[0]),
		Linked: Array.from(document.querySelectorAll('.plot')).filter(p => p.dataset.x.endsWith('elapsed')).map(p => p.dataset.x)})`
	b.eval(read, &got)
	if len(got.Times) != len(got.Linked) || len(got.Times) < 4 {
		b.t.Errorf("%d read-outs of %d pictures on one axis", len(got.Times), len(got.Linked))
	}
	for i, at := range got.Times {
		if at != got.Times[0] || got.Linked[i] != got.Linked[0] {
			b.t.Errorf("read at %s and %s on the axes %s and %s", at, got.Times[0], got.Linked[i], got.Linked[0])
		}
	}
	b.call("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": 2, "y": 2}, nil)
	b.eval(read, &got)
	if len(got.Times) != 0 {
		b.t.Errorf("%d read-outs stay when the pointer has left", len(got.Times))
	}
}

// pale are the texts whose colour stands out from the page by less than 4.5 to 1, the least that WCAG 2.2 asks of text
// (1.4.3); of text on its own box the box counts.
func (b *browser) pale() []string {
	b.t.Helper()
	var got []string
	b.eval(`(() => {
		const rgb = s => (s.match(/[0-9.]+/g) || []).map(Number);
		const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
		const bad = new Set();
		for (const e of document.querySelectorAll('main *:not(svg *)')) {
			if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim())) continue;
			let back = e;
			while (back && rgb(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
			const [a, c] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(rgb(getComputedStyle(back || document.body).backgroundColor).slice(0, 3))];
			const ratio = (Math.max(a, c) + 0.05) / (Math.min(a, c) + 0.05);
			if (ratio < 4.5) bad.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(1));
		}
		return Array.from(bad) })()`, &got)
	return got
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

// A browser is a headless Chromium that is spoken to over two pipes with the DevTools protocol: no port, and no library of
// a few megabytes for ten calls.
type browser struct {
	t       *testing.T
	in      io.Writer
	answers chan devtools
	session string
	last    int
	faults  []string // what went wrong on the pages
}

type devtools struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		t.Skip("no Chromium here, so no page was looked at: apt-get install --no-install-recommends chromium")
	}
	ours, theirs := pipe(t)
	results, writes := pipe(t)
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{ours, writes}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range cmd.ExtraFiles {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b := &browser{t: t, in: theirs, answers: make(chan devtools, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(b.answers)
		read := bufio.NewReader(results)
		for {
			message, err := read.ReadBytes(0)
			if err != nil {
				return
			}
			var m devtools
			if err := json.Unmarshal(message[:len(message)-1], &m); err != nil {
				return
			}
			b.answers <- m
		}
	}()
	t.Cleanup(func() {
		b.session = ""
		b.call("Browser.close", nil, nil)
		for range b.answers {
		}
		<-done
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser ended: %v", err)
		}
	})
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "DOM"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{r, w} {
			if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
	})
	return r, w
}

// call asks the browser for something and waits for the answer; what the browser tells meanwhile is looked at.
func (b *browser) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	id := b.last
	message := map[string]any{"id": id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	body, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(body, 0)); err != nil {
		b.t.Fatal(err)
	}
	answer := b.wait(func(m devtools) bool { return m.ID == id })
	if answer.Error != nil {
		b.t.Fatalf("%s: %s", method, answer.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(answer.Result, result); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	}
}

func (b *browser) wait(wanted func(devtools) bool) devtools {
	b.t.Helper()
	limit := time.After(30 * time.Second) // a browser that hangs must not hang the test
	for {
		select {
		case m, ok := <-b.answers:
			if !ok {
				b.t.Fatal("the browser is gone")
			}
			switch m.Method {
			case "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded":
				b.faults = append(b.faults, fmt.Sprintf("%s: %.500s", m.Method, m.Params))
			}
			if wanted(m) {
				return m
			}
		case <-limit:
			b.t.Fatal("the browser did not answer within 30 s")
		}
	}
}

func (b *browser) open(url string, width int, scheme string, script bool) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !script}, nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.wait(func(m devtools) bool { return m.Method == "Page.loadEventFired" })
}

func (b *browser) eval(expression string, result any) {
	b.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, got.ExceptionDetails)
	}
	if err := json.Unmarshal(got.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// without is the text of a page whose scripts are off, and its height.
func (b *browser) without() (text string, height int) {
	b.t.Helper()
	var snapshot struct {
		Strings   []string
		Documents []struct {
			ContentHeight float64
			Layout        struct{ Text []int }
		}
	}
	b.call("DOMSnapshot.captureSnapshot", map[string]any{"computedStyles": []string{}}, &snapshot)
	var all strings.Builder
	for _, i := range snapshot.Documents[0].Layout.Text {
		if i >= 0 {
			all.WriteString(snapshot.Strings[i])
		}
	}
	return all.String(), int(snapshot.Documents[0].ContentHeight)
}

// hover moves the pointer over the first picture and demands a read-out.
func (b *browser) hover(name string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.eval(`(() => { const p = document.querySelector('.pa'); p.scrollIntoView({block: 'center'}); const r = p.getBoundingClientRect(); return {X: r.left + r.width * 0.3, Y: r.top + 50} })()`, &at)
	b.call("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": at.X, "y": at.Y}, nil)
	var tip string
	b.eval(`(document.querySelector('.tip') || {textContent: ''}).textContent`, &tip)
	if !strings.Contains(tip, "≈ ") || strings.Contains(tip, "NaN") {
		b.t.Errorf("%s: the read-out says %q", name, tip)
	}
}

// overlaps are the pairs of labels of one axis, or of one lane, that cover each other, and those that stick out of the screen.
func (b *browser) overlaps() []string {
	b.t.Helper()
	var got []string
	b.eval(`(() => { const bad = [];
		for (const group of document.querySelectorAll('.xa, .ya, .la div')) {
			const seen = Array.from(group.children).map(e => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
			seen.forEach(([e, r], i) => {
				if (r.left < -1 || r.right > innerWidth + 1) bad.push(e.textContent + ' sticks out');
				for (const [f, s] of seen.slice(i + 1))
					if (r.left < s.right - 1 && s.left < r.right - 1 && r.top < s.bottom - 1 && s.top < r.bottom - 1) bad.push(e.textContent + ' / ' + f.textContent);
			});
		}
		return bad })()`, &got)
	return got
}
