package loadtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// An agenda knows which user is to send a request when. It is the only clock of a run: vegeta asks it for the next user
// and gets one at the moment the request is due, in the order in which requests are due.
//
// In the closed model the users come back with the time at which they have done thinking. In the open model visitors
// arrive by the curve, each takes a free slot, and comes back until its flow is done. When no slot is free, whoever
// arrives waits for one; being due then lies in the past, so the wait counts in the response time, and the request is
// marked as held, so that nobody blames the generator.
type agenda struct {
	ctx   context.Context
	warm  time.Duration // arrivals due from here to end are asked for in the measured time
	end   time.Duration // nothing that is due then or later is sent
	last  time.Duration // nothing is sent after it
	clock func() time.Duration
	wait  waiter

	mu       sync.Mutex // guards all below
	queue    []entry    // a binary heap, the earliest first
	order    uint64
	sleeping time.Duration // until when next sleeps; 0 when it does not
	arrivals *arrivalClock // nil in the closed model
	free     []*user       // slots without a visitor
	taken    int           // slots with one
	asked    int64         // arrivals in the measured time that got a slot
	blocked  time.Duration // when an arrival was last seen to wait for a slot
}

// An entry says that u is to send at. Entries of the same moment keep the order in which they came.
type entry struct {
	at    time.Duration
	order uint64
	u     *user
}

func (e entry) before(o entry) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// A waiter sleeps.
type waiter interface {
	// wait returns after d, or sooner when wake was called since the last wait returned.
	wait(d time.Duration)
	wake()
	close()
}

// forever is longer than any run.
const forever = time.Duration(1<<62 - 1)

// push gives u back, to send at the given time.
func (a *agenda) push(u *user, at time.Duration) {
	a.mu.Lock()
	a.order++
	a.insert(entry{at: at, order: a.order, u: u})
	wake := at < a.sleeping
	a.mu.Unlock()
	if wake {
		a.wait.wake()
	}
}

// leave frees the slot of a visitor whose flow is done.
func (a *agenda) leave(u *user) {
	a.mu.Lock()
	a.free = append(a.free, u)
	a.taken--
	wake := a.sleeping > 0 && a.arrivals.at <= a.clock()
	a.mu.Unlock()
	if wake {
		a.wait.wake()
	}
}

// turn gives u back as push does, or, unless it comes back, as leave does, and takes another user who is to send by now;
// nil when there is none. Whoever answers many users in a row wakes nobody with it.
func (a *agenda) turn(u *user, at time.Duration, back bool) *user {
	a.mu.Lock()
	now := a.clock()
	switch {
	case back:
		a.order++
		a.insert(entry{at: at, order: a.order, u: u})
	case a.arrivals != nil:
		if len(a.free) == 0 {
			a.blocked = now // whoever came until now and has no slot had to wait for one
		}
		a.free = append(a.free, u)
		a.taken--
	}
	var next *user
	again := time.Duration(0)
	if a.ctx.Err() == nil {
		next, again = a.due(now)
	}
	// Who sleeps must wake when he slept too long: u is due before that, or the run is over.
	wake := a.sleeping > 0 && (next == nil && again < a.sleeping || next != nil && next != u && back && at < a.sleeping)
	a.mu.Unlock()
	if wake {
		a.wait.wake()
	}
	return next
}

// ready takes a user who is to send by now; nil when there is none.
func (a *agenda) ready() *user {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return nil
	}
	u, _ := a.due(a.clock())
	return u
}

// next blocks until a user is to send, and returns it with its call.due set; false when the run is over.
func (a *agenda) next() (*user, bool) {
	for a.ctx.Err() == nil {
		now := a.clock()
		a.mu.Lock()
		u, again := a.due(now)
		a.sleeping = again
		a.mu.Unlock()
		switch {
		case u != nil:
			return u, true
		case again == 0:
			return nil, false
		}
		a.wait.wait(again - now)
	}
	return nil, false
}

// due takes the user who is to send by now; or tells when to look again, unless it is woken before; or returns 0, when the
// run is over. The caller holds mu.
func (a *agenda) due(now time.Duration) (*user, time.Duration) {
	back, come := forever, forever // when the next user is back, and when the next visitor comes
	if len(a.queue) > 0 && a.queue[0].at < a.end {
		back = a.queue[0].at
	}
	if a.arrivals != nil && a.arrivals.at < a.end {
		come = a.arrivals.at
	}
	waits := come <= now && len(a.free) == 0
	if waits {
		a.blocked, come = now, forever
	}
	switch first := min(back, come); {
	case now > a.last:
		return nil, 0
	case first <= now && back <= come:
		u := a.remove().u
		u.call.due, u.call.held = back, false
		return u, 0
	case first <= now:
		return a.arrive(come), 0
	case first < forever:
		return nil, first
	case now < a.end:
		return nil, a.end // users under way may come back until then
	case waits:
		return nil, a.last + 1 // until a slot is free
	}
	return nil, 0
}

// arrive gives a free slot to the visitor who came at the given time. The caller holds mu.
func (a *agenda) arrive(at time.Duration) *user {
	u := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	a.taken++
	u.identity = a.arrivals.identity()
	u.begin()
	u.call.due, u.call.held = at, at <= a.blocked
	if at >= a.warm {
		a.asked++
	}
	a.arrivals.next()
	return u
}

// present is how many visitors there are.
func (a *agenda) present() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken
}

// askedUntil counts the arrivals due in the measured time before to, also those that never got a slot.
func (a *agenda) askedUntil(to time.Duration) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.asked
	for ; a.arrivals != nil && a.arrivals.at < to; a.arrivals.next() {
		if a.arrivals.at >= a.warm {
			n++
		}
	}
	return n
}

func (a *agenda) insert(e entry) {
	a.queue = append(a.queue, e)
	for i := len(a.queue) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.queue[i].before(a.queue[parent]) {
			break
		}
		a.queue[i], a.queue[parent] = a.queue[parent], a.queue[i]
		i = parent
	}
}

func (a *agenda) remove() entry {
	first, last := a.queue[0], len(a.queue)-1
	a.queue[0], a.queue[last] = a.queue[last], entry{}
	a.queue = a.queue[:last]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && a.queue[child].before(a.queue[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		a.queue[i], a.queue[least] = a.queue[least], a.queue[i]
		i = least
	}
}

// An arrivalClock gives the moments at which visitors come. The n-th comes when the integral of the rate reaches n; with
// Poisson gaps, when it reaches the sum of n exponential numbers, which makes a Poisson process of a changing rate.
type arrivalClock struct {
	curve      curve
	rng        *rand.Rand // nil for even gaps
	identities int
	worker     Worker // takes its share of the arrivals
	reached    float64
	came       int64
	at         time.Duration // of the next arrival; forever when there is none
}

func newArrivalClock(a *Arrivals, seed uint64, w Worker) *arrivalClock {
	c := &arrivalClock{curve: a.curve, identities: a.Identities, worker: w, came: -1}
	if a.Poisson {
		c.rng = rand.New(rand.NewPCG(seed, 1<<63))
	}
	c.next()
	return c
}

// next goes on to the next arrival that is the worker's.
func (c *arrivalClock) next() {
	c.one()
	for !c.worker.takes(c.came) {
		c.one()
	}
}

func (c *arrivalClock) one() {
	gap := 1.0
	if c.rng != nil {
		gap = c.rng.ExpFloat64()
	}
	c.reached += gap
	c.came++
	at, ok := c.curve.when(c.reached)
	if !ok {
		at = forever
	}
	c.at = at
}

// identity is the number under which the visitor at hand comes.
func (c *arrivalClock) identity() int { return int(c.came%int64(c.identities)) + 1 }
