package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
)

// watchedRows stop the search for their next row when their context ends.
//
// The SQLite driver watches the context only until the first row is there.
// database/sql closes the rows when the context ends, but it has to wait for a
// Next under way, and a scan that finds nothing for a minute takes that minute.
type watchedRows struct {
	typedRows
	stop func() bool // stops watching the context

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

// watch has the end of ctx interrupt rows, where the connection can be interrupted.
func (c *conn) watch(ctx context.Context, rows driver.Rows) driver.Rows {
	typed, ok := rows.(typedRows)
	if !ok || c.interrupt == nil || ctx.Done() == nil {
		return rows
	}
	w := &watchedRows{typedRows: typed}
	w.stop = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.closed {
			c.interrupt()
		}
	})
	return w
}

// Close ends the watch first: an interrupt must never hit the next statement.
func (w *watchedRows) Close() error {
	w.stop()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.typedRows.Close()
}

// stmt is a prepared statement whose rows are watched.
type stmt struct {
	driver.Stmt
	conn *conn
}

var (
	_ driver.StmtExecContext   = (*stmt)(nil)
	_ driver.StmtQueryContext  = (*stmt)(nil)
	_ driver.NamedValueChecker = (*stmt)(nil)
)

// errNoContext is for a driver whose statements know no context; ours do.
var errNoContext = errors.New("the driver's statements take no context")

// ExecContext runs the statement.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := s.Stmt.(driver.StmtExecContext); ok {
		return e.ExecContext(ctx, args)
	}
	return nil, errNoContext
}

// QueryContext runs the statement for its rows.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := s.Stmt.(driver.StmtQueryContext)
	if !ok {
		return nil, errNoContext
	}
	rows, err := q.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	return s.conn.watch(ctx, rows), nil
}

// CheckNamedValue asks the statement, then its connection.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}
