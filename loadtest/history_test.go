package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

func openHistory(t *testing.T) *History {
	t.Helper()
	h, err := OpenHistory(filepath.Join(t.TempDir(), "new", "history"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pastRun(n int, change ...func(*PastRun)) PastRun {
	p := PastRun{
		SchemaVersion: 1, Scenario: "s", Digest: "d", Target: "spawned", TimeScale: 1, StartedAt: time.Date(2026, 1, 1, n, 0, 0, 0, time.UTC),
		Judged: true, Verdict: reports.Pass, Completed: 100, Rate: float64(10 + n), P50MS: 10, P95MS: float64(100 + n), P99MS: 300,
	}
	for _, f := range change {
		f(&p)
	}
	return p
}

func (h *History) mustAdd(t *testing.T, all ...PastRun) {
	t.Helper()
	for _, p := range all {
		if err := h.Add(p); err != nil {
			t.Error(err)
		}
	}
}

// A trend has the last 20 runs that are like the newest, in the order in which they began.
func TestTrend(t *testing.T) {
	h := openHistory(t)
	for n := range 25 {
		h.mustAdd(t, pastRun((n*7)%25)) // added in any order
	}
	h.mustAdd(t, pastRun(1, func(p *PastRun) { p.Scenario = "other" }), pastRun(2, func(p *PastRun) { p.Target = "http://h" }),
		pastRun(3, func(p *PastRun) { p.TimeScale = 0.1 }), pastRun(4, func(p *PastRun) { p.Worker = "1/2" }))
	trend, err := h.Trend(pastRun(24))
	if err != nil || len(trend.Skipped) > 0 {
		t.Fatal(err, trend.Skipped)
	}
	var want []PastRun
	for n := 5; n < 25; n++ {
		want = append(want, pastRun(n))
	}
	if diff := cmp.Diff(want, trend.Runs); diff != "" {
		t.Errorf("trend (-want +got):\n%s", diff)
	}
}

func TestTrendInReports(t *testing.T) {
	f := func(trend Trend, tables, charts int, want ...string) {
		t.Helper()
		r := reports.Report{Title: "t"}
		trend.Extend(&r)
		var text bytes.Buffer
		if err := r.WriteText(&text, reports.TextOptions{Width: 200}); err != nil {
			t.Fatal(err)
		}
		if len(r.Tables) != tables || len(r.Charts) != charts {
			t.Errorf("%d tables and %d charts, want %d and %d", len(r.Tables), len(r.Charts), tables, charts)
		}
		for _, w := range want {
			if !strings.Contains(text.String(), w) {
				t.Errorf("no %q in\n%s", w, text.String())
			}
		}
	}
	f(Trend{}, 0, 0)
	f(Trend{Runs: []PastRun{pastRun(0)}}, 1, 0, "the first run of this scenario")
	f(Trend{
		Runs:    []PastRun{pastRun(0), pastRun(2), pastRun(9, func(p *PastRun) { p.Digest, p.Verdict = "e", reports.Fail })},
		Skipped: []string{"a: broken", "b: broken", "c: broken", "d: broken", "e: broken"},
	}, 1, 3, "p95 109ms and 19/s; the median of the 2 runs before: 101ms and 11/s", "✗ fail", "changed", "▁", "█", "left out c: broken", "2 more files left out")
}

// What is no run is left out and told; what is not ours is not looked at, nor ever removed.
func TestHistorySkipsWhatIsBroken(t *testing.T) {
	h := openHistory(t)
	h.mustAdd(t, pastRun(1))
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("run-1.json", "{")
	write("run-2.json", "")
	write("run-3.json", `{"schema_version": 7, "scenario": "s"}`)
	write("run-4.json", strings.Repeat(" ", maxRunFile+1))
	write("notes.txt", "mine")
	trend, err := h.Trend(pastRun(1))
	if err != nil || len(trend.Runs) != 1 || len(trend.Skipped) != 4 || !strings.HasPrefix(trend.Skipped[0], "run-1.json: is no run") {
		t.Errorf("%v, %d runs, left out %q", err, len(trend.Runs), trend.Skipped)
	}
}

// Runs that end at the same time are all kept, and no more than the bound.
func TestHistoryIsBounded(t *testing.T) {
	h := openHistory(t)
	h.keep = 12
	if err := os.WriteFile(filepath.Join(h.dir, "mine.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() { h.mustAdd(t, pastRun(n), pastRun(n)) })
	}
	wg.Wait()
	h.mustAdd(t, pastRun(21)) // a last one settles what others left
	entries, err := os.ReadDir(h.dir)
	if err != nil || len(entries) != 13 {
		t.Errorf("%v, %d files, want 12 runs and one that is not ours", err, len(entries))
	}
	trend, err := h.Trend(pastRun(0))
	if err != nil || len(trend.Runs) != 12 || trend.Runs[11].StartedAt.Hour() != 21 || trend.Runs[0].StartedAt.Hour() < 10 {
		t.Errorf("%v, %d runs", err, len(trend.Runs))
	}
}

func promOf(t *testing.T, r *Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.WritePrometheus(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPrometheus(t *testing.T) {
	r := sampleResult(t, sampleScenario)
	r.Target = "http://h/\"quoted\"\\\n\xff"
	r.Server = &ServerFigures{Statements: &StatementFigures{PerRequest: 2.5}, Cache: &CacheFigures{HitRate: 71}, Memory: &MemoryFigures{}}
	text := promOf(t, r)
	golden(t, "metrics.prom", text)
	line := regexp.MustCompile(`^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\} [-+0-9.e]+)$`)
	seen := map[string]bool{}
	for l := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("no line of the format: %q", l)
		}
		if i := strings.LastIndexByte(l, ' '); l[0] != '#' && seen[l[:i]] {
			t.Errorf("twice: %s", l)
		} else if l[0] != '#' {
			seen[l[:i]] = true
		}
	}
	step := &r.Steps[0]
	for _, want := range []string{
		`kind="ok"} ` + fmt.Sprint(step.OK), `verdict="` + r.Verdict.String() + `"} 1`, `server_cache_hit_ratio{scenario="test",target="http://h/\"quoted\"\\\n` + "\ufffd" + `"} 0.71`,
		fmt.Sprintf(`quantile="0.95"} %v`, step.Response.P95MS/1000), fmt.Sprintf(`response_seconds_count{scenario="test",target="http://h/\"quoted\"\\\n`+"\ufffd"+`",flow="f",step="search"} %d`, step.Response.Count),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// Prometheus's own linter has nothing to say.
func TestPrometheusLint(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NOT CHECKED: needs promtool, of Debian's package prometheus: apt-get install prometheus")
	}
	lint := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	r := sampleResult(t, sampleScenario)
	r.Worker = "1/2"
	r.Server = &ServerFigures{Statements: &StatementFigures{PerRequest: 2.5}, Cache: &CacheFigures{HitRate: 71}, Memory: &MemoryFigures{}}
	lint.Stdin = strings.NewReader(promOf(t, r))
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
