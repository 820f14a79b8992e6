package store

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold returns s in the form in which words are compared: lower case, without
// diacritics, compatibility forms opened (ﬁ → fi), ß as ss, ı and İ as i, soft
// hyphens and other invisible joiners gone. Characters between words stay.
// Folding twice changes nothing, and a string folds like its upper-case form.
//
// The index holds folded words only, so what Fold joins, a search joins too:
// SQLite's own folding leaves ı, ß and ﬁ alone and differs between versions.
func Fold(s string) string {
	i := 0
	for i < len(s) && s[i] < utf8.RuneSelf && (s[i] < 'A' || s[i] > 'Z') {
		i++
	}
	if i == len(s) {
		return s
	}
	return string(appendFold(make([]byte, 0, len(s)+8), s))
}

// appendFold appends the folded s to dst.
func appendFold(dst []byte, s string) []byte {
	// Composed first, so that a letter and its marks are judged together, as
	// kana with their voicing marks, and Hangul is in syllables.
	if !norm.NFC.IsNormalString(s) {
		s = norm.NFC.String(s)
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		dst = appendFoldedRune(dst, r, s[i:i+n])
		i += n
	}
	return dst
}

// appendFoldedRune appends the folded r, whose bytes are s, to dst.
func appendFoldedRune(dst []byte, r rune, s string) []byte {
	if r >= 0x4E00 && r <= 0x9FFF { // most of written Chinese: nothing to fold
		return append(dst, s...)
	}
	if dropped(r) {
		return dst
	}
	parts := norm.NFKD.PropertiesString(s).Decomposition()
	if r == utf8.RuneError || !opens(parts) {
		return appendLower(dst, r)
	}
	for len(parts) > 0 {
		p, n := utf8.DecodeRune(parts)
		if !dropped(p) {
			dst = appendLower(dst, p)
		}
		parts = parts[n:]
	}
	return dst
}

// opens reports whether a character is replaced by its decomposition: not when
// that holds a mark which is part of the letter (が), nor conjoining jamo, which
// would join their neighbours.
func opens(parts []byte) bool {
	for i := 0; i < len(parts); {
		r, n := utf8.DecodeRune(parts[i:])
		if unicode.Is(unicode.M, r) && !dropped(r) || r >= 0x1100 && r <= 0x11FF {
			return false
		}
		i += n
	}
	return len(parts) > 0
}

// lettersWithoutDecomposition are letters that people without the keyboard for
// them write otherwise, and that Unicode does not decompose.
var lettersWithoutDecomposition = map[rune]string{
	'ß': "ss", 'ł': "l", 'ø': "o", 'đ': "d", 'ħ': "h", 'ð': "d", 'þ': "th", 'æ': "ae", 'œ': "oe", 'ŧ': "t",
	'ʼ': "'", // the letter apostrophe, which would glue "donʼt" into one word
}

// appendLower appends the lower-case form of r. Upper case comes first because
// several lower-case letters share one capital: ς and σ, ſ and s, ı and i.
func appendLower(dst []byte, r rune) []byte {
	r = unicode.ToLower(unicode.ToUpper(r))
	if r < utf8.RuneSelf {
		return append(dst, byte(r))
	}
	if s, ok := lettersWithoutDecomposition[r]; ok {
		return append(dst, s...)
	}
	return utf8.AppendRune(dst, r)
}

// dropped reports whether r leaves no trace: a diacritic, or a character that
// only steers how its neighbours are shown. Marks of scripts in which they
// spell vowels (Devanagari, Thai) stay, and so do the voicing marks of kana.
func dropped(r rune) bool {
	switch {
	case r < 0xAD:
		return false
	case r == 0xAD, r == 0x200C, r == 0x200D, r == 0x2060, r == 0xFEFF, // soft hyphen, joiners, byte order mark
		r == 0x0640: // tatweel, which only stretches an Arabic word
		return true
	case r < 0x300 || !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Me, r):
		return false
	case r == 0x3099 || r == 0x309A:
		return false
	}
	return unicode.In(r, unicode.Inherited, unicode.Cyrillic, unicode.Greek, unicode.Hebrew, unicode.Arabic, unicode.Syriac)
}

// words cuts folded text into its words. A word is a run of letters and digits;
// each Chinese character and each kana is a word of its own, because those
// scripts put no spaces between words and a search for part of a run would
// otherwise find nothing.
func words(folded string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := -1 // of the current word
		for i, r := range folded {
			switch {
			case !wordRune(r):
				if start >= 0 && !yield(folded[start:i]) {
					return
				}
				start = -1
			case ideograph(r):
				if start >= 0 && !yield(folded[start:i]) {
					return
				}
				if !yield(folded[i : i+utf8.RuneLen(r)]) {
					return
				}
				start = -1
			case start < 0:
				start = i
			}
		}
		if start >= 0 {
			yield(folded[start:])
		}
	}
}

// wordRune reports whether r belongs to a word. It is the part on which Unicode
// today and SQLite's tokeniser agree: the tokeniser follows an older Unicode,
// in which the New Tai Lue vowels were no letters yet (and much that is not
// assigned there, as newer emoji, counts as a letter). Both facts are held by a
// test over all of Unicode against the driver in use.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z'
	}
	if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
		return false
	}
	return !(r >= 0x19B0 && r <= 0x19C9) && r != 0x1CF2 && r != 0x1CF3
}

// ideograph reports whether r, a wordRune, stands as a word of its own.
func ideograph(r rune) bool {
	return r >= 0x3040 && (r <= 0x30FF || // hiragana and katakana
		r >= 0x3400 && r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x20000 && r <= 0x3FFFF)
}

// indexText returns what the full-text index is given for content: its words,
// folded, with one space between them. The index's tokeniser finds exactly
// these words in it.
func indexText(content string) string {
	folded := Fold(content)
	var b strings.Builder
	b.Grow(len(folded))
	for w := range words(folded) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}
