package demo

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sort"
)

// A source draws numbers whose sequence is part of this package's promise: the
// same seed gives the same books for ever. It takes only raw 64-bit words from
// PCG, whose algorithm is fixed, and does its own scaling, because how
// math/rand/v2 scales is not promised between Go releases.
type source struct{ pcg *rand.PCG }

func newSource(seed, stream uint64) *source {
	s := &source{pcg: rand.NewPCG(seed, stream)}
	s.pcg.Uint64() // neighbouring streams start close together
	return s
}

// intn returns a number in [0, n). The bias of the multiplication is below
// n/2^64, far under what a text can show.
func (s *source) intn(n int) int {
	hi, _ := bits.Mul64(s.pcg.Uint64(), uint64(n))
	return int(hi)
}

// between returns a number in [lo, hi].
func (s *source) between(lo, hi int) int { return lo + s.intn(hi-lo+1) }

// chance is true in percent of 100 draws.
func (s *source) chance(percent int) bool { return s.intn(100) < percent }

// A zipf draws ranks 0 … n-1 with a probability falling as 1/(rank+2.7)
// (Mandelbrot's form of Zipf's law, with the offset he fitted to English).
// The table holds integers, so a draw does not depend on how a machine rounds.
type zipf struct{ cumulated []uint64 }

const zipfOffset = 2.7

func newZipf(n int) *zipf {
	z := &zipf{cumulated: make([]uint64, n)}
	var sum uint64
	for rank := range n {
		sum += uint64(math.Floor(1e12 / (float64(rank) + zipfOffset)))
		z.cumulated[rank] = sum
	}
	return z
}

func (z *zipf) rank(s *source) int {
	total := z.cumulated[len(z.cumulated)-1]
	at, _ := bits.Mul64(s.pcg.Uint64(), total)
	return sort.Search(len(z.cumulated), func(i int) bool { return z.cumulated[i] > at })
}

// words is a list whose earlier entries are drawn more often.
type words struct {
	list []string
	zipf *zipf
}

func newWords(lists ...[]string) words {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return words{list: all, zipf: newZipf(len(all))}
}

func (w words) draw(s *source) string { return w.list[w.zipf.rank(s)] }
