package loadtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// madeResult is a result of two steps with a minute of answers, each by its factor slower and as often wrong as is said.
func madeResult(t testing.TB, seed uint64, search, read, wrong float64) *Result {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9))
	r := &Result{
		SchemaVersion: ResultVersion, Scenario: "shop", Model: "closed", Load: "40 users", StartedAt: time.Unix(1_800_000_000, 0).UTC(),
		DurationS: 60, MeasuredS: 60, TimeScale: 1, Seed: seed, Target: "http://127.0.0.1:5001",
		Environment: Environment{Generator: "v1", OS: "linux", Arch: "amd64", CPUs: 2},
	}
	for _, step := range []struct {
		name string
		ms   float64
	}{{"search", 200 * search}, {"read", 40 * read}} {
		s := StepFigures{Flow: "f", Step: step.name}
		for w := range madeWindows {
			n := newTally(false)
			for range 120 {
				kind := OK
				if rng.Float64() < wrong {
					kind = ServerError
				}
				n.add(kind, time.Duration(step.ms*math.Exp(0.3*rng.NormFloat64())*float64(time.Millisecond)), 0, 0)
			}
			f := n.figures(time.Second)
			text, err := encoded(n.response)
			if err != nil {
				t.Fatal(err)
			}
			s.Windows = append(s.Windows, StepWindow{
				StartS: 3 * float64(w), LengthS: 3, Completed: f.Completed, OK: f.OK, Refused: f.Refused, Failed: f.Failed, Response: text,
			})
		}
		r.Steps = append(r.Steps, s)
		r.Total.Completed += 120 * madeWindows
	}
	return r
}

// madeWindows are the windows of each step of a madeResult.
const madeWindows = 20

// comparedResults compares one result with one.
func comparedResults(t *testing.T, before, after *Result, o CompareOptions) *Comparison {
	t.Helper()
	c, err := Compare([]NamedResult{{"a.json", before}}, []NamedResult{{"b.json", after}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outcome is that of one metric, of all when step is "".
func (c *Comparison) outcome(step, metric string) *Change {
	for i := range c.Changes {
		if ch := &c.Changes[i]; ch.Step == step && ch.Metric == metric {
			return ch
		}
	}
	return &Change{}
}

func TestCompareOutcomes(t *testing.T) {
	before := madeResult(t, 1, 1, 1, 0.01)
	f := func(name string, after *Result, o CompareOptions, verdict reports.Verdict, want map[string]Outcome) {
		t.Helper()
		c := comparedResults(t, before, after, o)
		if c.Verdict != verdict {
			t.Errorf("%s: verdict %v, want %v (%s)", name, c.Verdict, verdict, c.Sentence)
		}
		for key, outcome := range want {
			step, metric, _ := strings.Cut(key, " ")
			if got := c.outcome(strings.TrimPrefix(step, "all"), metric); got.Outcome != outcome {
				t.Errorf("%s: %s is %q, want %q: %+v", name, key, got.Outcome, outcome, got)
			}
		}
	}
	none := CompareOptions{}
	f("the same file", before, none, reports.Pass, map[string]Outcome{"all mean": NoDifference, "all p99": NoDifference, "search p95": NoDifference})
	f("another run of the same", madeResult(t, 2, 1, 1, 0.01), none, reports.Pass, map[string]Outcome{"all p50": NoDifference, "all error_rate": NoDifference})
	f("slower by 30 %", madeResult(t, 3, 1.3, 1.3, 0.01), none, reports.Fail,
		map[string]Outcome{"all mean": Regressed, "all p95": Regressed, "search p50": Regressed, "read p95": Regressed, "all error_rate": NoDifference})
	f("quicker by 30 %", madeResult(t, 4, 0.7, 0.7, 0.01), none, reports.Pass, map[string]Outcome{"all mean": Improved, "search p95": Improved})
	f("one quick step became slow, which all requests together hide", madeResult(t, 5, 1, 1.5, 0.01), none, reports.Fail,
		map[string]Outcome{"read p95": Regressed, "all p99": NoDifference, "search p95": NoDifference})
	f("more errors", madeResult(t, 6, 1, 1, 0.06), none, reports.Fail, map[string]Outcome{"all error_rate": Regressed, "all mean": NoDifference})
	f("fewer errors of many would be better", madeResult(t, 7, 1, 1, 0), CompareOptions{MinErrors: 0.3, RunNoise: 1}, reports.Pass, map[string]Outcome{"all error_rate": Improved})
	f("what is certain but small is no regression", madeResult(t, 8, 1.3, 1.3, 0.01), CompareOptions{MinEffect: 40}, reports.Pass, map[string]Outcome{"all mean": NoDifference})
	f("runs that differ much hide it", madeResult(t, 9, 1.3, 1.3, 0.01), CompareOptions{RunNoise: 20}, reports.Inconclusive, map[string]Outcome{"all mean": CannotTell})
}

// What forbids a judgement is said, and nothing is judged.
func TestCompareRefuses(t *testing.T) {
	f := func(name, reason string, change func(*Result)) {
		t.Helper()
		after := madeResult(t, 3, 1.5, 1.5, 0.01)
		change(after)
		c := comparedResults(t, madeResult(t, 1, 1, 1, 0.01), after, CompareOptions{})
		if c.Verdict != reports.Inconclusive || !strings.Contains(c.Sentence, reason) || c.Changes[0].Outcome != CannotTell {
			t.Errorf("%s: %v, %q, %+v; want it inconclusive because of %q", name, c.Verdict, c.Sentence, c.Changes[0], reason)
		}
		if forced := comparedResults(t, madeResult(t, 1, 1, 1, 0.01), after, CompareOptions{Force: true}); (forced.Verdict == reports.Fail) != strings.Contains(reason, "differs") {
			t.Errorf("%s, forced: %v, %q", name, forced.Verdict, forced.Sentence)
		}
	}
	f("load", "the load differs: 40 users, closed in a.json, 80 users, closed in b.json", func(r *Result) { r.Load = "80 users" })
	f("time scale", "the time scale differs: 1 in a.json, 0.5 in b.json", func(r *Result) { r.TimeScale = 0.5 })
	f("machine", "the machine of the generator differs: 2 CPUs", func(r *Result) { r.Environment.CPUs = 8 })
	f("generator", "b.json: its own CPU", func(r *Result) { r.Generator.Problems = []string{"its own CPU"} })
	f("windows", "b.json has 7 windows of measured time, at least 8", func(r *Result) {
		for i := range r.Steps {
			r.Steps[i].Windows = r.Steps[i].Windows[:7]
		}
	})
	other := madeResult(t, 1, 1, 1, 0)
	other.Scenario = "library"
	a, b := []NamedResult{{"a.json", madeResult(t, 1, 1, 1, 0)}}, []NamedResult{{"b.json", other}}
	_, err := Compare(a, b, CompareOptions{})
	if want := "a.json is of scenario shop, b.json of library; --force"; !errors.Is(err, ErrNotComparable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Compare = %v, want %q", err, want)
	}
	if _, err := Compare(a, b, CompareOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if _, err := Compare(a, nil, CompareOptions{}); !errors.Is(err, ErrNotComparable) {
		t.Errorf("Compare with nothing = %v", err)
	}
	if err := (CompareOptions{MinEffect: -1, MinErrors: 200, RunNoise: math.NaN()}).Validate(); err == nil || strings.Count(err.Error(), "must be from") != 3 {
		t.Errorf("Validate = %v, want three faults", err)
	}
}

// A result whose steps have no windows, as one put together of several generators, is compared by those of all requests.
func TestCompareByWindowsOfAll(t *testing.T) {
	whole := func(search float64) *Result {
		r := madeResult(t, 3, search, search, 0.01)
		list, err := r.Steps[0].pieces()
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range r.Steps[0].Windows {
			r.Windows = append(r.Windows, Window{
				StartS: w.StartS, LengthS: w.LengthS, Completed: list[i].completed, OK: list[i].ok, Failed: list[i].wrong, Response: w.Response,
			})
		}
		r.Windows = append([]Window{{StartS: 0, LengthS: 3, Completed: 1, Failed: 1, WarmUp: true}}, r.Windows...)
		r.WarmUpS, r.MeasuredS = 3, 58 // the last window is cut in half, and not used
		for i := range r.Windows[1:] {
			r.Windows[1+i].StartS += 3
		}
		r.Steps[0].Windows, r.Steps[1].Windows = nil, nil
		return r
	}
	c := comparedResults(t, whole(1), whole(1.3), CompareOptions{})
	if c.Verdict != reports.Fail || c.outcome("", "p95").Outcome != Regressed || c.Before[0].Pieces != 19 {
		t.Errorf("%v %q with %d pieces, want a regression of 19", c.Verdict, c.Sentence, c.Before[0].Pieces)
	}
	if step := c.outcome("search", "p95"); step.Outcome != CannotTell || step.Before != nil || step.Reason == "" {
		t.Errorf("a step without windows: %+v, want it untold with a reason", step)
	}
}

func TestCompareStatements(t *testing.T) {
	asked := func(statements int64) *Result {
		r := madeResult(t, 1, 1, 1, 0.01)
		r.Server = &ServerFigures{FromS: 0, ToS: 60, Statements: &StatementFigures{}}
		for i := range 60 {
			requests, all := int64(50), 50*statements
			r.Server.Samples = append(r.Server.Samples, ServerSample{AtS: float64(i + 1), LengthS: 1, Requests: &requests, Statements: &all})
		}
		return r
	}
	c := comparedResults(t, asked(2), asked(5), CompareOptions{})
	if got := c.outcome("", "server.statements_per_request"); got.Outcome != Regressed || math.Abs(*got.Percent-150) > 1e-6 || math.Abs(*got.After-5) > 1e-9 {
		t.Errorf("2 to 5 statements: %+v", got)
	}
	c = comparedResults(t, asked(2), madeResult(t, 1, 1, 1, 0.01), CompareOptions{})
	if got := c.outcome("", "server.statements_per_request"); got.Metric != "" {
		t.Errorf("only one side knows its statements: %+v, want nothing", got)
	}
}

func TestComparisonReport(t *testing.T) {
	c := comparedResults(t, madeResult(t, 1, 1, 1, 0.01), madeResult(t, 3, 1.3, 1.01, 0.01), CompareOptions{})
	report := c.Report()
	var text, junit bytes.Buffer
	if err := report.WriteText(&text, reports.TextOptions{Width: 140}); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison.txt", text.String())
	if err := report.WriteJUnit(&junit); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison.xml", junit.String())
	for _, format := range reports.Formats() {
		if err := report.Write(&bytes.Buffer{}, format, reports.TextOptions{}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back := Comparison{charts: c.charts}
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, &back, cmp.AllowUnexported(Comparison{})); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

// The report of a run with a baseline fails with either, and stays a result that can be read again.
func TestComparisonExtendsReport(t *testing.T) {
	run := madeResult(t, 3, 1.3, 1.3, 0.01)
	run.Windows = []Window{}
	c := comparedResults(t, madeResult(t, 1, 1, 1, 0.01), run, CompareOptions{})
	same := comparedResults(t, run, run, CompareOptions{})
	f := func(c *Comparison, judged bool, of, want reports.Verdict) {
		t.Helper()
		if got := c.Extend(reports.Report{Judged: judged, Verdict: of}); got.Verdict != want || !got.Judged {
			t.Errorf("a run that came to %v (judged %v), compared %v: %v, want %v", of, judged, c.Verdict, got.Verdict, want)
		}
	}
	f(c, false, reports.Inconclusive, reports.Fail)
	f(c, true, reports.Pass, reports.Fail)
	f(same, true, reports.Pass, reports.Pass)
	f(same, true, reports.Fail, reports.Fail)
	f(same, true, reports.Inconclusive, reports.Inconclusive)
	f(same, false, reports.Inconclusive, reports.Pass)
	var out bytes.Buffer
	if err := c.Extend(run.Report()).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadResult(&out); err != nil || back.Scenario != "shop" || len(back.Steps[0].Windows) != madeWindows {
		t.Errorf("the report read again: %v", err)
	}
}

// Values that belong together are resampled together, and noise without memory in short blocks.
func TestBlockLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := func(memory, least, most float64) {
		t.Helper()
		var sum float64
		for range 50 {
			values, x := make([]float64, 200), 0.0
			for i := range values {
				x = memory*x + rng.NormFloat64()
				values[i] = x
			}
			sum += blockLength(values) / 50
		}
		if sum < least || sum > most {
			t.Errorf("memory %v: mean block %.1f, want %v to %v", memory, sum, least, most)
		}
	}
	f(0, 5.8, 9) // the cube root of 200 is the least
	f(0.8, 10, 30)
	if got := blockLength(make([]float64, 40)); math.Abs(got-math.Cbrt(40)) > 1e-9 {
		t.Errorf("constant values: %v", got)
	}
	if got := blockLength(nil); got != 1 {
		t.Errorf("no values: %v", got)
	}
}

// Resampling finds the variance of a mean, also of values that are correlated, of which it is known to miss a part. Taking
// them one by one would find a sixth of it.
func TestResampledVariance(t *testing.T) {
	f := func(memory float64) {
		t.Helper()
		rng := rand.New(rand.NewPCG(3, 4))
		const n, runs = 120, 60
		var estimated, sum, squares float64
		for range runs {
			s, x := &series{}, 0.0
			for range n {
				x = memory*x + rng.NormFloat64()
				s.count, s.sum, s.seconds = append(s.count, 1), append(s.sum, x), append(s.seconds, 1)
			}
			mean := dot(s.once(), s.sum) / n
			sum, squares = sum+mean, squares+mean*mean
			m := measure{}
			m.resampled(resamples(n, blockLength(s.sum)), blockLength(s.sum), func(times []int64) float64 { return dot(times, s.sum) / n })
			estimated += m.variance / runs
		}
		if truth := squares/runs - sum*sum/runs/runs; estimated < 0.45*truth || estimated > 1.6*truth {
			t.Errorf("memory %v: resampling says a variance of %.4f, runs differ by %.4f", memory, estimated, truth)
		}
	}
	f(0)
	f(0.7)
}

// A percentile of resamples is found again wherever the last search ended.
func TestSeriesQuantile(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	list := make([]fragment, 12)
	for i := range list {
		for range 30 {
			list[i].plus(1, 1, append(list[i].times[:0:0], bar(int64(1000*math.Exp(3*rng.NormFloat64())))))
		}
	}
	s := newSeries(list)
	times := make([]int64, len(list))
	for range 300 {
		resample(rng, 3, times)
		h := newHistogram()
		for i, n := range times {
			for _, b := range list[i].times {
				if err := h.RecordValues(b.To, b.Count*n); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, q := range []float64{0.001, 0.5, 0.95, 0.99, 1} {
			if got, want := s.quantile(q, times), float64(h.ValueAtPercentile(100*q))/1000; got != want {
				t.Fatalf("quantile %v of %v = %v, want %v", q, times, got, want)
			}
		}
	}
	if got := s.quantile(0.5, make([]int64, len(list))); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

func BenchmarkCompare(b *testing.B) {
	before, after := madeResult(b, 1, 1, 1, 0.01), madeResult(b, 2, 1, 1, 0.01)
	for b.Loop() {
		if _, err := Compare([]NamedResult{{"a", before}}, []NamedResult{{"b", after}}, CompareOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
