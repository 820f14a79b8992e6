package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/words"
)

// announceTimeout bounds the transaction by which a stored book is announced.
const announceTimeout = 5 * time.Second

// Error codes that have a meaning here.
const (
	oraUnique  = 1    // unique constraint violated
	oraExists  = 955  // name is already used by an existing object
	oraNoTable = 942  // table or view does not exist
	oraCheck   = 2290 // check constraint violated
)

// Ingest stores a book, its passages, concepts and relations, in one transaction: a crash, an
// error or the end of ctx leaves all of it or nothing, and the same book can simply be sent again.
//
// Books of one owner are stored one after the other, those of different owners side by side. A book
// whose hash the owner has already is not stored again; that is decided inside the transaction.
// Faults of b itself are ErrInvalid. A large book is no slow query: ctx bounds it, not the pools'
// bound on statements.
func (o *Oracle) Ingest(ctx context.Context, b NewBook) (Ingested, error) {
	if err := b.validate(); err != nil {
		return Ingested{}, err
	}
	ctx = pool.WithoutQueryTimeout(ctx)
	number, err := o.enterOwner(ctx, b.Owner)
	if err != nil {
		return Ingested{}, fmt.Errorf("store book: %w", err)
	}
	done, err := o.ingest(ctx, number, b)
	if pool.OracleCode(err) == oraUnique {
		// Something wrote past the owner's lock. The index over hashes has kept the library
		// right, and a second look finds what it kept us from storing twice.
		done, err = o.ingest(ctx, number, b)
	}
	if err != nil {
		return Ingested{}, fmt.Errorf("store book: %w", err)
	}
	if !done.Duplicate {
		o.owners.publish(b.Owner, number, o.announce(ctx, number, done.Generation))
	}
	shared, own, _ := o.owners.of(b.Owner)
	done.Generation = max(shared.generation, own.generation)
	return done, nil
}

func (o *Oracle) ingest(ctx context.Context, number int64, b NewBook) (done Ingested, err error) {
	err = o.transact(ctx, o.writes.ownerLock, func(tx *pool.Tx) error {
		in := ingest{c: o.core, tx: tx, book: b, each: o.arrays(tx)}
		done, err = o.store(ctx, number, &in)
		return err
	})
	return done, err
}

// store stores a book within its transaction.
func (o *Oracle) store(ctx context.Context, number int64, in *ingest) (Ingested, error) {
	dest := []any{&in.owner, &in.lastBook, &in.lastPassage, &in.lastConcept}
	if err := in.one(ctx, o.writes.ownerLock, dest, sql.Named("owner", number)); err != nil {
		return Ingested{}, err
	}
	done, err := in.store(ctx, func(ctx context.Context) error { return o.addPassages(ctx, in) })
	if err != nil || done.Duplicate {
		return done, err
	}
	if err := o.trace.exec(ctx, in.tx, o.writes.ownerAdvance, in.advance()...); err != nil {
		return Ingested{}, err
	}
	done.Generation, err = o.advance(ctx, in.tx, number)
	return done, err
}

// addPassages stores texts with their words, then metadata.
func (o *Oracle) addPassages(ctx context.Context, in *ingest) error {
	err := in.each(ctx, o.writes.contentAdd, func(exec execer) error {
		var index words.Indexer
		return in.contentRows(func(values ...any) error {
			place := values[2].(int)
			return exec(append(values, oracleWords(index.Text(in.book.Passages[place].Content)))...)
		})
	})
	if err != nil {
		return err
	}
	return in.each(ctx, o.writes.metadataAdd, in.metadataRows)
}

// advance gives the changes of tx their generation and marks the owner with it. It must be the last
// thing before the commit: it holds the row that all writers want.
func (o *Oracle) advance(ctx context.Context, tx *pool.Tx, number int64) (generation int64, err error) {
	generation, found, err := o.number(ctx, tx, o.st.libraryLock)
	if err == nil && !found {
		err = fmt.Errorf("run %s: the library has no row in TOMEHUB_LIBRARY: %w", o.st.libraryLock.name, sql.ErrNoRows)
	}
	if err != nil {
		return 0, err
	}
	generation++
	if err := o.trace.exec(ctx, tx, o.st.libraryAdvance, sql.Named("generation", generation)); err != nil {
		return 0, err
	}
	err = o.trace.exec(ctx, tx, o.writes.ownerTouch, sql.Named("generation", generation), sql.Named("owner", number))
	return generation, err
}

// announce gives a stored book a second generation and returns it.
//
// Oracle Text takes new rows into its index after the commit, in a transaction of its own, and the
// commit returns when that is done. In between, another process may have seen the book's generation,
// searched without its words, and would keep that answer under it. The second generation ends that.
func (o *Oracle) announce(ctx context.Context, number, stored int64) int64 {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	generation := stored
	err := o.transact(ctx, o.st.libraryLock, func(tx *pool.Tx) (err error) {
		generation, err = o.advance(ctx, tx, number)
		return err
	})
	if err != nil {
		// The book is stored, and the client must not be told otherwise.
		o.trace.logger.WarnContext(ctx, "book stored but not announced: other replicas may keep answers without it", slog.Any("error", err))
		return stored
	}
	return generation
}

// transactTries is how often a transaction begins, when sessions are lost before its commit.
const transactTries = 3

// transact is write, begun again on another session when its own is lost before the commit: all
// of it is undone then. A commit whose answer is lost is not repeated; whether it was made, nobody
// here knows, and who sends the book again is told.
func (o *Oracle) transact(ctx context.Context, first *statement, do func(*pool.Tx) error) error {
	for try := 1; ; try++ {
		done := false
		err := o.write(ctx, first, func(tx *pool.Tx) error {
			err := do(tx)
			done = err == nil
			return err
		})
		lost, ok := errors.AsType[*pool.OracleError](err)
		if !ok || lost.Class != pool.Retry || done || try == transactTries || ctx.Err() != nil {
			return err
		}
	}
}

// number runs a statement that gives one number or no row.
func (o *Oracle) number(ctx context.Context, q querier, st *statement, args ...any) (n int64, found bool, err error) {
	err = o.trace.query(ctx, q, nil, st, "", func(r *pool.Rows) error {
		found = true
		return r.Scan(&n)
	}, args...)
	return n, found, err
}

// knownOwner returns the number of an owner, if there is one. An owner's number never changes.
func (o *Oracle) knownOwner(ctx context.Context, name string) (number int64, known bool, err error) {
	if name == "" {
		return 0, true, nil // and the name of the shared library is a NULL to Oracle
	}
	if _, own, known := o.owners.of(name); known {
		return own.number, true, nil
	}
	err = o.read(ctx, o.st.ownerNumber, "", func(r *pool.Rows) error {
		known = true
		return r.Scan(&number)
	}, sql.Named("owner", name))
	return number, known, err
}

// enterOwner returns the number of an owner, who gets one when there is none.
func (o *Oracle) enterOwner(ctx context.Context, name string) (number int64, err error) {
	number, known, err := o.knownOwner(ctx, name)
	if err != nil || known {
		return number, err
	}
	err = o.transact(ctx, o.st.libraryLock, func(tx *pool.Tx) error {
		// Under the library's lock no two take the same number.
		if _, _, err := o.number(ctx, tx, o.st.libraryLock); err != nil {
			return err
		}
		owner := sql.Named("owner", name)
		for _, st := range []*statement{o.writes.ownerAdd, o.st.counterAdd} {
			if err := o.trace.exec(ctx, tx, st, owner); err != nil {
				return err
			}
		}
		var found bool
		number, found, err = o.number(ctx, tx, o.st.ownerNumber, owner)
		if err == nil && !found {
			err = fmt.Errorf("run %s: %w", o.st.ownerNumber.name, sql.ErrNoRows)
		}
		return err
	})
	if pool.OracleCode(err) == oraCheck {
		err = errors.Join(ErrTooMany, err)
	}
	if err != nil {
		return 0, fmt.Errorf("enter owner (a library has at most 2^21): %w", err)
	}
	return number, nil
}

// DeleteBook deletes a book of owner's own, with its passages, their concept links, its relations,
// and the concepts that no other book carries. It returns ErrNotFound for a book that does not
// exist or is not owner's own; owner "" deletes from the shared library. As with Ingest, ctx
// bounds it, not the pools' bound on statements.
func (o *Oracle) DeleteBook(ctx context.Context, owner string, id int64) error {
	ctx = pool.WithoutQueryTimeout(ctx)
	number, known, err := o.knownOwner(ctx, owner)
	if err == nil && !known {
		err = ErrNotFound
	}
	var generation int64
	if err == nil {
		err = o.transact(ctx, o.writes.ownerLock, func(tx *pool.Tx) error {
			generation, err = o.deleteBook(ctx, tx, number, id)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("delete book %d: %w", id, err)
	}
	o.owners.publish(owner, number, generation)
	return nil
}

func (o *Oracle) deleteBook(ctx context.Context, tx *pool.Tx, number, id int64) (generation int64, err error) {
	// A book on its way in may link to concepts that would be deleted here.
	ignore := func(*pool.Rows) error { return nil }
	if err := o.trace.query(ctx, tx, nil, o.writes.ownerLock, "", ignore, sql.Named("owner", number)); err != nil {
		return 0, err
	}
	var first, passages int64
	found := false
	err = o.trace.query(ctx, tx, nil, o.writes.bookSpan, "", func(r *pool.Rows) error {
		found = true
		return r.Scan(&first, &passages)
	}, sql.Named("id", id), sql.Named("owner", number))
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	if err := o.deleteRows(ctx, tx, id, first, first+passages-1); err != nil {
		return 0, err
	}
	return o.advance(ctx, tx, number)
}
