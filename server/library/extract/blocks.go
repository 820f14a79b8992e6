package extract

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A block is a run of lines of plain text between blank lines or page breaks.
type block struct {
	text  string // with its line ends, without the last one
	at    int    // byte offset in the source
	lines int
	feeds int // form feeds before it, from the start of the source
}

// blocks cuts src, whose line ends are \n, into blocks in order.
func blocks(src string) iter.Seq[block] {
	return func(yield func(block) bool) {
		var cur block
		feeds := 0
		for at := 0; at < len(src); {
			end := len(src)
			if n := strings.IndexAny(src[at:], "\n\f"); n >= 0 {
				end = at + n
			}
			line := src[at:end]
			blank := isBlank(line)
			if !blank {
				if cur.lines == 0 {
					cur = block{at: at, feeds: feeds}
				}
				cur.lines++
				cur.text = src[cur.at:end]
			}
			feed := end < len(src) && src[end] == '\f'
			if (blank || feed) && cur.lines > 0 {
				if !yield(cur) {
					return
				}
				cur = block{}
			}
			if feed {
				feeds++
			}
			at = end + 1
		}
		if cur.lines > 0 {
			yield(cur)
		}
	}
}

func isBlank(line string) bool {
	for i := range len(line) {
		if c := line[i]; c > ' ' {
			return c >= utf8.RuneSelf && strings.TrimFunc(line, unicode.IsSpace) == ""
		}
	}
	return true
}

// paragraphs cuts a block where its lines say that a paragraph begins: lines too long to be printed lines are each a
// paragraph, a bullet or dash begins one, and so does an indented line in a block of lines at the margin.
func (b block) paragraphs(yield func(raw string) bool) {
	if b.lines == 1 {
		yield(b.text)
		return
	}
	long := len(b.text)/b.lines > 150
	indented := b.hasIndents()
	start, at := 0, 0
	prevIndent := 0
	for line := range strings.Lines(b.text) {
		indent, begins := lineStart(line)
		if at > 0 && (long || begins || indented && indent >= 2 && prevIndent < 2) {
			if !yield(b.text[start:at]) {
				return
			}
			start = at
		}
		prevIndent = indent
		at += len(line)
	}
	yield(b.text[start:])
}

// hasIndents reports whether a block of at least six lines sets off its paragraphs by indenting their first lines.
func (b block) hasIndents() bool {
	if b.lines < 6 {
		return false
	}
	n := 0
	for line := range strings.Lines(b.text) {
		if indent, _ := lineStart(line); indent >= 2 && indent <= 10 {
			n++
		}
	}
	return n > 0 && n*2 < b.lines
}

// lineStart returns how far a line is indented and whether it begins with a bullet or a dash of dialogue.
func lineStart(line string) (indent int, begins bool) {
	for indent < len(line) && (line[indent] == ' ' || line[indent] == '\t') {
		indent++
	}
	rest := line[indent:]
	for _, bullet := range [...]string{"- ", "* ", "+ ", "• ", "– ", "— ", "▪ ", "◦ "} {
		if strings.HasPrefix(rest, bullet) && hasWord(rest) {
			return indent, true
		}
	}
	return indent, false
}

// isRule reports whether a line is drawn, not written: asterisks between parts, the border of a table.
func isRule(line string) bool {
	return strings.Trim(line, " \t\r\n-=_*|+.~#<>/\\:") == ""
}

// A joiner makes one line of the lines of a paragraph. A hyphen at a line's end is dropped when the two halves, joined,
// are a word that the book has elsewhere; otherwise it stays, since "Royal-" before "Society" was never one word.
type joiner struct {
	known map[string]bool // halves joined, in lower case: true when the book has the word
}

const maxHyphens = 100_000 // most words cut at a line's end that a joiner keeps in mind

func newJoiner(src string) *joiner {
	j := &joiner{known: make(map[string]bool)}
	for at := 0; ; {
		n := strings.Index(src[at:], "-\n")
		if n < 0 || len(j.known) >= maxHyphens {
			break
		}
		at += n
		if left, right := halves(src[:at], src[at+2:]); left != "" && right != "" {
			j.known[strings.ToLower(left+right)] = false
		}
		at += 2
	}
	if len(j.known) > 0 {
		for w := range strings.FieldsFuncSeq(src, func(r rune) bool { return !unicode.IsLetter(r) }) {
			if len(w) > 64 {
				continue
			}
			if w = strings.ToLower(w); len(w) > 3 {
				if seen, cut := j.known[w]; cut && !seen {
					j.known[w] = true
				}
			}
		}
	}
	return j
}

// halves returns the letters at the end of before and at the start of after, or "" when a lower-case word does not go on.
func halves(before, after string) (left, right string) {
	start := len(before)
	for start > 0 && len(before)-start < 40 {
		r, n := utf8.DecodeLastRuneInString(before[:start])
		if !unicode.IsLetter(r) {
			break
		}
		start -= n
	}
	after = strings.TrimLeft(after[:min(len(after), 80)], " \t")
	end := 0
	for end < len(after) {
		r, n := utf8.DecodeRuneInString(after[end:])
		if !unicode.IsLetter(r) || end == 0 && !unicode.IsLower(r) {
			break
		}
		end += n
	}
	return before[start:], after[:end]
}

// join returns raw as one line, without the lines that are rules.
func (j *joiner) join(raw string) string {
	if !strings.Contains(raw, "\n") {
		if isRule(raw) {
			return ""
		}
		return squeeze(raw)
	}
	buf := make([]byte, 0, len(raw))
	for line := range strings.Lines(raw) {
		line = strings.TrimRight(line, " \t\n")
		if isRule(line) {
			continue
		}
		line = strings.TrimLeft(line, " \t")
		var goesOn bool
		if buf, goesOn = j.mend(buf, line); !goesOn && len(buf) > 0 {
			buf = append(buf, ' ')
		}
		buf = append(buf, line...)
	}
	return squeeze(string(buf))
}

// mend reports whether line goes on with the word that buf ends in, and drops the hyphen if it is only there for the
// line's end.
func (j *joiner) mend(buf []byte, line string) ([]byte, bool) {
	n := len(buf)
	if n < 2 || buf[n-1] != '-' || buf[n-2] == '-' || line == "" {
		return buf, false
	}
	left, right := halves(string(buf[max(0, n-160):n-1]), line)
	if left == "" {
		return buf, false
	}
	if right == "" {
		r, _ := utf8.DecodeRuneInString(line)
		return buf, unicode.IsLetter(r)
	}
	if j.known[strings.ToLower(left+right)] {
		buf = buf[:n-1]
	}
	return buf, true
}
