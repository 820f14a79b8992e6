package loadtest

import (
	"math"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The distributions of all windows together are that of the run, and each is what the times of its window are taken from.
func TestWindowDistributions(t *testing.T) {
	r := sampleResult(t, sampleScenario)
	sum := newHistogram()
	measured := int64(0)
	for i, w := range r.Windows {
		if w.Response == "" {
			t.Fatalf("window %d has no distribution", i)
		}
		h, err := hdrhistogram.Decode([]byte(w.Response))
		if err != nil {
			t.Fatalf("window %d: %v", i, err)
		}
		if got := latency(h); got.P50MS != w.P50MS || got.P99MS != w.P99MS || got.MaxMS != w.MaxMS || got.MeanMS != w.MeanMS {
			t.Errorf("window %d: its distribution says %+v, its figures %+v", i, got, w)
		}
		if !w.WarmUp {
			sum.Merge(h)
			measured += h.TotalCount()
		}
	}
	if total := r.Total.Response; measured < total.Count || math.Abs(latency(sum).P50MS-total.P50MS) > 1 {
		t.Errorf("windows hold %d times with a median of %v ms, the run %d with %v ms", measured, latency(sum).P50MS, total.Count, total.P50MS)
	}
}
