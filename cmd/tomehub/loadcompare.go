package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// compareSettings are the settings of `tomehub loadtest compare`.
type compareSettings struct {
	resultFiles
	format  string
	options loadtest.CompareOptions
}

func (a *app) newLoadtestCompareCommand() *cobra.Command {
	c := compareSettings{format: "text"}
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER | BEFORE... -- AFTER...",
		Short: "Tell whether a run is slower than an earlier one, or only unlucky",
		Long: `Compare results of the same scenario, as 'tomehub loadtest run --out' wrote them: response times,
errors, goodput and, when both know the server, statements per request, of all requests and of
each step. Every change has an interval in which the truth lies; how much a run varies within
itself is seen from its windows, how much runs differ from each other from several runs on each
side. With one on each side that is assumed (--run-noise).

A metric has regressed when its interval does not reach 0 and the change is at least --min-effect.
Comparing the same with the same shows a change in at most 5 of 100 comparisons, whatever number
of metrics and steps there are, where runs differ by about --run-noise. Results of different scenarios are refused; where load, time scale
or machine differ nothing is judged, unless --force is given.

Exit code 0 when nothing regressed, 3 when something did, 4 when it cannot be told.`,
		Example: `  tomehub loadtest compare main.json branch.json
  tomehub loadtest compare --out change.json main-1.json main-2.json main-3.json -- branch-1.json branch-2.json branch-3.json
  tomehub loadtest compare main.json branch.json --min-effect 10 --format junit > junit.xml`,
		Args: compareArgs,
	}
	s := &settings{flags: cmd.Flags()}
	c.addFiles(s)
	s.add(choiceValue{&c.format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	addCompareFlags(cmd.Flags(), &c.options)
	cmd.Flags().BoolVar(&c.options.Force, "force", false, "compare what differs in scenario, load, time scale or machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(a.load(cmd, s, nil), c.options.Validate()); err != nil {
			return usageError{err}
		}
		before, after := sides(args, cmd.ArgsLenAtDash())
		return a.runCompare(&c, before, after)
	}
	return cmd
}

// addCompareFlags adds what says how large a change must be.
func addCompareFlags(flags *pflag.FlagSet, o *loadtest.CompareOptions) {
	flags.Float64Var(&o.MinEffect, "min-effect", 5, "smallest change that matters, in percent")
	flags.Float64Var(&o.MinErrors, "min-errors", 1, "smallest change of the error rate that matters, in percentage points")
	flags.Float64Var(&o.RunNoise, "run-noise", 2.5, "by how many percent the median differs between runs of the same thing, as a standard deviation, before several runs tell")
}

func compareArgs(cmd *cobra.Command, args []string) error {
	before, after := sides(args, cmd.ArgsLenAtDash())
	if len(before) == 0 || len(after) == 0 {
		return usageError{fmt.Errorf("%s wants two results, or several, with -- between those before and those after (see 'tomehub loadtest compare --help')", commandPath(cmd))}
	}
	for _, path := range after {
		if cmd.ArgsLenAtDash() >= 0 && strings.HasPrefix(path, "-") {
			return usageError{fmt.Errorf("behind -- there are results only: put %s before the first of them (a file of that name is ./%s)", path, path)}
		}
	}
	return nil
}

// sides parts the arguments at the dash; without one there must be two.
func sides(args []string, dash int) (before, after []string) {
	switch {
	case dash >= 0:
		return args[:dash], args[dash:]
	case len(args) == 2:
		return args[:1], args[1:]
	}
	return nil, nil
}

func (a *app) runCompare(c *compareSettings, before, after []string) error {
	if err := c.checkFiles(); err != nil {
		return err
	}
	then, errThen := loadResults(before)
	now, errNow := loadResults(after)
	if err := errors.Join(errThen, errNow); err != nil {
		return usageError{err}
	}
	comparison, err := loadtest.Compare(then, now, c.options)
	if err != nil {
		return compareFault(err)
	}
	report := comparison.Report()
	if err := errors.Join(a.writeFiles(&c.resultFiles, report, comparison), a.writeReport(a.stdout, report, c.format)); err != nil {
		return err
	}
	return judged(comparison)
}

// loadResults reads result files and tells every one that is none.
func loadResults(paths []string) ([]loadtest.NamedResult, error) {
	var list []loadtest.NamedResult
	var faults []error
	for _, path := range paths {
		r, err := loadtest.LoadResult(path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		list = append(list, loadtest.NamedResult{Name: path, Result: r})
	}
	return list, errors.Join(faults...)
}

// compareFault makes a usage error of files that cannot be compared.
func compareFault(err error) error {
	if errors.Is(err, loadtest.ErrNotComparable) || errors.Is(err, loadtest.ErrNotResult) {
		return usageError{err}
	}
	return err
}

// judged is the exit code of a comparison.
func judged(c *loadtest.Comparison) error {
	switch c.Verdict {
	case reports.Pass:
		return nil
	case reports.Fail:
		return errRegressed
	case reports.Inconclusive:
	}
	return errUntold
}

// A baseline is what a run is compared with, when it is asked for.
type baseline struct {
	files   []string
	options loadtest.CompareOptions
	results []loadtest.NamedResult
}

func (b *baseline) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&b.files, "baseline", nil, "result of an earlier run (--out) to compare this one with; several times for several runs")
	addCompareFlags(flags, &b.options)
}

// load reads the files before the run, so that a wrong one costs nobody the wait.
func (b *baseline) load(scenario string) error {
	faults := []error{b.options.Validate()}
	var err error
	b.results, err = loadResults(b.files)
	faults = append(faults, err)
	for _, r := range b.results {
		if r.Scenario != scenario {
			faults = append(faults, fmt.Errorf("--baseline %s is of scenario %s, this is %s", r.Name, r.Scenario, scenario))
		}
	}
	return errors.Join(faults...)
}

// compare is nil without a baseline.
func (b *baseline) compare(result *loadtest.Result) (*loadtest.Comparison, error) {
	if len(b.results) == 0 {
		return nil, nil
	}
	return loadtest.Compare(b.results, []loadtest.NamedResult{{Name: "this run", Result: result}}, b.options)
}
