package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// links are the physical connections of one kind: the readers, or the writer.
//
// They are pinned with sql.DB.Conn and kept in a list of our own, because
// database/sql closes an old connection before it opens the next one: when all
// of them expire together its pool is empty, and the requests of that moment
// all pay for opening. Here the successor is open before the old one closes,
// so there are never fewer than the minimum.
type links struct {
	name    string
	size    int           // most connections in use at once
	min     int           // always open
	recycle time.Duration // age at which a connection is replaced, ±10 %; 0: never
	probe   string        // a statement that shows an interrupted connection to be usable again; empty: it is replaced
	// lazy leaves the opening of connections, which is slow, to the keeper: one that is not usable
	// is closed and not replaced, one that is old is used on until the keeper comes to it.
	lazy      bool
	idleProbe time.Duration // a connection idle for longer is asked for a sign of life before a write, and after a loss; 0: never
	beside    []*links      // others at the same database: what ends a connection here ends theirs
	source    *connector
	db        *sql.DB
	gate      *gate.Gate
	log       *slog.Logger
	ctx       context.Context // ends when the pools close
	wake      chan struct{}   // tells the keeper that a connection was lost

	mu     sync.Mutex // guards the fields below
	free   []*link    // last in, first out: the warmest page cache first
	open   int        // open, or being opened
	closed bool

	recycled atomic.Int64
	lost     atomic.Int64 // when a connection last turned out to be gone, in Unix nanoseconds; see doubt
}

// link is one open physical connection. Its holder alone touches it.
type link struct {
	conn    *sql.Conn
	raw     *conn     // the same connection, below database/sql
	expires time.Time // zero: never
	idle    time.Time // since when, while it is free
	shared  *shared   // open for the next holder to go on with, or nil
	broken  bool      // must not be used again
}

// old reports whether the connection has outlived its time.
func (k *link) old(now time.Time) bool { return !k.expires.IsZero() && now.After(k.expires) }

// usable reports whether the driver takes further statements. After an
// interrupted one SQLite refuses until a statement has started with none other
// under way, which the probe does: cheaper than a new connection with a cold cache.
func (k *link) usable(ctx context.Context, probe string) bool {
	if k.broken {
		return false
	}
	if k.raw.IsValid() {
		return true
	}
	if probe == "" {
		return false
	}
	_, err := k.conn.ExecContext(ctx, probe)
	return err == nil && k.raw.IsValid()
}

// borrow takes a physical connection, in the order of asking, waiting at most
// longest or until ctx ends, and opens one when none of those open is free.
// It must be given back. The time that all this took is returned with an error, too.
func (l *links) borrow(ctx context.Context, longest time.Duration) (k *link, waited time.Duration, err error) {
	waited, got := l.gate.Acquire(ctx, longest)
	if got != gate.Granted {
		l.tend() // the connection may have been left for this caller
		return nil, waited, acquireError(ctx, got, AcquireError{
			Pool: l.name, Setting: "DB_POOL_TIMEOUT", Size: l.size, Queue: l.gate.Snapshot().Queue, Waited: waited,
		})
	}
	l.mu.Lock()
	if n := len(l.free); n > 0 {
		k = l.free[n-1]
		l.free[n-1] = nil
		l.free = l.free[:n-1]
		l.mu.Unlock()
		return k, waited, nil
	}
	l.open++
	l.mu.Unlock()
	start := time.Now()
	k, err = l.dial(ctx)
	waited += time.Since(start)
	if err != nil {
		l.lose()
		l.gate.Release()
		return nil, waited, causeOf(ctx, err)
	}
	return k, waited, nil
}

// giveBack returns a borrowed connection; one that is old or unusable is replaced first.
func (l *links) giveBack(k *link) {
	if k.shared != nil {
		l.put(k)
		l.gate.Release()
		l.tend()
		return
	}
	now := time.Now()
	if l.lazy && k.old(now) && !k.old(now.Add(-l.recycle/10)) && k.usable(l.ctx, l.probe) {
		l.put(k)
		l.gate.Release()
		l.nudge()
		return
	}
	l.settle(k)
}

// settle returns a borrowed connection, or its successor, or drops it.
func (l *links) settle(k *link) {
	defer l.gate.Release()
	usable := k.usable(l.ctx, l.probe)
	if usable && !k.old(time.Now()) {
		l.put(k)
		return
	}
	if l.lazy && !usable {
		l.drop(k)
		l.doubt()
		return
	}
	if k = l.replace(k, usable); k != nil {
		l.put(k)
	}
}

// renew opens a successor of a borrowed connection that is gone, and closes that. When none can be opened, k stays as it is.
func (l *links) renew(ctx context.Context, k *link) (*link, error) {
	l.doubt()
	next, err := l.dial(ctx)
	if err != nil {
		return nil, err
	}
	_ = k.conn.Close()
	l.recycled.Add(1)
	return next, nil
}

// alive makes sure, before a write, that a connection that was idle for long is still there, and
// renews it when it is not: nothing has been sent yet.
func (l *links) alive(ctx context.Context, k *link) (*link, error) {
	if l.idleProbe <= 0 || k.idle.IsZero() || time.Since(k.idle) < l.idleProbe {
		return k, nil
	}
	if k.conn.PingContext(ctx) == nil {
		return k, nil
	}
	return l.renew(ctx, k)
}

// replace opens a successor, closes k and returns the successor. When none can be
// opened, k stays for another tenth of its time if it is usable, else it is closed and nil returned.
func (l *links) replace(k *link, usable bool) *link {
	next, err := l.dial(l.ctx)
	if err != nil && l.ctx.Err() == nil {
		l.log.Warn("connection not replaced", "pool", l.name, "usable", usable, "error", err)
	}
	if err != nil && usable {
		k.expires = time.Now().Add(l.recycle / 10)
		return k
	}
	_ = k.conn.Close() // nobody can do anything about a fault of a connection thrown away
	if err != nil {
		l.lose()
		return nil
	}
	l.recycled.Add(1)
	return next
}

// put adds a connection to the free list, or closes it when it is one too many or the pools are closed.
func (l *links) put(k *link) {
	k.idle = time.Now()
	l.mu.Lock()
	if !l.closed && l.open <= l.size {
		l.free = append(l.free, k)
		l.mu.Unlock()
		return
	}
	l.open--
	l.mu.Unlock()
	k.close()
}

// close closes a connection on which nothing runs. Nobody can do anything about a fault of one thrown away.
func (k *link) close() {
	if s := k.shared; s != nil {
		k.shared = nil
		s.undo(ErrClosed)
	}
	_ = k.conn.Close()
}

// lose counts a connection that is gone, or was never opened, and has the keeper see to the minimum.
func (l *links) lose() {
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.nudge()
}

// nudge has the keeper look at once.
func (l *links) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// dial opens a connection and gives it a time to live: the recycle time ±10 %,
// so that connections opened together need not all be replaced together.
func (l *links) dial(ctx context.Context) (*link, error) {
	pinned, err := l.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s connection: %w", l.name, err)
	}
	k := &link{conn: pinned}
	err = pinned.Raw(func(dc any) error {
		var ok bool
		if k.raw, ok = dc.(*conn); !ok {
			return fmt.Errorf("unexpected driver connection %T", dc)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s connection: %w", l.name, err), pinned.Close())
	}
	if l.recycle > 0 {
		k.expires = time.Now().Add(time.Duration(float64(l.recycle) * (0.9 + 0.2*rand.Float64())))
	}
	return k, nil
}

// warm opens connections until the minimum is open. It never waits for a statement under way.
func (l *links) warm(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.closed || l.open >= l.min {
			l.mu.Unlock()
			return nil
		}
		l.open++
		l.mu.Unlock()
		k, err := l.dial(ctx)
		if err != nil {
			l.mu.Lock()
			l.open--
			l.mu.Unlock()
			return err
		}
		l.put(k)
	}
}

// try opens one connection and keeps it, to find out at the start what the first statement would.
func (l *links) try(ctx context.Context) error {
	k, _, err := l.borrow(ctx, 0)
	if err != nil {
		return err
	}
	l.giveBack(k)
	return nil
}

// keep replaces idle connections that are old, drops those that are gone, and keeps the minimum open,
// until the pools close.
func (l *links) keep() {
	interval := 15 * time.Second
	if l.recycle > 0 {
		interval = min(interval, max(l.recycle/20, 10*time.Millisecond))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var again <-chan time.Time // set while idle connections are to be asked for a sign of life
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.wake:
		case <-tick.C:
		case <-again:
		}
		if err := l.warm(l.ctx); err != nil && l.ctx.Err() == nil {
			l.log.Warn("warm minimum not reached", "pool", l.name, "min", l.min, "error", err)
		}
		l.sweep(time.Now())
		if again = nil; l.checkIdle() {
			again = time.After(l.idleProbe)
		}
	}
}

// sweep replaces idle connections that are old, one at a time and only while no statement waits for one.
func (l *links) sweep(now time.Time) {
	for l.ctx.Err() == nil && l.gate.TryAcquire() {
		l.mu.Lock()
		i := slices.IndexFunc(l.free, func(k *link) bool { return k.old(now) && k.shared == nil })
		if i < 0 {
			l.mu.Unlock()
			l.gate.Release()
			l.tend()
			return
		}
		k := l.free[i]
		l.free = slices.Delete(l.free, i, i+1)
		l.mu.Unlock()
		l.settle(k)
	}
}

// close closes the free connections; those in use close when they are given back.
func (l *links) close() error {
	l.gate.Close()
	l.mu.Lock()
	free := l.free
	l.free, l.closed = nil, true
	l.open -= len(free)
	l.mu.Unlock()
	var errs error
	for _, k := range free {
		if k.shared != nil {
			k.shared.undo(ErrClosed)
		}
		if err := k.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
			errs = errors.Join(errs, err)
		}
	}
	return errors.Join(errs, l.db.Close())
}
