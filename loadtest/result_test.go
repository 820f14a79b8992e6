package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// sampleResult is a run of one user, in which everything is as the seed says.
func sampleResult(t *testing.T, scenario string, change ...func(*Config)) *Result {
	t.Helper()
	var r *Result
	synctest.Test(t, func(t *testing.T) {
		n := 0
		change = append(change, func(c *Config) { c.Version = "v1.2.3" })
		r = virtual(context.Background(), t, scenario, func(req *http.Request) (int, string) {
			n++
			time.Sleep(time.Duration(20+n%7) * time.Millisecond)
			switch {
			case n%20 == 0:
				return 503, ""
			case n%33 == 0:
				return 500, ""
			}
			return 200, `{"results":[{"id":1}]}`
		}, change...)
	})
	r.Environment = Environment{Generator: r.Environment.Generator, Go: "go1.26", OS: "linux", Arch: "amd64", CPUs: 2}
	return r
}

const sampleScenario = `
title: A sample of everything
description: For the golden files.
warm_up: 1s
duration: 8s
users: {count: 1}
think: 100ms
flows:
  - name: f
    steps:
      - name: search
        get: /search
        take: {id: {path: "results[0].id"}}
      - {name: read, get: "/content/{{id}}"}
checks:
  - {metric: error_rate, below: 5%, why: an example that fails}
  - {metric: p95, step: search, at_most: 40ms, why: an example that holds}
  - {metric: p99, above: 1ms, below: 2s, why: too few requests for a p99}
expected:
  - {metric: p50, figure: 5-7s}
`

func TestReportGolden(t *testing.T) {
	f := func(name string, r *Result) {
		t.Helper()
		var text, markdown bytes.Buffer
		if err := r.Report().WriteText(&text, reports.TextOptions{Width: 130}); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text.String())
		if err := r.Report().WriteMarkdown(&markdown); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".md", markdown.String())
	}
	r := sampleResult(t, sampleScenario)
	f("report", r)
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "result.json", string(data)+"\n")

	f("scaled", sampleResult(t, sampleScenario, func(c *Config) { c.TimeScale = 0.5 }))
	f("busy", sampleResult(t, sampleScenario, cpu(0.97)))
	f("unjudged", sampleResult(t, "arrivals: {rate: 10/s}"+oneStep))
}

func TestResultComesBack(t *testing.T) {
	r := sampleResult(t, sampleScenario)
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

// Quantiles are within 1 % up to p99.99, on a distribution that misleads a t-digest: most answers quick, some a
// thousand times slower.
func TestQuantileError(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	h := newHistogram()
	var times []time.Duration
	for range 200_000 {
		d := time.Duration(float64(time.Millisecond) * (1 + rng.ExpFloat64()))
		if rng.IntN(50) == 0 {
			d = time.Duration(float64(time.Second) * (1 + 5*rng.Float64()))
		}
		times = append(times, d)
		record(h, d)
	}
	for _, q := range []float64{50, 90, 95, 97.9, 98.1, 99, 99.9, 99.99} {
		near(t, "quantile", float64(h.ValueAtPercentile(q))/1000, quantile(times, q/100), 0.2)
	}
	l := latency(h)
	if l.P99MS == 0 || l.P999MS < l.P99MS || l.MaxMS < l.P999MS || l.Count != 200_000 {
		t.Errorf("latency %+v", l)
	}
}

// Histograms of two results, merged, are the histogram of both runs.
func TestHistogramsMerge(t *testing.T) {
	var parts [2]*hdrhistogram.Histogram
	whole := newHistogram()
	for i := range parts {
		h := newHistogram()
		for n := range 1000 {
			d := time.Duration(1+n*(i+1)) * 100 * time.Microsecond
			record(h, d)
			record(whole, d)
		}
		l, err := exported(h)
		if err != nil {
			t.Fatal(err)
		}
		if parts[i], err = hdrhistogram.Decode([]byte(l.Histogram)); err != nil {
			t.Fatal(err)
		}
	}
	if dropped := parts[0].Merge(parts[1]); dropped != 0 || !parts[0].Equals(whole) {
		t.Errorf("merged histograms differ from the whole, %d values dropped", dropped)
	}
}

// Times outside the histogram's range are kept at its ends, so that no request is lost.
func TestRecordAtTheEnds(t *testing.T) {
	h := newHistogram()
	record(h, -time.Second)
	record(h, 0)
	record(h, 24*time.Hour)
	if h.TotalCount() != 3 || h.Min() != 0 && h.Min() != 1 || math.Abs(float64(h.Max())-float64(histogramMax)) > float64(histogramMax)/1000 {
		t.Errorf("%d values from %d to %d", h.TotalCount(), h.Min(), h.Max())
	}
}

func TestFormat(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(formatMS(0.4242), "0.42ms")
	f(formatMS(12.34), "12.3ms")
	f(formatMS(100), "100ms")
	f(formatMS(8000), "8s")
	f(formatMS(12345), "12.35s")
	f(formatNumber(0), "0")
	f(formatNumber(10.5), "10.5")
	c := Check{Metric: "rate", Low: &Bound{5, true}, High: &Bound{9, false}}
	f(c.bound(), "≥ 5/s, < 9/s")
}

func TestCheckHolds(t *testing.T) {
	f := func(c Check, v float64, want bool) {
		t.Helper()
		if got := c.holds(v); got != want {
			t.Errorf("%s holds for %v: %v", c.bound(), v, got)
		}
	}
	below, atMost := Check{Metric: "ok", High: &Bound{Value: 5}}, Check{Metric: "ok", High: &Bound{5, true}}
	above, atLeast := Check{Metric: "ok", Low: &Bound{Value: 5}}, Check{Metric: "ok", Low: &Bound{5, true}}
	f(below, 5, false)
	f(below, 4.9, true)
	f(atMost, 5, true)
	f(atMost, 5.1, false)
	f(above, 5, false)
	f(above, 5.1, true)
	f(atLeast, 5, true)
	f(atLeast, 4.9, false)
	if atLeast.beyond(4) <= atLeast.beyond(4.5) || below.beyond(7) <= below.beyond(6) {
		t.Error("a worse value is not further beyond the bound")
	}
}
