package loadtest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report sets the checkpoints out for people: one table of the plan's figures beside the measured ones, one of theory
// beside what happened, and every check. Times are told unscaled, as the plan tells them. A page tells the plan's story:
// its figures as bars, then each phase with what it changed and how it went over time.
func (r *CheckpointResult) Report() reports.Report {
	out := reports.Report{
		Title: "Checkpoints of the plan", Verdict: r.Verdict, Judged: true, Summary: r.summary(),
		Tables: []reports.Table{r.planTable(), r.theoryTable()}, Notes: r.notes(), Data: r, Page: r.forPage(),
		Charts: r.charts(), Parts: r.parts(),
		Facts: []reports.Fact{
			{Name: "Started", Value: r.StartedAt.Format(time.RFC3339)}, {Name: "Took", Value: formatMS(1000 * r.TookS)},
			{Name: "Time scale", Value: formatNumber(r.TimeScale)}, {Name: "Seed", Value: fmt.Sprint(r.Seed)},
		},
	}
	if t := r.faultTable(); len(t.Rows) > 0 {
		out.Tables = append(out.Tables, t)
	}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		if c.Result == nil {
			out.Checks = append(out.Checks, reports.Check{Name: c.short(), Metric: "ran", Bound: "yes", Reason: "did not run"})
			continue
		}
		for _, check := range c.Result.Checks {
			check.Name = c.short() + ": " + check.Name
			out.Checks = append(out.Checks, check)
		}
	}
	out.Checks = append(out.Checks, r.Across...)
	return out
}

// forPage is the result without what a page shows in pictures already.
func (r *CheckpointResult) forPage() *CheckpointResult {
	small := *r
	small.Checkpoints = slices.Clone(r.Checkpoints)
	for i := range small.Checkpoints {
		if c := &small.Checkpoints[i]; c.Result != nil {
			c.Result = c.Result.forPage()
		}
	}
	return &small
}

func (c *Checkpoint) short() string { return strings.TrimPrefix(c.Name, "checkpoint-") }

func (r *CheckpointResult) summary() string {
	passed, ran := 0, 0
	for _, c := range r.Checkpoints {
		if c.Result != nil {
			ran++
		}
		if c.Verdict == reports.Pass {
			passed++
		}
	}
	text := fmt.Sprintf("%d of %d checkpoints hold.", passed, len(r.Checkpoints))
	if ran < len(r.Checkpoints) {
		text = fmt.Sprintf("%d of %d checkpoints ran. ", ran, len(r.Checkpoints)) + text
	} else if ran > 1 {
		text = strings.TrimSuffix(text, ".") + ": " + r.way()
	}
	if r.Interrupted {
		text = "Interrupted. " + text
	}
	return text
}

// way says how far it went from the first checkpoint to the last.
func (r *CheckpointResult) way() string {
	from, to := &r.Checkpoints[0], &r.Checkpoints[len(r.Checkpoints)-1]
	return fmt.Sprintf("from %d users, %s%% errors and p95 %s (%s) to %d users, %s%% errors and p95 %s (%s).",
		from.Users, formatNumber(from.Result.Total.ErrorRate), from.unscaledMS(from.Result.Total.Response.P95MS), from.short(),
		to.Users, formatNumber(to.Result.Total.ErrorRate), to.unscaledMS(to.Result.Total.Response.P95MS), to.short())
}

// planTable has a cell "plan → measured" for each figure that the plan gives.
func (r *CheckpointResult) planTable() reports.Table {
	right := func(name string) reports.Column { return reports.Column{Name: name, Align: reports.Right} }
	t := reports.Table{
		Name: "checkpoints", Caption: "The plan's figure → the measured one", Part: planPart,
		Columns: []reports.Column{
			{Name: "Checkpoint"}, {Name: "Phase"}, right("Users"), right("Errors"), right("p95"), right("Statements/request"), right("Hit rate"),
			right("Memory"), {Name: "Verdict"},
		},
	}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		row := []string{c.short(), c.Phase, fmt.Sprint(c.Users), "", "", "", "", "", "did not run"}
		if c.Result != nil {
			row[3], row[4] = c.cell("error_rate", formatNumber(c.Result.Total.ErrorRate)+"%"), c.cell("p95", c.unscaledMS(c.Result.Total.Response.P95MS))
			row[5], row[6], row[7] = c.statementsCell(r.find("checkpoint-before")), c.hitsCell(), c.memoryCell()
			row[8] = c.Verdict.Mark() + " " + c.Verdict.String()
			if c.Result.Interrupted {
				row[8] += ", interrupted"
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// unscaledMS tells a time of a scaled run as it would be unscaled.
func (c *Checkpoint) unscaledMS(ms float64) string { return formatMS(ms / c.TimeScale) }

// cell puts the plan's figure, if there is one, before the measured one.
func (c *Checkpoint) cell(metric, measured string) string {
	if figure := c.figure(metric); figure != "" {
		return figure + " → " + measured
	}
	return measured
}

func (c *Checkpoint) statementsCell(before *Checkpoint) string {
	now, reason := statementsPerRequest(c)
	if reason != "" {
		return "?"
	}
	text := formatNumber(now)
	if before != nil && before != c {
		if then, reason := statementsPerRequest(before); reason == "" && then > 0 {
			text += fmt.Sprintf(" (%+.0f%%)", 100*(now/then-1))
		}
	}
	return c.cell("server.statements_per_request", text)
}

func (c *Checkpoint) hitsCell() string {
	s := c.Result.Server
	if s == nil || s.Cache == nil || s.Cache.Hits+s.Cache.Misses == 0 {
		return "no cache"
	}
	return c.cell("server.cache_hit_rate", formatNumber(s.Cache.HitRate)+"%")
}

func (c *Checkpoint) memoryCell() string {
	s := c.Result.Server
	if s == nil || s.Memory == nil {
		return "not watched"
	}
	return c.cell("server.memory_peak", fmt.Sprintf("%.0f MiB at most", s.Memory.RSS.Peak))
}

// theoryTable has what Little's law says beside what was seen.
func (r *CheckpointResult) theoryTable() reports.Table {
	right := func(name string) reports.Column { return reports.Column{Name: name, Align: reports.Right} }
	t := reports.Table{
		Name: "theory", Part: theoryPart, Caption: "Little's law → measured (before the run: statements, connections, users and their pace; hit rates are the measured ones)",
		Columns: []reports.Column{
			{Name: "Checkpoint"}, right("Connections"), right("Statements/request"), right("Rate"), right("Mean answer"), right("In use"),
			{Name: "Bottleneck"}, right("Time scale"), right("Generator CPU"),
		},
	}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		e := c.Expected
		if c.Result == nil || e == nil {
			continue
		}
		statements, use := "?", "?"
		if now, reason := statementsPerRequest(c); reason == "" {
			statements = formatNumber(now)
		}
		if s := c.Result.Server; s != nil && len(s.Pools) > 0 && s.Pools[0].Size > 0 {
			use = fmt.Sprintf("%.0f%%", 100*s.Pools[0].InUse.Mean/float64(s.Pools[0].Size))
		}
		where := "the users' pace"
		if e.WaitMS > 0 {
			where = "the pool: " + c.unscaledMS(e.WaitMS) + " of wait a statement"
		}
		t.Rows = append(t.Rows, []string{
			c.short(), fmt.Sprint(e.Connections), fmt.Sprintf("%s → %s", formatNumber(e.Statements), statements),
			fmt.Sprintf("%.1f/s → %.1f/s", e.Rate*c.TimeScale, c.Result.Total.Rate*c.TimeScale),
			fmt.Sprintf("%s → %s", c.unscaledMS(e.MeanMS), c.unscaledMS(c.Result.Total.Response.MeanMS)),
			fmt.Sprintf("%.0f%% → %s", math.Min(100, e.Use), use), where, formatNumber(c.TimeScale), fmt.Sprintf("%.0f%%", c.Result.Generator.CPUPercent),
		})
	}
	return t
}

func (r *CheckpointResult) faultTable() reports.Table {
	t := reports.Table{}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		if c.Result == nil || len(c.Result.Faults) == 0 {
			continue
		}
		one := c.Result.faultTable(c.TimeScale)
		if len(t.Rows) == 0 {
			t = reports.Table{Name: one.Name, Caption: one.Caption, Part: c.part(), Columns: append([]reports.Column{{Name: "Checkpoint"}}, one.Columns...)}
		}
		for _, row := range one.Rows {
			t.Rows = append(t.Rows, append([]string{c.short()}, row...))
		}
	}
	return t
}

func (r *CheckpointResult) notes() []string {
	notes := append([]string{}, r.Reasons...)
	if r.TimeScale != 1 {
		notes = append(notes, fmt.Sprintf("Time scale %s: the times of users, checks and the server's lab are multiplied by it, rates and rate limits divided, and the tables tell them unscaled. A checkpoint that would pass more than %d requests/s is scaled less.",
			formatNumber(r.TimeScale), mostScaledRate))
	}
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		for _, d := range c.Discarded {
			notes = append(notes, c.short()+" was run again: "+d)
		}
		if c.Result != nil {
			if left := c.Result.LeftOut; len(left) > 0 {
				notes = append(notes, fmt.Sprintf("%s: %s left out, because no Prometheus was named (--prometheus URL and --prometheus-targets FILE).", c.short(), strings.Join(left, ", ")))
			}
			for _, reason := range c.Result.Reasons {
				notes = append(notes, c.short()+": "+reason)
			}
		}
	}
	return append(notes,
		"In the lab every statement holds its connection for a random time with the means of the plan's own profile (0.25, 0.32 and 0.40 s, 0.30 s over its mix); what is measured is the service's part, not a database.")
}
