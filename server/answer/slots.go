package answer

import (
	"context"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// slots bound the answers being written at a time, and the requests that wait for one.
type slots struct {
	*gate.Gate
	size, queue int
	longest     time.Duration
}

func newSlots(cfg Chat) slots {
	return slots{Gate: gate.New(cfg.Slots, cfg.Queue), size: cfg.Slots, queue: cfg.Queue, longest: cfg.SlotWait}
}

// enter takes a slot, which Release gives back. It fails with ReasonBusy or with ctx.
func (s slots) enter(ctx context.Context) error {
	switch _, outcome := s.Acquire(ctx, s.longest); outcome {
	case gate.Granted:
		return nil
	case gate.Cancelled:
		return ctx.Err()
	case gate.QueueFull:
		return fail(ReasonBusy, "%d answers are being written (%s) and %d wait", s.size, settingConcurrency, s.queue)
	}
	return fail(ReasonBusy, "%d answers are being written (%s) and none was done within %v", s.size, settingConcurrency, s.longest)
}
