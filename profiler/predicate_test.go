package profiler

import (
	"strings"
	"testing"
)

func TestPredicates(t *testing.T) {
	f := func(filter, columns, converted string) {
		t.Helper()
		p := parsePredicate(filter)
		if got := strings.Join(p.columns(), " "); got != columns || strings.Join(p.converted, " ") != converted {
			t.Errorf("%s: columns %q, converted %q, want %q, %q", filter, got, p.converted, columns, converted)
		}
	}
	f(`"ID"=:B1`, "ID", "")
	f(`"C"."STATUS"='OPEN AND SHUT' AND "C"."MADE">=:1 AND "C"."MADE"<:2`, "STATUS MADE", "") // equality first, one range
	f(`("A">1 AND "B"=2)`, "B A", "")
	f(`("A"=1 OR "A"=2 OR "A"=3)`, "A", "") // a list of values
	f(`("A"=1 OR "B"=2)`, "", "")
	f(`("A"=1 OR "A">2)`, "", "")
	f(`("A"=1 OR SOMETHING(1)=2)`, "", "")  // not understood, so that nothing may be said
	f(`"A"="B"`, "", "")                    // a join
	f(`"A"='it''s "B"'`, "A", "")           // and this is a text
	f(`"A"<>1 AND "B"!=2`, "", "")          // an index is of no use
	f(`"A" LIKE 'x%' AND "B"=1`, "B A", "") // a prefix is a range
	f(`"A" LIKE '%x' AND "B" LIKE '_x'`, "", "")
	f(`UPPER("NAME")=:1`, "UPPER(NAME)", "") // an index on the expression
	f(`TO_NUMBER("CODE")=:1 AND INTERNAL_FUNCTION("DAY")>:2`, "", "CODE DAY")
	f(`"D">=1 AND "D"=2`, "D", "")
	f(`"E"=1 AND "F"=2 AND "G"=3 AND "H"=4`, "E F G", "") // three are enough
	f(`"SYS_NC00012$"=1`, "", "")                         // an index that is there already
	f(`"a b"=1`, `"a b"`, "")
	f(`"A" IS NOT NULL AND LNNVL("B"<>1)`, "", "")
	f(`ROWNUM<=10`, "", "")
	f(`((("A"=1)))`, "A", "")
	f(`"A"=1 AND`, "A", "")
	f(`)("A"=1`, "", "")
	f(`"A`, "", "")
	f("", "", "")
}

// FuzzPredicate: whatever a view says, a candidate index is one statement with quoted names.
func FuzzPredicate(f *testing.F) {
	f.Add(`"A"=1 AND ("B"='x' OR "B"=2)`, "O.T")
	f.Add(`UPPER("N")=:1`, "日本.x")
	f.Add("((((((((((((", ".")
	f.Fuzz(func(t *testing.T, filter, table string) {
		p := parsePredicate(filter)
		columns := p.columns()
		if len(columns) > 3 {
			t.Errorf("%d columns", len(columns))
		}
		if len(columns) == 0 {
			return
		}
		got := createIndex(table, columns)
		if name, _, _ := strings.Cut(strings.TrimPrefix(got, "CREATE INDEX "), " "); len(name) > 30 || !plainName.MatchString(name) {
			t.Errorf("index name %q", name)
		}
		if strings.Count(got, `"`)%2 != 0 {
			t.Errorf("an odd number of quotes: %s", got)
		}
	})
}

func TestBracketed(t *testing.T) {
	f := func(s, want string, ok bool) {
		t.Helper()
		if got, is := bracketed(s); got != want && ok || is != ok {
			t.Errorf("bracketed(%s) = %q, %v, want %q, %v", s, got, is, want, ok)
		}
	}
	f(`(a)`, `a`, true)
	f(`((a)(b))`, `(a)(b)`, true)
	f(`(a) OR (b)`, ``, false) // two pairs
	f(`(')(')`, `')('`, true)  // brackets of a text are none
	f(`(")(")`, `")("`, true)
	f(`('"(' || "x)")`, `'"(' || "x)"`, true) // nor is a quote within the other kind
	f(`('it''s (')`, `'it''s ('`, true)
	f(`(a(b)`, ``, false) // one is not closed
	f(`(`, ``, false)
	f(``, ``, false)
}
