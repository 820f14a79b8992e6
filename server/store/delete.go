package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tomehub/tomehub/internal/pool"
)

// DeleteBook deletes a book of owner's own, with its passages, their index
// entries and concept links, its relations, and the concepts that no other book
// carries. It returns ErrNotFound for a book that does not exist or is not
// owner's own; owner "" deletes from the shared library. As with Ingest, ctx
// bounds it, not the pools' bound on statements: what could be stored can be deleted.
func (s *SQLite) DeleteBook(ctx context.Context, owner string, id int64) error {
	ctx = pool.WithoutQueryTimeout(ctx)
	var number, generation int64
	err := s.write(ctx, s.writes.bookSpan, func(tx *pool.Tx) (err error) {
		number, generation, err = s.deleteBook(ctx, tx, owner, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete book %d: %w", id, err)
	}
	s.owners.publish(owner, number, generation)
	return nil
}

func (s *SQLite) deleteBook(ctx context.Context, tx *pool.Tx, owner string, id int64) (number, generation int64, err error) {
	var first, passages int64
	found := false
	err = s.trace.query(ctx, tx, nil, s.writes.bookSpan, "", func(r *pool.Rows) error {
		found = true
		return r.Scan(&first, &passages, &number)
	}, sql.Named("owner", owner), sql.Named("id", id))
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return 0, 0, err
	}
	if err := s.deleteRows(ctx, tx, id, first, first+passages-1, s.st.wordsDelete); err != nil {
		return 0, 0, err
	}
	err = s.trace.query(ctx, tx, nil, s.writes.ownerTouch, "", func(r *pool.Rows) error {
		return r.Scan(&generation)
	}, sql.Named("owner", number))
	return number, generation, err
}

// deleteRows deletes what a book of these passages has in the tables of all dialects, and in those of own.
func (s *core) deleteRows(ctx context.Context, tx *pool.Tx, id, first, last int64, own ...*statement) error {
	book := []any{sql.Named("book", id)}
	span := []any{sql.Named("first", first), sql.Named("last", last)}
	type step struct {
		st   *statement
		args []any
	}
	steps := []step{
		{s.writes.relationsDelete, book},
		{s.writes.conceptsDelete, span}, // by the links, so before them
		{s.writes.linksDelete, span},
		{s.writes.metadataDelete, span},
		{s.writes.contentDelete, span},
		{s.writes.bookDelete, book},
	}
	for _, st := range own {
		steps = append(steps, step{st, span})
	}
	for _, one := range steps {
		if err := s.trace.exec(ctx, tx, one.st, one.args...); err != nil {
			return err
		}
	}
	return nil
}
