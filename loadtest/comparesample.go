package loadtest

import (
	"fmt"
	"math"
	"math/rand/v2"
)

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
