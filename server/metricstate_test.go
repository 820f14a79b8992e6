package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/memory"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// Series that a ratio is made of are there before anything happens.
func TestMetricsBeforeAnythingHappens(t *testing.T) {
	s, _ := fullServer(t)
	got := scraped(t, s.AdminHandler())
	for _, key := range []string{
		`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/search"}`,
		`tomehub_http_request_duration_seconds{code="500",method="GET",route="/api/search"}`,
		`tomehub_http_request_duration_seconds{code="500",method="POST",route="/api/ingest"}`,
		`tomehub_db_acquire_seconds{outcome="queue_full",pool="write"}`,
		`tomehub_db_query_duration_seconds{op="search_page",outcome="error"}`,
		`tomehub_db_slow_queries_total{op="search_page"}`,
		`tomehub_cache_evictions_total{cache="relations",reason="expired"}`,
		`tomehub_ratelimit_decisions_total{decision="refused",limiter="total"}`,
		`tomehub_streams_closed_total{reason="stalled"}`,
		`tomehub_circuit_breaker_transitions_total{from="closed",name="database",to="open"}`,
		`tomehub_circuit_breaker_calls_total{name="database",result="rejected"}`,
		`tomehub_restarts_total{reason="crash"}`,
	} {
		if v, ok := got[key]; !ok || v != 0 {
			t.Errorf("%s is %v, there %v", key, v, ok)
		}
	}
	for key, want := range map[string]float64{
		`tomehub_build_info{phase="D",version="v1.2.3"}`:                1,
		`tomehub_restarts_total{reason="memory"}`:                       2,
		`tomehub_circuit_breaker_state{name="database",state="closed"}`: 1,
		`tomehub_circuit_breaker_state{name="database",state="open"}`:   0,
		`tomehub_memory_state{state="ok"}`:                              1,
		`tomehub_memory_state{state="critical"}`:                        0,
		`tomehub_streams_limit`:                                         100,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v, want %v", key, v, want)
		}
	}
	if got["go_goroutines"] == 0 || got["process_start_time_seconds"] == 0 {
		t.Error("no metrics of the runtime or the process")
	}
}

// fullServer has everything that a server can have, and one failed call behind its breaker.
func fullServer(t testing.TB) (*Server, *breaker.Breaker) {
	t.Helper()
	h, m := measuredHouse(t, 0, 0, library.Config{Cache: library.CacheConfig{Enabled: true, SecondLevel: upSecondLevel{}}}, unchanged)
	b, err := breaker.New(breaker.Config{Name: "database", Failures: 1, OpenFor: 20 * time.Millisecond, Probes: 1})
	if err != nil {
		t.Fatal(err)
	}
	monitor, err := memory.New(memory.DefaultConfig(), memory.NewReader(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := answer.New(answer.Config{Chat: answer.Chat{URL: "http://127.0.0.1:1/v1", Model: "m"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(answers.Close)
	tracer, err := trace.New(trace.DefaultConfig(), trace.NewConsole(io.Discard, nil))
	if err != nil {
		t.Fatal(err)
	}
	deps := h.deps()
	deps.Metrics, deps.Memory, deps.Answerer, deps.Tracer = m, monitor, answers, tracer
	deps.Breakers = func() []breaker.Stats { return []breaker.Stats{b.Stats()} }
	cfg := testConfig()
	cfg.Version, cfg.Phase = "v1.2.3", "D"
	return newServer(t, cfg, deps), b
}

// upSecondLevel keeps nothing.
type upSecondLevel struct{}

func (upSecondLevel) Get(context.Context, string) ([]byte, bool)         { return nil, false }
func (upSecondLevel) Set(context.Context, string, []byte, time.Duration) {}
func (upSecondLevel) Stats() library.SecondLevelStats {
	return library.SecondLevelStats{Up: true, Misses: 3}
}
func (upSecondLevel) Close() error { return nil }

// A breaker whose time has come is half open in the metrics though nobody has called it since.
func TestMetricsOfBreakers(t *testing.T) {
	s, b := fullServer(t)
	fail := func() {
		done, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		done(breaker.Failure)
	}
	state := func() string {
		got, in := scraped(t, s.AdminHandler()), []string{}
		for _, one := range []string{"closed", "half_open", "open"} {
			if got[`tomehub_circuit_breaker_state{name="database",state="`+one+`"}`] == 1 {
				in = append(in, one)
			}
		}
		return strings.Join(in, " and ")
	}
	fail()
	_ = b.Ready() // refused
	if got := state(); got != "open" {
		t.Errorf("after a failure it is %s", got)
	}
	for deadline := time.Now().Add(10 * time.Second); state() == "open" && time.Now().Before(deadline); {
	}
	if got := state(); got != "half_open" {
		t.Errorf("when its time has come it is %s", got)
	}
	fail() // a probe
	got := scraped(t, s.AdminHandler())
	for key, want := range map[string]float64{
		`tomehub_circuit_breaker_transitions_total{from="closed",name="database",to="open"}`:      1,
		`tomehub_circuit_breaker_transitions_total{from="open",name="database",to="half_open"}`:   1,
		`tomehub_circuit_breaker_transitions_total{from="half_open",name="database",to="open"}`:   1,
		`tomehub_circuit_breaker_transitions_total{from="half_open",name="database",to="closed"}`: 0,
		`tomehub_circuit_breaker_calls_total{name="database",result="failure"}`:                   2,
		`tomehub_circuit_breaker_calls_total{name="database",result="rejected"}`:                  1,
		`tomehub_circuit_breaker_calls_total{name="database",result="success"}`:                   0,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// What the health routes and the admin listener say is what the metrics say.
func TestHealthAndMetricsAgree(t *testing.T) {
	h, m := measuredHouse(t, 3, 60, cached, unchanged)
	deps := h.deps()
	deps.Metrics = m
	cfg := testConfig()
	cfg.RateLimits = RateLimits{Global: 40}
	s := newServer(t, cfg, deps)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ask(t, s.Handler(), "GET", []string{"/api/search?q=time", "/api/books", "/nowhere", "/api/content/1"}[i%4], "")
		})
	}
	wg.Wait()
	got, want := scraped(t, s.AdminHandler()), scrape{}
	for _, p := range h.pools.Stats() {
		want[`go_sql_wait_count_total{db_name="`+p.Name+`"}`] = float64(p.Waits)
		want[`go_sql_max_open_connections{db_name="`+p.Name+`"}`] = float64(p.Size)
		want[`tomehub_db_acquire_seconds{outcome="granted",pool="`+p.Name+`"}`] = float64(p.Acquired)
	}
	for name, c := range h.library.CacheStats().Classes {
		want[`tomehub_cache_requests_total{cache="`+name+`",result="hit"}`] = float64(c.Hits)
		want[`tomehub_cache_requests_total{cache="`+name+`",result="miss"}`] = float64(c.Misses)
		want[`tomehub_cache_entries{cache="`+name+`"}`] = float64(c.Entries)
		want[`tomehub_cache_size_bytes{cache="`+name+`"}`] = float64(c.Bytes)
	}
	for _, st := range h.store.Statements() {
		if !strings.HasPrefix(st.Name, "migration") { // run before anybody was told
			want[`tomehub_db_query_duration_seconds{op="`+st.Name+`",outcome="ok"}`] = float64(st.Executions - st.Errors)
		}
	}
	limits := s.limits.limiter.Stats()
	want[`tomehub_ratelimit_decisions_total{decision="refused",limiter="global"}`] = float64(limits.Refused["global"])
	want[`tomehub_ratelimit_decisions_total{decision="allowed",limiter="global"}`] = float64(limits.Allowed)
	if limits.Refused["global"] != 20 {
		t.Errorf("%d refused of 60, with a limit of 40", limits.Refused["global"])
	}
	for key, v := range want {
		if got[key] != v {
			t.Errorf("%s is %v, and health says %v", key, got[key], v)
		}
	}
	for _, r := range s.routes {
		n := 0.0
		for key, v := range got {
			if strings.HasPrefix(key, "tomehub_http_request_duration_seconds{") && !strings.HasSuffix(key, " sum") &&
				strings.Contains(key, `route="`+r.path+`"`) && (r.method == "*" || strings.Contains(key, `method="`+r.method+`"`)) {
				n += v
			}
		}
		if n != float64(r.report().Requests) {
			t.Errorf("%s: %v requests, /routes says %d", r.name(), n, r.report().Requests)
		}
	}
}

// The admin listener goes on telling while the server leaves, and to any number of scrapers.
func TestScrapesDuringDrain(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry(), MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	begun, end := make(chan struct{}), make(chan struct{})
	lib := echo()
	found := lib.search
	lib.search = func(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		close(begun)
		<-end
		return found(ctx, sc, r)
	}
	cfg := testConfig()
	cfg.DrainGrace = 0
	r := run(t, cfg, Deps{Library: lib, Metrics: m})
	c := client(t)
	answered := make(chan error, 1)
	go func() {
		resp, err := c.Get(r.url + "/api/search?q=time")
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	<-begun
	r.stop()
	for r.stage.Load() < stageClosed {
		time.Sleep(time.Millisecond) // no clock of ours: a real drain
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			resp, err := c.Get(r.admin + "/metrics")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			for _, line := range []string{"tomehub_draining 1\n", `tomehub_http_requests_in_flight{route="/api/search"} 1` + "\n"} {
				if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), line) {
					t.Errorf("%d %v, without %q", resp.StatusCode, err, line)
				}
			}
		})
	}
	wg.Wait()
	close(end)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := r.ended(t); err != nil {
		t.Error(err)
	}
}
