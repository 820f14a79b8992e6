package library

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/words"
)

// A fakeStore keeps passages in memory, so that a test can stop a statement in
// the middle and see what others do meanwhile. Scores fall with the id.
type fakeStore struct {
	mu       sync.Mutex // guards what follows
	passages []store.Passage
	gens     map[string]int64
	calls    map[string]int
	commits  int64

	// before runs ahead of each statement, after when its rows are read but not yet
	// returned. Both may block and fail.
	before, after func(ctx context.Context, name string) error
}

func newFakeStore(passages int) *fakeStore {
	f := &fakeStore{gens: map[string]int64{}, calls: map[string]int{}}
	for i := range passages {
		f.passages = append(f.passages, store.Passage{
			ID: int64(i + 1), BookID: 1, Title: "Shared", Content: fmt.Sprintf("word w%d being", i+1), SourceType: "text", PageNumber: i % 3, Seq: i,
			Metadata: json.RawMessage(`{"words":3}`),
		})
	}
	return f
}

// owned makes these owners of something, if only of what was deleted again.
func (f *fakeStore) owned(names ...string) *fakeStore {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range names {
		if f.gens[n] == 0 {
			f.commits++
			f.gens[n] = f.commits
		}
	}
	return f
}

func (f *fakeStore) count(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[name]
}

func (f *fakeStore) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		n += c
	}
	return n
}

// statement runs read as the named statement.
func (f *fakeStore) statement(ctx context.Context, name string, read func()) error {
	f.mu.Lock()
	f.calls[name]++
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(ctx, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	read()
	f.mu.Unlock()
	if f.after != nil {
		return f.after(ctx, name)
	}
	return nil
}

// add commits a passage of owner's and bumps the generation, as an ingest does.
func (f *fakeStore) add(owner, content string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := int64(len(f.passages) + 1)
	f.passages = append(f.passages, store.Passage{ID: id, BookID: 2, Owner: owner, Title: "Own", Content: content, SourceType: "text"})
	f.commits++
	f.gens[owner] = f.commits
	return id
}

func (f *fakeStore) matches(sc store.Scope, q store.Query) (found []store.Match) {
	for _, p := range f.passages {
		ok := p.Owner == "" || p.Owner == sc.Owner
		for _, t := range q.Terms {
			ok = ok && strings.Contains(" "+words.Fold(p.Content)+" ", " "+strings.Join(t.Words, " ")+" ")
		}
		if ok {
			found = append(found, store.Match{Passage: p, Score: 1 / float64(p.ID)})
		}
	}
	return found
}

func cut[T any](all []T, p store.Page) []T {
	from := min((p.Number-1)*p.Size, len(all))
	return all[from:min(from+p.Size, len(all))]
}

func (f *fakeStore) SearchIDs(ctx context.Context, sc store.Scope, q store.Query, p store.Page) (found []store.Match, err error) {
	err = f.statement(ctx, "search_ids", func() {
		for _, m := range cut(f.matches(sc, q), p) {
			found = append(found, store.Match{Passage: store.Passage{ID: m.ID}, Score: m.Score})
		}
	})
	return found, err
}

func (f *fakeStore) Count(ctx context.Context, sc store.Scope, q store.Query) (n int, err error) {
	err = f.statement(ctx, "count", func() { n = len(f.matches(sc, q)) })
	return n, err
}

func (f *fakeStore) Titles(ctx context.Context, sc store.Scope, ids []int64) (found []store.Passage, err error) {
	err = f.statement(ctx, "titles", func() {
		for _, p := range f.byID(sc, ids) {
			found = append(found, store.Passage{ID: p.ID, BookID: p.BookID, Title: p.Title, PageNumber: p.PageNumber})
		}
	})
	return found, err
}

func (f *fakeStore) byID(sc store.Scope, ids []int64) (found []store.Passage) {
	for _, id := range ids {
		for _, p := range f.passages {
			if p.ID == id && (p.Owner == "" || p.Owner == sc.Owner) {
				found = append(found, p)
			}
		}
	}
	return found
}

func (f *fakeStore) concepts(ids []int64) []store.Concept {
	return []store.Concept{{ID: 1, Name: "being", Score: float64(len(ids)), Passages: len(ids)}}
}

var fakeRelations = []store.Relation{{Source: "being", Target: "time", Type: store.RelationCoOccurs, Weight: 2}}

func (f *fakeStore) Concepts(ctx context.Context, _ store.Scope, ids []int64, _ int) (found []store.Concept, err error) {
	err = f.statement(ctx, "concepts", func() { found = f.concepts(ids) })
	return found, err
}

func (f *fakeStore) Relations(ctx context.Context, _ store.Scope, _ []int64, _ int) (found []store.Relation, err error) {
	err = f.statement(ctx, "relations", func() { found = fakeRelations })
	return found, err
}

func (f *fakeStore) ConceptsRelations(ctx context.Context, _ store.Scope, ids []int64, _ int) (cs []store.Concept, rs []store.Relation, err error) {
	err = f.statement(ctx, "concepts_relations", func() { cs, rs = f.concepts(ids), fakeRelations })
	return cs, rs, err
}

func (f *fakeStore) SearchPage(ctx context.Context, sc store.Scope, q store.Query, p store.Page, details bool) (page store.MatchPage, err error) {
	err = f.statement(ctx, "search_page", func() {
		all := f.matches(sc, q)
		page = store.MatchPage{Matches: withDetails(cut(all, p), details), Total: len(all)}
	})
	return page, err
}

func withDetails(all []store.Match, details bool) []store.Match {
	all = slices.Clone(all)
	for i := range all {
		if !details {
			all[i].Content, all[i].Metadata = "", nil
		}
	}
	return all
}

func (f *fakeStore) SearchAfter(ctx context.Context, sc store.Scope, q store.Query, score float64, id int64, size int, details bool) (found []store.Match, err error) {
	err = f.statement(ctx, "search_after", func() {
		for _, m := range f.matches(sc, q) {
			if len(found) < size && cmp.Or(cmp.Compare(score, m.Score), cmp.Compare(m.ID, id)) > 0 {
				found = append(found, m)
			}
		}
		found = withDetails(found, details)
	})
	return found, err
}

func (f *fakeStore) Passage(ctx context.Context, sc store.Scope, id int64) (p store.Passage, err error) {
	var found []store.Passage
	if err := f.statement(ctx, "passage", func() { found = f.byID(sc, []int64{id}) }); err != nil {
		return p, err
	}
	if len(found) == 0 {
		return p, fmt.Errorf("passage %d: %w", id, store.ErrNotFound)
	}
	return found[0], nil
}

func (f *fakeStore) Passages(ctx context.Context, sc store.Scope, ids []int64) (found []store.Passage, err error) {
	err = f.statement(ctx, "passages", func() { found = f.byID(sc, ids) })
	return found, err
}

func (f *fakeStore) Books(ctx context.Context, _ store.Scope, p store.Page) (books []store.Book, total int, err error) {
	err = f.statement(ctx, "books", func() {
		books, total = cut([]store.Book{{ID: 1, Title: "Shared"}, {ID: 2, Title: "Own"}}, p), 2
	})
	return books, total, err
}

func (f *fakeStore) Book(ctx context.Context, _ store.Scope, id int64) (b store.Book, err error) {
	err = f.statement(ctx, "book", func() { b = store.Book{ID: id, Title: "Shared"} })
	return b, err
}

func (f *fakeStore) Totals(ctx context.Context, _ store.Scope) (books, passages int, err error) {
	err = f.statement(ctx, "totals", func() { books, passages = 1, len(f.passages) })
	return books, passages, err
}

func (f *fakeStore) Ingest(ctx context.Context, b store.NewBook) (done store.Ingested, err error) {
	err = f.statement(ctx, "ingest", func() {})
	if err == nil {
		for _, p := range b.Passages {
			done.PassageIDs = append(done.PassageIDs, f.add(b.Owner, p.Content))
		}
	}
	return done, err
}

func (f *fakeStore) DeleteBook(ctx context.Context, owner string, _ int64) error {
	return f.statement(ctx, "delete_book", func() {
		f.passages = slices.DeleteFunc(f.passages, func(p store.Passage) bool { return p.Owner == owner })
		f.commits++
		f.gens[owner] = f.commits
	})
}

func (f *fakeStore) Generation(_ context.Context, sc store.Scope) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.gens[""], f.gens[sc.Owner]), nil
}

func (f *fakeStore) Owns(_ context.Context, owner string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gens[owner] != 0 || slices.ContainsFunc(f.passages, func(p store.Passage) bool { return p.Owner == owner })
}

func (f *fakeStore) Ping(ctx context.Context) error { return f.statement(ctx, "ping", func() {}) }

// openFake returns a library over f that the test closes.
func openFake(t testing.TB, f *fakeStore, cfg Config) *Library {
	t.Helper()
	l, err := New(cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

var cached = Config{Cache: CacheConfig{Enabled: true}}

func ask(query string) SearchRequest {
	return SearchRequest{Query: query, Page: 1, PageSize: DefaultPageSize}
}

// mustSearch is Search that ends the test on an error.
func mustSearch(t testing.TB, l *Library, owner string, req SearchRequest) SearchResult {
	t.Helper()
	r, err := l.Search(t.Context(), store.Scope{Owner: owner}, req)
	if err != nil {
		t.Fatalf("Search(%q, %+v): %v", owner, req, err)
	}
	return r
}
