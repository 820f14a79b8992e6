//go:build !unix

package main

import (
	"context"
	"log/slog"

	"github.com/tomehub/tomehub/internal/supervisor"
)

// watchSignals does nothing where there is no SIGUSR1; the admin listener changes the level.
func (a *app) watchSignals(context.Context, *slog.Logger) (stop func()) { return func() {} }

// watchSupervisor has nothing to watch: there is no supervisor without a Unix.
func watchSupervisor(context.Context, *supervisor.Supervisor) (stop func()) { return func() {} }
