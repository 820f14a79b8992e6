package pool

import (
	"context"
	"fmt"
	"testing"
)

func BenchmarkAcquireRelease(b *testing.B) {
	b.Run("uncontended", func(b *testing.B) {
		ps := openTest(b, nil)
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			c, err := ps.Read().Acquire(ctx)
			if err != nil {
				b.Fatal(err)
			}
			c.Release()
		}
	})
	for _, callers := range []int{64, 256} {
		b.Run(fmt.Sprintf("contended/slots=8/callers=%d", callers), func(b *testing.B) {
			ps := openTest(b, func(cfg *Config) { cfg.Read = Bounds{Min: 1, Size: 8, Queue: callers} })
			ctx := b.Context()
			b.SetParallelism((callers + 1) / 2)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c, err := ps.Read().Acquire(ctx)
					if err != nil {
						b.Error(err)
						return
					}
					c.Release()
				}
			})
		})
	}
}

// BenchmarkStatement compares a statement through the pool with the same one on a pinned database/sql connection.
func BenchmarkStatement(b *testing.B) {
	ps := openTest(b, nil)
	fillNumbers(b, ps, 1000)
	queries := map[string]string{
		"point":  "SELECT a FROM numbers WHERE a = ?",
		"joined": "WITH m AS MATERIALIZED (SELECT a, b FROM numbers WHERE a < ?1 ORDER BY b DESC, a LIMIT 10) SELECT m.a, n.b, (SELECT count(*) FROM numbers WHERE a < ?1) FROM m JOIN numbers n ON n.a = m.a JOIN numbers o ON o.a = n.a ORDER BY m.b, m.a",
	}
	for name, query := range queries {
		for _, cancellable := range []bool{false, true} {
			ctx := context.WithoutCancel(b.Context())
			if cancellable {
				ctx = b.Context()
			}
			b.Run(fmt.Sprintf("%s/pool/cancellable=%v", name, cancellable), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					c, err := ps.Read().Acquire(ctx)
					if err != nil {
						b.Fatal(err)
					}
					rows, err := c.Query(ctx, query, 7)
					if err != nil {
						b.Fatal(err)
					}
					for rows.Next() {
					}
					if err := rows.Err(); err != nil {
						b.Fatal(err)
					}
					c.Release()
				}
			})
			b.Run(fmt.Sprintf("%s/sql/cancellable=%v", name, cancellable), func(b *testing.B) {
				conn, err := ps.read.links.db.Conn(ctx)
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				b.ReportAllocs()
				for b.Loop() {
					rows, err := conn.QueryContext(ctx, query, 7)
					if err != nil {
						b.Fatal(err)
					}
					for rows.Next() {
					}
					if err := rows.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkPrepared(b *testing.B) {
	ps := openTest(b, nil)
	fillNumbers(b, ps, 1000)
	ctx := b.Context()
	conn, _ := ps.read.links.db.Conn(ctx)
	defer conn.Close()
	st, err := conn.PrepareContext(ctx, "WITH m AS MATERIALIZED (SELECT a, b FROM numbers WHERE a < ?1 ORDER BY b DESC, a LIMIT 10) SELECT m.a, n.b, (SELECT count(*) FROM numbers WHERE a < ?1) FROM m JOIN numbers n ON n.a = m.a JOIN numbers o ON o.a = n.a ORDER BY m.b, m.a")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rows, err := st.QueryContext(ctx, 7)
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
		}
		rows.Close()
	}
}

func BenchmarkOpenConnection(b *testing.B) {
	ps := openTest(b, nil)
	ctx := b.Context()
	for b.Loop() {
		k, err := ps.read.links.dial(ctx)
		if err != nil {
			b.Fatal(err)
		}
		k.conn.Close()
	}
}
