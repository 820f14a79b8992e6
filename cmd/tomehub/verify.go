package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/deploy"
	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// verifySettings are the settings of `tomehub loadtest verify`.
type verifySettings struct {
	target, admin string
	out, format   string
	phases        []string
	quiet         bool
}

func (a *app) newLoadtestVerifyCommand() *cobra.Command {
	c := verifySettings{format: "text"}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every line of the plan's validation checklists",
		Long: `Check every line of the plan's validation checklists, and tell in one table what was done, what was
seen, and how a line was read that cannot be taken at its word. Lines have the numbers of the
plan's tasks: A1.1 is the first line of task A1.

Without --target this program is started as the servers that the checks want, about a dozen, on
free ports and copies of a demo library, with settings that make the checks quick; all of it
takes about a minute. With --target only the lines that need no server of their own are run,
nothing is put into the library, and as many searches are sent as the rate limit takes.

The lines of phase D want the target's --admin. Dashboards and alerts (D2, D3) are those that came
with this program, held against what the server exports; that an alert fires takes a Prometheus.

Exit code 0 when all lines that count pass, 3 when one fails, 4 when one could not be judged.
Ctrl-C ends it and reports what was seen.`,
		Example: `  tomehub loadtest verify
  tomehub loadtest verify --phase A --format markdown
  tomehub loadtest verify --target http://127.0.0.1:5001 --admin http://127.0.0.1:5002`,
		Args: noArgs,
	}
	s := &settings{flags: cmd.Flags()}
	s.add(textValue{&c.target}, "target", "TOMEHUB_TARGET", "URL of a server that runs; empty starts this program as servers")
	s.add(textValue{&c.admin}, "admin", "TOMEHUB_LOADTEST_ADMIN", "URL of the target's admin listener")
	s.add(textValue{&c.out}, "out", "TOMEHUB_LOADTEST_OUT", "file to write the result to, as JSON")
	s.add(choiceValue{&c.format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	s.add(boolValue{&c.quiet}, "quiet", "TOMEHUB_LOADTEST_QUIET", "show no progress")
	cmd.Flags().StringSliceVar(&c.phases, "phase", nil, "check the lines of these phases alone: some of A, B, C, D")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(a.load(cmd, s, nil), c.validate()); err != nil {
			return usageError{err}
		}
		return a.runVerify(cmd.Context(), &c)
	}
	return cmd
}

func (c *verifySettings) validate() error {
	var faults []error
	for _, p := range c.phases {
		if !slices.Contains([]string{"A", "B", "C", "D"}, strings.ToUpper(p)) {
			faults = append(faults, fmt.Errorf("--phase %q is none: want some of A, B, C, D", p))
		}
	}
	faults = append(faults, checkURL("--target", c.target, "http://127.0.0.1:5001"), checkURL("--admin", c.admin, "http://127.0.0.1:5002"))
	if c.admin != "" && c.target == "" {
		faults = append(faults, errors.New("--admin goes with --target: the admin listeners of servers started here are known"))
	}
	return errors.Join(faults...)
}

func (a *app) runVerify(ctx context.Context, c *verifySettings) error {
	if c.out != "" {
		if err := checkOut(c.out); err != nil {
			return err
		}
	}
	cfg := loadtest.VerifyConfig{
		Phases: c.phases, Target: c.target, Admin: c.admin, TopStatements: topStatements, Explain: explainEmbedded, Deploy: deploy.FS, Version: buildVersion(), Logger: a.logger(),
	}
	if c.target == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program, to start it as the server: %w", err)
		}
		cfg.Binary = self
	}
	show, end := a.verifyProgress(c.quiet)
	cfg.Progress = show
	a.lean()
	result, err := loadtest.Verify(ctx, cfg)
	end()
	if err != nil {
		return err
	}
	if c.out != "" {
		if err := writeResult(c.out, result); err != nil {
			return err
		}
	}
	if err := a.writeReport(a.stdout, result.Report(c.format == string(reports.JUnit)), c.format); err != nil {
		return err
	}
	return errOf(result.Verdict)
}

// verifyProgress draws how many lines are checked.
func (a *app) verifyProgress(quiet bool) (show func(loadtest.VerifyProgress), end func()) {
	draw, end := a.progressBar(quiet, "verify", "making a library")
	if draw == nil {
		return nil, end
	}
	return func(p loadtest.VerifyProgress) {
		draw(fmt.Sprintf("%d/%d lines, %d failed, last %s", p.Done, p.Total, p.Failed, p.ID), int64(p.Done), int64(p.Total))
	}, end
}
