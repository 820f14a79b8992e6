package loadtest

import "time"

// A timerWaiter sleeps on a timer of the Go runtime, which wakes up to about a millisecond late when the process is idle.
type timerWaiter struct{ woken chan struct{} }

func newTimerWaiter() *timerWaiter { return &timerWaiter{woken: make(chan struct{}, 1)} }

func (w *timerWaiter) wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.woken:
	}
}

func (w *timerWaiter) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it was woken already and has not looked yet
	}
}

func (w *timerWaiter) close() {}
