package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/store/storetest"
)

// TestGenerationOfAnotherProcess writes the file through connections of their
// own, as `tomehub ingest` does beside a server, and waits until the store notices.
func TestGenerationOfAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	testAnotherProcess(t, open(t, path, store.Options{}), open(t, path, store.Options{}))
}

// testAnotherProcess holds that here, what there changes in the same library is noticed, and under the
// same number: what both keep in one cache is known by it.
func testAnotherProcess(t *testing.T, here, there storetest.Store) {
	ctx, ada := t.Context(), store.Scope{Owner: "ada"}
	notices := func(what string, scope store.Scope, change func() error) {
		t.Helper()
		before, err := here.Generation(ctx, scope)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		theirs, err := there.Generation(ctx, scope)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for {
			after, err := here.Generation(ctx, scope)
			if err != nil {
				t.Fatal(err)
			}
			if after > before && after == theirs {
				return
			}
			if waited := time.Since(begin); waited > 20*store.ChangeInterval {
				t.Fatalf("%s: generation %d after %v, was %d, and is %d there", what, after, waited, before, theirs)
			}
		}
	}
	var book store.Ingested
	notices("first book of an owner unknown here", ada, func() (err error) {
		book, err = there.Ingest(ctx, store.NewBook{Owner: "ada", Hash: "1", Passages: []store.NewPassage{{Content: "hers"}}})
		return err
	})
	if _, err := here.Passage(ctx, ada, book.PassageIDs[0]); err != nil {
		t.Errorf("her passage: %v", err)
	}
	for i := range 3 { // one close upon another, within the grain of the file's times
		notices("shared book", ada, func() error {
			_, err := there.Ingest(ctx, store.NewBook{Hash: string(rune('a' + i)), Passages: []store.NewPassage{{Content: "everybody's"}}})
			return err
		})
	}
	notices("deleted book", ada, func() error { return there.DeleteBook(ctx, "ada", book.BookID) })
	notices("deletion after the log was emptied", store.Scope{}, func() error {
		if err := there.Optimize(ctx); err != nil {
			return err
		}
		return there.DeleteBook(ctx, "", 1)
	})
}

// TestChangesOfTwoProcesses holds that a change of this process does not hide an
// earlier one of another, of which it has not heard yet.
func TestChangesOfTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	testTwoProcesses(t, open(t, path, store.Options{}), open(t, path, store.Options{}))
}

func testTwoProcesses(t *testing.T, here, there storetest.Store) {
	ctx, ada := t.Context(), store.Scope{Owner: "ada"}
	book, err := there.Ingest(ctx, store.NewBook{Owner: "ada", Hash: "1", Passages: []store.NewPassage{{Content: "hers"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := here.Ingest(ctx, store.NewBook{Hash: "2", Passages: []store.NewPassage{{Content: "everybody's"}}}); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; {
		_, err := here.Passage(ctx, ada, book.PassageIDs[0])
		if err == nil {
			return
		}
		if time.Since(begin) > 20*store.ChangeInterval {
			t.Fatalf("her book is not noticed: %v", err)
		}
	}
}

// TestIdleGenerationReadsNothing holds that asking costs no statement while nothing is written.
func TestIdleGenerationReadsNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "library.db"), store.Options{})
	if _, err := s.Ingest(t.Context(), store.NewBook{Hash: "1", Passages: []store.NewPassage{{Content: "x"}}}); err != nil {
		t.Fatal(err)
	}
	executions := func() (n int64) {
		for _, st := range s.Statements() {
			n += st.Executions
		}
		return n
	}
	// Until the store has caught up with its own change it reads; the file's
	// times settle within one interval, and then it reads no more.
	settled := time.Now().Add(5 * store.ChangeInterval)
	for time.Now().Before(settled) {
		if _, err := s.Generation(t.Context(), store.Scope{}); err != nil {
			t.Fatal(err)
		}
	}
	before := executions()
	for time.Now().Before(settled.Add(2 * store.ChangeInterval)) {
		if _, err := s.Generation(t.Context(), store.Scope{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := executions() - before; got != 0 {
		t.Errorf("%d statements while nothing changed", got)
	}
}

func BenchmarkGeneration(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "library.db"), store.Options{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Generation(b.Context(), store.Scope{Owner: "ada"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
