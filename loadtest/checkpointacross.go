package loadtest

import (
	"fmt"

	"github.com/tomehub/tomehub/reports"
)

// An acrossRule holds a figure of one checkpoint against the same figure before the plan, as percent of it.
type acrossRule struct {
	of, metric string
	low, high  float64 // percent of the figure before; low 0 is no bound
	why        string
	figure     func(*Checkpoint) (float64, string) // unscaled; the text says why there is none
}

// acrossRules are what the plan promises in comparison to what was before.
var acrossRules = []acrossRule{
	{
		of: "checkpoint-a", metric: "p95", low: 30, high: 65,
		why:    "Twice the connections halve the wait: the plan's p95 goes from 8-12 s to 5-7 s at the same 100 users, \"~50% better\". Beneath 30 % the users would no longer keep the pool busy, and it would be another load.",
		figure: func(c *Checkpoint) (float64, string) { return unscaledP95(c) },
	},
	{
		of: "checkpoint-b", metric: "server.statements_per_request", high: 40,
		why:    "Success criteria, phase B: DB queries -60%. Both counted by the server.",
		figure: statementsPerRequest,
	},
}

func unscaledP95(c *Checkpoint) (float64, string) {
	v, reason := metrics["p95"].measured(&c.Result.Total)
	return v / c.TimeScale, reason
}

func statementsPerRequest(c *Checkpoint) (float64, string) {
	switch s := c.Result.Server; {
	case s == nil:
		return 0, c.Result.NoServer
	case s.Statements == nil || s.Statements.Requests == 0:
		return 0, "the server did not tell its statements"
	default:
		return s.Statements.PerRequest, ""
	}
}

// judge compares. before is nil when it did not run.
func (a acrossRule) judge(c, before *Checkpoint) reports.Check {
	check := Check{Metric: a.metric, Why: a.why, High: &Bound{Value: a.high, Inclusive: true}}
	bound := "≤ " + formatNumber(a.high) + "% of before"
	if a.low > 0 {
		check.Low = &Bound{Value: a.low, Inclusive: true}
		bound = "≥ " + formatNumber(a.low) + "%, " + bound
	}
	out := reports.Check{Name: a.of + " against before", Metric: a.metric, Bound: bound, Why: a.why}
	if before == nil {
		out.Reason = "checkpoint-before did not run"
		return out
	}
	for _, one := range []*Checkpoint{before, c} {
		if one.Result.Interrupted || len(one.Result.Generator.Problems) > 0 {
			out.Reason = one.Name + ": " + firstOf(one.Result.Reasons)
			return out
		}
	}
	now, reason := a.figure(c)
	then, reasonBefore := a.figure(before)
	switch {
	case reason != "":
		out.Reason = reason
		return out
	case reasonBefore != "" || then == 0:
		out.Reason = "before: " + reasonBefore
		return out
	}
	m := metrics[a.metric]
	share := 100 * now / then
	out.Measured = fmt.Sprintf("%s%% (%s, before %s)", formatNumber(share), m.format(now), m.format(then))
	out.Verdict = reports.Pass
	if !check.holds(share) {
		out.Verdict = reports.Fail
		out.Reason = fmt.Sprintf("%s is %s%% of what it was before, must be %s", a.metric, formatNumber(share), bound)
		for _, one := range []*Checkpoint{before, c} {
			if busy := one.Result.Generator.Busy; busy != "" {
				out.Verdict, out.Reason = reports.Inconclusive, out.Reason+"; "+busy
				break
			}
		}
	}
	return out
}

func firstOf(reasons []string) string {
	if len(reasons) == 0 {
		return "not to be trusted"
	}
	return reasons[0]
}
