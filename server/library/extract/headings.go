package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Ranks of the headings of plain text: the lower, the further out. Unnamed headings in capitals rank with chapters.
const (
	rankBook = 1 + iota
	rankPart
	rankChapter
	rankScene
	rankArticle // numbered pieces of a chapter: propositions, definitions, queries
)

// headingWords are the words that head a numbered part, folded; and soloWords those that head one without a number.
var (
	headingWords = rankTable(map[int]string{
		rankBook:    "book volume vol tome kitap cilt buch band livre libro liber книга",
		rankPart:    "part act kisim teil partie parte pars perde часть",
		rankChapter: "chapter chap bolum kapitel chapitre capitulo capitolo caput letter canto lecture essay sermon stave advertisement appendix mektup ek глава",
		rankScene:   "section sect scene sahne ayrim abschnitt szene",
		rankArticle: "prop proposition theorem theor problem prob lemma corollary cor defin def definition ax axiom query scholium",
	})
	soloWords = words("preface foreword introduction prologue epilogue contents appendix index glossary bibliography footnotes notes conclusion afterword dedication acknowledgments acknowledgements advertisement errata postscript " +
		"onsoz giris sonsoz sonuc icindekiler kaynakca sunus dipnotlar notlar ithaf ek " +
		"vorwort einleitung nachwort inhalt preambule avant-propos prologo epilogo prefacio indice")
	numberWords = words("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty " +
		"first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth last " +
		"bir iki uc dort bes alti yedi sekiz dokuz on birinci ikinci ucuncu dorduncu besinci altinci yedinci sekizinci dokuzuncu onuncu son " +
		"erstes zweites drittes premier premiere deuxieme troisieme primera primero segunda segundo tercera tercero primo secondo terzo prima seconda terza")
	connectives = words("the of and a an or to in for by on from with ve ile veya") // what a heading's line may end in when it goes on
	goesOn      = words("of and or to in for by on from with ve ile veya")          // what the next line begins with
)

func rankTable(lists map[int]string) map[string]int {
	table := make(map[string]int)
	for rank, list := range lists {
		for w := range words(list) {
			table[w] = rank
		}
	}
	return table
}

// A headline is what a block of one to three lines turned out to head.
type headline struct {
	rank    int
	bare    bool // a word and its number, no title yet
	capital bool // known only by its capitals
}

// keywordHeadline recognises "CHAPTER I", "Book Two: The Sea", "PROP. I. THEOR. I.", "THE FIRST BOOK OF OPTICKS",
// "Bölüm 3", "3. Bölüm", "PREFACE". A sentence that begins so ("Part of it was", "Chapter 3 says that it bends.") is not one.
func keywordHeadline(s string) (headline, bool) {
	if len(s) > 160 || s == "" {
		return headline{}, false
	}
	fields := strings.Fields(s)
	if len(fields) > 16 || !startsUpper(fields[0]) && !isNumeral(bareWord(fields[0])) {
		return headline{}, false
	}
	first := fold(bareWord(fields[0]))
	if rank, ok := headingWords[first]; ok && len(fields) > 1 && isNumeral(bareWord(fields[1])) {
		return numberedHeadline(rank, fields[2:], endsStop(fields[1]), s)
	}
	// "THE FIRST BOOK", "Birinci Bölüm", "3. Bölüm"
	rest := fields
	if first == "the" {
		rest = fields[1:]
	}
	if len(rest) > 1 && isNumeral(bareWord(rest[0])) && startsUpper(rest[1]) {
		if rank, ok := headingWords[fold(bareWord(rest[1]))]; ok && rank <= rankScene && (len(rest) == 2 || endsStop(rest[1]) || fold(rest[2]) == "of") {
			return numberedHeadline(rank, rest[2:], true, s)
		}
	}
	if len(fields) == 1 && headingWords[first] == rankArticle && isCapitals(s) {
		return headline{rank: rankArticle}, true
	}
	if soloWords[first] && len(fields) <= 8 && (len(fields) == 1 || isCapitals(s) || first != "notes" && first != "index" && fold(fields[1]) == "to" && !strings.HasSuffix(s, ".")) {
		return headline{rank: rankChapter}, true
	}
	return headline{}, false
}

// numberedHeadline judges what follows a part's word and number: nothing, or a title.
func numberedHeadline(rank int, rest []string, stopped bool, whole string) (headline, bool) {
	if len(rest) == 0 {
		return headline{rank: rank, bare: true}, true
	}
	if isCapitals(whole) {
		return headline{rank: rank}, true
	}
	if first := strings.TrimLeft(rest[0], "-–—:.\"'“‘«_("); first != "" && !stopped && !startsUpper(first) {
		return headline{}, false
	}
	if strings.HasSuffix(whole, ".") && len(rest) > 8 || strings.ContainsAny(whole[len(whole)-1:], ",;") {
		return headline{}, false
	}
	return headline{rank: rank}, true
}

// bareWord strips the marks around a word: "_PROP._" and "IV." and "(3)" become PROP, IV, 3.
func bareWord(s string) string {
	return strings.Trim(s, "_*=.,:;()[]\"'“”‘’«»-–—")
}

func endsStop(s string) bool {
	s = strings.TrimRight(s, "_*\"'”’")
	return s != "" && strings.ContainsRune(".:)—-–", lastRune(s))
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

func startsUpper(s string) bool {
	s = strings.TrimLeft(s, "_*=\"'“‘«([")
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsTitle(r)
}

// isNumeral reports whether s counts something: 12, 1.2, IV, Two, birinci.
func isNumeral(s string) bool {
	if s == "" || len(s) > 24 {
		return false
	}
	if s[0] >= '0' && s[0] <= '9' {
		return len(s) <= 8 && strings.Trim(s, "0123456789.") == ""
	}
	return roman(s) > 0 || numberWords[fold(s)]
}

var romanDigits = map[byte]int{'I': 1, 'V': 5, 'X': 10, 'L': 50, 'C': 100, 'D': 500, 'M': 1000}

// roman returns the value of a Roman numeral in capitals, or 0. Only the regular way of writing is accepted, so that MIX
// and CIVIL stay words.
func roman(s string) int {
	n := 0
	for i := range len(s) {
		d := romanDigits[s[i]]
		if d == 0 {
			return 0
		}
		if i+1 < len(s) && romanDigits[s[i+1]] > d {
			n -= d
		} else {
			n += d
		}
	}
	if n <= 0 || n > 3999 || writeRoman(n) != s {
		return 0
	}
	return n
}

func writeRoman(n int) string {
	values := [...]int{1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1}
	signs := [...]string{"M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"}
	var b strings.Builder
	for i, v := range values {
		for n >= v {
			b.WriteString(signs[i])
			n -= v
		}
	}
	return b.String()
}

// isCapitals reports whether s has two letters or more and none of them is lower case.
func isCapitals(s string) bool {
	letters := 0
	for _, r := range s {
		if unicode.IsLower(r) {
			return false
		}
		if unicode.IsUpper(r) {
			letters++
		}
	}
	return letters >= 2
}

// capitalLine reports whether a line alone between blank lines is in capitals as a heading is: mostly letters, short, and
// not broken off at a comma.
func capitalLine(s string) bool {
	if len(s) > 100 || !isCapitals(s) || strings.ContainsAny(s, "|=") {
		return false
	}
	letters, all := 0, 0
	for _, r := range s {
		if r != ' ' {
			all++
		}
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return letters*10 >= all*6 && len(strings.Fields(s)) <= 12 && !strings.ContainsAny(s[len(s)-1:], ",;")
}

// joins reports whether two lines in capitals are one heading set on two lines: "THE", "SECOND BOOK", "OF", "OPTICKS".
func joins(before, after string) bool {
	b, a := strings.Fields(before), strings.Fields(after)
	if len(b) == 0 || len(a) == 0 || len(before)+len(after) > 120 {
		return false
	}
	end := b[len(b)-1]
	return connectives[fold(end)] || goesOn[fold(bareWord(a[0]))] && !strings.HasSuffix(end, ".")
}

// titleLine reports whether a line under a bare "CHAPTER I" is the chapter's title and not its first sentence.
func titleLine(s string) bool {
	if len(s) > 80 || !startsUpper(s) || strings.ContainsAny(s[len(s)-1:], ".,;:\"'") {
		return false
	}
	fields := strings.Fields(s)
	upper := 0
	for _, f := range fields {
		if startsUpper(f) || connectives[fold(f)] {
			upper++
		}
	}
	return len(fields) <= 10 && upper*10 >= len(fields)*6
}
