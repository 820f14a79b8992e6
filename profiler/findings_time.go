package profiler

import (
	"fmt"
)

const (
	slowAvg       = 1.0  // seconds; the plan's SLOW_QUERY_THRESHOLD
	dominantShare = 0.5  // of all time
	failingShare  = 0.01 // of executions
	failingMuch   = 0.1  // likewise: severe whatever time it took
	failingLeast  = 5    // errors
	ioShare       = 0.5  // of a statement's time
	slowRead      = 10e3 // microseconds per block: what a spinning disk takes
)

// dominant holds a statement against the time that the database measured itself, where it did: against all statements of the
// report a statement alone would always be all.
func (f *finder) dominant(r *Row) (Finding, bool) {
	all, whole := f.Total.Elapsed, fmt.Sprintf("of the time of all %d statements", f.Active-f.Blocks)
	part := r.Share
	if t := f.Time; t != nil && t.DBTime > 0 {
		all, whole, part = t.DBTime, "of DB time", share(r.Elapsed, t.DBTime)
	} else if f.Active-f.Blocks < 2 {
		return Finding{}, false
	}
	if part <= dominantShare || all < worthwhile {
		return Finding{}, false
	}
	one := Finding{
		Kind: Dominant, AtStake: r.Elapsed,
		Evidence: fmt.Sprintf("%.0f %% %s: %.2f s of %.2f s, in %s", 100*part, whole, r.Elapsed.Seconds(), all.Seconds(), plural(r.Executions, "execution")),
		Advice:   fmt.Sprintf("Begin here: all others together are %.0f %%.", 100*max(0, 1-part)),
	}
	if where := r.parts(); where != "" {
		one.Evidence += "; " + where
	}
	if part > 1 {
		one.Evidence += "; more than all, because the time of parallel servers is added, and that of executions which began before the window"
		one.Advice = "Begin here."
	}
	return one, true
}

func (f *finder) slow(r *Row) (Finding, bool) {
	avg, ok := r.Avg()
	if !ok || avg <= slowAvg {
		return Finding{}, false
	}
	one := Finding{Kind: Slow, AtStake: r.Elapsed, Evidence: fmt.Sprintf("%.2f s on average over %s", avg, plural(r.Executions, "execution"))}
	if r.Max > 0 {
		one.Evidence += fmt.Sprintf(", the longest %.2f s", r.Max.Seconds())
	}
	if where := r.parts(); where != "" {
		one.Evidence += "; " + where
	}
	if rows, _ := r.RowsPer(); rows >= 1000 {
		one.Evidence += fmt.Sprintf(", %.0f rows each", rows)
		one.Advice = "Ask for smaller pages, and read its plan."
		return one, true
	}
	how := "EXPLAIN QUERY PLAN, DBMS_XPLAN"
	if r.SQLID != "" {
		how = displayPlan(r)
	}
	one.Advice = fmt.Sprintf("Read its plan (%s): a full scan wants an index; a good plan that is slow waits, for a lock or for the disk.", how)
	return one, true
}

// displayPlan is the query that shows the plans of a statement.
func displayPlan(r *Row) string {
	return fmt.Sprintf("SELECT * FROM TABLE(DBMS_XPLAN.DISPLAY_CURSOR(%s, NULL, 'ALL'))", quoted(r.SQLID))
}

func failing(r *Row) (Finding, bool) {
	if r.Errors < failingLeast || float64(r.Errors) < failingShare*float64(r.Executions) {
		return Finding{}, false
	}
	one := Finding{
		Kind: Failing, Severity: Medium, AtStake: r.Elapsed,
		Evidence: fmt.Sprintf("%d errors", r.Errors), Advice: "Look for this statement in the server's log.",
	}
	if r.Executions >= r.Errors {
		one.Evidence = fmt.Sprintf("%d of %d executions failed (%.1f %%)", r.Errors, r.Executions, 100*float64(r.Errors)/float64(r.Executions))
	}
	if float64(r.Errors) >= failingMuch*float64(r.Executions) {
		one.Severity = High
	}
	return one, true
}

func (f *finder) endless(r *Row) (Finding, bool) {
	if !r.is(Running) || r.Elapsed < worthwhile || r.Elapsed < f.WindowUS/2 {
		return Finding{}, false
	}
	one := Finding{
		Kind: Endless, AtStake: r.Elapsed,
		Evidence: fmt.Sprintf("%.2f s passed in it and no execution ended", r.Elapsed.Seconds()),
		Advice:   "See what it waits for, a lock before all; end it when nobody needs its answer.",
	}
	if where := r.parts(); where != "" {
		one.Evidence += "; " + where
	}
	return one, true
}

// waiting is what only a tomehub tells: the time before its statements.
func (f *finder) waiting() (Finding, bool) {
	t := f.Total
	each, ok := t.WaitPer()
	if !ok || t.AcquireWait < worthwhile || t.AcquireWait <= t.Elapsed {
		return Finding{}, false
	}
	return Finding{
		Kind: Waiting, AtStake: t.AcquireWait,
		Evidence: fmt.Sprintf("statements waited %.2f s for connections and ran %.2f s: %.2f s before each execution",
			t.AcquireWait.Seconds(), t.Elapsed.Seconds(), each),
		Advice: "The pool is the bound: raise DB_POOL_READ_SIZE or DB_POOL_WRITE_SIZE (DB_POOL_SIZE in the phases baseline, A and B), or make the statements of this report shorter.",
	}, true
}

func ioBound(r *Row) (Finding, bool) {
	if r.UserIO < worthwhile || share(r.UserIO, r.Elapsed) < ioShare {
		return Finding{}, false
	}
	one := Finding{
		Kind: IOBound, AtStake: r.UserIO,
		Evidence: fmt.Sprintf("%s of its %.2f s waited for the disk", percent(min(1, share(r.UserIO, r.Elapsed))), r.Elapsed.Seconds()),
		Advice:   "Read fewer blocks (an index that holds what it asks for), or give the buffer cache room for them (DB_CACHE_SIZE).",
	}
	if r.Reads > 0 {
		block := float64(r.UserIO) / float64(r.Reads)
		one.Evidence += fmt.Sprintf(": %d blocks read, %.2f ms each", r.Reads, block/1e3)
		if per, ok := r.Per(float64(r.Reads)); ok {
			one.Evidence += fmt.Sprintf(", %s for an execution", each(per))
		}
		if block >= slowRead {
			one.Advice = "The disk is slow: a block takes longer than a spinning disk needs. " + one.Advice
		}
	}
	return one, true
}
