package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Conn is one held slot. It runs one statement or transaction at a time; a
// second one started meanwhile gets ErrBusy. On SQLite a physical connection is
// borrowed for each statement, in order, and given back when it ends.
type Conn struct {
	pool   *Pool
	waited time.Duration

	mu       sync.Mutex // guards the fields below
	released bool
	running  bool      // a statement or a transaction is under way
	open     abandoner // its rows or transaction, once it has some
}

// abandoner is a statement or transaction that Release can end.
type abandoner interface{ abandon() }

// Waited returns how long Acquire waited for the slot.
func (c *Conn) Waited() time.Duration { return c.waited }

// Release gives the slot back. Rows left open are closed and an unfinished
// transaction is rolled back. Calling it again does nothing.
func (c *Conn) Release() {
	c.mu.Lock()
	if c.released {
		c.mu.Unlock()
		return
	}
	c.released = true
	open := c.open
	c.mu.Unlock()
	defer c.pool.gate.release()
	if open != nil {
		open.abandon()
	}
}

// Query runs a statement that returns rows. Its rows must be closed, or read to
// their end, before the next statement. The connection comes back by itself
// when ctx ends or Config.QueryTimeout is over.
func (c *Conn) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	u, err := c.begin(ctx, c.pool.pools.cfg.QueryTimeout)
	if err != nil {
		return nil, err
	}
	rows, err := u.link.conn.QueryContext(u.ctx, query, args...)
	if err != nil {
		return nil, u.fail(err)
	}
	r := &Rows{rows: rows, ctx: u.ctx, end: u.end}
	c.setOpen(r)
	r.watch()
	return r, nil
}

// Exec runs a statement that returns no rows.
func (c *Conn) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	u, err := c.begin(ctx, c.pool.pools.cfg.QueryTimeout)
	if err != nil {
		return nil, err
	}
	res, err := u.link.conn.ExecContext(u.ctx, query, args...)
	if err != nil {
		return nil, u.fail(err)
	}
	u.end(true)
	return res, nil
}

// Begin starts a transaction; on the write pool it takes SQLite's write lock at
// once (BEGIN IMMEDIATE), on the read pool it is a consistent view. It keeps
// its physical connection until Commit, Rollback, Release or the end of ctx,
// which rolls it back. Config.QueryTimeout bounds its statements, not the whole.
func (c *Conn) Begin(ctx context.Context) (*Tx, error) {
	u, err := c.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	tx, err := u.link.conn.BeginTx(u.ctx, nil)
	if err != nil {
		return nil, u.fail(err)
	}
	t := &Tx{tx: tx, ctx: u.ctx, end: u.end, timeout: c.pool.pools.cfg.QueryTimeout}
	c.setOpen(t)
	t.watch()
	return t, nil
}

// use is one statement or transaction on a borrowed physical connection.
type use struct {
	conn   *Conn
	caller context.Context // as given by the caller, for the hold
	ctx    context.Context // with the statement's own bound
	cancel context.CancelFunc
	link   *link
}

// begin marks c as running and borrows a physical connection, all within timeout (0: no bound of its own).
func (c *Conn) begin(ctx context.Context, timeout time.Duration) (*use, error) {
	c.mu.Lock()
	switch {
	case c.released:
		c.mu.Unlock()
		return nil, ErrReleased
	case c.running:
		c.mu.Unlock()
		return nil, ErrBusy
	}
	c.running = true
	c.mu.Unlock()

	u := &use{conn: c, caller: ctx}
	u.ctx, u.cancel = bound(ctx, timeout)
	link, err := c.pool.links.borrow(u.ctx, c.pool.pools.cfg.Timeout)
	if err != nil {
		u.cancel()
		c.idle()
		return nil, err
	}
	u.link = link
	return u, nil
}

// fail ends a statement that gave an error and says why it ended.
func (u *use) fail(err error) error {
	err = causeOf(u.ctx, err)
	u.end(false)
	return err
}

// end gives the physical connection back, keeps the slot for the hold when the
// statement succeeded, and lets the Conn run the next one.
func (u *use) end(hold bool) {
	u.conn.pool.links.giveBack(u.link)
	u.cancel()
	if hold {
		u.conn.pool.pools.hold(u.caller)
	}
	u.conn.idle()
}

func (c *Conn) setOpen(a abandoner) {
	c.mu.Lock()
	c.open = a
	released := c.released
	c.mu.Unlock()
	if released {
		a.abandon()
	}
}

// idle marks c as ready for its next statement.
func (c *Conn) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.open = false, nil
}

// hold waits for the extra time of Config.Hold; the end of ctx or Close cuts it short.
func (ps *Pools) hold(ctx context.Context) {
	if ps.cfg.Hold == nil {
		return
	}
	d := ps.cfg.Hold()
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-ps.ctx.Done():
	}
}

// bound returns ctx with the bound of one statement, whose cause says so.
func bound(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w of %v: %w", ErrQueryTimeout, timeout, context.DeadlineExceeded))
}

// causeOf returns why a statement failed: when its context has ended, the cause
// of that, which the database reports in many words, else err itself.
func causeOf(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return cause
}
