package tomedata

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"
)

// textIndex is a CTXSYS.CONTEXT index: which words stand where in which row, by the row's id.
type textIndex struct {
	name, column string
	at           int // the column
	docs         int
	words        map[string][]posting // sorted by id
}

// posting is one word in one row.
type posting struct {
	id int64
	at []int32 // places, counted in words
}

// term is one operand of a query: a word, or several that follow each other.
type term []string

// lex cuts text into its words, in upper case, as a BASIC_LEXER does.
func lex(text string) []string {
	return strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// parseText reads a query in the form that the product writes: words in braces, those of a phrase one
// after the other, AND between terms. Anything else is an error here although Oracle knows more: a word
// that reaches Oracle without its braces may be one of its operators.
func parseText(query string) ([]term, error) {
	var terms []term
	var now term
	rest := query
	fail := func() error {
		return ora(29902, "error in executing ODCIIndexStart() routine\nORA-20000: Oracle Text error:\nDRG-50901: text query parser syntax error on line 1, column %d",
			len(query)-len(rest)+1)
	}
	for {
		rest = strings.TrimLeft(rest, " \n")
		if inner, ok := strings.CutPrefix(rest, "{"); ok {
			words, after, ok := strings.Cut(inner, "}")
			if !ok || strings.HasPrefix(after, "}") || len(lex(words)) == 0 { // }} stands for a brace, which no word has
				return nil, fail()
			}
			now, rest = append(now, lex(words)...), after
			continue
		}
		if len(now) == 0 {
			return nil, fail()
		}
		terms, now = append(terms, now), nil
		switch {
		case rest == "":
			return terms, nil
		case rest[0] == '&':
			rest = rest[1:]
		case len(rest) > 3 && strings.EqualFold(rest[:3], "AND") && strings.ContainsRune(" {\n", rune(rest[3])):
			rest = rest[3:]
		default:
			return nil, fail()
		}
	}
}

// add indexes rows that were committed together. Lists stay sorted whatever the order of the ids.
func (x *textIndex) add(texts map[int64]string) {
	fresh := map[string][]posting{}
	for _, id := range sortedKeys(texts) {
		x.docs++
		places := map[string][]int32{}
		for i, w := range lex(texts[id]) {
			places[w] = append(places[w], int32(i))
		}
		for w, at := range places {
			fresh[w] = append(fresh[w], posting{id, at})
		}
	}
	for w, list := range fresh {
		x.words[w] = merged(x.words[w], list)
	}
}

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// merged returns both sorted lists as one.
func merged(old, fresh []posting) []posting {
	if len(old) == 0 || old[len(old)-1].id < fresh[0].id {
		return append(old, fresh...)
	}
	i, _ := position(old, fresh[0].id)
	if i == len(old) || old[i].id > fresh[len(fresh)-1].id {
		return slices.Insert(old, i, fresh...)
	}
	all := append(slices.Clone(old), fresh...)
	slices.SortFunc(all, func(a, b posting) int { return cmp.Compare(a.id, b.id) })
	return all
}

func position(list []posting, id int64) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(p posting, id int64) int { return cmp.Compare(p.id, id) })
}

// remove takes rows out.
func (x *textIndex) remove(texts map[int64]string) {
	gone := map[string]map[int64]bool{}
	for id, text := range texts {
		x.docs--
		for _, w := range lex(text) {
			if gone[w] == nil {
				gone[w] = map[int64]bool{}
			}
			gone[w][id] = true
		}
	}
	for w, ids := range gone {
		left := slices.DeleteFunc(x.words[w], func(p posting) bool { return ids[p.id] })
		if len(left) == 0 {
			delete(x.words, w)
			continue
		}
		x.words[w] = left
	}
}

// scored is a row that a query found.
type scored struct {
	id    int64
	score int64
}

// span is the ids of an owner beside those of the shared library, which are below sharedEnd.
type span struct{ lo, hi int64 }

const sharedEnd = 1 << 32

func (s span) has(id int64) bool { return id < sharedEnd || id >= s.lo && id <= s.hi }

// search returns what the query finds in the span, in the order of ids. A row's score is that of its
// lowest term, as Oracle's AND has it.
func (x *textIndex) search(terms []term, in span) []scored {
	var found []scored
	for i, t := range terms {
		one := x.scores(t, in)
		if i == 0 {
			found = one
		} else {
			found = both(found, one)
		}
		if len(found) == 0 {
			return nil
		}
	}
	return found
}

// both returns what is in both lists, with the lower score.
func both(a, b []scored) []scored {
	all := a[:0]
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].id < b[0].id:
			a = a[1:]
		case a[0].id > b[0].id:
			b = b[1:]
		default:
			all = append(all, scored{a[0].id, min(a[0].score, b[0].score)})
			a, b = a[1:], b[1:]
		}
	}
	return all
}

// scores returns the rows of the span that have the term. How many rows of all owners have it weighs in.
func (x *textIndex) scores(t term, in span) []scored {
	list := x.words[t[0]]
	if len(t) > 1 {
		list = x.phrases(t)
	}
	if len(list) == 0 {
		return nil
	}
	rarity := 1 + math.Log10(float64(x.docs)/float64(len(list)))
	found := make([]scored, 0, len(list))
	take := func(part []posting) {
		for _, p := range part {
			found = append(found, scored{p.id, salton(len(p.at), rarity)})
		}
	}
	end, _ := position(list, sharedEnd)
	take(list[:end])
	from, _ := position(list, max(in.lo, sharedEnd))
	to, _ := position(list, in.hi+1)
	if from < to {
		take(list[from:to])
	}
	return found
}

// salton is Oracle Text's score: 3f(1 + log(N/n)), whole, 1 to 100.
func salton(f int, rarity float64) int64 {
	return int64(min(100, max(1, math.Floor(3*float64(f)*rarity))))
}

// phrases returns where the words of t follow each other: in all lists at once, each read once.
func (x *textIndex) phrases(t term) (found []posting) {
	rest := make([][]posting, len(t)-1)
	for i, w := range t[1:] {
		rest[i] = x.words[w]
	}
	places := make([][]int32, len(rest))
rows:
	for _, p := range x.words[t[0]] {
		for i := range rest {
			for len(rest[i]) > 0 && rest[i][0].id < p.id {
				rest[i] = rest[i][1:]
			}
			if len(rest[i]) == 0 {
				return found
			}
			if rest[i][0].id > p.id {
				continue rows
			}
			places[i] = rest[i][0].at
		}
		if at := together(p.at, places); len(at) > 0 {
			found = append(found, posting{p.id, at})
		}
	}
	return found
}

// together returns the places of first that the places of the other words follow, each by one.
func together(first []int32, others [][]int32) (at []int32) {
	for _, start := range first {
		whole := true
		for i, places := range others {
			if whole = slices.Contains(places, start+int32(i)+1); !whole { // a word is a few times in a passage
				break
			}
		}
		if whole {
			at = append(at, start)
		}
	}
	return at
}

// byScore orders matches best first, equal scores by their ids, in one pass: scores are 1 to 100 and
// found comes in the order of ids.
func byScore(found []scored) []scored {
	var starts [102]int
	for _, m := range found {
		starts[100-m.score+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	sorted := make([]scored, len(found))
	for _, m := range found {
		place := &starts[100-m.score]
		sorted[*place] = m
		*place++
	}
	return sorted
}
