package pool

import (
	"container/list"
	"context"
	"database/sql/driver"
	"errors"
)

const (
	// keptStatements is how many parsed statements a connection keeps. A server
	// has a few dozen; batches by number of ids come and go beside them.
	keptStatements = 64
	// keptStatementBytes is the longest text worth keeping: longer ones are scripts that run once.
	keptStatementBytes = 16 << 10
)

// statements are the parsed statements of one connection that nothing runs at
// the moment, least recently used at the back. Parsing and planning takes
// longer than many a small statement runs. A statement is taken out while it
// runs, so two runs of the same text at a time use two. Like the connection
// they are used by one goroutine at a time.
type statements struct {
	order  list.List // of *parsed
	byText map[string]*list.Element
}

// parsed is one statement, idle in the cache or running.
type parsed struct {
	text string
	stmt driver.Stmt
}

// take removes the statement of that text and returns it, or nil.
func (s *statements) take(text string) *parsed {
	e := s.byText[text]
	if e == nil {
		return nil
	}
	delete(s.byText, text)
	return s.order.Remove(e).(*parsed)
}

// put keeps p for its next run, and closes what is one too many.
func (s *statements) put(p *parsed) error {
	if len(p.text) > keptStatementBytes || s.byText[p.text] != nil {
		return p.stmt.Close()
	}
	if s.byText == nil {
		s.byText = make(map[string]*list.Element)
	}
	s.byText[p.text] = s.order.PushFront(p)
	if s.order.Len() <= keptStatements {
		return nil
	}
	last := s.order.Remove(s.order.Back()).(*parsed)
	delete(s.byText, last.text)
	return last.stmt.Close()
}

// close closes all statements.
func (s *statements) close() (err error) {
	for e := s.order.Front(); e != nil; e = e.Next() {
		err = errors.Join(err, e.Value.(*parsed).stmt.Close())
	}
	s.order.Init()
	clear(s.byText)
	return err
}

// parse returns a statement ready to run: a kept one, or a new one.
func (c *conn) parse(ctx context.Context, query string) (*parsed, error) {
	if p := c.kept.take(query); p != nil {
		return p, nil
	}
	st, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return &parsed{text: query, stmt: st}, nil
}

// execKept runs a statement through the kept ones. One that failed is not kept.
func (c *conn) execKept(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	p, err := c.parse(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := execStmt(ctx, p.stmt, args)
	if err != nil {
		_ = p.stmt.Close() // says again what the statement said
		return nil, err
	}
	return res, c.kept.put(p)
}

// queryKept runs a query through the kept statements. It comes back when its rows are closed.
func (c *conn) queryKept(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	p, err := c.parse(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := queryStmt(ctx, p.stmt, args)
	if err != nil {
		_ = p.stmt.Close()
		return nil, err
	}
	return c.watch(ctx, rows, p), nil
}
