package loadtest

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A directDialer opens connections to one address, as net.Dialer does, for less: net.Dialer has frames that make the stack
// of each goroutine that waits in it 8 KiB, leaves 3 KiB of garbage behind for each connection, and its connections keep
// two addresses each that nobody asks for. When thousands of users begin at once, that is most of what they need.
type directDialer struct {
	to     netip.AddrPort
	remote net.Addr
}

// newDirectDialer returns nil for an address with a name or a zone, which net.Dialer is to look up.
func newDirectDialer(address string) *directDialer {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr().Zone() != "" {
		return nil
	}
	return &directDialer{to: netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), remote: net.TCPAddrFromAddrPort(to)}
}

// sockaddr is the address as the kernel takes it, anew for each connection: a call writes into it.
func (d *directDialer) sockaddr() (family int, addr unix.Sockaddr) {
	ip, port := d.to.Addr(), int(d.to.Port())
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
}

// A directConn is a connection of a directDialer. It does not tell its own address.
type directConn struct {
	*os.File
	remote net.Addr
}

func (c *directConn) LocalAddr() net.Addr  { return nil }
func (c *directConn) RemoteAddr() net.Addr { return c.remote }

// open begins to connect. The connection can be closed and given deadlines at once; it can be used when connected has
// returned.
func (d *directDialer) open() (net.Conn, error) {
	// The kernel may pick a port of its own that is taken already, which says nothing about the next one it picks.
	for tries := 0; ; tries++ {
		fd, call, err := d.begin()
		if err == nil {
			return &directConn{File: os.NewFile(uintptr(fd), ""), remote: d.remote}, nil
		}
		if err != unix.EADDRNOTAVAIL || tries == 2 {
			return nil, d.failed(os.NewSyscallError(call, err))
		}
	}
}

// begin returns a socket that connects, or the call that failed.
func (d *directDialer) begin() (fd int, call string, err error) {
	family, addr := d.sockaddr()
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, "socket", err
	}
	call = "setsockopt"
	if err = d.set(fd); err == nil {
		call = "connect"
		err = unix.Connect(fd, addr)
	}
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR { // it goes on in the background
		_ = unix.Close(fd) // nothing was sent on it
		return -1, call, err
	}
	return fd, "", nil
}

// set sets what newDialer would: no delay of small segments, and the probes of net.Dialer.
func (d *directDialer) set(fd int) error {
	for _, o := range [...]struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// failed is the error as net.Dialer would return it.
func (d *directDialer) failed(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: d.remote, Err: err}
}

// connected waits until l is connected, at most until its deadline.
func (d *directDialer) connected(l *wire) error {
	for {
		var failed error
		err := l.raw.Write(func(fd uintptr) bool {
			done := false
			done, failed = established(int(fd))
			return done
		})
		if err == nil {
			err = failed
		} else if err = l.extend(err); err == nil {
			continue
		}
		if err != nil {
			return d.failed(err)
		}
		return nil
	}
}

// established tells whether connecting has come to an end, and to which.
//
// A socket can be connected to itself: where nobody listens on a port of the range from which the kernel takes those of
// clients, a client may be given that very port. Nobody listens, and that is the answer.
func established(fd int) (bool, error) {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		return true, os.NewSyscallError("connect", err)
	}
	peer, err := unix.Getpeername(fd)
	if err == unix.ENOTCONN {
		return false, nil
	}
	own, errOwn := unix.Getsockname(fd)
	if err = errors.Join(err, errOwn); err == nil && same(peer, own) {
		err = unix.ECONNREFUSED
	}
	return true, os.NewSyscallError("connect", err)
}

func same(a, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		b, ok := b.(*unix.SockaddrInet4)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	case *unix.SockaddrInet6:
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Port == b.Port && a.Addr == b.Addr
	}
	return false
}
