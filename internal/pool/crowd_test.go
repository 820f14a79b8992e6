package pool

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func TestRecycleUnderLoad(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read, c.Recycle = Bounds{Min: 3, Size: 20}, 40*time.Millisecond })
	fillNumbers(t, ps, 50)
	end := time.Now().Add(600 * time.Millisecond)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for time.Now().Before(end) {
				if n, err := count(t.Context(), ps.Read(), "SELECT a FROM numbers WHERE a <= 50"); err != nil || n != 50 {
					t.Errorf("%d rows, %v", n, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := 100; time.Now().Before(end); i++ {
			exec(t, ps, "INSERT INTO numbers VALUES(?, 1)", i)
		}
	})
	wg.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for time.Now().Before(end) {
			<-tick.C
			if s := ps.Stats(); s[0].PhysicalOpen < 3 || s[0].PhysicalOpen > 2*s[0].Physical || s[1].PhysicalOpen < 1 {
				t.Errorf("%d readers, %d writers open", s[0].PhysicalOpen, s[1].PhysicalOpen)
				return
			}
		}
	})
	wg.Wait()
	if s := ps.Stats(); s[0].Recycled < 5 || s[1].Recycled < 1 {
		t.Errorf("recycled %d and %d", s[0].Recycled, s[1].Recycled)
	}
}

// SQLite puts off the closing of a connection that has statements left, for ever.
func TestNoFileStaysOpen(t *testing.T) {
	for range 10 { // Close meets the keeper at different moments, also while it opens a connection
		ps := openTest(t, func(c *Config) { c.Recycle = time.Millisecond })
		fillNumbers(t, ps, 100)
		for range 20 {
			if _, err := count(t.Context(), ps.Read(), "SELECT a FROM numbers WHERE b > 3"); err != nil {
				t.Fatal(err)
			}
		}
		if n := filesOpen(ps.cfg.Path); n == 0 {
			t.Skip("NOT CHECKED, needs a system that tells its open files in /proc")
		}
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
		if n := filesOpen(ps.cfg.Path); n != 0 {
			t.Errorf("%d files open after Close", n)
		}
	}
}

// Everything at once, with callers leaving at every moment: nothing may be lost.
func TestCrowd(t *testing.T) {
	calm := openTest(t, nil)
	fillNumbers(t, calm, 200)
	exec(t, calm, "CREATE TABLE pairs(a, b)")
	ps := openTest(t, func(c *Config) {
		c.Path = calm.cfg.Path
		c.Read, c.Write = Bounds{Min: 2, Size: 6, Queue: 10}, Bounds{Size: 3, Queue: 10}
		c.Recycle, c.QueryTimeout, c.Timeout = 30*time.Millisecond, 5*time.Millisecond, 20*time.Millisecond
	})
	end := time.Now().Add(800 * time.Millisecond)
	var wg sync.WaitGroup
	var mu sync.Mutex
	committed := 0
	for w := range 24 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 4))
			for time.Now().Before(end) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(15000))*time.Microsecond)
				if w%4 != 0 {
					crowdReads(ctx, ps, rnd)
				} else if crowdWrites(ctx, ps) {
					mu.Lock()
					committed++
					mu.Unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	await(t, "everything given back", func() bool {
		for _, s := range ps.Stats() {
			if s.InUse+s.Waiting+s.PhysicalInUse+s.PhysicalWaiting > 0 {
				return false
			}
		}
		return true
	})
	pairs := ask[int](t, acquire(t, calm.Read()), "SELECT count(*) FROM pairs")
	if pairs != 2*committed || committed == 0 {
		t.Errorf("%d rows of %d committed transactions of two", pairs, committed)
	}
}

func crowdReads(ctx context.Context, ps *Pools, rnd *rand.Rand) {
	c, err := ps.Read().Acquire(ctx)
	if err != nil {
		return
	}
	defer c.Release()
	query := []string{"SELECT a FROM numbers", endless, endlessAfter, "SELECT b, count(*) FROM numbers GROUP BY b"}[rnd.IntN(4)]
	rows, err := c.Query(ctx, query)
	if err != nil {
		return
	}
	for rows.Next() {
		if rnd.IntN(50) == 0 {
			return // forgotten: Release sees to it
		}
	}
}

func crowdWrites(ctx context.Context, ps *Pools) bool {
	c, err := ps.Write().Acquire(ctx)
	if err != nil {
		return false
	}
	defer c.Release()
	tx, err := c.Begin(ctx)
	if err != nil {
		return false
	}
	for range 2 {
		if _, err := tx.Exec(ctx, "INSERT INTO pairs VALUES(1, 2)"); err != nil {
			return false
		}
	}
	return tx.Commit() == nil
}
