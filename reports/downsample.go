package reports

import (
	"math"
	"slices"
)

// ordered is points without those that have no place on the axis, in the order of X. Clocks that step back are no reason to
// lose a report.
func ordered(points []Point, log bool) []Point {
	out := make([]Point, 0, len(points))
	for _, p := range points {
		if !usable(p.X) || log && p.X <= 0 {
			continue
		}
		if !usable(p.Y) {
			p.Y = math.NaN()
		}
		out = append(out, p)
	}
	if !slices.IsSortedFunc(out, byX) {
		slices.SortStableFunc(out, byX)
	}
	return out
}

func byX(a, b Point) int {
	switch {
	case a.X < b.X:
		return -1
	case a.X > b.X:
		return 1
	}
	return 0
}

// downsample makes at most limit points of more, which are in the order of X. Buckets are equally wide, so that a pause
// stays a pause. A bucket of nothing but gaps is one gap; a gap between two values of one bucket is too short to see.
func downsample(points []Point, limit int, how Combine) []Point {
	if len(points) <= limit {
		return points
	}
	per := 2 // the two extremes of a bucket
	if how == Mean {
		per = 1
	}
	edges := 0 // of gaps, each of which may take a further point
	for i := 1; i < len(points); i++ {
		if math.IsNaN(points[i].Y) != math.IsNaN(points[i-1].Y) {
			edges++
		}
	}
	buckets := max((limit-edges-2)/per, limit/(per+2)) // no bucket has more than two edges of gaps that show
	low, high := points[0].X, points[len(points)-1].X
	width := (high - low) / float64(buckets)
	out := make([]Point, 0, limit)
	for from := 0; from < len(points); {
		bucket := bucketOf(points[from].X, low, width, buckets)
		to := from + 1
		for to < len(points) && bucketOf(points[to].X, low, width, buckets) == bucket {
			to++
		}
		out = appendBucket(out, points[from:to], how)
		from = to
	}
	return out
}

func bucketOf(x, low, width float64, buckets int) int {
	if !(width > 0) {
		return 0
	}
	return min(buckets-1, int((x-low)/width))
}

// appendBucket appends what a bucket becomes. A gap at its edge stays one, so that lines do not bridge an outage that
// began or ended within a bucket.
func appendBucket(out, bucket []Point, how Combine) []Point {
	low, high, sum, n := Point{Y: math.NaN()}, Point{Y: math.NaN()}, 0.0, 0
	x := 0.0
	for _, p := range bucket {
		if math.IsNaN(p.Y) {
			continue
		}
		if n == 0 || p.Y < low.Y {
			low = p
		}
		if n == 0 || p.Y > high.Y {
			high = p
		}
		sum, x, n = sum+p.Y, x+p.X, n+1
	}
	first, last := bucket[0], bucket[len(bucket)-1]
	if n == 0 {
		return append(out, first)
	}
	if math.IsNaN(first.Y) {
		out = append(out, first)
	}
	switch {
	case how == Mean:
		out = append(out, Point{x / float64(n), sum / float64(n)})
	case low.X == high.X && low.Y == high.Y:
		out = append(out, low)
	case low.X <= high.X:
		out = append(out, low, high)
	default:
		out = append(out, high, low)
	}
	if math.IsNaN(last.Y) {
		out = append(out, last)
	}
	return out
}

// evenly keeps limit ranges of more, the first and the last among them.
func evenly[T any](list []T, limit int) []T {
	if len(list) <= limit {
		return list
	}
	out := make([]T, limit)
	for i := range out {
		out[i] = list[i*(len(list)-1)/(limit-1)]
	}
	return out
}

// stats are what a legend says of a series. All are NaN when there is no value.
type stats struct{ last, mean, max, min float64 }

// statsOf is of the points from X on, or of all when there are none.
func statsOf(points []Point, from float64) stats {
	if from > 0 && slices.ContainsFunc(points, func(p Point) bool { return p.X >= from && usable(p.Y) }) {
		points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return p.X < from })
	}
	s := stats{math.NaN(), math.NaN(), math.NaN(), math.NaN()}
	sum, n := 0.0, 0
	for _, p := range points {
		if !usable(p.Y) {
			continue
		}
		if n == 0 {
			s.max, s.min = p.Y, p.Y
		}
		s.last, s.max, s.min = p.Y, max(s.max, p.Y), min(s.min, p.Y)
		sum, n = sum+p.Y, n+1
	}
	if n > 0 {
		s.mean = sum / float64(n)
	}
	return s
}

// stacked gives every series a value at every X that any series has, 0 where only others have one. The sums of the series
// below are added by the caller. Where no series has a value all have a gap.
func stacked(series []Series, limit int) [][]Point {
	var xs []float64
	all := make([][]Point, len(series))
	for i, s := range series {
		all[i] = ordered(s.Points, false)
		for _, p := range all[i] {
			xs = append(xs, p.X)
		}
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	grid := make([][]Point, len(series))
	for i := range series {
		grid[i] = make([]Point, len(xs))
		at := 0
		for j, x := range xs {
			grid[i][j] = Point{x, math.NaN()}
			for at < len(all[i]) && all[i][at].X <= x {
				if all[i][at].X == x && !math.IsNaN(all[i][at].Y) {
					grid[i][j].Y = max(0, all[i][at].Y) // an area below nothing cannot be drawn
				}
				at++
			}
		}
	}
	for j := range xs {
		some := slices.ContainsFunc(grid, func(g []Point) bool { return !math.IsNaN(g[j].Y) })
		for i := range grid {
			if some && math.IsNaN(grid[i][j].Y) {
				grid[i][j].Y = 0
			}
		}
	}
	for i := range grid { // the buckets are the same for all, because X and the gaps are
		grid[i] = downsample(grid[i], limit, Mean)
	}
	return grid
}
