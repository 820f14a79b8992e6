package loadtest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// ComparisonVersion is the version of Comparison's JSON form. It grows when a field changes its meaning or goes away.
const ComparisonVersion = 1

// ErrNotComparable is the error of Compare about runs that have nothing to do with each other.
var ErrNotComparable = errors.New("these runs cannot be compared")

// CompareOptions say what counts as a difference. The zero value takes every default.
type CompareOptions struct {
	// MinEffect is the smallest change that matters, in percent of the earlier value; 0 is 5. A difference that is certain
	// but smaller is none.
	MinEffect float64
	// MinErrors is the smallest change of the error rate that matters, in percentage points; 0 is 1.
	MinErrors float64
	// RunNoise is by how many percent the median of one run differs from that of another run of the same thing, as a
	// standard deviation, before the runs themselves tell; 0 is 2.5.
	RunNoise float64
	// Force compares what differs in scenario, load, time scale or machine.
	Force bool
}

// Validate reports every option that is out of its range.
func (o CompareOptions) Validate() error {
	var faults []error
	for _, v := range []struct {
		name        string
		value       float64
		least, most float64
	}{{"smallest effect (--min-effect)", o.MinEffect, 0.1, 100}, {"smallest change of the error rate (--min-errors)", o.MinErrors, 0.01, 100},
		{"noise between runs (--run-noise)", o.RunNoise, 0.1, 50}} {
		if v.value != 0 && !(v.value >= v.least && v.value <= v.most) {
			faults = append(faults, fmt.Errorf("%s is %v, must be from %v to %v", v.name, v.value, v.least, v.most))
		}
	}
	return errors.Join(faults...)
}

// defaults fills in what was left 0.
func (o CompareOptions) defaults() CompareOptions {
	o.MinEffect, o.MinErrors, o.RunNoise = cmp.Or(o.MinEffect, 5), cmp.Or(o.MinErrors, 1), cmp.Or(o.RunNoise, 2.5)
	return o
}

// Outcome is what became of a metric from the runs before to those after.
type Outcome string

// The outcomes. NoDifference says that a regression of four times the smallest change that
// matters can be excluded, with 95 %.
const (
	Regressed    Outcome = "regressed"
	Improved     Outcome = "improved"
	NoDifference Outcome = "no difference seen"
	CannotTell   Outcome = "cannot tell"
)

// A Comparison holds runs against earlier runs of the same scenario. It marshals to JSON and back.
type Comparison struct {
	SchemaVersion int             `json:"schema_version"`
	Sentence      string          `json:"sentence"`
	Verdict       reports.Verdict `json:"verdict"` // fail: something regressed
	Scenario      string          `json:"scenario"`
	MinEffect     float64         `json:"min_effect_percent"`
	MinErrors     float64         `json:"min_errors_points"`
	RunNoise      float64         `json:"run_noise_percent"` // assumed
	Before        []ComparedRun   `json:"before"`
	After         []ComparedRun   `json:"after"`
	Changes       []Change        `json:"changes"`
	Reasons       []string        `json:"reasons,omitempty"` // why nothing can be told
	Notes         []string        `json:"notes,omitempty"`   // what else differs between the two sides
	charts        []reports.Chart
}

// ComparedRun says which run was compared.
type ComparedRun struct {
	Name      string    `json:"name"` // as given by the caller: its file
	Target    string    `json:"target"`
	StartedAt time.Time `json:"started_at"`
	MeasuredS float64   `json:"measured_s"`
	Completed int64     `json:"completed"`
	Phase     string    `json:"phase,omitempty"`   // of the server
	Version   string    `json:"version,omitempty"` // of the server
	Pieces    int       `json:"pieces"`            // of the measured time, that were resampled
	Block     float64   `json:"block"`             // how many neighbouring pieces were drawn together, on average
}

// A Change is one metric of all requests or of one step. The numbers are nil when a side has too little. Several runs of
// a side are one by their mean.
type Change struct {
	Metric  string   `json:"metric"`
	Step    string   `json:"step,omitempty"` // empty is all
	Before  *float64 `json:"before"`         // in the unit of the metric
	After   *float64 `json:"after"`
	Percent *float64 `json:"change"` // in percent of Before; of the error rate in percentage points
	Low     *float64 `json:"low"`    // the interval of Percent
	High    *float64 `json:"high"`
	RunsVar *float64 `json:"run_deviation,omitempty"` // standard deviation between runs that was reckoned with, as Percent
	Outcome Outcome  `json:"outcome"`
	Reason  string   `json:"reason,omitempty"`
}

// A NamedResult is a result and what its reader calls it: the file.
type NamedResult struct {
	Name string
	*Result
}

// maxCompared bounds the runs of one side.
const maxCompared = 50

// Compare holds the runs after against the runs before. Results of different scenarios are refused with an error that is
// ErrNotComparable, unless Force is set; other differences that forbid a judgement (load, time scale, machine) make every
// outcome CannotTell, unless Force is set. The same results always give the same Comparison.
func Compare(before, after []NamedResult, o CompareOptions) (*Comparison, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("compare results: %w", err)
	}
	o = o.defaults()
	for _, side := range [][]NamedResult{before, after} {
		if len(side) == 0 || len(side) > maxCompared {
			return nil, fmt.Errorf("%w: %d results on one side, want 1 to %d", ErrNotComparable, len(side), maxCompared)
		}
	}
	c := &Comparison{
		SchemaVersion: ComparisonVersion, Scenario: after[0].Scenario, MinEffect: o.MinEffect, MinErrors: o.MinErrors, RunNoise: o.RunNoise,
		Changes: []Change{},
	}
	if err := c.belong(before, after, o.Force); err != nil {
		return nil, err
	}
	steps := commonSteps(append(slices.Clone(before), after...))
	var sides [2][]*runSample
	for i, side := range [][]NamedResult{before, after} {
		for _, r := range side {
			s, err := sampleRun(r.Result, steps)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: %w", ErrNotResult, r.Name, err)
			}
			sides[i] = append(sides[i], s)
			run := r.compared(s)
			if i == 0 {
				c.Before = append(c.Before, run)
			} else {
				c.After = append(c.After, run)
			}
			if s.pieces < leastPieces {
				c.Reasons = append(c.Reasons, fmt.Sprintf("%s has %d windows of measured time, at least %d are needed to see how much its figures vary", r.Name, s.pieces, leastPieces))
			}
		}
	}
	c.judge(sides[0], sides[1], steps)
	c.charts = comparisonCharts(sides[0], sides[1])
	return c, nil
}

func (r NamedResult) compared(s *runSample) ComparedRun {
	run := ComparedRun{
		Name: r.Name, Target: r.Target, StartedAt: r.StartedAt, MeasuredS: r.MeasuredS, Completed: r.Total.Completed, Pieces: s.pieces, Block: s.block,
	}
	if r.Server != nil {
		run.Phase, run.Version = r.Server.Phase, r.Server.Version
	}
	return run
}

// belong finds what forbids a comparison, what forbids a judgement, and what a reader should know.
func (c *Comparison) belong(before, after []NamedResult, force bool) error {
	first := before[0]
	for _, r := range append(slices.Clone(before), after...) {
		if r.Scenario != first.Scenario && !force {
			return fmt.Errorf("%w: %s is of scenario %s, %s of %s; --force compares them all the same", ErrNotComparable, first.Name, first.Scenario, r.Name, r.Scenario)
		}
		for _, d := range []struct{ what, a, b string }{
			{"scenario", first.Scenario, r.Scenario},
			{"load", first.Load + ", " + first.Model, r.Load + ", " + r.Model},
			{"time scale", formatNumber(first.TimeScale), formatNumber(r.TimeScale)},
			{"machine of the generator", first.Environment.machine(), r.Environment.machine()},
		} {
			if d.a == d.b {
				continue
			}
			text := fmt.Sprintf("the %s differs: %s in %s, %s in %s", d.what, d.a, first.Name, d.b, r.Name)
			if force {
				c.Notes = append(c.Notes, text+" (--force)")
			} else {
				c.Reasons = append(c.Reasons, text)
			}
		}
		for _, p := range r.Generator.Problems {
			c.Reasons = append(c.Reasons, fmt.Sprintf("%s: %s", r.Name, p))
		}
		if r.Generator.Busy != "" {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s", r.Name, r.Generator.Busy))
		}
		if r.Interrupted {
			c.Notes = append(c.Notes, fmt.Sprintf("%s was interrupted after %s", r.Name, formatMS(1000*r.MeasuredS)))
		}
		for _, d := range []struct{ what, a, b string }{
			{"measured time", formatMS(1000 * first.DurationS), formatMS(1000 * r.DurationS)},
			{"seed", fmt.Sprint(first.Seed), fmt.Sprint(r.Seed)},
			{"version of the generator", first.Environment.Generator, r.Environment.Generator},
			{"steps", first.stepNames(), r.stepNames()},
		} {
			if d.a != d.b {
				c.Notes = append(c.Notes, fmt.Sprintf("The %s differs: %s in %s, %s in %s.", d.what, d.a, first.Name, d.b, r.Name))
			}
		}
	}
	return nil
}

func (e Environment) machine() string { return fmt.Sprintf("%d CPUs, %s/%s", e.CPUs, e.OS, e.Arch) }

func (r *Result) stepNames() string {
	var names []string
	for i := range r.Steps {
		names = append(names, r.Steps[i].Step)
	}
	return strings.Join(names, " ")
}

// commonSteps are the steps that every result has. A single step is all there is, and needs no line of its own.
func commonSteps(all []NamedResult) []string {
	var names []string
	for _, s := range all[0].Steps {
		everywhere := !slices.ContainsFunc(all, func(r NamedResult) bool {
			return !slices.ContainsFunc(r.Steps, func(o StepFigures) bool { return o.Step == s.Step })
		})
		if everywhere && !slices.Contains(names, s.Step) {
			names = append(names, s.Step)
		}
	}
	if len(all[0].Steps) < 2 {
		return nil
	}
	return names
}

// settle draws the verdict and the sentence from the changes.
func (c *Comparison) settle() {
	c.Verdict = reports.Pass
	var regressed, improved, untold []string
	for i := range c.Changes {
		ch := &c.Changes[i]
		switch ch.Outcome {
		case Regressed:
			regressed = append(regressed, ch.text())
		case Improved:
			improved = append(improved, ch.text())
		case CannotTell:
			if ch.Step == "" && comparedMetricNamed(ch.Metric).main {
				untold = append(untold, ch.Metric)
			}
		case NoDifference:
		}
	}
	switch {
	case len(c.Reasons) > 0:
		c.Verdict = reports.Inconclusive
		c.Sentence = "Cannot tell: " + c.Reasons[0] + "."
	case len(regressed) > 0:
		c.Verdict = reports.Fail
		c.Sentence = "Regressed: " + shortly(regressed) + "."
	case len(untold) > 0:
		c.Verdict = reports.Inconclusive
		c.Sentence = fmt.Sprintf("Cannot tell whether %s regressed: %s.", shortly(untold), c.hidden(untold))
	case len(improved) > 0:
		c.Sentence = "Nothing regressed; improved: " + shortly(improved) + "."
	default:
		c.Sentence = fmt.Sprintf("No difference seen; that all requests regressed by %s can be excluded.", formatNumber(unseen*c.MinEffect)+"%")
	}
}

// hidden says why of these metrics of all requests nothing can be told.
func (c *Comparison) hidden(untold []string) string {
	relative, points := false, false
	for i := range c.Changes {
		ch := &c.Changes[i]
		if ch.Step != "" || !slices.Contains(untold, ch.Metric) {
			continue
		}
		if ch.Reason != "" && len(untold) == 1 {
			return ch.Reason
		}
		ratio := comparedMetricNamed(ch.Metric).ratio
		relative, points = relative || ratio, points || !ratio
	}
	most := formatNumber(unseen*c.MinEffect) + "%"
	switch {
	case points && relative:
		most += " or of " + formatNumber(unseen*c.MinErrors) + " points"
	case points:
		most = formatNumber(unseen*c.MinErrors) + " points"
	}
	return "a change of " + most + " could hide in the noise"
}

// text says the change as a sentence does.
func (ch *Change) text() string {
	name := ch.Metric
	if ch.Step != "" {
		name += " of " + ch.Step
	}
	return fmt.Sprintf("%s %s (%s)", name, ch.amount(*ch.Percent), ch.interval())
}

// amount writes a change with its sign.
func (ch *Change) amount(v float64) string {
	unit := "%"
	if !comparedMetricNamed(ch.Metric).ratio {
		unit = " points"
	}
	digits := 1
	if math.Abs(v) >= 9.95 {
		digits = 0
	}
	return fmt.Sprintf("%+.*f%s", digits, v, unit)
}

func (ch *Change) interval() string {
	if ch.Low == nil {
		return ""
	}
	return ch.amount(*ch.Low) + " to " + ch.amount(*ch.High)
}

// shortly joins the first three.
func shortly(list []string) string {
	if more := len(list) - 3; more > 0 {
		return strings.Join(list[:3], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(list, ", ")
}
