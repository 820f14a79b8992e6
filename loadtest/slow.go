package loadtest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// A SlowReader takes its answer more slowly than it comes, as a phone on a bad line does, so that the server's writes block.
type SlowReader struct {
	Rate    float64       // bytes per second; 0 is as quick as they come
	Pause   time.Duration // once, after the first line of a stream or the first bytes of another answer
	Refused bool          // the right answer is to be sent away; otherwise that is a refusal
}

// scaled returns the reader of a run whose times are multiplied by f; nil stays nil.
func (r *SlowReader) scaled(f float64) *SlowReader {
	if r == nil {
		return nil
	}
	return &SlowReader{Rate: r.Rate / f, Pause: scale(r.Pause, f), Refused: r.Refused}
}

// slowReceive is the receive buffer of a connection that is read slowly. The kernel's own grows to megabytes, which hold
// most answers whole, so that no server would notice. With this one a TomeHub, whose streams have a send buffer of 64 KiB,
// blocks some 120 KiB ahead of its reader, and 10 MiB/s are still reached.
const slowReceive = 8 << 10

// newSlowTransport returns a transport whose connections hold little that was not read.
func newSlowTransport(conns int) *http.Transport {
	t := newTransport(conns)
	t.DialContext = newSlowDialer().DialContext
	return t
}

// newSlowDialer is newDialer for connections that hold little that was not read.
func newSlowDialer() *net.Dialer {
	d := newDialer()
	d.Control = receiveLittle
	return d
}

// A slowBody reads at the reader's pace.
type slowBody struct {
	io.ReadCloser
	ctx    context.Context
	rate   float64
	pause  time.Duration // still to be taken
	byLine bool          // after the first newline
	next   time.Time     // not before it
}

// reads returns the body as the reader takes it; ctx ends its pauses.
func (r *SlowReader) reads(ctx context.Context, body io.ReadCloser, byLine bool) io.ReadCloser {
	return &slowBody{ReadCloser: body, ctx: ctx, rate: r.Rate, pause: r.Pause, byLine: byLine, next: time.Now()}
}

// slowBeats is how many times a second a slow reader reads.
const slowBeats = 20

// Read takes what the rate gives for a moment, and waits for that moment first.
func (b *slowBody) Read(p []byte) (int, error) {
	if d := time.Until(b.next); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case <-timer.C:
		}
	}
	if b.rate > 0 {
		p = p[:min(len(p), max(1, int(b.rate/slowBeats)))]
	}
	n, err := b.ReadCloser.Read(p)
	// A timer that fired late is made up for, a server that sent late is not.
	if least := time.Now().Add(-time.Second / slowBeats); b.next.Before(least) {
		b.next = least
	}
	if b.rate > 0 {
		b.next = b.next.Add(time.Duration(float64(n) / b.rate * float64(time.Second)))
	}
	if b.pause > 0 && n > 0 && (!b.byLine || bytes.IndexByte(p[:n], '\n') >= 0) {
		b.next, b.pause = b.next.Add(b.pause), 0
	}
	return n, err
}

// brokenOff is the kind of an answer that began and broke off.
func (st *Step) brokenOff(k Kind) Kind {
	switch {
	case k != Reset && k != Truncated && k != Closed:
		return k
	case st.Slow != nil && st.Slow.Refused:
		return OK
	case st.Slow != nil:
		return RefusedSlowReader
	case st.Stream != nil:
		return Incomplete
	}
	return k
}
