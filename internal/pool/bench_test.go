package pool

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"modernc.org/sqlite"
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

// BenchmarkStatement compares a statement through the pool with the same one on
// a pinned connection of the bare driver with the same set-up.
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
			b.Run(fmt.Sprintf("%s/driver/cancellable=%v", name, cancellable), func(b *testing.B) {
				conn := bareConn(b, ps.cfg.Path)
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

// bareConn opens the file by the driver alone.
func bareConn(b *testing.B, path string) *sql.Conn {
	b.Helper()
	base, err := sqlite.NewConnector(dsn(path, "rw", "deferred"))
	if err != nil {
		b.Fatal(err)
	}
	db := sql.OpenDB(base)
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); db.Close() })
	for _, s := range readerSetUp {
		if _, err := conn.ExecContext(b.Context(), s.statement); err != nil {
			b.Fatal(err)
		}
	}
	return conn
}

// BenchmarkOpenConnection is what replacing a connection costs.
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
