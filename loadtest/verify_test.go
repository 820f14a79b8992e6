package loadtest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/reports"
)

// planLines are the plan's checklist lines, each with words of it: five of every task but B1, whose four questions and
// deliverable stand for a checklist; lines of our own for phase D, of which the plan has the names alone; and the tasks themselves.
const planLines = `A1 pool to 40;A1.1 max=40;A1.2 startup logs;A1.3 queries still work;A1.4 after 30s;A1.5 50% latency
A2 memory monitoring;A2.1 psutil;A2.2 valid data;A2.3 periodic memory checks;A2.4 >70%;A2.5 >85%
A3 rate limiting;A3.1 slowapi;A3.2 429 responses;A3.3 Per-endpoint;A3.4 environment variables;A3.5 Retry-After
B1 Profile queries;B1.1 slowest;B1.2 most often;B1.3 full table scans;B1.4 be cached;B1.5 top 10 slow queries
B2 result caching;B2.1 cache service;B2.2 unique per query;B2.3 TTL;B2.4 new ingestion;B2.5 hits/misses
B3 N+1 patterns;B3.1 include_details;B3.2 Batch endpoint;B3.3 10-20x;B3.4 JOINs;B3.5 consistent data
B4 pagination;B4.1 validated;B4.2 Total count;B4.3 Offset/limit;B4.4 has_next;B4.5 <<< 10000
C1 read/write pools;C1.1 Two pools;C1.2 Read: 5-50, Write: 2-10;C1.3 use read pool;C1.4 use write pool;C1.5 combined load
C2 Stream backpressure;C2.1 max capacity;C2.2 100th;C2.3 101st;C2.4 heavy streaming;C2.5 stream count
C3 auto-restart;C3.1 starts and monitors;C3.2 75%;C3.3 85%;C3.4 exits cleanly;C3.5 show status
D1 Prometheus;D1.1 served;D1.2 Every metric;D1.3 move;D1.4 bounded;D1.5 agree
D2 Grafana;D2.1 have a dashboard;D2.2 what the server exports
D3 AlertManager;D3.1 what to do;D3.2 what the server exports
D4 Circuit breaker metrics;D4.1 State;D4.2 Transitions;D4.3 by result`

func TestVerifyHasEveryLine(t *testing.T) {
	var want, got []string
	plan := map[string]string{}
	for _, line := range strings.FieldsFunc(planLines, func(r rune) bool { return r == ';' || r == '\n' }) {
		id, words, _ := strings.Cut(line, " ")
		want, plan[id] = append(want, id), words
	}
	if len(want) != 45+5+8+4+14 {
		t.Fatalf("%d lines", len(want))
	}
	for _, c := range verifyChecks() {
		got = append(got, c.id)
		if !strings.Contains(c.plan, plan[c.id]) {
			t.Errorf("%s is %q, which has not %q", c.id, c.plan, plan[c.id])
		}
		if c.did == "" || !c.rollUp() && c.run == nil {
			t.Errorf("%s does nothing", c.id)
		}
		if _, known := benches[c.bench]; !known && c.run != nil {
			t.Errorf("%s runs on %q, which is no server", c.id, c.bench)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-plan +verify):\n%s", diff)
	}
}

// A server that is no TomeHub passes nothing, and what cannot be run there is said.
func TestVerifyForeignServer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }))
	defer s.Close()
	var last VerifyProgress
	r, err := Verify(t.Context(), VerifyConfig{Target: s.URL, Deploy: os.DirFS("../deploy"), Progress: func(p VerifyProgress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Lines {
		if ofThisProgram := l.ID == "D2.1" || l.ID == "D3.1"; l.Status == Passed && !ofThisProgram {
			t.Errorf("%s passes: %s", l.ID, l.Seen)
		}
		if l.Status == NotRun && (l.Asked || l.Reason != reasonOwnServer) {
			t.Errorf("%s: %+v", l.ID, l)
		}
	}
	if r.Verdict != reports.Fail || last.Done != last.Total || last.Failed == 0 {
		t.Errorf("verdict %v, progress %+v", r.Verdict, last)
	}
	var again VerifyResult
	data, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(data, &again)
	}
	if diff := cmp.Diff(r, &again); err != nil || diff != "" {
		t.Errorf("through JSON: %v\n%s", err, diff)
	}
	var junit strings.Builder
	if err := r.Report(true).WriteJUnit(&junit); err != nil || !strings.Contains(junit.String(), "A1.1 Pool initializes") {
		t.Errorf("JUnit: %v\n%s", err, junit.String())
	}
}

func TestVerifyVerdict(t *testing.T) {
	f := func(why string, want reports.Verdict, interrupted bool, lines ...VerifyLine) {
		t.Helper()
		r := &VerifyResult{Lines: lines}
		if r.settle(interrupted); r.Verdict != want {
			t.Errorf("%s: %v, want %v", why, r.Verdict, want)
		}
	}
	line := func(id string, s Status, asked bool) VerifyLine { return VerifyLine{ID: id, Status: s, Asked: asked} }
	f("nothing was asked", reports.Inconclusive, false, line("D1", NotRun, false))
	f("all asked pass", reports.Pass, false, line("A1", Undecided, true), line("A1.1", Passed, true), line("D1", NotRun, false))
	f("phase D was asked for", reports.Inconclusive, false, line("D1", NotRun, true))
	f("one fails", reports.Fail, false, line("A1", Undecided, true), line("A1.1", Failed, true), line("A1.2", Undecided, true))
	f("one could not be judged", reports.Inconclusive, false, line("A1.1", Undecided, true), line("A1.2", Passed, true))
	f("interrupted", reports.Inconclusive, true, line("A1.1", Passed, true))
	f("interrupted after a failure", reports.Fail, true, line("A1.1", Failed, true))
	r := &VerifyResult{Lines: []VerifyLine{line("A1", Undecided, true), line("A1.1", Passed, true), line("A1.2", NotRun, false)}}
	if r.settle(false); r.Lines[0].Status != Passed || r.Lines[0].Seen != "1 of 1 lines pass" {
		t.Errorf("summed up: %+v", r.Lines[0])
	}
}

func TestVerifyInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := Verify(ctx, VerifyConfig{Binary: "/nonexistent/tomehub", Deploy: os.DirFS("../deploy")})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Verdict != reports.Inconclusive || !strings.HasPrefix(r.Report(false).Summary, "Interrupted") {
		t.Errorf("interrupted %v, verdict %v", r.Interrupted, r.Verdict)
	}
	for _, l := range r.Lines {
		if l.Status == Passed || l.Status == Failed {
			t.Errorf("%s: %s", l.ID, l.Status)
		}
	}
	if _, err := Verify(t.Context(), VerifyConfig{Binary: "x", Target: "y", Phases: []string{"E"}}); err == nil || !strings.Contains(err.Error(), `phase "E"`) {
		t.Errorf("%v", err)
	}
	if _, err := Verify(t.Context(), VerifyConfig{Binary: "/nonexistent/tomehub", Deploy: os.DirFS("../deploy")}); err == nil {
		t.Error("a program that is not there starts")
	}
}

// The checks of metrics pass for a server that tells them rightly, and see what is wrong with one that does not.
func TestMetricsAreRead(t *testing.T) {
	const good = `# HELP tomehub_circuit_breaker_state s
# TYPE tomehub_circuit_breaker_state gauge
tomehub_circuit_breaker_state{name="database",state="closed"} 1
tomehub_circuit_breaker_state{name="database",state="half_open"} 0
tomehub_circuit_breaker_state{name="database",state="open"} 0
# TYPE tomehub_stream_wait_seconds histogram
tomehub_stream_wait_seconds_bucket{le="+Inf"} 3
tomehub_stream_wait_seconds_sum 0.5
tomehub_stream_wait_seconds_count 3
`
	f := func(why, text, state string) {
		t.Helper()
		s, err := parseMetrics([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.breakerState("database"); got != state || s.values["tomehub_stream_wait_seconds{}"] != 3 || !slices.Equal(s.breakerNames(), []string{"database"}) {
			t.Errorf("%s: %q, want %q; %v", why, got, state, s.values)
		}
	}
	f("closed", good, "closed")
	f("in two states", strings.Replace(good, `"open"} 0`, `"open"} 1`, 1), "")
	f("in none", strings.Replace(good, `"closed"} 1`, `"closed"} 0`, 1), "")
	f("coded as a number", strings.Replace(good, `"closed"} 1`, `"closed"} 2`, 1), "")
	f("a state is missing", strings.Replace(good, `tomehub_circuit_breaker_state{name="database",state="open"} 0`+"\n", "", 1), "")
	if _, err := parseMetrics([]byte("{}")); err == nil {
		t.Error("JSON is read as metrics")
	}
}

// FuzzMetrics reads what a foreign server may send.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte("# TYPE a counter\na{b=\"c\"} 1\n"))
	f.Add([]byte("tomehub_circuit_breaker_state{name=\"database\",state=\"open\"} 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseMetrics(data); err == nil {
			for _, name := range s.breakerNames() {
				s.breakerState(name)
			}
		}
	})
}

func TestIsScan(t *testing.T) {
	f := func(want bool, statement, step string) {
		t.Helper()
		if got := isScan(statement, step); got != want {
			t.Errorf("%q: %v", step, got)
		}
	}
	f(true, "", "SCAN TOMEHUB_CONTENT")
	f(true, "SELECT 1 FROM TOMEHUB_CONTENT AS c", "SCAN c")
	f(false, "WITH top AS (SELECT 1 FROM TOMEHUB_CONTENT AS c) SELECT 1 FROM top AS t", "SCAN t")
	f(false, "SELECT 1 FROM TOMEHUB_CONTENT AS c", "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)")
	f(false, "SELECT 1 FROM TOMEHUB_WORDS AS w", "SCAN w VIRTUAL TABLE INDEX 0:M1")
}
