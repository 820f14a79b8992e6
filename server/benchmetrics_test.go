package server

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// BenchmarkMetrics measures what metrics cost a search that the cache answers: the same request
// through two servers on one library by turns, so that a busy machine spoils both alike. Without
// connections, which would cost both the same and hide the difference.
func BenchmarkMetrics(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry(), MetricsConfig{Statements: store.StatementNames("sqlite"), Pools: []string{"read", "write"}})
	if err != nil {
		b.Fatal(err)
	}
	h := openHouseWith(b, 10, 500, cached, func(c *pool.Config) { c.Acquired = m.Acquired }, store.Options{Executed: m.Executed})
	deps := h.deps()
	without := newServer(b, benchConfig(), deps).Handler()
	deps.Metrics = m
	with := newServer(b, benchConfig(), deps)
	const target, each = "/api/search?q=time&include=details&page_size=5", 500
	if got := decoded[library.SearchResult](b, ask(b, without, "GET", target, "")); got.TotalCount == 0 {
		b.Fatal("nothing is found")
	}
	turn := func(s http.Handler) func() {
		request := httptest.NewRequestWithContext(b.Context(), "GET", target, nil)
		w := &discard{header: http.Header{}}
		return func() {
			for range each {
				clear(w.header)
				s.ServeHTTP(w, request)
			}
		}
	}
	off, on := turn(without), turn(with.Handler())
	var offSide, onSide side
	for n := 0; b.Loop(); n++ {
		if n%2 == 0 {
			offSide.run(off)
			onSide.run(on)
		} else {
			onSide.run(on)
			offSide.run(off)
		}
	}
	perRequest := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / each }
	ratio := func() float64 { // of medians: one turn in which the machine did something else does not count
		return float64(median(onSide.times)) / float64(median(offSide.times))
	}
	b.ReportMetric(perRequest(median(offSide.times)), "off-ns")
	b.ReportMetric(perRequest(median(onSide.times)), "on-ns")
	b.ReportMetric(ratio(), "on/off")
	b.ReportMetric(float64(onSide.cpu)/float64(offSide.cpu), "on/off-cpu")
	if got := scraped(b, with.AdminHandler()); got[`tomehub_http_request_duration_seconds{code="200",method="GET",route="/api/search"}`] < each {
		b.Error("the searches were not counted")
	}
}

func median(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

// BenchmarkScrape is one answer of /metrics.
func BenchmarkScrape(b *testing.B) {
	s, _ := fullServer(b)
	admin := s.AdminHandler()
	request := httptest.NewRequestWithContext(b.Context(), "GET", "/metrics", nil)
	w := &discard{header: http.Header{}}
	for b.Loop() {
		w.bytes = 0
		admin.ServeHTTP(w, request)
	}
	b.ReportMetric(float64(w.bytes), "bytes/answer")
}
