package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

var (
	// ErrExhausted is matched by an AcquireError whose wait ended at a bound of the pool.
	ErrExhausted = errors.New("pool exhausted")
	// ErrClosed is returned by everything that starts after Pools.Close.
	ErrClosed = errors.New("pool closed")
	// ErrReleased is returned by a Conn that was released.
	ErrReleased = errors.New("connection used after its release")
	// ErrBusy is returned when a statement starts on a Conn while rows or a transaction of it are open.
	ErrBusy = errors.New("connection still busy: close its rows or end its transaction first")
	// ErrUnavailable is matched by what Config.Guard refused or cut.
	ErrUnavailable = errors.New("database unavailable")
	// ErrQueryTimeout is matched, beside context.DeadlineExceeded, by statements that ran into
	// Config.QueryTimeout. The deadline of the caller's own context never matches it.
	ErrQueryTimeout = errors.New("statement ran longer than its bound")
)

// How an acquisition ends: with a slot, without one for a reason that is no AcquireError, or for
// one of the reasons below.
const (
	Granted           = "granted"
	ReasonUnavailable = "unavailable" // Config.Guard refused it
	ReasonClosed      = "closed"      // the pools are closed
)

// AcquireOutcomes are all of them.
func AcquireOutcomes() []string {
	return []string{Granted, ReasonTimeout, ReasonQueueFull, ReasonShed, ReasonCancelled, ReasonUnavailable, ReasonClosed}
}

// Reasons of an AcquireError.
const (
	ReasonTimeout   = "timeout"    // no slot within Config.Timeout
	ReasonQueueFull = "queue_full" // Queue callers waited already
	ReasonShed      = "shed"       // the wait would probably have been longer than Bounds.MaxWait
	ReasonCancelled = "cancelled"  // the caller's context ended first
)

// AcquireError says why a wait ended without a slot or a connection: which
// bound was hit, its value, and the setting that moves it. errors.Is(err,
// ErrExhausted) holds for all reasons but ReasonCancelled, which wraps the
// cause of the caller's context.
type AcquireError struct {
	Pool    string        // "read", "write" or "main"
	Reason  string        // one of the Reason constants
	Setting string        // the setting that moves the bound
	Size    int           // connections (or slots) of the pool
	Queue   int           // most callers that may wait
	Waited  time.Duration // how long this caller waited

	MaxWait, Predicted time.Duration // with ReasonShed: the bound, and how long the wait would probably have been

	cause error
}

func (e *AcquireError) Error() string {
	switch e.Reason {
	case ReasonQueueFull:
		return fmt.Sprintf("wait for one of %d %s connections (%s): %d callers wait already: %v", e.Size, e.Pool, e.Setting, e.Queue, e.cause)
	case ReasonShed:
		return fmt.Sprintf("wait for one of %d %s connections: it would take about %v, more than %v (%s): %v", e.Size, e.Pool, e.Predicted.Round(time.Millisecond), e.MaxWait, e.Setting, e.cause)
	default:
		return fmt.Sprintf("wait for one of %d %s connections (%s) for %v: %v", e.Size, e.Pool, e.Setting, e.Waited.Round(time.Microsecond), e.cause)
	}
}

// Unwrap returns ErrExhausted, or the cause of the caller's context.
func (e *AcquireError) Unwrap() error { return e.cause }

// acquireError turns a gate's outcome into the caller's error.
func acquireError(ctx context.Context, got gate.Outcome, e AcquireError) error {
	switch got {
	case gate.TimedOut:
		e.Reason, e.cause = ReasonTimeout, ErrExhausted
	case gate.QueueFull:
		e.Reason, e.cause = ReasonQueueFull, ErrExhausted
	case gate.TooSlow:
		e.Reason, e.cause = ReasonShed, ErrExhausted
	case gate.Cancelled:
		e.Reason, e.cause = ReasonCancelled, context.Cause(ctx)
	default:
		return ErrClosed
	}
	return &e
}
