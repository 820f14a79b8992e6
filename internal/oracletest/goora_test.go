package oracletest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	go_ora "github.com/sijms/go-ora/v2"
)

func TestLogin(t *testing.T) {
	s := start(t, Config{})
	try := func(dsn string, want int) {
		t.Helper()
		db, err := sql.Open("oracle", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wantCode(t, db.PingContext(t.Context()), want)
	}
	try("oracle://tomehub:secret@"+s.Addr()+"/FREEPDB1", 0)
	try("oracle://TomeHub:secret@"+s.Addr()+"/freepdb1", 0) // names in any case
	try("oracle://tomehub:Secret@"+s.Addr()+"/FREEPDB1", 1017)
	try("oracle://nobody:secret@"+s.Addr()+"/FREEPDB1", 1017)
	try("oracle://tomehub:secret@"+s.Addr()+"/OTHER", 12514)
	st := s.Stats()
	if st.SessionsOpened != 2 || st.Refused != 3 || st.Errors[1017] != 2 || st.Errors[12514] != 1 {
		t.Errorf("counted %+v", st)
	}
}

func TestConfigIsValidated(t *testing.T) {
	_, err := Start(Config{MaxSessions: -1, MaxCursors: 70000, Users: map[string]string{"scott": "tiger"}})
	for _, want := range []string{"MaxSessions is -1", "MaxCursors is 70000", `"scott"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

// everyType has one column of each type.
var everyType = []Column{
	{Name: "ID", Type: Number}, {Name: "NAME", Size: 100, Nullable: true}, {Name: "SHARE", Type: Number},
	{Name: "DAY", Type: Date}, {Name: "AT", Type: Timestamp}, {Name: "HERE", Type: TimestampTZ},
	{Name: "HASH", Type: Raw, Size: 32}, {Name: "SCORE", Type: BinaryDouble},
}

func TestValuesOfEveryType(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	at := time.Date(2026, 11, 24, 13, 14, 15, 123456789, time.UTC)
	here := at.In(time.FixedZone("", -(3*3600 + 1800)))
	const q = "SELECT * FROM everything"
	h.rows(q, everyType,
		[]Value{int64(7), "Ünïcödé 漢字", -0.125, at, at, here, []byte{0, 1, 0xFE, 0xFF}, 1.5e-300},
		[]Value{int64(-9007199254740993), nil, 1e25, nil, nil, nil, nil, -2.5},
		[]Value{int64(0), "", nil, at, nil, at, []byte{1}, 0.0},
	)
	type row struct {
		ID    int64
		Name  sql.NullString
		Share sql.NullFloat64
		Day   sql.NullTime
		At    sql.NullTime
		Here  sql.NullTime
		Hash  []byte
		Score float64
	}
	rows, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.ID, &r.Name, &r.Share, &r.Day, &r.At, &r.Here, &r.Hash, &r.Score); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	some := func(t time.Time) sql.NullTime { return sql.NullTime{Time: t, Valid: true} }
	want := []row{
		{7, sql.NullString{String: "Ünïcödé 漢字", Valid: true}, sql.NullFloat64{Float64: -0.125, Valid: true}, some(at.Truncate(time.Second)), some(at), some(here), []byte{0, 1, 0xFE, 0xFF}, 1.5e-300},
		{-9007199254740993, sql.NullString{}, sql.NullFloat64{Float64: 1e25, Valid: true}, sql.NullTime{}, sql.NullTime{}, sql.NullTime{}, nil, -2.5},
		{0, sql.NullString{}, sql.NullFloat64{}, some(at.Truncate(time.Second)), sql.NullTime{}, some(at), []byte{1}, 0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBindsOfEveryType(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "/* tomehub:everything */ INSERT INTO t VALUES (:a, :b, :c, :d, :e, :f, :g) -- :no"
	h.on(q, func(context.Context, *Call) (*Result, error) { return &Result{Affected: 1}, nil })
	at := time.Date(2026, 11, 24, 13, 14, 15, 123456000, time.UTC)
	long := strings.Repeat("漢", 20000)
	res, err := db.ExecContext(t.Context(), q, int64(42), "text", 2.25, at, []byte{1, 2}, nil, long)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		t.Errorf("%d rows", n)
	}
	c := h.lastCall(t)
	want := []Value{int64(42), "text", 2.25, at, []byte{1, 2}, nil, long}
	if d := cmp.Diff([][]Value{want}, c.Rows); d != "" {
		t.Error(d)
	}
	if c.Tag != "everything" || strings.Join(c.Names, "") != "ABCDEFG" || !c.AutoCommit || c.Arg(0, "b") != "text" || c.Arg(0, "none") != nil {
		t.Errorf("call %+v", c)
	}
	if s.Stats().Executions["everything"] != 1 {
		t.Errorf("executions %v", s.Stats().Executions)
	}
}

func TestManyRowsOverFetches(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q, n = "SELECT id, text FROM many", 3000
	var all [][]Value
	for i := range n {
		all = append(all, []Value{int64(i), strings.Repeat("x", i%300)})
	}
	h.rows(q, []Column{{Name: "ID", Type: Number}, {Name: "TEXT", Size: 400}}, all...)
	rows, err := db.QueryContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := 0
	for rows.Next() {
		var id int
		var text sql.NullString
		if err := rows.Scan(&id, &text); err != nil {
			t.Fatal(err)
		}
		if id != got || len(text.String) != got%300 {
			t.Fatalf("row %d is %d with %d bytes", got, id, len(text.String))
		}
		got++
	}
	if got != n || rows.Err() != nil {
		t.Errorf("%d rows, %v", got, rows.Err())
	}
	if f := s.Stats().Calls["fetch"]; f < 2 {
		t.Errorf("%d fetches", f)
	}
}

func TestClobs(t *testing.T) {
	text := strings.Repeat("Lies, 漢字 und 🙂. ", 5000)
	for _, mode := range []string{"PRE", "POST"} {
		t.Run(mode, func(t *testing.T) {
			h := &script{}
			s := start(t, Config{Handler: h})
			db := open(t, s, 1, "LOB FETCH="+mode)
			const q = "SELECT id, content FROM passages"
			h.rows(q, []Column{{Name: "ID", Type: Number}, {Name: "CONTENT", Type: Clob, Nullable: true}},
				[]Value{int64(1), text}, []Value{int64(2), nil}, []Value{int64(3), "short"})
			for range 2 {
				rows, err := db.QueryContext(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for rows.Next() {
					var id int
					var content sql.NullString
					if err := rows.Scan(&id, &content); err != nil {
						t.Fatal(err)
					}
					got = append(got, content.String)
				}
				if err := rows.Close(); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff([]string{text, "", "short"}, got); d != "" {
					t.Error(len(got), rows.Err())
				}
			}
		})
	}
}

func TestClobBindByTemporaryLob(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "INSERT INTO passages(content) VALUES (:content)"
	h.on(q, func(context.Context, *Call) (*Result, error) { return &Result{Affected: 1}, nil })
	text := strings.Repeat("漢🙂x", 30000)
	if _, err := db.ExecContext(t.Context(), q, go_ora.Clob{String: text, Valid: true}); err != nil {
		t.Fatal(err)
	}
	if got := h.lastCall(t).Rows[0][0]; got != text {
		t.Errorf("%T arrived", got)
	}
	blob := []byte(strings.Repeat("\x00\xff", 40000))
	if _, err := db.ExecContext(t.Context(), q, go_ora.Blob{Data: blob}); err != nil {
		t.Fatal(err)
	}
	if got := h.lastCall(t).Rows[0][0]; !cmp.Equal(got, Value(blob)) {
		t.Errorf("%T arrived", got)
	}
	if lobs := s.Sessions()[0].TempLobs; lobs != 0 {
		t.Errorf("%d temporary LOBs left", lobs)
	}
}

func TestArrayBinds(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q = "INSERT INTO t(id, text) VALUES (:1, :2)"
	h.on(q, func(_ context.Context, c *Call) (*Result, error) { return &Result{Affected: int64(len(c.Rows))}, nil })
	var ids []int64
	var texts []string
	var want [][]Value
	for i := range 500 {
		ids, texts = append(ids, int64(i)), append(texts, fmt.Sprint("t", i))
		want = append(want, []Value{int64(i), fmt.Sprint("t", i)})
	}
	for range 2 {
		res, err := db.ExecContext(t.Context(), q, ids, texts)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != 500 {
			t.Errorf("%d rows", n)
		}
		if d := cmp.Diff(want, h.lastCall(t).Rows); d != "" {
			t.Error(d)
		}
	}
}

func TestPreparedStatementsReexecute(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	const q, ins = "SELECT n, content FROM t WHERE n = :n", "INSERT INTO t VALUES (:n, :n)"
	h.on(q, func(_ context.Context, c *Call) (*Result, error) {
		return &Result{
			Columns: []Column{{Name: "N", Type: Number}, {Name: "CONTENT", Type: Clob}}, Rows: [][]Value{{c.Arg(0, "n"), fmt.Sprint("c", c.Arg(0, "n"))}},
		}, nil
	})
	h.on(ins, func(context.Context, *Call) (*Result, error) { return &Result{Affected: 1}, nil })
	st, err := db.PrepareContext(t.Context(), ins)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for i := range 3 {
		if _, err := st.ExecContext(t.Context(), sql.Named("n", i)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([][]Value{{int64(i), int64(i)}}, h.lastCall(t).Rows); d != "" {
			t.Error(d)
		}
	}
	sel, err := db.PrepareContext(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer sel.Close()
	for i := range 3 {
		var n int
		var content string
		if err := sel.QueryRowContext(t.Context(), i).Scan(&n, &content); err != nil || n != i || content != fmt.Sprint("c", i) {
			t.Errorf("got %d %q, %v; want %d", n, content, err, i)
		}
	}
	if n := s.Stats().Calls["reexecute"]; n < 2 {
		t.Errorf("%d re-executions", n)
	}
}

// Rows that come one by one are asked for as they are fetched, and an error among them ends the query.
func TestNextRows(t *testing.T) {
	h := &script{}
	asked := 0
	after := func(last int, then error) func(context.Context, *Call) (*Result, error) {
		return func(context.Context, *Call) (*Result, error) {
			asked = 0
			return &Result{Columns: []Column{{Name: "N", Type: Number}}, Rows: [][]Value{{int64(0)}}, Next: func() ([]Value, error) {
				if asked++; asked > last {
					return nil, then
				}
				return []Value{int64(asked)}, nil
			}}, nil
		}
	}
	h.on("SELECT n FROM a", after(100, nil))
	h.on("SELECT n FROM b", after(100, &Error{Code: 1476, Message: "divisor is equal to zero"}))
	h.on("SELECT n FROM c", func(context.Context, *Call) (*Result, error) {
		return &Result{Columns: []Column{{Name: "N", Type: Number}}, Next: func() ([]Value, error) { return []Value{1, 2}, nil }}, nil
	})
	db := open(t, start(t, Config{Handler: h}), 1, "PREFETCH_ROWS=10")
	read := func(sql string) (n int, err error) {
		rows, err := db.QueryContext(t.Context(), sql)
		if err != nil {
			return 0, err
		}
		defer rows.Close()
		for ; rows.Next(); n++ {
			var got int
			if err := rows.Scan(&got); err != nil || got != n {
				t.Fatalf("row %d is %d, %v", n, got, err)
			}
			if n == 0 && asked != 10 {
				t.Errorf("%d rows were asked for with the first 10", asked)
			}
		}
		return n, rows.Err()
	}
	if n, err := read("SELECT n FROM a"); n != 101 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	_, err := read("SELECT n FROM b")
	wantCode(t, err, 1476)
	_, err = read("SELECT n FROM c")
	wantCode(t, err, 600)
}
