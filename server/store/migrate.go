package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

//go:embed migrations
var migrationFiles embed.FS

// migration is one step of the schema. Steps are only ever added: one that a
// library has taken must stay as it was.
type migration struct {
	version  int
	name     string // of the file, without its ending
	checksum string // SHA-256 of the text, in hex
	text     string
}

// Step is one step of a schema.
type Step struct {
	Name       string   // of its file, without the ending
	Statements []string // in the order in which they run
}

// Steps returns all steps of a dialect, "sqlite" or "oracle".
func Steps(dialect string) ([]Step, error) {
	all, err := loadMigrations(dialect)
	if err != nil {
		return nil, err
	}
	return stepsOf(dialect, all), nil
}

func stepsOf(dialect string, all []migration) []Step {
	steps := make([]Step, len(all))
	for i, m := range all {
		steps[i] = Step{Name: m.name, Statements: []string{m.text}}
		if dialect == "oracle" {
			steps[i].Statements = splitSlashes(m.text)
		}
	}
	return steps
}

// loadMigrations reads the steps of a dialect.
func loadMigrations(dialect string) ([]migration, error) {
	files, err := fs.Sub(migrationFiles, "migrations/"+dialect)
	if err != nil {
		return nil, err
	}
	return readMigrations(files)
}

// readMigrations reads NNNN_name.sql files, numbered from 1 without a gap.
func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var all []migration
	for i, file := range names { // sorted by Glob
		number, _, ok := strings.Cut(file, "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 {
			return nil, fmt.Errorf("migration file %s: must be named %04d_<name>.sql", file, i+1)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		lines := strings.ReplaceAll(string(text), "\r\n", "\n") // a checkout may have changed them
		sum := sha256.Sum256([]byte(lines))
		all = append(all, migration{
			version: version, name: strings.TrimSuffix(path.Base(file), ".sql"),
			checksum: hex.EncodeToString(sum[:]), text: lines,
		})
	}
	return all, nil
}

// migrate brings the library to the newest of all. Each step and its record are
// one transaction that holds the write lock from its start: a crash leaves a
// step whole or not begun, and of two processes that start at once the second
// waits and then finds the step taken.
func (s *SQLite) migrate(ctx context.Context, all []migration) error {
	for {
		taken, err := s.migrationsTaken(ctx)
		if err != nil {
			return fmt.Errorf("read migrations: %w", err)
		}
		if err := checkMigrations(all, taken); err != nil {
			return err
		}
		if len(taken) == len(all) {
			return nil
		}
		next := all[len(taken)]
		if err := s.takeMigration(ctx, next); err != nil {
			return fmt.Errorf("apply migration %s: %w", next.name, err)
		}
	}
}

// checkMigrations compares what a library has taken with what this program knows.
func checkMigrations(all, taken []migration) error {
	for i, t := range taken {
		if i >= len(all) {
			return fmt.Errorf("%w: it has migration %s, this one knows %d: start the newer one, or another --data-dir", ErrNewer, t.name, len(all))
		}
		if known := all[i]; t.version != known.version || t.checksum != known.checksum {
			return fmt.Errorf("library has migration %s (version %d, checksum %.8s), this tomehub has %s (checksum %.8s): it was written by a different build",
				t.name, t.version, t.checksum, known.name, known.checksum)
		}
	}
	return nil
}

// migrationsTaken returns the migrations on record, none for a new library.
func (s *SQLite) migrationsTaken(ctx context.Context) (taken []migration, err error) {
	var known bool
	err = s.read(ctx, s.st.migrationsKnown, "", func(r *pool.Rows) error { return r.Scan(&known) })
	if err != nil || !known {
		return nil, err
	}
	return s.recordedMigrations(ctx)
}

func (s *core) recordedMigrations(ctx context.Context) (taken []migration, err error) {
	err = s.read(ctx, s.reads.migrations, "", func(r *pool.Rows) error {
		var m migration
		err := r.Scan(&m.version, &m.name, &m.checksum)
		taken = append(taken, m)
		return err
	})
	return taken, err
}

func migrationRecord(m migration) []any {
	return []any{
		sql.Named("version", m.version), sql.Named("name", m.name), sql.Named("checksum", m.checksum),
		sql.Named("applied_at_ms", time.Now().UnixMilli()),
	}
}

// takeMigration applies m unless another process has meanwhile.
func (s *SQLite) takeMigration(ctx context.Context, m migration) error {
	return s.write(ctx, s.writes.migrationsCreate, func(tx *pool.Tx) error {
		if err := s.trace.exec(ctx, tx, s.writes.migrationsCreate); err != nil {
			return err
		}
		taken := 0
		count := func(*pool.Rows) error { taken++; return nil }
		if err := s.trace.query(ctx, tx, nil, s.reads.migrations, "", count); err != nil {
			return err
		}
		if taken >= m.version {
			return errNothingToDo
		}
		if _, err := tx.Exec(ctx, m.text); err != nil {
			return err
		}
		return s.trace.exec(ctx, tx, s.writes.migrationAdd, migrationRecord(m)...)
	})
}

// errNothingToDo ends a transaction that finds its work done.
var errNothingToDo = errors.New("nothing to do")
