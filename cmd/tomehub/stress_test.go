package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
	"github.com/tomehub/tomehub/scenarios"
)

// stressed runs a scenario at a tenth of its time against a server with these arguments more, or as it is. A machine that is
// busy with other tests makes the generator late, which the checks that are asked for here do not mind; and what fails there
// against a server as it is, for want of CPU, is inconclusive.
func stressed(t *testing.T, name string, args ...string) *loadtest.Result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "tomehub") // TestMain runs the command that the program's name says
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	sc, err := loadtest.Load(scenarios.FS, name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	sc.Generator = loadtest.GeneratorBounds{MaxSendLag: time.Hour, MaxCPU: 100}
	const scale = 0.1
	s, err := loadtest.Spawn(t.Context(), loadtest.SpawnConfig{
		Binary: program, Answers: sc.Server.AnswersAt(scale), ReadyTimeout: 2 * time.Minute, // eight servers fill their libraries at once
		Args: slices.Concat(sc.Server.ServeArgs(scale), []string{"--drain-grace", "0"}, args),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	r, err := loadtest.Run(t.Context(), loadtest.Config{Scenario: sc, Target: s.PublicURL, AdminURL: s.AdminURL, TimeScale: scale, Shared: len(args) == 0})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A stress scenario that cannot fail proves nothing: each is run against a server as it is, and against one that lacks what
// it is about. The one whose check is about time runs before the others, alone. stress-overload-10x and
// stress-ingest-during-search want more requests a second than such a test may send, soak more time:
// docs/decisions/0024-streams-in-load-tests.md has their figures, and TestSoakNoticesGrowth is about the latter.
func TestStressNoticesWhatIsMissing(t *testing.T) {
	slow(t)
	f := func(alone bool, name, metric string, missing ...string) {
		for _, args := range [][]string{nil, missing} {
			t.Run(name, func(t *testing.T) {
				if !alone {
					t.Parallel()
				}
				r := stressed(t, name, args...)
				at := slices.IndexFunc(r.Checks, func(c reports.Check) bool { return c.Metric == metric })
				if c := r.Checks[at]; (c.Verdict == reports.Fail) != (args != nil) {
					t.Errorf("%s with %q: %s of %s is %s: %v %s (%d requests, errors %+v)",
						name, args, metric, c.Name, c.Measured, c.Verdict, c.Reason, r.Total.Completed, r.Errors)
				}
			})
		}
	}
	f(false, "stress-cold-cache", "server.statements", "--query-cache=false")
	f(false, "stress-n-plus-one", "server.statements_per_request", "--access-path", "five")
	f(true, "stress-slow-answerer", "complete_p50", "--answer-concurrency", "1000", "--answer-timeout", "5m", "--answer-idle-timeout", "1m", "--breaker=false")
	f(false, "stress-stream-flood", "server.streams_peak", "--max-concurrent-streams", "0")
	f(false, "stress-memory", "server.restarts", "--memory-monitor=false", "--memory-restart=false")
}
