package extract

import (
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Classes of words. Spellings of one word ("Ray", "rays", "RAYS") share a class from firstClass up.
const (
	breakClass uint32 = iota // punctuation, a number: a phrase ends here
	stopClass                // a stop word
	joinClass                // "of" and its like, which may stand between two halves of a phrase
	firstClass
)

const (
	maxWords     = 1 << 20 // different spellings a lexicon knows
	maxWordBytes = 40      // a longer word is no word
)

// joiners stand inside a name: "angle of incidence", "Histoire de la folie". Articles may follow them. Adverbs in -ly are
// stop words, but these words are none.
var (
	joiners    = words("of de du des di del della dello dei degli von vom da do dos das")
	notAdverbs = words("family anomaly assembly monopoly butterfly dragonfly homily melancholy supply reply apply multiply italy contumely bodily elderly heavenly")
	articles   = words("the a an la le les el los las il lo i gli l der den dem")
)

// A lexicon maps the spellings of a book to classes.
type lexicon struct {
	spellings map[string]entry
	classes   map[string]uint32 // by folded stem
	language  string
	stops     map[string]bool // folded
}

type entry struct {
	class   uint32
	article bool
}

// A token is a word or a break in a text.
type token struct {
	class      uint32
	article    bool
	start, end int
}

// newLexicon guesses the language of a book and so its stop words.
func newLexicon(ps []Passage) *lexicon {
	l := &lexicon{spellings: make(map[string]entry), classes: make(map[string]uint32)}
	var g languageGuess
	step := max(1, len(ps)/50) // a preface in another language decides nothing
	for i := 0; i < len(ps); i += step {
		if g.add(ps[i].Content) {
			break
		}
	}
	switch l.language = g.language(); l.language {
	case "en":
		l.stops = englishStops
	case "tr":
		l.stops = turkishStops
	default:
		l.stops = deriveStops(ps)
	}
	return l
}

// deriveStops makes a stop-word list for a language without one: the words that are in half of the passages, and the short
// ones, of up to four letters, that are in one of ten. It takes a thousand passages from all over the book. A text of fewer than
// ten passages gets the English and Turkish lists.
func deriveStops(ps []Passage) map[string]bool {
	step := max(1, len(ps)/1000)
	seen := make(map[string]int)
	inPassage := make(map[string]bool)
	passages := 0
	for i := 0; i < len(ps); i += step {
		passages++
		clear(inPassage)
		for w := range strings.FieldsFuncSeq(ps[i].Content, notLetter) {
			if len(w) <= maxWordBytes {
				inPassage[fold(w)] = true
			}
		}
		for w := range inPassage {
			seen[w]++
		}
	}
	stops := make(map[string]bool)
	if passages < 10 { // too few to tell
		maps.Copy(stops, englishStops)
		maps.Copy(stops, turkishStops)
		return stops
	}
	for w, n := range seen {
		if n*2 >= passages || n*10 >= passages && utf8.RuneCountInString(w) <= 4 {
			stops[w] = true
		}
	}
	return stops
}

// eachWord calls visit for every word of s, and once for each run of anything else than white space between words. Hyphens
// and apostrophes between letters belong to the word.
func (l *lexicon) eachWord(s string, visit func(token)) {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if !isWordRune(r) {
			if r != ' ' {
				visit(token{class: breakClass, start: i, end: i + n})
			}
			i += n
			continue
		}
		start := i
		for i < len(s) {
			r, n := rune(s[i]), 1
			if r >= utf8.RuneSelf {
				r, n = utf8.DecodeRuneInString(s[i:])
			}
			if !isWordRune(r) && !(i > start && isInner(r) && i+n < len(s) && startsLetter(s[i+n:])) {
				break
			}
			i += n
		}
		e := l.lookUp(s[start:i])
		visit(token{e.class, e.article, start, i})
	}
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r)
}

func isInner(r rune) bool { return r == '-' || r == '\'' || r == '’' || r == '‐' }

func startsLetter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}

// lookUp classes a word as it is spelt.
func (l *lexicon) lookUp(w string) entry {
	if len(w) > maxWordBytes {
		return entry{}
	}
	if e, ok := l.spellings[w]; ok {
		return e
	}
	if len(l.spellings) >= maxWords {
		return entry{}
	}
	e := l.classify(w)
	l.spellings[strings.Clone(w)] = e
	return e
}

func (l *lexicon) classify(w string) entry {
	f := strings.ReplaceAll(fold(w), "’", "'")
	f = strings.TrimSuffix(f, "'s")
	f = strings.ReplaceAll(f, "'", "")
	switch {
	case joiners[f] && l.language != "tr":
		return entry{class: joinClass}
	case l.stops[f]:
		return entry{class: stopClass, article: articles[f]}
	case isJunk(w, f):
		return entry{class: breakClass}
	}
	stem := l.stem(f)
	if l.stops[stem] || l.language == "en" && len(stem) > 5 && strings.HasSuffix(stem, "ly") && !notAdverbs[stem] {
		return entry{class: stopClass}
	}
	class, ok := l.classes[stem]
	if !ok {
		class = firstClass + uint32(len(l.classes))
		l.classes[stem] = class
	}
	return entry{class: class}
}

// isJunk reports words that name nothing: with a digit, of one or two letters, Roman numerals, labels of figures (ABC, PQR).
func isJunk(w, folded string) bool {
	letters := utf8.RuneCountInString(folded)
	if letters < 2 || letters < 3 && folded[0] < utf8.RuneSelf || !hasLetterRun(folded) {
		return true
	}
	upper := strings.ToUpper(w)
	if roman(upper) > 0 && (w == upper || strings.Trim(folded, "ivx") == "") {
		return true
	}
	if w != upper {
		return false
	}
	for i := 1; i < len(w); i++ {
		if w[i] != w[i-1]+1 {
			return false
		}
	}
	return true
}

// stem takes off the plural, so that "Colours" and "Colour" are one name. It is no more than that: what a reader would call
// another word stays another word.
func (l *lexicon) stem(w string) string {
	switch l.language {
	case "en":
		switch {
		case len(w) > 4 && strings.HasSuffix(w, "ies"):
			return w[:len(w)-3] + "y"
		case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
			return w[:len(w)-1]
		}
	case "tr":
		if len(w) > 5 && (strings.HasSuffix(w, "lar") || strings.HasSuffix(w, "ler")) {
			return w[:len(w)-3]
		}
	}
	return w
}
