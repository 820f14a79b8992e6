package server

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/library"
)

func ratesConfig(r RateLimits) Config {
	cfg := testConfig()
	cfg.RateLimits = r
	return cfg
}

// sent is the header field of that name as it is sent; Get would spell the name Go's way.
func sent(w *httptest.ResponseRecorder, name string) string {
	return strings.Join(w.Header()[name], "|")
}

func TestSearch101IsRefused(t *testing.T) {
	s := newServer(t, ratesConfig(DefaultConfig().RateLimits), Deps{Library: echo()}).Handler()
	for i := range 100 {
		w := ask(t, s, "GET", "/api/search", "") // the plan's loop: no query
		if w.Code != 400 || sent(w, "X-RateLimit-Reset") == "" || sent(w, "X-RateLimit-Remaining") != strconv.Itoa(99-i) || sent(w, "X-RateLimit-Limit") != "100" {
			t.Fatalf("request %d: %d %v", i+1, w.Code, w.Header())
		}
	}
	w := ask(t, s, "GET", "/api/search", "")
	body := decoded[map[string]any](t, w)
	retry := w.Header().Get("Retry-After")
	if w.Code != 429 || body["error"] != "Rate limit exceeded" || len(body) != 3 || strconv.Itoa(int(body["retry_after"].(float64))) != retry || retry == "0" {
		t.Errorf("request 101: %d %v, Retry-After %q", w.Code, body, retry)
	}
	if detail := body["detail"].(string); !strings.Contains(detail, "100 searches of one user per minute (RATE_LIMIT_SEARCH)") {
		t.Errorf("detail: %s", detail)
	}
	// Others are not held up: another user at the same address, and the user's other routes.
	if w := ask(t, s, "GET", "/api/search?q=a", "", "X-Tomehub-User", "ann"); w.Code != 200 {
		t.Errorf("another user: %d", w.Code)
	}
	if w := ask(t, s, "GET", "/api/openapi.yaml", ""); w.Code != 200 {
		t.Errorf("another route: %d", w.Code)
	}
	if w := ask(t, s, "GET", "/api/health/live", ""); w.Code != 200 || sent(w, "X-RateLimit-Limit") != "" {
		t.Errorf("health: %d %v", w.Code, w.Header())
	}
}

func TestRatesHoldUnderConcurrency(t *testing.T) {
	s := newServer(t, ratesConfig(RateLimits{Search: 100}), Deps{Library: echo()}).Handler()
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 5 {
				if ask(t, s, "GET", "/api/search?q=a", "").Code == 200 {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := admitted.Load(); got != 100 {
		t.Errorf("%d of 320 admitted, want 100", got)
	}
}

// refuseTokens refuses whoever brings a token.
type refuseTokens struct{ identity.Off }

func (v refuseTokens) Identify(r *http.Request) (identity.Identity, error) {
	if r.Header.Get("Authorization") != "" {
		return identity.Identity{}, &identity.Error{Code: identity.TokenSignature, Message: "The token is not by a key of Firebase."}
	}
	return v.Off.Identify(r)
}

// A refused token is a 401 with the challenge that RFC 6750 demands; missing keys are a 503.
func TestRefusedIdentity(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo(), Identity: refuseTokens{}}).Handler()
	w := ask(t, s, "GET", "/api/search?q=a", "", "Authorization", "Bearer secret-token")
	wantError(t, w, 401, "token_signature", "Firebase")
	if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="tomehub", error="invalid_token"`) {
		t.Errorf("challenge is %q", got)
	}
	if strings.Contains(w.Body.String(), "secret-token") {
		t.Errorf("the answer holds the token: %s", w.Body)
	}
}

func TestRatesByAddressCountEveryRoute(t *testing.T) {
	deps := Deps{Library: echo(), Identity: refuseTokens{}}
	s := newServer(t, ratesConfig(RateLimits{Global: 6}), deps).Handler()
	f := func(why, method, target string, status int, headers ...string) {
		t.Helper()
		if w := ask(t, s, method, target, "", headers...); w.Code != status {
			t.Errorf("%s: %d, want %d: %s", why, w.Code, status, w.Body)
		}
	}
	f("a search", "GET", "/api/search?q=a", 200)
	f("another user", "GET", "/api/search?q=a", 200, "X-Tomehub-User", "ann")
	f("an unknown path", "GET", "/nowhere", 404)
	f("an unknown method", "PUT", "/api/search", 405)
	f("a refused identity", "GET", "/api/search?q=a", 401, "Authorization", "Bearer x")
	f("a forged address", "GET", "/api/search?q=a", 200, "X-Forwarded-For", "10.9.8.7")
	f("the seventh", "GET", "/api/search?q=a", 429, "X-Forwarded-For", "10.9.8.6")
	f("the eighth, with a refused identity", "GET", "/api/search?q=a", 429, "Authorization", "Bearer x")
	f("health", "GET", "/api/health/live", 200)
}

func TestIngestsAndTotalHaveRates(t *testing.T) {
	h := openHouse(t, 0, 0, library.Config{})
	s := newServer(t, ratesConfig(RateLimits{Ingest: 1, Total: 4}), h.deps()).Handler()
	f := func(why, target, user string, status int, part string) {
		t.Helper()
		w := ask(t, s, "POST", target, `{"text":"Some words of a book.","query":"words"}`, "X-Tomehub-User", user)
		if w.Code != status || !strings.Contains(w.Body.String(), part) {
			t.Errorf("%s: %d %s", why, w.Code, w.Body)
		}
	}
	f("ann's first", "/api/ingest", "ann", 201, "book_id")
	f("ann's second", "/api/ingest", "ann", 429, "RATE_LIMIT_INGEST")
	f("bob's first", "/api/ingest", "bob", 201, "book_id")
	f("ann's search", "/api/search", "ann", 200, "results")
	f("bob's search", "/api/search", "bob", 200, "results")
	f("the fifth of all", "/api/search", "cat", 429, "RATE_LIMIT_TOTAL")
}

func TestUserHeader(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	for _, name := range []string{"ann", "user-17", "a.b@example.org", strings.Repeat("x", 128)} {
		w := ask(t, s, "GET", "/api/search?q=a", "", "X-Tomehub-User", name)
		if got := decoded[library.SearchResult](t, w).Results[0].Title; !strings.HasSuffix(got, "|"+name) {
			t.Errorf("%s became %s", name, got)
		}
	}
	for _, name := range []string{"a b", "a\x00", "düş", strings.Repeat("x", 129)} {
		wantError(t, ask(t, s, "GET", "/api/search?q=a", "", "X-Tomehub-User", name), 400, "user_malformed", "X-Tomehub-User")
	}
}

// Two users and nobody, at every route that reads or writes the library.
func TestOwnersNeverSeeEachOther(t *testing.T) {
	h := openHouse(t, 1, 10, cached)
	s := newServer(t, testConfig(), h.deps()).Handler()
	ingest := func(user, text string) library.IngestResult {
		w := ask(t, s, "POST", "/api/ingest", `{"title":"Diary of `+user+`","text":"`+text+`"}`, "X-Tomehub-User", user)
		return decoded[library.IngestResult](t, w)
	}
	ann := ingest("ann", "The quincunx of ann is hers alone.")
	bob := ingest("bob", "The quincunx of bob is his alone.")
	for range 2 { // the second time from the cache
		for user, want := range map[string]int{"ann": 1, "bob": 1, "": 0} {
			var headers []string
			if user != "" {
				headers = []string{"X-Tomehub-User", user}
			}
			for _, details := range []string{"", "&include=details"} {
				got := decoded[library.SearchResult](t, ask(t, s, "GET", "/api/search?q=quincunx"+details, "", headers...))
				if got.TotalCount != want || len(got.Results) != want || want == 1 && got.Results[0].Title != "Diary of "+user {
					t.Errorf("%q finds %+v", user, got.Results)
				}
			}
			w := ask(t, s, "GET", streamPath+"?q=quincunx", "", headers...)
			got := records(t, w)
			if got[0].TotalCount != want || len(got[0].Results) != want {
				t.Errorf("%q streams %+v", user, got[0].Results)
			}
			for other := range map[string]int{"ann": 1, "bob": 1} {
				if reads := strings.Contains(w.Body.String(), "of "+other+" is"); reads != (other == user) {
					t.Errorf("%q reads in a stream of %s's: %t: %s", user, other, reads, w.Body)
				}
			}
			for _, other := range []library.IngestResult{ann, bob} {
				own := other.Title == "Diary of "+user
				id := strconv.FormatInt(other.FirstPassageID, 10)
				book := strconv.FormatInt(other.BookID, 10)
				if w := ask(t, s, "GET", "/api/content/"+id, "", headers...); (w.Code == 200) != own {
					t.Errorf("%q reads content of %s: %d", user, other.Title, w.Code)
				}
				if w := ask(t, s, "GET", "/api/books/"+book, "", headers...); (w.Code == 200) != own {
					t.Errorf("%q reads the book %s: %d", user, other.Title, w.Code)
				}
				batch := decoded[batchResult](t, ask(t, s, "POST", "/api/content/batch", "["+id+"]", headers...))
				if (len(batch.Items) == 1) != own || (len(batch.UnknownIDs) == 0) != own {
					t.Errorf("%q batches %s: %+v", user, other.Title, batch)
				}
				if w := ask(t, s, "DELETE", "/api/books/"+book, "", headers...); !own && w.Code != 404 {
					t.Errorf("%q deletes %s: %d", user, other.Title, w.Code)
				}
				if own { // it was deleted: bring it back
					again := ingest(user, "The quincunx of "+user+" is "+map[string]string{"ann": "hers", "bob": "his"}[user]+" alone.")
					if user == "ann" {
						ann = again
					} else {
						bob = again
					}
				}
			}
			want := want + 1 // the shared book
			if books := decoded[bookPage](t, ask(t, s, "GET", "/api/books", "", headers...)); books.TotalCount != want {
				t.Errorf("%q lists %d books, want %d", user, books.TotalCount, want)
			}
		}
	}
}
