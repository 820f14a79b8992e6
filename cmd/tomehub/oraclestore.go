package main

import (
	"context"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// openOracleStore opens the library in an Oracle database. It does not change the schema: that is
// 'tomehub migrate', run by whoever may (docs/decisions/0017-oracle-store.md).
func openOracleStore(ctx context.Context, pools *pool.Pools, opts store.Options) (houseStore, error) {
	s, err := store.OpenOracle(ctx, pools, opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}
