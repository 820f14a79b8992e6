package library

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestIngestsBeyondTheSlotsWaitOutside(t *testing.T) {
	cfg := Config{Ingest: IngestConfig{Slots: 2, Queue: 3, Wait: 90 * time.Second}}
	bubble(t, cfg, func(t *testing.T, l *Library, _ *fakeStore) {
		var inside, most, full, timedOut, done atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				release, err := l.EnterIngest(t.Context())
				var busy *BusyError
				switch {
				case err == nil:
					inside.Add(1)
					time.Sleep(time.Minute) // as over a bad line
					inside.Add(-1)
					done.Add(1)
					release()
					release() // as good as once
				case !errors.As(err, &busy):
					t.Error(err)
				case busy.Reason == ReasonQueueFull:
					full.Add(1)
				case busy.Reason == ReasonTimeout && busy.Waited == 90*time.Second:
					timedOut.Add(1)
				}
			})
			synctest.Wait()
			most.Store(max(most.Load(), inside.Load()))
		}
		if s := l.IngestStats(); s.InUse != 2 || s.Waiting != 3 || s.QueueFull != 5 {
			t.Errorf("with ten at once: %+v, want 2 in use, 3 waiting, 5 refused", s)
		}
		wg.Wait()
		// Two are in during the first minute, two in the second; the third who waited ran out of time.
		if most.Load() != 2 || full.Load() != 5 || timedOut.Load() != 1 || done.Load() != 4 {
			t.Errorf("%d inside at once, %d found the queue full, %d timed out, %d were in; want 2, 5, 1, 4", most.Load(), full.Load(), timedOut.Load(), done.Load())
		}
		want := IngestStats{Slots: 2, Queue: 3, Entered: 4, QueueFull: 5, TimedOut: 1}
		if s := l.IngestStats(); s != want {
			t.Errorf("afterwards: %+v, want %+v", s, want)
		}
	})
}

func TestRefusalsNameBoundAndSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := newIngestGate(IngestConfig{Slots: 1, Queue: 1, Wait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		f := func(err error, want string) {
			t.Helper()
			if !errors.Is(err, ErrBusy) || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
		free, err := g.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.enter(t.Context())
		f(err, "too many ingests under way: waited 1s for one of 1 ingest slots (--max-concurrent-ingests)")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.enter(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
				t.Errorf("a caller who left: %v", err)
			}
		})
		synctest.Wait()
		_, err = g.enter(t.Context())
		f(err, "too many ingests under way: all 1 ingest slots (--max-concurrent-ingests) are taken and 1 ingests wait for one, as many as may")
		cancel()
		wg.Wait()
		if n := g.stats().Cancelled; n != 1 {
			t.Errorf("%d counted as cancelled, want 1", n)
		}
		free()
		if free, err = g.enter(t.Context()); err != nil {
			t.Fatalf("all is free: %v", err)
		}
		free()
	})
}

func TestIngestQueueFollowsTheSlots(t *testing.T) {
	if got := (IngestConfig{Slots: 3}).withDefaults(); got.Queue != 24 || got.Wait != 30*time.Second {
		t.Errorf("defaults of 3 slots: %+v, want a queue of 24 and a wait of 30s", got)
	}
}
