package loadtest

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// scalePoints are points of a law with noise of so many percent.
func scalePoints(l law, noise float64, rng *rand.Rand, at ...float64) []ScalePoint {
	var all []ScalePoint
	for _, n := range at {
		p := ScalePoint{Load: n, InFlight: n, Rate: l.rate(n)}
		if noise > 0 {
			p.Rate *= 1 + noise/100*rng.NormFloat64()
		}
		all = append(all, p)
	}
	return all
}

func newLaw(lambda, sigma, kappa float64) law { return law{1 / lambda, sigma / lambda, kappa / lambda} }

// Points of a law give that law back, to the last digits.
func TestScalabilityOfExactPoints(t *testing.T) {
	f := func(why string, lambda, sigma, kappa float64, at ...float64) {
		t.Helper()
		s := fitScalability(scalePoints(newLaw(lambda, sigma, kappa), 0, nil, at...), 1)
		if s == nil {
			t.Fatalf("%s: no fit", why)
		}
		near := func(name string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > 1e-6*math.Max(want, 1e-3) {
				t.Errorf("%s: %s is %v, want %v", why, name, got, want)
			}
		}
		near("λ", s.Lambda.Value, lambda)
		near("σ", s.Contention.Value, sigma)
		near("κ", s.Coherency.Value, kappa)
		if len(s.Doubts) > 0 && (kappa == 0 || math.Sqrt((1-sigma)/kappa) < at[len(at)-1]) {
			t.Errorf("%s: doubts %q", why, s.Doubts)
		}
		switch {
		case kappa > 0:
			near("n*", s.Peak.Value, math.Sqrt((1-sigma)/kappa))
		case s.Peak != nil:
			t.Errorf("%s: a peak at %v", why, *s.Peak)
		case sigma > 0:
			near("the ceiling", s.Ceiling.Value, lambda/sigma)
		}
	}
	f("all three", 100, 0.03, 0.0005, 1, 2, 4, 8, 16, 32, 64, 100)
	f("no coherency", 100, 0.05, 0, 1, 2, 4, 8, 16, 32, 64)
	f("no contention", 20, 0, 0.001, 1, 2, 4, 8, 16, 32, 64)
	f("straight", 20, 0, 0, 1, 2, 4, 8, 16, 32, 64)
	f("less than one at a time", 3, 0.02, 0.0001, 0.1, 0.5, 2, 8, 30, 100, 200)
	f("many at a time", 5000, 0.001, 1e-8, 10, 100, 1000, 5000, 10000, 20000)
}

// Cisco's measurements, as B. Schwartz prints them (Practical Scalability Analysis with the Universal Scalability Law,
// 2015). Least squares of absolute errors, which he and others use, give λ 995.6, σ 0.0267, κ 0.000769 and so n* 35.6;
// those of relative errors weigh the first points more, and come near.
func TestScalabilityOfPublishedPoints(t *testing.T) {
	rates := []float64{
		955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24,
		10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
	}
	var points []ScalePoint
	for i, x := range rates {
		points = append(points, ScalePoint{InFlight: float64(i + 1), Rate: x})
	}
	s := fitScalability(points, 1)
	f := func(name string, e Estimate, want, within float64) {
		t.Helper()
		if math.Abs(e.Value/want-1) > within {
			t.Errorf("%s is %+v, want %v within %v", name, e, want, within)
		}
	}
	f("λ", s.Lambda, 995.6, 0.05)
	f("n*", *s.Peak, 35.6, 0.08)
	f("the rate at n*", *s.PeakRate, 12_200, 0.01)
	if s.ErrorMean > 2 || s.ErrorWorst > 5 {
		t.Errorf("it misses by %v %% on average, %v %% at worst", s.ErrorMean, s.ErrorWorst)
	}
	if len(s.Doubts) != 1 || !strings.Contains(s.Doubts[0], "lies beyond the last point, at 32") {
		t.Errorf("doubts %q", s.Doubts)
	}
}

// A range of 95 % holds the truth about so often; and what was fitted with neither contention nor coherency in it finds none.
func TestScalabilityRanges(t *testing.T) {
	truth := newLaw(50, 0.03, 0.0004)
	at := []float64{1, 2, 4, 8, 16, 24, 32, 48, 64, 90}
	const repeats = 100
	var lambda, sigma, kappa, peak int
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range repeats {
		s := fitScalability(scalePoints(truth, 3, rng, at...), uint64(i))
		in := func(e Estimate, v float64) int {
			if e.Low <= v && (v <= e.High || e.High == 0) {
				return 1
			}
			return 0
		}
		lambda += in(s.Lambda, 50)
		sigma += in(s.Contention, 0.03)
		kappa += in(s.Coherency, 0.0004)
		peak += in(*s.Peak, truth.peak())
	}
	for name, n := range map[string]int{"λ": lambda, "σ": sigma, "κ": kappa, "n*": peak} {
		if n < 88 || n == repeats {
			t.Errorf("the range of %s held the truth %d times of %d", name, n, repeats)
		}
	}
	t.Logf("of %d: λ %d, σ %d, κ %d, n* %d", repeats, lambda, sigma, kappa, peak)
}

func TestScalabilityDoubts(t *testing.T) {
	f := func(why, want string, points []ScalePoint) {
		t.Helper()
		s := fitScalability(points, 1)
		if want == "" {
			if s != nil {
				t.Errorf("%s: fitted %+v", why, s)
			}
			return
		}
		if s == nil || !strings.Contains(strings.Join(s.Doubts, "\n"), want) {
			t.Errorf("%s: %+v, want a doubt of %q", why, s, want)
		}
	}
	l := newLaw(10, 0.05, 0.001)
	f("nothing", "", nil)
	f("two loads", "", scalePoints(l, 0, nil, 1, 1.01, 50))
	f("no time, no rate", "", []ScalePoint{{InFlight: 0, Rate: 5}, {InFlight: 2, Rate: 0}, {InFlight: math.Inf(1), Rate: 5}, {InFlight: math.NaN(), Rate: 5}})
	f("five points", "it has 5 points, a fit needs 6", scalePoints(l, 0, nil, 1, 5, 10, 20, 50, 50.5))
	f("close together", "less than 4-fold", scalePoints(l, 0, nil, 10, 12, 14, 16, 18, 20, 39))
	f("no point beyond the peak", "lies beyond the last point, at 20", scalePoints(l, 0, nil, 1, 2, 4, 8, 10, 20))
	// A point of ten requests that is far off moves the law less than one of thousands.
	off := func(requests int64) float64 {
		points := scalePoints(l, 0, nil, 1, 2, 5, 10, 20, 50)
		for i := range points {
			points[i].Requests = 10_000
		}
		points[0].Rate, points[0].Requests = points[0].Rate/2, requests
		return fitScalability(points, 1).Lambda.Value
	}
	if few, many := off(10), off(10_000); few < 9.5 || many > 9 {
		t.Errorf("λ is %v with few requests that are off, %v with many; it is 10", few, many)
	}
	// A pool of eight places: in proportion up to eight, flat beyond.
	var bend []ScalePoint
	for _, n := range []float64{1, 2, 4, 6, 8, 12, 16, 32, 64} {
		bend = append(bend, ScalePoint{InFlight: n, Rate: 3 * min(n, 8)})
	}
	f("a sharp bend", "this server does not follow the law", bend)
}
