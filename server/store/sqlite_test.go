package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/store/storetest"
)

func TestSQLiteConformance(t *testing.T) {
	storetest.Conformance(t, func(t *testing.T) storetest.Store {
		return open(t, filepath.Join(t.TempDir(), "library.db"), store.Options{})
	})
}

// open opens the library file at path, creating it when needed.
func open(t testing.TB, path string, opt store.Options) *store.SQLite {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), openPools(t, path), opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openPools(t testing.TB, path string, change ...func(*pool.Config)) *pool.Pools {
	t.Helper()
	cfg := pool.Config{
		Path: path, Timeout: 30 * time.Second,
		Read:  pool.Bounds{Min: 2, Size: 16, SizeSetting: "DB_POOL_READ_SIZE"},
		Write: pool.Bounds{Min: 1, Size: 4, Queue: 64, SizeSetting: "DB_POOL_WRITE_SIZE"},
	}
	for _, c := range change {
		c(&cfg)
	}
	pools, err := pool.OpenSQLite(t.Context(), cfg)
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

// TestIDBounds goes to the ends of the ids: of an owner's, and of the owners.
func TestIDBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	s := open(t, path, store.Options{})
	add := func(owner, hash string, passages int) (store.Ingested, error) {
		b := store.NewBook{Owner: owner, Hash: hash}
		for range passages {
			b.Passages = append(b.Passages, store.NewPassage{Content: "far out"})
		}
		return s.Ingest(t.Context(), b)
	}
	if _, err := add("", "1", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := add("ada", "1", 1); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"UPDATE TOMEHUB_OWNERS SET last_passage = 4294967293 WHERE id = 0",
		"UPDATE TOMEHUB_OWNERS SET id = 2097150, last_book = (2097150 << 32), last_passage = (2097151 << 32) - 3 WHERE owner = 'ada'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, path, store.Options{})
	for _, owner := range []string{"", "ada"} {
		in, err := add(owner, "2", 2)
		if err != nil {
			t.Fatal(err)
		}
		if id := in.PassageIDs[1]; id >= 1<<53 || id&0xffffffff != 0xffffffff {
			t.Errorf("last passage of %q is %d (%#x)", owner, id, id)
		}
		if got, err := s.Passages(t.Context(), store.Scope{Owner: owner}, in.PassageIDs); err != nil || len(got) != 2 {
			t.Errorf("last passages of %q: %v, %v", owner, got, err)
		}
		if _, err := add(owner, "3", 1); !errors.Is(err, store.ErrTooMany) {
			t.Errorf("one more passage of %q: %v, want ErrTooMany", owner, err)
		}
	}
	if got, err := s.Passages(t.Context(), store.Scope{}, []int64{1 << 32, 2097150<<32 + 1}); err != nil || len(got) != 0 {
		t.Errorf("passages of others: %v, %v", got, err)
	}
	if in, err := add("last", "1", 1); err != nil || in.PassageIDs[0] != 2097151<<32+1 {
		t.Errorf("the last owner: %v, %v", in, err)
	}
	if _, err := add("one too many", "1", 1); err == nil {
		t.Error("owner 2^21 was entered")
	}
}
