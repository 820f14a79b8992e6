package page

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func ask(s *Site, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func TestEveryFileIsServed(t *testing.T) {
	for name, s := range map[string]*Site{"ops": Ops(), "search by name": Search(true), "search by token": Search(false)} {
		t.Run(name, func(t *testing.T) { everyFileIsServed(t, s) })
	}
}

func everyFileIsServed(t *testing.T, s *Site) {
	f := func(target, contentType, part string) {
		t.Helper()
		got := ask(s, "GET", target)
		var body strings.Builder
		if err := got.Write(&body); err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != contentType || !strings.Contains(body.String(), part) {
			t.Errorf("%s: %d %q without %q", target, got.StatusCode, got.Header.Get("Content-Type"), part)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
		} {
			if h := got.Header.Get(name); h != want {
				t.Errorf("%s: %s is %q, want %q", target, name, h, want)
			}
		}
		etag := got.Header.Get("ETag")
		if again := ask(s, "GET", target, "If-None-Match", etag); etag == "" || again.StatusCode != http.StatusNotModified {
			t.Errorf("%s with ETag %q again: %d, want 304", target, etag, again.StatusCode)
		}
		if stale := ask(s, "GET", target, "If-None-Match", `"0123456789abcdef"`); stale.StatusCode != http.StatusOK {
			t.Errorf("%s with the ETag of another build: %d, want 200", target, stale.StatusCode)
		}
		if head := ask(s, "HEAD", target); head.StatusCode != http.StatusOK || head.ContentLength != got.ContentLength {
			t.Errorf("HEAD %s: %d with %d bytes, want 200 with %d", target, head.StatusCode, head.ContentLength, got.ContentLength)
		}
	}
	f("/", "text/html; charset=utf-8", "<title>")
	f("/page/base.css", "text/css; charset=utf-8", "prefers-color-scheme: dark")
	for _, p := range s.Paths() {
		if strings.HasSuffix(p, ".js") {
			f(p, "text/javascript; charset=utf-8", "//")
		}
	}
	if paths := s.Paths(); paths[0] != "/" || !slices.IsSorted(paths) || len(paths) < 4 {
		t.Errorf("the paths are %q", paths)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	f := func(method, target string, status int) {
		t.Helper()
		if got := ask(Ops(), method, target); got.StatusCode != status {
			t.Errorf("%s %s: %d, want %d", method, target, got.StatusCode, status)
		}
	}
	f("POST", "/", http.StatusMethodNotAllowed)
	f("DELETE", "/page/base.css", http.StatusMethodNotAllowed)
	f("GET", "/page/", http.StatusNotFound)
	f("GET", "/page/page.go", http.StatusNotFound)
	f("GET", "/page/../ops/index.html", http.StatusNotFound)
	f("GET", "/index.html", http.StatusNotFound)
}

// A file that names another host, or brings script or style of its own where the policy forbids it, would not work, or worse would.
func TestPagesAreSelfContained(t *testing.T) {
	for _, s := range []*Site{Ops(), Search(true)} {
		selfContained(t, s)
	}
}

func selfContained(t *testing.T, s *Site) {
	for p, f := range s.files {
		text := string(f.body)
		for _, forbidden := range []string{"http://", "https://", "//cdn", "<style", " style=", " onclick=", "javascript:", "@import", "innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), forbidden) {
				t.Errorf("%s has %q", p, forbidden)
			}
		}
		if len(f.body) > 24<<10 {
			t.Errorf("%s has %d bytes: a page that an incident needs comes at once", p, len(f.body))
		}
	}
	// What the page loads is there.
	for _, part := range strings.Split(string(s.files["/"].body), `"`) {
		if strings.HasPrefix(part, "page/") && !slices.Contains(s.Paths(), "/"+part) {
			t.Errorf("the page loads %s, which is not there", part)
		}
	}
}

func TestSearchAsksForWhatTheServerWants(t *testing.T) {
	f := func(byName bool, want, not string) {
		t.Helper()
		index := Search(byName).files["/"]
		if body := string(index.body); !strings.Contains(body, want) || strings.Contains(body, not) {
			t.Errorf("byName %t: the page has no %s, or %s too", byName, want, not)
		}
	}
	f(true, `data-identity="name"`, `data-identity="token"`)
	f(false, `data-identity="token"`, `data-identity="name"`)
	if Search(true).files["/"].etag == Search(false).files["/"].etag {
		t.Error("both pages have one ETag: a browser would keep the wrong one")
	}
}
