package pool

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"
)

// Begin on the write pool takes the lock at once: a transaction that reads
// before it writes can then never meet SQLITE_BUSY in its middle.
func TestBeginTakesTheWriteLock(t *testing.T) {
	ps := openTest(t, nil)
	other := openTest(t, func(c *Config) { c.Path = ps.cfg.Path }) // as another process would
	tx, err := acquire(t, ps.Write()).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	c := acquire(t, other.Write())
	if _, err := c.Begin(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second writer: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	tx, err = c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}

func TestTransaction(t *testing.T) {
	ps := openTest(t, nil)
	exec(t, ps, "CREATE TABLE t(a)")
	c, r := acquire(t, ps.Write()), acquire(t, ps.Read())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := tx.Prepare(t.Context(), "INSERT INTO t VALUES(?)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := stmt.Exec(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Exec(t.Context(), "DELETE FROM t"); !errors.Is(err, ErrBusy) {
		t.Errorf("statement beside the transaction: %v", err)
	}
	if n := ask[int](t, tx, "SELECT count(*) FROM t"); n != 10 {
		t.Errorf("the transaction sees %d rows", n)
	}
	if n := ask[int](t, r, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("others see %d uncommitted rows", n)
	}
	if err := stmt.Close(); err != nil {
		t.Error(err)
	}
	// Rows of the same text twice at a time, one left open at the commit.
	a, err1 := tx.Query(t.Context(), "SELECT a FROM t ORDER BY a")
	b, err2 := tx.Query(t.Context(), "SELECT a FROM t ORDER BY a")
	if err := errors.Join(err1, err2); err != nil || !a.Next() || !a.Next() || !b.Next() {
		t.Fatal(err)
	}
	var va, vb int
	if err := errors.Join(a.Scan(&va), b.Scan(&vb), b.Close()); err != nil || va != 1 || vb != 0 {
		t.Errorf("%d and %d, %v", va, vb, err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if a.Next() || !errors.Is(a.Err(), sql.ErrTxDone) {
		t.Errorf("rows after the commit: %v", a.Err())
	}
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("rollback after commit: %v", err)
	}
	if _, err := tx.Exec(t.Context(), "DELETE FROM t"); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("statement after commit: %v", err)
	}
	if n := ask[int](t, r, "SELECT count(*) FROM t"); n != 10 {
		t.Errorf("%d rows after the commit", n)
	}
}

func TestTransactionEndsWithItsContext(t *testing.T) {
	ps := openTest(t, nil)
	exec(t, ps, "CREATE TABLE t(a)")
	gone := errors.New("client went away")
	for range 50 {
		c := acquire(t, ps.Write())
		ctx, leave := context.WithCancelCause(t.Context())
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO t VALUES(1)"); err != nil {
			t.Fatal(err)
		}
		leave(gone)
		// At once the next one: it must never find the old transaction still open.
		next := acquire(t, ps.Write())
		tx2, err := next.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := ask[int](t, tx2, "SELECT count(*) FROM t"); n != 0 {
			t.Fatalf("%d rows of a transaction that was cancelled", n)
		}
		if err := tx2.Commit(); err != nil {
			t.Fatal(err)
		}
		_, execErr := tx.Exec(t.Context(), "INSERT INTO t VALUES(2)")
		for _, err := range []error{execErr, tx.Commit()} {
			if !errors.Is(err, gone) {
				t.Fatalf("after the context ended: %v", err)
			}
		}
		c.Release()
		next.Release()
	}
	if s := ps.Stats()[1]; s.Opened != 1 {
		t.Errorf("%d writers opened, want the first one to serve all", s.Opened)
	}
}

func TestBeginMeetsTheEndOfItsContext(t *testing.T) {
	ps := openTest(t, nil)
	exec(t, ps, "CREATE TABLE t(a)")
	c := acquire(t, ps.Write())
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*200*time.Nanosecond)
		tx, err := c.Begin(ctx)
		if err == nil {
			_, err = tx.Exec(ctx, "INSERT INTO t VALUES(1)")
			err = errors.Join(err, tx.Rollback())
		}
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, sql.ErrTxDone) {
			t.Fatalf("round %d: %v", i, err)
		}
		await(t, "the end of the transaction", func() bool { return ps.Stats()[1].PhysicalInUse == 0 })
		tx, err = c.Begin(t.Context())
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}
