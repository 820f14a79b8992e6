package loadtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report sets the lines out for people, in one table. With asChecks it has them, without the roll-up, as checks, for a
// format that shows nothing else (JUnit).
func (r *VerifyResult) Report(asChecks bool) reports.Report {
	out := reports.Report{
		Title: "The plan's validation checklists", Verdict: r.Verdict, Judged: true, Summary: r.summary(), Data: r,
		Facts: []reports.Fact{
			{Name: "Started", Value: r.StartedAt.Format(time.RFC3339)}, {Name: "Took", Value: formatMS(1000 * r.TookS)},
			{Name: "Phases", Value: strings.Join(r.Phases, ", ")}, {Name: "Server", Value: r.server()},
		},
	}
	t := reports.Table{
		Name: "lines", Caption: "Every line of the plan's checklists (a line without a number sums its task up)",
		Columns: []reports.Column{
			{Name: "Line"}, {Name: "Verdict"}, {Name: "The plan", Wrap: true}, {Name: "Seen", Wrap: true}, {Name: "Done", Wrap: true, Optional: true}, {Name: "Read as", Wrap: true, Optional: true},
		},
	}
	for _, l := range r.Lines {
		t.Rows = append(t.Rows, []string{l.ID, l.mark() + " " + string(l.Status), l.Plan, l.seen(), l.Did, l.Reading})
		if asChecks && (strings.Contains(l.ID, ".") || l.Status == NotRun) {
			out.Checks = append(out.Checks, l.check())
		}
	}
	out.Tables = []reports.Table{t}
	return out
}

func (r *VerifyResult) server() string {
	if r.Target != "" {
		return r.Target
	}
	return "of its own, for every group of lines"
}

func (r *VerifyResult) summary() string {
	counts := map[Status]int{}
	notAsked := 0
	for _, l := range r.Lines {
		switch {
		case !strings.Contains(l.ID, ".") && l.Asked && l.Status != NotRun: // sums others up
		case !l.Asked:
			notAsked++
		default:
			counts[l.Status]++
		}
	}
	text := fmt.Sprintf("%d lines pass, %d fail, %d could not be judged.", counts[Passed], counts[Failed], counts[Undecided]+counts[NotRun])
	if notAsked > 0 {
		text += fmt.Sprintf(" %d were not run and do not count.", notAsked)
	}
	if r.Interrupted {
		text = "Interrupted. " + text
	}
	return text
}

func (l *VerifyLine) mark() string { return l.verdict().Mark() }

func (l *VerifyLine) verdict() reports.Verdict {
	switch l.Status {
	case Passed:
		return reports.Pass
	case Failed:
		return reports.Fail
	case Undecided, NotRun:
	}
	return reports.Inconclusive
}

// seen is what was seen, with the reason where there is one.
func (l *VerifyLine) seen() string {
	if l.Seen == "" || l.Reason == "" {
		return l.Seen + l.Reason
	}
	return l.Seen + "; " + l.Reason
}

func (l *VerifyLine) check() reports.Check {
	c := reports.Check{Name: l.ID + " " + l.Plan, Metric: "checklist", Bound: l.Did, Measured: l.Seen, Why: l.Reading, Verdict: l.verdict(), Reason: l.Reason}
	if l.Status == Failed {
		c.Reason = l.Seen
	}
	if l.Status == NotRun && c.Reason == "" {
		c.Reason = string(NotRun)
	}
	return c
}
