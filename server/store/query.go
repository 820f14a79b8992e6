package store

import (
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tomehub/tomehub/server/words"
)

// MaxQueryWords is how many words of a query are searched for. A passage has
// about 120 words; what a longer query adds is cost, a list lookup per word.
const MaxQueryWords = 64

// Query is what to search for: passages that contain every one of its terms.
// ParseQuery makes it; its terms are sorted and no term is there twice, so that
// two texts that mean the same are one query.
type Query struct {
	Terms     []Term
	Truncated bool // the text had more than MaxQueryWords words; the rest was left out
}

// Term is one word, or the words of a phrase in their order; folded.
type Term struct {
	Words []string
}

// ParseQuery reads what a user typed. Words stand by themselves, runs between
// double quotes (straight, curly or «») are phrases; a quote that is never
// closed is ignored. A word that the index holds in pieces, as don't or 電車, is
// a phrase of its pieces. There are no operators: AND, NOT, * and the like are
// words or nothing, so no text is a syntax error. It returns ErrNoTerms when the
// text has no letter and no digit.
func ParseQuery(text string) (Query, error) {
	q := Query{}
	left := MaxQueryWords
	add := func(run string) {
		var t Term
		for w := range words.Split(run) {
			if left == 0 {
				q.Truncated = true
				break
			}
			left--
			t.Words = append(t.Words, strings.Clone(w)) // not the whole text with it
		}
		if len(t.Words) > 0 {
			q.Terms = append(q.Terms, t)
		}
	}
	rest := words.Fold(straightened(text))
	for rest != "" && !q.Truncated {
		plain, phrase, after := cutPhrase(rest)
		for run := range strings.FieldsSeq(plain) {
			if q.Truncated {
				break
			}
			add(run)
		}
		if !q.Truncated {
			add(phrase)
		}
		rest = after
	}
	if len(q.Terms) == 0 {
		return Query{}, ErrNoTerms
	}
	slices.SortFunc(q.Terms, func(a, b Term) int { return slices.Compare(a.Words, b.Words) })
	q.Terms = slices.CompactFunc(q.Terms, func(a, b Term) bool { return slices.Equal(a.Words, b.Words) })
	return q, nil
}

// straightened returns text with every double quote a straight one.
func straightened(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return straightQuotes.Replace(text)
		}
	}
	return text
}

var straightQuotes = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‟", `"`, "«", `"`, "»", `"`, "＂", `"`)

// cutPhrase returns what stands before the first quoted run, that run, and what
// follows. Without a whole run, plain is everything.
func cutPhrase(s string) (plain, phrase, after string) {
	plain, rest, ok := strings.Cut(s, `"`)
	if !ok {
		return s, "", ""
	}
	phrase, after, ok = strings.Cut(rest, `"`)
	if !ok {
		return s, "", ""
	}
	return plain, phrase, after
}

// String returns the query in a form that is the same for all texts that mean
// the same, phrases in quotes. ParseQuery reads it back to an equal Query.
func (q Query) String() string {
	if len(q.Terms) == 1 && len(q.Terms[0].Words) == 1 {
		return q.Terms[0].Words[0]
	}
	var b strings.Builder
	for i, t := range q.Terms {
		if i > 0 {
			b.WriteByte(' ')
		}
		phrase := len(t.Words) > 1
		if phrase {
			b.WriteByte('"')
		}
		for j, w := range t.Words {
			if j > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(w)
		}
		if phrase {
			b.WriteByte('"')
		}
	}
	return b.String()
}

// pieces gives the words of all terms, each with whether it is its term's first. Words cut out by
// ParseQuery hold letters and digits only; those of a Query made by hand are cut again here.
func (q Query) pieces() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		for _, t := range q.Terms {
			first := true
			for _, part := range t.Words {
				for w := range words.Split(words.Fold(part)) {
					if !yield(w, first) {
						return
					}
					first = false
				}
			}
		}
	}
}

// fts5 returns the query in the language of SQLite's full-text index: every term
// a quoted string, which has no operators, all of them required.
func (q Query) fts5() (string, error) {
	var b strings.Builder
	for w, first := range q.pieces() {
		switch {
		case !first:
			b.WriteByte(' ')
		case b.Len() > 0:
			b.WriteString(`" "`)
		default:
			b.WriteByte('"')
		}
		b.WriteString(w)
	}
	if b.Len() == 0 {
		return "", ErrNoTerms
	}
	b.WriteByte('"')
	return b.String(), nil
}
