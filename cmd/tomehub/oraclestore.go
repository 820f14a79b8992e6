package main

import (
	"context"
	"errors"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// openOracleStore opens the library in an Oracle database.
func openOracleStore(_ context.Context, _ *pool.Pools, _ store.Options) (houseStore, error) {
	return nil, errors.New("this build has no store for Oracle: unset DB_DSN to use the embedded library in --data-dir")
}
