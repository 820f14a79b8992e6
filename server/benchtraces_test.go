package server

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// A search that the cache answers allocates as much without a tracer as a library that knows of none.
func TestTracesOffAllocateNothing(t *testing.T) {
	allocations := func(cfg library.Config, acquired func(context.Context, string, string, time.Duration), executed func(context.Context, store.Execution)) float64 {
		h := openHouseWith(t, 3, 60, cfg, func(c *pool.Config) { c.Acquired = acquired }, store.Options{Executed: executed})
		handler := newServer(t, testConfig(), h.deps()).Handler()
		request := httptest.NewRequestWithContext(t.Context(), "GET", "/api/search?q=time&page_size=3", nil)
		w := &discard{header: http.Header{}}
		handler.ServeHTTP(w, request)
		least := math.Inf(1) // a pool of buffers may be emptied at any time, and the race detector's often is
		for range 50 {
			least = min(least, testing.AllocsPerRun(1, func() {
				clear(w.header)
				handler.ServeHTTP(w, request)
			}))
		}
		return least
	}
	traced := cached
	traced.Traced = true
	off, on := allocations(cached, nil, nil), allocations(traced, SpanOfAcquire, SpansOfStatements("sqlite"))
	if off != on {
		t.Errorf("%v allocations, and %v where spans would be recorded if there were any", off, on)
	}
}

// BenchmarkTraces measures what a search that the cache answers costs without a tracer, with one that records nothing, and
// with one that records all.
func BenchmarkTraces(b *testing.B) {
	for _, one := range []struct {
		name    string
		tracer  bool
		sampler trace.Sampler
	}{{"off", false, nil}, {"unsampled", true, trace.Ratio(0)}, {"all", true, trace.Ratio(1)}} {
		b.Run(one.name, func(b *testing.B) {
			s := newTracedServer(b, 3, tracing{sampler: one.sampler, deps: func(d *Deps) {
				if !one.tracer {
					d.Tracer = nil
				}
			}})
			request := httptest.NewRequestWithContext(b.Context(), "GET", "/api/search?q=time&include=details&page_size=5", nil)
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.handler.ServeHTTP(w, request)
			}
		})
	}
}
