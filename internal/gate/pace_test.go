package gate

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd keeps a gate saturated: each caller holds its slot for what hold says at the time.
type crowd struct {
	g    *Gate
	hold atomic.Int64 // nanoseconds
	stop chan struct{}
}

// gather starts callers that ask again as soon as they are served, until the test's end.
func gather(t *testing.T, g *Gate, callers int, hold time.Duration) *crowd {
	c := &crowd{g: g, stop: make(chan struct{})}
	c.hold.Store(int64(hold))
	for range callers {
		go func() {
			for {
				if _, got := g.Acquire(t.Context(), 0); got != Granted {
					return
				}
				select {
				case <-time.After(time.Duration(c.hold.Load())):
				case <-c.stop:
				}
				g.Release()
			}
		}()
	}
	return c
}

func (c *crowd) leave() {
	c.g.Close()
	close(c.stop)
}

const soon = 500 * time.Millisecond

func ask(t *testing.T, g *Gate) (time.Duration, Outcome) {
	t.Helper()
	wait, got := g.AcquireSoon(t.Context(), 0, soon)
	if got == Granted {
		g.Release()
	}
	return wait, got
}

func TestSlowGateRefusesAtOnce(t *testing.T) {
	f := func(name string, size, callers int, hold time.Duration, want Outcome) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			g := New(size, 1000)
			c := gather(t, g, callers, hold)
			defer c.leave()
			time.Sleep(20*hold + time.Millisecond) // many rounds, and the slots are just taken
			start := time.Now()
			wait, got := ask(t, g)
			if got != want {
				t.Errorf("%s: %v after %v, want %v", name, got, wait, want)
			}
			if got == TooSlow {
				truth := hold * time.Duration(callers-size+1) / time.Duration(size)
				if wait < truth/2 || wait > truth*2 || time.Since(start) != 0 {
					t.Errorf("%s: predicted %v after %v, it would have been about %v", name, wait, time.Since(start), truth)
				}
			}
		})
	}
	f("fast and crowded", 10, 40, 50*time.Millisecond, Granted)                       // about 0.15 s
	f("slow, though few wait", 10, 13, 10*time.Second, TooSlow)                       // 4 turns of a second
	f("fast, but too many wait", 10, 300, 50*time.Millisecond, TooSlow)               // 1.5 s
	f("a big one, whose slots turn together", 50, 400, 300*time.Millisecond, TooSlow) // 2.4 s
	f("a big one, few waiting", 50, 80, 300*time.Millisecond, Granted)                // 0.3 s
	f("one slot", 1, 20, 100*time.Millisecond, TooSlow)                               // 2 s
	f("a free slot costs no wait", 10, 9, 10*time.Second, Granted)
	f("the first in line is let in", 10, 10, 10*time.Second, Granted)
}

// The gate notices a standstill before it ends, and soon afterwards that it is over.
func TestPaceFollowsBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(10, 1000)
		c := gather(t, g, 40, 20*time.Millisecond)
		defer c.leave()
		time.Sleep(time.Second + time.Millisecond)
		if wait, got := ask(t, g); got != Granted {
			t.Fatalf("at first: %v, %v", got, wait)
		}
		c.hold.Store(int64(time.Minute))
		time.Sleep(5 * time.Second)
		if before := g.Snapshot(); before.Turn > 10*time.Millisecond {
			t.Fatalf("a slot came free in the standstill: %+v", before)
		}
		if wait, got := ask(t, g); got != TooSlow {
			t.Errorf("nothing has moved for 5 s: %v, %v", got, wait)
		}
		c.hold.Store(int64(20 * time.Millisecond))
		time.Sleep(time.Minute) // the long ones end
		for range 3 * 10 {      // turns; a round has 10
			time.Sleep(2 * time.Millisecond)
		}
		if wait, got := ask(t, g); got != Granted {
			t.Errorf("60 ms after the standstill: %v, %v; %+v", got, wait, g.Snapshot())
		}
	})
}

// What was learned in a bad hour refuses nobody once the gate has a free slot, and not
// everybody when it is next full.
func TestOldPaceLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(1, 100)
		g.Acquire(t.Context(), 0)
		done := make(chan Outcome, 2)
		wait := func() {
			_, got := g.AcquireSoon(t.Context(), 0, soon)
			done <- got
		}
		go wait()
		synctest.Wait()
		time.Sleep(time.Hour)
		g.Release() // to the waiter; the pace is now 15 minutes
		if got := <-done; got != Granted {
			t.Fatal(got)
		}
		g.Release()
		if _, got := ask(t, g); got != Granted {
			t.Errorf("a free slot: %v", got)
		}
		for range 40 {
			g.AcquireSoon(t.Context(), 0, soon)
			go wait()
			synctest.Wait()
			time.Sleep(time.Millisecond)
			g.Release()
			if got := <-done; got != Granted {
				t.Fatalf("the first in line: %v", got)
			}
			g.Release()
		}
		g.AcquireSoon(t.Context(), 0, soon)
		go wait()
		go wait()
		synctest.Wait()
		if s := g.Snapshot(); s.Waiting != 2 || s.TooSlow != 0 {
			t.Errorf("the pace is that of the bad hour: %+v", s)
		}
		g.Close()
	})
}

// A gate that was never short of slots knows all the same how long they are held: of a burst it
// lets in no more than will be served in time.
func TestFirstBurstIsForeseen(t *testing.T) {
	const size, hold = 20, 300 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		g := New(size, 1000)
		for range 2 * size { // calm: one after the other
			if _, got := g.Acquire(t.Context(), 0); got != Granted {
				t.Fatal(got)
			}
			time.Sleep(hold)
			g.Release()
		}
		for range size {
			if _, got := g.Acquire(t.Context(), 0); got != Granted {
				t.Fatal(got)
			}
		}
		waiting := 0
		for range 10 * size {
			done := make(chan Outcome, 1)
			go func() { _, got := g.AcquireSoon(t.Context(), 0, soon); done <- got }()
			synctest.Wait()
			select {
			case got := <-done:
				if got != TooSlow {
					t.Fatalf("refused by %d", got)
				}
			default:
				waiting++
			}
		}
		if most := int(soon / (hold / size)); waiting > most || waiting < most-1 {
			t.Errorf("%d of a burst wait, want the %d that are served within %v", waiting, most, soon)
		}
		g.Close()
	})
}
