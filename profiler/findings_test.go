package profiler

import (
	"fmt"
	"strings"
	"testing"
)

// TestFindings: each finding with just enough evidence, and without it.
func TestFindings(t *testing.T) {
	f := func(why string, want string, seconds int, rows ...Row) {
		t.Helper()
		p := Profile{WindowUS: Micros(seconds) * 1e6, Active: len(rows), active: rows}
		for i := range rows {
			p.Total = p.Total.plus(rows[i].Counters)
		}
		for i := range rows {
			if p.Total.Elapsed > 0 {
				rows[i].Share = float64(rows[i].Elapsed) / float64(p.Total.Elapsed)
			}
		}
		var got []string
		for _, finding := range p.find() {
			got = append(got, strings.TrimSpace(finding.Kind+" "+finding.Statement))
			if finding.Evidence == "" || finding.Advice == "" {
				t.Errorf("%s: a finding without evidence or advice: %+v", why, finding)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: found %q, want %q", why, strings.Join(got, ", "), want)
		}
	}
	row := func(name string, exec, rows int64, elapsed Micros) Row {
		return Row{Name: name, SQL: "/* tomehub:" + name + " */\nSELECT 1", Counters: Counters{Executions: exec, Rows: rows, Elapsed: elapsed}}
	}
	with := func(r Row, change func(*Row)) Row { change(&r); return r }
	f("nothing ran", "", 10)
	f("half is not more than half", "", 10, row("a", 10, 0, 1e6), row("b", 10, 0, 1e6))
	f("more than half", "dominant a", 10, row("a", 10, 0, 1_000_001), row("b", 10, 0, 1e6))
	f("a statement alone is always all", "", 10, row("a", 10, 0, 9e6))
	f("nobody notices less than a second", "", 10, row("a", 10, 0, 900_000), row("b", 10, 0, 10_000))

	f("a second is not above a second", "", 100, row("a", 10, 0, 10e6), row("b", 10, 0, 10e6))
	f("above a second", "slow a", 100, row("a", 10, 0, 10e6+10), row("b", 11, 0, 10e6+10))
	f("most of its time first", "slow b, slow a", 100, row("a", 1, 0, 2e6), row("c", 100, 0, 3e6), row("b", 2, 0, 5e6))

	list, read := row("list", 100, 1000, 1e6), row("read", 1000, 1000, 1e6)
	f("a read for every row listed", "n_plus_one read", 10, list, read)
	f("one of five rows is opened", "n_plus_one read", 10, row("list", 50, 1000, 1e6), row("read", 200, 200, 1e6))
	f("one of ten is not about as many", "", 10, row("list", 50, 10_000, 1e6), row("read", 200, 200, 1e6))
	f("a count once per search", "", 10, list, row("count", 100, 100, 1e6))
	f("twice per search is no lookup of its rows", "", 10, row("list", 100, 1000, 1e6), row("twice", 200, 200, 1e6))
	f("nothing lists rows", "", 10, row("a", 100, 100, 1e6), read)
	f("several rows per read", "", 10, list, row("read", 1000, 1600, 1e6))
	f("less than ten a second", "", 101, list, read)
	f("less than a hundred", "", 1, row("list", 9, 99, 1e6), row("read", 99, 99, 1e6))
	f("a write per row is an ingest", "", 10, list, with(read, func(r *Row) { r.SQL = "/* tomehub:read */ INSERT INTO t SELECT 1" }))
	f("rows returned by a write", "", 10, with(list, func(r *Row) { r.SQL = "UPDATE t SET a = 1" }), read)
	f("a read with comments in front", "n_plus_one read", 10, list, with(read, func(r *Row) { r.SQL = "\n-- x\n/* y\n */ with a AS (SELECT 1)" }))

	f("waits longer than it runs", "waiting", 10, with(row("a", 10, 0, 1e6), func(r *Row) { r.AcquireWait = 1_000_001 }))
	f("waits as long as it runs", "", 10, with(row("a", 10, 0, 1e6), func(r *Row) { r.AcquireWait = 1e6 }))
	f("less than a second of waiting", "", 10, with(row("a", 10, 0, 1), func(r *Row) { r.AcquireWait = 999_999 }))

	f("one in a hundred fails", "failing a", 10, with(row("a", 500, 0, 1), func(r *Row) { r.Errors = 5 }))
	f("less than one in a hundred", "", 10, with(row("a", 501, 0, 1), func(r *Row) { r.Errors = 5 }))
	f("four errors are too few to tell", "", 10, with(row("a", 4, 0, 1), func(r *Row) { r.Errors = 4 }))

	ends := func(r *Row) { r.States = []State{Running} }
	f("half of the window without an end", "endless a", 10, with(row("a", 0, 0, 5e6), ends))
	f("less than half", "", 10, with(row("a", 0, 0, 4_999_999), ends))
	f("less than a second", "", 1, with(row("a", 0, 0, 600_000), ends))

	var many []Row
	for i := range 9 {
		many = append(many, row(fmt.Sprint("s", i), 1, 0, Micros(2e6-int64(i))))
	}
	f("five of a kind", "slow s0, slow s1, slow s2, slow s3, slow s4", 100, many...)
}
