package server

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/library"
)

// searchPageFields is what benchmarks read of a search.
type searchPageFields struct {
	Results []struct {
		ID int64 `json:"id"`
	} `json:"results"`
	Total      int    `json:"total_count"`
	HasNext    bool   `json:"has_next"`
	NextCursor string `json:"next_cursor"`
}

func (c *lineClient) search(b *testing.B, request []byte) (page searchPageFields, statements int) {
	body, statements := c.ask(b, request)
	if err := json.Unmarshal(body, &page); err != nil {
		b.Fatalf("%v in %.300s", err, body)
	}
	return page, statements
}

// benchSearch searches without the cache, over HTTP and by the same two statements, prepared
// once, on the bare driver. raw/http is the part of the bare driver's throughput that is left.
func benchSearch(b *testing.B, libs *benchLibraries) {
	sizes := []int{5_000}
	if !testing.Short() {
		sizes = append(sizes, 100_000)
	}
	if os.Getenv("TOMEHUB_BENCH_LARGE") == "1" {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		queries := map[string][]string{
			"rare": {word(rareRank)}, "mid": {word(midRank)}, "common": {word(commonRank)}, "mix": queryMix(uint64(size), 100),
		}
		for _, name := range []string{"rare", "mid", "common", "mix"} {
			b.Run(fmt.Sprintf("passages=%d/%s", size, name), func(b *testing.B) {
				benchAgainstRaw(b, libs.path(b, size), queries[name])
			})
		}
	}
}

// queryMix is a log of queries over the text of a library: 40 % one word, 30 % two, 20 % three
// and 10 % phrases that occur, in proportion to the words' frequencies; but nobody searches for
// the words that every passage has.
func queryMix(seed uint64, n int) []string {
	text := newText(seed) // the same words again
	telling := func(ranks []uint64) bool { return slices.Min(ranks) >= stopWords }
	var mix []string
	for i := range n {
		size, quote := [...]int{1, 1, 1, 1, 2, 2, 2, 3, 3, 2}[i%10], ""
		if i%10 == 9 {
			quote = `"`
		}
		ranks := text.ranks(size)
		for !telling(ranks) {
			ranks = text.ranks(size)
		}
		mix = append(mix, quote+strings.Join(wordsOf(ranks), " ")+quote)
	}
	return mix
}

func benchAgainstRaw(b *testing.B, path string, queries []string) {
	h := openBench(b, path, benchPoolConfig(), library.Config{})
	c := serveBench(b, h)
	requests := make([][]byte, len(queries))
	matches := 0
	for i, q := range queries {
		requests[i] = get("/api/search?q=" + url.QueryEscape(q))
	}
	// The statements that the server has for a word and for a phrase.
	c.ask(b, get("/api/search?q="+word(commonRank)))
	c.ask(b, get("/api/search?q=%22"+word(0)+"+"+word(1)+"%22"))
	bare := openRaw(b, path, h)
	for i, q := range queries {
		page, statements := c.search(b, requests[i])
		want := make([]int64, len(page.Results))
		for j, r := range page.Results {
			want[j] = r.ID
		}
		ids, err := bare.search(b.Context(), q)
		if diff := cmp.Diff(want, ids); err != nil || diff != "" || statements > 2 {
			b.Fatalf("%s: %d statements; the bare driver finds something else: %v\n%s", q, statements, err, diff)
		}
		matches += page.Total
	}
	var overHTTP, alone side
	for i := 0; b.Loop(); i++ {
		n := i % len(queries)
		overHTTP.run(func() { c.ask(b, requests[n]) })
		alone.run(func() {
			if _, err := bare.search(b.Context(), queries[n]); err != nil {
				b.Fatal(err)
			}
		})
	}
	compare(b, "http", &overHTTP, "raw", &alone)
	b.ReportMetric(float64(percentile(overHTTP.times, 50)-percentile(alone.times, 50)), "p50-added-ns")
	b.ReportMetric(float64(matches)/float64(len(queries)), "matches")
}

// percentile sorts d.
func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*p/100]
}

// A bareDriver searches by database/sql alone: one connection set up as the pool sets up its readers, no slots,
// no tracing, no owners, nothing decoded but the columns.
type bareDriver struct {
	word, phrase, related *sql.Stmt
}

// openRaw takes the texts of the statements from the house, which must have run them.
func openRaw(b *testing.B, path string, h *house) *bareDriver {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)&_pragma=mmap_size(2147418112)&_pragma=cache_size(-8192)&_pragma=temp_store(memory)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	r := new(bareDriver)
	prepared := map[string]**sql.Stmt{"search_page": &r.word, "search_phrase": &r.phrase, "concepts_relations": &r.related}
	for _, st := range h.store.Statements() {
		if p := prepared[st.Name]; p != nil {
			if *p, err = db.PrepareContext(b.Context(), st.SQL); err != nil {
				b.Fatal(err)
			}
		}
	}
	for name, p := range prepared {
		if *p == nil {
			b.Fatalf("the server did not run %s", name)
		}
	}
	return r
}

func (r *bareDriver) search(ctx context.Context, query string) (ids []int64, err error) {
	ids = []int64{}
	st, words := r.phrase, query
	if !strings.HasPrefix(query, `"`) {
		st, words = r.word, `"`+strings.Join(strings.Fields(query), `" "`)+`"`
	}
	rows, err := st.QueryContext(ctx, sql.Named("query", words), sql.Named("lo", 1), sql.Named("hi", 0), sql.Named("page_size", 50), sql.Named("offset", 0))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var total int
	var id, bookID, seq, page sql.NullInt64
	var score sql.NullFloat64
	var title, source, chapter sql.NullString
	for rows.Next() {
		if err := rows.Scan(&total, &id, &score, &bookID, &seq, &page, &title, &source, &chapter); err != nil {
			return nil, err
		}
		if id.Valid {
			ids = append(ids, id.Int64)
		}
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return ids, err
	}
	rows.Close()
	return ids, r.relate(ctx, ids)
}

func (r *bareDriver) relate(ctx context.Context, ids []int64) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	rows, err := r.related.QueryContext(ctx, sql.Named("ids", string(list)), sql.Named("lo", 1), sql.Named("hi", 0), sql.Named("owner", 0), sql.Named("most", 10))
	if err != nil {
		return err
	}
	defer rows.Close()
	var kind, name, target, typ string
	var id int64
	var weight float64
	var passages int
	for rows.Next() {
		if err := rows.Scan(&kind, &id, &name, &target, &typ, &weight, &passages); err != nil {
			return err
		}
	}
	return rows.Err()
}
