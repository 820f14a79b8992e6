package extract

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// mustRead reads a book that is sound.
func mustRead(t *testing.T, data string) Text {
	t.Helper()
	text, err := Read([]byte(data), Limits{})
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return text
}

// refused reads a book that is not, and returns the error.
func refused(t *testing.T, data []byte, lim Limits) *Error {
	t.Helper()
	text, err := Read(data, lim)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("Read = %+v, %v; want an *Error", text, err)
	}
	if e.Detail == "" || e.Detail != e.Error() || strings.HasSuffix(e.Detail, ".") {
		t.Errorf("Detail %q, want a sentence without a full stop", e.Detail)
	}
	return e
}

func TestReadRefuses(t *testing.T) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	zw.Write([]byte("text"))
	zw.Close()
	f := func(name string, data []byte, kind Kind, says string) {
		t.Run(name, func(t *testing.T) {
			e := refused(t, data, Limits{})
			if e.Kind != kind || !strings.Contains(e.Detail, says) {
				t.Errorf("Read = %v %q, want %v with %q", e.Kind, e.Detail, kind, says)
			}
		})
	}
	f("no bytes", nil, Empty, "empty")
	f("white space", []byte(" \n\t\r\n\f"), Empty, "white space")
	f("a byte-order mark alone", []byte("\xef\xbb\xbf"), Empty, "white space")
	f("no letter or digit", []byte("--- *** ---"), NoText, "not one word")
	f("invalid UTF-8 in the middle", []byte("Straße M\xfcnchen"), NotText, "byte offset 9 (byte 0xFC)")
	f("invalid UTF-8 after a byte-order mark counts the mark", []byte("\xef\xbb\xbfab\xff"), NotText, "byte offset 5")
	f("cut off within a character", []byte("d\xc3\xbc\xc5"), NotText, "byte offset 3")
	f("NUL", []byte("Some text\x00 and more"), NotText, "NUL character at byte offset 9")
	f("control characters", bytes.Repeat([]byte("ab\x01\x02"), 50), NotText, "control characters")
	f("PDF", []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), Unsupported, "PDF")
	f("PDF after junk, as readers of it accept", []byte("junk\n%PDF-1.4\n"), Unsupported, "PDF")
	f("gzip", packed.Bytes(), Unsupported, "gzip")
	f("PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00"), Unsupported, "PNG")
	f("JPEG", []byte("\xff\xd8\xff\xe0\x00\x10JFIF"), Unsupported, "JPEG")
	f("GIF", []byte("GIF89a\x01\x00\x01\x00\x80"), Unsupported, "GIF")
	f("old Word", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00"), Unsupported, "Office")
	f("RTF", []byte(`{\rtf1\ansi Hello}`), Unsupported, "RTF")
	f("Kindle", append(bytes.Repeat([]byte{0}, 60), "BOOKMOBI\x00"...), Unsupported, "Kindle")
	f("program", []byte("\x7fELF\x02\x01\x01\x00"), Unsupported, "program")
	f("FictionBook", []byte(`<?xml version="1.0"?><FictionBook><body>x</body></FictionBook>`), Unsupported, "fictionbook")
	f("any other XML", []byte(`<?xml version="1.0"?><!-- c --><tei:TEI xmlns:tei="u">x</tei:TEI>`), Unsupported, "XML")
	f("UTF-32", []byte("\xff\xfe\x00\x00a\x00\x00\x00"), NotText, "UTF-32")
	f("UTF-16 without a mark", []byte("T\x00e\x00x\x00t\x00 \x00a\x00b\x00c\x00"), NotText, "UTF-16 without")
	f("UTF-16 with half a character", []byte("\xff\xfea\x00b"), NotText, "byte offset 4")
	f("UTF-16 with half a pair", []byte("\xff\xfea\x00\x00\xd8b\x00"), NotText, "byte offset 4")
	f("an encoding nobody knows", []byte(`<html><meta charset="klingon"><p>x`), NotText, "klingon")
	f("every detail says what is accepted", []byte("%PDF-1.7"), Unsupported, accepted)
}

func TestReadAcceptsTextAboutFormats(t *testing.T) {
	for _, s := range []string{
		"GIF89a is a picture format.\n\nIt is old.",
		"BM is short for many things.",
		"We write\n%%PDF- and mean it, says the PDF book: a file begins %PDF-1.4.",
	} {
		if got := mustRead(t, s); got.Format != PlainText {
			t.Errorf("%q read as %s, want text", s, got.Format)
		}
	}
}

func TestReadBounds(t *testing.T) {
	f := func(data string, lim Limits, want Kind) {
		t.Helper()
		if e := refused(t, []byte(data), lim); e.Kind != want {
			t.Errorf("Read of %d bytes within %+v = %v %q, want %v", len(data), lim, e.Kind, e.Detail, want)
		}
	}
	f(strings.Repeat("a ", 51), Limits{MaxBytes: 101}, TooLarge)
	f(strings.Repeat("a ", 500), Limits{MaxTextBytes: 900}, TooLarge)
	f("<html><p>"+strings.Repeat("a ", 500), Limits{MaxTextBytes: 900}, TooLarge)
	f("# A\n\n"+strings.Repeat("a ", 500), Limits{MaxTextBytes: 900}, TooLarge)
	f("\xff\xfe"+strings.Repeat("\x2d\x4e", 400), Limits{MaxTextBytes: 900}, TooLarge) // three bytes each as UTF-8
	f(strings.Repeat("a\n\n", maxParagraphs+1), Limits{}, TooLarge)
	f("- x\n\n"+strings.Repeat("- a\n", maxParagraphs+1), Limits{}, TooLarge)
	f("<html>"+strings.Repeat("<h1>a", maxParagraphs+1), Limits{}, TooLarge)
	f(strings.Repeat("a\f", maxSections+1), Limits{}, TooLarge)
	if _, err := Read([]byte(strings.Repeat("a ", 50)), Limits{MaxBytes: 100}); err != nil {
		t.Errorf("Read of exactly MaxBytes: %v", err)
	}
}

func TestReadEncodings(t *testing.T) {
	const want = "Düşünce, İstanbul ve 𝔄 — test."
	f := func(name, data, want string, format Format) {
		t.Run(name, func(t *testing.T) {
			got := mustRead(t, data)
			if len(got.Sections) != 1 || got.Format != format || !cmp.Equal(got.Sections[0].Paragraphs, []string{want}) {
				t.Errorf("Read = %+v, want %s with %q", got, format, want)
			}
		})
	}
	f("UTF-8", want, want, PlainText)
	f("UTF-8 with a mark", "\xef\xbb\xbf"+want, want, PlainText)
	f("UTF-16 LE", encode16(binary.LittleEndian, want), want, PlainText)
	f("UTF-16 BE", encode16(binary.BigEndian, want), want, PlainText)
	f("UTF-16 HTML", encode16(binary.LittleEndian, "<html><p>"+want), want, HTML)
	f("HTML in Windows-1254, Turkish", "<html><head><meta charset=windows-1254></head><p>D\xfc\xfe\xfcnce", "Düşünce", HTML)
	f("HTML by http-equiv", `<html><meta http-equiv="Content-Type" content="text/html; charset=iso-8859-9"><p>D`+"\xfc\xfe\xfcnce", "Düşünce", HTML)
	f("XHTML by its declaration", `<?xml version="1.0" encoding='iso-8859-1'?><html><body><p>Caf`+"\xe9</p></body></html>", "Café", HTML)
	f("a meta that says UTF-16 cannot be right", `<html><meta charset="utf-16"><p>Café`, "Café", HTML)
	f("what only serves typesetting is dropped", "re\u00adfran\u200bgi\ufeffble", "refrangible", PlainText)
	f("strange white space", "a\u00a0\u2003b\u2028c\vd", "a b c d", PlainText)
}

func encode16(order binary.ByteOrder, s string) string {
	var out bytes.Buffer
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		binary.Write(&out, order, u)
	}
	return out.String()
}

func TestSniff(t *testing.T) {
	f := func(why, src string, want Format) {
		t.Helper()
		if got := sniff(src); got != want {
			t.Errorf("%s: sniff(%.60q) = %s, want %s", why, src, got, want)
		}
	}
	prose := strings.Repeat("It was a dark night.\nThe rain fell.\n\n", 400)
	f("prose", prose, PlainText)
	f("a stray number sign in a novel", prose+"# 12\n\n"+prose, PlainText)
	f("one heading first", "# Title\n\nText.", Markdown)
	f("headings after a preface", "Some words.\n\n## One\n\nText.\n", Markdown)
	f("underlined heading", "Title\n=====\n\nText.\n", Markdown)
	f("front matter", "---\ntitle: A\nauthor: B\n---\nText\n", Markdown)
	f("a rule is no front matter", "---\nA play\n---\nText\n", PlainText)
	f("Pandoc's title block", "% Title\n% Author\n\nText", Markdown)
	f("per cent signs", "% of people who\nread", PlainText)
	f("links", "See [a](http://a.b) and\n[c](d.md) there.", Markdown)
	f("notes in brackets", "As he says [12] (see there) and [13].", PlainText)
	f("code fence twice", "Text\n\n```\nx\n```\n\nText\n\n```\ny\n```\n", Markdown)
	f("dialogue with dashes", "- Yes, he said.\n- No, she said.\n", PlainText)
	f("doctype", "\n<!DOCTYPE html>\n<p>x", HTML)
	f("upper case", "<HTML><BODY>x", HTML)
	f("after a comment", "<!-- saved -->\n<html>x", HTML)
	f("XHTML", `<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "u"><html xmlns="http://www.w3.org/1999/xhtml"><p>x</p></html>`, HTML)
	f("a piece of a page", "<p>One</p><p>Two</p>", HTML)
	f("a README that begins with HTML", "<h1 align=center>Tool</h1>\n\n## Use\n\n[a](b.md) [c](d.md)\n\n[e](f.md)\n", Markdown)
	f("less-than signs", "<3 is a heart, a < b", PlainText)
	f("an address", "<mail@example.org> wrote:\n\nHello", PlainText)
}

func TestKindString(t *testing.T) {
	for kind, want := range map[Kind]string{0: "unknown", Empty: "empty", TooLarge: "too_large", NotText: "not_text", BadArchive: "bad_archive", Bomb: "bomb", NoText: "no_text", Unsupported: "unsupported", 99: "unknown"} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", kind, got, want)
		}
	}
}
