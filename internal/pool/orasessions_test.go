package pool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestOracleSessions holds what plain sessions promise: who they are, how many, how many rows come at once, that the end of a
// context ends a statement, and that a lost session is not used again.
func TestOracleSessions(t *testing.T) {
	s := double(t, &numbers{})
	o := account(s)
	o.Prefetch = 500
	db, err := OpenOracleSessions(t.Context(), o, 2, "profile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		await(t, "every session logged off", func() bool { return s.Stats().Sessions == 0 })
	})
	if all := s.Sessions(); len(all) != 1 || all[0].Module != "tomehub" || all[0].Action != "profile" {
		t.Errorf("%+v", all)
	}
	s.ResetStats()
	rows, err := db.QueryContext(t.Context(), many, 2000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 2000 {
		t.Errorf("%d rows, %v", n, err)
	}
	if fetches := s.Stats().Calls["fetch"]; fetches < 3 || fetches > 4 { // the first rows come with the answer to the query
		t.Errorf("%d fetches", fetches)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, block); err == nil {
		t.Error("a statement outlived its context")
	}
	var got int
	if err := db.QueryRowContext(t.Context(), echo, 5).Scan(&got); err != nil {
		t.Errorf("on the session after it: %v", err)
	}
	s.KillSessions()
	if err := db.QueryRowContext(t.Context(), echo, 5).Scan(&got); err == nil || NotAnswered(err) == false {
		t.Errorf("on a session that was killed: %v", err)
	}
	if err := db.QueryRowContext(t.Context(), echo, 5).Scan(&got); err != nil || got != 5 {
		t.Errorf("on the next session: %d, %v", got, err)
	}
}

// TestOracleSessionsRefused holds that faults of connecting are one line without the password.
func TestOracleSessionsRefused(t *testing.T) {
	s := double(t, &numbers{})
	f := func(change func(*Oracle), n int, want string) {
		t.Helper()
		o := account(s)
		change(&o)
		_, err := OpenOracleSessions(t.Context(), o, n, "profile")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wrong-one") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(o *Oracle) { o.Password = "wrong-one" }, 1, "check DB_USER and DB_PASSWORD (ORA-01017)")
	f(func(o *Oracle) { o.DSN = "127.0.0.1:1/x" }, 1, "nothing listens there")
	f(func(o *Oracle) { o.User = "" }, 1, "DB_USER is empty")
	f(func(o *Oracle) { o.Prefetch = MaxPrefetch + 1 }, 1, "want 0 to 10000")
	f(func(*Oracle) {}, 0, "0 sessions")
}
