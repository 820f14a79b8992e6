package loadtest

import (
	"context"
	"sync"
	"time"
)

// A crew sends what an agenda says, by senders of its own. It knows plain http and no proxies; an attack does the rest.
//
// One goroutine at a time, the leader, waits for the agenda. When a user is due it makes another one leader and sends the
// request itself, so that nothing is handed over between the moment a request is due and the moment it is sent. Whoever
// has an answer asks the agenda for the next user who is due, and joins the others when there is none. So there are as
// many goroutines as requests under way, and a few, whatever number of users think.
type crew struct {
	agenda  *agenda
	ex      *exchange
	wires   *wires
	slow    *wires // for steps that read slowly
	perUser bool
	after   func(u *user, sent time.Duration) (at time.Duration, back bool)

	all  sync.WaitGroup
	lead chan struct{} // makes one of those who rest the leader
	over chan struct{} // closed when the agenda has ended

	mu   sync.Mutex // guards rest
	rest int        // goroutines that wait for lead
}

// maxIdle is how many goroutines wait to lead. More than this come and go with the requests, because each keeps the
// stack that its deepest call needed.
const maxIdle = 64

// run returns when the agenda has ended and every request has. When ctx ends, requests are cut off at once.
func (c *crew) run(ctx context.Context) {
	c.lead, c.over = make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.agenda.wait.wake()
		c.wires.cutOff()
		c.slow.cutOff()
	})
	defer stop()
	c.all.Go(func() { c.work(ctx) })
	c.all.Wait()
	c.wires.close()
	c.slow.close()
}

// work leads, sends and rests in turn. It begins as the leader.
func (c *crew) work(ctx context.Context) {
	s := &sender{ctx: ctx, ex: c.ex, wires: c.wires, slow: c.slow, perUser: c.perUser}
	for {
		u, ok := c.agenda.next()
		if !ok {
			close(c.over)
			return
		}
		c.pass(ctx)
		for u != nil {
			sent := s.send(u)
			at, back := c.after(u, sent)
			u = c.agenda.turn(u, at, back)
		}
		if !c.rests() {
			return
		}
	}
}

// pass makes another goroutine the leader.
func (c *crew) pass(ctx context.Context) {
	c.mu.Lock()
	waits := c.rest > 0
	if waits {
		c.rest--
	}
	c.mu.Unlock()
	if waits {
		c.lead <- struct{}{}
		return
	}
	c.all.Go(func() { c.work(ctx) })
}

// rests waits to become the leader; false when nothing is left to do.
func (c *crew) rests() bool {
	c.mu.Lock()
	if c.rest >= maxIdle {
		c.mu.Unlock()
		return false
	}
	c.rest++
	c.mu.Unlock()
	select {
	case <-c.lead:
		return true
	case <-c.over:
		return false
	}
}
