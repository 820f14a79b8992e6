package loadtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"
)

// CapacityConfig says what to search the capacity of, and within which bounds.
type CapacityConfig struct {
	// Scenario gives the load that is made more or less of: its users or its arrivals. Its checks are not judged and its
	// faults are not put in.
	Scenario *Scenario
	// SLO are the objectives within which a load is carried. Empty takes the scenario's own: see Scenario.SLOs. Where none
	// is on error_rate, "error_rate ≤ 1%" is added.
	SLO []Check
	// Target, AdminURL, ServerPID and Shared are those of Config. All steps run against the same server.
	Target, AdminURL string
	ServerPID        int
	Shared           bool
	// From is where the search begins and To the most it tries, in users or arrivals per second. 0 takes a tenth of the
	// scenario's load and a hundred times of it.
	From, To float64
	// Need, unless 0, is the load that must be carried.
	Need float64
	// Precision is how far apart, relative to the lower one, the load that is carried and the one that is not may be in
	// the end; 0 is 0.05.
	Precision float64
	// WarmUp and Step are how long each run warms up and measures, before TimeScale. 0 takes the scenario's own, but at
	// most 10 s and 20 s, and at least 2 s and 5 s.
	WarmUp, Step time.Duration
	// Rest is the pause after a run of which requests were refused for a rate limit (429). Such limits count by the minute,
	// whatever the time scale: what one run used up of it would be missing in the next.
	Rest time.Duration
	// Repeats is how often one load may be run; 0 is 4.
	Repeats int
	// MaxTime bounds the search: no run is begun that would end after it. 0 is 10 minutes.
	MaxTime time.Duration
	// TimeScale, Seed, Version and Logger are those of Config.
	TimeScale float64
	Seed      uint64
	Version   string
	Logger    *slog.Logger
	// Progress, unless nil, is told how the search goes, by one goroutine at a time.
	Progress func(CapacityProgress)

	change func(*Config) // tests: changes the configuration of each run
}

// CapacityProgress is how a search goes.
type CapacityProgress struct {
	Runs     int     // that are over
	Load     float64 // of the run under way
	Unit     string  // of loads
	Carried  float64 // the largest load seen to be carried; 0 when none is
	Broken   float64 // the smallest seen not to be; 0 when none is
	Elapsed  time.Duration
	MaxTime  time.Duration
	Current  Progress // of the run under way
	Scenario string
}

// Capacity searches for the most load that the target carries within the objectives. It returns an error when no search
// could be made: a Config with faults, or nobody listening at the target. When ctx ends, the run under way is dropped and
// the result says what is known.
func Capacity(ctx context.Context, cfg CapacityConfig) (*CapacityResult, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("configure the search for capacity: %w", err)
	}
	c := newCapacity(cfg)
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.result(), nil
}

// Validate reports every fault of the search itself; whether Target can be reached is found out by Capacity.
func (c CapacityConfig) Validate() error { return c.complete() }

// complete fills in what was left out and reports every fault.
func (c *CapacityConfig) complete() error {
	if c.Scenario == nil {
		return errors.New("no scenario")
	}
	if len(c.SLO) == 0 {
		c.SLO = c.Scenario.SLOs()
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	slos, err := checkSLOs(c.SLO)
	if err != nil {
		faults = append(faults, err)
	}
	c.SLO = slos
	fill(&c.TimeScale, 1)
	fill(&c.Precision, 0.05)
	fill(&c.Repeats, 4)
	fill(&c.MaxTime, 10*time.Minute)
	fill(&c.Seed, 1)
	fill(&c.WarmUp, min(max(c.Scenario.WarmUp, 2*time.Second), 10*time.Second))
	fill(&c.Step, min(max(c.Scenario.Duration, 5*time.Second), 20*time.Second))
	least, most, unit := c.bounds()
	fill(&c.To, min(most, 100*c.Scenario.load()))
	fill(&c.From, min(c.To, max(least, c.Scenario.load()/10)))
	if c.Scenario.Users != nil {
		c.From, c.To = math.Ceil(c.From), math.Floor(c.To)
		if c.Need != math.Floor(c.Need) {
			fault("the need of %v is no number of users", c.Need)
		}
	}
	if !(c.From >= least && c.From <= c.To && c.To <= most) {
		fault("the search goes from %v to %v: want %s from %v to %v, in this order", c.From, c.To, unit, least, most)
	}
	if c.Need != 0 && !(c.Need >= least && c.Need <= c.To) {
		fault("the need is %v: want %v to %v, the most the search tries", c.Need, least, c.To)
	}
	if !(c.Precision >= 0.005 && c.Precision <= 1) {
		fault("the precision is %v: want 0.005 to 1", c.Precision)
	}
	if c.Repeats < 1 || c.Repeats > 20 {
		fault("%d runs of a load: want 1 to 20", c.Repeats)
	}
	if c.WarmUp < 0 || c.WarmUp > time.Hour {
		fault("the warm-up of a step is %v: want 0 to 1h", c.WarmUp)
	}
	if c.Rest < 0 || c.Rest > time.Hour {
		fault("the rest after refusals is %v: want 0 to 1h", c.Rest)
	}
	if c.Step < time.Second || c.Step > time.Hour {
		fault("a step is %v long: want 1s to 1h", c.Step)
	}
	if c.MaxTime < c.Step || c.MaxTime > maxDuration {
		fault("the search may take %v: want the length of a step, %v, to %v", c.MaxTime, c.Step, maxDuration)
	}
	return errors.Join(faults...)
}

func fill[T comparable](v *T, normal T) {
	var zero T
	if *v == zero {
		*v = normal
	}
}

// bounds are the least and the most load that can be asked for.
func (c *CapacityConfig) bounds() (least, most float64, unit string) {
	if c.Scenario.Users != nil {
		return 1, maxUsers, "users"
	}
	return 0.01, maxRate, "arrivals/s"
}

// load is the most users or arrivals per second that the scenario ever has.
func (s *Scenario) load() float64 {
	if s.Users != nil {
		return s.Users.curve.most()
	}
	return s.Arrivals.curve.most()
}

// withLoad returns the scenario with a steady load instead of its own, reached after ramp, with neither checks nor faults.
// The open model gets as many more places for visitors as it gets visitors.
func (s *Scenario) withLoad(load float64, ramp, warmUp, duration time.Duration) *Scenario {
	c := *s
	c.WarmUp, c.Duration, c.Checks, c.Expected, c.Faults = warmUp, duration, nil, nil, nil
	stages := []Stage{{For: ramp, To: load}}
	if s.Users != nil {
		u := Users{Stages: stages}
		u.curve = newCurve(0, u.Stages)
		c.Users = &u
		return &c
	}
	a := *s.Arrivals
	a.Rate, a.Stages = load, nil
	a.curve = newCurve(load, nil)
	a.MaxVisitors = min(maxUsers, max(a.MaxVisitors, int(math.Ceil(float64(a.MaxVisitors)*load/s.load()))))
	c.Arrivals = &a
	return &c
}

// capacity is a search under way.
type capacity struct {
	cfg     CapacityConfig
	search  loadSearch
	began   time.Time
	unit    string
	runs    int
	ended   ending
	reason  string // for which it ended, when that was not that enough is known
	limited bool   // the last run met a rate limit
}

// ending says why a search was over.
type ending string

const (
	endedFound       ending = "found"       // enough is known
	endedOutOfTime   ending = "time"        // there was no time for another run
	endedInterrupted ending = "interrupted" // by whoever started it
	endedTargetGone  ending = "target_gone" // nobody listens any more
)

func newCapacity(cfg CapacityConfig) *capacity {
	least, _, unit := cfg.bounds()
	if cfg.Scenario.Users == nil {
		least = min(cfg.From, max(least, cfg.From/1000))
	}
	return &capacity{cfg: cfg, began: time.Now(), unit: unit, search: loadSearch{
		whole: cfg.Scenario.Users != nil, from: cfg.From, least: least, most: cfg.To,
		precision: cfg.Precision, need: cfg.Need, repeats: cfg.Repeats,
	}}
}

func (c *capacity) run(ctx context.Context) error {
	for {
		load, more := c.search.next()
		if !more {
			c.ended = endedFound
			return nil
		}
		warmUp, rest := c.warmUp(load), c.rest()
		if left := c.cfg.MaxTime - time.Since(c.began); c.runs > 0 && left < rest+scale(warmUp+c.cfg.Step, c.cfg.TimeScale) {
			c.ended, c.reason = endedOutOfTime, fmt.Sprintf("the search ended after %v, for want of time for another step (--max-time)",
				time.Since(c.began).Round(time.Second))
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
		r, err := c.measure(ctx, load, warmUp)
		if ctx.Err() != nil {
			c.ended, c.reason = endedInterrupted, "interrupted: what is known is told"
			return nil
		}
		if err != nil {
			if c.runs == 0 {
				return err
			}
			c.ended, c.reason = endedTargetGone, fmt.Sprintf("the search ended at %s: %v", c.load(load), err)
			return nil
		}
		c.runs++
		c.limited = r.kinds[RateLimited] > 0
		st := c.search.step(load)
		st.runs = append(st.runs, r)
		st.judge(c.scaledSLOs(), c.cfg.Seed)
	}
}

// rest is how long to wait before the next run.
func (c *capacity) rest() time.Duration {
	if !c.limited {
		return 0
	}
	return c.cfg.Rest
}

// warmUp is how long the next run of a load warms up. The first run of all also warms the server, as the scenario wants it;
// one that did not settle gets twice the time.
func (c *capacity) warmUp(load float64) time.Duration {
	d := c.cfg.WarmUp
	if c.runs == 0 {
		d = max(d, c.cfg.Scenario.WarmUp)
	}
	for _, st := range c.search.steps {
		if st.load != load {
			continue
		}
		for _, r := range st.runs {
			if !r.steady {
				d = min(2*d, 8*c.cfg.WarmUp)
			}
		}
	}
	return d
}

// errGrace ends a run whose last answers do not come.
var errGrace = errors.New("the last answers did not come")

// graceAfter is how long a run waits, at its end, for answers: for twice as long as the largest bound on a time, so that
// whoever has no answer by then has waited longer than any.
func (c *capacity) graceAfter() time.Duration {
	most := 0.0
	for _, slo := range c.cfg.SLO {
		if metrics[slo.Metric].unit == unitTime {
			most = max(most, slo.High.Value)
		}
	}
	longest := c.cfg.Scenario.longestTimeout()
	if most == 0 {
		return longest
	}
	return min(longest, max(2*time.Second, time.Duration(2*most*float64(time.Millisecond))))
}

// windowsPerStep is how many windows a step has, unless they would be longer than a second.
const windowsPerStep = batches

// measure runs one load once.
func (c *capacity) measure(ctx context.Context, load float64, warmUp time.Duration) (*loadRun, error) {
	inside, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	grace := scale(c.graceAfter(), c.cfg.TimeScale)
	cfg := Config{
		Scenario: c.cfg.Scenario.withLoad(load, warmUp/2, warmUp, c.cfg.Step), Target: c.cfg.Target, AdminURL: c.cfg.AdminURL,
		ServerPID: c.cfg.ServerPID, Shared: c.cfg.Shared, TimeScale: c.cfg.TimeScale, Seed: c.cfg.Seed + uint64(c.runs), Version: c.cfg.Version,
		windows: min(time.Second, max(100*time.Millisecond, scale(c.cfg.Step, c.cfg.TimeScale)/windowsPerStep)),
	}
	cfg.Progress = func(p Progress) {
		if p.Elapsed > p.Total+grace {
			cancel(errGrace)
		}
		if c.cfg.Progress != nil {
			c.cfg.Progress(c.progress(load, p))
		}
	}
	if c.cfg.change != nil {
		c.cfg.change(&cfg)
	}
	r, err := Run(inside, cfg)
	if err != nil {
		return nil, err
	}
	if c.cfg.Logger != nil {
		c.cfg.Logger.Info("capacity step measured", "load", load, "unit", c.unit, "goodput_per_s", r.Total.Goodput,
			"p95_ms", r.Total.Response.P95MS, "error_rate", r.Total.ErrorRate)
	}
	return newLoadRun(r, c.scaledSLOs(), c.cfg.Shared)
}

// scaledSLOs are the objectives by the clock of a scaled run.
func (c *capacity) scaledSLOs() []Check {
	var all []Check
	for _, slo := range c.cfg.SLO {
		all = append(all, slo.scaled(c.cfg.TimeScale))
	}
	return all
}

func (c *capacity) progress(load float64, p Progress) CapacityProgress {
	b := c.search.bracket()
	out := CapacityProgress{
		Runs: c.runs, Load: load, Unit: c.unit, Elapsed: time.Since(c.began), MaxTime: c.cfg.MaxTime, Current: p, Scenario: c.cfg.Scenario.Name,
	}
	if b.holds != nil {
		out.Carried = b.holds.load
	}
	if b.breaks != nil && !b.breaks.blind() {
		out.Broken = b.breaks.load
	}
	return out
}

// load writes a load with its unit.
func (c *capacity) load(v float64) string { return formatLoad(v, c.unit) }

func formatLoad(v float64, unit string) string {
	if unit == "users" {
		if v == 1 {
			return "1 user"
		}
		return formatNumber(v) + " users"
	}
	return formatNumber(v) + " " + unit
}
