package loadtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// longRun is a result as a run of ten minutes leaves it: every panel, eight steps, and windows with their own histograms.
func longRun(t *testing.T) *Result {
	t.Helper()
	const seconds = 600
	rnd := rand.New(rand.NewPCG(1, 2))
	tally := newTally(true)
	for range 20_000 {
		d := time.Duration(math.Exp(rnd.NormFloat64())*30) * time.Millisecond
		tally.add(OK, d, d, 2000)
	}
	whole, err := tally.whole(seconds * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	r := &Result{
		SchemaVersion: ResultVersion, Scenario: "soak", Title: "Ten minutes of everything", Model: "closed", Load: "250 users", TimeScale: 1, Judged: true,
		Verdict: reports.Pass, WarmUpS: 30, DurationS: 570, MeasuredS: 570, Total: whole,
		Faults: []FaultFigures{{Fault: "database_down", AtS: 300, ForS: 20}}, Server: &ServerFigures{},
	}
	for i := range 8 {
		r.Steps = append(r.Steps, StepFigures{Flow: "f", Step: fmt.Sprintf("step %d", i), Figures: whole})
		r.Checks = append(r.Checks, reports.Check{Name: allRequests, Metric: "p95", Bound: "≤ 1s", Measured: "110ms", Verdict: reports.Pass,
			Why: "Success criteria, phase C: memory stable, no OOMkiller. 512 MiB is the least a container is given in practice."})
	}
	for i := range seconds {
		ms := func(v float64) float64 { return v * math.Exp(rnd.NormFloat64()*0.2) }
		r.Windows = append(r.Windows, Window{
			StartS: float64(i), LengthS: 1, Users: 250, Completed: 400 + int64(rnd.IntN(60)), OK: 400 + int64(rnd.IntN(50)), Refused: int64(rnd.IntN(5)),
			Failed: int64(rnd.IntN(5)), P50MS: ms(30), P95MS: ms(120), P99MS: ms(300), MaxMS: ms(900),
		})
	}
	f := r.Server
	f.Statements, f.Cache, f.InFlight, f.Memory = &StatementFigures{Requests: 1}, &CacheFigures{Hits: 1}, &PeakMean{}, &MemoryFigures{}
	f.Streams = &StreamFigures{Started: 1, Limit: 100}
	f.Pools = []PoolFigures{{Name: "read", Size: 40}, {Name: "write", Size: 10}}
	f.Breakers = []BreakerFigures{{Name: "database"}}
	f.Transitions = []BreakerTransition{{300, "database", "open"}, {322, "database", "closed"}}
	for i := range 1200 { // as many as a result keeps
		requests, statements, under := 200+int64(rnd.IntN(30)), 90+int64(rnd.IntN(30)), 10+float64(rnd.IntN(10))
		f.Samples = append(f.Samples, ServerSample{
			AtS: float64(i+1) / 2, LengthS: 0.5, Polls: 1, Requests: &requests, Statements: &statements, InFlight: &under, Hits: 300 + int64(rnd.IntN(50)), Misses: 90,
			Pools:   []PoolSample{{Name: "read", InUse: float64(rnd.IntN(40)), Waiting: float64(rnd.IntN(9))}, {Name: "write", InUse: float64(rnd.IntN(10))}},
			Streams: float64(rnd.IntN(60)), Memory: &MemorySample{RSSMiB: 100 + rnd.Float64()*30},
		})
	}
	top := &StatementWindow{}
	for i := range 20 {
		top.Statements = append(top.Statements, TopStatement{Name: fmt.Sprint("statement_", i), SQL: strings.Repeat("SELECT id, title FROM passages ", 8)})
		f.Statements.Routes = append(f.Statements.Routes, RouteFigures{Route: fmt.Sprint("GET /api/route/", i)})
	}
	f.Top = top
	return r
}

func TestPageOfTenMinutesIsSmall(t *testing.T) {
	r := longRun(t)
	report := r.Report()
	var page bytes.Buffer
	if err := report.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if page.Len() > 150<<10 {
		t.Errorf("the page has %d bytes, want at most %d", page.Len(), 150<<10)
	}
	if got := len(report.Charts); got != 10 {
		t.Errorf("%d charts, want all ten", got)
	}
	if !strings.Contains(page.String(), "own file (--out) has all of it") {
		t.Error("the page does not say what its JSON leaves out")
	}
	// What the page left out is not taken out of the result.
	if len(r.Windows) != 600 || len(r.Server.Samples) != 1200 || r.Total.Response.Histogram == "" || r.Steps[7].Service.Histogram == "" {
		t.Error("the result itself was cut")
	}
	body, err := json.Marshal(report.Page)
	if err != nil || len(body) > 40<<10 || !bytes.Contains(body, []byte(`"p95_ms"`)) || bytes.Contains(body, []byte(`"histogram"`)) {
		t.Errorf("%d bytes of figures within the page, %v", len(body), err)
	}
	if _, err := base64.StdEncoding.DecodeString(r.Total.Response.Histogram); err != nil {
		t.Errorf("the histogram is no base64: %v", err)
	}
}

// A page has the parts in the order in which one reads, each with its charts and tables.
func TestPageOrder(t *testing.T) {
	var page bytes.Buffer
	if err := longRun(t).Report().WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		`class="verdict pass"`, "All 8 checks hold", "<h2>Checks</h2>", "<h2>What the users saw</h2>", "<h3>Response times</h3>", "<h3>Requests and errors</h3>",
		"<h3>Distribution of response times</h3>", "<caption>Requests by step", "<h2>What the server saw</h2>", "<h3>Connections of pool read</h3>", "<h3>Cache hit rate</h3>",
		"<caption>The costliest statements", "<h2>Facts</h2>",
	} {
		i := strings.Index(page.String()[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come after what should stand before it", want)
		}
		at += i
	}
}
