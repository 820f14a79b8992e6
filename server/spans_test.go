package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// A tracedServer sends its spans to a collector of the test.
type tracedServer struct {
	*house
	t       testing.TB
	handler http.Handler
	tracer  *trace.Tracer
	admin   http.Handler

	end  func() // sends the last spans
	mu   sync.Mutex
	seen []*otlp.Span
}

// tracing is what a test changes of a tracedServer.
type tracing struct {
	server  func(*Config)
	deps    func(*Deps)
	pool    func(*pool.Config)
	sampler trace.Sampler
}

func newTracedServer(t testing.TB, books int, change tracing) *tracedServer {
	t.Helper()
	s := &tracedServer{t: t}
	at := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &m) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("the collector was sent %d bytes at %s: %v", len(body), r.URL, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				s.seen = append(s.seen, ss.Spans...)
			}
		}
	}))
	exporter, err := trace.NewOTLP(trace.OTLPConfig{URL: at.URL + "/v1/traces", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	cfg := trace.DefaultConfig()
	if change.sampler != nil {
		cfg.Sampler = change.sampler
	}
	if s.tracer, err = trace.New(cfg, exporter); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.tracer.Run(ctx) })
	s.end = sync.OnceFunc(func() { cancel(); running.Wait(); at.Close() })
	t.Cleanup(s.end)
	traced := cached
	traced.Traced = true
	s.house = openHouseWith(t, books, 60, traced, func(c *pool.Config) {
		c.Acquired = SpanOfAcquire
		if change.pool != nil {
			change.pool(c)
		}
	}, store.Options{Executed: SpansOfStatements("sqlite")})
	if _, _, err := s.library.Totals(t.Context(), store.Scope{}); err != nil { // the first question also asks for all owners
		t.Fatal(err)
	}
	deps, serverCfg := s.deps(), testConfig()
	deps.Tracer = s.tracer
	if change.deps != nil {
		change.deps(&deps)
	}
	if change.server != nil {
		change.server(&serverCfg)
	}
	made := newServer(t, serverCfg, deps)
	s.handler, s.admin = made.Handler(), made.AdminHandler()
	return s
}

// spans ends the tracer and returns what the collector was sent.
func (s *tracedServer) spans() []*otlp.Span {
	s.end()
	return s.seen
}

func attrOf(span *otlp.Span, key string) string {
	for _, kv := range span.Attributes {
		if kv.Key == key {
			return strings.Trim(strings.SplitN(kv.Value.String(), ":", 2)[1], `"`)
		}
	}
	return ""
}

// drawn draws spans as trees, one line for each, roots in the order of their beginnings, with what is the same in every run.
func drawn(spans []*otlp.Span) string {
	var b strings.Builder
	ids := map[string]*otlp.Span{}
	for _, s := range spans {
		ids[string(s.SpanId)] = s
	}
	slices.SortStableFunc(spans, func(a, b *otlp.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	var draw func(depth int, s *otlp.Span)
	draw = func(depth int, s *otlp.Span) {
		b.WriteString(strings.Repeat("  ", depth) + s.Name)
		for _, key := range []string{"http.response.status_code", "tomehub.error_code", "error.type", "tomehub.cache.result", "tomehub.cache.loaded", "tomehub.cache.keys", "db.response.returned_rows", "tomehub.answer.source"} {
			if v := attrOf(s, key); v != "" {
				fmt.Fprintf(&b, " %s=%s", key[strings.LastIndex(key, ".")+1:], v)
			}
		}
		for _, e := range s.Events {
			b.WriteString(" event=" + e.Name)
		}
		for _, l := range s.Links {
			name := "somebody"
			if to := ids[string(l.SpanId)]; to != nil && string(to.TraceId) == string(l.TraceId) {
				name = to.Name
			}
			b.WriteString(" link=" + name)
		}
		b.WriteString("\n")
		for _, c := range spans {
			if string(c.ParentSpanId) == string(s.SpanId) {
				if string(c.TraceId) != string(s.TraceId) {
					b.WriteString("of another trace: ")
				}
				draw(depth+1, c)
			}
		}
	}
	for _, s := range spans {
		if ids[string(s.ParentSpanId)] == nil {
			draw(0, s)
		}
	}
	return b.String()
}

// What a request goes through is a tree under its span: wantTree does something and holds the spans that it left against
// a drawing.
func wantTree(t *testing.T, why string, change tracing, do func(s *tracedServer), want string) {
	t.Helper()
	s := newTracedServer(t, 3, change)
	do(s)
	if diff := gocmp.Diff(strings.TrimSpace(want), strings.TrimSpace(drawn(s.spans()))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", why, diff)
	}
}

// gets asks for target.
func gets(t *testing.T, target string) func(*tracedServer) {
	return func(s *tracedServer) { ask(t, s.handler, "GET", target, "") }
}

func TestTraceTrees(t *testing.T) {
	wantTree(t, "cold, then a hit", tracing{}, func(s *tracedServer) {
		gets(t, "/api/search?q=time&page_size=3")(s)
		gets(t, "/api/search?q=time&page_size=3")(s)
	}, `
GET /api/search status_code=200
  cache content result=miss
    acquire read
    search_page returned_rows=3
  cache concepts result=miss
    acquire read
    concepts_relations returned_rows=20
GET /api/search status_code=200
  cache content result=hit
  cache concepts result=hit`)
	wantTree(t, "a passage, then a batch with it", tracing{}, func(s *tracedServer) {
		gets(t, "/api/content/1")(s)
		ask(t, s.handler, "POST", "/api/content/batch", `{"ids":[1,2,3]}`)
	}, `
GET /api/content/:id status_code=200
  cache content result=miss
    acquire read
    passage returned_rows=1
POST /api/content/batch status_code=200
  cache content result=hit keys=1
  cache content loaded=2
    acquire read
    passages returned_rows=2`)
	wantTree(t, "health is not traced, an unknown path has no name", tracing{}, func(s *tracedServer) {
		gets(t, "/api/health")(s)
		gets(t, "/api/health/live")(s)
		gets(t, "/users/ann@example.org?token=x")(s)
	}, `GET status_code=404 error_code=no_such_route`)
	wantTree(t, "a stream", tracing{}, gets(t, streamPath+"?q=time&page_size=3"), `
GET /api/search/stream status_code=200
  wait for stream slot
  cache content result=miss
    acquire read
    search_page_details returned_rows=3
  cache concepts result=miss
    acquire read
    concepts_relations returned_rows=20
  answer source=extractive event=first token`)
}

func TestTraceTreesOfRefusals(t *testing.T) {
	wantTree(t, "one too many", tracing{server: func(c *Config) { c.RateLimits = RateLimits{Search: 1} }}, func(s *tracedServer) {
		gets(t, "/api/search?q=xyzzy")(s)
		gets(t, "/api/search?q=xyzzy")(s)
	}, `
GET /api/search status_code=200
  cache content result=miss
    acquire read
    search_page returned_rows=1
GET /api/search status_code=429 error_code=rate_limited`)
	wantTree(t, "a statement that fails", tracing{pool: func(c *pool.Config) {
		c.Intercept = func(_ context.Context, statement string) error {
			if strings.Contains(statement, "tomehub:search_page") {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
	}}, gets(t, "/api/search?q=time"), `
GET /api/search status_code=500 error_code=internal type=internal
  cache content type=_OTHER result=miss
    acquire read
    search_page type=_OTHER returned_rows=0`)
}

// A book's statements are below the storing of it, each batch one of them.
func TestTraceOfIngest(t *testing.T) {
	s := newTracedServer(t, 0, tracing{})
	ask(t, s.handler, "POST", "/api/ingest", `{"title":"T","content":"Being and time. Time and being, said again."}`)
	got := drawn(s.spans())
	for _, line := range []string{"POST /api/ingest status_code=201\n  wait for ingest slot\n  read book\n  store book\n    acquire write\n", "    content_add returned_rows=1\n", "    owner_advance returned_rows="} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestTraceOfExhaustedPool(t *testing.T) {
	s := newTracedServer(t, 0, tracing{pool: func(c *pool.Config) {
		c.Read.Size, c.Timeout = 1, 10*time.Millisecond
	}})
	held, err := s.pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, ask(t, s.handler, "GET", "/api/search?q=time", ""), 503, "pool_exhausted", "DB_POOL_READ_SIZE")
	held.Release()
	spans := s.spans()
	want := `
GET /api/search status_code=503 error_code=pool_exhausted type=pool_exhausted
  cache content type=_OTHER result=miss
    acquire read type=timeout`
	if diff := gocmp.Diff(strings.TrimSpace(want), strings.TrimSpace(drawn(spans))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, span := range spans {
		took := time.Duration(span.EndTimeUnixNano - span.StartTimeUnixNano)
		if took < 10*time.Millisecond || span.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
			t.Errorf("%s took %v, %v; the wait was 10 ms", span.Name, took, span.Status)
		}
	}
}

// A caller's traceparent is the parent, and says whether to record; the log has the trace's id either way.
func TestTraceparent(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	f := func(flags string, sampler trace.Sampler, want int) {
		t.Helper()
		var log bytes.Buffer
		s := newTracedServer(t, 0, tracing{sampler: sampler, server: func(c *Config) { c.AccessLog = true }, deps: func(d *Deps) { d.Logger = slog.New(slog.NewTextHandler(&log, nil)) }})
		ask(t, s.handler, "GET", "/api/search?q=xyzzy", "", "Traceparent", "00-"+id+"-"+parent+"-"+flags, "Tracestate", "a=1", "Baggage", "user=ann")
		spans := s.spans()
		if len(spans) != want {
			t.Errorf("flags %s: %d spans, want %d", flags, len(spans), want)
		}
		for _, span := range spans {
			if hex.EncodeToString(span.TraceId) != id || span.TraceState != "a=1" {
				t.Errorf("%v", span)
			}
			if root := span.Kind == otlp.Span_SPAN_KIND_SERVER; root != (hex.EncodeToString(span.ParentSpanId) == parent) || root != (span.Flags&uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) != 0) {
				t.Errorf("parent of %s is %x, flags %x", span.Name, span.ParentSpanId, span.Flags)
			}
		}
		if !strings.Contains(log.String(), "trace_id="+id) {
			t.Errorf("the log: %s", log.String())
		}
	}
	f("01", nil, 4)
	f("00", nil, 0)
	f("00", trace.Ratio(1), 4)
	f("01", trace.Ratio(0), 0)
}

// Nothing of a user's is in what leaves: neither what was searched for, nor who asked, nor from where.
func TestTracesTellNothingOfUsers(t *testing.T) {
	s := newTracedServer(t, 3, tracing{})
	ask(t, s.handler, "GET", "/api/search/stream?q=hushhush+time", "", "X-Tomehub-User", "anna-karenina", "Authorization", "Bearer s3cr3t", "Cookie", "c00kie", "X-Forwarded-For", "203.0.113.9", "User-Agent", "agent-smith")
	ask(t, s.handler, "POST", "/api/ingest", `{"title":"hushhush","content":"hushhush content"}`, "X-Tomehub-User", "anna-karenina")
	ask(t, s.handler, "GET", "/hushhush/anna-karenina", "")
	ask(t, s.handler, "HUSHHUSH", "/api/search", "")
	spans := s.spans()
	if len(spans) < 10 {
		t.Errorf("%d spans", len(spans))
	}
	for _, span := range spans {
		for _, secret := range []string{"hushhush", "anna", "s3cr3t", "c00kie", "203.0.113.9", "192.0.2.1", "smith"} {
			if strings.Contains(strings.ToLower(span.String()), secret) {
				t.Errorf("%s is in %v", secret, span)
			}
		}
	}
}

// The API of answers is told of the trace, and its call is a span.
func TestTraceOfAnAnswerAPI(t *testing.T) {
	var told http.Header
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = r.Header.Clone()
		w.WriteHeader(http.StatusTeapot)
	}))
	defer api.Close()
	f := func(sampler trace.Sampler, want string) {
		t.Helper()
		answers, err := answer.New(answer.Config{Chat: answer.Chat{URL: api.URL, Model: "m"}})
		if err != nil {
			t.Fatal(err)
		}
		defer answers.Close()
		s := newTracedServer(t, 3, tracing{sampler: sampler, deps: func(d *Deps) { d.Answerer = answers }})
		ask(t, s.handler, "GET", "/api/search?q=time&page_size=3&answer=true", "")
		spans := s.spans()
		got := drawn(spans)
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
		parent := told.Get("Traceparent")
		i := slices.IndexFunc(spans, func(s *otlp.Span) bool { return s.Name == "chat m" })
		if i < 0 && !strings.HasSuffix(parent, "-00") || i >= 0 && parent != fmt.Sprintf("00-%x-%x-01", spans[i].TraceId, spans[i].SpanId) {
			t.Errorf("the API was told %q", parent)
		}
	}
	f(nil, "  answer source=extractive\n    chat m status_code=418 type=status\n")
	f(trace.Ratio(0), "")
}

func TestMetricsOfTraces(t *testing.T) {
	_, m := measuredHouse(t, 0, 0, library.Config{}, unchanged)
	s := newTracedServer(t, 0, tracing{deps: func(d *Deps) { d.Metrics = m }})
	ask(t, s.handler, "GET", "/api/search?q=xyzzy", "")
	s.end()
	got := scraped(t, s.admin)
	if got[`tomehub_trace_spans_total{result="exported"}`] != 4 || got["tomehub_trace_spans_waiting_limit"] != 2048 {
		t.Errorf("%v of %v", got[`tomehub_trace_spans_total{result="exported"}`], got["tomehub_trace_spans_waiting_limit"])
	}
}
