package oracletest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

const selectOne = "SELECT 1 FROM DUAL"

func one(ctx context.Context, db *sql.DB) error {
	var n int
	err := db.QueryRowContext(ctx, selectOne).Scan(&n)
	if err == nil && n != 1 {
		err = errors.New("SELECT 1 is not 1")
	}
	return err
}

func wantOne(t testing.TB, db *sql.DB) {
	t.Helper()
	if err := one(t.Context(), db); err != nil {
		t.Error(err)
	}
}

func TestFaultDropAfter(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	wantOne(t, db)
	s.DropAfter(20)
	if err := one(t.Context(), db); err == nil {
		t.Error("an answer through 20 bytes")
	}
	s.DropAfter(-1)
	wantOne(t, db)
	if n := s.Stats().SessionsOpened; n != 2 {
		t.Errorf("%d sessions opened", n)
	}
}

func TestFaultHalfPacketThenSilence(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1, "TIMEOUT=1")
	wantOne(t, db)
	s.HalfPacketThenSilence(1)
	err := one(t.Context(), db)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestFaultSlowFetch(t *testing.T) {
	const pause = 30 * time.Millisecond
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "SELECT n FROM many"
	h.rows(q, []Column{{Name: "N", Type: Number}}, ints(60)...)
	s.SlowFetch(pause)
	if got := s.latency("execute"); got != 0 {
		t.Errorf("execute waits %v", got)
	}
	began := time.Now()
	rows, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 60 {
		t.Errorf("%d rows, %v", n, err)
	}
	if took := time.Since(began); took < pause { // a lower bound: no machine is too slow for it
		t.Errorf("%d fetches took %v", s.Stats().Calls["fetch"], took)
	}
}

func ints(n int) [][]Value {
	var rows [][]Value
	for i := range n {
		rows = append(rows, []Value{int64(i)})
	}
	return rows
}

func TestFaultLatency(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	wantOne(t, db)
	s.Latency(20 * time.Millisecond)
	began := time.Now()
	wantOne(t, db)
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestFaultRefuseConnections(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 2)
	for _, refusal := range []int{12514, 12516, 12528} {
		s.RefuseConnections(refusal)
		wantCode(t, db.PingContext(t.Context()), refusal)
	}
	s.RefuseConnections(0)
	wantOne(t, db)
	if n := s.Stats().Refused; n != 3 {
		t.Errorf("%d refused", n)
	}
}

func TestFaultListenerDown(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	wantOne(t, db)
	if err := s.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	wantOne(t, db) // a session that is there stays
	other := open(t, s, 1)
	if err := other.PingContext(t.Context()); err == nil {
		t.Error("connected without a listener")
	}
	if err := s.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
	wantOne(t, other)
}

func TestFaultRedirect(t *testing.T) {
	to := start(t, Config{})
	s := start(t, Config{})
	s.Redirect(to.Addr())
	wantOne(t, open(t, s, 1))
	if a, b := s.Stats().SessionsOpened, to.Stats().SessionsOpened; a != 0 || b != 1 {
		t.Errorf("%d and %d sessions", a, b)
	}
}

func TestFaultFail(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	try := func(want int) {
		t.Helper()
		wantCode(t, one(t.Context(), db), want)
	}
	try(0)
	s.FailNext(60, 2)
	try(60)
	try(60)
	try(0)
	s.FailNth(8177, 3)
	try(0)
	try(0)
	try(8177)
	try(0)
	s.FailTag("", 1555)
	try(1555)
	s.FailTag("", 0)
	try(0)
	s.FailEvery(0.25, 4031, 7)
	failed := 0
	for range 400 {
		if code(one(t.Context(), db)) == 4031 {
			failed++
		}
	}
	if failed < 60 || failed > 140 {
		t.Errorf("%d of 400 failed, want about 100", failed)
	}
	s.FailEvery(0, 0, 0)
	try(0)
}

// A code after which Oracle is gone takes the connection with it.
func TestFaultFatalCode(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	wantOne(t, db)
	s.FailNext(3113, 1) // which go-ora knows
	if err := one(t.Context(), db); err != nil && code(err) != 3113 && !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("got %v", err)
	}
	await(t, "the session ends", func() bool { return s.Stats().SessionsClosed == 1 })
	wantOne(t, db)
	s.FailNext(2399, 1) // which it takes for any other error
	wantCode(t, one(t.Context(), db), 2399)
	await(t, "the session ends", func() bool { return s.Stats().SessionsClosed == 2 })
}

func TestFaultCommits(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "UPDATE t SET a = 1"
	h.on(q, func(context.Context, *Call) (*Result, error) { return &Result{Affected: 1}, nil })
	commit := func() error {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		return tx.Commit()
	}
	s.FailCommits(2091, 1)
	wantCode(t, commit(), 2091)
	if got := strings.Join(h.heard(), ", "); got != "rollback 1" {
		t.Errorf("heard %s", got)
	}
	s.LoseCommits(1)
	if err := commit(); err == nil {
		t.Error("the client heard of its commit")
	}
	await(t, "the session ends", func() bool { return s.Stats().SessionsClosed == 1 })
	if got := strings.Join(h.heard(), ", "); got != "rollback 1, commit 1, rollback 1" {
		t.Errorf("heard %s", got)
	}
	s.LoseCommits(1) // auto-commit has an answer to lose as well
	if _, err := db.ExecContext(t.Context(), q); err == nil {
		t.Error("the client heard of its auto-commit")
	}
	await(t, "the session ends", func() bool { return s.Stats().SessionsClosed == 2 })
}

func TestFaultFailLogins(t *testing.T) {
	s := start(t, Config{})
	db := open(t, s, 1)
	s.FailLogins(28000, 2)
	wantCode(t, one(t.Context(), db), 28000)
	wantCode(t, one(t.Context(), db), 28000)
	wantOne(t, db)
	if st := s.Stats(); st.Refused != 2 || st.SessionsOpened != 1 {
		t.Errorf("%+v", st)
	}
}
