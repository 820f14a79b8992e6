package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

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
	n, begun := 0, time.Now()
	for rows.Next() {
		n++
	}
	if err, took := rows.Err(), time.Since(begun); !errors.Is(err, ErrQueryTimeout) || n >= 1000 || took > 30*time.Second {
		t.Errorf("%d rows, %v after %v; want the statement's bound, and not at the server's leisure", n, err, took)
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

// A break that finds its statement over would hit the session's next one, so that there must be none.
func TestOracleBreakLosesTheSession(t *testing.T) {
	ours, theirs := net.Pipe()
	var server sync.WaitGroup
	server.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
	c := &oraConn{wire: &wire{Conn: ours}}
	if !c.IsValid() {
		t.Error("a new session is lost")
	}
	c.wire.interrupt()
	if c.IsValid() {
		t.Error("the session may be used again")
	}
	c.wire.kill()
	server.Wait()
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
