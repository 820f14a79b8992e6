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

const jsonBody = "application/json"

// described is a document's validator, with servers in several states whose answers it looks at.
type described struct {
	*testing.T
	validator                            validator.Validator
	house                                *house
	open, limited, full, broken, leaving http.Handler
}

func newDescribed(t *testing.T) described {
	t.Helper()
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
	d := described{T: t, validator: v}
	d.house = openHouse(t, 6, 120, cached)
	cfg := testConfig()
	cfg.MaxIngestBytes = 32 << 10
	d.open = newServer(t, cfg, d.house.deps()).Handler()
	d.limited = newServer(t, ratesConfig(RateLimits{Global: 1}), d.house.deps()).Handler()
	ask(t, d.limited, "GET", "/api/books", "")
	d.full = newServer(t, testConfig(), Deps{Library: failing(exhaust(t))}).Handler()
	d.broken = newServer(t, testConfig(), Deps{Library: failing(errBoom)}).Handler()
	leaving := newServer(t, testConfig(), d.house.deps())
	leaving.stage.Store(stageStopped)
	d.leaving = leaving.Handler()
	return d
}

// answer asks a server, whose answer must have the status and be as described.
func (d described) answer(on http.Handler, method, target, contentType, body string, status int) *httptest.ResponseRecorder {
	d.Helper()
	r := httptest.NewRequestWithContext(d.Context(), method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("X-Tomehub-User", "ann")
	w := httptest.NewRecorder()
	on.ServeHTTP(w, r)
	if w.Code != status {
		d.Errorf("%s %s: %d, want %d: %s", method, target, w.Code, status, w.Body)
		return w
	}
	res := w.Result()
	defer res.Body.Close()
	r.Body = io.NopCloser(strings.NewReader(body))
	if ok, problems := d.validator.ValidateHttpResponse(r, res); !ok {
		for _, p := range problems {
			d.Errorf("%s %s %d: %v\n%.500s", method, target, status, p, w.Body)
		}
	}
	if status < 300 && method == "GET" {
		if ok, problems := d.validator.ValidateHttpRequest(r); !ok {
			d.Errorf("%s %s is accepted and not as described: %v", method, target, problems[0])
		}
	}
	return w
}

func TestAnswersAreAsDescribed(t *testing.T) {
	d := newDescribed(t)
	d.searches()
	d.streams()
	d.passages()
	d.books()
	d.health()
	d.pages()
}

func (d described) searches() {
	d.Helper()
	d.answer(d.open, "GET", "/api/search?q=dasein", "", "", 200)
	d.answer(d.open, "GET", "/api/search?query=time&include=details&page=2&page_size=3", "", "", 200)
	d.answer(d.open, "GET", "/api/search?q=time&include_details=true&max_results=2", "", "", 200)
	d.answer(d.open, "GET", "/api/search?q=nosuchwordanywhere", "", "", 200)
	w := d.answer(d.open, "POST", "/api/search", jsonBody, `{"query":"time","include_details":true,"page_size":2}`, 200)
	next := decoded[library.SearchResult](d.T, w).NextCursor
	if next == "" {
		d.Fatalf("no cursor: %s", w.Body)
	}
	d.answer(d.open, "GET", "/api/search?q=time&page_size=2&cursor="+next, "", "", 200)
	d.answer(d.open, "POST", "/api/search", curlForm, "q=dasein", 200)
	d.answer(d.open, "GET", "/api/search?q=time&answer=true", "", "", 200)
	d.answer(d.open, "GET", "/api/search?q=nosuchwordanywhere&answer=true", "", "", 200)
	down := d.house.deps()
	down.Answerer = openAnswers(d.T, answer.Chat{URL: "http://127.0.0.1:1"})
	d.answer(newServer(d.T, testConfig(), down).Handler(), "POST", "/api/search", jsonBody, `{"query":"time","answer":true}`, 200)
	d.answer(d.open, "GET", "/api/search", "", "", 400)
	d.answer(d.open, "POST", "/api/search", jsonBody, `{"query":"a","page":0}`, 400)
	d.answer(d.open, "POST", "/api/search", jsonBody, `{"q":"`+strings.Repeat("a", 70<<10)+`"}`, 413)
	d.answer(d.open, "POST", "/api/search", "multipart/form-data; boundary=x", "--x", 415)
	d.answer(d.broken, "GET", "/api/search?q=a", "", "", 500)
	d.answer(d.full, "GET", "/api/search?q=a", "", "", 503)
	d.answer(d.limited, "GET", "/api/search?q=a", "", "", 429)
	d.answer(d.leaving, "GET", "/api/search?q=a", "", "", 503)
}

func (d described) streams() {
	d.Helper()
	d.answer(d.open, "GET", "/api/search/stream?q=time", "", "", 200)
	d.answer(d.open, "POST", "/api/search/stream", jsonBody, `{"query":"time","answer":false}`, 200)
	d.answer(d.open, "GET", "/api/search/stream", "", "", 400)
	d.answer(d.broken, "GET", "/api/search/stream?q=a", "", "", 500)
	d.answer(d.full, "POST", "/api/search/stream", jsonBody, `{"query":"a"}`, 503)
	d.answer(d.leaving, "GET", "/api/search/stream?q=a", "", "", 503)
}

func (d described) passages() {
	d.Helper()
	d.answer(d.open, "GET", "/api/content/1", "", "", 200)
	d.answer(d.open, "GET", "/api/content/x", "", "", 400)
	d.answer(d.open, "GET", "/api/content/4000000", "", "", 404)
	d.answer(d.open, "POST", "/api/content/batch", jsonBody, `{"ids":[3,1,2,4000000]}`, 200)
	d.answer(d.open, "POST", "/api/content/batch", jsonBody, `[1,2]`, 200)
	d.answer(d.open, "POST", "/api/content/batch", jsonBody, `[]`, 400)
}

func (d described) books() {
	d.Helper()
	w := d.answer(d.open, "POST", "/api/ingest", jsonBody, `{"title":"A","author":"B","content":"The quincunx is a pattern of five. It is found in gardens."}`, 201)
	book := decoded[library.IngestResult](d.T, w).BookID
	d.answer(d.open, "POST", "/api/ingest", jsonBody, `{"title":"A","author":"B","content":"The quincunx is a pattern of five. It is found in gardens."}`, 200)
	d.answer(d.open, "POST", "/api/ingest", jsonBody, `{"title":1}`, 400)
	d.answer(d.open, "POST", "/api/ingest", jsonBody, `{"content":""}`, 422)
	d.answer(d.open, "POST", "/api/ingest", "text/plain", strings.Repeat("words ", 10<<10), 413)
	d.answer(d.open, "POST", "/api/ingest", "application/octet-stream", "%PDF-1.7\n%\xe2\xe3", 415)
	d.answer(d.open, "GET", "/api/books", "", "", 200)
	d.answer(d.open, "GET", "/api/books?page=0", "", "", 400)
	d.answer(d.open, "GET", fmt.Sprintf("/api/books/%d", book), "", "", 200)
	d.answer(d.open, "DELETE", fmt.Sprintf("/api/books/%d", book), "", "", 200)
	d.answer(d.open, "DELETE", fmt.Sprintf("/api/books/%d", book), "", "", 404)
	d.answer(d.open, "GET", fmt.Sprintf("/api/books/%d", book), "", "", 404)

	d.answer(d.open, "DELETE", "/api/books/1", "", "", 403)
}

func (d described) health() {
	d.Helper()
	d.answer(d.open, "GET", "/api/health", "", "", 200)
	d.answer(d.open, "GET", "/api/health/live", "", "", 200)
	d.answer(d.open, "GET", "/api/health/ready", "", "", 200)
	d.answer(d.leaving, "GET", "/api/health/ready", "", "", 503)
	d.answer(d.open, "GET", "/api/health/pools", "", "", 200)
	d.answer(d.open, "GET", "/api/health/cache", "", "", 200)
	d.answer(d.open, "GET", "/api/health/streams", "", "", 200)
	d.answer(newServer(d.T, testConfig(), Deps{Library: echo()}).Handler(), "GET", "/api/health/cache", "", "", 200)
	d.answer(d.open, "GET", "/api/health/memory", "", "", 200)
	d.answer(d.open, "GET", "/api/health/restart", "", "", 200)
	short := newScripted()
	pressed := newServer(d.T, testConfig(), Deps{Library: echo(), Memory: short}).Handler()
	d.answer(pressed, "GET", "/api/health/memory", "", "", 200)
	short.use(90, memory.Critical)
	short.request("a leak")
	d.answer(pressed, "GET", "/api/health", "", "", 200)
	d.answer(pressed, "GET", "/api/health/restart", "", "", 200)
	d.answer(pressed, "GET", "/api/health/ready", "", "", 503)
	d.answer(pressed, "POST", "/api/ingest", jsonBody, `{"content":"a"}`, 503)
}

func (d described) pages() {
	d.Helper()
	d.answer(d.open, "GET", "/", "", "", 200)
	d.answer(d.open, "GET", "/page/search.js", "", "", 200)
	d.answer(d.open, "GET", "/page/base.css", "", "", 200)
	d.answer(d.open, "GET", "/page/none.js", "", "", 404)
	d.answer(d.leaving, "GET", "/", "", "", 503)
	if w := d.answer(d.open, "GET", "/api/openapi.yaml", "", "", 200); w.Body.String() != string(openAPI) {
		d.Error("the description that is served is another one")
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
