package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// Dialects of the library's schema.
const (
	dialectSQLite = "sqlite"
	dialectOracle = "oracle"
)

func (a *app) newMigrateCommand() *cobra.Command {
	var c serveSettings
	var dryRun bool
	var dialect string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the library's schema to this version",
		Long: `Create the tables and indexes of the library, or bring them to this version. With DB_DSN that is the
Oracle schema of DB_USER, who needs CREATE SESSION, CREATE TABLE and room in a tablespace, and
Oracle Text in the database; 'tomehub serve' does not change an Oracle schema by itself. The embedded
library in --data-dir is migrated by every command that opens it, so for it this one only says so.

With --dry-run nothing is changed: the statements that would run are printed, those of Oracle as
SQL*Plus reads them. Without a database, 'tomehub migrate --dry-run --dialect oracle' prints them all.

A migration that was cut off is taken up again by the next run. Exit code 1 when it fails.`,
		Example: `  tomehub migrate --dry-run --dialect oracle > schema.sql
  DB_DSN=db:1521/FREEPDB1 DB_USER=tomehub DB_PASSWORD_FILE=/run/secrets/db tomehub migrate`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("migrate takes no argument, got %q (see 'tomehub migrate --help')", args[0])}
			}
			return nil
		},
	}
	s := &settings{flags: cmd.Flags()}
	c.registerLibrary(s)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the statements that would run, and change nothing")
	cmd.Flags().StringVar(&dialect, "dialect", "", "oracle or sqlite, for --dry-run without a database; empty is that of DB_DSN")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := errors.Join(a.load(cmd, s, nil), c.validateDatabase())
		switch {
		case dialect != "" && dialect != dialectOracle && dialect != dialectSQLite:
			err = errors.Join(err, fmt.Errorf("--dialect %q: want oracle or sqlite", dialect))
		case dialect != "" && !dryRun:
			err = errors.Join(err, errors.New("--dialect is for --dry-run: what is migrated is told by DB_DSN"))
		case dialect == dialectSQLite && c.dbDSN != "":
			err = errors.Join(err, errors.New("--dialect sqlite, but DB_DSN (--db-dsn) names an Oracle database: unset one of the two"))
		}
		if err != nil {
			return usageError{err}
		}
		if dryRun {
			return a.printMigrations(cmd.Context(), &c, dialect)
		}
		return a.migrate(cmd.Context(), &c)
	}
	return cmd
}

// printMigrations prints what a migration would run.
func (a *app) printMigrations(ctx context.Context, c *serveSettings, dialect string) error {
	if c.dbDSN != "" {
		dialect = dialectOracle
	}
	steps, err := a.pendingSteps(ctx, c, dialect)
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		fmt.Fprintln(a.stderr, "nothing to migrate")
		return nil
	}
	for _, step := range steps {
		fmt.Fprintf(a.stdout, "/* migration %s */\n", step.Name)
		for _, statement := range step.Statements {
			fmt.Fprintln(a.stdout, strings.TrimSpace(statement))
			if dialect == dialectOracle {
				fmt.Fprintln(a.stdout, "/")
			}
		}
	}
	return nil
}

// pendingSteps returns what the library lacks; without a library, or a database to ask, everything.
func (a *app) pendingSteps(ctx context.Context, c *serveSettings, dialect string) (steps []store.Step, err error) {
	if c.dbDSN == "" && dialect == dialectOracle {
		return store.Steps(dialectOracle)
	}
	if c.dbDSN == "" {
		// Opening the library would make it.
		if _, err := os.Stat(filepath.Join(c.dataDir, libraryFile)); errors.Is(err, fs.ErrNotExist) {
			return store.Steps(dialectSQLite)
		}
	}
	pools, err := a.migrationPools(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pools.Close()) }()
	if c.dbDSN != "" {
		ctx = pool.WithKind(ctx, "migrate")
		return store.PendingOracle(ctx, pools, store.Options{Logger: a.logger()})
	}
	return store.PendingSQLite(ctx, pools, store.Options{Logger: a.logger()})
}

// migrationPools opens one connection for a migration.
func (a *app) migrationPools(ctx context.Context, c *serveSettings) (*pool.Pools, error) {
	cfg := c.poolConfig(filepath.Join(c.dataDir, libraryFile), a.logger())
	cfg.Single, cfg.Read.Min, cfg.Read.Size = true, 0, 1
	if c.dbDSN != "" {
		return pool.OpenOracle(ctx, cfg, c.oracle())
	}
	return pool.OpenSQLite(ctx, cfg)
}

// migrate takes what steps the library lacks and prints them.
func (a *app) migrate(ctx context.Context, c *serveSettings) (err error) {
	if c.dbDSN == "" {
		if err := os.MkdirAll(c.dataDir, 0o755); err != nil {
			return fmt.Errorf("make the library's directory (--data-dir): %w", err)
		}
	}
	pools, err := a.migrationPools(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pools.Close()) }()
	ctx = pool.WithKind(ctx, "migrate")
	opt := store.Options{Logger: a.logger()}
	var taken []store.Step
	if c.dbDSN != "" {
		taken, err = store.MigrateOracle(ctx, pools, opt)
	} else if taken, err = store.PendingSQLite(ctx, pools, opt); err == nil {
		_, err = store.OpenSQLite(ctx, pools, opt)
	}
	if err != nil && c.dbDSN == "" {
		return err // nothing of a step that fails stays
	}
	for _, step := range taken {
		fmt.Fprintf(a.stdout, "applied %s\n", step.Name)
	}
	if err == nil && len(taken) == 0 {
		fmt.Fprintln(a.stdout, "nothing to migrate")
	}
	return err
}
