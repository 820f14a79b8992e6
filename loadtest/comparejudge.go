package loadtest

import (
	"fmt"
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

// A measure is one metric of one run. Ratios are compared as differences of logarithms.
type measure struct {
	value     float64
	deviation []float64 // of each resample
	variance  float64   // within the run: what another stretch of the same run would have differed by
	reason    string    // why there is none
}

// A runSample is one run, resampled.
type runSample struct {
	pieces     int
	block      float64
	all        *series
	list       []fragment
	measures   []measure // comparedMetrics of all, then of each step, then statementsMetric
	statements bool
}

// sampleRun takes the figures of a run and resamples it. The same resamples serve all of its steps, so that what moves
// together is seen to.
func sampleRun(r *Result, steps []string) (*runSample, error) {
	byStep := map[string][]fragment{}
	var every [][]fragment
	for i := range r.Steps {
		list, err := r.Steps[i].pieces()
		if err != nil {
			return nil, err
		}
		every = append(every, list)
		byStep[r.Steps[i].Step] = list
	}
	list := addedUp(every)
	if list == nil {
		var err error
		if list, err = r.measuredPieces(); err != nil {
			return nil, err
		}
	}
	parts := make([][]fragment, len(steps))
	for i, name := range steps {
		parts[i] = byStep[name]
	}
	s := sampled(list, parts)
	s.ofServer(r)
	return s, nil
}

// sampled resamples what all requests came to, and what each step came to.
func sampled(list []fragment, steps [][]fragment) *runSample {
	s := &runSample{list: list, pieces: len(list), all: newSeries(list)}
	s.block = s.all.block()
	draws := resamples(s.pieces, s.block)
	s.measure(s.all, draws)
	for _, step := range steps {
		s.measure(newSeries(step), draws)
	}
	return s
}

// block is the longest of what the response times, the rate and the errors ask for.
func (s *series) block() float64 {
	var mean, last float64
	if n := dot(s.once(), s.count); n > 0 {
		mean = dot(s.once(), s.sum) / n
	}
	last = mean
	times := make([]float64, len(s.count))
	for i, n := range s.count {
		if n > 0 {
			last = s.sum[i] / n
		}
		times[i] = last
	}
	return max(blockLength(times), blockLength(s.completed), blockLength(s.wrong))
}

// resamples are the resamples of n pieces. They depend on nothing else, so that the same files give the same report.
func resamples(n int, block float64) [][]int64 {
	if n < leastPieces {
		return nil
	}
	rng := rand.New(rand.NewPCG(uint64(n), 22))
	all := make([][]int64, replicates)
	for i := range all {
		all[i] = make([]int64, n)
		resample(rng, block, all[i])
	}
	return all
}

// measure takes every metric of a series.
func (s *runSample) measure(x *series, draws [][]int64) {
	for i := range comparedMetrics {
		m := &comparedMetrics[i]
		out := measure{reason: m.missing(x)}
		if out.reason == "" && (draws == nil || len(x.seconds) != len(draws[0])) {
			out.reason = "too few windows"
		}
		if out.reason == "" {
			out.value = m.scaled(m.of(x, x.once()))
			out.resampled(draws, s.block, func(times []int64) float64 { return m.scaled(m.of(x, times)) })
			if !m.ratio {
				// As good as no error in so many requests is not none for sure (A. Agresti and B. Coull, 1998).
				n := dot(x.once(), x.completed)
				p := (dot(x.once(), x.wrong) + 1) / (n + 2)
				out.variance = max(out.variance, 100*100*p*(1-p)/n)
			}
		}
		s.measures = append(s.measures, out)
	}
}

// missing says why the metric cannot be taken of the series.
func (m *comparedMetric) missing(x *series) string {
	completed, timed := dot(x.once(), x.completed), dot(x.once(), x.count)
	least := 20.0
	if m.at > 0 {
		least = max(least, math.Round(leastAtQuant/(1-m.at)))
	}
	switch {
	case m.unit == unitTime && timed < least:
		return fmt.Sprintf("needs %.0f timed answers, there were %.0f", least, timed)
	case m.unit == unitPercent && completed < least:
		return fmt.Sprintf("needs %.0f requests, there were %.0f", least, completed)
	case m.unit == unitRate && dot(x.once(), x.ok) < least:
		return fmt.Sprintf("needs %.0f requests that were served, there were %.0f", least, dot(x.once(), x.ok))
	}
	return ""
}

// scaled brings a value to the scale on which it is compared, back undoes it.
func (m *comparedMetric) scaled(v float64) float64 {
	if m.ratio {
		return math.Log(v)
	}
	return v
}

func (m *comparedMetric) back(v float64) float64 {
	if m.ratio {
		return math.Exp(v)
	}
	return v
}

// percent is a difference on that scale as a change in percent, or in points.
func (m *comparedMetric) percent(d float64) float64 {
	if m.ratio {
		return 100 * math.Expm1(d)
	}
	return d
}

// resampled takes the metric of every resample. A resample without a single answer counts as no deviation.
func (out *measure) resampled(draws [][]int64, block float64, of func([]int64) float64) {
	out.deviation = make([]float64, len(draws))
	mean, usable := 0.0, 0.0
	for i, times := range draws {
		out.deviation[i] = of(times)
		if !math.IsNaN(out.deviation[i]) && !math.IsInf(out.deviation[i], 0) {
			mean, usable = mean+out.deviation[i], usable+1
		}
	}
	mean /= max(usable, 1)
	blocks := float64(len(draws[0])) / block
	for i, v := range out.deviation {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			v = mean
		}
		// A resample of few blocks varies less than the run does, as the variance of a sample is that of its n-1.
		out.deviation[i] = (v - mean) * math.Sqrt(blocks/(blocks-1))
		out.variance += out.deviation[i] * out.deviation[i] / float64(len(draws))
	}
}

// ofServer measures statements per request.
func (s *runSample) ofServer(r *Result) {
	requests, statements := r.statementSeries()
	out := measure{reason: "the server was not asked in both"}
	if n := len(requests); n >= leastPieces {
		x := &series{seconds: requests} // one fragment for each sample
		every := x.once()
		block := max(blockLength(requests), blockLength(statements))
		of := func(times []int64) float64 { return math.Log(dot(times, statements) / dot(times, requests)) }
		if out.value, out.reason = of(every), ""; math.IsNaN(out.value) || math.IsInf(out.value, 0) {
			out.reason = "the server counted no statement"
		} else {
			out.resampled(resamples(n, block), block, of)
		}
	} else if n > 0 {
		out.reason = "too few samples of the server"
	}
	s.statements = len(requests) > 0
	s.measures = append(s.measures, out)
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
	if parts := x.within*x.within/blocks + x.between*x.between/(assumedRuns+free); parts > 0 {
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
