package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
)

// watchedRows stop the search for their next row when their context ends, and
// hand their statement back to the kept ones.
//
// The SQLite driver watches the context only until the first row is there.
// database/sql closes the rows when the context ends, but it has to wait for a
// Next under way, and a scan that finds nothing for a minute takes that minute.
type watchedRows struct {
	typedRows
	conn   *conn
	from   *parsed     // nil: not to be kept
	failed bool        // the statement gave an error
	stop   func() bool // stops watching the context; nil when it cannot end

	mu     sync.Mutex // guards closed, and holds off Close during an interrupt
	closed bool
}

// typedRows are rows with all that database/sql asks about columns.
type typedRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// watch has the end of ctx interrupt rows, where the connection can be
// interrupted, and their end give back the statement they come from.
func (c *conn) watch(ctx context.Context, rows typedRows, from *parsed) driver.Rows {
	w := &watchedRows{typedRows: rows, conn: c, from: from}
	if c.interrupt != nil && ctx.Done() != nil {
		w.stop = context.AfterFunc(ctx, w.interrupt)
	}
	return w
}

// interrupt stops the statement, unless its rows are closed: it must never hit the next one.
func (w *watchedRows) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.conn.interrupt()
	}
}

// Next remembers a fault, because a statement that had one is not run again.
func (w *watchedRows) Next(dest []driver.Value) error {
	err := w.typedRows.Next(dest)
	if err != nil && err != io.EOF {
		w.failed = true
	}
	return err
}

// Close ends the watch, closes the rows and gives their statement back. database/sql calls it once.
func (w *watchedRows) Close() error {
	if w.stop != nil {
		w.stop()
	}
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := w.typedRows.Close()
	from := w.from
	w.from = nil
	switch {
	case from == nil:
		return err
	case err != nil || w.failed:
		_ = from.stmt.Close() // says again what the rows said
		return err
	}
	return w.conn.kept.put(from)
}

// stmt is a prepared statement whose rows are watched.
type stmt struct {
	driver.Stmt
	conn *conn
	from *parsed // given back to the kept ones, unless spent
	// spent: it gave an error, or rows, which may yet have one.
	spent bool
}

var (
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
)

// errPlain is for a driver whose statements take no context or whose rows do
// not tell their types; those that we wrap do both.
var errPlain = errors.New("the driver's statements are too plain to be wrapped")

// ExecContext runs the statement.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	res, err := execStmt(ctx, s.Stmt, args)
	s.spent = s.spent || err != nil
	return res, err
}

// Close gives the statement back for its next run. database/sql calls it once.
func (s *stmt) Close() error {
	if s.spent {
		return s.Stmt.Close()
	}
	return s.conn.kept.put(s.from)
}

// QueryContext runs the statement for its rows.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.spent = true
	rows, err := queryStmt(ctx, s.Stmt, args)
	if err != nil {
		return nil, err
	}
	return s.conn.watch(ctx, rows, nil), nil
}

// CheckNamedValue asks the statement, then its connection.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}

func execStmt(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := s.(driver.StmtExecContext); ok {
		return e.ExecContext(ctx, args)
	}
	return nil, errPlain
}

func queryStmt(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (typedRows, error) {
	q, ok := s.(driver.StmtQueryContext)
	if !ok {
		return nil, errPlain
	}
	rows, err := q.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	if typed, ok := rows.(typedRows); ok {
		return typed, nil
	}
	return nil, errors.Join(errPlain, rows.Close())
}
