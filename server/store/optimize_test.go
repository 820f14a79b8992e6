package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

func TestOptimizeLeavesOneSegment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	s := open(t, path, store.Options{})
	text := newText(5)
	segments := func() (n int) {
		t.Helper()
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.QueryRow("SELECT count(DISTINCT segid) FROM TOMEHUB_CONTENT_FTS_idx").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 14 {
		in, err := s.Ingest(t.Context(), text.book("", fmt.Sprint(i), 100))
		if err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			if err := s.DeleteBook(t.Context(), "", in.BookID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := segments(); got < 2 {
		t.Fatalf("%d segments before: nothing to merge", got)
	}
	if err := s.MergeIn(t.Context(), 1); err != nil { // in as many steps as can be
		t.Fatal(err)
	}
	if got := segments(); got != 1 {
		t.Errorf("%d segments after steps of a page", got)
	}
	for range 2 { // the second finds nothing to do
		if err := s.Optimize(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := segments(); got != 1 {
			t.Errorf("%d segments after", got)
		}
	}
	checkWhole(t, path)
}
