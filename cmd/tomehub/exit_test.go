package main

import (
	"errors"
	"testing"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

func TestErrOfRun(t *testing.T) {
	f := func(why string, r loadtest.Result, c *loadtest.Comparison, want error, code int) {
		t.Helper()
		if got := errOfRun(&r, c); !errors.Is(got, want) || exitCode(got) != code {
			t.Errorf("%s: %v with code %d, want %v with %d", why, got, exitCode(got), want, code)
		}
	}
	checks := func(v reports.Verdict) loadtest.Result { return loadtest.Result{Judged: true, Verdict: v} }
	with := func(v reports.Verdict) *loadtest.Comparison { return &loadtest.Comparison{Verdict: v} }
	f("neither", loadtest.Result{}, nil, nil, exitOK)
	f("checks that hold", checks(reports.Pass), nil, nil, exitOK)
	f("a check that failed", checks(reports.Fail), nil, errCheckFailed, exitCheckFailed)
	f("checks that cannot be judged", checks(reports.Inconclusive), nil, errInconclusive, exitInconclusive)
	f("a baseline alone", loadtest.Result{}, with(reports.Pass), nil, exitOK)
	f("a baseline alone that is missed", loadtest.Result{}, with(reports.Fail), errRegressed, exitCheckFailed)
	f("a baseline alone, and nothing to be told", loadtest.Result{}, with(reports.Inconclusive), errUntold, exitInconclusive)
	f("the failed check is told first", checks(reports.Fail), with(reports.Fail), errCheckFailed, exitCheckFailed)
	f("a failed check is worse than what cannot be told", checks(reports.Fail), with(reports.Inconclusive), errCheckFailed, exitCheckFailed)
	f("a regression is worse than checks that cannot be judged", checks(reports.Inconclusive), with(reports.Fail), errRegressed, exitCheckFailed)
	f("neither can be told", checks(reports.Inconclusive), with(reports.Inconclusive), errInconclusive, exitInconclusive)
	f("good beside the baseline is no pass", checks(reports.Inconclusive), with(reports.Pass), errInconclusive, exitInconclusive)
	f("checks hold, the baseline cannot be told", checks(reports.Pass), with(reports.Inconclusive), errUntold, exitInconclusive)
}
