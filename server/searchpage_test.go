package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/identity"
)

func TestSearchPageIsServed(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	f := func(target, contentType, part string) {
		t.Helper()
		w := ask(t, s, "GET", target, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != contentType || !strings.Contains(w.Body.String(), part) {
			t.Errorf("%s: %d %q without %q", target, w.Code, w.Header().Get("Content-Type"), part)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "script-src 'self'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "X-Request-Id": "", "ETag": `"`,
		} {
			if got := w.Header()[http.CanonicalHeaderKey(name)]; len(got) != 1 || got[0] == "" || !strings.Contains(got[0], want) {
				t.Errorf("%s: %s is %q, want one with %q", target, name, got, want)
			}
		}
		if again := ask(t, s, "GET", target, "", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d, want 304", target, again.Code)
		}
		if head := ask(t, s, "HEAD", target, ""); head.Code != 200 || head.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d with %d bytes", target, head.Code, head.Body.Len())
		}
	}
	f("/", "text/html; charset=utf-8", `role="search"`)
	f("/?q=dasein", "text/html; charset=utf-8", `role="search"`)
	for _, name := range []string{"search.js", "words.js", "ask.js", "show.js"} {
		f("/page/"+name, "text/javascript; charset=utf-8", "// ")
	}
	f("/page/base.css", "text/css; charset=utf-8", "--bg")
	w := ask(t, s, "GET", "/page/other.js", "")
	wantError(t, w, 404, "no_such_route", "GET /")
	if got := w.Header()["Content-Security-Policy"]; len(got) != 1 || got[0] != closedPolicy || w.Header().Get("Cache-Control") != noStore {
		t.Errorf("a refusal has the headers %v", w.Header())
	}
	wantError(t, ask(t, s, "POST", "/", ""), 405, "method_not_allowed", "GET")
}

// On a connection of the server's own, where standing fields go into the head by another way.
func TestSearchPageOverTheWire(t *testing.T) {
	r := run(t, testConfig(), Deps{Library: echo()})
	f := func(path, policy string) {
		t.Helper()
		res, err := client(t).Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		for _, name := range []string{"Content-Security-Policy", "Cache-Control", "X-Content-Type-Options"} {
			if len(res.Header[name]) != 1 {
				t.Errorf("%s: %s is %q, want one", path, name, res.Header[name])
			}
		}
		if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, policy) {
			t.Errorf("%s has the policy %q, want %q in it", path, got, policy)
		}
	}
	f("/", "script-src 'self'")
	f("/page/search.js", "frame-ancestors 'none'")
	f("/page/none.js", closedPolicy)
	f("/api/search?q=a", closedPolicy)
}

func TestSearchPageCanBeSwitchedOff(t *testing.T) {
	cfg := testConfig()
	cfg.SearchPage = false
	s := newServer(t, cfg, Deps{Library: echo()}).Handler()
	for _, path := range []string{"/", "/page/search.js"} {
		wantError(t, ask(t, s, "GET", path, ""), 404, "no_such_route", "GET /api/search")
	}
}

// stranger knows nobody.
type stranger struct{}

func (stranger) Identify(r *http.Request) (identity.Identity, error) {
	if r.Header.Get("Authorization") == "Bearer token-of-ann" {
		return identity.Identity{Owner: "ann"}, nil
	}
	return identity.Identity{}, &identity.Error{Code: identity.TokenMissing, Message: "The request has no ID token."}
}

func TestSearchPageAsksNobodyWhoTheyAre(t *testing.T) {
	f := func(v identity.Verifier, wants string) {
		t.Helper()
		s := newServer(t, testConfig(), Deps{Library: echo(), Identity: v}).Handler()
		if w := ask(t, s, "GET", "/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `data-identity="`+wants+`"`) {
			t.Errorf("%T: %d, and it does not ask for a %s", v, w.Code, wants)
		}
	}
	f(nil, "name")
	f(identity.Off{}, "name")
	f(stranger{}, "token")
}

func TestSearchPageCountsAgainstTheGeneralRates(t *testing.T) {
	f := func(rates RateLimits, setting string) {
		t.Helper()
		s := newServer(t, ratesConfig(rates), Deps{Library: echo()}).Handler()
		ask(t, s, "GET", "/", "")
		w := ask(t, s, "GET", "/page/base.css", "")
		if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), setting) || w.Header().Get("Retry-After") == "" {
			t.Errorf("the second file of one allowed by %s: %d %s", setting, w.Code, w.Body)
		}
	}
	f(RateLimits{Global: 1}, "RATE_LIMIT_GLOBAL")
	f(RateLimits{Total: 1}, "RATE_LIMIT_TOTAL")
	s := newServer(t, ratesConfig(RateLimits{Search: 1}), Deps{Library: echo()}).Handler()
	for range 3 {
		if w := ask(t, s, "GET", "/", ""); w.Code != 200 {
			t.Errorf("the page counts as a search: %d", w.Code)
		}
	}
}
