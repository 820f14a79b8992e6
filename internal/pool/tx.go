package pool

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Tx is a transaction on one physical connection. Its statements run one after
// another; rows of it may be open meanwhile.
type Tx struct {
	tx     *sql.Tx
	ctx    context.Context // as given to Begin
	use    *use
	cancel context.CancelFunc // frees the context of tx
	each   statementBound     // of its statements
	part   *part              // of a shared transaction, or nil

	once sync.Once
	mu   sync.Mutex  // guards the fields below
	stop func() bool // stops watching ctx
	over bool        // finish has begun
	open map[*Rows]struct{}
}

// newTx watches the context of Begin: when it ends, the transaction is rolled back.
func newTx(u *use, tx *sql.Tx, cancel context.CancelFunc, each statementBound) *Tx {
	t := &Tx{tx: tx, ctx: u.ctx, use: u, cancel: cancel, each: each}
	if t.ctx.Done() == nil {
		return t
	}
	stop := context.AfterFunc(t.ctx, t.abandon)
	t.mu.Lock()
	t.stop = stop
	t.mu.Unlock()
	return t
}

// Query runs a statement that returns rows. Rows still open when the transaction ends are closed.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	return t.query(ctx, func(ctx context.Context) (*sql.Rows, error) { return t.tx.QueryContext(ctx, query, args...) })
}

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, cancel, err := t.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, t.cause(ctx, err)
}

// Prepare parses a statement that is to run often. It is closed with the transaction.
func (t *Tx) Prepare(ctx context.Context, query string) (*Stmt, error) {
	ctx, cancel, err := t.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	stmt, err := t.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, t.cause(ctx, err)
	}
	return &Stmt{stmt: stmt, tx: t}, nil
}

// Commit makes the changes durable. After an error they must be taken as not
// stored; when the context of Begin ended first, they were rolled back.
func (t *Tx) Commit() error {
	if t.part != nil {
		return t.finish(t.commitPart, true)
	}
	return t.cause(t.ctx, t.finish(t.tx.Commit, true))
}

// Rollback undoes the transaction. Once that is over, in whichever way, it does
// nothing and returns sql.ErrTxDone, so that it can be deferred.
func (t *Tx) Rollback() error { return t.finish(t.rollback(), true) }

// abandon rolls back for a context that ended or a Conn that was released.
func (t *Tx) abandon() { _ = t.finish(t.rollback(), false) }

func (t *Tx) rollback() func() error {
	if t.part != nil {
		return t.rollbackPart
	}
	return t.tx.Rollback
}

// finish ends the transaction once, by last; when it returns, the connection is back.
func (t *Tx) finish(last func() error, hold bool) error {
	err := sql.ErrTxDone
	t.once.Do(func() {
		t.mu.Lock()
		stop, open := t.stop, t.open
		t.over, t.open = true, nil
		t.mu.Unlock()
		why := t.cause(t.ctx, sql.ErrTxDone)
		for r := range open {
			_ = r.finish(why, false)
		}
		err = last()
		if stop != nil {
			stop()
		}
		t.cancel()
		_ = t.use.end(err, hold, "") // a transaction as a whole has no bound of its own
	})
	return err
}

// bound is the context of one statement: ctx, the statement's own bound, and
// the transaction's context, whichever ends first; in a part, none of them.
func (t *Tx) bound(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if t.part != nil {
		return t.start(ctx)
	}
	same := t.ctx.Done() == nil || t.ctx.Done() == ctx.Done()
	ctx, cancel := t.each.context(ctx)
	if same {
		return ctx, cancel, nil
	}
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.ctx, func() { end(context.Cause(t.ctx)) })
	return ctx, func() { stop(); end(nil); cancel() }, nil
}

// query runs a statement that returns rows, whose bound ends with them.
func (t *Tx) query(ctx context.Context, run func(context.Context) (*sql.Rows, error)) (*Rows, error) {
	ctx, cancel, err := t.bound(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := run(ctx)
	if t.part != nil {
		cancel() // the next statement of a part may begin while they are open
		cancel = func() {}
	}
	return t.rows(ctx, cancel, rows, err)
}

// rows wraps the rows of a statement, or its error.
func (t *Tx) rows(ctx context.Context, cancel context.CancelFunc, rows *sql.Rows, err error) (*Rows, error) {
	if err != nil {
		err = t.cause(ctx, err)
		cancel()
		return nil, err
	}
	r := &Rows{rows: rows, ctx: ctx}
	r.end = func(error, bool) error {
		cancel()
		t.mu.Lock()
		delete(t.open, r)
		t.mu.Unlock()
		return nil
	}
	t.mu.Lock()
	over := t.over
	if !over {
		if t.open == nil {
			t.open = make(map[*Rows]struct{})
		}
		t.open[r] = struct{}{}
	}
	t.mu.Unlock()
	r.watch()
	if over {
		_ = r.finish(sql.ErrTxDone, false)
	}
	return r, nil
}

// cause prefers why the transaction's or the statement's context ended to what database/sql says of it.
func (t *Tx) cause(ctx context.Context, err error) error {
	if errors.Is(err, sql.ErrTxDone) && t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return causeOf(ctx, err)
}

// Stmt is a prepared statement of one transaction.
type Stmt struct {
	stmt *sql.Stmt
	tx   *Tx
}

// Exec runs the statement without rows.
func (s *Stmt) Exec(ctx context.Context, args ...any) (sql.Result, error) {
	ctx, cancel, err := s.tx.bound(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	res, err := s.stmt.ExecContext(ctx, args...)
	return res, s.tx.cause(ctx, err)
}

// Query runs the statement for its rows.
func (s *Stmt) Query(ctx context.Context, args ...any) (*Rows, error) {
	return s.tx.query(ctx, func(ctx context.Context) (*sql.Rows, error) { return s.stmt.QueryContext(ctx, args...) })
}

// Close frees the statement before its transaction ends.
func (s *Stmt) Close() error { return s.stmt.Close() }
