// Package extract turns the bytes of a book into what a library stores: passages with their page and chapter,
// keyphrases that name what the book is about, and the pairs of keyphrases that keep each other's company.
//
// The format is told by content, never by a file's name: plain text, Markdown, HTML, and EPUB 2 and 3. Every reader is
// bounded in time and memory by [Limits], because the bytes come from outside; a refusal is an [*Error] whose Kind a
// caller may branch on and whose Detail is a sentence for the person who sent the file.
package extract

import (
	"fmt"
	"strings"
	"unicode"
)

// Format names what a file turned out to be.
type Format string

// The formats that Read accepts.
const (
	PlainText Format = "text"
	Markdown  Format = "markdown"
	HTML      Format = "html"
	EPUB      Format = "epub"
)

// Limits bounds what one Read may take in and unpack. A zero field stands for its default, so the zero Limits is safe.
type Limits struct {
	MaxBytes     int64 // bytes of input; default 50 MiB
	MaxTextBytes int64 // bytes of text after unpacking and decoding, all files of an EPUB together; default 200 MiB
	MaxEntries   int   // files in an EPUB; default 10,000
	MaxRatio     int   // unpacked bytes per packed byte, beyond the first MiB; default 200 (deflate itself ends at 1,032)
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = 50 << 20
	}
	if l.MaxTextBytes <= 0 {
		l.MaxTextBytes = 200 << 20
	}
	if l.MaxEntries <= 0 {
		l.MaxEntries = 10_000
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = 200
	}
	return l
}

// Text is a book as read: its words in reading order, cut where its chapters and pages change. Title, Author and
// Language are what the file itself says, or empty. Language is a BCP 47 tag such as "en" or "tr".
type Text struct {
	Format   Format
	Title    string
	Author   string
	Language string
	Sections []Section
}

// Section is a run of paragraphs of one chapter on one page. Chapter is the path of headings above it, outermost
// first, joined by " / ", or empty. Page is the number printed on the page, or counted from page breaks; 0 means
// unknown, which includes front matter numbered in Roman numerals. A paragraph has no line breaks, no leading, trailing
// or double white space, and is never empty. The text of a heading is the first paragraph of what it heads.
type Section struct {
	Chapter    string
	Page       int
	Paragraphs []string
}

// Kind says why a file was refused.
type Kind int

// The kinds of refusal. The zero Kind is none of them.
const (
	_           Kind = iota
	Empty            // no bytes, or nothing but white space
	TooLarge         // beyond Limits.MaxBytes, or its text beyond Limits.MaxTextBytes
	NotText          // bytes that are not the text they claim to be: invalid UTF-8, NUL, control characters
	BadArchive       // an EPUB that is cut off, damaged, incomplete or encrypted
	Bomb             // an archive built to unpack into far more than its size
	NoText           // a sound file without one word in it: pictures only
	Unsupported      // a known format that is not read: PDF, Word, a picture
)

var kindNames = [...]string{"unknown", "empty", "too_large", "not_text", "bad_archive", "bomb", "no_text", "unsupported"}

// String returns the kind in snake_case, fit for an error code of an API.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Error is the refusal of a file. Detail is a sentence, without a capital or full stop, which says what the file looks
// like and what would be accepted; it never quotes more than a name out of the file.
type Error struct {
	Kind   Kind
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func refuse(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

const accepted = "plain text (UTF-8 or UTF-16), Markdown, HTML and EPUB are accepted"

// Read takes in one book. Every error is an [*Error]. Time and memory are linear in the bytes of data and of what they
// unpack into; data is not kept.
func Read(data []byte, lim Limits) (Text, error) {
	lim = lim.withDefaults()
	if len(data) == 0 {
		return Text{}, refuse(Empty, "the file is empty")
	}
	if int64(len(data)) > lim.MaxBytes {
		return Text{}, refuse(TooLarge, "the file has %s, more than the %s allowed", size(int64(len(data))), size(lim.MaxBytes))
	}
	text, err := read(data, lim)
	if err != nil {
		return Text{}, err
	}
	if !text.hasWords() {
		return Text{}, refuse(NoText, "the file was read as %s, but there is not one word in it (pages that are pictures need text recognition first)", text.Format)
	}
	return text, nil
}

func read(data []byte, lim Limits) (Text, error) {
	if isZip(data) {
		return readEPUB(data, lim)
	}
	if name := binaryName(data); name != "" {
		return Text{}, refuse(Unsupported, "the file looks like %s; %s", name, accepted)
	}
	src, err := decode(data, lim)
	if err != nil {
		return Text{}, err
	}
	if strings.TrimSpace(src) == "" {
		return Text{}, refuse(Empty, "the file has nothing but white space in it")
	}
	if err := checkControls(src); err != nil {
		return Text{}, err
	}
	if root := foreignXML(src); root != "" {
		return Text{}, refuse(Unsupported, "the file looks like XML (%s); %s", root, accepted)
	}
	switch sniff(src) {
	case HTML:
		return readHTML(src, lim)
	case Markdown:
		return readMarkdown(src, lim)
	}
	return readText(src, lim)
}

// hasWords reports whether there is a letter or digit anywhere in the text.
func (t Text) hasWords() bool {
	for _, s := range t.Sections {
		for _, p := range s.Paragraphs {
			if hasWord(p) {
				return true
			}
		}
	}
	return false
}

func hasWord(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) >= 0
}

// size writes n bytes for a reader.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.4g KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
