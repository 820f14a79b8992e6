package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// ErrSchema is matched when a library in Oracle lacks a step of the schema: OpenOracle takes none by itself.
var ErrSchema = errors.New("library lacks its schema, or the newest step of it: run tomehub migrate")

// Oracle is a library in an Oracle schema. It is safe for concurrent use, and so are several
// processes, on several machines, on one schema.
//
// It differs from SQLite where the databases do: a match's score is that of Oracle Text, a whole
// number from 1 to 100 that has many ties; and a generation is known to other processes by asking
// the database, at most every 200 ms.
type Oracle struct {
	*core
	st        oracleStatements
	arrayRows int // rows sent at once; 0: maxArrayRows
}

// oracleStatements are those that this dialect alone has.
type oracleStatements struct {
	ownerNumber, counterAdd, libraryLock, libraryAdvance *statement
	migrationsLock, migrationStep                        *statement
	textIndex, textIndexDrop                             *statement
}

// OpenOracle returns the store of the library behind pools, or ErrSchema when the schema has to be
// brought to this program's first; changing it is MigrateOracle's. The store does not own the
// pools. Opening may take as long as ctx allows: the pools' bound on statements does not hold for it.
func OpenOracle(ctx context.Context, pools *pool.Pools, opt Options) (*Oracle, error) {
	o, err := newOracle(pools, opt)
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	ctx = pool.WithoutQueryTimeout(ctx)
	pending, err := o.pending(ctx)
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	if len(pending) > 0 {
		return nil, fmt.Errorf("open library: migration %s: %w", pending[0].name, ErrSchema)
	}
	o.owners.watch.began = time.Now()
	if err := o.readOwners(ctx); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	return o, nil
}

func newOracle(pools *pool.Pools, opt Options) (*Oracle, error) {
	c, err := newCore("oracle", pools, opt)
	if err != nil {
		return nil, err
	}
	all := c.all
	o := &Oracle{core: c, st: oracleStatements{
		ownerNumber: all.take("owner_number"), counterAdd: all.take("counter_add"),
		libraryLock: all.take("library_lock"), libraryAdvance: all.take("library_advance"),
		migrationsLock: all.take("migrations_lock"), migrationStep: all.take("migration_step"),
		textIndex: all.take("text_index"), textIndexDrop: all.take("text_index_drop"),
	}}
	o.text, o.list, o.refresh = Query.oracleText, pool.Text, oracleRefreshTimeout
	return o, all.done()
}

// Optimize does nothing. A text index of Oracle is merged by CTX_DDL.OPTIMIZE_INDEX, for which a
// normal user of the database has no grant; the DBA runs it as a job.
func (o *Oracle) Optimize(ctx context.Context) error { return ctx.Err() }
