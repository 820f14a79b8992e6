package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tomehub/tomehub/internal/pool"
)

// SearchIDs returns a page of matches, best first, with ID and Score alone. A
// page has at most MaxIDs matches.
func (s *core) SearchIDs(ctx context.Context, scope Scope, q Query, page Page) ([]Match, error) {
	offset, err := page.offset(MaxIDs)
	if err != nil {
		return nil, err
	}
	words, err := s.text(q)
	if err != nil {
		return nil, err
	}
	lo, hi, _ := s.span(ctx, scope)
	var found []Match
	err = s.read(ctx, s.reads.searchIDs, queryText(words), func(r *pool.Rows) error {
		var m Match
		err := r.Scan(&m.ID, &m.Score)
		m.Owner = scope.ownerOf(m.ID)
		found = append(found, m)
		return err
	}, sql.Named("query", words), sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("page_size", page.Size), sql.Named("offset", offset))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Count returns how many passages match, exactly.
func (s *core) Count(ctx context.Context, scope Scope, q Query) (n int, err error) {
	words, err := s.text(q)
	if err != nil {
		return 0, err
	}
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.reads.count, queryText(words), func(r *pool.Rows) error {
		return r.Scan(&n)
	}, sql.Named("query", words), sql.Named("lo", lo), sql.Named("hi", hi))
	return n, err
}

// SearchPage returns a page of matches, best first, and how many there are in
// all, by one statement. With details the matches carry their texts and
// metadata; without, everything else. A page past the last match is empty, its
// total is exact all the same. A page has at most MaxPageSize matches.
func (s *core) SearchPage(ctx context.Context, scope Scope, q Query, page Page, details bool) (MatchPage, error) {
	offset, err := page.offset(MaxPageSize)
	if err != nil {
		return MatchPage{}, err
	}
	words, err := s.text(q)
	if err != nil {
		return MatchPage{}, err
	}
	st := s.pageStatement(q, details)
	lo, hi, _ := s.span(ctx, scope)
	var found MatchPage
	var c matchColumns
	dest := c.dest(details)
	err = s.read(ctx, st, queryText(words), func(r *pool.Rows) error {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		found.Total = c.total
		if !c.id.Valid {
			return nil // no match on this page
		}
		m, err := c.match(scope)
		found.Matches = append(found.Matches, m)
		return err
	}, sql.Named("query", words), sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("page_size", page.Size), sql.Named("offset", offset))
	if err != nil {
		return MatchPage{}, err
	}
	return found, nil
}

// SearchAfter returns the at most size matches that follow the match (afterScore,
// afterID) in the order of SearchPage, by one statement. It takes the score that
// match has now; afterScore counts when the passage matches no longer. At most
// MaxPageSize matches.
func (s *core) SearchAfter(ctx context.Context, scope Scope, q Query, afterScore float64, afterID int64, size int, details bool) ([]Match, error) {
	if _, err := (Page{Number: 1, Size: size}).offset(MaxPageSize); err != nil {
		return nil, err
	}
	words, err := s.text(q)
	if err != nil {
		return nil, err
	}
	st := s.reads.searchAfter
	if details {
		st = s.reads.searchAfterDetails
	}
	lo, hi, _ := s.span(ctx, scope)
	var found []Match
	var c matchColumns
	dest := c.dest(details)[1:] // no total
	err = s.read(ctx, st, queryText(words), func(r *pool.Rows) error {
		if err := r.Scan(dest...); err != nil {
			return err
		}
		m, err := c.match(scope)
		found = append(found, m)
		return err
	}, sql.Named("query", words), sql.Named("lo", lo), sql.Named("hi", hi),
		sql.Named("after_id", afterID), sql.Named("after_score", afterScore), sql.Named("page_size", size))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// pageStatement chooses the cheaper of two ways to the same page: words are
// looked up twice, for the page and for the total, which costs a twentieth of
// ranking them; looking a phrase up costs half of it, so its matches are kept.
func (s *core) pageStatement(q Query, details bool) *statement {
	phrase := slices.ContainsFunc(q.Terms, func(t Term) bool { return len(t.Words) > 1 })
	switch {
	case phrase && details:
		return s.reads.searchPhraseDetails
	case phrase:
		return s.reads.searchPhrase
	case details:
		return s.reads.searchPageDetails
	default:
		return s.reads.searchPage
	}
}

// matchColumns are those of the search_page and search_phrase statements,
// all NULL but the total when the page has no match.
type matchColumns struct {
	total                                         int
	id, bookID, seq, pageNumber                   sql.NullInt64
	score                                         sql.NullFloat64
	title, sourceType, chapter, content, metadata sql.NullString
}

func (c *matchColumns) dest(details bool) []any {
	dest := []any{&c.total, &c.id, &c.score, &c.bookID, &c.seq, &c.pageNumber, &c.title, &c.sourceType, &c.chapter}
	if details {
		dest = append(dest, &c.content, &c.metadata)
	}
	return dest
}

func (c *matchColumns) match(scope Scope) (Match, error) {
	metadata, err := readMetadata(c.id.Int64, c.metadata)
	return Match{
		Score: c.score.Float64,
		Passage: Passage{
			ID: c.id.Int64, BookID: c.bookID.Int64, Owner: scope.ownerOf(c.id.Int64),
			Title: c.title.String, Content: c.content.String, SourceType: c.sourceType.String,
			PageNumber: int(c.pageNumber.Int64), Chapter: c.chapter.String, Seq: int(c.seq.Int64),
			Metadata: metadata,
		},
	}, err
}

// Concepts returns the concepts of the passages with these ids, the greatest sum
// of weights first, equal sums in alphabetical order, and no more than most of them.
// Concepts of the same name, in the shared library and in the owner's, are one.
func (s *core) Concepts(ctx context.Context, scope Scope, ids []int64, most int) (found []Concept, err error) {
	list, err := conceptArgs(ids, most)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	lo, hi, _ := s.span(ctx, scope)
	err = s.read(ctx, s.reads.concepts, "", func(r *pool.Rows) error {
		var c Concept
		err := r.Scan(&c.ID, &c.Name, &c.Score, &c.Passages)
		found = append(found, c)
		return err
	}, sql.Named("ids", s.list(list)), sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("most", most))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Relations returns the relations among the concepts that Concepts returns for
// the same arguments, the greatest weight first, equal ones in alphabetical order.
func (s *core) Relations(ctx context.Context, scope Scope, ids []int64, most int) (found []Relation, err error) {
	list, err := conceptArgs(ids, most)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	lo, hi, number := s.span(ctx, scope)
	err = s.read(ctx, s.reads.relations, "", func(r *pool.Rows) error {
		var one Relation
		err := r.Scan(&one.Source, &one.Target, &one.Type, &one.Weight)
		found = append(found, one)
		return err
	}, sql.Named("ids", s.list(list)), sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("owner", number), sql.Named("most", most))
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ConceptsRelations returns what Concepts and Relations return, by one statement.
func (s *core) ConceptsRelations(ctx context.Context, scope Scope, ids []int64, most int) (concepts []Concept, relations []Relation, err error) {
	list, err := conceptArgs(ids, most)
	if err != nil || len(ids) == 0 {
		return nil, nil, err
	}
	lo, hi, number := s.span(ctx, scope)
	err = s.read(ctx, s.reads.conceptsRelations, "", func(r *pool.Rows) error {
		var kind, name string
		var target, typ text
		var id int64
		var weight float64
		var passages int
		if err := r.Scan(&kind, &id, &name, &target, &typ, &weight, &passages); err != nil {
			return err
		}
		if kind == "concept" {
			concepts = append(concepts, Concept{ID: id, Name: name, Score: weight, Passages: passages})
		} else {
			relations = append(relations, Relation{Source: name, Target: string(target), Type: string(typ), Weight: weight})
		}
		return nil
	}, sql.Named("ids", s.list(list)), sql.Named("lo", lo), sql.Named("hi", hi), sql.Named("owner", number), sql.Named("most", most))
	if err != nil {
		return nil, nil, err
	}
	return concepts, relations, nil
}

func conceptArgs(ids []int64, most int) (string, error) {
	if most < 1 {
		return "", fmt.Errorf("%d concepts asked for: must be at least 1", most)
	}
	if most > MaxConcepts {
		return "", fmt.Errorf("%d concepts asked for: %w, at most %d", most, ErrTooMany, MaxConcepts)
	}
	if len(ids) > MaxPageSize {
		return idList(ids, MaxPageSize)
	}
	once := slices.Clone(ids)
	slices.Sort(once)
	return idList(slices.Compact(once), MaxPageSize) // an id given twice weighs once
}
