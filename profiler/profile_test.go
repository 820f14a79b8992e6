package profiler

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"github.com/tomehub/tomehub/reports"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) {
	twwidth.SetEastAsian(false) // tablewriter asks the locale; the goldens are for the usual answer
	flag.Parse()
	os.Exit(m.Run())
}

func load(t testing.TB, name string) Snapshot {
	t.Helper()
	s, err := LoadSnapshot(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func between(t testing.TB, before, after Snapshot, opt Options) *Profile {
	t.Helper()
	p, err := Between(before, after, opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGolden reports two recorded snapshots with every oddity: new, reset (by a counter, and by the maximum alone), running
// and vanished statements, statements without a name, text that is no plain text.
func TestGolden(t *testing.T) {
	f := func(name string, opt Options, format reports.Format, width int) {
		t.Helper()
		var buf bytes.Buffer
		p := between(t, load(t, "before.json"), load(t, "after.json"), opt)
		if err := p.Report().Write(&buf, format, reports.TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), buf.String()); diff != "" {
			t.Errorf("%s (run with -update when this is meant):\n%s", name, diff)
		}
	}
	f("elapsed.txt", Options{Top: 20}, reports.Text, 0)
	f("elapsed-80.txt", Options{Top: 20}, reports.Text, 80)
	f("elapsed-full.txt", Options{Top: 3, FullText: true}, reports.Text, 0)
	f("avg-3.txt", Options{Top: 3, Rank: ByAvg}, reports.Text, 120)
	f("executions.md", Options{Top: 20, Rank: ByExecutions}, reports.Markdown, 0)
	f("rows.csv", Options{Top: 20, Rank: ByRows}, reports.CSV, 0)
	f("wait.json", Options{Top: 4, Rank: ByWait}, reports.JSON, 0)
}

// moving is a source whose counters rise with time: 10 executions a second, 0.3 s and one row each.
type moving struct {
	start   time.Time
	took    time.Duration // of each snapshot
	longer  time.Duration // of the second alone, besides
	restart time.Time     // when a new process begins to answer, if ever
	fail    error         // of the second snapshot
	asked   int
}

func (m *moving) Name() string { return "a test" }

func (m *moving) Kind() Kind { return Tomehub }

func (m *moving) Snapshot(ctx context.Context, _ *Snapshot) (Snapshot, error) {
	m.asked++
	if m.asked == 2 && m.fail != nil {
		return Snapshot{}, m.fail
	}
	took := m.took
	if m.asked == 2 {
		took += m.longer
	}
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return Snapshot{}, ctx.Err()
	}
	now := time.Now()
	started := m.start
	if !m.restart.IsZero() && !now.Before(m.restart) {
		started = m.restart
	}
	n := int64(now.Add(-took/2).Sub(m.start) / (100 * time.Millisecond))
	return Snapshot{
		SchemaVersion: 1, Server: "tomehub test", StartedAt: started, Now: now,
		Statements: []Statement{{Name: "passage", SQL: "SELECT 1", Counters: Counters{Executions: n, Rows: n, Elapsed: Micros(n) * 300_000}}},
	}, nil
}

func TestRunMeasuresTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		src := &moving{start: start.Add(-time.Hour), took: 200 * time.Millisecond, longer: 400 * time.Millisecond}
		p, err := Run(t.Context(), src, Options{Duration: 30 * time.Second, Top: 20})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := time.Since(start), 30*time.Second+800*time.Millisecond; got != want {
			t.Errorf("took %v, want %v: the duration and two snapshots", got, want)
		}
		// From the middle of the first snapshot to the middle of the second.
		if got, want := p.WindowUS, micros(30*time.Second+400*time.Millisecond); got != want {
			t.Errorf("window %v, want %v", got, want)
		}
		want := Counters{Executions: 304, Rows: 304, Elapsed: 304 * 300_000}
		if diff := cmp.Diff(want, p.Statements[0].Counters); diff != "" {
			t.Error(diff)
		}
		if p.Interrupted || p.AskedUS != micros(30*time.Second) || p.SnapshotsUS != [2]Micros{200_000, 600_000} {
			t.Errorf("interrupted %v, asked %v, snapshots %v", p.Interrupted, p.AskedUS, p.SnapshotsUS)
		}
	})
}

func TestRunInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(7*time.Second, interrupt)
		p, err := Run(ctx, &moving{start: time.Now(), took: time.Millisecond}, Options{Duration: 300 * time.Second, Top: 20})
		if err != nil {
			t.Fatal(err)
		}
		if !p.Interrupted || p.Total.Executions != 70 {
			t.Errorf("interrupted %v, %d executions; want true, 70", p.Interrupted, p.Total.Executions)
		}
		if got, want := p.Report().Title, "Top 20 Slowest Queries (last 7s)"; got != want {
			t.Errorf("title %q, want %q", got, want)
		}
		var buf bytes.Buffer
		if err := p.Report().WriteText(&buf, reports.TextOptions{}); err != nil || !strings.Contains(buf.String(), "interrupted, 300s were asked for") {
			t.Errorf("%v:\n%s", err, &buf)
		}
	})
}

func TestRunInterruptedBeforeTheFirstSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		src := &moving{start: time.Now(), took: 10 * time.Second}
		p, err := Run(ctx, src, Options{Duration: time.Minute, Top: 20})
		if p != nil || !errors.Is(err, context.Canceled) || src.asked != 1 {
			t.Errorf("profile %v, error %v, %d snapshots asked for", p, err, src.asked)
		}
	})
}

func TestRunRefusesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &moving{start: time.Now().Add(-time.Hour), restart: time.Now().Add(time.Second)}
		_, err := Run(t.Context(), src, Options{Duration: 10 * time.Second, Top: 20})
		if !errors.Is(err, ErrRestarted) {
			t.Errorf("got %v, want ErrRestarted", err)
		}
	})
}

func TestRunNamesTheSnapshotThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := Run(t.Context(), &moving{fail: io.ErrUnexpectedEOF}, Options{Duration: 10 * time.Second, Top: 20})
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "take the second snapshot, 10s after the first: ") {
			t.Errorf("got %v", err)
		}
	})
}

func TestValidate(t *testing.T) {
	f := func(opt Options, want ...string) {
		t.Helper()
		err := opt.Validate()
		if (err == nil) != (len(want) == 0) {
			t.Errorf("%+v: %v, want %q", opt, err, want)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%+v: %v does not say %q", opt, err, w)
			}
		}
	}
	f(Options{Duration: DefaultDuration, Top: DefaultTop}) // the plan's defaults
	f(Options{Duration: time.Nanosecond, Top: 1, Rank: ByAvg})
	f(Options{Duration: MaxDuration, Top: MaxTop})
	f(Options{Top: 1}, "--duration 0s")
	f(Options{Duration: -time.Second, Top: 1}, "--duration -1s")
	f(Options{Duration: MaxDuration + 1, Top: 1}, "--duration 24h0m0.000000001s")
	f(Options{Duration: 1, Top: 0}, "--top 0 is not within 1 and 10000")
	f(Options{Duration: 1, Top: MaxTop + 1}, "--top 10001")
	f(Options{Duration: 1, Top: 1, Rank: "speed"}, `--rank "speed" is not one of elapsed, cpu, gets, reads, executions, avg, rows, wait`)
	f(Options{Duration: -1, Top: -1, Rank: "x"}, "--duration -1ns", "--top -1", `--rank "x"`) // all at once

	if _, err := Run(t.Context(), nil, Options{}); err == nil {
		t.Error("Run took no duration and no top")
	}
	if _, err := Between(Snapshot{}, Snapshot{}, Options{}); err == nil || !strings.Contains(err.Error(), "--top") || strings.Contains(err.Error(), "--duration") {
		t.Errorf("Between: %v", err)
	}
}

func TestBetweenRefuses(t *testing.T) {
	f := func(change func(before, after *Snapshot), want error, words string) {
		t.Helper()
		before, after := load(t, "before.json"), load(t, "after.json")
		change(&before, &after)
		p, err := Between(before, after, Options{Top: 20})
		if p != nil || !strings.Contains(err.Error(), words) || want != nil && !errors.Is(err, want) {
			t.Errorf("got %v, want %q", err, words)
		}
	}
	f(func(_, a *Snapshot) { a.StartedAt = a.StartedAt.Add(time.Minute) }, ErrRestarted, "08:01:00.000Z")     // another process
	f(func(b, a *Snapshot) { a.Now = b.Now }, ErrNoWindow, "no time passed")                                  // the same moment
	f(func(b, a *Snapshot) { *b, *a = *a, *b }, ErrNoWindow, "12:05:00.004Z, the second of 2026-03-01 12:00") // the wrong way round
	f(func(b, _ *Snapshot) { b.Source = "tomehub at http://other:5002" }, nil, "http://other:5002")           // another server
	f(func(b, _ *Snapshot) { b.Statements[0].Rows = -1 }, ErrNotSnapshot, "never negative")                   // not read by us
	f(func(b, _ *Snapshot) { b.SchemaVersion = 2 }, ErrNotSnapshot, "schema_version is 2")
}

func TestCommentsAreNotShown(t *testing.T) {
	f := func(sql, want string) {
		t.Helper()
		if _, got := split("", sql); got != want {
			t.Errorf("%q is shown as %q, want %q", sql, got, want)
		}
	}
	f("SELECT a -- the first\nFROM t", "SELECT a FROM t")
	f("SELECT '--' || \"a--b\" FROM t -- end", "SELECT '--' || \"a--b\" FROM t")
	f("SELECT 'it''s -- text'\nFROM t", "SELECT 'it''s -- text' FROM t")
	f("-- all of it", "")
}
