// Package browser drives a headless Chromium in tests of our pages. It speaks the DevTools protocol over two pipes: no port,
// and no library of a few megabytes for ten calls. Nothing of it goes into the binary.
package browser

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A Browser has one page open. It belongs to one test, which is failed at once by whatever the browser refuses.
type Browser struct {
	t       testing.TB
	in      io.Writer
	answers chan message
	session string
	last    int
	faults  []string
}

// A message is what the browser tells: the answer to a call, or an event.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// patience is how long a browser may take for one answer: one that hangs must not hang the test.
const patience = 30 * time.Second

// Start starts a Chromium, which ends with the test. Where there is none it skips the test and says how to get one.
func Start(t testing.TB) *Browser {
	t.Helper()
	ours, theirs := pipe(t)
	results, writes := pipe(t)
	cmd := exec.Command(find(t), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
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
	b := &Browser{t: t, in: theirs, answers: make(chan message, 1024)}
	go b.listen(results)
	t.Cleanup(func() {
		b.session = ""
		b.Call("Browser.close", nil, nil)
		for range b.answers { // until listen has returned
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the browser ended: %v", err)
		}
	})
	var target struct{ TargetID, SessionID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "DOM"} {
		b.Call(domain+".enable", nil, nil)
	}
	return b
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium here, so no page was looked at: apt-get install --no-install-recommends chromium")
	return ""
}

func pipe(t testing.TB) (r, w *os.File) {
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

// listen reads what the browser tells until it is gone.
func (b *Browser) listen(from io.Reader) {
	defer close(b.answers)
	read := bufio.NewReader(from)
	for {
		text, err := read.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			return
		}
		b.answers <- m
	}
}

// Call asks for a method of the DevTools protocol and reads its result into result, unless that is nil.
func (b *Browser) Call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	id := b.last
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" {
		m["sessionId"] = b.session
	}
	body, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(body, 0)); err != nil {
		b.t.Fatal(err)
	}
	answer := b.wait(func(m message) bool { return m.ID == id })
	if answer.Error != nil {
		b.t.Fatalf("%s: %s", method, answer.Error.Message)
	}
	if result != nil {
		if err := json.Unmarshal(answer.Result, result); err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
	}
}

// wait returns the message that is wanted, and notes the faults that the browser tells of meanwhile.
func (b *Browser) wait(wanted func(message) bool) message {
	b.t.Helper()
	limit := time.After(patience)
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
			b.t.Fatalf("the browser did not answer within %v", patience)
		}
	}
}

// Faults returns what has gone wrong on the pages since it was last asked: exceptions, and all that the console was told, such
// as of requests that failed or that a page's policy forbids.
func (b *Browser) Faults() []string {
	b.t.Helper()
	b.Call("Page.getFrameTree", nil, nil) // whatever was told before this answer is here
	faults := b.faults
	b.faults = nil
	return faults
}
