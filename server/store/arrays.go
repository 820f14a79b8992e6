package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tomehub/tomehub/internal/pool"
)

// Bounds of one array statement: what is sent at once is held in memory here and at the database.
const (
	maxArrayRows  = 1000
	maxArrayBytes = 1 << 20
)

// arrays gathers the rows of a statement and sends them as arrays, many rows in a round trip.
func (o *Oracle) arrays(tx *pool.Tx) each {
	return func(ctx context.Context, st *statement, do func(execer) error) error {
		a := array{most: o.arrayRows, send: func(binds []any) error { return o.trace.exec(ctx, tx, st, binds...) }}
		if err := do(a.add); err != nil {
			return err
		}
		return a.flush()
	}
}

// array is the rows of one statement that wait to be sent, column by column.
type array struct {
	send  func(binds []any) error // an array for each parameter, or a value for each
	most  int                     // rows sent at once; 0: maxArrayRows
	cols  []column
	rows  int
	bytes int // of texts
}

// add takes a row and sends what has come together when it is enough. Texts too long for an array
// of plain text go as CLOBs, in a statement of their row alone.
func (a *array) add(values ...any) error {
	size, long := 0, false
	for _, v := range values {
		if s, ok := v.(string); ok {
			size += len(s)
			long = long || len(s) > pool.MaxVarchar
		}
	}
	if long {
		if err := a.flush(); err != nil { // rows are stored in the order they came
			return err
		}
		return a.send(alone(values))
	}
	if a.rows == cmp.Or(a.most, maxArrayRows) || a.rows > 0 && a.bytes+size > maxArrayBytes {
		if err := a.flush(); err != nil {
			return err
		}
	}
	if a.cols == nil {
		a.cols = make([]column, len(values))
	}
	if len(values) != len(a.cols) {
		return fmt.Errorf("row of %d values among rows of %d", len(values), len(a.cols))
	}
	for i, v := range values {
		a.cols[i].add(v)
	}
	a.rows++
	a.bytes += size
	return nil
}

// flush sends the rows gathered so far, if there are any: an empty array is more than the driver
// bears, and of arrays of different lengths it sends the length of the shortest and says nothing.
func (a *array) flush() error {
	if a.rows == 0 {
		return nil
	}
	binds := make([]any, len(a.cols))
	for i, c := range a.cols {
		values, ok := c.values(a.rows)
		if !ok {
			return fmt.Errorf("parameter %d has values of several types, or of none that can be sent", i+1)
		}
		binds[i] = values
	}
	a.cols, a.rows, a.bytes = nil, 0, 0
	return a.send(binds)
}

// column is the values of one parameter, all of one type.
type column struct {
	ints   []int64
	floats []float64
	texts  []string
}

func (c *column) add(value any) {
	switch v := value.(type) {
	case int:
		c.ints = append(c.ints, int64(v))
	case int64:
		c.ints = append(c.ints, v)
	case float64:
		c.floats = append(c.floats, v)
	case string:
		c.texts = append(c.texts, v)
	}
}

// values returns the one slice that has a value for each of rows.
func (c *column) values(rows int) (any, bool) {
	switch rows {
	case len(c.ints):
		return c.ints, true
	case len(c.floats):
		return c.floats, true
	case len(c.texts):
		return c.texts, true
	}
	return nil, false
}

// alone returns the binds of one row that has long texts.
func alone(values []any) []any {
	binds := make([]any, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok {
			v = pool.Text(s)
		}
		binds[i] = v
	}
	return binds
}
