package pool

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// numbers answers `SELECT n rows` from :n on, inserts and nothing else; a statement tagged block
// waits until it is broken.
type numbers struct {
	asked   atomic.Int64 // statements
	entered chan struct{}
	commits atomic.Int64
}

func (h *numbers) Commit(*oracletest.Session) error { h.commits.Add(1); return nil }
func (h *numbers) Rollback(*oracletest.Session)     {}

func (h *numbers) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	h.asked.Add(1)
	column := []oracletest.Column{{Name: "N", Type: oracletest.Number}}
	switch c.Tag {
	case "block":
		if h.entered != nil {
			h.entered <- struct{}{}
		}
		<-ctx.Done()
		return nil, ctx.Err()
	case "echo":
		return &oracletest.Result{Columns: column, Rows: [][]oracletest.Value{{c.Rows[0][0]}}}, nil
	case "many":
		rows := make([][]oracletest.Value, c.Rows[0][0].(int64))
		for i := range rows {
			rows[i] = []oracletest.Value{int64(i)}
		}
		return &oracletest.Result{Columns: column, Rows: rows}, nil
	case "insert":
		return &oracletest.Result{Affected: int64(len(c.Rows))}, nil
	}
	return nil, &oracletest.Error{Code: 942, Message: "table or view does not exist"}
}

const (
	echo   = "SELECT /* tomehub:echo */ :n FROM dual"
	many   = "SELECT /* tomehub:many */ n FROM numbers WHERE n < :n"
	block  = "SELECT /* tomehub:block */ n FROM numbers"
	insert = "INSERT /* tomehub:insert */ INTO numbers(n) VALUES (:n)"
)

func oracleConfig() Config {
	return Config{
		Read:    Bounds{Min: 2, Size: 5, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   Bounds{Min: 1, Size: 2, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 10 * time.Second,
	}
}

// double starts a server that ends with the test.
func double(t testing.TB, h oracletest.Handler) *oracletest.Server {
	t.Helper()
	s, err := oracletest.Start(oracletest.Config{Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func account(s *oracletest.Server) Oracle {
	return Oracle{User: "TOMEHUB", Password: "secret", DSN: s.DSN(), ConnectTimeout: 5 * time.Second}
}

// openOracle opens pools at s and closes them with the test, when every session must be gone.
func openOracle(t testing.TB, s *oracletest.Server, change func(*Config, *Oracle)) *Pools {
	t.Helper()
	cfg, o := oracleConfig(), account(s)
	if change != nil {
		change(&cfg, &o)
	}
	ps, err := OpenOracle(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
		for _, st := range ps.Stats() {
			if st.InUse != 0 || st.Waiting != 0 || st.PhysicalInUse != 0 || st.PhysicalOpen != 0 {
				t.Errorf("left behind: %+v", st)
			}
		}
		await(t, "every session logged off", func() bool { return s.Stats().Sessions == 0 })
	})
	return ps
}

// query asks one question on a slot of its own.
func query(t testing.TB, ps *Pools, n int64) (int64, error) {
	t.Helper()
	c, err := ps.Read().Acquire(t.Context())
	if err != nil {
		return 0, err
	}
	defer c.Release()
	return queryOn(t.Context(), c, n)
}

func queryOn(ctx context.Context, c *Conn, n int64) (got int64, err error) {
	rows, err := c.Query(ctx, echo, n)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&got); err != nil {
			return 0, err
		}
	}
	return got, rows.Err()
}

func wantRight(t testing.TB, ps *Pools, n int64) {
	t.Helper()
	if got, err := query(t, ps, n); err != nil || got != n {
		t.Errorf("asked for %d: got %d, %v", n, got, err)
	}
}

func TestOracleSessionsAreSetUpAlike(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, nil)
	if got := s.Stats().Sessions; got != 3 {
		t.Errorf("%d sessions warm, want 2 to read and 1 to write", got)
	}
	for range 5 {
		c := acquire(t, ps.Read())
		rows, err := c.Query(t.Context(), many, 1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rows.Close() })
	}
	reading, writing := 0, 0
	for _, sess := range s.Sessions() {
		for name, want := range map[string]string{
			"NLS_LANGUAGE": "AMERICAN", "NLS_TERRITORY": "AMERICA", "NLS_NUMERIC_CHARACTERS": ".,", "TIME_ZONE": "UTC",
			"NLS_SORT": "BINARY", "NLS_COMP": "BINARY",
		} {
			if got := sess.Settings[name]; got != want {
				t.Errorf("session %d: %s is %q, want %q", sess.ID, name, got, want)
			}
		}
		switch {
		case sess.Module != "tomehub" || sess.Program != "tomehub":
			t.Errorf("session %d: module %q, program %q", sess.ID, sess.Module, sess.Program)
		case sess.Action == "read":
			reading++
		case sess.Action == "write":
			writing++
		}
	}
	if reading != 5 || writing != 1 {
		t.Errorf("%d sessions read and %d write, want 5 and 1", reading, writing)
	}
}

func TestOracleSinglePool(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Single, c.Read.Min = true, 0 })
	c := acquire(t, ps.Write())
	if _, err := c.Exec(t.Context(), insert, []int64{1, 2, 3}); err != nil {
		t.Error(err)
	}
	c.Release()
	wantRight(t, ps, 7)
	st := ps.Stats()
	if len(st) != 1 || st[0].Physical != 5 || st[0].Opened != 1 {
		t.Errorf("stats %+v, want one pool of 5 with one session opened", st)
	}
}

func TestOracleValuesAndCursors(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Read.Size, c.Read.Min = 2, 2 })
	n := 10000
	if testing.Short() {
		n = 500
	}
	for i := range n {
		wantRight(t, ps, int64(i))
	}
	if got := s.Stats().Cursors; got != 0 {
		t.Errorf("%d cursors open after %d queries, want none", got, n)
	}
	c := acquire(t, ps.Read())
	rows, err := c.Query(t.Context(), many, 2500) // over several fetches
	if err != nil {
		t.Fatal(err)
	}
	sum, want := int64(0), int64(0)
	for i := range int64(2500) {
		want += i
		var v int64
		if !rows.Next() || rows.Scan(&v) != nil {
			t.Fatalf("row %d: %v", i, rows.Err())
		}
		sum += v
	}
	if rows.Next() || rows.Err() != nil || sum != want {
		t.Errorf("sum %d, want %d; %v", sum, want, rows.Err())
	}
}

// Whatever a transaction meets, the next one is not touched by it.
func TestOracleTransactions(t *testing.T) {
	h := &numbers{entered: make(chan struct{}, 1)}
	s := double(t, h)
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Write.Size, c.Write.Min = 1, 1 })
	c := acquire(t, ps.Write())
	ctx, leave := context.WithCancelCause(t.Context())
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	h.commits.Store(0) // every statement outside a transaction is one
	go func() { <-h.entered; leave(gone) }()
	if _, err := tx.Query(t.Context(), block); !errors.Is(err, gone) {
		t.Errorf("statement of a transaction that ended: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, gone) {
		t.Errorf("commit after its context ended: %v", err)
	}
	if h.commits.Load() != 0 {
		t.Error("it was committed")
	}
	tx, err = c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.commits.Store(0) // a new session has set itself up
	st, err := tx.Prepare(t.Context(), insert)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if res, err := st.Exec(t.Context(), []int64{int64(i), 1}); err != nil {
			t.Error(err)
		} else if n, _ := res.RowsAffected(); n != 2 {
			t.Errorf("%d rows affected, want 2", n)
		}
	}
	if err := errors.Join(st.Close(), tx.Commit()); err != nil || h.commits.Load() != 1 {
		t.Errorf("%d commits, %v", h.commits.Load(), err)
	}
	// A commit whose answer is lost is an error that does not say it was not stored.
	if tx, err = c.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.LoseCommits(1)
	if err := tx.Commit(); !NotAnswered(err) {
		t.Errorf("lost commit: %v", err)
	}
	if _, err := c.Exec(t.Context(), insert, 1); err != nil {
		t.Errorf("after a lost commit: %v", err)
	}
}

func TestOracleArrayBindsAreChecked(t *testing.T) {
	h := &numbers{}
	s := double(t, h)
	ps := openOracle(t, s, nil)
	c := acquire(t, ps.Write())
	asked := h.asked.Load()
	f := func(part string, args ...any) {
		t.Helper()
		if _, err := c.Exec(t.Context(), insert, args...); !errors.Is(err, ErrBinds) || !strings.Contains(err.Error(), part) {
			t.Errorf("%v: %v", args, err)
		}
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		st, err := tx.Prepare(t.Context(), insert)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if _, err := st.Exec(t.Context(), args...); !errors.Is(err, ErrBinds) {
			t.Errorf("prepared, %v: %v", args, err)
		}
	}
	f("bind 1 is empty", []int64{})
	f("bind 2 is empty", []string{"a"}, []string{})
	f("bind 1 has 2 rows, bind 3 has 1", []int64{1, 2}, []int64{1, 2}, []string{"a"})
	f("single value", []int64{1, 2}, "a")
	if _, err := c.Query(t.Context(), echo, []int64{1}); !errors.Is(err, ErrBinds) {
		t.Errorf("an array in a query: %v", err)
	}
	if got := h.asked.Load(); got != asked {
		t.Errorf("the database was asked %d times", got-asked)
	}
	if _, err := c.Exec(t.Context(), insert, []byte("raw")); err != nil {
		t.Errorf("bytes are no array: %v", err)
	}
}
