package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type contextKey struct{}

// onRequest runs one case in a bubble of time, on a context of a minute whose parent can leave.
func onRequest(t *testing.T, why string, do func(t *testing.T, r *requestContext, leave context.CancelFunc)) {
	t.Helper()
	t.Run(why, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, leave := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "kept"))
			defer leave()
			r := &requestContext{parent: parent, deadline: time.Now().Add(time.Minute)}
			defer r.stop()
			do(t, r, leave)
		})
	})
}

func wantErr(t *testing.T, c context.Context, want error) {
	t.Helper()
	if !errors.Is(c.Err(), want) || c.Err() == nil && want != nil {
		t.Errorf("Err is %v, want %v", c.Err(), want)
	}
}

func TestRequestContextEndsLikeAnyOther(t *testing.T) {
	f := func(why string, do func(t *testing.T, r *requestContext, leave context.CancelFunc)) {
		t.Helper()
		onRequest(t, why, do)
	}
	f("while it runs", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		wantErr(t, r, nil)
		if d, ok := r.Deadline(); !ok || time.Until(d) != time.Minute {
			t.Errorf("deadline %v", d)
		}
		if r.Value(contextKey{}) != "kept" || r.timed != nil {
			t.Error("the parent's value is gone, or a timer runs though nobody waits")
		}
	})
	f("the deadline, nobody waiting", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		time.Sleep(time.Minute)
		wantErr(t, r, context.DeadlineExceeded)
		<-r.Done()
	})
	f("the deadline, somebody waiting", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		start := time.Now()
		<-r.Done()
		if time.Since(start) != time.Minute {
			t.Errorf("after %v", time.Since(start))
		}
		wantErr(t, r, context.DeadlineExceeded)
		if context.Cause(r) != context.DeadlineExceeded {
			t.Errorf("cause %v", context.Cause(r))
		}
	})
	f("derived contexts follow", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		child, cancel := context.WithTimeout(r, time.Hour)
		defer cancel()
		start := time.Now()
		<-child.Done()
		if time.Since(start) != time.Minute {
			t.Errorf("after %v", time.Since(start))
		}
		wantErr(t, child, context.DeadlineExceeded)
	})
	f("an earlier deadline of the parent counts", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		parent, cancel := context.WithTimeout(r.parent, time.Second)
		defer cancel()
		early := &requestContext{parent: parent, deadline: r.deadline}
		defer early.stop()
		if d, _ := early.Deadline(); time.Until(d) != time.Second {
			t.Errorf("deadline in %v", time.Until(d))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		wantErr(t, early, context.DeadlineExceeded)
	})
}

func TestRequestContextEndsWithItsParent(t *testing.T) {
	f := func(why string, do func(t *testing.T, r *requestContext, leave context.CancelFunc)) {
		t.Helper()
		onRequest(t, why, do)
	}
	f("the parent leaves, nobody waiting", func(t *testing.T, r *requestContext, leave context.CancelFunc) {
		leave()
		wantErr(t, r, context.Canceled)
		<-r.Done()
	})
	f("the parent leaves, somebody waiting", func(t *testing.T, r *requestContext, leave context.CancelFunc) {
		done := r.Done()
		leave()
		<-done
		wantErr(t, r, context.Canceled)
	})
	f("stopped", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		r.stop()
		wantErr(t, r, context.Canceled)
		<-r.Done()
	})
	f("stopped while somebody waits", func(t *testing.T, r *requestContext, _ context.CancelFunc) {
		done := r.Done()
		r.stop()
		<-done
		wantErr(t, r, context.Canceled)
	})
}

// A search that takes longer than --request-timeout is a 504.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lib, _, _ := held()
		cfg := testConfig()
		cfg.RequestTimeout = 3 * time.Second
		s := newServer(t, cfg, Deps{Library: lib})
		start := time.Now()
		w := ask(t, s.Handler(), "GET", "/api/search?q=held", "")
		wantError(t, w, 504, "deadline_exceeded", "--request-timeout 3s")
		if time.Since(start) != 3*time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
}
