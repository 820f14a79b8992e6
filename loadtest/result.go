package loadtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/tomehub/tomehub/reports"
)

// ResultVersion is the version of Result's JSON form. It grows when a field changes its meaning or goes away.
const ResultVersion = 1

// Result is what a run measured. It marshals to JSON and back.
type Result struct {
	SchemaVersion int             `json:"schema_version"`
	Scenario      string          `json:"scenario"`
	Digest        string          `json:"scenario_digest,omitempty"` // of the scenario's file and the files of its feeders
	Title         string          `json:"title"`
	Description   string          `json:"description,omitempty"`
	Target        string          `json:"target"`
	Model         string          `json:"model"` // closed or open
	Load          string          `json:"load"`
	Worker        string          `json:"worker,omitempty"` // "2/4" when the load was one of four shares of Load
	StartedAt     time.Time       `json:"started_at"`
	WarmUpS       float64         `json:"warm_up_s"`
	DurationS     float64         `json:"duration_s"` // asked for
	MeasuredS     float64         `json:"measured_s"` // less than DurationS when the run was interrupted
	TimeScale     float64         `json:"time_scale"`
	Seed          uint64          `json:"seed"`
	Judged        bool            `json:"judged"` // false when the scenario has no checks
	Verdict       reports.Verdict `json:"verdict"`
	Interrupted   bool            `json:"interrupted,omitempty"`
	Reasons       []string        `json:"reasons,omitempty"` // why the verdict is not that of the checks
	Total         Figures         `json:"total"`
	Steps         []StepFigures   `json:"steps"`
	Errors        []ErrorFigures  `json:"errors"`
	Checks        []reports.Check `json:"checks"`
	// Criteria are the checks of the whole scenario with their bounds as numbers, in the unit of the metric and moved by
	// the time scale, so that merged results can be judged anew. A worker judges only some of them.
	Criteria    []Check          `json:"criteria,omitempty"`
	Expected    []ExpectedFigure `json:"expected,omitempty"`
	Windows     []Window         `json:"windows"`
	Generator   Generator        `json:"generator"`
	Environment Environment      `json:"environment"`
	WarmUp      int64            `json:"warm_up_requests"` // left out of all figures
	Canceled    int64            `json:"canceled"`         // cut off by the end of the run
	Faults      []FaultFigures   `json:"faults,omitempty"`
	// Merged are the generators whose results were merged into this one.
	Merged  []MergedFrom `json:"merged,omitempty"`
	LeftOut []string     `json:"left_out,omitempty"` // metrics of checks that nobody could answer without a Prometheus
	// Server is nil when no TomeHub answered at the target, and then NoServer says why.
	Server   *ServerFigures `json:"server,omitempty"`
	NoServer string         `json:"no_server,omitempty"`
}

// StepFigures are the figures of one step.
type StepFigures struct {
	Flow string `json:"flow"`
	Step string `json:"step"`
	Figures
	// Windows are the measured time in at most 40 equal stretches; what a run that was cut short measured after the last
	// whole one is in none.
	Windows []StepWindow `json:"windows,omitempty"`
}

// ErrorFigures count one kind of failure or refusal, with the text of the first one.
type ErrorFigures struct {
	Kind    Kind    `json:"kind"`
	Count   int64   `json:"count"`
	Percent float64 `json:"percent"` // of completed requests
	Example string  `json:"example,omitempty"`
}

// ExpectedFigure stands a figure that somebody gave beside the measured one.
type ExpectedFigure struct {
	Metric   string `json:"metric"`
	Step     string `json:"step,omitempty"`
	Figure   string `json:"figure"`
	Measured string `json:"measured"` // empty when there was too little to measure
}

// Environment is where the generator ran.
type Environment struct {
	Generator string `json:"generator"`
	Go        string `json:"go"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	CPUs      int    `json:"cpus"`
}

// result puts the figures together. ended is when the last request had ended, cause why the run was stopped, if it was.
func (r *run) result(ended time.Duration, cause error) (*Result, error) {
	s := r.scn
	out := &Result{
		SchemaVersion: ResultVersion, Scenario: s.Name, Digest: s.digest, Title: s.Title, Description: s.Description,
		Target: r.target.String(), Model: s.Model(), Load: s.Load(),
		StartedAt: r.began.UTC().Truncate(time.Millisecond), WarmUpS: s.WarmUp.Seconds(), DurationS: s.Duration.Seconds(),
		TimeScale: r.cfg.TimeScale, Seed: r.cfg.Seed, Judged: len(s.Checks) > 0, Worker: r.cfg.Worker.String(), Criteria: r.criteria,
		Errors: []ErrorFigures{}, Checks: []reports.Check{}, // [] in JSON, never null
		Environment: Environment{
			Generator: r.cfg.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
		},
	}
	out.LeftOut = r.leftOut
	measured := max(0, min(ended, s.Total())-s.WarmUp)
	out.MeasuredS = measured.Seconds()
	if err := r.figures(out, measured); err != nil {
		return nil, fmt.Errorf("put result together: %w", err)
	}
	r.health(out, min(ended, s.Total()))
	r.server(out, min(ended, s.Total()))
	if r.injector != nil {
		out.Faults = r.injector.result()
	}
	r.judge(out)
	out.settle(cause)
	return out, nil
}

// figures fills in what the collector holds.
func (r *run) figures(out *Result, measured time.Duration) error {
	c := r.col
	c.mu.Lock()
	defer c.mu.Unlock()
	var tallies []*tally
	for _, f := range r.scn.Flows {
		for _, st := range f.Steps {
			tallies = append(tallies, c.steps[st.index])
			out.Steps = append(out.Steps, StepFigures{Flow: f.Name, Step: st.Name, Windows: c.parts[st.index]})
		}
	}
	if c.fault != nil {
		return c.fault
	}
	if err := out.count(tallies, c.details, measured); err != nil {
		return err
	}
	out.Windows = append([]Window{}, c.windows...)
	out.WarmUp, out.Canceled = c.warmedUp, c.canceled
	lag, err := exported(c.lag)
	if err != nil {
		return err
	}
	out.Generator = Generator{
		SendLag: lag, Resent: c.resent, Held: c.held, InTime: c.inTime,
		Exhausted: out.Total.Kinds[Exhausted],
	}
	return nil
}

// count fills in the figures of the steps, one tally each, of all of them together, and the errors, each kind with its
// example. over is how long the tallies gathered.
func (r *Result) count(steps []*tally, examples [kinds]string, over time.Duration) error {
	total := newTally(false)
	var err error
	for i, t := range steps {
		total.merge(t)
		if r.Steps[i].Figures, err = t.whole(over); err != nil {
			return err
		}
	}
	if r.Total, err = total.whole(over); err != nil {
		return err
	}
	for i, n := range total.kinds {
		if k := Kind(i); n > 0 && k != OK && k != Canceled {
			r.Errors = append(r.Errors, ErrorFigures{
				Kind: k, Count: n, Percent: 100 * float64(n) / float64(r.Total.Completed), Example: examples[k],
			})
		}
	}
	return nil
}

// whole is figures with the histograms in them.
func (t *tally) whole(over time.Duration) (Figures, error) {
	f := t.figures(over)
	var errResponse, errService error
	f.Response, errResponse = exported(t.response)
	f.Service, errService = exported(t.service)
	err := errors.Join(errResponse, errService)
	if s := t.streams; s != nil {
		for _, x := range []struct {
			to *Latency
			h  *hdrhistogram.Histogram
		}{{f.FirstByte, s.firstByte}, {f.FirstLine, s.firstLine}, {f.Complete, s.complete}} {
			l, errStream := exported(x.h)
			*x.to, err = l, errors.Join(err, errStream)
		}
	}
	return f, err
}

func (r *run) health(out *Result, until time.Duration) {
	out.Generator.Connections = r.ex.opened.Load()
	if r.scn.Arrivals != nil {
		out.Generator.Asked = r.agenda.askedUntil(until)
	}
	r.gauge.report(&out.Generator, r.scn.Generator, out.Total.Service.P50MS)
}

// judge holds the figures against the checks and beside what was expected.
func (r *run) judge(out *Result) {
	watches := r.col.watches
	var serverWatches []*serverWatch
	if r.observer != nil {
		serverWatches = r.observer.watches
	}
	for _, c := range r.scn.Checks {
		ofServer := metrics[c.Metric].server != nil
		switch {
		case c.Window > 0 && ofServer && r.observer != nil:
			out.Checks = append(out.Checks, serverWatches[0].result(out.NoServer))
			serverWatches = serverWatches[1:]
		case c.Window > 0 && !ofServer:
			out.Checks = append(out.Checks, watches[0].result())
			watches = watches[1:]
		default:
			out.Checks = append(out.Checks, c.conclude(r.measure(out, c.Metric, c.Step)))
		}
	}
	for _, e := range r.scn.Expected {
		x := ExpectedFigure{Metric: e.Metric, Step: e.Step, Figure: e.Figure}
		if v, reason := r.measure(out, e.Metric, e.Step); reason == "" {
			x.Measured = metrics[e.Metric].format(v)
		}
		out.Expected = append(out.Expected, x)
	}
}

// measure takes a metric of the whole measured time from the generator's figures, or from the server's.
func (r *run) measure(out *Result, name, step string) (float64, string) {
	m := metrics[name]
	switch {
	case m.result != nil:
		return m.result(out)
	case m.server == nil:
		return m.measured(out.of(step))
	case r.observer == nil:
		return 0, "nobody observed the server"
	case out.NoServer != "":
		return 0, out.NoServer
	}
	return m.ofServer(r.observer.measured, r.scn.step(step), "the server was not read in the measured time")
}

// of finds the figures of a step; "" is all.
func (r *Result) of(step string) *Figures {
	for i := range r.Steps {
		if r.Steps[i].Step == step {
			return &r.Steps[i].Figures
		}
	}
	return &r.Total
}

// settle turns the checks into the verdict.
//
// A generator that was the bottleneck proves nothing, so neither Pass nor Fail of its checks stands. A rate that was not
// reached takes away a Pass but leaves a Fail: what fails at less than the asked load fails at the asked load as well. An
// interrupted run proves nothing either, unless it was a check that stopped it. A machine that server and generator share
// and that had no CPU left takes away a Fail and leaves a Pass: what holds with less holds with more.
func (r *Result) settle(cause error) {
	var aborted abortError
	switch {
	case errors.As(cause, &aborted):
		r.Reasons = append(r.Reasons, "stopped by a check: "+string(aborted))
	case cause != nil:
		r.Interrupted = true
		r.doubt(r.cut(cause), true)
	}
	for _, p := range r.Generator.Problems {
		r.doubt(p, true)
	}
	if share := r.Generator.reached(); share < leastReached {
		r.doubt(fmt.Sprintf("%d of %d visitors were sent in time (%.1f%%), the asked rate needs %.0f%%",
			r.Generator.InTime, r.Generator.Asked, 100*share, 100*leastReached), false)
	}
	if busy := r.Generator.Busy; busy != "" && reports.Overall(r.Checks) == reports.Fail {
		r.Reasons = append(r.Reasons, busy)
		for i := range r.Checks {
			if c := &r.Checks[i]; c.Verdict == reports.Fail {
				c.Verdict, c.Reason = reports.Inconclusive, c.Reason+"; "+busy
			}
		}
	}
	r.Verdict = reports.Overall(r.Checks)
}

// cut says where a run was stopped.
func (r *Result) cut(cause error) string {
	how := "interrupted"
	if errors.Is(cause, context.DeadlineExceeded) {
		how = "out of time"
	}
	if r.MeasuredS == 0 {
		return how + " in the warm-up; nothing was measured"
	}
	return fmt.Sprintf("%s after %s of %s; the figures are of that part", how, formatMS(1000*r.MeasuredS), formatMS(1000*r.DurationS))
}

// doubt makes passed checks inconclusive, and failed ones too when the failure may not be the server's.
func (r *Result) doubt(reason string, failures bool) {
	r.Reasons = append(r.Reasons, reason)
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Verdict == reports.Pass || failures && c.Verdict == reports.Fail {
			c.Verdict, c.Reason = reports.Inconclusive, reason
		}
	}
}
