package pool

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// Rows are the result of a query. They have the methods of *sql.Rows; closing
// them, or reading them to their end, gives the physical connection back.
type Rows struct {
	rows *sql.Rows
	ctx  context.Context                  // of the statement
	end  func(cut error, hold bool) error // returns the bound that a hold ran into

	once sync.Once
	mu   sync.Mutex  // guards the fields below
	stop func() bool // stops watching ctx
	over bool        // finish has begun
	cut  error       // why they ended, nil at their natural end
}

// watch ends the rows when their context ends, so that rows left open never
// keep a connection longer than that lasts.
func (r *Rows) watch() {
	if r.ctx.Done() == nil {
		return
	}
	stop := context.AfterFunc(r.ctx, func() { _ = r.finish(context.Cause(r.ctx), false) })
	r.mu.Lock()
	r.stop = stop
	r.mu.Unlock()
}

// Next prepares the next row for Scan. It returns false at the end and after an error, which Err tells.
func (r *Rows) Next() bool {
	if r.rows.Next() {
		return true
	}
	_ = r.finish(nil, true)
	return false
}

// NextResultSet reports whether another result set follows, which SQLite never has.
func (r *Rows) NextResultSet() bool { return r.rows.NextResultSet() }

// Scan copies the columns of the current row.
func (r *Rows) Scan(dest ...any) error {
	err := r.rows.Scan(dest...)
	if err == nil {
		return nil
	}
	if cut := r.Err(); cut != nil {
		return cut
	}
	return err
}

// Columns returns the names of the columns.
func (r *Rows) Columns() ([]string, error) { return r.rows.Columns() }

// ColumnTypes returns what is known of the columns.
func (r *Rows) ColumnTypes() ([]*sql.ColumnType, error) { return r.rows.ColumnTypes() }

// Err returns why the rows ended early, or nil. Rows cut off by their context,
// by Config.QueryTimeout or by Release always have an error: they never look complete.
func (r *Rows) Err() error {
	r.mu.Lock()
	over, cut := r.over, r.cut
	r.mu.Unlock()
	if over {
		return cut
	}
	return causeOf(r.ctx, r.rows.Err())
}

// Close ends the rows. Calling it again does nothing.
func (r *Rows) Close() error { return r.finish(nil, true) }

// abandon ends the rows of a released Conn.
func (r *Rows) abandon() { _ = r.finish(ErrReleased, false) }

// finish closes the rows once; when it returns, the connection is back.
// What ended them is read before anything is closed, because afterwards
// database/sql may report the closing itself as their error.
func (r *Rows) finish(cut error, hold bool) (err error) {
	r.once.Do(func() {
		if cut == nil {
			cut = causeOf(r.ctx, r.rows.Err())
		}
		r.mu.Lock()
		r.over, r.cut = true, cut
		stop := r.stop
		r.mu.Unlock()
		err = r.rows.Close()
		if stop != nil {
			stop()
		}
		if late := r.end(cut, hold && cut == nil); late != nil {
			r.mu.Lock()
			r.cut = late
			r.mu.Unlock()
			err = errors.Join(err, late)
		}
	})
	return err
}
