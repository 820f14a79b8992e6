package tomedata

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	_ "github.com/sijms/go-ora/v2"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// noon is the time of the database in these tests: a Sunday's, whose wall shows 15:04:05 in zone.
var (
	noon = time.Date(2026, 3, 1, 12, 4, 5, 0, time.UTC)
	zone = time.FixedZone("", 3*3600)
)

// A wire is a database that a test asks through go-ora.
type wire struct {
	t  testing.TB
	in *Instance
	s  *oracletest.Server
	db *sql.DB
}

func overWire(t testing.TB, cfg InstanceConfig) *wire {
	t.Helper()
	in := NewInstance(cfg)
	s, err := oracletest.Start(oracletest.Config{Handler: in.Views(), Services: []string{"FREEPDB1", "SECOND"}, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	in.Attach(s)
	w := &wire{t: t, in: in, s: s}
	w.db = w.open(s.DSN())
	return w
}

func (w *wire) open(dsn string) *sql.DB {
	w.t.Helper()
	db, err := sql.Open("oracle", "oracle://tomehub:secret@"+dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	w.t.Cleanup(func() { _ = db.Close() })
	return db
}

// ask returns the rows as text.
func (w *wire) ask(db *sql.DB, query string, args ...any) (string, error) {
	rows, err := db.QueryContext(w.t.Context(), query, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", err
	}
	var all [][]any
	for rows.Next() {
		row, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return "", err
		}
		all = append(all, row)
	}
	return fmt.Sprint(all), rows.Err()
}

func (w *wire) wants(want, query string, args ...any) {
	w.t.Helper()
	if got, err := w.ask(w.db, query, args...); err != nil || got != want {
		w.t.Errorf("%s:\n got %s %v\nwant %s", query, got, err, want)
	}
}

// A statement is in the views at once, with its children summed by V$SQLSTATS, its time in the zone of the host.
func TestCursor(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon, Zone: zone})
	w.in.Cursor(Statement{Text: "SELECT 1 FROM books"}).Run(3, Cost{Elapsed: 5 * time.Millisecond, Gets: 7})
	w.wants("[[SELECT 1 FROM books 3 15000 21 2026-03-01 15:04:05]]", `SELECT sql_text, executions, elapsed_time, buffer_gets,
		TO_CHAR(last_active_time, 'YYYY-MM-DD HH24:MI:SS') FROM v$sqlstats WHERE elapsed_time > 0`)
}
