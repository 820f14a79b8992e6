package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// BenchmarkHTTP measures what a client sees: the API on a real connection, over a library of
// invented text on SQLite. What is compared is measured by turns in one loop, so that a busy
// machine spoils both alike; ns/op is the side named first. Libraries are built once and shared;
// TOMEHUB_BENCH_DIR names a directory to keep them in, for the next run.
func BenchmarkHTTP(b *testing.B) {
	libs := &benchLibraries{bySize: map[int]string{}, dir: os.Getenv("TOMEHUB_BENCH_DIR")}
	if libs.dir == "" {
		dir, err := os.MkdirTemp("", "tomehub-bench-")
		if err != nil {
			b.Fatal(err)
		}
		libs.dir = dir
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	b.Run("batch=100/one_connection", func(b *testing.B) { benchBatch(b, libs, batchOver{}) })
	b.Run("batch=100/connection_each", func(b *testing.B) { benchBatch(b, libs, batchOver{anew: true}) })
	b.Run("batch=100/rtt=1ms", func(b *testing.B) { benchBatch(b, libs, batchOver{rtt: time.Millisecond}) })
	b.Run("batch=100/hold=1ms", func(b *testing.B) { benchBatch(b, libs, batchOver{hold: time.Millisecond}) })
	b.Run("page", func(b *testing.B) { benchPage(b, libs) })
	b.Run("search", func(b *testing.B) { benchSearch(b, libs) })
	b.Run("pools", func(b *testing.B) { benchPools(b, libs) })
}

// batchOver is the way to the passages. The zero batchOver is one connection within this machine,
// on which a request costs less than anywhere else.
type batchOver struct {
	anew bool          // each read has a connection of its own, as in the plan's loop of curl
	rtt  time.Duration // how far away the client is
	hold time.Duration // how much longer a statement takes: how far away the database is
}

// benchBatch asks for 100 passages at once, and by 100 requests. Nothing is cached.
func benchBatch(b *testing.B, libs *benchLibraries, over batchOver) {
	pools, rtt, anew := benchPoolConfig(), over.rtt, over.anew
	if over.hold > 0 {
		pools.Hold = holdFor(over.hold)
	}
	address := listenBench(b, openBench(b, libs.path(b, 5_000), pools, library.Config{}), benchConfig())
	c := dial(b, address)
	b.Cleanup(func() { c.conn.Close() })
	ids := make([]string, 100)
	singles := make([][]byte, 100)
	for i := range ids {
		ids[i] = strconv.Itoa(i*37%5000 + 1)
		singles[i] = get("/api/content/" + ids[i])
	}
	batch := post("/api/content/batch", `{"ids":[`+strings.Join(ids, ",")+`]}`)
	var one, many side
	var statements [2]int
	for b.Loop() {
		one.run(func() {
			time.Sleep(rtt)
			_, statements[0] = c.ask(b, batch)
		})
		many.run(func() {
			statements[1] = 0
			for _, request := range singles {
				time.Sleep(rtt)
				reader := c
				if anew {
					reader = dial(b, address)
				}
				_, n := reader.ask(b, request)
				statements[1] += n
				if anew {
					reader.conn.Close()
				}
			}
		})
	}
	if statements != [2]int{1, 100} {
		b.Errorf("%v statements, want 1 and 100", statements)
	}
	compare(b, "batch", &one, "reads", &many)
}

// benchPage asks for the first page of 50 of a search with 10,000 matches and more, and for
// all of them, as a client did before there were pages: in as few requests as there can be.
func benchPage(b *testing.B, libs *benchLibraries) {
	size := 100_000
	if testing.Short() {
		size = 5_000
	}
	c := serveBench(b, openBench(b, libs.path(b, size), benchPoolConfig(), library.Config{}))
	const query = "/api/search?include=details&q="
	first := get(query + word(commonRank))
	var one, all side
	var page, total searchPageFields
	for b.Loop() {
		one.run(func() { page, _ = c.search(b, first) })
		all.run(func() {
			total, _ = c.search(b, get(query+word(commonRank)+"&page_size=1000"))
			for next := total; next.HasNext; {
				next, _ = c.search(b, get(query+word(commonRank)+"&page_size=1000&cursor="+next.NextCursor))
				total.Results = append(total.Results, next.Results...)
			}
		})
	}
	if len(page.Results) != 50 || len(total.Results) != page.Total || page.Total < size/10 {
		b.Errorf("%d and %d results of %d matches", len(page.Results), len(total.Results), page.Total)
	}
	compare(b, "page", &one, "all", &all)
	b.ReportMetric(float64(page.Total), "matches")
}

// A side is one of two ways that are compared.
type side struct {
	wall, cpu time.Duration
	times     []time.Duration
}

func (s *side) run(f func()) {
	cpu, start := cpuTime(), time.Now()
	f()
	took := time.Since(start)
	s.cpu += cpuTime() - cpu
	s.wall += took
	s.times = append(s.times, took)
}

// compare reports the times of both ways, that of a as ns/op, and how they relate by the clock
// and by the time of all cores, client and server, which a busy machine disturbs less.
func compare(b *testing.B, nameA string, sideA *side, nameB string, sideB *side) {
	n := float64(len(sideA.times))
	b.ReportMetric(float64(sideA.wall)/n, "ns/op")
	b.ReportMetric(float64(sideA.cpu)/n, nameA+"-cpu-ns")
	b.ReportMetric(float64(sideB.wall)/n, nameB+"-ns")
	b.ReportMetric(float64(sideB.cpu)/n, nameB+"-cpu-ns")
	b.ReportMetric(float64(sideB.wall)/float64(sideA.wall), nameB+"/"+nameA)
	b.ReportMetric(float64(sideB.cpu)/float64(sideA.cpu), nameB+"/"+nameA+"-cpu")
}

// benchPoolConfig has the pools of phases C and D.
func benchPoolConfig() pool.Config {
	return pool.Config{
		Read:    pool.Bounds{Min: 5, Size: 50, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Min: 2, Size: 10, SizeSetting: "DB_POOL_WRITE_SIZE"},
		Timeout: 30 * time.Second, Recycle: time.Hour, QueryTimeout: 30 * time.Second,
	}
}

// openBench opens the library file at path.
func openBench(b *testing.B, path string, pools pool.Config, cfg library.Config) *house {
	b.Helper()
	h := new(house)
	var err error
	pools.Path = path
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	h.pools, err = pool.OpenSQLite(b.Context(), pools)
	must(err)
	b.Cleanup(func() { must(h.pools.Close()) })
	h.store, err = store.OpenSQLite(b.Context(), h.pools, store.Options{SlowQuery: time.Second})
	must(err)
	h.library, err = library.New(cfg, h.store)
	must(err)
	b.Cleanup(func() { must(h.library.Close()) })
	return h
}

// serveBench serves the house with limits that are counted and never reached.
func serveBench(b *testing.B, h *house) *lineClient {
	b.Helper()
	c := dial(b, listenBench(b, h, benchConfig()))
	b.Cleanup(func() { c.conn.Close() }) // before the server, which waits for it
	return c
}

func benchConfig() Config {
	cfg := testConfig()
	const never = 10_000_000
	cfg.RateLimits = RateLimits{Global: never, Search: never, Ingest: never}
	return cfg
}

// listenBench returns the address of the house's API.
func listenBench(b *testing.B, h *house, cfg Config) string {
	b.Helper()
	srv := httptest.NewServer(newServer(b, cfg, h.deps()).Handler())
	b.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// A lineClient is one kept-alive connection: the cheapest client there is, because the
// server is what is measured.
type lineClient struct {
	conn net.Conn
	r    *bufio.Reader
}

// dial connects; the connection is the caller's to close, or ends with the server.
func dial(b *testing.B, address string) *lineClient {
	b.Helper()
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	return dialed(conn)
}

func dialed(conn net.Conn) *lineClient {
	return &lineClient{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

func get(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

func post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// roundTrip sends a request and returns status, body and the number of statements it took.
func (c *lineClient) roundTrip(request []byte) (status int, body []byte, statements int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, nil, 0, err
	}
	body, err = io.ReadAll(resp.Body)
	statements, _ = strconv.Atoi(resp.Header.Get("X-Tomehub-Statements"))
	return resp.StatusCode, body, statements, errors.Join(err, resp.Body.Close())
}

// ask wants an answer of 2xx.
func (c *lineClient) ask(b *testing.B, request []byte) (body []byte, statements int) {
	status, body, statements, err := c.roundTrip(request)
	if err != nil || status/100 != 2 {
		line, _, _ := bytes.Cut(request, []byte("\r\n"))
		b.Fatalf("%s: %d %v %.300s", line, status, err, body)
	}
	return body, statements
}

// benchLibraries are libraries of invented text, one of each size, built when first asked for.
type benchLibraries struct {
	dir    string
	bySize map[int]string
}

// path returns the file of the library with that many passages, which must not be changed.
func (l *benchLibraries) path(b *testing.B, passages int) string {
	b.Helper()
	if path := l.bySize[passages]; path != "" {
		return path
	}
	path := filepath.Join(l.dir, fmt.Sprintf("%d.sqlite", passages))
	if _, err := os.Stat(path); err != nil { // not kept from an earlier run
		building := path + ".new"
		if err := buildLibrary(b.Context(), building, passages); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(building, path); err != nil {
			b.Fatal(err)
		}
	}
	l.bySize[passages] = path
	return path
}

func buildLibrary(ctx context.Context, path string, passages int) (err error) {
	cfg := benchPoolConfig()
	cfg.Path = path
	pools, err := pool.OpenSQLite(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pools.Close()) }()
	s, err := store.OpenSQLite(ctx, pools, store.Options{})
	if err != nil {
		return err
	}
	text := newText(uint64(passages))
	for i := range passages / 1000 {
		if _, err := s.Ingest(ctx, text.book(fmt.Sprint(i), 1000)); err != nil {
			return err
		}
	}
	return s.Optimize(ctx)
}

// copyOf copies the library of that size, to be changed by one benchmark.
func (l *benchLibraries) copyOf(b *testing.B, passages int) string {
	b.Helper()
	from, err := os.Open(l.path(b, passages))
	if err != nil {
		b.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(b.TempDir(), "library.sqlite")
	to, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		b.Fatal(err)
	}
	return path
}

// invented is text: words of a fixed vocabulary, the n-th most frequent of them in
// proportion to 1/n, as in books.
type invented struct {
	rng  *rand.Rand
	zipf *rand.Zipf
}

// Ranks of the words that are searched for: in about 1 of 10,000, 1 of 100 and 1 of 8 passages.
const (
	vocabulary = 60_000
	stopWords  = 50 // ranks below are in nearly every passage
	rareRank   = 20_000
	midRank    = 1_000
	commonRank = 70
)

func newText(seed uint64) *invented {
	rng := rand.New(rand.NewPCG(seed, 11))
	return &invented{rng: rng, zipf: rand.NewZipf(rng, 1.05, 3, vocabulary-1)}
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

func (t *invented) ranks(n int) []uint64 {
	ranks := make([]uint64, n)
	for i := range ranks {
		ranks[i] = t.zipf.Uint64()
	}
	return ranks
}

func wordsOf(ranks []uint64) []string {
	words := make([]string, len(ranks))
	for i, rank := range ranks {
		words[i] = word(rank)
	}
	return words
}

func (t *invented) book(name string, passages int) store.NewBook {
	b := store.NewBook{Title: "Book " + name, Author: "Author of " + name, SourceType: "text", Hash: name}
	for i := range passages {
		chapter := fmt.Sprintf("Chapter %d", i/20+1)
		b.Passages = append(b.Passages, store.NewPassage{
			Content: strings.Join(wordsOf(t.ranks(90+t.rng.IntN(60))), " "), PageNumber: i/3 + 1, Chapter: chapter,
			Metadata: map[string]any{"author": b.Author, "chapter": chapter, "language": "en", "words": 120},
		})
	}
	for range 40 {
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
