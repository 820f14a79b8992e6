package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	ora "github.com/sijms/go-ora/v2"
)

// Bounds of what has no deadline of its own.
const (
	commitBound   = 2 * time.Minute  // a commit may synchronise a text index
	rollbackBound = 10 * time.Second // then the connection is cut, which rolls back as well
	pingBound     = 2 * time.Second
	logoffBound   = time.Second
)

// oraConn is one session of go-ora, with what that leaves open closed:
//   - the end of a context ends a statement at any time, also in a FETCH, also when the server is
//     deaf to breaks (see wire);
//   - after anything but an answer the session is unusable and says so;
//   - array binds that go-ora would panic on, or cut to the shortest, are refused;
//   - errors have a class, and none is a bare driver.ErrBadConn;
//   - a panic of the driver over what the server sent is an error.
type oraConn struct {
	base   *ora.Connection
	wire   *wire
	broken atomic.Bool // the session must not be used again

	home  string // its action while it is for no work of a known kind: its pool
	calls bool   // it shows kinds by calls, since it can not otherwise
	shown string // what it shows, if it calls
}

var (
	_ driver.ConnBeginTx        = (*oraConn)(nil)
	_ driver.ConnPrepareContext = (*oraConn)(nil)
	_ driver.ExecerContext      = (*oraConn)(nil)
	_ driver.QueryerContext     = (*oraConn)(nil)
	_ driver.NamedValueChecker  = (*oraConn)(nil)
	_ driver.Validator          = (*oraConn)(nil)
	_ driver.Pinger             = (*oraConn)(nil)
)

// IsValid reports whether the session may be used again. It is the guard: see wire.
func (c *oraConn) IsValid() bool { return !c.broken.Load() && c.wire.failed() == nil }

// call runs one call of the driver. The end of ctx interrupts it.
func (c *oraConn) call(ctx context.Context, f func(context.Context) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx) // nothing was sent
	}
	if !c.IsValid() {
		return c.lost(c.wire.failed())
	}
	stop := c.wire.watch(ctx)
	defer stop()
	if c.show(ctx); !c.IsValid() {
		return c.lost(c.wire.failed())
	}
	return c.protect(func() error { return f(c.driverContext(ctx)) })
}

// show has the session show the kind of ctx. Whether it can is no business of the statement to come.
func (c *oraConn) show(ctx context.Context) {
	kind := kindOf(ctx, c.home)
	if c.wire.show(kind); !c.calls || kind == c.shown {
		return
	}
	c.shown = kind
	err := c.protect(func() error {
		_, err := c.base.ExecContext(c.driverContext(ctx), "BEGIN DBMS_APPLICATION_INFO.SET_ACTION('"+kind+"'); END;", nil)
		return err
	})
	c.calls = err == nil
}

// driverContext is the context that the driver gets: none that ends, because what it does then
// races with itself. Only below TLS, where nobody else can write a marker, it is left to ask for the break.
func (c *oraConn) driverContext(ctx context.Context) context.Context {
	if c.wire.sealed {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// protect runs f, turns a panic into an error, and judges the session by what came out.
func (c *oraConn) protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.lost(fmt.Errorf("the driver stumbled over an answer: %v", p))
		}
	}()
	return c.judge(f())
}

// judge gives an error its class and marks the session broken after all but a plain answer.
func (c *oraConn) judge(err error) error {
	if err == nil || errors.Is(err, ErrBinds) {
		return err
	}
	// The driver says io.EOF at the end of the rows, and when the socket ended: among rows that would
	// be an answer cut short, which nobody could tell from a whole one.
	if err == io.EOF && c.wire.failed() == nil {
		return err
	}
	oe, ok := asOracle(err)
	if !ok {
		if fault := c.wire.failed(); fault != nil {
			return c.lost(fault)
		}
		return c.lost(err)
	}
	if oe.ends() {
		c.broken.Store(true)
	}
	return oe
}

// lost marks the session broken and says why.
func (c *oraConn) lost(cause error) error {
	c.broken.Store(true)
	if errors.Is(cause, driver.ErrBadConn) || cause == nil || cause == io.EOF {
		cause = errEnded
	}
	return &OracleError{Class: Retry, cause: cause}
}

// errEnded stands for the driver's "bad connection", which says less.
var errEnded = errors.New("it was ended by the database or the network")

// Close logs off, briefly, or cuts a broken session.
func (c *oraConn) Close() error {
	if !c.IsValid() {
		c.wire.kill()
	}
	c.wire.bound(time.Now().Add(logoffBound))
	_ = c.protect(c.base.Close) // nobody can do anything about it
	c.broken.Store(true)
	c.wire.kill() // the driver leaves the socket open after some faults
	return nil
}

// Ping makes one round trip.
func (c *oraConn) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingBound)
	defer cancel()
	return c.call(ctx, c.base.Ping)
}

// QueryContext runs a query. Its rows end with ctx.
func (c *oraConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.query(ctx, args, func(ctx context.Context) (driver.Rows, error) { return c.base.QueryContext(ctx, query, args) })
}

func (c *oraConn) query(ctx context.Context, args []driver.NamedValue, run func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	if err := checkNoArrays(args); err != nil {
		return nil, err
	}
	var set *ora.DataSet
	err := c.call(ctx, func(ctx context.Context) error {
		rows, err := run(ctx)
		if err != nil {
			return err
		}
		var ok bool
		if set, ok = rows.(*ora.DataSet); !ok || set == nil {
			return errors.New("the driver gave no rows")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &oraRows{DataSet: set, conn: c, stop: c.wire.watch(ctx)}, nil
}

// ExecContext runs a statement; slices of one length make it an array DML.
func (c *oraConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.exec(ctx, args, func(ctx context.Context) (driver.Result, error) { return c.base.ExecContext(ctx, query, args) })
}

func (c *oraConn) exec(ctx context.Context, args []driver.NamedValue, run func(context.Context) (driver.Result, error)) (res driver.Result, err error) {
	if err := checkArrays(args); err != nil {
		return nil, err
	}
	err = c.call(ctx, func(ctx context.Context) (err error) {
		res, err = run(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// Prepare makes a statement without a round trip.
func (c *oraConn) Prepare(query string) (driver.Stmt, error) {
	return &oraStmt{base: ora.NewStmt(query, c.base), conn: c, text: query}, nil
}

// PrepareContext is Prepare.
func (c *oraConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return c.Prepare(query)
}

// Begin is the old face of BeginTx, which database/sql does not use.
func (c *oraConn) Begin() (driver.Tx, error) { return nil, errPlain }

// BeginTx starts a transaction, without a round trip. The end of ctx is left to the caller.
func (c *oraConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	var tx driver.Tx
	err := c.call(ctx, func(ctx context.Context) (err error) {
		tx, err = c.base.BeginTx(context.WithoutCancel(ctx), opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &oraTx{base: tx, conn: c}, nil
}

// CheckNamedValue takes every value: the driver converts them itself, slices included.
func (c *oraConn) CheckNamedValue(*driver.NamedValue) error { return nil }

// oraTx ends a transaction within bounds of its own.
type oraTx struct {
	base driver.Tx
	conn *oraConn
}

// Commit makes the changes durable. When it fails with a lost connection nobody knows whether it did.
func (t *oraTx) Commit() error { return t.end(commitBound, t.base.Commit) }

// Rollback undoes the changes; on a lost connection the server has done so itself.
func (t *oraTx) Rollback() error {
	if !t.conn.IsValid() {
		t.conn.wire.kill()
		return nil
	}
	return t.end(rollbackBound, t.base.Rollback)
}

func (t *oraTx) end(longest time.Duration, f func() error) error {
	if !t.conn.IsValid() {
		return t.conn.lost(t.conn.wire.failed())
	}
	t.conn.wire.bound(time.Now().Add(longest))
	err := t.conn.protect(f)
	t.conn.wire.bound(time.Time{})
	return err
}

// oraStmt is a prepared statement.
type oraStmt struct {
	base *ora.Stmt
	conn *oraConn
	text string
}

var (
	_ driver.StmtExecContext   = (*oraStmt)(nil)
	_ driver.StmtQueryContext  = (*oraStmt)(nil)
	_ driver.NamedValueChecker = (*oraStmt)(nil)
)

// ExecContext runs the statement. Arrays go in a statement of their own: when it runs one again,
// the driver expects row counts in the answer that it has not asked for, and waits for ever.
func (s *oraStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if checkNoArrays(args) != nil {
		return s.conn.ExecContext(ctx, s.text, args)
	}
	return s.conn.exec(ctx, args, func(ctx context.Context) (driver.Result, error) { return s.base.ExecContext(ctx, args) })
}

// QueryContext runs the statement for its rows.
func (s *oraStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.query(ctx, args, func(ctx context.Context) (driver.Rows, error) { return s.base.QueryContext(ctx, args) })
}

// CheckNamedValue takes every value.
func (s *oraStmt) CheckNamedValue(*driver.NamedValue) error { return nil }

// NumInput leaves the count to the server.
func (s *oraStmt) NumInput() int { return -1 }

// Close frees the cursor.
func (s *oraStmt) Close() error { return s.conn.tidy(s.base.Close) }

// Exec and Query are the old face, which database/sql does not use beside the new one.
func (s *oraStmt) Exec([]driver.Value) (driver.Result, error) { return nil, errPlain }

// Query is not used; see Exec.
func (s *oraStmt) Query([]driver.Value) (driver.Rows, error) { return nil, errPlain }

// tidy frees something on the server, which is not worth a long wait, nor anything on a broken session.
func (c *oraConn) tidy(f func() error) error {
	if !c.IsValid() {
		return nil
	}
	c.wire.bound(time.Now().Add(pingBound))
	err := c.protect(f)
	c.wire.bound(time.Time{})
	return err
}

// oraRows are rows that end with their context, also in a FETCH.
type oraRows struct {
	*ora.DataSet
	conn *oraConn
	stop func() // ends the watch of the context
}

// Next fetches when the rows at hand are used up.
func (r *oraRows) Next(dest []driver.Value) error {
	if !r.conn.IsValid() {
		return r.conn.lost(r.conn.wire.failed())
	}
	return r.conn.protect(func() error { return r.DataSet.Next(dest) })
}

// Close ends the watch and frees the cursor. The rows are whole by then: a fault here only costs the session.
func (r *oraRows) Close() error {
	r.stop()
	_ = r.conn.tidy(r.DataSet.Close)
	return nil
}
