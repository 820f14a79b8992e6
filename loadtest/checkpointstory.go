package loadtest

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// The parts of the checkpoints' page around those of the phases.
const (
	planPart   = "The plan beside what was measured"
	theoryPart = "Theory beside what happened"
	checksPart = "Every check"
)

// storyLines say what a checkpoint's phase is, and what it changed.
var storyLines = map[string]struct{ title, changed string }{
	"checkpoint-before": {"Before the plan", "One pool of 20 connections, five statements for a search and one for each detail, no cache, no limits: the service as it broke."},
	"checkpoint-a":      {"Phase A, quick wins", "The pool has 40 connections, request rates are limited and memory is watched. Every request still asks as much of the database, so twice the connections halve the wait."},
	"checkpoint-b":      {"Phase B, query optimisation", "A query cache, two statements for a search instead of five, details read together: most requests no longer need the database, so twice the users are quicker than half of them were."},
	"checkpoint-c":      {"Phase C, resilience", "Reads and writes have pools of their own that refuse a wait they foresee, streams are bounded, and memory that runs short is answered. Streamed answers and new books run beside the searches."},
	"checkpoint-d":      {"Phase D, observability", "In the middle of the run the database fails. A breaker opens, the cache answers what it has, and the server's own health shows the fault and its end."},
	"checkpoint-beyond": {"Beyond the plan", "Everything of phase D, with the plan's target of users."},
}

// part is the heading of a checkpoint on the page.
func (c *Checkpoint) part() string {
	title := c.short()
	if line, ok := storyLines[c.Name]; ok {
		title = line.title
	}
	return fmt.Sprintf("%s: %d users", title, c.Users)
}

// label is a checkpoint's name beside a bar: "before", "A".
func (c *Checkpoint) label() string {
	if name := c.short(); len(name) == 1 {
		return strings.ToUpper(name)
	}
	return c.short()
}

// parts tell the plan's story, one phase after the other.
func (r *CheckpointResult) parts() []reports.Part {
	all := []reports.Part{{Name: planPart, Lead: []string{
		"The checkpoints in the order of the plan, each on a server of its own, with more and more of the same kind of users. Times and rates are told unscaled.",
	}}}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		part := reports.Part{Name: c.part()}
		if line, ok := storyLines[c.Name]; ok {
			part.Lead = append(part.Lead, line.changed)
		}
		part.Lead = append(part.Lead, c.came(r.find("checkpoint-before")))
		all = append(all, part)
	}
	every := reports.Part{Name: checksPart, Checks: true}
	if slices.ContainsFunc(r.Checkpoints, func(c Checkpoint) bool { return c.TimeScale != 1 }) {
		every.Lead = []string{"Bounds and measured times are told here as they were held: at the time scale of the checkpoint."}
	}
	return append(all, reports.Part{Name: theoryPart}, every)
}

// came says what a checkpoint came to.
func (c *Checkpoint) came(before *Checkpoint) string {
	r := c.Result
	if r == nil {
		return "It did not run."
	}
	text := fmt.Sprintf("%s %s: %s errors, p95 %s", c.Verdict.Mark(), c.Verdict, told(formatNumber(r.Total.ErrorRate)+"%", c.figure("error_rate")),
		told(c.unscaledMS(r.Total.Response.P95MS), c.figure("p95")))
	if now, reason := unscaledP95(c); before != nil && before != c && reason == "" {
		if then, reason := unscaledP95(before); reason == "" && then > 0 {
			text += fmt.Sprintf(", %.0f%% of what it was before", 100*now/then)
		}
	}
	text += fmt.Sprintf("; %s requests/s", formatNumber(r.Total.Rate*c.TimeScale))
	if now, reason := statementsPerRequest(c); reason == "" {
		text += fmt.Sprintf(" with %s statements each", formatNumber(now))
	}
	text += "."
	for _, f := range r.Faults {
		if f.Error == "" && f.SeenMS != nil {
			text += fmt.Sprintf(" %s for %s: seen after %s", f.Fault, c.unscaledMS(1000*f.ForS), c.unscaledMS(*f.SeenMS))
			if f.OverMS != nil {
				text += fmt.Sprintf(", and %s after its end health no longer shows it", c.unscaledMS(*f.OverMS))
			}
			text += "."
		}
	}
	return text
}

// told puts the plan's figure behind the measured one.
func told(measured, plan string) string {
	if plan == "" {
		return measured
	}
	return measured + " (the plan: " + plan + ")"
}

// figure is what the plan says of a metric, empty when it says nothing.
func (c *Checkpoint) figure(metric string) string {
	for _, e := range c.Result.Expected {
		if e.Metric == metric && e.Step == "" {
			return e.Figure
		}
	}
	return ""
}

var planFigure = regexp.MustCompile(`^([<>]?)([0-9]+(?:\.[0-9]+)?)(?:-([0-9]+(?:\.[0-9]+)?))?(?:%|s)$`)

// planRange reads "20-30%", "8-12s", "5%", ">70%" and "<10%"; nil is any other figure. Above is up to most.
func planRange(figure string, most float64) *reports.Range {
	m := planFigure.FindStringSubmatch(figure)
	if m == nil {
		return nil
	}
	low, err := strconv.ParseFloat(m[2], 64)
	if err != nil {
		return nil
	}
	switch high, err := strconv.ParseFloat(m[3], 64); {
	case err == nil:
		return &reports.Range{Low: low, High: high}
	case m[1] == ">":
		return &reports.Range{Low: low, High: max(low, most)}
	case m[1] == "<":
		return &reports.Range{Low: 0, High: low}
	}
	return &reports.Range{Low: low, High: low}
}

// charts are the plan's figures beside the measured ones as bars, then each phase over time. The axes of all phases are the
// same, so that they can be compared by eye.
func (r *CheckpointResult) charts() []reports.Chart {
	all := r.planCharts()
	var phases []reports.Chart
	for i := range r.Checkpoints {
		if c := &r.Checkpoints[i]; c.Result != nil {
			phases = append(phases, c.charts()...)
		}
	}
	shareAxes(phases)
	return slices.DeleteFunc(append(all, phases...), func(c reports.Chart) bool { return c.Kind != reports.BarChart && !hasNumbers(c) })
}

func (r *CheckpointResult) planCharts() []reports.Chart {
	before := r.find("checkpoint-before")
	bars := func(name, title, unit string, of func(*Checkpoint) reports.Bar) reports.Chart {
		chart := reports.Chart{
			Name: name, Title: title, Kind: reports.BarChart, Y: reports.Axis{Unit: unit}, Part: planPart, Small: true, Within: "the plan's figure",
			Series: []reports.Series{{Name: "measured"}},
		}
		for i := range r.Checkpoints {
			if c := &r.Checkpoints[i]; c.Result != nil {
				bar := of(c)
				bar.Label = c.label()
				chart.Bars = append(chart.Bars, bar)
			}
		}
		return chart
	}
	measured := func(c *Checkpoint, metric string, v, most float64, text string) reports.Bar {
		figure := c.figure(metric)
		bar := reports.Bar{Values: []float64{v}, Text: text, Within: planRange(figure, most)}
		if bar.Within != nil {
			bar.Text += " (" + figure + ")"
		}
		return bar
	}
	return []reports.Chart{
		bars("plan_users", "Users", "", func(c *Checkpoint) reports.Bar { return reports.Bar{Values: []float64{float64(c.Users)}} }),
		bars("plan_errors", "Errors", "%", func(c *Checkpoint) reports.Bar {
			v := c.Result.Total.ErrorRate
			return measured(c, "error_rate", v, 100, formatNumber(v)+"%")
		}),
		bars("plan_p95", "p95 of the response times", "s", func(c *Checkpoint) reports.Bar {
			ms := c.Result.Total.Response.P95MS
			return measured(c, "p95", ms/c.TimeScale/1000, math.Inf(1), c.unscaledMS(ms))
		}),
		bars("plan_rate", "Requests per second", "/s", func(c *Checkpoint) reports.Bar {
			return reports.Bar{Values: []float64{c.Result.Total.Rate * c.TimeScale}}
		}),
		bars("plan_statements", "Statements per request", "", func(c *Checkpoint) reports.Bar { return c.statementsBar(before) }),
		bars("plan_hits", "Answered from the cache", "%", func(c *Checkpoint) reports.Bar {
			s := c.Result.Server
			if s == nil || s.Cache == nil || s.Cache.Hits+s.Cache.Misses == 0 {
				return reports.Bar{Values: []float64{math.NaN()}, Text: "no cache"}
			}
			return measured(c, "server.cache_hit_rate", s.Cache.HitRate, 100, formatNumber(s.Cache.HitRate)+"%")
		}),
	}
}

// statementsBar draws the plan's "-60%" as what is left of the statements before.
func (c *Checkpoint) statementsBar(before *Checkpoint) reports.Bar {
	now, reason := statementsPerRequest(c)
	if reason != "" {
		return reports.Bar{Values: []float64{math.NaN()}, Text: "not told"}
	}
	bar := reports.Bar{Values: []float64{now}, Text: formatNumber(now)}
	figure := c.figure("server.statements_per_request")
	less, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(figure, "-"), "%"), 64)
	if err != nil || before == nil || less < 0 || less > 100 {
		return bar
	}
	if then, reason := statementsPerRequest(before); reason == "" {
		bar.Within = &reports.Range{Low: 0, High: then * (1 - less/100)}
		bar.Text += " (" + figure + ")"
	}
	return bar
}
