package loadtest

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// CapacityVersion is the version of CapacityResult's JSON form. It grows when a field changes its meaning or goes away.
const CapacityVersion = 1

// CapacityResult is what a search for capacity found. It marshals to JSON and back.
type CapacityResult struct {
	SchemaVersion int             `json:"schema_version"`
	Scenario      string          `json:"scenario"`
	Title         string          `json:"title"`
	Target        string          `json:"target"`
	Model         string          `json:"model"` // closed or open
	Unit          string          `json:"unit"`  // of loads: users, or arrivals/s
	SLO           []string        `json:"slo"`
	StartedAt     time.Time       `json:"started_at"`
	TookS         float64         `json:"took_s"`
	TimeScale     float64         `json:"time_scale"`
	Seed          uint64          `json:"seed"`
	From          float64         `json:"from"`
	To            float64         `json:"to"`
	Precision     float64         `json:"precision"`
	Need          float64         `json:"need,omitempty"`
	Verdict       reports.Verdict `json:"verdict"`
	Interrupted   bool            `json:"interrupted,omitempty"`
	Ended         string          `json:"ended"`             // found, time, interrupted or target_gone
	Reasons       []string        `json:"reasons,omitempty"` // what a reader must know of the verdict
	// Capacity is the largest load measured at which the objectives hold; 0 when there is none.
	Capacity float64 `json:"capacity"`
	// Low and High say where the objectives break, with 95 % likelihood: not at Low, but at High. High is 0 when they may
	// hold at all loads that were seen.
	Low         float64        `json:"low"`
	High        float64        `json:"high,omitempty"`
	Steps       []CapacityStep `json:"steps"`
	Scalability *Scalability   `json:"scalability,omitempty"` // nil when there were too few steps to fit
	Bottlenecks []Bottleneck   `json:"bottlenecks"`           // the likeliest first
	Environment Environment    `json:"environment"`
}

// A CapacityStep is what was measured at one load, over all its runs. Times are in milliseconds, rates in percent.
type CapacityStep struct {
	Load    float64         `json:"load"`
	Runs    int             `json:"runs"`
	Verdict reports.Verdict `json:"verdict"` // Pass: the objectives hold; Inconclusive: nothing is known of the server
	// Broken is how likely the objectives are broken at this load, from 0 to 1, by the windows of its runs.
	Broken      float64        `json:"broken"`
	Steady      bool           `json:"steady"` // false when the server never settled
	MeasuredS   float64        `json:"measured_s"`
	Completed   int64          `json:"completed"`
	Goodput     float64        `json:"goodput_per_s"`
	ErrorRate   float64        `json:"error_rate"`
	FailedRate  float64        `json:"failed_rate"`
	RefusedRate float64        `json:"refused_rate"`
	Response    Latency        `json:"response"`
	InFlight    float64        `json:"in_flight"`  // mean, by Little's law, of requests that got an answer
	Unanswered  int64          `json:"unanswered"` // had no answer when the run was over, by far
	Kinds       map[Kind]int64 `json:"kinds"`      // of the last run, as Server is
	Each        []RunFigures   `json:"each"`       // run by run
	Server      *ServerFigures `json:"server,omitempty"`
	Reasons     []string       `json:"reasons,omitempty"`
}

// RunFigures are those of one run of a step.
type RunFigures struct {
	Goodput float64 `json:"goodput_per_s"`
	MeanMS  float64 `json:"mean_ms"`
	P95MS   float64 `json:"p95_ms"`
	Blamed  string  `json:"blamed,omitempty"` // why it says nothing about the server
}

// result puts together what is known.
func (c *capacity) result() *CapacityResult {
	cfg := &c.cfg
	out := &CapacityResult{
		SchemaVersion: CapacityVersion, Scenario: cfg.Scenario.Name, Title: cfg.Scenario.Title, Target: cfg.Target, Model: cfg.Scenario.Model(),
		Unit: c.unit, StartedAt: c.began.UTC().Truncate(time.Millisecond), TookS: time.Since(c.began).Seconds(), TimeScale: cfg.TimeScale,
		Seed: cfg.Seed, From: cfg.From, To: cfg.To, Precision: cfg.Precision, Need: cfg.Need, Ended: string(c.ended),
		Interrupted: c.ended == endedInterrupted, Steps: []CapacityStep{}, Bottlenecks: []Bottleneck{},
		Environment: Environment{Generator: cfg.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()},
	}
	for _, slo := range c.scaledSLOs() {
		out.SLO = append(out.SLO, sloText(slo))
	}
	for _, st := range c.search.steps {
		out.Steps = append(out.Steps, st.figures())
	}
	if c.reason != "" {
		out.Reasons = append(out.Reasons, c.reason)
	}
	b := c.search.bracket()
	if b.holds != nil {
		out.Capacity = b.holds.load
	}
	low, high := c.search.likely()
	out.Low, out.High = low, high
	if math.IsInf(high, 1) {
		out.High = 0
	}
	out.conclude(c, b)
	out.Scalability = fitScalability(out.scalePoints(), cfg.Seed)
	out.Bottlenecks = findBottlenecks(out.Steps, c.scaledSLOs(), c.unit)
	return out
}

// conclude gives the verdict.
func (r *CapacityResult) conclude(c *capacity, b bracket) {
	switch {
	case c.ended == endedInterrupted || len(r.Steps) == 0:
		return // Inconclusive
	case r.Need > 0:
		r.judgeNeed(c)
	case b.holds == nil && b.breaks != nil && !b.breaks.blind() && b.breaks.load <= c.search.least:
		r.Verdict = reports.Fail
		r.Reasons = append(r.Reasons, "the objectives are broken at the smallest load already")
	case b.holds == nil:
	case b.breaks == nil && b.holds.load >= r.To:
		r.Verdict = reports.Pass
		r.Reasons = append(r.Reasons, fmt.Sprintf("the objectives hold at the most the search was to try (--to), %s; the server may carry more", c.load(r.To)))
	case b.breaks != nil && !b.breaks.blind() && c.ended != endedTargetGone:
		r.Verdict = reports.Pass
	}
	if b.breaks != nil && b.breaks.blind() {
		text := "it may carry more"
		if b.holds == nil {
			text = "nothing is known below either"
		}
		r.Reasons = append(r.Reasons, fmt.Sprintf("at %s nothing could be seen of the server (%s); %s", c.load(b.breaks.load), b.breaks.reason(), text))
	}
}

// judgeNeed holds what is known against the load that is needed.
func (r *CapacityResult) judgeNeed(c *capacity) {
	p := c.search.carries(r.Need)
	switch {
	case p >= 1-unlikely:
		r.Verdict = reports.Pass
	case p <= unlikely:
		r.Verdict = reports.Fail
	default:
		r.Reasons = append(r.Reasons, fmt.Sprintf("whether %s are carried cannot be told; a longer --step, more --repeats or more --max-time may", c.load(r.Need)))
	}
}

// reason is why nothing is known of the server.
func (s *loadStep) reason() string {
	for _, r := range s.runs {
		if r.blamed != "" {
			return r.blamed
		}
	}
	return "no request ended in the measured time"
}

// figures puts the usable runs of a step together.
func (s *loadStep) figures() CapacityStep {
	out := CapacityStep{Load: s.load, Runs: len(s.runs), Broken: s.broken(), Each: []RunFigures{}, Kinds: map[Kind]int64{}}
	for _, r := range s.runs {
		seconds := total(r.cells, func(c cell) float64 { return c.seconds })
		f := RunFigures{MeanMS: latency(r.whole).MeanMS, P95MS: latency(r.whole).P95MS, Blamed: r.blamed}
		if seconds > 0 {
			f.Goodput = total(r.cells, func(c cell) float64 { return c.ok }) / seconds
		}
		out.Each = append(out.Each, f)
	}
	if s.blind() {
		out.Reasons = []string{s.reason()}
		return out
	}
	out.Verdict = reports.Pass
	if out.Broken >= 0.5 {
		out.Verdict = reports.Fail
	}
	if out.Steady = s.steady(); !out.Steady {
		out.Reasons = append(out.Reasons, "response times were still rising or falling")
	}
	cells, whole := s.cells(), newHistogram()
	for _, r := range s.usable() {
		whole.Merge(r.whole)
		out.Unanswered += r.cut
		out.Kinds = r.kinds
		if r.server != nil {
			out.Server = r.server.brief()
		}
	}
	sum := func(of func(cell) float64) float64 { return total(cells, of) }
	out.MeasuredS, out.Completed = sum(func(c cell) float64 { return c.seconds }), int64(sum(func(c cell) float64 { return c.completed }))
	out.Response = latency(whole)
	if out.MeasuredS > 0 {
		out.Goodput = sum(func(c cell) float64 { return c.ok }) / out.MeasuredS
		out.InFlight = sum(func(c cell) float64 { return c.sum }) / 1000 / out.MeasuredS
	}
	if out.Completed > 0 {
		failed, refused := sum(func(c cell) float64 { return c.failed }), sum(func(c cell) float64 { return c.refused })
		out.FailedRate, out.RefusedRate = 100*failed/float64(out.Completed), 100*refused/float64(out.Completed)
		out.ErrorRate = out.FailedRate + out.RefusedRate
	}
	return out
}

// brief leaves out what is told over time, of which a result has one for each step.
func (f *ServerFigures) brief() *ServerFigures {
	c := *f
	c.Samples, c.Top = []ServerSample{}, nil
	return &c
}

// scalePoints are the points of the fit: the steps at which the server settled.
func (r *CapacityResult) scalePoints() []ScalePoint {
	var all []ScalePoint
	for _, st := range r.Steps {
		if st.Verdict != reports.Inconclusive && st.Steady && st.Unanswered == 0 {
			all = append(all, ScalePoint{Load: st.Load, InFlight: st.InFlight, Rate: st.Goodput, Requests: st.Response.Count})
		}
	}
	return all
}

// loadIs is "1 user is" or "12 users are".
func loadIs(load float64, unit string) string {
	if load == 1 && unit == "users" {
		return "1 user is"
	}
	return formatLoad(load, unit) + " are"
}

// sentence says it all in one.
func (r *CapacityResult) sentence() string {
	var b strings.Builder
	if r.Interrupted {
		b.WriteString("Interrupted. ")
	}
	slo := strings.Join(r.SLO, " and ")
	switch {
	case len(r.Steps) == 0:
		return b.String() + "Nothing was measured."
	case r.Capacity == 0 && r.Verdict == reports.Inconclusive:
		fmt.Fprintf(&b, "How much is carried within %s cannot be told.", slo)
	case r.Capacity == 0:
		fmt.Fprintf(&b, "Not even %s carried within %s.", loadIs(r.Steps[0].Load, r.Unit), slo)
	case r.High == 0:
		fmt.Fprintf(&b, "At least %s carried within %s.", loadIs(r.Capacity, r.Unit), slo)
	default:
		fmt.Fprintf(&b, "%s carried within %s (the limit lies between %s and %s, 95%%).", loadIs(r.Capacity, r.Unit), slo,
			formatNumber(r.Low), formatLoad(r.High, r.Unit))
	}
	if len(r.Bottlenecks) > 0 {
		fmt.Fprintf(&b, " Bottleneck: %s.", strings.TrimSuffix(cmp.Or(r.Bottlenecks[0].Sentence, r.Bottlenecks[0].Evidence), "."))
	}
	return b.String()
}
