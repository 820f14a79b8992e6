package profiler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// Report tells the comparison: the sentence, the statements that changed, the findings that came and went. Data is the Comparison
// itself.
func (c *Comparison) Report() reports.Report {
	r := reports.Report{
		Title:   fmt.Sprintf("What changed (%s then, %s now)", seconds(c.Then.WindowUS), seconds(c.Now.WindowUS)),
		Summary: c.Sentence,
		Facts:   []reports.Fact{{Name: "Then", Value: c.Then.origin()}, {Name: "Now", Value: c.Now.origin()}},
		Tables:  []reports.Table{c.table()},
		Notes:   c.notes(),
		Data:    c,
	}
	if t := c.findings(); len(t.Rows) > 0 {
		r.Tables = append(r.Tables, t)
	}
	return r
}

// origin says in one line what was profiled, when, and how much ran.
func (p *Profile) origin() string {
	parts := []string{p.Source, p.Server}
	if p.Phase != "" {
		parts = append(parts, "phase "+p.Phase)
	}
	window := fmt.Sprintf("%.1f s from %s", p.WindowUS.Seconds(), stamp(p.From))
	if p.Lifetime {
		window = "since each statement was first seen"
	}
	parts = append(parts, window, fmt.Sprintf("%s, %.1f/s", plural(p.Total.Executions, "execution"), p.rate(p.Total.Executions)))
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

func (c *Comparison) notes() []string {
	notes := slices.Clone(c.Differ)
	outcomes := map[Outcome]int{}
	for _, ch := range c.Changes {
		outcomes[ch.Outcome]++
	}
	if outcomes[Few] > 0 {
		notes = append(notes, fmt.Sprintf("too few: fewer than %d executions in one of the windows, or a statement so rare that the other window may have missed it by chance. A longer --duration tells.", fewExecutions))
	}
	if c.incomplete {
		notes = append(notes, fmt.Sprintf("The earlier profile shows %d of its %d statements with work; one that is not among them is called %q. Keep a profile for later with a larger --top.",
			c.shown, c.Then.Active, Unknown))
	}
	if c.Left > 0 {
		notes = append(notes, fmt.Sprintf("%s changed less than these and %s left out (--top).", plural(c.Left, "statement"), map[bool]string{true: "is", false: "are"}[c.Left == 1]))
	}
	return append(notes, "Everything is per second of its window, and says what the database did, not what it was asked for: compare windows under the same load.")
}

func (c *Comparison) table() reports.Table {
	t := reports.Table{
		Name: "changes", Caption: "Statements, the worst first",
		Columns: []reports.Column{
			{Name: "Change"}, {Name: "Statement"},
			{Name: "Time/s then", Align: reports.Right}, {Name: "Time/s now", Align: reports.Right}, {Name: "×", Align: reports.Right},
			{Name: "Avg(s) then", Align: reports.Right}, {Name: "Avg(s) now", Align: reports.Right},
			{Name: "Exec/s then", Align: reports.Right}, {Name: "Exec/s now", Align: reports.Right},
			{Name: "Why", Optional: true}, {Name: "% then", Align: reports.Right, Optional: true},
			{Name: "% now", Align: reports.Right, Optional: true}, {Name: "Plan", Optional: true}, {Name: "SQL", Optional: true},
		},
	}
	for i := range c.Changes {
		t.Rows = append(t.Rows, c.cells(&c.Changes[i]))
	}
	return t
}

func (c *Comparison) cells(ch *Change) []string {
	_, text := split(ch.Name, ch.SQL)
	name := cmp.Or(ch.Name, ch.SQLID, cut(text))
	if !c.Now.fullText {
		text = cut(text)
	}
	factor := ""
	if ch.Then != nil && ch.Now != nil && ch.Then.TimePerSecond > 0 {
		factor = fmt.Sprintf("%.2f", ch.Now.TimePerSecond/ch.Then.TimePerSecond)
	}
	side := func(l *Load, cell func(*Load) string) string {
		if l == nil {
			return ""
		}
		return cell(l)
	}
	perSecond := func(l *Load) string { return fmt.Sprintf("%.4f", l.TimePerSecond) }
	avg := func(l *Load) string { return known(l.Avg, average) }
	rate := func(l *Load) string { return fmt.Sprintf("%.1f", l.PerSecond) }
	share := func(l *Load) string { return fmt.Sprintf("%.1f", 100*l.Share) }
	return []string{
		string(ch.Outcome), name, side(ch.Then, perSecond), side(ch.Now, perSecond), factor, side(ch.Then, avg), side(ch.Now, avg),
		side(ch.Then, rate), side(ch.Now, rate), ch.Why, side(ch.Then, share), side(ch.Now, share), ch.plans(), text,
	}
}

// plans names the plans of both sides when they are not the same.
func (ch *Change) plans() string {
	if ch.Then == nil || ch.Now == nil {
		return ""
	}
	list := func(l *Load) string {
		plans := slices.Sorted(slices.Values(l.Plans))
		words := make([]string, len(plans))
		for i, p := range plans {
			words[i] = strconv.FormatUint(p, 10)
		}
		return strings.Join(words, " ")
	}
	if then, now := list(ch.Then), list(ch.Now); then != now && then != "" && now != "" {
		return then + " → " + now
	}
	return ""
}

func (c *Comparison) findings() reports.Table {
	t := reports.Table{Name: "findings", Caption: "Findings", Columns: []reports.Column{
		{Name: "Change"}, {Name: "Finding"}, {Name: "Statement"}, {Name: "Evidence", Wrap: true}, {Name: "What to do", Wrap: true},
	}}
	for _, part := range []struct {
		change   string
		findings []Finding
	}{{"new", c.Arisen}, {"still", c.Remaining}, {"gone", c.Solved}} {
		for _, f := range part.findings {
			advice := f.Advice
			if part.change == "gone" {
				advice = ""
			}
			t.Rows = append(t.Rows, []string{part.change, findingName(f.Kind), f.Statement, f.Evidence, advice})
		}
	}
	return t
}

// Title names a finding within a sentence: "N+1 on passage".
func (f Finding) Title() string {
	about := f.Statement
	switch {
	case strings.Contains(about, " ") && f.SQLID != "":
		about = f.SQLID
	case about == "":
		return findingName(f.Kind)
	}
	return findingName(f.Kind) + " on " + about
}
