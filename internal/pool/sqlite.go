package pool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Set-up of the connections (measured for the embedded library: mapping the
// file doubles what readers can do; synchronous=FULL is what makes an
// acknowledged write durable, and costs nothing for batches).
var (
	readerSetUp = []string{
		"PRAGMA busy_timeout = 5000",
		"PRAGMA mmap_size = 2147418112",
		"PRAGMA cache_size = -8192",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA foreign_keys = ON",
		"PRAGMA query_only = ON",
	}
	writerSetUp = []string{
		"PRAGMA busy_timeout = 5000",
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = ON",
		"PRAGMA temp_store = MEMORY",
	}
)

// OpenSQLite opens the library file at cfg.Path, creating it when it does not
// exist, with a few readers and exactly one writer: more readers than about two
// per core gain nothing on SQLite, and a second writer only meets SQLITE_BUSY.
// The slots in front of them are as many as cfg says. All faults of cfg are
// reported together. The caller must Close the pools.
func OpenSQLite(ctx context.Context, cfg Config) (*Pools, error) {
	cfg, err := cfg.validate()
	if cfg.Path == "" {
		err = errors.Join(err, errors.New("library file is not named: set --data-dir"))
	}
	if err != nil {
		return nil, err
	}
	if err := checkPath(cfg.Path); err != nil {
		return nil, err
	}
	name := "read"
	if cfg.Single {
		name = "main"
	}
	physical := min(max(cfg.Read.Min, 2*runtime.GOMAXPROCS(0), 1), cfg.Read.Size)
	ps := &Pools{cfg: cfg}
	ps.ctx, ps.stop = context.WithCancel(context.WithoutCancel(ctx))
	writer, err := ps.openLinks("writer", "rwc", "immediate", writerSetUp, 1, 1, cfg)
	if err != nil {
		ps.stop()
		return nil, openError(cfg.Path, err)
	}
	readers, err := ps.openLinks("reader", "rw", "deferred", readerSetUp, physical, min(cfg.Read.Min, physical), cfg)
	if err != nil {
		ps.stop()
		return nil, openError(cfg.Path, errors.Join(err, writer.close()))
	}
	ps.linkSets = []*links{readers, writer}
	ps.read = &Pool{name: name, bounds: cfg.Read, gate: newGate(cfg.Read.Size, cfg.Read.Queue), links: readers, pools: ps}
	if cfg.Single {
		ps.write = &Pool{name: name, bounds: cfg.Read, gate: ps.read.gate, links: writer, pools: ps}
	} else {
		ps.write = &Pool{name: "write", bounds: cfg.Write, gate: newGate(cfg.Write.Size, cfg.Write.Queue), links: writer, pools: ps}
	}
	for _, l := range ps.linkSets {
		ps.keepers.Go(l.keep)
	}
	return ps, nil
}

// openLinks opens one kind of connections with its minimum warm.
func (ps *Pools) openLinks(name, mode, txlock string, setUp []string, size, warm int, cfg Config) (*links, error) {
	base, err := sqlite.NewConnector(dsn(cfg.Path, mode, txlock))
	if err != nil {
		return nil, err
	}
	callers := cfg.Read.Size
	if !cfg.Single {
		callers = max(cfg.Read.Size, cfg.Write.Size)
	}
	l := &links{
		name: name, size: size, min: max(warm, 1), recycle: cfg.Recycle, log: cfg.Logger, ctx: ps.ctx,
		db: sql.OpenDB(&connector{base: base, setUp: setUp}),
		// Each holder of a slot runs one statement at a time, so this queue is never full.
		gate: newGate(size, callers),
		wake: make(chan struct{}, 1),
	}
	l.db.SetMaxIdleConns(-1) // a connection that we give up is closed, not kept
	if err := l.warm(ps.ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// dsn is the address of the file in SQLite's URI form. Every byte of the path
// that means something in a URI is escaped, so that the file opened is the file named.
func dsn(path, mode, txlock string) string {
	var b strings.Builder
	b.WriteString("file:")
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%' || c == '?' || c == '#' || c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "?mode=" + mode + "&_txlock=" + txlock + "&_error_rc=1"
}

// checkPath refuses what SQLite would only report as "unable to open".
func checkPath(path string) error {
	if strings.ContainsRune(path, 0) {
		return fmt.Errorf("open library %q: the path contains a NUL byte: choose another --data-dir", path)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("open library %s: it is a directory, not a file: choose another --data-dir", path)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("open library %s: it is not a regular file: choose another --data-dir", path)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open library %s: %w: choose another --data-dir", path, errors.Unwrap(err))
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("open library %s: its directory %s does not exist: choose another --data-dir", path, dir)
	} else if !info.IsDir() {
		return fmt.Errorf("open library %s: %s is not a directory: choose another --data-dir", path, dir)
	}
	return nil
}

// openError says in one sentence what is wrong with the file.
func openError(path string, err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("open library %s: %w", path, err)
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("open library %s: the file is not a TomeHub library or is damaged: choose another --data-dir: %w", path, err)
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
		return fmt.Errorf("open library %s: the file or its directory cannot be written: choose another --data-dir: %w", path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("open library %s: another process keeps it locked: stop that or choose another --data-dir: %w", path, err)
	}
	return fmt.Errorf("open library %s: %w", path, err)
}
