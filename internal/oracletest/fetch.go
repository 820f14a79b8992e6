package oracletest

import (
	"context"
	"fmt"
)

// A cursor is one parsed statement of a session, and the rows it still has.
type cursor struct {
	id        int
	statement statement
	binds     []bind
	columns   []Column
	defines   []bind // how the client wants the columns, once it has said so
	rows      [][]Value
	next      func() ([]Value, error) // the rows behind rows; nil: none
	sent      int64
}

func (c *conn) closeCursor(id int) {
	delete(c.cursors, id)
	c.shown.cursors.Store(int64(len(c.cursors)))
}

func (cur *cursor) hasLob() bool {
	for _, col := range cur.columns {
		if col.Type == Clob {
			return true
		}
	}
	return false
}

// answerQuery describes the columns, when the client has not seen them, and pushes the first rows. Rows with LOBs wait
// until the client has said how it wants them.
func (c *conn) answerQuery(req *execution, cur *cursor, result *Result) error {
	cur.columns, cur.rows, cur.next, cur.sent = result.Columns, result.Rows, result.Next, 0
	if req.options&optParse != 0 {
		cur.defines = nil
		c.describe(cur.columns)
	}
	c.parameters()
	if cur.hasLob() && (req.options&optFetch == 0 || cur.defines == nil) || req.options&optExecute == 0 {
		c.summary(summary{cursor: cur.id})
		return nil
	}
	return c.push(cur, req.prefetch)
}

// define remembers how the client wants the columns, and fetches when asked to.
func (c *conn) define(req *execution) error {
	cur := c.cursors[req.cursor]
	if cur == nil {
		return &Error{Code: 1001}
	}
	c.failing = cur.id
	if len(req.defines) != len(cur.columns) {
		return &Error{Code: 1007, Message: "variable not in select list"}
	}
	cur.defines = req.defines
	c.parameters()
	if req.options&optFetch == 0 {
		c.summary(summary{cursor: cur.id})
		return nil
	}
	return c.push(cur, req.prefetch)
}

// fetch answers function 0x05.
func (c *conn) fetch(_ context.Context, id, n int) error {
	cur := c.cursors[id]
	if cur == nil {
		return &Error{Code: 1001}
	}
	c.failing = cur.id
	if cur.columns == nil {
		return &Error{Code: 1002}
	}
	return c.push(cur, n)
}

// push sends up to n rows. A row that does not fit its columns is the handler's mistake.
func (c *conn) push(cur *cursor, n int) error {
	if err := cur.draw(n + 1); err != nil { // one more, to know whether these are the last
		return err
	}
	n = max(0, min(n, len(cur.rows)))
	if n > 0 {
		c.w.put(6, 0)
		c.w.ub(len(cur.columns), 0, n, 0, 0, 0)
	}
	for _, row := range cur.rows[:n] {
		c.w.put(7)
		for i, col := range cur.columns {
			var def bind
			if i < len(cur.defines) {
				def = cur.defines[i]
			}
			if err := c.value(col, def, row[i]); err != nil {
				return fmt.Errorf("column %s: %w", col.Name, err)
			}
		}
	}
	cur.rows = cur.rows[n:]
	cur.sent += int64(n)
	end := summary{rows: cur.sent, cursor: cur.id}
	if len(cur.rows) == 0 {
		end.code, end.text = 1403, "ORA-01403: no data found"
	}
	c.summary(end)
	return nil
}

// draw asks the handler for rows until n are there, or all of them.
func (cur *cursor) draw(n int) error {
	for cur.next != nil && len(cur.rows) < n {
		row, err := cur.next()
		switch {
		case err != nil:
			cur.next = nil
			return err
		case row == nil:
			cur.next = nil
		case len(row) != len(cur.columns):
			return fmt.Errorf("the handler's next row has %d values for %d columns", len(row), len(cur.columns))
		default:
			cur.rows = append(cur.rows, row)
		}
	}
	return nil
}

// value writes one value as the client wants it.
func (c *conn) value(col Column, def bind, v Value) error {
	if col.Type == Clob {
		return c.clobValue(def, v)
	}
	if v == nil || v == "" {
		c.w.put(0)
		return nil
	}
	if s, ok := v.(string); ok && col.Type == Varchar2 && len(s) <= 32767 {
		c.w.clrText(s)
		return nil
	}
	if n, ok := v.(int64); ok && col.Type == Number && def.wire != wireVarchar {
		c.w.wholeNumber(n)
		return nil
	}
	b, err := encodeValue(col.Type, v)
	if err != nil {
		return err
	}
	if def.wire == wireVarchar && col.Type == Number {
		if b, err = numberText(b); err != nil {
			return err
		}
	}
	c.w.clr(b)
	return nil
}

// numberText is for clients that define a NUMBER as text.
func numberText(b []byte) ([]byte, error) {
	v, err := decodeNumber(b)
	return fmt.Append(nil, v), err
}

const defineLobLength = 0x2000000 // cont flag: the LOB's length and chunk size go before its locator

// clobValue writes a CLOB inline, when it was defined as text, or as a locator.
func (c *conn) clobValue(def bind, v Value) error {
	text, ok := v.(string)
	if !ok && v != nil {
		return fmt.Errorf("%T is not text", v)
	}
	switch {
	case isLong(def.wire):
		c.w.clr([]byte(text))
		c.w.ub(0, 0)
	case def.wire == wireVarchar || def.wire == wireChar:
		c.w.clr([]byte(text))
	case text == "":
		c.w.ub(0)
	default:
		l := c.lobs.keep(newClob(text))
		c.w.ub(locatorSize)
		if def.contFlag&defineLobLength != 0 {
			c.w.ub(l.units(), lobChunk)
		}
		c.w.clr(l.locator())
	}
	return nil
}

// describe sends the columns (message 16).
func (c *conn) describe(columns []Column) {
	w := &c.w
	width := 0
	for _, col := range columns {
		width += col.size()
	}
	w.put(16, 0)
	w.ub(width, len(columns))
	if len(columns) > 0 {
		w.put(0)
	}
	for i, col := range columns {
		c.describeColumn(i, col)
	}
	w.ub(0, 0, 0, 0, 0, 0)
}

func (c *conn) describeColumn(position int, col Column) {
	w := &c.w
	wire := col.Type.wireType()
	w.put(wire, 0, 0)
	switch {
	case wire != wireNumber && wire != wireTimestamp && wire != wireTimestampTZ:
		w.put(0)
	case c.rawScale:
		w.put(byte(col.scale()))
	default:
		w.ub(col.scale())
	}
	w.ub(col.size(), 0, 0, 0, 0)
	if wire == wireVarchar || wire == wireClob {
		w.ub(charsetUTF8)
		w.put(1)
		w.ub(col.size())
	} else {
		w.ub(0)
		w.put(0)
		w.ub(0)
	}
	if c.version >= 8 {
		w.ub(0)
	}
	nullable := byte(0)
	if col.Nullable {
		nullable = 1
	}
	w.put(nullable, byte(min(len(col.Name), 255)))
	w.dlc(col.Name)
	w.dlc("")
	w.dlc("")
	w.ub(position+1, 0)
}

// size is in bytes. A text column of size 0 has no values on the wire, so there is none.
func (col Column) size() int {
	switch col.Type {
	case Number:
		return 22
	case Date:
		return 7
	case Timestamp:
		return 11
	case TimestampTZ:
		return 13
	case BinaryDouble:
		return 8
	case Clob:
		return 4000
	}
	if col.Size < 1 {
		return 4000
	}
	return min(col.Size, 32767)
}

// scale: -127 is a NUMBER of any precision; timestamps have microseconds by default.
func (col Column) scale() int {
	switch col.Type {
	case Number:
		return -127
	case Timestamp, TimestampTZ:
		return 6
	}
	return 0
}
