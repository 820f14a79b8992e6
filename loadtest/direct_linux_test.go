package loadtest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// directWires are the wires of a run that began now, to address.
func directWires(t *testing.T, address string) *wires {
	t.Helper()
	began := time.Now()
	ls := &wires{
		direct: newDirectDialer(address), addr: address, began: began, clock: func() time.Duration { return time.Since(began) },
		opened: new(atomic.Int64), open: map[*wire]struct{}{},
	}
	t.Cleanup(ls.close)
	return ls
}

// Names and zones are for net.Dialer.
func TestDirectAddresses(t *testing.T) {
	f := func(address string, direct bool) {
		t.Helper()
		if d := newDirectDialer(address); (d != nil) != direct {
			t.Errorf("%s: %+v, want direct %v", address, d, direct)
		}
	}
	f("127.0.0.1:80", true)
	f("[::1]:80", true)
	f("[::ffff:127.0.0.1]:80", true)
	f("localhost:80", false)
	f("[fe80::1%lo]:80", false)
}

// A connection must be what net.Dialer makes: the same options, and it counts.
func TestDirectConnects(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Skipf("needs to listen on %s: %v", address, err)
		}
		defer l.Close()
		ls := directWires(t, l.Addr().String())
		w, err := ls.take(t.Context(), nil, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		other, err := newDialer().DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if got, want := options(t, w.conn), options(t, other); got != want {
			t.Errorf("%s: options %v, net.Dialer has %v", address, got, want)
		}
		if n := ls.opened.Load(); n != 1 || len(ls.open) != 1 {
			t.Errorf("%s: %d counted, %d open, want 1", address, n, len(ls.open))
		}
		if w.conn.RemoteAddr().String() != l.Addr().String() {
			t.Errorf("connected to %v, want %v", w.conn.RemoteAddr(), l.Addr())
		}
	}
}

// options are those that newDialer sets.
func options(t *testing.T, conn net.Conn) (values [5]int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for i, o := range [len(values)][2]int{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
		} {
			values[i], _ = unix.GetsockoptInt(int(fd), o[0], o[1])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// A failure must be told as net.Dialer tells it, so that it is of the same kind, and leave no wire behind.
func TestDirectFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ls := directWires(t, address)
	_, got := ls.take(t.Context(), nil, time.Minute)
	_, want := newDialer().DialContext(t.Context(), "tcp", address)
	if got == nil || want == nil || got.Error() != want.Error() || kindOfError(got, false) != kindOfError(want, false) {
		t.Errorf("refused: %v, net.Dialer says %v", got, want)
	}
	if len(ls.open) != 0 || ls.opened.Load() != 0 {
		t.Errorf("%d open, %d counted after a failure, want none", len(ls.open), ls.opened.Load())
	}
}

// Where the kernel refuses at once, the socket must not be left behind.
func TestDirectLeavesNoSocket(t *testing.T) {
	sockets := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	ls := directWires(t, "255.255.255.255:1") // nothing is connected to everybody
	before := sockets()
	for range 100 {
		if _, err := ls.take(t.Context(), nil, time.Minute); err == nil {
			t.Fatal("connected to everybody")
		}
	}
	if after := sockets(); after > before+20 { // other tests open some
		t.Errorf("%d files were open, now %d", before, after)
	}
}

// unanswered is an address that takes no more connections: its queue is full, and the kernel lets whoever knocks wait.
func unanswered(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(name.(*unix.SockaddrInet4).Port)
	for range 2 { // a queue of 0 holds one
		if c, err := net.DialTimeout("tcp", address, 20*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return address
}

// Whoever waits for a connection must give up at the request's limit, and at once when the run ends.
func TestDirectGivesUp(t *testing.T) {
	address := unanswered(t)
	ls := directWires(t, address)
	if _, err := ls.take(t.Context(), nil, ls.clock()+20*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) || kindOfError(err, false) != Timeout {
		t.Errorf("at the limit: %v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := ls.take(t.Context(), nil, time.Hour)
		ended <- err
	}()
	for open := 0; open == 0; {
		ls.mu.Lock()
		open = len(ls.open)
		ls.mu.Unlock()
	}
	ls.cutOff()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("when the run ends: %v", err)
	}
}

// A socket that is connected to itself has found nobody.
func TestDirectNotItself(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if done, err := established(fd); done || err != nil {
		t.Errorf("before it is connected: %v, %v", done, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	own, err := unix.Getsockname(fd)
	if err == nil {
		err = unix.Connect(fd, own)
	}
	if err != nil {
		t.Fatal(err)
	}
	if done, err := established(fd); !done || !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%v, %v; want that the connection is refused", done, err)
	}
}
