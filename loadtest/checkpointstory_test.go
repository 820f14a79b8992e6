package loadtest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

func TestPlanRange(t *testing.T) {
	f := func(figure string, want *reports.Range) {
		t.Helper()
		if diff := cmp.Diff(want, planRange(figure, 100)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", figure, diff)
		}
	}
	f("20-30%", &reports.Range{Low: 20, High: 30})
	f("8-12s", &reports.Range{Low: 8, High: 12})
	f("5%", &reports.Range{Low: 5, High: 5})
	f(">70%", &reports.Range{Low: 70, High: 100})
	f("<10%", &reports.Range{Low: 0, High: 10})
	f("-60%", nil) // a change, not a value
	f("stable", nil)
	f("", nil)
	f("1.5-2.5s", &reports.Range{Low: 1.5, High: 2.5})
}

// story is two checkpoints at a tenth of the time, the second with a fault, and one that did not run.
func story() *CheckpointResult {
	checkpoint := func(name, phase string, users int, p95, errors, statements float64) Checkpoint {
		r := &Result{
			WarmUpS: 2, MeasuredS: 4, DurationS: 4, TimeScale: 0.1,
			Total:  Figures{Completed: 100, ErrorRate: errors, Rate: 150, Response: Latency{Count: 100, P50MS: 30, P95MS: p95, P99MS: 2 * p95}},
			Checks: []reports.Check{{Name: allRequests, Metric: "p95", Bound: "≤ 1.2s", Verdict: reports.Pass}},
			Server: &ServerFigures{Statements: &StatementFigures{Requests: 100, PerRequest: statements}, Pools: []PoolFigures{{Name: "main", Size: 20}}, Samples: []ServerSample{
				{AtS: 1, LengthS: 1, Pools: []PoolSample{{Name: "main", InUse: 20}}},
			}},
		}
		for i := range 7 { // the last one is of the answers that were waited for
			r.Windows = append(r.Windows, Window{StartS: float64(i), LengthS: 1, Completed: 4, OK: 3, Failed: 1, P50MS: 30, P95MS: p95, P99MS: 2 * p95})
		}
		return Checkpoint{Name: name, Phase: phase, Users: users, TimeScale: 0.1, Verdict: reports.Pass, Result: r}
	}
	before, d := checkpoint("checkpoint-before", "baseline", 100, 1000, 25, 5), checkpoint("checkpoint-b", "B", 300, 100, 5, 0.5)
	before.Result.Expected = []ExpectedFigure{{Metric: "error_rate", Figure: "20-30%"}, {Metric: "p95", Figure: "8-12s"}}
	d.Result.Expected = []ExpectedFigure{{Metric: "server.statements_per_request", Figure: "-60%"}}
	seen, over := 50.0, 100.0
	d.Result.Faults = []FaultFigures{{Fault: "database_down", AtS: 3, ForS: 0.5, SeenMS: &seen, OverMS: &over}}
	return &CheckpointResult{TimeScale: 0.1, Verdict: reports.Inconclusive, Checkpoints: []Checkpoint{before, d, {Name: "checkpoint-beyond", Phase: "D", Users: 500, TimeScale: 1}}}
}

func TestStoryIsToldUnscaled(t *testing.T) {
	r := story()
	report := r.Report()
	charts := map[string]reports.Chart{}
	for _, c := range report.Charts {
		charts[c.Name] = c
	}
	bars := func(name string) []reports.Bar { return charts[name].Bars }
	want := []reports.Bar{
		{Label: "before", Values: []float64{10}, Text: "10s (8-12s)", Within: &reports.Range{Low: 8, High: 12}}, {Label: "B", Values: []float64{1}, Text: "1s"},
	}
	if diff := cmp.Diff(want, bars("plan_p95")); diff != "" {
		t.Errorf("p95 (-want +got):\n%s", diff)
	}
	if got := bars("plan_rate")[0].Values[0]; got != 15 {
		t.Errorf("rate %v, want 15/s unscaled", got)
	}
	if diff := cmp.Diff(&reports.Range{Low: 0, High: 2}, bars("plan_statements")[1].Within); diff != "" { // 60 % fewer than 5
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	latency := charts["before_latency"]
	if diff := cmp.Diff([]reports.Bound{{Value: 12, Label: "bound 12s"}}, latency.Bounds); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
	if p := latency.Series[1].Points; len(p) != 6 || p[0] != (reports.Point{X: 5, Y: 10}) || *latency.Series[1].Whole != 10 || latency.From != 20 {
		t.Errorf("p95 over time %v, overall %v, from %v", p, *latency.Series[1].Whole, latency.From)
	}
	d := charts["b_errors"]
	if diff := cmp.Diff([]reports.Span{{From: 0, To: 20, Label: "warm-up"}, {From: 30, To: 35, Label: "fault database_down"}}, d.Spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if d.Series[0].Points[0].Y != 25 || d.Y.Max != 25 || d.X != charts["before_errors"].X {
		t.Errorf("errors %v on axes %+v, %+v", d.Series[0].Points[0], d.X, d.Y)
	}
	if got := charts["b_latency"].Y; got != latency.Y || got.Min != 0.3 {
		t.Errorf("the phases' response times have the axes %+v and %+v", got, latency.Y)
	}
	if r.Checkpoints[0].Result.Windows[0].P95MS != 1000 || *r.Checkpoints[1].Result.Faults[0].SeenMS != 50 {
		t.Error("telling it changed the result")
	}
}

func TestStoryReadsInOrder(t *testing.T) {
	var page bytes.Buffer
	if err := story().Report().WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	text, at := page.String(), 0
	for _, want := range []string{
		"<h2>The plan beside what was measured</h2>", "<h3>Errors</h3>", "20-30% → 25%", "<h2>Before the plan: 100 users</h2>", "One pool of 20 connections",
		"✓ pass: 25% (the plan: 20-30%) errors, p95 10s (the plan: 8-12s); 15 requests/s with 5 statements each.", "<h2>Phase B, query optimisation: 300 users</h2>",
		"p95 1s, 10% of what it was before;", "database_down for 5s: seen after 500ms, and 1s after its end health no longer shows it.",
		"database_down</td>", "<h2>Beyond the plan: 500 users</h2>", "It did not run.", "<h2>Every check</h2>", "at the time scale of the checkpoint", `<table class="checks">`,
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come after what should stand before it", want)
		}
		at += i
	}
}

// Every checkpoint that there is has its line in the story.
func TestStoryKnowsAllCheckpoints(t *testing.T) {
	for name, line := range storyLines {
		if line.title == "" || line.changed == "" {
			t.Errorf("%s has no title or says nothing of what it changed", name)
		}
	}
	if got := (&Checkpoint{Name: "checkpoint-x", Users: 5}).part(); got != "x: 5 users" {
		t.Errorf("a checkpoint without a line is called %q", got)
	}
}
