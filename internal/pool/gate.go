package pool

import (
	"context"
	"sync"
	"time"
)

// outcome says how a wait at a gate ended.
type outcome int

const (
	refusedClosed outcome = iota // the gate is closed; the zero value grants nothing
	granted
	timedOut
	queueFull
	cancelled
)

// gate hands out a fixed number of slots in the order in which callers asked.
//
// database/sql serves its waiters at random and lets any number of them queue;
// under overload that is unfair and turns every answer late. A gate serves the
// longest waiter first, lets at most queue callers wait and refuses the rest at once.
type gate struct {
	size  int // slots
	queue int // most callers waiting

	mu      sync.Mutex // guards all below
	inUse   int
	waiters waiterList
	closed  bool
	count   gateCounters
}

// gateCounters are lifetime totals of one gate.
type gateCounters struct {
	acquired, waits, timedOut, queueFull, cancelled int64
	waitTotal, waitMax                              time.Duration
}

// waiter is one caller in the queue. ready carries at most one outcome.
type waiter struct {
	ready      chan outcome
	prev, next *waiter
	queued     bool
}

func newGate(size, queue int) *gate {
	return &gate{size: size, queue: queue}
}

// acquire takes a slot, waiting in line at most longest (0 waits as long as ctx
// allows). It returns how long it waited. Only after granted must the caller call release.
func (g *gate) acquire(ctx context.Context, longest time.Duration) (time.Duration, outcome) {
	if ctx.Err() != nil {
		g.mu.Lock()
		g.count.cancelled++
		g.mu.Unlock()
		return 0, cancelled
	}
	g.mu.Lock()
	switch {
	case g.closed:
		g.mu.Unlock()
		return 0, refusedClosed
	case g.inUse < g.size: // then nobody waits: a slot that comes back goes to the first in line
		g.inUse++
		g.count.acquired++
		g.mu.Unlock()
		return 0, granted
	case g.waiters.len >= g.queue:
		g.count.queueFull++
		g.mu.Unlock()
		return 0, queueFull
	}
	w := &waiter{ready: make(chan outcome, 1)}
	g.waiters.pushBack(w)
	g.count.waits++
	g.mu.Unlock()
	return g.wait(ctx, w, longest)
}

// wait blocks until w is served, its time is over, or its context ended.
func (g *gate) wait(ctx context.Context, w *waiter, longest time.Duration) (time.Duration, outcome) {
	start := time.Now()
	var expired <-chan time.Time
	if longest > 0 {
		timer := time.NewTimer(longest)
		defer timer.Stop()
		expired = timer.C
	}
	var got outcome
	select {
	case got = <-w.ready:
	case <-expired:
		got = timedOut
	case <-ctx.Done():
		got = cancelled
	}
	waited := time.Since(start)

	g.mu.Lock()
	defer g.mu.Unlock()
	g.count.waitTotal += waited
	g.count.waitMax = max(g.count.waitMax, waited)
	if got == timedOut || got == cancelled {
		if w.queued {
			g.waiters.remove(w)
		} else if served := <-w.ready; served == granted {
			// The slot came at the same moment. It goes to the next in line, so
			// that a caller that gave up never makes another one wait for it.
			g.pass()
		}
	}
	switch got {
	case granted:
		g.count.acquired++
	case timedOut:
		g.count.timedOut++
	case cancelled:
		g.count.cancelled++
	}
	return waited, got
}

// tryAcquire takes a slot only when one is free, and so nobody waits.
func (g *gate) tryAcquire() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.inUse >= g.size {
		return false
	}
	g.inUse++
	return true
}

// release gives a slot back: to the longest waiter, if any.
func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass hands one taken slot on. The caller holds g.mu.
func (g *gate) pass() {
	if w := g.waiters.popFront(); w != nil {
		w.ready <- granted
		return
	}
	g.inUse--
	if g.inUse < 0 {
		panic("pool: a slot was released twice")
	}
}

// close refuses all waiters and every later caller. Slots already taken stay valid until released.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for w := g.waiters.popFront(); w != nil; w = g.waiters.popFront() {
		w.ready <- refusedClosed
	}
}

// snapshot returns slots in use, callers waiting and the counters, all of one moment.
func (g *gate) snapshot() (inUse, waiting int, count gateCounters) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse, g.waiters.len, g.count
}

// waiterList is a doubly linked queue: leaving from its middle costs the same as from its head.
type waiterList struct {
	head, tail *waiter
	len        int
}

func (l *waiterList) pushBack(w *waiter) {
	w.prev, w.queued = l.tail, true
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.len++
}

func (l *waiterList) popFront() *waiter {
	w := l.head
	if w != nil {
		l.remove(w)
	}
	return w
}

func (l *waiterList) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	l.len--
}
