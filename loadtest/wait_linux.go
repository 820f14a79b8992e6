package loadtest

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A pollWaiter sleeps exactly. The runtime's timers wake a goroutine of an idle process about a millisecond late; a load
// test at 1,000 requests per second would send every one of them late by half its gap. So the last stretch of a wait
// is slept in the kernel, by nanoseconds, on a descriptor by which it can be woken. The stretches before it are slept
// on a timer and a channel, because there a wake-up costs a tenth. And because a processor that fell asleep takes its time
// to wake, tens of microseconds and more in a virtual machine, the very end of a wait is not slept.
type pollWaiter struct {
	timerWaiter
	polling atomic.Bool

	mu sync.Mutex // guards fd against wake-ups after close, when the number may belong to another file
	fd int        // -1 once closed
}

// lastStretch is how much of a wait is slept in the kernel: more than a timer is ever late.
const lastStretch = 1500 * time.Microsecond

// The end of a wait that is not slept is a share of it, which bounds what of a processor is spent on being in time.
const (
	awakeShare = 10 // as a divisor
	mostAwake  = 100 * time.Microsecond
)

func awake(d time.Duration) time.Duration { return min(d/awakeShare, mostAwake) }

// newWaiter returns the most exact waiter of this system.
func newWaiter() (waiter, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a wake-up descriptor: %w", err)
	}
	return &pollWaiter{timerWaiter: *newTimerWaiter(), fd: fd}, nil
}

// wait may return sooner than after d without having been woken; whoever waits looks at the clock anyway.
func (w *pollWaiter) wait(d time.Duration) {
	if d > 2*lastStretch {
		w.timerWaiter.wait(d - lastStretch)
		return
	}
	if d <= 0 {
		return
	}
	began := time.Now()
	if !w.sleep(d - awake(d)) {
		return
	}
	for time.Since(began) < d {
		select {
		case <-w.woken:
			return
		default:
		}
	}
}

// sleep sleeps for d and tells whether it was not woken.
func (w *pollWaiter) sleep(d time.Duration) bool {
	w.polling.Store(true)
	defer w.polling.Store(false)
	select {
	case <-w.woken: // before polling was set, so the descriptor does not know
		return false
	default:
	}
	// The kernel may let a thread sleep longer by its timer slack, 50 µs unless the thread says otherwise. Which thread this
	// is differs from one wait to the next, and to say it again costs less than to hold one.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it the wait is only less exact
	ts := unix.NsecToTimespec(int64(d))
	fds := [1]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
	n, err := unix.Ppoll(fds[:], &ts, nil)
	if err != nil {
		return false // EINTR: whoever waits looks at the clock
	}
	if n == 0 {
		return true
	}
	var count [8]byte
	_, _ = unix.Read(w.fd, count[:]) // only takes the wake-up back; the descriptor does not block
	select {
	case <-w.woken:
	default:
	}
	return false
}

func (w *pollWaiter) wake() {
	w.timerWaiter.wake()
	if !w.polling.Load() {
		return
	}
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
