package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tomehub/tomehub/server/store"
)

// Bounds of a search.
const (
	DefaultPageSize = 50
	MaxPageSize     = 1000
	MaxQueryBytes   = 16 << 10
	// MaxDepth is how far page numbers reach: page × page size. Every page scores
	// all matches and skips those before it, so pages far down cost more and more
	// for what nobody reads; who does read them all follows the cursor.
	MaxDepth = 10_000
)

// maxRelated is how many concepts, and how many relations, a search answers with.
const maxRelated = 10

// SearchRequest asks for one page of matches. Callers set Page and PageSize
// themselves (1 and DefaultPageSize when their client said nothing), so that a
// client's page 0 is refused and not taken for no page.
type SearchRequest struct {
	Query          string
	Page           int // from 1; Page × PageSize at most MaxDepth
	PageSize       int // 1 to MaxPageSize
	IncludeDetails bool
	// Cursor is the NextCursor of the page before; Page is then 0, or the page that
	// the cursor leads to. It holds for the query, the page size and the user it was
	// given to, until the library changes.
	Cursor string
}

// SearchResult is one page of matches. It may be shared with other callers:
// nothing in it may be changed. Its JSON is written by AppendJSON.
type SearchResult struct {
	Query           string   `json:"query"` // as asked
	Results         []Result `json:"results"`
	TotalCount      int      `json:"total_count"` // exact, of all pages
	Page            int      `json:"page"`        // by cursor: the page that its first match would be on
	PageSize        int      `json:"page_size"`
	TotalPages      int      `json:"total_pages"`
	HasNext         bool     `json:"has_next"`
	NextCursor      string   `json:"next_cursor,omitempty"` // with HasNext: leads to the next page, however deep
	ExecutionTimeMS float64  `json:"execution_time_ms"`
	CacheHit        bool     `json:"cache_hit"`                 // nothing was asked of the database, nor waited for
	Mode            Mode     `json:"mode"`                      // less than full when the database is in trouble
	Stale           bool     `json:"stale,omitempty"`           // with ModeCached: it may be older than the cache's times allow
	QueryTruncated  bool     `json:"query_truncated,omitempty"` // only the first store.MaxQueryWords words were searched for

	// What the matches of this page are about: the concepts that weigh most in them
	// and the relations between concepts, at most ten each.
	Concepts  []store.Concept  `json:"concepts"`
	Relations []store.Relation `json:"relations"`

	page    *searchPage
	related *related
}

// Result is one match. Content, SourceType and Metadata are there with
// SearchRequest.IncludeDetails only. An unknown page number is null in JSON.
type Result struct {
	ID         int64           `json:"id"`
	Title      string          `json:"title"`
	Score      float64         `json:"score"` // BM25, higher is better
	BookID     int64           `json:"book_id"`
	PageNumber *int            `json:"page_number"`
	Content    string          `json:"content,omitempty"`
	SourceType string          `json:"source_type,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitzero"` // an object
}

func newResult(m store.Match, details bool) Result {
	r := Result{ID: m.ID, Title: m.Title, Score: m.Score, BookID: m.BookID}
	if n := m.PageNumber; n > 0 {
		r.PageNumber = &n
	}
	if details {
		r.Content, r.SourceType, r.Metadata = m.Content, m.SourceType, m.Metadata
		if r.Metadata == nil {
			r.Metadata = noMetadata
		}
	}
	return r
}

// A search is a checked request: what to ask the store for, and of which
// generation.
type search struct {
	scope     store.Scope
	query     store.Query
	canonical string
	gen       int64
	page      int
	size      int
	details   bool
	after     *cursor // nil: by page number
}

func (s search) key() key {
	k := key{class: classContent, kind: kindPage, owner: s.scope.Owner, gen: s.gen, text: s.canonical, details: s.details, a: int64(s.page), b: int64(s.size)}
	if s.after != nil {
		k.kind, k.a, k.b, k.c = kindAfter, s.after.scoreBits(), s.after.id, int64(s.size)
	}
	return k
}

// Search returns one page of the passages that hold every word of the query, best
// first. A fault of the request is a *BadInput.
func (l *Library) Search(ctx context.Context, sc store.Scope, req SearchRequest) (SearchResult, error) {
	start := time.Now()
	s, err := l.check(ctx, sc, req)
	if err != nil {
		return SearchResult{}, err
	}
	page, from, err := l.searchPage(ctx, s)
	if err != nil {
		return SearchResult{}, fmt.Errorf("search the library: %w", err)
	}
	rel, relFrom, err := l.related(ctx, s, page)
	mode := ModeFull
	switch {
	case err != nil && (!l.cfg.Degrade || !couldNotAsk(err)):
		return SearchResult{}, fmt.Errorf("relate the matches: %w", err)
	case err != nil:
		rel, relFrom, mode = noneRelated, hit, ModeKeyword
	case relFrom == skipped:
		mode = ModeKeyword
	}
	if from == stale || relFrom == stale {
		mode = ModeCached
	}
	total := page.total
	if s.after != nil {
		total = int(s.after.total)
	}
	r := SearchResult{
		Query: req.Query, QueryTruncated: s.query.Truncated,
		Results: page.results, TotalCount: total,
		Page: s.page, PageSize: s.size, TotalPages: pagesOf(total, s.size),
		CacheHit: !from.asked() && !relFrom.asked(),
		Mode:     mode, Stale: mode == ModeCached,
		Concepts: rel.concepts, Relations: rel.relations,
		page: page, related: rel,
	}
	r.HasNext, r.NextCursor = l.next(s, page, total)
	r.ExecutionTimeMS = float64(time.Since(start)) / float64(time.Millisecond)
	l.logSearch(ctx, s, r)
	return r, nil
}

// check turns a request into a search, or says what is wrong with it.
func (l *Library) check(ctx context.Context, sc store.Scope, req SearchRequest) (search, error) {
	s := search{scope: sc, page: req.Page, size: req.PageSize, details: req.IncludeDetails}
	switch {
	case len(req.Query) > MaxQueryBytes:
		return s, badInput(CodeQueryTooLong, "query has %d bytes: want at most %d", len(req.Query), MaxQueryBytes)
	case strings.TrimSpace(req.Query) == "":
		return s, badInput(CodeQueryEmpty, "query is empty: want a word to search for")
	}
	var err error
	if s.query, err = store.ParseQuery(req.Query); errors.Is(err, store.ErrNoTerms) {
		return s, badInput(CodeQueryNoWords, "query has neither a letter nor a digit: want a word to search for")
	} else if err != nil {
		return s, fmt.Errorf("read query: %w", err)
	}
	s.canonical = s.query.String()
	depth := MaxDepth
	if req.Cursor != "" {
		s.page, depth = 1, MaxPageSize // the page number is the cursor's
	}
	if err := checkPage(s.page, s.size, depth); err != nil {
		return s, err
	}
	if s.scope, s.gen, err = l.sees(ctx, sc); err != nil {
		return s, err
	}
	if req.Cursor != "" {
		if s.after, err = l.openCursor(req.Cursor, s); err != nil {
			return s, err
		}
		s.page = int(s.after.position/int64(s.size)) + 1
		if req.Page != 0 && req.Page != s.page {
			return s, badInput(CodeConflict, "page is %d, but cursor leads to page %d: give the cursor without a page", req.Page, s.page)
		}
	}
	return s, nil
}

// checkPage refuses pages that are none, or end beyond depth results.
func checkPage(page, size, depth int) error {
	switch {
	case size < 1 || size > MaxPageSize:
		return badInput(CodePageSizeRange, "page_size is %d: want 1 to %d", size, MaxPageSize)
	case page < 1:
		return badInput(CodePageRange, "page is %d: want at least 1", page)
	case page > depth/size:
		further := ""
		if depth == MaxDepth {
			further = "; follow next_cursor from page to page to read further"
		}
		return badInput(CodePageTooDeep, "page is %d: want at most %d with a page_size of %d (%d results)%s", page, depth/size, size, depth, further)
	}
	return nil
}

func pagesOf(total, size int) int { return (total + size - 1) / size }

// next says whether matches follow the page, and the cursor to them.
func (l *Library) next(s search, page *searchPage, total int) (bool, string) {
	before := int64(s.page-1) * int64(s.size)
	if s.after != nil {
		before = s.after.position
	}
	seen := before + int64(s.size)
	if seen >= int64(total) || len(page.results) == 0 {
		return false, ""
	}
	// A page by its number has one cursor, and sealing it costs as much as the rest of a
	// hit. One by a cursor is shared by cursors of other positions, which anybody can make.
	if s.after == nil {
		if sealed := page.next.Load(); sealed != nil {
			return true, *sealed
		}
	}
	last := page.results[len(page.results)-1]
	sealed := l.sealCursor(cursor{gen: s.gen, position: seen, total: int64(total), score: last.Score, id: last.ID}, s)
	if s.after == nil {
		page.next.Store(&sealed)
	}
	return true, sealed
}

// logSearch writes at debug level only: the text of a query is its user's own.
func (l *Library) logSearch(ctx context.Context, s search, r SearchResult) {
	if !l.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	message := "Search cache MISS"
	if r.CacheHit {
		message = "Search cache HIT"
	}
	l.log.LogAttrs(ctx, slog.LevelDebug, message, slog.String("query", s.canonical), slog.Int("page", s.page),
		slog.Int("matches", r.TotalCount), slog.Float64("execution_ms", r.ExecutionTimeMS))
}
