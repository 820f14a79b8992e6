package loadtest

import (
	"math"
	"math/rand/v2"
)

// belief returns draws of whether an objective is broken.
//
// A percentile within a bound is a share of requests above it, so shares are all there is beside the mean. What a share may
// be has a Beta distribution, which knows what twenty requests without a fault are worth. Before anything is seen the
// share is thought to be about as large as it may be, with the weight of half a request above the bound; for a median that
// is Jeffreys' prior. Neighbouring requests share their fate, so they count for fewer than they are, by the design effect
// of the windows and of the runs.
func belief(cells []cell, slo Check, index int, rng *rand.Rand) func() bool {
	bound := slo.High.Value
	if slo.Metric == "mean" {
		sum := func(c cell) float64 { return c.sum }
		timed := func(c cell) float64 { return c.timed }
		n := total(cells, timed)
		if n == 0 {
			return func() bool { return true } // nobody got an answer
		}
		mean := total(cells, sum) / n
		within := total(cells, func(c cell) float64 { return c.squares })/n - mean*mean
		spread := math.Sqrt(max(spreadOf(cells, sum, timed), within/n))
		return func() bool { return mean+spread*rng.NormFloat64() > bound }
	}
	part, whole, limit := shareOf(slo, index)
	k, n := total(cells, part), total(cells, whole)
	switch {
	case n == 0:
		return func() bool { return true }
	case limit == 0:
		return func() bool { return k > 0 }
	}
	share := k / n
	effect := 1.0
	if share > 0 && share < 1 {
		effect = max(1, spreadOf(cells, part, whole)/(share*(1-share)/n))
	}
	a, b := k/effect+0.5, (n-k)/effect+0.5*(1/limit-1)
	return func() bool {
		x, y := gamma(rng, a), gamma(rng, b)
		return x > limit*(x+y)
	}
}

// shareOf are the sums of which an objective bounds the ratio, and the bound. index is its place among the objectives.
func shareOf(slo Check, index int) (part, whole func(cell) float64, limit float64) {
	completed := func(c cell) float64 { return c.completed }
	limit = slo.High.Value / 100
	switch slo.Metric {
	case "error_rate":
		return func(c cell) float64 { return c.failed + c.refused }, completed, limit
	case "failed_rate":
		return func(c cell) float64 { return c.failed }, completed, limit
	case "refused_rate":
		return func(c cell) float64 { return c.refused }, completed, limit
	}
	return func(c cell) float64 { return c.over[index] }, func(c cell) float64 { return c.timed }, quantiles[slo.Metric]
}

func total(cells []cell, of func(cell) float64) float64 {
	sum := 0.0
	for _, c := range cells {
		sum += of(c)
	}
	return sum
}

// batches is into how many pieces a run is cut to learn how its parts differ.
const batches = 10

// spreadOf is the variance of a ratio of sums, by batch means: from how pieces of runs differ, or how runs do, whichever
// is more.
func spreadOf(cells []cell, part, whole func(cell) float64) float64 {
	var pieces, runs [][]cell
	for from := 0; from < len(cells); {
		to := from
		for to < len(cells) && cells[to].run == cells[from].run {
			to++
		}
		run := cells[from:to]
		runs = append(runs, run)
		for i, n := 0, min(batches, len(run)); i < n; i++ {
			pieces = append(pieces, run[i*len(run)/n:(i+1)*len(run)/n])
		}
		from = to
	}
	return max(ratioVariance(pieces, part, whole), ratioVariance(runs, part, whole))
}

// ratioVariance is the variance of the ratio of two sums over groups that differ independently; 0 for a single group.
func ratioVariance(groups [][]cell, part, whole func(cell) float64) float64 {
	n := float64(len(groups))
	if n < 2 {
		return 0
	}
	var k, all float64
	for _, g := range groups {
		k, all = k+total(g, part), all+total(g, whole)
	}
	e := 0.0
	for _, g := range groups {
		d := total(g, part) - k/all*total(g, whole)
		e += d * d
	}
	return e / (all * all) * n / (n - 1)
}

// gamma draws from the Gamma distribution with this shape and scale 1 (G. Marsaglia and W. W. Tsang, A Simple Method for
// Generating Gamma Variables, 2000).
func gamma(rng *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(rng, shape+1) * math.Pow(rng.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
