package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// MetricsConfig says what a server's metrics are about. All label values are known from it, so
// that every series is there, at 0, before anything happens: a ratio of what has not happened yet
// would have no value.
type MetricsConfig struct {
	Version, Phase string   // of tomehub_build_info
	Statements     []string // names of the statements that will run
	Pools          []string // names of the pools that will be asked for slots

	// Restarts are the workers that were started in place of another before this process, and its
	// own start among them, by reason: they outlive a process, as no counter of its own can.
	Restarts map[string]int64
}

// Metrics are what Prometheus is told: counts and times of events, and, once a Server has them, its
// state at the moment of the scrape. Make them with NewMetrics and give them to one Server.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	requests   *prometheus.HistogramVec // by route, method and code
	perRequest *prometheus.HistogramVec // statements, by route
	acquires   *prometheus.HistogramVec // by pool and outcome
	queries    *prometheus.HistogramVec // by statement and outcome
	slow       *prometheus.CounterVec   // by statement
	streamWait prometheus.Histogram
}

// Buckets hold the bounds that the plan and the alerts ask about: 3 s and 8 s of a search, 1 s of
// a slow statement, 30 s of a wait for a connection.
var (
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2, 3, 5, 8, 15, 30, 60}
	queryBuckets   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	waitBuckets    = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	countBuckets   = []float64{0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000}
)

// The outcomes of a statement.
const (
	queryOK    = "ok"
	queryError = "error"
)

// NewMetrics registers the metrics, those of the Go runtime and those of the process with
// registry. It is an error when one of them is registered there already.
func NewMetrics(registry *prometheus.Registry, cfg MetricsConfig) (*Metrics, error) {
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry:   registry,
		requests:   histogram("tomehub_http_request_duration_seconds", "Time from a request's head to the end of its answer. The route is its pattern, code 499 a client that left.", requestBuckets, "route", "method", "code"),
		perRequest: histogram("tomehub_http_db_queries_per_request", "Statements that the database ran for a request.", countBuckets, "route"),
		acquires:   histogram("tomehub_db_acquire_seconds", "Wait for a slot of a pool, whatever it ended with.", waitBuckets, "pool", "outcome"),
		queries:    histogram("tomehub_db_query_duration_seconds", "Time of a statement from when it has its connection to its last row.", queryBuckets, "op", "outcome"),
		slow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tomehub_db_slow_queries_total", Help: "Statements that took --slow-query or longer.",
		}, []string{"op"}),
		streamWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tomehub_stream_wait_seconds", Help: "Wait of a stream for its slot, whatever it ended with.", Buckets: waitBuckets,
		}),
	}
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tomehub_build_info", Help: "Always 1; the labels say which build serves, in which phase of the plan."}, []string{"version", "phase"})
	info.WithLabelValues(cfg.Version, cfg.Phase).Set(1)
	restarts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tomehub_restarts_total", Help: "Workers started by 'serve --supervise' in place of another one, by why; 0 without it.",
	}, []string{"reason"})
	for reason, n := range cfg.Restarts {
		restarts.WithLabelValues(reason).Add(float64(n))
	}
	var faults []error
	for _, c := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info, restarts,
		m.requests, m.perRequest, m.acquires, m.queries, m.slow, m.streamWait,
	} {
		faults = append(faults, registry.Register(c))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	m.prepare(cfg)
	return m, nil
}

// prepare makes the series of all label values that are known.
func (m *Metrics) prepare(cfg MetricsConfig) {
	for _, p := range cfg.Pools {
		for _, outcome := range pool.AcquireOutcomes() {
			m.acquires.WithLabelValues(p, outcome)
		}
	}
	for _, op := range cfg.Statements {
		m.slow.WithLabelValues(op)
		for _, outcome := range []string{queryOK, queryError} {
			m.queries.WithLabelValues(op, outcome)
		}
	}
}

// Acquired counts how asking a pool for a slot ended; it fits pool.Config.Acquired.
func (m *Metrics) Acquired(ctx context.Context, pool, outcome string, waited time.Duration) {
	observe(m.acquires.WithLabelValues(pool, outcome), waited.Seconds(), requestIDOf(ctx))
}

// Executed counts a statement; it fits store.Options.Executed.
func (m *Metrics) Executed(ctx context.Context, e store.Execution) {
	outcome := queryOK
	if e.Failed {
		outcome = queryError
	}
	observe(m.queries.WithLabelValues(e.Statement, outcome), e.Elapsed.Seconds(), requestIDOf(ctx))
	if e.Slow {
		m.slow.WithLabelValues(e.Statement).Inc()
	}
}

// requestIDOf is the id of the request that the store works for in ctx, "" without one.
func requestIDOf(ctx context.Context) string {
	if r, ok := ctx.Value(store.RequestKey).(*store.Request); ok {
		return r.ID
	}
	return ""
}

// maxExemplar bounds the request id of an exemplar: OpenMetrics allows 128 characters for its
// label's name and value together.
const maxExemplar = prometheus.ExemplarMaxRunes - len(exemplarLabel)

const exemplarLabel = "request_id"

// observe adds a value with the request that it was seen in, from which a log line can be found.
func observe(o prometheus.Observer, value float64, requestID string) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && requestID != "" && len(requestID) <= maxExemplar {
		e.ObserveWithExemplar(value, prometheus.Labels{exemplarLabel: requestID})
		return
	}
	o.Observe(value)
}

// The methods that are a label's value; any other is methodOther, so that nobody makes series by
// inventing methods.
var knownMethods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

const methodOther = "OTHER"

// A routeMetrics counts the requests of one route.
type routeMetrics struct {
	method   string // of most requests; "*" where there is no such
	requests prometheus.ObserverVec
	ok       prometheus.Observer // of requests, for the method with 200
	queries  prometheus.Observer
}

// route makes the series of a route. A method of "*" is any.
func (m *Metrics) route(pattern, method string) *routeMetrics {
	r := &routeMetrics{
		method: method, requests: m.requests.MustCurryWith(prometheus.Labels{"route": pattern}),
		queries: m.perRequest.WithLabelValues(pattern),
	}
	usual := method
	if method == "*" {
		usual = methodOther
	}
	r.ok = r.requests.WithLabelValues(usual, "200")
	r.requests.WithLabelValues(usual, "500")
	return r
}

// count adds a finished request. One that the cache has answered costs two additions; the rest
// carry their request's id along, which costs as much as looking for a series does.
func (r *routeMetrics) count(method string, status int, elapsed time.Duration, statements int64, id string) {
	r.queries.Observe(float64(statements))
	if status == http.StatusOK && statements == 0 && method == r.method {
		r.ok.Observe(elapsed.Seconds())
		return
	}
	if !slices.Contains(knownMethods, method) {
		method = methodOther
	}
	observe(r.requests.WithLabelValues(method, strconv.Itoa(status)), elapsed.Seconds(), id)
}

// adminMetrics answers GET /metrics in the text format of Prometheus, or as OpenMetrics for who asks for that.
func (s *Server) adminMetrics(w http.ResponseWriter, r *http.Request) {
	if s.deps.Metrics == nil {
		s.adminAnswer(w, http.StatusNotFound, errorBody{Error: "no_metrics",
			Detail: "this server has no metrics: they are a part of phase D, and it runs in phase " + s.cfg.Phase + " without --metrics (TOMEHUB_METRICS)"})
		return
	}
	s.deps.Metrics.handler.ServeHTTP(w, r)
}
