package limit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// A search is charged to its address and its user.
func BenchmarkAllow(b *testing.B) {
	big := Rule{Name: "search", Limit: maxLimit, Window: time.Minute}
	global := Rule{Name: "global", Limit: maxLimit, Window: time.Minute}
	keys := make([]string, 65536)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%08d", i)
	}
	b.Run("one key", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 0), big)
		b.ReportAllocs()
		for b.Loop() {
			l.Allow(b.Context(), Charge{big, keys[0]})
		}
	})
	b.Run("one key refused", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 0), searchRule)
		b.ReportAllocs()
		for b.Loop() {
			l.Allow(b.Context(), Charge{searchRule, keys[0]})
		}
	})
	b.Run("many keys", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 0), big)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			l.Allow(b.Context(), Charge{big, keys[i&65535]})
		}
	})
	b.Run("two rules, many keys, parallel", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 0), big, global)
		var next atomic.Int64
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := int(next.Add(7919)); pb.Next(); i++ {
				l.Allow(b.Context(), Charge{global, keys[(i>>2)&65535]}, Charge{big, keys[i&65535]})
			}
		})
	})
	b.Run("one key, parallel", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 0), big)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Allow(b.Context(), Charge{big, keys[0]})
			}
		})
	})
	b.Run("full table", func(b *testing.B) {
		l := newLimiter(b, newMemory(b, 1000), big)
		for i := 0; b.Loop(); i++ {
			l.Allow(b.Context(), Charge{big, keys[i&65535]})
		}
	})
}

func BenchmarkRedis(b *testing.B) {
	r := newRedis(b, startRedis(b).url(), patient)
	big := Rule{Name: "search", Limit: maxLimit, Window: time.Minute}
	global := Rule{Name: "global", Limit: maxLimit, Window: time.Minute}
	small := Rule{Name: "ingest", Limit: 10, Window: time.Minute}
	l := newLimiter(b, r, big, global, small)
	b.Run("two rules", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Allow(b.Context(), Charge{global, "address"}, Charge{big, "user"})
		}
	})
	b.Run("two rules, parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Allow(b.Context(), Charge{global, "address"}, Charge{big, "user"})
			}
		})
	})
	b.Run("refused", func(b *testing.B) {
		for b.Loop() {
			l.Allow(b.Context(), Charge{small, "user"})
		}
	})
}

func BenchmarkClientKey(b *testing.B) {
	trusted, _ := ParsePrefixes("10.0.0.0/8 192.0.2.0/24")
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "1.2.3.4, 2001:db8::1, 192.0.2.5")
	b.ReportAllocs()
	for b.Loop() {
		ClientKey(r, trusted)
	}
}

func BenchmarkWriteHeaders(b *testing.B) {
	l := newLimiter(b, newMemory(b, 0), globalRule, searchRule)
	o := l.Allow(b.Context(), Charge{globalRule, "a"}, Charge{searchRule, "b"})
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		WriteHeaders(h, o.Decisions()...)
	}
}

// The bytes behind DefaultMaxClients's comment: b.N clients, each with a handful or with very many requests.
func BenchmarkMemoryPerClient(b *testing.B) {
	for _, requests := range []int{5, 500} {
		b.Run(fmt.Sprintf("%d requests", requests), func(b *testing.B) {
			const clients = 20_000
			for b.Loop() {
				s := st(newMemory(b, DefaultMaxClients))
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				now := time.Now()
				for i := range requests {
					for c := range clients {
						s.take(now.Add(time.Duration(i)*59*time.Second/time.Duration(requests)), Charge{globalRule, fmt.Sprintf("192.168.%d.%d", c>>8, c&255)})
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/clients, "B/client")
				runtime.KeepAlive(s)
			}
		})
	}
}
