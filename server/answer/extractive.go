package answer

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	bookextract "github.com/tomehub/tomehub/server/library/extract"
	"github.com/tomehub/tomehub/server/words"
)

// Bounds of the work on one extractive answer.
const (
	maxReadBytes  = 128 << 10 // of all passages together
	maxTerms      = 64        // words of the query
	maxCandidates = 64        // sentences that are compared with each other
	// maxSentence is the longest sentence quoted whole, bytes; a longer one is quoted in parts
	// of about partBytes, which are marked as parts.
	maxSentence = 600
	partBytes   = 400
)

// The weights of a sentence, chosen by reading answers from the demo library and from Opticks.
const (
	tooAlike   = 0.6  // Jaccard index of the words from which two sentences say the same
	novelty    = 0.4  // what likeness to a sentence already chosen costs
	rankWeight = 0.3  // part of the score that fades with the passage's rank
	leadBonus  = 0.05 // for the sentence that begins a passage
	fewWords   = 5    // fewer are a heading or a fragment
	manyWords  = 45   // more hide the one thing that was asked for
)

// A sentence is a candidate for an extractive answer.
type sentence struct {
	text    string
	passage int // place in Request.Passages
	at      int // place among all sentences
	words   []uint64
	terms   uint64 // set of the query's terms that it holds
	score   float64
}

// extract chooses the sentences that answer r, in the order of the passages, writes them into
// result and returns them as pieces.
func extract(r Request, maxSentences, maxBytes int, result *Result) []Piece {
	terms := termsOf(r.Query)
	all := sentencesOf(r.Passages, terms)
	score(all, terms)
	chosen := choose(all, maxSentences, maxBytes)
	slices.SortFunc(chosen, func(a, b *sentence) int { return cmp.Compare(a.at, b.at) })

	var text strings.Builder
	pieces := make([]Piece, 0, len(chosen))
	for i, s := range chosen {
		from := text.Len()
		if i > 0 {
			text.WriteByte('\n')
		}
		id := r.Passages[s.passage].ID
		if n := len(result.PassageIDs); n == 0 || result.PassageIDs[n-1] != id {
			result.PassageIDs = append(result.PassageIDs, id)
		}
		text.WriteString(s.text)
		text.WriteString(" [")
		text.WriteString(strconv.Itoa(len(result.PassageIDs)))
		text.WriteByte(']')
		pieces = append(pieces, Piece{Text: text.String()[from:], PassageIDs: []int64{id}})
	}
	result.Text = text.String()
	return pieces
}

// termsOf are the distinct words of a query, by the bit that stands for them.
func termsOf(query string) map[uint64]int {
	terms := make(map[uint64]int)
	for w := range words.Split(words.Fold(query)) {
		h := hash(w)
		if _, known := terms[h]; !known {
			if len(terms) == maxTerms {
				break
			}
			terms[h] = len(terms)
		}
	}
	return terms
}

// noteMark is a printed book's reference to a note, which would read like a citation.
var noteMark = regexp.MustCompile(` ?\[[0-9]{1,4}\]`)

func withoutNotes(text string) string {
	if strings.IndexByte(text, '[') < 0 {
		return text
	}
	return noteMark.ReplaceAllString(text, "")
}

// sentencesOf cuts the passages into sentences and their folded words.
func sentencesOf(passages []Passage, terms map[uint64]int) []*sentence {
	var all []*sentence
	var index words.Indexer
	left := maxReadBytes
	for i, p := range passages {
		if left <= 0 {
			break
		}
		content := clip(p.Content, left)
		left -= len(content)
		for text := range bookextract.Sentences(withoutNotes(content)) {
			for part := range parts(text) {
				s := &sentence{text: part, passage: i, at: len(all)}
				folded := index.Text(part)
				s.words = make([]uint64, 0, strings.Count(folded, " ")+1)
				for w := range strings.SplitSeq(folded, " ") {
					h := hash(w)
					s.words = append(s.words, h)
					if bit, ok := terms[h]; ok {
						s.terms |= 1 << bit
					}
				}
				all = append(all, s)
			}
		}
	}
	return all
}

// parts yields a sentence in one line, or the parts of a long one.
func parts(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		text = strings.Join(strings.Fields(text), " ")
		if len(text) <= maxSentence {
			yield(text)
			return
		}
		before := ""
		for len(text) > maxSentence {
			part := clip(text, partBytes)
			if i := strings.LastIndexByte(part, ' '); i > partBytes/2 {
				part = part[:i]
			}
			if !yield(before + part + " …") {
				return
			}
			text, before = strings.TrimSpace(text[len(part):]), "… "
		}
		yield(before + text)
	}
}

// score weighs each sentence by the terms it holds. Every passage holds every term, having been
// found by them; how rare a term is shows among the sentences.
func score(all []*sentence, terms map[uint64]int) {
	df := make([]int, len(terms))
	for _, s := range all {
		for bit := range df {
			df[bit] += int(s.terms >> bit & 1)
		}
	}
	idf, total := make([]float64, len(df)), 0.0
	for bit, n := range df {
		if n > 0 {
			idf[bit] = math.Log(1 + float64(len(all))/float64(n))
			total += idf[bit]
		}
	}
	last := -1
	for _, s := range all {
		leads := s.passage != last
		last = s.passage
		if s.terms == 0 {
			continue
		}
		held := 0.0
		for bit := range idf {
			if s.terms>>bit&1 == 1 {
				held += idf[bit]
			}
		}
		s.score = held / total * (1 - rankWeight + rankWeight/float64(1+s.passage))
		if leads {
			s.score += leadBonus
		}
		switch n := len(s.words); {
		case n < fewWords:
			s.score *= float64(n) / (2 * fewWords)
		case n > manyWords:
			s.score *= manyWords / float64(n)
		}
	}
}

// choose takes the sentences that say most and repeat least. When none holds a word of the
// query, as when only a title does, it takes the first of all.
func choose(all []*sentence, maxSentences, maxBytes int) []*sentence {
	var candidates []*sentence
	for _, s := range all {
		if s.score > 0 {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) == 0 && len(all) > 0 {
		candidates = all[:1]
	}
	slices.SortStableFunc(candidates, func(a, b *sentence) int { return cmp.Compare(b.score, a.score) })
	candidates = candidates[:min(len(candidates), maxCandidates)]
	for _, s := range candidates {
		slices.Sort(s.words)
		s.words = slices.Compact(s.words)
	}
	likeness := make([]float64, len(candidates)) // to what was chosen
	taken := make([]bool, len(candidates))
	var chosen []*sentence
	const mark = len("\n [50]")
	for left := maxBytes; len(chosen) < maxSentences; {
		best, most := -1, math.Inf(-1)
		for i, s := range candidates {
			if taken[i] || likeness[i] >= tooAlike || len(s.text)+mark > left {
				continue
			}
			if v := s.score - novelty*likeness[i]; v > most {
				best, most = i, v
			}
		}
		if best < 0 {
			break
		}
		s := candidates[best]
		taken[best], chosen, left = true, append(chosen, s), left-len(s.text)-mark
		for i, other := range candidates {
			if !taken[i] {
				likeness[i] = max(likeness[i], jaccard(s.words, other.words))
			}
		}
	}
	return chosen
}

// jaccard compares two sorted sets.
func jaccard(a, b []uint64) float64 {
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			both, i, j = both+1, i+1, j+1
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	return float64(both) / float64(max(1, len(a)+len(b)-both))
}

// hash is FNV-1a, so that the same passages give the same answer in every process.
func hash(word string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(word) {
		h = (h ^ uint64(word[i])) * 1099511628211
	}
	return h
}

// clip cuts text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
