package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

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
	s.RefuseConnections(12505)
	f("an unknown SID", func(*Oracle) {}, "ORA-12505", "SID")
	s.RefuseConnections(0)
	for code, part := range map[int]string{28000: "ACCOUNT UNLOCK", 28001: "expired", 1045: "CREATE SESSION"} {
		s.FailLogins(code, 1)
		f("an account in a bad state", func(*Oracle) {}, fmt.Sprintf("ORA-%05d", code), part)
	}
	s.HalfPacketThenSilence(1)
	f("silence", func(o *Oracle) { o.ConnectTimeout = 100 * time.Millisecond }, "DB_CONNECT_TIMEOUT")
	s.HalfPacketThenSilence(0)
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	f("nobody there", func(*Oracle) {}, "nothing listens", "DB_DSN")
	f("nobody anywhere", func(o *Oracle) { o.DSN = "127.0.0.1:1,127.0.0.1:2/X" }, "127.0.0.1:1", "127.0.0.1:2")
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
	d := &oraDialer{oracle: o, places: mustParse(t, o.DSN), log: slog.New(slog.DiscardHandler)}
	for range 5 {
		if _, err := d.connect(t.Context(), "read"); OracleCode(err) != 1017 {
			t.Errorf("got %v", err)
		}
	}
	if got := s.Stats().Refused; got != 1 {
		t.Errorf("the user was tried %d times, want once", got)
	}
	// After the pause one of many asks, and the others are told what is known.
	d.until = time.Now().Add(-time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := d.connect(t.Context(), "read"); OracleCode(err) != 1017 {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("after the pause the user was tried %d times in all, want 2", got)
	}
	// Whoever cannot ask leaves the question to the next.
	d.until = time.Now().Add(-time.Second)
	d.oracle.Password = "secret"
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.connect(t.Context(), "read"); err == nil || OracleCode(err) != 0 {
		t.Errorf("without listener: %v", err)
	}
	if err := s.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := d.connect(t.Context(), "read")
		if err != nil {
			t.Fatalf("with the right password: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
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
