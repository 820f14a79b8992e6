package pool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/libc"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tomehub/tomehub/internal/gate"
)

// Set-up of the connections (measured for the embedded library: mapping the
// file doubles what readers can do; synchronous=FULL is what makes an
// acknowledged write durable, and costs nothing for batches).
var (
	readerSetUp = []setting{
		{statement: "PRAGMA busy_timeout = 5000", want: "5000"},
		{statement: "PRAGMA mmap_size = 2147418112"},
		{statement: "PRAGMA cache_size = -8192"},
		{statement: "PRAGMA temp_store = MEMORY"},
		{statement: "PRAGMA foreign_keys = ON"},
		{statement: "PRAGMA query_only = ON"},
	}
	writerSetUp = []setting{
		{statement: "PRAGMA busy_timeout = 5000", want: "5000"},
		// SQLite does not wait its busy_timeout when two processes make the same new file
		// a WAL one at the same time: one of them is told at once that it is busy.
		{statement: "PRAGMA journal_mode = WAL", want: "wal", again: isBusy},
		// After a long reader has let the log grow, it shrinks to this again.
		{statement: "PRAGMA journal_size_limit = 67108864", want: "67108864"},
		{statement: "PRAGMA synchronous = FULL"},
		{statement: "PRAGMA foreign_keys = ON"},
		{statement: "PRAGMA temp_store = MEMORY"},
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
		err = errors.Join(err, errors.New("the library file has no name: set --data-dir"))
	}
	if err != nil {
		return nil, err
	}
	// Later connections must find the same file, wherever the process has moved to by then.
	if cfg.Path, err = filepath.Abs(cfg.Path); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	if err := checkPath(cfg.Path); err != nil {
		return nil, err
	}
	ps := &Pools{cfg: cfg, statement: newStatementBound(cfg)}
	ps.ctx, ps.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := ps.open(ctx); err != nil {
		ps.stop()
		return nil, openError(cfg.Path, err)
	}
	for _, l := range ps.linkSets {
		ps.keepers.Go(l.keep)
	}
	return ps, nil
}

// leastReaders is how many readers may be opened on the smallest machine: two statements by which a circuit breaker probes a
// database that hangs must not keep those waiting that it refuses.
const leastReaders = 3

// open opens the connections, the writer first because it creates the file, and puts the gates in front.
func (ps *Pools) open(ctx context.Context) error {
	cfg := ps.cfg
	writers := cfg.Write.Size
	if cfg.Single {
		writers = cfg.Read.Size
	}
	writer, err := ps.openLinks(ctx, sqliteLinks{
		name: "writer", mode: "rwc", txlock: "immediate", setUp: writerSetUp, size: 1, min: 1, callers: writers,
	})
	if err != nil {
		return err
	}
	if err := checkWritable(ctx, writer); err != nil {
		return errors.Join(err, writer.close())
	}
	size := min(max(cfg.Read.Min, 2*runtime.GOMAXPROCS(0), leastReaders), cfg.Read.Size)
	readers, err := ps.openLinks(ctx, sqliteLinks{
		name: "reader", mode: "rw", txlock: "deferred", setUp: readerSetUp, mapped: true,
		size: size, min: min(cfg.Read.Min, size), callers: cfg.Read.Size,
	})
	if err != nil {
		return errors.Join(err, writer.close())
	}
	ps.front(readers, writer)
	return nil
}

// sqliteLinks says what one kind of connections to the file is like.
type sqliteLinks struct {
	name, mode, txlock string
	setUp              []setting
	size, min          int
	mapped             bool // they map the file
	callers            int  // slots in front; their holders run one statement each, so this queue is never full
}

// openLinks opens one kind of connections with its minimum warm.
func (ps *Pools) openLinks(ctx context.Context, o sqliteLinks) (*links, error) {
	base, err := sqlite.NewConnector(dsn(ps.cfg.Path, o.mode, o.txlock))
	if err != nil {
		return nil, err
	}
	source := &connector{base: base, setUp: o.setUp, interrupter: sqliteInterrupter, keep: true, intercept: ps.cfg.Intercept}
	if o.mapped {
		source.mappings = newMappings()
	}
	l := &links{
		name: o.name, size: o.size, min: o.min, recycle: ps.cfg.Recycle, probe: "SELECT 1",
		source: source, db: sql.OpenDB(source), gate: gate.New(o.size, o.callers),
		log: ps.cfg.Logger, ctx: ps.ctx, wake: make(chan struct{}, 1),
	}
	l.db.SetMaxIdleConns(-1) // a connection that links gives up is closed, not kept
	if err := l.warm(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// errReadOnly is the finding of checkWritable.
var errReadOnly = errors.New("it could be opened for reading only")

// checkWritable finds out at once what else the first ingest would: that the
// file cannot be written. SQLite then opens it for reading and says nothing,
// not even to BEGIN IMMEDIATE.
func checkWritable(ctx context.Context, writer *links) error {
	k, _, err := writer.borrow(ctx, 0)
	if err != nil {
		return err
	}
	defer writer.giveBack(k)
	teller, ok := k.raw.Conn.(interface {
		IsReadOnly(schema string) (bool, error)
	})
	if !ok {
		return nil
	}
	readOnly, err := teller.IsReadOnly("main")
	if err == nil && readOnly {
		err = errReadOnly
	}
	return err
}

// sqliteInterrupter returns what interrupts the statement under way on a
// connection of the SQLite driver, which keeps that to itself. A driver that has
// no handle any more gives nil, and then statements stop at their next row instead
// (TestCancelInMidStatement tells).
func sqliteInterrupter(c driver.Conn) func() {
	db := sqliteHandle(c)
	if db == 0 {
		return nil
	}
	return func() {
		tls := libc.NewTLS() // the connection's own belongs to the statement under way
		defer tls.Close()
		sqlite3.Xsqlite3_interrupt(tls, db)
	}
}

// dsn is the address of the file in SQLite's URI form. Every byte of the path
// that means something in a URI is escaped, so that the file opened is the file named.
func dsn(path, mode, txlock string) string {
	var b strings.Builder
	b.WriteString("file://")
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		b.WriteByte('/') // a Windows drive
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c == '%' || c == '?' || c == '#' || c <= ' ' || c == 0x7f:
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
		return checkHeader(path, info.Size())
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

// checkHeader refuses a file that is something else, before SQLite takes one
// shorter than its header for an empty library and overwrites it.
func checkHeader(path string, size int64) error {
	if _, err := os.Stat(path + "-journal"); size == 0 || err == nil {
		return nil // new, or left in the middle of a change that SQLite will undo
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open library %s: %w: choose another --data-dir", path, errors.Unwrap(err))
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	header := make([]byte, len(magic))
	if _, err := io.ReadFull(f, header); err != nil || string(header) != magic {
		return fmt.Errorf("open library %s: the file is not a library: choose another --data-dir", path)
	}
	return nil
}

// isBusy tells that another connection, of this process or another, holds a lock for now.
func isBusy(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	return ok && (se.Code()&0xff == sqlite3.SQLITE_BUSY || se.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// judgeSQLite says what an error of SQLite tells of the library. A lock that somebody holds is
// no fault; a file that cannot be read is; all else is an answer to a statement that was wrong.
func judgeSQLite(se *sqlite.Error) Verdict {
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT:
		return NothingLearned
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERNAL:
		return Failed
	}
	return Answered
}

// openError says in one sentence what is wrong with the file.
func openError(path string, err error) error {
	if errors.Is(err, errReadOnly) {
		return fmt.Errorf("open library %s: %w: make it writable or choose another --data-dir", path, err)
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("open library %s: %w", path, err)
	}
	var what string
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		what = "the file is not a library"
	case sqlite3.SQLITE_CORRUPT:
		what = "the file is damaged"
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR:
		what = "the file or its directory cannot be written"
	case sqlite3.SQLITE_FULL:
		what = "its disk is full"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		what = "another process keeps it locked"
	default:
		return fmt.Errorf("open library %s: %w", path, err)
	}
	return fmt.Errorf("open library %s: %s: choose another --data-dir: %w", path, what, se)
}
