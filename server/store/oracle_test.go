package store_test

import (
	"testing"
	"time"

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

// oracleDB is a double of an Oracle server with an empty schema.
type oracleDB struct {
	server *oracletest.Server
	data   *tomedata.Data
}

func startOracle(t testing.TB, options ...tomedata.Option) *oracleDB {
	t.Helper()
	db := &oracleDB{data: tomedata.New(options...)}
	var err error
	if db.server, err = oracletest.Start(oracletest.Config{Handler: db.data}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.server.Close(); err != nil {
			t.Error(err)
		}
		for what, n := range db.data.Odd() {
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
