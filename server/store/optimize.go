package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tomehub/tomehub/internal/pool"
)

// mergePages is how much of the index, in its pages of 4 kB, one step of
// Optimize writes: some tens of milliseconds, after which others may write.
const mergePages = 1000

// Optimize merges the full-text index into one segment, which makes rare words
// two to six times faster to find after many books were stored, and empties the
// write-ahead log. It goes in short transactions, so that searches and other
// writers, of other processes too, go on meanwhile. Stopped half-way it leaves
// a library in good order, and another call goes on from there. Only the end of
// ctx stops it: the pools' bound on statements does not hold for it.
func (s *SQLite) Optimize(ctx context.Context) error {
	ctx = pool.WithoutQueryTimeout(ctx)
	if err := s.merge(ctx, mergePages); err != nil {
		return fmt.Errorf("optimize library: %w", err)
	}
	conn, err := acquire(ctx, s.pools.Write().AcquireStarted, s.st.checkpoint)
	if err != nil {
		return fmt.Errorf("optimize library: %w", err)
	}
	defer conn.Release()
	// A reader at work keeps the log from being emptied; it is then emptied by a
	// later checkpoint, and nothing is wrong.
	ignore := func(*pool.Rows) error { return nil }
	if err := s.trace.query(ctx, conn, conn.Waited, s.st.checkpoint, "", ignore); err != nil {
		return fmt.Errorf("optimize library: %w", err)
	}
	return nil
}

// merge merges the index in steps of that many pages.
func (s *SQLite) merge(ctx context.Context, pages int) error {
	// The first step takes all segments together, the others go on with them.
	for step := -pages; ; step = pages {
		done, err := s.mergeStep(ctx, step)
		if err != nil || done {
			return err
		}
	}
}

// mergeStep merges up to that many pages. SQLite says that nothing was left to
// do by changing less than two rows.
func (s *SQLite) mergeStep(ctx context.Context, pages int) (done bool, err error) {
	var before, after int64
	err = s.write(ctx, s.st.changes, func(tx *pool.Tx) error {
		changes := func(n *int64) error {
			return s.trace.query(ctx, tx, nil, s.st.changes, "", func(r *pool.Rows) error { return r.Scan(n) })
		}
		if err := changes(&before); err != nil {
			return err
		}
		if err := s.trace.exec(ctx, tx, s.st.optimize, sql.Named("pages", pages)); err != nil {
			return err
		}
		return changes(&after)
	})
	return after-before < 2, err
}
