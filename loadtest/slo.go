package loadtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// sloMetrics are what a capacity can be asked for: what is a share of requests, and a mean. Each is a sum over the
// windows of a step, so that windows tell how sure it is; a maximum is not.
var sloMetrics = []string{"p50", "p90", "p95", "p99", "p999", "mean", "error_rate", "failed_rate", "refused_rate"}

// quantiles are the shares of requests that may take longer than a bound on a percentile.
var quantiles = map[string]float64{"p50": 0.5, "p90": 0.1, "p95": 0.05, "p99": 0.01, "p999": 0.001}

// maxSLOs bounds how many there may be at a time.
const maxSLOs = 8

// ParseSLO reads a service level objective such as "p95<=2s" or "error_rate<=1%". It holds all requests of a step
// together, from when each was due.
func ParseSLO(text string) (Check, error) {
	fault := func(format string, args ...any) (Check, error) {
		return Check{}, fmt.Errorf("service level objective %q: "+format, append([]any{text}, args...)...)
	}
	name, bound, found := strings.Cut(strings.ReplaceAll(text, "≤", "<="), "<")
	if !found {
		return fault("want a metric, <= and a bound, such as p95<=2s or error_rate<=1%%")
	}
	name = strings.TrimSpace(name)
	if !slices.Contains(sloMetrics, name) {
		return fault("%q is none of %s", name, strings.Join(sloMetrics, ", "))
	}
	m := metrics[name]
	bound, inclusive := strings.CutPrefix(bound, "=")
	v, ok := parseQuantity(strings.TrimSpace(bound), m.units())
	switch {
	case !ok:
		return fault("the bound must be a number%s", unitHint(m.units()))
	case m.unit == unitPercent && (v < 0 || v >= 100):
		return fault("the bound must be from 0%% to below 100%%")
	case m.unit == unitTime && (v <= 0 || v > milliseconds(maxTimeout)):
		return fault("the bound must be above 0 and at most %v", maxTimeout)
	}
	return Check{Metric: name, High: &Bound{Value: v, Inclusive: inclusive}}, nil
}

// SLOs are the objectives that a search for capacity takes from the scenario when none are given: the upper bounds that
// its checks put on all requests of the whole run.
func (s *Scenario) SLOs() []Check {
	var all []Check
	for _, c := range s.Checks {
		if slices.Contains(sloMetrics, c.Metric) && c.Step == "" && c.Window == 0 && c.High != nil {
			all = append(all, Check{Metric: c.Metric, High: c.High})
		}
	}
	return all
}

// impliedErrors is the bound on errors where no objective names one. Percentiles leave out refusals, so without such a
// bound a server that refuses everybody would carry any number of users.
const impliedErrors = 1.0 // percent

// checkSLOs completes the objectives and finds faults.
func checkSLOs(slos []Check) ([]Check, error) {
	if len(slos) == 0 {
		return nil, errors.New("no service level objective: the scenario has no upper bound on all requests to take one from; give --slo 'p95<=2s'")
	}
	slos = slices.Clone(slos)
	if !slices.ContainsFunc(slos, func(c Check) bool { return c.Metric == "error_rate" }) {
		slos = append(slos, Check{Metric: "error_rate", High: &Bound{Value: impliedErrors, Inclusive: true}})
	}
	if len(slos) > maxSLOs {
		return nil, fmt.Errorf("%d service level objectives, at most %d can be held at a time", len(slos), maxSLOs)
	}
	for _, c := range slos {
		if !slices.Contains(sloMetrics, c.Metric) || c.High == nil || c.Low != nil || c.Step != "" || c.Window != 0 {
			return nil, fmt.Errorf("the objective on %q must be an upper bound on all requests, of one of %s", c.Metric, strings.Join(sloMetrics, ", "))
		}
	}
	return slos, nil
}

// sloText is "p95 ≤ 2s".
func sloText(c Check) string { return c.Metric + " " + c.bound() }

func sloTexts(slos []Check) string {
	var all []string
	for _, c := range slos {
		all = append(all, sloText(c))
	}
	return strings.Join(all, " and ")
}
