//go:build !unix

package main

import (
	"context"
	"log/slog"
)

// watchSignals does nothing where there is no SIGUSR1; the admin listener changes the level.
func (a *app) watchSignals(context.Context, *slog.Logger) (stop func()) { return func() {} }
