package demo

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A slot is a place in a sentence that a word is drawn for.
type slot uint8

const (
	literal   slot = iota
	abstract       // {A} {B}
	noun           // {n}
	nouns          // {ns}
	adjective      // {adj}
	verb           // {v}
	verbBase       // {vb}
	verbPast       // {vd}
	article        // {an}
	person         // {name}
	place          // {place}
	coined         // {coin}
	number         // {num}
	year           // {year}
	subject        // {N} {M}, capitalised, Turkish
	object         // {K}
	genitive       // {G}
)

var slots = map[string]slot{
	"A": abstract, "B": abstract, "n": noun, "ns": nouns, "adj": adjective, "v": verb, "vb": verbBase,
	"vd": verbPast, "an": article, "name": person, "place": place, "coin": coined, "num": number,
	"year": year, "N": subject, "M": subject, "K": object, "G": genitive,
}

// A pattern is a sentence with slots. A slot whose text is "B" draws anew until
// it differs from the abstract drawn before it.
type pattern []part

type part struct {
	slot slot
	text string
}

// compile cuts "{A} shapes the {n}." into parts. The patterns are constants of
// this package, so an unknown slot is a bug and panics.
func compile(text string) pattern {
	var p pattern
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			p = append(p, part{literal, before})
		}
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		kind, ok := slots[name]
		if !ok {
			panic("demo: unknown slot {" + name + "}")
		}
		p = append(p, part{kind, name})
		text = after
	}
	return p
}

func compileAll(texts []string) []pattern {
	all := make([]pattern, len(texts))
	for i, text := range texts {
		all[i] = compile(text)
	}
	return all
}

// A speaker writes the sentences of one kind of book.
type speaker struct {
	turkish                                bool
	abstracts, things, plurals, adjectives words
	verbs, bases, pasts                    words // same order: one rank, three forms
	objects, genitives                     words
	sentences                              []pattern // drawn evenly
	titles                                 []pattern
	chapters                               []pattern
}

// A writer fills patterns. focus is the word its chapter is about.
type writer struct {
	*speaker
	*source
	names *nameBook
	focus string
	last  string // the abstract drawn last
	buf   []byte

	onPage int // words since the last form feed
}

// sentence appends one sentence, its first letter in upper case.
func (w *writer) sentence(p pattern) {
	start := len(w.buf)
	w.fill(p)
	first, size := utf8.DecodeRune(w.buf[start:])
	upper := unicode.ToUpper(first)
	if w.turkish && first == 'i' {
		upper = 'İ'
	}
	if upper == first {
		return
	}
	tail := string(w.buf[start+size:])
	w.buf = utf8.AppendRune(w.buf[:start], upper)
	w.buf = append(w.buf, tail...)
}

func (w *writer) fill(p pattern) {
	an := -1 // where an article waits for the word after it
	for _, part := range p {
		switch part.slot {
		case literal:
			w.buf = append(w.buf, part.text...)
			continue
		case article:
			an = len(w.buf)
			continue
		}
		word := w.word(part)
		if an >= 0 {
			w.buf = w.buf[:an]
			w.buf = append(w.buf, articleOf(word)...)
			w.buf = append(w.buf, ' ')
			an = -1
		}
		w.buf = append(w.buf, word...)
	}
}

// focusPercent is how often an abstract is the word that the chapter is about:
// words of real books come in bursts, too.
const focusPercent = 35

func (w *writer) word(p part) string {
	switch p.slot {
	case abstract:
		word := w.abstracts.draw(w.source)
		if w.focus != "" && w.chance(focusPercent) {
			word = w.focus
		}
		for p.text == "B" && word == w.last {
			word = w.abstracts.draw(w.source)
		}
		w.last = word
		return word
	case noun:
		return w.things.draw(w.source)
	case nouns:
		return w.plurals.draw(w.source)
	case adjective:
		return w.adjectives.draw(w.source)
	case verb:
		return w.verbs.draw(w.source)
	case verbBase:
		return w.bases.draw(w.source)
	case verbPast:
		return w.pasts.draw(w.source)
	case person:
		return w.names.person(w.source)
	case place:
		return w.names.place(w.source)
	case coined:
		return w.names.coined(w.source)
	case number:
		return w.number()
	case year:
		return strconv.Itoa(w.between(1612, 1987))
	case subject:
		return w.things.draw(w.source)
	case object:
		return w.objects.draw(w.source)
	default:
		return w.genitives.draw(w.source)
	}
}

var numbers = strings.Fields("two three four five six seven nine ten twelve fourteen twenty thirty forty sixty a~hundred")

func (w *writer) number() string {
	if w.turkish {
		return turkishNumbers[w.intn(len(turkishNumbers))]
	}
	return strings.ReplaceAll(numbers[w.intn(len(numbers))], "~", " ")
}

// articleOf is a or an, by the first letter but for the few words of the lexicon
// that are not spoken as they are spelled.
func articleOf(word string) string {
	switch {
	case word == "unit":
		return "a"
	case word == "hour", word == "honest", strings.HasPrefix(word, "un"):
		return "an"
	case strings.IndexByte("aeio", word[0]) >= 0:
		return "an"
	}
	return "a"
}

func plural(noun string) string {
	switch {
	case noun == "life":
		return "lives"
	case noun == "leaf":
		return "leaves"
	case strings.HasSuffix(noun, "y") && !endsInVowelAnd(noun):
		return noun[:len(noun)-1] + "ies"
	case noun == "spectrum":
		return "spectra"
	case noun == "child":
		return "children"
	}
	return noun + sibilantE(noun) + "s"
}

func thirdPerson(verb string) string {
	if strings.HasSuffix(verb, "y") && !endsInVowelAnd(verb) {
		return verb[:len(verb)-1] + "ies"
	}
	return verb + sibilantE(verb) + "s"
}

func past(verb string) string {
	switch {
	case strings.HasSuffix(verb, "y") && !endsInVowelAnd(verb):
		return verb[:len(verb)-1] + "ied"
	case strings.HasSuffix(verb, "e"):
		return verb + "d"
	}
	return verb + "ed"
}

func endsInVowelAnd(word string) bool {
	return len(word) > 1 && strings.IndexByte("aeiou", word[len(word)-2]) >= 0
}

// sibilantE is the e of "boxes", "churches", "glasses".
func sibilantE(word string) string {
	for _, end := range []string{"s", "x", "ch", "sh", "z"} {
		if strings.HasSuffix(word, end) {
			return "e"
		}
	}
	return ""
}
