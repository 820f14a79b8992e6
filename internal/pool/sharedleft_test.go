package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Who has kept a part is answered, also when the one it was left to gives up waiting, or the pools close, at that moment.
func TestSharedTransactionLeftToNobody(t *testing.T) {
	ps := openShared(t)
	for i := range 220 {
		closing := i >= 200
		if closing {
			ps = openShared(t)
		} else {
			exec(t, ps, "DELETE FROM t")
		}
		ctx, leave := context.WithCancel(t.Context())
		first := join(t, ps, t.Context(), roomy, 1)
		second, joined := waiting(t, ps, ctx, roomy, 2)
		start := make(chan struct{})
		go func() { <-start; leave() }()
		go func() { <-start; first.done <- first.tx.Commit() }()
		if closing {
			go func() { <-start; _ = ps.Close() }()
		}
		close(start)
		<-joined
		second.conn.Release()
		err := <-first.done
		first.conn.Release()
		if err != nil && !(closing && errors.Is(err, ErrClosed)) {
			t.Fatalf("round %d: %v", i, err)
		}
		if closing {
			continue
		}
		if got := rowsOf(t, ps); got != "1" {
			t.Fatalf("round %d: stored %q", i, got)
		}
	}
}

// The same, step by step: whatever finds the connection free with a transaction on it ends that.
func TestSharedTransactionFoundOpen(t *testing.T) {
	f := func(name string, find func(ps *Pools, l *links, k *link), want string) {
		t.Helper()
		ps := openShared(t)
		first := join(t, ps, t.Context(), roomy, 1)
		l, k, s := ps.write.links, first.tx.use.link, first.tx.part.shared
		if err := s.run("RELEASE part"); err != nil {
			t.Fatal(err)
		}
		s.parts++ // as its Commit does, up to where the connection is another's
		first.tx.use.link = nil
		first.tx.once.Do(func() {})
		find(ps, l, k)
		select {
		case <-s.done:
		default:
			t.Errorf("%s: still open", name)
			k.commitShared()
		}
		if want == "" {
			if !errors.Is(s.err, ErrClosed) {
				t.Errorf("%s: %v", name, s.err)
			}
		} else if got := rowsOf(t, ps); s.err != nil || got != want {
			t.Errorf("%s: stored %q, %v", name, got, s.err)
		}
	}
	left := func(l *links, k *link) { l.put(k); l.gate.Release() }
	f("who gave up waiting", func(_ *Pools, l *links, k *link) {
		left(l, k)
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, _, err := l.borrow(ctx, 0); err == nil {
			t.Error("borrowed")
		}
	}, "1")
	f("the keeper", func(_ *Pools, l *links, k *link) { left(l, k); l.sweep(time.Now()) }, "1")
	f("the keeper, when it is old", func(_ *Pools, l *links, k *link) {
		k.expires = time.Now().Add(-time.Hour)
		left(l, k)
		l.sweep(time.Now())
	}, "1")
	f("who gives it back", func(_ *Pools, l *links, k *link) { l.giveBack(k) }, "1")
	f("closing", func(ps *Pools, l *links, k *link) { left(l, k); _ = ps.Close() }, "")
	f("giving back after closing", func(ps *Pools, l *links, k *link) { _ = ps.Close(); left(l, k) }, "")
}

// Many callers who keep, undo or leave their parts at random: what is there is what was acknowledged.
func TestSharedTransactionsOfACrowd(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Write = Bounds{Min: 1, Size: 8, Queue: 64}; c.Recycle = 5 * time.Millisecond })
	exec(t, ps, "CREATE TABLE t(a PRIMARY KEY)")
	var kept, ends atomic.Int64
	one := func(rnd *rand.Rand, row int) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(5000))*time.Microsecond)
		defer cancel()
		c, err := ps.Write().Acquire(ctx)
		if err != nil {
			return nil
		}
		defer c.Release()
		j := &joiner{conn: c}
		err = j.begin(ctx, Share{Weight: 1, Most: 5, Within: time.Hour}, row)
		if err == nil {
			err = j.tx.AtEnd(int64(-row), func(ctx context.Context, tx *Tx) error {
				ends.Add(1)
				_, err := tx.Exec(ctx, "UPDATE t SET a = -a WHERE a = ?", row)
				return err
			})
		}
		if err != nil || rnd.IntN(4) == 0 {
			return nil // Release undoes it
		}
		if j.tx.Commit() == nil {
			kept.Add(1)
			if n := seen[int](t, ps, "SELECT count(*) FROM t WHERE a = ?", -row); n != 1 {
				return fmt.Errorf("row %d acknowledged and not seen", row)
			}
		}
		return nil
	}
	const callers, rounds = 16, 40
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 3))
			for round := range rounds {
				if err := one(rnd, 1+i*rounds+round); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stored := seen[int](t, ps, "SELECT count(*) FROM t WHERE a < 0")
	if rest := seen[int](t, ps, "SELECT count(*) FROM t WHERE a > 0"); int64(stored) != kept.Load() || rest != 0 || stored == 0 {
		t.Errorf("%d rows, %d by halves, %d acknowledged", stored, rest, kept.Load())
	}
}
