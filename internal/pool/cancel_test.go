package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// endless never finds a row; every row of it would need the one before.
const endless = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i < 0"

// endlessAfter gives one row and then never another.
const endlessAfter = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i = 1"

func TestCancelInMidStatement(t *testing.T) {
	ps := openTest(t, nil)
	fillNumbers(t, ps, 10)
	gone := errors.New("client went away")
	f := func(name string, p *Pool, run func(context.Context, *Conn) error) {
		t.Helper()
		opened := p.stats().Opened
		c := acquire(t, p)
		defer c.Release()
		ctx, leave := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(30*time.Millisecond, func() { leave(gone) })
		defer timer.Stop()
		start := time.Now()
		if err := run(ctx, c); !errors.Is(err, gone) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: stopped after %v", name, took)
		}
		if n := ask[int](t, c, "SELECT count(*) FROM numbers"); n != 10 {
			t.Errorf("%s: then %d rows", name, n)
		}
		if s := p.stats(); s.PhysicalInUse != 0 || s.Opened != opened {
			t.Errorf("%s: %d in use, %d opened for it", name, s.PhysicalInUse, s.Opened-opened)
		}
	}
	f("before the first row", ps.Read(), func(ctx context.Context, c *Conn) error { return drain(c.Query(ctx, endless)) })
	f("exec", ps.Read(), func(ctx context.Context, c *Conn) error { _, err := c.Exec(ctx, endless); return err })
	f("between rows", ps.Read(), func(ctx context.Context, c *Conn) error { return drain(c.Query(ctx, endlessAfter)) })
	f("between rows in a transaction", ps.Read(), func(ctx context.Context, c *Conn) error {
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return drain(tx.Query(ctx, endlessAfter))
	})
	f("between rows of a prepared statement", ps.Read(), func(ctx context.Context, c *Conn) error {
		tx, err := c.Begin(t.Context())
		if err != nil {
			return err
		}
		defer tx.Rollback()
		stmt, err := tx.Prepare(ctx, endlessAfter)
		if err != nil {
			return err
		}
		return drain(stmt.Query(ctx))
	})
	f("transaction cancelled, not its statement", ps.Read(), func(ctx context.Context, c *Conn) error {
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), endless)
		return errors.Join(err, tx.Commit())
	})
	f("write in a transaction", ps.Write(), func(ctx context.Context, c *Conn) error {
		tx, err := c.Begin(t.Context())
		if err != nil {
			return err
		}
		defer tx.Rollback()
		_, err = tx.Exec(ctx, "INSERT INTO numbers "+strings.Replace(endless, "SELECT i FROM n WHERE i < 0", "SELECT i+100, 1 FROM n", 1))
		return err
	})
}

func drain(rows *Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// The end of a context stops the rows it belongs to, never a later statement on the same connection.
func TestInterruptMissesTheNextStatement(t *testing.T) {
	ps := openTest(t, nil)
	c := acquire(t, ps.Read())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const long = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i < 300000) SELECT count(*) FROM n"
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := tx.Query(ctx, "SELECT 1 UNION ALL SELECT 2")
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		// Below ours, as database/sql does: our own Rows would end the watch with the context they made.
		if err := rows.rows.Close(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5*time.Millisecond, cancel)
		if n := ask[int](t, tx, long); n != 300000 {
			t.Errorf("counted %d", n)
		}
		cancel()
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

func TestQueryTimeout(t *testing.T) {
	ps := openTest(t, func(c *Config) {
		c.Read, c.QueryTimeout, c.QueryTimeoutSetting = Bounds{Min: 1, Size: 1}, 30*time.Millisecond, "--statement-timeout"
	})
	c := acquire(t, ps.Read())
	check := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrQueryTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		} else if got, want := err.Error(), "statement ran longer than its bound of 30ms (--statement-timeout): context deadline exceeded"; got != want {
			t.Errorf("got %q", got)
		}
	}
	_, err := c.Query(t.Context(), endless)
	check(err)
	_, err = c.Exec(t.Context(), endless)
	check(err)

	// Rows that nobody reads or closes: the connection comes back, and they do not look complete.
	rows, err := c.Query(t.Context(), "SELECT 1 UNION ALL SELECT 2")
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	await(t, "the connection", func() bool { return ps.Stats()[0].PhysicalInUse == 0 })
	if rows.Next() {
		t.Error("rows went on")
	}
	check(rows.Err())

	tx, err := c.Begin(t.Context()) // the transaction as a whole has no such bound
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), endless)
	check(err)
	if got := ask[int](t, tx, "SELECT 7"); got != 7 {
		t.Errorf("got %d", got)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

// One caller forgets its rows; the others get their turn when the rows' context ends, or an error that says what they waited for.
func TestForgottenRowsDoNotBlockForEver(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read, c.Timeout = Bounds{Min: 1, Size: 2}, 50*time.Millisecond })
	taken, _, err := ps.read.links.borrow(t.Context(), 0) // leaves a single physical reader
	if err != nil {
		t.Fatal(err)
	}
	defer ps.read.links.giveBack(taken)
	forgetful, other := acquire(t, ps.Read()), acquire(t, ps.Read())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rows, err := forgetful.Query(ctx, "SELECT 1 UNION ALL SELECT 2"); err != nil || !rows.Next() {
		t.Fatal(err)
	}
	_, err = other.Query(t.Context(), "SELECT 1")
	if !errors.Is(err, ErrExhausted) || !strings.HasPrefix(err.Error(), "wait for one of 2 reader connections (DB_POOL_TIMEOUT) for ") {
		t.Errorf("got %v", err)
	}
	cancel()
	if got := ask[int](t, other, "SELECT 7"); got != 7 {
		t.Errorf("got %d", got)
	}
}

// Rows are cut at a random moment; what was read is either everything or an error.
func TestCutRowsNeverLookComplete(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read = Bounds{Min: 1, Size: 8} })
	const n = 300
	fillNumbers(t, ps, n)
	var wg sync.WaitGroup
	var mu sync.Mutex
	whole, cut := 0, 0
	for w := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 3))
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rnd.IntN(4000))*time.Microsecond)
				got, err := count(ctx, ps.Read(), "SELECT a, b FROM numbers")
				cancel()
				mu.Lock()
				switch {
				case err == nil && got == n:
					whole++
				case errors.Is(err, context.DeadlineExceeded):
					cut++
				default:
					t.Errorf("%d rows, %v", got, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if whole == 0 || cut == 0 {
		t.Errorf("%d whole, %d cut: both should happen", whole, cut)
	}
}

func count(ctx context.Context, p *Pool, query string) (n int, err error) {
	c, err := p.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	rows, err := c.Query(ctx, query)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}
