package loadtest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

// What ends after the run, while the last answers are waited for, is not drawn: it would look like a collapse.
func TestChartsEndWithTheRun(t *testing.T) {
	f := func(warmUp, measured float64, lengths []float64, want int) {
		t.Helper()
		r := &Result{WarmUpS: warmUp, MeasuredS: measured}
		at := 0.0
		for _, l := range lengths {
			r.Windows = append(r.Windows, Window{StartS: at, LengthS: l})
			at += l
		}
		if got := len(r.drawn()); got != want {
			t.Errorf("%v s and %v s, windows %v: %d are drawn, want %d", warmUp, measured, lengths, got, want)
		}
	}
	f(1, 2, []float64{1, 1, 1}, 3)
	f(1, 2, []float64{1, 1, 1, 0.2}, 3)    // the answers of those under way
	f(1, 1.5, []float64{1, 1, 1, 0.2}, 2)  // a window that is half of the run and half of the waiting
	f(0, 0.3, []float64{1}, 1)             // shorter than a window: what there is
	f(1, 1.2, []float64{1, 1, 0.2}, 3)     // interrupted: the last window is as long as it lasted
	f(10, 0, []float64{1, 1, 0.5}, 3)      // interrupted in the warm-up
	f(1, 1.1999, []float64{1, 1, 0.2}, 3)  // clocks are read one after the other
	f(3, 3, []float64{2, 2, 2, 2, 0.3}, 3) // windows of long runs are longer
	f(1, 1, nil, 0)

	server := &ServerFigures{Samples: []ServerSample{{AtS: 1, LengthS: 1}, {AtS: 2, LengthS: 1}, {AtS: 3.1, LengthS: 1}}}
	for until, want := range map[float64]int{2: 2, 1: 1, 0.1: 0, 9: 3} {
		if got := len(server.until(until).Samples); got != want {
			t.Errorf("%d samples until %v s, want %d", got, until, want)
		}
	}
	if len(server.Samples) != 3 || (*ServerFigures)(nil).until(1) != nil {
		t.Error("the figures themselves were cut")
	}
}

func TestDistribution(t *testing.T) {
	f := func(want string, times ...time.Duration) reports.Chart {
		t.Helper()
		tally := newTally(false)
		for _, d := range times {
			tally.add(OK, d, d, 1)
		}
		figures, err := tally.whole(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		c := (&Result{Total: figures}).distributionChart()
		var marks []string
		for _, m := range c.Marks {
			marks = append(marks, m.Label)
		}
		if got := strings.Join(marks, "; "); got != want {
			t.Errorf("%d times: marks %q, want %q", len(times), got, want)
		}
		return c
	}
	f("") // nobody was served
	f("p50, p95, p99 30ms", 30*time.Millisecond)
	c := f("p50 1ms; p95, p99 100ms", time.Millisecond, time.Millisecond, time.Millisecond, 100*time.Millisecond)
	total, at := 0.0, 0.0
	for _, p := range c.Series[0].Points {
		if p.X <= at {
			t.Errorf("the edge %v follows %v", p.X, at)
		}
		total, at = total+p.Y, p.X
	}
	if math.Abs(total-100) > 1e-9 || at < 0.1 || c.Series[0].Points[0].X > 0.001 || c.Series[0].Points[0].Y != 75 {
		t.Errorf("%v %% in all, from %v to %v s", total, c.Series[0].Points[0], at)
	}
	many := make([]time.Duration, 20_000)
	for i := range many {
		many[i] = 9*time.Millisecond + time.Duration(i)*time.Microsecond // 9 to 29 ms: half a decade
	}
	narrow := f("p50 19ms; p95 28ms; p99 28.8ms", many...)
	if n := len(narrow.Series[0].Points); n < 15 || n > 50 {
		t.Errorf("%d bins for half a decade", n)
	}
}

func TestBoundsAreDrawn(t *testing.T) {
	r := &Result{Checks: []reports.Check{
		{Name: "all requests", Metric: "p95", Bound: "≥ 800ms, ≤ 1.2s"},
		{Name: "all requests, each 10s", Metric: "p99", Bound: "< 5s"},
		{Name: "search", Metric: "p95", Bound: "≤ 1s"},         // of one step
		{Name: "all requests", Metric: "p50", Bound: "≥ 10ms"}, // no upper one
		{Name: "all requests", Metric: "error_rate", Bound: "≤ 3%"},
	}}
	want := []reports.Bound{{Value: 1.2, Label: "bound of p95, 1.2s"}, {Value: 5, Label: "bound of p99, 5s"}}
	if diff := cmp.Diff(want, r.bounds("p50", "p95", "p99")); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}
}

func TestSummaryIsAVerdict(t *testing.T) {
	f := func(r Result, want string) {
		t.Helper()
		r.Load, r.TimeScale, r.Verdict = "1 user", 1, reports.Overall(r.Checks)
		if got := r.summary(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q …", got, want)
		}
	}
	pass, fail := reports.Check{Verdict: reports.Pass}, reports.Check{Verdict: reports.Fail, Reason: "p95 is 9s, must be ≤ 8s"}
	other, third := reports.Check{Verdict: reports.Fail, Reason: "b"}, reports.Check{Verdict: reports.Fail, Reason: "c"}
	f(Result{Judged: true, Checks: []reports.Check{pass, pass}}, "All 2 checks hold: 1 user,")
	f(Result{Judged: true, Checks: []reports.Check{pass, fail, {Reason: "too few"}}}, "1 of 3 checks failed (p95 is 9s, must be ≤ 8s): 1 user")
	f(Result{Judged: true, Checks: []reports.Check{fail, other, third}}, "3 of 3 checks failed (p95 is 9s, must be ≤ 8s; b; and 1 more): ")
	f(Result{Judged: true, Interrupted: true, Checks: []reports.Check{pass, {Reason: "too few"}, {Reason: "too few"}}}, "2 of 3 checks cannot be judged (too few): ")
	f(Result{Interrupted: true}, "Interrupted. 1 user")
	f(Result{}, "1 user")
}
