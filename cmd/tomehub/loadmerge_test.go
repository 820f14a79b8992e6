package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// typed runs a command line in this process, without an environment, and returns its exit code and what it said.
func typed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, lookup: func(string) (string, bool) { return "", false }}
	code = a.run(t.Context(), append(args, "--env-file", ""))
	return code, out.String(), errs.String()
}

const sharedScenario = `
version: 1
duration: 1s
users: {count: 4}
think: 50ms
generator: {max_send_lag: 10s, max_cpu: 100%}
flows:
  - name: f
    steps:
      - {name: index, get: "/{{user}}"}
checks:
  - {metric: error_rate, at_most: 0%, why: the server answers}
  - {metric: completed, at_least: 8, why: of all users together}
`

// Two generators share a scenario; their results are merged, printed again and, in vegeta's form, read back.
func TestMergeOnTheCommandLine(t *testing.T) {
	var mu sync.Mutex
	users := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			http.NotFound(w, r)
			return
		}
		mu.Lock()
		users[r.URL.Path] = true
		mu.Unlock()
	}))
	defer srv.Close()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("s.yaml"), []byte(sharedScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("s.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := 1; n <= 2; n++ {
		wg.Go(func() {
			args := []string{"loadtest", "run", file("s.yaml"), "--target", srv.URL, "--worker", fmt.Sprintf("%d/2", n), "--out", file(fmt.Sprintf("%d.json", n)), "--quiet"}
			if n == 1 {
				args = append(args, "--vegeta-out", file("1.bin"))
			}
			if code, out, errs := typed(t, args...); code != exitOK {
				t.Errorf("worker %d: code %d\n%s%s", n, code, out, errs)
			}
		})
	}
	wg.Wait()
	if len(users) != 4 {
		t.Errorf("the server saw users %v, want 1 to 4", users)
	}
	f := func(want int, said string, args ...string) {
		t.Helper()
		code, out, errs := typed(t, args...)
		if code != want || !strings.Contains(out+errs, said) {
			t.Errorf("%q: code %d, want %d and %q in\n%s%s", args, code, want, said, out, errs)
		}
	}
	// A machine that is busy may start the two far apart; that they were merged is seen in any case.
	code, out, errs := typed(t, "loadtest", "merge", file("2.json"), file("1.json"), "--out", file("both.json"))
	if code != exitOK && !(code == exitInconclusive && strings.Contains(out, "measured together")) || !strings.Contains(out, "Merged from 2 generators") {
		t.Errorf("merge: code %d\n%s%s", code, out, errs)
	}
	for _, format := range reportFormats() {
		f(exitOK, "", "loadtest", "report", file("both.json"), "--format", format)
	}
	f(exitOK, "4 users", "loadtest", "report", file("both.json"))
	f(exitOK, "GET /{{user}}", "loadtest", "report", file("1.bin"))
	for range 2 { // the second run has one before it
		code, out, errs = typed(t, "loadtest", "run", file("s.yaml"), "--target", srv.URL, "--quiet", "--history", file("past"), "--prometheus-out", file("m.prom"))
		if code != exitOK {
			t.Errorf("run with a history: code %d\n%s%s", code, out, errs)
		}
	}
	if metrics, err := os.ReadFile(file("m.prom")); err != nil || !strings.Contains(out, "the median of the 1 run before") || !bytes.Contains(metrics, []byte(`verdict="pass"} 1`)) {
		t.Errorf("history and metrics: %v\n%s\n%s", err, out, metrics)
	}
	f(exitOK, "4 users", "loadtest", "report", file("both.json"), "--prometheus-out", file("again.prom"))
	mergeRefusals(f, file, srv.URL)
	if left, _ := filepath.Glob(file(".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// mergeRefusals types what is refused, beside the files of the test above.
func mergeRefusals(f func(want int, said string, args ...string), file func(string) string, url string) {
	f(exitUsage, "both worker 1/2", "loadtest", "merge", file("1.json"), file("1.json"))
	f(exitUsage, "merged already", "loadtest", "merge", file("both.json"), file("1.json"))
	f(exitUsage, "wants the results of two or more", "loadtest", "merge", file("1.json"))
	f(exitUsage, "nowhere", "loadtest", "merge", file("1.json"), file("nowhere"))
	f(exitUsage, "names no scenario", "loadtest", "report", file("s.json"))
	f(exitUsage, "--worker: read worker", "loadtest", "run", file("s.yaml"), "--target", url, "--worker", "3/2")
	f(exitUsage, "--worker goes with --target", "loadtest", "run", "smoke", "--spawn", "--worker", "1/2")
	f(exitUsage, "--vegeta-out", "loadtest", "run", file("s.yaml"), "--target", url, "--vegeta-out", file("nowhere/x"))
	f(exitUsage, "--history", "loadtest", "run", file("s.yaml"), "--target", url, "--history", file("s.yaml"))
}
