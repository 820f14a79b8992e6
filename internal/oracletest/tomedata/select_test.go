package tomedata

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sijms/go-ora/v2/network"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// things is a view of every type, with NULLs, an empty text, and a number above 64 bits with a sign.
func things() View {
	at := time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)
	v := oracletest.Value("tall")
	return View{
		Columns: []oracletest.Column{
			{Name: "ID", Type: oracletest.Number}, {Name: "NAME", Size: 20}, {Name: "BORN", Type: oracletest.Date}, {Name: "NOTE", Type: oracletest.Clob},
			{Name: "BIG", Type: oracletest.Number}, {Name: "SEEN", Type: oracletest.Timestamp}, {Name: "KEY#", Type: oracletest.Raw, Size: 8},
		},
		Rows: func() [][]oracletest.Value {
			return [][]oracletest.Value{
				{int64(1), "a_b", at, "note é", oracletest.Decimal("18446744073709551615"), at.Add(1500 * time.Millisecond), []byte{1}},
				{int64(2), "A%B", at.Add(time.Hour), v, int64(7), at, []byte{2}},
				{int64(3), "", nil, nil, nil, nil, nil},
				{0.5, "'q'", at.Add(day), "", int64(-7), at, nil},
			}
		},
	}
}

// Each operator, function and name, through go-ora.
func TestSelect(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon, Zone: zone})
	w.in.Views().Set("V$THINGS", things())
	f := w.wants
	f("[[1] [2] [3] [.5]]", "SELECT TO_CHAR(id) FROM v$things")
	f("[[1 a_b 2026-03-01 08:30:00 +0000 UTC note é]]", "SELECT id, name, born, note FROM v$things WHERE id = 1")

	// Comparisons; NULL is none of them.
	f("[[2] [3]]", "SELECT id FROM v$things WHERE id > 1")
	f("[[1] [2] [3]]", "SELECT id FROM v$things WHERE id >= 1")
	f("[[0.5]]", "SELECT id FROM v$things WHERE id < 1")
	f("[[1] [0.5]]", "SELECT id FROM v$things WHERE id <= 1.0")
	f("[[1] [0.5]]", "SELECT id FROM v$things WHERE name != 'A%B'")
	f("[[1] [0.5]]", "SELECT id FROM v$things WHERE 'A%B' <> name")
	f("[]", "SELECT id FROM v$things WHERE name = ''")
	f("[]", "SELECT id FROM v$things WHERE name = NULL")
	f("[[3]]", "SELECT id FROM v$things WHERE name IS NULL")
	f("[[1] [2]]", "SELECT id FROM v$things WHERE note IS NOT NULL AND name IS NOT NULL")
	f("[[1]]", "SELECT id FROM v$things WHERE big = 18446744073709551615")
	f("[[1]]", "SELECT id FROM v$things WHERE big > 18446744073709551614")
	f("[[2]]", "SELECT id FROM v$things WHERE big = '7'")
	f("[[0.5]]", "SELECT id FROM v$things WHERE name = '''q'''")
	f("[[2]]", "SELECT id FROM v$things WHERE born > TO_DATE('2026-03-01 08:30:00', 'YYYY-MM-DD HH24:MI:SS') AND id > 1")
	f("[[1] [2]]", "SELECT id FROM v$things WHERE born < TO_DATE('2026-03-02', 'YYYY-MM-DD')")
	f("[[1]]", "SELECT id FROM v$things WHERE seen > TO_DATE('2026-03-01 08:30:00', 'YYYY-MM-DD HH24:MI:SS')")

	// Lists and patterns.
	f("[[1] [2]]", "SELECT id FROM v$things WHERE id IN (1, 2, 7)")
	f("[[2] [3]]", "SELECT id FROM v$things WHERE id NOT IN (1) AND ROWNUM <= 2")
	f("[]", "SELECT id FROM v$things WHERE ROWNUM = 2") // there is no second row without a first
	f("[[2] [3] [0.5]]", "SELECT id FROM v$things WHERE id NOT IN (1)")
	f("[]", "SELECT id FROM v$things WHERE id NOT IN (1, NULL)")
	f("[[1]]", "SELECT id FROM v$things WHERE id IN (NULL, 1)")
	f("[[1] [2]]", "SELECT id FROM v$things WHERE name LIKE '___'  AND name LIKE '%_' AND big > 0")
	f("[[1]]", `SELECT id FROM v$things WHERE name LIKE 'a\_b' ESCAPE '\'`)
	f("[[1] [0.5]]", "SELECT id FROM v$things WHERE name NOT LIKE 'A%'")
	f("[[1]]", "SELECT id FROM v$things WHERE note LIKE '%é'")
	f("[[1]]", "SELECT id FROM v$things WHERE name LIKE '%%a%b%'")

	// Binds: by position, by name, repeated, NULL.
	f("[[2]]", "SELECT id FROM v$things WHERE id = :1", 2)
	f("[[1] [2]]", "SELECT id FROM v$things WHERE id IN (:a, :b)", 1, 2)
	f("[[2 2]]", "SELECT id, :n FROM v$things WHERE id = :n AND name = :name", named("name", "A%B"), named("n", 2))
	f("[]", "SELECT id FROM v$things WHERE id = :1", nil)
	f("[[0.5]]", "SELECT id FROM v$things WHERE id = :1", 0.5)

	// Functions, arithmetic, names.
	f("[[a_b b]]", "SELECT SUBSTR(name, 1, 3), SUBSTR(name, -1) FROM v$things WHERE id = 1")
	f("[[<nil> a]]", "SELECT SUBSTR(name, 4, 2), SUBSTR(name, 0, 1) FROM v$things WHERE id = 1")
	f("[[é]]", "SELECT SUBSTR(note, 6, 10) FROM v$things WHERE id = 1")
	f("[[none 0]]", "SELECT NVL(name, 'none'), NVL(big, 0) FROM v$things WHERE id = 3")
	f("[[18446744073709551615]]", "SELECT TO_CHAR(big) FROM v$things WHERE id = 1")
	f("[[01.03.2026 08:30]]", "SELECT TO_CHAR(born, 'DD.MM.YYYY HH24:MI') FROM v$things WHERE id = 1")
	f("[[01-MAR-26]]", "SELECT TO_CHAR(born) FROM v$things WHERE id = 1")
	f("[[08:30:01.500000]]", "SELECT TO_CHAR(seen, 'HH24:MI:SS.FF') FROM v$things WHERE id = 1")
	f("[[2026-03-01 15:04:05 2026-03-01 15:04:00]]", "SELECT TO_CHAR(SYSDATE, 'YYYY-MM-DD HH24:MI:SS'), TO_CHAR(SYSDATE - 5/86400, 'YYYY-MM-DD HH24:MI:SS') FROM DUAL")
	f("[[2026-03-01 15:04:05 +03:00]]", "SELECT TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS TZH:TZM') FROM dual")
	f("[[2026-03-01 15:04:05 +0000 UTC X]]", "SELECT SYSDATE now, dummy FROM SYS.DUAL")
	f("[[7 2 -1 1.5]]", "SELECT 1 + 2 * 3, 8 / (2 + 2), -1, 3 / 2 FROM dual")
	f("[[1]]", "SELECT born - TO_DATE(:d, 'YYYY-MM-DD HH24:MI:SS') FROM v$things WHERE id = 0.5", "2026-03-01 08:30:00")
	f("[[4 3 2 -7 18446744073709551615 18446744073709551615]]", "SELECT COUNT(*), COUNT(name), COUNT(note), MIN(big), MAX(big), SUM(big) FROM v$things")
	f("[[0 <nil> 0]]", "SELECT COUNT(*), MAX(id), NVL(SUM(id), 0) FROM v$things WHERE id > 5")
	f("[['q' a_b 2026-03-02 08:30:00 +0000 UTC]]", "SELECT MIN(name), MAX(name), MAX(t.born) FROM v$things t")
	f("[[1 TOMEHUB 1]]", "SELECT SYS_CONTEXT('USERENV', 'SID'), SYS_CONTEXT('userenv', 'session_user'), SYS_CONTEXT('USERENV', 'INSTANCE') FROM dual")
	f("[[1]]", "SELECT id FROM SYS.V_$THINGS x WHERE x.id = 1")
}

// Column names and types are as Oracle gives them.
func TestSelectColumns(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	w.in.Views().Set("V$THINGS", things())
	f := func(query, want string) {
		t.Helper()
		rows, err := w.db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, c := range types {
			all = append(all, c.Name()+" "+c.DatabaseTypeName())
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", query, got, want)
		}
	}
	f("SELECT id, t.name, born AS b, note n, TO_CHAR(id) FROM v$things t", "ID NUMBER, NAME NCHAR, B DATE, N LongVarChar, TO_CHAR(ID) NCHAR")
	f("SELECT COUNT(*), SUM(id) total, MAX(t.born) FROM v$things t WHERE id < 0", "COUNT(*) NUMBER, TOTAL NUMBER, MAX(T.BORN) DATE")
	f("SELECT SUBSTR(note, 1, 5), NVL(name, 'none') FROM v$things", "SUBSTR(NOTE,1,5) LongVarChar, NVL(NAME,'none') NCHAR")
	f("SELECT TO_CHAR(SYSDATE, 'YYYY') FROM dual", "TO_CHAR(SYSDATE,'YYYY') NCHAR")
	f("SELECT seen FROM v$things", "SEEN TimeStampDTY")
}

func wantORA(t testing.TB, err error, code int, with string) {
	t.Helper()
	var e *network.OracleError
	if !errors.As(err, &e) || e.ErrCode != code || !strings.Contains(err.Error(), with) {
		t.Errorf("error %v, want ORA-%05d with %q", err, code, with)
	}
}

func (w *wire) refuses(code int, with, query string, args ...any) {
	w.t.Helper()
	_, err := w.ask(w.db, query, args...)
	if wantORA(w.t, err, code, with); w.t.Failed() {
		w.t.Fatal(query)
	}
}

// What is not known is refused with Oracle's code, and what is beyond tomedata with what it knows.
func TestSelectRefused(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	w.in.Views().Set("V$THINGS", things())
	f := w.refuses
	f(942, "", "SELECT id FROM v$nothing")
	f(942, "", "SELECT id FROM SYS.v$things") // a public synonym is not SYS's
	f(942, "", "SELECT id FROM v_$things")    // and the view is nobody else's
	f(942, "", "SELECT id FROM tomehub.v$things")
	f(904, `"NOTHING"`, "SELECT nothing FROM v$things")
	f(904, `"X"."ID"`, "SELECT x.id FROM v$things t")
	f(904, "TO_CHAR, TO_DATE", "SELECT UPPER(name) FROM v$things")
	f(904, "", "SELECT id FROM v$things WHERE nothing = 1")
	f(904, "", "SELECT module FROM v$sqlstats") // as in Oracle
	f(904, "", "SELECT avg_hard_parse_time FROM v$sql")
	for _, rest := range []string{
		"ORDER BY id", "WHERE id = 1 OR id = 2", "WHERE id = 1 ORDER BY id", "FETCH FIRST 1 ROWS ONLY", "GROUP BY id", "WHERE NOT id = 1",
		"WHERE EXISTS (SELECT 1 FROM dual)", "a, v$sql b", "JOIN v$sql ON 1 = 1", "WHERE id NOT = 1", "WHERE id = 1;",
	} {
		f(933, "tomedata knows SELECT expressions FROM", "SELECT id FROM v$things "+rest)
	}
	f(920, "", "SELECT id FROM v$things WHERE id BETWEEN 1 AND 2")
	f(920, "", "SELECT id FROM v$things WHERE id")
	f(923, "", "SELECT id")
	f(923, "", "SELECT id name born FROM v$things")
	f(903, "", "SELECT id FROM (SELECT id FROM v$things)")
	f(936, "", "SELECT * FROM v$things")
	f(936, "", "SELECT id, FROM v$things")
	f(936, "", "SELECT id FROM v$things WHERE")
	f(936, "", "SELECT id FROM v$things WHERE id = ")
	f(904, "", "SELECT CASE WHEN 1 = 1 THEN 1 END FROM dual")
	f(907, "", "SELECT SUBSTR(name, 1 FROM v$things")
	f(908, "", "SELECT id FROM v$things WHERE id IS 1")
	f(909, "", "SELECT TO_DATE('2026') FROM dual")
	f(939, "", "SELECT NVL(1, 2, 3) FROM dual")
	f(934, "", "SELECT id FROM v$things WHERE COUNT(*) = 1")
	f(935, "", "SELECT SUM(MAX(id)) FROM v$things")
	f(937, "", "SELECT id, COUNT(*) FROM v$things")
	f(913, "", "SELECT "+strings.Repeat("(", 100)+"1 FROM dual")
	f(936, "", "SELECT "+strings.Repeat("- ", 100)+"1 FROM dual")
}

// Nothing is converted by a session's settings or a client's zone, and values have their limits.
func TestSelectValuesRefused(t *testing.T) {
	w := overWire(t, InstanceConfig{Time: noon})
	w.in.Views().Set("V$THINGS", things())
	f := w.refuses
	f(932, "TO_DATE", "SELECT id FROM v$things WHERE born > '2026-03-01'")
	f(932, "TO_DATE", "SELECT id FROM v$things WHERE born > :1", "2026-03-01")
	f(932, "zone", "SELECT id FROM v$things WHERE born > :1", noon)
	f(932, "zone", "SELECT id FROM v$things WHERE born > SYSTIMESTAMP")
	f(932, "", "SELECT id FROM v$things WHERE note = 'tall'")
	f(932, "", "SELECT id FROM v$things WHERE key# = 'tall'")
	f(932, "", "SELECT SUM(name) FROM v$things")
	f(932, "", "SELECT MAX(note) FROM v$things")
	f(932, "", "SELECT NVL(born, 'none') FROM v$things")
	f(932, "", "SELECT born + born FROM v$things")
	f(932, "", "SELECT TO_DATE(SYSDATE, 'YYYY') FROM dual")
	f(1722, "", "SELECT id FROM v$things WHERE name = 1")
	f(1722, "", "SELECT id + 'x' FROM v$things")
	f(1476, "", "SELECT 1 / 0 FROM dual")
	f(1476, "", "SELECT id FROM v$things WHERE 1 / (id - 1) > 0")
	f(1481, "", "SELECT TO_CHAR(id, '999') FROM v$things")
	f(1821, "YYYY", "SELECT TO_CHAR(SYSDATE, 'Q') FROM dual")
	f(1821, "", "SELECT TO_DATE('1', 'Q') FROM dual")
	f(1821, "", "SELECT TO_DATE('MAR', 'MON') FROM dual")
	f(1830, "", "SELECT TO_DATE('2026-03-01 10', 'YYYY-MM-DD') FROM dual")
	f(1841, "", "SELECT SYSDATE + 1000000 FROM dual")
	f(1843, "", "SELECT TO_DATE('2026-02-30', 'YYYY-MM-DD') FROM dual")
	f(1861, "", "SELECT TO_DATE('26-03-01', 'YYYY-MM-DD') FROM dual")
	f(1861, "", "SELECT TO_DATE('2026/03', 'YYYY-MM') FROM dual")
	f(1424, "", `SELECT id FROM v$things WHERE name LIKE 'a\b' ESCAPE '\'`)
	f(1425, "", "SELECT id FROM v$things WHERE name LIKE 'a' ESCAPE 'ab'")
	f(2003, "", "SELECT SYS_CONTEXT('USERENV', 'NOTHING') FROM dual")
	w.in.Cursor(Statement{Text: "SELECT '" + strings.Repeat("x", 5000) + "' FROM dual"})
	f(22835, "", "SELECT TO_CHAR(sql_fulltext) FROM v$sqlstats")
}

// Days in seconds give whole seconds, whatever their fraction is in binary.
func TestSecondsOfADay(t *testing.T) {
	for seconds := int64(1); seconds < 4000; seconds++ {
		days, err := calculate("/", seconds, int64(86400))
		if err != nil {
			t.Fatal(err)
		}
		got, err := calculate("-", noon, days)
		if want := noon.Add(-time.Duration(seconds) * time.Second); err != nil || got != want {
			t.Errorf("%v - %d/86400 is %v, %v", noon, seconds, got, err)
		}
	}
}

// The same name at two positions has two values when the driver sends them so.
func TestBindsByPosition(t *testing.T) {
	in := NewInstance(InstanceConfig{Time: noon})
	f := func(want string, names []string, row []oracletest.Value) {
		t.Helper()
		res, err := in.Views().answer(&oracletest.Call{SQL: "SELECT :a, :b, :a FROM dual", Names: names, Rows: [][]oracletest.Value{row}})
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := res.All(); err != nil || fmt.Sprint(rows) != want {
			t.Errorf("%v, %v, want %s", rows, err, want)
		}
	}
	f("[[1 2 3]]", []string{"A", "B", "A"}, []oracletest.Value{int64(1), int64(2), int64(3)})
	f("[[1 2 1]]", []string{"B", "A"}, []oracletest.Value{int64(2), int64(1)})
	_, err := in.Views().answer(&oracletest.Call{SQL: "SELECT :a FROM dual", Names: []string{"B"}, Rows: [][]oracletest.Value{{int64(2)}}})
	wantCode(t, err, 1008)
}

func TestLike(t *testing.T) {
	f := func(s, p string, want bool) {
		t.Helper()
		steps, err := patternOf(p, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := steps.match([]rune(s)); got != want {
			t.Errorf("%q LIKE %q is %v", s, p, got)
		}
	}
	f("", "", true)
	f("", "%", true)
	f("", "_", false)
	f("abc", "abc", true)
	f("abc", "ab", false)
	f("abc", "a%c", true)
	f("abcbc", "a%bc", true) // the % takes the first bc too
	f("abcb", "a%bc", false)
	f("aXbXc", "a%b%c", true)
	f("é", "_", true)
	f("/* tomehub:profile_sqlstats */ SELECT", "%tomehub:profile%", true)
	f(strings.Repeat("a", 5000), strings.Repeat("%a", 40)+"b", false) // not in the time of all ways
}

// No text makes the reader panic, and whatever it accepts can be run.
func FuzzSelect(f *testing.F) {
	for _, s := range []string{
		"SELECT sql_id, TO_CHAR(force_matching_signature) AS s FROM v$sqlstats WHERE last_active_time >= TO_DATE(:since, 'YYYY-MM-DD HH24:MI:SS') - 5/86400",
		"SELECT COUNT(*), NVL(SUM(x.executions), 0) FROM SYS.V_$SQL x WHERE x.sql_id IN (:1, :2) AND sql_text NOT LIKE '%a\\_%' ESCAPE '\\' AND child_number IS NOT NULL",
		"SELECT SUBSTR(name, -1, 2), born - 1, -id * 1.5 / 2, big FROM v$things t WHERE id <> .5 AND (1) = 1",
		"SELECT TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SSXFF TZH:TZM'), SYS_CONTEXT('USERENV', 'SID') FROM DUAL",
		"SELECT MIN(born), MAX(name), COUNT(note) FROM v$things WHERE seen < TO_DATE('', '') AND 1 IN (NULL)",
		"/* x */ SELECT --\n 'a''b' \xff:é FROM dual",
	} {
		f.Add(s, "2026-03-01 08:30:00")
	}
	in := NewInstance(InstanceConfig{Time: noon})
	in.Views().Set("V$THINGS", things())
	in.Fill(2)
	s := &oracletest.Session{User: "TOMEHUB", ID: 1, Settings: map[string]string{}}
	f.Fuzz(func(t *testing.T, query, bound string) {
		res, err := in.Views().answer(&oracletest.Call{Session: s, SQL: query, Names: []string{"SINCE", "1", "2"}, Rows: [][]oracletest.Value{{bound, 1.5, nil}}})
		var e *oracletest.Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%q: %v is no error of Oracle", query, err)
			}
			return
		}
		rows, err := res.All()
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%q: %v is no error of Oracle", query, err)
		}
		for _, row := range rows {
			if len(row) != len(res.Columns) {
				t.Fatalf("%q: a row of %d for %d columns", query, len(row), len(res.Columns))
			}
			for i, v := range row {
				if !fits(res.Columns[i].Type, v) {
					t.Fatalf("%q: column %d of type %d is %T", query, i, res.Columns[i].Type, v)
				}
			}
		}
	})
}

func fits(typ oracletest.Type, v oracletest.Value) bool {
	switch v.(type) {
	case nil:
		return true
	case string:
		return typ == oracletest.Varchar2 || typ == oracletest.Clob
	case time.Time:
		return isTime(typ)
	case []byte:
		return typ == oracletest.Raw
	}
	return typ == oracletest.Number
}

// A test's own views need no instance.
func TestViews(t *testing.T) {
	views := &Views{}
	views.Set("v$session", View{
		Columns: []oracletest.Column{{Name: "SID", Type: oracletest.Number}, {Name: "MODULE"}},
		Rows: func() [][]oracletest.Value {
			return [][]oracletest.Value{{int64(1), "tomehub"}, {int64(2), "sqlplus"}}
		},
	})
	c := New(WithViews(views)).client(t)
	f := func(want, sql string, binds ...any) {
		t.Helper()
		if got := fmt.Sprint(c.must(sql, binds...)); got != want {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	f("[[1 tomehub] [2 sqlplus]]", "SELECT s.sid, s.module FROM v$session s")
	f("[[2]]", "/* tomehub:profile */ SELECT sid FROM v$session WHERE module = 'sqlplus'")
	f("[[tomehub]]", "SELECT module FROM v$session WHERE sid = :sid AND module = 'tomehub'", "sid", 1)
	f("[[2]]", "SELECT COUNT(*) FROM v$session")
	c.fails(942, "SELECT sid FROM v$nowhere")
	c.fails(904, "SELECT nothing FROM v$session")
	c.fails(933, "SELECT sid FROM v$session ORDER BY sid")
}
