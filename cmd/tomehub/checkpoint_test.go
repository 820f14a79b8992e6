package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
	"github.com/tomehub/tomehub/scenarios"
)

func TestChosenCheckpoints(t *testing.T) {
	f := func(want []string, names ...string) {
		t.Helper()
		if got := chosenCheckpoints(names); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
	f(checkpoints, "all")
	f([]string{"before"}, "before")
	f([]string{"before", "a"}, "a") // which is compared with it
	f([]string{"before", "b", "c"}, "c", "b")
	f([]string{"d", "beyond"}, "beyond", "d", "d")
	f(checkpoints, "c", "all")
}

// quickly runs checkpoints before, a and b for a few seconds, with these arguments more for the servers of a and b.
func quickly(t *testing.T, moreA, moreB []string) *loadtest.CheckpointResult {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "tomehub") // TestMain runs the command that the program's name says
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	var list []*loadtest.Scenario
	for _, name := range []string{"before", "a", "b"} {
		sc, err := loadtest.Load(scenarios.FS, "checkpoint-"+name+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		sc.Duration = 15 * time.Second
		switch name {
		case "a":
			sc.Server.Args = append(sc.Server.Args, moreA...)
		case "b":
			sc.Server.Args = append(sc.Server.Args, moreB...)
		}
		list = append(list, sc)
	}
	r, err := loadtest.RunCheckpoints(t.Context(), loadtest.CheckpointConfig{
		Scenarios: list, TimeScale: 0.1,
		Start: func(ctx context.Context, sc *loadtest.Scenario, scale float64) (*loadtest.Host, error) {
			args := append(sc.Server.ServeArgs(scale), "--drain-grace", "0")
			s, err := loadtest.Spawn(ctx, loadtest.SpawnConfig{Binary: program, Args: args})
			if err != nil {
				return nil, err
			}
			return &loadtest.Host{Target: s.PublicURL, Admin: s.AdminURL, Stop: s.Stop}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Checkpoints {
		t.Logf("%s: %v, %.1f %% errors, p95 %.0f ms, generator %v", c.Name, c.Verdict, c.Result.Total.ErrorRate, c.Result.Total.Response.P95MS, c.Result.Generator.Problems)
		if c.Result.Server == nil || c.Result.Server.Statements == nil {
			t.Fatalf("%s: the server told nothing: %s", c.Name, c.Result.NoServer)
		}
	}
	return r
}

// The phases as they are. A machine that is busy with other things makes a verdict inconclusive, or the errors of so short
// a time a few more; statements and connections are what they are everywhere.
func TestCheckpointsHold(t *testing.T) {
	slow(t)
	r := quickly(t, nil, nil)
	perRequest := func(i int) float64 { return r.Checkpoints[i].Result.Server.Statements.PerRequest }
	for i, want := range []float64{4.75, 4.75} {
		if got := perRequest(i); got < want-0.6 || got > want+0.6 {
			t.Errorf("%s: %.2f statements per request, theory says %.2f", r.Checkpoints[i].Name, got, want)
		}
	}
	for i, size := range []int{20, 40, 40} {
		if p := r.Checkpoints[i].Result.Server.Pools; len(p) != 1 || p[0].Size != size {
			t.Errorf("%s: pools %+v, want one of %d", r.Checkpoints[i].Name, p, size)
		}
	}
	for _, c := range r.Across {
		if c.Verdict == reports.Fail {
			t.Errorf("%s: %s %s", c.Name, c.Measured, c.Reason)
		}
	}
	for i, ms := range []float64{r.Checkpoints[0].Expected.MeanMS, r.Checkpoints[1].Expected.MeanMS} {
		if got := r.Checkpoints[i].Result.Total.Response.MeanMS; got < 0.7*ms {
			t.Errorf("%s: answers took %.0f ms, faster than Little's law allows, %.0f ms", r.Checkpoints[i].Name, got, ms)
		}
	}
}

// A checkpoint that cannot fail proves nothing: phase A without its connections, phase B without its cache and on the
// old access path.
func TestCheckpointsNoticeWhatIsMissing(t *testing.T) {
	slow(t)
	r := quickly(t, []string{"--db-pool-size", "20"}, []string{"--query-cache=false", "--access-path", "five"})
	if got := fmt.Sprint(r.Checkpoints[1].Verdict, r.Checkpoints[2].Verdict); r.Checkpoints[1].Verdict == reports.Pass || r.Checkpoints[2].Verdict == reports.Pass {
		t.Errorf("a with 20 connections and b without cache: %s, want both to fail", got)
	}
	for _, c := range r.Across {
		if c.Verdict == reports.Pass {
			t.Errorf("%s passed: %s", c.Name, c.Measured)
		}
	}
}
