package pool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

// A statement that ran into its bound must not leave its answer to the next one.
func TestOracleNeverGivesAnotherStatementsAnswer(t *testing.T) {
	f := func(why string, fault, mend func(*oracletest.Server)) {
		t.Run(why, func(t *testing.T) {
			s := double(t, &numbers{})
			ps := openOracle(t, s, func(c *Config, _ *Oracle) {
				c.Read.Size, c.Read.Min = 1, 1
				c.QueryTimeout, c.QueryTimeoutSetting = 100*time.Millisecond, "--statement-timeout"
			})
			wantRight(t, ps, 1)
			fault(s)
			if got, err := query(t, ps, 2); !errors.Is(err, ErrQueryTimeout) {
				t.Fatalf("got %d, %v; want the statement's bound", got, err)
			}
			mend(s)
			for n := range int64(5) {
				wantRight(t, ps, 10+n)
			}
			if st := ps.Stats()[0]; st.Recycled == 0 || st.PhysicalOpen != 1 {
				t.Errorf("the session was not replaced: %+v", st)
			}
		})
	}
	f("slow answer", func(s *oracletest.Server) { s.Latency(time.Second) }, func(s *oracletest.Server) { s.Latency(0) })
	f("slow answer and deaf", func(s *oracletest.Server) { s.Latency(time.Second); s.DeafToBreaks(true) },
		func(s *oracletest.Server) { s.Latency(0); s.DeafToBreaks(false) })
	f("half a packet", func(s *oracletest.Server) { s.HalfPacketThenSilence(1) }, func(*oracletest.Server) {})
}

// The driver lets neither a FETCH nor a deaf server be cut.
func TestOracleDeadlinesHoldForFetches(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.QueryTimeout = 200 * time.Millisecond })
	s.SlowFetch(time.Minute)
	s.DeafToBreaks(true)
	c := acquire(t, ps.Read())
	rows, err := c.Query(t.Context(), many, 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); !errors.Is(err, ErrQueryTimeout) || n >= 1000 {
		t.Errorf("%d rows, %v; want the statement's bound", n, err)
	}
	s.SlowFetch(0)
	s.DeafToBreaks(false)
	if got, err := queryOn(t.Context(), c, 5); err != nil || got != 5 {
		t.Errorf("the slot's next statement: %d, %v", got, err)
	}
}

func TestOracleCallerLeaves(t *testing.T) {
	h := &numbers{entered: make(chan struct{}, 1)}
	s := double(t, h)
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Read.Size, c.Read.Min = 1, 1 })
	c := acquire(t, ps.Read())
	gone := errors.New("gone")
	ctx, leave := context.WithCancelCause(t.Context())
	go func() { <-h.entered; leave(gone) }()
	if _, err := c.Query(ctx, block); !errors.Is(err, gone) {
		t.Errorf("got %v, want the cause", err)
	}
	await(t, "the server's statement broken", func() bool { return s.Stats().Breaks == 1 })
	if got, err := queryOn(t.Context(), c, 5); err != nil || got != 5 { // no late ORA-01013
		t.Errorf("next statement: %d, %v", got, err)
	}
}

// Sessions that died while idle are no reader's business; a writer is not asked again, but finds a living one.
func TestOracleIdleSessionsMayDie(t *testing.T) {
	f := func(why string, die func(*oracletest.Server) int) {
		t.Run(why, func(t *testing.T) {
			s := double(t, &numbers{})
			ps := openOracle(t, s, nil)
			for _, l := range ps.linkSets {
				l.idleProbe = 1 // any idle time is long
			}
			for range 3 {
				if n := die(s); n == 0 {
					t.Fatal("nothing died")
				}
				for n := range int64(4) {
					wantRight(t, ps, n)
				}
				c := acquire(t, ps.Write())
				tx, err := c.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec(t.Context(), insert, []int64{1, 2}); err != nil {
					t.Error(err)
				}
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
				if _, err := c.Exec(t.Context(), insert, 3); err != nil {
					t.Error(err)
				}
				c.Release()
			}
		})
	}
	f("killed", (*oracletest.Server).KillSessions)
	f("dropped", (*oracletest.Server).DropSessions)
}

// One read that finds its session gone is enough for all that died with it to be dropped, the writers' too.
func TestOracleIdleSessionsThatDiedAreDropped(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, nil)
	for _, l := range ps.linkSets {
		l.idleProbe = 1
	}
	var held []func()
	for range 5 {
		c := acquire(t, ps.Read())
		rows, err := c.Query(t.Context(), echo, int64(1)) // held open, so that each has a session
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, func() { rows.Close(); c.Release() })
	}
	for _, letGo := range held {
		letGo()
	}
	if n := s.DropSessions(); n != 6 {
		t.Fatalf("%d sessions, want 5 and 1", n)
	}
	wantRight(t, ps, 7)
	await(t, "the sessions that died are no longer counted, and the minimum is there", func() bool {
		open := 0
		for _, st := range ps.Stats() {
			open += st.PhysicalOpen
		}
		return open == s.Stats().Sessions && open >= 3
	})
}

func TestOracleReadsAreAskedAgainOnce(t *testing.T) {
	f := func(code int, again bool) {
		t.Helper()
		h := &numbers{}
		s := double(t, h)
		ps := openOracle(t, s, nil)
		h.asked.Store(0)
		opened := ps.Stats()[0].Opened
		s.FailNext(code, 1)
		got, err := query(t, ps, 9)
		switch {
		case again && (err != nil || got != 9):
			t.Errorf("ORA-%05d once: %d, %v", code, got, err)
		case again && ps.Stats()[0].Opened != opened+1:
			t.Errorf("ORA-%05d: asked again on the same session", code)
		case !again && OracleCode(err) != code:
			t.Errorf("ORA-%05d: got %v", code, err)
		}
		if again {
			s.FailNext(code, 2)
			if _, err := query(t, ps, 9); err == nil {
				t.Errorf("ORA-%05d twice: no error, asked more than once again", code)
			}
		}
		wantRight(t, ps, 10)
		s.FailNext(code, 1)
		c := acquire(t, ps.Write())
		if _, err := c.Exec(t.Context(), insert, 3); err == nil {
			t.Errorf("ORA-%05d of a write: it was sent again", code)
		}
	}
	f(1013, true) // stray: nobody broke it
	f(28, true)
	f(3113, true)
	f(4068, true)
	f(2396, true)
	f(1000, true)
	f(1653, false)
	f(942, false)
	f(60, false)
}

// An error that ends a session ends it for the next statement too; another one does not.
func TestOracleErrorsThatEndASession(t *testing.T) {
	f := func(code int, ends bool) {
		t.Helper()
		s := double(t, &numbers{})
		ps := openOracle(t, s, nil)
		c := acquire(t, ps.Write())
		s.FailNext(code, 1)
		if _, err := c.Exec(t.Context(), insert, 1); OracleCode(err) != code {
			t.Errorf("ORA-%05d: got %v", code, err)
		}
		if got := ps.Stats()[1].Recycled; (got == 1) != ends {
			t.Errorf("ORA-%05d: %d sessions dropped", code, got)
		}
		if _, err := c.Exec(t.Context(), insert, 1); err != nil {
			t.Errorf("after ORA-%05d: %v", code, err)
		}
	}
	f(1000, true)
	f(1013, true)
	f(1092, true)
	f(4068, false)
	f(1653, false)
	f(60, false)
	f(942, false)
}

// Every code of the table is one of the kinds that docs/decisions lists.
func TestOracleClasses(t *testing.T) {
	f := func(code int, class Class, verdict Verdict) {
		t.Helper()
		err := fmt.Errorf("search: %w", &OracleError{Code: code, Class: oracleCodes[code].class})
		if got := oracleCodes[code].class; got != class || Judge(err) != verdict {
			t.Errorf("ORA-%05d: %v, %v; want %v, %v", code, got, Judge(err), class, verdict)
		}
		if NotAnswered(err) != (class == Retry || class == Down) || IsConflict(err) != (class == Conflict) {
			t.Errorf("ORA-%05d: not answered %v, conflict %v", code, NotAnswered(err), IsConflict(err))
		}
	}
	for _, code := range []int{28, 1012, 2396, 3113, 3114, 3135, 12537} {
		f(code, Retry, Failed)
	}
	for _, code := range []int{18, 20, 1033, 1034, 1089, 12514, 12528, 12541} {
		f(code, Down, Failed)
	}
	for _, code := range []int{1, 54, 60, 8177, 30006} {
		f(code, Conflict, Answered)
	}
	for _, code := range []int{1555, 4061, 4068} {
		f(code, Retry, Answered)
	}
	for _, code := range []int{904, 942, 20000, 29902} {
		f(code, Statement, Answered)
	}
	f(1013, Retry, NothingLearned)
	drg := &OracleError{Code: 29902, message: "ORA-29902: error in executing ODCIIndexStart() routine\nORA-20000: Oracle Text error:\nDRG-50901: text query parser syntax error"}
	if OracleTextCode(fmt.Errorf("search: %w", drg)) != 50901 || OracleTextCode(errors.New("DRG-50901")) != 0 {
		t.Error("the code of Oracle Text is not read")
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

// Old sessions are replaced, but by the keeper and not at the expense of a request.
func TestOracleRecycles(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Recycle = 50 * time.Millisecond })
	await(t, "every session replaced twice", func() bool {
		wantRight(t, ps, 3)
		st := ps.Stats()
		return st[0].Recycled >= 4 && st[1].Recycled >= 2
	})
	await(t, "the minimum is open", func() bool { st := ps.Stats(); return st[0].PhysicalOpen >= 2 && st[1].PhysicalOpen >= 1 })
}

func TestOracleRecoversFromListenerDown(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, nil)
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	wantRight(t, ps, 1) // sessions live on
	s.DropSessions()
	_, err := query(t, ps, 2)
	if _, ok := errors.AsType[*ConnectError](err); !ok || !NotAnswered(err) || Judge(err) != Failed {
		t.Errorf("without listener: %v", err)
	}
	if err := s.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
	wantRight(t, ps, 3)
}

// The guard hears of a database to which no connection can be opened.
func TestOracleConnectFailuresReachTheGuard(t *testing.T) {
	s := double(t, &numbers{})
	g := &countingGuard{}
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.Guard = g })
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	s.DropSessions()
	for range 3 {
		if _, err := query(t, ps, 1); err == nil {
			t.Error("an answer without a database")
		}
	}
	if got := g.failed.Load(); got < 3 {
		t.Errorf("the guard heard of %d failures, want 3", got)
	}
	if err := s.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
}

type countingGuard struct{ failed atomic.Int64 }

func (*countingGuard) Ready() error { return nil }
func (g *countingGuard) Begin(ctx context.Context) (context.Context, func(error), error) {
	return ctx, func(err error) {
		if Judge(err) == Failed {
			g.failed.Add(1)
		}
	}, nil
}

// Many users, sessions dying under them: an answer is right or an error.
func TestOracleUnderFire(t *testing.T) {
	s := double(t, &numbers{})
	ps := openOracle(t, s, func(c *Config, _ *Oracle) { c.QueryTimeout = 5 * time.Second })
	s.FailEvery(0.05, 3113, 1)
	var wg sync.WaitGroup
	var wrong, failed atomic.Int64
	for user := range int64(20) {
		wg.Go(func() {
			for i := range int64(50) {
				n := user*1000 + i
				switch got, err := query(t, ps, n); {
				case err != nil:
					failed.Add(1)
				case got != n:
					wrong.Add(1)
				}
				if i == 25 && user%5 == 0 {
					s.DropSessions()
				}
			}
		})
	}
	wg.Wait()
	s.FailEvery(0, 0, 0)
	if wrong.Load() != 0 || failed.Load() > 100 {
		t.Errorf("%d wrong answers, %d errors of 1000", wrong.Load(), failed.Load())
	}
	wantRight(t, ps, 1)
}

func TestOracleConnectErrorsSayWhatToDo(t *testing.T) {
	s := double(t, &numbers{})
	f := func(why string, change func(*Oracle), parts ...string) {
		t.Helper()
		o := account(s)
		change(&o)
		ps, err := OpenOracle(t.Context(), oracleConfig(), o)
		if err == nil {
			t.Errorf("%s: it was opened", why)
			_ = ps.Close()
			return
		}
		for _, p := range parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%s: %v lacks %q", why, err, p)
			}
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), string(o.Password)) {
			t.Errorf("%s: not one line, or with a password: %v", why, err)
		}
		if _, ok := errors.AsType[*ConnectError](err); !ok {
			t.Errorf("%s: %T", why, err)
		}
	}
	f("a wrong password", func(o *Oracle) { o.Password = "hunter2" }, "ORA-01017", "DB_USER", "DB_PASSWORD", "as TOMEHUB")
	f("an unknown service", func(o *Oracle) { o.DSN = s.Addr() + "/NOSUCH" }, "ORA-12514", "service in DB_DSN", "/NOSUCH")
	f("an unknown host", func(o *Oracle) { o.DSN = "no-such-host.invalid:1521/X" }, "no-such-host.invalid", "DB_DSN")
	f("TLS where there is none", func(o *Oracle) { o.DSN, o.ConnectTimeout = "tcps://"+s.DSN(), 100*time.Millisecond }, "DB_DSN", "tcps")
	s.SessionLimit(1)
	f("no room", func(*Oracle) {}, "ORA-00020", "DB_POOL_READ_SIZE")
	s.SessionLimit(0)
	s.RefuseConnections(12528)
	f("starting up", func(*Oracle) {}, "ORA-12528", "not open")
	s.RefuseConnections(0)
	s.HalfPacketThenSilence(1)
	f("silence", func(o *Oracle) { o.ConnectTimeout = 100 * time.Millisecond }, "DB_CONNECT_TIMEOUT")
	s.HalfPacketThenSilence(0)
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	f("nobody there", func(*Oracle) {}, "nothing listens", "DB_DSN")
	f("nobody anywhere", func(o *Oracle) { o.DSN = "127.0.0.1:1,127.0.0.1:2/X" }, "127.0.0.1:1", "127.0.0.1:2")
}

// What the database says of a user is said in one line as well; the double cannot say these at a login.
func TestAdviceForAccounts(t *testing.T) {
	d := &oraDialer{oracle: Oracle{User: "TOME"}}
	f := func(code int, part string) {
		t.Helper()
		got := d.explain(endpoint{host: "db", port: 1521, service: "s"}, &OracleError{Code: code, Class: Down, message: "x"})
		if !strings.Contains(got.Error(), part) || !strings.Contains(got.Error(), fmt.Sprintf("ORA-%05d", code)) {
			t.Errorf("ORA-%05d: %v", code, got)
		}
	}
	f(28000, "ACCOUNT UNLOCK")
	f(28001, "expired")
	f(1045, "CREATE SESSION")
	f(12505, "SID")
}

// A second address is tried when the first has no database, and not when it refuses the user.
func TestOracleFailsOver(t *testing.T) {
	first, second := double(t, &numbers{}), double(t, &numbers{})
	both := func(o *Oracle) {
		o.DSN = fmt.Sprintf("(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=%s))(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=%s)))(CONNECT_DATA=(SERVICE_NAME=FREEPDB1)))",
			port(first), port(second))
	}
	ps := openOracle(t, first, func(_ *Config, o *Oracle) { both(o) })
	if err := first.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	first.DropSessions()
	wantRight(t, ps, 4)
	if second.Stats().Sessions == 0 {
		t.Error("nobody went to the second address")
	}
	if err := first.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
	logins := second.Stats().Refused
	o := account(first)
	both(&o)
	o.Password = "wrong"
	if _, err := OpenOracle(t.Context(), oracleConfig(), o); err == nil || second.Stats().Refused != logins {
		t.Errorf("a refused user was tried again elsewhere: %v", err)
	}
}

func port(s *oracletest.Server) string {
	return s.Addr()[strings.LastIndexByte(s.Addr(), ':')+1:]
}

// A password that was changed must not lock the account by being tried for every request.
func TestOracleRefusedUserIsNotTriedAgainAtOnce(t *testing.T) {
	s := double(t, &numbers{})
	o := account(s)
	o.Password = "wrong"
	d := &oraDialer{oracle: o, places: mustParse(t, o.DSN)}
	for range 5 {
		if _, err := d.connect(t.Context()); OracleCode(err) != 1017 {
			t.Errorf("got %v", err)
		}
	}
	if got := s.Stats().Refused; got != 1 {
		t.Errorf("the user was tried %d times, want once", got)
	}
	d.until = time.Now().Add(-time.Second)
	_, _ = d.connect(t.Context())
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("after the pause the user was tried %d times in all, want 2", got)
	}
}

func mustParse(t *testing.T, dsn string) []endpoint {
	t.Helper()
	places, _, err := parseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return places
}
