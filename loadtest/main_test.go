package loadtest

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// TestMain also plays the server that TestSpawn starts: this program with "serve" as its first argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		fakeServe(os.Args[2:])
		return
	}
	goleak.VerifyTestMain(m)
}

// A fakeServer answers without a network. It may sleep, by the clock of the test's bubble.
type fakeServer func(*http.Request) (status int, body string)

func (f fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	type answer struct {
		status int
		body   string
	}
	done := make(chan answer, 1)
	go func() {
		status, body := f(r)
		done <- answer{status, body}
	}()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case a := <-done:
		return &http.Response{StatusCode: a.status, Body: io.NopCloser(strings.NewReader(a.body))}, nil
	}
}

// mustParse reads a scenario whose version and duration are 1 and 10s unless it says otherwise.
func mustParse(t testing.TB, text string) *Scenario {
	t.Helper()
	if !strings.Contains(text, "version:") {
		text = "version: 1\n" + text
	}
	if !strings.Contains(text, "\nduration:") {
		text = "duration: 10s\n" + text
	}
	s, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// virtual runs a scenario inside a synctest bubble against a fake server.
func virtual(ctx context.Context, t testing.TB, text string, server fakeServer, change ...func(*Config)) *Result {
	t.Helper()
	cfg := Config{Scenario: mustParse(t, text), Target: "http://fake", transport: server, waiter: newTimerWaiter(), gauge: idle}
	for _, f := range change {
		f(&cfg)
	}
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// idle makes the gauge see a process that uses next to nothing: time in a bubble passes while no CPU time does.
func idle(g *gauge) {
	g.read = func() (time.Duration, uint64, error) { return 0, 1 << 20, nil }
	g.machine = nil
}

// oneStep is the simplest flow.
const oneStep = `
flows:
  - name: flow
    steps:
      - {name: step, get: /}
`

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update when this is meant; -want +got):\n%s", name, diff)
	}
}
