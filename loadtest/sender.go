package loadtest

import (
	"bytes"
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
	crowded bool   // many wait for answers; the next request is to wait by the function wait
	wait    func(context.Context, waits) bool

	request, body []byte
	answer        wireAnswer
}

// send makes the user's request, sends it, sets the user's call, and returns when it was sent. When it waits for its answer
// elsewhere, the call is not set, the user is another's, and a sender's resume goes on.
func (s *sender) send(u *user) (sent time.Duration, waits bool) {
	var err error
	s.request, s.body, err = u.compose(s.request[:0], s.body[:0])
	defer s.shrink()
	sent = s.ex.clock()
	if err != nil {
		u.call.answered, u.call.detail = sent, clip(err.Error(), 200)
		return sent, false
	}
	return sent, s.deliver(u, sent)
}

// resume goes on with a request that waited elsewhere and sets its user's call, unless it has to wait again.
func (s *sender) resume(w waits) (waits bool) {
	_, own := s.wiresOf(w.u)
	a := s.expect(w.u, w.wire)
	defer a.drop()
	n, err := w.wire.fill(a)
	again, err := s.answered(w.u, w.wire, own, question{}, n, err)
	if again {
		s.request = append(s.request[:0], w.request...)
		return s.deliver(w.u, w.sent)
	}
	if err != nil {
		s.ex.failed(w.u, err, false)
	}
	return false
}

// wiresOf returns the wires that the user's step is sent on, and where the user keeps one of its own, if it has any.
func (s *sender) wiresOf(u *user) (all *wires, own **wire) {
	switch {
	case u.call.step.Slow != nil:
		return s.slow, nil
	case s.perUser:
		return s.wires, &u.wire
	}
	return s.wires, nil
}

// deliver sends the request that was made, again if it must be, and sets the user's call unless the request waits elsewhere.
func (s *sender) deliver(u *user, sent time.Duration) (waits bool) {
	wires, own := s.wiresOf(u)
	limit := sent + u.call.step.Timeout
	for {
		l, err := wires.take(s.ctx, own, limit)
		if err != nil {
			s.ex.failed(u, err, false)
			return false
		}
		u.call.conns++
		l.begin(limit)
		again, err := s.attempt(u, l, own, sent)
		switch {
		case err == errWaits:
			return true
		case again:
			continue
		case err != nil:
			s.ex.failed(u, err, false)
		}
		return false
	}
}

// maxKept is how long a request may be for its memory to be kept for the next one.
const maxKept = 256 << 10

func (s *sender) shrink() {
	if cap(s.request) > maxKept {
		s.request, s.body = nil, nil
	}
}

// errWaits says that a request was sent and its answer has not begun.
var errWaits = errors.New("waits for its answer")

// expect readies for the answer to the user's request.
func (s *sender) expect(u *user, l *wire) *wireAnswer {
	s.answer = wireAnswer{from: l, method: u.call.step.Method, little: u.call.step.Slow != nil}
	return &s.answer
}

// attempt sends the request over l. Without an error it has set the user's call; errWaits says that the request waits for
// its answer elsewhere. again is answered's.
func (s *sender) attempt(u *user, l *wire, own **wire, sent time.Duration) (again bool, err error) {
	a := s.expect(u, l)
	defer a.drop()
	l.hasty = s.crowded
	rest, n, err := l.ask(s.request, a)
	l.hasty = false
	if err == errWaits {
		w := waits{u: u, wire: l, sent: sent}
		if l.used && u.plan().replay {
			w.request = bytes.Clone(s.request)
		}
		if s.wait(s.ctx, w) {
			return false, errWaits
		}
		n, err = l.fill(a)
	}
	return s.answered(u, l, own, question{rest: rest, unsent: len(rest) == len(s.request)}, n, err)
}

// A question is what became of a request.
type question struct {
	rest   []byte // what is still to be sent
	unsent bool   // nothing was
}

// answered goes on when n bytes of an answer have come, or err. Without an error it has set the user's call. again says that
// the server closed a wire that had rested, and that the request may be sent once more: nothing of it was sent, or nothing
// of an answer came and to do it twice does no harm.
func (s *sender) answered(u *user, l *wire, own **wire, q question, n int, err error) (again bool, _ error) {
	a := &s.answer
	a.w, a.began = a.w+n, n > 0
	var beside chan error
	if err == nil && len(q.rest) > 0 {
		beside = l.writeBeside(q.rest)
	}
	if err == nil {
		err = a.head()
	}
	if err == nil {
		s.receive(u, l, a)
	}
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
	return q.unsent && beside == nil || u.plan().replay, err
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
