//go:build unix

package loadtest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// prepare makes a new wire ready.
func (l *wire) prepare() {
	if c, ok := l.conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			l.raw, l.call = raw, l.step
		}
	}
}

// ask sends the request and waits for the first bytes of its answer, which it reads. It returns what of the request the
// kernel did not take at once; nothing was waited for then. When it is hasty, it returns errWaits once all is sent.
//
// To write and then to read through net.Conn costs a call of the kernel more, because the first Read comes too early in
// nearly every case. Here the request is written inside the runtime's call for reading, which has made ready to wait
// before, so the moment at which the answer comes cannot be missed.
func (l *wire) ask(request []byte, a *wireAnswer) (rest []byte, n int, err error) {
	if l.raw == nil {
		return l.askPlain(request, a)
	}
	l.request = request
	n, err = l.wait(a)
	rest, l.request = l.request, nil
	return rest, n, err
}

// fill implements filler.
func (l *wire) fill(a *wireAnswer) (int, error) {
	if l.raw == nil {
		return l.read(a)
	}
	return l.wait(a)
}

func (l *wire) wait(a *wireAnswer) (int, error) {
	l.into, l.got, l.err = a, 0, nil
	for {
		err := l.raw.Read(l.call)
		if err == nil {
			l.into = nil
			return l.got, l.err
		}
		if err = l.extend(err); err != nil {
			l.into = nil
			return 0, err
		}
	}
}

// step writes what there is to write, and else reads. It returns false to be called again when there is something to read.
func (l *wire) step(fd uintptr) bool {
	if len(l.request) > 0 {
		n, err := again(syscall.Write, fd, l.request)
		l.request = l.request[max(n, 0):]
		if err != nil && err != syscall.EAGAIN {
			l.err = l.failed("write", err)
			return true
		}
		if l.hasty && len(l.request) == 0 {
			l.err = errWaits
		}
		return len(l.request) > 0 || l.hasty
	}
	n, err := again(syscall.Read, fd, l.into.space())
	switch {
	case err == syscall.EAGAIN:
		l.into.release()
		return false
	case err != nil:
		l.err = l.failed("read", err)
	case n == 0:
		l.err = io.EOF
	}
	l.got = max(n, 0)
	return true
}

func again(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		if n, err := call(int(fd), p); err != syscall.EINTR {
			return n, err
		}
	}
}

// failed is the error as net.Conn would return it.
func (l *wire) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: l.conn.LocalAddr(), Addr: l.conn.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// quiet tells whether the wire is open with nothing to read, as it must be between two requests.
func (l *wire) quiet() bool {
	if l.raw == nil {
		return true
	}
	quiet := false
	err := l.raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && quiet
}
