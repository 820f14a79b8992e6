// Package words says what a word is and when two are the same, for everything that compares
// words: the index, queries, and the answers drawn from passages.
package words

import (
	"iter"
	"slices"
	"sync"
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
	if !composed(s) {
		s = norm.NFC.String(s)
	}
	table := foldedLetters()
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
		if int(r) < len(table) {
			dst = append(dst, table[r]...)
		} else {
			dst = appendFoldedRune(dst, r, s[i:i+n])
		}
		i += n
	}
	return dst
}

// composed reports whether s is in Unicode's form NFC. Nothing below U+0300 and
// no dash or quote of U+2000 to U+203F composes with a neighbour, which spares
// most text in Latin letters the look-up of every character.
func composed(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0xCC { // the first byte of U+0300
			continue
		}
		if s[i] == 0xE2 && i+1 < len(s) && s[i+1] == 0x80 {
			continue
		}
		return norm.NFC.IsNormalString(s)
	}
	return true
}

// foldedLetters are the folded forms of the characters up to Cyrillic, which
// cost a tenth of the look-ups for others. Most letters of most libraries are among them.
var foldedLetters = sync.OnceValue(func() *[0x530]string {
	var table [0x530]string
	for r := range rune(len(table)) {
		table[r] = string(appendFoldedRune(nil, r, string(r)))
	}
	return &table
})

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

// Split cuts folded text into its words. A word is a run of letters and digits;
// each Chinese character and each kana is a word of its own, because those
// scripts put no spaces between words and a search for part of a run would
// otherwise find nothing.
func Split(folded string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := -1 // of the current word
		for i, r := range folded {
			switch {
			case !IsRune(r):
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

// IsRune reports whether r belongs to a word. It is the part on which Unicode
// today and SQLite's tokeniser agree: the tokeniser follows an older Unicode,
// in which the New Tai Lue vowels were no letters yet (and much that is not
// assigned there, as newer emoji, counts as a letter). Both facts are held by a
// test over all of Unicode against the driver in use.
func IsRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z'
	}
	if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
		return false
	}
	return !(r >= 0x19B0 && r <= 0x19C9) && r != 0x1CF2 && r != 0x1CF3
}

// ideograph reports whether r, a rune of a word, stands as a word of its own.
func ideograph(r rune) bool {
	return r >= 0x3040 && (r <= 0x30FF || // hiragana and katakana
		r >= 0x3400 && r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF ||
		r >= 0x20000 && r <= 0x3FFFF)
}

// An Indexer turns text into what the full-text index is given. It keeps its
// buffers, so that the passages of a book share them; the zero Indexer is ready.
type Indexer struct {
	cut    []byte // words found so far, one space between them
	folded []byte // the character at hand
	inWord bool   // whether the next letter continues the last word
}

// Text returns the words of content, folded, with one space between them, as
// Split cuts them out of Fold(content), in one pass. The index's tokeniser finds
// exactly these words in it.
func (x *Indexer) Text(content string) string {
	if !composed(content) {
		content = norm.NFC.String(content)
	}
	x.cut, x.inWord = slices.Grow(x.cut[:0], 2*len(content)), false
	table := foldedLetters()
	for i := 0; i < len(content); {
		if c := content[i]; c < utf8.RuneSelf {
			if c = asciiWords[c]; c == 0 {
				x.inWord = false
			} else if x.inWord || len(x.cut) == 0 {
				x.cut, x.inWord = append(x.cut, c), true
			} else {
				x.cut, x.inWord = append(x.cut, ' ', c), true
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(content[i:])
		if int(r) < len(table) {
			x.folded = append(x.folded[:0], table[r]...)
		} else {
			x.folded = appendFoldedRune(x.folded[:0], r, content[i:i+n])
		}
		x.add(x.folded)
		i += n
	}
	return string(x.cut)
}

// add adds folded characters, of which there are several where one was opened.
func (x *Indexer) add(folded []byte) {
	for len(folded) > 0 {
		r, n := utf8.DecodeRune(folded)
		word, alone := IsRune(r), ideograph(r)
		if word {
			if (!x.inWord || alone) && len(x.cut) > 0 {
				x.cut = append(x.cut, ' ')
			}
			x.cut = append(x.cut, folded[:n]...)
		}
		x.inWord = word && !alone
		folded = folded[n:]
	}
}

// asciiWords are the folded letters and digits of ASCII, 0 for what stands between words.
var asciiWords = func() (table [utf8.RuneSelf]byte) {
	for c := range byte(utf8.RuneSelf) {
		if IsRune(rune(c)) {
			table[c] = byte(unicode.ToLower(rune(c)))
		}
	}
	return table
}()

// IndexText is Indexer.Text for a single string.
func IndexText(content string) string { return new(Indexer).Text(content) }
