package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
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

// testLongTexts stores texts around the sizes at which a database changes its way of taking them.
func testLongTexts(t *testing.T, s Store) {
	ctx := t.Context()
	b := book(ada.Owner, "the first")
	long := strings.Repeat("д", 40) // in bytes, more than an index may hold of a word
	for i, n := range []int{3999, 4000, 4001, 32766, 32767, 32768, 200_000} {
		mark := fmt.Sprintf("mark%d ", i)
		content := mark + strings.Repeat("wörter ", n)[:n-len(mark)-len(long)-1]
		content = strings.ToValidUTF8(content, "?") + " " + long
		if i%2 == 1 {
			content = content[:len(content)-len("д")] + "y" // begins as the others do
		}
		b.Passages = append(b.Passages, store.NewPassage{
			Content: content, Chapter: strings.Repeat("é", store.MaxText), Metadata: map[string]any{"note": strings.Repeat("n", n)},
		}, store.NewPassage{Content: "short again"})
	}
	b.Title, b.Author, b.SourceType, b.Hash = strings.Repeat("😀", store.MaxText), strings.Repeat("a", store.MaxText), strings.Repeat("\xff", 9), strings.Repeat("h", store.MaxText)
	in := ingest(t, s, b)
	got, err := s.Passages(ctx, ada, in.PassageIDs)
	ok(t, err)
	for i, p := range got {
		var note map[string]any
		if b.Passages[i].Metadata != nil {
			ok(t, json.Unmarshal(p.Metadata, &note))
		}
		if p.Content != b.Passages[i].Content || p.Chapter != b.Passages[i].Chapter || p.Title != b.Title || p.Seq != i {
			t.Errorf("passage %d of %d bytes came back with %d", i, len(b.Passages[i].Content), len(p.Content))
		}
		same(t, "metadata", note, b.Passages[i].Metadata)
	}
	same(t, "passages", len(got), len(b.Passages))
	for i := range 7 {
		same(t, "mark", find(t, s, ada, fmt.Sprint("mark", i)), []int64{in.PassageIDs[1+2*i]})
	}
	same(t, "long word", len(find(t, s, ada, strings.ToUpper(long))), 4)
	same(t, "another that begins alike", len(find(t, s, ada, long[:len(long)-2]+"y")), 3)
	same(t, "no word: its beginning", len(find(t, s, ada, long[:len(long)-2])), 0)
	stored, err := s.Book(ctx, ada, in.BookID)
	ok(t, err)
	same(t, "book", []string{stored.Title, stored.Author, stored.SourceType, stored.Hash}, []string{b.Title, b.Author, strings.ToValidUTF8(b.SourceType, "\uFFFD"), b.Hash})
}

// testManyRows stores more rows than go to a database at once.
func testManyRows(t *testing.T, s Store) {
	ctx := t.Context()
	const n = 2500
	contents := make([]string, n)
	for i := range contents {
		contents[i] = fmt.Sprintf("passage %d of many", i)
	}
	b := book("", contents...)
	for i := range n {
		b.Concepts = append(b.Concepts, store.NewConcept{Name: fmt.Sprintf("concept %d", i), Score: float64(1 + i%7), Passages: []int{i, (i + 1) % n}})
		b.Relations = append(b.Relations, store.NewRelation{Source: i, Target: (i + 1) % n, Weight: 0.5})
	}
	in := ingest(t, s, b)
	last := in.PassageIDs[n-1]
	one, err := s.Passage(ctx, shared, last)
	ok(t, err)
	same(t, "last passage", one.Content, contents[n-1])
	same(t, "found", find(t, s, shared, "2499"), []int64{last})
	total, err := s.Count(ctx, shared, query(t, "many"))
	ok(t, err)
	same(t, "count", total, n)
	cs, rs, err := s.ConceptsRelations(ctx, shared, in.PassageIDs[n-2:], 10)
	ok(t, err)
	same(t, "concepts, relations", []int{len(cs), len(rs)}, []int{3, 2})
	b.Hash = "again" // all concepts are known now
	ingest(t, s, b)
	cs, rs, err = s.ConceptsRelations(ctx, shared, in.PassageIDs[n-2:], 10)
	ok(t, err)
	same(t, "concepts, relations", []int{len(cs), len(rs)}, []int{3, 2})
	same(t, "weight of two books", rs[0].Weight, 1.0)
	ok(t, s.DeleteBook(ctx, "", in.BookID))
	books, passages, err := s.Totals(ctx, shared)
	ok(t, err)
	same(t, "left", []int{books, passages}, []int{1, n})
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
	refused("owner that is no text", func(b *store.NewBook) { b.Owner = "\xff" })
	long := strings.Repeat("x", store.MaxText+1)
	refused("title too long", func(b *store.NewBook) { b.Title = long })
	refused("author too long", func(b *store.NewBook) { b.Author = long })
	refused("source type too long", func(b *store.NewBook) { b.SourceType = long })
	refused("hash too long", func(b *store.NewBook) { b.Hash = long })
	refused("chapter too long", func(b *store.NewBook) { b.Passages[1].Chapter = long })
	refused("concept too long", func(b *store.NewBook) { b.Concepts[1].Name = long })
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
