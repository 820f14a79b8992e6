package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tomehub/tomehub/deploy"
	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// slow skips a test that takes a minute of two cores, which is much of what go test ./... may take.
func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("TOMEHUB_SLOW") == "" {
		t.Skip("SKIPPED: starts a dozen servers and more; make slow, or TOMEHUB_SLOW=1, runs it")
	}
}

// verified checks phases against servers with these arguments more.
func verified(t *testing.T, phases []string, args ...string) *loadtest.VerifyResult {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "tomehub") // TestMain runs the command that the program's name says
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	r, err := loadtest.Verify(t.Context(), loadtest.VerifyConfig{
		Phases: phases, Binary: program, ServeArgs: args, TopStatements: topStatements, Explain: explainEmbedded, Deploy: deploy.FS,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func byID(r *loadtest.VerifyResult) map[string]loadtest.VerifyLine {
	lines := map[string]loadtest.VerifyLine{}
	for _, l := range r.Lines {
		lines[l.ID] = l
	}
	return lines
}

// Phase C holds all that resilience is about, and takes a few seconds.
func TestVerifyPhase(t *testing.T) {
	slow(t)
	r := verified(t, []string{"C"})
	for _, l := range r.Lines {
		if l.Status != loadtest.Passed && l.ID != "C1" && l.ID != "C1.5" { // which compares times
			t.Errorf("%s %s: %s: %s %s", l.ID, l.Plan, l.Status, l.Seen, l.Reason)
		}
	}
}

// A server with a fault fails the lines that are about it, and the task.
func TestVerifyFindsFaults(t *testing.T) {
	slow(t)
	f := func(phase string, args, failing, passing []string) {
		t.Helper()
		r := verified(t, []string{phase}, args...)
		lines := byID(r)
		for _, id := range failing {
			if l := lines[id]; l.Status != loadtest.Failed {
				t.Errorf("%q: %s is %s: %s %s", args, id, l.Status, l.Seen, l.Reason)
			}
		}
		for _, id := range passing {
			if l := lines[id]; l.Status != loadtest.Passed {
				t.Errorf("%q: %s is %s: %s %s", args, id, l.Status, l.Seen, l.Reason)
			}
		}
		if r.Verdict != reports.Fail {
			t.Errorf("%q: the verdict is %v", args, r.Verdict)
		}
	}
	f("A", []string{"--rate-limit-search", "0", "--rate-limit-global", "0", "--db-pool-size", "20", "--db-pool-timeout", "20s", "--memory-warning", "60", "--memory-critical", "80"},
		[]string{"A1.1", "A1.4", "A1.5", "A1", "A2.4", "A2.5", "A2", "A3.1", "A3.2", "A3.4", "A3.5", "A3"}, []string{"A1.3", "A2.1", "A2.2", "A2.3"})
	f("B", []string{"--query-cache=false"}, []string{"B2.1", "B2.2", "B2.3", "B2.4", "B2.5", "B2"}, []string{"B1.2", "B3.1", "B3.4", "B4.3"})
	f("C", []string{"--db-pool-split=false", "--max-concurrent-streams", "0", "--memory-restart=false"},
		[]string{"C1.1", "C1.2", "C1.3", "C1.4", "C1", "C2.1", "C2.3", "C2", "C3.1", "C3.3", "C3.4", "C3"}, []string{"C2.2", "C2.4", "C3.2"})
	if !fullFaults() { // the others are enough to see that a fault is told from its neighbours
		return
	}
	f("B", []string{"--cache-ttl-content", "1h"}, []string{"B2.3", "B2"}, []string{"B2.1", "B2.2", "B2.4", "B2.5"})
	f("B", []string{"--access-path", "five"}, []string{"B3.4", "B3"}, []string{"B3.1", "B3.5", "B4.2"})
}

func TestVerifyTarget(t *testing.T) {
	s := startServer(t, demoLibrary(t), "--demo", "--phase", "B")
	r, err := loadtest.Verify(t.Context(), loadtest.VerifyConfig{Phases: []string{"B"}, Deploy: deploy.FS, Target: s.url, Admin: s.admin})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Lines {
		want := loadtest.Passed
		if !l.Asked {
			want = loadtest.NotRun
		}
		if l.Status != want {
			t.Errorf("%s %s: %s: %s %s", l.ID, l.Plan, l.Status, l.Seen, l.Reason)
		}
	}
	lines := byID(r)
	if r.Verdict != reports.Pass || !lines["B4.2"].Asked || lines["B2.4"].Asked {
		t.Errorf("verdict %v, B4.2 %+v, B2.4 %+v", r.Verdict, lines["B4.2"], lines["B2.4"])
	}
	var books struct {
		Library struct{ Books int }
	}
	if s.get("/api/health", &books); books.Library.Books != 100 {
		t.Errorf("the library has %d books after it, 100 before", books.Library.Books)
	}
}

func TestVerifyUsage(t *testing.T) {
	f := func(faulty bool, c verifySettings) {
		t.Helper()
		if err := c.validate(); (err != nil) != faulty {
			t.Errorf("%+v: %v", c, err)
		}
	}
	f(false, verifySettings{})
	f(false, verifySettings{phases: []string{"a", "D"}, target: "http://127.0.0.1:1", admin: "http://127.0.0.1:2"})
	f(true, verifySettings{phases: []string{"E"}})
	f(true, verifySettings{target: "127.0.0.1:1"})
	f(true, verifySettings{admin: "http://127.0.0.1:2"})
}

func TestAnyArguments(t *testing.T) {
	if got := anyArguments("SELECT :a, :b, ?2, :a FROM t"); len(got) != 3 || slices.Contains(got, nil) {
		t.Errorf("%v", got)
	}
}
