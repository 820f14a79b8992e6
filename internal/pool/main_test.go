package pool

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(t testing.TB) Config {
	return Config{
		Path:    filepath.Join(t.TempDir(), "library.db"),
		Read:    Bounds{Min: 5, Size: 50, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   Bounds{Min: 2, Size: 10, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 30 * time.Second,
	}
}

// openTest opens a new library and closes it with the test, when every slot and connection must be back.
func openTest(t testing.TB, change func(*Config)) *Pools {
	t.Helper()
	cfg := testConfig(t)
	if change != nil {
		change(&cfg)
	}
	ps, err := OpenSQLite(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
		for _, s := range ps.Stats() {
			if s.InUse != 0 || s.Waiting != 0 || s.PhysicalInUse != 0 || s.PhysicalWaiting != 0 || s.PhysicalOpen != 0 {
				t.Errorf("left behind: %+v", s)
			}
		}
	})
	return ps
}

func acquire(t testing.TB, p *Pool) *Conn {
	t.Helper()
	c, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}

func exec(t testing.TB, ps *Pools, query string, args ...any) {
	t.Helper()
	c, err := ps.Write().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if _, err := c.Exec(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// ask returns the first column of the only row of a query.
func ask[T any](t testing.TB, on interface {
	Query(context.Context, string, ...any) (*Rows, error)
}, query string, args ...any) (v T) {
	t.Helper()
	rows, err := on.Query(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || n != 1 {
		t.Fatalf("%d rows, %v", n, err)
	}
	return v
}

// filesOpen counts this process's open files whose path begins with path; 0 where the system does not tell.
func filesOpen(path string) (n int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, path) {
			n++
		}
	}
	return n
}

// await polls until a state is reached that another goroutine brings about in its own time.
func await(t testing.TB, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func fillNumbers(tb testing.TB, ps *Pools, n int) {
	tb.Helper()
	exec(tb, ps, `CREATE TABLE numbers(a INTEGER PRIMARY KEY, b);
		INSERT INTO numbers WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i < ?)
		SELECT i, i*7%13 FROM n`, n)
}
