package storetest

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/store"
)

func testEmptyLibrary(t *testing.T, s Store) {
	ctx := t.Context()
	ok(t, s.Ping(ctx))
	for _, scope := range []store.Scope{shared, ada} {
		same(t, "matches", len(find(t, s, scope, "anything")), 0)
		books, total, err := s.Books(ctx, scope, store.Page{Number: 1, Size: 10})
		ok(t, err)
		same(t, "books", len(books)+total, 0)
		b, p, err := s.Totals(ctx, scope)
		ok(t, err)
		same(t, "totals", b+p, 0)
		_, err = s.Passage(ctx, scope, 1)
		fails(t, "Passage", err, store.ErrNotFound)
		_, err = s.Book(ctx, scope, 1)
		fails(t, "Book", err, store.ErrNotFound)
		fails(t, "DeleteBook", s.DeleteBook(ctx, scope.Owner, 1), store.ErrNotFound)
		cs, rs, err := s.ConceptsRelations(ctx, scope, []int64{1, 2}, 10)
		ok(t, err)
		same(t, "concepts and relations", len(cs)+len(rs), 0)
	}
	ok(t, s.Optimize(ctx))
}

func testRoundTrip(t *testing.T, s Store) {
	ctx := t.Context()
	before := time.Now().Add(-time.Second)
	b := store.NewBook{
		Owner: ada.Owner, Title: "Être et 時間", Author: "Ş. Yazar", SourceType: "epub", Hash: "h1",
		Passages: []store.NewPassage{
			{Content: "first, with a NUL \x00 inside, an emoji 🤔 and “quotes”", PageNumber: 7, Chapter: "İlk", Metadata: map[string]any{"language": "tr", "words": 9.0, "deep": []any{"a", 1.5, nil}}},
			{Content: ""},
			{Content: "broken \xff\xfe bytes", Chapter: "\xc3"},
		},
	}
	in := ingest(t, s, b)
	want := []store.Passage{
		{Content: b.Passages[0].Content, PageNumber: 7, Chapter: "İlk", Metadata: json.RawMessage(`{"deep":["a",1.5,null],"language":"tr","words":9}`)},
		{},
		{Content: "broken \uFFFD bytes", Chapter: "\uFFFD"},
	}
	for i := range want {
		w := &want[i]
		w.ID, w.BookID, w.Owner, w.Title, w.SourceType, w.Seq = in.PassageIDs[i], in.BookID, ada.Owner, b.Title, "epub", i
		got, err := s.Passage(ctx, ada, w.ID)
		ok(t, err)
		same(t, "Passage", got, *w)
	}
	got, err := s.Passages(ctx, ada, in.PassageIDs)
	ok(t, err)
	same(t, "Passages", got, want)

	stored, err := s.Book(ctx, ada, in.BookID)
	ok(t, err)
	if stored.CreatedAt.Before(before) || stored.CreatedAt.After(time.Now()) || stored.CreatedAt.Location() != time.UTC {
		t.Errorf("created at %v, want now in UTC", stored.CreatedAt)
	}
	stored.CreatedAt = time.Time{}
	same(t, "Book", stored, store.Book{ID: in.BookID, Owner: ada.Owner, Title: b.Title, Author: b.Author, SourceType: "epub", Passages: 3, Words: 11, Hash: "h1"})
	for _, id := range append(in.PassageIDs, in.BookID) {
		if id < 1 || id >= 1<<53 {
			t.Errorf("id %d is outside of what every JSON reader keeps exact", id)
		}
	}
}

func testInvalidBooks(t *testing.T, s Store) {
	refused := func(why string, change func(*store.NewBook)) {
		t.Helper()
		b := book("", "a passage", "another")
		b.Concepts = []store.NewConcept{{Name: "passage", Score: 1, Passages: []int{0}}, {Name: "other", Score: 1, Passages: []int{1}}}
		b.Relations = []store.NewRelation{{Source: 0, Target: 1, Weight: 1}}
		change(&b)
		_, err := s.Ingest(t.Context(), b)
		fails(t, why, err, store.ErrInvalid)
	}
	refused("no hash", func(b *store.NewBook) { b.Hash = "" })
	refused("no passages", func(b *store.NewBook) { b.Passages, b.Concepts = nil, nil })
	refused("passage after the last", func(b *store.NewBook) { b.Concepts[0].Passages = []int{2} })
	refused("passage before the first", func(b *store.NewBook) { b.Concepts[0].Passages = []int{-1} })
	refused("score is no number", func(b *store.NewBook) { b.Concepts[0].Score = math.NaN() })
	refused("weight is infinite", func(b *store.NewBook) { b.Relations[0].Weight = math.Inf(1) })
	refused("concept after the last", func(b *store.NewBook) { b.Relations[0].Target = 2 })
	refused("owner too long", func(b *store.NewBook) { b.Owner = string(make([]byte, store.MaxOwner+1)) })
	books, passages, err := s.Totals(t.Context(), shared)
	ok(t, err)
	same(t, "stored", books+passages, 0)
}

func testDuplicates(t *testing.T, s Store) {
	ctx := t.Context()
	b := book("", "one passage", "two passages")
	first := ingest(t, s, b)
	b.Title, b.Passages = "Another title, the same hash", b.Passages[:1]
	again, err := s.Ingest(ctx, b)
	ok(t, err)
	same(t, "again", again, store.Ingested{BookID: first.BookID, PassageIDs: first.PassageIDs, Duplicate: true, Generation: first.Generation})
	b.Owner = ada.Owner
	ingest(t, s, b) // the same hash of another owner is another book
	ok(t, s.DeleteBook(ctx, "", first.BookID))
	b.Owner = ""
	ingest(t, s, b) // deleted, so it is new again
	books, passages, err := s.Totals(ctx, ada)
	ok(t, err)
	same(t, "books and passages", []int{books, passages}, []int{2, 2})
}

func testDuplicatesTogether(t *testing.T, s Store) {
	var wg sync.WaitGroup
	results := make([]store.Ingested, 8)
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = s.Ingest(t.Context(), book("ada", "all at once", "the same book")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stored := 0
	for _, r := range results {
		if !r.Duplicate {
			stored++
		}
		same(t, "book", r.BookID, results[0].BookID)
		same(t, "passages", r.PassageIDs, results[0].PassageIDs)
	}
	same(t, "stored", stored, 1)
	same(t, "found", len(find(t, s, ada, "once")), 1)
}

// testCancelledIngest leaves in the middle, at ever later times.
func testCancelledIngest(t *testing.T, s Store) {
	contents := make([]string, 400)
	for i := range contents {
		contents[i] = "somewhere in a long book there is a passage"
	}
	cancelled := false
	for wait := 100 * time.Microsecond; wait < 20*time.Millisecond; wait = wait * 3 / 2 {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		b := book("", contents...)
		b.Hash = wait.String()
		in, err := s.Ingest(ctx, b)
		cancel()
		_, passages, terr := s.Totals(t.Context(), shared)
		ok(t, terr)
		found := len(find(t, s, shared, "somewhere"))
		if err != nil {
			cancelled = true
			same(t, "passages after an ingest that failed", []int{passages, found}, []int{0, 0})
			continue
		}
		same(t, "passages after an ingest that did not", []int{passages, found}, []int{400, 400})
		ok(t, s.DeleteBook(t.Context(), "", in.BookID))
	}
	if !cancelled {
		t.Error("no ingest was cut off, so nothing was tested")
	}
}

func testIDsAreNotReused(t *testing.T, s Store) {
	ctx := t.Context()
	a := ingest(t, s, book("ada", "one", "two"))
	ok(t, s.DeleteBook(ctx, "ada", a.BookID))
	b := ingest(t, s, book("ada", "three", "four"))
	if b.BookID == a.BookID {
		t.Errorf("book id %d was given twice", b.BookID)
	}
	for i, id := range b.PassageIDs {
		if id <= a.PassageIDs[len(a.PassageIDs)-1] {
			t.Errorf("passage %d has id %d, given before", i, id)
		}
	}
}
