package loadtest

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// However the two ways of sleeping follow on each other, a wake-up before or during a wait ends it.
func TestPollWaiter(t *testing.T) {
	w, err := newWaiter()
	if err != nil {
		t.Fatal(err)
	}
	w.wait(-time.Second) // nothing to wait for
	w.wait(0)
	w.wait(time.Millisecond) // in the kernel; ends by itself
	w.wait(3 * lastStretch)  // on a timer
	for _, d := range []time.Duration{time.Hour, 2 * lastStretch, time.Hour} {
		w.wake()
		w.wake()  // two wake-ups are as good as one
		w.wait(d) // a lost one would hang here
	}
	woken := make(chan struct{})
	stop := make(chan struct{})
	go func() { // wakes at any moment of a wait
		defer close(woken)
		for {
			select {
			case <-stop:
				return
			default:
				w.wake()
			}
		}
	}()
	for range 1000 {
		w.wait(time.Hour)
		w.wait(lastStretch)
	}
	close(stop)
	<-woken
	w.close()
	w.wake() // somebody who does not know yet
}

// Being in time may take a tenth of a processor, not all of it.
func TestAwake(t *testing.T) {
	f := func(wait, want time.Duration) {
		t.Helper()
		if got := awake(wait); got != want {
			t.Errorf("of %v %v are not slept, want %v", wait, got, want)
		}
	}
	f(lastStretch, mostAwake)
	f(time.Millisecond, mostAwake)
	f(100*time.Microsecond, 10*time.Microsecond)
	f(5, 0)
}

// A bareWaiter is what the machine can do: a thread of its own that the kernel puts to sleep.
type bareWaiter struct{ waiter }

func (bareWaiter) wait(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // EINTR is looked after by whoever waits
}

func (bareWaiter) close() { runtime.UnlockOSThread() }

func newBareWaiter() (waiter, error) {
	runtime.LockOSThread()
	return bareWaiter{}, unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

// How late a wait of a millisecond ends: ours, that of the runtime's timers, and as soon as this machine can.
func BenchmarkSleepLag(b *testing.B) {
	for name, w := range map[string]func() (waiter, error){
		"poll": newWaiter, "timer": func() (waiter, error) { return newTimerWaiter(), nil }, "bare": newBareWaiter,
	} {
		b.Run(name, func(b *testing.B) {
			waiter, err := w()
			if err != nil {
				b.Fatal(err)
			}
			defer waiter.close()
			h := newHistogram()
			for b.Loop() {
				due := time.Now().Add(time.Millisecond)
				for left := time.Millisecond; left > 0; left = time.Until(due) {
					waiter.wait(left)
				}
				record(h, time.Since(due))
			}
			b.ReportMetric(float64(h.ValueAtPercentile(50)), "late-p50-µs")
			b.ReportMetric(float64(h.ValueAtPercentile(99)), "late-p99-µs")
		})
	}
}
