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

// Every step has the same windows, which together hold what the step was asked in the measured time.
func TestStepWindows(t *testing.T) {
	r := sampleResult(t, sampleScenario)
	for _, s := range r.Steps {
		if len(s.Windows) != stepWindows {
			t.Fatalf("%s has %d windows, want %d", s.Step, len(s.Windows), stepWindows)
		}
		var completed, wrong, timed int64
		for i, w := range s.Windows {
			if start := r.WarmUpS + float64(i)*0.2; math.Abs(w.StartS-start) > 1e-9 || w.LengthS != 0.2 {
				t.Errorf("window %d of %s begins at %v and lasts %v, want %v and 0.2", i, s.Step, w.StartS, w.LengthS, start)
			}
			completed, wrong = completed+w.Completed, wrong+w.Failed+w.Refused
			if w.Response != "" {
				h, err := hdrhistogram.Decode([]byte(w.Response))
				if err != nil {
					t.Fatal(err)
				}
				timed += h.TotalCount()
			}
		}
		// The last request of the run may end after the measured time.
		if left := s.Completed - completed; left < 0 || left > 1 || wrong != s.Failed+s.Refused || timed+left != s.Response.Count {
			t.Errorf("the windows of %s hold %d requests, %d not served, %d timed; the step has %+v", s.Step, completed, wrong, timed, s.Figures)
		}
	}
}
