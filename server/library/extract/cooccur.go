package extract

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Pair says that two keyphrases keep company. A and B are indexes into the keyphrases, A < B. Weight is above 0 and at most 1.
type Pair struct {
	A, B   int
	Weight float64
}

const (
	maxPaired     = 1_000      // keyphrases considered, the best; their pairs fill a table of 2 MB
	maxPairCounts = 50_000_000 // pairs counted, about half a second; more passages are taken evenly from the book
)

// CoOccurrences returns at most max pairs of keyphrases that occur in the same passages more often than chance has it, the
// strongest first. passages is how many passages the book has.
//
// Weight is normalised pointwise mutual information (Bouma, "Normalized (pointwise) mutual information in collocation
// extraction", 2009): ln(p(a,b) / (p(a) p(b))) / -ln p(a,b), 1 when the two are never apart and 0 when they are independent.
// Since it overrates pairs seen once or twice, it is multiplied by the discount n/(n+1) · m/(m+1) of Pantel and Lin
// (2002), with n passages in common and m in the rarer of the two. Pairs of which one name contains the
// other's words ("Rays", "refrangible Rays") are left out: they say nothing. At most the first 1,000 keyphrases are looked at.
func CoOccurrences(ks []Keyphrase, passages, max int) []Pair {
	if passages <= 0 || max <= 0 {
		return nil
	}
	ks = ks[:min(len(ks), maxPaired)]
	lists := make([][]int32, passages)
	for k, key := range ks {
		for _, p := range key.Passages {
			if p >= 0 && p < passages {
				lists[p] = append(lists[p], int32(k))
			}
		}
	}
	step := sampleStep(lists)
	n := len(ks)
	both := make([]uint32, n*n)
	alone := make([]int, n)
	sampled := 0
	for p := 0; p < passages; p += step {
		sampled++
		for i, a := range lists[p] {
			alone[a]++
			for _, b := range lists[p][i+1:] {
				both[int(a)*n+int(b)]++
			}
		}
	}
	sets := make([]map[string]bool, n)
	for i, k := range ks {
		sets[i] = nameWords(k.Name)
	}
	var out []Pair
	for a := range n {
		for b := a + 1; b < n; b++ {
			together := both[a*n+b]
			if together < 2 || within(sets[a], sets[b]) || within(sets[b], sets[a]) {
				continue
			}
			if w := companyWeight(int(together), alone[a], alone[b], sampled); w > 0 {
				out = append(out, Pair{a, b, w})
			}
		}
	}
	slices.SortFunc(out, func(x, y Pair) int {
		return cmp.Or(cmp.Compare(y.Weight, x.Weight), cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
	})
	return out[:min(len(out), max)]
}

// sampleStep returns how many passages to go on at a time, to stay within maxPairCounts.
func sampleStep(lists [][]int32) int {
	total := 0
	for _, l := range lists {
		total += len(l) * (len(l) - 1) / 2
	}
	return total/maxPairCounts + 1
}

// companyWeight is discounted NPMI. Two phrases that are both in every passage are independent as far as one can tell.
func companyWeight(both, a, b, passages int) float64 {
	if both == passages {
		return 0
	}
	n := float64(passages)
	joint := float64(both) / n
	npmi := math.Log(joint*n*n/(float64(a)*float64(b))) / -math.Log(joint)
	rarer := float64(min(a, b))
	return min(1, npmi*float64(both)/float64(both+1)*rarer/(rarer+1))
}

func nameWords(name string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.FieldsFunc(fold(name), notAlphanumeric) {
		set[strings.TrimSuffix(w, "s")] = true
	}
	return set
}

func within(part, whole map[string]bool) bool {
	for w := range part {
		if !whole[w] {
			return false
		}
	}
	return true
}
