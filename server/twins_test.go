package server

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/store"
)

// twins are two servers with the same books, one on SQLite and one on Oracle's double.
type twins struct {
	t              *testing.T
	sqlite, oracle http.Handler
	owners         map[float64]string // book → who stored it
}

func newTwins(t *testing.T, access library.Access) *twins {
	t.Helper()
	cfg := library.Config{Access: access, Cache: library.CacheConfig{Enabled: true}}
	h := openHouse(t, 0, 0, cfg)
	return &twins{
		t:      t,
		sqlite: newServer(t, testConfig(), h.deps()).Handler(),
		oracle: newServer(t, testConfig(), onDouble(t, cfg)).Handler(),
		owners: map[float64]string{},
	}
}

// onDouble returns what a server on an empty library in Oracle's double works with.
func onDouble(t testing.TB, cfg library.Config) Deps {
	t.Helper()
	return openDouble(t, cfg, nil, nil).deps()
}

// openDouble opens an empty library in Oracle's double, as change wants the pools, and asked through wrap.
func openDouble(t testing.TB, cfg library.Config, change func(*pool.Config, *pool.Oracle), wrap func(oracletest.TxHandler) oracletest.Handler) *doubleHouse {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	h := &doubleHouse{}
	data := tomedata.New()
	handler := oracletest.Handler(data)
	if wrap != nil {
		handler = wrap(data)
	}
	var err error
	h.double, err = oracletest.Start(oracletest.Config{Handler: handler, Logf: t.Logf})
	must(err)
	t.Cleanup(func() {
		must(h.double.Close())
		for what, n := range data.Odd() {
			t.Errorf("the double was asked %d times: %s", n, what)
		}
	})
	pools := pool.Config{
		Read:    pool.Bounds{Min: 1, Size: 4, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Min: 1, Size: 2, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 5 * time.Second, Recycle: time.Hour,
	}
	account := pool.Oracle{User: "tomehub", Password: "secret", DSN: h.double.DSN()}
	if change != nil {
		change(&pools, &account)
	}
	h.pools, err = pool.OpenOracle(t.Context(), pools, account)
	must(err)
	t.Cleanup(func() { must(h.pools.Close()) })
	_, err = store.MigrateOracle(t.Context(), h.pools, store.Options{})
	must(err)
	h.store, err = store.OpenOracle(t.Context(), h.pools, store.Options{})
	must(err)
	h.library, err = library.New(cfg, h.store)
	must(err)
	t.Cleanup(func() { must(h.library.Close()) })
	return h
}

// doubleHouse is a library in Oracle's double, with all that is below it.
type doubleHouse struct {
	double  *oracletest.Server
	pools   *pool.Pools
	store   *store.Oracle
	library *library.Library
}

func (h *doubleHouse) deps() Deps {
	return Deps{Library: h.library, Pools: h.pools.Stats, Statements: h.store.Statements, Cache: h.library.CacheStats}
}

// twinAnswer is what both said to one request.
type twinAnswer struct {
	status         int
	sqlite, oracle any
}

// both sends a request to both servers, whose answers must have one status, one type and one JSON shape.
func (tw *twins) both(user, method, target, body string) twinAnswer {
	tw.t.Helper()
	what := fmt.Sprintf("%s %.80s %.80s as %q", method, target, body, user)
	send := func(h http.Handler) *httptest.ResponseRecorder {
		if user == "" {
			return ask(tw.t, h, method, target, body)
		}
		return ask(tw.t, h, method, target, body, identity.UserHeader, user)
	}
	a, b := send(tw.sqlite), send(tw.oracle)
	if a.Code != b.Code {
		tw.t.Fatalf("%s: %d on SQLite, %d on Oracle\n%s\n%s", what, a.Code, b.Code, a.Body, b.Body)
	}
	if a.Code >= 500 {
		tw.t.Errorf("%s: %d %s", what, a.Code, a.Body)
	}
	for _, h := range []string{"Content-Type", "Retry-After", "Location", "Cache-Control", "Allow"} {
		if x, y := a.Header().Get(h), b.Header().Get(h); x != y {
			tw.t.Errorf("%s: %s is %q on SQLite, %q on Oracle", what, h, x, y)
		}
	}
	got := twinAnswer{a.Code, decoded[any](tw.t, a), decoded[any](tw.t, b)}
	if diff := gocmp.Diff(shape(got.sqlite), shape(got.oracle)); diff != "" {
		tw.t.Errorf("%s: shapes differ (-SQLite +Oracle):\n%s", what, diff)
	}
	return got
}

// shape is a JSON value with the names of types in place of values. The elements of an array count by
// the set of their shapes, since which matches are on a page hangs on the dialect's scores.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		s := map[string]any{}
		for k, e := range v {
			s[k] = shape(e)
			if k == "metadata" { // what the book's own format says; held by value where the page is whole
				s[k] = "object"
			}
			if k == "page_number" {
				s[k] = "number or null"
			}
		}
		return s
	case []any:
		var kinds []string
		for _, e := range v {
			text, _ := json.Marshal(shape(e))
			kinds = append(kinds, string(text))
		}
		slices.Sort(kinds)
		return slices.Compact(kinds)
	case nil:
		return "null"
	}
	return fmt.Sprintf("%T", v)
}

// settled takes out of an answer what may differ: times, scores, what is made of them, and the order
// that they give to matches.
func settled(v any) any {
	switch v := v.(type) {
	case map[string]any:
		s := map[string]any{}
		for k, e := range v {
			switch k {
			case "execution_time_ms", "next_cursor", "request_id", "created_at":
			case "score":
				if _, isMatch := v["book_id"]; !isMatch { // a concept's score is the same everywhere
					s[k] = e
				}
			default:
				s[k] = settled(e)
			}
		}
		return s
	case []any:
		s := make([]any, len(v))
		for i, e := range v {
			s[i] = settled(e)
		}
		if len(v) > 0 {
			if first, ok := v[0].(map[string]any); ok && first["book_id"] != nil {
				slices.SortFunc(s, func(a, b any) int { return cmp.Compare(number(a, "id"), number(b, "id")) })
			}
		}
		return s
	}
	return v
}

// nearly lets sums differ by the order in which they were added up.
var nearly = gocmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) < 1e-9*math.Abs(a) })

func number(v any, name string) float64 {
	n, _ := v.(map[string]any)[name].(float64)
	return n
}

func field[T any](v any, name string) T {
	f, _ := v.(map[string]any)[name].(T)
	return f
}

// same sends a request whose whole answers must be the same.
func (tw *twins) same(user, method, target, body string, status int) twinAnswer {
	tw.t.Helper()
	got := tw.both(user, method, target, body)
	if got.status != status {
		tw.t.Errorf("%s %.80s %.80s as %q: %d, want %d: %v", method, target, body, user, got.status, status, got.oracle)
	}
	if diff := gocmp.Diff(settled(got.sqlite), settled(got.oracle), nearly); diff != "" {
		tw.t.Errorf("%s %.80s %.80s as %q (-SQLite +Oracle):\n%s", method, target, body, user, diff)
	}
	return got
}

// store ingests a text on both.
func (tw *twins) store(user, title, text string) float64 {
	tw.t.Helper()
	body, _ := json.Marshal(map[string]string{"title": title, "author": "An Author", "text": text})
	id := number(tw.same(user, "POST", "/api/ingest", string(body), 201).oracle, "book_id")
	tw.owners[id] = user
	return id
}

// fill gives both the same books of three owners.
func (tw *twins) fill() {
	for i, user := range []string{"", "ada", "bela"} {
		for b := range demo.Books(uint64(i+1), 2, 60) {
			tw.store(user, b.Title, b.Text)
		}
	}
	tw.store("ada", "Düşünce", "Düşünce özgürlüğü ve zaman. The time of ada alone: adaword, STRASSE, 電車で東京へ.")
	tw.store("bela", "A quiet book", "The time of bela alone: belaword and don't, well-known time.")
}

func search(query string, more ...string) string {
	v := url.Values{"q": {query}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return "/api/search?" + v.Encode()
}

// owned holds that every match is in the shared library or the caller's own.
func (tw *twins) owned(user string, answer any) {
	tw.t.Helper()
	for _, m := range field[[]any](answer, "results") {
		if owner, known := tw.owners[number(m, "book_id")]; !known || owner != "" && owner != user {
			tw.t.Errorf("a search as %q found passage %v of a book of %q", user, number(m, "id"), owner)
		}
	}
}
