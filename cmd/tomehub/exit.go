package main

import (
	"context"
	"errors"
	"strings"

	"github.com/tomehub/tomehub/internal/supervisor"
	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
	"github.com/tomehub/tomehub/server"
)

// Exit codes. Scripts, CI and supervisors rely on them.
const (
	exitOK           = 0
	exitError        = 1
	exitUsage        = 2  // wrong flag, argument or setting: nothing was started
	exitCheckFailed  = 3  // a check of a load test failed
	exitInconclusive = 4  // a load test could not be judged: never taken for a pass
	exitRestart      = 75 // EX_TEMPFAIL of sysexits.h: the supervisor shall start the server again
)

// usageError is a wrong command line or configuration.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

var (
	errCheckFailed  = errors.New("a check failed")
	errInconclusive = errors.New("the run is inconclusive")
	errRegressed    = errors.New("something regressed")
	errUntold       = errors.New("whether something regressed cannot be told")
)

// errOf is the error that a command which judges ends with.
func errOf(v reports.Verdict) error {
	switch v {
	case reports.Pass:
		return nil
	case reports.Fail:
		return errCheckFailed
	case reports.Inconclusive:
	}
	return errInconclusive
}

// errOfChecks is errOf a load test's checks, and nil when it has none.
func errOfChecks(r *loadtest.Result) error {
	if !r.Judged {
		return nil
	}
	return errOf(r.Verdict)
}

// errOfRun is the worse of what the checks and, unless it is nil, the comparison with a baseline came to; of two equally bad
// ones that of the checks.
func errOfRun(r *loadtest.Result, c *loadtest.Comparison) error {
	checks := errOfChecks(r)
	switch {
	case c == nil, errors.Is(checks, errCheckFailed):
		return checks
	case c.Verdict == reports.Fail, checks == nil:
		return judged(c)
	}
	return checks
}

// exitCode is the only map from errors to exit codes.
func exitCode(err error) int {
	var usage usageError
	var passedOn supervisor.ExitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), isCobraUsage(err):
		return exitUsage
	case errors.As(err, &passedOn):
		return passedOn.Code
	case errors.Is(err, errCheckFailed), errors.Is(err, errRegressed):
		return exitCheckFailed
	case errors.Is(err, errInconclusive), errors.Is(err, errUntold):
		return exitInconclusive
	case errors.Is(err, server.ErrRestart):
		return exitRestart
	case errors.Is(err, context.Canceled):
		return exitError
	}
	return exitError
}

// isCobraUsage tells the one usage error that cobra neither types nor lets us wrap.
func isCobraUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command ")
}
