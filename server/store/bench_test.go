package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// text invents passages: words of a fixed vocabulary, the n-th most frequent of
// them in proportion to 1/n, as in real books.
type text struct {
	rng  *rand.Rand
	zipf *rand.Zipf
}

const vocabulary = 60_000

func newText(seed uint64) *text {
	rng := rand.New(rand.NewPCG(seed, 7))
	return &text{rng: rng, zipf: rand.NewZipf(rng, 1.05, 3, vocabulary-1)}
}

// word returns the word of that rank; common ones are short.
func word(rank uint64) string {
	const syllables = "kadosuremilatonevirisahogubepocezifalu"
	var b strings.Builder
	for n := rank; ; n /= 19 {
		i := int(n%19) * 2
		b.WriteString(syllables[i : i+2])
		if n < 19 {
			return b.String()
		}
	}
}

func (t *text) passage() string {
	var b strings.Builder
	for i := range 90 + t.rng.IntN(60) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word(t.zipf.Uint64()))
		if t.rng.IntN(12) == 0 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// book returns an invented book with concepts that are words of it.
func (t *text) book(owner, name string, passages int) store.NewBook {
	b := store.NewBook{Owner: owner, Title: "Book " + name, Author: "Author of " + name, SourceType: "text", Hash: name}
	for i := range passages {
		b.Passages = append(b.Passages, store.NewPassage{
			Content: t.passage(), PageNumber: i/3 + 1, Chapter: fmt.Sprintf("Chapter %d", i/20+1),
			Metadata: map[string]any{"author": b.Author, "chapter": fmt.Sprintf("Chapter %d", i/20+1), "language": "en", "words": 120},
		})
	}
	for range min(40, passages) {
		c := store.NewConcept{Name: word(200+t.rng.Uint64N(3000)) + " " + word(200+t.rng.Uint64N(3000)), Score: 1 + 5*t.rng.Float64()}
		for range 1 + t.rng.IntN(12) {
			c.Passages = append(c.Passages, t.rng.IntN(passages))
		}
		b.Concepts = append(b.Concepts, c)
	}
	for i := range len(b.Concepts) - 1 {
		b.Relations = append(b.Relations, store.NewRelation{Source: i, Target: i + 1 + t.rng.IntN(len(b.Concepts)-i-1), Weight: t.rng.Float64()})
	}
	return b
}

// libraries are built once per run, of a size each, and removed by TestMain.
var libraries struct {
	sync.Mutex
	dir    string
	bySize map[int]string
}

func TestMain(m *testing.M) {
	if mode := os.Getenv(childEnv); mode != "" {
		os.Exit(runChild(mode, os.Getenv(childLibraryEnv)))
	}
	code := m.Run()
	if libraries.dir != "" {
		os.RemoveAll(libraries.dir)
	}
	os.Exit(code)
}

// benchLibrary opens the library with that many passages of books of 1,000,
// optimised as after a bulk load, and returns its path too.
func benchLibrary(b *testing.B, passages int) (*store.SQLite, string) {
	b.Helper()
	if passages > 10_000 && testing.Short() {
		b.Skip("building the library takes many seconds: run without -short")
	}
	libraries.Lock()
	defer libraries.Unlock()
	if path, ok := libraries.bySize[passages]; ok {
		return open(b, path, store.Options{}), path
	}
	if libraries.dir == "" {
		dir, err := os.MkdirTemp("", "tomehub-store-bench-")
		if err != nil {
			b.Fatal(err)
		}
		libraries.dir, libraries.bySize = dir, map[int]string{}
	}
	path := filepath.Join(libraries.dir, fmt.Sprintf("%d.db", passages))
	s := open(b, path, store.Options{})
	text := newText(uint64(passages))
	for i := range passages / 1000 {
		if _, err := s.Ingest(b.Context(), text.book("", fmt.Sprint(i), 1000)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Optimize(b.Context()); err != nil {
		b.Fatal(err)
	}
	libraries.bySize[passages] = path
	return s, path
}

// terms are searched for in every benchmark; passages tells in how many of them they are.
var terms = []struct{ name, text string }{
	{"rare", word(20_000)}, {"mid", word(1_500)}, {"common", word(90)}, {"two", word(90) + " " + word(300)}, {"phrase", `"` + word(20) + " " + word(30) + `"`},
}

func eachTerm(b *testing.B, run func(b *testing.B, s *store.SQLite, path string, q store.Query)) {
	for _, size := range []int{5_000, 100_000} {
		for _, term := range terms {
			b.Run(fmt.Sprintf("passages=%d/term=%s", size, term.name), func(b *testing.B) {
				s, path := benchLibrary(b, size)
				q, err := store.ParseQuery(term.text)
				if err != nil {
					b.Fatal(err)
				}
				n, err := s.Count(b.Context(), store.Scope{}, q)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				run(b, s, path, q)
				b.ReportMetric(float64(n), "matches")
			})
		}
	}
}

var firstPage = store.Page{Number: 1, Size: 50}

func BenchmarkSearch(b *testing.B) {
	eachTerm(b, func(b *testing.B, s *store.SQLite, _ string, q store.Query) {
		for b.Loop() {
			if _, err := s.SearchPage(b.Context(), store.Scope{}, q, firstPage, true); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSearchRaw runs the statement of BenchmarkSearch on a connection of
// database/sql without pool, tracer or owners' memory, and scans the same rows.
func BenchmarkSearchRaw(b *testing.B) {
	eachTerm(b, func(b *testing.B, s *store.SQLite, path string, q store.Query) {
		if _, err := s.SearchPage(b.Context(), store.Scope{}, q, firstPage, true); err != nil {
			b.Fatal(err)
		}
		statement := "" // the one that ran, of the two that search with details
		for _, st := range s.Statements() {
			if strings.HasPrefix(st.Name, "search_") {
				statement = st.SQL
			}
		}
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=mmap_size(2147418112)&_pragma=cache_size(-8192)")
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		words := `"` + strings.Join(strings.Fields(strings.Trim(q.String(), `"`)), `" "`) + `"`
		if strings.HasPrefix(q.String(), `"`) {
			words = q.String()
		}
		for b.Loop() {
			if err := rawSearch(b.Context(), db, statement, words); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func rawSearch(ctx context.Context, db *sql.DB, statement, words string) error {
	rows, err := db.QueryContext(ctx, statement, sql.Named("query", words), sql.Named("lo", 1), sql.Named("hi", 0), sql.Named("page_size", 50), sql.Named("offset", 0))
	if err != nil {
		return err
	}
	defer rows.Close()
	var total int
	var id, bookID, seq, page sql.NullInt64
	var score sql.NullFloat64
	var title, source, chapter, content, metadata sql.NullString
	for rows.Next() {
		if err := rows.Scan(&total, &id, &score, &bookID, &seq, &page, &title, &source, &chapter, &content, &metadata); err != nil {
			return err
		}
	}
	return rows.Err()
}

// BenchmarkFiveStatements is one search as it was before its statements were
// joined, with the details of its matches read one by one, and as it is now.
func BenchmarkFiveStatements(b *testing.B) {
	eachTerm(b, func(b *testing.B, s *store.SQLite, _ string, q store.Query) {
		ctx, scope := b.Context(), store.Scope{}
		must := func(err error) {
			if err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			found, err := s.SearchIDs(ctx, scope, q, firstPage)
			must(err)
			_, err = s.Count(ctx, scope, q)
			must(err)
			ids := make([]int64, len(found))
			for i, m := range found {
				ids[i] = m.ID
			}
			_, err = s.Titles(ctx, scope, ids)
			must(err)
			_, err = s.Concepts(ctx, scope, ids, 10)
			must(err)
			_, err = s.Relations(ctx, scope, ids, 10)
			must(err)
			for _, id := range ids {
				_, err := s.Passage(ctx, scope, id)
				must(err)
			}
		}
	})
}

func BenchmarkTwoStatements(b *testing.B) {
	eachTerm(b, func(b *testing.B, s *store.SQLite, _ string, q store.Query) {
		ctx, scope := b.Context(), store.Scope{}
		for b.Loop() {
			found, err := s.SearchPage(ctx, scope, q, firstPage, true)
			if err != nil {
				b.Fatal(err)
			}
			ids := make([]int64, len(found.Matches))
			for i, m := range found.Matches {
				ids[i] = m.ID
			}
			if _, _, err := s.ConceptsRelations(ctx, scope, ids, 10); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPassages(b *testing.B) {
	ids := make([]int64, 100)
	for i := range ids {
		ids[i] = int64(i*37%5000 + 1)
	}
	b.Run("batch=100", func(b *testing.B) {
		s, _ := benchLibrary(b, 5_000)
		for b.Loop() {
			if got, err := s.Passages(b.Context(), store.Scope{}, ids); err != nil || len(got) != len(ids) {
				b.Fatal(len(got), err)
			}
		}
	})
	b.Run("single=100", func(b *testing.B) {
		s, _ := benchLibrary(b, 5_000)
		for b.Loop() {
			for _, id := range ids {
				if _, err := s.Passage(b.Context(), store.Scope{}, id); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkTracing is the smallest statement, through the store and through the pool alone.
func BenchmarkTracing(b *testing.B) {
	b.Run("store", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "library.db"), store.Options{SlowQuery: time.Second})
		var stats store.RequestStats
		ctx := store.WithRequest(b.Context(), &stats, "request")
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Ping(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pool", func(b *testing.B) {
		p := openPools(b, filepath.Join(b.TempDir(), "library.db")).Read()
		b.ReportAllocs()
		for b.Loop() {
			if err := ping(b.Context(), p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func ping(ctx context.Context, p *pool.Pool) error {
	conn, err := p.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, "/* tomehub:ping */\nSELECT 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
