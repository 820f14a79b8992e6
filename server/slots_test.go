package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStreamSlotsRefuseByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreamSlots(StreamConfig{Slots: 2, Queue: 1, Wait: 5 * time.Second, PerUser: 2})
		f := func(user string, after time.Duration, part string) {
			t.Helper()
			start := time.Now()
			_, err := s.enter(t.Context(), user)
			r, ok := errors.AsType[*refusal](err)
			if !ok || r.status != 503 || r.code != "streams_exhausted" || r.retryAfter != streamRetry || !strings.Contains(r.detail, part) || time.Since(start) != after {
				t.Errorf("%s: %v after %v, want %q after %v", user, err, time.Since(start), part, after)
			}
		}
		leave, err := s.enter(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		leaveToo, err := s.enter(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		f("ann", 0, "2 of your streams are under way or waiting, as many as one user may have (--streams-per-user)")
		f("bob", 5*time.Second, "none of 2 stream slots (MAX_CONCURRENT_STREAMS) came free within 5s (--stream-wait)")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.enter(ctx, "cay"); !errors.Is(err, context.Canceled) {
				t.Errorf("a client that left: %v", err)
			}
		})
		synctest.Wait()
		f("bob", 0, "all 2 stream slots (MAX_CONCURRENT_STREAMS) are taken and 1 requests wait for one (--stream-queue), as many as may")
		cancel()
		wg.Wait()
		want := streamReport{Active: 2, MaxConcurrent: 2, Utilization: 1, Queue: 1, Refused: refusedReport{QueueFull: 1, TimedOut: 1, PerUser: 1}}
		if got := s.report(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		wg.Go(func() {
			if _, err := s.enter(t.Context(), "dan"); err == nil || err.(*refusal).code != "draining" {
				t.Errorf("who waits when the server leaves: %v", err)
			}
		})
		synctest.Wait()
		s.close()
		wg.Wait()
		leave()
		leaveToo()
		if got := s.report(); got.Active != 0 || got.Utilization != 0 || len(s.users) != 0 {
			t.Errorf("%+v, users %v", got, s.users)
		}
	})
}

func TestUnboundedStreamsAreCounted(t *testing.T) {
	s := newStreamSlots(StreamConfig{Wait: time.Second})
	var leave []func()
	for range 300 {
		l, err := s.enter(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	if got, want := s.report(), (streamReport{Active: 300}); got != want {
		t.Errorf("%+v", got)
	}
	for _, l := range leave {
		l()
	}
	if got := s.report(); got.Active != 0 {
		t.Errorf("%+v", got)
	}
}

// The plan calls the streams critical above nine tenths of the slots.
func TestStreamHealth(t *testing.T) {
	cfg := testConfig()
	cfg.Streams.Slots = 10
	s := newServer(t, cfg, Deps{Library: echo()})
	for taken := 1; taken <= 10; taken++ {
		leave, err := s.streams.enter(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		want := `"health":"ok"`
		if taken > 9 {
			want = `"health":"critical"`
		}
		if w := ask(t, s.Handler(), "GET", "/api/health/streams", ""); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d of 10 slots taken: %s, want %s", taken, w.Body, want)
		}
	}
}
