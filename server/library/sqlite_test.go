package library

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/store"
)

// The stores that ship are such that a library can stand on them.
var (
	_ Store = (*store.SQLite)(nil)
	_ Store = (*store.Oracle)(nil)
)

// openStore returns an empty library on disk, without its library package.
func openStore(t testing.TB) *store.SQLite {
	t.Helper()
	pools, err := pool.OpenSQLite(t.Context(), pool.Config{
		Path: filepath.Join(t.TempDir(), "library.db"),
		Read: pool.Bounds{Min: 2, Size: 8}, Write: pool.Bounds{Min: 1, Size: 2}, Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pools.Close() })
	st, err := store.OpenSQLite(t.Context(), pools, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func open(t testing.TB, st Store, cfg Config) *Library {
	t.Helper()
	l, err := New(cfg, st)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// fill ingests demo books as owner's and returns how many passages they made.
func fill(t testing.TB, l *Library, owner string, seed uint64, books, passages int) (n int) {
	t.Helper()
	for b := range demo.Books(seed, books, passages) {
		r, err := l.Ingest(t.Context(), owner, Document{Title: b.Title, Author: b.Author, Body: strings.NewReader(b.Text)})
		if err != nil {
			t.Fatalf("ingest %q: %v", b.Title, err)
		}
		n += r.Passages
	}
	return n
}

// counted returns a context that counts the statements run under it.
func counted(ctx context.Context) (context.Context, func() int) {
	stats := &store.RequestStats{}
	return store.WithRequest(ctx, stats, "test"), func() int { return int(stats.Statements.Swap(0)) }
}

// The plan's figures: five statements and one per detail before, two after, none on a hit.
func TestStatementsPerSearch(t *testing.T) {
	st := openStore(t)
	fill(t, open(t, st, Config{}), "", 1, 10, 200)
	f := func(cfg Config, details bool, wantCold, wantAgain int) {
		t.Helper()
		l := open(t, st, cfg)
		ctx, statements := counted(t.Context())
		req := SearchRequest{Query: "time", Page: 1, PageSize: 20, IncludeDetails: details}
		r, err := l.Search(ctx, store.Scope{Owner: "ada"}, req)
		if err != nil || len(r.Results) != 20 {
			t.Fatalf("%d results, %v", len(r.Results), err)
		}
		if got := statements(); got != wantCold || r.CacheHit {
			t.Errorf("%v, cache %v, details %v: a cold search ran %d statements (hit %v), want %d", cfg.Access, cfg.Cache.Enabled, details, got, r.CacheHit, wantCold)
		}
		r, err = l.Search(ctx, store.Scope{Owner: "ada"}, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := statements(); got != wantAgain || r.CacheHit != (wantAgain == 0) {
			t.Errorf("%v, cache %v, details %v: the search again ran %d statements (hit %v), want %d", cfg.Access, cfg.Cache.Enabled, details, got, r.CacheHit, wantAgain)
		}
	}
	f(Config{Access: FiveStatements}, false, 5, 5)      // baseline, A
	f(Config{Access: FiveStatements}, true, 5+20, 5+20) // the N+1
	f(cached, false, 2, 0)                              // B and later
	f(cached, true, 2, 0)
	f(Config{}, true, 2, 2)
	f(Config{Access: FiveStatements, Cache: cached.Cache}, true, 5+20, 0) // each switch by itself
}

func TestStatementsElsewhere(t *testing.T) {
	st := openStore(t)
	n := fill(t, open(t, st, Config{}), "", 1, 5, 200)
	l := open(t, st, cached)
	ctx, statements := counted(t.Context())
	f := func(what string, want int, do func() error) {
		t.Helper()
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := statements(); got != want {
			t.Errorf("%s ran %d statements, want %d", what, got, want)
		}
	}
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	batch := func(ids []int64) func() error {
		return func() error { _, _, err := l.Batch(ctx, store.Scope{}, ids); return err }
	}
	content := func(id int64) func() error {
		return func() error { _, err := l.Content(ctx, store.Scope{}, id); return err }
	}
	f("a passage", 1, content(1))
	f("the same", 0, content(1))
	f("a batch of 100", 1, batch(ids[:100]))
	f("the same batch", 0, batch(ids[:100]))
	f("a batch half of which is known", 1, batch(ids[50:150]))
	f("a passage of a batch", 0, content(120))
	f("totals", 1, func() error { _, _, err := l.Totals(ctx, store.Scope{}); return err })
	f("totals again", 0, func() error { _, _, err := l.Totals(ctx, store.Scope{}); return err })
	f("books", 1, func() error { _, err := l.Books(ctx, store.Scope{}, 1, 50); return err })
	f("a book", 1, func() error { _, err := l.Book(ctx, store.Scope{}, 1); return err })
	f("the book again", 0, func() error { _, err := l.Book(ctx, store.Scope{}, 1); return err })
	f("a ping", 1, func() error { return l.Ping(ctx) })
	f("a page without matches", 1, func() error { // nothing to relate
		_, err := l.Search(ctx, store.Scope{}, ask("xyzzy"))
		return err
	})
	var next string
	f("a page", 2, func() error {
		r, err := l.Search(ctx, store.Scope{}, SearchRequest{Query: "the", Page: 1, PageSize: 10})
		next = r.NextCursor
		return err
	})
	f("the page after", 2, func() error {
		_, err := l.Search(ctx, store.Scope{}, SearchRequest{Query: "the", PageSize: 10, Cursor: next})
		return err
	})
}

// Both ways of asking, and pages by number and by cursor, must tell the same.
func TestAccessPathsAgree(t *testing.T) {
	st := openStore(t)
	five := open(t, st, Config{Access: FiveStatements})
	two := open(t, st, Config{})
	fill(t, two, "", 1, 8, 160)
	fill(t, two, "ada", 2, 4, 80)
	ignore := cmp.Options{cmpopts.IgnoreFields(SearchResult{}, "ExecutionTimeMS"), cmpopts.IgnoreUnexported(SearchResult{}), cmpopts.EquateApprox(0, 1e-12)}
	for _, q := range append(demo.Queries(1, 8), "time", "the of and", "xyzzy") {
		for _, owner := range []string{"", "ada"} {
			cursor := ""
			for page := 1; page <= 4; page++ {
				req := SearchRequest{Query: q, Page: page, PageSize: 7, IncludeDetails: page%2 == 0}
				a, b := mustSearch(t, five, owner, req), mustSearch(t, two, owner, req)
				if diff := cmp.Diff(a, b, ignore); diff != "" {
					t.Fatalf("%q of %q, page %d (-five +two):\n%s", q, owner, page, diff)
				}
				if cursor != "" {
					req.Cursor = cursor
					if diff := cmp.Diff(b, mustSearch(t, two, owner, req), ignore); diff != "" {
						t.Fatalf("%q of %q, page %d (-number +cursor):\n%s", q, owner, page, diff)
					}
				}
				if cursor = b.NextCursor; !b.HasNext {
					break
				}
			}
		}
	}
}

// Details, a batch and single reads are three ways to the same passage.
func TestDetailsBatchAndContentAgree(t *testing.T) {
	st := openStore(t)
	l := open(t, st, cached)
	fill(t, l, "ada", 1, 4, 60)
	sc := store.Scope{Owner: "ada"}
	r := mustSearch(t, l, "ada", SearchRequest{Query: "memory", Page: 1, PageSize: 30, IncludeDetails: true})
	if len(r.Results) == 0 {
		t.Fatal("no matches")
	}
	var ids []int64
	for _, m := range r.Results {
		ids = append(ids, m.ID)
	}
	single := open(t, st, Config{}) // from the store, not from the batch's entries
	found, unknown, err := l.Batch(t.Context(), sc, ids)
	if err != nil || len(unknown) != 0 {
		t.Fatalf("unknown %v, %v", unknown, err)
	}
	for i, m := range r.Results {
		p, err := single.Content(t.Context(), sc, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, found[i]); diff != "" {
			t.Errorf("passage %d (-content +batch):\n%s", m.ID, diff)
		}
		if diff := cmp.Diff(newResult(store.Match{Passage: p, Score: m.Score}, true), m); diff != "" {
			t.Errorf("passage %d (-content +details):\n%s", m.ID, diff)
		}
	}
}

func TestIngestIsSeenAtOnceAndByItsOwnerOnly(t *testing.T) {
	l := open(t, openStore(t), cached)
	ctx := t.Context()
	fill(t, l, "", 1, 2, 20)
	before := mustSearch(t, l, "ada", ask("being"))
	bob := mustSearch(t, l, "bob", ask("being"))
	in, err := l.Ingest(ctx, "ada", Document{Filename: "/home/ada/My Own Being.txt", Body: strings.NewReader("Being is not a predicate. It is being that asks.")})
	if err != nil {
		t.Fatal(err)
	}
	if in.Title != "My Own Being" || in.Format != "text" || in.Passages != 1 || in.FirstPassageID < 1 || in.Duplicate {
		t.Errorf("ingested %+v", in)
	}
	if after := mustSearch(t, l, "ada", ask("being")); after.CacheHit || after.TotalCount != before.TotalCount+1 {
		t.Errorf("ada found %d, now %d (hit %v)", before.TotalCount, after.TotalCount, after.CacheHit)
	}
	if again := mustSearch(t, l, "bob", ask("being")); !again.CacheHit || again.TotalCount != bob.TotalCount {
		t.Errorf("bob found %d, now %d (hit %v)", bob.TotalCount, again.TotalCount, again.CacheHit)
	}
	dup, err := l.Ingest(ctx, "ada", Document{Title: "Other title", Body: strings.NewReader("Being is not a predicate. It is being that asks.")})
	if err != nil || !dup.Duplicate || dup.Title != "My Own Being" || dup.FirstPassageID != in.FirstPassageID || dup.Passages != in.Passages || dup.BookID != in.BookID {
		t.Errorf("the same bytes again: %+v, %v", dup, err)
	}
	other, err := l.Ingest(ctx, "bob", Document{Body: strings.NewReader("Being is not a predicate. It is being that asks.")})
	if err != nil || other.Duplicate || other.Title == "" {
		t.Errorf("the same bytes of another owner: %+v, %v", other, err)
	}
	if _, err := l.Book(ctx, store.Scope{Owner: "bob"}, in.BookID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("bob reads about ada's book: %v", err)
	}
	if b, err := l.Book(ctx, store.Scope{Owner: "ada"}, in.BookID); err != nil || b.Title != "My Own Being" {
		t.Errorf("ada's book: %+v, %v", b, err)
	}
	if err := l.DeleteBook(ctx, "bob", in.BookID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("bob deletes ada's book: %v", err)
	}
	if err := l.DeleteBook(ctx, "ada", 1); !errors.Is(err, ErrNotYours) {
		t.Errorf("ada deletes a shared book: %v", err)
	}
	if err := l.DeleteBook(ctx, "ada", 4_000_000); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ada deletes what is not there: %v", err)
	}
	if err := l.DeleteBook(ctx, "ada", in.BookID); err != nil {
		t.Fatal(err)
	}
	if after := mustSearch(t, l, "ada", ask("being")); after.TotalCount != before.TotalCount {
		t.Errorf("after the deletion ada finds %d, want %d", after.TotalCount, before.TotalCount)
	}
	if _, err := l.Content(ctx, store.Scope{Owner: "ada"}, in.FirstPassageID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted passage: %v", err)
	}
}

// The demo library is as large as it says, fast, and the documentation's searches find their passages.
func TestDemoLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED by -short: fills a library of 5,000 passages")
	}
	l := open(t, openStore(t), cached)
	start := time.Now()
	n := fill(t, l, "", demo.DefaultSeed, demo.DefaultBooks, demo.DefaultPassages)
	t.Logf("%d passages in %v", n, time.Since(start))
	if n < demo.DefaultPassages*98/100 || n > demo.DefaultPassages*102/100 {
		t.Errorf("the demo library has %d passages, want %d to within 2 %%", n, demo.DefaultPassages)
	}
	books, passages, err := l.Totals(t.Context(), store.Scope{})
	if err != nil || books != demo.DefaultBooks || passages != n {
		t.Errorf("totals: %d books, %d passages, %v", books, passages, err)
	}
	f := func(query string, least int) {
		t.Helper()
		if r := mustSearch(t, l, "", ask(query)); r.TotalCount < least || len(r.Concepts) == 0 {
			t.Errorf("%q finds %d passages and %d concepts, want at least %d passages", query, r.TotalCount, len(r.Concepts), least)
		}
	}
	f("dasein", 100) // the plan reads 100 of them one by one
	f("test", 100)
	f("What is X?", 20)
	f("consciousness", 100)
	f("dusunce", 20) // folded
	f("düşünce", 20)
	f("BİLİNÇ", 20)
	f("time memory", 20)
	found := 0
	log := demo.Queries(demo.DefaultSeed, 500)
	for _, q := range log {
		r, err := l.Search(t.Context(), store.Scope{}, ask(q))
		if err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		if strings.HasPrefix(q, `"`) && r.TotalCount == 0 {
			t.Errorf("the phrase %s is not found", q)
		}
		if r.TotalCount > 0 {
			found++
		}
	}
	if found < len(log)*95/100 {
		t.Errorf("%d of %d queries of the log find something", found, len(log))
	}
}

func TestManyOwnersAtOnce(t *testing.T) {
	l := open(t, openStore(t), cached)
	errs := make(chan error, 8)
	for i := range 8 {
		go func() {
			errs <- func() error {
				owner := fmt.Sprint("user", i)
				for n := range 5 {
					body := fmt.Sprintf("Passage %d of %s about time and being.", n, owner)
					if _, err := l.Ingest(t.Context(), owner, Document{Title: body, Body: strings.NewReader(body)}); err != nil {
						return err
					}
					r, err := l.Search(t.Context(), store.Scope{Owner: owner}, SearchRequest{Query: "time", Page: 1, PageSize: 50, IncludeDetails: true})
					if err != nil {
						return err
					}
					if r.TotalCount != n+1 { // reads its own writes, and nobody else's
						return fmt.Errorf("%s finds %d after %d ingests", owner, r.TotalCount, n+1)
					}
					for _, m := range r.Results {
						if !strings.Contains(m.Content, owner+" ") {
							return fmt.Errorf("%s reads %q", owner, m.Content)
						}
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// Headings six deep in letters of two bytes are a book like any other.
func TestIngestOfDeepHeadings(t *testing.T) {
	l := open(t, openStore(t), Config{})
	var text strings.Builder
	for depth := 1; depth <= 6; depth++ {
		fmt.Fprintf(&text, "%s %s\n\n", strings.Repeat("#", depth), strings.Repeat("глава ", 25))
	}
	text.WriteString("A passage below all of them.\n")
	if _, err := l.Ingest(t.Context(), "", Document{Filename: "deep.md", Body: strings.NewReader(text.String())}); err != nil {
		t.Error(err)
	}
}
