package loadtest

import (
	"context"
	"errors"
	"time"
)

// A sender sends one request at a time over wires, and has the exchange receive the answer. Its memory is used again
// for each.
type sender struct {
	ctx     context.Context // ends with the run
	ex      *exchange
	wires   *wires
	slow    *wires // for steps that read slowly
	perUser bool   // every user has a wire of its own

	request, body []byte
	answer        wireAnswer
}

// send makes the user's request, sends it, sets the user's call, and returns when it was sent.
func (s *sender) send(u *user) time.Duration {
	var err error
	s.request, s.body, err = u.compose(s.request[:0], s.body[:0])
	defer s.shrink()
	sent := s.ex.clock()
	if err != nil {
		u.call.answered, u.call.detail = sent, clip(err.Error(), 200)
		return sent
	}
	var own **wire
	wires := s.wires
	switch {
	case u.call.step.Slow != nil:
		wires = s.slow
	case s.perUser:
		own = &u.wire
	}
	limit := sent + u.call.step.Timeout
	for {
		l, err := wires.take(s.ctx, own, limit)
		if err != nil {
			s.ex.failed(u, err, false)
			return sent
		}
		u.call.conns++
		l.begin(limit)
		again, err := s.attempt(u, l, own)
		if !again {
			if err != nil {
				s.ex.failed(u, err, false)
			}
			return sent
		}
	}
}

// maxKept is how long a request may be for its memory to be kept for the next one.
const maxKept = 256 << 10

func (s *sender) shrink() {
	if cap(s.request) > maxKept {
		s.request, s.body = nil, nil
	}
}

// attempt sends the request over l. Without an error it has set the user's call. again says that the server closed a wire
// that had rested, and that the request may be sent once more: nothing of it was sent, or nothing of an answer came and
// to do it twice does no harm.
func (s *sender) attempt(u *user, l *wire, own **wire) (again bool, err error) {
	a := &s.answer
	*a = wireAnswer{from: l, method: u.call.step.Method, little: u.call.step.Slow != nil}
	defer a.drop()
	rest, n, err := l.ask(s.request, a)
	nothing := len(rest) == len(s.request)
	a.w, a.began = a.w+n, n > 0
	var beside chan error
	if err == nil && len(rest) > 0 {
		beside = l.writeBeside(rest)
	}
	if err == nil {
		err = a.head()
	}
	if err == nil {
		s.receive(u, l, a)
	}
	nothing = nothing && beside == nil
	kept := err == nil && a.clean()
	if beside != nil && !l.wroteAll(beside) {
		kept = false
	}
	if kept {
		l.of.give(l, own)
		return false, nil
	}
	l.close()
	if err == nil || !l.used || a.began || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false, err
	}
	return nothing || u.plan().replay, err
}

// receive has the exchange read the body.
func (s *sender) receive(u *user, l *wire, a *wireAnswer) {
	ctx := s.ctx
	if u.call.step.Slow != nil { // nobody else asks for the time that is left
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.limit-s.ex.clock())
		defer cancel()
	}
	s.ex.receive(ctx, u, incoming{status: a.status, events: a.events, body: a})
}

// writeBeside writes the rest of a long request while the caller reads, because a server may answer before it has read
// all.
func (l *wire) writeBeside(rest []byte) chan error {
	l.arm() // so that the deadline is this request's and nobody needs to move it
	done := make(chan error, 1)
	go func() {
		_, err := l.conn.Write(rest)
		done <- err
	}()
	return done
}

// wroteAll ends what writeBeside began and tells whether it had sent everything.
func (l *wire) wroteAll(done chan error) bool {
	select {
	case err := <-done:
		return err == nil
	default:
	}
	l.conn.SetDeadline(past) // the wire cannot be used any more
	<-done
	return false
}
