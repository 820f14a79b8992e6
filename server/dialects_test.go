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
	"strings"
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
	"github.com/tomehub/tomehub/server/store/storetest"
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

func TestDialectsSearch(t *testing.T) {
	for name, access := range map[string]library.Access{"two": library.TwoStatements, "five": library.FiveStatements} {
		t.Run(name, func(t *testing.T) {
			tw := newTwins(t, access)
			tw.same("", "GET", search("time"), "", 200) // of an empty library
			tw.fill()
			queries := []string{
				"time", "the", "being time", `"of the"`, `"the time of"`, `time "of the"`, "adaword", "belaword", "DÜŞÜNCE", "dusunce", "strasse", "東京",
				"don't", "well-known", "nothingofthekind", "time nothingofthekind", `"time the of"`, strings.Repeat("time ", 100), "",
			}
			for _, user := range []string{"", "ada", "bela", "nobody"} {
				for _, q := range append(queries, storetest.Hostile...) {
					got := tw.both(user, "GET", search(q, "page_size", "1000", "include_details", "true"), "")
					tw.owned(user, got.sqlite)
					tw.owned(user, got.oracle)
					if diff := gocmp.Diff(settled(got.sqlite), settled(got.oracle), nearly); diff != "" {
						t.Errorf("%q as %q (-SQLite +Oracle):\n%s", q, user, diff)
					}
				}
				for _, q := range queries[:6] {
					for _, size := range []int{1, 7, 50} {
						tw.pages(user, q, size, false)
						tw.pages(user, q, size, true)
					}
				}
			}
		})
	}
}

// pages goes through all pages of a query, by number or by cursor: on both dialects they must hold the
// same passages, each once, and say the same of their number.
func (tw *twins) pages(user, query string, size int, byCursor bool) {
	tw.t.Helper()
	var walks [2][]float64
	total := -1.0
	for i, h := range []http.Handler{tw.sqlite, tw.oracle} {
		cursor, ended := "", false
		for page := 1; page <= 1000 && !ended; page++ {
			target := search(query, "page_size", fmt.Sprint(size), "page", fmt.Sprint(page))
			if byCursor && page > 1 {
				target = search(query, "page_size", fmt.Sprint(size), "cursor", cursor)
			}
			w := ask(tw.t, h, "GET", target, "", identity.UserHeader, user)
			got := decoded[any](tw.t, w)
			if w.Code != 200 {
				tw.t.Fatalf("page %d of %q: %d %s", page, query, w.Code, w.Body)
			}
			tw.owned(user, got)
			if n := number(got, "total_count"); total < 0 {
				total = n
			} else if n != total {
				tw.t.Errorf("%q as %q: total %v, then %v", query, user, total, n)
			}
			last := 101.0 // more than any score of Oracle's
			for _, m := range field[[]any](got, "results") {
				if i == 1 && number(m, "score") > last {
					tw.t.Errorf("%q: passage %v has score %v after %v", query, number(m, "id"), number(m, "score"), last)
				}
				last = number(m, "score")
				walks[i] = append(walks[i], number(m, "id"))
			}
			cursor, ended = field[string](got, "next_cursor"), !field[bool](got, "has_next")
			if ended != (float64(page*size) >= total) {
				tw.t.Errorf("%q: page %d of size %d says has_next %t of %v", query, page, size, !ended, total)
			}
		}
		slices.Sort(walks[i])
		if n := len(slices.Compact(slices.Clone(walks[i]))); n != len(walks[i]) || float64(n) != total {
			tw.t.Errorf("%q as %q, size %d, by cursor %t: %d passages on all pages, %d different ones, total %v", query, user, size, byCursor, len(walks[i]), n, total)
		}
	}
	if diff := gocmp.Diff(walks[0], walks[1]); diff != "" {
		tw.t.Errorf("%q as %q, size %d (-SQLite +Oracle):\n%s", query, user, size, diff)
	}
}

func TestDialectsRest(t *testing.T) {
	tw := newTwins(t, library.TwoStatements)
	tw.same("", "GET", "/api/books", "", 200)
	tw.same("", "GET", "/api/content/1", "", 404)
	tw.fill()
	var every []string
	for _, user := range []string{"", "ada", "bela"} {
		for _, m := range field[[]any](tw.both(user, "GET", search("time", "page_size", "1000"), "").sqlite, "results") {
			every = append(every, fmt.Sprint(int64(number(m, "id"))))
		}
	}
	every = append(every, "999999", fmt.Sprint(int64(1)<<40), every[0])
	for _, user := range []string{"", "ada", "bela", "nobody"} {
		for _, id := range every {
			tw.both(user, "GET", "/api/content/"+id, "")
			got := tw.both(user, "GET", "/api/content/"+id, "")
			if diff := gocmp.Diff(settled(got.sqlite), settled(got.oracle), nearly); diff != "" {
				t.Errorf("content %s as %q (-SQLite +Oracle):\n%s", id, user, diff)
			}
		}
		tw.same(user, "POST", "/api/content/batch", `{"ids":[`+strings.Join(every[:min(900, len(every))], ",")+`]}`, 200)
		tw.same(user, "GET", "/api/books?page_size=3&page=2", "", 200)
		tw.same(user, "GET", "/api/books?page_size=3&page=99", "", 200)
		for id := range tw.owners {
			got := tw.both(user, "GET", fmt.Sprintf("/api/books/%d", int64(id)), "")
			if seen := tw.owners[id] == "" || tw.owners[id] == user; seen != (got.status == 200) {
				t.Errorf("book %v of %q as %q: %d", id, tw.owners[id], user, got.status)
			}
		}
	}
	for _, c := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", search("time", "page", "0"), "", 400},
		{"GET", search("time", "page_size", "1001"), "", 400},
		{"GET", search("time", "page", "11", "page_size", "1000"), "", 400}, // beyond the depth
		{"GET", search("time", "cursor", "nonsense"), "", 400},
		{"GET", search("?!"), "", 400},
		{"POST", "/api/search", `{"query":`, 400},
		{"POST", "/api/search", `{"query":"time","page_size":2,"include_details":true}`, 200},
		{"GET", "/api/content/0", "", 400},
		{"GET", "/api/content/x", "", 400},
		{"GET", "/api/books/9007199254740991", "", 404},
		{"POST", "/api/content/batch", `{"ids":[]}`, 400},
		{"POST", "/api/ingest", `{"title":"empty","text":""}`, 422},
		{"GET", "/api/nowhere", "", 404},
	} {
		if c.status == 200 {
			tw.both("ada", c.method, c.target, c.body)
			continue
		}
		tw.same("ada", c.method, c.target, c.body, c.status)
	}
	tw.changes()
}

// changes stores the same book again and deletes it, by everybody.
func (tw *twins) changes() {
	tw.t.Helper()
	text := "A book that is stored twice and deleted once: uniquelyhere, and a tale of it."
	id := int64(tw.store("ada", "Twice", text))
	body, _ := json.Marshal(map[string]string{"title": "Twice", "author": "An Author", "text": text})
	tw.same("ada", "POST", "/api/ingest", string(body), 200)
	tw.same("ada", "GET", search("uniquelyhere", "include_details", "true"), "", 200)
	tw.same("bela", "GET", search("uniquelyhere"), "", 200)
	book := fmt.Sprintf("/api/books/%d", id)
	tw.same("bela", "DELETE", book, "", 404)
	tw.same("ada", "DELETE", "/api/books/1", "", 403)
	tw.same("ada", "DELETE", book, "", 200)
	tw.same("ada", "DELETE", book, "", 404)
	tw.same("ada", "GET", book, "", 404)
	gone := tw.same("ada", "GET", search("uniquelyhere"), "", 200)
	if n := number(gone.oracle, "total_count"); n != 0 {
		tw.t.Errorf("%v matches in a book that was deleted", n)
	}
	tw.same("ada", "POST", "/api/ingest", string(body), 201) // new again
}
