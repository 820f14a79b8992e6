package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Passage is a piece of a book that is stored and found as one: some whole sentences, about as many words as asked for.
// Sentences are parted as they were, paragraphs by a blank line. Page and Chapter are those of its first word. Words
// counts runs without white space; in scripts which do not space their words, every two characters.
type Passage struct {
	Content string
	Page    int
	Chapter string
	Words   int
}

const (
	defaultWords = 120
	maxHeld      = 64 << 10 // longest sentence, in bytes, carried over the end of a paragraph
	minCarried   = 4        // words; a shorter paragraph without a stop is a heading or a list's item, and carries nothing over
)

// Passages cuts a book into passages of about targetWords words (0 or less means 120). No sentence is cut, except one of
// more than twice targetWords, which is cut at a clause or else between words; so no passage has more than 2.5 times targetWords.
// A passage does not span chapters. A sentence broken off by the end of a page, or by a picture or table, is put together
// again and belongs to the page it begins on. No word is lost, none invented, and their order is kept. Linear in the text.
func Passages(t Text, targetWords int) []Passage {
	if targetWords <= 0 {
		targetWords = defaultWords
	}
	p := &packer{target: targetWords, turkish: isTurkish(t)}
	for i, s := range t.Sections {
		if i > 0 && s.Chapter != t.Sections[i-1].Chapter {
			p.endChapter()
		}
		p.chapter, p.page = s.Chapter, s.Page
		for _, para := range s.Paragraphs {
			p.paragraph(para)
		}
	}
	p.endChapter()
	return p.out
}

// A packer fills passages with sentences.
type packer struct {
	target  int
	turkish bool
	out     []Passage

	chapter string
	page    int // page of the section being read

	buf     strings.Builder // the passage being filled
	words   int
	bufPage int
	bufSep  string // what parts it from the passage before
	opened  int    // passages of this chapter already out

	held     string // a sentence that the next paragraph may go on with
	heldPage int
	heldSep  string
}

const paragraphSep = "\n\n"

// paragraph adds the sentences of one paragraph.
func (p *packer) paragraph(para string) {
	first := true
	sep := paragraphSep
	var lastStart, lastEnd int
	var pending bool
	flush := func(final bool) {
		if !pending {
			return
		}
		raw := para[lastStart:lastEnd]
		text := strings.TrimSpace(raw)
		page, before := p.page, sep
		if first && p.held != "" {
			if p.continues(text) {
				text, page, before = p.held+" "+text, p.heldPage, p.heldSep
				p.held = ""
			} else {
				p.release()
			}
		}
		first = false
		if text == "" {
			return
		}
		if final && len(text) <= maxHeld && !terminated(text) && countWords(text) >= minCarried {
			p.held, p.heldPage, p.heldSep = text, page, before
			return
		}
		p.sentence(text, before, page)
		if len(strings.TrimRightFunc(raw, unicode.IsSpace)) == len(raw) {
			sep = ""
		} else {
			sep = " "
		}
	}
	sentences(para, p.turkish, func(start, end int) {
		flush(false)
		lastStart, lastEnd, pending = start, end, true
	})
	flush(true)
	p.paragraphEnd()
}

// continues reports whether text, the start of a paragraph, goes on with the sentence held from the paragraph before.
func (p *packer) continues(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsLower(r) || p.page != p.heldPage && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// release gives up waiting for the rest of the held sentence.
func (p *packer) release() {
	if p.held != "" {
		held := p.held
		p.held = ""
		p.sentence(held, p.heldSep, p.heldPage)
		p.paragraphEnd()
	}
}

// sentence packs one sentence, cut into parts when it is longer than a passage may be.
func (p *packer) sentence(text, sep string, page int) {
	for {
		cut := cutPoint(text, 2*p.target)
		part, rest := text[:cut], text[cut:]
		if trimmed := strings.TrimSpace(part); trimmed != "" {
			p.pack(trimmed, sep, page)
			sep = ""
		}
		if rest == "" {
			return
		}
		text = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if len(text) < len(rest) || unicode.IsSpace(lastRune(part)) {
			sep = " "
		}
	}
}

// pack adds a run of words to the passage being filled, or to the next one if that comes closer to the target.
func (p *packer) pack(text, sep string, page int) {
	n := countWords(text)
	if over := p.words + n - p.target; p.words > 0 && over > 0 && p.words*2 >= p.target && over > p.target-p.words {
		p.endPassage()
	} else if p.words > 0 && p.words+n > 2*p.target {
		p.endPassage()
	}
	if p.words == 0 {
		p.bufPage, p.bufSep = page, sep
	} else {
		p.buf.WriteString(sep)
	}
	p.buf.WriteString(text)
	p.words += n
	if p.words >= p.target {
		p.endPassage()
	}
}

// paragraphEnd ends a passage with the paragraph when it is nearly full.
func (p *packer) paragraphEnd() {
	if p.words*5 >= p.target*4 {
		p.endPassage()
	}
}

func (p *packer) endPassage() {
	if p.words == 0 {
		return
	}
	p.out = append(p.out, Passage{Content: p.buf.String(), Page: p.bufPage, Chapter: p.chapter, Words: p.words})
	p.opened++
	p.buf = strings.Builder{}
	p.words = 0
}

// endChapter ends the last passage of a chapter; a remnant too small to stand alone joins the passage before it.
func (p *packer) endChapter() {
	p.release()
	if p.words > 0 && p.opened > 0 && p.words*3 < p.target && p.out[len(p.out)-1].Words+p.words <= 2*p.target {
		last := &p.out[len(p.out)-1]
		last.Content += p.bufSep + p.buf.String()
		last.Words += p.words
		p.buf = strings.Builder{}
		p.words = 0
	}
	p.endPassage()
	p.opened = 0
}
