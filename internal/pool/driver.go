package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// connector opens connections through base, sets each of them up and counts them.
type connector struct {
	base  driver.Connector
	setUp []setting
	// keep has connections keep their parsed statements and watch their rows,
	// for drivers whose statements take a context and can run again after any end.
	keep bool
	// interrupter returns what stops the statement under way on a connection
	// from another goroutine, or nil when that is not to be had. It needs keep.
	interrupter func(driver.Conn) func()
	intercept   func(context.Context, string) error // Config.Intercept
	mappings    *mappings                           // nil: connections map nothing

	opened atomic.Int64 // connections opened in all
	live   atomic.Int64 // connections open now
}

// setting is one statement of the set-up. With want, its first column must be that.
// An error that again accepts is not final: the statement is repeated for setUpPatience. One that
// spare accepts does no harm.
type setting struct {
	statement, want string
	again, spare    func(error) bool
}

// setUpPatience is as long as the connections' busy_timeout.
const (
	setUpPatience = 5 * time.Second
	setUpPause    = 10 * time.Millisecond
)

// Connect opens and sets up one connection, or nothing: a connection whose set-up fails is closed.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	ctx = WithKind(ctx, "") // opening is nobody's work, also when a request cannot wait for it
	base, err := c.base.Connect(ctx)
	if err != nil {
		return nil, err
	}
	cn := &conn{Conn: base, source: c} // intercepted from the end of its set-up on
	for _, s := range c.setUp {
		if err := cn.applyPatiently(ctx, s); err != nil && (s.spare == nil || !s.spare(err)) {
			return nil, errors.Join(fmt.Errorf("set up connection: %s: %w", s.statement, err), cn.kept.close(), base.Close())
		}
	}
	if err := cn.kept.close(); err != nil { // the set-up never runs again
		return nil, errors.Join(err, base.Close())
	}
	if c.interrupter != nil {
		cn.interrupt = c.interrupter(base)
	}
	if c.mappings != nil {
		cn.file = c.mappings.keep(base)
	}
	cn.intercept = c.intercept
	c.opened.Add(1)
	c.live.Add(1)
	return cn, nil
}

// Driver returns the driver behind.
func (c *connector) Driver() driver.Driver { return c.base.Driver() }

// conn wraps a driver's connection. It passes the optional interfaces on, so
// that database/sql finds what the driver can do, and adds that the end of a
// context also stops a statement between its rows.
type conn struct {
	driver.Conn
	source    *connector
	interrupt func() // nil: the driver's own ways only
	intercept func(context.Context, string) error
	kept      statements
	file      uintptr // with connector.mappings
	closed    bool
}

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.NamedValueChecker  = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
)

// applyPatiently repeats a statement of the set-up while its error is not final.
func (c *conn) applyPatiently(ctx context.Context, s setting) error {
	for last := time.Now().Add(setUpPatience); ; {
		err := c.apply(ctx, s)
		if err == nil || s.again == nil || !s.again(err) || time.Now().After(last) {
			return err
		}
		pause := time.NewTimer(setUpPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return errors.Join(err, context.Cause(ctx))
		case <-pause.C:
		}
	}
}

// apply runs one statement of the set-up.
func (c *conn) apply(ctx context.Context, s setting) error {
	if s.want == "" {
		_, err := c.ExecContext(ctx, s.statement, nil)
		return err
	}
	rows, err := c.QueryContext(ctx, s.statement, nil)
	if err != nil {
		return err
	}
	got := make([]driver.Value, len(rows.Columns()))
	err = errors.Join(rows.Next(got), rows.Close())
	if err == nil && (len(got) == 0 || fmt.Sprint(got[0]) != s.want) {
		return fmt.Errorf("it gave %v, not %s", got, s.want)
	}
	return err
}

// Close closes the connection with its kept statements and takes it off the count.
func (c *conn) Close() error {
	if !c.closed {
		c.closed = true
		c.source.live.Add(-1)
	}
	err := errors.Join(c.kept.close(), c.Conn.Close())
	if c.source.mappings != nil {
		c.source.mappings.forget(c.file)
	}
	return err
}

// BeginTx starts a transaction; a driver without options gets a plain one.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.Conn.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	if opts.ReadOnly || opts.Isolation != 0 {
		return nil, errors.New("the driver knows no transaction options")
	}
	return c.Begin() //nolint:staticcheck // the only way with such a driver
}

// PrepareContext parses a statement.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if !c.source.keep {
		return c.prepare(ctx, query)
	}
	p, err := c.parse(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{Stmt: p.stmt, conn: c, from: p}, nil
}

func (c *conn) prepare(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	return c.Prepare(query)
}

// ExecContext runs a statement at once; ErrSkip makes database/sql prepare it instead.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.intercept != nil {
		if err := c.intercept(ctx, query); err != nil {
			return nil, err
		}
	}
	if c.source.keep {
		return c.execKept(ctx, query, args)
	}
	if e, ok := c.Conn.(driver.ExecerContext); ok {
		return e.ExecContext(ctx, query, args)
	}
	return nil, driver.ErrSkip
}

// QueryContext runs a query at once; ErrSkip makes database/sql prepare it instead.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.intercept != nil {
		if err := c.intercept(ctx, query); err != nil {
			return nil, err
		}
	}
	if c.source.keep {
		return c.queryKept(ctx, query, args)
	}
	if q, ok := c.Conn.(driver.QueryerContext); ok {
		return q.QueryContext(ctx, query, args)
	}
	return nil, driver.ErrSkip
}

// CheckNamedValue lets the driver convert arguments; ErrSkip means database/sql's own conversion.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// ResetSession readies the connection for its next use.
func (c *conn) ResetSession(ctx context.Context) error {
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

// IsValid reports whether the connection may be used again.
func (c *conn) IsValid() bool {
	if v, ok := c.Conn.(driver.Validator); ok {
		return v.IsValid()
	}
	return true
}

// Ping asks the database for a sign of life.
func (c *conn) Ping(ctx context.Context) error {
	if p, ok := c.Conn.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}
