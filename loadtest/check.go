package loadtest

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// A Check holds one metric, of all requests or of one step, between bounds.
type Check struct {
	Metric string        `json:"metric"`
	Step   string        `json:"step,omitempty"` // "" is all steps
	Low    *Bound        `json:"low,omitempty"`
	High   *Bound        `json:"high,omitempty"`
	Why    string        `json:"why"`                 // the reason for the bound; a check without one is refused
	Window time.Duration `json:"window_ns,omitempty"` // 0 judges the whole run, else every window of this length must hold
	After  time.Duration `json:"after_ns,omitempty"`  // with Window: windows are judged from here on, after the warm-up
	Abort  bool          `json:"abort,omitempty"`     // stop the run when a window breaks the bound
}

// A Bound is in the unit of its metric: milliseconds, percent, requests per second, or a count.
type Bound struct {
	Value     float64 `json:"value"`
	Inclusive bool    `json:"inclusive,omitempty"`
}

// unit is what a metric is measured in.
type unit int

const (
	unitTime unit = iota
	unitPercent
	unitRate
	unitCount
	unitMemory // MiB
	unitGrowth // MiB per minute
)

// A metric is one number of the figures. least is how many timed requests it takes to mean anything: a p99 of 50
// requests is their maximum.
type metric struct {
	unit      unit
	least     int64
	of        func(*Figures) float64
	timed     func(*Figures) *Latency // of what distribution it is; nil when it is of none
	ofStreams bool                    // needs a step that is a stream
	// server, unless nil, takes the metric from what the server said, and route from the route that a step asks; the text
	// says why there is none. A metric of the server without route is of all steps.
	server func(*stretch) (float64, string)
	route  func(*stretch, *Step) (float64, string)
	result func(*Result) (float64, string) // unless nil, takes the metric from the whole result
	// unscaled says that the clock is not the run's, so that bounds stay where they are when the run is scaled.
	unscaled bool
}

// metrics are all that a check may name.
var metrics = makeMetrics()

func makeMetrics() map[string]metric {
	all := serverMetrics()
	maps.Copy(all, faultMetrics())
	maps.Copy(all, alertMetrics())
	all["p95_drift"] = metric{unit: unitPercent, result: drift}
	maps.Copy(all, map[string]metric{
		"error_rate":   {unit: unitPercent, of: func(f *Figures) float64 { return f.ErrorRate }},
		"failed_rate":  {unit: unitPercent, of: func(f *Figures) float64 { return f.FailedRate }},
		"refused_rate": {unit: unitPercent, of: func(f *Figures) float64 { return f.RefusedRate }},
		"rate":         {unit: unitRate, of: func(f *Figures) float64 { return f.Rate }},
		"goodput":      {unit: unitRate, of: func(f *Figures) float64 { return f.Goodput }},
		"completed":    {unit: unitCount, of: func(f *Figures) float64 { return float64(f.Completed) }},
		"ok":           {unit: unitCount, of: func(f *Figures) float64 { return float64(f.OK) }},
	})
	for name, l := range map[string]struct {
		quantile float64
		of       func(*Latency) float64
	}{
		"mean": {0, func(l *Latency) float64 { return l.MeanMS }},
		"p50":  {0.5, func(l *Latency) float64 { return l.P50MS }},
		"p90":  {0.9, func(l *Latency) float64 { return l.P90MS }},
		"p95":  {0.95, func(l *Latency) float64 { return l.P95MS }},
		"p99":  {0.99, func(l *Latency) float64 { return l.P99MS }},
		"p999": {0.999, func(l *Latency) float64 { return l.P999MS }},
		"max":  {0, func(l *Latency) float64 { return l.MaxMS }},
	} {
		least := int64(math.Round(1 / (1 - l.quantile)))
		of := func(timed func(*Figures) *Latency) metric {
			return metric{timed: timed, least: least, of: func(f *Figures) float64 { return l.of(timed(f)) }}
		}
		all[name] = of(func(f *Figures) *Latency { return &f.Response })
		all["service_"+name] = of(func(f *Figures) *Latency { return &f.Service })
		if name != "p50" && name != "p95" && name != "p99" {
			continue
		}
		for prefix, timed := range streamTimes {
			m := of(timed)
			m.ofStreams = true
			all[prefix+name] = m
		}
	}
	return all
}

// streamTimes are the distributions of streams, by the beginning of the names of their metrics.
var streamTimes = map[string]func(*Figures) *Latency{
	"first_byte_": func(f *Figures) *Latency { return f.FirstByte },
	"first_line_": func(f *Figures) *Latency { return f.FirstLine },
	"complete_":   func(f *Figures) *Latency { return f.Complete },
}

// Metrics lists the names that a check may use.
func Metrics() []string {
	var names []string
	for name := range metrics {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// units are the units in which a bound of the metric may be written, and what one of each is in the metric's own.
func (m metric) units() map[string]float64 {
	switch m.unit {
	case unitTime:
		return map[string]float64{"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}
	case unitPercent:
		return map[string]float64{"%": 1}
	case unitRate:
		return map[string]float64{"/s": 1, "/min": 1.0 / 60}
	case unitMemory:
		return map[string]float64{"KiB": 1.0 / 1024, "MiB": 1, "GiB": 1024}
	case unitGrowth:
		return map[string]float64{"MiB/min": 1, "KiB/min": 1.0 / 1024}
	case unitCount:
	}
	return map[string]float64{"": 1}
}

// format writes a value of the metric with its unit.
func (m metric) format(v float64) string {
	switch m.unit {
	case unitTime:
		return formatMS(v)
	case unitPercent:
		return formatNumber(v) + "%"
	case unitRate:
		return formatNumber(v) + "/s"
	case unitMemory:
		if v >= 1024 {
			return formatNumber(v/1024) + "GiB"
		}
		return formatNumber(v) + "MiB"
	case unitGrowth:
		return formatNumber(v) + "MiB/min"
	case unitCount:
	}
	return formatNumber(v)
}

// measured takes the metric from f; the reason is not empty when there is too little to judge.
func (m metric) measured(f *Figures) (v float64, reason string) {
	if f.Completed == 0 && m.unit != unitCount && m.unit != unitRate {
		return 0, "no request was completed"
	}
	if m.timed != nil {
		switch l := m.timed(f); {
		case l == nil:
			return 0, "no stream was completed"
		case l.Count < m.least:
			return 0, fmt.Sprintf("needs %d timed answers, there were %d", m.least, l.Count)
		}
	}
	return m.of(f), ""
}

// allRequests names a check that is of no step alone.
const allRequests = "all requests"

// name is what the check is called in reports.
func (c Check) name() string {
	name := allRequests
	if m := metrics[c.Metric]; m.server != nil || strings.HasPrefix(c.Metric, "fault.") {
		name = "the server"
	}
	if c.Step != "" {
		name = c.Step
	}
	if c.Window > 0 {
		name += fmt.Sprintf(", each %v", c.Window)
	}
	if c.After > 0 {
		name += fmt.Sprintf(" after %v", c.After)
	}
	return name
}

// bound writes the bounds as "< 8s" or "≥ 20%, ≤ 30%".
func (c Check) bound() string {
	var all []string
	m := metrics[c.Metric]
	if c.Low != nil {
		all = append(all, map[bool]string{true: "≥ ", false: "> "}[c.Low.Inclusive]+m.format(c.Low.Value))
	}
	if c.High != nil {
		all = append(all, map[bool]string{true: "≤ ", false: "< "}[c.High.Inclusive]+m.format(c.High.Value))
	}
	return strings.Join(all, ", ")
}

// holds tells whether v is within the bounds.
func (c Check) holds(v float64) bool {
	if c.Low != nil && (v < c.Low.Value || v == c.Low.Value && !c.Low.Inclusive) {
		return false
	}
	return c.High == nil || v < c.High.Value || v == c.High.Value && c.High.Inclusive
}

// beyond is how far v is from the nearest bound, as a share of the bound; it orders windows by how bad they are.
func (c Check) beyond(v float64) float64 {
	worst := math.Inf(-1)
	if c.Low != nil {
		worst = (c.Low.Value - v) / math.Max(math.Abs(c.Low.Value), 1e-9)
	}
	if c.High != nil {
		worst = math.Max(worst, (v-c.High.Value)/math.Max(math.Abs(c.High.Value), 1e-9))
	}
	return worst
}

// judge compares what f says with the bounds.
func (c Check) judge(f *Figures) reports.Check { return c.conclude(metrics[c.Metric].measured(f)) }

// conclude compares v with the bounds; unless reason is empty there is nothing to compare.
func (c Check) conclude(v float64, reason string) reports.Check {
	m := metrics[c.Metric]
	out := reports.Check{Name: c.name(), Metric: c.Metric, Bound: c.bound(), Why: c.Why}
	if reason != "" {
		out.Reason = reason
		return out
	}
	out.Measured, out.Verdict = m.format(v), reports.Pass
	if !c.holds(v) {
		out.Verdict = reports.Fail
		out.Reason = fmt.Sprintf("%s is %s, must be %s", c.Metric, m.format(v), c.bound())
	}
	return out
}

// scaled moves bounds on times and rates with the clock of a scaled run.
func (c Check) scaled(f float64) Check {
	factor := 1.0
	switch m := metrics[c.Metric]; m.unit {
	case unitTime:
		if !m.unscaled {
			factor = f
		}
	case unitRate, unitGrowth:
		factor = 1 / f
	case unitPercent, unitCount, unitMemory:
	}
	for _, b := range []**Bound{&c.Low, &c.High} {
		if *b != nil {
			*b = &Bound{Value: (*b).Value * factor, Inclusive: (*b).Inclusive}
		}
	}
	c.Window, c.After = scale(c.Window, f), scale(c.After, f)
	return c
}

// formatMS writes a time given in milliseconds: 0.42ms, 12.3ms, 1.23s.
func formatMS(ms float64) string {
	switch {
	case math.IsInf(ms, 1):
		return "never"
	case ms >= 1000:
		return trimZeros(strconv.FormatFloat(ms/1000, 'f', 2, 64)) + "s"
	case ms >= 10:
		return trimZeros(strconv.FormatFloat(ms, 'f', 1, 64)) + "ms"
	}
	return trimZeros(strconv.FormatFloat(ms, 'f', 2, 64)) + "ms"
}

// formatNumber writes at most two digits behind the point.
func formatNumber(v float64) string { return trimZeros(strconv.FormatFloat(v, 'f', 2, 64)) }

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
