// Package demo invents a library: readable books with the word statistics of
// real ones, so that the server can be tried and measured without anybody's
// books. Everything it returns follows from the seed alone and stays the same
// between releases, which a golden test holds.
package demo

import (
	"iter"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Defaults of the library that serve --demo fills.
const (
	DefaultSeed     = 1
	DefaultBooks    = 100
	DefaultPassages = 5000
)

// A Book is plain text in chapters: a heading line "CHAPTER IV. Of Memory", then
// paragraphs, all separated by empty lines. Form feeds part its pages.
type Book struct{ Title, Author, Text string }

// wordsPerPassage is what a passage of the ingest comes to on these sentences:
// it aims at 120 words, does not cut sentences, and ends with its chapter.
const wordsPerPassage = 111

// wordsPerPage is the least on a page; the paragraph under way is finished.
const wordsPerPage = 280

// Books yields n books that together make about the given number of passages.
// A book depends only on the seed and its place in the order: asking for more
// books leaves the first ones as they were, and asking for longer books only
// adds text at their ends. About one book in 15 is Turkish. Numbers below 1
// count as 1. Memory stays at one book; about 20 million words are written per
// second on one core.
func Books(seed uint64, n, passages int) iter.Seq[Book] {
	n = max(n, 1)
	each, extra := max(passages, 1)/n, max(passages, 1)%n
	return func(yield func(Book) bool) {
		for i := range n {
			size := each
			if i < extra {
				size++
			}
			if !yield(book(seed, i, max(size, 1)*wordsPerPassage)) {
				return
			}
		}
	}
}

// book writes the book at place i, about so many words long.
func book(seed uint64, i, wordCount int) Book {
	all := speakers()
	w := &writer{
		speaker: all[i%len(all)],
		source:  newSource(seed, uint64(i)+1),
		names:   names(),
		buf:     make([]byte, 0, wordCount*7),
	}
	b := Book{Title: w.heading(w.titles), Author: w.names.author(w.source, w.turkish)}
	for chapter, written := 1, 0; written < wordCount; chapter++ {
		written += w.chapter(chapter, wordCount-written)
	}
	b.Text = string(w.buf)
	return b
}

// chapter appends a chapter of 400 to 1,100 words, or of what is left.
func (w *writer) chapter(number, left int) int {
	length := w.between(400, 1100)
	w.focus = ""
	heading := w.heading(w.speaker.chapters)
	w.focus = w.abstracts.draw(w.source)
	w.buf = append(w.buf, "CHAPTER "+roman(number)+". "+heading+"\n\n"...)
	written := 0
	for written < min(length, left) {
		if w.onPage >= wordsPerPage {
			w.buf = append(w.buf, '\f')
			w.onPage = 0
		}
		count := w.paragraph()
		written, w.onPage = written+count, w.onPage+count
		w.buf = append(w.buf, '\n', '\n')
	}
	return written
}

// paragraph appends three to eight sentences on one line and counts its words.
func (w *writer) paragraph() int {
	start := len(w.buf)
	for i := range w.between(3, 8) {
		if i > 0 {
			w.buf = append(w.buf, ' ')
		}
		w.sentence(w.sentences[w.intn(len(w.sentences))])
	}
	count := 1
	for _, c := range w.buf[start:] {
		if c == ' ' {
			count++
		}
	}
	return count
}

// heading fills one of the patterns and writes it as a title is written.
func (w *writer) heading(patterns []pattern) string {
	start := len(w.buf)
	w.fill(patterns[w.intn(len(patterns))])
	text := string(w.buf[start:])
	w.buf = w.buf[:start]
	fields := strings.Fields(text)
	for i, word := range fields {
		if i > 0 && smallWords[word] {
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		upper := unicode.ToUpper(first)
		if w.turkish && first == 'i' {
			upper = 'İ'
		}
		fields[i] = string(upper) + word[size:]
	}
	return strings.Join(fields, " ")
}

var smallWords = map[string]bool{
	"a": true, "an": true, "and": true, "at": true, "before": true, "for": true, "from": true, "in": true,
	"of": true, "on": true, "or": true, "the": true, "to": true, "without": true, "ve": true, "is": true,
}

var names = sync.OnceValue(newNameBook)

// speakers are one per topic, the Turkish one third, so that a small library has it.
var speakers = sync.OnceValue(func() []*speaker {
	var all []*speaker
	for i, t := range topics {
		if i == 2 {
			all = append(all, turkishSpeaker())
		}
		all = append(all, englishSpeaker(t))
	}
	return all
})

func englishSpeaker(t topic) *speaker {
	things := newWords(strings.Fields(t.things), strings.Fields(commonThings))
	s := &speaker{
		abstracts:  newWords(strings.Fields(t.abstracts), strings.Fields(commonAbstracts)),
		things:     things,
		plurals:    words{list: mapped(things.list, plural), zipf: things.zipf},
		adjectives: newWords(strings.Fields(t.adjectives), strings.Fields(commonAdjectives)),
		titles:     compileAll(strings.Split(t.titles, "|")),
		chapters:   compileAll(strings.Split("Of {A}|{A} and {B}|The {adj} {n}|On the {ns} of {place}|Against {A}|{name} and the {n}|What is {A}?", "|")),
	}
	// The verbs turn by topic, so that no verb leads everywhere.
	verbs := strings.Fields(commonVerbs)
	turn := len(t.name) * 3 % len(verbs)
	s.bases = newWords(verbs[turn:], verbs[:turn])
	s.verbs = words{list: mapped(s.bases.list, thirdPerson), zipf: s.bases.zipf}
	s.pasts = words{list: mapped(s.bases.list, past), zipf: s.bases.zipf}
	s.sentences = append(compileAll(strings.Split(t.sentences, "|")), compileAll(commonSentences)...)
	return s
}

func turkishSpeaker() *speaker {
	var nominative, accusative, genitives []string
	for _, forms := range strings.Split(turkishNouns, "|") {
		f := strings.Fields(forms)
		nominative, accusative, genitives = append(nominative, f[0]), append(accusative, f[1]), append(genitives, f[2])
	}
	s := &speaker{
		turkish:    true,
		abstracts:  newWords(nominative),
		things:     newWords(nominative),
		objects:    newWords(accusative),
		genitives:  newWords(genitives),
		adjectives: newWords(strings.Fields(turkishAdjectives)),
		verbs:      newWords(strings.Split(turkishVerbs, "|")),
		sentences:  compileAll(turkishSentences),
		titles:     compileAll(strings.Split(turkishTitles, "|")),
		chapters:   compileAll(strings.Split("{N} ve {M}|{G} Önünde|{adj} {N}|{place} Yolunda", "|")),
	}
	return s
}

func mapped(list []string, f func(string) string) []string {
	out := make([]string, len(list))
	for i, word := range list {
		out[i] = f(word)
	}
	return out
}

// roman writes a chapter's number; books here have fewer than 4,000 chapters.
func roman(n int) string {
	var b strings.Builder
	for _, d := range []struct {
		value  int
		digits string
	}{
		{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"},
		{50, "L"}, {40, "XL"}, {10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
	} {
		for n >= d.value {
			n -= d.value
			b.WriteString(d.digits)
		}
	}
	return b.String()
}
