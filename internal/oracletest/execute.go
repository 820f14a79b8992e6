package oracletest

import (
	"context"
	"fmt"
)

const (
	maxSQL   = 4 << 20
	maxBinds = 65535
	maxRows  = 1 << 20 // of an array bind
)

// Execute's options.
const (
	optParse   = 0x1
	optDefine  = 0x10
	optExecute = 0x20
	optFetch   = 0x40
	optCommit  = 0x100
)

// bind is how the client describes a bind or a define.
type bind struct {
	wire     byte
	flags    byte
	size     int
	contFlag int
	form     byte
}

// The flags of a bind.
const (
	bindArray  = 0x40 // a PL/SQL array
	bindRepeat = 0x80 // go-ora: a repeat of an earlier name, whose value does not come again
)

// long tells the binds whose values come behind the others.
func (b bind) long() bool { return isLong(b.wire) || b.size > 32767 && !isLob(b.wire) }

// An execution is one request to execute or re-execute.
type execution struct {
	options   int
	cursor    int
	text      string
	prefetch  int
	counts    bool // the client wants the row counts of an array bind
	binds     []bind
	defines   []bind
	rows      [][]Value
	array     bool   // a slice where a value belongs
	statement *Error // what the binds' values already say is wrong
}

// parseExecute reads function 0x5E.
func (c *conn) parseExecute() *execution {
	r := &c.r
	req := &execution{options: r.ub(), cursor: r.ub()}
	r.skip(1)
	textLength := r.count(maxSQL)
	r.skip(1)
	r.ub()
	r.skip(3)
	req.prefetch = r.ub()
	r.ub()
	r.skip(1)
	binds := r.count(maxBinds)
	r.skip(5)
	r.skip(1)
	defines := r.count(maxBinds)
	r.ub()
	r.skip(2)
	r.skip(1)
	r.ub()
	r.skip(1)
	r.skipUB(2)
	req.counts = r.u8() != 0
	r.ub()
	r.skip(1)
	if c.version >= 8 {
		r.skip(1)
		r.ub()
		r.skip(1)
		r.ub()
		r.skip(1)
	}
	if c.version >= 9 {
		r.skip(1)
		r.ub()
	}
	req.text = c.announced(textLength)
	var numbers [13]int
	for i := range numbers {
		numbers[i] = r.ub()
	}
	if req.options&optDefine != 0 {
		req.defines = c.parseBinds(defines)
		req.prefetch = max(req.prefetch, numbers[1])
		return req
	}
	req.binds = c.parseBinds(binds)
	rows := 1
	if numbers[7] != 1 { // no query: the number is of iterations, not of rows to fetch
		rows = max(numbers[1], 1)
	} else {
		req.prefetch = max(req.prefetch, numbers[1])
	}
	names := c.namesOf(req)
	if req.options&optExecute != 0 {
		c.parseRows(req, names, rows)
	}
	return req
}

// namesOf are the placeholder names of the request's statement.
func (c *conn) namesOf(req *execution) []string {
	if cur := c.cursors[req.cursor]; cur != nil && req.text == "" {
		return cur.statement.names
	}
	return parseStatement(req.text).names
}

// parseReexecute reads functions 0x04 (no query) and 0x4E (query): the binds are those of last time.
func (c *conn) parseReexecute(isQuery bool) *execution {
	r := &c.r
	req := &execution{options: optExecute, cursor: r.ub()}
	n := r.count(maxRows)
	r.ub()
	if r.ub()&1 != 0 {
		req.options |= optCommit
	}
	rows := max(n, 1)
	if isQuery {
		req.prefetch, rows = n, 1
	}
	if cur := c.cursors[req.cursor]; cur != nil {
		req.binds = cur.binds
		c.parseRows(req, cur.statement.names, rows)
	}
	return req
}

func (c *conn) parseBinds(n int) []bind {
	r := &c.r
	var binds []bind
	for range n {
		b := bind{wire: r.u8(), flags: r.u8()}
		r.skip(2)
		b.size = r.ub()
		r.ub()
		b.contFlag = r.ub()
		if r.ub() != 0 {
			r.clr() // a type's object id
		}
		r.skipUB(2)
		b.form = r.u8()
		r.ub()
		if c.version >= 8 {
			r.ub()
		}
		if r.err != nil {
			return nil
		}
		binds = append(binds, b)
	}
	return binds
}

// parseRows reads the rows of values, one per iteration.
func (c *conn) parseRows(req *execution, names []string, rows int) {
	r := &c.r
	if rows > maxRows {
		r.fail(errMalformed("%d rows of binds; %d are taken", rows, maxRows))
		return
	}
	values := 0
	for _, b := range req.binds {
		if b.flags&bindRepeat == 0 {
			values++
		}
	}
	if values == 0 { // without values nothing on the wire bounds the rows
		rows = min(rows, maxBinds)
	}
	for range rows {
		row := make([]Value, len(req.binds))
		req.rows = append(req.rows, row)
		if values > 0 {
			if t := r.u8(); r.err == nil && t != 7 {
				r.fail(errMalformed("message type %d instead of a row of binds", t))
			}
		}
		for _, long := range []bool{false, true} {
			for i, b := range req.binds {
				if b.flags&bindRepeat == 0 && b.long() == long {
					row[i] = c.parseValue(req, b)
				}
			}
		}
		if r.err != nil {
			return
		}
		for i, b := range req.binds {
			if b.flags&bindRepeat != 0 && i < len(names) {
				row[i] = first(names, row, names[i])
			}
		}
	}
}

func first(names []string, row []Value, name string) Value {
	for i, n := range names {
		if n == name && i < len(row) {
			return row[i]
		}
	}
	return nil
}

// parseValue reads one value of a bind row.
func (c *conn) parseValue(req *execution, b bind) Value {
	r := &c.r
	switch {
	case b.flags&bindArray != 0:
		req.array = true
		for range r.count(maxRows) {
			if r.clr(); r.err != nil {
				return nil
			}
		}
		return nil
	case isLob(b.wire):
		if r.ub() == 0 {
			return nil
		}
		value, ok := c.lobs.value(r.clr())
		if !ok && req.statement == nil {
			req.statement = &Error{Code: 22922}
		}
		return value
	case b.wire == wireRefCursor:
		r.skip(2)
		return nil
	}
	value, err := decodeValue(b.wire, b.form, r.clr())
	if err != nil && r.err == nil && req.statement == nil {
		req.statement = &Error{Code: 3146, Message: err.Error()}
	}
	return value
}

// execute answers one execution: the statement's own faults first, then what the handler says.
func (c *conn) execute(ctx context.Context, req *execution) error {
	if req.options&optDefine != 0 {
		return c.define(req)
	}
	cur, err := c.cursorOf(req)
	if err != nil {
		return err
	}
	if err := c.check(req, cur); err != nil {
		c.forget(req, cur)
		return err
	}
	result, err := c.ask(ctx, req, cur)
	if err == nil && (req.options&optExecute != 0) {
		err = consistent(cur.statement.kind, result)
	}
	if err != nil {
		c.forget(req, cur)
		return err
	}
	if req.options&optCommit != 0 && result.Columns == nil {
		if err := c.commit(); err != nil {
			return err
		}
	}
	if result.Columns != nil {
		return c.answerQuery(req, cur, result)
	}
	c.answerDML(req, cur, result)
	return nil
}

// cursorOf finds the request's cursor, or opens one.
func (c *conn) cursorOf(req *execution) (*cursor, error) {
	if req.cursor != 0 {
		cur := c.cursors[req.cursor]
		if cur == nil {
			return nil, &Error{Code: 1001}
		}
		c.failing = cur.id
		if req.text != "" && req.text != cur.statement.text {
			cur.statement = parseStatement(req.text)
		}
		cur.binds = req.binds
		return cur, nil
	}
	if req.text == "" {
		return nil, &Error{Code: 1003, Message: "no statement parsed"}
	}
	if len(c.cursors) >= c.srv.cursorLimit() {
		return nil, &Error{Code: 1000}
	}
	for {
		if c.lastCur = c.lastCur%65535 + 1; c.cursors[c.lastCur] == nil {
			break
		}
	}
	cur := &cursor{id: c.lastCur, statement: parseStatement(req.text), binds: req.binds}
	c.cursors[cur.id] = cur
	c.shown.cursors.Store(int64(len(c.cursors)))
	return cur, nil
}

// forget closes a cursor that failed in its first execution: the client never learns its number.
func (c *conn) forget(req *execution, cur *cursor) {
	if req.cursor == 0 {
		c.closeCursor(cur.id)
	}
}

// check refuses what needs no handler.
func (c *conn) check(req *execution, cur *cursor) error {
	given, wanted := len(req.binds), len(cur.statement.names)
	switch {
	case req.options&optExecute == 0:
		return nil
	case cur.statement.kind == other && given > 0:
		return &Error{Code: 1027, Message: "bind variables not allowed for data definition operations"}
	case given < wanted:
		return &Error{Code: 1008, Message: fmt.Sprintf("not all variables bound: %d of %d", given, wanted)}
	case given > wanted:
		return &Error{Code: 1036, Message: fmt.Sprintf("illegal variable name/number: %d binds for %d placeholders", given, wanted)}
	case req.array && cur.statement.kind != plsql:
		return &Error{Code: 1484}
	case req.statement != nil:
		return req.statement
	}
	return nil
}
