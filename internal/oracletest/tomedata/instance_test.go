package tomedata

import (
	"database/sql"
	"fmt"
	"strings"
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
	db, err := sql.Open("oracle", "oracle://tomehub:secret@"+dsn+"?PREFETCH_ROWS=1000")
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

const stamp = "'YYYY-MM-DD HH24:MI:SS'"

// The three views of cursors: a sum over the children with the current plan, a row for each plan, a row for each child.
func TestCursors(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon, Zone: zone, Container: 3})
	c := w.in.Cursor(Statement{Text: "SELECT 1 FROM books WHERE id = :1", Schema: "READER", Module: "tomehub", Action: "read", Plan: 100, Signature: 1<<63 + 5})
	id := c.ID()
	c.Run(2, Cost{
		Elapsed: 10 * time.Millisecond, CPU: time.Millisecond, Application: 2 * time.Millisecond, Concurrency: 3 * time.Millisecond, Cluster: 4 * time.Millisecond,
		UserIO: 5 * time.Millisecond, PLSQL: 6 * time.Microsecond, Gets: 7, Reads: 8, Rows: 9, Fetches: 10, Sorts: 11, Parses: 12, HardParses: 1, HardParse: 4 * time.Millisecond,
	})
	w.in.Advance(time.Minute)
	c.Flip(200)
	c.Run(1, Cost{Elapsed: time.Second, Gets: 1000})
	w.wants("[[200 3]]", "SELECT plan_hash_value, executions FROM v$sqlstats WHERE sql_id = :1", id)
	if n := c.AddChild(Child{Reasons: []string{"BIND_MISMATCH", "LANGUAGE_MISMATCH"}, Module: "sqlplus"}); n != 2 {
		t.Errorf("child %d", n)
	}
	c.Run(4, Cost{})
	w.in.Advance(time.Minute)
	c.Use(0).Run(1, Cost{Gets: 1}) // the plan of before, again

	const numbers = "executions, elapsed_time, cpu_time, application_wait_time, concurrency_wait_time, cluster_wait_time, user_io_wait_time, plsql_exec_time," +
		" buffer_gets, disk_reads, rows_processed, fetches, sorts, parse_calls, loads, invalidations"
	w.wants("[[100 8 1020000 2000 4000 6000 8000 10000 12 1015 16 18 20 22 24 5 0 3 4000 3]]",
		"SELECT plan_hash_value, "+numbers+", version_count, avg_hard_parse_time, con_id FROM v$sqlstats WHERE sql_id = :1", id)
	w.wants("[[2026-03-01 15:06:05]]", "SELECT TO_CHAR(last_active_time, "+stamp+") FROM v$sqlstats WHERE sql_id = :1", id)
	w.wants("[[100 3 20000 2000 4000 6000 8000 10000 12 15 16 18 20 22 24 3 0 1 4000] [200 5 1000000 0 0 0 0 0 0 1000 0 0 0 0 0 2 0 2 0]]",
		"SELECT plan_hash_value, "+numbers+", version_count, avg_hard_parse_time FROM v$sqlstats_plan_hash WHERE sql_id = :1", id)
	w.wants("[[0 100 3 tomehub read READER 3 N] [1 200 1 tomehub read READER 3 N] [2 200 4 sqlplus read READER 3 N]]",
		"SELECT child_number, plan_hash_value, executions, module, action, parsing_schema_name, command_type, is_obsolete FROM v$sql WHERE sql_id = :1", id)
	w.wants("[[0 2026-03-01/15:04:05 2026-03-01/15:04:05 2026-03-01 15:06:05] [1 2026-03-01/15:04:05 2026-03-01/15:05:05 2026-03-01 15:05:05] [2 2026-03-01/15:04:05 2026-03-01/15:05:05 2026-03-01 15:05:05]]",
		"SELECT child_number, first_load_time, last_load_time, TO_CHAR(last_active_time, "+stamp+") FROM v$sql WHERE sql_id = :1", id)
	w.wants("[[0 N N N N N N <nil>] [1 N N Y N N N <ChildNode><ChildNumber>1</ChildNumber><ID>1</ID><reason>ROLL_INVALID_MISMATCH</reason></ChildNode>]]",
		"SELECT child_number, bind_mismatch, optimizer_mismatch, roll_invalid_mismatch, language_mismatch, bind_equiv_failure, use_feedback_stats, reason FROM v$sql_shared_cursor WHERE sql_id = :1 AND child_number < 2", id)
	w.wants("[[2 Y Y 3]]", "SELECT child_number, bind_mismatch, language_mismatch, con_id FROM v$sql_shared_cursor WHERE child_number = 2")
	w.wants("[[9223372036854775813 SELECT 1 FROM books WHERE id = :1]]", "SELECT TO_CHAR(force_matching_signature), sql_fulltext FROM v$sqlstats WHERE sql_id = :1", id)
	w.wants("[["+id+"]]", "SELECT sql_id FROM v$sql WHERE force_matching_signature = :1 AND child_number = 0", "9223372036854775813")
	w.wants("[[3 "+id+"]]", "SELECT COUNT(*), MIN(sql_id) FROM v$sql WHERE last_active_time >= TO_DATE(:since, "+stamp+") AND module != :own", "2026-03-01 15:05:05", "tomedata.test")
	if c.Plan() != 100 {
		t.Error(c.Plan())
	}
}

// A cursor's counters run on, begin anew, and vanish.
func TestCursorOddities(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	c := w.in.Cursor(Statement{Text: "SELECT 1 FROM books"})
	versions := 1
	f := func(stats, sql string) {
		t.Helper()
		w.wants(stats, "SELECT executions, elapsed_time FROM v$sqlstats WHERE sql_id = :1", c.ID())
		if stats != "[]" {
			w.wants(fmt.Sprintf("[[%d]]", versions), "SELECT version_count FROM v$sqlstats WHERE sql_id = :1", c.ID())
		}
		w.wants(sql, "SELECT child_number, executions, elapsed_time, loads, invalidations, SUBSTR(first_load_time, 12), SUBSTR(last_load_time, 12) FROM v$sql WHERE sql_id = :1", c.ID())
	}
	second := Cost{Elapsed: time.Second}
	f("[[0 0]]", "[[0 0 0 1 0 12:04:05 12:04:05]]")
	c.Run(1, second)
	f("[[1 1000000]]", "[[0 1 1000000 1 0 12:04:05 12:04:05]]")
	c.Progress(second)
	f("[[1 2000000]]", "[[0 1 2000000 1 0 12:04:05 12:04:05]]")
	w.in.Advance(time.Minute)
	c.Invalidate()
	f("[[1 2000000]]", "[[0 1 2000000 2 1 12:04:05 12:05:05]]")
	c.Unload()
	versions = 0
	f("[[1 2000000]]", "[]")
	c.Run(1, second)
	versions = 1
	f("[[2 3000000]]", "[[0 1 1000000 1 0 12:04:05 12:05:05]]")
	c.Reset()
	f("[[0 0]]", "[[0 0 0 1 0 12:05:05 12:05:05]]")
	c.Run(3, second)
	c.AgeOut()
	f("[]", "[]")
	w.in.Advance(time.Minute)
	c.Run(1, second)
	f("[[1 1000000]]", "[[0 1 1000000 1 0 12:06:05 12:06:05]]")
	if again := w.in.Cursor(Statement{Text: "SELECT 1 FROM books"}); again != c {
		t.Error("the same text is another cursor")
	}
	w.in.Restart()
	f("[]", "[]")
	w.wants("[[2026-03-01 12:06:05]]", "SELECT TO_CHAR(startup_time, "+stamp+") FROM v$instance")
	w.wants("[[0]]", "SELECT value FROM v$sys_time_model WHERE stat_name = 'DB time'")
}

// Texts are cut to 1000 bytes between characters; the CLOB has all.
func TestLongText(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	long := "SELECT '" + strings.Repeat("x", 991) + strings.Repeat("é", 30_000) + "' FROM dual"
	c := w.in.Cursor(Statement{Text: long, ID: "0123456789abc"})
	var text, full string
	if err := w.db.QueryRowContext(t.Context(), "SELECT sql_text, sql_fulltext FROM v$sqlstats WHERE sql_id = '0123456789abc'").Scan(&text, &full); err != nil {
		t.Fatal(err)
	}
	if text != long[:999] || full != long || c.Text() != long {
		t.Errorf("%d and %d bytes", len(text), len(full))
	}
}

// SQL_IDs are Oracle's; signatures are equal where Oracle's are.
func TestSQLID(t *testing.T) {
	if got := SQLID("select * from dual"); got != "a5ks9fhw2v9s1" { // every Oracle's
		t.Error(got)
	}
	f := func(same bool, a, b string) {
		t.Helper()
		if x, y := ForceMatching(a), ForceMatching(b); x == 0 || y == 0 || (x == y) != same {
			t.Errorf("%q %d, %q %d", a, x, b, y)
		}
	}
	f(true, "SELECT 1 FROM t WHERE a = 'x'", "select  2 from /* a */ t where a='it''s'")
	f(false, "SELECT 1 FROM t", "SELECT 1 FROM u")
	f(false, "SELECT :a FROM t", "SELECT 1 FROM t")
	f(true, "it's broken", "it's broken")
	for _, none := range []string{"BEGIN x(1); END;", "declare a number; begin null; end;", "CALL x()", "INSERT INTO t (a) VALUES (1)"} {
		if got := ForceMatching(none); got != 0 {
			t.Errorf("%s: %d", none, got)
		}
	}
	if ForceMatching("INSERT INTO t (a) VALUES (:1)") == 0 {
		t.Error("an INSERT of binds has a signature")
	}
	for text, want := range map[string]int{"/* x */ select 1 from dual": 3, "INSERT INTO t (a) VALUES (1)": 2, "BEGIN NULL; END;": 47, "merge into t": 189, "it's": 3} {
		if got := commandOf(text); got != want {
			t.Errorf("%s is command %d, want %d", text, got, want)
		}
	}
}

func TestPlans(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	c := w.in.Cursor(Statement{Text: "SELECT 1 FROM books", Plan: 100, Steps: []Step{
		{ID: 0, Parent: -1, Operation: "SELECT STATEMENT", Cost: 70},
		{ID: 1, Parent: 0, Depth: 1, Operation: "TABLE ACCESS", Options: "FULL", Owner: "TOMEHUB", Object: "BOOKS", ObjectType: "TABLE", Cardinality: 5, Cost: 69, Filter: `"ID"=:1`},
	}})
	w.in.Fill(3) // have no steps
	const q = "SELECT child_number, plan_hash_value, id, parent_id, depth, operation, options, object_owner, object_name, object_type, cardinality, cost, access_predicates, filter_predicates FROM v$sql_plan WHERE sql_id = :1"
	full := `[0 100 0 <nil> 0 SELECT STATEMENT <nil> <nil> <nil> <nil> 0 70 <nil> <nil>] [0 100 1 0 1 TABLE ACCESS FULL TOMEHUB BOOKS TABLE 5 69 <nil> "ID"=:1]`
	w.wants("["+full+"]", q, c.ID())
	c.Flip(200, Step{ID: 1, Parent: 0, Operation: "INDEX", Options: "UNIQUE SCAN", Access: "x"})
	w.wants("["+full+" [1 200 1 0 0 INDEX UNIQUE SCAN <nil> <nil> <nil> 0 0 x <nil>]]", q, c.ID())
	w.wants("[[3]]", "SELECT COUNT(*) FROM v$sql_plan")
	c.Unload()
	w.wants("[]", q, c.ID())
}

func named(name string, v any) any { return sql.Named(name, v) }
