package profiler

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// The kinds of findings, as they stand in JSON.
const (
	Dominant = "dominant"   // one statement takes more than half of the time
	Slow     = "slow"       // more than a second per execution
	NPlusOne = "n_plus_one" // a statement per row of another statement
	Waiting  = "waiting"    // more time waiting for connections than running
	Failing  = "failing"    // executions end in errors
	Endless  = "endless"    // one execution outlasts most of the window
)

// A Finding is something worth doing, with the numbers of this window that say so.
type Finding struct {
	Kind      string `json:"kind"`
	Statement string `json:"statement,omitempty"` // empty when it concerns all
	Evidence  string `json:"evidence"`
	Advice    string `json:"advice"`
}

// What counts as evidence. Below these a number is noise, and noise is not a finding.
const (
	slowAvg       = 1.0         // seconds; the plan's SLOW_QUERY_THRESHOLD
	dominantShare = 0.5         // of the time of all statements
	worthwhile    = Micros(1e6) // a second of time in all, below which nobody notices
	lookupRate    = 10.0        // executions per second
	lookupRows    = 1.5         // most rows per execution of a lookup
	lookupLeast   = 100         // executions
	perParent     = 3.0         // lookups for each execution of the statement that listed the rows
	lookupsPerRow = 5.0         // most lookups per row listed, and most rows per lookup: a client opens one of five matches
	failingShare  = 0.01        // of executions
	failingLeast  = 5           // errors
	findingsBound = 5           // of one kind
	listsBound    = 1000        // statements that list rows
)

var readStatement = regexp.MustCompile(`^(?is:\s|/\*.*?\*/|--[^\n]*\n)*(?i:SELECT|WITH)\b`)

// find returns the findings: what concerns all statements first, then kind by kind, the one with most time first.
func (p *Profile) find() []Finding {
	rows := make([]*Row, len(p.active))
	for i := range p.active {
		rows[i] = &p.active[i]
	}
	slices.SortStableFunc(rows, func(a, b *Row) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	lists := lists(rows)
	lookup := func(r *Row) (Finding, bool) { return p.nPlusOne(r, lists) }
	found := []Finding{}
	if f, ok := p.waiting(); ok {
		found = append(found, f)
	}
	for _, kind := range []func(*Row) (Finding, bool){p.dominant, slow, lookup, failing, p.endless} {
		n := 0
		for _, r := range rows {
			if f, ok := kind(r); ok {
				f.Statement = label(r.Name, r.SQL)
				found = append(found, f)
				if n++; n == findingsBound {
					break
				}
			}
		}
	}
	return found
}

func (p *Profile) dominant(r *Row) (Finding, bool) {
	if r.Share <= dominantShare || p.Active < 2 || p.Total.Elapsed < worthwhile {
		return Finding{}, false
	}
	return Finding{
		Kind: Dominant,
		Evidence: fmt.Sprintf("%.0f %% of the time of all %d statements: %.2f s of %.2f s, in %d executions",
			100*r.Share, p.Active, r.Elapsed.Seconds(), p.Total.Elapsed.Seconds(), r.Executions),
		Advice: fmt.Sprintf("Begin here: all others together are %.0f %%.", 100*(1-r.Share)),
	}, true
}

func slow(r *Row) (Finding, bool) {
	avg, ok := r.Avg()
	if !ok || avg <= slowAvg {
		return Finding{}, false
	}
	f := Finding{Kind: Slow, Evidence: fmt.Sprintf("%.2f s on average over %s", avg, plural(r.Executions, "execution"))}
	if r.Max > 0 {
		f.Evidence += fmt.Sprintf(", the longest %.2f s", r.Max.Seconds())
	}
	if rows, _ := r.RowsPer(); rows >= 1000 {
		f.Evidence += fmt.Sprintf(", %.0f rows each", rows)
		f.Advice = "Ask for smaller pages, and read its plan."
		return f, true
	}
	f.Advice = "Read its plan (EXPLAIN QUERY PLAN, DBMS_XPLAN): a full scan wants an index; a good plan that is slow waits, for a lock or for the disk."
	return f, true
}

// lists returns the reads that return several rows at a time, most rows first, at most listsBound of them.
func lists(rows []*Row) []*Row {
	var found []*Row
	for _, r := range rows {
		if each, ok := r.RowsPer(); ok && each >= perParent && readStatement.MatchString(r.SQL) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b *Row) int { return cmp.Compare(b.Rows, a.Rows) })
	return found[:min(len(found), listsBound)]
}

// nPlusOne finds a statement that reads one row at a time, for the rows that another statement has just listed. Running often
// with one row each is not enough: a count does that too. Its executions must be about as many as the other's rows.
func (p *Profile) nPlusOne(r *Row, lists []*Row) (Finding, bool) {
	rows, ok := r.RowsPer()
	rate := p.rate(r.Executions)
	if !ok || rows > lookupRows || r.Executions < lookupLeast || rate < lookupRate || !readStatement.MatchString(r.SQL) {
		return Finding{}, false
	}
	var parent *Row
	nearest := lookupsPerRow
	for _, other := range lists {
		off := float64(r.Executions) / float64(other.Rows)
		if off < 1 {
			off = 1 / off
		}
		if off <= nearest && float64(r.Executions) >= perParent*float64(other.Executions) && (parent == nil || off < nearest) {
			parent, nearest = other, off
		}
	}
	if parent == nil {
		return Finding{}, false
	}
	return Finding{
		Kind: NPlusOne,
		Evidence: fmt.Sprintf("%d executions (%.1f/s) with %.1f rows each, %.1f for every execution of %s, which returned %d rows",
			r.Executions, rate, rows, float64(r.Executions)/float64(parent.Executions), label(parent.Name, parent.SQL), parent.Rows),
		Advice: "Read the rows at once: --phase B and later take details with the search, and POST /api/content/batch takes 1000 ids.",
	}, true
}

func failing(r *Row) (Finding, bool) {
	if r.Errors < failingLeast || float64(r.Errors) < failingShare*float64(r.Executions) {
		return Finding{}, false
	}
	f := Finding{Kind: Failing, Evidence: fmt.Sprintf("%d errors", r.Errors), Advice: "Look for this statement in the server's log."}
	if r.Executions >= r.Errors {
		f.Evidence = fmt.Sprintf("%d of %d executions failed (%.1f %%)", r.Errors, r.Executions, 100*float64(r.Errors)/float64(r.Executions))
	}
	return f, true
}

func (p *Profile) endless(r *Row) (Finding, bool) {
	if !slices.Contains(r.States, Running) || r.Elapsed < worthwhile || r.Elapsed < p.WindowUS/2 {
		return Finding{}, false
	}
	return Finding{
		Kind:     Endless,
		Evidence: fmt.Sprintf("%.2f s passed in it and no execution ended", r.Elapsed.Seconds()),
		Advice:   "See what it waits for, a lock before all; end it when nobody needs its answer.",
	}, true
}

func (p *Profile) waiting() (Finding, bool) {
	t := p.Total
	each, ok := t.WaitPer()
	if !ok || t.AcquireWait < worthwhile || t.AcquireWait <= t.Elapsed {
		return Finding{}, false
	}
	return Finding{
		Kind: Waiting,
		Evidence: fmt.Sprintf("statements waited %.2f s for connections and ran %.2f s: %.2f s before each execution",
			t.AcquireWait.Seconds(), t.Elapsed.Seconds(), each),
		Advice: "The pool is the bound: raise DB_POOL_READ_SIZE or DB_POOL_WRITE_SIZE (DB_POOL_SIZE in the phases baseline, A and B), or make the statements above shorter.",
	}, true
}
