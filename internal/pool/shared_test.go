package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// roomy lets all join who come.
var roomy = Share{Weight: 1, Most: 1000, Within: time.Hour}

// joiner is one caller with a part of a shared transaction.
type joiner struct {
	conn *Conn
	tx   *Tx
	done chan error // what its Commit, or its wait, gave
}

// join begins a part with a row of it.
func join(t *testing.T, ps *Pools, ctx context.Context, share Share, row int) *joiner {
	t.Helper()
	j := &joiner{conn: acquire(t, ps.Write()), done: make(chan error, 1)}
	if err := j.begin(ctx, share, row); err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *joiner) begin(ctx context.Context, share Share, row int) (err error) {
	if j.tx, err = j.conn.Join(ctx, share); err == nil {
		_, err = j.tx.Exec(ctx, "INSERT INTO t VALUES(?)", row)
	}
	return err
}

// waiting begins a part as soon as the connection is handed over. It returns when it waits for that; joined tells when it has.
func waiting(t *testing.T, ps *Pools, ctx context.Context, share Share, row int) (j *joiner, joined chan error) {
	t.Helper()
	j, joined = &joiner{conn: acquire(t, ps.Write()), done: make(chan error, 1)}, make(chan error, 1)
	before := ps.Stats()[1].PhysicalWaiting
	go func() { joined <- j.begin(ctx, share, row) }()
	await(t, "waiting for the connection", func() bool { return ps.Stats()[1].PhysicalWaiting == before+1 })
	return j, joined
}

func (j *joiner) commit() { go func() { j.done <- j.tx.Commit() }() }

// rowsOf returns what others see.
func rowsOf(t *testing.T, ps *Pools) string {
	t.Helper()
	return seen[string](t, ps, "SELECT coalesce(group_concat(a, ' '), '') FROM (SELECT a FROM t ORDER BY a)")
}

// seen is ask on a read connection.
func seen[T any](t *testing.T, ps *Pools, query string, args ...any) T {
	t.Helper()
	c := acquire(t, ps.Read())
	defer c.Release()
	return ask[T](t, c, query, args...)
}

func openShared(t *testing.T) *Pools {
	t.Helper()
	ps := openTest(t, nil)
	exec(t, ps, "CREATE TABLE t(a PRIMARY KEY)")
	return ps
}

func TestSharedTransactionIsCommittedOnce(t *testing.T) {
	ps := openShared(t)
	first := join(t, ps, t.Context(), roomy, 1)
	second, joined := waiting(t, ps, t.Context(), roomy, 2)
	first.commit()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, second.tx, "SELECT count(*) FROM t"); n != 2 {
		t.Errorf("the second sees %d rows, want the first's too", n)
	}
	select {
	case err := <-first.done:
		t.Fatalf("committed while the second is under way: %v", err)
	default:
	}
	if got := rowsOf(t, ps); got != "" {
		t.Errorf("others see %s before the commit", got)
	}
	second.commit()
	if err := errors.Join(<-second.done, <-first.done); err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(t, ps); got != "1 2" {
		t.Errorf("stored %q", got)
	}
	if _, err := first.tx.Exec(t.Context(), "DELETE FROM t"); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("statement after the commit: %v", err)
	}
}

// However one part ends, the others are what they were.
func TestSharedTransactionUndoesOnePart(t *testing.T) {
	gone := errors.New("client went away")
	f := func(name string, end func(j *joiner, leave context.CancelCauseFunc) error, want error) {
		t.Helper()
		ps := openShared(t)
		ctx, leave := context.WithCancelCause(t.Context())
		defer leave(nil)
		first := join(t, ps, t.Context(), roomy, 1)
		second, joined := waiting(t, ps, ctx, roomy, 2)
		first.commit()
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		third, joined := waiting(t, ps, t.Context(), roomy, 3)
		if err := end(second, leave); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		third.commit()
		if err := errors.Join(<-third.done, <-first.done); err != nil {
			t.Errorf("%s: the others: %v", name, err)
		}
		if got := rowsOf(t, ps); got != "1 3" {
			t.Errorf("%s: stored %q", name, got)
		}
	}
	f("rolled back", func(j *joiner, _ context.CancelCauseFunc) error { return j.tx.Rollback() }, nil)
	f("left before the commit", func(j *joiner, leave context.CancelCauseFunc) error { leave(gone); return j.tx.Commit() }, gone)
	f("left before a statement", func(j *joiner, leave context.CancelCauseFunc) error {
		leave(gone)
		_, err := j.tx.Exec(t.Context(), "INSERT INTO t VALUES(9)")
		return errors.Join(err, j.tx.Rollback())
	}, gone)
	f("its connection released", func(j *joiner, _ context.CancelCauseFunc) error {
		j.conn.Release()
		_, err := j.tx.Exec(t.Context(), "INSERT INTO t VALUES(9)")
		return err
	}, sql.ErrTxDone)
	f("a statement that is wrong", func(j *joiner, _ context.CancelCauseFunc) error {
		if _, err := j.tx.Exec(t.Context(), "INSERT INTO t VALUES(1)"); err == nil {
			return errors.New("stored twice")
		}
		return j.tx.Rollback()
	}, nil)
}

// A bound of the transaction, or another use of the connection, ends it; nobody waits who is alone.
func TestSharedTransactionEnds(t *testing.T) {
	f := func(name string, share Share, use func(ps *Pools, c *Conn) error) {
		t.Helper()
		ps := openShared(t)
		first := join(t, ps, t.Context(), share, 1)
		c := acquire(t, ps.Write())
		used := make(chan error, 1)
		go func() { used <- use(ps, c) }()
		await(t, "waiting for the connection", func() bool { return ps.Stats()[1].PhysicalWaiting == 1 })
		first.commit()
		if err := errors.Join(<-used, <-first.done); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := rowsOf(t, ps); got != "1" {
			t.Errorf("%s: stored %q", name, got)
		}
	}
	// What is used undoes itself: what stays has been committed before.
	joined := func(next Share) func(*Pools, *Conn) error {
		return func(ps *Pools, c *Conn) error {
			j := &joiner{conn: c}
			err := j.begin(t.Context(), next, 2)
			if got := rowsOf(t, ps); err == nil && got != "1" {
				err = fmt.Errorf("%q is stored as the next begins", got)
			}
			return errors.Join(err, j.tx.Rollback())
		}
	}
	f("too heavy", roomy, joined(Share{Weight: 1000, Most: 1000, Within: time.Hour}))
	f("full", Share{Weight: 1, Most: 1, Within: time.Hour}, joined(roomy))
	f("late", Share{Weight: 1, Most: 1000}, joined(roomy))
	f("transaction of its own", roomy, func(_ *Pools, c *Conn) error {
		tx, err := c.Begin(t.Context())
		if err != nil {
			return err
		}
		_, err = tx.Exec(t.Context(), "DELETE FROM t")
		return errors.Join(err, tx.Rollback())
	})
	f("statement", roomy, func(ps *Pools, c *Conn) error {
		_, err := c.Exec(t.Context(), "UPDATE t SET a = a WHERE 0")
		return err
	})

	ps := openShared(t)
	alone := join(t, ps, t.Context(), roomy, 1)
	if err := alone.tx.Commit(); err != nil || rowsOf(t, ps) != "1" {
		t.Errorf("alone: %v, stored %q", err, rowsOf(t, ps))
	}
}

// What is left to the end happens once, in its order, and undoes all when it fails.
func TestSharedTransactionAtEnd(t *testing.T) {
	broken := errors.New("no room left")
	f := func(name string, fault error, want string) {
		t.Helper()
		ps := openShared(t)
		var order []int64
		at := func(j *joiner, place int64, err error) {
			insert := func(ctx context.Context, tx *Tx) error {
				order = append(order, place)
				if _, err := tx.Exec(ctx, "INSERT INTO t VALUES(?)", place); err != nil {
					return err
				}
				return err
			}
			if err := j.tx.AtEnd(place, insert); err != nil {
				t.Fatal(err)
			}
		}
		first := join(t, ps, t.Context(), roomy, 1)
		at(first, 20, fault)
		ctx, leave := context.WithCancel(t.Context())
		second, joined := waiting(t, ps, ctx, roomy, 2)
		first.commit()
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		at(second, 10, nil)
		third, joined := waiting(t, ps, t.Context(), roomy, 3)
		second.commit()
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		leave() // too late: its part is kept
		at(third, 30, nil)
		if err := third.tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{<-first.done, <-second.done} {
			if !errors.Is(err, fault) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := rowsOf(t, ps); got != want {
			t.Errorf("%s: stored %q, want %q", name, got, want)
		}
		if diff := cmp.Diff([]int64{10, 20}, order); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		again := join(t, ps, t.Context(), roomy, 5)
		if err := again.tx.Commit(); err != nil {
			t.Errorf("%s: the next: %v", name, err)
		}
	}
	f("sound", nil, "1 2 10 20")
	f("broken", broken, "")

	// Who is alone may leave until the very end.
	ps := openShared(t)
	ctx, leave := context.WithCancel(t.Context())
	alone := join(t, ps, ctx, roomy, 1)
	err := alone.tx.AtEnd(0, func(ctx context.Context, tx *Tx) error { leave(); return ctx.Err() })
	if err := errors.Join(err, alone.tx.Commit()); !errors.Is(err, context.Canceled) || rowsOf(t, ps) != "" {
		t.Errorf("left at the end: %v, stored %q", err, rowsOf(t, ps))
	}
}

// A full disk makes SQLite undo a transaction as a whole: all are told, and the next one has its own fate.
func TestSharedTransactionThatSQLiteUndoes(t *testing.T) {
	ps := openShared(t)
	exec(t, ps, "CREATE TABLE big(b)")
	exec(t, ps, "PRAGMA max_page_count = 8")
	first := join(t, ps, t.Context(), roomy, 1)
	second, joined := waiting(t, ps, t.Context(), roomy, 2)
	first.commit()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	_, err := second.tx.Exec(t.Context(), "INSERT INTO big VALUES(zeroblob(100000))")
	full := fmt.Sprint(err)
	if err == nil {
		t.Fatal("100 kB fit into 8 pages")
	}
	second.commit()
	for _, err := range []error{<-first.done, <-second.done} {
		if err == nil {
			t.Errorf("acknowledged after %s", full)
		}
	}
	if got := rowsOf(t, ps); got != "" {
		t.Errorf("stored %q", got)
	}
	exec(t, ps, "PRAGMA max_page_count = 1000")
	next := join(t, ps, t.Context(), roomy, 3)
	if err := next.tx.Commit(); err != nil || rowsOf(t, ps) != "3" {
		t.Errorf("the next: %v, stored %q", err, rowsOf(t, ps))
	}
}

// A commit that fails is everybody's.
func TestSharedCommitFails(t *testing.T) {
	ps := openShared(t)
	exec(t, ps, "CREATE TABLE child(a REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)")
	first := join(t, ps, t.Context(), roomy, 1)
	second, joined := waiting(t, ps, t.Context(), roomy, 2)
	first.commit()
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	if _, err := second.tx.Exec(t.Context(), "INSERT INTO child VALUES(77)"); err != nil {
		t.Fatal(err)
	}
	second.commit()
	for _, err := range []error{<-first.done, <-second.done} {
		if err == nil {
			t.Error("acknowledged, and the commit failed")
		}
	}
	next := join(t, ps, t.Context(), roomy, 3)
	if err := next.tx.Commit(); err != nil || rowsOf(t, ps) != "3" {
		t.Errorf("the next: %v, stored %q", err, rowsOf(t, ps))
	}
}
