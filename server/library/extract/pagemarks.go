package extract

import (
	"strconv"
	"strings"
	"unicode"
)

// pageMarks knows where the pages of a plain text begin. Three ways of marking are known: form feeds, lines that have
// nothing but a running number, and marks such as [Pg 12] within the text.
type pageMarks struct {
	feeds  bool
	offset int // printed number minus count of form feeds
	marks  []pageMark
	footer bool // a number stands below its page
	next   int  // first mark not yet passed
}

type pageMark struct {
	at, end int // byte offsets of the mark's line
	number  int
}

// surveyPages looks through the whole text once, and returns it without the lines that are only there for the page: with
// form feeds, first and last lines whose number runs along with the count of the pages.
func surveyPages(src string) (string, *pageMarks) {
	if strings.Contains(src, "\f") {
		return surveyFeeds(src)
	}
	p := &pageMarks{}
	var found []pageMark
	for b := range blocks(src) {
		if b.lines == 1 && len(b.text) < 80 {
			if n, ok := pageNumber(b.text); ok {
				found = append(found, pageMark{b.at, b.at + len(b.text), n})
			}
		}
	}
	p.marks = runningNumbers(found)
	if len(p.marks) > 1 {
		// A first page as long as the others lies before its number; a number at the top has next to nothing before it.
		span := (p.marks[len(p.marks)-1].at - p.marks[0].at) / (len(p.marks) - 1)
		p.footer = p.marks[0].at > span/3
	}
	return src, p
}

// runningNumbers keeps the marks that count up by one from a neighbour, if they are most of the marks and at least four:
// a table's figures or the years of a chronicle do not.
func runningNumbers(found []pageMark) []pageMark {
	var run []pageMark
	for i, m := range found {
		if i > 0 && found[i-1].number+1 == m.number || i+1 < len(found) && found[i+1].number == m.number+1 {
			run = append(run, m)
		}
	}
	if len(run) < 4 || len(run)*10 < len(found)*7 {
		return nil
	}
	return run
}

// pageNumber reads a line that is nothing but a page's number: "12", "- 12 -", "[12]", "Page 12", "Sayfa 12".
func pageNumber(line string) (int, bool) {
	if _, _, _, ok := inlinePage(line); ok {
		return 0, false // such marks speak for themselves, wherever they stand
	}
	s := strings.TrimFunc(line, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("-–—[](){}|*.~", r) })
	if word, rest, ok := strings.Cut(s, " "); ok {
		switch strings.ToLower(word) {
		case "page", "p.", "pg", "pg.", "sayfa", "s.", "seite", "página", "pagina":
			s = strings.TrimSpace(rest)
		default:
			return 0, false
		}
	}
	return smallNumber(s)
}

// smallNumber reads one to five digits.
func smallNumber(s string) (int, bool) {
	if len(s) == 0 || len(s) > 5 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// surveyFeeds finds which line of each page, the first or the last, has a number that runs along with the pages.
func surveyFeeds(src string) (string, *pageMarks) {
	p := &pageMarks{feeds: true}
	type vote struct {
		last   bool
		offset int
	}
	votes := make(map[vote]int)
	pages := 0
	for i, page := range pagesOf(src) {
		if isBlank(page) {
			continue
		}
		pages++
		for _, last := range [...]bool{false, true} {
			line, _, _ := edgeLine(page, last)
			for _, n := range edgeNumbers(line) {
				if len(votes) < 10_000 {
					votes[vote{last, n - (i + 1)}]++
				}
			}
		}
	}
	var best vote
	for v, n := range votes {
		if n > votes[best] || n == votes[best] && (v.offset < best.offset || v.offset == best.offset && !v.last) {
			best = v
		}
	}
	if votes[best] < 3 || votes[best]*2 < pages {
		return src, p
	}
	p.offset = best.offset
	var b strings.Builder
	b.Grow(len(src))
	for i, page := range pagesOf(src) {
		if i > 0 {
			b.WriteByte('\f')
		}
		line, start, end := edgeLine(page, best.last)
		for _, n := range edgeNumbers(line) {
			if n == i+1+p.offset {
				page = page[:start] + page[end:]
				break
			}
		}
		b.WriteString(page)
	}
	return b.String(), p
}

func pagesOf(src string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		i := 0
		for page := range strings.SplitSeq(src, "\f") {
			if !yield(i, page) {
				return
			}
			i++
		}
	}
}

// edgeLine returns the first or last line of a page that is not blank, and where it stands.
func edgeLine(page string, last bool) (line string, start, end int) {
	if last {
		end = len(strings.TrimRight(page, " \t\n"))
		start = strings.LastIndexByte(page[:end], '\n') + 1
	} else {
		start = len(page) - len(strings.TrimLeft(page, " \t\n"))
		end = len(page)
		if n := strings.IndexByte(page[start:], '\n'); n >= 0 {
			end = start + n
		}
	}
	return page[start:end], start, end
}

// edgeNumbers returns the numbers with which a short line begins or ends, as a running head does.
func edgeNumbers(line string) []int {
	if len(line) > 120 {
		return nil
	}
	fields := strings.Fields(strings.Trim(line, "-–—[](){}|*.~ \t"))
	if len(fields) == 0 {
		return nil
	}
	var out []int
	for _, f := range [...]string{fields[0], fields[len(fields)-1]} {
		if n, ok := smallNumber(strings.Trim(f, "-–—[](){}|*.~")); ok {
			out = append(out, n)
		}
	}
	return out
}

// of returns the page on which a block begins, and whether the block is itself a page's number. Blocks are asked in order.
func (p *pageMarks) of(b block) (page int, isMark bool) {
	if p.feeds {
		return max(0, b.feeds+1+p.offset), false
	}
	if len(p.marks) == 0 {
		return 0, false
	}
	for p.next < len(p.marks) && p.marks[p.next].end <= b.at {
		p.next++
	}
	if p.next < len(p.marks) && p.marks[p.next].at == b.at {
		return p.marks[p.next].number, true
	}
	switch {
	case p.footer && p.next < len(p.marks):
		return p.marks[p.next].number, false
	case p.footer && p.next > 0:
		return p.marks[p.next-1].number + 1, false
	case p.next > 0:
		return p.marks[p.next-1].number, false
	}
	return 0, false
}

// pin lets a mark within the text decide from here on, whatever the lines around it say.
func (p *pageMarks) pin(page int) {
	*p = pageMarks{marks: []pageMark{{at: -1, end: -1, number: page}}, next: 1}
}

// inlinePage finds the first mark such as [Pg 12] in s and returns the text before and after it.
func inlinePage(s string) (before, after string, page int, ok bool) {
	for at := 0; at < len(s); {
		n := strings.IndexByte(s[at:], '[')
		if n < 0 {
			break
		}
		at += n
		end := strings.IndexByte(s[at:min(len(s), at+16)], ']')
		if end > 0 {
			word, number, _ := strings.Cut(s[at+1:at+end], " ")
			if w := strings.ToLower(word); w == "pg" || w == "page" || w == "pg." {
				if page, ok = smallNumber(number); ok {
					return s[:at], s[at+end+1:], page, true
				}
			}
		}
		at++
	}
	return s, "", 0, false
}
