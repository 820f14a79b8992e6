package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

// testPaging holds that pages, put together, are the whole, each match once.
func testPaging(t *testing.T, s Store) {
	ctx := t.Context()
	var contents []string
	for i := range 95 { // many equal scores, so that the order hangs on the ids
		contents = append(contents, strings.Repeat("word ", 1+i%3)+"and more")
	}
	contents = append(contents, "nothing of it")
	ingest(t, s, book("", contents...))
	q := query(t, "word")
	whole, err := s.SearchPage(ctx, shared, q, store.Page{Number: 1, Size: 1000}, false)
	ok(t, err)
	same(t, "total", whole.Total, 95)
	for i := 1; i < len(whole.Matches); i++ {
		a, b := whole.Matches[i-1], whole.Matches[i]
		if a.Score < b.Score || a.Score == b.Score && a.ID >= b.ID {
			t.Errorf("matches %d and %d: %v/%d before %v/%d", i-1, i, a.Score, a.ID, b.Score, b.ID)
		}
	}
	for _, size := range []int{1, 7, 50, 95, 96} {
		var ids []int64
		for n := 1; (n-1)*size < 95; n++ {
			p, err := s.SearchPage(ctx, shared, q, store.Page{Number: n, Size: size}, n%2 == 0)
			ok(t, err)
			same(t, "total", p.Total, 95)
			ids = append(ids, matchIDs(p.Matches)...)
		}
		same(t, fmt.Sprintf("pages of %d", size), ids, matchIDs(whole.Matches))
	}
	for _, size := range []int{1, 7, 50, 94, 95} { // the same, going on behind the last match
		found := slices.Clone(whole.Matches[:1])
		for {
			last := found[len(found)-1]
			next, err := s.SearchAfter(ctx, shared, q, last.Score, last.ID, size, false)
			ok(t, err)
			if len(next) == 0 || len(found) > 95 {
				break
			}
			found = append(found, next...)
		}
		same(t, fmt.Sprintf("walk by %d", size), found, whole.Matches)
	}
	testAfter(t, s, q, whole.Matches)
	for _, n := range []int{3, 1000, math.MaxInt32, math.MaxInt} { // past the end
		p, err := s.SearchPage(ctx, shared, q, store.Page{Number: n, Size: 50}, true)
		ok(t, err)
		same(t, fmt.Sprintf("page %d", n), p, store.MatchPage{Total: 95})
		ids, err := s.SearchIDs(ctx, shared, q, store.Page{Number: n, Size: 50})
		ok(t, err)
		same(t, "ids", len(ids), 0)
	}
	for _, p := range []store.Page{{Number: 0, Size: 10}, {Number: -1, Size: 10}, {Number: 1, Size: 0}, {Number: 1, Size: -5}} {
		if _, err := s.SearchPage(ctx, shared, q, p, false); err == nil {
			t.Errorf("page %+v: no error", p)
		}
	}
	_, err = s.SearchPage(ctx, shared, q, store.Page{Number: 1, Size: store.MaxPageSize + 1}, false)
	fails(t, "page too large", err, store.ErrTooMany)
	_, err = s.SearchIDs(ctx, shared, q, store.Page{Number: 1, Size: store.MaxIDs + 1})
	fails(t, "too many ids", err, store.ErrTooMany)
	_, err = s.SearchIDs(ctx, shared, q, store.Page{Number: 1, Size: store.MaxIDs})
	ok(t, err)
}

// testAfter holds that a walk goes on where it stopped when scores have moved, or when the
// last match is gone, and that its bounds hold.
func testAfter(t *testing.T, s Store, q store.Query, whole []store.Match) {
	ctx := t.Context()
	after := func(score float64, id int64) []store.Match {
		t.Helper()
		found, err := s.SearchAfter(ctx, shared, q, score, id, 5, true)
		ok(t, err)
		return found
	}
	last := whole[49]
	same(t, "scores have moved", matchIDs(after(last.Score*2, last.ID)), matchIDs(whole[50:55]))
	same(t, "the last match is gone: the first worse one", matchIDs(after(last.Score, 1<<31)),
		matchIDs(whole[slices.IndexFunc(whole, func(m store.Match) bool { return m.Score < last.Score }):][:5]))
	for _, m := range after(last.Score, last.ID) {
		one, err := s.Passage(ctx, shared, m.ID)
		ok(t, err)
		same(t, "details behind a match", m.Passage, one)
	}
	if _, err := s.SearchAfter(ctx, shared, q, 1, 1, 0, false); err == nil {
		t.Error("no matches asked for: no error")
	}
	_, err := s.SearchAfter(ctx, shared, q, 1, 1, store.MaxPageSize+1, false)
	fails(t, "too many behind a match", err, store.ErrTooMany)
}

// testPathsAgree holds that the five statements give what the two give.
func testPathsAgree(t *testing.T, s Store) {
	ctx := t.Context()
	fill(t, s, ada.Owner)
	for _, scope := range []store.Scope{shared, ada, bela} {
		for _, text := range []string{"time", "being time", `"and time"`, "unheard", "the"} {
			for _, page := range []store.Page{{Number: 1, Size: 5}, {Number: 2, Size: 5}, {Number: 99, Size: 5}} {
				q := query(t, text)
				ids, err := s.SearchIDs(ctx, scope, q, page)
				ok(t, err)
				n, err := s.Count(ctx, scope, q)
				ok(t, err)
				plain, err := s.SearchPage(ctx, scope, q, page, false)
				ok(t, err)
				detailed, err := s.SearchPage(ctx, scope, q, page, true)
				ok(t, err)
				what := fmt.Sprintf("%q for %q, page %d", text, scope.Owner, page.Number)
				same(t, what+": totals", []int{plain.Total, detailed.Total}, []int{n, n})
				same(t, what+": ids", matchIDs(plain.Matches), matchIDs(ids))
				titles, err := s.Titles(ctx, scope, matchIDs(ids))
				ok(t, err)
				full, err := s.Passages(ctx, scope, matchIDs(ids))
				ok(t, err)
				for i, m := range detailed.Matches {
					one, err := s.Passage(ctx, scope, m.ID)
					ok(t, err)
					same(t, what+": details", []store.Passage{m.Passage, full[i]}, []store.Passage{one, one})
					same(t, what+": score", []float64{ids[i].Score, plain.Matches[i].Score}, []float64{m.Score, m.Score})
					same(t, what+": title", titles[i], store.Passage{ID: one.ID, BookID: one.BookID, Owner: one.Owner, Title: one.Title, PageNumber: one.PageNumber})
					one.Content, one.Metadata = "", nil
					same(t, what+": without details", plain.Matches[i].Passage, one)
				}
				agreeOnConcepts(t, s, scope, matchIDs(ids))
			}
		}
	}
}

func agreeOnConcepts(t *testing.T, s Store, scope store.Scope, ids []int64) {
	t.Helper()
	for _, most := range []int{1, 3, 100} {
		cs, err := s.Concepts(t.Context(), scope, ids, most)
		ok(t, err)
		rs, err := s.Relations(t.Context(), scope, ids, most)
		ok(t, err)
		cs2, rs2, err := s.ConceptsRelations(t.Context(), scope, ids, most)
		ok(t, err)
		same(t, "concepts", cs2, cs)
		same(t, "relations", rs2, rs)
		if len(cs) > most || len(rs) > most {
			t.Errorf("%d concepts and %d relations, at most %d", len(cs), len(rs), most)
		}
	}
}

// fill stores four books of the shared library and of owner, with concepts.
func fill(t *testing.T, s Store, owner string) {
	for i, o := range []string{"", owner, "", owner} {
		b := book(o,
			fmt.Sprintf("the time of book %d", i), "being and time", "the being of the time of the being", "nothing at all",
			"time and time again, being", "The Being", fmt.Sprintf("the end %d", i))
		b.Concepts = []store.NewConcept{
			{Name: "Time", Score: 3, Passages: []int{0, 1, 2, 4}}, {Name: "Being", Score: 2.5, Passages: []int{1, 2, 4, 5}},
			{Name: "Nothing", Score: 1, Passages: []int{3}}, {Name: "The End", Score: float64(i), Passages: []int{6, 0}},
		}
		b.Relations = []store.NewRelation{{Source: 0, Target: 1, Weight: 3}, {Source: 3, Target: 0, Weight: 0.5}, {Source: 2, Target: 3, Weight: 1}}
		ingest(t, s, b)
	}
}

func testBatch(t *testing.T, s Store) {
	ctx := t.Context()
	contents := make([]string, 120)
	for i := range contents {
		contents[i] = fmt.Sprintf("passage %d", i)
	}
	ids := slices.Clone(ingest(t, s, book("", contents...)).PassageIDs)
	slices.Reverse(ids)
	got, err := s.Passages(ctx, shared, ids)
	ok(t, err)
	same(t, "order", passageIDs(got), ids)
	asked := []int64{ids[3], 999_999, ids[1], -1, 0, ids[3], math.MaxInt64, math.MinInt64, 5 << 32}
	got, err = s.Passages(ctx, shared, asked)
	ok(t, err)
	same(t, "unknown ids are left out, repeated ones stay", passageIDs(got), []int64{ids[3], ids[1], ids[3]})
	got, err = s.Passages(ctx, shared, nil)
	ok(t, err)
	same(t, "no ids", len(got), 0)
	many := make([]int64, store.MaxPageSize+1)
	got, err = s.Passages(ctx, shared, many[:store.MaxPageSize])
	ok(t, err)
	same(t, "unknown ids", len(got), 0)
	_, err = s.Passages(ctx, shared, many)
	fails(t, "too many ids", err, store.ErrTooMany)
	_, err = s.Titles(ctx, shared, many)
	fails(t, "too many titles", err, store.ErrTooMany)
	_, err = s.Concepts(ctx, shared, many, 10)
	fails(t, "concepts of too many", err, store.ErrTooMany)
	_, _, err = s.ConceptsRelations(ctx, shared, ids, store.MaxConcepts+1)
	fails(t, "too many concepts", err, store.ErrTooMany)
}

func testBooks(t *testing.T, s Store) {
	ctx := t.Context()
	var want []int64
	for i := range 7 {
		want = append(want, ingest(t, s, book("", fmt.Sprintf("book %d", i), "more")).BookID)
	}
	slices.Reverse(want) // newest first
	var got []int64
	for n := 1; n <= 4; n++ {
		books, total, err := s.Books(ctx, shared, store.Page{Number: n, Size: 2})
		ok(t, err)
		same(t, "total", total, 7)
		for _, b := range books {
			one, err := s.Book(ctx, shared, b.ID)
			ok(t, err)
			same(t, "book", b, one)
			got = append(got, b.ID)
		}
	}
	same(t, "books", got, want)
	books, total, err := s.Books(ctx, shared, store.Page{Number: math.MaxInt, Size: 1000})
	ok(t, err)
	same(t, "past the last", []int{len(books), total}, []int{0, 7})
	_, _, err = s.Books(ctx, shared, store.Page{Number: 1, Size: store.MaxPageSize + 1})
	fails(t, "page too large", err, store.ErrTooMany)
}
