package store_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

func names(steps []store.Step) (all []string) {
	for _, s := range steps {
		all = append(all, s.Name)
	}
	return all
}

func TestOracleMigrate(t *testing.T) {
	db := startOracle(t)
	pools, ctx := db.pools(t), t.Context()
	pending := func(want ...string) {
		t.Helper()
		got, err := store.PendingOracle(ctx, pools, store.Options{})
		if diff := cmp.Diff(want, names(got)); err != nil || diff != "" {
			t.Errorf("pending: %v (-want +got):\n%s", err, diff)
		}
	}
	if asked := db.during(func() { pending("0001_library") }); !cmp.Equal(asked, []string{"migrations"}) {
		t.Errorf("looking at the schema asked for %v", asked)
	}
	if _, err := store.OpenOracle(ctx, pools, store.Options{}); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), "run tomehub migrate") {
		t.Errorf("opened without a schema: %v", err)
	}
	for _, want := range [][]string{{"0001_library"}, nil} {
		got, err := store.MigrateOracle(ctx, pools, store.Options{})
		if diff := cmp.Diff(want, names(got)); err != nil || diff != "" {
			t.Errorf("applied: %v (-want +got):\n%s", err, diff)
		}
		pending()
	}
	if _, err := store.OpenOracle(ctx, pools, store.Options{}); err != nil {
		t.Error(err)
	}
}

// TestOracleMigrateCutOff ends a migration at each of its statements; the next one goes on.
func TestOracleMigrateCutOff(t *testing.T) {
	steps, err := store.Steps("oracle")
	if err != nil {
		t.Fatal(err)
	}
	n := len(steps[0].Statements)
	for at := range n {
		db := startOracle(t)
		pools := db.pools(t)
		seen := 0
		db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
			if c.Tag == "migration_step" {
				if seen++; seen == at+1 {
					return nil, &oracletest.Error{Code: 3113, Message: "end-of-file on communication channel"}
				}
			}
			return nil, nil
		})
		if got, err := store.MigrateOracle(t.Context(), pools, store.Options{}); err == nil || len(got) != 0 {
			t.Fatalf("cut off at statement %d: applied %v, %v", at+1, names(got), err)
		}
		if _, err := store.OpenOracle(t.Context(), pools, store.Options{}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("half a schema is opened: %v", err)
		}
		db.answer(nil)
		s := db.open(t, store.Options{})
		db.ingest(t, s, aBook("ada", "1", "word"))
	}
}

// TestOracleMigrateAtOnce has four migrations find the schema missing before the first makes it.
func TestOracleMigrateAtOnce(t *testing.T) {
	db := startOracle(t)
	all := make([]*pool.Pools, 4)
	for i := range all {
		all[i] = db.pools(t)
	}
	var looked, wg sync.WaitGroup
	looked.Add(len(all))
	var looks atomic.Int32
	db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
		if c.Tag == "migrations" && looks.Add(1) <= int32(len(all)) {
			looked.Done()
			looked.Wait()
		}
		return nil, nil
	})
	var applied atomic.Int32
	for _, pools := range all {
		wg.Go(func() {
			got, err := store.MigrateOracle(t.Context(), pools, store.Options{})
			if err != nil {
				t.Error(err)
			}
			applied.Add(int32(len(got)))
		})
	}
	wg.Wait()
	if n := applied.Load(); n != 1 {
		t.Errorf("%d migrations say that they applied the one step", n)
	}
}

func TestOracleMigrateRefused(t *testing.T) {
	refused := func(db *oracleDB, want string) {
		t.Helper()
		pools := db.pools(t)
		_, err := store.MigrateOracle(t.Context(), pools, store.Options{})
		if !errors.Is(err, store.ErrGrant) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q, want one line with %q", err, want)
		}
		if _, err := store.OpenOracle(t.Context(), pools, store.Options{}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("opened after a migration that failed: %v", err)
		}
	}
	refused(startOracle(t, tomedata.WithoutText()), "Oracle Text is not installed")
	for _, c := range []struct {
		code    int
		message string
		want    string
	}{
		{1950, "no privileges on tablespace 'USERS'\nORA-06512: at line 4", "QUOTA UNLIMITED"},
		{1031, "insufficient privileges\nORA-06512: at line 4", "GRANT CREATE TABLE"},
		{29855, "error occurred in the execution of ODCIINDEXCREATE routine\nORA-20000: Oracle Text error:\nDRG-10700: preference does not exist: CTXSYS.BASIC_LEXER", "incomplete"},
	} {
		db := startOracle(t)
		db.answer(func(call *oracletest.Call) (*oracletest.Result, error) {
			if call.Tag == "migration_step" {
				return nil, &oracletest.Error{Code: c.code, Message: c.message}
			}
			return nil, nil
		})
		refused(db, c.want)
	}
}

// TestOracleBrokenIndex holds that a text index whose creation failed is made anew, and a sound one is not.
func TestOracleBrokenIndex(t *testing.T) {
	f := func(operation string, want int) {
		t.Helper()
		db := startOracle(t)
		drops := 0
		db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
			switch step, _ := stepOf(c); {
			case c.Tag == "text_index":
				text := oracletest.Column{Name: "DOMIDX_STATUS", Type: oracletest.Varchar2, Size: 20}
				result := text
				result.Name = "DOMIDX_OPSTATUS"
				return &oracletest.Result{Columns: []oracletest.Column{text, result}, Rows: [][]oracletest.Value{{"VALID", operation}}}, nil
			case strings.Contains(step, "DROP INDEX TOMEHUB_CONTENT_WORDS FORCE"):
				drops++
				return &oracletest.Result{}, nil
			}
			return nil, nil
		})
		if _, err := store.MigrateOracle(t.Context(), db.pools(t), store.Options{}); err != nil || drops != want {
			t.Errorf("an index that is %s is dropped %d times, %v", operation, drops, err)
		}
	}
	f("FAILED", 1)
	f("VALID", 0)
}

func stepOf(c *oracletest.Call) (string, bool) {
	if c.Tag != "migration_step" {
		return "", false
	}
	step, ok := c.Arg(0, "step").(string)
	return step, ok
}

// TestOracleOtherBuild holds that a schema of a newer program, or of another, is refused.
func TestOracleOtherBuild(t *testing.T) {
	db := startOracle(t)
	db.open(t, store.Options{})
	pools := db.pools(t)
	f := func(what string, want error, rows ...[]oracletest.Value) {
		t.Helper()
		db.answer(func(c *oracletest.Call) (*oracletest.Result, error) {
			if c.Tag != "migrations" {
				return nil, nil
			}
			return &oracletest.Result{Rows: rows, Columns: []oracletest.Column{
				{Name: "VERSION", Type: oracletest.Number}, {Name: "NAME", Type: oracletest.Varchar2, Size: 200}, {Name: "CHECKSUM", Type: oracletest.Varchar2, Size: 64},
			}}, nil
		})
		for _, open := range []func() error{
			func() error { _, err := store.OpenOracle(t.Context(), pools, store.Options{}); return err },
			func() error { _, err := store.MigrateOracle(t.Context(), pools, store.Options{}); return err },
		} {
			if err := open(); err == nil || want != nil && !errors.Is(err, want) || pool.OracleCode(err) != 0 {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	f("another text of a step", nil, []oracletest.Value{int64(1), "0001_library", "abc"})
	var known []oracletest.Value
	steps, err := store.PendingOracle(t.Context(), startOracle(t).pools(t), store.Options{})
	if err != nil || len(steps) != 1 {
		t.Fatal(err)
	}
	known = []oracletest.Value{int64(1), "0001_library", store.Checksum("oracle", 1)}
	f("a step more", store.ErrNewer, known, []oracletest.Value{int64(2), "0002_later", "abc"})
}
