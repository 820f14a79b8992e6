package store_test

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/words"
)

// bm25 is the ranking formula of FTS5 as its documentation gives it, in plain Go.
type bm25 struct {
	docs    map[int64][]string // words by passage
	average float64            // words per passage
}

// occurrences returns how often phrase stands in words.
func occurrences(words, phrase []string) (n float64) {
	for i := 0; i+len(phrase) <= len(words); i++ {
		if slices.Equal(words[i:i+len(phrase)], phrase) {
			n++
		}
	}
	return n
}

// idf returns the weight of a phrase by the share of passages that have it; one
// that most of them have weighs next to nothing instead of less than nothing.
func (r bm25) idf(phrase []string) float64 {
	n := 0.0
	for _, words := range r.docs {
		if occurrences(words, phrase) > 0 {
			n++
		}
	}
	if idf := math.Log((float64(len(r.docs)) - n + 0.5) / (n + 0.5)); idf > 0 {
		return idf
	}
	return 1e-6
}

// search returns the passages that have every term, best first.
func (r bm25) search(q store.Query) (ids []int64, scores map[int64]float64) {
	const k1, b = 1.2, 0.75
	scores = map[int64]float64{}
	idf := make([]float64, len(q.Terms))
	for i, t := range q.Terms {
		idf[i] = r.idf(t.Words)
	}
	for id, words := range r.docs {
		score := 0.0
		for i, t := range q.Terms {
			f := occurrences(words, t.Words)
			if f == 0 {
				score = math.NaN()
				break
			}
			score += idf[i] * f * (k1 + 1) / (f + k1*(1-b+b*float64(len(words))/r.average))
		}
		if !math.IsNaN(score) {
			ids, scores[id] = append(ids, id), score
		}
	}
	slices.SortFunc(ids, func(a, b int64) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
	})
	return ids, scores
}

// TestRelevance compares order and scores with the plain formula, also after books were deleted.
func TestRelevance(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "library.db"), store.Options{})
	text := newText(11)
	plain := bm25{docs: map[int64][]string{}}
	var stored []store.Ingested
	for i, owner := range []string{"", "ada", "", "béla", ""} { // all count in the statistics, whoever owns them
		book := text.book(owner, fmt.Sprint(i), 100)
		in, err := s.Ingest(t.Context(), book)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, in)
		for j, p := range book.Passages {
			plain.docs[in.PassageIDs[j]] = strings.Fields(words.IndexText(p.Content))
		}
	}
	compareRelevance(t, s, plain)
	if err := s.DeleteBook(t.Context(), "", stored[2].BookID); err != nil {
		t.Fatal(err)
	}
	for _, id := range stored[2].PassageIDs {
		delete(plain.docs, id)
	}
	compareRelevance(t, s, plain)
	if err := s.Optimize(t.Context()); err != nil {
		t.Fatal(err)
	}
	compareRelevance(t, s, plain)
}

func compareRelevance(t *testing.T, s *store.SQLite, plain bm25) {
	t.Helper()
	plain.average = 0
	for _, words := range plain.docs {
		plain.average += float64(len(words)) / float64(len(plain.docs))
	}
	queries := []string{"ka", "ka do", `"ka do"`, word(3) + " " + word(40), `"` + word(0) + " " + word(1) + `" ` + word(2)}
	for i := range uint64(40) {
		queries = append(queries, word(i*i*2), word(i)+" "+word(i*3))
	}
	found := 0
	for _, text := range queries {
		q, err := store.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		ranked, scores := plain.search(q)
		for _, scope := range []store.Scope{{}, {Owner: "ada"}} {
			got, err := s.SearchPage(t.Context(), scope, q, store.Page{Number: 1, Size: 1000}, false)
			if err != nil {
				t.Fatal(err)
			}
			ids := slices.DeleteFunc(slices.Clone(ranked), func(id int64) bool {
				return id>>32 != 0 && (scope.Owner == "" || id>>32 != 1)
			})
			found += len(ids)
			if got.Total != len(ids) || len(got.Matches) != len(ids) {
				t.Errorf("%s for %q: %d matches of %d, want %d", q, scope.Owner, len(got.Matches), got.Total, len(ids))
				continue
			}
			for i, m := range got.Matches {
				// The sums are made in another order, so the last digits differ, and
				// with them the order of scores that are equal but for those digits.
				if want := scores[m.ID]; math.Abs(m.Score-want) > 1e-9*want || math.Abs(scores[ids[i]]-want) > 1e-9*want {
					t.Errorf("%s for %q: match %d is passage %d with %v, want %d with %v", q, scope.Owner, i, m.ID, m.Score, ids[i], scores[ids[i]])
					break
				}
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d matches compared", found)
	}
}
