package server

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// measuredHouse is a library whose pools and store tell the metrics of what they do.
func measuredHouse(t testing.TB, books, passages int, cfg library.Config, change func(*pool.Config)) (*house, *Metrics) {
	t.Helper()
	m, err := NewMetrics(prometheus.NewRegistry(), MetricsConfig{
		Version: "v1.2.3", Phase: "D", Statements: store.StatementNames("sqlite"), Pools: []string{"read", "write"},
		Restarts: map[string]int64{"memory": 2, "crash": 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := openHouseWith(t, books, passages, cfg, func(c *pool.Config) {
		c.Acquired = m.Acquired
		change(c)
	}, store.Options{Executed: m.Executed, SlowQuery: time.Hour})
	return h, m
}

func unchanged(*pool.Config) {}

// A scrape is what /metrics shows: a value for each series; of a histogram, its count.
type scrape map[string]float64

// series names one series as PromQL writes it, labels in alphabetical order.
func series(name string, labels []*dto.LabelPair) string {
	var parts []string
	for _, l := range labels {
		parts = append(parts, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return name
	}
	return name + "{" + strings.Join(parts, ",") + "}"
}

func families(t testing.TB, admin http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	w := ask(t, admin, "GET", "/metrics", "")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("/metrics: %d %v", w.Code, err)
	}
	return found
}

func scraped(t testing.TB, admin http.Handler) scrape {
	t.Helper()
	out := scrape{}
	for name, f := range families(t, admin) {
		for _, m := range f.Metric {
			key := series(name, m.Label)
			switch {
			case m.Histogram != nil:
				out[key] = float64(m.Histogram.GetSampleCount())
				out[key+" sum"] = m.Histogram.GetSampleSum()
			case m.Counter != nil:
				out[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				out[key] = m.Gauge.GetValue()
			}
		}
	}
	return out
}

// moved are the series of ours that differ between two scrapes, without times and sizes, which
// differ from run to run.
func moved(before, after scrape) map[string]float64 {
	out := map[string]float64{}
	for key, v := range after {
		if !strings.HasPrefix(key, "tomehub_") && !strings.HasPrefix(key, "go_sql_") ||
			strings.HasSuffix(key, " sum") || strings.Contains(key, "_bytes") || strings.Contains(key, "_ratio") {
			continue
		}
		if d := v - before[key]; d != 0 {
			out[key] = d
		}
	}
	return out
}

// Every kind of request moves what it should, and nothing else.
// A meter is a server with what it exports, and a limit of three searches.
type meter struct {
	*testing.T
	handler, admin http.Handler
}

func newMeter(t *testing.T) meter {
	t.Helper()
	h, m := measuredHouse(t, 3, 60, cached, unchanged)
	cfg := testConfig()
	cfg.RateLimits = RateLimits{Global: 1000, Search: 3}
	deps := h.deps()
	deps.Metrics = m
	s := newServer(t, cfg, deps)
	return meter{t, s.Handler(), s.AdminHandler()}
}

// moves does something and holds the figures that it moved, and by how much, against those that are wanted.
func (m meter) moves(why string, want map[string]float64, do func()) {
	m.Helper()
	before := scraped(m.T, m.admin)
	do()
	got := moved(before, scraped(m.T, m.admin))
	const owners, granted = `tomehub_db_query_duration_seconds{op="owners",outcome="ok"}`, `tomehub_db_acquire_seconds{outcome="granted",pool="read"}`
	if n := got[owners]; n > 0 { // the store looks for changes of others from time to time
		delete(got, owners)
		if got[granted] -= n; got[granted] == 0 {
			delete(got, granted)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.Errorf("%s (-want +got):\n%s", why, diff)
	}
}

// allowed adds to more that each of the limiters let one request pass.
func allowed(more map[string]float64, limiters ...string) map[string]float64 {
	for _, l := range limiters {
		more[`tomehub_ratelimit_decisions_total{decision="allowed",limiter="`+l+`"}`] = 1
	}
	return more
}

func (m meter) ask(method, target, body string, headers ...string) func() {
	return func() { ask(m.T, m.handler, method, target, body, headers...) }
}

func TestMetricsMoveWithRequests(t *testing.T) {
	m := newMeter(t)
	m.searches()
	m.others()
}

func (m meter) searches() {
	m.Helper()
	m.moves("a search that the cache does not have", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/search"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search"}`:                           1,
		`tomehub_db_acquire_seconds{outcome="granted",pool="read"}`:                          2,
		`tomehub_db_query_duration_seconds{op="search_page",outcome="ok"}`:                   1,
		`tomehub_db_query_duration_seconds{op="concepts_relations",outcome="ok"}`:            1,
		`tomehub_cache_requests_total{cache="content",result="miss"}`:                        1,
		`tomehub_cache_requests_total{cache="concepts",result="miss"}`:                       1,
		`tomehub_cache_entries{cache="content"}`:                                             1,
		`tomehub_cache_entries{cache="concepts"}`:                                            1,
		`tomehub_ratelimit_clients{limiter="global"}`:                                        1,
		`tomehub_ratelimit_clients{limiter="search"}`:                                        1,
	}, "global", "search"), m.ask("GET", "/api/search?q=time", "", "X-Tomehub-User", "ann"))
	m.moves("the same search", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/search"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search"}`:                           1,
		`tomehub_cache_requests_total{cache="content",result="hit"}`:                         1,
		`tomehub_cache_requests_total{cache="concepts",result="hit"}`:                        1,
	}, "global", "search"), m.ask("GET", "/api/search?q=time", "", "X-Tomehub-User", "ann"))
	m.moves("the same with HEAD, which is no GET", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="200",method="HEAD",route="/api/search"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search"}`:                            1,
		`tomehub_cache_requests_total{cache="content",result="hit"}`:                          1,
		`tomehub_cache_requests_total{cache="concepts",result="hit"}`:                         1,
	}, "global", "search"), m.ask("HEAD", "/api/search?q=time", "", "X-Tomehub-User", "ann"))
	m.moves("one search too many", map[string]float64{
		`tomehub_http_request_duration_seconds{code="429",method="POST",route="/api/search"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search"}`:                            1,
		`tomehub_ratelimit_decisions_total{decision="refused",limiter="search"}`:              1,
	}, m.ask("POST", "/api/search?q=time", `{"q":"time"}`, "X-Tomehub-User", "ann"))
	m.moves("a stream of another user", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/search/stream"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search/stream"}`:                           1,
		`tomehub_streams_closed_total{reason="completed"}`:                                          1,
		`tomehub_stream_wait_seconds`:                                                               1,
		`tomehub_cache_requests_total{cache="content",result="hit"}`:                                1,
		`tomehub_cache_requests_total{cache="concepts",result="hit"}`:                               1,
		`tomehub_ratelimit_clients{limiter="search"}`:                                               1,
	}, "global", "search"), m.ask("GET", "/api/search/stream?q=time&answer=false", "", "X-Tomehub-User", "bob"))
}

func (m meter) others() {
	m.Helper()
	m.moves("a passage that is not there", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="404",method="GET",route="/api/content/:id"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/content/:id"}`:                           1,
		`tomehub_db_acquire_seconds{outcome="granted",pool="read"}`:                               1,
		`tomehub_db_query_duration_seconds{op="passage",outcome="ok"}`:                            1,
		`tomehub_cache_requests_total{cache="content",result="miss"}`:                             1,
		`tomehub_cache_load_failures_total`:                                                       1,
	}, "global"), m.ask("GET", "/api/content/999999", ""))
	m.moves("a health route, which no limit counts", map[string]float64{
		`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/health/live"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/health/live"}`:                           1,
	}, m.ask("GET", "/api/health/live", ""))
	m.moves("an invented method", allowed(map[string]float64{
		`tomehub_http_request_duration_seconds{code="405",method="OTHER",route="unknown method"}`: 1,
		`tomehub_http_db_queries_per_request{route="unknown method"}`:                             1,
	}, "global"), m.ask("BREW", "/api/search", ""))
}

// A pool without a free connection and a statement that fails are seen for what they are.
func TestMetricsOfFailures(t *testing.T) {
	h, m := measuredHouse(t, 1, 20, library.Config{}, func(c *pool.Config) {
		c.Read.Size, c.Read.Min, c.Read.Queue, c.Timeout = 1, 1, 1, 20*time.Millisecond
		c.Intercept = func(_ context.Context, statement string) error {
			if strings.Contains(statement, "tomehub:books ") {
				return errors.New("broken")
			}
			return nil
		}
	})
	deps := h.deps()
	deps.Metrics = m
	s := newServer(t, testConfig(), deps)
	held, err := h.pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := scraped(t, s.AdminHandler())
	if before[`go_sql_in_use_connections{db_name="read"}`] != 1 || before[`go_sql_max_open_connections{db_name="read"}`] != 1 {
		t.Errorf("a pool of one that is held: %v in use of %v", before[`go_sql_in_use_connections{db_name="read"}`], before[`go_sql_max_open_connections{db_name="read"}`])
	}
	if w := ask(t, s.Handler(), "GET", "/api/search?q=time", ""); w.Code != 503 {
		t.Errorf("%d with no connection free", w.Code)
	}
	held.Release()
	if w := ask(t, s.Handler(), "GET", "/api/books", ""); w.Code != 500 {
		t.Errorf("%d with a broken statement", w.Code)
	}
	after := moved(before, scraped(t, s.AdminHandler()))
	waits := after[`go_sql_wait_count_total{db_name="read"}`] // for matches and, unless it is known, for who owns books
	if waits != 1 && waits != 2 {
		t.Errorf("%v waits of one search", waits)
	}
	want := map[string]float64{
		`tomehub_http_request_duration_seconds{code="503",method="GET",route="/api/search"}`: 1,
		`tomehub_http_db_queries_per_request{route="/api/search"}`:                           1,
		`tomehub_http_request_duration_seconds{code="500",method="GET",route="/api/books"}`:  1,
		`tomehub_http_db_queries_per_request{route="/api/books"}`:                            1,
		`tomehub_db_acquire_seconds{outcome="timeout",pool="read"}`:                          waits,
		`tomehub_db_acquire_seconds{outcome="granted",pool="read"}`:                          1,
		`tomehub_db_pool_refusals_total{pool="read",reason="timeout"}`:                       waits,
		`tomehub_db_query_duration_seconds{op="books",outcome="error"}`:                      1,
		`go_sql_wait_count_total{db_name="read"}`:                                            waits,
		`go_sql_in_use_connections{db_name="read"}`:                                          -1,
	}
	if waited := after[`go_sql_wait_duration_seconds_total{db_name="read"}`]; waited < .02 || waited > 10 {
		t.Errorf("waited %v s", waited)
	}
	delete(after, `go_sql_wait_duration_seconds_total{db_name="read"}`)
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A slow statement is counted when it is logged.
func TestMetricsOfSlowStatements(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry(), MetricsConfig{Statements: []string{"count"}})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, testConfig(), Deps{Library: echo(), Metrics: m})
	m.Executed(t.Context(), store.Execution{Statement: "count", Elapsed: 2 * time.Second, Slow: true})
	m.Executed(t.Context(), store.Execution{Statement: "count", Elapsed: time.Second / 2})
	got := scraped(t, s.AdminHandler())
	if got[`tomehub_db_slow_queries_total{op="count"}`] != 1 || got[`tomehub_db_query_duration_seconds{op="count",outcome="ok"}`] != 2 ||
		got[`tomehub_db_query_duration_seconds{op="count",outcome="ok"} sum`] != 2.5 {
		t.Errorf("%v", got)
	}
}

// Paths and methods that a client invents add no series.
func FuzzMetricsRoutes(f *testing.F) {
	m, err := NewMetrics(prometheus.NewRegistry(), MetricsConfig{})
	if err != nil {
		f.Fatal(err)
	}
	s := newServer(f, testConfig(), Deps{Library: echo(), Metrics: m})
	for _, method := range append(knownMethods, "BREW") { // what may be is there
		ask(f, s.Handler(), method, "/", "")
		ask(f, s.Handler(), method, "/nowhere", "")
		ask(f, s.Handler(), method, "/api/search", "")
		ask(f, s.Handler(), method, "/api/health/live", "")
	}
	patterns := []string{"/fuzzed/", "/api/content/", "/api/books/"}
	for _, pattern := range patterns {
		for _, method := range knownMethods {
			ask(f, s.Handler(), method, pattern+"1", "")
		}
	}
	f.Add("GET", "/nowhere/7")
	f.Add("GET", "17")
	f.Add("GET", "x%2F..%2Fy")
	f.Add("BREW", "/api/search/")
	f.Add("PROPFIND", "/metrics")
	code := regexp.MustCompile(`code="[^"]*"`) // which answer a path gets is its own affair
	series := func(t testing.TB) []string {
		var all []string
		for key := range scraped(t, s.AdminHandler()) {
			all = append(all, code.ReplaceAllString(key, ""))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	keys := series(f)
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://tomehub/", nil)
		if err != nil {
			return // net/http refuses such a method
		}
		for _, pattern := range patterns {
			r.URL.Path = pattern + path
			s.Handler().ServeHTTP(&discard{header: http.Header{}}, r)
		}
		if diff := cmp.Diff(keys, series(t)); diff != "" {
			t.Errorf("%q %q added series:\n%s", method, path, diff)
		}
	})
}
