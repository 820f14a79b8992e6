package loadtest

import (
	"math"
	"math/rand/v2"
)

// blockLength is how many neighbours in values belong together, on average, when they are resampled: the choice of
// D. N. Politis and H. White ("Automatic block-length selection for the dependent bootstrap", 2004, corrected in 2009 with
// A. Patton) for the stationary bootstrap. It is at least the cube root of their number, because a short series hides
// that it is correlated, and at most a quarter of it, because fewer than four blocks tell nothing of how blocks vary.
func blockLength(values []float64) float64 {
	n := len(values)
	least, most := math.Cbrt(float64(n)), float64(n)/4
	covariance := autocovariance(values)
	if n < leastPieces || covariance[0] <= 0 {
		return max(1, min(least, most))
	}
	bound := 2 * math.Sqrt(math.Log10(float64(n))/float64(n))
	run := max(5, int(math.Sqrt(math.Log10(float64(n)))))
	last := 0 // the last lag before run lags in a row are negligible
	for k := 1; k < n && k <= last+run; k++ {
		if math.Abs(covariance[k]/covariance[0]) >= bound {
			last = k
		}
	}
	var weighted, spectrum float64 // G and g(0) of the paper
	for k := -2 * last; k <= 2*last; k++ {
		at := k
		if k < 0 {
			at = -k
		}
		if at >= n {
			continue
		}
		window := 1.0
		if t := float64(at) / float64(2*last); last > 0 && t > 0.5 {
			window = 2 * (1 - t)
		}
		weighted += window * float64(at) * covariance[at]
		spectrum += window * covariance[at]
	}
	length := least
	if spectrum > 0 {
		length = math.Cbrt(weighted*weighted/(spectrum*spectrum)) * math.Cbrt(float64(n))
	}
	return max(1, min(max(length, least), most))
}

// autocovariance is that at every lag, with the number of values as divisor.
func autocovariance(values []float64) []float64 {
	n := len(values)
	out := make([]float64, max(n, 1))
	var mean float64
	for _, v := range values {
		mean += v / float64(n)
	}
	for k := range n {
		for i := k; i < n; i++ {
			out[k] += (values[i] - mean) * (values[i-k] - mean) / float64(n)
		}
	}
	return out
}

// resample draws pieces with replacement in blocks of random lengths, and says how often each was drawn. Blocks that reach
// the end go on at the beginning, so that every fragment is as likely as any other (the stationary bootstrap of Politis and
// J. Romano, 1994).
func resample(rng *rand.Rand, length float64, times []int64) {
	clear(times)
	n := len(times)
	at := rng.IntN(n)
	for range n {
		times[at]++
		if at++; at == n {
			at = 0
		}
		if rng.Float64()*length < 1 {
			at = rng.IntN(n)
		}
	}
}

// chiSquared draws from the distribution of that name, for which whole degrees of freedom suffice here.
func chiSquared(rng *rand.Rand, degrees int) (sum float64) {
	for range degrees {
		x := rng.NormFloat64()
		sum += x * x
	}
	return sum
}
