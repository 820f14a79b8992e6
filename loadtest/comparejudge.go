package loadtest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// How differences are judged. docs/decisions/0022-comparing-runs.md derives these.
const (
	replicates    = 1000 // resamples of every run
	falseAlarms   = 0.05 // how often identical runs may differ in anything
	stepsShare    = 0.2  // of falseAlarms, for all metrics of single steps together
	assumedRuns   = 12   // how many degrees of freedom RunNoise weighs as much as
	contradicted  = 2    // the same, once the runs have shown more than contradiction times the variance that was assumed
	unseen        = 4    // times the smallest effect: the regression that must be excluded to say that there is no difference
	excluded      = 1.78 // standard errors that exclude it with 95 %: Student's t of assumedRuns degrees, on one side
	contradiction = 3    // seen by chance in one of 20 pairs of two or three runs
	errorNoise    = 0.1  // percentage points of the error rate for each percent of RunNoise
	leastAtQuant  = 10   // answers that must lie beyond a percentile
)

// A comparedMetric is one of those that Compare judges.
type comparedMetric struct {
	name  string
	unit  unit
	good  float64 // 1 when more is better, -1 when less is
	ratio bool    // compared by its ratio, else by its difference
	main  bool    // one that must be told, or the comparison is inconclusive
	noise float64 // its noise between runs, in RunNoise
	at    float64 // the percentile
	of    func(*series, []int64) float64
}

// comparedMetrics are those of all requests and of each step.
var comparedMetrics = []comparedMetric{
	{name: "mean", unit: unitTime, good: -1, ratio: true, main: true, noise: 1, of: func(s *series, times []int64) float64 {
		return dot(times, s.sum) / dot(times, s.count)
	}},
	{name: "p50", unit: unitTime, good: -1, ratio: true, main: true, noise: 1, at: 0.5, of: func(s *series, times []int64) float64 { return s.quantile(0.5, times) }},
	{name: "p95", unit: unitTime, good: -1, ratio: true, main: true, noise: 1, at: 0.95, of: func(s *series, times []int64) float64 { return s.quantile(0.95, times) }},
	{name: "p99", unit: unitTime, good: -1, ratio: true, noise: 1.5, at: 0.99, of: func(s *series, times []int64) float64 { return s.quantile(0.99, times) }},
	{name: "error_rate", unit: unitPercent, good: -1, main: true, noise: errorNoise, of: func(s *series, times []int64) float64 {
		return 100 * dot(times, s.wrong) / dot(times, s.completed)
	}},
	{name: "goodput", unit: unitRate, good: 1, ratio: true, main: true, noise: 0.5, of: func(s *series, times []int64) float64 {
		return dot(times, s.ok) / dot(times, s.seconds)
	}},
}

// statementsMetric is of the server, when both sides were asked.
var statementsMetric = comparedMetric{name: "server.statements_per_request", unit: unitCount, good: -1, ratio: true, noise: 0.4}

func comparedMetricNamed(name string) *comparedMetric {
	for i := range comparedMetrics {
		if comparedMetrics[i].name == name {
			return &comparedMetrics[i]
		}
	}
	return &statementsMetric
}

// A contrast is one metric of both sides.
type contrast struct {
	metric    *comparedMetric
	change    *Change
	effect    float64   // after less before
	deviation []float64 // of each resample of both sides
	within    float64   // variance of effect by what happens within runs
	between   float64   // variance of effect by what differs from run to run
	freedom   float64   // degrees of, for both together
	runs      float64   // standard deviation between runs of one side
}

// judge makes the changes. All intervals of one family hold together.
func (c *Comparison) judge(before, after []*runSample, steps []string) {
	var all, single []*contrast
	names := append([]string{""}, steps...)
	statements := before[0].statements && after[0].statements
	c.Changes = make([]Change, 0, len(names)*len(comparedMetrics)+1)
	for i := range before[0].measures {
		m, step := &statementsMetric, ""
		if i < len(names)*len(comparedMetrics) {
			m, step = &comparedMetrics[i%len(comparedMetrics)], names[i/len(comparedMetrics)]
		} else if !statements {
			continue
		}
		c.Changes = append(c.Changes, Change{Metric: m.name, Step: step, Outcome: CannotTell})
		x := contrasted(before, after, i, m, c.RunNoise, &c.Changes[len(c.Changes)-1])
		switch {
		case x == nil:
		case step == "":
			all = append(all, x)
		default:
			single = append(single, x)
		}
	}
	share := stepsShare
	if len(single) == 0 {
		share = 0
	}
	c.conclude(all, falseAlarms*(1-share))
	c.conclude(single, falseAlarms*share)
	c.settle()
}

// contrasted is nil when a run lacks the metric; the change then says why.
func contrasted(before, after []*runSample, i int, m *comparedMetric, noise float64, ch *Change) *contrast {
	x := &contrast{metric: m, change: ch, deviation: make([]float64, replicates)}
	var spread, within, mean [2]float64
	for side, runs := range [][]*runSample{before, after} {
		n := float64(len(runs))
		for _, r := range runs {
			if ch.Reason = r.measures[i].reason; ch.Reason != "" {
				return nil
			}
			mean[side] += r.measures[i].value / n
		}
		sign := float64(2*side - 1)
		for _, r := range runs {
			one := &r.measures[i]
			spread[side] += (one.value - mean[side]) * (one.value - mean[side])
			within[side] += one.variance / n
			for b, d := range one.deviation {
				x.deviation[b] += sign * d / n
			}
		}
		x.within += within[side] / n
	}
	a, b := float64(len(before)), float64(len(after))
	assumed := m.noise * noise
	if m.ratio {
		assumed = math.Log1p(assumed / 100)
	}
	// What is assumed of the noise between runs gives way to what the runs show, by how much each is worth.
	free, weight, variance := a+b-2, float64(assumedRuns), assumed*assumed
	if free > 0 {
		seen := (spread[0]+spread[1])/free - (a*within[0]+b*within[1])/(a+b)
		if seen > contradiction*variance {
			weight = contradicted
		}
		variance = max(0, (weight*variance+free*seen)/(weight+free))
	}
	x.runs, x.between, x.effect = math.Sqrt(variance), variance*(1/a+1/b), mean[1]-mean[0]
	blocks := 0.0
	for _, r := range append(slices.Clone(before), after...) {
		blocks += float64(max(r.pieces, leastPieces))/max(r.block, 1) - 1
	}
	// The degrees of freedom of a sum of two variances: B. L. Welch and F. E. Satterthwaite.
	x.freedom = weight + free
	if parts := x.within*x.within/blocks + x.between*x.between/(weight+free); parts > 0 {
		x.freedom = (x.within + x.between) * (x.within + x.between) / parts
	}
	old, now := m.back(mean[0]), m.back(mean[1])
	change := m.percent(x.effect)
	deviation := m.percent(x.runs)
	ch.Before, ch.After, ch.Percent, ch.RunsVar = &old, &now, &change, &deviation
	return x
}

// conclude gives the changes of one family their intervals and outcomes, so that with identical runs none of them is
// wrong in a share of 1-alarms of all comparisons.
func (c *Comparison) conclude(family []*contrast, alarms float64) {
	factor := critical(family, alarms)
	for _, x := range family {
		standard := math.Sqrt(x.within + x.between)
		half := factor * standard
		low, high := x.metric.percent(x.effect-half), x.metric.percent(x.effect+half)
		x.change.Low, x.change.High = &low, &high
		least, most := c.MinErrors, unseen*c.MinErrors
		if x.metric.ratio {
			least, most = math.Log1p(c.MinEffect/100), math.Log1p(unseen*c.MinEffect/100)
		}
		worse := -x.metric.good * x.effect
		switch {
		case len(c.Reasons) > 0:
			x.change.Reason = c.Reasons[0]
		case worse >= least && worse > half:
			x.change.Outcome = Regressed
		case -worse >= least && -worse > half:
			x.change.Outcome = Improved
		case worse+excluded*standard <= most:
			x.change.Outcome = NoDifference
		default:
			x.change.Reason = "it varies too much: longer or more runs would tell"
		}
	}
}

// critical is how many standard errors each interval must reach, so that all of the family hold together: the quantile
// of the largest of all deviations, which the resamples tell (single-step max-T of P. Westfall and S. Young, 1993). The
// noise between runs is taken as half common to all metrics, half each metric's own.
func critical(family []*contrast, alarms float64) float64 {
	if len(family) == 0 {
		return 0
	}
	freedom := math.Inf(1)
	for _, x := range family {
		freedom = min(freedom, x.freedom)
	}
	degrees := max(3, int(min(freedom, 200)))
	rest := make([]float64, len(family)) // of the standard error: what the resamples do not show
	for i, x := range family {
		var resampled float64
		for _, d := range x.deviation {
			resampled += d * d / replicates
		}
		rest[i] = math.Sqrt(max(0, x.within+x.between-resampled))
	}
	rng := rand.New(rand.NewPCG(uint64(len(family)), 22))
	largest := make([]float64, replicates)
	for b := range largest {
		common := rng.NormFloat64()
		for i, x := range family {
			noise := rest[i] * (common + rng.NormFloat64()) / math.Sqrt2
			if standard := math.Sqrt(x.within + x.between); standard > 0 {
				largest[b] = max(largest[b], math.Abs(x.deviation[b]+noise)/standard)
			}
		}
		largest[b] *= math.Sqrt(float64(degrees) / chiSquared(rng, degrees))
	}
	slices.Sort(largest)
	return largest[min(replicates-1, int(math.Ceil((1-alarms)*replicates)))]
}
