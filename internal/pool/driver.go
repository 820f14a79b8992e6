package pool

import (
	"context"
	"database/sql/driver"
	"errors"
)

// connector opens connections through base and sets each of them up.
type connector struct {
	base  driver.Connector
	setUp []string // statements every new connection runs, in order
}

// Connect opens and sets up one connection, or nothing: a connection whose set-up fails is closed.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	base, err := c.base.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := &conn{Conn: base}
	for _, statement := range c.setUp {
		if _, err := conn.ExecContext(ctx, statement, nil); err != nil {
			return nil, errors.Join(err, base.Close())
		}
	}
	return conn, nil
}

// Driver returns the driver behind.
func (c *connector) Driver() driver.Driver { return c.base.Driver() }

// conn wraps a driver's connection. It passes every optional interface on, so
// that database/sql finds what the driver can do, and skips what it cannot.
type conn struct {
	driver.Conn
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

// BeginTx starts a transaction; a driver without options gets a plain one.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if b, ok := c.Conn.(driver.ConnBeginTx); ok {
		return b.BeginTx(ctx, opts)
	}
	if opts.ReadOnly || opts.Isolation != 0 {
		return nil, errors.New("the driver knows no transaction options")
	}
	return c.Conn.Begin() //nolint:staticcheck // the only way with such a driver
}

// PrepareContext parses a statement.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if p, ok := c.Conn.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	return c.Conn.Prepare(query)
}

// ExecContext runs a statement at once; ErrSkip makes database/sql prepare it instead.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if e, ok := c.Conn.(driver.ExecerContext); ok {
		return e.ExecContext(ctx, query, args)
	}
	return nil, driver.ErrSkip
}

// QueryContext runs a query at once; ErrSkip makes database/sql prepare it instead.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
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
