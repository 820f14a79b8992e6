package tomedata

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

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
		Session{SID: 104, Status: "INACTIVE"},
		Session{SID: 103, Type: "BACKGROUND", Event: "db file parallel write", WaitClass: "System I/O"},
	)
	w.wants("[[100 1 ACTIVE WAITED SHORT TIME Idle 0 aaaaaaaaaaaaa USER <nil> NOT IN WAIT] [101 7 ACTIVE WAITING Application 1500000 bbbbbbbbbbbbb USER 100 VALID]"+
		" [102 1 INACTIVE WAITING Idle 0 <nil> USER <nil> NO HOLDER] [104 1 INACTIVE WAITED SHORT TIME Idle 0 <nil> USER <nil> NOT IN WAIT] [103 1 ACTIVE WAITING System I/O 0 <nil> BACKGROUND <nil> NO HOLDER]]",
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
	v.Revoke("V$SQLSTATS", "V_$SQL")
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
