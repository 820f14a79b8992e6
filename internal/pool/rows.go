package pool

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// Rows is the result of a query. It has the methods of *sql.Rows; closing it,
// or reading it to its end, gives the physical connection back.
type Rows struct {
	rows *sql.Rows
	ctx  context.Context
	end  func(hold bool)
	stop func() bool // stops watching ctx

	once sync.Once
	mu   sync.Mutex // guards cut
	cut  error      // why the rows ended before their end
}

// watch ends the rows when their context ends, also while nobody reads them,
// so that rows left open never keep a connection longer than that.
func (r *Rows) watch() {
	r.stop = context.AfterFunc(r.ctx, func() { r.finish(context.Cause(r.ctx), false) })
}

// Next prepares the next row for Scan. It returns false at the end and after an error, which Err tells.
func (r *Rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	r.finish(nil, r.rows.Err() == nil)
	return false
}

// NextResultSet reports whether there is another result set, which SQLite never has.
func (r *Rows) NextResultSet() bool { return r.rows.NextResultSet() }

// Scan copies the columns of the current row.
func (r *Rows) Scan(dest ...any) error {
	if err := r.rows.Scan(dest...); err != nil {
		return causeOf(r.ctx, err)
	}
	return nil
}

// Columns returns the names of the columns.
func (r *Rows) Columns() ([]string, error) { return r.rows.Columns() }

// ColumnTypes returns what is known of the columns.
func (r *Rows) ColumnTypes() ([]*sql.ColumnType, error) { return r.rows.ColumnTypes() }

// Err returns why Next ended early, or nil. Rows cut off by their context or by
// Config.QueryTimeout always have an error: they never look complete.
func (r *Rows) Err() error {
	r.mu.Lock()
	cut := r.cut
	r.mu.Unlock()
	if cut != nil {
		return cut
	}
	return r.rows.Err()
}

// Close ends the rows. Calling it again does nothing.
func (r *Rows) Close() error {
	return r.finish(nil, true)
}

// abandon ends the rows of a released Conn.
func (r *Rows) abandon() { _ = r.finish(ErrReleased, false) }

// finish closes the rows once and gives the connection back before it returns.
func (r *Rows) finish(cut error, hold bool) (err error) {
	r.once.Do(func() {
		if cut == nil {
			cut = causeOf(r.ctx, r.rows.Err())
		}
		r.mu.Lock()
		r.cut = cut
		r.mu.Unlock()
		err = r.rows.Close()
		if r.stop != nil {
			r.stop()
		}
		r.end(hold)
	})
	return err
}

// Tx is a transaction on one physical connection.
type Tx struct {
	tx      *sql.Tx
	ctx     context.Context
	end     func(hold bool)
	stop    func() bool
	timeout time.Duration
	once    sync.Once
}

func (t *Tx) watch() {
	t.stop = context.AfterFunc(t.ctx, func() { _ = t.finish(t.tx.Rollback, false) })
}

// Query runs a statement that returns rows, which must be closed before the transaction ends.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	ctx, cancel := bound(ctx, t.timeout)
	rows, err := t.tx.QueryContext(ctx, query, args...)
	return t.rows(ctx, cancel, rows, err)
}

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, cancel := bound(ctx, t.timeout)
	defer cancel()
	res, err := t.tx.ExecContext(ctx, query, args...)
	return res, t.cause(ctx, err)
}

// Prepare parses a statement that is to run often in this transaction, with which it ends.
func (t *Tx) Prepare(ctx context.Context, query string) (*Stmt, error) {
	ctx, cancel := bound(ctx, t.timeout)
	defer cancel()
	stmt, err := t.tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, t.cause(ctx, err)
	}
	return &Stmt{stmt: stmt, tx: t}, nil
}

// Commit makes the changes durable. When it returns an error nothing of the transaction was stored.
func (t *Tx) Commit() error {
	err := sql.ErrTxDone
	t.finishWith(func() error { err = t.tx.Commit(); return err }, true)
	return t.cause(t.ctx, err)
}

// Rollback undoes the transaction. After Commit it returns sql.ErrTxDone and does nothing.
func (t *Tx) Rollback() error {
	err := sql.ErrTxDone
	t.finishWith(func() error { err = t.tx.Rollback(); return err }, true)
	return err
}

func (t *Tx) abandon() { _ = t.finish(t.tx.Rollback, false) }

func (t *Tx) finishWith(last func() error, hold bool) { _ = t.finish(last, hold) }

// finish ends the transaction once and gives the connection back.
func (t *Tx) finish(last func() error, hold bool) (err error) {
	t.once.Do(func() {
		err = last()
		if t.stop != nil {
			t.stop()
		}
		t.end(hold)
	})
	return err
}

// cause prefers why the transaction's or the statement's context ended.
func (t *Tx) cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if t.ctx.Err() != nil && errors.Is(err, sql.ErrTxDone) {
		return context.Cause(t.ctx)
	}
	return causeOf(ctx, err)
}

func (t *Tx) rows(ctx context.Context, cancel context.CancelFunc, rows *sql.Rows, err error) (*Rows, error) {
	if err != nil {
		defer cancel()
		return nil, t.cause(ctx, err)
	}
	r := &Rows{rows: rows, ctx: ctx, end: func(bool) { cancel() }}
	r.watch()
	return r, nil
}

// Stmt is a prepared statement of one transaction.
type Stmt struct {
	stmt *sql.Stmt
	tx   *Tx
}

// Exec runs the statement without rows.
func (s *Stmt) Exec(ctx context.Context, args ...any) (sql.Result, error) {
	ctx, cancel := bound(ctx, s.tx.timeout)
	defer cancel()
	res, err := s.stmt.ExecContext(ctx, args...)
	return res, s.tx.cause(ctx, err)
}

// Query runs the statement for its rows.
func (s *Stmt) Query(ctx context.Context, args ...any) (*Rows, error) {
	ctx, cancel := bound(ctx, s.tx.timeout)
	rows, err := s.stmt.QueryContext(ctx, args...)
	return s.tx.rows(ctx, cancel, rows, err)
}

// Close frees the statement before its transaction ends.
func (s *Stmt) Close() error { return s.stmt.Close() }
