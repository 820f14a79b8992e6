package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// sharing is a library whose writer is held, so that books gather before it.
type sharing struct {
	path  string
	pools *pool.Pools
	s     *store.SQLite
	free  func()
	gone  []chan outcome
}

type outcome struct {
	in  store.Ingested
	err error
}

func hold(t *testing.T, set ...string) *sharing {
	t.Helper()
	h := &sharing{path: filepath.Join(t.TempDir(), "library.db")}
	h.pools = openPools(t, h.path, func(c *pool.Config) { c.Write.Size = 16 })
	var err error
	if h.s, err = store.OpenSQLite(t.Context(), h.pools, store.Options{}); err != nil {
		t.Fatal(err)
	}
	c, err := h.pools.Write().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range set {
		if _, err := c.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.free = c.Release
	return h
}

// send stores a book as soon as the writer is free, after those sent before.
func (h *sharing) send(t *testing.T, ctx context.Context, b store.NewBook) {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		in, err := h.s.Ingest(ctx, b)
		done <- outcome{in, err}
	}()
	h.gone = append(h.gone, done)
	h.waiting(t, len(h.gone))
}

func (h *sharing) waiting(t *testing.T, n int) {
	t.Helper()
	await(t, fmt.Sprintf("%d waiting for the writer", n), func() bool { return h.pools.Stats()[1].PhysicalWaiting == n })
}

// segments counts those of the full-text index: each transaction that stores words makes one.
func (h *sharing) segments(t *testing.T) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(DISTINCT segid) FROM TOMEHUB_CONTENT_FTS_idx").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func smallBook(owner, hash, text string) store.NewBook {
	return store.NewBook{Owner: owner, Title: hash, Hash: hash, Passages: []store.NewPassage{{Content: text, Metadata: map[string]any{"words": 1}}},
		Concepts: []store.NewConcept{{Name: text, Score: 1, Passages: []int{0}}}}
}

// Books that wait for the writer together are stored together, each with a fate of its own.
func TestBooksShareATransaction(t *testing.T) {
	h := hold(t)
	ctx, leave := context.WithCancel(t.Context())
	h.send(t, t.Context(), smallBook("", "one", "alpha"))
	h.send(t, t.Context(), smallBook("ada", "two", "alpha beta"))
	h.send(t, ctx, smallBook("", "left", "alpha gone"))
	broken := smallBook("bob", "broken", "alpha broken") // an owner who is new goes with it
	broken.Passages[0].Metadata["words"] = func() {}
	h.send(t, t.Context(), broken)
	h.send(t, t.Context(), smallBook("", "one", "alpha"))
	h.send(t, t.Context(), smallBook("ada", "three", "alpha gamma"))
	before, err := h.s.Generation(t.Context(), store.Scope{Owner: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	leave()
	h.waiting(t, 5)
	h.free()

	var got []outcome
	for _, done := range h.gone {
		got = append(got, <-done)
	}
	for i, name := range []string{"one", "two", "", "", "one again", "three"} {
		if name != "" && got[i].err != nil {
			t.Errorf("%s: %v", name, got[i].err)
		}
	}
	if err := got[2].err; !errors.Is(err, context.Canceled) {
		t.Errorf("left: %v", err)
	}
	if err := got[3].err; err == nil || !strings.Contains(err.Error(), "metadata of passage 0") {
		t.Errorf("broken: %v", err)
	}
	if again := got[4].in; !again.Duplicate || again.BookID != got[0].in.BookID || got[0].in.Duplicate {
		t.Errorf("sent twice: %+v and %+v", got[0].in, again)
	}
	if got[5].in.Generation <= before {
		t.Errorf("generation %d after %d", got[5].in.Generation, before)
	}
	if n := h.segments(t); n != 1 {
		t.Errorf("%d segments: not one transaction", n)
	}
	q, err := store.ParseQuery("alpha")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.s.Count(t.Context(), store.Scope{Owner: "ada"}, q); err != nil || n != 3 {
		t.Errorf("found %d, %v", n, err)
	}
	if h.s.Owns(t.Context(), "bob") {
		t.Error("who stored nothing is known")
	}
	checkWhole(t, h.path)
}

// A book that is large has a transaction to itself, and no small one waits for it.
func TestLargeBooksShareNothing(t *testing.T) {
	h := hold(t)
	large := smallBook("", "large", "alpha")
	for range 600 {
		large.Passages = append(large.Passages, store.NewPassage{Content: "alpha and omega", Metadata: map[string]any{"words": 3}})
	}
	h.send(t, t.Context(), smallBook("", "one", "alpha"))
	h.send(t, t.Context(), large)
	h.send(t, t.Context(), smallBook("", "two", "alpha"))
	h.free()
	for _, done := range h.gone {
		if o := <-done; o.err != nil {
			t.Error(o.err)
		}
	}
	if n := h.segments(t); n != 3 {
		t.Errorf("%d segments of three transactions", n)
	}
	checkWhole(t, h.path)
}

// A disk that is full takes all that share the transaction, and nobody after.
func TestSharedTransactionOnAFullDisk(t *testing.T) {
	h := hold(t, "PRAGMA max_page_count = 60")
	h.send(t, t.Context(), smallBook("", "one", "alpha"))
	fat := smallBook("", "fat", strings.Repeat("alpha ", 50_000))
	fat.Concepts = nil
	h.send(t, t.Context(), fat)
	h.free()
	for i, done := range h.gone {
		if o := <-done; o.err == nil {
			t.Errorf("book %d was acknowledged: %+v", i, o.in)
		}
	}
	books, passages, err := h.s.Totals(t.Context(), store.Scope{})
	if err != nil || books+passages != 0 {
		t.Errorf("%d books and %d passages are there: %v", books, passages, err)
	}
	if _, err := h.s.Ingest(t.Context(), smallBook("", "one", "alpha")); err != nil {
		t.Errorf("the next: %v", err)
	}
	checkWhole(t, h.path)
}
