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
	duration           time.Duration
	top                int
	fullText, variants bool
	lifetime, force    bool
	oracleSettings
}

func (a *app) newProfileCommand() *cobra.Command {
	c := profileSettings{url: "http://127.0.0.1:5002", rank: string(profiler.ByElapsed), format: "text", duration: profiler.DefaultDuration, top: profiler.DefaultTop}
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Report which SQL statements took the time",
		Long: `Take two snapshots of statement statistics, --duration apart, and report the difference: what was
executed in that window, how often, and how long it took. Interrupting it (Ctrl-C) reports the shorter window.

With DB_DSN the statistics are those of that Oracle database, of all that it ran, from v$sqlstats_plan_hash or
another view that DB_USER may read; docs/oracle.md has the grants. Only SELECTs over v$ views are sent. With --url, or
without either, they are those of a running tomehub, of what it asked its own library.

--save keeps one snapshot in a file; --from and --to report the difference of two such files. --lifetime reports
one snapshot: what was counted since each statement was first seen.`,
		Example: `  tomehub profile --url http://127.0.0.1:5002 --duration 10s --top 20
  DB_DSN=db:1521/FREEPDB1 DB_USER=tomehub DB_PASSWORD_FILE=/run/secrets/db tomehub profile --view 'v$sql'
  tomehub profile --save before.json; sleep 3600; tomehub profile --save after.json
  tomehub profile --from before.json --to after.json --rank executions`,
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
	s.add(boolValue{&c.force}, "force", "TOMEHUB_PROFILE_FORCE", "take a window on Oracle that is shorter than 6s, though its counters move every 5s only")
	c.oracleSettings.register(s)
	s.add(boolValue{&c.lifetime}, "lifetime", "TOMEHUB_PROFILE_LIFETIME", "report one snapshot, and what it counts since each statement was first seen")
	cmd.Flags().StringVar(&c.save, "save", "", "take one snapshot, write it to this file, and exit")
	cmd.Flags().StringVar(&c.from, "from", "", "earlier snapshot, written by --save")
	cmd.Flags().StringVar(&c.to, "to", "", "later snapshot, written by --save")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := a.load(cmd, s, nil)
		if (c.from == "") != (c.to == "") {
			err = errors.Join(err, errors.New("--from and --to go together"))
		}
		if c.save != "" && (c.from != "" || c.lifetime) { // cobra's own check would end with 1
			err = errors.Join(err, errors.New("--save takes one snapshot: give it without --from, --to and --lifetime"))
		}
		err = errors.Join(err, c.choose(s, c.from != ""))
		if err != nil {
			return usageError{err}
		}
		if c.save != "" {
			return a.saveSnapshot(cmd.Context(), &c)
		}
		p, err := a.profile(cmd.Context(), &c)
		if err != nil {
			return err
		}
		return a.writeReport(a.stdout, p.Report(), c.format)
	}
	return cmd
}

func (a *app) profile(ctx context.Context, c *profileSettings) (*profiler.Profile, error) {
	opt := profiler.Options{Duration: c.duration, Top: c.top, Rank: profiler.Rank(c.rank), FullText: c.fullText, Variants: c.variants, Force: c.force, Lifetime: c.lifetime}
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
	if c.lifetime {
		fmt.Fprintf(a.stderr, "Reading what %s has counted so far.\n", src.Name())
	} else {
		fmt.Fprintf(a.stderr, "Profiling %s for %s. Ctrl-C reports what was seen until then.\n", src.Name(), printDuration(c.duration))
	}
	p, err := profiler.Run(ctx, src, opt)
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
