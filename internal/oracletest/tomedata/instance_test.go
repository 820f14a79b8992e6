package tomedata

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
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
	f := func(stats, sql string) {
		t.Helper()
		w.wants(stats, "SELECT executions, elapsed_time FROM v$sqlstats WHERE sql_id = :1", c.ID())
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
	f("[[1 2000000]]", "[]")
	c.Run(1, second)
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

// DB time grows with what runs, but a PL/SQL block's only with what is its own.
func TestTimeModel(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	w.in.Cursor(Statement{Text: "SELECT 1 FROM books"}).Run(3, Cost{Elapsed: 2 * time.Second, CPU: time.Second, HardParses: 1, HardParse: time.Millisecond})
	w.in.Cursor(Statement{Text: "BEGIN read_all; END;"}).Run(1, Cost{Elapsed: 7 * time.Second, CPU: 4 * time.Second, PLSQL: time.Second})
	w.in.AddTime("DB time", 5*time.Second)
	w.wants("[[DB time 12000000] [DB CPU 3000000] [parse time elapsed 3000] [hard parse elapsed time 3000] [sql execute elapsed time 6000000] [PL/SQL execution elapsed time 1000000]]",
		"SELECT stat_name, value FROM v$sys_time_model WHERE value > 0")
}

// V$ views are of the instance that a session is connected to, GV$ views of all.
func TestInstances(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon, Version: "23.4.0.24.05"})
	w.wants("[[NO]]", "SELECT parallel FROM v$instance")
	second := w.in.Join(InstanceConfig{Service: "second", Startup: noon.Add(-time.Hour)})
	text := Statement{Text: "SELECT 1 FROM books"}
	w.in.Cursor(text).Run(1, Cost{})
	second.Cursor(text).Run(5, Cost{})
	second.AddTime("DB time", time.Second)
	other := w.open(w.s.Addr() + "/SECOND")
	f := func(first, second, query string, args ...any) {
		t.Helper()
		w.wants(first, query, args...)
		if got, err := w.ask(other, query, args...); err != nil || got != second {
			t.Errorf("%s at the second instance: %s, %v, want %s", query, got, err, second)
		}
	}
	f("[[1 tomehub1 dbhost1 23.4.0.24.05 2026-02-28 12:04:05 OPEN YES]]", "[[2 tomehub2 dbhost2 19.0.0.0.0 2026-03-01 11:04:05 OPEN YES]]",
		"SELECT instance_number, instance_name, host_name, version, TO_CHAR(startup_time, "+stamp+"), status, parallel FROM v$instance")
	f("[[1]]", "[[5]]", "SELECT executions FROM v$sqlstats WHERE sql_id = :1", SQLID(text.Text))
	f("[[1 1] [2 5]]", "[[1 1] [2 5]]", "SELECT inst_id, executions FROM gv$sqlstats WHERE sql_id = :1", SQLID(text.Text))
	f("[[5]]", "[[5]]", "SELECT executions FROM SYS.GV_$SQL WHERE sql_id = :1 AND inst_id = 2", SQLID(text.Text))
	f("[[1 0] [2 1000000]]", "[[1 0] [2 1000000]]", "SELECT inst_id, value FROM gv$sys_time_model WHERE stat_name = 'DB time'")
	f("[[1 1] [2 2]]", "[[1 1] [2 2]]", "SELECT inst_id, sid FROM gv$session")
	f("[[1]]", "[[2]]", "SELECT sid FROM v$session")
	f("[[1]]", "[[2]]", "SELECT SYS_CONTEXT('USERENV', 'INSTANCE') FROM dual")
	f("[[TOMEHUB NO READ WRITE]]", "[[TOMEHUB NO READ WRITE]]", "SELECT name, cdb, open_mode FROM v$database")
	second.Restart()
	f("[[1 1]]", "[[1 1]]", "SELECT inst_id, executions FROM gv$sqlstats WHERE sql_id = :1", SQLID(text.Text))
	if w.in.Number() != 1 || second.Number() != 2 {
		t.Error("numbers")
	}
}

// The test's sessions stand beside the double's, and samples are of those that are active.
func TestSessions(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon, Zone: zone, Container: 3})
	w.in.SetSessions(
		Session{SID: 100, SQLID: "aaaaaaaaaaaaa", Module: "tomehub", Action: "search", Program: "tomehub@app", Machine: "app", AudSID: 9},
		Session{SID: 101, Serial: 7, Event: "enq: TX - row lock contention", WaitClass: "Application", Wait: 1500 * time.Millisecond, SQLID: "bbbbbbbbbbbbb", Blocker: 100},
		Session{SID: 102, Status: "INACTIVE", Event: "SQL*Net message from client", WaitClass: "Idle"},
		Session{SID: 103, Type: "BACKGROUND", Event: "db file parallel write", WaitClass: "System I/O"},
	)
	w.wants("[[100 1 ACTIVE WAITED SHORT TIME Idle 0 aaaaaaaaaaaaa USER <nil> NOT IN WAIT] [101 7 ACTIVE WAITING Application 1500000 bbbbbbbbbbbbb USER 100 VALID]"+
		" [102 1 INACTIVE WAITING Idle 0 <nil> USER <nil> NO HOLDER] [103 1 ACTIVE WAITING System I/O 0 <nil> BACKGROUND <nil> NO HOLDER]]",
		"SELECT sid, serial#, status, state, wait_class, wait_time_micro, sql_id, type, blocking_session, blocking_session_status FROM v$session WHERE sid >= 100")
	w.wants("[[TOMEHUB tomehub search tomehub@app app 9 3 SQL*Net message from client]]",
		"SELECT username, module, action, program, machine, audsid, con_id, event FROM v$session WHERE sid = 100")
	w.wants("[[103]]", "SELECT sid FROM v$session WHERE username IS NULL")

	// Its own session runs the statement that asks.
	const own = "SELECT status, state, sql_id, audsid, blocking_session_status FROM v$session WHERE sid = SYS_CONTEXT('USERENV', 'SID')"
	w.wants("[[ACTIVE WAITED SHORT TIME "+SQLID(own)+" 40001 NOT IN WAIT]]", own)
	idle := w.open(w.s.DSN())
	if err := idle.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wants("[[2 INACTIVE WAITING Idle <nil>]]", "SELECT sid, status, state, wait_class, sql_id FROM v$session WHERE sid = 2")

	w.in.Sample()
	w.in.Advance(1500 * time.Millisecond)
	w.in.SetSessions(Session{SID: 100, SQLID: "ccccccccccccc"})
	w.in.Sample()
	w.wants("[[1 04:05.000 N 100 ON CPU <nil> <nil> aaaaaaaaaaaaa FOREGROUND] [1 04:05.000 N 101 WAITING enq: TX - row lock contention Application bbbbbbbbbbbbb FOREGROUND]"+
		" [1 04:05.000 N 103 WAITING db file parallel write System I/O <nil> BACKGROUND] [2 04:06.500 N 100 ON CPU <nil> <nil> ccccccccccccc FOREGROUND]]",
		"SELECT sample_id, TO_CHAR(sample_time, 'MI:SS.FF3'), is_awr_sample, session_id, session_state, event, wait_class, sql_id, session_type FROM v$active_session_history")
	for range 8 {
		w.in.Sample()
	}
	w.wants("[[10 Y]]", "SELECT sample_id, is_awr_sample FROM v$active_session_history WHERE is_awr_sample = 'Y'")
}

func TestGrants(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	v := w.in.Views()
	f := func(granted bool, view string) {
		t.Helper()
		switch _, err := w.ask(w.db, "SELECT COUNT(*) FROM "+view); {
		case !granted:
			wantORA(t, err, 942, "table or view does not exist")
		case err != nil:
			t.Error(view, err)
		}
	}
	v.Revoke("V$SQLSTATS", "sys.nothing", "V_$SQL")
	f(false, "v$sqlstats")
	f(false, "SYS.V_$SQLSTATS")
	f(false, "v$sql")
	f(true, "gv$sqlstats")
	f(true, "v$sqlstats_plan_hash")
	v.Grant("v$sqlstats")
	f(true, "v$sqlstats")
	f(false, "v$sql")
	v.Revoke()
	f(false, "v$instance")
	f(true, "dual")
	v.Grant()
	f(true, "v$sql")
}

// A test changes what the next reading sees.
func TestWatch(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	c := w.in.Cursor(Statement{Text: "SELECT 1 FROM books"})
	w.in.Views().Watch(func(name string, nth int) {
		if name == "V$SQLSTATS" && nth == 2 {
			c.Run(5, Cost{})
			w.in.Advance(time.Second)
		}
	})
	const q = "SELECT executions, TO_CHAR(SYSDATE, 'SS') FROM v$sqlstats WHERE sql_id = :1"
	w.wants("[[0 05]]", q, c.ID())
	w.wants("[[5 06]]", q, c.ID())
	w.wants("[[5 06]]", q, c.ID())
	if n := w.in.Views().Reads("v$sqlstats"); n != 3 {
		t.Error(n, "readings")
	}
}

// What ages out while a reading is on is not in the rest of it; what is loaded then is not either.
func TestReadingGoesOn(t *testing.T) {
	in := NewInstance(InstanceConfig{Time: noon})
	all := in.Fill(10)
	res, err := in.Views().answer(&oracletest.Call{SQL: "SELECT sql_id FROM v$sqlstats"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := res.Next(); err != nil {
			t.Fatal(err)
		}
	}
	all[0].AgeOut()
	all[5].AgeOut()
	in.Fill(5)
	rest, err := res.All()
	if err != nil || len(rest) != 6 {
		t.Errorf("%d rows, %v", len(rest), err)
	}
}

// The machine's clock goes, and may be put on.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewInstance(InstanceConfig{Zone: zone})
		begin := time.Now()
		f := func(want time.Duration) {
			t.Helper()
			if got := in.Now().Sub(begin); got != want {
				t.Errorf("%v after the beginning, want %v", got, want)
			}
		}
		time.Sleep(time.Second)
		f(time.Second)
		in.Advance(time.Hour)
		time.Sleep(time.Second)
		f(time.Hour + 2*time.Second)
		in.SetClock(begin.Add(time.Minute))
		time.Sleep(time.Second)
		f(time.Minute)
		in.Advance(-time.Second)
		f(time.Minute - time.Second)
		in.SetClock(time.Time{})
		f(3 * time.Second)
	})
}

// What the double executes is in the views, with the text, the schema and the module of its session, as often as the
// server has counted it; a profiler finds its own statements there.
func TestExecuted(t *testing.T) {
	in := NewInstance(InstanceConfig{Time: noon})
	s, err := oracletest.Start(oracletest.Config{Handler: New(WithViews(in.Views())), Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	in.Attach(s)
	w := &wire{t: t, in: in, s: s}
	w.db = w.open(s.DSN())
	exec := func(query string) error {
		_, err := w.db.ExecContext(t.Context(), query)
		return err
	}
	if err := exec("BEGIN DBMS_APPLICATION_INFO.SET_MODULE('tomehub', 'migrate'); END;"); err != nil {
		t.Fatal(err)
	}
	if err := exec(file(t, "migrations_create")); err != nil {
		t.Fatal(err)
	}
	if err := exec("/* tomehub:nothing */ DELETE FROM nothing"); err == nil {
		t.Error("an unknown statement passed")
	}
	for range 3 {
		w.wants("[]", file(t, "migrations"))
	}
	w.wants("[[2026-03-01 12:04:05 +0000 UTC]]", "SELECT SYSDATE FROM dual")
	const q = "/* tomehub:profile_own */ SELECT executions, parse_calls, rows_processed, module, action, parsing_schema_name FROM v$sql WHERE sql_text LIKE :1"
	w.wants("[[3 3 0 tomehub migrate TOMEHUB]]", q, "%tomehub:migrations *%")
	w.wants("[[1 1 0 tomehub migrate TOMEHUB]]", q, "%tomehub:nothing%")
	w.wants("[[3 3 2 tomehub migrate TOMEHUB]]", q, "%tomehub:profile%")
	counted := s.Stats().Executions
	for tag, n := range counted {
		if tag != "" {
			w.wants(fmt.Sprintf("[[%d]]", n), "SELECT SUM(executions) FROM v$sqlstats WHERE sql_text LIKE :1", "%tomehub:"+tag+" %")
		}
	}
	if counted["migrations"] != 3 {
		t.Error(counted)
	}
	w.wants("[[0]]", "SELECT value FROM v$sys_time_model WHERE stat_name = 'DB time'") // the clock stands
	in.SetClock(time.Time{})
	w.wants("[]", file(t, "migrations"))
	w.wants("[[1]]", "SELECT COUNT(*) FROM v$sys_time_model WHERE stat_name = 'DB time' AND value > 0")
}

func TestFill(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	w.in.Fill(25)
	w.in.Fill(5)[0].Run(1, Cost{})
	w.wants("[[30 1 30]]", "SELECT COUNT(*), MIN(version_count), COUNT(sql_id) FROM v$sqlstats WHERE sql_text LIKE 'SELECT b.id%'")
}

func named(name string, v any) any { return sql.Named(name, v) }
