package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// Options are the settings of a store.
type Options struct {
	Logger    *slog.Logger  // nil discards
	SlowQuery time.Duration // statements that take at least this long, waits for connections not counted, are logged at warn; 0: none
	// Executed, when set, is told of every execution of a statement as it ends. It runs on the path of a request.
	Executed func(ctx context.Context, e Execution)
}

// Execution is one run of a statement.
type Execution struct {
	Statement       string        // its name
	Elapsed, Waited time.Duration // as in StatementStats
	Rows            int64         // returned or changed
	Failed          bool
	Slow            bool // it took Options.SlowQuery or longer
}

// SQLite is a library in one SQLite file. It is safe for concurrent use, and so
// are several processes on one file.
type SQLite struct {
	*core
	st sqliteStatements
}

// sqliteStatements are those that this dialect alone has.
type sqliteStatements struct {
	libraryFile, wordsAdd, wordsDelete *statement
	optimize, changes, checkpoint      *statement
	migrationsKnown                    *statement
}

// OpenSQLite brings the library behind pools to the newest schema and returns its
// store. The store does not own the pools: closing them ends it. Opening may
// take as long as ctx allows: the pools' bound on statements does not hold for it.
func OpenSQLite(ctx context.Context, pools *pool.Pools, opt Options) (*SQLite, error) {
	steps, err := loadMigrations("sqlite")
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	return openSQLite(ctx, pools, opt, steps)
}

func openSQLite(ctx context.Context, pools *pool.Pools, opt Options, steps []migration) (*SQLite, error) {
	s, err := newSQLite(pools, opt)
	if err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	ctx = pool.WithoutQueryTimeout(ctx) // a migration goes through the whole library, readOwners through all owners
	var file string
	if err := s.read(ctx, s.st.libraryFile, "", func(r *pool.Rows) error { return r.Scan(&file) }); err != nil {
		return nil, fmt.Errorf("open library: %w", err)
	}
	if err := s.migrate(ctx, steps); err != nil {
		return nil, fmt.Errorf("open library %s: %w", file, err)
	}
	w := &s.owners.watch
	w.files, w.began = []string{file, file + "-wal"}, time.Now()
	if err := s.readOwners(ctx); err != nil {
		return nil, fmt.Errorf("open library %s: %w", file, err)
	}
	return s, nil
}

func newSQLite(pools *pool.Pools, opt Options) (*SQLite, error) {
	c, err := newCore("sqlite", pools, opt)
	if err != nil {
		return nil, err
	}
	all := c.all
	s := &SQLite{core: c, st: sqliteStatements{
		libraryFile: all.take("library_file"), wordsAdd: all.take("words_add"), wordsDelete: all.take("words_delete"),
		optimize: all.take("optimize"), changes: all.take("changes"), checkpoint: all.take("checkpoint"),
		migrationsKnown: all.take("migrations_known"),
	}}
	s.reads.searchPhrase, s.reads.searchPhraseDetails = all.take("search_phrase"), all.take("search_phrase_details")
	s.text, s.refresh = Query.fts5, refreshTimeout
	s.list = func(array string) any { return array }
	return s, all.done()
}

// PendingSQLite returns the steps that the library behind pools lacks, all for a new one, which
// OpenSQLite would take. It changes nothing.
func PendingSQLite(ctx context.Context, pools *pool.Pools, opt Options) ([]Step, error) {
	s, err := newSQLite(pools, opt)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	all, err := loadMigrations("sqlite")
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	taken, err := s.migrationsTaken(pool.WithoutQueryTimeout(ctx))
	if err == nil {
		err = checkMigrations(all, taken)
	}
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return stepsOf("sqlite", all[len(taken):]), nil
}
