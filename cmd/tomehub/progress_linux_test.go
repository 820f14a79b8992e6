package main

import (
	"strings"
	"testing"
)

// A load test shows how it goes on a real terminal, wide and narrow, and leaves nothing of it behind; --quiet shows nothing.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t, demoLibrary(t), "--demo")
	f := func(columns uint16, want string, args ...string) string {
		t.Helper()
		x := openTerminal(t, columns, 30)
		cmd := x.start(append([]string{"loadtest", "run", "smoke", "--target", s.url, "--duration", "1s", "--env-file", ""}, args...)...)
		x.await(0, want)
		x.await(0, "Requests by step")
		err := cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); err != nil && code != exitCheckFailed && code != exitInconclusive { // a second is short for its checks, and the machine may be busy
			t.Errorf("%d columns: %v", columns, err)
		}
		return x.text()
	}
	const drawn = " users  "
	wide := f(160, drawn)
	for _, must := range []string{"smoke", "/s  p95 ", "errors 0.0 %"} {
		if !strings.Contains(wide, must) {
			t.Errorf("%q was never shown:\n%q", must, wide)
		}
	}
	narrow := f(50, drawn)
	if strings.Contains(narrow, "errors 0.0 %") {
		t.Errorf("the line is wider than the terminal:\n%q", narrow)
	}
	if quiet := f(160, "Requests by step", "--quiet"); strings.Contains(quiet, "/s  p95 ") {
		t.Errorf("--quiet shows progress:\n%q", quiet)
	}
}
