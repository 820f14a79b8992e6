package pool

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// Conn is one held slot. It runs one statement or transaction at a time; a
// second one started meanwhile gets ErrBusy. On SQLite a physical connection is
// borrowed for each statement, in order, and given back when it ends.
type Conn struct {
	pool *Pool

	mu       sync.Mutex // guards the fields below
	waited   time.Duration
	released bool
	running  bool      // a statement or a transaction is under way
	open     abandoner // its rows or its transaction, once it has some
}

// abandoner is what Release can end: rows or a transaction left open.
type abandoner interface{ abandon() }

// Waited returns how long the Conn has waited so far: Acquire for the slot, and
// each statement or transaction begun since, also one that got an error, for
// its physical connection.
func (c *Conn) Waited() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waited
}

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
	defer c.pool.gate.Release()
	if open != nil {
		open.abandon()
	}
}

// Query runs a statement that returns rows. The rows must be closed, or read to
// their end, before the next statement. They end by themselves, with an error,
// when ctx ends or Config.QueryTimeout is over, also while nobody reads them.
// The wait for a physical connection is bounded by Config.Timeout and is no part of QueryTimeout.
func (c *Conn) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	u, err := c.begin(ctx, c.pool.pools.statement, reads)
	if err != nil {
		return nil, err
	}
	rows, err := u.query(query, args)
	if err != nil {
		return nil, u.fail(err)
	}
	r := &Rows{rows: rows, ctx: u.ctx, end: func(cut error, hold bool) error { return u.end(cut, hold, query) }}
	r.watch()
	c.setOpen(r)
	return r, nil
}

// Exec runs a statement that returns no rows, within Config.QueryTimeout from when it has its connection.
func (c *Conn) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	u, err := c.begin(ctx, c.pool.pools.statement, writes)
	if err != nil {
		return nil, err
	}
	res, err := u.link.conn.ExecContext(u.ctx, query, args...)
	if err != nil {
		return nil, u.fail(err)
	}
	if err := u.end(nil, true, query); err != nil {
		return nil, err
	}
	return res, nil
}

// Begin starts a transaction: on the write pool it takes SQLite's write lock at
// once (BEGIN IMMEDIATE), on the read pool it is one consistent view. It keeps
// its physical connection until Commit, Rollback, Release or the end of ctx,
// which rolls it back. Config.QueryTimeout bounds each of its statements, not the whole.
func (c *Conn) Begin(ctx context.Context) (*Tx, error) {
	u, err := c.begin(ctx, statementBound{whole: true}, writes)
	if err != nil {
		return nil, err
	}
	tx, cancel, err := u.beginTx(ctx)
	if err != nil {
		return nil, u.fail(err)
	}
	t := newTx(u, tx, cancel, c.pool.pools.statement)
	c.setOpen(t)
	return t, nil
}

// use is one statement or transaction on a borrowed physical connection.
type use struct {
	conn   *Conn
	caller context.Context // as the caller gave it; its end is no fault of the statement
	ctx    context.Context // with the statement's own bound
	cancel context.CancelFunc
	judge  func(error) // tells Config.Guard how it ended
	link   *link
	since  time.Time // for Config.Hold: when it began to wait for its connection
}

// access is what a connection is borrowed for.
type access int

const (
	reads  access = iota
	writes        // the connection is made sure of first, because it cannot be asked again
	joins         // writes, in the transaction that others may have left open on it
)

// begin marks c as running and borrows a physical connection. The statement's
// own bound starts when it has one: queueing does not make a statement slow.
func (c *Conn) begin(ctx context.Context, b statementBound, to access) (*use, error) {
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

	began := time.Now()
	k, waited, err := c.pool.links.borrow(ctx, c.pool.pools.cfg.Timeout)
	if waited > 0 {
		c.mu.Lock()
		c.waited += waited
		c.mu.Unlock()
	}
	if err == nil && to != joins {
		k.commitShared()
	}
	if err == nil && to != reads {
		var live *link
		if live, err = c.pool.links.alive(ctx, k); err != nil {
			k.broken = true
			c.pool.links.giveBack(k)
			err = causeOf(ctx, err)
		}
		k = live
	}
	if err != nil {
		c.pool.pools.blame(ctx, err)
		c.idle()
		return nil, err
	}
	u := &use{conn: c, caller: ctx, link: k, since: began}
	guarded, judge, err := c.pool.pools.guard(ctx, b)
	if err != nil {
		c.pool.links.giveBack(k)
		c.idle()
		return nil, err
	}
	u.judge = judge
	u.ctx, u.cancel = b.context(guarded)
	return u, nil
}

// beginTx begins a transaction, and gives up when ctx ends first.
func (u *use) beginTx(ctx context.Context) (*sql.Tx, context.CancelFunc, error) {
	// The transaction does not get ctx itself: database/sql would roll back in a
	// goroutine of its own when ctx ends, and the connection could be given to
	// the next statement before that has happened. Tx rolls back instead, and waits.
	txCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	tx, err := u.link.conn.BeginTx(txCtx, nil)
	if !stop() && err == nil { // too late: database/sql rolls back by now
		u.link.broken = true // and closing the connection waits for that
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return tx, cancel, nil
}

// query runs a query, once more on a new connection when that of the first attempt turns out to
// be gone and the pools may do that.
func (u *use) query(query string, args []any) (*sql.Rows, error) {
	rows, err := u.link.conn.QueryContext(u.ctx, query, args...)
	if err == nil || !u.conn.pool.pools.retryReads || !hasClass(err, Retry) || u.ctx.Err() != nil {
		return rows, err
	}
	next, err := u.conn.pool.links.renew(u.ctx, u.link)
	if err != nil {
		return nil, err
	}
	u.link = next
	return u.link.conn.QueryContext(u.ctx, query, args...)
}

// fail ends a statement that gave an error and returns why it did.
func (u *use) fail(err error) error {
	err = causeOf(u.ctx, err)
	_ = u.end(err, false, "")
	return err
}

// end gives the physical connection back, keeps the slot for the hold when the
// statement came to its end, and lets the Conn run the next one. err is what the
// statement ended with; what is returned is the bound that the hold ran into.
func (u *use) end(err error, hold bool, statement string) error {
	if u.link != nil { // not handed to the next already, with the transaction on it
		u.conn.pool.links.giveBack(u.link)
	}
	var late error
	if hold {
		late = u.hold(statement)
	}
	if err == nil {
		err = late
	}
	u.judge(err)
	u.cancel()
	u.conn.idle()
	return late
}

// setOpen remembers what Release has to end. When Release came first it ends now.
func (c *Conn) setOpen(a abandoner) {
	c.mu.Lock()
	if c.running { // it may have ended already, with its context
		c.open = a
	}
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

// hold lets Config.Hold wait. The end of the caller's context or Close cuts it short; so does a
// bound of the statement itself, which is then its error.
func (u *use) hold(statement string) error {
	ps := u.conn.pool.pools
	if ps.cfg.Hold == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	defer context.AfterFunc(ps.ctx, cancel)()
	ps.cfg.Hold(ctx, statement, u.since)
	if u.ctx.Err() != nil && u.caller.Err() == nil {
		return context.Cause(u.ctx)
	}
	return nil
}

// causeOf returns why a statement failed: the cause of its context when that
// has ended, which drivers report in many words, else err itself.
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
