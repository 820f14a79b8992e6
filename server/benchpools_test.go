package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/library/demo"
)

// holdFor makes every statement take d longer.
func holdFor(d time.Duration) func(context.Context, string, time.Time) {
	return func(ctx context.Context, _ string, _ time.Time) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// benchPools measures task C1: how long searches take while nothing else happens and while
// more people send books than there are connections, with the read and write pools of phase C
// and with the single pool of phase A, on both databases. hold is how much longer each statement keeps its slot:
// with 0 both compete for the cores of this machine too, with 25 ms, as of a slow database in
// the network, for little else than connections.
func benchPools(b *testing.B, libs *benchLibraries) {
	size := 100_000
	if testing.Short() {
		size = 5_000
	}
	for _, hold := range []time.Duration{0, 25 * time.Millisecond} {
		b.Run(fmt.Sprintf("hold=%v", hold), func(b *testing.B) { benchStarvation(b, libs, size, hold) })
	}
	b.Run("one_person", func(b *testing.B) { benchRests(b, libs, size) })
	b.Run("oracle", func(b *testing.B) { benchOracleStarvation(b, 5*time.Millisecond) })
}

// benchOracleStarvation is benchStarvation at a database that is elsewhere: Oracle's double, which
// answers each call of the driver so much later. What the double itself takes of the cores comes on top of
// what production takes. The books have their words in common, so that ingests wait for each other's rows.
func benchOracleStarvation(b *testing.B, latency time.Duration) {
	open := func(pools pool.Config) *contest {
		h := openDouble(b, crowdedIngests, func(c *pool.Config, _ *pool.Oracle) { *c = pools }, nil)
		for book := range demo.Books(1, 3, 60) {
			_, err := h.library.Ingest(b.Context(), "", library.Document{Title: book.Title, Body: strings.NewReader(book.Text)})
			if err != nil {
				b.Fatal(err)
			}
		}
		h.double.Latency(latency)
		return newContest(b, h.pools, h.deps())
	}
	cfg := benchPoolConfig()
	contend(b, open(cfg), open(singlePool(cfg)))
}

// people who send books at the same time: more than the single pool has connections, and no more
// than its queue has room for.
const people = 80

func benchStarvation(b *testing.B, libs *benchLibraries, size int, hold time.Duration) {
	cfg := benchPoolConfig()
	if hold > 0 {
		cfg.Hold = holdFor(hold)
	}
	open := func(pools pool.Config) *contest {
		h := openBench(b, libs.copyOf(b, size), pools, crowdedIngests)
		return newContest(b, h.pools, h.deps())
	}
	contend(b, open(cfg), open(singlePool(cfg)))
}

// benchRests measures what is left of starvation when one person alone sends books, and rests after each for so many times as
// long as it took: whether ingests that are paced would leave searches alone.
func benchRests(b *testing.B, libs *benchLibraries, size int) {
	window, rounds := time.Second, 4
	if testing.Short() {
		window, rounds = 100*time.Millisecond, 1
	}
	h := openBench(b, libs.copyOf(b, size), benchPoolConfig(), library.Config{})
	c := newContest(b, h.pools, h.deps())
	rests := []int{0, 1, 3, 9}
	idle, busy, books := make([][]time.Duration, len(rests)), make([][]time.Duration, len(rests)), make([]int64, len(rests))
	for b.Loop() {
		for range rounds {
			for i, rest := range rests {
				c.searchFor(b, window, &idle[i])
				enough, before := make(chan struct{}), c.stored.Load()
				var person sync.WaitGroup
				person.Go(func() {
					if err := c.sendBooks(b, c.address, enough, rest); err != nil {
						b.Error(err)
					}
				})
				c.searchFor(b, window, &busy[i])
				books[i] += c.stored.Load() - before
				close(enough)
				person.Wait()
			}
		}
	}
	for i, rest := range rests {
		for _, p := range []int{50, 95} {
			b.ReportMetric(float64(percentile(busy[i], p))/float64(percentile(idle[i], p)), fmt.Sprintf("rest%d-p%d-ingest/idle", rest, p))
		}
		b.ReportMetric(float64(books[i])/(window.Seconds()*float64(rounds*b.N)), fmt.Sprintf("rest%d-books/s", rest))
	}
	b.ReportMetric(0, "ns/op") // says nothing here
}

// crowdedIngests lets as many ingests in as there are people: the bound of their own that they have would hide what the pools do.
var crowdedIngests = library.Config{Ingest: library.IngestConfig{Slots: people}}

// singlePool is the pool of phase A.
func singlePool(cfg pool.Config) pool.Config {
	cfg.Single = true
	cfg.Read = pool.Bounds{Min: 5, Size: 40, SizeSetting: "DB_POOL_SIZE"}
	return cfg
}

// contend measures both by turns, so that a busy machine spoils them alike; and how long searches take when as many
// books a second go to a server that throws them away: what sending them takes of the cores.
func contend(b *testing.B, split, single *contest) {
	window, rounds := 2*time.Second, 3
	if testing.Short() {
		window, rounds = 150*time.Millisecond, 1
	}
	var rest atomic.Int64 // of a book that is thrown away, so that they are no more than those that are stored
	thrown := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Duration(rest.Load()))
		w.WriteHeader(http.StatusCreated)
	}))
	defer thrown.Close()
	var beside []time.Duration
	for b.Loop() {
		for range rounds {
			for _, c := range []*contest{split, single} {
				c.searchFor(b, window, &c.idle)
				stop, before := c.ingest(b), c.stored.Load()
				c.searchFor(b, window, &c.busy)
				if c == split {
					rest.Store(people * int64(window) / max(1, c.stored.Load()-before))
				}
				stop()
			}
			stop := split.send(b, thrown.Listener.Addr().String())
			split.searchFor(b, window, &beside)
			stop()
		}
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	for name, c := range map[string]*contest{"split": split, "single": single} {
		idle, busy := percentile(c.idle, 95), percentile(c.busy, 95)
		b.ReportMetric(ms(idle), name+"-idle-p95-ms")
		b.ReportMetric(ms(busy), name+"-ingest-p95-ms")
		b.ReportMetric(float64(busy)/float64(idle), name+"-ingest/idle")
		b.ReportMetric(float64(c.stored.Load())/float64(b.N), name+"-books/op")
	}
	b.ReportMetric(float64(percentile(beside, 95))/float64(percentile(split.idle, 95)), "thrown-away/idle")
	b.ReportMetric(0, "ns/op") // says nothing here
}

// A contest is one server with searches and ingests on it.
type contest struct {
	pools      *pool.Pools
	address    string
	client     *lineClient
	queries    [][]byte
	asked      int
	idle, busy []time.Duration
	sent       atomic.Int64
	stored     atomic.Int64
}

func newContest(b *testing.B, pools *pool.Pools, deps Deps) *contest {
	srv := httptest.NewServer(newServer(b, benchConfig(), deps).Handler())
	b.Cleanup(srv.Close)
	c := &contest{pools: pools, address: srv.Listener.Addr().String()}
	c.client = dial(b, c.address)
	b.Cleanup(func() { c.client.conn.Close() })
	for _, q := range queryMix(1, 100) {
		c.queries = append(c.queries, get("/api/search?q="+url.QueryEscape(q)))
	}
	return c
}

// searchFor searches, one query after the other, and notes how long each takes.
func (c *contest) searchFor(b *testing.B, window time.Duration, times *[]time.Duration) {
	for start := time.Now(); time.Since(start) < window; c.asked++ {
		asked := time.Now()
		c.client.ask(b, c.queries[c.asked%len(c.queries)])
		*times = append(*times, time.Since(asked))
	}
}

// ingest has people send small books until stop is called, which waits for the last ones. It
// returns once some of them wait for a connection.
func (c *contest) ingest(b *testing.B) (stop func()) {
	stop = c.send(b, c.address)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stats := c.pools.Stats()
		if stats[len(stats)-1].Waiting > 0 {
			break
		}
		if time.Now().After(end) {
			b.Fatalf("%d people do not saturate the pool: %+v", people, stats)
		}
	}
	return stop
}

// send has people send small books to an address until stop is called, which waits for the last ones.
func (c *contest) send(b *testing.B, address string) (stop func()) {
	enough := make(chan struct{})
	var all sync.WaitGroup
	for range people {
		all.Go(func() {
			if err := c.sendBooks(b, address, enough, 0); err != nil {
				b.Error(err)
			}
		})
	}
	return func() { close(enough); all.Wait() }
}

// sendBooks sends books of a few passages, in words that no search looks for, and rests after each for rest times as
// long as it took.
func (c *contest) sendBooks(b *testing.B, address string, enough chan struct{}, rest int) error {
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", address)
	if err != nil {
		return err
	}
	client := dialed(conn)
	defer conn.Close()
	sentence := strings.Repeat("Xylem qualms vexed jumpy wizards; hymns quickly buoy bright foxes. ", 20)
	for {
		select {
		case <-enough:
			return nil
		default:
		}
		n, start := c.sent.Add(1), time.Now()
		status, body, _, err := client.roundTrip(post("/api/ingest", fmt.Sprintf(`{"title":"Book %d","text":"Copy %[1]d. %s"}`, n, sentence)))
		if err != nil || status != 201 {
			return errors.Join(fmt.Errorf("ingest: %d %.300s", status, body), err)
		}
		if address == c.address {
			c.stored.Add(1)
		}
		select {
		case <-enough:
		case <-time.After(time.Duration(rest) * time.Since(start)):
		}
	}
}
