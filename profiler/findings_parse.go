package profiler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	parseShare      = 0.1 // of DB time
	hardLeast       = 20  // hard parses
	hardShare       = 0.2 // of the executions
	literalVariants = 20
	literalRepeats  = 3.0 // fewer executions per variant than this
	childrenLeast   = 100 // cursors of one statement; a search through them takes a mutex
)

// parsing holds the time of parsing against DB time.
func (f *finder) parsing() (Finding, bool) {
	t := f.Time
	if t == nil || t.DBTime <= 0 {
		return Finding{}, false
	}
	soft := max(0, t.Parse-t.HardParse)
	switch {
	case t.HardParse >= worthwhile && share(t.HardParse, t.DBTime) >= parseShare:
		one := Finding{
			Kind: Parsing, AtStake: t.HardParse,
			Evidence: fmt.Sprintf("hard parses took %.2f s, %s of DB time", t.HardParse.Seconds(), percent(share(t.HardParse, t.DBTime))),
			Advice:   "Bind variables instead of literals, so that statements are found parsed; a shared pool that is too small throws them out (SHARED_POOL_SIZE).",
		}
		if f.Total.Loads > 0 {
			one.Evidence += fmt.Sprintf(", in %d", f.Total.Loads)
		}
		return one, true
	case soft >= worthwhile && share(soft, t.DBTime) >= parseShare:
		return Finding{
			Kind: Parsing, AtStake: soft,
			Evidence: fmt.Sprintf("parsing what was parsed before took %.2f s, %s of DB time: %d calls for %d executions", soft.Seconds(), percent(share(soft, t.DBTime)),
				f.Total.Parses, f.Total.Executions),
			Advice: "Prepare once and execute often, or let the sessions keep their cursors (SESSION_CACHED_CURSORS).",
		}, true
	}
	return Finding{}, false
}

// literals finds one statement that comes as many.
func literals(r *Row) (Finding, bool) {
	if r.VariantCount < literalVariants || float64(r.Executions) >= literalRepeats*float64(r.VariantCount) {
		return Finding{}, false
	}
	return Finding{
		Kind: Literals, AtStake: r.Elapsed,
		Evidence: fmt.Sprintf("%d statements that differ in their literals alone, for %s: parsed hard %s", r.VariantCount, plural(r.Executions, "execution"), times(r.Loads)),
		Advice:   "Bind the values instead of writing them into the text. Until then CURSOR_SHARING=FORCE does it, for all statements of a session.",
	}, true
}

// hardParses finds a statement whose cursor does not stay. The time of it is estimated from all hard parses.
func (f *finder) hardParses(r *Row) (Finding, bool) {
	if _, ok := literals(r); ok || r.Loads < hardLeast || float64(r.Loads) < hardShare*float64(r.Executions) {
		return Finding{}, false
	}
	one := Finding{
		Kind:     HardParses,
		Evidence: fmt.Sprintf("parsed hard %s for %s", times(r.Loads), plural(r.Executions, "execution")),
		Advice:   "It does not stay in the shared pool: keep one cursor open for it, or make the pool larger (SHARED_POOL_SIZE).",
	}
	if t := f.Time; t != nil && f.Total.Loads > 0 {
		one.AtStake = Micros(float64(t.HardParse) * float64(r.Loads) / float64(f.Total.Loads))
	}
	if r.Invalid > 0 {
		one.Evidence += fmt.Sprintf(", made invalid %s", times(r.Invalid))
		one.Advice = "Its tables are changed or analysed while it runs: no DDL, TRUNCATE or gathering of statistics at busy times."
	}
	return one, true
}

// mismatches says what to do about the commonest reasons for a further child cursor.
var mismatches = map[string]string{
	"BIND_MISMATCH":           "Bind each variable with the same type and length every time.",
	"BIND_LENGTH_UPGRADEABLE": "Bind each variable with the same length every time.",
	"BIND_EQUIV_FAILURE":      "Adaptive cursor sharing looks for a plan per range of values: see whether they are needed.",
	"LANGUAGE_MISMATCH":       "Give all sessions the same NLS settings.",
	"OPTIMIZER_MISMATCH":      "Give all sessions the same optimizer parameters.",
	"ROLL_INVALID_MISMATCH":   "Statistics were gathered: gather them less often.",
	"USE_FEEDBACK_STATS":      "The optimizer corrects its guesses: gather statistics on its tables.",
	"AUTH_CHECK_MISMATCH":     "It is parsed by several users: use one schema.",
}

// children finds a statement with so many cursors that finding the right one costs.
func (f *finder) children(r *Row) (Finding, bool) {
	n := r.Versions
	if r.Detail != nil {
		n = max(n, int64(r.Detail.Children))
	}
	if n < childrenLeast {
		return Finding{}, false
	}
	one := Finding{
		Kind: Children, AtStake: r.Concurrency,
		Evidence: fmt.Sprintf("%d cursors of it stand in the shared pool; it was executed %s in the window", n, times(r.Executions)),
		Advice:   "See why they are not shared: v$sql_shared_cursor.",
	}
	if r.Concurrency > 0 {
		one.Evidence += fmt.Sprintf(", and waited %s s for latches and mutexes", total(r.Concurrency.Seconds()))
	}
	if r.Detail == nil || len(r.Detail.Mismatches) == 0 {
		return one, true
	}
	reasons := byCount(r.Detail.Mismatches)
	var told []string
	for _, name := range reasons[:min(len(reasons), 3)] {
		told = append(told, fmt.Sprintf("%s (%d)", name, r.Detail.Mismatches[name]))
	}
	one.Evidence += "; not shared for " + strings.Join(told, ", ")
	if i := slices.IndexFunc(reasons, func(name string) bool { return mismatches[name] != "" }); i >= 0 {
		one.Advice = cmp.Or(mismatches[reasons[i]], one.Advice)
	}
	return one, true
}
