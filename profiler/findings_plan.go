package profiler

import (
	"cmp"
	"fmt"
	"strings"
)

const (
	scanGets  = 500.0 // blocks per execution; a table of fewer is read whole sooner than by an index
	scanCost  = 10    // the optimizer's cost of a step below which its table is tiny
	scanRows  = 0.1   // most rows returned per block read
	flipWorse = 2.0   // times slower than the other plan
)

// steps are those of the plan that took most time, as far as they are known.
func (r *Row) steps() []PlanStep {
	if r.Detail == nil {
		return nil
	}
	for _, p := range r.Plans {
		if steps := r.Detail.Plans[p.Plan]; len(steps) > 0 {
			return steps
		}
	}
	return nil
}

// isScan tells a step that reads all of a table or an index. An end of an index (MIN/MAX) is not that.
func (s PlanStep) isScan() bool {
	if s.Cost > 0 && s.Cost < scanCost {
		return false
	}
	options := strings.ToUpper(s.Options)
	switch strings.ToUpper(s.Operation) {
	case "TABLE ACCESS", "MAT_VIEW ACCESS":
		return strings.Contains(options, "FULL")
	case "INDEX":
		return strings.Contains(options, "FULL SCAN") && !strings.Contains(options, "MIN/MAX")
	}
	return false
}

// fullScan finds statements that read many blocks for few rows and whose plan says why. Of several scans it takes the first
// that an index could replace.
func fullScan(r *Row) (Finding, bool) {
	gets, ok := r.Per(float64(r.Gets))
	if !ok || gets < scanGets || r.Elapsed < worthwhile || float64(r.Rows) > scanRows*float64(r.Gets) {
		return Finding{}, false
	}
	steps := r.steps()
	at, test := -1, predicate{}
	for i := range steps {
		if !steps[i].isScan() {
			continue
		}
		t := parsePredicate(steps[i].Filter)
		if at < 0 || len(test.columns()) == 0 && len(t.columns())+len(t.converted) > 0 {
			at, test = i, t
		}
	}
	if at < 0 {
		return Finding{}, false
	}
	s := steps[at]
	rows, _ := r.RowsPer()
	one := Finding{
		Kind: FullScan, AtStake: r.Elapsed,
		Evidence: fmt.Sprintf("%s %s of %s: %s blocks read from memory for %s rows, in each of %s", s.Operation, s.Options, cmp.Or(s.Object, "?"), each(gets), each(rows),
			plural(r.Executions, "execution")),
		Advice: scanAdvice(steps, at, test),
	}
	if s.Filter != "" {
		one.Evidence += "; filter " + cut(strings.Join(strings.Fields(s.Filter), " "))
	}
	return one, true
}

func scanAdvice(steps []PlanStep, at int, test predicate) string {
	columns := test.columns()
	table := steps[at].Object
	if strings.EqualFold(steps[at].Operation, "INDEX") {
		table = tableAbove(steps, at)
	}
	switch {
	case len(columns) > 0 && table != "":
		return "Candidate: " + createIndex(table, columns) + ". Make it INVISIBLE first and look whether the plan takes it (OPTIMIZER_USE_INVISIBLE_INDEXES); every index makes writes dearer."
	case len(columns) > 0:
		return fmt.Sprintf("Candidate: an index on the table of %s that begins with (%s).", steps[at].Object, strings.Join(columns, ", "))
	case len(test.converted) > 0:
		return fmt.Sprintf("%s is converted before it is compared, so that no index on it is of use: bind a value of the column's own type.", strings.Join(test.converted, ", "))
	}
	return "Nothing is filtered there, so that no index helps: ask for less, less often, or keep the answer."
}

// tableAbove is the table that the rows of an index step are read from: of the step that calls it.
func tableAbove(steps []PlanStep, at int) string {
	for i := at - 1; i >= 0; i-- {
		if steps[i].Depth == steps[at].Depth-1 {
			if strings.HasPrefix(strings.ToUpper(steps[i].Operation), "TABLE ACCESS") {
				return steps[i].Object
			}
			return ""
		}
	}
	return ""
}

// planFlip finds a statement that has another plan and is slower with it. Where each plan has a row of its own, two plans
// ran in the window; else the time before is that of all executions until the window. What literals do to plans says nothing.
func planFlip(r *Row) (Finding, bool) {
	if r.VariantCount > 0 || r.Elapsed < worthwhile {
		return Finding{}, false
	}
	if r.Was != 0 && r.Before != nil {
		if one, ok := flipSince(r); ok {
			return one, true
		}
	}
	var slow, fast *PlanWork
	for i := range r.Plans {
		p := &r.Plans[i]
		avg, ok := p.Avg()
		if !ok || p.Plan == 0 {
			continue
		}
		if slow == nil || avg > mean(slow) {
			slow = p
		}
		if fast == nil || avg < mean(fast) {
			fast = p
		}
	}
	if slow == nil || slow.Plan == fast.Plan || mean(slow) < flipWorse*mean(fast) {
		return Finding{}, false
	}
	excess := Micros((mean(slow) - mean(fast)) * 1e6 * float64(slow.Executions))
	if excess < worthwhile {
		return Finding{}, false
	}
	return Finding{
		Kind: PlanFlip, AtStake: excess,
		Evidence: fmt.Sprintf("plan %d took %s s over %s, plan %d %s s over %s: %.1f times as long", slow.Plan, average(mean(slow)), plural(slow.Executions, "execution"),
			fast.Plan, average(mean(fast)), plural(fast.Executions, "execution"), mean(slow)/max(mean(fast), 1e-6)),
		Advice: holdPlan(r, fast.Plan),
	}, true
}

// flipSince holds the window against the time before it. A plan that is about as good as the one before is not told.
func flipSince(r *Row) (Finding, bool) {
	now, ok := r.Avg()
	before, known := r.Before.Avg()
	if !ok || known && now < flipWorse*before {
		return Finding{}, false
	}
	one := Finding{Kind: PlanFlip, AtStake: r.Elapsed, Advice: holdPlan(r, r.Was)}
	one.Evidence = fmt.Sprintf("plan %d in place of %d: %s s over %s", r.Plans[0].Plan, r.Was, average(now), plural(r.Executions, "execution"))
	if known {
		one.AtStake = Micros((now - before) * 1e6 * float64(r.Executions))
		one.Evidence += fmt.Sprintf(", and before the window %s s over %d", average(before), r.Before.Executions)
	}
	return one, one.AtStake >= worthwhile
}

func mean(p *PlanWork) float64 {
	avg, _ := p.Avg()
	return avg
}

func holdPlan(r *Row, plan uint64) string {
	return fmt.Sprintf("Compare both (%s): new statistics or other values at the first parse change plans. To hold the better one: DBMS_SPM.LOAD_PLANS_FROM_CURSOR_CACHE(sql_id => %s, plan_hash_value => %d).",
		displayPlan(r), quoted(r.SQLID), plan)
}
