package store

import (
	"context"
	"io/fs"

	"github.com/tomehub/tomehub/internal/pool"
)

// ChangeInterval is what tests outside of the package compare with.
const ChangeInterval = changeInterval

// OpenWithMigrations is OpenSQLite with other migrations than the program's.
func OpenWithMigrations(ctx context.Context, pools *pool.Pools, files fs.FS) (*SQLite, error) {
	steps, err := readMigrations(files)
	if err != nil {
		return nil, err
	}
	return openSQLite(ctx, pools, Options{}, steps)
}

// Migrations are the program's own.
func Migrations() fs.FS {
	files, err := fs.Sub(migrationFiles, "migrations/sqlite")
	if err != nil {
		panic(err)
	}
	return files
}

// MergeIn is the first part of Optimize, in steps of that many pages.
func (s *SQLite) MergeIn(ctx context.Context, pages int) error { return s.merge(ctx, pages) }

// TakeFirstMigration is what a process does that found it missing and waited for the writer.
func (s *SQLite) TakeFirstMigration(ctx context.Context) error {
	steps, err := readMigrations(Migrations())
	if err != nil {
		return err
	}
	return s.takeMigration(ctx, steps[0])
}

// Checksum is that of a dialect's step.
func Checksum(dialect string, version int) string {
	all, err := loadMigrations(dialect)
	if err != nil {
		panic(err)
	}
	return all[version-1].checksum
}

// SetArrayRows has s send that many rows at once.
func SetArrayRows(s *Oracle, rows int) { s.arrayRows = rows }
