package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/profiler"
	"github.com/tomehub/tomehub/reports"
)

// profileSettings are the settings of `tomehub profile`.
type profileSettings struct {
	url, rank, format  string
	save, from, to     string
	compare, out       string
	duration           time.Duration
	interval           time.Duration
	top                int
	fullText, variants bool
	quiet              bool
	lifetime, force    bool
	watch              bool
	oracleSettings
}

func (a *app) newProfileCommand() *cobra.Command {
	c := profileSettings{
		url: "http://127.0.0.1:5002", rank: string(profiler.ByElapsed), format: "text",
		duration: profiler.DefaultDuration, interval: profiler.DefaultInterval, top: profiler.DefaultTop,
	}
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Report which SQL statements took the time",
		Long: `Take two snapshots of statement statistics, --duration apart, and report the difference: what was
executed in that window, how often, and how long it took. Interrupting it (Ctrl-C) reports the shorter window.

With DB_DSN the statistics are those of that Oracle database, of all that it ran, from v$sqlstats_plan_hash or
another view that DB_USER may read; docs/oracle.md has the grants. Only SELECTs over v$ views are sent. With --url, or
without either, they are those of a running tomehub, of what it asked its own library.

--save keeps one snapshot in a file; --from and --to report the difference of two such files. --lifetime reports
one snapshot: what was counted since each statement was first seen.

--watch shows the difference of each --interval until it is interrupted: a live view on a terminal, a plain repeating
table into a pipe. --compare holds the report against an earlier one, written with --format json.`,
		Example: `  tomehub profile --url http://127.0.0.1:5002 --duration 10s --top 20
  DB_DSN=db:1521/FREEPDB1 DB_USER=tomehub DB_PASSWORD_FILE=/run/secrets/db tomehub profile --view 'v$sql'
  tomehub profile --save before.json; sleep 3600; tomehub profile --save after.json
  tomehub profile --from before.json --to after.json --rank executions
  tomehub profile --watch --interval 5s
  tomehub profile --format json --out monday.json; tomehub profile --compare monday.json
  tomehub profile --format html --out profile.html`,
		Args: noArgs,
	}
	s := &settings{flags: cmd.Flags()}
	// JUnit tells what was checked, and a profile checks nothing.
	formats := slices.DeleteFunc(reportFormats(), func(f string) bool { return f == string(reports.JUnit) })
	s.add(textValue{&c.url}, "url", "TOMEHUB_PROFILE_URL", "admin listener of a running tomehub")
	s.add(durationValue{&c.duration, 100 * time.Millisecond, profiler.MaxDuration}, "duration", "TOMEHUB_PROFILE_DURATION", "time between the two snapshots")
	s.add(intValue{&c.top, 1, profiler.MaxTop}, "top", "TOMEHUB_PROFILE_TOP", "statements shown")
	s.add(choiceValue{&c.rank, words(profiler.Ranks())}, "rank", "TOMEHUB_PROFILE_RANK", "what the statements are ordered by")
	s.add(boolValue{&c.fullText}, "full-text", "TOMEHUB_PROFILE_FULL_TEXT", "show statements whole, not their first 60 characters")
	s.add(boolValue{&c.variants}, "variants", "TOMEHUB_PROFILE_VARIANTS", "show statements apart that differ in their literals alone; else they are one")
	s.add(choiceValue{&c.format, formats}, "format", "TOMEHUB_PROFILE_FORMAT", "how the report is written")
	s.add(textValue{&c.out}, "out", "TOMEHUB_PROFILE_OUT", "file to write the report to, instead of standard output; it appears whole or not at all")
	s.add(boolValue{&c.quiet}, "quiet", "TOMEHUB_PROFILE_QUIET", "say nothing but the report")
	s.add(durationValue{&c.interval, profiler.MinInterval, profiler.MaxInterval}, "interval", "TOMEHUB_PROFILE_INTERVAL", "time between two snapshots of --watch")
	s.add(boolValue{&c.force}, "force", "TOMEHUB_PROFILE_FORCE", "take a window on Oracle that is shorter than 6s, though its counters move every 5s only")
	c.oracleSettings.register(s)
	s.add(boolValue{&c.lifetime}, "lifetime", "TOMEHUB_PROFILE_LIFETIME", "report one snapshot, and what it counts since each statement was first seen")
	cmd.Flags().StringVar(&c.save, "save", "", "take one snapshot, write it to this file, and exit")
	cmd.Flags().StringVar(&c.from, "from", "", "earlier snapshot, written by --save")
	cmd.Flags().StringVar(&c.to, "to", "", "later snapshot, written by --save")
	cmd.Flags().BoolVar(&c.watch, "watch", false, "show every --interval what happened in it, until interrupted or for --duration")
	cmd.Flags().StringVar(&c.compare, "compare", "", "hold the report against an earlier one, written with --format json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(a.load(cmd, s, nil), c.combined(cmd.Flags()), c.choose(s, c.from != "")); err != nil {
			return usageError{err}
		}
		switch ctx := cmd.Context(); {
		case c.save != "":
			return a.saveSnapshot(ctx, &c)
		case c.watch:
			return a.watched(ctx, &c, cmd.Flags())
		default:
			r, err := a.reported(ctx, &c)
			if err != nil {
				return err
			}
			return a.put(r, &c)
		}
	}
	return cmd
}

func (a *app) profile(ctx context.Context, c *profileSettings) (*profiler.Profile, error) {
	opt := c.options()
	if c.from != "" {
		before, err := profiler.LoadSnapshot(c.from)
		if err != nil {
			return nil, err
		}
		after, err := profiler.LoadSnapshot(c.to)
		if err != nil {
			return nil, err
		}
		p, err := profiler.Between(before, after, opt)
		return p, profileFault(err)
	}
	src, end, err := c.source(ctx)
	if err != nil {
		return nil, err
	}
	endProgress := func() {}
	if c.lifetime {
		a.tell(c.quiet, "Reading what %s has counted so far.", src.Name())
	} else {
		a.tell(c.quiet, "Profiling %s for %s. Ctrl-C reports what was seen until then.", src.Name(), printDuration(c.duration))
		endProgress = a.profileProgress(c.quiet, c.duration)
	}
	p, err := profiler.Run(ctx, src, opt)
	endProgress()
	return p, profileFault(errors.Join(err, end()))
}

// profileFault tells what was asked wrongly from what went wrong.
func profileFault(err error) error {
	if errors.Is(err, profiler.ErrShort) || errors.Is(err, profiler.ErrRank) {
		return usageError{err}
	}
	return err
}

func (a *app) saveSnapshot(ctx context.Context, c *profileSettings) error {
	src, end, err := c.source(ctx)
	if err != nil {
		return err
	}
	start := time.Now()
	snapshot, err := src.Snapshot(ctx, nil)
	if err = errors.Join(err, end()); err != nil {
		return err
	}
	if err := profiler.SaveSnapshot(c.save, snapshot); err != nil {
		return err
	}
	for _, warning := range snapshot.Warnings {
		fmt.Fprintln(a.stderr, warning)
	}
	fmt.Fprintf(a.stdout, "%d statements saved to %s, within %s\n", len(snapshot.Statements), c.save, printDuration(time.Since(start).Round(time.Millisecond)))
	return nil
}
