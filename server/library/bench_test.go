package library

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/store"
)

// demoLibrary is the default demo library, filled once per benchmark.
func demoLibrary(b *testing.B, cfg Config) *Library {
	b.Helper()
	st := openStore(b)
	fill(b, open(b, st, Config{}), "", demo.DefaultSeed, demo.DefaultBooks, demo.DefaultPassages)
	if err := st.Optimize(b.Context()); err != nil {
		b.Fatal(err)
	}
	return open(b, st, cfg)
}

func BenchmarkSearchHit(b *testing.B) {
	l := demoLibrary(b, cached)
	for _, details := range []bool{false, true} {
		b.Run(fmt.Sprintf("details=%v", details), func(b *testing.B) {
			req := SearchRequest{Query: "time memory", Page: 1, PageSize: 50, IncludeDetails: details}
			mustSearch(b, l, "", req)
			buf := make([]byte, 0, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				r, err := l.Search(b.Context(), store.Scope{}, req)
				if err != nil || !r.CacheHit {
					b.Fatal(err, r.CacheHit)
				}
				if buf, err = r.AppendJSON(buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(buf)), "bytes/answer")
		})
	}
}

// Each query is new to the cache: the cost of a search that the cache cannot help.
func BenchmarkSearchCold(b *testing.B) {
	for _, access := range []Access{TwoStatements, FiveStatements} {
		l := demoLibrary(b, Config{Access: access})
		for _, query := range []string{"dasein", "time", "time memory", `"the question of"`} {
			for _, details := range []bool{false, true} {
				b.Run(fmt.Sprintf("%v/%s/details=%v", access, strings.ReplaceAll(query, " ", "_"), details), func(b *testing.B) {
					for b.Loop() {
						mustSearch(b, l, "", SearchRequest{Query: query, Page: 1, PageSize: 50, IncludeDetails: details})
					}
				})
			}
		}
	}
}

// A mix of repeated queries, as Zipf's law has them: what the cache is for.
func BenchmarkSearchLog(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("cache=%v", on), func(b *testing.B) {
			l := demoLibrary(b, Config{Cache: CacheConfig{Enabled: on}})
			log := demo.Queries(demo.DefaultSeed, 10_000)
			i := 0
			for b.Loop() {
				mustSearch(b, l, "", ask(log[i%len(log)]))
				i++
			}
			b.ReportMetric(l.CacheStats().HitRatio, "hits/question")
		})
	}
}

func BenchmarkJoined1000(b *testing.B) {
	l := demoLibrary(b, cached)
	n := 0
	for b.Loop() {
		n++
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { mustSearch(b, l, fmt.Sprint("user", n), ask("time")) })
		}
		wg.Wait()
	}
	s := l.CacheStats()
	b.ReportMetric(float64(s.Misses)/float64(n), "misses/op")
}

// A page of 50 with details: encoded by reflection, as each answer would be, and as a hit has it.
func BenchmarkPageJSON(b *testing.B) {
	l := demoLibrary(b, cached)
	r := mustSearch(b, l, "", SearchRequest{Query: "time", Page: 1, PageSize: 50, IncludeDetails: true})
	b.Run("reflect", func(b *testing.B) {
		type plain SearchResult
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(plain(r)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("spliced", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = r.AppendJSON(buf[:0])
		}
	})
}

func BenchmarkContent100(b *testing.B) {
	l := demoLibrary(b, Config{})
	ids := make([]int64, 100)
	for i := range ids {
		ids[i] = int64(i*37 + 1)
	}
	b.Run("one_by_one", func(b *testing.B) {
		for b.Loop() {
			for _, id := range ids {
				if _, err := l.Content(b.Context(), store.Scope{}, id); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		for b.Loop() {
			if found, _, err := l.Batch(b.Context(), store.Scope{}, ids); err != nil || len(found) != 100 {
				b.Fatal(len(found), err)
			}
		}
	})
}

func BenchmarkIngest(b *testing.B) {
	st := openStore(b)
	l := open(b, st, Config{})
	seed, passages := uint64(0), 0
	for b.Loop() {
		seed++
		passages += fill(b, l, "", seed, 1, 200)
	}
	b.ReportMetric(float64(passages)/b.Elapsed().Seconds(), "passages/s")
}
