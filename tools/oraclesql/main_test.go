package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestOurs holds that what the server sends is Oracle's SQL.
func TestOurs(t *testing.T) {
	var out strings.Builder
	if n, err := run(os.DirFS("../.."), &out); err != nil || n != 0 {
		t.Errorf("%d faults, %v:\n%s", n, err, out.String())
	}
}

// TestProfilersForms holds the same of the forms that the profiler makes of its files: over all instances, with a list of ids,
// and without conditions.
func TestProfilersForms(t *testing.T) {
	const dir = "../../profiler/sql/oracle"
	files, err := fs.Glob(os.DirFS(dir), "*.sql")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files in %s, %v", len(files), dir, err)
	}
	for _, name := range files {
		body, err := fs.ReadFile(os.DirFS(dir), name)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Replace(string(body), "\nFROM v$", "\nFROM gv$", 1)
		if !strings.Contains(all, "MIN(") {
			all = strings.Replace(all, "EXACT */ ", "EXACT */ inst_id, ", 1)
		}
		whole, _, _ := strings.Cut(string(body), "\nWHERE ")
		for _, text := range []string{all, strings.Replace(all, "(:id)", "(:id1, :id2, :id3)", 1), whole} {
			if _, faults := checkFile(text, false); len(faults) > 0 {
				t.Errorf("%s: %v in %s", name, faults, text)
			}
		}
	}
}

// TestPlanted plants what is not Oracle's SQL, in what is otherwise sound.
func TestPlanted(t *testing.T) {
	f := func(sql, want string) {
		t.Helper()
		var all []string
		for _, f := range checkStatement(sql) {
			all = append(all, f.message)
		}
		switch got := strings.Join(all, "\n"); {
		case want == "" && got != "":
			t.Errorf("%s: %s", sql, got)
		case want != "" && !strings.Contains(got, want):
			t.Errorf("%s: got %q, want a fault with %q", sql, got, want)
		}
	}
	const sound = "SELECT c.id, SCORE(1) AS score FROM t c WHERE CONTAINS(c.words, :query, 1) > 0 ORDER BY SCORE(1) DESC, c.id"
	f(sound, "")
	f(sound+" OFFSET :o ROWS FETCH NEXT :n ROWS ONLY", "")
	f("WITH best AS ("+sound+" OFFSET :o ROWS FETCH NEXT :n ROWS ONLY) SELECT best.id FROM best", "")
	f("WITH best AS ("+sound+" OFFSET ROWS FETCH NEXT :n ROWS ONLY) SELECT best.id FROM best", "column")
	f("WITH best AS ("+sound+" LIMIT :n) SELECT best.id FROM best", "column")
	f(sound+" LIMIT 10", "column")
	f(sound+" LIMIT :n OFFSET :o", "column")
	f("SELECT id FROM t WHERE id = $1", "column")
	f("SELECT id FROM t WHERE name ILIKE :name", "column")
	f("INSERT INTO t (id) VALUES (:id) ON CONFLICT DO NOTHING", "column")
	f("INSERT INTO t (id) VALUES (:id), (:other)", "column")
	f("INSERT OR IGNORE INTO t (id) VALUES (:id)", "column")
	f("SELECT id FROM t;", "a semicolon after the statement")
	f("BEGIN NULL; END;", "")
	f("BEGIN NULL END;", "column")
	f("SELECT id FROM t SELECT id FROM t", "column")
	f("", "no statement")
	f("/* only words */", "no statement")
	f("SELECT id FROM t WHERE id = ?", "placeholder ?")
	f("SELECT id FROM t WHERE id IN (SELECT id FROM u)", "")
	f("SELECT id FROM t WHERE id IN :ids", "IN over one bind")
	f("SELECT id FROM t WHERE name = ''", "comparison with ''")
	f("SELECT IFNULL(name, 'x') FROM t", "not a function of Oracle")
	f("SELECT id FROM t WHERE CONTAINS(words, :q, 1) = 1", "CONTAINS gives a score")
	f("SELECT id FROM t -- it's short", "a comment with --")
	f("CREATE TABLE t (id NUMBER(19) NOT NULL, o NUMBER(10) GENERATED ALWAYS AS (FLOOR(id / 4)) VIRTUAL, PRIMARY KEY (id)) ORGANIZATION INDEX", "")
	f("CREATE TABLE t (id NUMBER(19), o NUMBER(10) GENERATED ALWAYS AS (FLOOR(id / )) VIRTUAL)", "column")
	f("CREATE TABLE t (id NUMBER(19), o NUMBER(10) GENERATED ALWAYS AS (FLOOR(id / 4)) STORED)", "column")
	f("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)", "column")
	f("CREATE TABLE t (id NUMBER(19)) WITHOUT ROWID", "column")
	f("CREATE TABLE IF NOT EXISTS t (id NUMBER(19))", "column")
	f("CREATE TABLE t (id NUMBER(19), name TEXT NOT NULL)", "TEXT: not a type")
	f("CREATE GLOBAL TEMPORARY TABLE t (old BOOLEAN)", "BOOLEAN: not a type")
	f("ALTER TABLE t ADD n BIGINT", "BIGINT: not a type")
	f("CREATE TABLE t (text VARCHAR2(10 CHAR), id NUMBER, CONSTRAINT t_pk PRIMARY KEY (text))", "")
	f("DROP INDEX i FORCE", "")
	f("DROP INDEX i CASCADE", "column")
}

// TestPlaces holds that faults are told with file and line, and that nothing to check is a fault.
func TestPlaces(t *testing.T) {
	files := func(more fstest.MapFS) fstest.MapFS {
		tree := fstest.MapFS{
			"store/sql/oracle/ping.sql":           {Data: []byte("SELECT 1 FROM DUAL\n")},
			"store/migrations/oracle/0001_a.sql":  {Data: []byte("CREATE TABLE t (id NUMBER)\n/\nDROP TABLE t\n/\n")},
			"store/sql/sqlite/ping.sql":           {Data: []byte("SELECT 1 LIMIT 1;")},
			"store/testdata/sql/oracle/other.sql": {Data: []byte("SELECT 1 LIMIT 1;")},
		}
		for name, f := range more {
			tree[name] = f
			if f == nil {
				delete(tree, name)
			}
		}
		return tree
	}
	f := func(tree fstest.MapFS, faults int, fails bool, want string) {
		t.Helper()
		var out strings.Builder
		n, err := run(tree, &out)
		text := out.String()
		if err != nil {
			text += err.Error()
		}
		if n != faults || fails != (err != nil) || !strings.Contains(text, want) {
			t.Errorf("%d faults, %v, want %d and %q:\n%s", n, err, faults, want, text)
		}
	}
	f(files(nil), 0, false, "3 statements in 2 files, 0 faults")
	f(files(fstest.MapFS{"store/sql/oracle/a.sql": {Data: []byte("/* a */\nSELECT 1 FROM DUAL\nLIMIT 1")}}), 1, false, "store/sql/oracle/a.sql:3: ")
	f(files(fstest.MapFS{"store/migrations/oracle/0001_a.sql": {Data: []byte("CREATE TABLE t (id NUMBER)\n/\nDROP TABLE t\n/\nDROP TABLE u;\n/\n")}}), 1, false, "0001_a.sql:5: a semicolon")
	f(files(fstest.MapFS{"store/sql/oracle/a.sql": {Data: []byte("/* a */\nSELECT 1\n\n")}}), 1, false, "a.sql:2: ") // what is missing, is missing at the end
	f(files(fstest.MapFS{"store/sql/oracle/a.sql": {Data: []byte("\n")}}), 1, false, "a.sql:1: no statement")
	f(files(fstest.MapFS{"store/sql/oracle/ping.sql": nil}), 0, true, "sql/oracle: nothing was checked")
	f(files(fstest.MapFS{"store/migrations/oracle/0001_a.sql": nil}), 0, true, "migrations/oracle: nothing was checked")
	f(fstest.MapFS{}, 0, true, "nothing was checked")
}
