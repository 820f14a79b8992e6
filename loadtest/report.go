package loadtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report sets the result out for people. Its tables are "steps", "streams" when some answers are streamed, "errors"
// and, when the scenario names figures to compare with, "expected", then what the server saw; the whole Result is its
// data. On a page stands first what the users saw, then what the server saw, each with its charts on the same axis of time.
func (r *Result) Report() reports.Report {
	out := reports.Report{
		Title: r.Title, Verdict: r.Verdict, Judged: r.Judged, Summary: r.summary(),
		Checks: r.Checks, Facts: r.facts(), Notes: r.notes(), Data: r, Page: r.forPage(), Charts: r.charts(),
		Parts: []reports.Part{{Name: usersPart}, {Name: serverPart}},
	}
	if len(r.Expected) > 0 {
		t := reports.Table{
			Name: "expected", Caption: "Beside the figures the scenario names (not judged)",
			Columns: []reports.Column{{Name: "Metric"}, {Name: "Step"}, {Name: "Expected", Align: reports.Right}, {Name: "Measured", Align: reports.Right}},
		}
		for _, e := range r.Expected {
			t.Rows = append(t.Rows, []string{e.Metric, orAll(e.Step), e.Figure, e.Measured})
		}
		out.Tables = append(out.Tables, t)
	}
	out.Tables = append(out.Tables, r.stepTable())
	if t := r.streamTable(); len(t.Rows) > 0 {
		out.Tables = append(out.Tables, t)
	}
	if len(r.Merged) > 0 {
		out.Tables = append(out.Tables, r.mergedTable())
	}
	if len(r.Errors) > 0 {
		out.Tables = append(out.Tables, r.errorTable())
	}
	if len(r.Faults) > 0 {
		out.Tables = append(out.Tables, r.faultTable(1))
		if t := r.alertTable(); len(t.Rows) > 0 {
			out.Tables = append(out.Tables, t)
		}
	}
	for i := range out.Tables {
		out.Tables[i].Part = usersPart
	}
	for _, t := range r.serverTables() {
		t.Part = serverPart
		out.Tables = append(out.Tables, t)
	}
	return out
}

// forPage is the result without what a page shows in pictures already, and what would be most of its bytes.
func (r *Result) forPage() *Result {
	small := *r
	small.Windows = []Window{}
	small.Total = r.Total.withoutHistograms()
	small.Steps = slices.Clone(r.Steps)
	for i := range small.Steps {
		small.Steps[i].Figures = r.Steps[i].Figures.withoutHistograms()
	}
	if r.Server != nil {
		server := *r.Server
		server.Samples = []ServerSample{}
		small.Server = &server
	}
	return &small
}

// outcome says in a few words what the checks came to, and why. A run that nobody judged has none.
func (r *Result) outcome() string {
	if !r.Judged {
		return ""
	}
	var reasons []string
	for _, c := range r.Checks {
		if c.Verdict == r.Verdict && c.Verdict != reports.Pass && c.Reason != "" && !slices.Contains(reasons, c.Reason) {
			reasons = append(reasons, c.Reason)
		}
	}
	more := ""
	if len(reasons) > 2 {
		more = fmt.Sprintf("; and %d more", len(reasons)-2)
		reasons = reasons[:2]
	}
	why := strings.Join(reasons, "; ") + more
	switch r.Verdict {
	case reports.Pass:
		return fmt.Sprintf("All %d checks hold", len(r.Checks))
	case reports.Fail:
		return fmt.Sprintf("%d of %d checks failed (%s)", reports.Count(r.Checks, reports.Fail), len(r.Checks), why)
	case reports.Inconclusive:
	}
	return fmt.Sprintf("%d of %d checks cannot be judged (%s)", reports.Count(r.Checks, reports.Inconclusive), len(r.Checks), why)
}

// summary is one sentence.
func (r *Result) summary() string {
	t := r.Total
	text := r.outcome()
	if text != "" {
		text += ": "
	}
	if r.Interrupted && !r.Judged {
		text = "Interrupted. "
	}
	text += fmt.Sprintf("%s, %s measured: %d requests (%s/s)", r.load(), formatMS(1000*r.MeasuredS), t.Completed, formatNumber(t.Rate))
	if t.Completed > 0 {
		text += fmt.Sprintf(", %s%% errors", formatNumber(t.ErrorRate))
	}
	if t.Response.Count > 0 {
		text += fmt.Sprintf(", p50 %s, p95 %s", formatMS(t.Response.P50MS), formatMS(t.Response.P95MS))
	}
	if r.TimeScale != 1 {
		text += fmt.Sprintf(", at time scale %s", formatNumber(r.TimeScale))
	}
	return text + "."
}

func (r *Result) stepTable() reports.Table {
	t := reports.Table{
		Name: "steps", Caption: "Requests by step (response times, from when each was due)",
		Columns: []reports.Column{
			{Name: "Step"}, {Name: "Requests", Align: reports.Right}, {Name: "OK", Align: reports.Right},
			{Name: "Refused", Align: reports.Right}, {Name: "Failed", Align: reports.Right}, {Name: "Rate", Align: reports.Right},
			{Name: "p50", Align: reports.Right}, {Name: "p95", Align: reports.Right}, {Name: "p99", Align: reports.Right},
			{Name: "Max", Align: reports.Right}, {Name: "Service p95", Align: reports.Right, Optional: true},
			{Name: "Skipped", Align: reports.Right, Optional: true},
		},
	}
	for _, s := range r.Steps {
		t.Rows = append(t.Rows, row(s.Step, &s.Figures))
	}
	if len(r.Steps) > 1 {
		t.Rows = append(t.Rows, row("all", &r.Total))
	}
	return t
}

func row(name string, f *Figures) []string {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	cells := []string{name, count(f.Completed), count(f.OK), count(f.Refused), count(f.Failed), formatNumber(f.Rate) + "/s"}
	l := f.Response
	for _, ms := range []float64{l.P50MS, l.P95MS, l.P99MS, l.MaxMS, f.Service.P95MS} {
		if l.Count == 0 {
			cells = append(cells, "")
			continue
		}
		cells = append(cells, formatMS(ms))
	}
	return append(cells, count(f.Skipped))
}

func (r *Result) errorTable() reports.Table {
	t := reports.Table{
		Name: "errors", Caption: "Refused and failed requests",
		Columns: []reports.Column{
			{Name: "Kind"}, {Name: "Count", Align: reports.Right}, {Name: "Share", Align: reports.Right}, {Name: "First one"},
		},
	}
	for _, e := range r.Errors {
		t.Rows = append(t.Rows, []string{e.Kind.String(), strconv.FormatInt(e.Count, 10), formatNumber(e.Percent) + "%", e.Example})
	}
	return t
}

// faultTable tells times divided by timeScale.
func (r *Result) faultTable(timeScale float64) reports.Table {
	tell := func(ms float64) string { return formatMS(ms / timeScale) }
	t := reports.Table{
		Name: "faults", Caption: "Faults put in, and when the server's own health showed them",
		Columns: []reports.Column{
			{Name: "Fault"}, {Name: "At", Align: reports.Right}, {Name: "For", Align: reports.Right},
			{Name: "Seen after", Align: reports.Right}, {Name: "Over after", Align: reports.Right}, {Name: "First seen as"},
		},
	}
	after := func(ms *float64) string {
		if ms == nil {
			return "not seen"
		}
		return tell(*ms)
	}
	for _, f := range r.Faults {
		row := []string{f.Fault, tell(1000 * f.AtS), tell(1000 * f.ForS), after(f.SeenMS), after(f.OverMS), f.SeenBy}
		if f.Error != "" {
			row = []string{f.Fault, "", tell(1000 * f.ForS), "", "", f.Error}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r *Result) facts() []reports.Fact {
	facts := []reports.Fact{
		{Name: "Scenario", Value: r.Scenario},
		{Name: "Target", Value: r.Target},
		{Name: "Load", Value: r.load() + ", " + r.Model + " model"},
		{Name: "Started", Value: r.StartedAt.Format(time.RFC3339)},
		{Name: "Measured", Value: r.measured()},
	}
	g := r.Generator
	if r.Environment.CPUs > 0 { // unknown of vegeta's results
		facts = append(facts,
			reports.Fact{Name: "Generator", Value: fmt.Sprintf("%.0f%% of %d CPUs, %.0f MiB, send lag p99 %s, %d connections",
				g.CPUPercent, r.Environment.CPUs, g.RSSMiB, formatMS(g.SendLag.P99MS), g.Connections)},
			reports.Fact{Name: "Seed", Value: strconv.FormatUint(r.Seed, 10)})
	}
	if g.Asked > 0 {
		facts = append(facts, reports.Fact{Name: "Arrivals", Value: fmt.Sprintf("%d of %d sent in time, %d had to wait for a place", g.InTime, g.Asked, g.Held)})
	}
	return append(facts, r.serverFacts()...)
}

// load is the load with the share that this generator had of it.
func (r *Result) load() string {
	if r.Worker == "" {
		return r.Load
	}
	return "worker " + r.Worker + " of " + r.Load
}

func (r *Result) measured() string {
	if r.WarmUpS == 0 {
		return formatMS(1000*r.MeasuredS) + ", without a warm-up"
	}
	return fmt.Sprintf("%s after %s of warm-up (%d requests left out)", formatMS(1000*r.MeasuredS), formatMS(1000*r.WarmUpS), r.WarmUp)
}

func (r *Result) notes() []string {
	var notes []string
	notes = append(notes, r.Reasons...)
	if len(r.LeftOut) > 0 {
		notes = append(notes, "Left out, because no Prometheus was named (--prometheus): "+strings.Join(r.LeftOut, ", ")+".")
	}
	if r.TimeScale != 1 {
		notes = append(notes, fmt.Sprintf("Time scale %s: every time of the scenario and its checks is multiplied by it, every rate divided.", formatNumber(r.TimeScale)))
	}
	notes = append(notes, r.mergedNotes()...)
	if left := r.leftToMerge(); len(left) > 0 {
		notes = append(notes, fmt.Sprintf("Checks that one worker cannot judge are left to 'tomehub loadtest merge': %s.", strings.Join(left, ", ")))
	}
	if r.Canceled > 0 {
		notes = append(notes, fmt.Sprintf("%d requests were cut off by the end of the run and count nowhere.", r.Canceled))
	}
	if r.Generator.Resent > 0 {
		notes = append(notes, fmt.Sprintf("%d requests were sent a second time, because the server closed an idle connection under them.", r.Generator.Resent))
	}
	return append(notes, r.serverNotes()...)
}

func orAll(step string) string {
	if step == "" {
		return "all"
	}
	return step
}
