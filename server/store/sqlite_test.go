package store_test

import (
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

func openPools(t testing.TB, path string) *pool.Pools {
	t.Helper()
	pools, err := pool.OpenSQLite(t.Context(), pool.Config{
		Path: path, Timeout: 30 * time.Second,
		Read:  pool.Bounds{Min: 2, Size: 16, SizeSetting: "DB_POOL_READ_SIZE"},
		Write: pool.Bounds{Min: 1, Size: 4, Queue: 64, SizeSetting: "DB_POOL_WRITE_SIZE"},
	})
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
