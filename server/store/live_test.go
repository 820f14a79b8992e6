package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	go_ora "github.com/sijms/go-ora/v2"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/store/storetest"
)

// liveSetting names the Oracle database that the LiveOracle tests may use:
// user/password@host:port/service. Everything of TomeHub's in that user's schema is dropped.
const liveSetting = "TOMEHUB_TEST_ORACLE"

// liveLogin reads liveSetting. The last @ divides, because a password may hold one; an address never does.
func liveLogin(s string) (pool.Oracle, error) {
	at := strings.LastIndexByte(s, '@')
	user, password, ok := strings.Cut(s[:max(at, 0)], "/")
	if !ok || user == "" || password == "" || s[at+1:] == "" {
		return pool.Oracle{}, fmt.Errorf("%s is not of the form user/password@host:port/service", liveSetting)
	}
	return pool.Oracle{User: user, Password: pool.Password(password), DSN: s[at+1:], Module: "tomehub-test"}, nil
}

// liveOracle is a schema of a real Oracle database that is ours to empty.
type liveOracle struct {
	login pool.Oracle
	db    *sql.DB
}

// openLive opens the schema that value, of liveSetting, names, empty; or skips the test; or refuses a
// schema in which anybody else has a table.
func openLive(t *testing.T, value string) *liveOracle {
	t.Helper()
	if value == "" {
		t.Skipf("NOT RUN: wants a real Oracle database. Start one with `make oracle`, then `make live`; or set %s=user/password@host:port/service to a schema that may be emptied", liveSetting)
	}
	login, err := liveLogin(value)
	if err != nil {
		t.Fatal(err)
	}
	l, err := connectLive(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.db.Close() })
	if err := l.empty(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func connectLive(ctx context.Context, login pool.Oracle) (*liveOracle, error) {
	host, rest, found := strings.Cut(login.DSN, "/")
	if !found || strings.ContainsAny(login.DSN, "()") {
		return nil, fmt.Errorf("%s: the tests want host:port/service behind the @", liveSetting)
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, "1521"
	}
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		return nil, fmt.Errorf("%s: the port is not a number", liveSetting)
	}
	db, err := sql.Open("oracle", go_ora.BuildUrl(name, n, rest, login.User, string(login.Password), nil))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	// A session that a test broke off may hold its locks for a moment longer.
	if _, err := db.ExecContext(ctx, "ALTER SESSION SET DDL_LOCK_TIMEOUT = 60"); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("log in as %s at %s: %w", login.User, login.DSN, err)
	}
	return &liveOracle{login: login, db: db}, nil
}

// empty drops what TomeHub has in the schema. It refuses a schema that holds any other table.
func (l *liveOracle) empty(ctx context.Context) error {
	tables, err := l.tables(ctx)
	if err != nil {
		return err
	}
	for _, name := range tables {
		if !strings.HasPrefix(name, "TOMEHUB_") {
			return fmt.Errorf("the schema of %s holds the table %s, which is not TomeHub's: give the tests a schema of their own", l.login.User, name)
		}
	}
	for _, name := range tables {
		if _, err := l.db.ExecContext(ctx, "DROP TABLE "+name+" CASCADE CONSTRAINTS PURGE"); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
	}
	return nil
}

// tables are those of the user's schema, without the ones that Oracle Text keeps for its index.
func (l *liveOracle) tables(ctx context.Context) (names []string, err error) {
	rows, err := l.db.QueryContext(ctx, `SELECT table_name FROM user_tables WHERE table_name NOT LIKE 'DR$%' ORDER BY table_name`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// pools opens pools of their own, as another replica would.
func (l *liveOracle) pools(t testing.TB) *pool.Pools {
	t.Helper()
	pools, err := pool.OpenOracle(t.Context(), pool.Config{
		Timeout: 30 * time.Second,
		Read:    pool.Bounds{Min: 1, Size: 8, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Min: 1, Size: 4, Queue: 64, SizeSetting: "DB_POOL_WRITE_SIZE"},
	}, l.login)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pools.Close(); err != nil {
			t.Error(err)
		}
	})
	return pools
}

func (l *liveOracle) open(t testing.TB) *store.Oracle {
	t.Helper()
	pools := l.pools(t)
	if _, err := store.MigrateOracle(t.Context(), pools, store.Options{}); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenOracle(t.Context(), pools, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLiveOracleConformance(t *testing.T) { liveConformance(t, os.Getenv(liveSetting)) }
func TestLiveOracleReplicas(t *testing.T)    { liveReplicas(t, os.Getenv(liveSetting)) }
func TestLiveOracleMigrations(t *testing.T)  { liveMigrations(t, os.Getenv(liveSetting)) }
func TestLiveOraclePools(t *testing.T)       { livePools(t, os.Getenv(liveSetting)) }
func TestLiveOracleKinds(t *testing.T)       { liveKinds(t, os.Getenv(liveSetting)) }

// TestLiveSuiteOnDouble proves that the tests above can run: against a double of the server, which
// says nothing of Oracle. What it cannot show is what they are for.
func TestLiveSuiteOnDouble(t *testing.T) {
	double := &liveDouble{data: tomedata.New()}
	server, err := oracletest.Start(oracletest.Config{Handler: double})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	value := "tomehub/secret@" + server.DSN()
	t.Run("Conformance", func(t *testing.T) { liveConformance(t, value) })
	t.Run("Replicas", func(t *testing.T) { liveReplicas(t, value) })
	t.Run("Migrations", func(t *testing.T) { liveMigrations(t, value) })
	t.Run("Pools", func(t *testing.T) { livePools(t, value) })
	t.Run("Kinds", func(t *testing.T) { liveKinds(t, value) })
	if double.dropped == 0 {
		t.Error("the schema was never emptied")
	}
}

func liveConformance(t *testing.T, value string) {
	openLive(t, value)
	storetest.Conformance(t, func(t *testing.T) storetest.Store { return openLive(t, value).open(t) })
}

func liveReplicas(t *testing.T, value string) {
	openLive(t, value)
	t.Run("AnotherProcess", func(t *testing.T) {
		l := openLive(t, value)
		testAnotherProcess(t, l.open(t), l.open(t))
	})
	t.Run("TwoProcesses", func(t *testing.T) {
		l := openLive(t, value)
		testTwoProcesses(t, l.open(t), l.open(t))
	})
}

// liveMigrations holds that the schema is made once, from several processes at once,
// and that a second migration finds nothing to do.
func liveMigrations(t *testing.T, value string) {
	l := openLive(t, value)
	var wg sync.WaitGroup
	var mu sync.Mutex
	applied := 0
	for range 3 {
		pools := l.pools(t)
		wg.Go(func() {
			got, err := store.MigrateOracle(t.Context(), pools, store.Options{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied += len(got)
		})
	}
	wg.Wait()
	steps, err := store.Steps("oracle")
	if err != nil || applied != len(steps) {
		t.Errorf("%d steps were applied of %d, %v", applied, len(steps), err)
	}
	if pending, err := store.PendingOracle(t.Context(), l.pools(t), store.Options{}); err != nil || len(pending) != 0 {
		t.Errorf("%d steps are pending, %v", len(pending), err)
	}
	tables, err := l.tables(t.Context())
	if err != nil || !slices.Contains(tables, "TOMEHUB_CONTENT") {
		t.Errorf("the schema holds %v, %v", tables, err)
	}
}

// livePools holds what the pools promise of sessions: a caller who leaves an ingest leaves a book
// that is whole or not there, cursors do not pile up, and the next caller gets its own answer.
func livePools(t *testing.T, value string) {
	l := openLive(t, value)
	s := l.open(t)
	for n := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*2*time.Millisecond)
		_, err := s.Ingest(ctx, aBook("ada", fmt.Sprint(n), "word"))
		cancel()
		books, passages, terr := s.Totals(t.Context(), store.Scope{Owner: "ada"})
		if terr != nil || passages != 2*books {
			t.Fatalf("after an ingest that ended with %v: %d books, %d passages, %v", err, books, passages, terr)
		}
	}
	in, err := s.Ingest(t.Context(), aBook("ada", "last", "word"))
	if err != nil {
		t.Fatal(err)
	}
	const queries = 3000 // on at most 8 sessions, each of which has 300 cursors at most by default
	for range queries {
		b, err := s.Book(t.Context(), store.Scope{Owner: "ada"}, in.BookID)
		if err != nil || b.ID != in.BookID {
			t.Fatalf("asked for book %d: %d, %v", in.BookID, b.ID, err)
		}
	}
}

// liveDouble is the double's schema as openLive sees it: a list of tables, and DROP TABLE.
type liveDouble struct {
	mu      sync.Mutex // guards the fields below
	data    *tomedata.Data
	tables  []string
	dropped int
}

var (
	createTable = regexp.MustCompile(`CREATE TABLE (\w+)`)
	dropTable   = regexp.MustCompile(`^DROP TABLE (\w+) `)
)

// Serve implements oracletest.Handler.
func (d *liveDouble) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	if res := d.schema(c); res != nil {
		return res, nil
	}
	return d.current().Serve(ctx, c)
}

// schema answers what openLive asks, and nil to all else.
func (d *liveDouble) schema(c *oracletest.Call) *oracletest.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := c.SQL
	if step, ok := stepOf(c); ok {
		text = step
	}
	if m := createTable.FindStringSubmatch(text); m != nil && !slices.Contains(d.tables, m[1]) {
		d.tables = append(d.tables, m[1])
	}
	if m := dropTable.FindStringSubmatch(text); m != nil {
		d.tables = slices.DeleteFunc(d.tables, func(name string) bool { return name == m[1] })
		d.data = tomedata.New() // the tests empty a schema as a whole
		d.dropped++
		return &oracletest.Result{}
	}
	if !strings.Contains(text, "FROM user_tables") {
		return nil
	}
	res := &oracletest.Result{Columns: []oracletest.Column{{Name: "TABLE_NAME", Type: oracletest.Varchar2, Size: 128}}}
	for _, name := range d.tables {
		res.Rows = append(res.Rows, []oracletest.Value{name})
	}
	return res
}

func (d *liveDouble) current() *tomedata.Data {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.data
}

// Commit and Rollback implement oracletest.TxHandler.
func (d *liveDouble) Commit(s *oracletest.Session) error { return d.current().Commit(s) }
func (d *liveDouble) Rollback(s *oracletest.Session)     { d.current().Rollback(s) }

// TestLiveForeignTables holds that a schema in which somebody else has a table is left as it is.
func TestLiveForeignTables(t *testing.T) {
	double := &liveDouble{data: tomedata.New(), tables: []string{"TOMEHUB_BOOKS", "PAYROLL"}}
	server, err := oracletest.Start(oracletest.Config{Handler: double})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	login, err := liveLogin("tomehub/secret@" + server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	l, err := connectLive(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.db.Close() }()
	if err := l.empty(t.Context()); err == nil || !strings.Contains(err.Error(), "PAYROLL") || double.dropped != 0 {
		t.Errorf("%d tables dropped beside somebody else's: %v", double.dropped, err)
	}
}

func TestLiveLogin(t *testing.T) {
	f := func(s, user, password, dsn string) {
		t.Helper()
		got, err := liveLogin(s)
		if (err != nil) != (user == "") || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", s, err)
		}
		if got.User != user || string(got.Password) != password || got.DSN != dsn {
			t.Errorf("%q: user %q at %q", s, got.User, got.DSN)
		}
	}
	f("tomehub/secret@localhost:1521/FREEPDB1", "tomehub", "secret", "localhost:1521/FREEPDB1")
	f("tomehub/se/c@ret@db/x", "tomehub", "se/c@ret", "db/x")
	f("tomehub@localhost/x", "", "", "")
	f("/secret@localhost/x", "", "", "")
	f("tomehub/secret", "", "", "")
	f("tomehub/secret@", "", "", "")
	f("", "", "", "")
}

// liveKinds holds that the database shows the kind of a statement as its session's action: what TomeHub
// sends for that is what Oracle's own drivers send, and documented nowhere.
func liveKinds(t *testing.T, value string) {
	l := openLive(t, value)
	l.login.Kinds = pool.FreeKinds
	pools := l.pools(t)
	c, err := pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	for _, kind := range []string{"search", "search", "content", "a kind of 20 letters"} {
		rows, err := c.Query(pool.WithKind(t.Context(), kind), "SELECT SYS_CONTEXT('USERENV', 'ACTION') FROM DUAL")
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for rows.Next() {
			if err := rows.Scan(&got); err != nil {
				t.Error(err)
			}
		}
		if err := rows.Close(); err != nil || got != kind {
			t.Errorf("the database shows %q, want %q; %v", got, kind, err)
		}
	}
}
