package answer

import (
	"context"
	"sync/atomic"
	"time"
)

// slots bound the answers being written at a time, and the requests that wait for one.
type slots struct {
	taken   chan struct{} // holds a token for each slot in use
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
}

func newSlots(cfg Chat) *slots {
	return &slots{taken: make(chan struct{}, cfg.Slots), queue: int64(cfg.Queue), wait: cfg.SlotWait}
}

// enter takes a slot, which leave gives back. It fails with ReasonBusy or with ctx.
func (s *slots) enter(ctx context.Context) error {
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if n := s.waiting.Add(1); n > s.queue {
		return fail(ReasonBusy, "%d answers are being written (%s) and %d wait", cap(s.taken), settingConcurrency, s.queue)
	}
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fail(ReasonBusy, "%d answers are being written (%s) and none was done within %v", cap(s.taken), settingConcurrency, s.wait)
	}
}

func (s *slots) leave() { <-s.taken }
