package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// TestWatch holds that a state in which the file was written just now is not
// taken for settled: a later write may leave the same size and the same time.
func TestWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	pools, err := pool.OpenSQLite(t.Context(), pool.Config{Path: path, Timeout: time.Minute, Read: pool.Bounds{Size: 4}, Write: pool.Bounds{Size: 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	s, err := OpenSQLite(t.Context(), pools, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &s.owners.watch
	look := func(modified time.Time) (reads int64) {
		t.Helper()
		for _, file := range w.files {
			if err := os.Chtimes(file, modified, modified); err != nil {
				t.Fatal(err)
			}
		}
		w.next.Store(0)
		before := s.reads.owners.executions.Load()
		if _, err := s.Generation(t.Context(), Scope{}); err != nil {
			t.Fatal(err)
		}
		return s.reads.owners.executions.Load() - before
	}
	fresh, old := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for i, step := range []struct {
		modified time.Time
		reads    int64
		why      string
	}{
		{fresh, 1, "changed"},
		{fresh, 1, "not changed, but not settled either"},
		{old, 1, "changed, and settled"},
		{old, 0, "nothing new"},
		{old.Add(time.Second), 1, "changed"},
	} {
		if got := look(step.modified); got != step.reads {
			t.Errorf("step %d (%s): %d reads, want %d", i, step.why, got, step.reads)
		}
	}
}
