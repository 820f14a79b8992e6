package oracletest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A conn is one client's connection. Two goroutines serve it: one reads packets into the inbox, the other answers. Only
// the second one writes, and it runs the handler too.
type conn struct {
	srv   *Server
	nc    net.Conn
	input *bufio.Reader
	in    *inbox
	r     reader
	w     writer

	ctx    context.Context // ends with the connection, its kill, and the server
	cancel context.CancelCauseFunc
	killed atomic.Bool

	// What the handshake found.
	service  string
	version  int  // the TTC field version
	counted  bool // announced strings are counted once more
	rawScale bool // a scale is one byte

	sess    *Session
	gone    bool // the session has ended, by logoff or otherwise
	cursors map[int]*cursor
	lastCur int
	lobs    lobs

	// failing is the cursor that the running call uses, named in the answer of its failure.
	failing int

	budget     int64 // bytes to send until the connection drops; below 0: none
	budgetTurn int64 // of the fault that the budget belongs to

	shown shown
}

func (s *Server) serve(nc net.Conn) {
	if s.cfg.TLS != nil {
		nc = tls.Server(nc, s.cfg.TLS)
	}
	c := &conn{srv: s, nc: nc, input: bufio.NewReaderSize(nc, 16<<10), in: newInbox(), cursors: map[int]*cursor{}, budget: -1}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	c.r.more = c.more
	if !s.join(c) {
		_ = nc.Close()
		c.cancel(errEnd)
		return
	}
	defer s.leave(c)
	reading := make(chan struct{})
	defer func() {
		c.cancel(errEnd)
		_ = nc.Close()
		c.in.fail(errEnd)
		<-reading
		c.endSession()
	}()
	accepted, err := c.connect()
	if err != nil || !accepted {
		close(reading)
		c.odd("connect", err)
		return
	}
	go func() {
		defer close(reading)
		c.readAll()
	}()
	if err := c.negotiate(); err != nil {
		c.odd("negotiate", err)
		return
	}
	if ok, err := c.authenticate(); err != nil || !ok {
		c.odd("log in", err)
		return
	}
	c.odd("serve", c.loop())
}

// odd reports an error that is not the client's going away.
func (c *conn) odd(doing string, err error) {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
		c.srv.cfg.Logf("oracletest: %s: %v", doing, err)
	}
}

// readAll moves packets to the inbox until the connection ends.
func (c *conn) readAll() {
	for {
		p, err := readPacket(c.input, true)
		if err != nil {
			c.in.fail(err)
			return
		}
		c.srv.packetIn(len(p.body) + headerSize)
		if p.kind == packetMarker && c.srv.isDeaf() {
			continue
		}
		c.in.push(p)
	}
}

// more returns the payload of the next DATA packet.
func (c *conn) more() ([]byte, error) {
	for {
		p, err := c.in.pop()
		if err != nil {
			return nil, err
		}
		switch {
		case p.kind == packetMarker:
			return nil, errBreak
		case p.kind != packetData || len(p.body) < 2:
			return nil, errMalformed("packet type %d of %d bytes", p.kind, len(p.body))
		case p.body[1]&dataEOF != 0:
			return nil, errEnd
		case len(p.body) > 2:
			return p.body[2:], nil
		}
	}
}

// loop answers messages until the session ends.
func (c *conn) loop() error {
	for {
		c.r.begin()
		err := c.message()
		if errors.Is(err, errBreak) {
			err = c.breakDance()
		}
		var malformed malformedError
		if errors.As(err, &malformed) {
			c.w.reset()
			c.summary(summary{code: 3106, text: "ORA-03106: fatal two-task communication protocol error"})
			_ = c.flush()
		}
		if err != nil {
			return err
		}
	}
}

// message reads one message and answers it.
func (c *conn) message() error {
	kind := c.r.u8()
	function := c.r.u8()
	c.r.u8() // sequence
	if c.r.err != nil {
		return c.r.err
	}
	switch kind {
	case 3:
		return c.function(function)
	case 17:
		return c.piggyback(function)
	}
	return errMalformed("message type %d", kind)
}

// function answers one TTC function. Its arguments are read to the end before anything is done.
func (c *conn) function(code byte) error {
	name, run := c.prepare(code)
	if c.r.err != nil {
		return c.r.err
	}
	if run == nil {
		return errMalformed("function %#x, which the double does not know", code)
	}
	c.srv.count(func(st *Stats) { st.Calls[name]++ })
	c.shown.calls.Add(1)
	return c.answer(name, run)
}

// prepare reads a function's arguments and returns its name and what answers it.
func (c *conn) prepare(code byte) (name string, run func(context.Context) error) {
	switch code {
	case 0x5E:
		req := c.parseExecute()
		return "execute", func(ctx context.Context) error { return c.execute(ctx, req) }
	case 0x04, 0x4E:
		req := c.parseReexecute(code == 0x4E)
		return "reexecute", func(ctx context.Context) error { return c.execute(ctx, req) }
	case 0x05:
		id, n := c.r.ub(), c.r.ub()
		return "fetch", func(ctx context.Context) error { return c.fetch(ctx, id, n) }
	case 0x60:
		op := c.parseLobOp()
		return "lob", func(context.Context) error { return c.lobOp(op) }
	case 0x0E:
		return "commit", func(context.Context) error { return c.plain(c.commit()) }
	case 0x0F:
		return "rollback", func(context.Context) error { c.rollback(); return c.plain(nil) }
	case 0x93:
		return "ping", func(context.Context) error { return c.plain(nil) }
	case 0x09:
		return "logoff", func(context.Context) error { c.endSession(); return c.plain(nil) }
	case 0x3B:
		c.versionCall()
		return "version", func(context.Context) error { return nil }
	}
	return "", nil
}

// answer runs a call and sends what came of it. Whatever ends the call early takes the place of its answer.
func (c *conn) answer(name string, run func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	c.failing = 0
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
	case err == nil && name == "commit" && c.srv.losesCommit():
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

// plain answers with a status, or fails.
func (c *conn) plain(err error) error {
	if err == nil {
		c.status()
	}
	return err
}

func (c *conn) status() { c.w.put(9, 1, 1, 0) }

func (c *conn) commit() error {
	if e := c.srv.failsCommit(); e != nil {
		c.rollback()
		return e
	}
	if h, ok := c.srv.cfg.Handler.(TxHandler); ok && !c.gone {
		return h.Commit(c.sess)
	}
	return nil
}

func (c *conn) rollback() {
	if h, ok := c.srv.cfg.Handler.(TxHandler); ok && !c.gone {
		h.Rollback(c.sess)
	}
}

// openSession is the last step of the login.
func (c *conn) openSession(user string, pairs map[string]string) *Error {
	c.sess = &Session{
		ID: c.srv.lastID.Add(1), User: user, Service: c.service, Program: pairs["AUTH_PROGRAM_NM"],
		Values: map[string]any{}, Settings: map[string]string{},
	}
	c.shown.set(c.sess)
	if refusal := c.srv.admit(c); refusal != nil {
		c.sess = nil
		return refusal
	}
	return nil
}

// endSession rolls back, once.
func (c *conn) endSession() {
	if c.sess == nil || c.gone {
		return
	}
	c.rollback()
	c.gone = true
	c.srv.discharge(c)
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
		for err == nil {
			_, err = c.in.pop()
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
