package oracletest

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestErrorsHavePositions(t *testing.T) {
	s := start(t, Config{Handler: &script{}})
	db := open(t, s, 1)
	_, err := db.QueryContext(t.Context(), "SELECT * FROM nowhere")
	wantCode(t, err, 942)
	if e, ok := err.(interface{ ErrPos() int }); !ok || e.ErrPos() != 14 || !strings.Contains(err.Error(), "ORA-00942: table or view does not exist") {
		t.Errorf("got %#v", err)
	}
	s.ErrorsByMarker(true)
	for range 3 {
		_, err = db.ExecContext(t.Context(), "DELETE FROM nowhere")
		wantCode(t, err, 942)
	}
	var one int
	if err := db.QueryRowContext(t.Context(), "SELECT 1 FROM DUAL").Scan(&one); err != nil || one != 1 {
		t.Errorf("got %d, %v", one, err)
	}
}

func TestPlaceholdersAreCounted(t *testing.T) {
	s := start(t, Config{Handler: HandlerFunc(func(_ context.Context, c *Call) (*Result, error) {
		if parseStatement(c.SQL).kind == query {
			return &Result{Columns: []Column{{Name: "A"}}}, nil
		}
		return &Result{}, nil
	})})
	db := open(t, s, 1)
	try := func(want int, q string, args ...any) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), q, args...)
		wantCode(t, err, want)
	}
	try(0, "UPDATE t SET a = :a, b = ':no' /* :no */ WHERE c = :c AND d = q'[:no]'", 1, 2)
	try(1008, "UPDATE t SET a = :a, b = :b", 1)
	try(1036, "UPDATE t SET a = :a", 1, 2)
	rows, err := db.QueryContext(t.Context(), "SELECT a FROM t WHERE id IN (:ids)", []int64{1, 2})
	if err == nil {
		rows.Close()
	}
	wantCode(t, err, 1484)
}

func TestTransactions(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "UPDATE t SET a = 1"
	h.on(q, func(_ context.Context, c *Call) (*Result, error) { return &Result{Affected: 1}, nil })
	do := func(end func(*sql.Tx) error) {
		t.Helper()
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if h.lastCall(t).AutoCommit {
			t.Error("auto-commit inside a transaction")
		}
		if err := end(tx); err != nil {
			t.Fatal(err)
		}
	}
	do((*sql.Tx).Commit)
	do((*sql.Tx).Rollback)
	if _, err := db.ExecContext(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "the session ends", func() bool { return s.Stats().SessionsClosed == 1 })
	want := []string{"commit 1", "rollback 1", "commit 1", "rollback 1"}
	if d := cmp.Diff(want, h.heard()); d != "" {
		t.Error(d)
	}
}

func TestSessionsAndCursors(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	h.rows("SELECT 2 FROM DUAL", []Column{{Name: "N", Type: Number}}, []Value{2})
	if _, err := db.ExecContext(t.Context(), "ALTER SESSION SET NLS_DATE_FORMAT = 'YYYY-MM-DD' TIME_ZONE='+00:00'"); err != nil {
		t.Fatal(err)
	}
	var n int
	for range 20 {
		if err := db.QueryRowContext(t.Context(), "SELECT 2 FROM DUAL").Scan(&n); err != nil || n != 2 {
			t.Fatal(n, err)
		}
	}
	all := s.Sessions()
	if len(all) != 1 || all[0].User != "TOMEHUB" || all[0].Settings["NLS_DATE_FORMAT"] != "YYYY-MM-DD" || all[0].Settings["TIME_ZONE"] != "+00:00" {
		t.Errorf("sessions %+v", all)
	}
	if all[0].Cursors != 1 { // go-ora never closes the cursor of its SELECT SYSTIMESTAMP
		t.Errorf("%d cursors", all[0].Cursors)
	}
	s.CursorLimit(1)
	_, err := db.QueryContext(t.Context(), "SELECT 2 FROM DUAL")
	wantCode(t, err, 1000)
}

func TestPoolOfFifty(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 50)
	const q = "SELECT :n FROM DUAL"
	h.on(q, func(_ context.Context, c *Call) (*Result, error) {
		return &Result{Columns: []Column{{Name: "N", Type: Number}}, Rows: [][]Value{c.Rows[0]}}, nil
	})
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for i := range 40 {
				var n int
				if err := db.QueryRowContext(t.Context(), q, w*1000+i).Scan(&n); err != nil || n != w*1000+i {
					t.Errorf("asked %d, got %d, %v", w*1000+i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.PeakSessions > 50 || st.Executions[""] != 2000 {
		t.Errorf("%+v", st)
	}
}
