package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// endless never finds a row; every row of it would need the one before.
const endless = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i < 0"

// endlessAfter gives one row and then never another.
const endlessAfter = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i = 1"

func TestEveryConnectionIsSetUp(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read = Bounds{Min: 12, Size: 12} })
	check := func(p *Pool, n int, want map[string]string) {
		t.Helper()
		seen := map[*link]bool{}
		for i := range n { // all held at once, so that each is another one
			c := acquire(t, p)
			tx, err := c.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if seen[tx.use.link] {
				t.Fatalf("connection %d was held already", i)
			}
			seen[tx.use.link] = true
			got := map[string]string{}
			for pragma := range want {
				got[pragma] = ask[string](t, tx, "PRAGMA "+pragma)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("connection %d: %s", i, diff)
			}
		}
	}
	check(ps.Read(), 12, map[string]string{
		"query_only": "1", "mmap_size": "2147418112", "cache_size": "-8192", "temp_store": "2", "busy_timeout": "5000", "journal_mode": "wal", "foreign_keys": "1",
	})
	check(ps.Write(), 1, map[string]string{
		"query_only": "0", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1", "temp_store": "2", "journal_size_limit": "67108864",
	})
	if s := ps.Stats(); s[0].PhysicalOpen != 12 || s[1].PhysicalOpen != 1 || s[1].Physical != 1 {
		t.Errorf("%+v", s)
	}
}

// As a library on a read-only disk: that is found out at the start, not by the first ingest.
func TestUnwritableLibrary(t *testing.T) {
	ps := openTest(t, nil)
	l, err := ps.openLinks(t.Context(), sqliteLinks{name: "writer", mode: "ro", txlock: "immediate", setUp: writerSetUp, size: 1, min: 1, callers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	err = openError("/data/library.db", checkWritable(t.Context(), l))
	if got, want := err.Error(), "open library /data/library.db: it could be opened for reading only: make it writable or choose another --data-dir"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	ps := openTest(t, nil)
	fillNumbers(t, ps, 10)
	c := acquire(t, ps.Read())
	for _, statement := range []string{"DELETE FROM numbers", "CREATE TABLE x(y)", "INSERT INTO numbers VALUES(11, 1)"} {
		if _, err := c.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "readonly") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if n := ask[int](t, c, "SELECT count(*) FROM numbers"); n != 10 {
		t.Errorf("%d rows", n)
	}
}

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
	drain := func(rows *Rows, err error) error {
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
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
	ps := openTest(t, func(c *Config) { c.Read, c.QueryTimeout = Bounds{Min: 1, Size: 1}, 30*time.Millisecond })
	c := acquire(t, ps.Read())
	check := func(err error) {
		t.Helper()
		if !errors.Is(err, ErrQueryTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		} else if got, want := err.Error(), "statement ran longer than its bound of 30ms: context deadline exceeded"; got != want {
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
	l := ps.read.links
	l.gate.size = 1 // a single physical reader
	forgetful, other := acquire(t, ps.Read()), acquire(t, ps.Read())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if rows, err := forgetful.Query(ctx, "SELECT 1 UNION ALL SELECT 2"); err != nil || !rows.Next() {
		t.Fatal(err)
	}
	_, err := other.Query(t.Context(), "SELECT 1")
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

func TestHoldKeepsTheSlotNotTheConnection(t *testing.T) {
	var mu sync.Mutex
	holds := 0
	ps := openTest(t, func(c *Config) {
		c.Read = Bounds{Min: 1, Size: 2}
		c.Hold = func() time.Duration { mu.Lock(); defer mu.Unlock(); holds++; return time.Hour }
	})
	held := func() int { mu.Lock(); defer mu.Unlock(); return holds }
	f := func(name string, p *Pool, run func(context.Context, *Conn) error) {
		t.Helper()
		c := acquire(t, p)
		before := held()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- run(ctx, c) }()
		await(t, name, func() bool { return held() == before+1 })
		await(t, name, func() bool { s := p.stats(); return s.InUse == 1 && s.PhysicalInUse == 0 })
		select {
		case err := <-done:
			t.Errorf("%s: not held, %v", name, err)
		default:
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: the statement had succeeded: %v", name, err)
		}
		c.Release()
	}
	f("exec", ps.Read(), func(ctx context.Context, c *Conn) error { _, err := c.Exec(ctx, "SELECT 1"); return err })
	f("rows", ps.Read(), func(ctx context.Context, c *Conn) error {
		rows, err := c.Query(ctx, "SELECT 1 UNION ALL SELECT 2")
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	f("transaction", ps.Write(), func(ctx context.Context, c *Conn) error {
		tx, err := c.Begin(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE TABLE t(a)"); err != nil {
			return err
		}
		return tx.Commit()
	})

	// Closing cuts a hold short too.
	c := acquire(t, ps.Read())
	before := held()
	done := make(chan error)
	go func() { _, err := c.Exec(t.Context(), "SELECT 1"); done <- err }()
	await(t, "the hold", func() bool { return held() == before+1 })
	if err := ps.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	c.Release()
}

func TestKeptStatements(t *testing.T) {
	ps := openTest(t, func(c *Config) { c.Read = Bounds{Min: 1, Size: 1} })
	fillNumbers(t, ps, 3)
	c := acquire(t, ps.Read())
	columns := func() int {
		rows, err := c.Query(t.Context(), "SELECT * FROM numbers")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before := columns()
	exec(t, ps, "ALTER TABLE numbers ADD COLUMN c")
	if after := columns(); before != 2 || after != 3 {
		t.Errorf("%d columns, then %d: a kept statement must see a new schema", before, after)
	}
	l := ps.read.links
	k, err := l.borrow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	kept := &k.raw.kept
	l.giveBack(k)
	for i := range 3 * keptStatements {
		if got := ask[int](t, c, fmt.Sprintf("SELECT %d", i)); got != i {
			t.Fatalf("got %d", got)
		}
		if got := ask[int](t, c, "SELECT 1000000 + ?", i); got != 1000000+i { // used all the time: never evicted
			t.Fatalf("got %d", got)
		}
	}
	if n := kept.order.Len(); n != keptStatements || len(kept.byText) != n {
		t.Errorf("%d statements kept, %d by text, want %d", n, len(kept.byText), keptStatements)
	}
	if kept.byText["SELECT 1000000 + ?"] == nil || kept.byText["SELECT 0"] != nil {
		t.Error("the least recently used must go first")
	}
	if _, err := c.Exec(t.Context(), "SELECT 1 "+strings.Repeat(" ", keptStatementBytes)); err != nil {
		t.Error(err)
	}
	if n := kept.order.Len(); n != keptStatements {
		t.Errorf("a long text was kept: %d", n)
	}
	if _, err := c.Query(t.Context(), "SELECT ? + ?", 1); err == nil {
		t.Error("too few arguments passed")
	}
	if got := ask[int](t, c, "SELECT ? + ?", 1, 2); got != 3 {
		t.Errorf("got %d after a fault of the same text", got)
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
