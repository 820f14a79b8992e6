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
	url, rank, format string
	save, from, to    string
	duration          time.Duration
	top               int
	fullText          bool
}

func (a *app) newProfileCommand() *cobra.Command {
	c := profileSettings{url: "http://127.0.0.1:5002", rank: string(profiler.ByElapsed), format: "text", duration: profiler.DefaultDuration, top: profiler.DefaultTop}
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Report which SQL statements took the time",
		Long: `Take two snapshots of a running server's statement statistics, --duration apart, and report
the difference: what was executed in that window, how often, and how long it took.
Interrupting it (Ctrl-C) reports the shorter window.

--save keeps one snapshot in a file; --from and --to report the difference of two such files.`,
		Example: `  tomehub profile --url http://127.0.0.1:5002 --duration 10s --top 20
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
	s.add(choiceValue{&c.format, formats}, "format", "TOMEHUB_PROFILE_FORMAT", "how the report is written")
	cmd.Flags().StringVar(&c.save, "save", "", "take one snapshot, write it to this file, and exit")
	cmd.Flags().StringVar(&c.from, "from", "", "earlier snapshot, written by --save")
	cmd.Flags().StringVar(&c.to, "to", "", "later snapshot, written by --save")
	cmd.MarkFlagsMutuallyExclusive("save", "from")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := a.load(cmd, s, nil)
		if (c.from == "") != (c.to == "") {
			err = errors.Join(err, errors.New("--from and --to go together"))
		}
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
	opt := profiler.Options{Duration: c.duration, Top: c.top, Rank: profiler.Rank(c.rank), FullText: c.fullText}
	if c.from != "" {
		before, err := profiler.LoadSnapshot(c.from)
		if err != nil {
			return nil, err
		}
		after, err := profiler.LoadSnapshot(c.to)
		if err != nil {
			return nil, err
		}
		return profiler.Between(before, after, opt)
	}
	src, err := profiler.NewServer(c.url, nil)
	if err != nil {
		return nil, usageError{err}
	}
	fmt.Fprintf(a.stderr, "Profiling %s for %s. Ctrl-C reports what was seen until then.\n", src.Name(), printDuration(c.duration))
	return profiler.Run(ctx, src, opt)
}

func (a *app) saveSnapshot(ctx context.Context, c *profileSettings) error {
	src, err := profiler.NewServer(c.url, nil)
	if err != nil {
		return usageError{err}
	}
	snapshot, err := src.Snapshot(ctx, nil)
	if err != nil {
		return err
	}
	if err := profiler.SaveSnapshot(c.save, snapshot); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d statements saved to %s\n", len(snapshot.Statements), c.save)
	return nil
}
