package reports

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	f := func(s string, limit int, want string) {
		t.Helper()
		if got := Line(s, limit); got != want {
			t.Errorf("Line(%q, %d) is %q, want %q", s, limit, got, want)
		}
	}
	f("a\n  b\tc", 0, "a b c")
	f("\x1b[2Jcleared", 0, "\ufffd[2Jcleared")
	f("abcdef", 4, "abc…")
	f("abcdef", 6, "abcdef")
	f("読書する", 5, "読書…") // two columns each
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		s     string
		limit int
		want  string
	}{{"a    b", 6, "a    b"}, {"a    b", 5, "a…"}, {"  ab", 3, "…"}, {"a\x1b[0m", 9, "a\ufffd[0m"}, {"ab", 0, "…"}} {
		if got := Clip(c.s, c.limit); got != c.want {
			t.Errorf("Clip(%q, %d) is %q, want %q", c.s, c.limit, got, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	f := func(s string, limit int, want ...string) {
		t.Helper()
		if got := Lines(s, limit); !slices.Equal(got, want) {
			t.Errorf("Lines(%q, %d) are %q, want %q", s, limit, got, want)
		}
	}
	f("", 10)
	f("SELECT a\r\n  FROM b\n\nWHERE c", 20, "SELECT a", "  FROM b", "", "WHERE c")
	f("one two three", 8, "one two", "three")
	f("  one two three", 10, "  one two", "  three") // the indent of a line holds for what is broken off it
	f("\x1b[31mred", 0, "\ufffd[31mred")
	f(strings.Repeat(" ", 90)+"x", 8, "  x")
}

func TestSparkline(t *testing.T) {
	f := func(want string, values ...float64) {
		t.Helper()
		if got := Sparkline(values); got != want {
			t.Errorf("Sparkline(%v) is %q, want %q", values, got, want)
		}
	}
	f("")
	f("▁▁", 0, 0)
	f("▁▅█", 0, 5, 10)
	f("▁ █", -1, math.NaN(), 3)
	f("▁ █", 0, math.Inf(1), 1)
}

func TestTableWriteText(t *testing.T) {
	table := Table{Name: "t", Columns: []Column{{Name: "A"}, {Name: "B", Align: Right}}, Rows: [][]string{{"x", "10"}, {"y", "9"}}}
	var buf bytes.Buffer
	if err := table.WriteText(&buf, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(buf.String(), "\n"); len(lines) != 5 || strings.Fields(lines[2])[1] != "10" {
		t.Errorf("wrote %q", buf.String())
	}
	table.Rows[0] = []string{"x", "10", "beyond"}
	if err := table.WriteText(&buf, TextOptions{}); err == nil {
		t.Error("a row that is too long was written")
	}
}
