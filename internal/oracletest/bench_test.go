package oracletest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// The double's own ceiling, its client go-ora in the same process: what a load test on it may ask for.

func BenchmarkQuery(b *testing.B) {
	for _, connections := range []int{1, 50} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			h := HandlerFunc(func(_ context.Context, c *Call) (*Result, error) {
				return &Result{Columns: []Column{{Name: "ID", Type: Number}, {Name: "TEXT", Size: 100}}, Rows: [][]Value{{c.Rows[0][0], "some words"}}}, nil
			})
			s := start(b, Config{Handler: h})
			db := open(b, s, connections)
			if connections > 1 {
				b.SetParallelism(connections / 2) // times GOMAXPROCS
			}
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					var id int
					var text string
					if err := db.QueryRowContext(b.Context(), "SELECT id, text FROM t WHERE id = :id", 7).Scan(&id, &text); err != nil || id != 7 {
						b.Error(id, err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
		})
	}
}

func BenchmarkFetch(b *testing.B) {
	const n = 2000
	var all [][]Value
	for i := range n {
		all = append(all, []Value{int64(i), strings.Repeat("words ", 20), 0.5})
	}
	h := &script{}
	const q = "SELECT * FROM many"
	h.rows(q, []Column{{Name: "ID", Type: Number}, {Name: "TEXT", Size: 200}, {Name: "SCORE", Type: Number}}, all...)
	db := open(b, start(b, Config{Handler: h}), 1)
	for b.Loop() {
		rows, err := db.QueryContext(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		for rows.Next() {
			var id int64
			var text sql.RawBytes
			var score float64
			if err := rows.Scan(&id, &text, &score); err != nil {
				b.Fatal(err)
			}
			got++
		}
		if err := rows.Close(); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkArrayBind(b *testing.B) {
	const n = 500
	h := HandlerFunc(func(_ context.Context, c *Call) (*Result, error) { return &Result{Affected: int64(len(c.Rows))}, nil })
	db := open(b, start(b, Config{Handler: h}), 1)
	ids, texts := make([]int64, n), make([]string, n)
	for i := range n {
		ids[i], texts[i] = int64(i), strings.Repeat("words ", 50)
	}
	for b.Loop() {
		if _, err := db.ExecContext(b.Context(), "INSERT INTO t(id, text) VALUES (:1, :2)", ids, texts); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkLogin(b *testing.B) {
	s := start(b, Config{})
	for b.Loop() {
		db := open(b, s, 1)
		if err := db.PingContext(b.Context()); err != nil {
			b.Fatal(err)
		}
		_ = db.Close()
	}
}
