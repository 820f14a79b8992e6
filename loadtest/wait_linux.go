package loadtest

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A pollWaiter sleeps in the kernel, with nanoseconds, on a descriptor by which it can be woken. The runtime's timers wake
// a goroutine of an idle process about a millisecond late; a load test at 1,000 requests per second would send every
// one of them late by half its gap.
type pollWaiter struct {
	mu sync.Mutex // guards fd against wake-ups after close, when the number may belong to another file
	fd int        // -1 once closed
}

// newWaiter returns the most exact waiter of this system.
func newWaiter() (waiter, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a wake-up descriptor: %w", err)
	}
	return &pollWaiter{fd: fd}, nil
}

func (w *pollWaiter) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	fds := [1]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	// An error is EINTR, and whoever waits looks at the clock anyway.
	if n, err := unix.Ppoll(fds[:], &ts, nil); err != nil || n == 0 {
		return
	}
	var count [8]byte
	_, _ = unix.Read(w.fd, count[:]) // only takes the wake-up back; the descriptor does not block
}

func (w *pollWaiter) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd < 0 {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(w.fd, one[:]) // fails only when 2^64-1 wake-ups are pending
}

// close is called when no wait is under way any more.
func (w *pollWaiter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = unix.Close(w.fd)
	w.fd = -1
}
