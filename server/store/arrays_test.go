package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/pool"
)

// gathered runs rows through an array and returns what was sent: the lengths of the arrays, 0 for
// a row sent alone.
func gathered(t *testing.T, rows ...[]any) (sent []int) {
	t.Helper()
	a := array{send: func(binds []any) error {
		switch first := binds[0].(type) {
		case []int64:
			sent = append(sent, len(first))
			if texts, ok := binds[1].([]string); !ok || len(texts) != len(first) {
				t.Errorf("%d numbers beside %T %v", len(first), binds[1], binds[1])
			}
		case int64:
			sent = append(sent, 0)
		default:
			t.Errorf("first parameter is a %T", first)
		}
		return nil
	}}
	for _, r := range rows {
		if err := a.add(r...); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.flush(); err != nil {
		t.Fatal(err)
	}
	return sent
}

func TestArrays(t *testing.T) {
	many := func(n, size int) (rows [][]any) {
		for i := range n {
			rows = append(rows, []any{int64(i), strings.Repeat("x", size)})
		}
		return rows
	}
	f := func(why string, rows [][]any, want ...int) {
		t.Helper()
		if diff := cmp.Diff(want, gathered(t, rows...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("no rows: nothing is sent, the driver would panic", nil)
	f("one row is an array, too", many(1, 10), 1)
	f("as many as are sent at once", many(maxArrayRows, 1), maxArrayRows)
	f("one more", many(maxArrayRows+1, 1), maxArrayRows, 1)
	f("bounded by bytes", many(600, 4000), maxArrayBytes/4000, maxArrayBytes/4000, 600-2*(maxArrayBytes/4000))
	f("empty texts count as rows", many(3, 0), 3)
	f("the longest plain text", many(2, pool.MaxVarchar), 2)
	mixed := append(many(2, 1), many(1, pool.MaxVarchar+1)...)
	f("a long text goes alone, after those before it", append(mixed, many(3, 1)...), 2, 0, 3)
}

func TestArrayOfManyTypes(t *testing.T) {
	sent := 0
	a := array{send: func(binds []any) error {
		sent++
		want := []any{[]int64{1, 2}, []int64{3, 4}, []float64{0.5, 1.5}, []string{"", "b"}}
		if diff := cmp.Diff(want, binds); diff != "" {
			t.Errorf("binds (-want +got):\n%s", diff)
		}
		return nil
	}}
	for _, row := range [][]any{{int64(1), 3, 0.5, ""}, {int64(2), 4, 1.5, "b"}} {
		if err := a.add(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.flush(); err != nil || sent != 1 {
		t.Errorf("%d statements, %v", sent, err)
	}
	if err := a.flush(); err != nil || sent != 1 {
		t.Errorf("flushed again: %d statements, %v", sent, err)
	}
}

// TestRaggedArrays holds that arrays of different lengths are never sent: the driver would cut them
// to the shortest and say nothing.
func TestRaggedArrays(t *testing.T) {
	refused := func(why string, rows ...[]any) {
		t.Helper()
		a := array{send: func(binds []any) error { t.Errorf("%s: sent %v", why, binds); return nil }}
		var err error
		for _, r := range rows {
			err = errors.Join(err, a.add(r...))
		}
		if err == nil {
			err = a.flush()
		}
		if err == nil {
			t.Errorf("%s: no error", why)
		}
	}
	refused("a value too few", []any{int64(1), "a"}, []any{int64(2)})
	refused("a value too many", []any{int64(1), "a"}, []any{int64(2), "b", "c"})
	refused("a column of two types", []any{int64(1), "a"}, []any{int64(2), int64(3)})
	refused("a type that is not sent", []any{int64(1), true})
}

func TestArrayStopsAtAnError(t *testing.T) {
	broken := errors.New("connection lost")
	a := array{send: func([]any) error { return broken }}
	var err error
	n := 0
	for ; err == nil && n < 3*maxArrayRows; n++ {
		err = a.add(int64(n))
	}
	if !errors.Is(err, broken) || n != maxArrayRows+1 {
		t.Errorf("after %d rows: %v", n, err)
	}
}

func TestLongTextsAreCLOBs(t *testing.T) {
	long := strings.Repeat("x", pool.MaxVarchar+1)
	binds := alone([]any{int64(1), "short", long, 2.5})
	if diff := cmp.Diff([]any{int64(1), "short", 2.5}, []any{binds[0], binds[1], binds[3]}); diff != "" {
		t.Errorf("short ones (-want +got):\n%s", diff)
	}
	if _, plain := binds[2].(string); plain {
		t.Error("a text longer than Oracle takes is bound as it is")
	}
}
