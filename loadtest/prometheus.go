package loadtest

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// A promText writes metrics in Prometheus's text exposition format. The lines of one metric stand together, as the format
// demands.
type promText struct {
	w      *bufio.Writer
	common string // labels of all samples
}

// metric begins a metric.
func (p *promText) metric(name, kind, help string) {
	fmt.Fprintf(p.w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one value; labels are names and values in turn.
func (p *promText) sample(name string, v float64, labels ...string) {
	p.w.WriteString(name + "{" + p.common)
	for i := 0; i < len(labels); i += 2 {
		p.w.WriteString("," + promLabel(labels[i], labels[i+1]))
	}
	p.w.WriteString("} " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
}

// gauge is a metric of one value.
func (p *promText) gauge(name, help string, v float64) {
	p.metric(name, "gauge", help)
	p.sample(name, v)
}

var promEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func promLabel(name, value string) string {
	return name + `="` + promEscape.Replace(strings.ToValidUTF8(value, "\ufffd")) + `"`
}

// WritePrometheus writes the result as metrics for dashboards of CI, to be pushed or read by the textfile collector. All
// are gauges or summaries: a run is over when its result is there, and nothing in it grows. Times are in seconds and
// shares from 0 to 1, as is Prometheus's custom.
func (r *Result) WritePrometheus(w io.Writer) error {
	p := &promText{w: bufio.NewWriter(w), common: promLabel("scenario", r.Scenario) + "," + promLabel("target", r.Target)}
	if r.Worker != "" {
		p.common += "," + promLabel("worker", r.Worker)
	}
	p.gauge("tomehub_loadtest_start_timestamp_seconds", "When the run began.", float64(r.StartedAt.UnixMilli())/1000)
	p.gauge("tomehub_loadtest_measured_seconds", "How long it measured, without the warm-up.", r.MeasuredS)
	p.metric("tomehub_loadtest_verdict", "gauge", "1 for the verdict of the run.")
	for _, v := range []reports.Verdict{reports.Pass, reports.Fail, reports.Inconclusive} {
		p.sample("tomehub_loadtest_verdict", one(r.Judged && r.Verdict == v), "verdict", v.String())
	}
	r.promSteps(p)
	p.metric("tomehub_loadtest_check_verdict", "gauge", "1 for the verdict of each check, which has a number because two may look alike.")
	for i, c := range r.Checks {
		p.sample("tomehub_loadtest_check_verdict", 1, "number", strconv.Itoa(i+1), "check", c.Name, "metric", c.Metric, "bound", c.Bound, "verdict", c.Verdict.String())
	}
	g := &r.Generator
	p.gauge("tomehub_loadtest_generator_cpu_ratio", "CPU the generator used, of all CPUs of its machine.", g.CPUPercent/100)
	p.gauge("tomehub_loadtest_generator_resident_memory_bytes", "The most memory the generator had.", g.RSSMiB*(1<<20))
	p.summary("tomehub_loadtest_generator_send_lag_seconds", "From when a request was due to when it was sent.", [][]string{nil}, []*Latency{&g.SendLag})
	r.promServer(p)
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// promSteps writes the figures of each step.
func (r *Result) promSteps(p *promText) {
	each := func(name, help string, of func(*Figures) float64) {
		p.metric(name, "gauge", help)
		for i := range r.Steps {
			p.sample(name, of(&r.Steps[i].Figures), "flow", r.Steps[i].Flow, "step", r.Steps[i].Step)
		}
	}
	const requests = "tomehub_loadtest_requests"
	p.metric(requests, "gauge", "Requests by how they ended.")
	labels := make([][]string, len(r.Steps))
	response, service := make([]*Latency, len(r.Steps)), make([]*Latency, len(r.Steps))
	for i := range r.Steps {
		s := &r.Steps[i]
		labels[i] = []string{"flow", s.Flow, "step", s.Step}
		response[i], service[i] = &s.Response, &s.Service
		for k := OK; int(k) < kinds; k++ {
			if n := s.Kinds[k]; n > 0 {
				p.sample(requests, float64(n), "flow", s.Flow, "step", s.Step, "kind", k.String())
			}
		}
	}
	each("tomehub_loadtest_requests_per_second", "Requests that ended each second.", func(f *Figures) float64 { return f.Rate })
	each("tomehub_loadtest_goodput_requests_per_second", "Right answers each second.", func(f *Figures) float64 { return f.Goodput })
	each("tomehub_loadtest_error_ratio", "Share of requests that were refused or failed.", func(f *Figures) float64 { return f.ErrorRate / 100 })
	each("tomehub_loadtest_refused_ratio", "Share of requests that were refused by design (429, 503).", func(f *Figures) float64 { return f.RefusedRate / 100 })
	p.summary("tomehub_loadtest_response_seconds", "From when a request was due to its answer.", labels, response)
	p.summary("tomehub_loadtest_service_seconds", "From when a request was sent to its answer.", labels, service)
}

// summary writes distributions, each with its labels; those without a value are left out.
func (p *promText) summary(name, help string, labels [][]string, all []*Latency) {
	p.metric(name, "summary", help)
	for i, l := range all {
		if l.Count == 0 {
			continue
		}
		for _, q := range []struct {
			text string
			ms   float64
		}{{"0.5", l.P50MS}, {"0.9", l.P90MS}, {"0.95", l.P95MS}, {"0.99", l.P99MS}, {"0.999", l.P999MS}, {"1", l.MaxMS}} {
			p.sample(name, q.ms/1000, append(slices.Clone(labels[i]), "quantile", q.text)...)
		}
		p.sample(name+"_sum", l.MeanMS/1000*float64(l.Count), labels[i]...)
		p.sample(name+"_count", float64(l.Count), labels[i]...)
	}
}

// promServer writes what the server said of itself.
func (r *Result) promServer(p *promText) {
	f := r.Server
	if f == nil {
		return
	}
	if s := f.Statements; s != nil {
		p.gauge("tomehub_loadtest_server_statements_per_request", "SQL statements for each request, as the server counted them.", s.PerRequest)
	}
	if c := f.Cache; c != nil {
		p.gauge("tomehub_loadtest_server_cache_hit_ratio", "Share of questions that the query cache answered.", c.HitRate/100)
	}
	if m := f.Memory; m != nil {
		p.gauge("tomehub_loadtest_server_resident_memory_bytes", "The most memory of the server's process.", m.RSS.Peak*(1<<20))
	}
	p.gauge("tomehub_loadtest_server_restarts", "How often the server was restarted.", float64(len(f.Restarts)))
}
