package oracletest

import (
	"context"
	"errors"
	"time"
)

// answer runs a call and sends what came of it. Whatever ends the call early takes the place of its answer.
func (c *conn) answer(name string, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	c.failing, c.committed = 0, false
	c.in.begin(cancel)
	err := c.delay(ctx, name)
	if err == nil && c.gone {
		err = &Error{Code: 1012}
	}
	if err == nil && !c.killed.Load() {
		err = run(ctx)
	}
	broken, lost := c.in.end()
	switch {
	case c.killed.Load():
		c.w.reset()
		c.fault(&Error{Code: 28})
		_ = c.flush()
		return errKilled
	case lost != nil && c.ctx.Err() != nil:
		return lost
	case broken:
		c.w.reset()
		return errBreak
	case lost != nil:
		return lost
	case err == nil && c.committed && c.srv.losesCommit():
		return errEnd
	case err == nil:
		return c.flushAnswer()
	}
	c.w.reset()
	oracle := asError(err)
	if c.srv.byMarker() {
		if err := c.announce(); err != nil {
			return err
		}
	}
	c.fault(oracle)
	if err := c.flushAnswer(); err != nil {
		return err
	}
	if endsSession(oracle.Code) {
		return errKilled
	}
	return nil
}

// asError is what the client is told.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: 600, Message: "internal error code: " + err.Error()}
}

// delay waits for the latency of the fault methods.
func (c *conn) delay(ctx context.Context, name string) error {
	d := c.srv.latency(name)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// breakDance answers a client's break: a marker, the client's reset, a reset, the error. Drivers read exactly one packet
// between their reset and the error.
func (c *conn) breakDance() error {
	c.w.reset()
	if err := c.announce(); err != nil {
		return err
	}
	c.srv.count(func(st *Stats) { st.Breaks++ })
	c.fault(&Error{Code: 1013})
	return c.flush()
}

// announce ends what the client is waiting for with markers, and throws away what it sent meanwhile.
func (c *conn) announce() error {
	if err := c.send(markerPacket(markerBreak)); err != nil {
		return err
	}
	for {
		p, err := c.in.pop()
		if err != nil {
			return err
		}
		if p.kind == packetMarker && len(p.body) >= 3 && p.body[2] == markerReset {
			break
		}
	}
	c.r.drop()
	return c.send(markerPacket(markerReset))
}

func markerPacket(kind byte) []byte {
	return appendPacket(nil, packetMarker, true, []byte{1, 0, kind})
}

// flush sends the answer that was put together.
func (c *conn) flush() error {
	err := c.send(appendData(nil, c.w.b))
	c.w.reset()
	return err
}

// flushAnswer is flush for calls, which faults may cut in half.
func (c *conn) flushAnswer() error {
	if c.srv.halves() {
		b := appendData(nil, c.w.b)
		_, err := c.nc.Write(b[:len(b)-(len(b)-headerSize)/2-1])
		c.w.reset()
		if err == nil {
			err = c.stuck()
		}
		return err
	}
	return c.flush()
}

// send writes whole packets, as far as a fault lets it.
func (c *conn) send(b []byte) error {
	if n, turn := c.srv.dropBudget(); turn != c.budgetTurn {
		c.budget, c.budgetTurn = n, turn
	}
	drop := c.budget >= 0 && int64(len(b)) > c.budget
	if drop {
		b = b[:c.budget]
	} else if c.budget >= 0 {
		c.budget -= int64(len(b))
	}
	_, err := c.nc.Write(b)
	c.srv.packetOut(len(b))
	if drop {
		return errEnd
	}
	return err
}
