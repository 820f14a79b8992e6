// Package gate bounds concurrent work: a fixed number of slots, handed out in the order of
// asking, behind a queue that is bounded in length and in time.
//
// database/sql serves its waiters at random and lets any number of them queue; under overload
// that is unfair and turns every answer late. A gate serves the longest waiter first, lets only so many
// wait, and refuses the rest at once: also, on demand, whoever would wait too long as things go.
package gate

import (
	"context"
	"sync"
	"time"
)

// An Outcome says how asking for a slot ended.
type Outcome int

const (
	Closed    Outcome = iota // the gate is closed; the zero value grants nothing
	Granted                  // the caller has a slot, and must call Release
	TimedOut                 // no slot within the longest wait
	QueueFull                // as many wait already as may
	TooSlow                  // the wait would probably have been too long
	Cancelled                // the caller's context ended first
)

// A Gate hands out slots. Make it with New. It is safe for concurrent use.
type Gate struct {
	size  int // slots
	queue int // most callers waiting

	mu      sync.Mutex // guards all below
	inUse   int
	waiters waiterList
	closed  bool
	turn    pace
	count   Counts
}

// Counts are lifetime totals of one gate.
type Counts struct {
	Acquired  int64 // slots granted by Acquire
	Waits     int64 // callers that had to wait at all, counted with their time when the wait is over
	TimedOut  int64
	QueueFull int64
	TooSlow   int64
	Cancelled int64

	WaitTotal, WaitMax time.Duration
}

// A Snapshot is the state of a gate at one moment.
type Snapshot struct {
	Size, InUse    int           // slots, slots taken
	Queue, Waiting int           // most callers waiting, callers waiting
	Turn           time.Duration // between two slots coming free, as far as waiters have learned it
	Counts
}

// waiter is one caller in the queue. ready carries at most one outcome.
type waiter struct {
	ready      chan Outcome
	prev, next *waiter
	queued     bool
}

// New makes a gate of size slots, at least one, for which at most queue callers wait.
func New(size, queue int) *Gate {
	return &Gate{size: size, queue: queue, turn: newPace(size)}
}

// Acquire takes a slot, waiting in line at most longest (0 waits as long as ctx allows). It
// returns how long it waited.
func (g *Gate) Acquire(ctx context.Context, longest time.Duration) (time.Duration, Outcome) {
	return g.AcquireSoon(ctx, longest, 0)
}

// AcquireSoon is Acquire for a caller to whom a late slot is worth nothing: it is refused with
// TooSlow, at once, when it would probably wait longer than soon (0 refuses nobody). The duration is
// then the wait that it was spared. Whoever would be first in line is never refused: by its wait
// the gate learns that the slots turn faster again.
func (g *Gate) AcquireSoon(ctx context.Context, longest, soon time.Duration) (time.Duration, Outcome) {
	left, now := ctx.Err() != nil, time.Now()
	g.mu.Lock()
	switch {
	case left:
		g.count.Cancelled++
		g.mu.Unlock()
		return 0, Cancelled
	case g.closed:
		g.mu.Unlock()
		return 0, Closed
	case g.inUse < g.size: // then nobody waits: a slot that comes back goes to the first in line
		g.take(now)
		g.count.Acquired++
		g.mu.Unlock()
		return 0, Granted
	case g.waiters.len >= g.queue:
		g.count.QueueFull++
		g.mu.Unlock()
		return 0, QueueFull
	}
	if soon > 0 && g.waiters.len > 0 {
		if wait := time.Duration(g.waiters.len+1) * g.turn.estimate(now); wait > soon {
			g.count.TooSlow++
			g.mu.Unlock()
			return wait, TooSlow
		}
	}
	if g.waiters.len == 0 {
		g.turn.begin(now)
	}
	w := &waiter{ready: make(chan Outcome, 1)}
	g.waiters.pushBack(w)
	g.mu.Unlock()
	return g.wait(ctx, w, now, longest)
}

// wait blocks until w is served, its time is over, or its context ended.
func (g *Gate) wait(ctx context.Context, w *waiter, start time.Time, longest time.Duration) (time.Duration, Outcome) {
	var expired <-chan time.Time
	if longest > 0 {
		timer := time.NewTimer(longest)
		defer timer.Stop()
		expired = timer.C
	}
	var got Outcome
	select {
	case got = <-w.ready:
	case <-expired:
		got = TimedOut
	case <-ctx.Done():
		got = Cancelled
	}
	waited := time.Since(start)

	g.mu.Lock()
	defer g.mu.Unlock()
	g.count.Waits++ // with its outcome: counted at its beginning, a growing queue made the waits more than those who asked
	g.count.WaitTotal += waited
	g.count.WaitMax = max(g.count.WaitMax, waited)
	if got == TimedOut || got == Cancelled {
		if w.queued {
			g.waiters.remove(w)
		} else if served := <-w.ready; served == Granted {
			// The slot came at the same moment. It goes to the next in line, so
			// that a caller that gave up never makes another one wait for it.
			g.pass()
		}
	}
	switch got {
	case Granted:
		g.count.Acquired++
	case TimedOut:
		g.count.TimedOut++
	case Cancelled:
		g.count.Cancelled++
	}
	return waited, got
}

// TryAcquire takes a slot only when one is free, and so nobody waits. It is in no count.
func (g *Gate) TryAcquire() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.inUse >= g.size {
		return false
	}
	g.take(time.Now())
	return true
}

// take takes a free slot. The caller holds g.mu.
func (g *Gate) take(now time.Time) {
	g.turn.tally(now, g.inUse)
	g.inUse++
}

// Release gives a slot back: to the longest waiter, if any. It panics when no slot is taken.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.waiters.len > 0 {
		g.turn.slotFreed(now)
	}
	g.turn.tally(now, g.inUse)
	g.turn.givenBack()
	g.pass()
}

// pass hands one taken slot on. The caller holds g.mu.
func (g *Gate) pass() {
	if w := g.waiters.popFront(); w != nil {
		w.ready <- Granted
		return
	}
	g.inUse--
	if g.inUse < 0 {
		panic("gate: a slot was released twice")
	}
}

// Close refuses all waiters and every later caller. Slots already taken stay valid until released.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for w := g.waiters.popFront(); w != nil; w = g.waiters.popFront() {
		w.ready <- Closed
	}
}

// Snapshot returns the state and the counts, all of one moment.
func (g *Gate) Snapshot() Snapshot {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Snapshot{
		Size: g.size, InUse: g.inUse, Queue: g.queue, Waiting: g.waiters.len,
		Turn: g.turn.mean, Counts: g.count,
	}
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
