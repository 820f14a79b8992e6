package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/store"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// A house is a real library in a temporary file.
type house struct {
	pools   *pool.Pools
	store   *store.SQLite
	library *library.Library
}

func (h *house) deps() Deps {
	return Deps{
		Library: h.library, Pools: h.pools.Stats, Statements: h.store.Statements,
		Cache: h.library.CacheStats,
	}
}

// openHouse opens a library; with books > 0 it is filled by the demo generator.
func openHouse(t testing.TB, books, passages int, cfg library.Config) *house {
	t.Helper()
	return openHouseOn(t, books, passages, cfg, func(*pool.Config) {})
}

// openHouseOn is openHouse on pools that change has changed.
func openHouseOn(t testing.TB, books, passages int, cfg library.Config, change func(*pool.Config)) *house {
	t.Helper()
	return openHouseWith(t, books, passages, cfg, change, store.Options{})
}

// openHouseWith is openHouseOn with options of the store.
func openHouseWith(t testing.TB, books, passages int, cfg library.Config, change func(*pool.Config), opts store.Options) *house {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &house{}
	var err error
	pools := pool.Config{
		Path:    filepath.Join(t.TempDir(), "library.sqlite"),
		Read:    pool.Bounds{Min: 1, Size: 8, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Min: 1, Size: 2, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 5 * time.Second, Recycle: time.Hour,
	}
	change(&pools)
	h.pools, err = pool.OpenSQLite(ctx, pools)
	must(err)
	t.Cleanup(func() { must(h.pools.Close()) })
	h.store, err = store.OpenSQLite(ctx, h.pools, opts)
	must(err)
	h.library, err = library.New(cfg, h.store)
	must(err)
	t.Cleanup(func() { must(h.library.Close()) })
	if books > 0 {
		for b := range demo.Books(1, books, passages) {
			_, err := h.library.Ingest(ctx, "", library.Document{Title: b.Title, Author: b.Author, Body: strings.NewReader(b.Text)})
			must(err)
		}
	}
	return h
}

var cached = library.Config{Cache: library.CacheConfig{Enabled: true}}

// testConfig is the default without rates, on free ports.
func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.RateLimits = RateLimits{}
	return cfg
}

func newServer(t testing.TB, cfg Config, deps Deps) *Server {
	t.Helper()
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request through the handler and returns the recorded answer.
func ask(t testing.TB, h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var r *http.Request
	if body == "" {
		r = httptest.NewRequestWithContext(t.Context(), method, target, nil)
	} else {
		r = httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// decoded reads a JSON answer.
func decoded[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("answer %d is not JSON: %v\n%s", w.Code, err, w.Body)
	}
	return v
}

// wantError checks status, code and a part of the sentence.
func wantError(t testing.TB, w *httptest.ResponseRecorder, status int, code, part string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
		return
	}
	e := decoded[errorBody](t, w)
	if e.Error != code || !strings.Contains(e.Detail, part) || e.RequestID == "" || e.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("answer is %+v, want error %q, a detail with %q, and the request id %q", e, code, part, w.Header().Get("X-Request-Id"))
	}
}

// A fake is a library that does what a test says.
type fake struct {
	Library
	search func(context.Context, store.Scope, library.SearchRequest) (library.SearchResult, error)
	ingest func(context.Context, string, library.Document) (library.IngestResult, error)
	batch  func(context.Context, store.Scope, []int64) ([]store.Passage, []int64, error)
	ping   func(context.Context) error
}

func (f *fake) Search(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
	return f.search(ctx, sc, r)
}

func (f *fake) EnterIngest(context.Context) (func(), error) { return func() {}, nil }

func (f *fake) IngestStats() library.IngestStats { return library.IngestStats{Slots: 2} }

func (f *fake) Ingest(ctx context.Context, owner string, doc library.Document) (library.IngestResult, error) {
	return f.ingest(ctx, owner, doc)
}

func (f *fake) Batch(ctx context.Context, sc store.Scope, ids []int64) ([]store.Passage, []int64, error) {
	return f.batch(ctx, sc, ids)
}

func (f *fake) Ping(ctx context.Context) error {
	if f.ping == nil {
		return nil
	}
	return f.ping(ctx)
}

func (f *fake) Totals(context.Context, store.Scope) (int, int, error) { return 0, 0, nil }

// echo answers a search with what was asked, in the title of its only match.
func echo() *fake {
	return &fake{search: func(_ context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		title := fmt.Sprintf("%s|%d|%d|%t|%s|%s", r.Query, r.Page, r.PageSize, r.IncludeDetails, r.Cursor, sc.Owner)
		return library.SearchResult{Query: r.Query, Results: []library.Result{{ID: 1, BookID: 1, Title: title}}}, nil
	}}
}

// running is a server with open listeners.
type running struct {
	*Server
	url, admin string
	stop       context.CancelFunc
	done       chan error // the result of Run
}

// run starts a server and waits until it answers; the test's end stops it.
func run(t testing.TB, cfg Config, deps Deps) *running {
	t.Helper()
	ready := make(chan struct{})
	r := &running{done: make(chan error, 1)}
	deps.Ready = func(public, admin net.Addr) {
		r.url, r.admin = "http://"+public.String(), "http://"+admin.String()
		close(ready)
	}
	r.Server = newServer(t, cfg, deps)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.done <- r.Run(ctx) }()
	select {
	case <-ready:
	case err := <-r.done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		<-r.done
	})
	return r
}

// wait returns the result of Run after stop.
func (r *running) ended(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.done:
		close(r.done) // for the cleanup
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Run did not return")
		return nil
	}
}

// client returns a client of its own, whose connections the test's end closes.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestRoadThroughARealLibrary(t *testing.T) {
	h := openHouse(t, 10, 200, cached)
	s := newServer(t, testConfig(), h.deps()).Handler()

	first := decoded[library.SearchResult](t, ask(t, s, "GET", "/api/search?q=dasein&include=details&page_size=5", ""))
	if first.TotalCount == 0 || len(first.Results) == 0 || first.Results[0].Content == "" || first.CacheHit {
		t.Fatalf("first search: %+v", first)
	}
	w := ask(t, s, "POST", "/api/search", `{"query":"DASEIN","include_details":true,"page":1,"page_size":5}`, "Content-Type", "application/x-www-form-urlencoded")
	again := decoded[library.SearchResult](t, w)
	if !again.CacheHit || again.TotalCount != first.TotalCount || w.Header().Get("X-Tomehub-Statements") != "0" {
		t.Errorf("the same search in other letters: hit %t, %d matches, %s statements; want a hit of %d and 0", again.CacheHit, again.TotalCount, w.Header().Get("X-Tomehub-Statements"), first.TotalCount)
	}

	one := decoded[passageItem](t, ask(t, s, "GET", fmt.Sprintf("/api/content/%d", first.Results[0].ID), ""))
	if one.Content != first.Results[0].Content || one.Title != first.Results[0].Title || one.BookID != first.Results[0].BookID {
		t.Errorf("content/%d is %+v, the match was %+v", one.ID, one, first.Results[0])
	}
	both := decoded[batchResult](t, ask(t, s, "POST", "/api/content/batch", fmt.Sprintf(`{"ids":[999999,%d,1,%[1]d]}`, one.ID)))
	if len(both.Items) != 3 || both.Items[0].ID != one.ID || both.Items[1].ID != 1 || both.Items[2].Content != one.Content || fmt.Sprint(both.UnknownIDs) != "[999999]" {
		t.Errorf("batch: %+v", both)
	}

	books := decoded[bookPage](t, ask(t, s, "GET", "/api/books?page=2&page_size=4", ""))
	if books.TotalCount != 10 || len(books.Books) != 4 || books.TotalPages != 3 || !books.HasNext || !books.Books[0].Shared {
		t.Errorf("books: %+v", books)
	}
	id := books.Books[0].ID
	if b := decoded[bookItem](t, ask(t, s, "GET", fmt.Sprintf("/api/books/%d", id), "")); b != books.Books[0] {
		t.Errorf("book %d is %+v, listed as %+v", id, b, books.Books[0])
	}
	wantError(t, ask(t, s, "DELETE", fmt.Sprintf("/api/books/%d", id), "", "X-Tomehub-User", "ann"), 403, "not_yours", "only books of your own")
	wantError(t, ask(t, s, "DELETE", "/api/books/4000000", "", "X-Tomehub-User", "ann"), 404, "not_found", "your own")
	if w := ask(t, s, "DELETE", fmt.Sprintf("/api/books/%d", id), ""); w.Code != 200 {
		t.Errorf("delete: %d %s", w.Code, w.Body)
	}
	wantError(t, ask(t, s, "GET", fmt.Sprintf("/api/books/%d", id), ""), 404, "not_found", "")
}

func TestConfigReportsEveryFaultAtOnce(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
	cfg := DefaultConfig()
	cfg.Listen, cfg.MaxConnections, cfg.DrainTimeout, cfg.ReadTimeout = "5001", 0, 2*time.Hour, 0
	cfg.RequestTimeout, cfg.RateLimits.Search, cfg.CORSOrigins = cfg.WriteTimeout, -1, []string{"https://a.example", "a.example/path"}
	_, err := New(cfg, Deps{})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{"--listen", "--max-connections", "--drain-timeout", "ReadTimeout", "--request-timeout", "RATE_LIMIT_SEARCH", `"a.example/path"`, "no library"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), `"https://a.example"`) {
		t.Errorf("a good origin is refused: %v", err)
	}
}

func TestListenersOpenBothOrNone(t *testing.T) {
	r := run(t, testConfig(), Deps{Library: echo()})
	cfg := testConfig()
	cfg.AdminListen = strings.TrimPrefix(r.admin, "http://")
	err := newServer(t, cfg, Deps{Library: echo()}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "--admin-listen") {
		t.Errorf("a taken admin address: %v", err)
	}
	cfg.Listen, cfg.AdminListen = strings.TrimPrefix(r.url, "http://"), ""
	if err := newServer(t, cfg, Deps{Library: echo()}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a taken address: %v", err)
	}
	public, admin := r.Addrs()
	if "http://"+public.String() != r.url || "http://"+admin.String() != r.admin {
		t.Errorf("Addrs: %v %v", public, admin)
	}
}

var errBoom = errors.New("boom")
