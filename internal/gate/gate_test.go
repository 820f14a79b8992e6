package gate

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGateServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(3, 50)
		for range 3 {
			if _, got := g.Acquire(t.Context(), 0); got != Granted {
				t.Fatalf("free slot: %v", got)
			}
		}
		var mu sync.Mutex
		var order []int
		for i := range 50 {
			go func() {
				if _, got := g.Acquire(t.Context(), time.Hour); got != Granted {
					t.Errorf("waiter %d: %v", i, got)
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		var want []int
		for i := range 50 {
			g.Release()
			synctest.Wait()
			want = append(want, i)
		}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGateBoundsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1, 2)
		g.Acquire(t.Context(), 0)
		for range 2 {
			go g.Acquire(t.Context(), time.Hour)
		}
		synctest.Wait()
		start := time.Now()
		if _, got := g.Acquire(t.Context(), time.Hour); got != QueueFull || time.Since(start) != 0 {
			t.Errorf("third waiter: %v after %v, want QueueFull at once", got, time.Since(start))
		}
		g.Release()
		synctest.Wait()
		go g.Acquire(t.Context(), time.Hour) // a place is free again
		synctest.Wait()
		if s := g.Snapshot(); s.InUse != 1 || s.Waiting != 2 || s.QueueFull != 1 {
			t.Errorf("%+v", s)
		}
		g.Release()
		g.Release()
	})
}

func TestGateDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1, 8)
		g.Acquire(t.Context(), 0)
		waited, got := g.Acquire(t.Context(), 30*time.Second)
		if got != TimedOut || waited != 30*time.Second {
			t.Errorf("%v after %v", got, waited)
		}
		s := g.Snapshot()
		if s.Waiting != 0 || s.TimedOut != 1 || s.WaitTotal != waited || s.WaitMax != waited || s.Waits != 1 || s.Acquired != 1 {
			t.Errorf("%+v", s)
		}
		g.Release()
		if _, got := g.Acquire(t.Context(), 0); got != Granted {
			t.Errorf("after the release: %v", got)
		}
	})
}

// A wait is counted with its outcome, so that between two looks no more callers waited than asked: also while the queue
// grows, and when callers leave it.
func TestGateCountsAWaitWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1, 8)
		g.Acquire(t.Context(), 0)
		leaving, leave := context.WithCancel(t.Context())
		for _, ctx := range []context.Context{t.Context(), t.Context(), leaving} {
			go g.Acquire(ctx, time.Hour)
			synctest.Wait() // in this order
		}
		f := func(why string, waits, acquired, cancelled int64) {
			t.Helper()
			synctest.Wait()
			if s := g.Snapshot(); s.Waits != waits || s.Acquired != acquired || s.Cancelled != cancelled {
				t.Errorf("%s: %d waits, %d acquired, %d cancelled", why, s.Waits, s.Acquired, s.Cancelled)
			}
		}
		f("three wait", 0, 1, 0)
		g.Release()
		f("one has its slot", 1, 2, 0)
		leave()
		f("one has left", 2, 2, 1)
		g.Release()
		f("nobody waits", 3, 3, 1)
	})
}

func TestGateEndedContext(t *testing.T) {
	g := New(1, 8)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, got := g.Acquire(ctx, 0); got != Cancelled {
		t.Errorf("free slot, ended context: %v", got)
	}
	if s := g.Snapshot(); s.InUse != 0 || s.Cancelled != 1 {
		t.Errorf("%+v", s)
	}
}

// A slot and the end of the wait in the same instant: whoever wins, no slot is lost and nobody is skipped.
func TestGateSlotMeetsDeadline(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			g := New(1, 8)
			g.Acquire(t.Context(), 0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			firstGot, secondGot := make(chan Outcome, 1), make(chan Outcome, 1)
			go func() {
				_, got := g.Acquire(ctx, time.Second)
				firstGot <- got
			}()
			synctest.Wait()
			go func() {
				_, got := g.Acquire(t.Context(), time.Minute)
				secondGot <- got
			}()
			time.Sleep(time.Second)
			g.Release()
			first := <-firstGot
			if first == Granted {
				g.Release()
			}
			if second := <-secondGot; second != Granted {
				t.Errorf("the second got %v after the first got %v", second, first)
			}
			g.Release()
			if s := g.Snapshot(); s.InUse != 0 || s.Waiting != 0 {
				t.Errorf("at the end: %+v", s)
			}
		})
	}
}

func TestGateClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1, 8)
		g.Acquire(t.Context(), 0)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, got := g.Acquire(t.Context(), time.Hour); got != Closed {
					t.Errorf("waiter: %v", got)
				}
			})
		}
		synctest.Wait()
		g.Close()
		wg.Wait()
		if _, got := g.Acquire(t.Context(), 0); got != Closed {
			t.Errorf("late caller: %v", got)
		}
		g.Release()
		if g.TryAcquire() {
			t.Error("a closed gate gave a slot")
		}
	})
}

func TestGateReleasedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(1, 1).Release()
}

// The gate against a model of it: a list of waiters and a number of free slots.
// After each random step everybody who should be served is, and nobody else.
func TestGateAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) { gateModel(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func gateModel(t *testing.T, rnd *rand.Rand) {
	const size, queue = 3, 6
	type caller struct {
		cancel context.CancelFunc
		got    chan Outcome
	}
	g := New(size, queue)
	var waiting []*caller
	held := 0
	expect := func(c *caller, want Outcome) {
		t.Helper()
		synctest.Wait()
		select {
		case got := <-c.got:
			if got != want {
				t.Fatalf("outcome %v, want %v", got, want)
			}
		default:
			t.Fatalf("still waiting, want %v", want)
		}
	}
	for range 300 {
		switch op := rnd.IntN(10); {
		case op < 5:
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c := &caller{cancel: cancel, got: make(chan Outcome, 1)}
			go func() {
				_, got := g.Acquire(ctx, time.Hour)
				c.got <- got
			}()
			switch {
			case held < size:
				expect(c, Granted)
				held++
			case len(waiting) >= queue:
				expect(c, QueueFull)
			default:
				synctest.Wait()
				waiting = append(waiting, c)
			}
		case op < 7 && len(waiting) > 0:
			i := rnd.IntN(len(waiting))
			c := waiting[i]
			waiting = slices.Delete(waiting, i, i+1)
			c.cancel()
			expect(c, Cancelled)
		case held > 0:
			g.Release()
			if len(waiting) > 0 {
				expect(waiting[0], Granted)
				waiting = waiting[1:]
			} else {
				held--
			}
		}
		if s := g.Snapshot(); s.InUse != held || s.Waiting != len(waiting) {
			t.Fatalf("in use %d, waiting %d; the model has %d and %d", s.InUse, s.Waiting, held, len(waiting))
		}
	}
	g.Close()
}

// Many callers that leave at random: never more holders than slots, and none missing afterwards.
func TestGateUnderCrowd(t *testing.T) {
	const size = 4
	g := New(size, 64)
	var mu sync.Mutex
	holders := 0
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 2))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(300))*time.Microsecond)
				_, got := g.Acquire(ctx, time.Duration(1+rnd.IntN(300))*time.Microsecond)
				cancel()
				if got != Granted {
					continue
				}
				mu.Lock()
				holders++
				if holders > size {
					t.Errorf("%d holders of %d slots", holders, size)
				}
				mu.Unlock()
				mu.Lock()
				holders--
				mu.Unlock()
				g.Release()
			}
		})
	}
	wg.Wait()
	s := g.Snapshot()
	if s.InUse != 0 || s.Waiting != 0 {
		t.Errorf("in use %d, waiting %d at the end", s.InUse, s.Waiting)
	}
	if total := s.Acquired + s.TimedOut + s.Cancelled + s.QueueFull; total != 64*300 {
		t.Errorf("%d outcomes of %d calls: %+v", total, 64*300, s)
	}
}
