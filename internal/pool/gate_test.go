package pool

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
		g := newGate(3, 50)
		for range 3 {
			if _, got := g.acquire(t.Context(), 0); got != granted {
				t.Fatalf("free slot: %v", got)
			}
		}
		var mu sync.Mutex
		var order []int
		for i := range 50 {
			go func() {
				if _, got := g.acquire(t.Context(), time.Hour); got != granted {
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
			g.release()
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
		g := newGate(1, 2)
		g.acquire(t.Context(), 0)
		for range 2 {
			go g.acquire(t.Context(), time.Hour)
		}
		synctest.Wait()
		start := time.Now()
		if _, got := g.acquire(t.Context(), time.Hour); got != queueFull || time.Since(start) != 0 {
			t.Errorf("third waiter: %v after %v, want queueFull at once", got, time.Since(start))
		}
		g.release()
		synctest.Wait()
		go g.acquire(t.Context(), time.Hour) // a place is free again
		synctest.Wait()
		if inUse, waiting, c := g.snapshot(); inUse != 1 || waiting != 2 || c.queueFull != 1 {
			t.Errorf("in use %d, waiting %d, refused %d", inUse, waiting, c.queueFull)
		}
		g.release()
		g.release()
	})
}

func TestGateDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 8)
		g.acquire(t.Context(), 0)
		waited, got := g.acquire(t.Context(), 30*time.Second)
		if got != timedOut || waited != 30*time.Second {
			t.Errorf("%v after %v", got, waited)
		}
		_, waiting, c := g.snapshot()
		if waiting != 0 || c.timedOut != 1 || c.waitTotal != waited || c.waitMax != waited || c.waits != 1 || c.acquired != 1 {
			t.Errorf("waiting %d, %+v", waiting, c)
		}
		g.release()
		if _, got := g.acquire(t.Context(), 0); got != granted {
			t.Errorf("after the release: %v", got)
		}
	})
}

func TestGateEndedContext(t *testing.T) {
	g := newGate(1, 8)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, got := g.acquire(ctx, 0); got != cancelled {
		t.Errorf("free slot, ended context: %v", got)
	}
	if inUse, _, c := g.snapshot(); inUse != 0 || c.cancelled != 1 {
		t.Errorf("in use %d, %+v", inUse, c)
	}
}

// A slot and the end of the wait in the same instant: whoever wins, no slot is lost and nobody is skipped.
func TestGateSlotMeetsDeadline(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(1, 8)
			g.acquire(t.Context(), 0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			firstGot, secondGot := make(chan outcome, 1), make(chan outcome, 1)
			go func() {
				_, got := g.acquire(ctx, time.Second)
				firstGot <- got
			}()
			synctest.Wait()
			go func() {
				_, got := g.acquire(t.Context(), time.Minute)
				secondGot <- got
			}()
			time.Sleep(time.Second)
			g.release()
			first := <-firstGot
			if first == granted {
				g.release()
			}
			if second := <-secondGot; second != granted {
				t.Errorf("the second got %v after the first got %v", second, first)
			}
			g.release()
			if inUse, waiting, _ := g.snapshot(); inUse != 0 || waiting != 0 {
				t.Errorf("in use %d, waiting %d at the end", inUse, waiting)
			}
		})
	}
}

func TestGateClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 8)
		g.acquire(t.Context(), 0)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, got := g.acquire(t.Context(), time.Hour); got != refusedClosed {
					t.Errorf("waiter: %v", got)
				}
			})
		}
		synctest.Wait()
		g.close()
		wg.Wait()
		if _, got := g.acquire(t.Context(), 0); got != refusedClosed {
			t.Errorf("late caller: %v", got)
		}
		g.release()
		if g.tryAcquire() {
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
	newGate(1, 1).release()
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
		got    chan outcome
	}
	g := newGate(size, queue)
	var waiting []*caller
	held := 0
	expect := func(c *caller, want outcome) {
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
			c := &caller{cancel: cancel, got: make(chan outcome, 1)}
			go func() {
				_, got := g.acquire(ctx, time.Hour)
				c.got <- got
			}()
			switch {
			case held < size:
				expect(c, granted)
				held++
			case len(waiting) >= queue:
				expect(c, queueFull)
			default:
				synctest.Wait()
				waiting = append(waiting, c)
			}
		case op < 7 && len(waiting) > 0:
			i := rnd.IntN(len(waiting))
			c := waiting[i]
			waiting = slices.Delete(waiting, i, i+1)
			c.cancel()
			expect(c, cancelled)
		case held > 0:
			g.release()
			if len(waiting) > 0 {
				expect(waiting[0], granted)
				waiting = waiting[1:]
			} else {
				held--
			}
		}
		inUse, queued, _ := g.snapshot()
		if inUse != held || queued != len(waiting) {
			t.Fatalf("in use %d, waiting %d; the model has %d and %d", inUse, queued, held, len(waiting))
		}
	}
	g.close()
}

// Many callers that leave at random: never more holders than slots, and none missing afterwards.
func TestGateUnderCrowd(t *testing.T) {
	const size = 4
	g := newGate(size, 64)
	var mu sync.Mutex
	holders := 0
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 2))
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(300))*time.Microsecond)
				_, got := g.acquire(ctx, time.Duration(1+rnd.IntN(300))*time.Microsecond)
				cancel()
				if got != granted {
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
				g.release()
			}
		})
	}
	wg.Wait()
	inUse, waiting, c := g.snapshot()
	if inUse != 0 || waiting != 0 {
		t.Errorf("in use %d, waiting %d at the end", inUse, waiting)
	}
	if total := c.acquired + c.timedOut + c.cancelled + c.queueFull; total != 64*300 {
		t.Errorf("%d outcomes of %d calls: %+v", total, 64*300, c)
	}
}
