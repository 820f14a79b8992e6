package pool

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// interruptGrace is how long a server has to end a statement that it was told to break, before
// its socket is cut. A server that obeys answers within one round trip.
const interruptGrace = 250 * time.Millisecond

// errCut is what a driver reads from a socket that was cut.
var errCut = errors.New("connection cut")

// wire is the socket of one Oracle session. It, and not the driver, bounds reads and writes.
//
// go-ora arms a read deadline of its own and reports its expiry as an error after which the
// session looks sound, so that the next query reads the answer of the last. Here the driver's
// deadlines go nowhere; a socket on which anything went wrong, or that was told to break its
// statement, says so for ever, and is not used again.
type wire struct {
	net.Conn
	sealed bool // carries TLS, so that no marker can be written on it beside the driver

	mu    sync.Mutex // guards the fields below
	fault error      // the first thing that went wrong
	wide  bool       // packets carry 32-bit lengths, as all do since TNS 3.15
	label label
}

// SetDeadline does nothing: see wire.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: see wire.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: see wire.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Read reads, and remembers that it could not.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// Write writes a packet, with the label that is due, and remembers that it could not.
func (w *wire) Write(p []byte) (int, error) {
	out := p
	if !w.sealed && len(p) >= 8 {
		w.mu.Lock()
		w.wide = uint64(binary.BigEndian.Uint32(p)) == uint64(len(p))
		out = w.label.onto(p)
		w.mu.Unlock()
	}
	if n, err := w.Conn.Write(out); err != nil {
		w.fail(err)
		return min(n, len(p)), err
	}
	return len(p), nil
}

// show has the session show that kind of work from the driver's next call on, if it takes labels.
func (w *wire) show(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.label.want(kind)
}

// labels turns labels on or off, and tells whether the session is one that may take them.
func (w *wire) labels(on bool) (may bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.label.turn(on)
	return w.label.clear
}

// fail remembers the first fault.
func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		w.fault = err
	}
}

// failed returns the first fault, or nil while the socket is sound.
func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fault
}

// bound has everything on the socket fail from t on; the zero time ends that. A socket with a
// fault keeps the bound it has.
func (w *wire) bound(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		_ = w.Conn.SetDeadline(t)
	}
}

// interrupt tells the server to break the statement under way and cuts the socket when that has
// not ended it within interruptGrace. The session is lost either way: a break that arrives late
// would hit the next, innocent statement with ORA-01013.
func (w *wire) interrupt() {
	w.bound(time.Now().Add(interruptGrace))
	w.fail(errCut)
	if w.sealed {
		return
	}
	w.mu.Lock()
	wide := w.wide
	w.mu.Unlock()
	_, _ = w.Conn.Write(breakMarker(wide))
}

// breakMarker is the packet by which a client asks for a break.
func breakMarker(wide bool) []byte {
	const length, marker, interrupt = 11, 12, 3
	if wide {
		return []byte{0, 0, 0, length, marker, 0, 0, 0, 1, 0, interrupt}
	}
	return []byte{0, length, 0, 0, marker, 0, 0, 0, 1, 0, interrupt}
}

// kill closes the socket at once: whoever reads from it returns.
func (w *wire) kill() {
	w.fail(errCut)
	_ = w.Conn.Close()
}

// watch interrupts the statement under way when ctx ends, until the function it returns is called.
// When that has returned, no interrupt comes any more.
func (w *wire) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	var mu sync.Mutex // guards over, and holds off the end during an interrupt
	over := false
	unwatch := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			w.interrupt()
		}
	})
	return func() {
		unwatch()
		mu.Lock()
		over = true
		mu.Unlock()
	}
}
