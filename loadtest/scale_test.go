package loadtest

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestScaled(t *testing.T) {
	s := mustParse(t, `
warm_up: 10s
duration: 20s
timeout: 8s
slow_after: 6s
think: {mean: 4s}
arrivals: {rate: 10/s, stages: [{for: 10s, to: 30/s}]}
checks: [{metric: service_p99, below: 4s, window: 10s, why: w}, {metric: goodput, above: 6/s, why: w}]
flows: [{name: f, steps: [{name: a, get: /a}, {name: b, get: /b, timeout: 2s, think: {min: 2s, max: 4s}}]}]
`)
	before := fmt.Sprintf("%+v %+v", s.Arrivals, s.Checks)
	c := s.scaled(0.5)
	if got := fmt.Sprintf("%+v %+v", s.Arrivals, s.Checks); got != before || s.steps[0].Timeout != 8*time.Second {
		t.Error("the scenario itself was changed")
	}
	half := time.Second / 2
	got := []any{
		c.WarmUp, c.Duration, c.Think.Mean, c.steps[0].Timeout, c.steps[0].SlowAfter, c.steps[1].Timeout, *c.steps[1].Think,
		c.Arrivals.Rate, c.Arrivals.Stages[0], *c.Checks[0].High, c.Checks[0].Window, *c.Checks[1].Low,
	}
	want := []any{
		10 * half, 20 * half, 4 * half, 8 * half, 6 * half, 2 * half, Pause{Min: 2 * half, Max: 4 * half},
		20.0, Stage{10 * half, 60}, Bound{Value: 2000}, 10 * half, Bound{Value: 12},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
	// Twice the rate in half the time: as many come.
	if a, b := s.Arrivals.curve.count(30*time.Second), c.Arrivals.curve.count(15*time.Second); math.Abs(a-b) > 1e-6 {
		t.Errorf("%v come in the whole time, %v in half of it", a, b)
	}
	if c.Flows[0].Steps[1] != c.steps[1] {
		t.Error("flows and steps of the copy are not the same steps")
	}
}

func TestTimeScale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := `
warm_up: 10s
duration: 100s
timeout: 20s
users: {count: 20, ramp_up: 5s}
think: {min: 1s, max: 3s}
checks: [{metric: p95, below: 8s, why: w}, {metric: rate, above: 5/s, why: w}, {metric: error_rate, below: 5%, why: w}]` + oneStep
		whole := virtual(context.Background(), t, text, newWatcher(time.Second).serve)
		tenth := virtual(context.Background(), t, text, newWatcher(100*time.Millisecond).serve, func(c *Config) { c.TimeScale = 0.1 })
		if tenth.Total.Completed != whole.Total.Completed || tenth.DurationS != 10 || tenth.WarmUpS != 1 {
			t.Errorf("a tenth has %d requests in %vs, the whole %d in %vs", tenth.Total.Completed, tenth.DurationS, whole.Total.Completed, whole.DurationS)
		}
		near(t, "p95", tenth.Total.Response.P95MS, whole.Total.Response.P95MS/10, 0.2)
		near(t, "rate", tenth.Total.Rate, whole.Total.Rate*10, 0.1)
		var bounds []string
		for _, c := range tenth.Checks {
			bounds = append(bounds, c.Bound)
		}
		if diff := gocmp.Diff([]string{"< 800ms", "> 50/s", "< 5%"}, bounds); diff != "" {
			t.Errorf("bounds at a tenth (-want +got):\n%s", diff)
		}
	})
}

// A user paces itself from asking to asking, and waits for what is later than that.
func TestPace(t *testing.T) {
	f := func(took time.Duration, text string, want time.Duration, why string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			w := newWatcher(took)
			virtual(context.Background(), t, "users: {count: 1}\n"+text, w.serve)
			times := w.seen["load-1"]
			for i, at := range times {
				if at != time.Duration(i)*want {
					t.Fatalf("%s: asks at %v, want every %v", why, times, want)
				}
			}
		})
	}
	f(250*time.Millisecond, "pace: 2s\nthink: 500ms"+oneStep, 2*time.Second, "a quick answer is no hurry")
	f(1750*time.Millisecond, "pace: 2s\nthink: 500ms"+oneStep, 2250*time.Millisecond, "a late one is looked at all the same")
	f(3*time.Second, "pace: 2s"+oneStep, 3*time.Second, "one later than the pace is waited for")
	f(time.Second, "pace: 2s\nflows: [{name: f, steps: [{name: s, get: /, pace: 4s}]}]\n", 4*time.Second, "a step has its own")
}

func TestPaceScales(t *testing.T) {
	s := mustParse(t, "users: {count: 1}\npace: {min: 2s, max: 4s}\nflows: [{name: f, steps: [{name: s, get: /, pace: {mean: 6s}}]}]\nfaults: [{fault: database_down, at: 4s, for: 2s}]\n")
	c := s.scaled(0.5)
	if c.Pace != (Pause{Min: time.Second, Max: 2 * time.Second}) || *c.steps[0].Pace != (Pause{Mean: 3 * time.Second}) ||
		c.Faults[0].At != 2*time.Second || c.Faults[0].For != time.Second || s.Faults[0].At != 4*time.Second || s.steps[0].Pace.Mean != 6*time.Second {
		t.Errorf("at half the time: pace %v, of the step %v, fault %+v", c.Pace, *c.steps[0].Pace, c.Faults[0])
	}
}
