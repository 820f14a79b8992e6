package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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

// Two processes have one library during a hand-over, and `tomehub ingest` beside a server: a lock that lasts is a conflict, not a failure.
func TestLockOfAnotherProcessIsAConflict(t *testing.T) {
	var path string
	ps := openTest(t, func(c *Config) { path = c.Path })
	c := acquire(t, ps.Write())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "CREATE TABLE ours(x)"); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "PRAGMA busy_timeout = 0; CREATE TABLE theirs(x)")
	if err == nil || !IsConflict(fmt.Errorf("store the book: %w", err)) {
		t.Errorf("a library that somebody else writes to: %v; want a conflict", err)
	}
	if IsConflict(errors.New("database is locked")) {
		t.Error("a conflict is told by its text")
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

func TestHoldKeepsTheSlotNotTheConnection(t *testing.T) {
	var mu sync.Mutex
	holds := 0
	ps := openTest(t, func(c *Config) {
		c.Read = Bounds{Min: 1, Size: 2}
		c.Hold = func(ctx context.Context, _ string, _ time.Time) { mu.Lock(); holds++; mu.Unlock(); <-ctx.Done() }
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
	k, _, err := l.borrow(t.Context(), 0)
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

// A statement that is made to take longer runs into the bound that one which does would.
func TestHoldIsPartOfTheStatement(t *testing.T) {
	var mu sync.Mutex
	var held []string
	ps := openTest(t, func(c *Config) {
		c.QueryTimeout = 20 * time.Millisecond
		c.Hold = func(ctx context.Context, statement string, _ time.Time) {
			mu.Lock()
			held = append(held, statement)
			mu.Unlock()
			<-ctx.Done()
		}
	})
	c := acquire(t, ps.Read())
	rows, err := c.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	if err := rows.Err(); !errors.Is(err, ErrQueryTimeout) {
		t.Errorf("rows: %v, want ErrQueryTimeout", err)
	}
	if _, err := c.Exec(t.Context(), "SELECT 2"); !errors.Is(err, ErrQueryTimeout) {
		t.Errorf("exec: %v, want ErrQueryTimeout", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"SELECT 1", "SELECT 2"}; !slices.Equal(held, want) {
		t.Errorf("held %q, want %q", held, want)
	}
}
