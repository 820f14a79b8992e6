package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

const mergeScenario = `
warm_up: 2s
duration: 10s
users: {stages: [{for: 2s, to: 9}, {for: 10s, to: 9}]}
think: {mean: 200ms}
flows:
  - name: f
    steps:
      - {name: search, get: "/search?u={{user}}&i={{iteration}}"}
      - {name: read, get: "/read?u={{user}}&i={{iteration}}"}
checks:
  - {metric: rate, at_least: 10/s, why: of the whole load}
  - {metric: p95, below: 2s, why: most are quick}
  - {metric: p99, step: read, below: 100ms, why: fails}
  - {metric: error_rate, window: 2s, at_most: 40%, why: in each window}
  - {metric: completed, window: 5s, at_least: 100000, why: fails in each window}
  - {metric: p50, step: search, window: 5s, below: 2s, why: windows do not keep steps}
  - {metric: server.requests, at_least: 1, why: nobody observes}
expected:
  - {metric: p50, figure: 1s}
`

// hashed answers as the request's text says: most quickly, some a hundred times slower, some not at all.
func hashed(r *http.Request) (int, string) {
	h := fnv.New32a()
	h.Write([]byte(r.URL.RequestURI()))
	n := h.Sum32()
	d := time.Duration(5000+n%7000) * time.Microsecond
	if n%20 == 0 {
		d *= 100
	}
	time.Sleep(d)
	switch {
	case n%31 == 0:
		return 503, ""
	case n%37 == 0:
		return 500, ""
	}
	return 200, strings.Repeat("x", int(n%100))
}

// workers runs a scenario by one generator and by n.
func workers(t *testing.T, scenario string, n int) (whole *Result, parts []Part) {
	t.Helper()
	for number := range n + 1 {
		synctest.Test(t, func(t *testing.T) {
			w := Worker{number, n}
			if number == 0 {
				w = Worker{}
			}
			r := virtual(context.Background(), t, scenario, hashed, func(c *Config) { c.Worker = w })
			if number == 0 {
				whole = r
			} else {
				parts = append(parts, Part{Name: fmt.Sprintf("%d.json", number), Result: r})
			}
		})
	}
	return whole, parts
}

// throughJSON is what a file brings back.
func throughJSON(t *testing.T, parts []Part) []Part {
	t.Helper()
	var out []Part
	for _, p := range parts {
		data, err := json.Marshal(p.Result)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ReadSaved(p.Name, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Part{p.Name, r})
	}
	return out
}

// What four generators measured, merged, is what one generator measured: every count, percentile, window and verdict.
// The histograms keep a percentile to 0.1 %, so no difference at all is within the promised 1 %.
func TestMergeIsTheWhole(t *testing.T) {
	whole, parts := workers(t, mergeScenario, 4)
	merged, err := Merge(throughJSON(t, parts))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Total.Completed < 300 || whole.Total.Failed == 0 || whole.Total.Refused == 0 || whole.Total.Response.P99MS < 10*whole.Total.Response.P50MS {
		t.Fatalf("the run is no test of percentiles: %+v", whole.Total)
	}
	same := func(what string, want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s of one generator and of four (-one +four):\n%s", what, diff)
		}
	}
	for _, r := range []*Result{whole, merged} {
		for i := range r.Errors {
			r.Errors[i].Percent = float64(int(r.Errors[i].Percent * 1e6))
		}
	}
	same("figures", whole.Total, merged.Total)
	same("steps", whole.Steps, merged.Steps)
	same("errors", whole.Errors, merged.Errors)
	// Who has nothing left to wait for after the end keeps no last window, and is not among its users.
	last := len(whole.Windows) - 1
	whole.Windows[last].Users, merged.Windows[last].Users = 0, 0
	same("windows", whole.Windows, merged.Windows)
	same("expected figures", whole.Expected, merged.Expected)
	same("send lag", whole.Generator.SendLag.Count, merged.Generator.SendLag.Count)
	same("times", []any{whole.StartedAt, whole.MeasuredS, whole.WarmUp}, []any{merged.StartedAt, merged.MeasuredS, merged.WarmUp})

	verdicts := func(r *Result) (all []string) {
		for _, c := range r.Checks {
			all = append(all, fmt.Sprintf("%s %s %s: %v %s", c.Name, c.Metric, c.Bound, c.Verdict, c.Measured))
		}
		return all
	}
	// The one check that windows cannot tell is decided by the generators' own verdicts, and its figure is one of theirs.
	wantChecks, gotChecks := verdicts(whole), verdicts(merged)
	if i := 5; !strings.HasPrefix(gotChecks[i], "search, each 5s p50 < 2s: pass") {
		t.Errorf("check of a step's windows: %s", gotChecks[i])
	}
	wantChecks[5], gotChecks[5] = "", ""
	// Windows count what ended in them; the check's own also leave out what was due in the warm-up.
	if i := 3; gotChecks[i] != "all requests, each 2s error_rate ≤ 40%: pass 7.94%" {
		t.Errorf("check of windows: %s", gotChecks[i])
	}
	wantChecks[3], gotChecks[3] = "", ""
	same("checks", wantChecks, gotChecks)
	if merged.Verdict != reports.Fail || !merged.Judged {
		t.Errorf("verdict %v", merged.Verdict)
	}
	if n := len(parts[0].Result.Checks); n != 5 {
		t.Errorf("a worker judges %d checks, want the five that are not of the whole load", n)
	}
}

// Percentiles of generators that saw different servers are those of all requests, not a mean of percentiles.
func TestMergeOfUnlike(t *testing.T) {
	var parts []Part
	var all []time.Duration
	for i, took := range []time.Duration{10 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			r := virtual(context.Background(), t, "users: {count: 2}\nthink: 90ms\nduration: 60s"+oneStep, func(*http.Request) (int, string) {
				n++
				d := took + time.Duration(n*97%1000)*took/3000
				time.Sleep(d)
				return 200, ""
			}, func(c *Config) { c.Worker = Worker{i + 1, 2} })
			for k := range n {
				all = append(all, took+time.Duration((k+1)*97%1000)*took/3000)
			}
			parts = append(parts, Part{fmt.Sprint(i), r})
		})
	}
	merged, err := Merge(parts)
	if err != nil {
		t.Fatal(err)
	}
	l := merged.Total.Response
	for _, q := range []struct{ got, share float64 }{{l.P50MS, 0.5}, {l.P90MS, 0.9}, {l.P95MS, 0.95}, {l.P99MS, 0.99}, {l.P999MS, 0.999}} {
		near(t, fmt.Sprintf("quantile %v", q.share), q.got, quantile(all, q.share), 1)
	}
	if int(l.Count) != len(all) {
		t.Errorf("%d requests, want %d", l.Count, len(all))
	}
}

// Results that do not belong together are refused, and the error says why.
func TestMergeRefuses(t *testing.T) {
	_, fine := workers(t, "users: {count: 4}\nthink: 1s"+oneStep, 2)
	f := func(want string, change func(p []Part) []Part) {
		t.Helper()
		parts := throughJSON(t, fine)
		_, err := Merge(change(parts))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	second := func(f func(*Result)) func([]Part) []Part {
		return func(p []Part) []Part { f(p[1].Result); return p }
	}
	if _, err := Merge(fine); err != nil {
		t.Fatal(err)
	}
	f("got 1 results, want 2", func(p []Part) []Part { return p[:1] })
	f("1.json has the scenario test, 2.json has other", second(func(r *Result) { r.Scenario = "other" }))
	f("different versions of the scenario test", second(func(r *Result) { r.Digest = "0123" }))
	f("has the seed 1, 2.json has 2", second(func(r *Result) { r.Seed = 2 }))
	f("has the time scale 1, 2.json has 0.5", second(func(r *Result) { r.TimeScale = 0.5 }))
	f("duration in seconds 10, 2.json has 20", second(func(r *Result) { r.DurationS = 20 }))
	f("warm-up in seconds", second(func(r *Result) { r.WarmUpS = 1 }))
	f("has the load 4 users, 2.json has 5 users", second(func(r *Result) { r.Load = "5 users" }))
	f("different steps", second(func(r *Result) { r.Steps[0].Step = "x" }))
	f("are both worker 1/2", second(func(r *Result) { r.Worker = "1/2" }))
	f("one of 2 workers, 2.json of 3 workers", second(func(r *Result) { r.Worker = "2/3" }))
	f("2.json of a generator of the whole load", second(func(r *Result) { r.Worker = "" }))
	f(`read worker "x"`, second(func(r *Result) { r.Worker = "x" }))
	f("2.json is merged already", second(func(r *Result) { r.Merged = []MergedFrom{{}} }))
	f("never measured at the same time", second(func(r *Result) { r.StartedAt = r.StartedAt.Add(10 * time.Second) }))
	f("without their histogram", second(func(r *Result) { r.Steps[0].Response.Histogram = "" }))
	f("read histogram", second(func(r *Result) { r.Steps[0].Service.Histogram = "AAAA" }))
	f("are the same result", func(p []Part) []Part {
		p[0].Result.Worker, p[1].Result.Worker = "", ""
		return append(p, Part{"again.json", p[0].Result})
	})
}

// A load that was less than the scenario's passes nothing; what fails at it fails all the same.
func TestMergeDoubts(t *testing.T) {
	const scenario = "users: {count: 6}\nthink: 1s" + oneStep + "checks: [{metric: error_rate, at_most: 100%, why: holds}, {metric: completed, at_least: 1000000, why: fails}]"
	_, fine := workers(t, scenario, 3)
	f := func(why string, want reports.Verdict, reason string, change func([]Part) []Part) {
		t.Helper()
		r, err := Merge(change(throughJSON(t, fine)))
		if err != nil {
			t.Errorf("%s: %v", why, err)
			return
		}
		if r.Checks[0].Verdict != want || !strings.Contains(strings.Join(r.Reasons, "\n"), reason) {
			t.Errorf("%s: %v, %q; want %v, %q", why, r.Checks[0].Verdict, r.Reasons, want, reason)
		}
		if fails := r.Checks[1].Verdict == reports.Fail; fails == r.Interrupted {
			t.Errorf("%s: the check that fails is %v", why, r.Checks[1].Verdict)
		}
	}
	f("all there", reports.Pass, "", func(p []Part) []Part { return p })
	f("in any order", reports.Pass, "", func(p []Part) []Part { slices.Reverse(p); return p })
	f("one is missing", reports.Inconclusive, "no result of worker 2/3", func(p []Part) []Part { return []Part{p[2], p[0]} })
	f("one began late", reports.Inconclusive, "measured together for 9s of 11s only (82%)", func(p []Part) []Part {
		p[1].Result.StartedAt = p[1].Result.StartedAt.Add(time.Second)
		return p
	})
	f("one began a moment later", reports.Pass, "", func(p []Part) []Part {
		p[1].Result.StartedAt = p[1].Result.StartedAt.Add(200 * time.Millisecond)
		return p
	})
	f("one was interrupted", reports.Inconclusive, "3.json was interrupted after 9.9s of 10s", func(p []Part) []Part {
		p[2].Result.MeasuredS, p[2].Result.Interrupted = 9.9, true
		return p
	})
	f("one was stopped by its check", reports.Inconclusive, "3.json was stopped after 9.9s of 10s: a bound", func(p []Part) []Part {
		p[2].Result.MeasuredS, p[2].Result.Reasons = 9.9, []string{"a bound"}
		return p
	})
}

// Generators that were not told to share ran the scenario several times over: bounds on its rate are of one of them.
func TestMergeOfWholeGenerators(t *testing.T) {
	whole, _ := workers(t, "users: {count: 2}\nthink: 1s"+oneStep+"checks: [{metric: rate, at_least: 1/s, why: w}, {metric: p95, below: 2s, why: w}]", 1)
	late := *whole
	late.StartedAt = late.StartedAt.Add(100 * time.Millisecond)
	r, err := Merge([]Part{{"a", whole}, {"b", &late}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Load != "2 generators of 2 users each" || r.Total.Completed != 2*whole.Total.Completed {
		t.Errorf("load %q, %d requests of twice %d", r.Load, r.Total.Completed, whole.Total.Completed)
	}
	if r.Checks[0].Verdict != reports.Inconclusive || r.Checks[1].Verdict != reports.Pass {
		t.Errorf("checks %+v", r.Checks)
	}
}

// The server is one: what it told one generator is taken once, and a check of it fails when one generator saw it fail.
func TestMergeTakesTheServerOnce(t *testing.T) {
	_, parts := workers(t, "users: {count: 2}\nthink: 1s"+oneStep+"checks: [{metric: server.requests, at_least: 10, why: w}]", 2)
	f := func(want reports.Verdict, measured string, server bool, own ...reports.Check) {
		t.Helper()
		for i := range parts {
			r := parts[i].Result
			r.Checks[0].Verdict, r.Checks[0].Measured, r.Checks[0].Reason = own[i].Verdict, own[i].Measured, own[i].Reason
			r.Server, r.NoServer = nil, "silent"
			if own[i].Measured != "" {
				r.Server, r.NoServer = &ServerFigures{Phase: fmt.Sprint(i), Statements: &StatementFigures{Requests: 20}}, ""
			}
		}
		r, err := Merge(parts)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Checks[0]
		if c.Verdict != want || c.Measured != measured || (r.Server != nil) != server || server && (r.NoServer != "" || r.Server.Statements.Requests != 20) {
			t.Errorf("%v %q, server %+v %q; want %v %q", c.Verdict, c.Measured, r.Server, r.NoServer, want, measured)
		}
	}
	pass, fail, silent := reports.Check{Verdict: reports.Pass, Measured: "20"}, reports.Check{Verdict: reports.Fail, Measured: "9", Reason: "too few"}, reports.Check{Reason: "silent"}
	f(reports.Pass, "20", true, pass, pass)
	f(reports.Pass, "20", true, silent, pass)
	f(reports.Fail, "9", true, pass, fail)
	f(reports.Fail, "9", true, fail, pass)
	f(reports.Inconclusive, "", false, silent, silent)
}

func TestMergedReport(t *testing.T) {
	_, parts := workers(t, mergeScenario, 2)
	for i := range parts {
		parts[i].Result.Environment = Environment{CPUs: 2}
	}
	parts[1].Result.StartedAt = parts[1].Result.StartedAt.Add(150 * time.Millisecond)
	parts[1].Result.Generator.Problems = []string{"sent late"}
	r, err := Merge(parts)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := r.Report().WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "merged.md", text.String())
	var worker bytes.Buffer
	if err := parts[0].Result.Report().WriteMarkdown(&worker); err != nil {
		t.Fatal(err)
	}
	if want := "left to 'tomehub loadtest merge': completed, rate."; !strings.Contains(worker.String(), want) || !strings.Contains(worker.String(), "worker 1/2 of 9 users") {
		t.Errorf("a worker's report lacks %q or its share:\n%s", want, worker.String())
	}
}
