package browser

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strconv"
	"strings"
)

// A View is how a page is looked at.
type View struct {
	Width    int  // of the screen in pixels; below 600 it is a phone's
	Dark     bool // the user prefers dark colours
	NoScript bool // JavaScript is off
}

// Open loads a page and returns once its load event has fired.
func (b *Browser) Open(url string, v View) {
	b.t.Helper()
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": 900, "deviceScaleFactor": 1, "mobile": v.Width < 600}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]string{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": v.NoScript}, nil)
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
	b.wait(func(m message) bool { return m.Method == "Page.loadEventFired" })
}

// Eval reads the value of a JavaScript expression into result. A promise is waited for.
func (b *Browser) Eval(expression string, result any) {
	b.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &got)
	if got.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, got.ExceptionDetails)
	}
	if err := json.Unmarshal(got.Result.Value, result); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// Until waits until a JavaScript expression is true, 15 s at most; then the test fails and shows the text of the page.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	var ok bool
	b.Eval(`new Promise(done => {
		const began = performance.now();
		const look = () => (`+expression+`) ? done(true) : performance.now() - began > 15000 ? done(false) : setTimeout(look, 20);
		look();
	})`, &ok)
	if !ok {
		b.t.Fatalf("it never came true: %s\n%s", expression, b.Text("body"))
	}
}

// Text is what a reader sees of the first element that a CSS selector names; it fails the test when there is none.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	var text *string
	b.Eval(`(e => e && e.innerText)(document.querySelector(`+strconv.Quote(selector)+`))`, &text)
	if text == nil {
		b.t.Fatalf("there is no %s on the page", selector)
	}
	return *text
}

// Painted is the text of a page and its height in pixels, also where scripts are off.
func (b *Browser) Painted() (text string, height int) {
	b.t.Helper()
	var snapshot struct {
		Strings   []string
		Documents []struct {
			ContentHeight float64
			Layout        struct{ Text []int }
		}
	}
	b.Call("DOMSnapshot.captureSnapshot", map[string]any{"computedStyles": []string{}}, &snapshot)
	var all strings.Builder
	for _, i := range snapshot.Documents[0].Layout.Text {
		if i >= 0 {
			all.WriteString(snapshot.Strings[i])
		}
	}
	return all.String(), int(snapshot.Documents[0].ContentHeight)
}

// Click clicks in the middle of the first element that a CSS selector names.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	var at struct{ X, Y float64 }
	b.Eval(`(e => { e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return {X: r.left + r.width / 2, Y: r.top + r.height / 2} })(document.querySelector(`+
		strconv.Quote(selector)+`))`, &at)
	b.MovePointer(at.X, at.Y)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.Call("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1}, nil)
	}
}

// MovePointer moves the pointer to a point of the window, in pixels.
func (b *Browser) MovePointer(x, y float64) {
	b.t.Helper()
	b.Call("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": x, "y": y}, nil)
}

// keyCodes are those that a key's default action, such as following a link, needs beside its name.
var keyCodes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}

// Press presses a key, named as KeyboardEvent.key names it: "Tab", "Enter", "/". A key of one character types it.
func (b *Browser) Press(key string) {
	b.t.Helper()
	down := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": keyCodes[key]}
	switch {
	case key == "Enter":
		down["text"] = "\r"
	case len([]rune(key)) == 1:
		down["text"] = key
	}
	b.Call("Input.dispatchKeyEvent", down, nil)
	b.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": keyCodes[key]}, nil)
}

// Type enters a text where the focus is, as an input method does.
func (b *Browser) Type(text string) {
	b.t.Helper()
	b.Call("Input.insertText", map[string]any{"text": text}, nil)
}

// Screenshot writes the whole page to a PNG file.
func (b *Browser) Screenshot(path string) {
	b.t.Helper()
	var got struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true}, &got)
	picture, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// Wide is the width of the page in pixels: more than the screen's when it has to be scrolled sideways.
func (b *Browser) Wide() int {
	b.t.Helper()
	var width int
	b.Eval(`document.documentElement.scrollWidth`, &width)
	return width
}

// Pale are the texts whose colour stands out from the page by less than 4.5 to 1, the least that WCAG 2.2 asks of text
// (1.4.3); of text on its own box the box counts. Boxes that can be seen through in part count as if they could not.
func (b *Browser) Pale() []string {
	b.t.Helper()
	var got []string
	b.Eval(`(() => {
		const rgb = s => (s.match(/[0-9.]+/g) || []).map(Number);
		const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
		const bad = new Set();
		for (const e of document.querySelectorAll('body *:not(svg *, script, style, noscript)')) {
			if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('[hidden]')) continue;
			let back = e;
			while (back && rgb(getComputedStyle(back).backgroundColor)[3] === 0) back = back.parentElement;
			const [a, c] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(rgb(getComputedStyle(back || document.body).backgroundColor).slice(0, 3))];
			const ratio = (Math.max(a, c) + 0.05) / (Math.min(a, c) + 0.05);
			if (ratio < 4.5) bad.add(e.tagName + '.' + e.className + ' ' + ratio.toFixed(1));
		}
		return Array.from(bad) })()`, &got)
	return got
}

// Overlaps are the pairs of children, of each element that a CSS selector names, that cover each other, and the children that
// stick out of the screen.
func (b *Browser) Overlaps(selector string) []string {
	b.t.Helper()
	var got []string
	b.Eval(`(() => { const bad = [];
		for (const group of document.querySelectorAll(`+strconv.Quote(selector)+`)) {
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
