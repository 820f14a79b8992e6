package store_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tomehub/tomehub/server/store"
)

// TestOpenTogether starts processes on a library without a schema; making the
// file itself is the pool's part.
func TestOpenTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	openPools(t, path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if out, err := child(t, "open", path).Output(); err != nil || strings.TrimSpace(string(out)) != "done" {
				t.Errorf("%s: %v", out, err)
			}
		})
	}
	wg.Wait()
	if got := migrationsOnRecord(t, path); got != 1 {
		t.Errorf("%d migrations on record, want 1", got)
	}
	checkWhole(t, path)
}

// TestMigrationTakenMeanwhile is the second of two processes: it saw the step
// missing, waited for the writer, and finds it taken.
func TestMigrationTakenMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	s := open(t, path, store.Options{})
	if err := s.TakeFirstMigration(t.Context()); err != nil {
		t.Error(err)
	}
	if got := migrationsOnRecord(t, path); got != 1 {
		t.Errorf("%d migrations on record, want 1", got)
	}
}

func migrationsOnRecord(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM TOMEHUB_MIGRATIONS").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// migrations are the program's own and these.
func migrations(more ...string) fstest.MapFS {
	files := fstest.MapFS{}
	entries, err := fs.ReadDir(store.Migrations(), ".")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(store.Migrations(), e.Name())
		if err != nil {
			panic(err)
		}
		files[e.Name()] = &fstest.MapFile{Data: text}
	}
	for _, text := range more {
		files[fmt.Sprintf("%04d_more.sql", len(files)+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// slowMigrations has a step that takes long enough to be killed in.
func slowMigrations() fstest.MapFS {
	return migrations(`CREATE TABLE extra (n INTEGER);
INSERT INTO extra WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT n FROM c;
CREATE INDEX extra_n ON extra (n);`)
}

// TestKilledMigration kills a process while it migrates, and starts it again.
func TestKilledMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	open(t, path, store.Options{})
	killed := 0
	for i := range 6 {
		cmd := child(t, "migrate", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatal("the child did not begin")
		}
		kill := time.AfterFunc(time.Duration(i*9)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
		}
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() == -1 {
			killed++
		}
		kill.Stop()
		checkExtra(t, path)
	}
	if killed == 0 {
		t.Error("no child was killed, so nothing was tested")
	}
	if _, err := store.OpenWithMigrations(t.Context(), openPools(t, path), slowMigrations()); err != nil {
		t.Fatal(err)
	}
	checkExtra(t, path)
	if got := migrationsOnRecord(t, path); got != 2 {
		t.Errorf("%d migrations on record, want 2", got)
	}
}

// checkExtra holds that the step of slowMigrations is whole and on record, or neither begun nor on record.
func checkExtra(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables, recorded, rows int
	if err := db.QueryRow("SELECT (SELECT count(*) FROM sqlite_schema WHERE name LIKE 'extra%'), (SELECT count(*) FROM TOMEHUB_MIGRATIONS WHERE version = 2)").Scan(&tables, &recorded); err != nil {
		t.Fatal(err)
	}
	if tables != 2*recorded {
		t.Fatalf("%d of the step's tables and indexes, %d on record", tables, recorded)
	}
	if recorded == 1 {
		if err := db.QueryRow("SELECT count(*) FROM extra").Scan(&rows); err != nil || rows != 300000 {
			t.Errorf("%d rows, %v", rows, err)
		}
	}
}

func TestMigrationRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	try := func(files fstest.MapFS) error {
		t.Helper()
		_, err := store.OpenWithMigrations(t.Context(), openPools(t, path), files)
		return err
	}
	if err := try(migrations("CREATE TABLE extra (n); CREATE TABLE extra (n);")); err == nil || !strings.Contains(err.Error(), "0002_more") {
		t.Errorf("step that fails half-way: error %v", err)
	}
	checkExtraGone(t, path)
	if err := try(migrations("CREATE TABLE extra (n);")); err != nil {
		t.Errorf("step mended: %v", err)
	}
	if err := try(migrations("CREATE TABLE extra (n);\r\n")); err == nil || !strings.Contains(err.Error(), "different build") {
		t.Errorf("step changed after it was taken: error %v", err)
	}
	if err := try(migrations()); !errors.Is(err, store.ErrNewer) {
		t.Errorf("step that this program does not know: error %v, want ErrNewer", err)
	}
	if err := try(fstest.MapFS{"0001_a.sql": {}, "0003_b.sql": {}}); err == nil || !strings.Contains(err.Error(), "0002_") {
		t.Errorf("gap in the numbers: error %v", err)
	}
}

func checkExtraGone(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'extra'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d tables left of a step that failed, %v", n, err)
	}
}
