package server

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/memory"
)

// A stateCollector reads at each scrape what the health routes and the admin listener show, from
// the same sources, so that the three never disagree. A breaker's state must be read then: it
// turns half open when somebody looks, not when its time has come.
type stateCollector struct {
	s   *Server
	all []*prometheus.Desc

	http    httpFamilies
	pools   poolFamilies
	cache   cacheFamilies
	limits  limitFamilies
	streams streamFamilies
	ingests ingestFamilies
	breaker breakerFamilies
	memory  memoryFamilies
	answers answerFamilies
	traces  traceFamilies
}

// A family is a metric whose values are read, not counted here.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func (c *stateCollector) family(kind prometheus.ValueType, name, help string, labels []string) family {
	f := family{prometheus.NewDesc(name, help, labels, nil), kind}
	c.all = append(c.all, f.desc)
	return f
}

func (c *stateCollector) gauge(name, help string, labels ...string) family {
	return c.family(prometheus.GaugeValue, name, help, labels)
}

func (c *stateCollector) counter(name, help string, labels ...string) family {
	return c.family(prometheus.CounterValue, name, help, labels)
}

// quantity is what a value may be before it is a float64.
type quantity interface{ ~int | ~int64 | ~float64 }

// send emits one series.
func send[N quantity](out chan<- prometheus.Metric, f family, value N, labels ...string) {
	out <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(value), labels...)
}

// newStateCollector makes the families; their number does not depend on what the server has.
func newStateCollector(s *Server) *stateCollector {
	c := &stateCollector{s: s}
	c.http.make(c)
	c.pools.make(c)
	c.cache.make(c)
	c.limits.make(c)
	c.streams.make(c)
	c.ingests.make(c)
	c.breaker.make(c)
	c.memory.make(c)
	c.answers.make(c)
	c.traces.make(c)
	return c
}

// Describe sends every family, also those that this server has no series of.
func (c *stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.all {
		out <- d
	}
}

// Collect reads the state. It asks nothing of the database and waits for nobody.
func (c *stateCollector) Collect(out chan<- prometheus.Metric) {
	c.http.collect(out, c.s)
	c.pools.collect(out, c.s)
	c.cache.collect(out, c.s)
	c.limits.collect(out, c.s)
	c.streams.collect(out, c.s)
	c.ingests.collect(out, c.s)
	c.breaker.collect(out, c.s)
	c.memory.collect(out, c.s)
	c.answers.collect(out, c.s)
	c.traces.collect(out, c.s)
}

type httpFamilies struct{ inFlight, panics, connections, connectionsLimit, draining family }

func (f *httpFamilies) make(c *stateCollector) {
	f.inFlight = c.gauge("tomehub_http_requests_in_flight", "Requests that are being answered.", "route")
	f.panics = c.counter("tomehub_http_panics_total", "Requests whose handler panicked.", "route")
	f.connections = c.gauge("tomehub_http_connections", "Connections of clients that are open.")
	f.connectionsLimit = c.gauge("tomehub_http_connections_limit", "Most of them at the same time (--max-connections).")
	f.draining = c.gauge("tomehub_draining", "1 while the server leaves, else 0.")
}

func (f *httpFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	type sums struct{ inFlight, panics int64 }
	byRoute := map[string]sums{}
	for _, r := range s.routes { // a pattern may have several methods
		n := byRoute[r.path]
		byRoute[r.path] = sums{n.inFlight + r.inFlight.Load(), n.panics + r.panics.Load()}
	}
	for route, n := range byRoute {
		send(out, f.inFlight, n.inFlight, route)
		send(out, f.panics, n.panics, route)
	}
	send(out, f.connections, s.connections())
	send(out, f.connectionsLimit, s.cfg.MaxConnections)
	send(out, f.draining, oneIf(s.leaving() != ""))
}

// oneIf is a condition as a gauge shows it.
func oneIf(condition bool) int {
	if condition {
		return 1
	}
	return 0
}

type limitFamilies struct{ decisions, clients, storageUp, fallbacks family }

func (f *limitFamilies) make(c *stateCollector) {
	f.decisions = c.counter("tomehub_ratelimit_decisions_total", "Requests by what a limit said of them. One that another limit refused counts with that one alone.", "limiter", "decision")
	f.clients = c.gauge("tomehub_ratelimit_clients", "Clients whose requests this process remembers.", "limiter")
	f.storageUp = c.gauge("tomehub_ratelimit_storage_up", "1 while the shared storage of the limits answers; always 1 without one.")
	f.fallbacks = c.counter("tomehub_ratelimit_fallbacks_total", "Requests decided by this process alone because the shared storage did not answer.")
}

func (f *limitFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	stats := s.limits.limiter.Stats()
	for name := range stats.Refused {
		send(out, f.decisions, stats.Admitted[name], name, "allowed")
		send(out, f.decisions, stats.Refused[name], name, "refused")
		send(out, f.clients, stats.Storage.Clients[name], name)
	}
	send(out, f.storageUp, oneIf(stats.Storage.Up))
	send(out, f.fallbacks, stats.Storage.Fallbacks)
}

type streamFamilies struct{ active, limit, waiting, closed, refused family }

func (f *streamFamilies) make(c *stateCollector) {
	f.active = c.gauge("tomehub_streams_active", "Streams under way.")
	f.limit = c.gauge("tomehub_streams_limit", "Most of them at the same time (MAX_CONCURRENT_STREAMS); 0 is no bound.")
	f.waiting = c.gauge("tomehub_streams_waiting", "Requests that wait for a stream.")
	f.closed = c.counter("tomehub_streams_closed_total", "Streams that ended, by how.", "reason")
	f.refused = c.counter("tomehub_streams_refused_total", "Streams that were not begun, by the bound that refused them.", "reason")
}

func (f *streamFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	r := s.streams.report()
	send(out, f.active, r.Active)
	send(out, f.limit, r.MaxConcurrent)
	send(out, f.waiting, r.Waiting)
	send(out, f.closed, r.Completed, "completed")
	send(out, f.closed, r.Failed, "failed")
	send(out, f.closed, r.ClientGone, "client_gone")
	send(out, f.closed, r.Stalled, "stalled")
	send(out, f.refused, r.Refused.QueueFull, "queue_full")
	send(out, f.refused, r.Refused.TimedOut, "timed_out")
	send(out, f.refused, r.Refused.PerUser, "per_user")
}

type ingestFamilies struct{ active, limit, waiting, refused family }

func (f *ingestFamilies) make(c *stateCollector) {
	f.active = c.gauge("tomehub_ingests_active", "Books that are being read.")
	f.limit = c.gauge("tomehub_ingests_limit", "Most of them at the same time (--max-concurrent-ingests).")
	f.waiting = c.gauge("tomehub_ingests_waiting", "Books that wait to be read.")
	f.refused = c.counter("tomehub_ingests_refused_total", "Books that were not read, by why.", "reason")
}

func (f *ingestFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	stats := s.lib.IngestStats()
	send(out, f.active, stats.InUse)
	send(out, f.limit, stats.Slots)
	send(out, f.waiting, stats.Waiting)
	send(out, f.refused, stats.QueueFull, "queue_full")
	send(out, f.refused, stats.TimedOut, "timed_out")
	send(out, f.refused, stats.Cancelled, "cancelled")
}

type breakerFamilies struct{ state, transitions, calls family }

func (f *breakerFamilies) make(c *stateCollector) {
	f.state = c.gauge("tomehub_circuit_breaker_state", "1 for the state that the breaker is in, 0 for the others.", "name", "state")
	f.transitions = c.counter("tomehub_circuit_breaker_transitions_total", "Changes of state.", "name", "from", "to")
	f.calls = c.counter("tomehub_circuit_breaker_calls_total", "Calls by what they told of the part behind the breaker, and those that it refused.", "name", "result")
}

// breakerLabel is a state as a label: without the hyphen, which PromQL's template names do not take.
func breakerLabel(s breaker.State) string { return strings.ReplaceAll(string(s), "-", "_") }

func (f *breakerFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	closed, open, half := breakerLabel(breaker.Closed), breakerLabel(breaker.Open), breakerLabel(breaker.HalfOpen)
	for _, b := range s.breakerStats() {
		for _, state := range []string{closed, open, half} {
			send(out, f.state, oneIf(state == breakerLabel(b.State)), b.Name, state)
		}
		send(out, f.transitions, b.Opened-b.Reopened, b.Name, closed, open)
		send(out, f.transitions, b.HalfOpened, b.Name, open, half)
		send(out, f.transitions, b.Reopened, b.Name, half, open)
		send(out, f.transitions, b.Closed, b.Name, half, closed)
		send(out, f.calls, b.Successes, b.Name, "success")
		send(out, f.calls, b.Failures, b.Name, "failure")
		send(out, f.calls, b.Rejected, b.Name, "rejected")
	}
}

type memoryFamilies struct{ ratio, used, limit, threshold, state, refused family }

func (f *memoryFamilies) make(c *stateCollector) {
	f.ratio = c.gauge("tomehub_memory_used_ratio", "Memory in use, as a part of the limit: of the cgroup, else of the machine.")
	f.used = c.gauge("tomehub_memory_used_bytes", "Memory in use that counts against the limit.")
	f.limit = c.gauge("tomehub_memory_limit_bytes", "That limit.")
	f.threshold = c.gauge("tomehub_memory_threshold_ratio", "Part of the limit from which a state begins (--memory-warning, --memory-critical).", "state")
	f.state = c.gauge("tomehub_memory_state", "1 for the state that the memory is in, 0 for the others; all 0 while it cannot be read.", "state")
	f.refused = c.counter("tomehub_memory_refusals_total", "Streams and ingests refused because memory is critical.")
}

func (f *memoryFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	send(out, f.refused, s.shed.Load())
	if s.deps.Memory == nil {
		return
	}
	state := s.deps.Memory.Look()
	for _, level := range []memory.Level{memory.OK, memory.Warning, memory.Critical} {
		send(out, f.state, oneIf(level == state.Level), level.String())
	}
	send(out, f.threshold, state.Warning/100, memory.Warning.String())
	send(out, f.threshold, state.Critical/100, memory.Critical.String())
	if state.Level != memory.Unknown {
		send(out, f.ratio, state.Percent()/100)
		send(out, f.used, state.Used)
		send(out, f.limit, state.Limit)
	}
}

type answerFamilies struct{ answers, fallbacks, gone, active, limit, calls, kept family }

func (f *answerFamilies) make(c *stateCollector) {
	f.answers = c.counter("tomehub_answers_total", "Answers given, by who wrote them.", "source")
	f.fallbacks = c.counter("tomehub_answer_fallbacks_total", "Answers of sentences of the passages that stand in for --answer-url, by why.", "reason")
	f.gone = c.counter("tomehub_answer_clients_gone_total", "Clients that left before their answer was whole.")
	f.active = c.gauge("tomehub_answer_calls_active", "Answers that --answer-url is writing.")
	f.limit = c.gauge("tomehub_answer_calls_limit", "Most of them at the same time (--answer-concurrency).")
	f.calls = c.counter("tomehub_answer_calls_total", "Requests sent to --answer-url.")
	f.kept = c.counter("tomehub_answer_cache_hits_total", "Answers of --answer-url that were kept from before.")
}

func (f *answerFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	teller, ok := s.answerer.(interface{ Stats() answer.Stats })
	if !ok {
		return
	}
	stats := teller.Stats()
	for source, n := range stats.Sources {
		send(out, f.answers, n, string(source))
	}
	for reason, n := range stats.Degraded {
		send(out, f.fallbacks, n, string(reason))
	}
	send(out, f.gone, stats.ClientGone)
	if api := stats.API; api != nil {
		send(out, f.active, api.InUse)
		send(out, f.limit, api.Slots)
		send(out, f.calls, api.Calls)
		send(out, f.kept, api.CacheHits)
	}
}

type traceFamilies struct{ spans, waiting, limit family }

func (f *traceFamilies) make(c *stateCollector) {
	f.spans = c.counter("tomehub_trace_spans_total", "Spans of traces that are done with, by what became of them: all but exported ones are lost.", "result")
	f.waiting = c.gauge("tomehub_trace_spans_waiting", "Spans that wait to be sent.")
	f.limit = c.gauge("tomehub_trace_spans_waiting_limit", "Most of them (OTEL_BSP_MAX_QUEUE_SIZE).")
}

func (f *traceFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	if s.deps.Tracer == nil {
		return
	}
	n := s.deps.Tracer.Stats()
	send(out, f.spans, n.Exported, "exported")
	send(out, f.spans, n.DroppedFull, "queue_full")
	send(out, f.spans, n.DroppedFailed, "export_failed")
	send(out, f.spans, n.Refused, "refused")
	send(out, f.waiting, n.Waiting)
	send(out, f.limit, n.Queue)
}
