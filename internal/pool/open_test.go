package pool

import (
	"database/sql"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"modernc.org/sqlite"
)

func TestFaultsOfConfig(t *testing.T) {
	f := func(cfg Config, want ...string) {
		t.Helper()
		_, err := OpenSQLite(t.Context(), cfg)
		if err == nil {
			t.Errorf("no fault in %+v", cfg)
			return
		}
		if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
			t.Error(diff)
		}
	}
	ok := testConfig(t)
	f(Config{}, // all at once
		"read size is 0: it must be at least 1",
		"write size is 0: it must be at least 1",
		"DB_POOL_TIMEOUT is 0s: it must be more than 0",
		"the library file has no name: set --data-dir")
	cfg := ok
	cfg.Read.Min, cfg.Write.Queue, cfg.Recycle, cfg.QueryTimeout = 51, -1, -time.Second, -1
	f(cfg,
		"warm minimum of the read pool is 51: it must be 0 to 50 (DB_POOL_READ_SIZE)",
		"queue of the write pool is -1: it must not be negative",
		"DB_POOL_RECYCLE is -1s: it must not be negative",
		"query timeout is -1ns: it must not be negative")
	cfg = ok
	cfg.Single, cfg.Read, cfg.Write = true, Bounds{Size: -1, SizeSetting: "DB_POOL_SIZE"}, Bounds{} // Write is ignored
	f(cfg, "DB_POOL_SIZE is -1: it must be at least 1")
}

// Two processes may meet on a library that does not exist yet; one finds it locked for a moment.
func TestSetUpWaitsForALock(t *testing.T) {
	address := dsn(filepath.Join(t.TempDir(), "new.db"), "rwc", "immediate")
	other, err := sql.Open("sqlite", address)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec("CREATE TABLE t(a)"); err != nil {
		t.Fatal(err)
	}
	base, err := sqlite.NewConnector(address)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	c := &connector{base: base, setUp: []setting{{statement: "PRAGMA journal_mode = WAL", want: "wal", again: func(err error) bool {
		if refused++; refused == 3 {
			if err := lock.Commit(); err != nil {
				t.Error(err)
			}
		}
		return isBusy(err)
	}}}}
	cn, err := c.Connect(t.Context())
	if err != nil || refused != 3 {
		t.Fatalf("after %d refusals: %v", refused, err)
	}
	if err := cn.Close(); err != nil {
		t.Error(err)
	}
}

func TestPathsWithSpecialCharacters(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"plain.db", "two words.db", "what?.db", "what?mode=memory", "50%.db", "%41.db", "a#b.db", "a&b=c;d.db", "düşünce 本.db", "'quoted\".db",
		"back\\slash.db", "new\nline.db", "file:x.db", ":memory:", "\xff\xfe.db", "-wal", "a+b.db", "~.db",
	} {
		path := filepath.Join(dir, name)
		ps := openTest(t, func(c *Config) { c.Path = path })
		exec(t, ps, "CREATE TABLE who(name); INSERT INTO who VALUES(?)", []byte(name))
		if got := ask[string](t, acquire(t, ps.Read()), "SELECT name FROM who"); got != name {
			t.Errorf("%q: the readers opened that of %q", name, got)
		}
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: %v", name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if base := strings.TrimSuffix(strings.TrimSuffix(e.Name(), "-wal"), "-shm"); strings.Contains(base, "A.db") || base == "what" {
			t.Errorf("stray file %q", e.Name())
		}
	}
}

func TestRelativePathSurvivesChdir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	ps := openTest(t, func(c *Config) { c.Path = "library.db" })
	fillNumbers(t, ps, 10)
	t.Chdir(t.TempDir())
	k, err := ps.read.links.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer k.conn.Close()
	var n int
	if err := k.conn.QueryRowContext(t.Context(), "SELECT count(*) FROM numbers").Scan(&n); err != nil || n != 10 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestOpenFaults(t *testing.T) {
	dir := t.TempDir()
	notDB := filepath.Join(dir, "poem.txt")
	if err := os.WriteFile(notDB, []byte(strings.Repeat("A rose is a rose is a rose. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(dir, "short.txt")
	if err := os.WriteFile(short, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbled := filepath.Join(dir, "garbled.db")
	if err := os.WriteFile(garbled, []byte("SQLite format 3\x00"+strings.Repeat("garbled ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(path, want string) {
		t.Helper()
		defer func() {
			if n := filesOpen(path); n != 0 && strings.HasPrefix(path, dir) {
				t.Errorf("%s: %d files left open", path, n)
			}
		}()
		ps, err := OpenSQLite(t.Context(), Config{Path: path, Read: Bounds{Size: 1}, Write: Bounds{Size: 1}, Timeout: time.Second})
		if err == nil {
			t.Errorf("%s opened: %v", path, ps.Close())
			return
		}
		if !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "--data-dir") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got  %s\nwant %s…", err, want)
		}
	}
	f(dir, "open library "+dir+": it is a directory, not a file: choose another --data-dir")
	f(filepath.Join(dir, "none", "x.db"), "open library "+dir+"/none/x.db: its directory "+dir+"/none does not exist: choose another --data-dir")
	f(filepath.Join(notDB, "x.db"), "open library "+notDB+"/x.db: not a directory: choose another --data-dir")
	f(notDB, "open library "+notDB+": the file is not a library: choose another --data-dir")
	f(short, "open library "+short+": the file is not a library: choose another --data-dir")
	f(garbled, "open library "+garbled+": the file is not a library: choose another --data-dir")
	f(filepath.Join(dir, "nul\x00.db"), "open library \""+dir+`/nul\x00.db": the path contains a NUL byte: choose another --data-dir`)
	if runtime.GOOS == "linux" {
		f("/dev/null", "open library /dev/null: it is not a regular file")
		f("/proc/library.db", "open library /proc/library.db: the file or its directory cannot be written: choose another --data-dir") // also for root, whom permissions do not stop
	}
	if os.Getuid() == 0 {
		t.Log("NOT CHECKED, needs a user other than root: a directory and a file without write permission")
		return
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	f(filepath.Join(locked, "x.db"), "open library "+locked+"/x.db: the file or its directory cannot be written")
}
