package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/store/storetest"
)

// TestOracleConformance runs the same tests as on SQLite, through go-ora, against a double of the
// server that speaks Oracle's protocol and answers from a model of the schema. That the SQL means
// to Oracle what the model means is for the live suite to show.
func TestOracleConformance(t *testing.T) {
	storetest.Conformance(t, func(t *testing.T) storetest.Store {
		db := startOracle(t)
		return db.open(t, store.Options{})
	})
}

// oracleDB is a double of an Oracle server with an empty schema. It writes down what is asked of it.
type oracleDB struct {
	*tomedata.Data
	server *oracletest.Server

	mu    sync.Mutex // guards the fields below
	asked []string   // tags of statements, and COMMIT
	// before, when set, may answer a statement in the model's place.
	before func(c *oracletest.Call) (*oracletest.Result, error)
}

// Serve implements oracletest.Handler.
func (db *oracleDB) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	db.mu.Lock()
	db.asked = append(db.asked, c.Tag)
	before := db.before
	db.mu.Unlock()
	if before != nil {
		if res, err := before(c); res != nil || err != nil {
			return res, err
		}
	}
	return db.Data.Serve(ctx, c)
}

// Commit implements oracletest.TxHandler.
func (db *oracleDB) Commit(s *oracletest.Session) error {
	db.mu.Lock()
	db.asked = append(db.asked, "COMMIT")
	db.mu.Unlock()
	return db.Data.Commit(s)
}

// during returns what was asked while do ran, runs of the same statement once.
func (db *oracleDB) during(do func()) []string {
	db.mu.Lock()
	db.asked = nil
	db.mu.Unlock()
	do()
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Compact(slices.DeleteFunc(slices.Clone(db.asked), func(tag string) bool { return tag == "" || tag == "owners" }))
}

func (db *oracleDB) answer(before func(c *oracletest.Call) (*oracletest.Result, error)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.before = before
}

func startOracle(t testing.TB, options ...tomedata.Option) *oracleDB {
	t.Helper()
	db := &oracleDB{Data: tomedata.New(options...)}
	var err error
	if db.server, err = oracletest.Start(oracletest.Config{Handler: db}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.server.Close(); err != nil {
			t.Error(err)
		}
		for what, n := range db.Odd() {
			t.Errorf("asked of the model %d times: %s", n, what)
		}
	})
	return db
}

// pools opens pools of their own, as another replica would.
func (db *oracleDB) pools(t testing.TB) *pool.Pools {
	t.Helper()
	pools, err := pool.OpenOracle(t.Context(), pool.Config{
		Timeout: 30 * time.Second,
		Read:    pool.Bounds{Min: 1, Size: 8, SizeSetting: "DB_POOL_READ_SIZE"},
		Write:   pool.Bounds{Min: 1, Size: 4, Queue: 64, SizeSetting: "DB_POOL_WRITE_SIZE"},
	}, pool.Oracle{User: "TOMEHUB", Password: "secret", DSN: db.server.DSN()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pools.Close(); err != nil {
			t.Error(err)
		}
	})
	return pools
}

// open brings the schema up to date and opens a store on pools of its own.
func (db *oracleDB) open(t testing.TB, opt store.Options) *store.Oracle {
	t.Helper()
	pools := db.pools(t)
	if _, err := store.MigrateOracle(t.Context(), pools, opt); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenOracle(t.Context(), pools, opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func aBook(owner, hash, word string) store.NewBook {
	b := store.NewBook{Owner: owner, Title: "A book", Hash: hash, Passages: []store.NewPassage{{Content: word}, {Content: "more", Metadata: map[string]any{"n": 1.0}}}}
	b.Concepts = []store.NewConcept{{Name: word, Score: 1, Passages: []int{0}}, {Name: "another", Score: 1, Passages: []int{0}}}
	b.Relations = []store.NewRelation{{Source: 0, Target: 1, Weight: 1}}
	return b
}

func (db *oracleDB) ingest(t testing.TB, s *store.Oracle, b store.NewBook) store.Ingested {
	t.Helper()
	in, err := s.Ingest(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestOracleReplicas holds that what one replica changes, another notices.
func TestOracleReplicas(t *testing.T) {
	db := startOracle(t)
	testAnotherProcess(t, db.open(t, store.Options{}), db.open(t, store.Options{}))
	db = startOracle(t)
	testTwoProcesses(t, db.open(t, store.Options{}), db.open(t, store.Options{}))
}

// TestOracleOwnersAtOnce holds that replicas that meet new owners at the same time number each once.
func TestOracleOwnersAtOnce(t *testing.T) {
	db := startOracle(t)
	replicas := []*store.Oracle{db.open(t, store.Options{}), db.open(t, store.Options{})}
	var wg sync.WaitGroup
	var mu sync.Mutex
	numbers := map[string]map[int64]bool{}
	for i := range 24 {
		wg.Go(func() {
			owner := fmt.Sprint("owner ", i%6)
			in, err := replicas[i%2].Ingest(t.Context(), aBook(owner, fmt.Sprint(i), "word"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if numbers[owner] == nil {
				numbers[owner] = map[int64]bool{}
			}
			numbers[owner][in.BookID>>32] = true
		})
	}
	wg.Wait()
	all := map[int64]bool{}
	for owner, n := range numbers {
		if len(n) != 1 {
			t.Errorf("%s has the numbers %v", owner, n)
		}
		for number := range n {
			if number < 1 || number > 6 || all[number] {
				t.Errorf("%s has the number %d", owner, number)
			}
			all[number] = true
		}
	}
}

// TestOracleTransactions holds the order on which two promises hang: generations are in the order
// of the commits, and no two transactions wait for each other. The library's row is locked last.
func TestOracleTransactions(t *testing.T) {
	db := startOracle(t)
	s := db.open(t, store.Options{})
	f := func(what string, do func(), want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, db.during(do)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	enter := []string{"owner_number", "library_lock", "owner_add", "counter_add", "owner_number", "COMMIT"}
	advance := []string{"library_lock", "library_advance", "owner_touch", "COMMIT"}
	ingest := slices.Concat([]string{"owner_lock", "book_by_hash", "book_add", "content_add", "metadata_add",
		"concepts_known", "concept_add", "link_add", "relation_add", "owner_advance"}, advance, advance)
	var in store.Ingested
	f("first book of an owner", func() { in = db.ingest(t, s, aBook("ada", "1", "word")) }, slices.Concat(enter, ingest)...)
	f("second book", func() { db.ingest(t, s, aBook("ada", "2", "other")) }, ingest...)
	f("shared book", func() { db.ingest(t, s, aBook("", "1", "word")) }, ingest...)
	f("duplicate", func() { db.ingest(t, s, aBook("ada", "1", "word")) }, "owner_lock", "book_by_hash", "COMMIT")
	f("delete", func() {
		if err := s.DeleteBook(t.Context(), "ada", in.BookID); err != nil {
			t.Error(err)
		}
	}, slices.Concat([]string{"owner_lock", "book_span", "relations_delete", "concepts_delete", "links_delete", "metadata_delete", "content_delete", "book_delete"}, advance)...)
	f("delete by somebody unknown", func() {
		if err := s.DeleteBook(t.Context(), "nobody", in.BookID); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}, "owner_number")
}

// TestOracleAnnounces holds that a book whose words are in the text index has a newer generation
// than the one its commit showed to others.
func TestOracleAnnounces(t *testing.T) {
	db := startOracle(t)
	var log bytes.Buffer
	s := db.open(t, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if in := db.ingest(t, s, aBook("", "1", "word")); in.Generation != 2 {
		t.Errorf("first book has generation %d, want 2: one of its commit, one of its announcement", in.Generation)
	}
	// When it cannot be announced it is stored all the same.
	locks := 0
	db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
		if c.Tag == "library_lock" {
			if locks++; locks == 2 {
				return nil, &oracletest.Error{Code: 30006, Message: "resource busy; acquire with WAIT timeout expired"}
			}
		}
		return nil, nil
	})
	if in := db.ingest(t, s, aBook("", "2", "word")); in.Generation != 3 {
		t.Errorf("second book has generation %d, want 3", in.Generation)
	}
	if locks != 2 || strings.Count(log.String(), "level=WARN msg=\"book stored but not announced") != 1 || !strings.Contains(log.String(), "ORA-30006") {
		t.Errorf("log after %d locks: %s", locks, log.String())
	}
	if n, _, err := s.Totals(t.Context(), store.Scope{}); err != nil || n != 2 {
		t.Errorf("%d books, %v", n, err)
	}
	// The client's leaving once the book is stored does not keep it from being announced.
	ctx, leave := context.WithCancel(t.Context())
	locks = 0
	db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
		if c.Tag == "library_lock" {
			if locks++; locks == 2 {
				leave()
			}
		}
		return nil, nil
	})
	if in, err := s.Ingest(ctx, aBook("", "3", "word")); err != nil || in.Generation != 5 {
		t.Errorf("third book has generation %d, %v, want 5", in.Generation, err)
	}
}

// TestOracleSecondLine holds that the index over hashes keeps a book from being stored twice when
// the lock did not, and that the book is then found to be a duplicate.
func TestOracleSecondLine(t *testing.T) {
	db := startOracle(t)
	s := db.open(t, store.Options{})
	first := db.ingest(t, s, aBook("ada", "1", "word"))
	blind := 1
	db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
		if c.Tag == "book_by_hash" && blind > 0 {
			blind--
			return &oracletest.Result{Columns: []oracletest.Column{{Name: "ID", Type: oracletest.Number}, {Name: "FIRST_PASSAGE", Type: oracletest.Number}, {Name: "PASSAGES", Type: oracletest.Number}}}, nil
		}
		return nil, nil
	})
	if again := db.ingest(t, s, aBook("ada", "1", "word")); blind != 0 || !again.Duplicate || again.BookID != first.BookID {
		t.Errorf("stored as %+v, the first is %+v", again, first)
	}
	if n, _, err := s.Totals(t.Context(), store.Scope{Owner: "ada"}); err != nil || n != 1 {
		t.Errorf("%d books, %v", n, err)
	}
}

// TestOracleIngestIsWhole fails each statement of an ingest in turn: nothing of the book is left.
func TestOracleIngestIsWhole(t *testing.T) {
	db := startOracle(t)
	s := db.open(t, store.Options{})
	steps := []string{"owner_lock", "book_by_hash", "book_add", "content_add", "metadata_add", "concepts_known",
		"concept_add", "link_add", "relation_add", "owner_advance", "library_lock", "library_advance", "owner_touch"}
	for _, step := range steps {
		db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
			if c.Tag == step {
				return nil, &oracletest.Error{Code: 1653, Message: "unable to extend table in tablespace USERS"}
			}
			return nil, nil
		})
		_, err := s.Ingest(t.Context(), aBook("", "1", "word"))
		if pool.OracleCode(err) != 1653 || !strings.Contains(err.Error(), step) {
			t.Errorf("%s fails: %v", step, err)
		}
		db.answer(nil)
		if b, p, err := s.Totals(t.Context(), store.Scope{}); err != nil || b+p != 0 {
			t.Errorf("%s failed: %d books and %d passages are left, %v", step, b, p, err)
		}
		if g, err := s.Generation(t.Context(), store.Scope{}); err != nil || g != 0 {
			t.Errorf("%s failed: generation %d, %v", step, g, err)
		}
	}
	if in := db.ingest(t, s, aBook("", "1", "word")); in.BookID != 1 || in.Duplicate {
		t.Errorf("and at last: %+v", in)
	}
}

// TestOracleLostCommit loses the answer to a commit: the client is told of an error, and finds
// the book stored, once, when it sends it again.
func TestOracleLostCommit(t *testing.T) {
	db := startOracle(t)
	s := db.open(t, store.Options{})
	db.server.LoseCommits(1)
	if in, err := s.Ingest(t.Context(), aBook("", "1", "word")); err == nil {
		t.Errorf("stored as %+v, and nobody said so", in)
	}
	if again := db.ingest(t, s, aBook("", "1", "word")); !again.Duplicate || again.BookID != 1 {
		t.Errorf("sent again it is %+v", again)
	}
	if b, p, err := s.Totals(t.Context(), store.Scope{}); err != nil || b != 1 || p != 2 {
		t.Errorf("%d books and %d passages, %v", b, p, err)
	}
}

// TestOracleKilledIngest kills the sessions at each statement of an ingest. Once, and it is begun
// again; each time, and it is an error that leaves nothing of the book.
func TestOracleKilledIngest(t *testing.T) {
	db := startOracle(t)
	s := db.open(t, store.Options{})
	books := 0
	for _, step := range []string{"owner_lock", "content_add", "relation_add", "library_lock", "owner_touch"} {
		for _, times := range []int{100, 1} {
			kills := 0
			db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
				if c.Tag == step && kills < times {
					kills++
					db.server.KillSessions()
				}
				return nil, nil
			})
			in, err := s.Ingest(t.Context(), aBook("", step, "word"))
			db.answer(nil)
			if times == 1 {
				books++
			}
			if (err == nil) != (times == 1) || in.Duplicate || kills < 1 || kills > min(times, 3) {
				t.Errorf("killed at %s, %d times at most, %d times: %+v, %v", step, times, kills, in, err)
			}
			if b, p, err := s.Totals(t.Context(), store.Scope{}); err != nil || b != books || p != 2*books {
				t.Errorf("killed at %s, %d times: %d books and %d passages, want %d; %v", step, kills, b, p, books, err)
			}
		}
	}
}
