package pool

import (
	"context"
	"slices"
	"time"
)

// signOfLife bounds the wait for an idle connection that is asked whether it is still there.
const signOfLife = 2 * time.Second

// doubt remembers that a connection turned out to be gone. What ended it, a restart of the database
// or a firewall, has likely ended the idle ones beside it as well: left alone, those at the bottom of
// the free list would count as open until they are old, and each would fail the first who gets it.
func (l *links) doubt() {
	if l.idleProbe <= 0 {
		return
	}
	now := time.Now().UnixNano()
	l.lost.Store(now)
	l.nudge()
	for _, o := range l.beside {
		o.lost.Store(now)
		o.nudge()
	}
}

// checkIdle asks the connections that have been idle since before the last loss for a sign of life,
// and drops those that give none. It takes only what nobody waits for, and asks none more often than
// every idleProbe; more reports that some are still to be asked.
func (l *links) checkIdle() (more bool) {
	if l.lost.Load() == 0 {
		return false
	}
	lost := time.Unix(0, l.lost.Load())
	doubted := func(k *link) bool { return k.idle.Before(lost) }
	for l.ctx.Err() == nil {
		if !l.gate.TryAcquire() {
			return true
		}
		l.mu.Lock()
		due := time.Now().Add(-l.idleProbe)
		i := slices.IndexFunc(l.free, func(k *link) bool { return doubted(k) && k.idle.Before(due) })
		if i < 0 {
			more = slices.ContainsFunc(l.free, doubted)
			l.mu.Unlock()
			l.gate.Release()
			return more
		}
		k := l.free[i]
		l.free = slices.Delete(l.free, i, i+1)
		l.mu.Unlock()
		l.askIdle(k)
	}
	return false
}

func (l *links) askIdle(k *link) {
	defer l.gate.Release()
	ctx, cancel := context.WithTimeout(l.ctx, signOfLife)
	defer cancel()
	if k.conn.PingContext(ctx) == nil && k.usable(l.ctx, l.probe) {
		l.put(k)
		return
	}
	l.drop(k)
}

// drop closes a connection that is of no use; the keeper sees to the minimum.
func (l *links) drop(k *link) {
	_ = k.conn.Close() // nobody can do anything about a fault of a connection thrown away
	l.recycled.Add(1)
	l.lose()
}
