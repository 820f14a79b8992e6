package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

// testOwners drives every method with two users and the shared library.
func testOwners(t *testing.T, s Store) {
	ctx := t.Context()
	stored := map[string]store.Ingested{}
	for _, scope := range []store.Scope{shared, ada, bela} {
		b := book(scope.Owner, "a common word, and one of "+fmt.Sprintf("x%x", scope.Owner), "a common end")
		b.Concepts = []store.NewConcept{{Name: "concept of " + scope.Owner, Score: 1, Passages: []int{0}}, {Name: "common", Score: 1, Passages: []int{0, 1}}}
		b.Relations = []store.NewRelation{{Source: 0, Target: 1, Weight: 1}}
		stored[scope.Owner] = ingest(t, s, b)
	}
	var every []int64
	for _, in := range stored {
		every = append(every, in.PassageIDs...)
	}
	slices.Sort(every)
	for _, scope := range []store.Scope{shared, ada, bela, {Owner: "nobody yet"}, {Owner: "ADA"}, {Owner: "ad"}} {
		visible := map[string]bool{"": true, scope.Owner: true}
		var want []int64
		books := 0
		for owner, in := range stored {
			if visible[owner] {
				want = append(want, in.PassageIDs...)
				books++
			}
		}
		slices.Sort(want)
		t.Run("as "+scope.Owner, func(t *testing.T) { seesOnly(t, s, scope, stored, every, want, books) })
	}
	for _, owner := range []string{"", ada.Owner, "nobody yet"} {
		fails(t, "delete of another's book by "+owner, s.DeleteBook(ctx, owner, stored[bela.Owner].BookID), store.ErrNotFound)
	}
	fails(t, "delete of a shared book by a user", s.DeleteBook(ctx, ada.Owner, stored[""].BookID), store.ErrNotFound)
	ok(t, s.DeleteBook(ctx, bela.Owner, stored[bela.Owner].BookID))
	same(t, "ada still has hers", len(find(t, s, ada, "common")), 4)
	same(t, "béla sees the shared", len(find(t, s, bela, "common")), 2)
}

func seesOnly(t *testing.T, s Store, scope store.Scope, stored map[string]store.Ingested, every, want []int64, books int) {
	ctx := t.Context()
	q, first := query(t, "common"), store.Page{Number: 1, Size: 100}
	same(t, "SearchPage", find(t, s, scope, "common"), want)
	ids, err := s.SearchIDs(ctx, scope, q, first)
	ok(t, err)
	same(t, "SearchIDs", len(ids), len(want))
	n, err := s.Count(ctx, scope, q)
	ok(t, err)
	same(t, "Count", n, len(want))
	details, err := s.SearchPage(ctx, scope, q, first, true)
	ok(t, err)
	for _, m := range append(details.Matches, ids...) {
		if !slices.Contains(stored[m.Owner].PassageIDs, m.ID) {
			t.Errorf("passage %d is said to be %q's", m.ID, m.Owner)
		}
	}
	behind, err := s.SearchAfter(ctx, scope, q, 1e9, 1<<62, 100, false)
	ok(t, err)
	same(t, "SearchAfter", matchIDs(behind), matchIDs(details.Matches))
	titles, err := s.Titles(ctx, scope, every)
	ok(t, err)
	same(t, "Titles", passageIDs(titles), want)
	passages, err := s.Passages(ctx, scope, every)
	ok(t, err)
	same(t, "Passages", passageIDs(passages), want)
	cs, rs, err := s.ConceptsRelations(ctx, scope, every, 100)
	ok(t, err)
	same(t, "concepts and relations", []int{len(cs), len(rs)}, []int{books + 1, books})
	agreeOnConcepts(t, s, scope, every)
	list, total, err := s.Books(ctx, scope, first)
	ok(t, err)
	b, p, err := s.Totals(ctx, scope)
	ok(t, err)
	same(t, "Books, Totals", []int{len(list), total, b, p}, []int{books, books, books, len(want)})
	for _, b := range list {
		same(t, "book's owner", stored[b.Owner].BookID, b.ID)
	}
	for owner, in := range stored {
		_, bookErr := s.Book(ctx, scope, in.BookID)
		_, passageErr := s.Passage(ctx, scope, in.PassageIDs[0])
		if owner == "" || owner == scope.Owner {
			ok(t, bookErr)
			ok(t, passageErr)
			continue
		}
		fails(t, "book of "+owner, bookErr, store.ErrNotFound)
		fails(t, "passage of "+owner, passageErr, store.ErrNotFound)
		same(t, "word of "+owner, len(find(t, s, scope, fmt.Sprintf("x%x", owner))), 0)
		cs, rs, err := s.ConceptsRelations(ctx, scope, in.PassageIDs, 100)
		ok(t, err)
		same(t, "concepts of "+owner, len(cs)+len(rs), 0)
	}
}

func testDeleteBook(t *testing.T, s Store) {
	ctx := t.Context()
	fill(t, s, ada.Owner)
	before, total, err := s.Books(ctx, ada, store.Page{Number: 1, Size: 10})
	ok(t, err)
	same(t, "books", total, 4)
	gone := before[2]
	found := find(t, s, ada, "time")
	ok(t, s.DeleteBook(ctx, gone.Owner, gone.ID))
	fails(t, "delete again", s.DeleteBook(ctx, gone.Owner, gone.ID), store.ErrNotFound)
	_, err = s.Book(ctx, ada, gone.ID)
	fails(t, "book", err, store.ErrNotFound)
	left := find(t, s, ada, "time")
	same(t, "matches", len(left), len(found)-4)
	books, passages, err := s.Totals(ctx, ada)
	ok(t, err)
	same(t, "totals", []int{books, passages}, []int{3, 21})
	got, err := s.Passages(ctx, ada, found)
	ok(t, err)
	same(t, "passages", len(got), len(left))
	page, err := s.SearchPage(ctx, ada, query(t, "time"), store.Page{Number: 1, Size: 100}, true)
	ok(t, err)
	for _, m := range page.Matches {
		if m.BookID == gone.ID {
			t.Errorf("passage %d of the deleted book is found", m.ID)
		}
	}
	for _, b := range append(before[:2], before[3]) {
		ok(t, s.DeleteBook(ctx, b.Owner, b.ID))
	}
	cs, rs, err := s.ConceptsRelations(ctx, ada, found, 100)
	ok(t, err)
	same(t, "left of an emptied library", []int{len(find(t, s, ada, "time")), len(cs), len(rs)}, []int{0, 0, 0})
	fill(t, s, ada.Owner) // and it can be filled again
	same(t, "again", len(find(t, s, ada, "time")), len(found))
}

func testGeneration(t *testing.T, s Store) {
	ctx := t.Context()
	scopes := []store.Scope{shared, ada, bela}
	read := func() (g [3]int64) {
		for i, scope := range scopes {
			var err error
			g[i], err = s.Generation(ctx, scope)
			ok(t, err)
		}
		return g
	}
	last := read()
	changed := func(what string, want ...bool) {
		t.Helper()
		now := read()
		for i := range now {
			if (now[i] > last[i]) != want[i] || now[i] < last[i] {
				t.Errorf("%s: generation of %q went from %d to %d, want a change: %v", what, scopes[i].Owner, last[i], now[i], want[i])
			}
		}
		last = now
	}
	same(t, "an owner without a book", s.Owns(ctx, ada.Owner), false)
	a := ingest(t, s, book(ada.Owner, "hers"))
	changed("ada's book", false, true, false)
	same(t, "the owner of a book", s.Owns(ctx, ada.Owner), true)
	same(t, "somebody else", s.Owns(ctx, bela.Owner), false)
	same(t, "Ingested.Generation", a.Generation, last[1])
	c := ingest(t, s, book("", "everybody's"))
	changed("shared book", true, true, true)
	ingest(t, s, book(bela.Owner, "his"))
	changed("béla's book", false, false, true)
	_, err := s.Ingest(ctx, book(ada.Owner, "hers"))
	ok(t, err)
	changed("duplicate", false, false, false)
	_, err = s.Ingest(ctx, store.NewBook{})
	fails(t, "invalid", err, store.ErrInvalid)
	fails(t, "not hers", s.DeleteBook(ctx, ada.Owner, c.BookID), store.ErrNotFound)
	changed("refused changes", false, false, false)
	ok(t, s.DeleteBook(ctx, ada.Owner, a.BookID))
	changed("deleted book", false, true, false)
	ok(t, s.DeleteBook(ctx, "", c.BookID))
	changed("deleted shared book", true, true, true)
}

// testGenerationFollowsCommit reads while books are stored: what is read after a
// generation was seen must hold every book up to that generation.
func testGenerationFollowsCommit(t *testing.T, s Store) {
	ctx := t.Context()
	type observation struct {
		generation int64
		books      int
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	seen := make([][]observation, 3)
	for i := range seen {
		wg.Go(func() {
			for !stop.Load() && len(seen[i]) < 100_000 {
				g, err := s.Generation(ctx, shared)
				if err != nil {
					t.Error(err)
					return
				}
				n, _, err := s.Totals(ctx, shared)
				if err != nil {
					t.Error(err)
					return
				}
				seen[i] = append(seen[i], observation{g, n})
			}
		})
	}
	var generations []int64
	for i := range 40 {
		in, err := s.Ingest(ctx, book("", fmt.Sprint("book ", i)))
		if err != nil {
			t.Error(err)
			break
		}
		generations = append(generations, in.Generation)
		if g, _ := s.Generation(ctx, shared); g != in.Generation {
			t.Errorf("book %d has generation %d, read as %d when it was stored", i, in.Generation, g)
		}
	}
	stop.Store(true)
	wg.Wait()
	for _, o := range slices.Concat(seen...) {
		announced := 0
		for _, g := range generations {
			if g <= o.generation {
				announced++
			}
		}
		if o.books < announced {
			t.Fatalf("generation %d was seen before its commit: %d books then, %d announced", o.generation, o.books, announced)
		}
	}
}

func testStatementsPerCall(t *testing.T, s Store) {
	fill(t, s, ada.Owner)
	ids := find(t, s, ada, "time")
	q, page := query(t, "time"), store.Page{Number: 1, Size: 5}
	costs := func(what string, statements, rows int64, call func(context.Context) error) {
		t.Helper()
		var stats store.RequestStats
		before := executions(s)
		ok(t, call(store.WithRequest(t.Context(), &stats, "r-1")))
		same(t, what+": statements, rows", []int64{stats.Statements.Load(), stats.Rows.Load()}, []int64{statements, rows})
		if got := executions(s) - before; got < statements {
			t.Errorf("%s: %d executions in the statements' own counters, want %d", what, got, statements)
		}
	}
	costs("page", 1, 5, func(ctx context.Context) error { _, err := s.SearchPage(ctx, ada, q, page, true); return err })
	costs("after", 1, 5, func(ctx context.Context) error { _, err := s.SearchAfter(ctx, ada, q, 1e9, 1<<40, 5, true); return err })
	costs("ids", 1, 5, func(ctx context.Context) error { _, err := s.SearchIDs(ctx, ada, q, page); return err })
	costs("count", 1, 1, func(ctx context.Context) error { _, err := s.Count(ctx, ada, q); return err })
	costs("titles", 1, 5, func(ctx context.Context) error { _, err := s.Titles(ctx, ada, ids[:5]); return err })
	costs("passage", 1, 1, func(ctx context.Context) error { _, err := s.Passage(ctx, ada, ids[0]); return err })
	costs("batch", 1, int64(len(ids)), func(ctx context.Context) error { _, err := s.Passages(ctx, ada, ids); return err })
	costs("concepts", 1, 3, func(ctx context.Context) error { _, err := s.Concepts(ctx, ada, ids, 3); return err })
	costs("both", 1, 5, func(ctx context.Context) error { _, _, err := s.ConceptsRelations(ctx, ada, ids, 3); return err })
	costs("generation", 0, 0, func(ctx context.Context) error { _, err := s.Generation(ctx, ada); return err })
	costs("none", 0, 0, func(ctx context.Context) error { _, err := s.Passages(ctx, ada, nil); return err })
	for _, st := range s.Statements() {
		if st.Name == "" || !strings.HasPrefix(st.SQL, "/* tomehub:"+st.Name+" */") || st.Executions < 1 || st.Elapsed <= 0 || st.MaxElapsed > st.Elapsed || st.Errors != 0 {
			t.Errorf("statement %+v", st)
		}
	}
}

func executions(s Store) (n int64) {
	for _, st := range s.Statements() {
		n += st.Executions
	}
	return n
}

func testOptimize(t *testing.T, s Store) {
	fill(t, s, ada.Owner)
	want := find(t, s, ada, "being time")
	ok(t, s.Optimize(t.Context()))
	same(t, "after", find(t, s, ada, "being time"), want)
	ingest(t, s, book("", "being time once more"))
	ok(t, s.Optimize(t.Context()))
	same(t, "after another book", len(find(t, s, ada, "being time")), len(want)+1)
}
