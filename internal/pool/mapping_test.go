package pool

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"modernc.org/libc"
)

// Readers map the library once and see every commit all the same: in the log, in the file, after the file has grown and after it
// was cut.
func TestReadersKeepTheirMapping(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("mappings are kept on Linux only")
	}
	ps := openTest(t, func(c *Config) { c.Read = Bounds{Min: 1, Size: 1} })
	fillNumbers(t, ps, 100_000)
	exec(t, ps, "PRAGMA wal_checkpoint(TRUNCATE)")
	sum := func() int {
		t.Helper()
		return seen[int](t, ps, "SELECT sum(a + b) FROM numbers")
	}
	want := sum()

	m := ps.read.links.source.mappings
	var unmapped atomic.Int64
	unmap := m.unmap
	if unmap == nil || len(m.sizeByMap) != 1 {
		t.Fatalf("the reader's file is not known: %v", m.sizeByMap)
	}
	m.unmap = func(tls *libc.TLS, file uintptr, offset int64, page uintptr) int32 {
		if page == 0 {
			unmapped.Add(1)
		}
		return unmap(tls, file, offset, page)
	}
	look := func(after string, unmaps int64) {
		t.Helper()
		if got := sum(); got != want {
			t.Errorf("after %s the sum is %d, want %d", after, got, want)
		}
		if n := unmapped.Swap(0); n != unmaps {
			t.Errorf("after %s unmapped %d times, want %d", after, n, unmaps)
		}
	}
	for range 3 {
		exec(t, ps, "UPDATE numbers SET b = b + 1 WHERE a % 10000 = 0")
		want += 10
		look("a commit", 0)
		exec(t, ps, "PRAGMA wal_checkpoint(TRUNCATE)")
		look("a checkpoint", 0)
	}
	add := func(n int) {
		t.Helper()
		exec(t, ps, "INSERT INTO numbers SELECT max(m.a, 0) + n.a, 0 FROM numbers AS n, (SELECT max(a) AS a FROM numbers) AS m WHERE n.a <= ?", n)
		exec(t, ps, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	add(5_000)
	want += 5_000*100_000 + 5_000*5_001/2
	look("growing by a twentieth", 0)
	add(100_000)
	want += 100_000*105_000 + 100_000*100_001/2
	look("doubling", 1)

	exec(t, ps, "DELETE FROM numbers WHERE a > 1000")
	exec(t, ps, "VACUUM")
	exec(t, ps, "PRAGMA wal_checkpoint(TRUNCATE)")
	if info, err := os.Stat(ps.cfg.Path); err != nil || info.Size() > 100_000 {
		t.Fatalf("the file was not cut: %v, %v", info, err)
	}
	want = seen[int](t, ps, "SELECT sum(a + b) FROM numbers")
	exec(t, ps, "INSERT INTO numbers WITH RECURSIVE n(i) AS (VALUES(1001) UNION ALL SELECT i+1 FROM n WHERE i < 300000) SELECT i, 1 FROM n")
	exec(t, ps, "PRAGMA wal_checkpoint(TRUNCATE)")
	want += 299_000 + (300_000*300_001-1_000*1_001)/2
	if got := sum(); got != want {
		t.Errorf("after it was cut and has grown the sum is %d, want %d", got, want)
	}
}

// What is known of a file goes with its connection.
func TestMappingsForgetClosedConnections(t *testing.T) {
	ps := openTest(t, nil)
	exec(t, ps, "CREATE TABLE t(a)")
	seen[int](t, ps, "SELECT count(*) FROM t")
	m := ps.read.links.source.mappings
	if runtime.GOOS == "linux" && len(m.sizeByMap) == 0 {
		t.Error("no file is known")
	}
	if err := ps.Close(); err != nil {
		t.Fatal(err)
	}
	if len(m.sizeByMap) != 0 {
		t.Errorf("left behind: %v", m.sizeByMap)
	}
}
