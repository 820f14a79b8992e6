package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/loadtest"
)

const comparedScenario = `version: 1
title: Compared
duration: 1s
users: {count: 10}
flows:
  - name: flow
    steps:
      - {name: step, get: /}
`

// answering is a server whose answers take that long.
func answering(t *testing.T, takes time.Duration) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(takes)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// A run is compared with a run, by the command and as a baseline: a server that got six times slower is a regression, a result of
// another scenario is refused before the run.
func TestLoadtestCompare(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(file("s.yaml"), []byte(comparedScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("other.yaml"), []byte(comparedScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(code int, want string, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, lookup: func(string) (string, bool) { return "", false }}
		got := a.run(context.Background(), append([]string{"--env-file", "", "loadtest"}, args...))
		if all := stdout.String() + stderr.String(); got != code || !strings.Contains(all, want) {
			t.Errorf("%v: code %d, want %d with %q:\n%s", args, got, code, want, all)
		}
	}
	quick, slow := answering(t, 5*time.Millisecond), answering(t, 30*time.Millisecond)
	f(exitOK, "requests", "run", file("s.yaml"), "--target", quick, "--quiet", "--out", file("a.json"))
	f(exitCheckFailed, "Regressed: ", "run", file("s.yaml"), "--target", slow, "--quiet", "--out", file("b.json"), "--baseline", file("a.json"))
	f(exitCheckFailed, "p50", "compare", file("a.json"), file("b.json"), "--out", file("c.json"))
	f(exitOK, "No difference seen", "compare", "--min-effect", "100", file("a.json"), file("a.json"))
	f(exitOK, "improved", "compare", "--min-effect", "100", file("b.json"), "--", file("a.json"), file("a.json"))
	f(exitInconclusive, "Cannot tell", "compare", file("a.json"), file("a.json"), "--run-noise", "40")
	f(exitCheckFailed, `message="p50 regressed: `, "compare", file("a.json"), file("b.json"), "--format", "junit")
	f(exitUsage, "--baseline "+file("a.json")+" is of scenario s, this is other", "run", file("other.yaml"), "--target", slow, "--baseline", file("a.json"))
	f(exitUsage, "read result "+file("s.yaml")+": not the result of a load test", "compare", file("a.json"), file("s.yaml"))
	f(exitUsage, "missing.json", "compare", file("missing.json"), file("a.json"))
	f(exitUsage, "wants two results", "compare", file("a.json"))
	f(exitUsage, "with -- between", "compare", file("a.json"), file("a.json"), file("b.json"))
	f(exitUsage, "put --out before the first of them", "compare", file("a.json"), "--", file("b.json"), "--out", file("d.json"))
	f(exitUsage, "--min-effect) is -3", "compare", file("a.json"), file("b.json"), "--min-effect", "-3")

	data, err := os.ReadFile(file("c.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c loadtest.Comparison
	if err := json.Unmarshal(data, &c); err != nil || len(c.Changes) == 0 || c.Changes[0].Outcome != loadtest.Regressed {
		t.Errorf("--out holds %+v, %v", c, err)
	}
}
