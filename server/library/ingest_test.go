package library

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/library/extract"
	"github.com/tomehub/tomehub/server/store"
)

// zipped packs files as an EPUB is packed, its media type first and not deflated.
func zipped(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestCompression) })
	mime, err := w.CreateHeader(&zip.FileHeader{Name: "mimetype", Method: zip.Store})
	if err == nil {
		_, err = io.WriteString(mime, "application/epub+zip")
	}
	for i := 0; i < len(files) && err == nil; i += 2 {
		var f io.Writer
		if f, err = w.Create(files[i]); err == nil {
			_, err = io.WriteString(f, files[i+1])
		}
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	epubContainer = `<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>` +
		`<rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`
	epubPackage = `<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">` +
		`<dc:title>The Hours</dc:title><dc:creator>Ilse Marrow</dc:creator><dc:language>en</dc:language></metadata>` +
		`<manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>`
)

func epub(t *testing.T, body string) []byte {
	return zipped(t, "META-INF/container.xml", epubContainer, "content.opf", epubPackage,
		"a.xhtml", `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>a</title></head><body>`+body+`</body></html>`)
}

// Every fault of a file is a code of its own, and nothing of the file is stored.
func TestIngestRefusals(t *testing.T) {
	st := newFakeStore(0)
	l := openFake(t, st, Config{Extract: extract.Limits{MaxBytes: 2 << 20, MaxTextBytes: 8 << 20}})
	f := func(what string, data []byte, want string) {
		t.Helper()
		_, err := l.Ingest(t.Context(), "ada", Document{Title: "T", Filename: "x.txt", Body: bytes.NewReader(data)})
		if got := codeOf(err); got != want {
			t.Errorf("%s: %q (%v), want %q", what, got, err, want)
		}
		var bad *BadInput
		if errors.As(err, &bad) && (strings.HasSuffix(bad.Message, ".") || strings.ToLower(bad.Message[:1]) != bad.Message[:1]) {
			t.Errorf("%s: %q begins with a capital or ends with a full stop", what, bad.Message)
		}
	}
	whole := epub(t, "<h1>One</h1><p>A book about time.</p>")
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	f("nothing", nil, CodeFileEmpty)
	f("white space", []byte(" \n\t\n"), CodeFileEmpty)
	f("a byte too many", bytes.Repeat([]byte("a "), 1<<20+1), CodeFileTooLarge)
	f("invalid UTF-8", []byte("caf\xe9 and \xff\xfe\xfd more text"), CodeFileNotText)
	f("NUL in the text", []byte("some text\x00more text"), CodeFileNotText)
	f("noise", append([]byte{0}, noise...), CodeFileNotText)
	f("a PDF", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"), CodeFileUnsupported)
	f("an EPUB cut off", whole[:len(whole)/2], CodeArchiveBroken)
	f("an EPUB without its package", zipped(t, "META-INF/container.xml", epubContainer), CodeArchiveBroken)
	f("an EPUB without words", epub(t, "<p><img src='a.png'/></p>"), CodeNoText)
	f("a bomb", epub(t, "<p>"+strings.Repeat("a ", 6<<20)+"</p>"), CodeArchiveBomb)
	if n := st.total(); n != 0 {
		t.Errorf("refused files reached the store: %v", st.calls)
	}
	f("a whole EPUB", whole, "")
	if _, err := l.Ingest(t.Context(), "ada", Document{Title: "T"}); codeOf(err) != CodeFileEmpty {
		t.Errorf("no body: %v", err)
	}
}

func TestIngestNames(t *testing.T) {
	l := openFake(t, newFakeStore(0), Config{})
	text := []byte("It was a bright cold day. The clocks were striking.")
	book := epub(t, "<p>A book about time.</p>")
	f := func(doc Document, data []byte, wantTitle, wantAuthor string) {
		t.Helper()
		doc.Body = bytes.NewReader(data)
		r, err := l.Ingest(t.Context(), "", doc)
		if err != nil || r.Title != wantTitle || r.Author != wantAuthor {
			t.Errorf("%q by %q in %q: stored as %q by %q, %v; want %q by %q", doc.Title, doc.Author, doc.Filename, r.Title, r.Author, err, wantTitle, wantAuthor)
		}
	}
	f(Document{Title: "Given", Author: "Somebody"}, book, "Given", "Somebody") // the request first
	f(Document{}, book, "The Hours", "Ilse Marrow")                            // then the file
	f(Document{Filename: `C:\Books\Day 1.v2.txt`}, text, "Day 1.v2", "")       // then its name
	f(Document{Filename: "/"}, text, "Untitled", "")
	f(Document{Filename: ".hidden"}, text, ".hidden", "")
	f(Document{}, text, "Untitled", "")
	f(Document{Title: "  two\nlines\x00\tand \xff "}, text, "two lines and \uFFFD", "")
	for _, doc := range []Document{{Title: strings.Repeat("é", 501)}, {Author: strings.Repeat("a", 1001)}} {
		doc.Body = bytes.NewReader(text)
		if _, err := l.Ingest(t.Context(), "", doc); codeOf(err) != CodeTitleTooLong && codeOf(err) != CodeAuthorTooLong {
			t.Errorf("1,001 bytes of title or author: %v", err)
		}
	}
	long := strings.Repeat("é", 600)
	f(Document{Filename: long + ".txt"}, text, strings.Repeat("é", 500), "") // a file's name is cut instead
}

// captured keeps the book that it is given.
type captured struct {
	*fakeStore
	book store.NewBook
}

func (c *captured) Ingest(ctx context.Context, b store.NewBook) (store.Ingested, error) {
	c.book = b
	return c.fakeStore.Ingest(ctx, b)
}

func TestIngestMakesAWholeBook(t *testing.T) {
	st := &captured{fakeStore: newFakeStore(0)}
	l, err := New(Config{}, st)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var chapters []string
	for b := range demo.Books(1, 2, 40) {
		chapters = append(chapters, "<p>"+strings.ReplaceAll(b.Text, "\n\n", "</p><p>")+"</p>")
	}
	data := epub(t, "<h1>Clocks</h1>"+chapters[0]+"<h1>Rivers</h1>"+chapters[1])
	r, err := l.Ingest(t.Context(), "ada", Document{Body: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	b := st.book
	if b.Owner != "ada" || b.SourceType != "epub" || len(b.Hash) != 64 || r.Passages != len(b.Passages) || r.Concepts != len(b.Concepts) || r.Relations != len(b.Relations) {
		t.Errorf("book %+v, answer %+v", b, r)
	}
	if len(b.Passages) < 5 || len(b.Concepts) == 0 || len(b.Relations) == 0 {
		t.Errorf("%d passages, %d concepts, %d relations", len(b.Passages), len(b.Concepts), len(b.Relations))
	}
	for i, p := range b.Passages {
		words := len(strings.Fields(p.Content))
		if p.Metadata["words"] != words || p.Metadata["author"] != "Ilse Marrow" || p.Metadata["language"] != "en" || p.Metadata["chapter"] != p.Chapter || words > 240 {
			t.Errorf("passage %d of chapter %q has %d words and metadata %v", i, p.Chapter, words, p.Metadata)
		}
	}
	if last := b.Passages[len(b.Passages)-1]; last.Chapter != "Rivers" {
		t.Errorf("the last passage stands in chapter %q", last.Chapter)
	}
}

func TestIngestErrorsOfOthers(t *testing.T) {
	st := newFakeStore(0)
	l := openFake(t, st, Config{})
	broken := errors.New("disk full")
	st.before = func(context.Context, string) error { return broken }
	_, err := l.Ingest(t.Context(), "", Document{Title: "T", Body: strings.NewReader("Some text.")})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), `ingest "T"`) {
		t.Errorf("a store that fails: %v", err)
	}
	_, err = l.Ingest(t.Context(), "", Document{Title: "T", Body: io.MultiReader(strings.NewReader("Some"), errReader{})})
	if !errors.Is(err, io.ErrUnexpectedEOF) || codeOf(err) == CodeFileEmpty {
		t.Errorf("a body that breaks off: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
