package breaker

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A watched call is one under Config.Slow.
type watched struct {
	b      *Breaker
	finish func(error) // tells gobreaker how it ended
	cancel context.CancelCauseFunc
	timer  *time.Timer
	start  time.Time

	mu   sync.Mutex // guards the rest
	over bool
	slow bool // counted as a failure, so its end is not
}

// Begin lets a call through under the context it returns, or refuses it with an *OpenError. When the
// call is over, end must be given its error. The context ends when the breaker opens and the call
// has taken longer than Config.Slow.
func (b *Breaker) Begin(ctx context.Context) (_ context.Context, end func(error), err error) {
	finish, err := b.cb.Allow()
	if err != nil {
		b.counts.rejected.Add(1)
		return nil, nil, b.refusal()
	}
	if b.cfg.Slow <= 0 {
		return ctx, func(err error) { b.judge(finish, b.cfg.Classify(err), err) }, nil
	}
	w := &watched{b: b, finish: finish, start: time.Now()}
	ctx, w.cancel = context.WithCancelCause(ctx)
	w.mu.Lock() // a bound of a few nanoseconds must find its timer
	w.timer = time.AfterFunc(b.cfg.Slow, w.hangs)
	w.mu.Unlock()
	return ctx, w.end, nil
}

// hangs runs when the call has taken longer than Config.Slow, and again for every half of it.
func (w *watched) hangs() {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	first := !w.slow
	w.slow = true
	w.timer.Reset(w.b.cfg.Slow / 2)
	w.mu.Unlock()

	cause := fmt.Errorf("a call has taken longer than %v", w.b.cfg.Slow)
	if first {
		w.b.counts.slow.Add(1)
		w.b.hold(w)
		w.b.judge(w.finish, Failure, cause)
	} else if again, err := w.b.cb.Allow(); err == nil {
		w.b.judge(again, Failure, cause)
	}
	if w.b.State() != Closed {
		w.cut()
	}
}

// cut ends the context of a call that hangs.
func (w *watched) cut() {
	w.mu.Lock()
	cut := !w.over
	w.over = true
	w.mu.Unlock()
	if cut {
		w.b.counts.cut.Add(1)
		w.cancel(w.b.refusal())
	}
}

// end is called when the call is over.
func (w *watched) end(err error) {
	w.mu.Lock()
	judged := w.slow
	w.over = true
	w.timer.Stop()
	w.mu.Unlock()
	w.b.release(w)
	if !judged {
		w.b.judge(w.finish, w.b.cfg.Classify(err), err)
	}
	w.cancel(nil)
}

// hold remembers a call that hangs, for cutHanging, unless it has ended meanwhile.
func (b *Breaker) hold(w *watched) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		b.hanging[w] = struct{}{}
	}
}

func (b *Breaker) release(w *watched) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hanging, w)
}

// cutHanging cuts every call that hangs: the breaker has opened.
func (b *Breaker) cutHanging() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.hanging {
		w.cut()
	}
	clear(b.hanging)
}
