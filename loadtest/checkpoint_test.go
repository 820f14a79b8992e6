package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

// measured is a checkpoint that passed its own checks, with these figures.
func measured(name string, p95 float64, perRequest float64, change ...func(*Checkpoint)) Checkpoint {
	c := Checkpoint{Name: name, Phase: "A", Users: 100, TimeScale: 1, Result: &Result{
		Scenario: name, Checks: []reports.Check{{Name: "own", Verdict: reports.Pass}}, Verdict: reports.Pass,
		Expected: []ExpectedFigure{{Metric: "p95", Figure: "5-7s"}},
		Server:   &ServerFigures{Statements: &StatementFigures{Requests: 100, Statements: int64(100 * perRequest), PerRequest: perRequest}},
	}}
	c.Result.Total = Figures{Completed: 100, ErrorRate: 2}
	c.Result.Total.Response = Latency{Count: 100, MeanMS: p95 / 2, P95MS: p95}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestCheckpointsAgainstBefore(t *testing.T) {
	f := func(want string, interrupted bool, all ...Checkpoint) {
		t.Helper()
		r := &CheckpointResult{Checkpoints: all}
		r.settle(interrupted)
		var got []string
		for _, c := range r.Checkpoints {
			got = append(got, c.Verdict.String())
		}
		if text := strings.Join(got, " ") + ": " + r.Verdict.String(); text != want {
			t.Errorf("%s, want %s; across %+v", text, want, r.Across)
		}
	}
	before := measured("checkpoint-before", 10_000, 5)
	tenth := func(c *Checkpoint) { c.TimeScale = 0.1 }
	f("pass pass pass: pass", false, before, measured("checkpoint-a", 5000, 5), measured("checkpoint-b", 100, 0.5))
	f("pass pass: pass", false, before, measured("checkpoint-a", 500, 5, tenth)) // their scales may differ
	f("pass fail: fail", false, before, measured("checkpoint-a", 9000, 5))       // not halved
	f("pass fail: fail", false, before, measured("checkpoint-a", 1000, 5))       // another load
	f("pass fail: fail", false, before, measured("checkpoint-b", 100, 2.1))      // 42 %
	f("pass: pass", false, measured("checkpoint-c", 100, 5))                     // compared with nothing
	f("inconclusive: inconclusive", false, measured("checkpoint-a", 5000, 5))    // nothing to compare with
	f("pass inconclusive: inconclusive", false, before, measured("checkpoint-b", 100, 0, func(c *Checkpoint) { c.Result.Server.Statements = nil }))
	f("pass inconclusive: inconclusive", false, before, measured("checkpoint-a", 5000, 5, func(c *Checkpoint) { c.Result.Generator.Problems = []string{"sent late"} }))
	f("pass inconclusive: inconclusive", true, before, Checkpoint{Name: "checkpoint-a"})
	f("pass inconclusive: inconclusive", false, before, Checkpoint{Name: "checkpoint-c"})
	f("pass: inconclusive", true, before)
	f("fail: fail", true, measured("checkpoint-before", 10_000, 5, func(c *Checkpoint) { c.Result.Checks[0].Verdict = reports.Fail }))
}

func TestCheckpointReport(t *testing.T) {
	e := Expectation{Users: 100, Connections: 40, Statements: 5, StatementMS: 30, Rate: 266, MeanMS: 375, WaitMS: 45, Use: 100}
	r := &CheckpointResult{TimeScale: 0.1, Seed: 3, Checkpoints: []Checkpoint{
		measured("checkpoint-before", 10_000, 5),
		measured("checkpoint-a", 500, 4, func(c *Checkpoint) {
			c.TimeScale, c.Expected, c.Discarded = 0.1, &e, []string{"at time scale 0.05 the generator sent late"}
		}),
		{Name: "checkpoint-b", Phase: "B", Users: 200},
	}}
	r.settle(true)
	report := r.Report()
	var rows []string
	for _, table := range report.Tables {
		for _, row := range table.Rows {
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	want := []string{
		"before|A|100|2%|5-7s → 10s|5|no cache|not watched|✓ pass",
		"a|A|100|2%|5-7s → 5s|4 (-20%)|no cache|not watched|✓ pass",
		"b|B|200||||||did not run",
		"a|40|5 → 4|26.6/s → 0.0/s|3.75s → 2.5s|100% → ?|the pool: 450ms of wait a statement|0.1|0%",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(report.Summary, "Interrupted. 2 of 3 checkpoints ran.") || report.Verdict != reports.Inconclusive {
		t.Errorf("%s: %s", report.Verdict, report.Summary)
	}
	if !slices.ContainsFunc(report.Notes, func(n string) bool { return strings.HasPrefix(n, "a was run again") }) {
		t.Errorf("notes do not tell of the second attempt: %q", report.Notes)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again CheckpointResult
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &again); diff != "" {
		t.Errorf("through JSON (-was +is):\n%s", diff)
	}
}

func TestCheckpointConfig(t *testing.T) {
	shipped := shippedCheckpoints(t)
	start := func(context.Context, *Scenario, float64) (*Host, error) { return nil, errors.New("no room") }
	f := func(cfg CheckpointConfig, want string) {
		t.Helper()
		r, err := RunCheckpoints(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if r != nil && (r.Verdict != reports.Inconclusive || len(r.Checkpoints) != len(cfg.Scenarios)) {
			t.Errorf("after %v: %+v", err, r)
		}
	}
	f(CheckpointConfig{Start: start}, "no scenarios")
	f(CheckpointConfig{Scenarios: shipped}, "nothing that starts a server")
	f(CheckpointConfig{Scenarios: shipped, Start: start, TimeScale: 2}, "time scale 2 must be from 0.01 to 1")
	f(CheckpointConfig{Scenarios: []*Scenario{mustParse(t, "users: {count: 1}"+oneStep)}, Start: start}, "has no server with phase and lab")
	f(CheckpointConfig{Scenarios: shipped, Start: start}, "run checkpoint-before: no room")
	started := func(context.Context, *Scenario, float64) (*Host, error) {
		return &Host{Target: "http://127.0.0.1:1", Admin: "http://127.0.0.1:1", Stop: func(context.Context) error { return nil }}, nil
	}
	f(CheckpointConfig{Scenarios: shipped, Start: started, PrometheusURL: "foo"}, `Prometheus "foo" must be a URL`)
}

// Interrupted before a server was there: a result that says so, and no error.
func TestCheckpointsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, err := RunCheckpoints(ctx, CheckpointConfig{Scenarios: shippedCheckpoints(t), Start: func(ctx context.Context, _ *Scenario, _ float64) (*Host, error) {
		cancel()
		return nil, context.Cause(ctx)
	}})
	if err != nil || !r.Interrupted || r.Verdict != reports.Inconclusive || len(r.Checkpoints) != 6 {
		t.Errorf("%v: %+v", err, r)
	}
}

// Crowded checkpoints are not compressed so far that the machine becomes the bottleneck.
func TestFittingScale(t *testing.T) {
	var got []float64
	for _, s := range shippedCheckpoints(t) {
		got = append(got, s.fittingScale(0.1))
		if whole := s.fittingScale(1); whole != 1 {
			t.Errorf("%s unscaled: %v", s.Name, whole)
		}
	}
	if !slices.IsSorted(got[2:]) || got[0] != 0.1 || got[1] != 0.1 || got[5] < 0.2 || got[5] > 0.3 {
		t.Errorf("scales for a tenth: %v", got)
	}
}
