package loadtest

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A wire is a connection to the target. It belongs to one sender at a time, or rests.
//
// A deadline of a connection is a timer of the runtime, and to move it for each request costs more than to read an
// answer. So it is set when it is due later than a request may take, and else left where it is: when it comes too soon,
// extend moves it, about once in a timeout.
type wire struct {
	conn   net.Conn
	raw    syscall.RawConn // nil where this system or connection has none
	of     *wires
	set    time.Duration // the deadline that conn has; 0 before the first
	limit  time.Duration // when the request at hand is given up
	rested time.Duration // since when it rests
	used   bool          // has brought an answer

	hasty   bool // ask returns errWaits in place of waiting
	watched bool // by a lobby, which knows of it until it is closed

	// What a call of the kernel reads from and writes to.
	request []byte // what is still to be sent
	into    *wireAnswer
	got     int
	err     error
	call    func(fd uintptr) bool // step, made once
}

// wires are all connections of a run.
type wires struct {
	dial   dialer
	direct *directDialer // takes the place of dial, unless nil
	addr   string        // host:port
	began  time.Time
	clock  func() time.Duration // since began
	opened *atomic.Int64

	ended atomic.Bool // the run has; no deadline may be moved any more
	mu    sync.Mutex  // guards all below
	open  map[*wire]struct{}
	rest  []*wire // open wires that nobody uses, the last used last
}

// maxRest is how long a wire may rest unwatched: a server that closes a wire does so a while after the answer before it.
const maxRest = time.Millisecond

// take returns a wire that rests, or else a new one. own, unless nil, is where the only user of a wire keeps it.
func (ls *wires) take(ctx context.Context, own **wire, limit time.Duration) (*wire, error) {
	for {
		l := ls.rested(own)
		if l == nil {
			break
		}
		if now := ls.clock(); now-l.rested < maxRest || l.quiet() {
			return l, nil
		}
		l.close()
	}
	now := ls.clock()
	if limit <= now {
		return nil, context.DeadlineExceeded
	}
	if ls.direct != nil {
		return ls.openDirect(limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit-now)
	defer cancel()
	conn, err := ls.dial(ctx, "tcp", ls.addr)
	if err != nil {
		return nil, err
	}
	ls.opened.Add(1)
	return ls.add(conn), nil
}

func (ls *wires) openDirect(limit time.Duration) (*wire, error) {
	conn, err := ls.direct.open()
	if err != nil {
		return nil, err
	}
	l := ls.add(conn)
	l.begin(limit)
	if err := ls.direct.connected(l); err != nil {
		l.close()
		return nil, err
	}
	ls.opened.Add(1)
	return l, nil
}

// add makes a wire of conn, which cutOff then knows.
func (ls *wires) add(conn net.Conn) *wire {
	l := &wire{conn: conn, of: ls}
	l.prepare()
	ls.mu.Lock()
	ls.open[l] = struct{}{}
	ls.mu.Unlock()
	return l
}

func (ls *wires) rested(own **wire) *wire {
	if own != nil {
		l := *own
		*own = nil
		return l
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := len(ls.rest)
	if n == 0 {
		return nil
	}
	l := ls.rest[n-1]
	ls.rest = ls.rest[:n-1]
	return l
}

// give takes back a wire that brought a whole answer.
func (ls *wires) give(l *wire, own **wire) {
	l.rested, l.used = ls.clock(), true
	if own != nil {
		*own = l
		return
	}
	ls.mu.Lock()
	ls.rest = append(ls.rest, l)
	ls.mu.Unlock()
}

// cutOff makes every read and write fail at once, also those under way.
func (ls *wires) cutOff() {
	ls.ended.Store(true)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for l := range ls.open {
		l.conn.SetDeadline(past)
	}
}

// close closes all wires. Nobody may be using one.
func (ls *wires) close() {
	ls.mu.Lock() // a run that ended by itself may be cut off at the same moment
	defer ls.mu.Unlock()
	for l := range ls.open {
		l.conn.Close()
	}
	clear(ls.open)
	ls.rest = nil
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

func (l *wire) close() {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	l.conn.Close()
}

// begin makes limit the end of what is read and written from now on.
func (l *wire) begin(limit time.Duration) {
	if l.limit = limit; l.set == 0 || limit < l.set {
		l.arm()
	}
}

func (l *wire) arm() {
	l.set = l.limit
	l.conn.SetDeadline(l.of.began.Add(l.limit))
	if l.of.ended.Load() { // maybe before the wire was in the set that cutOff goes through
		l.conn.SetDeadline(past)
	}
}

// extend returns nil when err only says that the deadline of an earlier request has come, and the error of the request at
// hand otherwise.
func (l *wire) extend(err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case l.of.ended.Load():
		return context.Canceled
	case l.of.clock() >= l.limit:
		return context.DeadlineExceeded
	}
	l.arm()
	return nil
}

// write sends all of request.
func (l *wire) write(request []byte) error {
	for len(request) > 0 {
		n, err := l.conn.Write(request)
		request = request[n:]
		if err != nil {
			if err = l.extend(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads once, waiting with the space of a already taken.
func (l *wire) read(a *wireAnswer) (int, error) {
	for {
		n, err := l.conn.Read(a.space())
		if n > 0 || err == nil {
			return n, nil
		}
		if err = l.extend(err); err != nil {
			return 0, err
		}
	}
}

// maxAtOnce is how much of a request is written before the answer is looked for, where the kernel does not say how much it
// takes. More could wait for a server that has answered already and reads no more.
const maxAtOnce = 64 << 10

// askPlain is ask for any connection.
func (l *wire) askPlain(request []byte, a *wireAnswer) (rest []byte, n int, err error) {
	if len(request) > maxAtOnce {
		return request, 0, nil
	}
	if err := l.write(request); err != nil {
		return nil, 0, err
	}
	n, err = l.read(a)
	return nil, n, err
}
