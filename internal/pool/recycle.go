package pool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// link is one open physical connection.
type link struct {
	conn    *sql.Conn
	expires time.Time // zero: never
}

// links are the physical connections of one kind: the readers, or the writer.
//
// They are pinned with sql.DB.Conn and kept in a list of our own, because
// database/sql closes an old connection before it opens the next one: when all
// of them expire together its pool is empty, and the requests of that moment
// all pay for opening. Here the successor is open before the old one closes.
type links struct {
	name    string
	size    int // most connections in use at once
	min     int // always open
	recycle time.Duration
	db      *sql.DB
	gate    *gate
	log     *slog.Logger
	ctx     context.Context // ends when the pools close

	mu     sync.Mutex // guards the fields below
	free   []*link    // last in, first out: the warmest page cache first
	open   int
	closed bool

	opened, recycled atomic.Int64
	wake             chan struct{} // tells the keeper that a connection was lost
}

// borrow takes a physical connection, in the order of asking, waiting at most longest or until ctx ends.
func (l *links) borrow(ctx context.Context, longest time.Duration) (*link, error) {
	waited, got := l.gate.acquire(ctx, longest)
	if got != granted {
		return nil, acquireError(ctx, got, AcquireError{
			Pool: l.name, Setting: "DB_POOL_TIMEOUT", Size: l.size, Queue: l.gate.queue, Waited: waited,
		})
	}
	if k := l.take(); k != nil {
		return k, nil
	}
	k, err := l.dial(ctx)
	if err != nil {
		l.gate.release()
		return nil, err
	}
	l.mu.Lock()
	l.open++
	l.mu.Unlock()
	return k, nil
}

// take pops a free connection, or returns nil.
func (l *links) take() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return nil
	}
	k := l.free[n-1]
	l.free[n-1] = nil
	l.free = l.free[:n-1]
	return k
}

// dial opens a connection with its own time to live.
func (l *links) dial(ctx context.Context) (*link, error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	l.opened.Add(1)
	return &link{conn: conn, expires: l.expiry(time.Now())}, nil
}

// expiry is now plus the recycle time ±10 %, so that connections opened
// together do not all have to be replaced together.
func (l *links) expiry(now time.Time) time.Time {
	if l.recycle <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(float64(l.recycle) * (0.9 + 0.2*rand.Float64())))
}

// giveBack returns a borrowed connection; one that is old or broken is replaced first.
func (l *links) giveBack(k *link) {
	defer l.gate.release()
	switch {
	case !k.valid():
		l.drop(k)
		return
	case k.old(time.Now()):
		k = l.replace(k)
	}
	l.put(k)
}

// put returns a connection to the free list, or closes it when the pools are closed.
func (l *links) put(k *link) {
	l.mu.Lock()
	if !l.closed {
		l.free = append(l.free, k)
		l.mu.Unlock()
		return
	}
	l.open--
	l.mu.Unlock()
	_ = k.conn.Close()
}

// drop closes a broken connection and has the keeper open another one.
func (l *links) drop(k *link) {
	_ = k.conn.Close()
	l.mu.Lock()
	l.open--
	l.mu.Unlock()
	l.recycled.Add(1)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// replace opens a successor and closes k. When that fails k, which still works, stays for another tenth of its time.
func (l *links) replace(k *link) *link {
	next, err := l.dial(l.ctx)
	if err != nil {
		if l.ctx.Err() == nil {
			l.log.Warn("connection not replaced", "pool", l.name, "error", err)
		}
		k.expires = time.Now().Add(l.recycle / 10)
		return k
	}
	_ = k.conn.Close()
	l.recycled.Add(1)
	return next
}

// old reports whether the connection has outlived its time.
func (k *link) old(now time.Time) bool { return !k.expires.IsZero() && now.After(k.expires) }

// valid reports whether the driver would use the connection again: after an
// interrupted statement, for one, it would not.
func (k *link) valid() bool {
	ok := true
	err := k.conn.Raw(func(dc any) error {
		if v, has := dc.(driver.Validator); has {
			ok = v.IsValid()
		}
		return nil
	})
	return ok && err == nil
}

// warm opens connections until min are open. It never waits for a statement under way.
func (l *links) warm(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.closed || l.open >= l.min {
			l.mu.Unlock()
			return nil
		}
		l.open++ // counted before it is open, so that nobody else opens the same one
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

// keep replaces idle connections that are old and keeps the minimum open until the pools close.
func (l *links) keep() {
	interval := 15 * time.Second
	if l.recycle > 0 {
		interval = min(interval, max(l.recycle/20, 10*time.Millisecond))
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.wake:
		case <-tick.C:
		}
		if err := l.warm(l.ctx); err != nil && l.ctx.Err() == nil {
			l.log.Warn("warm minimum not reached", "pool", l.name, "min", l.min, "error", err)
		}
		l.sweep()
	}
}

// sweep replaces idle connections that are old, one at a time and only while no statement waits.
func (l *links) sweep() {
	for l.ctx.Err() == nil && l.gate.tryAcquire() {
		k := l.takeOld(time.Now())
		if k == nil {
			l.gate.release()
			return
		}
		l.giveBack(k)
	}
}

// takeOld removes one old connection from the free list, or returns nil.
func (l *links) takeOld(now time.Time) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, k := range l.free {
		if k.old(now) {
			l.free = append(l.free[:i], l.free[i+1:]...)
			return k
		}
	}
	return nil
}

// openCount returns how many connections are open.
func (l *links) openCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// close closes the free connections; those in use close when they are given back.
func (l *links) close() error {
	l.gate.close()
	l.mu.Lock()
	free := l.free
	l.free, l.closed = nil, true
	l.open -= len(free)
	l.mu.Unlock()
	var errs error
	for _, k := range free {
		if err := k.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
			errs = errors.Join(errs, err)
		}
	}
	return errors.Join(errs, l.db.Close())
}
