package profiler

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The kinds of findings, as they stand in JSON.
const (
	Dominant   = "dominant"      // one statement takes more than half of the time
	Slow       = "slow"          // more than a second per execution
	Frequent   = "most_executed" // more than half of all executions
	NPlusOne   = "n_plus_one"    // a statement per row of another statement
	Cacheable  = "cacheable"     // its answers could be kept
	Waiting    = "waiting"       // more time waiting for connections than running
	Failing    = "failing"       // executions end in errors
	Endless    = "endless"       // one execution outlasts most of the window
	FullScan   = "full_scan"     // reads all of a table or an index for few rows
	PlanFlip   = "plan_flip"     // another plan, and slower
	Parsing    = "parsing"       // the database spends its time parsing
	HardParses = "hard_parses"   // a statement is parsed anew again and again
	Literals   = "literals"      // values stand in its text
	Children   = "child_cursors" // many cursors of one statement
	Locked     = "lock_waits"    // waits for locks of other sessions
	Contention = "concurrency"   // waits for latches, mutexes and hot blocks
	Cluster    = "cluster"       // waits for other instances
	IOBound    = "io_bound"      // waits for the disk
)

// kindNames are the kinds for people.
var kindNames = map[string]string{
	Dominant: "over half", Slow: "slow", Frequent: "most executed", NPlusOne: "N+1", Cacheable: "cacheable", Waiting: "pool waits", Failing: "errors",
	Endless: "does not end", FullScan: "full scan", PlanFlip: "plan flip", Parsing: "parsing", HardParses: "hard parses", Literals: "literals",
	Children: "child cursors", Locked: "lock waits", Contention: "concurrency", Cluster: "cluster waits", IOBound: "disk",
}

// findingName says a kind of finding in words, also one of a newer tomehub.
func findingName(kind string) string {
	return cmp.Or(kindNames[kind], strings.ReplaceAll(kind, "_", " "))
}

// The severities, by the part of all time that is at stake.
const (
	High   = "high"   // a quarter and more
	Medium = "medium" // a twentieth and more
	Low    = "low"
)

// A Finding is something worth doing, with the numbers of this window that say so.
type Finding struct {
	Kind      string `json:"kind"`
	Statement string `json:"statement,omitempty"` // empty when it concerns all
	SQLID     string `json:"sql_id,omitempty"`
	Evidence  string `json:"evidence"`
	Advice    string `json:"advice"`
	Severity  string `json:"severity"`
	AtStake   Micros `json:"at_stake_us"` // of this window's time: the most that could be won
}

// What counts as evidence. Below these a number is noise, and noise is not a finding.
const (
	worthwhile    = Micros(1e6) // a second of time in all, below which nobody notices
	findingsBound = 5           // of one kind
)

var readStatement = regexp.MustCompile(`^(?is:\s|/\*.*?\*/|--[^\n]*\n)*(?i:SELECT|WITH)\b`)

// finder looks for findings in the rows of one profile, most time first.
type finder struct {
	*Profile
	rows  []*Row
	lists []*Row // reads that return several rows at a time, most rows first
	base  Micros // all the time there was

	written map[string]int64 // executions of statements that change a table; made by writes
}

// find returns the findings, the most severe first and then those with most time at stake. Of a lifetime there are none:
// counters that began at different times show nothing together.
func (p *Profile) find() []Finding {
	found := []Finding{}
	if p.Lifetime {
		return found
	}
	f := &finder{Profile: p, base: p.Total.Elapsed}
	if p.Time != nil {
		f.base = max(f.base, p.Time.DBTime)
	}
	for i := range p.active {
		f.rows = append(f.rows, &p.active[i])
	}
	slices.SortStableFunc(f.rows, func(a, b *Row) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	f.lists = lists(f.rows)
	for _, of := range []func() (Finding, bool){f.waiting, f.parsing} {
		if one, ok := of(); ok {
			found = append(found, f.weighed(one))
		}
	}
	for _, of := range []func(*Row) (Finding, bool){
		f.dominant, f.slow, f.nPlusOne, f.cacheable, f.frequent, failing, f.endless, fullScan, planFlip, literals, f.hardParses, f.children, f.locked,
		contention, cluster, ioBound,
	} {
		found = append(found, f.each(of, found)...)
	}
	for _, one := range f.lockedUnseen() {
		found = append(found, f.weighed(one))
	}
	order := map[string]int{High: 0, Medium: 1, Low: 2}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.Severity], order[b.Severity]), cmp.Compare(b.AtStake, a.AtStake))
	})
	return found
}

// each returns the findings of one kind, at most findingsBound of them. A block is only asked whether it ends: all else is
// told of its statements. That a statement runs most is not told when something better was.
func (f *finder) each(of func(*Row) (Finding, bool), before []Finding) []Finding {
	var found []Finding
	for _, r := range f.rows {
		one, ok := of(r)
		if !ok || r.is(Block) && one.Kind != Endless {
			continue
		}
		one.Statement, one.SQLID = titled(r), r.SQLID
		if one.Kind == Frequent && slices.ContainsFunc(before, func(b Finding) bool {
			return (b.Kind == NPlusOne || b.Kind == Cacheable) && b.Statement == one.Statement && b.SQLID == one.SQLID
		}) {
			continue
		}
		if found = append(found, f.weighed(one)); len(found) == findingsBound {
			break
		}
	}
	return found
}

// titled names a statement for the table of findings: by its file, else by its SQLID and text.
func titled(r *Row) string {
	name, text := split(r.Name, r.SQL)
	if name != "" || r.SQLID == "" {
		return cmp.Or(name, cut(text))
	}
	return strings.TrimSpace(r.SQLID + " " + cut(text))
}

// weighed gives a finding its severity, unless it has one.
func (f *finder) weighed(one Finding) Finding {
	if one.Severity != "" {
		return one
	}
	one.Severity = Low
	switch part := share(one.AtStake, f.base); {
	case part >= 0.25:
		one.Severity = High
	case part >= 0.05:
		one.Severity = Medium
	}
	return one
}

// parts says where a statement's time went, by its two largest parts. It is empty where a source does not tell.
func (c Counters) parts() string {
	type part struct {
		name string
		time Micros
	}
	all := []part{{"CPU", c.CPU}, {"User I/O", c.UserIO}, {"Concurrency", c.Concurrency}, {"Application", c.Application}, {"Cluster", c.Cluster}}
	if c.CPU+c.UserIO+c.Concurrency+c.Application+c.Cluster <= 0 || c.Elapsed <= 0 {
		return ""
	}
	all = append(all, part{"other waits", c.Other()})
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(b.time, a.time) })
	var told []string
	for _, x := range all[:2] {
		if s := share(x.time, c.Elapsed); s >= 0.1 {
			told = append(told, fmt.Sprintf("%s %s", percent(min(1, s)), x.name))
		}
	}
	return strings.Join(told, ", ")
}
