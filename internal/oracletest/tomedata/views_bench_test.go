package tomedata

import (
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// BenchmarkSnapshot reads V$SQLSTATS of 100,000 cursors as a profiler does: all of it, then what was active since. The
// double's part alone, then with go-ora.
func BenchmarkSnapshot(b *testing.B) {
	const all = "SELECT sql_id, con_id, plan_hash_value, executions, elapsed_time, cpu_time, buffer_gets, disk_reads, rows_processed, fetches," +
		" parse_calls, loads, invalidations, version_count, user_io_wait_time, application_wait_time, concurrency_wait_time, cluster_wait_time," +
		" TO_CHAR(force_matching_signature) AS signature FROM v$sqlstats"
	const since = all + " WHERE last_active_time >= TO_DATE(:since, 'YYYY-MM-DD HH24:MI:SS') - 5/86400"
	w := overWire(b, InstanceConfig{Time: noon})
	for _, c := range w.in.Fill(100_000)[:100] {
		c.Run(1, Cost{Elapsed: time.Millisecond})
	}
	alone := func(query string, binds ...oracletest.Value) int {
		res, err := w.in.Views().Serve(b.Context(), &oracletest.Call{SQL: query, Names: []string{"SINCE"}[:len(binds)], Rows: [][]oracletest.Value{binds}})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for row, err := res.Next(); row != nil; row, err = res.Next() {
			if n++; err != nil {
				b.Fatal(err)
			}
		}
		return n
	}
	fetched := func(query string, binds ...any) (n int) {
		rows, err := w.db.QueryContext(b.Context(), query, binds...)
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			n++
		}
		return n
	}
	run := func(name string, least, most int, f func() int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := f(); n < least || n > most {
					b.Fatal(n, "rows")
				}
			}
		})
	}
	const now = "2026-03-01 12:04:05"
	run("alone/all", 100_000, 100_010, func() int { return alone(all) })
	run("alone/since", 100, 110, func() int { return alone(since, now) })
	run("go-ora/all", 100_000, 100_010, func() int { return fetched(all) })
	run("go-ora/since", 100, 110, func() int { return fetched(since, now) })
}
