package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// await polls until a state is reached that another goroutine brings about in its own time.
func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !reached() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// behind runs do while all physical connections of p are taken, gives them back
// once it waits for one, and returns how long it took in all.
func behind(t *testing.T, p *pool.Pool, stats func() pool.Stats, do func() error) (total time.Duration) {
	t.Helper()
	var held []*pool.Conn
	for range stats().Physical {
		c, err := p.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Release()
		if _, err := c.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	done := make(chan error, 1)
	start := time.Now()
	go func() {
		err := do()
		total = time.Since(start)
		done <- err
	}()
	await(t, "waiting for a connection", func() bool { return stats().PhysicalWaiting == 1 })
	since := time.Now()
	await(t, "a wait to speak of", func() bool { return time.Since(since) > 5*time.Millisecond })
	for _, c := range held {
		c.Release()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return total
}

// statsOf returns what a statement has cost so far.
func statsOf(s *store.SQLite, name string) store.StatementStats {
	for _, st := range s.Statements() {
		if st.Name == name {
			return st
		}
	}
	return store.StatementStats{}
}

// Behind the slots of many callers stand few connections. The wait for one of
// them is a wait, and none of the time that the statement ran.
func TestWaitForAConnectionIsNoStatementTime(t *testing.T) {
	pools := openPools(t, filepath.Join(t.TempDir(), "library.db"), func(c *pool.Config) { c.Read.Size = 200 })
	var log bytes.Buffer
	s, err := store.OpenSQLite(t.Context(), pools, store.Options{SlowQuery: time.Nanosecond, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, total time.Duration, before store.StatementStats, req *store.RequestStats) {
		t.Helper()
		got := statsOf(s, name)
		waited, elapsed := got.AcquireWait-before.AcquireWait, got.Elapsed-before.Elapsed
		if waited <= 0 || elapsed <= 0 || waited+elapsed > total {
			t.Errorf("%s: waited %v and ran %v of %v in all: they must not overlap", name, waited, elapsed, total)
		}
		if got.MaxElapsed > got.Elapsed {
			t.Errorf("%s: longest %v of %v", name, got.MaxElapsed, got.Elapsed)
		}
		if ns := req.AcquireWaitNs.Load(); ns != int64(waited) {
			t.Errorf("%s: the request waited %v, its statement %v", name, time.Duration(ns), waited)
		}
	}

	log.Reset()
	var req store.RequestStats
	total := behind(t, pools.Read(), func() pool.Stats { return pools.Stats()[0] }, func() error {
		return s.Ping(store.WithRequest(t.Context(), &req, "req-1"))
	})
	check("ping", total, store.StatementStats{}, &req)
	var line struct {
		Statement string  `json:"statement"`
		Elapsed   float64 `json:"elapsed_ms"`
		Wait      float64 `json:"acquire_wait_ms"`
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, log.String())
	}
	if line.Statement != "ping" || line.Wait <= 0 || line.Elapsed+line.Wait > total.Seconds()*1000 {
		t.Errorf("slow statement says %+v of %v in all", line, total)
	}

	before := statsOf(s, "owner_lock")
	req = store.RequestStats{}
	total = behind(t, pools.Write(), func() pool.Stats { return pools.Stats()[1] }, func() error {
		_, err := s.Ingest(store.WithRequest(t.Context(), &req, ""), store.NewBook{Hash: "h", Passages: []store.NewPassage{{Content: "one"}}})
		return err
	})
	check("owner_lock", total, before, &req) // the transaction's first
}

// A request that is refused after it waited has waited all the same.
func TestWaitInVainIsCounted(t *testing.T) {
	pools := openPools(t, filepath.Join(t.TempDir(), "library.db"), func(c *pool.Config) {
		c.Read.Min, c.Read.Size, c.Timeout = 1, 1, 20*time.Millisecond
	})
	s, err := store.OpenSQLite(t.Context(), pools, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	var req store.RequestStats
	if err := s.Ping(store.WithRequest(t.Context(), &req, "")); !errors.Is(err, pool.ErrExhausted) {
		t.Errorf("ping: %v", err)
	}
	if got := time.Duration(req.AcquireWaitNs.Load()); got < 20*time.Millisecond || req.Statements.Load() != 0 {
		t.Errorf("waited %v for %d statements, want 20ms for none", got, req.Statements.Load())
	}
}

// Queries are bounded; opening, storing, deleting and merging take as long as there is to do.
func TestBulkWorkIsNoSlowQuery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	pools := openPools(t, path, func(c *pool.Config) {
		c.QueryTimeout, c.QueryTimeoutSetting = time.Nanosecond, "--statement-timeout"
	})
	s, err := store.OpenSQLite(t.Context(), pools, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := newText(5)
	for i := range 3 {
		in, err := s.Ingest(t.Context(), text.book("", fmt.Sprint(i), 50))
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := s.DeleteBook(t.Context(), "", in.BookID); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.Optimize(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := store.OpenSQLite(t.Context(), pools, store.Options{}); err != nil { // again, with owners to read
		t.Error(err)
	}
	err = s.Ping(t.Context())
	if !errors.Is(err, pool.ErrQueryTimeout) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "--statement-timeout") {
		t.Errorf("a query: %v", err)
	}
	checkWhole(t, path)
}

// A request is shed before its first statement or not at all: what it has cost would be lost.
func TestSlowPoolShedsNothingThatHasBegun(t *testing.T) {
	pools, err := pool.OpenSQLite(t.Context(), pool.Config{
		Path: filepath.Join(t.TempDir(), "library.sqlite"), Timeout: time.Minute,
		Read:  pool.Bounds{Size: 1, MaxWait: time.Microsecond, MaxWaitSetting: "DB_POOL_SHED_WAIT"},
		Write: pool.Bounds{Size: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	s, err := store.OpenSQLite(t.Context(), pools, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Totals(t.Context(), store.Scope{}); err != nil { // from now on it knows the owners
		t.Fatal(err)
	}
	held, err := pools.Read().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	waiting := func(n int) {
		t.Helper()
		await(t, fmt.Sprintf("%d waiting", n), func() bool { return pools.Stats()[0].Waiting == n })
	}
	ask := func(ctx context.Context) { go func() { _, _, err := s.Totals(ctx, store.Scope{}); done <- err }() }

	var first, later store.RequestStats
	ask(store.WithRequest(t.Context(), &first, "r-1")) // first in line: never shed
	waiting(1)
	var refused *pool.AcquireError
	if _, _, err := s.Totals(store.WithRequest(t.Context(), new(store.RequestStats), "r-2"), store.Scope{}); !errors.As(err, &refused) || refused.Reason != pool.ReasonShed {
		t.Errorf("a new request: %v, want it shed", err)
	}
	later.Statements.Add(1)
	ask(store.WithRequest(t.Context(), &later, "r-3"))
	waiting(2)
	ask(t.Context()) // nobody's request
	waiting(3)
	held.Release()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
