package loadtest

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestArrivalsFollowTheCurve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(time.Second)
		r := virtual(context.Background(), t, "arrivals: {stages: [{for: 5s, to: 20/s}, {for: 5s, to: 20/s}], identities: 30}"+oneStep, w.serve)
		// 50 by the ramp's end, and 100 more, of which the last is due at the very end.
		if r.Total.Completed != 149 || r.Generator.Asked != 149 || r.Generator.InTime != 149 {
			t.Errorf("completed %d, asked %d, in time %d; want 149", r.Total.Completed, r.Generator.Asked, r.Generator.InTime)
		}
		if len(w.seen) != 30 || len(w.seen["load-1"]) != 5 {
			t.Errorf("%d identities, the first %d times; want 30, 5", len(w.seen), len(w.seen["load-1"]))
		}
		if at := w.seen["load-20"][0]; (at - 3162278*time.Microsecond).Abs() > time.Microsecond { // 2t² = 20
			t.Errorf("the 20th comes at %v, want 3.162278s", at)
		}
	})
}

func TestPoissonArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(0)
		virtual(context.Background(), t, "duration: 100s\narrivals: {rate: 100/s, spacing: poisson, identities: 1}"+oneStep, w.serve)
		times := w.seen["load-1"]
		if n := float64(len(times)); math.Abs(n-10_000) > 400 { // four standard deviations
			t.Errorf("%v arrivals in 100 s at 100/s", n)
		}
		slices.Sort(times)
		short := 0
		for i := 1; i < len(times); i++ {
			if times[i]-times[i-1] < 10*time.Millisecond {
				short++
			}
		}
		// Of exponential gaps 1-1/e are below their mean.
		if share := float64(short) / float64(len(times)); math.Abs(share-(1-1/math.E)) > 0.02 {
			t.Errorf("%.3f of the gaps are below the mean, want 0.632", share)
		}
	})
}

// Visitors who walk through several steps keep their slot until they are done, and only the first step has a schedule.
func TestArrivalsOfSeveralSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(100 * time.Millisecond)
		r := virtual(context.Background(), t, `
arrivals: {rate: 10/s, max_visitors: 50}
think: 400ms
flows:
  - name: f
    steps:
      - {name: a, get: /a}
      - {name: b, get: /b, repeat: 2}
`, w.serve)
		a, b := r.of("a").Completed, r.of("b").Completed
		if a != 99 || r.Generator.Asked != 99 || r.Generator.Held != 0 {
			t.Errorf("%d first steps of %d asked, %d held; want 99, 99, 0", a, r.Generator.Asked, r.Generator.Held)
		}
		if b != 2*99-15 { // what is due after the end is not sent: five visitors lack both, five one
			t.Errorf("%d second steps, want %d", b, 2*99-15)
		}
		if got := r.Total.Response.MaxMS; math.Abs(got-100) > 0.1 {
			t.Errorf("the slowest took %vms: thinking between steps must not count", got)
		}
	})
}
