package tomedata

import (
	"context"
	"sync"
	"time"
)

// lockKey is a row (by its table and row id) or a value of a unique key.
type lockKey struct {
	of  any // *table or *unique
	key any // int64 row id, or key
}

// lock is held by one transaction until it ends.
type lock struct {
	holder *tx
	freed  chan struct{} // closed when the holder lets go
}

// locks are those of all transactions.
type locks struct {
	mu   sync.Mutex // guards held, and every tx's waitsFor
	held map[lockKey]*lock
}

// waitMode says what a statement does at a lock that another holds.
type waitMode struct {
	noWait bool
	most   time.Duration // FOR UPDATE WAIT n; 0: as long as it takes
}

// blockedError tells the caller, who holds the data's mutex, to let go of it and wait for a lock.
type blockedError struct{ key lockKey }

func (*blockedError) Error() string { return "waits for a lock" }

// has reports whether t holds the lock, or takes it if nobody does.
func (l *locks) has(t *tx, k lockKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grab(t, k) == nil
}

// grab takes a free lock; else it returns the other's. Callers hold l.mu.
func (l *locks) grab(t *tx, k lockKey) *lock {
	if now := l.held[k]; now != nil {
		if now.holder == t {
			return nil
		}
		return now
	}
	l.held[k] = &lock{holder: t, freed: make(chan struct{})}
	t.locked = append(t.locked, k)
	return nil
}

// take waits for a lock: until the holder's transaction ends, ctx does, or, where the statement says
// so, not at all.
func (l *locks) take(ctx context.Context, t *tx, k lockKey, w waitMode) error {
	var late <-chan time.Time
	if w.most > 0 {
		timer := time.NewTimer(w.most)
		defer timer.Stop()
		late = timer.C
	}
	for {
		l.mu.Lock()
		other := l.grab(t, k)
		if other == nil {
			l.mu.Unlock()
			return nil
		}
		if w.noWait {
			l.mu.Unlock()
			return ora(54, "resource busy and acquire with NOWAIT specified or timeout expired")
		}
		if circle(other.holder, t) {
			l.mu.Unlock()
			return ora(60, "deadlock detected while waiting for resource")
		}
		t.waitsFor = other.holder
		l.mu.Unlock()
		var err error
		select {
		case <-other.freed:
		case <-ctx.Done():
			err = ctx.Err()
		case <-late:
			err = ora(30006, "resource busy; acquire with WAIT timeout expired")
		}
		l.mu.Lock()
		t.waitsFor = nil
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// circle reports whether from waits, over others, for t. Callers hold the locks' mutex.
func circle(from, t *tx) bool {
	for ; from != nil; from = from.waitsFor {
		if from == t {
			return true
		}
	}
	return false
}

// free lets go of everything that t holds.
func (l *locks) free(t *tx) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range t.locked {
		if now := l.held[k]; now != nil && now.holder == t {
			delete(l.held, k)
			close(now.freed)
		}
	}
	t.locked = nil
}
