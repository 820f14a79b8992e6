package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// failing is a library whose searches end in err.
func failing(err error) *fake {
	return &fake{search: func(context.Context, store.Scope, library.SearchRequest) (library.SearchResult, error) {
		return library.SearchResult{}, err
	}}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	f := func(why string, err error, status int, code, part, retry string) {
		t.Helper()
		s := newServer(t, testConfig(), Deps{Library: failing(err)})
		w := ask(t, s.Handler(), "GET", "/api/search?q=a", "")
		wantError(t, w, status, code, part)
		if got := w.Header().Get("Retry-After"); got != retry {
			t.Errorf("%s: Retry-After %q, want %q", why, got, retry)
		}
	}
	exhausted := exhaust(t)
	f("a pool without a slot", fmt.Errorf("search the library: %w", exhausted), 503, "pool_exhausted", "wait for one of 1 read connections (DB_POOL_READ_SIZE)", "1")
	f("a pool that was closed", fmt.Errorf("search: %w", pool.ErrClosed), 503, "draining", "another", "1")
	f("too many ingests", &library.BusyError{Reason: library.ReasonTimeout, Setting: "--max-concurrent-ingests", Slots: 2, Waited: 30 * time.Second}, 503, "ingest_busy", "waited 30s for one of 2 ingest slots (--max-concurrent-ingests)", "5")
	f("a deadline", fmt.Errorf("search: %w", context.DeadlineExceeded), 504, "deadline_exceeded", "--request-timeout 1m5s", "")
	f("a statement's own bound", fmt.Errorf("search: %w of 1s: %w", pool.ErrQueryTimeout, context.DeadlineExceeded), 504, "statement_timeout", "--statement-timeout", "")
	f("somebody else's", fmt.Errorf("delete: %w", library.ErrNotYours), 403, "not_yours", "shared library", "")
	f("bad input", &library.BadInput{Code: library.CodeCursorExpired, Message: "start again"}, 400, library.CodeCursorExpired, "start again", "")
	f("no terms", fmt.Errorf("parse: %w", store.ErrNoTerms), 400, library.CodeQueryNoWords, "letter", "")
	f("too many", fmt.Errorf("search: %w", store.ErrTooMany), 400, "too_many", "1000", "")
	f("nothing there", fmt.Errorf("read: %w", store.ErrNotFound), 404, "not_found", "your own", "")
	f("a database that is not open", fmt.Errorf("search: %w", &pool.OracleError{Code: 1033, Class: pool.Down}), 503, "database_unavailable", "ask again", "1")
	f("a session that was killed", fmt.Errorf("search: %w", &pool.OracleError{Code: 28, Class: pool.Retry}), 503, "database_unavailable", "ask again", "1")
	f("a login that ran into its time, which looks like a deadline", fmt.Errorf("search: %w", errors.Join(&pool.ConnectError{User: "TOME"}, context.DeadlineExceeded)), 503, "database_unavailable", "ask again", "1")
	f("a deadlock", fmt.Errorf("ingest: %w", &pool.OracleError{Code: 60, Class: pool.Conflict}), 503, "database_busy", "undone", "1")
	f("a statement that is wrong", fmt.Errorf("search: %w", &pool.OracleError{Code: 942}), 500, "internal", "log", "")
	f("anything else", errors.New("disk on fire at /var/lib"), 500, "internal", "log", "")
}

// exhaust returns what a real pool says when it has no slot.
func exhaust(t *testing.T) error {
	t.Helper()
	pools, err := pool.OpenSQLite(t.Context(), pool.Config{
		Path:    t.TempDir() + "/library.sqlite",
		Read:    pool.Bounds{Size: 1, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Size: 1, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: time.Millisecond, Recycle: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	held, err := pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	_, err = pools.Read().Acquire(t.Context())
	if !errors.Is(err, pool.ErrExhausted) {
		t.Fatalf("a second connection of one: %v", err)
	}
	return err
}

func TestCausesStayInTheLog(t *testing.T) {
	var out bytes.Buffer
	s := newServer(t, testConfig(), Deps{Library: failing(errors.New("disk on fire")), Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	w := ask(t, s.Handler(), "GET", "/api/search?q=secret", "", "X-Request-Id", "abc-1")
	if strings.Contains(w.Body.String(), "fire") {
		t.Errorf("the client learns: %s", w.Body)
	}
	for _, part := range []string{`"error":"disk on fire"`, `"request_id":"abc-1"`, `"level":"ERROR"`, `"route":"GET /api/search"`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the log lacks %s: %s", part, &out)
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("the log has the query: %s", &out)
	}
}

func TestClientGoneGetsNoAnswer(t *testing.T) {
	entered := make(chan struct{})
	lib := &fake{search: func(ctx context.Context, _ store.Scope, _ library.SearchRequest) (library.SearchResult, error) {
		close(entered)
		<-ctx.Done()
		return library.SearchResult{}, ctx.Err()
	}}
	r := run(t, testConfig(), Deps{Library: lib})
	ctx, leave := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", r.url+"/api/search?q=a", nil)
	go func() {
		<-entered
		leave()
	}()
	if res, err := client(t).Do(req); err == nil {
		res.Body.Close()
		t.Errorf("an answer: %v", res.Status)
	}
	r.inFlight.wait(5 * time.Second)
	report := r.routeOf(t, "GET /api/search")
	if report.ClientGone != 1 || len(report.Statuses) != 0 {
		t.Errorf("counted as %+v, want one client gone", report)
	}
}

func (s *Server) routeOf(t testing.TB, name string) routeReport {
	t.Helper()
	for _, r := range s.routes {
		if r.name() == name {
			return r.report()
		}
	}
	t.Fatalf("no route %s", name)
	return routeReport{}
}

func TestPanicBecomesA500(t *testing.T) {
	var out bytes.Buffer
	lib := &fake{search: func(context.Context, store.Scope, library.SearchRequest) (library.SearchResult, error) {
		panic("boom")
	}}
	s := newServer(t, testConfig(), Deps{Library: lib, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	for range 3 {
		wantError(t, ask(t, s.Handler(), "GET", "/api/search?q=a", ""), 500, "internal", "request id")
	}
	if !strings.Contains(out.String(), "boom") || !strings.Contains(out.String(), "errors_test.go") {
		t.Errorf("the log has no stack of boom: %s", &out)
	}
	if got := s.routeOf(t, "GET /api/search"); got.Panics != 3 || got.Statuses["5xx"] != 3 || got.InFlight != 0 {
		t.Errorf("counted as %+v", got)
	}
}

// A client must be able to tell half an answer from a whole one.
func TestPanicInMidAnswerCutsTheConnection(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()})
	s.add("GET", "/half", s.chain(s.count("", "GET", "/half"), func(c *gin.Context) {
		_, _ = c.Writer.WriteString("half")
		c.Writer.Flush()
		panic("boom")
	}))
	ts := httptest.NewServer(s.Handler())
	defer ts.Close()
	res, err := client(t).Get(ts.URL + "/half")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err == nil {
		t.Errorf("a clean end after %q", &body)
	}
	if got := s.routeOf(t, "GET /half"); got.Panics != 1 || got.InFlight != 0 {
		t.Errorf("counted as %+v", got)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	wantError(t, ask(t, s, "GET", "/nowhere", ""), 404, "no_such_route", "GET /api/search, POST /api/search, GET /api/search/stream, POST /api/search/stream, GET /api/content/:id")
	wantError(t, ask(t, s, "POST", "/api/searches", "{}"), 404, "no_such_route", `"/api/searches"`)
	wantError(t, ask(t, s, "GET", "/api/search/?q=a", ""), 404, "no_such_route", "without the slash")
	wantError(t, ask(t, s, "GET", "/api/content/1/2", ""), 404, "no_such_route", "")
	wantError(t, ask(t, s, "GET", "/debug/pprof/", ""), 404, "no_such_route", "")
	wantError(t, ask(t, s, "GET", "/statements", ""), 404, "no_such_route", "")

	f := func(method, path, allow string) {
		t.Helper()
		w := ask(t, s, method, path, "")
		wantError(t, w, 405, "method_not_allowed", "only "+allow)
		if got := w.Header().Get("Allow"); got != allow {
			t.Errorf("%s %s: Allow %q, want %q", method, path, got, allow)
		}
	}
	f("DELETE", "/api/search", "GET, HEAD, POST")
	f("PUT", "/api/books/7", "GET, HEAD, DELETE")
	f("GET", "/api/ingest", "POST")
	f("BREW", "/api/health", "GET, HEAD")

	w := ask(t, s, "OPTIONS", "/api/search", "")
	if w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("OPTIONS: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestStandingHeaders(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	for _, target := range []string{"/api/search?q=a", "/api/search", "/api/health/live", "/nowhere"} {
		h := ask(t, s, "GET", target, "").Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Cache-Control":           "no-store",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			"Content-Type":            "application/json; charset=utf-8",
			"X-Tomehub-Statements":    "0",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", target, name, got, want)
			}
		}
	}
}

// On a connection of the server's own the fields of an answer take a shorter way than on
// another one: the same ones arrive, each once.
func TestStandingHeadersOnAConnection(t *testing.T) {
	cfg := testConfig()
	cfg.RateLimits.Ingest = 1
	cfg.CORSOrigins = []string{"https://app.example"}
	s := newServer(t, cfg, Deps{Library: echo()})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: newListener(tcp, 10), Config: s.apiServer(t.Context())}
	srv.Start()
	defer srv.Close()
	c := client(t)
	differ := map[string]bool{"Date": true, "X-Ratelimit-Remaining": true, "X-Ratelimit-Reset": true, "Ratelimit": true, "Content-Length": true}
	for _, one := range []struct{ method, target, body string }{
		{"GET", "/api/search?q=a", ""},
		{"HEAD", "/api/search?q=a", ""},
		{"GET", "/api/search", ""},
		{"POST", "/api/search", `{"query":"a"}`},
		{"GET", "/api/openapi.yaml", ""}, // larger than net/http's buffer
		{"GET", "/api/health/live", ""},
		{"GET", "/nowhere", ""},
		{"PUT", "/api/search", ""},
		{"OPTIONS", "/api/search", ""},
		{"POST", "/api/ingest", `{"text":"a"}`},
		{"POST", "/api/ingest", `{"text":"a"}`}, // refused
	} {
		fields := []string{"X-Request-Id", "r-1", "Origin", "https://app.example", "X-Tomehub-User", "recorder", "Expect", "100-continue"}
		recorded := ask(t, s.Handler(), one.method, one.target, one.body, fields...)
		r, err := http.NewRequestWithContext(t.Context(), one.method, srv.URL+one.target, strings.NewReader(one.body))
		if err != nil {
			t.Fatal(err)
		}
		fields[5] = "connection"
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		got, want := res.Header, http.Header{}
		for name, values := range recorded.Header() {
			want[http.CanonicalHeaderKey(name)] = values
		}
		for name := range differ {
			if len(got[name]) > 1 || name != "Date" && name != "Content-Length" && len(got[name]) != len(want[name]) {
				t.Errorf("%s %s: %s is %q", one.method, one.target, name, got[name])
			}
			delete(got, name)
			delete(want, name)
		}
		if diff := cmp.Diff(want, got); diff != "" || res.StatusCode != recorded.Code {
			t.Errorf("%s %s: %d, want %d\n%s", one.method, one.target, res.StatusCode, recorded.Code, diff)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	f := func(why, id string, kept bool) {
		t.Helper()
		got := ask(t, s, "GET", "/api/health/live", "", "X-Request-Id", id).Header().Get("X-Request-Id")
		if (got == id) != kept || got == "" {
			t.Errorf("%s: %q became %q", why, id, got)
		}
	}
	f("a UUID", "7b0c8f0e-3a52-4c3e-9d0e-0f1d2c3b4a59", true)
	f("a trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true)
	f("the longest", strings.Repeat("a", maxRequestID), true)
	f("too long", strings.Repeat("a", maxRequestID+1), false)
	f("empty", "", false)
	f("a blank", "a b", false)
	f("a quote", `a"b`, false)
	f("a line break", "a\nlevel=ERROR", false)
	f("not ASCII", "düş", false)
	seen := map[string]bool{}
	for range 1000 {
		seen[requestID(http.Header{})] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different ids of 1000", len(seen))
	}
}

func TestSlowLinesAreFew(t *testing.T) {
	var g lineGate
	at := time.Unix(1000, 0)
	written := 0
	for range 500 {
		if _, ok := g.admit(at); ok {
			written++
		}
	}
	suppressed, ok := g.admit(at.Add(time.Second))
	if written != slowLines || !ok || suppressed != 500-slowLines {
		t.Errorf("%d lines in a second, then %t with %d suppressed; want %d and %d", written, ok, suppressed, slowLines, 500-slowLines)
	}
}

func TestAccessLog(t *testing.T) {
	line := func(all bool, slow time.Duration) string {
		var out bytes.Buffer
		cfg := testConfig()
		cfg.AccessLog, cfg.SlowRequest = all, slow
		s := newServer(t, cfg, Deps{Library: echo(), Logger: slog.New(slog.NewTextHandler(&out, nil))})
		ask(t, s.Handler(), "GET", "/api/search?q=a", "")
		return out.String()
	}
	if got := line(false, time.Hour); got != "" {
		t.Errorf("off: %s", got)
	}
	if got := line(true, 0); !strings.Contains(got, "msg=request ") || !strings.Contains(got, "status=200") || !strings.Contains(got, "client=192.0.2.1") {
		t.Errorf("on: %s", got)
	}
	if got := line(false, time.Nanosecond); !strings.Contains(got, `msg="slow request"`) || !strings.Contains(got, "level=WARN") {
		t.Errorf("slow: %s", got)
	}
}
