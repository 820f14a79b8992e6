package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/scenarios"
)

// checkpoints are the names that `tomehub loadtest checkpoint` takes, in the order of the plan; "checkpoint-" before
// them gives the scenario.
var checkpoints = []string{"before", "a", "b", "c", "d", "beyond"}

// comparedWithBefore are those of which the plan tells improvements: they bring "before" with them.
var comparedWithBefore = []string{"a", "b"}

// checkpointSettings are the settings of `tomehub loadtest checkpoint`.
type checkpointSettings struct {
	resultFiles
	prometheus prometheusSettings
	format     string
	quiet      bool
	timeScale  float64
	seed       uint64
}

func (a *app) newLoadtestCheckpointCommand() *cobra.Command {
	c := checkpointSettings{format: "text", timeScale: 1, seed: 1}
	cmd := &cobra.Command{
		Use:   "checkpoint all|" + strings.Join(checkpoints, "|") + " ...",
		Short: "Prove the phases of the plan on this machine",
		Long: `Run the plan's checkpoints, one after the other: each starts this program as its server, in its
phase and in the lab, sends it the plan's users, and judges what they and the server saw. One
table sets the plan's figures, what queueing theory expects and what was measured side by side.
a and b are compared with before, which runs first. --html writes a page that tells the same in
pictures, phase by phase; --out-dir leaves it, the result and its other forms in a directory.

In the lab every statement of the embedded library takes the time that the plan's own profile
shows, so this needs no database. With --prometheus the alert of the fault in d must fire there,
and end: docs/ci.md says how Prometheus learns of the server. all takes about seven minutes, with --time-scale 0.1 about
one. To test a real server, give a scenario to 'tomehub loadtest run --target'.

Exit code 0 when all checks passed, 3 when one failed, 4 when it cannot be judged (the machine
was too busy, or it was interrupted). Ctrl-C ends it and reports what was seen.`,
		Example: `  tomehub loadtest checkpoint all
  tomehub loadtest checkpoint all --time-scale 0.1 --quiet --out checkpoints.json
  tomehub loadtest checkpoint all --time-scale 0.1 --html checkpoints.html
  tomehub loadtest checkpoint a b --format markdown
  tomehub loadtest checkpoint d --prometheus http://127.0.0.1:9090 --prometheus-targets /etc/prometheus/loadtest/server.json`,
		Args: checkpointArgs,
	}
	s := &settings{flags: cmd.Flags()}
	c.addFiles(s)
	c.prometheus.add(s, "the servers that are started")
	s.add(choiceValue{&c.format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	s.add(boolValue{&c.quiet}, "quiet", "TOMEHUB_LOADTEST_QUIET", "show no progress")
	cmd.Flags().Float64Var(&c.timeScale, "time-scale", c.timeScale, "multiply every time, the server's too, by this; the report says so")
	cmd.Flags().Uint64Var(&c.seed, "seed", c.seed, "start of the random choices; the same seed makes the same ones")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := errors.Join(a.load(cmd, s, nil), c.prometheus.validate(true))
		if !(c.timeScale >= 0.01 && c.timeScale <= 1) {
			err = errors.Join(err, fmt.Errorf("--time-scale is %v: want 0.01 to 1", c.timeScale))
		}
		if err != nil {
			return usageError{err}
		}
		return a.runCheckpoints(cmd.Context(), &c, chosenCheckpoints(args))
	}
	return cmd
}

func checkpointArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("%s wants all, or some of %s (see 'tomehub loadtest checkpoint --help')", commandPath(cmd), strings.Join(checkpoints, ", "))}
	}
	for _, name := range args {
		if name != "all" && !slices.Contains(checkpoints, name) {
			return usageError{fmt.Errorf("there is no checkpoint %q: want all, or some of %s", name, strings.Join(checkpoints, ", "))}
		}
	}
	return nil
}

// chosenCheckpoints brings the names into the plan's order, with what they are compared with.
func chosenCheckpoints(names []string) []string {
	var chosen []string
	for _, c := range checkpoints {
		wanted := slices.Contains(names, "all") || slices.Contains(names, c)
		needed := c == "before" && slices.ContainsFunc(comparedWithBefore, func(n string) bool { return slices.Contains(names, n) })
		if wanted || needed {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

func (a *app) runCheckpoints(ctx context.Context, c *checkpointSettings, names []string) error {
	if err := errors.Join(c.checkFiles(), c.prometheus.check()); err != nil {
		return err
	}
	var list []*loadtest.Scenario
	for _, name := range names {
		sc, err := loadtest.Load(scenarios.FS, "checkpoint-"+name+".yaml")
		if err != nil {
			return err
		}
		list = append(list, sc)
	}
	progress, endProgress := a.checkpointProgress(c.quiet)
	a.lean()
	result, err := loadtest.RunCheckpoints(ctx, loadtest.CheckpointConfig{
		Scenarios: list, Start: a.hosts(&c.prometheus), PrometheusURL: c.prometheus.url, TimeScale: c.timeScale, Seed: c.seed, Version: buildVersion(),
		Logger: a.logger(), Progress: progress, TopStatements: topStatements,
	})
	endProgress()
	if result == nil {
		return err
	}
	report := result.Report()
	err = errors.Join(err, a.writeFiles(&c.resultFiles, report, result), a.writeReport(a.stdout, report, c.format))
	if err != nil {
		return err
	}
	return errOf(result.Verdict)
}

// hosts starts this program as the server of one checkpoint after the other, and tells a Prometheus of each.
func (a *app) hosts(p *prometheusSettings) func(context.Context, *loadtest.Scenario, float64) (*loadtest.Host, error) {
	return func(ctx context.Context, sc *loadtest.Scenario, timeScale float64) (*loadtest.Host, error) {
		spawned, err := a.spawn(ctx, sc, timeScale)
		if err != nil {
			return nil, err
		}
		retract, err := p.announce(spawned.AdminURL)
		if err != nil {
			return nil, errors.Join(err, spawned.Stop(context.WithoutCancel(ctx)))
		}
		return &loadtest.Host{Target: spawned.PublicURL, Admin: spawned.AdminURL, Stop: func(ctx context.Context) error {
			return errors.Join(retract(), spawned.Stop(ctx))
		}}, nil
	}
}

// checkpointProgress draws the checkpoint that runs, and wipes the one before.
func (a *app) checkpointProgress(quiet bool) (show func(name string, p loadtest.Progress), end func()) {
	current := ""
	var showOne func(loadtest.Progress)
	endOne := func() {}
	show = func(name string, p loadtest.Progress) {
		if name != current {
			endOne()
			current = name
			showOne, endOne = a.loadtestProgress(quiet, name)
		}
		if showOne != nil {
			showOne(p)
		}
	}
	return show, func() { endOne() }
}
