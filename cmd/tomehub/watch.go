package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tomehub/tomehub/profiler"
	"github.com/tomehub/tomehub/reports"
)

// watchProfile shows what a source does, an interval after the other, until ctx ends or somebody leaves: as a live view on a
// terminal, as a plain repeating table into anything else.
func (a *app) watchProfile(ctx context.Context, src profiler.Source, cfg profiler.WatchConfig) error {
	if term, _ := a.lookup("TERM"); !isTerminal(a.stdout) || term == "dumb" {
		return a.watchPlain(ctx, src, cfg)
	}
	return a.watchLive(ctx, src, cfg)
}

// watchPlain writes a block per interval, each in one piece. It ends with the first block that cannot be written.
func (a *app) watchPlain(ctx context.Context, src profiler.Source, cfg profiler.WatchConfig) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := profiler.Watch(ctx, src, cfg, func(i profiler.Interval) {
		if _, err := a.stdout.Write(plainBlock(i)); err != nil {
			cancel(fmt.Errorf("write interval: %w", err))
		}
	})
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// plainBlock is one interval as text: nothing for the first snapshot, a line for one without a profile.
func plainBlock(i profiler.Interval) []byte {
	var b bytes.Buffer
	at := i.At.UTC().Format("2006-01-02 15:04:05Z")
	p := i.Profile
	switch {
	case i.Err != nil:
		fmt.Fprintf(&b, "%s  %s\n\n", at, reports.Line(watchTrouble(i), 0))
	case p != nil:
		fmt.Fprintf(&b, "%s  %.1f s  %d executions, %.1f/s  %.2f running at a time\n", at, p.WindowUS.Seconds(), p.Total.Executions, p.PerSecond(), p.Running())
		if len(p.Statements) > 0 {
			if err := p.Table(0, len(p.Statements)).WriteText(&b, reports.TextOptions{}); err != nil {
				fmt.Fprintf(&b, "%v\n", err)
			}
		}
		for _, f := range p.Findings {
			fmt.Fprintf(&b, "! %s\n", reports.Line(f.Title()+": "+f.Evidence, 0))
		}
		for _, w := range p.Warnings {
			fmt.Fprintf(&b, "? %s\n", reports.Line(w, 0))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// watchTrouble says why an interval has no profile.
func watchTrouble(i profiler.Interval) string {
	if errors.Is(i.Err, profiler.ErrRestarted) {
		return fmt.Sprintf("A new beginning: %v", i.Err)
	}
	return fmt.Sprintf("No figures, %d so far: %v", i.Sums.Failed, i.Err)
}

// watchLive draws the view. The terminal is as before when it returns, whatever ended it.
func (a *app) watchLive(ctx context.Context, src profiler.Source, cfg profiler.WatchConfig) error {
	var rank atomic.Pointer[profiler.Rank]
	rank.Store(&cfg.Options.Rank)
	cfg.Rank = func() profiler.Rank { return *rank.Load() }
	view := newWatchView(src, cfg, &rank)
	options := []tea.ProgramOption{tea.WithOutput(a.stdout), tea.WithoutSignalHandler()} // signals end ctx
	if isTerminal(a.stdin) {
		options = append(options, tea.WithInput(a.stdin))
	} else {
		options = append(options, tea.WithInput(nil))
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := make(chan struct{})
	ended := make(chan error, 1)
	program := tea.NewProgram(view, options...)
	go func() {
		first := true
		err := profiler.Watch(watching, src, cfg, func(i profiler.Interval) {
			if first { // the screen is taken once there is something to draw
				first = false
				close(begun)
			}
			program.Send(i)
		})
		ended <- err
		if !first { // it runs, or is about to
			program.Quit()
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-begun:
	}
	_, err := program.Run()
	cancel()
	err = errors.Join(<-ended, err)
	if err == nil && view.now.Sums.Reported > 0 { // the screen is gone; this stays
		fmt.Fprintln(a.stdout, watchSums(view.now.Sums))
	}
	return err
}

// watchSums is one line about the whole watch.
func watchSums(s profiler.Sums) string {
	line := fmt.Sprintf("since %s: intervals %d, executions %d", clock(s.Began), s.Reported, s.Total.Executions)
	if s.Window > 0 {
		line += fmt.Sprintf(", running %.2f", s.Total.Elapsed.Seconds()/s.Window.Seconds())
	}
	if s.Failed > 0 {
		line += fmt.Sprintf(", failed %d", s.Failed)
	}
	if s.Restarts > 0 {
		line += fmt.Sprintf(", restarts %d", s.Restarts)
	}
	return line
}

// clock is how the view writes a moment.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }
