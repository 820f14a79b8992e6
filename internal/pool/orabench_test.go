package pool

import (
	"context"
	"database/sql"
	"testing"

	ora "github.com/sijms/go-ora/v2"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// BenchmarkOracleAcquire is a slot with its session taken and given back, without a statement.
// What the guard costs is the difference.
func BenchmarkOracleAcquire(b *testing.B) {
	for _, guarded := range []bool{true, false} {
		name := "guard"
		if !guarded {
			name = "no guard"
		}
		b.Run(name, func(b *testing.B) {
			ps := openOracle(b, double(b, &numbers{}), nil)
			l := ps.read.links
			for b.Loop() {
				c, err := ps.Read().Acquire(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				k, _, err := l.borrow(b.Context(), 0)
				if err != nil {
					b.Fatal(err)
				}
				if guarded {
					l.giveBack(k)
				} else {
					l.put(k)
					l.gate.Release()
				}
				c.Release()
			}
		})
	}
}

// BenchmarkOracleQuery is a query of one row, by the pool and by the driver alone under database/sql.
func BenchmarkOracleQuery(b *testing.B) {
	trips := func(b *testing.B, s *oracletest.Server, run func()) {
		s.ResetStats()
		n := 0
		for b.Loop() {
			run()
			n++
		}
		st := s.Stats()
		b.ReportMetric(float64(st.PacketsOut)/float64(n), "roundtrips/op")
		b.ReportMetric(float64(st.BytesIn+st.BytesOut)/float64(n), "bytes/op")
	}
	b.Run("pool", func(b *testing.B) {
		s := double(b, &numbers{})
		ps := openOracle(b, s, nil)
		trips(b, s, func() {
			if got, err := query(b, ps, 5); err != nil || got != 5 {
				b.Fatal(got, err)
			}
		})
	})
	for name, kinds := range map[string]Kinds{"free kinds": FreeKinds, "kinds by calls": AlwaysKinds} {
		b.Run(name, func(b *testing.B) { // a session whose kind changes with each statement, the worst case
			s := double(b, &numbers{})
			if kinds == AlwaysKinds {
				s.TakeEndToEnd(oracletest.EndToEndIgnored)
			}
			ps := openOracle(b, s, func(_ *Config, o *Oracle) { o.Kinds = kinds })
			contexts := []context.Context{WithKind(b.Context(), "search"), WithKind(b.Context(), "content")}
			n := 0
			trips(b, s, func() {
				n++
				c, err := ps.Read().Acquire(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				defer c.Release()
				if got, err := queryOn(contexts[n%2], c, 5); err != nil || got != 5 {
					b.Fatal(got, err)
				}
			})
		})
	}
	b.Run("driver", func(b *testing.B) {
		s := double(b, &numbers{})
		db := sql.OpenDB(ora.NewConnector("oracle://tomehub:secret@" + s.DSN()))
		defer db.Close()
		db.SetMaxOpenConns(1)
		if err := db.Ping(); err != nil {
			b.Fatal(err)
		}
		trips(b, s, func() {
			var got int64
			if err := db.QueryRowContext(b.Context(), echo, 5).Scan(&got); err != nil || got != 5 {
				b.Fatal(got, err)
			}
		})
	})
}

// BenchmarkOracleLogin is a session opened, set up and closed.
func BenchmarkOracleLogin(b *testing.B) {
	ps := openOracle(b, double(b, &numbers{}), nil)
	for b.Loop() {
		k, err := ps.read.links.dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := k.conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
