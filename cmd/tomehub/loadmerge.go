package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/loadtest"
)

func (a *app) newLoadtestMergeCommand() *cobra.Command {
	d := delivery{format: "text"}
	cmd := &cobra.Command{
		Use:   "merge FILE FILE...",
		Short: "Make one result of those of several load generators",
		Long: `Merge the results of several generators that ran one scenario at the same time against one
server, each on a machine of its own: counts are added, percentiles are of all requests together
(from the histograms in the results, within 0.1 % of the exact ones), the checks are judged anew on
the whole load. Each generator runs 'tomehub loadtest run SCENARIO --worker 2/4' with the same
scenario, seed and time scale; the shares of all workers are exactly the scenario's users or
arrivals. Start them together, and keep the machines' clocks together (NTP).

It is an error when the results do not belong together, or a worker is there twice. A worker that is
missing, or times that hardly overlap, cost the pass: the load was less than the scenario's.

Exit code 0 when all checks passed, 3 when one failed, 4 when the run cannot be judged.`,
		Example: `  tomehub loadtest run checkpoint-b --target http://10.0.0.5:5001 --worker 1/2 --out 1.json   # on one machine
  tomehub loadtest run checkpoint-b --target http://10.0.0.5:5001 --worker 2/2 --out 2.json   # on another
  tomehub loadtest merge 1.json 2.json --out both.json
  tomehub loadtest merge worker-*.json --format html > report.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{fmt.Errorf("loadtest merge wants the results of two or more generators, got %d (see 'tomehub loadtest merge --help')", len(args))}
			}
			return nil
		},
	}
	s := &settings{flags: cmd.Flags()}
	d.addAll(s)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.load(cmd, s, nil); err != nil {
			return err
		}
		return a.mergeResults(args, &d)
	}
	return cmd
}

func (a *app) mergeResults(names []string, d *delivery) error {
	var parts []loadtest.Part
	var faults []error
	for _, name := range names {
		r, err := readSaved(name)
		parts, faults = append(parts, loadtest.Part{Name: name, Result: r}), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	if err := d.checkAll(); err != nil {
		return err
	}
	result, err := loadtest.Merge(parts)
	if err != nil {
		return usageError{err}
	}
	report := result.Report()
	if err := a.deliver(result, d, &report, result.Target); err != nil {
		return err
	}
	return errOfChecks(result)
}

// readSaved reads a result from a file.
func readSaved(file string) (*loadtest.Result, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	defer f.Close()
	return loadtest.ReadSaved(file, f)
}

func (a *app) newLoadtestReportCommand() *cobra.Command {
	format, metrics := "text", ""
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Print a saved result again, in any format",
		Long: `Print the report of a saved result: of 'tomehub loadtest run --out' or '--format json', of 'loadtest
merge --out', or a file of results of vegeta ('vegeta attack > results.bin', or 'vegeta encode' to
JSON or CSV). What a file is, is told by its first bytes. It exits with 0 whatever the verdict was.`,
		Example: `  tomehub loadtest report result.json
  tomehub loadtest report result.json --format html > report.html
  echo 'GET http://127.0.0.1:5001/api/health/live' | vegeta attack -duration 5s > results.bin
  tomehub loadtest report results.bin --format markdown`,
		Args: oneArg("a file with a result"),
	}
	s := &settings{flags: cmd.Flags()}
	s.add(choiceValue{&format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	s.add(textValue{&metrics}, "prometheus-out", "TOMEHUB_LOADTEST_PROMETHEUS_OUT", "file to write the result's figures to as metrics of Prometheus")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(a.load(cmd, s, nil), checkNamed([]namedFile{{"--prometheus-out", metrics}})); err != nil {
			return err
		}
		result, err := readSaved(args[0])
		if err != nil {
			return usageError{err}
		}
		if err := writePrometheus(metrics, result); err != nil {
			return err
		}
		return a.writeReport(a.stdout, result.Report(), format)
	}
	return cmd
}
