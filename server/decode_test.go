package server

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

const curlForm = "application/x-www-form-urlencoded"

func TestSearchParameters(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	f := func(why, method, target, contentType, body, want string) {
		t.Helper()
		w := ask(t, s, method, target, body, "Content-Type", contentType)
		if w.Code != 200 {
			t.Errorf("%s: %d %s", why, w.Code, w.Body)
			return
		}
		if got := decoded[library.SearchResult](t, w).Results[0].Title; got != want {
			t.Errorf("%s: asked for %q, want %q", why, got, want)
		}
	}
	f("q alone", "GET", "/api/search?q=dasein", "", "", "dasein|1|50|false||")
	f("query alone", "GET", "/api/search?query=being+and+time", "", "", "being and time|1|50|false||")
	f("details by include", "GET", "/api/search?q=a&include=details", "", "", "a|1|50|true||")
	f("details by a boolean", "GET", "/api/search?q=a&include_details=1", "", "", "a|1|50|true||")
	f("page and size", "GET", "/api/search?q=a&page=3&page_size=1000", "", "", "a|3|1000|false||")
	f("max_results is page_size", "GET", "/api/search?q=a&max_results=7", "", "", "a|1|7|false||")
	f("the plan's curl -d", "POST", "/api/search", curlForm, `{"query":"dasein","include_details":true}`, "dasein|1|50|true||")
	f("the plan's page", "POST", "/api/search", curlForm, `{"query":"dasein","page":2,"page_size":50}`, "dasein|2|50|false||")
	f("JSON without a Content-Type", "POST", "/api/search", "", `{"q":"dasein"}`, "dasein|1|50|false||")
	f("JSON called text", "POST", "/api/search", "text/plain", ` {"q":"dasein"}`, "dasein|1|50|false||")
	f("a real form", "POST", "/api/search", curlForm, "q=dasein&page=2&include=details", "dasein|2|50|true||")
	f("URL and body", "POST", "/api/search?page_size=5", "application/json", `{"query":"a","page":2}`, "a|2|5|false||")
	f("the same thing twice", "POST", "/api/search?q=a&query=a", "application/json", `{"query":"a","q":"a"}`, "a|1|50|false||")
	f("a GET with a body", "GET", "/api/search", "application/json", `{"query":"a"}`, "a|1|50|false||")
	f("a POST without a body", "POST", "/api/search?q=a", "", "", "a|1|50|false||")
	f("null is not there", "POST", "/api/search", "application/json", `{"query":"a","page":null,"cursor":null}`, "a|1|50|false||")
	f("unknown names are ignored", "POST", "/api/search?lang=tr", "application/json", `{"query":"a","rerank":{"deep":[1]}}`, "a|1|50|false||")
	f("include as a list", "POST", "/api/search", "application/json", `{"query":"a","include":["details"]}`, "a|1|50|true||")
	f("a cursor", "GET", "/api/search?q=a&cursor=xyz", "", "", "a|0|50|false|xyz|")
	f("a cursor and its page", "GET", "/api/search?q=a&cursor=xyz&page=3", "", "", "a|3|50|false|xyz|")
	f("a byte order mark", "POST", "/api/search", "", "\xef\xbb\xbf{\"q\":\"a\"}", "a|1|50|false||")
	f("escaped letters", "POST", "/api/search", "", `{"q":"d\u00fc\u015f\u00fcnce"}`, "düşünce|1|50|false||")
	f("NUL and quotes are text", "POST", "/api/search", "", `{"q":"\u0000\"'"}`, "\x00\"'|1|50|false||")
}

func TestSearchRefusals(t *testing.T) {
	h := openHouse(t, 2, 20, library.Config{})
	s := newServer(t, testConfig(), h.deps()).Handler()
	f := func(why, target, contentType, body string, status int, code, part string) {
		t.Helper()
		t.Run(why, func(t *testing.T) {
			method := "GET"
			if body != "" {
				method = "POST"
			}
			wantError(t, ask(t, s, method, target, body, "Content-Type", contentType), status, code, part)
		})
	}
	f("the plan's bare call", "/api/search", "", "", 400, library.CodeQueryEmpty, "/api/search?q=dasein")
	f("only blanks", "/api/search?q=%20", "", "", 400, library.CodeQueryEmpty, "")
	f("only punctuation", "/api/search?q=%3F%21", "", "", 400, library.CodeQueryNoWords, "")
	f("page 0", "/api/search?q=a&page=0", "", "", 400, library.CodePageRange, "page is 0")
	f("page -1", "/api/search?q=a&page=-1", "", "", 400, library.CodePageRange, "page is -1")
	f("page_size 0", "/api/search?q=a&page_size=0", "", "", 400, library.CodePageSizeRange, "page_size is 0: want 1 to 1000")
	f("page_size 1001", "/api/search", "", `{"q":"a","page_size":1001}`, 400, library.CodePageSizeRange, "1001")
	f("max_results 1001", "/api/search", "", `{"q":"a","max_results":1001}`, 400, library.CodePageSizeRange, "max_results")
	f("too deep", "/api/search?q=a&page=1000000", "", "", 400, library.CodePageTooDeep, "next_cursor")
	f("page beyond int64", "/api/search?q=a&page=99999999999999999999", "", "", 400, library.CodePageRange, "page is 99999999999999999999: want 1 to 1000000000")
	f("page 2^63-1", "/api/search?q=a&page=9223372036854775807", "", "", 400, library.CodePageRange, "page is 9223372036854775807: want 1 to 1000000000")
	f("page below int64", "/api/search?q=a&page=-99999999999999999999", "", "", 400, library.CodePageRange, "page is -9")
	f("page_size beyond int64", "/api/search", "", `{"q":"a","max_results":99999999999999999999}`, 400, library.CodePageSizeRange, "max_results is 99999999999999999999: want 1 to 1000")
	f("page of words", "/api/search?q=a&page=two", "", "", 400, "wrong_type", `page is "two"`)
	f("page NaN", "/api/search?q=a&page=NaN", "", "", 400, "wrong_type", "NaN")
	f("page 1.0", "/api/search", "", `{"q":"a","page":1.0}`, 400, "wrong_type", "integer")
	f("page 1e400", "/api/search", "", `{"q":"a","page":1e400}`, 400, "wrong_type", "integer")
	f("page in a string", "/api/search", "", `{"q":"a","page":"1"}`, 400, "wrong_type", "page is a string")
	f("query a number", "/api/search", "", `{"query":7}`, 400, "wrong_type", "query is a number: want a string")
	f("query a list", "/api/search", "", `{"query":["a"]}`, 400, "wrong_type", "query is an array")
	f("details a string", "/api/search", "", `{"q":"a","include_details":"yes"}`, 400, "wrong_type", "include_details is a string")
	f("details a word", "/api/search?q=a&include_details=maybe", "", "", 400, "wrong_type", "maybe")
	f("include something", "/api/search?q=a&include=everything", "", "", 400, "unknown_include", "everything")
	f("two queries", "/api/search?q=a&query=b", "", "", 400, "conflicting_parameters", `query is "a" in the URL parameter q, but "b" in the URL parameter query: give it once`)
	f("two pages", "/api/search?q=a&page=1&page=2", "", "", 400, "conflicting_parameters", "page is both 1 and 2 in the URL parameter page: give it once")
	f("URL against body", "/api/search?q=a", "", `{"query":"b"}`, 400, "conflicting_parameters", "body field query")
	f("a field twice", "/api/search", "", `{"query":"a","query":"b"}`, 400, "conflicting_parameters", "query")
	f("include against include_details", "/api/search?q=a&include=details&include_details=false", "", "", 400, "conflicting_parameters", "include_details")
	f("a list", "/api/search", "", `["a"]`, 400, "wrong_type", "the body is an array")
	f("a string", "/api/search", "application/json", `"a"`, 400, "wrong_type", "a string")
	f("cut short", "/api/search", "", `{"query":"a"`, 400, "malformed_json", "line 1, column 12")
	f("a comma too many", "/api/search", "", "{\n \"q\": \"a\",\n}", 400, "malformed_json", "line 3, column 1")
	f("two objects", "/api/search", "", `{"q":"a"}{"q":"b"}`, 400, "malformed_json", "column 10")
	f("garbage behind", "/api/search", "", `{"q":"a"} x`, 400, "malformed_json", "column 11")
	f("NaN", "/api/search", "", `{"q":"a","page":NaN}`, 400, "malformed_json", "column 17")
	f("words called JSON", "/api/search", "application/json", `dasein`, 400, "malformed_json", "column 1")
	f("deep nesting", "/api/search", "", `{"x":`+strings.Repeat("[", 30000)+`}`, 400, "malformed_json", "depth")
	f("not UTF-8", "/api/search", "", "{\"q\":\"\xff\"}", 400, "invalid_utf8", "body")
	f("not UTF-8 in the URL", "/api/search?q=%FF", "", "", 400, "invalid_utf8", "q")
	f("a broken escape", "/api/search?q=%ZZ", "", "", 400, "malformed_url", "%25")
	f("a semicolon", "/api/search?q=a;b", "", "", 400, "malformed_url", "%3B")
	f("a broken form", "/api/search", curlForm, "q=%ZZ", 400, "malformed_form", "%25")
	f("multipart", "/api/search", "multipart/form-data; boundary=x", "--x", 415, "unsupported_media_type", "JSON")
	f("too large", "/api/search", "", `{"q":"`+strings.Repeat("a", 64<<10)+`"}`, 413, "body_too_large", "the body is larger than 64 KiB")
	f("a long query", "/api/search", "", `{"q":"`+strings.Repeat("a ", 10<<10)+`"}`, 400, library.CodeQueryTooLong, "16384")
	f("a bad cursor", "/api/search?q=a&cursor=xyz", "", "", 400, library.CodeCursorInvalid, "")
}

func TestBodiesWithAnEncodingAreRefused(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	wantError(t, ask(t, s, "POST", "/api/search", "\x1f\x8b", "Content-Encoding", "gzip"), 415, "unsupported_encoding", "gzip")
	if w := ask(t, s, "POST", "/api/search", `{"q":"a"}`, "Content-Encoding", "identity"); w.Code != 200 {
		t.Errorf("identity: %d", w.Code)
	}
}

func batchEcho() *fake {
	return &fake{batch: func(_ context.Context, _ store.Scope, ids []int64) ([]store.Passage, []int64, error) {
		return nil, ids, nil
	}}
}

// What tests read of a passage and of a batch.
type (
	passageItem struct {
		ID      int64  `json:"id"`
		BookID  int64  `json:"book_id"`
		Title   string `json:"title"`
		Content string `json:"content"`
	}
	batchResult struct {
		Items      []passageItem `json:"items"`
		UnknownIDs []int64       `json:"unknown_ids"`
	}
)

func TestBatchIDs(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: batchEcho()}).Handler()
	run := func(first, last int) string {
		var list []string
		for i := first; i <= last; i++ {
			list = append(list, fmt.Sprint(i))
		}
		return "[" + strings.Join(list, " ") + "]"
	}
	f := func(why, body, want string) {
		t.Helper()
		w := ask(t, s, "POST", "/api/content/batch", body, "Content-Type", curlForm)
		if got := fmt.Sprint(decoded[batchResult](t, w).UnknownIDs); w.Code != 200 || got != want {
			t.Errorf("%s: %d %s, want %s", why, w.Code, got, want)
		}
	}
	f("an object", `{"ids":[3,1,2]}`, "[3 1 2]")
	f("a bare list", ` [3,1,2] `, "[3 1 2]")
	f("twice", `{"ids":[3,1,3]}`, "[3 1 3]")
	f("the plan's dots", `{"ids":[1,2,3,...,100]}`, run(1, 100))
	f("dots from five", `[5, ... , 8,1]`, "[5 6 7 8 1]")
	f("others ignored", `{"x":"...","ids":[1]}`, "[1]")
	f("ids twice, alike", `{"ids":[1],"ids":[1]}`, "[1]")
	f("a thousand", `[1,...,1000]`, run(1, 1000))
	f("the largest", `[9007199254740991]`, "[9007199254740991]")

	bad := func(why, body, code, part string) {
		t.Helper()
		t.Run(why, func(t *testing.T) {
			wantError(t, ask(t, s, "POST", "/api/content/batch", body), 400, code, part)
		})
	}
	bad("nothing", "", "empty_body", "")
	bad("no ids", `{}`, "missing_ids", "ids")
	bad("null", `{"ids":null}`, "missing_ids", "ids")
	bad("empty", `{"ids":[]}`, library.CodeIDsEmpty, "1 to 1000")
	bad("1001", `[1,...,1001]`, library.CodeIDsTooMany, "1001")
	bad("1001 written out", "["+strings.Repeat("1,", 1000)+"1]", library.CodeIDsTooMany, "1001")
	bad("a million dots", `[1,...,1000000]`, library.CodeIDsTooMany, "1000000")
	bad("falling dots", `[5,...,1]`, "bad_id", "rising")
	bad("dots alone", `[...]`, "malformed_json", "column 2")
	bad("a string", `[1,"2"]`, "wrong_type", "ids[1] is a string")
	bad("a fraction", `[1,2.5]`, "bad_id", "ids[1]")
	bad("an exponent", `[1e3]`, "bad_id", "ids[0]")
	bad("null inside", `[null]`, "wrong_type", "ids[0] is null")
	bad("zero", `[0]`, "bad_id", "ids[0]")
	bad("negative", `[-1]`, "bad_id", "ids[0]")
	bad("2^53", `[9007199254740992]`, "bad_id", "9007199254740991")
	bad("beyond int64", `[99999999999999999999]`, "bad_id", "ids[0]")
	bad("an object", `{"ids":{"a":1}}`, "wrong_type", "ids is an object")
	bad("a number", `7`, "wrong_type", "a number")
	bad("contradiction", `{"ids":[1],"ids":[2]}`, "conflicting_parameters", "twice")
	bad("trailing", `[1] 2`, "malformed_json", "column 5")
}

func TestIDsOfPaths(t *testing.T) {
	h := openHouse(t, 1, 5, library.Config{})
	s := newServer(t, testConfig(), h.deps()).Handler()
	for _, id := range []string{"0", "-1", "+1", "1.0", "1e3", "abc", "%20", "9007199254740992", "99999999999999999999", "١"} {
		wantError(t, ask(t, s, "GET", "/api/content/"+id, ""), 400, "bad_id", "1 to 9007199254740991")
		wantError(t, ask(t, s, "DELETE", "/api/books/"+id, ""), 400, "bad_id", "id is")
	}
	wantError(t, ask(t, s, "GET", "/api/content/4000000", ""), 404, "not_found", "")
}

// Whatever the bytes are, the answer is the client's fault or an answer.
func FuzzSearchDecode(f *testing.F) {
	for _, body := range []string{`{"query":"a"}`, "q=a&page=2", `{"q":"a","page":1e99}`, "[", "{\"q\":\"\xff\"}", "--x\r\n", "\xef\xbb\xbf{}", `{"include":["details",1]}`} {
		f.Add("q=a", curlForm, []byte(body))
		f.Add("page=%31&include=details", "application/json", []byte(body))
	}
	s, err := New(testConfig(), Deps{Library: echo()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, contentType string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/search", bytes.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		checkFuzzed(t, w)
	})
}

func FuzzBatchDecode(f *testing.F) {
	for _, body := range []string{`{"ids":[1,2,3,...,100]}`, `[1,"2"]`, `{"ids":[1],"ids":2}`, `[1e9,-0,9007199254740993]`, "...", "1,...,2", `{"ids":[1,...,2,...,3]}`} {
		f.Add([]byte(body))
	}
	s, err := New(testConfig(), Deps{Library: batchEcho()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/content/batch", bytes.NewReader(body))
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		checkFuzzed(t, w)
		if w.Code != 200 {
			return
		}
		for _, id := range decoded[batchResult](t, w).UnknownIDs {
			if id < 1 || id > maxID {
				t.Errorf("id %d got through", id)
			}
		}
	})
}

// FuzzIngestDecode feeds the multipart and the JSON reader.
func FuzzIngestDecode(f *testing.F) {
	body, kind := form(f, "file", "a.txt", "Some text.", "title", "T")
	f.Add(kind, []byte(body))
	f.Add("application/json", []byte(`{"title":"a","content":"b"}`))
	f.Add(curlForm, []byte("title=a&text=b"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n"))
	s, err := New(testConfig(), Deps{Library: &fake{ingest: func(context.Context, string, library.Document) (r library.IngestResult, err error) {
		return r, nil
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/ingest", bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		checkFuzzed(t, w)
	})
}

func checkFuzzed(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code >= 500 || w.Code < 200 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	if w.Code >= 400 {
		if e := decoded[errorBody](t, w); e.Error == "" || e.Detail == "" || e.RequestID == "" {
			t.Errorf("error body %+v", e)
		}
	}
}
