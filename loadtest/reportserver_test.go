package loadtest

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// observedSample is a run in which everything happened that a report can tell of the server.
func observedSample(t *testing.T) *Result {
	t.Helper()
	r := observe(t, "title: What the server saw\n"+observed+`
checks:
  - {metric: server.statements_per_request, at_most: 5, why: an example that fails}
  - {metric: server.cache_hit_rate, at_least: 70%, why: an example that holds}
  - {metric: server.memory_used, window: 2s, below: 1GiB, why: each window holds}
expected:
  - {metric: server.pool_wait_share, figure: half}
`, func(f *fakeTomehub) {
		later(3500*time.Millisecond, func() { f.mu.Lock(); f.breaker, f.opened = "open", 1; f.mu.Unlock() })
		later(5500*time.Millisecond, func() { f.mu.Lock(); f.breaker, f.half, f.closed = "closed", 1, 1; f.mu.Unlock() })
		later(8500*time.Millisecond, f.restart)
		began := time.Now()
		f.cut = func(r *http.Request) (bool, int) { return time.Since(began) == 7*time.Second, 502 }
	}, func(c *Config) {
		c.Version = "v1.2.3"
		c.TopStatements = func(context.Context) (func(context.Context) (*StatementWindow, error), error) {
			return func(context.Context) (*StatementWindow, error) {
				return &StatementWindow{Source: "a test", Executions: 600, TotalMS: 3000, Findings: []string{"n_plus_one, titles: 5 a search. Read them at once."},
					Statements: []TopStatement{
						{Name: "search_ids", Executions: 100, TotalMS: 2000, AvgMS: 20, Share: 66.67, Rows: 2000},
						{Name: "titles", Executions: 500, TotalMS: 1000, AvgMS: 2, Share: 33.33, Errors: 1, WaitMS: 12.5},
					}}, nil
			}, nil
		}
	})
	r.Environment = Environment{Generator: r.Environment.Generator, Go: "go1.26", OS: "linux", Arch: "amd64", CPUs: 2}
	r.Server.Polls.Bytes = 8 << 10 // the answers hold times, whose length differs
	return r
}

func TestServerReportGolden(t *testing.T) {
	r := observedSample(t)
	for format, name := range map[reports.Format]string{
		reports.Text: "server.txt", reports.Markdown: "server.md", reports.CSV: "server.csv", reports.JUnit: "server.xml",
	} {
		var out bytes.Buffer
		if err := r.Report().Write(&out, format, reports.TextOptions{Width: 130}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
	}
	var page bytes.Buffer
	if err := r.Report().Write(&page, reports.HTML, reports.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Response times", "Requests and errors", "Users and requests under way", "Connections of pool read", "Distribution of", "Statements per request",
		"Cache hit rate", "Streamed answers", "Memory of the server", "warm-up", "breaker database", "restart", "n_plus_one"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestChartsShareOneAxis(t *testing.T) {
	r := observedSample(t)
	var names []string
	for _, c := range r.Report().Charts {
		names = append(names, c.Name)
		if c.Name == "distribution" {
			continue
		}
		if c.X != (reports.Axis{Scale: reports.Elapsed, Max: 12}) {
			t.Errorf("%s: axis %+v", c.Name, c.X)
		}
		want := []reports.Span{{From: 0, To: 2, Label: "warm-up"}, {From: 4, To: 6, Label: "breaker database"}}
		if diff := cmp.Diff(want, c.Spans); diff != "" {
			t.Errorf("%s: spans (-want +got):\n%s", c.Name, diff)
		}
		if diff := cmp.Diff([]reports.Mark{{X: 9, Label: "restart"}}, c.Marks); diff != "" {
			t.Errorf("%s: marks (-want +got):\n%s", c.Name, diff)
		}
	}
	if want := "latency rate distribution users pool_read pool_write statements cache streams memory"; strings.Join(names, " ") != want {
		t.Errorf("charts %q, want %s", names, want)
	}
	points := func(c reports.Chart, series int) []reports.Point { return c.Series[series].Points }
	all := r.Report().Charts
	if p := points(all[1], 0)[3]; p != (reports.Point{X: 3.5, Y: 10}) {
		t.Errorf("rate %+v", p)
	}
	if p := points(all[6], 0)[4]; p != (reports.Point{X: 3.5, Y: 6}) { // the first sample has no time before it
		t.Errorf("statements per request %+v", p)
	}

	// Of a server that is none of ours there is what its users saw; an abort is marked.
	plain := stoppedSample(t)
	names = nil
	for _, c := range plain.Report().Charts {
		names = append(names, c.Name)
	}
	marks := plain.Report().Charts[0].Marks
	if strings.Join(names, " ") != "latency rate distribution users" || len(marks) != 1 || marks[0].Label != "stopped by a check" || marks[0].X > 5 {
		t.Errorf("charts %q, marks %+v", names, marks)
	}

	open := &Result{WarmUpS: 1, MeasuredS: 8, Windows: []Window{{StartS: 0, LengthS: 9}}, Server: &ServerFigures{
		Transitions: []BreakerTransition{{2, "database", "open"}, {3, "database", "half-open"}}, Breakers: []BreakerFigures{{Name: "database"}},
	}}
	if got := open.spans(); len(got) != 2 || got[1] != (reports.Span{From: 2, To: 9, Label: "breaker database"}) {
		t.Errorf("a breaker that stays open: %+v", got)
	}
	open.Faults = []FaultFigures{{Fault: "database_down", AtS: 5, ForS: 10}, {Fault: "database_slow", Error: "no lab"}}
	if got := open.spans(); len(got) != 3 || got[1] != (reports.Span{From: 5, To: 9, Label: "fault database_down"}) {
		t.Errorf("faults: %+v", got)
	}
}

// stoppedSample is a run that a check stops, without an observer.
func stoppedSample(t *testing.T) *Result {
	return sampleResult(t, "warm_up: 1s\nusers: {count: 1}\nthink: 10ms\nchecks: [{metric: rate, window: 2s, abort: true, below: 1/s, why: w}]"+oneStep)
}
