package loadtest

import (
	"fmt"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report sets the comparison out for people: one line for each metric, and a check for each, which fails when the metric
// regressed.
func (c *Comparison) Report() reports.Report {
	out := reports.Report{
		Title: "What changed in " + c.Scenario, Verdict: c.Verdict, Judged: true, Summary: c.Sentence, Data: c, Charts: c.charts, Notes: c.notes(),
	}
	for i := range c.Before {
		out.Facts = append(out.Facts, reports.Fact{Name: "Before", Value: c.Before[i].origin()})
	}
	for i := range c.After {
		out.Facts = append(out.Facts, reports.Fact{Name: "After", Value: c.After[i].origin()})
	}
	for i := range c.Changes {
		out.Checks = append(out.Checks, c.check(&c.Changes[i]))
	}
	out.Tables = []reports.Table{c.table()}
	return out
}

// Extend adds the comparison to the report of the run that was compared. The report's data stay those of the run, which
// may be the next run's baseline.
func (c *Comparison) Extend(r reports.Report) reports.Report {
	own := c.Report()
	for i := range own.Checks {
		own.Checks[i].Name += ", compared"
	}
	switch {
	case !r.Judged || c.Verdict == reports.Fail:
		r.Verdict = c.Verdict
	case r.Verdict == reports.Pass:
		r.Verdict = c.Verdict
	}
	r.Judged = true
	r.Summary += " " + c.Sentence
	r.Tables = append(own.Tables, r.Tables...)
	r.Charts = append(own.Charts, r.Charts...)
	r.Checks = append(r.Checks[:len(r.Checks):len(r.Checks)], own.Checks...)
	r.Notes = append(r.Notes, own.Notes...)
	for _, f := range own.Facts {
		if f.Name == "Before" {
			r.Facts = append(r.Facts, reports.Fact{Name: "Baseline", Value: f.Value})
		}
	}
	return r
}

func (c *Comparison) table() reports.Table {
	t := reports.Table{
		Name: "changes", Caption: "From before to after",
		Columns: []reports.Column{
			{Name: "Metric"}, {Name: "Step"}, {Name: "Before", Align: reports.Right}, {Name: "After", Align: reports.Right},
			{Name: "Change", Align: reports.Right}, {Name: "95 % interval", Align: reports.Right}, {Name: "Verdict"},
		},
	}
	for i := range c.Changes {
		t.Rows = append(t.Rows, c.Changes[i].row())
	}
	return t
}

func (r *ComparedRun) origin() string {
	text := fmt.Sprintf("%s: %s, %s, %d requests in %s", r.Name, r.StartedAt.Format(time.RFC3339), r.Target, r.Completed, formatMS(1000*r.MeasuredS))
	if r.Phase != "" {
		text += ", phase " + r.Phase
	}
	if r.Version != "" {
		text += ", server " + r.Version
	}
	return text
}

func (ch *Change) row() []string {
	row := []string{ch.Metric, orAll(ch.Step), "", "", "", "", string(ch.Outcome)}
	if ch.Before != nil {
		m := comparedMetricNamed(ch.Metric)
		format := metric{unit: m.unit}.format
		row[2], row[3], row[4], row[5] = format(*ch.Before), format(*ch.After), ch.amount(*ch.Percent), ch.interval()
	}
	if ch.Reason != "" && ch.Before == nil {
		row[6] += ": " + ch.Reason
	}
	return row
}

// check is the change for those who read checks.
func (c *Comparison) check(ch *Change) reports.Check {
	out := reports.Check{Name: ch.Metric + " of all requests", Metric: ch.Metric, Reason: ch.Reason}
	if ch.Step != "" {
		out.Name = ch.Metric + " of " + ch.Step
	}
	m := comparedMetricNamed(ch.Metric)
	bound := c.MinEffect
	if !m.ratio {
		bound = c.MinErrors
	}
	out.Bound = "no change of " + ch.amount(-m.good*bound) + " or more"
	if ch.Percent != nil {
		out.Measured = fmt.Sprintf("%s (%s)", ch.amount(*ch.Percent), ch.interval())
	}
	switch ch.Outcome {
	case Regressed:
		out.Verdict, out.Reason = reports.Fail, fmt.Sprintf("%s regressed: %s", ch.Metric, out.Measured)
	case Improved, NoDifference:
		out.Verdict = reports.Pass
	case CannotTell:
	}
	return out
}

func (c *Comparison) notes() []string {
	var notes []string
	notes = append(notes, c.Reasons...)
	notes = append(notes, c.Notes...)
	notes = append(notes, fmt.Sprintf("A change is called one when its interval does not reach 0 and it is at least %s%% (of the error rate %s points). No difference seen says that a regression of %s%% (%s points) can be excluded with 95 %%.",
		formatNumber(c.MinEffect), formatNumber(c.MinErrors), formatNumber(unseen*c.MinEffect), formatNumber(unseen*c.MinErrors)),
		"The intervals hold all together: of 100 comparisons of the same with the same, at most 5 are to show any change, where runs differ by no more than was reckoned with.")
	if len(c.Before)+len(c.After) == 2 {
		return append(notes, fmt.Sprintf("One run on each side does not tell by how much runs of the same thing differ; a standard deviation of %s%% of the median is assumed (--run-noise). Several runs on each side (A1 A2 A3 -- B1 B2 B3) measure it.", formatNumber(c.RunNoise)))
	}
	return append(notes, fmt.Sprintf("How much runs of the same thing differ is taken from the %d runs and, as far as they are few, from an assumed standard deviation of %s%% of the median (--run-noise).", len(c.Before)+len(c.After), formatNumber(c.RunNoise)))
}

// comparisonCharts show the first run of each side.
func comparisonCharts(before, after []*runSample) []reports.Chart {
	over := reports.Chart{
		Name: "latency_compared", Title: "Response times, before and after", X: reports.Axis{Scale: reports.Elapsed}, Y: reports.Axis{Unit: "s", Scale: reports.Log},
		Caption: "Of the first run on each side, since its warm-up ended.",
	}
	spread := reports.Chart{
		Name: "distribution", Title: "How many were answered within that time", Kind: reports.StepChart,
		X: reports.Axis{Label: "Response time", Unit: "s", Scale: reports.Log}, Y: reports.Axis{Unit: "%", Max: 100},
	}
	for _, side := range []struct {
		name string
		run  *runSample
	}{{"before", before[0]}, {"after", after[0]}} {
		for _, q := range []float64{0.5, 0.95} {
			over.Series = append(over.Series, side.run.overTime(fmt.Sprintf("p%.0f %s", 100*q, side.name), q))
		}
		spread.Series = append(spread.Series, side.run.all.distribution(side.name))
	}
	return []reports.Chart{over, spread}
}

// overTime is a percentile of each fragment, at its middle.
func (s *runSample) overTime(name string, q float64) reports.Series {
	out := reports.Series{Name: name}
	times := make([]int64, s.pieces)
	for i := range s.list {
		p := &s.list[i]
		times[i] = 1
		out.Points = append(out.Points, reports.Point{X: p.start - s.list[0].start + p.seconds/2, Y: s.all.quantile(q, times) / 1000})
		times[i] = 0
	}
	return out
}

// distribution is the share of answers within each time, at most every half percent.
func (s *series) distribution(name string) reports.Series {
	out := reports.Series{Name: name}
	n := len(s.seconds)
	if len(s.values) == 0 {
		return out
	}
	counts := make([]int64, len(s.values))
	for i := range counts {
		for _, v := range s.below[i*n : (i+1)*n] {
			counts[i] += v
		}
	}
	shown, all := -1.0, float64(counts[len(counts)-1])
	for i, v := range counts {
		if share := 100 * float64(v) / all; share-shown >= 0.5 || i == len(counts)-1 {
			out.Points = append(out.Points, reports.Point{X: s.values[i] / 1000, Y: share})
			shown = share
		}
	}
	return out
}
