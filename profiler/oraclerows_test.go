package profiler

import (
	"bytes"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOracleNumber(t *testing.T) {
	f := func(src any, want int64, fails bool) {
		t.Helper()
		n := number(7)
		if err := n.Scan(src); (err != nil) != fails || int64(n) != want {
			t.Errorf("%v (%T) is %d, %v, want %d", src, src, n, err, want)
		}
	}
	f(nil, 0, false)
	f("0", 0, false)
	f("1234567890123", 1234567890123, false)
	f("12.75", 12, false)
	f("-3", 0, false) // Oracle's counters are, after some of its faults
	f("9223372036854775800", 0, false)
	f("18446744073709551615", 0, false) // one below zero, as it was seen in ELAPSED_TIME
	f("1.5e3", 1500, false)
	f("15e2", 1500, false)
	f([]byte("42"), 42, false)
	f(int64(-1), 0, false)
	f(int64(8), 8, false)
	f(2.9, 2, false)
	f(math.Inf(1), 0, false)
	f("ten", 0, true)
	f("", 0, false)
	f(".5", 0, false)
	f(true, 0, true)
}

// FuzzOracleNumber holds that no text of a number is negative or another number than it says.
func FuzzOracleNumber(f *testing.F) {
	for _, s := range []string{"", "0", "12", "-1", "1.5", "9223372036854775807", "99999999999999999999", "1e400", "NaN", "Infinity", "0x1p3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var n number
		if err := n.Scan(s); n < 0 || err != nil && n != 0 {
			t.Errorf("%q is %d, %v", s, n, err)
		}
		if s == "" || strings.Trim(s, "0123456789") != "" {
			return
		}
		want, _ := new(big.Int).SetString(s, 10)
		if want.IsInt64() && want.Int64() < math.MaxInt64-20 && int64(n) != want.Int64() || !want.IsInt64() && n != 0 {
			t.Errorf("%q is %d", s, n)
		}
	})
}

// TestOracleScans holds what of a driver's values is taken.
func TestOracleScans(t *testing.T) {
	f := func(dest interface{ Scan(any) error }, src any, fails bool) {
		t.Helper()
		if err := dest.Scan(src); (err != nil) != fails {
			t.Errorf("%T of %T: %v", dest, src, err)
		}
	}
	f(new(text), "a", false)
	f(new(text), []byte("a"), false)
	f(new(text), nil, false)
	f(new(text), 1.5, true)
	f(new(address), []byte{1}, false)
	f(new(address), "a", false)
	f(new(address), nil, false)
	f(new(address), 1.5, true)
	f(new(moment), nil, false)
	f(new(moment), "2026-03-01", true)
	zone := time.FixedZone("", -3*3600)
	m := moment(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	if got := m.in(zone); !got.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("nine o'clock three hours west of UTC is %v", got)
	}
	if got := new(moment).in(zone); !got.IsZero() {
		t.Errorf("NULL is %v", got)
	}
}

// TestOraclePile holds that a cursor that a pass meets twice counts once, with what was read last.
func TestOraclePile(t *testing.T) {
	p := newPile()
	const n = 2*pilePart + 10
	for i := range n {
		p.add(&Statement{SQLID: "a", Plan: uint64(i), PlanIsKey: true, Counters: Counters{Elapsed: 5}})
	}
	p.add(&Statement{SQLID: "a", Plan: pilePart + 3, PlanIsKey: true, Counters: Counters{Elapsed: 9}})
	p.add(&Statement{SQLID: "a", Plan: 3, PlanIsKey: true, Counters: Counters{Elapsed: 1}})
	list := p.list()
	if len(list) != n || list[pilePart+3].Elapsed != 9 || list[3].Elapsed != 5 || list[n-1].Plan != n-1 {
		t.Errorf("%d statements", len(list))
	}
}

// TestSaveSnapshotFrame holds that no text within a snapshot is taken for the place of its statements.
func TestSaveSnapshotFrame(t *testing.T) {
	odd := `{"statements":null}`
	s := Snapshot{
		SchemaVersion: SchemaVersion, Server: odd, Warnings: []string{odd, "a\n\"statements\":null"}, StartedAt: epoch, Now: epoch,
		Details: map[string]Detail{odd: {Text: odd}}, Statements: []Statement{{SQL: odd}, {SQLID: "b"}},
	}
	var b bytes.Buffer
	if err := encode(&b, s); err != nil {
		t.Fatal(err)
	}
	got, err := decode(&b)
	if diff := cmp.Diff(s, got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	for range MaxStatements / 2 {
		s.Statements = append(s.Statements, Statement{SQL: strings.Repeat("x", 1000)})
	}
	if err := encode(io.Discard, s); err == nil || !strings.Contains(err.Error(), "bound of") {
		t.Errorf("100 MB: %v", err)
	}
}
