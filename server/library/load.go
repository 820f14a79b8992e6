package library

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/tomehub/tomehub/server/store"
)

// A searchPage is what the cache keeps of a page of matches.
type searchPage struct {
	results []Result
	total   int
	json    []byte // of results, so that a hit encodes nothing
	ids     string // packed, the key to what is related
	bytes   int
	next    atomic.Pointer[string] // the cursor behind it, for a page by its number; nil until asked for
}

func newSearchPage(results []Result, total int) (*searchPage, error) {
	if results == nil {
		results = []Result{}
	}
	encoded, err := encodeResults(results)
	if err != nil {
		return nil, err
	}
	ids := make([]byte, 0, 8*len(results))
	p := &searchPage{results: results, total: total, json: encoded}
	for _, r := range results {
		ids = binary.BigEndian.AppendUint64(ids, uint64(r.ID))
	}
	p.ids = string(ids)
	// What JSON shows of a result, it shows once; the structs hold it once more,
	// with about 150 bytes of headers each, more with metadata.
	p.bytes = 2*len(p.json) + 150*len(results) + len(p.ids) + 128 // the cursor
	return p, nil
}

func (p *searchPage) size() int { return p.bytes }

// related is what the matches of a page are about.
type related struct {
	concepts      []store.Concept
	relations     []store.Relation
	conceptsJSON  []byte
	relationsJSON []byte
}

func newRelated(concepts []store.Concept, relations []store.Relation) (*related, error) {
	r := &related{concepts: concepts, relations: relations}
	if r.concepts == nil {
		r.concepts = []store.Concept{}
	}
	if r.relations == nil {
		r.relations = []store.Relation{}
	}
	var err, err2 error
	r.conceptsJSON, err = encodeConcepts(r.concepts)
	r.relationsJSON, err2 = encodeRelations(r.relations)
	return r, errors.Join(err, err2)
}

func (r *related) size() int {
	return 2*(len(r.conceptsJSON)+len(r.relationsJSON)) + 64*(len(r.concepts)+len(r.relations))
}

var noneRelated = &related{concepts: []store.Concept{}, relations: []store.Relation{}, conceptsJSON: []byte("[]"), relationsJSON: []byte("[]")}

// What else the cache keeps.
type (
	passage  struct{ store.Passage }
	bookPage struct {
		books []store.Book
		total int
	}
	totals struct{ books, passages int }
)

func (p passage) size() int {
	n := 256 + len(p.Owner) + len(p.Title) + len(p.Content) + len(p.SourceType) + len(p.Chapter) + len(p.Metadata)
	return n
}

func (b bookPage) size() int {
	n := 64
	for _, book := range b.books {
		n += 192 + len(book.Owner) + len(book.Title) + len(book.Author) + len(book.SourceType) + len(book.Hash)
	}
	return n
}

func (totals) size() int { return 16 }

func passageKey(sc store.Scope, gen, id int64) key {
	return key{class: classContent, kind: kindPassage, owner: sc.Owner, gen: gen, a: id}
}

// searchPage returns the matches of a search, from the cache or the store.
func (l *Library) searchPage(ctx context.Context, s search) (*searchPage, source, error) {
	k := s.key()
	if p, ok := lookup[*searchPage](l.cache, k); ok {
		l.cache.saw(ctx, k, hit)
		return p, hit, nil
	}
	return fetch(ctx, l.cache, k, pageCodec, func(ctx context.Context) (*searchPage, error) {
		switch {
		case s.after != nil:
			return l.loadAfter(ctx, s)
		case l.cfg.Access == FiveStatements:
			return l.loadByThree(ctx, s)
		}
		return l.loadPage(ctx, s)
	})
}

// loadPage asks for matches, details and count in one statement.
func (l *Library) loadPage(ctx context.Context, s search) (*searchPage, error) {
	found, err := l.store.SearchPage(ctx, s.scope, s.query, store.Page{Number: s.page, Size: s.size}, s.details)
	if err != nil {
		return nil, err
	}
	return pageOf(found.Matches, found.Total, s.details)
}

// loadAfter asks for the matches behind a cursor in one statement, whatever the
// access: the plan had no cursors. The count is the cursor's.
func (l *Library) loadAfter(ctx context.Context, s search) (*searchPage, error) {
	matches, err := l.store.SearchAfter(ctx, s.scope, s.query, s.after.score, s.after.id, s.size, s.details)
	if err != nil {
		return nil, err
	}
	return pageOf(matches, 0, s.details)
}

func pageOf(matches []store.Match, total int, details bool) (*searchPage, error) {
	results := make([]Result, len(matches))
	for i, m := range matches {
		results[i] = newResult(m, details)
	}
	return newSearchPage(results, total)
}

// loadByThree asks for ids, count and titles, one after the other, and for the
// details of each match by itself: the plan's "before". A passage that is deleted
// between two of the statements is left out.
func (l *Library) loadByThree(ctx context.Context, s search) (*searchPage, error) {
	matches, err := l.store.SearchIDs(ctx, s.scope, s.query, store.Page{Number: s.page, Size: s.size})
	if err != nil {
		return nil, err
	}
	total, err := l.store.Count(ctx, s.scope, s.query)
	if err != nil {
		return nil, err
	}
	if len(matches) == 0 {
		return newSearchPage(nil, total)
	}
	ids := make([]int64, len(matches))
	for i, m := range matches {
		ids[i] = m.ID
	}
	titled, err := l.store.Titles(ctx, s.scope, ids)
	if err != nil {
		return nil, err
	}
	titles := make(map[int64]store.Passage, len(titled))
	for _, p := range titled {
		titles[p.ID] = p
	}
	results := make([]Result, 0, len(matches))
	for _, m := range matches {
		p, ok := titles[m.ID]
		if ok && s.details {
			if p, err = l.store.Passage(ctx, s.scope, m.ID); errors.Is(err, store.ErrNotFound) {
				ok = false
			} else if err != nil {
				return nil, err
			}
		}
		if ok {
			results = append(results, newResult(store.Match{Passage: p, Score: m.Score}, s.details))
		}
	}
	return newSearchPage(results, total)
}

// related returns what the matches of a page are about, and how it was come by. Pages with the
// same matches share it, with and without details. A page without matches asks nothing.
func (l *Library) related(ctx context.Context, s search, page *searchPage) (*related, source, error) {
	if len(page.results) == 0 {
		return noneRelated, hit, nil
	}
	k := key{class: classConcepts, kind: kindRelated, owner: s.scope.Owner, gen: s.gen, text: page.ids}
	if l.cfg.Access == FiveStatements {
		return l.relatedByTwo(ctx, s, k, page)
	}
	if r, ok := lookup[*related](l.cache, k); ok {
		l.cache.saw(ctx, k, hit)
		return r, hit, nil
	}
	if l.cfg.Degrade && l.cfg.Crowded != nil && l.cfg.Crowded() {
		l.cache.saw(ctx, k, skipped)
		return noneRelated, skipped, nil
	}
	return fetch(ctx, l.cache, k, relatedCodec, func(ctx context.Context) (*related, error) {
		concepts, relations, err := l.store.ConceptsRelations(ctx, s.scope, idsOf(page), maxRelated)
		if err != nil {
			return nil, err
		}
		return newRelated(concepts, relations)
	})
}

// relatedByTwo asks for concepts and relations one after the other.
func (l *Library) relatedByTwo(ctx context.Context, s search, k key, page *searchPage) (*related, source, error) {
	k.kind = kindConcepts
	concepts, fromC, err := fetch(ctx, l.cache, k, relatedCodec, func(ctx context.Context) (*related, error) {
		concepts, err := l.store.Concepts(ctx, s.scope, idsOf(page), maxRelated)
		if err != nil {
			return nil, err
		}
		return newRelated(concepts, nil)
	})
	if err != nil {
		return nil, loaded, err
	}
	k.class, k.kind = classRelations, kindRelations
	relations, fromR, err := fetch(ctx, l.cache, k, relatedCodec, func(ctx context.Context) (*related, error) {
		relations, err := l.store.Relations(ctx, s.scope, idsOf(page), maxRelated)
		if err != nil {
			return nil, err
		}
		return newRelated(nil, relations)
	})
	if err != nil {
		return nil, loaded, err
	}
	both := *concepts
	both.relations, both.relationsJSON = relations.relations, relations.relationsJSON
	if fromC == stale || fromC.asked() && fromR != stale {
		return &both, fromC, nil
	}
	return &both, fromR, nil
}

func idsOf(p *searchPage) []int64 {
	ids := make([]int64, len(p.results))
	for i, r := range p.results {
		ids[i] = r.ID
	}
	return ids
}
