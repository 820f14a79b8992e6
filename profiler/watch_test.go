package profiler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a source whose every snapshot a test writes. at counts them from 1.
type scripted struct {
	kind     Kind
	snapshot func(at int, since *Snapshot) (Snapshot, error)
	describe func() error
	took     time.Duration
	at       int
	sampled  int
}

func (s *scripted) Name() string { return "a script" }
func (s *scripted) Kind() Kind   { return s.kind }

func (s *scripted) Snapshot(ctx context.Context, since *Snapshot) (Snapshot, error) {
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		return Snapshot{}, ctx.Err()
	}
	s.at++
	snap, err := s.snapshot(s.at, since)
	snap.SchemaVersion, snap.Kind, snap.Now = 1, s.kind, time.Now()
	if snap.StartedAt.IsZero() {
		snap.StartedAt = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return snap, err
}

func (s *scripted) Sample(context.Context) (Sample, error) {
	s.sampled++
	return Sample{At: time.Now(), Active: []ActiveSession{{Class: OnCPU}}}, nil
}

func (s *scripted) Describe(context.Context, []Row) (map[string]Detail, []string, error) {
	if s.describe == nil {
		return nil, nil, nil
	}
	return nil, nil, s.describe()
}

func ran(id string, n int64) Statement {
	return Statement{SQLID: id, SQL: "SELECT " + id, Counters: Counters{Executions: n, Elapsed: Micros(n) * 1000}}
}

// watched runs a watch until it ends and tells what it showed, an entry per interval: the executions of each statement, or the error.
func watched(t *testing.T, ctx context.Context, src Source, cfg WatchConfig) (shown []string, all []Interval) {
	t.Helper()
	cfg.Top = 20
	err := Watch(ctx, src, cfg, func(i Interval) {
		all = append(all, i)
		switch {
		case i.Err != nil:
			shown = append(shown, "error")
		case i.Profile == nil:
			shown = append(shown, "baseline")
		default:
			var parts []string
			for _, r := range i.Profile.By(ByElapsed).Statements {
				parts = append(parts, fmt.Sprintf("%s %d%s", r.SQLID, r.Executions, strings.Join(spoken(r.States), "")))
			}
			slices.Sort(parts)
			shown = append(shown, fmt.Sprintf("%.1fs: %s", i.Profile.WindowUS.Seconds(), strings.Join(parts, ", ")))
		}
	})
	if err != nil {
		t.Errorf("watch ended with %v", err)
	}
	return shown, all
}

func spoken(states []State) []string {
	var list []string
	for _, s := range states {
		list = append(list, " "+string(s))
	}
	return list
}

func TestWatchTellsEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{took: time.Second, snapshot: func(at int, since *Snapshot) (Snapshot, error) {
			if (since == nil) != (at == 1) {
				t.Errorf("snapshot %d: since is %v", at, since)
			}
			return Snapshot{Statements: []Statement{ran("a", int64(at*at)), ran("b", 5)}}, nil
		}}
		start := time.Now()
		shown, all := watched(t, t.Context(), src, WatchConfig{Interval: 10 * time.Second, Options: Options{Duration: 35 * time.Second}})
		// What is left of the duration after three intervals is one more window, a shorter one.
		want := []string{"baseline", "10.0s: a 3", "10.0s: a 5", "10.0s: a 7", "5.0s: a 9"}
		if !slices.Equal(shown, want) {
			t.Errorf("showed %q, want %q", shown, want)
		}
		if took := time.Since(start); took != 36*time.Second {
			t.Errorf("took %v, want 35s and the last snapshot", took)
		}
		last := all[len(all)-1]
		if last.Sums.Reported != 4 || last.Sums.Total.Executions != 24 || last.Sums.Window != 35e6 || last.Sums.Failed != 0 || last.Sums.Began != start {
			t.Errorf("the sums are %+v", last.Sums)
		}
		// Snapshots begin 10 s apart, and 9 s of each are for samples; the 1 s ticker fires at the end of a wait or not.
		if a := all[1].Profile.Activity; a == nil || a.Samples < 8 || a.Samples > 10 {
			t.Errorf("activity of an interval: %+v", a)
		}
	})
}

func TestWatchGoesOnAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{snapshot: func(at int, _ *Snapshot) (Snapshot, error) {
			if at == 2 || at == 3 {
				return Snapshot{}, ErrUnreachable
			}
			return Snapshot{Statements: []Statement{ran("a", int64(10*at))}}, nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
		defer cancel()
		shown, all := watched(t, ctx, src, WatchConfig{Interval: 10 * time.Second})
		// Nothing of what ran while nobody could look gets lost.
		want := []string{"baseline", "error", "error", "30.0s: a 30", "10.0s: a 10"}
		if !slices.Equal(shown, want) {
			t.Errorf("showed %q, want %q", shown, want)
		}
		if s := all[len(all)-1].Sums; s.Failed != 2 || s.Restarts != 0 || s.Reported != 2 {
			t.Errorf("the sums are %+v", s)
		}
		if !errors.Is(all[1].Err, ErrUnreachable) {
			t.Errorf("the error is %v", all[1].Err)
		}
	})
}

func TestWatchBeginsAnewAfterRestart(t *testing.T) {
	f := func(kind Kind, want ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			restarted := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
			src := &scripted{kind: kind, snapshot: func(at int, since *Snapshot) (Snapshot, error) {
				s := Snapshot{Statements: []Statement{ran("a", int64(10*at))}}
				if at >= 3 {
					s.StartedAt, s.Statements[0] = restarted, ran("a", int64(at))
				}
				if kind == Oracle && since != nil {
					s.Since = since.Now
				}
				return s, nil
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
			defer cancel()
			shown, all := watched(t, ctx, src, WatchConfig{Interval: 10 * time.Second})
			if !slices.Equal(shown, want) {
				t.Errorf("%q: showed %q, want %q", kind, shown, want)
			}
			if s := all[len(all)-1].Sums; s.Failed != 0 || s.Restarts != 1 || !errors.Is(all[2].Err, ErrRestarted) {
				t.Errorf("%q: the sums are %+v, the error %v", kind, s, all[2].Err)
			}
		})
	}
	f(Tomehub, "baseline", "10.0s: a 10", "error", "10.0s: a 1", "10.0s: a 1")
	// A snapshot that leaves statements out is no baseline: another is taken at once.
	f(Oracle, "baseline", "10.0s: a 10", "error", "10.0s: a 1", "10.0s: a 1")
}

// An Oracle source leaves out what did nothing. Its counters hold all the same, so that it is not NEW when it runs again.
func TestWatchKeepsWhatWasLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{kind: Oracle, snapshot: func(at int, since *Snapshot) (Snapshot, error) {
			s := Snapshot{Statements: []Statement{ran("quiet", 100), ran("busy", int64(10*at))}}
			if since != nil {
				s.Since, s.Statements = since.Now, s.Statements[1:]
			}
			switch at {
			case 3:
				s.Statements = append(s.Statements, ran("late", 4))
			case 4:
				s.Statements = append(s.Statements, ran("quiet", 101), ran("late", 6))
			case 5:
				s.Gone = []string{"quiet"}
			case 6: // it came back, counts from 0, and has already counted further than before
				s.Statements = append(s.Statements, ran("quiet", 103))
			}
			return s, nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
		defer cancel()
		shown, _ := watched(t, ctx, src, WatchConfig{Interval: 10 * time.Second})
		want := []string{
			"baseline", "10.0s: busy 10", "10.0s: busy 10, late 4 NEW", "10.0s: busy 10, late 2, quiet 1", "10.0s: busy 10", "10.0s: busy 10, quiet 103 NEW",
		}
		if !slices.Equal(shown, want) {
			t.Errorf("showed %q, want %q", shown, want)
		}
	})
}

// A source whose statements never come again would fill the baseline; it is read whole before that.
func TestWatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole, most := 0, 0
		src := &scripted{kind: Oracle, snapshot: func(at int, since *Snapshot) (Snapshot, error) {
			var s Snapshot
			for i := range 4000 {
				s.Statements = append(s.Statements, ran(fmt.Sprintf("%d-%d", at, i), 1))
			}
			if since == nil {
				whole++
			} else {
				s.Since = since.Now
				most = max(most, len(since.Statements))
			}
			return s, nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 205*time.Second)
		defer cancel()
		watched(t, ctx, src, WatchConfig{Interval: 10 * time.Second})
		if whole < 4 || most > 4000+staleBeyond+4000 {
			t.Errorf("21 snapshots: %d whole ones, and a baseline of up to %d statements", whole, most)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	good := func(int, *Snapshot) (Snapshot, error) { return Snapshot{Statements: []Statement{ran("a", 1)}}, nil }
	ignore := func(Interval) {}
	t.Run("the first snapshot fails", func(t *testing.T) {
		src := &scripted{snapshot: func(int, *Snapshot) (Snapshot, error) { return Snapshot{}, ErrNotTomehub }}
		if err := Watch(t.Context(), src, WatchConfig{Interval: time.Second, Options: Options{Top: 1}}, ignore); !errors.Is(err, ErrNotTomehub) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("given up in a snapshot", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, after := range []time.Duration{time.Second, 11 * time.Second} { // in the first, in the second
				src := &scripted{took: 2 * time.Second, snapshot: good}
				ctx, cancel := context.WithTimeout(t.Context(), after)
				shown := 0
				start := time.Now()
				err := Watch(ctx, src, WatchConfig{Interval: 10 * time.Second, Options: Options{Top: 1}}, func(i Interval) { shown++ })
				cancel()
				if err != nil || time.Since(start) != after || shown != int(after/(10*time.Second)) {
					t.Errorf("after %v: ended with %v, %v later, having shown %d", after, err, time.Since(start), shown)
				}
			}
		})
	})
	t.Run("a short rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // 3 s are no window on Oracle
			src := &scripted{kind: Oracle, snapshot: good}
			shown, _ := watched(t, t.Context(), src, WatchConfig{Interval: 10 * time.Second, Options: Options{Duration: 23 * time.Second}})
			if len(shown) != 3 {
				t.Errorf("showed %q", shown)
			}
		})
	})
	t.Run("details fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			src := &scripted{snapshot: func(at int, _ *Snapshot) (Snapshot, error) {
				return Snapshot{Statements: []Statement{ran("a", int64(at))}}, nil
			}, describe: func() error { return errors.New("no plan for you") }}
			shown, all := watched(t, t.Context(), src, WatchConfig{Interval: 10 * time.Second, Options: Options{Duration: 10 * time.Second}})
			if len(shown) != 2 || shown[1] != "10.0s: a 1" || !strings.Contains(strings.Join(all[1].Profile.Warnings, ""), "no plan for you") {
				t.Errorf("showed %q", shown)
			}
		})
	})
}

// A snapshot that takes longer than the interval is followed by a whole interval of rest.
func TestWatchRestsAfterSlowSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &scripted{took: 7 * time.Second, snapshot: func(at int, _ *Snapshot) (Snapshot, error) { return Snapshot{}, nil }}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		_, all := watched(t, ctx, src, WatchConfig{Interval: 5 * time.Second})
		if len(all) != 5 { // one each 12 s, the first at 7 s
			t.Errorf("%d snapshots in a minute", len(all))
		}
	})
}

func TestWatchConfigFaults(t *testing.T) {
	f := func(kind Kind, cfg WatchConfig, want string) {
		t.Helper()
		err := Watch(t.Context(), &scripted{kind: kind}, cfg, func(Interval) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	f(Tomehub, WatchConfig{Interval: time.Millisecond, Options: Options{Top: 1}}, "--interval 1ms is not within 500ms and 1h0m0s")
	f(Tomehub, WatchConfig{Interval: time.Minute, Options: Options{Top: 0}}, "--top")
	f(Tomehub, WatchConfig{Interval: time.Minute, Options: Options{Top: 1, Duration: time.Second}}, "--duration 1s is shorter than one --interval of 1m0s")
	f(Tomehub, WatchConfig{Interval: time.Minute, Options: Options{Top: 1, Lifetime: true}}, "--lifetime")
	f(Tomehub, WatchConfig{Interval: time.Minute, Options: Options{Top: 1, Rank: ByCPU}}, "--rank cpu")
	f(Oracle, WatchConfig{Interval: 5 * time.Second, Options: Options{Top: 1}}, "--interval is 5s and wants at least 6s")
}
