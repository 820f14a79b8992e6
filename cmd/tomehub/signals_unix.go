//go:build unix

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/tomehub/tomehub/internal/supervisor"
)

// watchSignals lets SIGUSR1 switch debug logging on and off while the server runs. The
// function returned ends the watch and waits for it.
func (a *app) watchSignals(ctx context.Context, logger *slog.Logger) (stop func()) {
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, syscall.SIGUSR1)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	normal := a.level.Level()
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-usr1:
				if a.level.Level() == slog.LevelDebug {
					a.level.Set(max(normal, slog.LevelInfo))
				} else {
					normal = a.level.Level()
					a.level.Set(slog.LevelDebug)
				}
				logger.Log(ctx, max(a.level.Level(), slog.LevelInfo), "log level changed", "level", a.level.Level().String(), "by", "SIGUSR1")
			}
		}
	}()
	return func() {
		signal.Stop(usr1)
		cancel()
		<-done
	}
}

// watchSupervisor lets SIGHUP start a fresh worker, and passes SIGUSR1 on to the one that serves. The function
// returned ends the watch and waits for it.
func watchSupervisor(ctx context.Context, sup *supervisor.Supervisor) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case sig := <-signals:
				if sig == syscall.SIGHUP {
					sup.HandOver()
				} else {
					sup.Forward(sig)
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}
