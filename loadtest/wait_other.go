//go:build !linux

package loadtest

// newWaiter returns the most exact waiter of this system.
func newWaiter() (waiter, error) { return newTimerWaiter(), nil }
