package extract

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Abbreviations after which a full stop ends no sentence, folded. endings may end one, if a capital follows; numbered ones
// are abbreviations only before a number, being words of their own otherwise ("no", "art").
var (
	abbreviations = foldedWords("mr mrs ms messrs mme mlle dr prof doc docent st sr rev hon gen col capt lt sgt maj sen rep gov pres sir " +
		"fig figs prop props theor theors prob probs defin def ax axs obs exper expers qu quest sect lect optic opt cor schol coroll " +
		"chap ch cap vol vols ed eds cf viz vid vide approx ca circa vs et seq sc scil lib tom fol ms mss no nos jan feb aug sept oct nov dec " +
		"doç yrd öğr gör av sn bkz krş örn yy yay haz çev cilt mad böl şek hz alb org müh uzm md bn blk mah cad sok apt tel")
	endings  = foldedWords("etc vb vd vs ltd inc co corp jr al ibid op cit esq bros ff ltd şti aş")
	numbered = foldedWords("no nos p pp art nr s c ss v vv q l ll n nn deg gr min sec dk sn §")
	starters = foldedWords("the a an and but for if in it its this that these those then there thus so now when where while we he she they you i as at by on " +
		"to from with after before let hence therefore what who how why not no or yet his her their our my all some such whence wherefore nor upon " +
		"bu şu o ve ama fakat ancak bir çünkü böylece sonra ben sen biz siz onlar her hiç ne nasıl neden eğer için ise burada orada artık daha oysa")
)

// Sentences yields the sentences of a passage in their order, trimmed, none of them empty. It costs one pass over the
// passage, and another to tell Turkish when there is a letter beyond ASCII.
func Sentences(passage string) iter.Seq[string] {
	return func(yield func(string) bool) {
		var guess languageGuess
		if strings.IndexFunc(passage, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			guess.add(passage)
		}
		turkish, more := guess.language() == "tr", true
		for para := range strings.SplitSeq(passage, paragraphSep) {
			sentences(para, turkish, func(start, end int) {
				if s := strings.TrimSpace(para[start:end]); more && s != "" {
					more = yield(s)
				}
			})
			if !more {
				return
			}
		}
	}
}

// sentences calls emit with the byte range of every sentence of p, white space after it included, so that the ranges
// together are p. A full stop after an abbreviation, an initial, an ordinal or within a number ends nothing; quotation
// marks, brackets and note marks such as [12] after the stop belong to the sentence. turkish says that "19. Yüzyıl" is one
// thing. It costs one pass over p.
func sentences(p string, turkish bool, emit func(start, end int)) {
	start := 0
	for i := 0; i < len(p); {
		c := p[i]
		if c != '.' && c != '!' && c != '?' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(p[i:])
		if !isStop(r) {
			i += n
			continue
		}
		run := i
		for i < len(p) {
			r, n := utf8.DecodeRuneInString(p[i:])
			if !isStop(r) {
				break
			}
			i += n
		}
		stops := p[run:i]
		after := skipClosers(p, i)
		next := skipSpace(p, after)
		if next == len(p) {
			break
		}
		last, _ := utf8.DecodeLastRuneInString(stops)
		wide := last == '。' || last == '！' || last == '？'
		if wide || next > after && endsSentence(p, start, run, stops, next, turkish) {
			emit(start, next)
			start, after = next, next
		}
		i = max(i, after)
	}
	if start < len(p) {
		emit(start, len(p))
	}
}

func isStop(r rune) bool {
	switch r {
	case '.', '!', '?', '…', '。', '！', '？', '।', '؟', '‽':
		return true
	}
	return false
}

// skipClosers passes the marks that close what a sentence opened, and notes such as [A] or [12].
func skipClosers(p string, i int) int {
	for i < len(p) {
		if p[i] == '[' {
			end := strings.IndexByte(p[i:min(len(p), i+6)], ']')
			if end < 2 || !isNoteMark(p[i+1:i+end]) {
				return i
			}
			i += end + 1
			continue
		}
		r, n := utf8.DecodeRuneInString(p[i:])
		if !strings.ContainsRune("\"'”’»›)]}*_」』）", r) {
			return i
		}
		i += n
	}
	return i
}

func isNoteMark(s string) bool {
	_, number := smallNumber(s)
	return number || s == "*" || s == "†" || len(s) <= 2 && isLetters(s)
}

func isLetters(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) < 0
}

func skipSpace(p string, i int) int {
	for i < len(p) {
		r, n := utf8.DecodeRuneInString(p[i:])
		if !unicode.IsSpace(r) {
			return i
		}
		i += n
	}
	return i
}

// endsSentence judges the stops that begin at run, with white space after them and the next text at next.
func endsSentence(p string, start, run int, stops string, next int, turkish bool) bool {
	open := next
	for open < len(p) {
		r, n := utf8.DecodeRuneInString(p[open:])
		if !strings.ContainsRune("\"'“‘«‹([{_*—–-¿¡ ", r) {
			break
		}
		open += n
	}
	r, _ := utf8.DecodeRuneInString(p[open:])
	switch {
	case unicode.IsLower(r):
		return false
	case !unicode.IsLetter(r) && !unicode.IsDigit(r):
		return false
	case stops != ".":
		return true
	}
	before := strings.TrimLeft(p[lastSpace(p, start, run):run], "\"'“‘«([{_*—–-")
	before = strings.TrimRight(before, "_*")
	return !keepsOn(before, leadingWord(p[open:]), start == run-len(before), turkish)
}

// keepsOn reports whether the full stop after word does not end a sentence, when what follows begins with following, a
// capital or digit. first says that word begins the sentence.
func keepsOn(word, following string, first, turkish bool) bool {
	if word == "" {
		return false
	}
	low := fold(word)
	starter := starters[fold(following)]
	digit := following != "" && following[0] >= '0' && following[0] <= '9'
	letters := utf8.RuneCountInString(word)
	switch {
	case numbered[low] && (digit || roman(following) > 0):
		return true
	case endings[low]:
		return false
	case abbreviations[low]:
		return low != "no" && low != "nos" && low != "ed" && low != "sir" && low != "cap" && low != "fol" || digit
	case strings.Contains(word, ".") && isInitials(word): // e.g, i.e, U.S, M.Ö
		return !starter
	case letters == 1 && isLetters(word):
		return !starter || first
	case strings.Trim(word, "0123456789") == "":
		return first || turkish && len(word) <= 2 && !starter && !digit
	case roman(word) > 0:
		return first || turkish && !starter
	}
	return false
}

// isInitials reports whether word is single letters, or pairs, parted by stops.
func isInitials(word string) bool {
	for part := range strings.SplitSeq(word, ".") {
		if utf8.RuneCountInString(part) > 2 || part != "" && !isLetters(part) {
			return false
		}
	}
	return true
}

// lastSpace returns where the word that ends at end begins; words longer than 64 bytes are of no interest.
func lastSpace(p string, start, end int) int {
	low := max(start, end-64)
	for i := end; i > low; {
		r, n := utf8.DecodeLastRuneInString(p[low:i])
		if unicode.IsSpace(r) {
			return i
		}
		i -= n
	}
	return low
}

func leadingWord(s string) string {
	s = s[:min(len(s), 64)]
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }); i >= 0 {
		return s[:i]
	}
	return s
}

// terminated reports whether a paragraph ends where a sentence or a clause does, and so is not broken off by a page, a
// picture or a table.
func terminated(p string) bool {
	for p != "" {
		r, n := utf8.DecodeLastRuneInString(p)
		if isStop(r) || r == ':' || r == ';' {
			return true
		}
		if r == ']' {
			if i := strings.LastIndexByte(p[max(0, len(p)-6):], '['); i >= 0 {
				if at := max(0, len(p)-6) + i; isNoteMark(p[at+1 : len(p)-1]) {
					p = p[:at]
					continue
				}
			}
		}
		if !strings.ContainsRune("\"'”’»›)]}*_」』） ", r) {
			return false
		}
		p = p[:len(p)-n]
	}
	return false
}
