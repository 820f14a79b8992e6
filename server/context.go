package server

import (
	"context"
	"sync"
	"time"
)

// A requestContext ends with its parent or at a deadline. It differs from context.WithDeadline
// in that the timer is set when somebody first waits for the end: a search that the cache
// answers never does, and a timer costs it as much as the search.
type requestContext struct {
	parent   context.Context
	deadline time.Time

	mu     sync.Mutex // guards the rest
	timed  context.Context
	cancel context.CancelFunc
	ended  bool
}

// Deadline returns the earlier of the deadline and the parent's.
func (r *requestContext) Deadline() (time.Time, bool) {
	if d, ok := r.parent.Deadline(); ok && d.Before(r.deadline) {
		return d, true
	}
	return r.deadline, true
}

// Done returns a channel that is closed when the parent ends, at the deadline, or by stop.
func (r *requestContext) Done() <-chan struct{} { return r.wait().Done() }

// Err returns context.Canceled or context.DeadlineExceeded once the context has ended.
func (r *requestContext) Err() error {
	r.mu.Lock()
	timed, ended := r.timed, r.ended
	r.mu.Unlock()
	switch {
	case timed != nil:
		return timed.Err()
	case ended:
		return context.Canceled
	}
	if err := r.parent.Err(); err != nil {
		return err
	}
	if time.Now().Before(r.deadline) {
		return nil
	}
	return r.wait().Err() // the same answer from now on
}

func (r *requestContext) Value(key any) any { return r.parent.Value(key) }

// AfterFunc lets contexts derived from this one follow it without a goroutine each.
func (r *requestContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(r.wait(), f)
}

// wait returns the context with the timer.
func (r *requestContext) wait() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timed == nil {
		r.timed, r.cancel = context.WithDeadline(r.parent, r.deadline)
		if r.ended {
			r.cancel()
		}
	}
	return r.timed
}

// stop ends the context: the request is answered.
func (r *requestContext) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.cancel != nil {
		r.cancel()
	}
}
