package oracletest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
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
	failing   int
	committed bool // the running call has committed

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
		if err := h.Commit(c.sess); err != nil {
			return err
		}
	}
	c.committed = true
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
	if e := c.srv.failsLogin(); e != nil {
		c.sess = nil
		return e
	}
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
