package loadtest

import (
	"fmt"
	"slices"
)

// Bounds below which nothing is said of a drift: windows in each third of the measured time, and requests in each window.
const (
	leastDriftWindows  = 10
	leastDriftRequests = 20
)

// drift is by how many percent answers became slower: the median of the windows' p95 in the last third of the measured
// time, against that of the first third. It is below 0 where they became quicker. Medians of windows, because a single
// bad second belongs to p95 and says nothing of a drift.
func drift(r *Result) (float64, string) {
	third := r.MeasuredS / 3
	var first, last []float64
	for i := range r.Windows {
		w := &r.Windows[i]
		from, to := w.StartS-r.WarmUpS, w.StartS+w.LengthS-r.WarmUpS
		if from < 0 || w.OK < leastDriftRequests {
			continue
		}
		switch {
		case to <= third:
			first = append(first, w.P95MS)
		case from >= 2*third && to <= r.MeasuredS:
			last = append(last, w.P95MS)
		}
	}
	if n := min(len(first), len(last)); n < leastDriftWindows {
		return 0, fmt.Sprintf("needs %d windows of %d right answers in the first and the last third, there were %d", leastDriftWindows, leastDriftRequests, n)
	}
	before, after := median(first), median(last)
	if before == 0 {
		return 0, "answers of the first third took no time"
	}
	return 100 * (after - before) / before, ""
}

// median sorts list and takes its middle.
func median(list []float64) float64 {
	slices.Sort(list)
	n := len(list)
	return (list[(n-1)/2] + list[n/2]) / 2
}
