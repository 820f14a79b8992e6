package loadtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestCurve(t *testing.T) {
	c := newCurve(0, []Stage{{10 * time.Second, 100}, {10 * time.Second, 100}, {0, 50}, {10 * time.Second, 0}})
	f := func(at time.Duration, value, count float64) {
		t.Helper()
		if got := c.at(at); math.Abs(got-value) > 1e-6 {
			t.Errorf("at(%v) = %v, want %v", at, got, value)
		}
		if got := c.count(at); math.Abs(got-count) > 1e-6 {
			t.Errorf("count(%v) = %v, want %v", at, got, count)
		}
	}
	f(0, 0, 0)
	f(5*time.Second, 50, 125)         // on the ramp
	f(10*time.Second, 100, 500)       // at its top
	f(15*time.Second, 100, 1000)      // held
	f(20*time.Second, 50, 1500)       // jumped
	f(25*time.Second, 25, 1500+187.5) // falling
	f(30*time.Second, 0, 1750)        // the last value
	f(300*time.Second, 0, 1750)       // holds for ever
	if got := c.most(); got != 100 {
		t.Errorf("most() = %v, want 100", got)
	}
	if at, ok := c.when(1751); ok {
		t.Errorf("when(1751) = %v, but only 1750 ever come", at)
	}
	if at, ok := c.reaches(60, 21*time.Second); ok {
		t.Errorf("reaches(60) after the fall = %v, but it never does again", at)
	}
	if at, ok := c.reaches(50, 0); !ok || at != 5*time.Second {
		t.Errorf("reaches(50) = %v, %v, want 5s", at, ok)
	}
	if at, ok := c.reaches(30, 12*time.Second); !ok || at != 12*time.Second {
		t.Errorf("reaches(30) from above = %v, %v, want at once", at, ok)
	}
	if at, ok := newCurve(0, []Stage{{0, 0}}).when(1); ok {
		t.Errorf("when(1) of nothing = %v", at)
	}
}

// when is the inverse of count on any curve.
func TestCurveInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var stages []Stage
		var total time.Duration
		for range rng.IntN(5) {
			s := Stage{For: time.Duration(rng.Int64N(int64(time.Minute))), To: float64(rng.IntN(3)) * rng.Float64() * 1000}
			stages, total = append(stages, s), total+s.For
		}
		c := newCurve(rng.Float64()*100, stages)
		for range 20 {
			at := time.Duration(rng.Int64N(int64(total) + int64(time.Minute)))
			n := c.count(at)
			back, ok := c.when(n)
			if n == 0 || c.at(at) < 1e-3 {
				continue // flat there: any moment would do
			}
			if !ok || (back-at).Abs() > time.Microsecond {
				t.Fatalf("%+v: when(count(%v)) = %v, %v", c, at, back, ok)
			}
		}
	}
}
