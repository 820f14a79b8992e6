package profiler

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Report tells the profile as the plan's table: Exec, Total(s), Avg(s), SQL, and behind them what else is known. A cell is
// empty where there is no such number. Data is the Profile itself, with the statements' text whole.
func (p *Profile) Report() reports.Report {
	r := reports.Report{
		Title:   fmt.Sprintf("%s (last %s)", p.Rank.title(p.Top), seconds(p.WindowUS)),
		Summary: p.summary(),
		Facts:   p.facts(),
		Tables:  []reports.Table{p.table()},
		Notes:   p.notes(),
		Charts:  p.charts(),
		Data:    p,
	}
	if p.Lifetime {
		r.Title = "LIFETIME, NO WINDOW: " + p.Rank.title(p.Top)
	}
	if p.Activity != nil && p.Activity.Samples > 0 {
		r.Tables = append(r.Tables, p.Activity.table())
	}
	if len(p.Findings) > 0 {
		r.Tables = append(r.Tables, p.findings())
	}
	return r
}

func (p *Profile) summary() string {
	ran := fmt.Sprintf("%s ran %s", plural(p.Active-p.Blocks, "statement"), times(p.Total.Executions))
	besides := "."
	if p.Blocks > 0 {
		besides = fmt.Sprintf("; the statements of %s are among them.", plural(p.Blocks, "PL/SQL block"))
	}
	switch {
	case p.Active == 0 && p.Lifetime:
		return "No statement has run."
	case p.Active == 0:
		return "No statement ran in this window. Run some searches or an ingest meanwhile, or take a longer --duration."
	case p.Lifetime:
		return fmt.Sprintf("%s and took %s s in all, each since it was first seen: at different times, and nobody knows when%s", ran, total(p.Total.Elapsed.Seconds()), besides)
	}
	return fmt.Sprintf("%s and took %s s in all, %.2f running at a time on average%s",
		ran, total(p.Total.Elapsed.Seconds()), p.Total.Elapsed.Seconds()/p.WindowUS.Seconds(), besides)
}

func (p *Profile) facts() []reports.Fact {
	var facts []reports.Fact
	add := func(name, format string, args ...any) {
		facts = append(facts, reports.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	if p.Lifetime {
		add("LIFETIME", "counters since each statement was first seen, not those of a window")
	}
	server := p.Server
	if p.Phase != "" {
		server += ", phase " + p.Phase
	}
	add("Source", "%s", p.Source)
	add("Server", "%s, up %v", server, p.To.Sub(p.StartedAt).Round(time.Second))
	if len(p.Instances) > 1 {
		names := make([]string, len(p.Instances))
		for i, x := range p.Instances {
			names[i] = fmt.Sprintf("%d %s", x.ID, x.Name)
		}
		add("Instances", "%s", strings.Join(names, ", "))
	}
	if p.View != "" {
		add("View", "%s", p.View)
	}
	if p.Lifetime {
		add("Statements", "%d known, %d with work, %d shown", p.Known, p.Active, len(p.Statements))
		add("Executions", "%d", p.Total.Executions)
	} else {
		window := fmt.Sprintf("%.3f s, from %s to %s", p.WindowUS.Seconds(), stamp(p.From), stamp(p.To))
		if p.Interrupted {
			window += fmt.Sprintf("; interrupted, %s were asked for", seconds(p.AskedUS))
		}
		add("Window", "%s", window)
		add("Statements", "%s, %d with work in the window, %d shown", p.counted(), p.Active, len(p.Statements))
		add("Executions", "%d, %.1f/s", p.Total.Executions, p.rate(p.Total.Executions))
	}
	return append(facts, p.sourceFacts()...)
}

// counted says how many entries the second snapshot had.
func (p *Profile) counted() string {
	if p.Partial {
		return fmt.Sprintf("%d active of late", p.Known)
	}
	return fmt.Sprintf("%d known", p.Known)
}

// sourceFacts are those that only one kind of source knows, and what asking it took.
func (p *Profile) sourceFacts() []reports.Fact {
	var facts []reports.Fact
	add := func(name, format string, args ...any) {
		facts = append(facts, reports.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	if p.Kind == Tomehub {
		add("Waited", "%.2f s for connections", p.Total.AcquireWait.Seconds())
	}
	if t := p.Time; t != nil && t.DBTime > 0 {
		add("DB time", "%.2f s%s, CPU %s, parsing %s, hard parsing %s", t.DBTime.Seconds(), p.atATime(), percent(share(t.DBCPU, t.DBTime)),
			percent(share(t.Parse, t.DBTime)), percent(share(t.HardParse, t.DBTime)))
		if !p.Lifetime { // DB time is since the instance began, the statements' time since they were first seen
			add("Coverage", "%s of DB time is that of these statements", percent(p.Coverage))
		}
	}
	if a := p.Activity; a != nil && a.Samples > 0 {
		if names := a.busiest(); names != "" {
			add("Sessions", "%s", names)
		}
	}
	if p.SnapshotsUS != [2]Micros{} {
		cost := fmt.Sprintf("two snapshots, %.1f ms and %.1f ms", float64(p.SnapshotsUS[0])/1e3, float64(p.SnapshotsUS[1])/1e3)
		if p.Lifetime {
			cost = fmt.Sprintf("one snapshot, %.1f ms", float64(p.SnapshotsUS[1])/1e3)
		}
		if p.Own.Executions > 0 {
			cost += fmt.Sprintf("; our own statements ran %s and took %s s, and are in no sum", times(p.Own.Executions), total(p.Own.Elapsed.Seconds()))
		}
		add("Cost", "%s", cost)
	}
	return facts
}

func (p *Profile) atATime() string {
	if p.Lifetime {
		return ""
	}
	return fmt.Sprintf(", %.2f sessions active on average", p.Time.DBTime.Seconds()/p.WindowUS.Seconds())
}

// busiest names the modules with most active sessions.
func (a *Activity) busiest() string {
	names := byCount(a.Modules)
	var told []string
	for _, name := range names[:min(len(names), 5)] {
		told = append(told, fmt.Sprintf("%s %.2f", name, float64(a.Modules[name])/float64(a.Samples)))
	}
	if more := len(names) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("%d more", more))
	}
	return strings.Join(told, ", ")
}

// byCount lists names, the one counted most first.
func byCount(counts map[string]int) []string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return names
}

func (p *Profile) rate(n int64) float64 { return float64(n) / p.WindowUS.Seconds() }

// share is a part of a whole; 0 when there is no whole.
func share(part, whole Micros) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
