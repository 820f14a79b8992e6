package server

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

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

// A conn is a connection of the API. It makes what net/http does with one cheaper in three ways:
//
//   - An answer that is larger than net/http's buffer takes one system call instead of two: the
//     overflowing buffer is held until the rest comes.
//   - The fields that the server adds to every answer are written into its head here, as lines,
//     instead of passing through net/http's map of fields, which is made, grown, copied, sorted,
//     checked and written for each answer; see exchange.field.
//   - Read deadlines take effect when somebody reads, and a deadline that moves by less than
//     slack, as those of a busy connection do, leaves the system's where it is.
//
// On answers of 10 KiB, the usual page of a search, that is a third of what a cached search costs.
type conn struct {
	net.Conn
	release func()

	slack time.Duration // deadlines may end so much later, at most

	// The next three are used by the goroutine that serves the connection alone. fields are lines
	// that belong under the status line of the answer to the request that is being served; body is
	// the length of its body when that is being written at once; client is the key of the other
	// end's address, once a request has asked for it.
	fields []byte
	body   int
	client string

	mu    sync.Mutex // guards the next four, and is held while sending
	held  *heldBuffer
	timer *time.Timer // sends what is held, should nothing follow
	timed bool        // it runs
	parts net.Buffers

	deadlines  sync.Mutex // guards the rest
	reading    bool
	deadline   time.Time // of reads, as net/http wants it
	armed      time.Time // as the system has it
	armedWrite time.Time // that of writes, as the system has it
}

// A heldBuffer is a full buffer of net/http with the fields that were put into it.
type heldBuffer struct {
	n     int
	bytes [httpBuffer + maxHeldFields]byte
}

// maxHeldFields is more than the server's fields ever need: the longest is a request id, of maxRequestID.
const maxHeldFields = 1 << 10

// connKey is the key of a connection in the contexts of its requests.
type connKey struct{}

// withConn is a http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// addField adds a line to the head of the answer that is being made.
func (c *conn) addField(name, value string) {
	c.fields = append(append(append(append(c.fields, name...), ": "...), value...), "\r\n"...)
}

// streamBuffer is what the system may hold of a stream that its client does not read; Linux
// doubles it. Left to itself it grows to some MiB, all of which count as written.
const streamBuffer = 64 << 10

// streaming bounds what the system holds of a stream, and has it dropped when the connection is
// closed, instead of being kept for a client that does not take it. whole undoes the latter.
func (c *conn) streaming() (whole func()) {
	tcp, ok := c.Conn.(interface {
		SetWriteBuffer(bytes int) error
		SetLinger(seconds int) error
	})
	if !ok {
		return func() {}
	}
	// They fail on a connection that is closed, which the next write will say.
	_ = tcp.SetWriteBuffer(streamBuffer)
	_ = tcp.SetLinger(0)
	return func() { _ = tcp.SetLinger(-1) }
}

// SetReadDeadline takes effect at once on a read that is under way, else on the next one.
// net/http moves the deadline five times for every request, and most of them are replaced
// before anything is read.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.deadline = t
	if !c.reading {
		return nil
	}
	return c.arm()
}

// SetWriteDeadline takes effect at once.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	if c.near(c.armedWrite, t) {
		return nil
	}
	t = c.later(t)
	err := c.Conn.SetWriteDeadline(t)
	if err == nil {
		c.armedWrite = t
	}
	return err
}

// near tells whether a deadline that is armed serves for one at t.
func (c *conn) near(armed, t time.Time) bool {
	if armed.Equal(t) {
		return true
	}
	over := armed.Sub(t)
	return over > 0 && over <= c.slack
}

// later is the deadline to arm for one at t, so that it serves for some time to come.
func (c *conn) later(t time.Time) time.Time {
	if t.IsZero() || calledOff(t) {
		return t
	}
	return t.Add(c.slack)
}

// calledOff tells whether t is how net/http ends a read: a time long ago.
func calledOff(t time.Time) bool { return !t.IsZero() && t.Unix() < 1<<20 }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) arm() error {
	if c.near(c.armed, c.deadline) {
		return nil
	}
	t := c.later(c.deadline)
	err := c.Conn.SetReadDeadline(t)
	if err == nil {
		c.armed = t
	}
	return err
}

// Read reads under the deadline. One goroutine reads at a time.
func (c *conn) Read(p []byte) (int, error) {
	c.deadlines.Lock()
	if calledOff(c.deadline) { // before it began, as on every answer from the cache
		c.deadlines.Unlock()
		return 0, os.ErrDeadlineExceeded
	}
	err := c.arm()
	c.reading = true
	c.deadlines.Unlock()
	var n int
	if err == nil {
		n, err = c.Conn.Read(p)
	}
	c.deadlines.Lock()
	c.reading = false
	c.deadlines.Unlock()
	return n, err
}

var endOfHead = []byte("\r\n\r\n")

var heldBuffers = sync.Pool{New: func() any { return new(heldBuffer) }}

// Write sends p behind what is held, or holds it. The first bytes of an answer take the fields along.
func (c *conn) Write(p []byte) (int, error) {
	fields, at, follows := c.fields, 0, false
	if len(fields) > 0 {
		if at = afterStatusLine(p); at == 0 {
			fields = nil
		} else {
			end := bytes.Index(p, endOfHead)
			follows = end >= 0 && len(p)-end-len(endOfHead) < c.body
			c.fields, c.body = c.fields[:0], 0
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil && len(p) == httpBuffer && len(fields) <= maxHeldFields {
		c.hold(p, at, fields)
		if !follows {
			c.expire()
		}
		return len(p), nil
	}
	if c.held == nil && len(fields) == 0 {
		return c.Conn.Write(p)
	}
	before := len(fields)
	c.parts = c.parts[:0]
	if c.held != nil {
		before += c.held.n
		c.parts = append(c.parts, c.held.bytes[:c.held.n])
	}
	if len(fields) > 0 {
		c.parts = append(c.parts, p[:at], fields)
	}
	c.parts = append(c.parts, p[at:])
	parts := c.parts // WriteTo consumes it
	sent, err := c.parts.WriteTo(c.Conn)
	clear(parts)
	c.parts = parts[:0]
	if c.held != nil {
		c.drop()
	}
	if err == nil {
		return len(p), nil
	}
	return min(max(int(sent)-before, 0), len(p)), err
}

// afterStatusLine is where the fields of a head begin that p begins with; 0 if it does not. A
// head of 1xx is none: the answer follows it.
func afterStatusLine(p []byte) int {
	const version = "HTTP/1.1 "
	if len(p) <= len(version) || string(p[:len("HTTP/1.")]) != "HTTP/1." || p[len(version)] == '1' {
		return 0
	}
	return bytes.IndexByte(p, '\n') + 1
}

// hold keeps p with the fields at their place until the rest comes.
func (c *conn) hold(p []byte, at int, fields []byte) {
	b := heldBuffers.Get().(*heldBuffer)
	b.n = copy(b.bytes[:], p[:at])
	b.n += copy(b.bytes[b.n:], fields)
	b.n += copy(b.bytes[b.n:], p[at:])
	c.held = b
}

// expire has what is held sent after holdTime.
func (c *conn) expire() {
	c.timed = true
	if c.timer == nil {
		c.timer = time.AfterFunc(holdTime, c.sendHeld)
	} else {
		c.timer.Reset(holdTime)
	}
}

// drop forgets what is held.
func (c *conn) drop() {
	if c.timed {
		c.timed = false
		c.timer.Stop()
	}
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
		_, _ = c.Conn.Write(c.held.bytes[:c.held.n])
		c.drop()
	}
}

// finish sends what is held before the connection closes, unless somebody is sending.
func (c *conn) finish() {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.held != nil {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(closeTime)) // fails only when it is closed already
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
