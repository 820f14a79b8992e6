package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// A Part is the result of one generator, and where it was found.
type Part struct {
	Name   string // of the file, for reports and errors
	Result *Result
}

// MergedFrom is what the report of several generators says of one of them. Times are in milliseconds.
type MergedFrom struct {
	Name       string          `json:"name"`
	Worker     string          `json:"worker,omitempty"`
	Target     string          `json:"target"`
	StartedAt  time.Time       `json:"started_at"`
	MeasuredS  float64         `json:"measured_s"`
	Completed  int64           `json:"completed"`
	Rate       float64         `json:"rate_per_s"`
	ErrorRate  float64         `json:"error_rate"`
	P95MS      float64         `json:"p95_ms"`
	SendLagMS  float64         `json:"send_lag_p99_ms"`
	CPUPercent float64         `json:"cpu_percent"` // of the CPUs of its machine
	CPUs       int             `json:"cpus"`
	Verdict    reports.Verdict `json:"verdict"`
	Judged     bool            `json:"judged"`
}

// maxParts bounds how many results are merged.
const maxParts = MaxWorkers

// leastTogether is the share of the measured time in which all generators must have measured for their load to count as
// one. It is that of the arrivals that must be sent in time.
const leastTogether = leastReached

// Merge makes one result of those of several generators that ran the same scenario at the same time. Counts are added,
// and percentiles are of all requests together, from the histograms. The checks are judged anew on the whole, as far as
// the results have what they need; for the others the reason stands in the check.
//
// It returns an error when the parts do not belong together: different scenarios, seeds, times, a worker that is there
// twice, or generators that never ran at once. A missing worker and times that hardly overlap cost a pass, because the
// load was less than the scenario's.
func Merge(parts []Part) (*Result, error) {
	parts = slices.Clone(parts)
	if err := belong(parts); err != nil {
		return nil, fmt.Errorf("merge results: %w", err)
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(numberOf(a.Result), numberOf(b.Result)) })
	m := &merger{parts: parts, out: head(parts)}
	m.times()
	if err := m.figures(); err != nil {
		return nil, fmt.Errorf("merge results: %w", err)
	}
	if err := m.windows(); err != nil {
		return nil, fmt.Errorf("merge results: %w", err)
	}
	m.generator()
	m.server()
	m.judge()
	m.doubts()
	m.out.settle(nil)
	return m.out, nil
}

// A merger puts the parts together in out.
type merger struct {
	parts    []Part // by their workers
	out      *Result
	together float64  // share of the measured time in which all parts measured
	doubted  []string // why the load may have been less than the scenario's
}

// numberOf is the place of the result's worker; 0 for a generator that ran all of the scenario.
func numberOf(r *Result) int {
	w, err := ParseWorker(r.Worker)
	if err != nil {
		return 0
	}
	return w.Number
}

// head is what all parts have in common, and who they are.
func head(parts []Part) *Result {
	first := parts[0].Result
	out := &Result{
		SchemaVersion: ResultVersion, Scenario: first.Scenario, Digest: first.Digest, Title: first.Title, Description: first.Description,
		Model: first.Model, Load: first.Load, WarmUpS: first.WarmUpS, DurationS: first.DurationS, TimeScale: first.TimeScale, Seed: first.Seed,
		Judged: len(first.Criteria) > 0, Criteria: first.Criteria, Environment: first.Environment,
		Errors: []ErrorFigures{}, Checks: []reports.Check{}, Windows: []Window{},
	}
	if first.Worker == "" {
		out.Load = fmt.Sprintf("%d generators of %s each", len(parts), first.Load)
	}
	var targets []string
	for _, p := range parts {
		r := p.Result
		targets = append(targets, r.Target)
		out.WarmUp, out.Canceled = out.WarmUp+r.WarmUp, out.Canceled+r.Canceled
		out.Merged = append(out.Merged, MergedFrom{
			Name: p.Name, Worker: r.Worker, Target: r.Target, StartedAt: r.StartedAt, MeasuredS: r.MeasuredS, Completed: r.Total.Completed,
			Rate: r.Total.Rate, ErrorRate: r.Total.ErrorRate, P95MS: r.Total.Response.P95MS, SendLagMS: r.Generator.SendLag.P99MS,
			CPUPercent: r.Generator.CPUPercent, CPUs: r.Environment.CPUs, Verdict: r.Verdict, Judged: r.Judged,
		})
	}
	out.Target = strings.Join(sorted(targets), ", ")
	return out
}

// belong reports every reason why the parts are not of one run.
func belong(parts []Part) error {
	if len(parts) < 2 || len(parts) > maxParts {
		return fmt.Errorf("got %d results, want 2 to %d", len(parts), maxParts)
	}
	var faults []error
	first := parts[0]
	differ := func(p Part, what string, a, b any) {
		if a != b {
			faults = append(faults, fmt.Errorf("%s has the %s %v, %s has %v", first.Name, what, a, p.Name, b))
		}
	}
	for _, p := range parts {
		a, b := first.Result, p.Result
		if len(b.Merged) > 0 {
			faults = append(faults, fmt.Errorf("%s is merged already: give the results it was made of", p.Name))
		}
		differ(p, "scenario", a.Scenario, b.Scenario)
		if a.Scenario == b.Scenario && a.Digest != b.Digest {
			faults = append(faults, fmt.Errorf("%s and %s ran different versions of the scenario %s", first.Name, p.Name, a.Scenario))
		}
		differ(p, "load", a.Load, b.Load)
		differ(p, "seed", a.Seed, b.Seed)
		differ(p, "time scale", a.TimeScale, b.TimeScale)
		differ(p, "duration in seconds", a.DurationS, b.DurationS)
		differ(p, "warm-up in seconds", a.WarmUpS, b.WarmUpS)
		if !slices.EqualFunc(a.Steps, b.Steps, func(x, y StepFigures) bool { return x.Flow == y.Flow && x.Step == y.Step }) {
			faults = append(faults, fmt.Errorf("%s and %s have different steps", first.Name, p.Name))
		}
	}
	faults = append(faults, onceEach(parts)...)
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if from, to := common(parts); !from.Before(to) {
		return errors.New("the generators never measured at the same time: to hold one run against another, use 'tomehub loadtest compare'")
	}
	return nil
}

// onceEach finds a worker, or a whole result, that is there twice, and workers of different numbers of them.
func onceEach(parts []Part) (faults []error) {
	seen := map[string]string{} // name by worker
	of := -1
	for _, p := range parts {
		key := p.Result.Worker
		w, err := ParseWorker(key)
		switch {
		case key != "" && err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", p.Name, err))
			continue
		case of >= 0 && w.Of != of:
			faults = append(faults, fmt.Errorf("%s is one of %s, %s of %s: the shares do not add up", parts[0].Name, workersOf(of), p.Name, workersOf(w.Of)))
			continue
		}
		of = w.Of
		if key == "" { // two generators never begin in the same millisecond and measure the very same
			key = p.Result.StartedAt.String() + p.Result.Total.Response.Histogram
		}
		if other, twice := seen[key]; twice {
			what := "the same result"
			if p.Result.Worker != "" {
				what = "both worker " + p.Result.Worker
			}
			faults = append(faults, fmt.Errorf("%s and %s are %s", other, p.Name, what))
		}
		seen[key] = p.Name
	}
	return faults
}

func workersOf(n int) string {
	if n == 0 {
		return "a generator of the whole load"
	}
	return fmt.Sprintf("%d workers", n)
}

// measuredTime is when r measured.
func (r *Result) measuredTime() (from, to time.Time) {
	from = r.StartedAt.Add(seconds(r.WarmUpS))
	return from, from.Add(seconds(r.MeasuredS))
}

// common is the time in which all parts measured; empty when from is not before to.
func common(parts []Part) (from, to time.Time) {
	for i, p := range parts {
		begin, end := p.Result.measuredTime()
		if i == 0 || begin.After(from) {
			from = begin
		}
		if i == 0 || end.Before(to) {
			to = end
		}
	}
	return from, to
}

// times fills in when the merged run began and how long it measured: from the first generator's beginning to the last
// one's end.
func (m *merger) times() {
	var began, first, last time.Time
	for i, p := range m.parts {
		from, to := p.Result.measuredTime()
		if i == 0 || p.Result.StartedAt.Before(began) {
			began = p.Result.StartedAt
		}
		if i == 0 || from.Before(first) {
			first = from
		}
		if i == 0 || to.After(last) {
			last = to
		}
	}
	m.out.StartedAt, m.out.MeasuredS = began, last.Sub(first).Seconds()
	from, to := common(m.parts)
	m.together = to.Sub(from).Seconds() / m.out.MeasuredS
	if m.together < leastTogether {
		m.doubted = append(m.doubted, fmt.Sprintf("all generators measured together for %s of %s only (%.0f%%): at other times the load was less; start them together and compare their clocks",
			formatMS(milliseconds(to.Sub(from))), formatMS(1000*m.out.MeasuredS), 100*m.together))
	}
}

// doubts takes away what cannot be said of a load that was not whole.
func (m *merger) doubts() {
	if missing := m.missing(); len(missing) > 0 {
		m.doubted = append(m.doubted, fmt.Sprintf("the load was less than the scenario's: no result of worker %s", strings.Join(missing, ", ")))
	}
	for _, d := range m.doubted {
		m.out.doubt(d, false)
	}
	for _, p := range m.parts {
		r := p.Result
		switch {
		case r.Interrupted:
			m.out.Interrupted = true
			m.out.doubt(fmt.Sprintf("%s was interrupted after %s of %s", p.Name, formatMS(1000*r.MeasuredS), formatMS(1000*r.DurationS)), true)
		case r.MeasuredS < r.DurationS-0.001:
			m.out.doubt(fmt.Sprintf("%s was stopped after %s of %s: %s", p.Name, formatMS(1000*r.MeasuredS), formatMS(1000*r.DurationS),
				strings.Join(r.Reasons, "; ")), false)
		}
	}
}

// missing lists the workers that no part is of.
func (m *merger) missing() (missing []string) {
	first, err := ParseWorker(m.parts[0].Result.Worker)
	if err != nil {
		return nil
	}
	for n := 1; n <= first.Of; n++ {
		if !slices.ContainsFunc(m.parts, func(p Part) bool { return numberOf(p.Result) == n }) {
			missing = append(missing, Worker{n, first.Of}.String())
		}
	}
	return missing
}
