package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
	"github.com/tomehub/tomehub/scenarios"
)

func (a *app) newLoadtestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "loadtest",
		Short: "Send users to a server and judge what they saw",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("loadtest wants a command: run, compare, checkpoint, verify, capacity, merge, report, import, list, show or validate (see 'tomehub loadtest --help')")}
		},
	}
	cmd.AddCommand(a.newLoadtestMergeCommand(), a.newLoadtestReportCommand(), a.newLoadtestImportCommand())
	cmd.AddCommand(a.newLoadtestRunCommand(), a.newLoadtestCheckpointCommand(), a.newLoadtestVerifyCommand(), a.newLoadtestListCommand(), a.newLoadtestShowCommand(), a.newLoadtestValidateCommand())
	cmd.AddCommand(a.newLoadtestCapacityCommand())
	cmd.AddCommand(a.newLoadtestCompareCommand())
	return cmd
}

// oneArg demands exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s wants %s, got %d arguments (see 'tomehub %[1]s --help')", commandPath(cmd), what, len(args))}
		}
		return nil
	}
}

// loadtestSettings are the settings of `tomehub loadtest run`.
type loadtestSettings struct {
	target, admin string
	delivery
	vegetaOut    string
	prometheus   prometheusSettings
	spawn, quiet bool
	timeScale    float64
	duration     time.Duration
	seed         uint64
	worker       string
	share        loadtest.Worker // worker, read
	baseline     baseline
}

func (a *app) newLoadtestRunCommand() *cobra.Command {
	c := loadtestSettings{delivery: delivery{format: "text"}, timeScale: 1, seed: 1}
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario and judge it",
		Long: `Run a scenario: one that comes with tomehub (see 'tomehub loadtest list'), or a file of your own.
It needs a server: --target names one that runs, --spawn starts this program as the server,
on free ports and a temporary demo library, in the phase that the scenario wants.

The report goes to standard output in the form that --format says. --html and --out-dir keep it as
files as well, whatever the verdict: a page to look at, and all that a CI job wants to keep.

Exit code 0 when all checks passed, 3 when one failed, 4 when the run cannot be judged (the
generator was the bottleneck, or too little was seen). Ctrl-C ends it and reports what was seen.`,
		Example: `  tomehub loadtest run checkpoint-a --spawn
  tomehub loadtest run checkpoint-a --target http://127.0.0.1:5001 --out result.json
  tomehub loadtest run my-scenario.yaml --target http://127.0.0.1:8080 --format junit > junit.xml
  tomehub loadtest run my-scenario.yaml --target http://127.0.0.1:8080 --baseline result.json
  tomehub loadtest run checkpoint-d --target http://127.0.0.1:5001 --admin http://127.0.0.1:5002 --prometheus http://127.0.0.1:9090
  tomehub loadtest run checkpoint-d --spawn --prometheus http://127.0.0.1:9090 --prometheus-targets /etc/prometheus/loadtest/server.json
  tomehub loadtest run checkpoint-c --spawn --html report.html
  tomehub loadtest run checkpoint-c --spawn --quiet --out-dir loadtest-result`,
		Args: oneArg("a scenario"),
	}
	s := &settings{flags: cmd.Flags()}
	s.add(textValue{&c.target}, "target", "TOMEHUB_TARGET", "URL of the server to send the users to")
	s.add(textValue{&c.admin}, "admin", "TOMEHUB_LOADTEST_ADMIN", "URL of the target's admin listener, which tells requests and statements as the server counts them")
	c.prometheus.add(s, "the server's admin listener")
	c.addAll(s)
	s.add(textValue{&c.vegetaOut}, "vegeta-out", "TOMEHUB_LOADTEST_VEGETA_OUT", "file to write each measured request to as a result of vegeta, for 'vegeta report' and its kin")
	s.add(boolValue{&c.quiet}, "quiet", "TOMEHUB_LOADTEST_QUIET", "show no progress")
	cmd.Flags().BoolVar(&c.spawn, "spawn", false, "start this program as the server")
	cmd.Flags().Float64Var(&c.timeScale, "time-scale", c.timeScale, "multiply every time of the scenario by this; the report says so")
	cmd.Flags().DurationVar(&c.duration, "duration", 0, "measure for this long instead of the scenario's own time")
	cmd.Flags().Uint64Var(&c.seed, "seed", c.seed, "start of the random choices; the same seed makes the same ones")
	cmd.Flags().StringVar(&c.worker, "worker", "", "take a share of the users or arrivals: 2/4 is the second of four generators (see 'tomehub loadtest merge')")
	c.baseline.addFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sc, err := findScenario(args[0])
		if err == nil {
			err = c.baseline.load(sc.Name)
		}
		if err := errors.Join(err, a.load(cmd, s, nil), c.validate(), c.checkScale(sc)); err != nil {
			return usageError{err}
		}
		return a.runLoadtest(cmd.Context(), &c, sc)
	}
	return cmd
}

func (c *loadtestSettings) validate() error {
	var faults []error
	if (c.target == "") == !c.spawn {
		faults = append(faults, errors.New("want a server: either --target URL or --spawn"))
	}
	faults = append(faults, checkURL("--target", c.target, "http://127.0.0.1:5001"), checkURL("--admin", c.admin, "http://127.0.0.1:5002"))
	faults = append(faults, c.prometheus.validate(c.spawn))
	if c.prometheus.url != "" && !c.spawn && c.admin == "" {
		faults = append(faults, errors.New("--prometheus goes with --admin: Prometheus must read that listener of the server"))
	}
	if c.admin != "" && c.spawn {
		faults = append(faults, errors.New("--admin goes with --target: the admin listener of a server that --spawn starts is known"))
	}
	if !(c.timeScale >= 0.01 && c.timeScale <= 10) {
		faults = append(faults, fmt.Errorf("--time-scale is %v: want 0.01 to 10", c.timeScale))
	}
	if c.worker != "" {
		var err error
		if c.share, err = loadtest.ParseWorker(c.worker); err != nil {
			faults = append(faults, fmt.Errorf("--worker: %w", err))
		}
		if c.spawn {
			faults = append(faults, errors.New("--worker goes with --target: several generators share one server, which none of them starts"))
		}
	}
	return errors.Join(faults...)
}

// checkScale refuses a time scale that the server of a scenario, nil when there is none, cannot follow.
func (c *loadtestSettings) checkScale(sc *loadtest.Scenario) error {
	if sc == nil || !c.spawn || sc.Server.Lab == nil || c.timeScale <= 1 {
		return nil
	}
	return fmt.Errorf("--time-scale is %v: the lab of this scenario's server only shrinks its times, want at most 1 with --spawn", c.timeScale)
}

// findScenario takes a path to a file (it has a slash or ends in .yaml), or the name of a scenario that comes with us.
func findScenario(name string) (*loadtest.Scenario, error) {
	if strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		return loadtest.Load(os.DirFS(filepath.Dir(name)), filepath.Base(name))
	}
	sc, err := loadtest.Load(scenarios.FS, name+".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no scenario %q comes with tomehub: see 'tomehub loadtest list', or give the path of a file (./%[1]s.yaml)", name)
	}
	return sc, err
}

func (a *app) runLoadtest(ctx context.Context, c *loadtestSettings, sc *loadtest.Scenario) (err error) {
	if err := errors.Join(c.checkAll(namedFile{"--vegeta-out", c.vegetaOut}), c.prometheus.check()); err != nil {
		return err
	}
	ran := false
	var vegetaOut io.Writer
	if c.vegetaOut != "" {
		stream, openErr := newOutStream(c.vegetaOut, "--vegeta-out")
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, stream.close(ran)) }()
		vegetaOut = stream
	}
	target, admin := c.target, c.admin
	if c.spawn {
		spawned, spawnErr := a.spawn(ctx, sc, c.timeScale)
		if spawnErr != nil {
			return spawnErr
		}
		defer func() {
			// The run may have ended because ctx did; the server is stopped all the same, in its own time.
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 40*time.Second)
			defer cancel()
			err = errors.Join(err, spawned.Stop(stopCtx))
		}()
		target, admin = spawned.PublicURL, spawned.AdminURL
		retract, announceErr := c.prometheus.announce(admin)
		if announceErr != nil {
			return announceErr
		}
		defer func() { err = errors.Join(err, retract()) }()
	}
	progress, endProgress := a.loadtestProgress(c.quiet, sc.Name)
	a.lean()
	result, err := loadtest.Run(ctx, loadtest.Config{
		Scenario: sc, Target: target, TimeScale: c.timeScale, Seed: c.seed, Duration: c.duration, Version: buildVersion(),
		Logger: a.logger(), Progress: progress, AdminURL: admin, TopStatements: topStatements(admin),
		Shared: c.spawn, Worker: c.share, Vegeta: vegetaOut, PrometheusURL: c.prometheus.url,
	})
	endProgress()
	if ran = err == nil; !ran {
		return err
	}
	kind := target
	if c.spawn {
		kind = "spawned"
	}
	return a.concludeRun(c, result, kind)
}

// concludeRun writes the report and tells the exit code, of the checks first and then of the comparison with a baseline.
// A comparison that cannot be made does not cost the result. target is the kind of the server, for the history.
func (a *app) concludeRun(c *loadtestSettings, result *loadtest.Result, target string) error {
	report := result.Report()
	comparison, err := c.baseline.compare(result)
	if comparison != nil {
		report = comparison.Extend(report)
	}
	if err := errors.Join(err, a.deliver(result, &c.delivery, &report, target)); err != nil {
		return err
	}
	return errOfRun(result, comparison)
}

// spawn starts this program as the server that the scenario wants.
func (a *app) spawn(ctx context.Context, sc *loadtest.Scenario, timeScale float64) (*loadtest.Spawned, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start it as the server: %w", err)
	}
	return loadtest.Spawn(ctx, loadtest.SpawnConfig{
		Binary: self, Args: sc.Server.ServeArgs(timeScale), Answers: sc.Server.AnswersAt(timeScale), Logger: a.logger(),
	})
}

func (a *app) newLoadtestListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the scenarios that come with tomehub",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			list, err := loadtest.List(scenarios.FS)
			if err != nil {
				return err
			}
			t := reports.Table{Columns: []reports.Column{{Name: "Scenario"}, {Name: "What it proves"}, {Name: "Load"}, {Name: "Time"}}}
			for _, sc := range list {
				t.Rows = append(t.Rows, []string{sc.Name, sc.Title, sc.Load(), printDuration(sc.Total())})
			}
			return a.writeReport(a.stdout, reports.Report{Title: "Scenarios", Tables: []reports.Table{t}}, "text")
		},
	}
}

func (a *app) newLoadtestShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show SCENARIO",
		Short:   "Print the file of a scenario, to copy and change",
		Example: `  tomehub loadtest show checkpoint-a > mine.yaml`,
		Args:    oneArg("a scenario"),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := findScenario(args[0]); err != nil {
				return usageError{err}
			}
			data, err := fs.ReadFile(scenarios.FS, args[0]+".yaml")
			if err != nil {
				data, err = os.ReadFile(args[0])
			}
			if err == nil {
				_, err = a.stdout.Write(data)
			}
			return err
		},
	}
}

func (a *app) newLoadtestValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check scenario files; every fault is told with file and line",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("loadtest validate wants at least one file")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var faults []error
			for _, name := range args {
				sc, err := findScenario(name)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				fmt.Fprintf(a.stdout, "%s: good (%s, %s)\n", name, sc.Load(), printDuration(sc.Total()))
			}
			if err := errors.Join(faults...); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
}
