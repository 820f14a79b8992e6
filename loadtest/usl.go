package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Gunther's Universal Scalability Law says what a system does with n requests in it at a time (N. J. Gunther, Guerrilla
// Capacity Planning, 2007, chapter 4):
//
//	X(n) = λn / (1 + σ(n-1) + κn(n-1))
//
// λ is the throughput of one request alone, σ the share of the work that waits its turn (contention), κ what it costs
// that all keep in step with each other (coherency). With κ above 0 throughput has a peak at n* = √((1-σ)/κ) and falls
// beyond it; with κ = 0 and σ above 0 it only flattens, towards λ/σ.
//
// n is the concurrency, not the number of users: one who thinks is not in the system. By Little's law n = X·R.

// A ScalePoint is what was measured at one load: so many requests were served a second, with so many in the system.
type ScalePoint struct {
	Load     float64 `json:"load"` // users, or arrivals per second
	InFlight float64 `json:"in_flight"`
	Rate     float64 `json:"rate_per_s"`
	Requests int64   `json:"requests,omitempty"` // that it rests on; 0 counts as very many
}

// leastNoise is the relative error of a rate that no number of requests takes away: the machine's, and the law's own.
const leastNoise = 0.03

// weight is what the point counts for in a fit: a rate of n requests is uncertain by about 1/√n.
func (p ScalePoint) weight() float64 {
	if p.Requests == 0 {
		return 1
	}
	return leastNoise * leastNoise / (leastNoise*leastNoise + 1/float64(p.Requests))
}

// An Estimate is a value and where it lies with 95 % likelihood.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// A Scalability is the law fitted to measured points. Where Doubts is not empty the fit must not be used to predict.
type Scalability struct {
	Lambda     Estimate `json:"lambda_per_s"` // requests per second of one alone
	Contention Estimate `json:"contention"`   // σ
	Coherency  Estimate `json:"coherency"`    // κ
	// Peak is n*, in requests at a time, and PeakRate the throughput there. Both are nil when throughput has no peak; a
	// High of 0, as that of Ceiling, says that the points allow that there is no end.
	Peak     *Estimate `json:"peak_in_flight,omitempty"`
	PeakRate *Estimate `json:"peak_rate_per_s,omitempty"`
	// Ceiling is λ/σ, which throughput comes near to and never reaches. It is nil when there is a peak, or no contention.
	Ceiling    *Estimate    `json:"ceiling_per_s,omitempty"`
	ErrorMean  float64      `json:"error_mean"` // of the fit, in percent of the measured rate
	ErrorWorst float64      `json:"error_worst"`
	Points     []ScalePoint `json:"points"`
	Doubts     []string     `json:"doubts,omitempty"`

	draws []law // what resampling the points gave; the band of a chart is drawn from it
}

// A law is the mean response time of the USL as a polynomial of n: R = n/X = a + b(n-1) + c·n(n-1), with a = 1/λ,
// b = σ/λ and c = κ/λ. In this form the law is linear in what is looked for, and σ, κ ≥ 0 are bounds on b and c.
type law struct{ a, b, c float64 }

// response holds for n below 1 too: as long as requests are seldom together, each takes what it takes alone.
func (l law) response(n float64) float64 { return l.a + (l.b+l.c*n)*others(n) }

// others is how many a request meets in the system.
func others(n float64) float64 { return max(0, n-1) }

func (l law) rate(n float64) float64 { return n / l.response(n) }
func (l law) sigma() float64         { return l.b / l.a }
func (l law) kappa() float64         { return l.c / l.a }

// peak is n*; +Inf when throughput never falls. Where one alone is the best there is, it is 1.
func (l law) peak() float64 {
	if l.c <= 0 {
		return math.Inf(1)
	}
	return max(1, math.Sqrt(max(0, l.a-l.b)/l.c))
}

// most is the throughput at the peak or, where there is none, that which more load comes near to; +Inf when it has no end.
func (l law) most() float64 {
	switch {
	case l.c > 0:
		return l.rate(l.peak())
	case l.b > 0:
		return 1 / l.b
	}
	return math.Inf(1)
}

// fitLaw finds the law that is nearest to the points, by least squares of the relative error of the rate, weighted.
//
// With the law in its linear form this is a least-squares problem of three parameters that may not fall below 0; its
// solution is the best of those of the seven ways in which some of them are 0, so it is found without starting values
// and without a local minimum to get stuck in. Relative errors of the rate are, to first order, relative errors of n/X;
// the reweighting makes them so around the fitted curve instead of around noisy points.
func fitLaw(points []ScalePoint) (law, bool) {
	scale := make([]float64, len(points)) // what one unit of error stands for
	for i, p := range points {
		scale[i] = p.InFlight / p.Rate
	}
	var best law
	for range 5 {
		found, ok := nonNegative(points, scale)
		if !ok {
			return law{}, false
		}
		best = found
		for i, p := range points {
			scale[i] = best.response(p.InFlight)
		}
	}
	return best, best.a > 0
}

// nonNegative is the weighted least-squares solution with no parameter below 0.
func nonNegative(points []ScalePoint, scale []float64) (law, bool) {
	// The columns are scaled to the largest n, because n² and 1 in one matrix lose digits.
	most := 1.0
	for _, p := range points {
		most = max(most, p.InFlight)
	}
	units := [3]float64{1, 1 / most, 1 / (most * most)}
	var m [3][4]float64 // the normal equations
	for i, p := range points {
		n := p.InFlight
		row := [4]float64{units[0], units[1] * others(n), units[2] * n * others(n), n / p.Rate}
		w := p.weight() / (scale[i] * scale[i])
		for j := range 3 {
			for k := range 4 {
				m[j][k] += w * row[j] * row[k]
			}
		}
	}
	var best law
	least, found := math.Inf(1), false
	for set := 1; set < 8; set += 2 { // a is always in: a response takes time
		x, ok := solve(m, set)
		if !ok || slices.ContainsFunc(x[:], func(v float64) bool { return v < 0 }) {
			continue
		}
		l := law{units[0] * x[0], units[1] * x[1], units[2] * x[2]}
		e := 0.0
		for i, p := range points {
			d := (p.InFlight/p.Rate - l.response(p.InFlight)) / scale[i]
			e += p.weight() * d * d
		}
		if e < least {
			best, least, found = l, e, true
		}
	}
	return best, found
}

// solve solves the normal equations for the parameters in set, the others being 0, by elimination with pivots.
func solve(m [3][4]float64, set int) ([3]float64, bool) {
	var in []int
	for j := range 3 {
		if set&(1<<j) != 0 {
			in = append(in, j)
		}
	}
	var x [3]float64
	nothing := 1e-12 * max(m[0][0], m[1][1], m[2][2])
	for step, j := range in {
		pivot := j
		for _, k := range in[step:] {
			if math.Abs(m[k][j]) > math.Abs(m[pivot][j]) {
				pivot = k
			}
		}
		if !(math.Abs(m[pivot][j]) > nothing) {
			return x, false
		}
		m[j], m[pivot] = m[pivot], m[j]
		for _, k := range in {
			if k == j {
				continue
			}
			f := m[k][j] / m[j][j]
			for col := range 4 {
				m[k][col] -= f * m[j][col]
			}
		}
	}
	for _, j := range in {
		x[j] = m[j][3] / m[j][j]
	}
	return x, true
}

// Bounds of a fit.
const (
	leastScalePoints = 6    // Gunther's own advice for a fit
	leastSpan        = 4    // times the smallest concurrency that the largest must be
	worstScaleError  = 0.15 // relative, of any point
	meanScaleError   = 0.07 // relative, of all
	uslDraws         = 500
)

// fitScalability fits the law and says how far it is to be trusted. It returns nil when there is nothing to fit: fewer
// than three points at different concurrencies. The likely ranges come from a wild bootstrap: each point is moved by its
// own residual with a random sign, so what the law does not explain counts as uncertainty, as noise does.
func fitScalability(points []ScalePoint, seed uint64) *Scalability {
	points = slices.DeleteFunc(slices.Clone(points), func(p ScalePoint) bool {
		return !(p.InFlight > 0) || !(p.Rate > 0) || math.IsInf(p.InFlight, 0) || math.IsInf(p.Rate, 0)
	})
	slices.SortFunc(points, func(a, b ScalePoint) int { return cmp.Compare(a.InFlight, b.InFlight) })
	if distinct(points) < 3 {
		return nil
	}
	l, ok := fitLaw(points)
	if !ok {
		return nil
	}
	out := &Scalability{Points: points}
	residuals := make([]float64, len(points))
	for i, p := range points {
		residuals[i] = p.Rate/l.rate(p.InFlight) - 1
		out.ErrorMean += 100 * math.Abs(residuals[i]) / float64(len(points))
		out.ErrorWorst = max(out.ErrorWorst, 100*math.Abs(residuals[i]))
	}
	out.draws = wildDraws(points, l, residuals, seed)
	out.estimate(l)
	out.doubt(l)
	return out
}

// wildDraws fits the law to points that were moved about the fitted curve. Residuals are enlarged, because a curve with
// three parameters passes nearer to its own points than to the truth, and because how far is known from few of them.
func wildDraws(points []ScalePoint, l law, residuals []float64, seed uint64) []law {
	rng := rand.New(rand.NewPCG(seed, 0x05e1))
	free := max(float64(len(points)-3), 1)
	enlarge := math.Sqrt(float64(len(points))/free) * student(free) / normal975
	moved := slices.Clone(points)
	draws := make([]law, 0, uslDraws)
	for range uslDraws {
		for i, p := range points {
			r := enlarge * residuals[i]
			if rng.IntN(2) == 0 {
				r = -r
			}
			moved[i].Rate = l.rate(p.InFlight) * max(0.05, 1+r)
		}
		if d, ok := fitLaw(moved); ok {
			draws = append(draws, d)
		}
	}
	return draws
}

// normal975 leaves 2.5 % of a normal distribution above it.
const normal975 = 1.959964

// student leaves 2.5 % of Student's distribution above it, by the expansion of Cornish and Fisher (Abramowitz and Stegun,
// 26.7.5); below three degrees of freedom it is too small.
func student(free float64) float64 {
	const z = normal975
	return z + (z*z*z+z)/(4*free) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*free*free) + (3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*free*free*free)
}

// estimate fills in the parameters and what follows from them.
func (s *Scalability) estimate(l law) {
	s.Lambda = s.spread(1/l.a, func(d law) float64 { return 1 / d.a })
	s.Contention = s.spread(l.sigma(), law.sigma)
	s.Coherency = s.spread(l.kappa(), law.kappa)
	if n := l.peak(); !math.IsInf(n, 0) {
		peak := s.spread(n, law.peak)
		if math.IsInf(peak.High, 0) {
			peak.High = 0
		}
		rate := s.spread(l.rate(n), law.most)
		if math.IsInf(rate.High, 0) {
			rate.High = 0
		}
		s.Peak, s.PeakRate = &peak, &rate
	} else if l.b > 0 {
		ceiling := s.spread(1/l.b, law.most)
		if math.IsInf(ceiling.High, 0) {
			ceiling.High = 0
		}
		s.Ceiling = &ceiling
	}
}

// spread takes the middle 95 % of the draws.
func (s *Scalability) spread(v float64, of func(law) float64) Estimate {
	all := make([]float64, 0, len(s.draws))
	for _, d := range s.draws {
		all = append(all, of(d))
	}
	low, high := middle95(all)
	return Estimate{Value: v, Low: min(low, v), High: max(high, v)}
}

// middle95 gives the values between which the middle 95 % lie. It sorts all.
func middle95(all []float64) (low, high float64) {
	if len(all) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(math.Round(q*float64(len(all)-1)))] }
	return at(0.025), at(0.975)
}

// doubt says why the fit is not to be trusted.
func (s *Scalability) doubt(l law) {
	add := func(format string, args ...any) { s.Doubts = append(s.Doubts, fmt.Sprintf(format, args...)) }
	first, last := s.Points[0], s.Points[len(s.Points)-1]
	if n := distinct(s.Points); n < leastScalePoints {
		add("it has %d points, a fit needs %d", n, leastScalePoints)
	}
	if last.InFlight < leastSpan*first.InFlight {
		add("its points lie between %s and %s requests at a time, which is less than %d-fold",
			formatNumber(first.InFlight), formatNumber(last.InFlight), leastSpan)
	}
	if s.ErrorWorst > 100*worstScaleError || s.ErrorMean > 100*meanScaleError {
		add("it misses the measured rate by up to %s%% (%s%% on average): this server does not follow the law. A fixed number of places, such as a pool's, "+
			"gives a sharp bend where the law has a soft one", formatNumber(s.ErrorWorst), formatNumber(s.ErrorMean))
	}
	if n := l.peak(); !math.IsInf(n, 0) && n > last.InFlight {
		add("its peak, at %s requests at a time, lies beyond the last point, at %s", formatNumber(n), formatNumber(last.InFlight))
	}
}

// distinct counts points at least 2 % apart; points must be in order.
func distinct(points []ScalePoint) int {
	n, last := 0, math.Inf(-1)
	for _, p := range points {
		if p.InFlight > last*1.02 || n == 0 {
			n, last = n+1, p.InFlight
		}
	}
	return n
}

// at is the fitted rate with n requests at a time, and the band around it.
func (s *Scalability) at(n float64) Estimate {
	l := law{1 / s.Lambda.Value, s.Contention.Value / s.Lambda.Value, s.Coherency.Value / s.Lambda.Value}
	return s.spread(l.rate(n), func(d law) float64 { return d.rate(n) })
}
