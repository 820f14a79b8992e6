package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A listener bounds the connections of another one: beyond the bound the next wait in the
// listen queue of the system. Its connections send what belongs together at once.
type listener struct {
	net.Listener
	slots  chan struct{}
	slack  time.Duration // of the deadlines of connections
	open   atomic.Int64
	closed chan struct{}
	once   sync.Once
	probes chan net.Conn // accepted before all others, beyond the bound; see Server.SelfCheck
}

func newListener(l net.Listener, bound int) *listener {
	return &listener{Listener: l, slots: make(chan struct{}, bound), closed: make(chan struct{}), probes: make(chan net.Conn, 1)}
}

// Accept waits for a slot and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	accepted, probe, err := l.accept()
	for err != nil && errors.Is(err, os.ErrDeadlineExceeded) { // a probe wants to be seen
		if err = l.wakeAt(time.Time{}); err == nil {
			accepted, probe, err = l.accept()
		}
	}
	if err != nil || probe {
		return accepted, err
	}
	l.open.Add(1)
	return &conn{Conn: accepted, slack: l.slack, release: sync.OnceFunc(func() {
		l.open.Add(-1)
		<-l.slots
	})}, nil
}

// accept gives back the slot unless it returns a connection of a client.
func (l *listener) accept() (c net.Conn, probe bool, err error) {
	select {
	case c = <-l.probes:
		return c, true, nil
	default:
	}
	select {
	case l.slots <- struct{}{}:
	case c = <-l.probes:
		return c, true, nil
	case <-l.closed:
		return nil, false, net.ErrClosed
	}
	if c, err = l.Listener.Accept(); err != nil {
		<-l.slots
	}
	return c, false, err
}

// wakeAt ends an Accept of the system that is under way at t, with os.ErrDeadlineExceeded.
func (l *listener) wakeAt(t time.Time) error {
	if d, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		return d.SetDeadline(t)
	}
	return nil
}

// probe hands a connection of our own to the accept loop; it is the caller's until taken is true.
func (l *listener) probe(c net.Conn) (taken bool, err error) {
	select {
	case l.probes <- c:
		return true, l.wakeAt(time.Unix(1, 0))
	case <-l.closed:
		return false, net.ErrClosed
	default:
		return false, errProbeWaits
	}
}

var errProbeWaits = errors.New("the accept loop has not taken the last check's connection yet")

// Close stops accepting; connections that are open stay open.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}
