package extract

import (
	"unicode"
	"unicode/utf8"
)

// A meter counts words as Passage.Words has them: runs without white space, except that in scripts which do not space
// their words two characters are a word, and that every 256 bytes without white space are one, so that nothing
// in a passage is unbounded.
type meter struct {
	words   int
	inWord  int // bytes of the word so far
	unspace int // characters of unspaced scripts in it
}

func (m *meter) add(r rune, n int) {
	if isSpace(r) {
		m.inWord, m.unspace = 0, 0
		return
	}
	switch {
	case m.inWord == 0:
		m.words++
	case m.inWord/256 != (m.inWord+n)/256:
		m.words++
	}
	m.inWord += n
	if r >= 0x0e00 && isUnspaced(r) {
		m.unspace++
		if m.unspace > 2 && m.unspace%2 == 1 {
			m.words++
		}
	}
}

// isSpace is unicode.IsSpace, quick for ASCII.
func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || r >= '\t' && r <= '\r'
	}
	return unicode.IsSpace(r)
}

func isUnspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// countWords returns the words of s as a meter counts them.
func countWords(s string) int {
	var m meter
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		m.add(r, n)
		i += n
	}
	return m.words
}

// cutPoint returns where to cut s, a run of text of more than max words, so that the first part has at most max: after the
// last clause mark (;:,—) in the second half of those words, else between two words, else, within one endless word,
// between two characters. It returns len(s) when s has at most max words.
func cutPoint(s string, max int) int {
	if len(s) < 2*max { // a word and the space after it have two bytes or more
		return len(s)
	}
	var m meter
	clause, strong, space, grapheme := 0, 0, 0, 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		was := m.words
		m.add(r, n)
		if m.words > max {
			break
		}
		i += n
		if was*2 >= max || max < 4 {
			switch r {
			case '；', '：':
				strong = i
			case '，', '、':
				clause = i
			case ';', ':', '—':
				if spaceAt(s, i) { // "12:30" is whole
					strong = i
				}
			case ',', '،':
				if spaceAt(s, i) {
					clause = i
				}
			}
		}
		if isSpace(r) {
			space = i
		}
		grapheme = i
		if i == len(s) {
			return i
		}
	}
	switch {
	case strong > 0:
		return strong
	case clause > 0:
		return clause
	case space > 0:
		return space
	}
	return grapheme
}

func spaceAt(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	return isSpace(r)
}
