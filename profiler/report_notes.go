package profiler

import (
	"fmt"
	"strings"
)

// What coverage of DB time needs no explanation, as a share.
const (
	lowCoverage  = 0.8
	highCoverage = 1.05
)

// notes say what a reader must know to read the numbers right, what the result lacks before all.
func (p *Profile) notes() []string {
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if p.Lifetime {
		add("LIFETIME: each statement's numbers reach back to when it was first seen, some hours, others weeks. They tell nothing about now, so that there are no findings: take a window for those.")
	}
	for _, w := range p.Warnings {
		add("%s", w)
	}
	p.noteActivity(add)
	p.noteTime(add)
	p.noteStates(add)
	if p.Vanished > 0 {
		more := ""
		if n := p.Vanished - len(p.VanishedEx); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		add("%s of the first snapshot %s gone in the second, and what %s did meanwhile is unknown: %s%s.",
			plural(p.Vanished, "statement"), isOrAre(p.Vanished), itOrThey(p.Vanished), strings.Join(p.VanishedEx, "; "), more)
	}
	return notes
}

func (p *Profile) noteTime(add func(string, ...any)) {
	window := "of this window alone"
	if p.Lifetime {
		window = "since each statement was first seen"
	}
	switch {
	case p.Active == 0:
	case p.Kind == Tomehub:
		add("Total(s) and Avg(s) are %s, from the start of an execution to its last row; Wait/exec(s) comes before them.", window)
	default:
		add("Total(s) and Avg(s) are %s, of parsing, running and fetching. What of Total(s) is neither CPU nor a wait that is told here is Other(s).", window)
	}
	if p.Lifetime || p.Active == 0 || p.Coverage == 0 {
		return
	}
	switch {
	case p.Coverage < lowCoverage:
		add("Only %s of DB time is that of these statements. %s", percent(p.Coverage), p.uncovered())
	case p.Coverage > highCoverage:
		add("These statements took more than all of DB time (%s): a parallel query counts the time of all its servers, and time of executions that began before the window is counted when they end.", percent(p.Coverage))
	}
}

// uncovered says what else took the time.
func (p *Profile) uncovered() string {
	var plsql Micros
	for i := range p.active {
		plsql += p.active[i].Counters.PLSQL
	}
	var what []string
	if p.Time.Parse > 0 {
		what = append(what, fmt.Sprintf("parsing (%s s in all)", total(p.Time.Parse.Seconds())))
	}
	if plsql > 0 {
		what = append(what, fmt.Sprintf("PL/SQL itself (%s s)", total(plsql.Seconds())))
	}
	if p.Vanished > 0 {
		what = append(what, fmt.Sprintf("%s that left the shared pool", plural(p.Vanished, "statement")))
	}
	what = append(what, "cursors that aged out of the shared pool unseen", "logging on, committing and statements that have not ended")
	return "The rest: " + strings.Join(what, ", ") + "."
}

func (p *Profile) noteStates(add func(string, ...any)) {
	counts := map[State]int{}
	var parallel []string
	for i := range p.active {
		r := &p.active[i]
		for _, s := range r.States {
			counts[s]++
		}
		if r.is(Running) && !p.Lifetime && r.Elapsed > p.WindowUS+p.WindowUS/10 && p.Kind == Oracle {
			parallel = append(parallel, label(r.Name, r.SQL))
		}
	}
	if n := counts[Reset]; n > 0 {
		add("RESET: the counters of %s began anew within the window; what they had counted before is lost, so the truth is larger.", plural(n, "statement"))
	}
	if n := counts[Running]; n > 0 {
		add("RUNNING: no execution of %s ended in the window, so there is no average.", plural(n, "statement"))
	}
	if len(parallel) > 0 {
		add("More time passed in %s than the window is long: several sessions run it, or parallel servers, whose time is added.", strings.Join(parallel[:min(len(parallel), 5)], "; "))
	}
	if n := counts[Block]; n > 0 {
		add("PLSQL: what the statements of %s did stands with them, so that the %s in no sum and no share.", plural(n, "block"), map[bool]string{true: "block is", false: "blocks are"}[n == 1])
	}
}

func (p *Profile) noteActivity(add func(string, ...any)) {
	a := p.Activity
	switch {
	case a == nil:
		return
	case a.Missing != "":
		add("Sessions were not sampled: %s", a.Missing)
	case a.Samples == 0 && a.Failed > 0:
		add("None of %s of the sessions could be taken: %s", plural(a.Failed, "sample"), a.Err)
	case a.Samples == 0:
		add("Sessions were not sampled: the window was too short for it.")
	case a.Failed > 0:
		add("%d of %d samples of the sessions could not be taken: %s", a.Failed, a.Samples+a.Failed, a.Err)
	}
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func itOrThey(n int) string {
	if n == 1 {
		return "it"
	}
	return "they"
}
