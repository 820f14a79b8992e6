package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/words"
)

// Bounds of the transaction that books share who wait for the writer together. Beyond, a book
// begins the next one, so that who waits for the commit of others waits for some tens of milliseconds.
const (
	sharedPassages = 500
	sharedTime     = 25 * time.Millisecond
)

// Ingest stores a book, its passages, concepts and relations, in one
// transaction: a crash, an error or the end of ctx leaves all of it or nothing,
// so no search ever finds half a book and the same book can simply be sent
// again. When Ingest returns, the book is on disk.
//
// Small books that wait for the writer together share the transaction, each in a savepoint of its
// own: one that fails, or whose ctx ends, spoils no other. Once a book is in, only a fault of the shared commit undoes it,
// also when its ctx ends; Ingest waits for that commit, some tens of milliseconds.
//
// A book whose hash the owner has already is not stored again; that is decided
// inside the transaction, so of two that arrive together one is the duplicate.
// Faults of b itself are ErrInvalid. A large book is no slow query: ctx bounds it,
// not the pools' bound on statements.
func (s *SQLite) Ingest(ctx context.Context, b NewBook) (Ingested, error) {
	if err := b.validate(); err != nil {
		return Ingested{}, err
	}
	ctx = pool.WithoutQueryTimeout(ctx)
	var done Ingested
	var in ingest
	join := func(conn *pool.Conn, ctx context.Context) (*pool.Tx, error) {
		return conn.Join(ctx, pool.Share{Weight: len(b.Passages), Most: sharedPassages, Within: sharedTime})
	}
	err := s.writeIn(ctx, join, s.writes.ownerLock, func(tx *pool.Tx) error {
		in = ingest{c: s.core, tx: tx, book: b, each: s.rows(tx)}
		var err error
		done, err = s.store(ctx, &in)
		return err
	})
	if err != nil {
		return Ingested{}, fmt.Errorf("store book: %w", err)
	}
	if !done.Duplicate {
		s.owners.publish(b.Owner, in.owner, done.Generation)
	}
	shared, own, _ := s.owners.of(b.Owner)
	done.Generation = max(shared.generation, own.generation)
	return done, nil
}

// store stores a book within its transaction.
func (s *SQLite) store(ctx context.Context, in *ingest) (Ingested, error) {
	if err := s.lockOwner(ctx, in); err != nil {
		return Ingested{}, err
	}
	done, err := in.store(ctx, func(ctx context.Context) error { return s.addPassages(ctx, in) })
	if err != nil || done.Duplicate {
		return done, err
	}
	err = in.one(ctx, s.writes.ownerAdvance, []any{&done.Generation}, in.advance()...)
	return done, err
}

// lockOwner reads what ids the owner has been given, and enters a new owner.
func (s *SQLite) lockOwner(ctx context.Context, in *ingest) error {
	dest := []any{&in.owner, &in.lastBook, &in.lastPassage, &in.lastConcept}
	err := in.one(ctx, s.writes.ownerLock, dest, sql.Named("owner", in.book.Owner))
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := in.one(ctx, s.writes.ownerAdd, dest, sql.Named("owner", in.book.Owner)); err != nil {
		return fmt.Errorf("enter owner (a library has at most 2^21): %w", err)
	}
	return nil
}

// addPassages stores texts, metadata and words table by table, each by one
// prepared statement: going through a table's rows in the order of their ids
// appends to its file pages instead of jumping between them. The words of books that
// share the transaction come last, in the order of their ids: the index writes out what it has gathered at each
// savepoint and at each id that goes back, a segment each time, in which every search looks from then on.
func (s *SQLite) addPassages(ctx context.Context, in *ingest) error {
	if err := in.each(ctx, s.writes.contentAdd, in.contentRows); err != nil {
		return err
	}
	if err := in.each(ctx, s.writes.metadataAdd, in.metadataRows); err != nil {
		return err
	}
	return in.tx.AtEnd(in.first, func(ctx context.Context, tx *pool.Tx) error {
		return s.rows(tx)(ctx, s.st.wordsAdd, func(exec execer) error {
			var index words.Indexer
			for i, p := range in.book.Passages {
				if err := exec(in.first+int64(i), index.Text(p.Content)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// rows prepares a statement and runs it for one row after another. One
// row at a time: several in one statement save a tenth for plain tables, and cost
// the full-text index as much, because it writes its buffer out before each.
func (s *SQLite) rows(tx *pool.Tx) each {
	return func(ctx context.Context, st *statement, do func(execer) error) error {
		stmt, err := tx.Prepare(ctx, st.text)
		if err != nil {
			return fmt.Errorf("run %s: %w", st.name, err)
		}
		defer stmt.Close()
		// The driver watches a context by a goroutine per row, which costs as much
		// as a small row; asking between the rows does as well. The end of ctx undoes
		// the transaction in any case.
		unwatched := context.WithoutCancel(ctx)
		rests := rester{since: time.Now(), searching: s.pools.Read().Busy}
		return s.trace.batch(ctx, st, func(rows *int64) error {
			return do(func(values ...any) error {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				rests.rest()
				if _, err := stmt.Exec(unwatched, values...); err != nil {
					return fmt.Errorf("run %s: %w", st.name, err)
				}
				*rows++
				return nil
			})
		})
	}
}
