package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tomehub/tomehub/profiler"
	"github.com/tomehub/tomehub/reports"
)

// combined finds flags that have no meaning together; what was meant is then anybody's guess.
func (c *profileSettings) combined(flags *pflag.FlagSet) error {
	var faults []error
	exclude := func(flag, why string, others ...string) {
		if !flags.Changed(flag) {
			return
		}
		for _, other := range others {
			if flags.Changed(other) {
				faults = append(faults, fmt.Errorf("--%s and --%s do not go together: %s", flag, other, why))
			}
		}
	}
	if (c.from == "") != (c.to == "") {
		faults = append(faults, errors.New("--from and --to go together"))
	}
	if flags.Changed("watch") && !c.watch {
		return errors.Join(faults...)
	}
	exclude("watch", "it goes on and on, for people to look at", "save", "from", "to", "lifetime", "compare", "out")
	if c.watch && flags.Changed("format") && c.format != string(reports.Text) {
		faults = append(faults, fmt.Errorf("--watch and --format %s do not go together: it goes on and on, for people to look at", c.format))
	}
	if flags.Changed("interval") && !c.watch {
		faults = append(faults, errors.New("--interval is between the snapshots of --watch; the time of a single window is --duration"))
	}
	exclude("save", "it takes one snapshot and reports nothing", "from", "to", "lifetime", "compare", "out", "duration")
	exclude("lifetime", "it is no window", "duration")
	exclude("from", "the window is that between the two files", "duration")
	return errors.Join(faults...)
}

// watchConfig is what the settings ask of a watch. --duration bounds it only when it was given: its default is that of a window.
func (c *profileSettings) watchConfig(flags *pflag.FlagSet) profiler.WatchConfig {
	cfg := profiler.WatchConfig{Options: c.options(), Interval: c.interval}
	if !flags.Changed("duration") {
		cfg.Duration = 0
	}
	return cfg
}

func (c *profileSettings) options() profiler.Options {
	return profiler.Options{
		Duration: c.duration, Top: c.top, Rank: profiler.Rank(c.rank), FullText: c.fullText, Variants: c.variants, Force: c.force, Lifetime: c.lifetime,
	}
}

// watched runs --watch.
func (a *app) watched(ctx context.Context, c *profileSettings, flags *pflag.FlagSet) error {
	cfg := c.watchConfig(flags)
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	src, end, err := c.source(ctx)
	if err != nil {
		return err
	}
	a.tell(c.quiet, "Watching %s every %s. Ctrl-C ends it.", src.Name(), printDuration(c.interval))
	return profileFault(errors.Join(a.watchProfile(ctx, src, cfg), end()))
}

// reported makes the report of one window, held against an earlier one when that is asked for.
func (a *app) reported(ctx context.Context, c *profileSettings) (reports.Report, error) {
	var then *profiler.Profile
	if c.compare != "" { // first, so that a wrong file costs nobody the wait
		var err error
		if then, err = profiler.LoadProfile(c.compare); err != nil {
			return reports.Report{}, fmt.Errorf("%w (--compare)", err)
		}
	}
	if c.out != "" {
		if err := checkOut(c.out); err != nil {
			return reports.Report{}, err
		}
	}
	p, err := a.profile(ctx, c)
	if err != nil {
		return reports.Report{}, err
	}
	if then == nil {
		return p.Report(), nil
	}
	comparison, err := profiler.Compare(then, p)
	if err != nil {
		return reports.Report{}, err
	}
	return comparison.Report(), nil
}

// put writes a report to --out, whole or not at all, or to standard output.
func (a *app) put(r reports.Report, c *profileSettings) error {
	if c.out == "" {
		return a.writeReport(a.stdout, r, c.format)
	}
	var body bytes.Buffer
	if err := a.writeReport(&body, r, c.format); err != nil {
		return err
	}
	if err := writeOut(c.out, body.Bytes(), 0o600); err != nil { // SQL may hold literals
		return err
	}
	a.tell(c.quiet, "Report written to %s.", c.out)
	return nil
}

// tell says something to whoever waits, unless --quiet.
func (a *app) tell(quiet bool, format string, args ...any) {
	if !quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// profileProgress counts a window down on a terminal, and does nothing into a pipe. The function end erases the bar and must be
// called before anything else is printed.
func (a *app) profileProgress(quiet bool, window time.Duration) (end func()) {
	if quiet || !isTerminal(a.stderr) {
		return func() {}
	}
	start := time.Now()
	bars := mpb.New(mpb.WithOutput(a.stderr), mpb.WithAutoRefresh())
	left := func(decor.Statistics) string {
		if rest := window - time.Since(start); rest > 0 {
			return fmt.Sprintf(" %s left", rest.Truncate(time.Second))
		}
		return " reading"
	}
	bar := bars.AddBar(window.Milliseconds(), mpb.BarRemoveOnComplete(), mpb.AppendDecorators(decor.Any(left)))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C: // a bar that is full would go away before the second snapshot is there
				bar.SetCurrent(min(time.Since(start), window-time.Millisecond).Milliseconds())
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
		bar.Abort(true)
		bars.Wait()
	}
}
