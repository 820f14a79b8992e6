package answer

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/server/breaker"
)

// The filter of an API is no fault of it.
func TestFilteredAnswersDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(t, Chat{Breaker: opensAfter(t, 1)}, func(w http.ResponseWriter, _ *http.Request) {
			stream(w, `{"choices":[{"delta":{"content":"a"},"finish_reason":"content_filter"}]}`)
		})
		for range 2 {
			got, err := a.Answer(t.Context(), twoPassages(), nil)
			if err != nil || got.Reason != ReasonFiltered {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if s := a.Stats(); s.API.Breaker.State != breaker.Closed || s.API.Calls != 2 {
			t.Errorf("%+v", s.API)
		}
	})
}

func TestBreakerLeavesTheAPIAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		a := api(t, Chat{Breaker: opensAfter(t, 3)}, func(w http.ResponseWriter, _ *http.Request) {
			if down {
				w.WriteHeader(500)
				return
			}
			stream(w, delta("a"), stop)
		})
		ask := func(want Reason) {
			t.Helper()
			if got, err := a.Answer(t.Context(), twoPassages(), nil); err != nil || got.Reason != want {
				t.Errorf("%+v, %v: want reason %q", got, err, want)
			}
		}
		for range 3 {
			ask(ReasonStatus)
		}
		start := time.Now()
		ask(ReasonBreakerOpen)
		if s := a.Stats(); time.Since(start) != 0 || s.API.Calls != 3 {
			t.Errorf("an open breaker let %d calls through", s.API.Calls)
		}
		down = false
		time.Sleep(10*time.Second + 1)
		ask("")
		if s := a.Stats(); s.API.Breaker.State != breaker.Closed {
			t.Errorf("%+v", s.API.Breaker)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := true
		a := api(t, Chat{}, func(w http.ResponseWriter, _ *http.Request) {
			if limited {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(429)
				return
			}
			stream(w, delta("a"), stop)
		})
		ask := func(want Reason, calls int64) {
			t.Helper()
			got, err := a.Answer(t.Context(), twoPassages(), nil)
			if s := a.Stats(); err != nil || got.Reason != want || s.API.Calls != calls {
				t.Errorf("%+v, %v, %d calls: want reason %q, %d", got, err, s.API.Calls, want, calls)
			}
		}
		ask(ReasonRateLimited, 1)
		limited = false
		time.Sleep(29 * time.Second)
		ask(ReasonRateLimited, 1)
		if left := a.Stats().API.CoolDownMS; left != 1000 {
			t.Errorf("%d ms left, want 1000", left)
		}
		time.Sleep(time.Second)
		ask("", 2)
	})
}

func TestRetryAfter(t *testing.T) {
	f := func(text string, want time.Duration) {
		t.Helper()
		if got := retryAfter(text); got.Round(time.Second) != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	f("", 0)
	f("soon", 0)
	f("-5", 0)
	f(" 12 ", 12*time.Second)
	f("0.6", time.Second)
	f("86400", maxCoolDown) // a day would turn the API off
	f("1e300", maxCoolDown)
	f("NaN", 0)
	f("Mon, 01 Jan 2001 00:00:00 GMT", 0)
	synctest.Test(t, func(t *testing.T) {
		f(time.Now().Add(2*time.Minute).UTC().Format(http.TimeFormat), 2*time.Minute)
	})
}

// Slots bound the calls; who finds none waits a moment, and then is answered for.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := api(t, Chat{Slots: 1, Queue: 1, SlotWait: time.Second, CacheTTL: -1}, func(w http.ResponseWriter, _ *http.Request) {
			<-release
			stream(w, delta("a"), stop)
		})
		results := make(chan Result)
		ask := func() {
			got, err := a.Answer(t.Context(), twoPassages(), nil)
			if err != nil {
				t.Error(err)
			}
			results <- got
		}
		go ask()
		synctest.Wait()
		go ask()
		synctest.Wait()
		if s := a.Stats().API; s.InUse != 1 || s.Waiting != 1 {
			t.Errorf("%+v: want one in use and one waiting", s)
		}
		start := time.Now()
		go ask() // beyond the queue: at once
		if got := <-results; got.Reason != ReasonBusy || time.Since(start) != 0 {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
		if got := <-results; got.Reason != ReasonBusy || time.Since(start) != time.Second {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
		close(release)
		if got := <-results; got.Source != SourceChat {
			t.Errorf("%+v", got)
		}
		if s := a.Stats().API; s.InUse != 0 || s.Waiting != 0 || s.Calls != 1 || s.Breaker.Failures != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Clients that leave are no fault of the API, whatever they leave in the middle of.
func TestLeavingClientsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Int64 // two handlers may end at once
		a := api(t, Chat{Breaker: opensAfter(t, 1)}, func(w http.ResponseWriter, r *http.Request) {
			stream(w, delta("a"))
			<-r.Context().Done()
			gone.Add(1)
		})
		ctx, cancel := context.WithCancel(t.Context())
		_, err := a.Answer(ctx, twoPassages(), func(Piece) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
		broken := errors.New("broken pipe")
		if _, err := a.Answer(t.Context(), twoPassages(), func(Piece) error { return broken }); err != broken {
			t.Errorf("error %v, want that of emit", err)
		}
		synctest.Wait()
		s := a.Stats()
		if s.API.Breaker.State != breaker.Closed || s.API.Breaker.Ignored != 2 || s.ClientGone != 2 || s.API.InUse != 0 || gone.Load() != 2 {
			t.Errorf("%+v, API %+v, %d calls ended", s, s.API, gone.Load())
		}
	})
}

// A client that reads slowly makes no API slow.
func TestSlowReadersDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(t, Chat{Breaker: opensAfter(t, 1)}, func(w http.ResponseWriter, _ *http.Request) {
			stream(w, delta("a"), delta("b"), delta("c"), stop)
		})
		_, err := a.Answer(t.Context(), twoPassages(), func(Piece) error { time.Sleep(8 * time.Second); return nil })
		if s := a.Stats(); err != nil || s.API.Breaker.Failures != 0 || s.Degraded[ReasonTimeout] != 1 {
			t.Errorf("%v, %+v", err, s)
		}
	})
}

// The answer that stands in is there before the caller's own deadline, which is no fault of the API
// when it is too near.
func TestDeadlineOfTheCaller(t *testing.T) {
	f := func(left, want time.Duration, calls int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := api(t, Chat{}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			start := time.Now()
			got, err := a.Answer(ctx, twoPassages(), nil)
			if err != nil || got.Reason != ReasonTimeout || got.Text == "" || time.Since(start) != want {
				t.Errorf("%+v, %v after %v, want %v", got, err, time.Since(start), want)
			}
			if s := a.Stats().API; s.Calls != calls || s.Breaker.Failures != calls {
				t.Errorf("%+v, want %d calls", s, calls)
			}
		})
	}
	f(4*time.Second, 3600*time.Millisecond, 1)
	f(time.Second, 750*time.Millisecond, 1)
	f(300*time.Millisecond, 0, 0)
}
