package loadtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A lobby is where users wait for the first bytes of their answers without a goroutine: each of those has a stack of 4 KiB
// or more, a place in the lobby has 56 bytes. It watches their wires by an epoll of its own, which costs a call of the
// kernel for each request; so only those wait here who would be one too many (see maxWaiting).
type lobby struct {
	began  time.Time            // of the run
	clock  func() time.Duration // since then
	called func(waits)          // goes on with a request, on a goroutine of its own

	fd    int
	epoll *os.File // of fd, for which the runtime's own epoll waits
	raw   syscall.RawConn
	done  chan struct{} // closed when watch has returned

	mu      sync.Mutex // guards all below
	places  []waits
	free    []int32       // of places
	first   time.Duration // no request is given up before it; forever when nobody waits
	emptied bool          // nobody may come in any more
}

// newLobby opens a lobby. called is what goes on with a request when its answer begins, its time is over or empty was
// called. close must be called, once nobody waits any more.
func newLobby(began time.Time, clock func() time.Duration, called func(waits)) (*lobby, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open an epoll: %w", err)
	}
	_ = unix.SetNonblock(fd, true) // tells os.NewFile that the runtime can wait for it; if it cannot, the next call says so
	b := &lobby{
		began: began, clock: clock, called: called, fd: fd, epoll: os.NewFile(uintptr(fd), ""), done: make(chan struct{}), first: forever,
	}
	if err := b.epoll.SetReadDeadline(time.Time{}); err != nil {
		return nil, errors.Join(err, b.epoll.Close())
	}
	if b.raw, err = b.epoll.SyscallConn(); err != nil {
		return nil, errors.Join(err, b.epoll.Close())
	}
	go b.watch()
	return b, nil
}

// enter has w wait here; false when it cannot. The caller may not touch the request, its user or its wire any more.
func (b *lobby) enter(w waits) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.emptied {
		return false
	}
	if len(b.free) == 0 {
		b.free = append(b.free, int32(len(b.places)))
		b.places = append(b.places, waits{})
	}
	place := b.free[len(b.free)-1]
	if err := b.watchWire(w.wire, place); err != nil {
		return false
	}
	b.free = b.free[:len(b.free)-1]
	b.places[place] = w
	if w.wire.limit < b.first {
		b.first = w.wire.limit
		_ = b.epoll.SetReadDeadline(b.began.Add(b.first)) // fails only when closed
	}
	return true
}

// watchWire has the kernel tell once when there is something to read.
func (b *lobby) watchWire(l *wire, place int32) (err error) {
	call := unix.EPOLL_CTL_ADD
	if l.watched {
		call = unix.EPOLL_CTL_MOD
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: place}
	closed := l.raw.Control(func(fd uintptr) { err = unix.EpollCtl(b.fd, call, int(fd), &event) })
	if err = errors.Join(closed, err); err == nil {
		l.watched = true
	}
	return err
}

// atOnce is how many are called before they get to run, so that not all of them have goroutines at once after all.
const atOnce = 64

// watch calls those whose answers begin or whose time is over, until close.
func (b *lobby) watch() {
	defer close(b.done)
	events := make([]unix.EpollEvent, atOnce)
	n := 0
	look := func(fd uintptr) bool {
		var err error
		for n, err = unix.EpollWait(int(fd), events, 0); err == unix.EINTR; {
			n, err = unix.EpollWait(int(fd), events, 0)
		}
		return n > 0
	}
	for {
		switch err := b.raw.Read(look); {
		case err == nil:
			b.answered(events[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			b.call(b.takeUntil(b.clock() + time.Millisecond)) // who is called too soon waits the rest in the usual way
		default:
			b.empty() // closed, so there is nobody; else nobody may be left behind
			return
		}
	}
}

// answered calls those whom the kernel told of.
func (b *lobby) answered(events []unix.EpollEvent) {
	var room [atOnce]waits
	ready := room[:0]
	b.mu.Lock()
	for _, e := range events {
		if w := b.take(e.Fd); w.u != nil { // else it was called for another reason meanwhile
			ready = append(ready, w)
		}
	}
	b.mu.Unlock()
	b.call(ready)
}

// take frees a place. The kernel may tell of one late, when another request waits there: that one is called too soon, and
// waits the rest in the usual way. The caller holds mu.
func (b *lobby) take(place int32) waits {
	w := b.places[place]
	if w.u != nil {
		b.places[place] = waits{}
		b.free = append(b.free, place)
	}
	return w
}

// takeUntil takes all whose time is over by then.
func (b *lobby) takeUntil(then time.Duration) (over []waits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.first = forever
	for place, w := range b.places {
		switch {
		case w.u == nil:
		case w.wire.limit <= then:
			over = append(over, b.take(int32(place)))
		default:
			b.first = min(b.first, w.wire.limit)
		}
	}
	deadline := time.Time{}
	if b.first < forever {
		deadline = b.began.Add(b.first)
	}
	_ = b.epoll.SetReadDeadline(deadline) // fails only when closed
	return over
}

func (b *lobby) call(ready []waits) {
	for i, w := range ready {
		b.called(w)
		if i%atOnce == atOnce-1 || i == len(ready)-1 {
			runtime.Gosched()
		}
	}
}

// empty calls all and lets nobody in from now on.
func (b *lobby) empty() {
	b.mu.Lock()
	b.emptied = true
	b.mu.Unlock()
	b.call(b.takeUntil(forever))
}

// close ends the lobby. Nobody may wait in it.
func (b *lobby) close() {
	b.epoll.Close()
	<-b.done
}
