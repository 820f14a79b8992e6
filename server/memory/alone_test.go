package memory

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// What a process that has taken over finds in the limit it shares with the one before is not its
// own: it must neither refuse work nor ask to be replaced itself for it.
func TestNothingIsConcludedFromThePredecessor(t *testing.T) {
	predecessor := func(d time.Duration) float64 {
		if d < 10*time.Second {
			return 200 + 3*d.Seconds() // of 256, and leaking
		}
		return 0
	}
	f := func(why string, alone func() <-chan struct{}, wantLevel Level, wantRestart bool) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			p := &simulated{live: constant(20), others: predecessor}
			cfg := DefaultConfig()
			cfg.Alone = alone()
			m := simMonitor(t, p, cfg, slog.New(slog.DiscardHandler))
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- m.Run(ctx) }()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if s := m.Look(); s.Level != wantLevel || s.RestartRequested != wantRestart || s.Used < 200*mib {
				t.Errorf("%s: %v, restart %t, %d MB in use; want %v, %t and the use as it is", why, s.Level, s.RestartRequested, s.Used>>20, wantLevel, wantRestart)
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	f("the one before is there", func() <-chan struct{} { return make(chan struct{}) }, OK, false)
	f("one that is alone", func() <-chan struct{} { return nil }, Critical, true)
	f("one whose predecessor is gone, and the use is high all the same", func() <-chan struct{} {
		c := make(chan struct{})
		close(c)
		return c
	}, Critical, true)
}
