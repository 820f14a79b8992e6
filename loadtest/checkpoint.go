package loadtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// CheckpointVersion is the version of CheckpointResult's JSON form.
const CheckpointVersion = 1

// A Host is a server that was started for one scenario.
type Host struct {
	Target, Admin string
	Stop          func(context.Context) error
}

// CheckpointConfig says which checkpoints to run, and how to come by their servers.
type CheckpointConfig struct {
	// Scenarios run one after the other, each on a server of its own: never two at a time, they would measure each other.
	Scenarios []*Scenario
	Start     func(ctx context.Context, s *Scenario, timeScale float64) (*Host, error)
	// TimeScale is 1 when 0, and at most 1: the lab's times shrink with it.
	TimeScale float64
	Seed      uint64
	Version   string
	Logger    *slog.Logger
	// PrometheusURL is Config.PrometheusURL of each run; that Prometheus must learn of every server that Start starts.
	PrometheusURL string
	// Progress, unless nil, is told which checkpoint runs and how it goes.
	Progress func(checkpoint string, p Progress)
	// TopStatements, unless nil, makes Config.TopStatements of the URL of an admin listener.
	TopStatements func(admin string) func(context.Context) (func(context.Context) (*StatementWindow, error), error)
}

// CheckpointResult is what the checkpoints came to. It marshals to JSON and back.
type CheckpointResult struct {
	SchemaVersion int             `json:"schema_version"`
	StartedAt     time.Time       `json:"started_at"`
	TookS         float64         `json:"took_s"`
	TimeScale     float64         `json:"time_scale"` // asked for
	Seed          uint64          `json:"seed"`
	Verdict       reports.Verdict `json:"verdict"`
	Interrupted   bool            `json:"interrupted,omitempty"`
	Reasons       []string        `json:"reasons,omitempty"`
	Checkpoints   []Checkpoint    `json:"checkpoints"`
	Across        []reports.Check `json:"across"` // checks of one checkpoint against another
}

// A Checkpoint is one of them.
type Checkpoint struct {
	Name      string          `json:"name"` // of the scenario
	Phase     string          `json:"phase"`
	Users     int             `json:"users"`
	TimeScale float64         `json:"time_scale"` // its own: crowded ones are not scaled down as far
	Verdict   reports.Verdict `json:"verdict"`    // of its checks and of those across that are about it
	Expected  *Expectation    `json:"expected,omitempty"`
	Result    *Result         `json:"result,omitempty"`    // nil when it did not run
	Discarded []string        `json:"discarded,omitempty"` // why earlier attempts count for nothing
}

// mostScaledRate bounds the requests per second to which a scaled checkpoint is compressed. Server and generator share
// the machine: what passes 100 times a second unscaled would pass 1,000 times at a tenth of the time, and the machine
// and not the pool would be measured.
const mostScaledRate = 600

// attempts is how often a checkpoint is tried that cannot be judged because the machine was too busy; each later try is
// scaled down less.
const attempts = 3

// RunCheckpoints runs the scenarios and compares them. When ctx ends it returns what was measured until then, marked as
// interrupted. It returns an error when a server could not be started, or a run not be made, with what there is.
func RunCheckpoints(ctx context.Context, cfg CheckpointConfig) (*CheckpointResult, error) {
	cfg.TimeScale, cfg.Seed = cmp.Or(cfg.TimeScale, 1), cmp.Or(cfg.Seed, 1)
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure checkpoints: %w", err)
	}
	out := &CheckpointResult{
		SchemaVersion: CheckpointVersion, StartedAt: time.Now().UTC().Truncate(time.Millisecond), TimeScale: cfg.TimeScale, Seed: cfg.Seed,
		Checkpoints: []Checkpoint{}, Across: []reports.Check{},
	}
	began := time.Now()
	var failed error
	for _, s := range cfg.Scenarios {
		c := Checkpoint{Name: s.Name, Phase: s.Server.Phase, Users: s.slots(), TimeScale: s.fittingScale(cfg.TimeScale)}
		if ctx.Err() == nil && failed == nil {
			failed = cfg.runOne(ctx, s, &c)
		}
		out.Checkpoints = append(out.Checkpoints, c)
	}
	if failed != nil && ctx.Err() != nil { // a start that was interrupted is no failure
		failed = nil
	}
	out.TookS = time.Since(began).Seconds()
	out.settle(ctx.Err() != nil)
	return out, failed
}

func (cfg *CheckpointConfig) validate() error {
	var faults []error
	if len(cfg.Scenarios) == 0 {
		faults = append(faults, errors.New("no scenarios"))
	}
	if cfg.Start == nil {
		faults = append(faults, errors.New("nothing that starts a server"))
	}
	if !(cfg.TimeScale >= minTimeScale && cfg.TimeScale <= 1) {
		faults = append(faults, fmt.Errorf("time scale %v must be from %v to 1: the lab only shrinks its times", cfg.TimeScale, minTimeScale))
	}
	for _, s := range cfg.Scenarios {
		if s.Server.Lab == nil || s.Server.Phase == "" {
			faults = append(faults, fmt.Errorf("scenario %s has no server with phase and lab, so nothing says what it should show", s.Name))
		}
	}
	return errors.Join(faults...)
}

// fittingScale is the scale, or the least above it at which this machine need not pass more than mostScaledRate.
func (s *Scenario) fittingScale(scale float64) float64 {
	if e, ok := s.Expect(0); ok {
		full, _ := s.Expect(100)
		rate := math.Max(e.Rate, full.Rate) // a cache makes it more
		scale = math.Min(1, math.Max(scale, math.Ceil(100*rate/mostScaledRate)/100))
	}
	return scale
}

// runOne runs one checkpoint, again when the machine was too busy to judge it.
func (cfg *CheckpointConfig) runOne(ctx context.Context, s *Scenario, c *Checkpoint) error {
	for try := 1; ; try++ {
		r, err := cfg.attempt(ctx, s, c.TimeScale)
		if err != nil {
			return fmt.Errorf("run %s: %w", s.Name, err)
		}
		c.Result = r
		reason := r.Generator.Busy
		if r.Verdict == reports.Pass || r.Verdict == reports.Fail {
			reason = ""
		}
		if len(r.Generator.Problems) > 0 {
			reason = r.Generator.Problems[0]
		}
		if reason == "" || r.Interrupted || try == attempts || c.TimeScale >= 1 {
			break
		}
		c.Discarded = append(c.Discarded, fmt.Sprintf("at time scale %s %s", formatNumber(c.TimeScale), reason))
		c.TimeScale = math.Min(1, 2*c.TimeScale)
	}
	hits := 0.0
	if f := c.Result.Server; f != nil && f.Cache != nil {
		hits = f.Cache.HitRate
	}
	if e, ok := s.Expect(hits); ok {
		e = e.scaled(c.TimeScale)
		c.Expected = &e
	}
	return nil
}

// attempt runs the scenario on a server that is started for it and stopped after it.
func (cfg *CheckpointConfig) attempt(ctx context.Context, s *Scenario, scale float64) (r *Result, err error) {
	host, err := cfg.Start(ctx, s, scale)
	if err != nil {
		return nil, err
	}
	defer func() {
		// The run may have ended because ctx did; the server is stopped all the same, in its own time.
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace+5*time.Second)
		defer cancel()
		err = errors.Join(err, host.Stop(stopping))
	}()
	run := Config{
		Scenario: s, Target: host.Target, AdminURL: host.Admin, TimeScale: scale, Seed: cfg.Seed, Version: cfg.Version, Logger: cfg.Logger, Shared: true,
		PrometheusURL: cfg.PrometheusURL,
	}
	if cfg.TopStatements != nil {
		run.TopStatements = cfg.TopStatements(host.Admin)
	}
	if cfg.Progress != nil {
		run.Progress = func(p Progress) { cfg.Progress(s.Name, p) }
	}
	return Run(ctx, run)
}

// scaled tells the expectation in the time of a scaled run.
func (e Expectation) scaled(f float64) Expectation {
	e.Rate, e.MeanMS, e.WaitMS, e.StatementMS = e.Rate/f, e.MeanMS*f, e.WaitMS*f, e.StatementMS*f
	return e
}

// find returns the checkpoint of that name, nil when it did not run.
func (r *CheckpointResult) find(name string) *Checkpoint {
	for i := range r.Checkpoints {
		if r.Checkpoints[i].Name == name && r.Checkpoints[i].Result != nil {
			return &r.Checkpoints[i]
		}
	}
	return nil
}

// settle judges the checkpoints against each other and draws the verdict.
func (r *CheckpointResult) settle(interrupted bool) {
	r.Interrupted = interrupted
	var all []reports.Check
	across := map[string][]reports.Check{}
	for _, rule := range acrossRules {
		if c := r.find(rule.of); c != nil {
			check := rule.judge(c, r.find("checkpoint-before"))
			across[rule.of] = append(across[rule.of], check)
			r.Across = append(r.Across, check)
		}
	}
	missing := 0
	for i := range r.Checkpoints {
		c := &r.Checkpoints[i]
		if c.Result == nil {
			missing++
			continue
		}
		checks := append(c.Result.Checks[:len(c.Result.Checks):len(c.Result.Checks)], across[c.Name]...)
		c.Verdict = reports.Overall(checks)
		all = append(all, checks...)
	}
	r.Verdict = reports.Overall(all)
	if missing > 0 {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%d of %d checkpoints did not run", missing, len(r.Checkpoints)))
	}
	if interrupted {
		r.Reasons = append(r.Reasons, "interrupted: the figures are of what had run until then")
	}
	if r.Verdict == reports.Pass && (missing > 0 || interrupted) {
		r.Verdict = reports.Inconclusive
	}
}
