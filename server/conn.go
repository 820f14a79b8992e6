package server

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A listener bounds the connections of another one: beyond the bound the next wait in the
// listen queue of the system. Its connections send what belongs together at once.
type listener struct {
	net.Listener
	slots  chan struct{}
	open   atomic.Int64
	closed chan struct{}
	once   sync.Once
}

func newListener(l net.Listener, bound int) *listener {
	return &listener{Listener: l, slots: make(chan struct{}, bound), closed: make(chan struct{})}
}

// Accept waits for a slot and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	accepted, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	l.open.Add(1)
	return &conn{Conn: accepted, release: sync.OnceFunc(func() {
		l.open.Add(-1)
		<-l.slots
	})}, nil
}

// Close stops accepting; connections that are open stay open.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

const (
	// httpBuffer is the buffer that net/http has before each connection. A write of exactly
	// this size is that buffer, overflowing: the rest of the answer follows in the next write.
	// (Or a flush found the buffer just full, and nothing follows: for that there is holdTime.)
	httpBuffer = 4 << 10
	// holdTime is the longest that such a write is held.
	holdTime = time.Millisecond
	// closeTime bounds the sending of what is still held when a connection closes.
	closeTime = 100 * time.Millisecond
)

// A conn sends an answer that is larger than net/http's buffer by one system call instead of
// two: it holds the overflowing buffer until the rest comes. On answers of 10 KiB, the usual
// page of a search, that is a sixth of what a cached search costs.
type conn struct {
	net.Conn
	release func()

	mu    sync.Mutex // guards the next two, and is held while sending
	held  *[httpBuffer]byte
	timer *time.Timer // sends what is held, should nothing follow

	reads    sync.Mutex // guards the rest
	reading  bool
	deadline time.Time // of reads, as net/http wants it
	armed    time.Time // as the system has it
}

// SetReadDeadline takes effect at once on a read that is under way, else on the next one.
// net/http moves the deadline five times for every request, and most of them are replaced
// before anything is read.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.reads.Lock()
	defer c.reads.Unlock()
	c.deadline = t
	if !c.reading {
		return nil
	}
	return c.arm()
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) arm() error {
	if c.armed.Equal(c.deadline) {
		return nil
	}
	err := c.Conn.SetReadDeadline(c.deadline)
	if err == nil {
		c.armed = c.deadline
	}
	return err
}

// Read reads under the deadline. One goroutine reads at a time.
func (c *conn) Read(p []byte) (int, error) {
	c.reads.Lock()
	err := c.arm()
	c.reading = true
	c.reads.Unlock()
	var n int
	if err == nil {
		n, err = c.Conn.Read(p)
	}
	c.reads.Lock()
	c.reading = false
	c.reads.Unlock()
	return n, err
}

var heldBuffers = sync.Pool{New: func() any { return new([httpBuffer]byte) }}

// Write sends p behind what is held, or holds it.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		if len(p) != httpBuffer {
			return c.Conn.Write(p)
		}
		c.held = heldBuffers.Get().(*[httpBuffer]byte)
		copy(c.held[:], p)
		if c.timer == nil {
			c.timer = time.AfterFunc(holdTime, c.sendHeld)
		} else {
			c.timer.Reset(holdTime)
		}
		return len(p), nil
	}
	c.timer.Stop()
	both := net.Buffers{c.held[:], p}
	sent, err := both.WriteTo(c.Conn)
	c.drop()
	return int(max(sent-httpBuffer, 0)), err
}

// drop forgets what is held.
func (c *conn) drop() {
	heldBuffers.Put(c.held)
	c.held = nil
}

// sendHeld sends what is held, if it is still there. An error shows at the next use of the connection.
func (c *conn) sendHeld() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send()
}

func (c *conn) send() {
	if c.held != nil {
		_, _ = c.Conn.Write(c.held[:])
		c.drop()
	}
}

// finish sends what is held before the connection closes, unless somebody is sending.
func (c *conn) finish() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.held != nil {
		_ = c.SetWriteDeadline(time.Now().Add(closeTime)) // fails only when it is closed already
		c.send()
	}
}

// Close closes the connection and frees its slot.
func (c *conn) Close() error {
	c.finish()
	err := c.Conn.Close()
	c.release()
	return err
}

// CloseWrite lets net/http end an answer whose request it has not read whole without a reset,
// which could reach the client before the answer.
func (c *conn) CloseWrite() error {
	c.finish()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
