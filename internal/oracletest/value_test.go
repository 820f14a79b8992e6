package oracletest

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNumbers(t *testing.T) {
	f := func(v Value, want string) {
		t.Helper()
		b, err := encodeNumeric(v)
		if err != nil || !bytes.Equal(b, []byte(want)) {
			t.Errorf("%v is % x (%v), want % x", v, b, err, want)
		}
	}
	// Oracle's own examples, from DUMP().
	f(int64(0), "\x80")
	f(1, "\xC1\x02")
	f(int64(10), "\xC1\x0B")
	f(int64(100), "\xC2\x02")
	f(int64(123), "\xC2\x02\x18")
	f(int64(-1), "\x3E\x64\x66")
	f(0.1, "\xC0\x0B")
	f(0.01, "\xC0\x02")
	f(Decimal("-123.45"), "\x3D\x64\x4E\x38\x66")
	f(true, "\xC1\x02")
	for _, v := range []Value{int64(math.MaxInt64), int64(math.MinInt64), 1e125, -1e-129, 0.1 + 0.2, math.Pi * 1e40} {
		b, err := encodeNumeric(v)
		if err != nil {
			t.Fatal(v, err)
		}
		if got, err := decodeNumber(b); err != nil || asFloat(got) != asFloat(v) {
			t.Errorf("%v came back as %v, %v", v, got, err)
		}
	}
	for _, v := range []Value{math.NaN(), math.Inf(1), 1e126, Decimal("one"), Decimal(""), "1"} {
		if b, err := encodeNumeric(v); err == nil {
			t.Errorf("%v is % x", v, b)
		}
	}
}

func TestDoublesSortAsBytes(t *testing.T) {
	var last []byte
	for _, f := range []float64{math.Inf(-1), -2, -1, 0, 1e-300, 1, 1.5, math.Inf(1)} {
		b := encodeDouble(f)
		if bytes.Compare(last, b) >= 0 {
			t.Errorf("%v is % x, not above % x", f, b, last)
		}
		if got, err := decodeDouble(b); err != nil || got != f {
			t.Errorf("%v came back as %v, %v", f, got, err)
		}
		last = b
	}
}

func TestTimestampsKeepTheirZone(t *testing.T) {
	for _, minutes := range []int{0, 60, -60, 330, -210, 14 * 60} {
		at := time.Date(1999, 12, 31, 23, 59, 58, 987654321, time.FixedZone("", minutes*60))
		got, err := decodeTime(encodeTimestampTZ(at))
		if err != nil || !at.Equal(got.(time.Time)) {
			t.Errorf("%v came back as %v, %v", at, got, err)
		}
		if _, offset := got.(time.Time).Zone(); offset != minutes*60 {
			t.Errorf("%v came back %d s from UTC", at, offset)
		}
	}
}

// A CLOB counts UTF-16 units: a character beyond the basic plane is two.
func TestLobsCountUnits(t *testing.T) {
	l := newClob("a漢🙂z")
	if n := l.units(); n != 5 {
		t.Errorf("%d units", n)
	}
	l.write(2, []byte("🙃")) // over the 🙂
	l.write(5, []byte("!"))
	if string(l.data) != "a漢🙃z!" {
		t.Errorf("got %q", l.data)
	}
	ascii := newClob("abc")
	ascii.write(1, []byte("é"))
	if string(ascii.data) != "aéc" || ascii.units() != 3 {
		t.Errorf("got %q", ascii.data)
	}
}

func TestCountedBytes(t *testing.T) {
	for _, n := range []int{0, 1, 252, 253, 254, 32767, 32768, 100_000} {
		text := strings.Repeat("x", n)
		var w writer
		w.clrText(text)
		if got := string(overBytes(w.b).clr()); got != text {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
	}
	for _, v := range []int64{0, 1, -127, 255, 256, -65536, math.MaxInt64} {
		if got := overBytes(appendUB(nil, v)).ub(); int64(got) != v {
			t.Errorf("%d came back as %d", v, got)
		}
	}
}

func TestStatements(t *testing.T) {
	f := func(text string, k kind, tag, names string) {
		t.Helper()
		got := parseStatement(text)
		if got.kind != k || got.tag != tag || strings.Join(got.names, " ") != names {
			t.Errorf("%s: kind %d, tag %q, names %v", text, got.kind, got.tag, got.names)
		}
	}
	f("/* tomehub:search_page */ SELECT a FROM t WHERE b = :b AND c = :B", query, "search_page", "B B") // one position each
	f("(SELECT :x FROM DUAL)", query, "", "X")
	f("WITH q AS (SELECT 1 FROM DUAL) SELECT * FROM q", query, "", "")
	f("BEGIN :out := f(:a, :a); END;", plsql, "", "OUT A") // PL/SQL counts names
	f("INSERT INTO t VALUES ('it''s :no', q'{:no'}', \":no\", :1) -- :no", dml, "", "1")
	f("CREATE TRIGGER t BEFORE INSERT ON t BEGIN :new.id := 1; END;", other, "", "") // DDL binds nothing
	f("SELECT 'open", query, "", "")
	f("", other, "", "")
	want := map[string]string{"A": "1", "B": "x = y"}
	if d := cmp.Diff(want, settings("ALTER SESSION SET a=1 b = 'x = y'")); d != "" {
		t.Error(d)
	}
}

// What a handler gets wrong is an ORA-00600 that says so, and the connection goes on.
func TestHandlersMistakes(t *testing.T) {
	h := &script{}
	s := start(t, Config{Handler: h})
	db := open(t, s, 1)
	try := func(want string, columns []Column, rows ...[]Value) {
		t.Helper()
		h.rows("SELECT x FROM t", columns, rows...)
		rs, err := db.QueryContext(t.Context(), "SELECT x FROM t")
		if err == nil {
			_ = rs.Close()
		}
		if code(err) != 600 || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	number := []Column{{Name: "X", Type: Number}}
	try("0 columns", nil)
	try("2 values for 1 columns", number, []Value{1, 2})
	try("column X: string is not a number", number, []Value{"one"})
	try("column X: 40000 bytes", []Column{{Name: "X"}}, []Value{strings.Repeat("x", 40000)})
	wantOne(t, db)
}

// The short way for whole numbers writes what the long one does.
func TestWholeNumbers(t *testing.T) {
	f := func(n int64) {
		t.Helper()
		b, err := encodeNumeric(n)
		if err != nil {
			t.Fatal(err)
		}
		var long, short writer
		long.clr(b)
		if short.wholeNumber(n); !bytes.Equal(short.b, long.b) {
			t.Errorf("%d is % x, want % x", n, short.b, long.b)
		}
	}
	for _, n := range []int64{0, 1, 9, 10, 99, 100, 101, 9_999, 10_000, 10_001, 1_000_000, 1_000_001, 123_456_789, math.MaxInt64, math.MinInt64, math.MaxInt64 - 7} {
		f(n)
		f(-n)
	}
	for n := int64(1); n > 0 && n < math.MaxInt64/3; n = n*3 + 1 {
		f(n)
		f(-n)
	}
}
