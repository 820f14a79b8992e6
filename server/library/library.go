// Package library is what TomeHub does: it searches the passages that a person
// may read, reads them, and takes in new books. It stands on a Store, which
// keeps the passages, and in front of it a cache whose entries are never stale:
// their keys hold the library's generation, which changes with every write.
package library

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/server/library/extract"
	"github.com/tomehub/tomehub/server/store"
)

// Store keeps the library. *store.SQLite and *store.Oracle do. All its methods may be called
// concurrently; every reading method sees nothing outside of its Scope.
type Store interface {
	// The five statements of a search before phase B.
	SearchIDs(ctx context.Context, sc store.Scope, q store.Query, p store.Page) ([]store.Match, error)
	Count(ctx context.Context, sc store.Scope, q store.Query) (int, error)
	Titles(ctx context.Context, sc store.Scope, ids []int64) ([]store.Passage, error)
	Concepts(ctx context.Context, sc store.Scope, ids []int64, max int) ([]store.Concept, error)
	Relations(ctx context.Context, sc store.Scope, ids []int64, max int) ([]store.Relation, error)

	// The two statements of a search from phase B on.
	SearchPage(ctx context.Context, sc store.Scope, q store.Query, p store.Page, details bool) (store.MatchPage, error)
	SearchAfter(ctx context.Context, sc store.Scope, q store.Query, afterScore float64, afterID int64, size int, details bool) ([]store.Match, error)
	ConceptsRelations(ctx context.Context, sc store.Scope, ids []int64, max int) ([]store.Concept, []store.Relation, error)

	Passage(ctx context.Context, sc store.Scope, id int64) (store.Passage, error)
	Passages(ctx context.Context, sc store.Scope, ids []int64) ([]store.Passage, error)
	Books(ctx context.Context, sc store.Scope, p store.Page) ([]store.Book, int, error)
	Book(ctx context.Context, sc store.Scope, id int64) (store.Book, error)
	Totals(ctx context.Context, sc store.Scope) (books, passages int, err error)

	Ingest(ctx context.Context, b store.NewBook) (store.Ingested, error)
	DeleteBook(ctx context.Context, owner string, id int64) error

	// Generation is a number that changes after the commit, and before the return,
	// of every write that the scope can see.
	Generation(ctx context.Context, sc store.Scope) (int64, error)
	// Owns tells whether owner may have stored anything. It asks nothing of the database, and
	// follows the owner's first commit as Generation does.
	Owns(ctx context.Context, owner string) bool
	Ping(ctx context.Context) error
}

// Access is how a search asks the store.
type Access int

const (
	// TwoStatements asks for the matches with their details and their count in one
	// statement, and for concepts with relations in another. Phase B and later.
	TwoStatements Access = iota
	// FiveStatements asks for match ids, count, titles, concepts and relations one
	// after the other, and for the details of each match by a statement of its own,
	// as the plan found it. Baseline and phase A.
	FiveStatements
)

func (a Access) String() string {
	switch a {
	case TwoStatements:
		return "two-statements"
	case FiveStatements:
		return "five-statements"
	}
	return fmt.Sprintf("Access(%d)", int(a))
}

// Config says how a library works. The zero Config is a library of two
// statements per search without a cache; zero numbers mean the defaults.
type Config struct {
	Access Access
	Cache  CacheConfig
	// Degrade answers a search without concepts and relations when those cannot be had, or when
	// Crowded says that the store is better spared. Cache.StaleFor goes one step further.
	Degrade bool
	// Crowded reports that many wait for the store; nil: never.
	Crowded func() bool
	// Condition says how the store is; nil: sound.
	Condition func() Condition
	// LoadTimeout bounds the statements of one cache miss. They run cut off from the
	// caller's context, because others may have joined. Default 30 s.
	LoadTimeout time.Duration
	Ingest      IngestConfig
	Extract     extract.Limits
	// CursorKey signs the cursors of deep pages, so that one is told from an invented
	// one. Replicas behind one address need the same. May be empty: a cursor grants
	// nothing that its holder could not search for, so it then is only checked for damage.
	CursorKey []byte
	Logger    *slog.Logger // nil discards
	// Traced says that contexts may carry spans, so that looks into the cache get theirs. Off, a hit does not even ask.
	Traced bool
}

const defaultLoadTimeout = 30 * time.Second

// Library searches, reads and takes in books. It is safe for concurrent use.
type Library struct {
	cfg    Config
	store  Store
	cache  *cache
	ingest *ingestGate
	log    *slog.Logger
}

// New returns a library over st. It reports every fault of cfg at once. Close
// releases what the library itself started; st stays the caller's.
func New(cfg Config, st Store) (*Library, error) {
	var faults []error
	if cfg.Access != TwoStatements && cfg.Access != FiveStatements {
		faults = append(faults, fmt.Errorf("access %d: must be TwoStatements or FiveStatements", int(cfg.Access)))
	}
	if cfg.LoadTimeout < 0 {
		faults = append(faults, fmt.Errorf("load timeout %v: must not be negative", cfg.LoadTimeout))
	}
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = defaultLoadTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	gate, err := newIngestGate(cfg.Ingest)
	faults = append(faults, err, cfg.Cache.validate())
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	c, err := newCache(cfg)
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	l := &Library{cfg: cfg, store: st, cache: c, ingest: gate, log: cfg.Logger}
	return l, nil
}

// Close stops the cache's housekeeping and closes its second level. Searches
// still under way end as they would have.
func (l *Library) Close() error { return l.cache.close() }

// Content returns one passage, or store.ErrNotFound.
func (l *Library) Content(ctx context.Context, sc store.Scope, id int64) (store.Passage, error) {
	if id < 1 {
		return store.Passage{}, fmt.Errorf("read passage %d: %w", id, store.ErrNotFound)
	}
	sc, gen, err := l.sees(ctx, sc)
	if err != nil {
		return store.Passage{}, fmt.Errorf("read passage %d: %w", id, err)
	}
	k := passageKey(sc, gen, id)
	if p, ok := lookup[passage](l.cache, k); ok {
		l.cache.saw(ctx, k, hit)
		return p.Passage, nil
	}
	p, _, err := fetch(ctx, l.cache, k, nil, func(ctx context.Context) (passage, error) {
		p, err := l.store.Passage(ctx, sc, id)
		return passage{p}, err
	})
	if err != nil {
		return store.Passage{}, fmt.Errorf("read passage %d: %w", id, err)
	}
	return p.Passage, nil
}

// MaxBatch is how many ids one Batch may ask for.
const MaxBatch = 1000

// Batch returns the passages of 1 to MaxBatch ids by at most one statement:
// found in the order of ids, an id that is there twice twice; unknown ids, each
// once, in the order of their first place. A passage that the scope may not see
// is unknown. Of concurrent batches one asks for each passage, the others wait for it.
func (l *Library) Batch(ctx context.Context, sc store.Scope, ids []int64) (found []store.Passage, unknown []int64, err error) {
	switch {
	case len(ids) == 0:
		return nil, nil, badInput(CodeIDsEmpty, "ids is empty: want 1 to %d ids", MaxBatch)
	case len(ids) > MaxBatch:
		return nil, nil, badInput(CodeIDsTooMany, "ids has %d ids: want 1 to %d", len(ids), MaxBatch)
	}
	sc, gen, err := l.sees(ctx, sc)
	if err != nil {
		return nil, nil, fmt.Errorf("read %d passages: %w", len(ids), err)
	}
	byID, err := l.passages(ctx, sc, gen, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("read %d passages: %w", len(ids), err)
	}
	found = make([]store.Passage, 0, len(ids))
	unknown = []int64{}
	said := map[int64]bool{}
	for _, id := range ids {
		if p, ok := byID[id]; ok {
			found = append(found, p)
		} else if !said[id] {
			said[id] = true
			unknown = append(unknown, id)
		}
	}
	return found, unknown, nil
}

// passages returns the passages of those ids that the scope can see.
func (l *Library) passages(ctx context.Context, sc store.Scope, gen int64, ids []int64) (map[int64]store.Passage, error) {
	byID := make(map[int64]store.Passage, len(ids))
	asked := make(map[int64]bool, len(ids))
	var missing []int64
	for _, id := range ids {
		if id < 1 || asked[id] {
			continue
		}
		asked[id] = true
		if p, ok := lookup[passage](l.cache, passageKey(sc, gen, id)); ok {
			byID[id] = p.Passage
		} else {
			missing = append(missing, id)
		}
	}
	if found := len(byID); found > 0 {
		l.cache.sawMany(ctx, classContent, found)
	}
	if len(missing) == 0 {
		return byID, nil
	}
	keys := make([]key, len(missing))
	for i, id := range missing {
		keys[i] = passageKey(sc, gen, id)
	}
	loaded, err := fetchAll(ctx, l.cache, keys, func(ctx context.Context, keys []key) (map[key]passage, error) {
		want := make([]int64, len(keys))
		for i, k := range keys {
			want[i] = k.a
		}
		ps, err := l.store.Passages(ctx, sc, want)
		out := make(map[key]passage, len(ps))
		for _, p := range ps {
			out[passageKey(sc, gen, p.ID)] = passage{p}
		}
		return out, err
	})
	if err != nil {
		return nil, err
	}
	for k, p := range loaded {
		byID[k.a] = p.Passage
	}
	return byID, nil
}

// BookPage is a page of the books that a scope can see.
type BookPage struct {
	Books      []store.Book `json:"books"`
	TotalCount int          `json:"total_count"`
	Page       int          `json:"page"`
	PageSize   int          `json:"page_size"`
	TotalPages int          `json:"total_pages"`
	HasNext    bool         `json:"has_next"`
}

// maxBookDepth is how many books page numbers reach.
const maxBookDepth = 1_000_000

// Books lists the books of the scope, in the store's order. page counts from 1,
// pageSize is 1 to MaxPageSize.
func (l *Library) Books(ctx context.Context, sc store.Scope, page, pageSize int) (BookPage, error) {
	if err := checkPage(page, pageSize, maxBookDepth); err != nil {
		return BookPage{}, err
	}
	sc, gen, err := l.sees(ctx, sc)
	if err != nil {
		return BookPage{}, fmt.Errorf("list books: %w", err)
	}
	k := key{class: classDefault, kind: kindBooks, owner: sc.Owner, gen: gen, a: int64(page), b: int64(pageSize)}
	b, _, err := fetch(ctx, l.cache, k, nil, func(ctx context.Context) (bookPage, error) {
		books, total, err := l.store.Books(ctx, sc, store.Page{Number: page, Size: pageSize})
		return bookPage{books, total}, err
	})
	if err != nil {
		return BookPage{}, fmt.Errorf("list books: %w", err)
	}
	out := BookPage{Books: b.books, TotalCount: b.total, Page: page, PageSize: pageSize}
	if out.Books == nil {
		out.Books = []store.Book{}
	}
	out.TotalPages = pagesOf(b.total, pageSize)
	out.HasNext = page < out.TotalPages
	return out, nil
}

// Book returns one book that the scope can see, or store.ErrNotFound.
func (l *Library) Book(ctx context.Context, sc store.Scope, id int64) (store.Book, error) {
	sc, gen, err := l.sees(ctx, sc)
	if err != nil {
		return store.Book{}, fmt.Errorf("read book %d: %w", id, err)
	}
	k := key{class: classDefault, kind: kindBook, owner: sc.Owner, gen: gen, a: id}
	b, _, err := fetch(ctx, l.cache, k, nil, func(ctx context.Context) (bookPage, error) {
		b, err := l.store.Book(ctx, sc, id)
		return bookPage{books: []store.Book{b}}, err
	})
	if err != nil {
		return store.Book{}, fmt.Errorf("read book %d: %w", id, err)
	}
	return b.books[0], nil
}

// DeleteBook removes a book of the owner's own with everything in it. A book of
// the shared library, which the owner can read, is ErrNotYours; one of somebody
// else is store.ErrNotFound, as if it were not there.
func (l *Library) DeleteBook(ctx context.Context, owner string, id int64) error {
	err := l.store.DeleteBook(ctx, owner, id)
	if errors.Is(err, store.ErrNotFound) {
		if b, readErr := l.Book(ctx, store.Scope{Owner: owner}, id); readErr == nil && b.Owner != owner {
			err = ErrNotYours
		}
	}
	if err != nil {
		return fmt.Errorf("delete book %d: %w", id, err)
	}
	return nil
}

// Totals counts the books and passages that the scope can see.
func (l *Library) Totals(ctx context.Context, sc store.Scope) (books, passages int, err error) {
	sc, gen, err := l.sees(ctx, sc)
	if err != nil {
		return 0, 0, fmt.Errorf("count the library: %w", err)
	}
	k := key{class: classDefault, kind: kindTotals, owner: sc.Owner, gen: gen}
	t, _, err := fetch(ctx, l.cache, k, nil, func(ctx context.Context) (totals, error) {
		books, passages, err := l.store.Totals(ctx, sc)
		return totals{books, passages}, err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count the library: %w", err)
	}
	return t.books, t.passages, nil
}

// Ping asks the store for a sign of life, past the cache.
func (l *Library) Ping(ctx context.Context) error {
	if err := l.store.Ping(ctx); err != nil {
		return fmt.Errorf("ping the library: %w", err)
	}
	return nil
}

// CacheStats returns the state of the query cache.
func (l *Library) CacheStats() CacheStats { return l.cache.stats() }
