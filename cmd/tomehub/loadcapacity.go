package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/loadtest"
)

// capacitySettings are the settings of `tomehub loadtest capacity`.
type capacitySettings struct {
	server loadtestSettings // --target, --admin, --spawn, --out, --format, --quiet, --time-scale, --seed
	slo    []string
	search loadtest.CapacityConfig
}

func (a *app) newLoadtestCapacityCommand() *cobra.Command {
	c := capacitySettings{server: loadtestSettings{delivery: delivery{format: "text"}, timeScale: 1, seed: 1}}
	c.search.Precision, c.search.Repeats, c.search.MaxTime, c.search.Rest = 0.05, 4, 10*time.Minute, time.Minute
	cmd := &cobra.Command{
		Use:   "capacity SCENARIO",
		Short: "Search for the most load a server carries, and for what limits it",
		Long: `Search for the most users, or arrivals per second, that a server carries within service level
objectives. The scenario gives the load, which is made more and less of; all steps run against
the same server. The load is doubled until an objective breaks, then the limit is closed in on;
loads near it are run again until it is clear on which side they are. The report says between
which loads the limit lies with 95% likelihood, fits the Universal Scalability Law to what was
measured, and names the bottleneck from the server's own figures, with the evidence.

Objectives are bounds on p50, p90, p95, p99, p999, mean, error_rate, failed_rate or refused_rate of
all requests. Without --slo they are the scenario's own; error_rate<=1% is added when no
objective is on error_rate.

It needs a server: --target names one that runs, --spawn starts this program as the server. A
step whose generator was the bottleneck says nothing about the server and ends the search there.

Exit code 0 when the capacity was found and is at least --need, 3 when it is less or no load is
carried, 4 when it cannot be told. Ctrl-C ends it and reports what is known.`,
		Example: `  tomehub loadtest capacity checkpoint-d --spawn --slo 'p95<=2s' --slo 'error_rate<=1%'
  tomehub loadtest capacity checkpoint-c --target http://127.0.0.1:5001 --admin http://127.0.0.1:5002 --need 300
  tomehub loadtest capacity plain-http --target http://127.0.0.1:8080 --slo 'p99<100ms' --html capacity.html`,
		Args: oneArg("a scenario"),
	}
	s := &settings{flags: cmd.Flags()}
	s.add(textValue{&c.server.target}, "target", "TOMEHUB_TARGET", "URL of the server to send the load to")
	s.add(textValue{&c.server.admin}, "admin", "TOMEHUB_LOADTEST_ADMIN", "URL of the target's admin listener, which tells requests and statements as the server counts them")
	c.server.addFiles(s)
	s.add(choiceValue{&c.server.format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	s.add(boolValue{&c.server.quiet}, "quiet", "TOMEHUB_LOADTEST_QUIET", "show no progress")
	f := cmd.Flags()
	f.BoolVar(&c.server.spawn, "spawn", false, "start this program as the server")
	f.StringArrayVar(&c.slo, "slo", nil, "an objective, such as p95<=2s; may be given again")
	f.Float64Var(&c.search.From, "from", 0, "users or arrivals per second to begin with; 0 is a tenth of the scenario's")
	f.Float64Var(&c.search.To, "to", 0, "the most to try; 0 is a hundred times the scenario's")
	f.Float64Var(&c.search.Need, "need", 0, "the load that must be carried; 0 asks for none")
	f.Float64Var(&c.search.Precision, "precision", c.search.Precision, "how near, relative to each other, the load that is carried and the one that is not must come")
	f.DurationVar(&c.search.Step, "step", 0, "measure each run for this long; 0 is the scenario's time, from 5s to 20s")
	f.DurationVar(&c.search.WarmUp, "warm-up", 0, "warm up each run for this long; 0 is the scenario's warm-up, from 2s to 10s")
	f.DurationVar(&c.search.Rest, "rest", c.search.Rest, "pause after a run with refusals for a rate limit (429), of which it used up a minute's worth; 0 pauses never")
	f.IntVar(&c.search.Repeats, "repeats", c.search.Repeats, "run one load at most so often")
	f.DurationVar(&c.search.MaxTime, "max-time", c.search.MaxTime, "begin no run that would end after this")
	f.Float64Var(&c.server.timeScale, "time-scale", c.server.timeScale, "multiply every time of the scenario and the objectives by this; the report says so")
	f.Uint64Var(&c.server.seed, "seed", c.server.seed, "start of the random choices; the same seed makes the same ones")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sc, err := findScenario(args[0])
		if err := errors.Join(err, a.load(cmd, s, nil), c.server.validate(), c.objectives(), c.server.checkScale(sc)); err != nil {
			return usageError{err}
		}
		c.search.Scenario = sc
		if err := c.search.Validate(); err != nil {
			return usageError{err}
		}
		return a.runCapacity(cmd.Context(), &c)
	}
	return cmd
}

// objectives reads the flags --slo.
func (c *capacitySettings) objectives() error {
	var faults []error
	for _, text := range c.slo {
		slo, err := loadtest.ParseSLO(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--slo: %w", err))
			continue
		}
		c.search.SLO = append(c.search.SLO, slo)
	}
	return errors.Join(faults...)
}

func (a *app) runCapacity(ctx context.Context, c *capacitySettings) (err error) {
	if err := c.server.checkFiles(); err != nil {
		return err
	}
	cfg := c.search
	cfg.Target, cfg.AdminURL, cfg.Seed, cfg.TimeScale = c.server.target, c.server.admin, c.server.seed, c.server.timeScale
	cfg.Version, cfg.Logger, cfg.Shared = buildVersion(), a.logger(), c.server.spawn
	if c.server.spawn {
		spawned, spawnErr := a.spawn(ctx, cfg.Scenario, cfg.TimeScale)
		if spawnErr != nil {
			return spawnErr
		}
		defer func() {
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
			defer cancel()
			err = errors.Join(err, spawned.Stop(stopCtx))
		}()
		cfg.Target, cfg.AdminURL, cfg.ServerPID = spawned.PublicURL, spawned.AdminURL, spawned.PID
	}
	var endProgress func()
	cfg.Progress, endProgress = a.capacityProgress(c.server.quiet)
	a.lean()
	result, err := loadtest.Capacity(ctx, cfg)
	endProgress()
	if err != nil {
		return err
	}
	report := result.Report()
	if err := errors.Join(a.writeFiles(&c.server.resultFiles, report, result), a.writeReport(a.stdout, report, c.server.format)); err != nil {
		return err
	}
	return errOf(result.Verdict)
}

// capacityProgress draws how a search goes: a bar of its time.
func (a *app) capacityProgress(quiet bool) (show func(loadtest.CapacityProgress), end func()) {
	draw, end := a.progressBar(quiet, "capacity", "starting")
	if draw == nil {
		return nil, end
	}
	return func(p loadtest.CapacityProgress) {
		draw(capacityLine(p), min(p.Elapsed, p.MaxTime).Milliseconds(), p.MaxTime.Milliseconds())
	}, end
}

// capacityLine is what stands behind the bar.
func capacityLine(p loadtest.CapacityProgress) string {
	line := fmt.Sprintf("run %d: %g %s  %s  %.0f/s  p95 %s  errors %.1f %%", p.Runs+1, p.Load, p.Unit, p.Current.State,
		rate(p.Current.Window), milliseconds(p.Current.Window.P95MS), p.Current.ErrorRate)
	if p.Carried > 0 {
		line += fmt.Sprintf("  holds at %g", p.Carried)
	}
	if p.Broken > 0 {
		line += fmt.Sprintf("  broken at %g", p.Broken)
	}
	return line
}
