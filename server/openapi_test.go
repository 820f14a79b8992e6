package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/memory"
)

func description(t *testing.T) (libopenapi.Document, *v3.Document) {
	t.Helper()
	doc, err := libopenapi.NewDocument(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	return doc, &model.Model
}

func TestEveryRouteIsDescribed(t *testing.T) {
	_, model := description(t)
	described := map[string]bool{}
	for path, item := range model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	s := newServer(t, testConfig(), Deps{Library: echo()})
	parameter := regexp.MustCompile(`:(\w+)`)
	routed := map[string]bool{}
	for _, r := range s.engine.Routes() {
		routed[r.Method+" "+parameter.ReplaceAllString(r.Path, "{$1}")] = true
	}
	for route := range routed {
		// HEAD is GET without the body, said once for all.
		if of, isHead := strings.CutPrefix(route, "HEAD "); isHead && routed["GET "+of] {
			continue
		}
		if !described[route] {
			t.Errorf("%s is served and not described", route)
		}
	}
	for route := range described {
		if !routed[route] {
			t.Errorf("%s is described and not served", route)
		}
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	doc, _ := description(t)
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("the description itself: %v", p)
		}
	}
	h := openHouse(t, 6, 120, cached)
	cfg := testConfig()
	cfg.MaxIngestBytes = 32 << 10
	s := newServer(t, cfg, h.deps()).Handler()
	limited := newServer(t, ratesConfig(RateLimits{Global: 1}), h.deps()).Handler()
	ask(t, limited, "GET", "/api/books", "")
	full := newServer(t, testConfig(), Deps{Library: failing(exhaust(t))}).Handler()
	broken := newServer(t, testConfig(), Deps{Library: failing(errBoom)}).Handler()
	leaving := newServer(t, testConfig(), h.deps())
	leaving.stage.Store(stageStopped)

	seen := map[string]bool{}
	f := func(on http.Handler, method, target, contentType, body string, status int) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		r.Header.Set("X-Tomehub-User", "ann")
		w := httptest.NewRecorder()
		on.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s %s: %d, want %d: %s", method, target, w.Code, status, w.Body)
			return w
		}
		res := w.Result()
		defer res.Body.Close()
		r.Body = io.NopCloser(strings.NewReader(body))
		if ok, problems := v.ValidateHttpResponse(r, res); !ok {
			for _, p := range problems {
				t.Errorf("%s %s %d: %v\n%.500s", method, target, status, p, w.Body)
			}
		}
		if status < 300 && method == "GET" {
			if ok, problems := v.ValidateHttpRequest(r); !ok {
				t.Errorf("%s %s is accepted and not as described: %v", method, target, problems[0])
			}
		}
		seen[method+" "+strings.SplitN(target, "?", 2)[0]] = true
		return w
	}
	const jsonBody = "application/json"
	f(s, "GET", "/api/search?q=dasein", "", "", 200)
	f(s, "GET", "/api/search?query=time&include=details&page=2&page_size=3", "", "", 200)
	f(s, "GET", "/api/search?q=time&include_details=true&max_results=2", "", "", 200)
	f(s, "GET", "/api/search?q=nosuchwordanywhere", "", "", 200)
	w := f(s, "POST", "/api/search", jsonBody, `{"query":"time","include_details":true,"page_size":2}`, 200)
	next := decoded[library.SearchResult](t, w).NextCursor
	if next == "" {
		t.Fatalf("no cursor: %s", w.Body)
	}
	f(s, "GET", "/api/search?q=time&page_size=2&cursor="+next, "", "", 200)
	f(s, "POST", "/api/search", curlForm, "q=dasein", 200)
	f(s, "GET", "/api/search?q=time&answer=true", "", "", 200)
	f(s, "GET", "/api/search?q=nosuchwordanywhere&answer=true", "", "", 200)
	down := h.deps()
	down.Answerer = openAnswers(t, answer.Chat{URL: "http://127.0.0.1:1"})
	f(newServer(t, cfg, down).Handler(), "POST", "/api/search", jsonBody, `{"query":"time","answer":true}`, 200)
	f(s, "GET", "/api/search", "", "", 400)
	f(s, "POST", "/api/search", jsonBody, `{"query":"a","page":0}`, 400)
	f(s, "POST", "/api/search", jsonBody, `{"q":"`+strings.Repeat("a", 70<<10)+`"}`, 413)
	f(s, "POST", "/api/search", "multipart/form-data; boundary=x", "--x", 415)
	f(broken, "GET", "/api/search?q=a", "", "", 500)
	f(full, "GET", "/api/search?q=a", "", "", 503)
	f(limited, "GET", "/api/search?q=a", "", "", 429)
	f(leaving.Handler(), "GET", "/api/search?q=a", "", "", 503)

	f(s, "GET", "/api/search/stream?q=time", "", "", 200)
	f(s, "POST", "/api/search/stream", jsonBody, `{"query":"time","answer":false}`, 200)
	f(s, "GET", "/api/search/stream", "", "", 400)
	f(broken, "GET", "/api/search/stream?q=a", "", "", 500)
	f(full, "POST", "/api/search/stream", jsonBody, `{"query":"a"}`, 503)
	f(leaving.Handler(), "GET", "/api/search/stream?q=a", "", "", 503)

	f(s, "GET", "/api/content/1", "", "", 200)
	f(s, "GET", "/api/content/x", "", "", 400)
	f(s, "GET", "/api/content/4000000", "", "", 404)
	f(s, "POST", "/api/content/batch", jsonBody, `{"ids":[3,1,2,4000000]}`, 200)
	f(s, "POST", "/api/content/batch", jsonBody, `[1,2]`, 200)
	f(s, "POST", "/api/content/batch", jsonBody, `[]`, 400)

	w = f(s, "POST", "/api/ingest", jsonBody, `{"title":"A","author":"B","content":"The quincunx is a pattern of five. It is found in gardens."}`, 201)
	book := decoded[library.IngestResult](t, w).BookID
	f(s, "POST", "/api/ingest", jsonBody, `{"title":"A","author":"B","content":"The quincunx is a pattern of five. It is found in gardens."}`, 200)
	f(s, "POST", "/api/ingest", jsonBody, `{"title":1}`, 400)
	f(s, "POST", "/api/ingest", jsonBody, `{"content":""}`, 422)
	f(s, "POST", "/api/ingest", "text/plain", strings.Repeat("words ", 10<<10), 413)
	f(s, "POST", "/api/ingest", "application/octet-stream", "%PDF-1.7\n%\xe2\xe3", 415)
	f(s, "GET", "/api/books", "", "", 200)
	f(s, "GET", "/api/books?page=0", "", "", 400)
	f(s, "GET", fmt.Sprintf("/api/books/%d", book), "", "", 200)
	f(s, "DELETE", fmt.Sprintf("/api/books/%d", book), "", "", 200)
	f(s, "DELETE", fmt.Sprintf("/api/books/%d", book), "", "", 404)
	f(s, "GET", fmt.Sprintf("/api/books/%d", book), "", "", 404)

	f(s, "DELETE", "/api/books/1", "", "", 403)

	f(s, "GET", "/api/health", "", "", 200)
	f(s, "GET", "/api/health/live", "", "", 200)
	f(s, "GET", "/api/health/ready", "", "", 200)
	f(leaving.Handler(), "GET", "/api/health/ready", "", "", 503)
	f(s, "GET", "/api/health/pools", "", "", 200)
	f(s, "GET", "/api/health/cache", "", "", 200)
	f(s, "GET", "/api/health/streams", "", "", 200)
	f(newServer(t, testConfig(), Deps{Library: echo()}).Handler(), "GET", "/api/health/cache", "", "", 200)
	f(s, "GET", "/api/health/memory", "", "", 200)
	f(s, "GET", "/api/health/restart", "", "", 200)
	short := newScripted()
	pressed := newServer(t, testConfig(), Deps{Library: echo(), Memory: short}).Handler()
	f(pressed, "GET", "/api/health/memory", "", "", 200)
	short.use(90, memory.Critical)
	short.request("a leak")
	f(pressed, "GET", "/api/health", "", "", 200)
	f(pressed, "GET", "/api/health/restart", "", "", 200)
	f(pressed, "GET", "/api/health/ready", "", "", 503)
	f(pressed, "POST", "/api/ingest", jsonBody, `{"content":"a"}`, 503)
	f(s, "GET", "/", "", "", 200)
	f(s, "GET", "/page/search.js", "", "", 200)
	f(s, "GET", "/page/base.css", "", "", 200)
	f(s, "GET", "/page/none.js", "", "", 404)
	f(leaving.Handler(), "GET", "/", "", "", 503)
	if w := f(s, "GET", "/api/openapi.yaml", "", "", 200); w.Body.String() != string(openAPI) {
		t.Error("the description that is served is another one")
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	h := openHouse(t, 1, 5, cached)
	r := run(t, testConfig(), h.deps())
	for _, path := range []string{"/api/search?q=time", "/api/content/1", "/api/books", "/api/health", "/api/health/ready"} {
		res, err := client(t).Head(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || len(body) > 0 || res.ContentLength < 2 {
			t.Errorf("HEAD %s: %s, %d bytes of %d", path, res.Status, len(body), res.ContentLength)
		}
	}
}
