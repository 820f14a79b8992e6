package library

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowBody is a document whose reading takes a minute, as over a bad line.
type slowBody struct{ at *atomic.Int64 }

func (s slowBody) Read(p []byte) (int, error) {
	s.at.Add(1)
	defer s.at.Add(-1)
	time.Sleep(time.Minute)
	return 0, errors.New("line broken")
}

func TestIngestsBeyondTheSlotsWaitOutside(t *testing.T) {
	cfg := Config{Ingest: IngestConfig{Slots: 2, Queue: 3, Wait: 90 * time.Second}}
	bubble(t, cfg, func(t *testing.T, l *Library, _ *fakeStore) {
		var reading, most, full, timedOut, read atomic.Int64
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := l.Ingest(t.Context(), "ada", Document{Title: "Slow", Body: slowBody{&reading}})
				var busy *BusyError
				switch {
				case !errors.As(err, &busy):
					read.Add(1)
				case busy.Reason == ReasonQueueFull:
					full.Add(1)
				case busy.Reason == ReasonTimeout && busy.Waited == 90*time.Second:
					timedOut.Add(1)
				}
			})
			synctest.Wait()
			most.Store(max(most.Load(), reading.Load()))
		}
		if s := l.IngestStats(); s.InUse != 2 || s.Waiting != 3 || s.QueueFull != 5 {
			t.Errorf("with ten at once: %+v, want 2 in use, 3 waiting, 5 refused", s)
		}
		wg.Wait()
		// Two read in the first minute, two in the second; the third who waited ran out of time.
		if most.Load() != 2 || full.Load() != 5 || timedOut.Load() != 1 || read.Load() != 4 {
			t.Errorf("%d read at once, %d found the queue full, %d timed out, %d were read; want 2, 5, 1, 4", most.Load(), full.Load(), timedOut.Load(), read.Load())
		}
		if s := l.IngestStats(); s.InUse != 0 || s.Waiting != 0 || s.Bytes != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

func TestRefusalsNameBoundAndSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := newIngestGate(IngestConfig{Slots: 1, Queue: 1, Wait: time.Second, MaxBytes: 100, SlotsSetting: "--ingest-slots"})
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
		f(err, "wait for ingest slots (--ingest-slots, 1) for 1s: too many ingests under way")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.enter(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrBusy) {
				t.Errorf("a caller who left: %v", err)
			}
		})
		synctest.Wait()
		_, err = g.enter(t.Context())
		f(err, "wait for ingest slots (INGEST_QUEUE, 1): 1 ingests wait already: too many ingests under way")
		cancel()
		wg.Wait()
		free()
		drop, err := g.hold(t.Context(), 1000) // more than all: held alone
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.hold(t.Context(), 1)
		f(err, "wait for ingest bytes (INGEST_MAX_BYTES, 100) for 1s: too many ingests under way")
		drop()
		if drop, err = g.hold(t.Context(), 100); err != nil {
			t.Errorf("all is free: %v", err)
		}
		drop()
	})
}

// A book that is being stored holds bytes but no slot: others are cut meanwhile.
func TestStoringHoldsNoSlot(t *testing.T) {
	cfg := Config{Ingest: IngestConfig{Slots: 1}}
	bubble(t, cfg, func(t *testing.T, l *Library, st *fakeStore) {
		release := stopAt(st, "ingest")
		var wg sync.WaitGroup
		for _, text := range []string{"One book.", "Another book.", "A third."} {
			wg.Go(func() {
				if _, err := l.Ingest(t.Context(), "", Document{Body: strings.NewReader(text)}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := st.count("ingest"); got != 3 {
			t.Errorf("%d books are being stored, want 3", got)
		}
		if s := l.IngestStats(); s.InUse != 0 || s.Bytes == 0 {
			t.Errorf("while they are stored: %+v", s)
		}
		release()
		wg.Wait()
		if s := l.IngestStats(); s.Bytes != 0 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}
