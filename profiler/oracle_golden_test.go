package profiler

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

func golden(t *testing.T, name string, p *Profile, format reports.Format, width int) {
	t.Helper()
	goldenReport(t, name, p.Report(), format, width)
}

func goldenReport(t *testing.T, name string, r reports.Report, format reports.Format, width int) {
	t.Helper()
	var buf bytes.Buffer
	if err := r.Write(&buf, format, reports.TextOptions{Width: width}); err != nil {
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

// TestOracleGolden reports snapshots of a cluster with every oddity: statements on both instances, new, began anew, running
// in parallel, gone, of many literals, PL/SQL, with two plans, with many cursors, hostile text, a grant that is missing, and
// sessions that were sampled and blocked.
func TestOracleGolden(t *testing.T) {
	f := func(name string, opt Options, format reports.Format, width int) {
		t.Helper()
		p := between(t, load(t, "oracle-before.json"), load(t, "oracle-after.json"), opt)
		sampled(t, p)
		golden(t, name, p, format, width)
	}
	f("oracle.txt", Options{Top: 20}, reports.Text, 0)
	f("oracle-120.txt", Options{Top: 20}, reports.Text, 120)
	f("oracle-80.txt", Options{Top: 8, Rank: ByGets}, reports.Text, 80)
	f("oracle.md", Options{Top: 20, Rank: ByCPU}, reports.Markdown, 0)
	f("oracle.csv", Options{Top: 50, Rank: ByReads, FullText: true}, reports.CSV, 0)
	f("oracle.json", Options{Top: 6}, reports.JSON, 0)
	f("oracle-variants.txt", Options{Top: 30, Rank: ByExecutions, Variants: true}, reports.Text, 120)
}

// sampled gives a profile the recorded activity.
func sampled(t *testing.T, p *Profile) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "activity.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &p.Activity); err != nil {
		t.Fatal(err)
	}
	p.Findings = p.find()
}

// TestVSQLGolden reports v$sql: children are added, two of the views may not be read, there is no time model, and the second
// snapshot leaves out what did nothing.
func TestVSQLGolden(t *testing.T) {
	golden(t, "vsql.txt", between(t, load(t, "vsql-before.json"), load(t, "vsql-after.json"), Options{Top: 20}), reports.Text, 120)
}

// TestLifetimeGolden: nobody takes a lifetime for a window.
func TestLifetimeGolden(t *testing.T) {
	p := between(t, load(t, "oracle-before.json"), load(t, "oracle-after.json"), Options{Top: 5, Lifetime: true})
	golden(t, "oracle-lifetime.txt", p, reports.Text, 120)
	if len(p.Findings) != 0 || p.Findings == nil {
		t.Errorf("findings of a lifetime: %v", p.Findings)
	}
}

func TestOracleRefusals(t *testing.T) {
	f := func(change func(before, after *Snapshot, opt *Options), want error, words ...string) {
		t.Helper()
		before, after, opt := load(t, "oracle-before.json"), load(t, "oracle-after.json"), Options{Top: 20}
		change(&before, &after, &opt)
		_, err := Between(before, after, opt)
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
			return
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v does not say %q", err, w)
			}
		}
	}
	f(func(_, a *Snapshot, _ *Options) { a.Instances[1].StartedAt = a.Now }, ErrRestarted, "2 at 2026-02-20 03:02:11.000Z", "2 at 2026-03-01 12:05")
	f(func(_, a *Snapshot, _ *Options) { a.Instances = a.Instances[:1] }, ErrRestarted)
	f(func(b, a *Snapshot, _ *Options) { b.Now = a.Now.Add(-5 * time.Second) }, ErrShort, "--force")
	f(func(b, _ *Snapshot, _ *Options) { b.View = "v$sql" }, nil, "v$sql", "gv$sqlstats_plan_hash")
	f(func(b, _ *Snapshot, _ *Options) { b.Since = b.Now }, nil, "leaves out", "--save")
	f(func(_, _ *Snapshot, o *Options) { o.Rank = ByWait }, ErrRank, "--rank wait", "elapsed, cpu, gets, reads, executions, avg, rows")
}
