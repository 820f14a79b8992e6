package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report sets the result out for people: the tables "steps", "bottleneck" and "scalability", charts of throughput and
// response times over the load, and one check. The whole CapacityResult is its data.
func (r *CapacityResult) Report() reports.Report {
	out := reports.Report{
		Title: "Capacity: " + cmp.Or(r.Title, r.Scenario), Verdict: r.Verdict, Judged: true, Summary: r.sentence(),
		Facts: r.facts(), Checks: []reports.Check{r.check()}, Notes: r.notes(), Data: r,
		Tables: []reports.Table{r.stepTable(), r.bottleneckTable()},
	}
	if r.Scalability != nil {
		out.Tables = append(out.Tables, r.scalabilityTable())
	}
	if len(r.Steps) > 0 {
		out.Charts = []reports.Chart{r.throughputChart(), r.responseChart()}
	}
	return out
}

func (r *CapacityResult) check() reports.Check {
	c := reports.Check{
		Name: "capacity", Metric: "capacity", Bound: "found", Verdict: r.Verdict, Why: "the most load within " + strings.Join(r.SLO, " and "),
	}
	if r.Need > 0 {
		c.Bound = "≥ " + formatLoad(r.Need, r.Unit)
	}
	if r.Capacity > 0 {
		c.Measured = formatLoad(r.Capacity, r.Unit)
	}
	if r.Verdict != reports.Pass {
		c.Reason = strings.Join(r.Reasons, "; ")
		if r.Verdict == reports.Fail && r.Need > 0 {
			c.Reason = fmt.Sprintf("%s are carried, %s are needed", formatLoad(r.Capacity, r.Unit), formatLoad(r.Need, r.Unit))
		}
	}
	return c
}

func (r *CapacityResult) facts() []reports.Fact {
	runs, measured := 0, 0.0
	for _, st := range r.Steps {
		runs, measured = runs+st.Runs, measured+st.MeasuredS
	}
	facts := []reports.Fact{
		{Name: "Scenario", Value: r.Scenario + ", " + r.Model + " model"},
		{Name: "Target", Value: r.Target},
		{Name: "Objectives", Value: strings.Join(r.SLO, ", ")},
		{Name: "Searched", Value: fmt.Sprintf("from %s to %s, to within %s%%", formatNumber(r.From), formatLoad(r.To, r.Unit), formatNumber(100*r.Precision))},
		{Name: "Started", Value: r.StartedAt.Format(time.RFC3339)},
		{Name: "Took", Value: fmt.Sprintf("%s: %d runs at %d loads, %s measured", formatMS(1000*math.Round(r.TookS)), runs, len(r.Steps), formatMS(1000*math.Round(measured)))},
		{Name: "Seed", Value: strconv.FormatUint(r.Seed, 10)},
	}
	for _, st := range r.Steps {
		if st.Server != nil && st.Server.Version != "" {
			return append(facts, reports.Fact{Name: "Server", Value: strings.TrimSpace("tomehub " + st.Server.Version + ", phase " + st.Server.Phase)})
		}
	}
	return facts
}

func (r *CapacityResult) notes() []string {
	notes := slices.Clone(r.Reasons)
	if r.TimeScale != 1 {
		notes = append(notes, fmt.Sprintf("Time scale %s: every time of the scenario and the objectives is multiplied by it, every rate divided.", formatNumber(r.TimeScale)))
	}
	if n := len(r.Bottlenecks); n > 0 && r.Bottlenecks[0].Resource == resourceRateLimit && r.shortest() < 60 {
		notes = append(notes, "A limit that counts by the minute lets more through in less than one: measure each run for a minute (--step 1m) to see what it takes for long.")
	}
	for _, st := range r.Steps {
		for _, reason := range st.Reasons {
			notes = append(notes, fmt.Sprintf("At %s: %s.", formatLoad(st.Load, r.Unit), reason))
		}
		if st.Unanswered > 0 {
			notes = append(notes, fmt.Sprintf("At %s: %d requests had no answer long after any bound when the runs ended; they count as later than it.", formatLoad(st.Load, r.Unit), st.Unanswered))
		}
	}
	if s := r.Scalability; s != nil {
		for _, d := range s.Doubts {
			notes = append(notes, "The fit is not to be trusted beyond what was measured: "+d+".")
		}
	}
	return notes
}

// shortest is how long the shortest run measured, in seconds; 0 when none did.
func (r *CapacityResult) shortest() float64 {
	least := 0.0
	for _, st := range r.Steps {
		if s := st.MeasuredS / float64(max(st.Runs, 1)); least == 0 || s < least {
			least = s
		}
	}
	return least
}

// verdictText says how sure it is that the objectives hold at a load.
func verdictText(st *CapacityStep) string {
	switch p := st.Broken; {
	case st.Verdict == reports.Inconclusive:
		return "nothing seen"
	case p <= unlikely:
		return "holds"
	case p >= 1-unlikely:
		return "broken"
	case p < 0.5:
		return fmt.Sprintf("likely holds (%.0f%%)", 100*(1-p))
	}
	return fmt.Sprintf("likely broken (%.0f%%)", 100*st.Broken)
}

func (r *CapacityResult) stepTable() reports.Table {
	right := func(name string, optional bool) reports.Column {
		return reports.Column{Name: name, Align: reports.Right, Optional: optional}
	}
	t := reports.Table{Name: "steps", Caption: "What was measured at each load", Columns: []reports.Column{
		right(map[bool]string{true: "Users", false: "Arrivals/s"}[r.Unit == "users"], false), {Name: "Objectives"}, right("Served", false),
		right("Mean", false), right("p95", false), right("Errors", false), right("In flight", true), right("Server CPU", true),
		right("Pool in use", true), right("p50", true), right("p99", true), right("Runs", true),
	}}
	for i := range r.Steps {
		st := &r.Steps[i]
		cells := []string{formatNumber(st.Load), verdictText(st), "", "", "", "", "", "", "", "", "", strconv.Itoa(st.Runs)}
		if st.Verdict != reports.Inconclusive {
			cells[2], cells[5], cells[6] = formatNumber(st.Goodput)+"/s", formatNumber(st.ErrorRate)+"%", formatNumber(st.InFlight)
		}
		if l := st.Response; l.Count > 0 {
			cells[3], cells[4], cells[9], cells[10] = formatMS(l.MeanMS), formatMS(l.P95MS), formatMS(l.P50MS), formatMS(l.P99MS)
		}
		if f := st.Server; f != nil {
			if f.CPU != nil {
				cells[7] = fmt.Sprintf("%.0f%%", f.CPU.Percent)
			}
			if p := busiest(f); p != nil {
				cells[8] = fmt.Sprintf("%s of %d (%s)", formatNumber(math.Round(10*p.InUse.Mean)/10), p.Size, p.Name)
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// busiest is the pool nearest to its end.
func busiest(f *ServerFigures) *PoolFigures {
	var out *PoolFigures
	share := func(p *PoolFigures) float64 { return p.InUse.Mean / float64(max(p.Size, 1)) }
	for i := range f.Pools {
		if p := &f.Pools[i]; p.Size > 0 && (out == nil || share(p) > share(out)) {
			out = p
		}
	}
	return out
}

func (r *CapacityResult) bottleneckTable() reports.Table {
	t := reports.Table{Name: "bottleneck", Caption: "What kept the server from more, by its own figures at the smallest load that was not carried", Columns: []reports.Column{
		{Name: "Resource"}, {Name: "Explains", Align: reports.Right}, {Name: "From", Align: reports.Right, Optional: true}, {Name: "Evidence", Wrap: true},
	}}
	for _, b := range r.Bottlenecks {
		row := []string{b.Resource, "", "", b.Evidence}
		if b.Share > 0 {
			row[1] = fmt.Sprintf("%.0f%%", b.Share)
		}
		if b.From > 0 {
			row[2] = formatLoad(b.From, r.Unit)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r *CapacityResult) scalabilityTable() reports.Table {
	s := r.Scalability
	t := reports.Table{Name: "scalability", Caption: "The Universal Scalability Law, fitted to requests in flight (users × response / cycle) and requests served", Columns: []reports.Column{
		{Name: "Parameter"}, {Name: "Value", Align: reports.Right}, {Name: "95%", Align: reports.Right}, {Name: "Meaning", Wrap: true},
	}}
	add := func(name string, e *Estimate, unit string, digits int, meaning string) {
		if e == nil {
			return
		}
		f := func(v float64) string { return strconv.FormatFloat(v, 'g', digits, 64) }
		high := f(e.High)
		if e.High == 0 && e.Value > 0 {
			high = "none"
		}
		t.Rows = append(t.Rows, []string{name, f(e.Value) + unit, f(e.Low) + " to " + high, meaning})
	}
	add("λ", &s.Lambda, "/s", 4, "requests per second that one at a time would get")
	add("σ contention", &s.Contention, "", 3, "share of the work that waits its turn")
	add("κ coherency", &s.Coherency, "", 3, "what keeping in step costs; above 0, more load means less throughput in the end")
	add("peak at", s.Peak, "", 4, "requests in flight, √((1-σ)/κ), at which throughput is highest")
	add("peak rate", s.PeakRate, "/s", 4, "throughput there")
	add("ceiling", s.Ceiling, "/s", 4, "λ/σ: throughput comes near to it and has no peak")
	t.Rows = append(t.Rows, []string{"error", formatNumber(s.ErrorMean) + "%", "worst " + formatNumber(s.ErrorWorst) + "%", "how far the fitted rate is from the measured one"})
	return t
}

// curvePoints is how many points a fitted curve is drawn with.
const curvePoints = 60

// A fittedPoint is the fit at one load.
type fittedPoint struct {
	load, inFlight float64
	rate           Estimate
}

// fitted gives the fitted curve over loads. The law knows requests in flight, n. In the open model the load is the rate of
// flows that begin; in the closed one the users are those in flight and those who think, N = n + X·Z. Z is taken from what
// was measured, because with a pace it shrinks as answers get slower, and so is the ratio of rates.
func (r *CapacityResult) fitted() []fittedPoint {
	s := r.Scalability
	if s == nil {
		return nil
	}
	first, last := s.Points[0].InFlight, s.Points[len(s.Points)-1].InFlight
	var out []fittedPoint
	for i := range curvePoints {
		n := first * math.Pow(last/first, float64(i)/(curvePoints-1))
		e := s.at(n)
		load := 0.0
		if r.Unit == "users" {
			load = n + e.Value*s.between(n, func(p ScalePoint) float64 { return (p.Load - p.InFlight) / p.Rate })
		} else {
			load = e.Value * s.between(n, func(p ScalePoint) float64 { return p.Load / p.Rate })
		}
		out = append(out, fittedPoint{load, n, e})
	}
	slices.SortFunc(out, func(a, b fittedPoint) int { return cmp.Compare(a.load, b.load) })
	return out
}

// between is a value of the points at n in flight, in a straight line between two of them.
func (s *Scalability) between(n float64, of func(ScalePoint) float64) float64 {
	i := slices.IndexFunc(s.Points, func(p ScalePoint) bool { return p.InFlight >= n })
	switch {
	case i < 0:
		return of(s.Points[len(s.Points)-1])
	case i == 0:
		return of(s.Points[0])
	}
	a, b := s.Points[i-1], s.Points[i]
	part := (n - a.InFlight) / (b.InFlight - a.InFlight)
	return of(a) + part*(of(b)-of(a))
}

func (r *CapacityResult) axis() reports.Axis { return reports.Axis{Label: r.Unit} }

// dots are a value of every run that counts.
func (r *CapacityResult) dots(of func(RunFigures) float64) []reports.Point {
	var all []reports.Point
	for _, st := range r.Steps {
		for _, f := range st.Each {
			if f.Blamed == "" && of(f) > 0 {
				all = append(all, reports.Point{X: st.Load, Y: of(f)})
			}
		}
	}
	return all
}

func (r *CapacityResult) marks() (marks []reports.Mark, spans []reports.Span) {
	if r.Capacity > 0 {
		marks = append(marks, reports.Mark{X: r.Capacity, Label: formatLoad(r.Capacity, r.Unit) + " carried"})
	}
	if r.Need > 0 {
		marks = append(marks, reports.Mark{X: r.Need, Label: formatLoad(r.Need, r.Unit) + " needed"})
	}
	if r.High > 0 {
		spans = append(spans, reports.Span{From: r.Low, To: r.High, Label: "the limit, 95%"})
	}
	return marks, spans
}

func (r *CapacityResult) throughputChart() reports.Chart {
	c := reports.Chart{
		Name: "throughput", Title: "Requests served", Kind: reports.ScatterChart, X: r.axis(), Y: reports.Axis{Unit: "/s"},
		Series: []reports.Series{{Name: "measured", Points: r.dots(func(f RunFigures) float64 { return f.Goodput })}},
	}
	if curve := r.fitted(); len(curve) > 0 {
		s := reports.Series{Name: "fitted (USL)", Line: true}
		for _, p := range curve {
			s.Points = append(s.Points, reports.Point{X: p.load, Y: p.rate.Value})
			s.Band = append(s.Band, reports.Range{X: p.load, Low: p.rate.Low, High: p.rate.High})
		}
		c.Series = append(c.Series, s)
		c.Caption = "A dot for every run; the Universal Scalability Law with the band in which it lies with 95% likelihood."
	}
	c.Marks, c.Spans = r.marks()
	return c
}

func (r *CapacityResult) responseChart() reports.Chart {
	c := reports.Chart{
		Name: "response", Title: "Response times", Kind: reports.ScatterChart, X: r.axis(), Y: reports.Axis{Unit: "s", Scale: reports.Log},
		Series: []reports.Series{
			{Name: "p95", Points: r.dots(func(f RunFigures) float64 { return f.P95MS / 1000 })},
			{Name: "mean", Points: r.dots(func(f RunFigures) float64 { return f.MeanMS / 1000 })},
		},
	}
	if curve := r.fitted(); len(curve) > 0 {
		s := reports.Series{Name: "mean, fitted (USL)", Line: true}
		for _, p := range curve {
			if p.rate.Low > 0 {
				s.Points = append(s.Points, reports.Point{X: p.load, Y: p.inFlight / p.rate.Value})
				s.Band = append(s.Band, reports.Range{X: p.load, Low: p.inFlight / p.rate.High, High: p.inFlight / p.rate.Low})
			}
		}
		c.Series = append(c.Series, s)
		c.Caption = "A dot for every run; by Little's law the fitted mean is requests in flight by requests served."
	}
	c.Bounds = r.timeBounds()
	c.Marks, c.Spans = r.marks()
	return c
}

// timeBounds are the objectives that are times, as lines of a chart.
func (r *CapacityResult) timeBounds() []reports.Bound {
	var all []reports.Bound
	for _, text := range r.SLO {
		if slo, err := ParseSLO(text); err == nil && metrics[slo.Metric].unit == unitTime {
			all = append(all, reports.Bound{Value: slo.High.Value / 1000, Label: text})
		}
	}
	return all
}
