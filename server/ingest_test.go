package server

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/library"
)

func TestIngestForms(t *testing.T) {
	h := openHouse(t, 0, 0, cached)
	s := newServer(t, testConfig(), h.deps()).Handler()
	const text = "The zephyranth opens at dusk. It closes before the bees wake. %s"

	multi, kind := form(t, "file", "notes.txt", fmt.Sprintf(text, "Fourth."), "title", "Fourth", "author", "Ann")
	f := func(why, target, body, contentType, title, author string) {
		t.Helper()
		w := ask(t, s, "POST", target, body, "Content-Type", contentType, "X-Tomehub-User", "ann")
		got := decoded[library.IngestResult](t, w)
		if w.Code != 201 || got.Title != title || got.Author != author || got.Passages < 1 || w.Header().Get("Location") != fmt.Sprintf("/api/books/%d", got.BookID) {
			t.Errorf("%s: %d %s", why, w.Code, w.Body)
		}
	}
	f("JSON", "/api/ingest", `{"title":"First","author":"Ann","content":"`+fmt.Sprintf(text, "First.")+`"}`, "application/json", "First", "Ann")
	f("JSON called a form, as curl -d does", "/api/ingest", `{"title":"Second","text":"`+fmt.Sprintf(text, "Second.")+`"}`, "application/x-www-form-urlencoded", "Second", "")
	f("the file itself", "/api/ingest?title=Third&author=Ann%20B", fmt.Sprintf(text, "Third."), "text/plain; charset=utf-8", "Third", "Ann B")
	f("multipart", "/api/ingest", multi, kind, "Fourth", "Ann")
	f("a form of text", "/api/ingest", "title=Fifth&content="+strings.ReplaceAll(fmt.Sprintf(text, "Fifth."), " ", "+"), "application/x-www-form-urlencoded", "Fifth", "")
	f("no Content-Type", "/api/ingest?filename=sixth.txt", fmt.Sprintf(text, "Sixth."), "", "sixth", "")

	w := ask(t, s, "POST", "/api/ingest", multi, "Content-Type", kind, "X-Tomehub-User", "ann")
	if got := decoded[library.IngestResult](t, w); w.Code != 200 || !got.Duplicate {
		t.Errorf("the same file again: %d %s, want 200 and duplicate", w.Code, w.Body)
	}
	found := decoded[library.SearchResult](t, ask(t, s, "GET", "/api/search?q=zephyranth", "", "X-Tomehub-User", "ann"))
	if found.TotalCount != 6 {
		t.Errorf("%d matches of six books, want 6", found.TotalCount)
	}
}

func TestIngestRefusals(t *testing.T) {
	h := openHouse(t, 0, 0, cached)
	cfg := testConfig()
	cfg.MaxIngestBytes = 64 << 10
	s := newServer(t, cfg, h.deps()).Handler()
	big := strings.Repeat("words and words ", 5<<10)
	bigForm, bigKind := form(t, "file", "big.txt", big)
	hugeForm, hugeKind := form(t, "file", "big.txt", strings.Repeat(big, 20))
	twoForm, twoKind := form(t, "file", "a.txt", "One.", "content", "Two.")
	emptyForm, emptyKind := form(t, "file", "a.txt", "")
	longForm, longKind := form(t, "file", "a.txt", "One.", "title", strings.Repeat("x", 5000))
	badForm, badKind := form(t, "file", "a.txt", "One.", "title", "\xff")
	untilted, untiltedKind := form(t, "title", "Only a title")

	f := func(why, body, contentType string, status int, code, part string) {
		t.Helper()
		t.Run(why, func(t *testing.T) {
			wantError(t, ask(t, s, "POST", "/api/ingest", body, "Content-Type", contentType), status, code, part)
		})
	}
	f("bare file too large", big, "text/plain", 413, "body_too_large", "64 KiB (--max-ingest-size)")
	f("file in a form too large", bigForm, bigKind, 413, "body_too_large", "64 KiB (--max-ingest-size)")
	f("form too large to begin with", hugeForm, hugeKind, 413, "body_too_large", "--max-ingest-size")
	f("two books", twoForm, twoKind, 400, "conflicting_parameters", "more than one book")
	f("content and text", `{"content":"a","text":"b"}`, "application/json", 400, "conflicting_parameters", "more than one book")
	f("empty file", emptyForm, emptyKind, 422, library.CodeFileEmpty, "empty")
	f("empty text", `{"content":""}`, "application/json", 422, library.CodeFileEmpty, "empty")
	f("long title", longForm, longKind, 400, "field_too_long", "4096")
	f("title beyond the library's bound", `{"content":"a","title":"`+strings.Repeat("x", 2000)+`"}`, "application/json", 400, library.CodeTitleTooLong, "1000")
	f("title not UTF-8", badForm, badKind, 400, "invalid_utf8", "title")
	f("no book", untilted, untiltedKind, 400, "missing_content", "multipart")
	f("nothing", "", "", 400, "missing_content", "content")
	f("nothing of JSON", "{}", "application/json", 400, "missing_content", "content")
	f("form cut short", bigForm[:1000], bigKind, 400, "malformed_form", "")
	f("form without boundary", "x", "multipart/form-data", 400, "malformed_form", "boundary")
	f("broken JSON", `{"title":"a",}`, "application/json", 400, "malformed_json", "line 1, column 14")
	f("a list", `[1]`, "application/json", 400, "wrong_type", "object")
	f("title of the wrong type", `{"title":7,"content":"a"}`, "application/json", 400, "wrong_type", "title")
	f("binary", "\x00\x01\xff\xfe\x00", "application/octet-stream", 422, library.CodeFileNotText, "")
	f("JSON that is not UTF-8", "{\"content\":\"\xff\"}", "application/json", 400, "invalid_utf8", "")
	f("a file sent as curl --data-binary does", "Once upon a time.", "application/x-www-form-urlencoded", 415, "unsupported_media_type", "text/plain")
	f("an EPUB sent as curl --data-binary does", "PK\x03\x04\x14\x00", "application/x-www-form-urlencoded", 415, "unsupported_media_type", "application/epub+zip")
	f("a picture", "x", "image/png", 415, "unsupported_media_type", "image/png")
	// A form without a length that hides its size before its first part.
	endless := strings.Repeat("x\r\n", 1<<20) + bigForm[:1000]
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/ingest", struct{ io.Reader }{strings.NewReader(endless)})
	r.Header.Set("Content-Type", bigKind)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	wantError(t, w, 413, "body_too_large", "--max-ingest-size")
	if books := decoded[bookPage](t, ask(t, s, "GET", "/api/books", "")); books.TotalCount != 0 {
		t.Errorf("refused ingests left %d books", books.TotalCount)
	}
}

// form writes a multipart form; names in pairs with values, "file" with a file name in between.
func form(t testing.TB, fields ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); {
		var part io.Writer
		var err error
		if fields[i] == "file" {
			part, err = w.CreateFormFile("file", fields[i+1])
			i++
		} else {
			part, err = w.CreateFormField(fields[i])
		}
		if err == nil {
			_, err = io.WriteString(part, fields[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
		i += 2
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}
