package pool

import (
	"path/filepath"
	"testing"
	"time"
)

func testConfig(t testing.TB) Config {
	return Config{
		Path:    filepath.Join(t.TempDir(), "library.db"),
		Read:    Bounds{Min: 5, Size: 50, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   Bounds{Min: 2, Size: 10, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 30 * time.Second,
	}
}

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
	})
	return ps
}

func TestWriteThenRead(t *testing.T) {
	ps := openTest(t, nil)
	w, err := ps.Write().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Release()
	tx, err := w.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "CREATE TABLE t(a)"); err != nil {
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
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := ps.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	rows, err := r.Query(t.Context(), "SELECT a FROM t ORDER BY a")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var a int
		if err := rows.Scan(&a); err != nil || a != n {
			t.Fatalf("row %d is %d, %v", n, a, err)
		}
		n++
	}
	if rows.Err() != nil || n != 10 {
		t.Fatalf("%d rows, %v", n, rows.Err())
	}
}
