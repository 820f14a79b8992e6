package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// readText reads plain text: blank lines part paragraphs, form feeds and running numbers part pages, and lines that stand
// alone and look like headings part chapters.
func readText(src string, lim Limits) (Text, error) {
	if strings.Contains(src, "\r") {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	body, head := trimLicence(src)
	body, pages := surveyPages(body)
	r := &textReader{
		builder: newBuilder(lim),
		pages:   pages,
		joiner:  newJoiner(body),
		title:   head.title,
		author:  head.author,
	}
	r.survey(body)
	for b := range blocks(body) {
		r.block(b)
		if r.full() {
			break
		}
	}
	sections, err := r.finish("")
	if err != nil {
		return Text{}, err
	}
	t := Text{Format: PlainText, Title: r.title, Author: r.author, Language: head.language, Sections: sections}
	if t.Language == "" {
		t.Language = guessLanguage(t)
	}
	return t, nil
}

type textReader struct {
	*builder
	*joiner
	pages         *pageMarks
	title, author string
	emphasis      bool           // _words_ are emphasised by underscores
	capitals      bool           // lines in capitals are headings here
	seen          map[string]int // how often a line in capitals occurs
	blocks        int            // blocks read so far
	roman         int            // last Roman numeral that stood alone
	last          headline       // the heading just read
	fresh         bool           // no paragraph since it
}

const (
	maxSeenLines    = 50_000 // lines in capitals whose repetition is counted
	maxSameCapitals = 8      // a line in capitals that occurs more often is a speaker or a running head
	titlePageBlocks = 40     // blocks from the start within which "By A. Author" is believed
)

// survey looks through the text once, for what can only be judged by the whole.
func (r *textReader) survey(src string) {
	r.seen = make(map[string]int)
	all, capital := 0, 0
	for b := range blocks(src) {
		all++
		if b.lines == 1 && len(b.text) <= 120 {
			if s := strings.Trim(b.text, " \t_"); s != "" && capitalLine(s) {
				capital++
				if len(r.seen) < maxSeenLines {
					r.seen[s]++
				}
			}
		}
	}
	r.capitals = capital < 12 || capital*3 < all // else the whole book is in capitals
	opened, closed := 0, 0
	for at := strings.IndexByte(src, '_'); at >= 0 && at < len(src); {
		switch emphasisMark(src, at) {
		case opens:
			opened++
		case closes:
			closed++
		}
		n := strings.IndexByte(src[at+1:], '_')
		if n < 0 {
			break
		}
		at += 1 + n
	}
	r.emphasis = opened >= 2 && closed >= 2 && abs(opened-closed)*5 <= opened
}

func abs(n int) int { return max(n, -n) }

func (r *textReader) block(b block) {
	page, isMark := r.pages.of(b)
	r.setPage(page)
	if isMark {
		return
	}
	if b.lines <= 3 && len(b.text) <= 400 {
		line := r.clean(b.text)
		if line == "" || isPicture(line) {
			return
		}
		r.titlePage(b, line)
		if r.headline(b, line) {
			r.blocks++
			return
		}
	}
	for raw := range b.paragraphs {
		p := r.clean(raw)
		if p == "" {
			continue
		}
		if r.blocks == 0 && isCredit(p) {
			return
		}
		r.pageParagraphs(picture(p))
		if r.full() {
			return
		}
		r.fresh = false
	}
	r.blocks++
}

// clean makes one line of raw lines, without the underscores of emphasis.
func (r *textReader) clean(raw string) string {
	s := r.join(raw)
	if r.emphasis && strings.Contains(s, "_") {
		s = stripEmphasis(s)
	}
	return s
}

// pageParagraphs adds a paragraph, cut where marks such as [Pg 12] stand in it.
func (r *textReader) pageParagraphs(p string) {
	for {
		before, after, page, ok := inlinePage(p)
		r.paragraph(strings.TrimSpace(before))
		if !ok || r.full() {
			return
		}
		r.pages.pin(page)
		r.setPage(page)
		p = strings.TrimSpace(after)
	}
}

// titlePage takes the title and author from the first lines of a book without a header: a line of its own at the very
// start, and "By A. Author".
func (r *textReader) titlePage(b block, line string) {
	if r.title == "" && r.blocks == 0 && b.lines == 1 && len(line) <= 120 && !strings.HasSuffix(line, ".") {
		if h, ok := keywordHeadline(line); !ok || h.rank == 0 {
			r.title = strings.TrimRight(line, ":;, ")
		}
	}
	if r.author != "" || r.blocks > titlePageBlocks || b.lines > 1 || len(line) > 80 {
		return
	}
	word, name, _ := strings.Cut(line, " ")
	if strings.EqualFold(word, "by") && startsUpper(name) && len(strings.Fields(name)) <= 8 {
		r.author = strings.TrimRight(name, ".:; ")
	}
}

// headline opens a chapter if the block is a heading.
func (r *textReader) headline(b block, line string) bool {
	first := line
	if b.lines > 1 {
		raw, _, _ := strings.Cut(b.text, "\n")
		first = r.clean(raw)
	}
	h, ok := keywordHeadline(first)
	if ok && b.lines > 1 && !(h.bare && titleLine(line) || isCapitals(line)) {
		return false
	}
	h.bare = h.bare && b.lines == 1
	if r.extends(line, h, ok, b.lines) {
		return true
	}
	switch {
	case ok:
	case b.lines > 1:
		return false
	case r.isNextRoman(line):
		h = headline{rank: rankScene, bare: true}
	case r.capitals && capitalLine(line) && r.seen[strings.Trim(b.text, " \t_")] <= maxSameCapitals && worthHeading(line):
		h = headline{rank: rankChapter, capital: true}
	default:
		return false
	}
	r.heading(h.rank, line)
	r.last, r.fresh = h, true
	return true
}

// extends adds line to the heading just read when the two are one: "THE", "SECOND BOOK", "OF", "OPTICKS", or a bare
// "CHAPTER I" and its title.
func (r *textReader) extends(line string, h headline, keyword bool, lines int) bool {
	if !r.fresh {
		return false
	}
	before := r.heads[len(r.heads)-1]
	switch {
	case isCapitals(line) && isCapitals(before) && (r.last.capital || r.last.bare) && joins(before, line):
		r.extendHeading(line, " ")
		if keyword {
			r.open(h.rank, r.heads[len(r.heads)-1])
			r.last.rank = h.rank
		}
		return true
	case lines == 1 && !keyword && r.last.bare && r.last.rank <= rankScene && (capitalLine(line) || titleLine(line)):
		r.extendHeading(line, stopBetween(before))
		r.last.bare = false
		return true
	}
	return false
}

// worthHeading reports whether a line in capitals is more than initials.
func worthHeading(line string) bool {
	return utf8.RuneCountInString(strings.TrimFunc(line, notLetter)) >= 4 || connectives[fold(bareWord(line))]
}

// isNextRoman reports whether line is a Roman numeral alone which counts on from the last one.
func (r *textReader) isNextRoman(line string) bool {
	n := roman(strings.TrimRight(line, "."))
	if n == 0 || n != r.roman+1 && n != 1 {
		return false
	}
	r.roman = n
	return true
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

func notAlphanumeric(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// stopBetween returns what parts a chapter's number from its title on the next line.
func stopBetween(s string) string {
	if endsStop(s) {
		return " "
	}
	return ". "
}

// isPicture reports whether a paragraph only says that a picture was there: [Illustration], [Illustration: FIG. 3.]
func isPicture(p string) bool {
	inner, ok := strings.CutPrefix(p, "[Illustration")
	if !ok || !strings.HasSuffix(inner, "]") {
		return false
	}
	for f := range strings.FieldsSeq(strings.Trim(inner, ":] ")) {
		if w := bareWord(f); w != "" && !strings.EqualFold(w, "fig") && !strings.EqualFold(w, "figs") && !isNumeral(w) && !strings.EqualFold(w, "and") {
			return false
		}
	}
	return true
}

// picture returns the caption when p is a picture's mark and caption, else p.
func picture(p string) string {
	if inner, ok := strings.CutPrefix(p, "[Illustration:"); ok {
		if caption, ok := strings.CutSuffix(inner, "]"); ok && !strings.Contains(caption, "]") {
			return strings.TrimSpace(caption)
		}
	}
	return p
}

const (
	opens = 1 + iota
	closes
)

// emphasisMark tells whether the underscore at i opens or closes an emphasis; inside a name such as max_size it is neither.
func emphasisMark(s string, i int) int {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+1:])
	if before == '_' || after == '_' {
		return 0
	}
	in := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	solid := func(r rune) bool { return r != utf8.RuneError && !unicode.IsSpace(r) }
	switch {
	case !in(before) && solid(after) && (in(after) || !solid(before)):
		return opens
	case !in(after) && solid(before):
		return closes
	}
	return 0
}

// stripEmphasis removes the underscores that open and close an emphasis.
func stripEmphasis(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		if s[i] != '_' || emphasisMark(s, i) == 0 {
			b.WriteByte(s[i])
		}
	}
	return strings.TrimSpace(b.String())
}
