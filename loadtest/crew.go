package loadtest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A crew sends what an agenda says, by senders of its own. It knows plain http and no proxies; an attack does the rest.
//
// One goroutine at a time, the leader, waits for the agenda. When a user is due it makes another one leader and sends the
// request itself, so that nothing is handed over between the moment a request is due and the moment it is sent. Whoever
// has an answer asks the agenda for the next user who is due, and joins the others when there is none. So there are as
// many goroutines as requests under way, and a few, whatever number of users think. Where more than waiting requests are
// under way, those that come on top wait for their answers in a lobby, without a goroutine.
type crew struct {
	agenda  *agenda
	ex      *exchange
	wires   *wires
	slow    *wires // for steps that read slowly
	perUser bool
	after   func(u *user, sent time.Duration) (at time.Duration, back bool)
	waiting int64 // how many requests may wait with a goroutine

	senders sync.Pool // of *sender
	all     sync.WaitGroup
	lead    chan struct{} // makes one of those who rest the leader
	over    chan struct{} // closed when the agenda has ended

	mu   sync.Mutex // guards rest
	rest int        // goroutines that wait for lead

	sending atomic.Int64 // goroutines with a request
	opening sync.Once    // of lobby
	lobby   *lobby       // nil until opened, and where it cannot be
}

// maxIdle is how many goroutines wait to lead. More than this come and go with the requests, because each keeps the
// stack that its deepest call needed.
const maxIdle = 64

// maxWaiting is how many requests have a goroutine while they wait for their answers, unless a test says otherwise: 4 MiB of
// stacks. One more costs a third more time of the processor (BenchmarkLobby), which fewer should not pay.
const maxWaiting = 1024

// run returns when the agenda has ended and every request has. When ctx ends, requests are cut off at once.
func (c *crew) run(ctx context.Context) {
	c.lead, c.over = make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.agenda.wait.wake()
		c.wires.cutOff()
		c.slow.cutOff()
		if b := c.opened(); b != nil {
			b.empty()
		}
	})
	defer stop()
	c.all.Go(func() { c.leads(c.sender(ctx)) })
	c.all.Wait()
	if b := c.opened(); b != nil {
		b.close()
	}
	c.wires.close()
	c.slow.close()
}

func (c *crew) sender(ctx context.Context) *sender {
	if s, ok := c.senders.Get().(*sender); ok {
		return s
	}
	return &sender{ctx: ctx, ex: c.ex, wires: c.wires, slow: c.slow, perUser: c.perUser, wait: c.wait}
}

// wait has a request whose answer has not begun wait without the goroutine that calls, and tells whether it does.
func (c *crew) wait(ctx context.Context, w waits) bool {
	c.opening.Do(func() {
		// Without a lobby everybody keeps a goroutine, which costs memory and nothing else.
		c.lobby, _ = newLobby(c.wires.began, c.wires.clock, func(w waits) {
			go func() {
				defer c.all.Done()
				c.resume(ctx, w)
			}()
		})
	})
	if c.lobby == nil {
		return false
	}
	c.all.Add(1)
	if c.lobby.enter(w) {
		return true
	}
	c.all.Done()
	return false
}

// opened returns the lobby, and leaves it at none for good when it was not opened so far.
func (c *crew) opened() *lobby {
	c.opening.Do(func() {})
	return c.lobby
}

// leads leads, sends and rests in turn. It begins as the leader.
func (c *crew) leads(s *sender) {
	defer c.senders.Put(s)
	for {
		u, ok := c.agenda.next()
		if !ok {
			close(c.over)
			return
		}
		c.pass(s.ctx)
		c.serve(s, u)
		if !c.rests() {
			return
		}
	}
}

// resume goes on with a request that waited in the lobby.
func (c *crew) resume(ctx context.Context, w waits) {
	s := c.sender(ctx)
	c.sending.Add(1)
	waits := s.resume(w)
	c.sending.Add(-1)
	c.serve(s, c.turn(w.u, w.sent, waits))
	if c.rests() {
		c.leads(s)
		return
	}
	c.senders.Put(s)
}

// serve sends the request of u, and of others while some are due.
func (c *crew) serve(s *sender, u *user) {
	for u != nil {
		s.crowded = c.sending.Add(1) > c.waiting
		sent, waits := s.send(u)
		c.sending.Add(-1)
		u = c.turn(u, sent, waits)
	}
}

// turn returns the next user who is to send by now, nil when there is none. u has its answer unless it waits for it.
func (c *crew) turn(u *user, sent time.Duration, waits bool) *user {
	if waits {
		return c.agenda.ready()
	}
	at, back := c.after(u, sent)
	return c.agenda.turn(u, at, back)
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
	c.all.Go(func() { c.leads(c.sender(ctx)) })
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

// A waits is a request that was sent whole and waits for its answer in a lobby.
type waits struct {
	u       *user
	wire    *wire
	sent    time.Duration // since the run began
	request []byte        // to be sent again if the wire turns out to be closed; nil when it may not be
}
