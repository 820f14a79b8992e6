package loadtest

import (
	"math"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tomehub/tomehub/reports"
)

// The parts of a run's page.
const (
	usersPart  = "What the users saw"
	serverPart = "What the server saw"
)

// charts show the run on one time axis, the warm-up shaded: what the users saw and, where it is known, what the server
// did at the same time. Their names are "latency", "rate", "distribution", "users", "pool_" and the pool's name,
// "statements", "cache", "streams" and "memory".
func (r *Result) charts() []reports.Chart {
	windows := r.drawn()
	if len(windows) == 0 {
		return nil
	}
	all := []reports.Chart{r.latencyChart(windows), r.rateChart(windows), r.distributionChart(), r.usersChart(windows)}
	if f := r.Server.until(r.lasted()); f != nil && len(f.Samples) > 0 {
		all = append(all, f.poolCharts()...)
		all = append(all, f.statementChart(), f.cacheChart(), f.streamChart(), f.memoryChart())
	}
	end := windows[len(windows)-1]
	spans, marks, most := r.spans(), r.marks(), end.StartS+end.LengthS
	var out []reports.Chart
	for _, c := range all {
		if !hasNumbers(c) {
			continue
		}
		if c.X.Scale != reports.Log {
			c.X = reports.Axis{Scale: reports.Elapsed, Max: most}
			c.Spans, c.Marks, c.From = spans, marks, r.WarmUpS
		}
		out = append(out, c)
	}
	return out
}

// drawn are the windows that lie within the run. What ended after it, while the last answers were waited for, is no
// rate and no crowd: drawn, it would be a drop that never was. A run shorter than a window has what it has.
func (r *Result) drawn() []Window {
	until := r.lasted()
	for i, w := range r.Windows {
		if w.StartS+w.LengthS > until+0.01*w.LengthS && i > 0 {
			return r.Windows[:i]
		}
	}
	return r.Windows
}

// until is f with the samples of the first end seconds, nil when f is. What was read later, while the last answers were
// waited for, has no place beside the windows.
func (f *ServerFigures) until(end float64) *ServerFigures {
	if f == nil {
		return nil
	}
	cut := *f
	for i, s := range f.Samples {
		if s.AtS > end+s.LengthS/2 {
			cut.Samples = f.Samples[:i]
			break
		}
	}
	return &cut
}

// lasted is when the run ended, in seconds since it began.
func (r *Result) lasted() float64 {
	if r.MeasuredS > 0 || len(r.Windows) == 0 {
		return r.WarmUpS + r.MeasuredS
	}
	w := r.Windows[len(r.Windows)-1] // stopped in the warm-up
	return min(r.WarmUpS, w.StartS+w.LengthS)
}

// hasNumbers tells whether a chart has a number in it: of a server without streams, their chart has none.
func hasNumbers(c reports.Chart) bool {
	for _, s := range c.Series {
		for _, p := range s.Points {
			if !math.IsNaN(p.Y) {
				return true
			}
		}
	}
	return false
}

// overWindows makes a series of the windows, each at its middle; NaN is a gap.
func overWindows(windows []Window, s reports.Series, f func(*Window) float64) reports.Series {
	for i := range windows {
		w := &windows[i]
		s.Points = append(s.Points, reports.Point{X: w.StartS + w.LengthS/2, Y: f(w)})
	}
	return s
}

func (r *Result) latencyChart(windows []Window) reports.Chart {
	c := reports.Chart{
		Name: "latency", Title: "Response times", Caption: "From when each request was due until its answer was whole, by when it ended.", Part: usersPart,
		Y: reports.Axis{Label: "response time", Unit: "s", Scale: reports.Log},
	}
	l := r.Total.Response
	for _, q := range []struct {
		name  string
		whole float64
		of    func(*Window) float64
	}{
		{"p50", l.P50MS, func(w *Window) float64 { return w.P50MS }},
		{"p95", l.P95MS, func(w *Window) float64 { return w.P95MS }},
		{"p99", l.P99MS, func(w *Window) float64 { return w.P99MS }},
	} {
		s := reports.Series{Name: q.name}
		if l.Count > 0 {
			s.Whole = new(q.whole / 1000)
		}
		c.Series = append(c.Series, overWindows(windows, s, func(w *Window) float64 {
			if q.of(w) == 0 {
				return math.NaN() // nobody was served
			}
			return q.of(w) / 1000
		}))
	}
	c.Bounds = r.bounds("p50", "p95", "p99")
	return c
}

// bounds are what the checks of all requests allow a time to be. A check tells its bound as it is written in reports.
func (r *Result) bounds(metrics ...string) []reports.Bound {
	var all []reports.Bound
	for _, metric := range metrics {
		for _, c := range r.Checks {
			if c.Metric != metric || !strings.HasPrefix(c.Name, allRequests) {
				continue
			}
			_, high, ok := strings.Cut(c.Bound, "≤ ")
			if !ok {
				_, high, ok = strings.Cut(c.Bound, "< ")
			}
			if d, err := time.ParseDuration(high); ok && err == nil {
				all = append(all, reports.Bound{Value: d.Seconds(), Label: "bound of " + metric + ", " + high})
			}
		}
	}
	return all
}

func (r *Result) rateChart(windows []Window) reports.Chart {
	c := reports.Chart{
		Name: "rate", Title: "Requests and errors", Caption: "Per second, by how they ended.", Part: usersPart, Y: reports.Axis{Label: "requests", Unit: "/s"}, Combine: reports.Mean,
	}
	add := func(name string, color reports.Color, whole int64, of func(*Window) int64) {
		s := reports.Series{Name: name, Color: color}
		if r.MeasuredS > 0 {
			s.Whole = new(float64(whole) / r.MeasuredS)
		}
		c.Series = append(c.Series, overWindows(windows, s, func(w *Window) float64 { return float64(of(w)) / w.LengthS }))
	}
	add("served", reports.ColorGood, r.Total.OK, func(w *Window) int64 { return w.OK })
	add("refused", reports.ColorIdle, r.Total.Refused, func(w *Window) int64 { return w.Refused })
	add("failed", reports.ColorBad, r.Total.Failed, func(w *Window) int64 { return w.Failed })
	return c
}

// Bounds of a distribution: about so many bins over the whole, and so many in a factor of ten. With the least number a bin
// is a quarter wider than the one before; the most is still far above the histogram's own width.
const (
	wantedBins = 40
	leastBins  = 10
	mostBins   = 40
)

// distributionChart has the shares of the response times of all steps, from the histogram of the whole measured time.
func (r *Result) distributionChart() reports.Chart {
	c := reports.Chart{
		Name: "distribution", Title: "Distribution of response times", Caption: "Of the measured time: how many requests in a hundred took about how long.",
		Kind: reports.StepChart, Part: usersPart, Small: true,
		X: reports.Axis{Label: "response time", Unit: "s", Scale: reports.Log}, Y: reports.Axis{Label: "requests", Unit: "%"},
	}
	l := r.Total.Response
	h, err := decodeHistogram(l.Histogram)
	if err != nil || h.TotalCount() == 0 {
		return c // of a run in which nobody was served, or of a file without it
	}
	c.Series = []reports.Series{{Name: "requests", Points: shares(h)}}
	names := ""
	for i, ms := range []float64{l.P50MS, l.P95MS, l.P99MS} {
		if names += []string{"p50", "p95", "p99"}[i]; i < 2 && ms == []float64{l.P95MS, l.P99MS}[i] {
			names += ", " // of few requests several are the same
			continue
		}
		c.Marks = append(c.Marks, reports.Mark{X: ms / 1000, Label: names + " " + formatMS(ms)})
		names = ""
	}
	return c
}

// shares puts a histogram of microseconds into bins of equal width on a log scale and tells each as percent of all, by
// its lower edge in seconds. The last point only ends the last bin.
func shares(h *hdrhistogram.Histogram) []reports.Point {
	decades := math.Log10(float64(max(h.Max(), 1)) / float64(max(h.Min(), 1)))
	perDecade := math.Round(min(max(wantedBins/max(decades, 0.1), leastBins), mostBins))
	bin := func(us int64) int { return int(math.Floor(math.Log10(float64(max(us, 1))) * perDecade)) }
	first, last := bin(h.Min()), bin(h.Max())
	counts := make([]int64, last-first+1)
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			counts[min(max(bin(bar.To)-first, 0), len(counts)-1)] += bar.Count
		}
	}
	edge := func(i int) float64 { return math.Pow(10, float64(first+i)/perDecade) / 1e6 }
	var points []reports.Point
	for i, n := range append(counts, 0) {
		points = append(points, reports.Point{X: edge(i), Y: percent(n, h.TotalCount())})
	}
	return points
}

func (r *Result) usersChart(windows []Window) reports.Chart {
	name := "users"
	if r.Model == "open" {
		name = "visitors"
	}
	c := reports.Chart{
		Name: "users", Title: strings.ToUpper(name[:1]) + name[1:], Part: usersPart, Small: true, Y: reports.Axis{Label: name},
		Series: []reports.Series{overWindows(windows, reports.Series{Name: name}, func(w *Window) float64 { return float64(w.Users) })},
	}
	f := r.Server.until(r.lasted())
	if f == nil {
		return c
	}
	c.Title += " and requests under way"
	c.Y.Label += ", requests"
	under := f.over("under way", func(s *ServerSample) (float64, bool) {
		if s.InFlight == nil {
			return 0, false
		}
		return *s.InFlight, true
	})
	if f.InFlight != nil {
		under.Whole = new(f.InFlight.Mean)
	}
	c.Series = append(c.Series, under)
	return c
}
