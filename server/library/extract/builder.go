package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	chapterRunes  = 120 // longest name of one heading within Section.Chapter
	chapterLevels = 6   // most headings in one path
	chapterJoin   = " / "

	// A book of 50 MiB has some 170,000 paragraphs. Files of nothing but line ends would have fifty million, and each
	// costs sixteen bytes and more beyond its text.
	maxParagraphs = 1_000_000
	maxSections   = 250_000
)

// A builder gathers sections while a reader walks through a book. Headings have a rank: the lower, the further out.
type builder struct {
	lim      Limits
	bytes    int64
	path     []level
	page     int
	moved    bool     // the chapter or page changed since the last paragraph
	heads    []string // text of headings which have had no paragraph yet
	sections []draft
	added    int // paragraphs so far
	headed   int // headings so far
}

type level struct {
	rank int
	name string
}

// A draft is a section whose chapter is still a path, because the title that is left out of it may be known late.
type draft struct {
	path       []string
	page       int
	paragraphs []string
}

func newBuilder(lim Limits) *builder { return &builder{lim: lim, moved: true} }

// heading opens a chapter and keeps its text for the first paragraph that follows.
func (b *builder) heading(rank int, text string) {
	b.open(rank, text)
	b.headingText(text)
}

// open closes all chapters of this rank or further in, and opens one.
func (b *builder) open(rank int, name string) {
	for len(b.path) > 0 && b.path[len(b.path)-1].rank >= rank {
		b.path = b.path[:len(b.path)-1]
	}
	if name = chapterName(name); name != "" && len(b.path) < chapterLevels {
		b.path = append(b.path, level{rank, name})
	}
	b.moved = true
}

// openPath replaces the whole path, ranks 1, 2, 3…, as a table of contents gives it.
func (b *builder) openPath(names []string) {
	b.path = b.path[:0]
	for i, name := range names[:min(len(names), chapterLevels)] {
		b.path = append(b.path, level{i + 1, chapterName(name)})
	}
	b.moved = true
}

func (b *builder) headingText(text string) {
	b.bytes += int64(len(text))
	b.headed++
	b.heads = append(b.heads, text)
}

// extendHeading joins text to the heading just opened, which has had no paragraph yet.
func (b *builder) extendHeading(text, sep string) {
	last := len(b.heads) - 1
	b.heads[last] += sep + text
	b.path[len(b.path)-1].name = chapterName(b.heads[last])
	b.bytes += int64(len(text) + len(sep))
}

func (b *builder) setPage(n int) {
	if n != b.page {
		b.page = n
		b.moved = true
	}
}

// paragraph adds text, which is squeezed already. Text without any letter, digit or symbol worth a search is left out.
func (b *builder) paragraph(text string) {
	if text == "" {
		return
	}
	if b.moved || len(b.sections) == 0 {
		b.begin()
	}
	cur := &b.sections[len(b.sections)-1]
	cur.paragraphs = append(cur.paragraphs, b.heads...)
	cur.paragraphs = append(cur.paragraphs, text)
	b.heads = b.heads[:0]
	b.bytes += int64(len(text))
	b.added++
}

func (b *builder) begin() {
	names := make([]string, len(b.path))
	for i, l := range b.path {
		names[i] = l.name
	}
	b.sections = append(b.sections, draft{path: names, page: b.page})
	b.moved = false
}

// full reports whether the text outgrew a bound. Readers ask after each paragraph, and stop.
func (b *builder) full() bool { return b.overflow() != nil }

func (b *builder) overflow() error {
	switch {
	case b.bytes > b.lim.MaxTextBytes:
		return refuse(TooLarge, "the file's text is longer than the %s allowed", size(b.lim.MaxTextBytes))
	case b.added+b.headed > maxParagraphs:
		return refuse(TooLarge, "the file has more than %d paragraphs, the most of one book; cut it into volumes", maxParagraphs)
	case len(b.sections) > maxSections:
		return refuse(TooLarge, "the file has more than %d chapters and pages, the most of one book; cut it into volumes", maxSections)
	}
	return nil
}

// finish returns the sections. A heading equal to the book's title is left out of every path but the text of it stays.
func (b *builder) finish(title string) ([]Section, error) {
	if err := b.overflow(); err != nil {
		return nil, err
	}
	if len(b.heads) > 0 {
		b.begin()
		cur := &b.sections[len(b.sections)-1]
		cur.paragraphs = append(cur.paragraphs, b.heads...)
	}
	folded := fold(title)
	out := make([]Section, len(b.sections))
	for i, d := range b.sections {
		names := d.path
		if len(names) > 0 && title != "" && fold(names[0]) == folded {
			names = names[1:]
		}
		out[i] = Section{Chapter: strings.Join(names, chapterJoin), Page: d.page, Paragraphs: d.paragraphs}
	}
	return out, nil
}

// chapterName trims what a printed heading has and a name in a list has not.
func chapterName(s string) string {
	return clip(strings.TrimSpace(strings.TrimRight(s, ".:;, ")), chapterRunes)
}

// clip cuts s after max characters and says so with an ellipsis.
func clip(s string, max int) string {
	n := 0
	for i := range s {
		if n == max {
			return strings.TrimRight(s[:i], " ") + "…"
		}
		n++
	}
	return s
}

// squeeze puts single spaces for runs of white space and control characters, and drops the characters that only serve
// typesetting (soft hyphen, zero-width space, byte-order mark), because they would split a word for a search.
func squeeze(s string) string {
	if isSqueezed(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	gap := false
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == '\u00ad' || r == '\u200b' || r == '\u2060' || r == '\ufeff':
		case r <= ' ' || r == 0x7f || r >= 0x80 && (unicode.IsSpace(r) || unicode.IsControl(r)):
			gap = true
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// isSqueezed is the quick way out for a string of ASCII that is as squeeze would leave it.
func isSqueezed(s string) bool {
	prev := byte(' ')
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || c < ' ' || c == 0x7f || c == ' ' && prev == ' ' {
			return false
		}
		prev = c
	}
	return prev != ' ' || s == ""
}

// paragraphs returns how many there are so far, headings not counted.
func (b *builder) paragraphs() int { return b.added }
