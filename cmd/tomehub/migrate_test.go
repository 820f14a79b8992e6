package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// TestMigrateOracle drives the command as a DBA does, against a double of the server.
func TestMigrateOracle(t *testing.T) {
	db, err := oracletest.Start(oracletest.Config{Handler: tomedata.New()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	noText, err := oracletest.Start(oracletest.Config{Handler: tomedata.New(tomedata.WithoutText())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = noText.Close() })
	f := func(dsn, args string, wantCode int, wantOut, wantErr string) {
		t.Helper()
		env := map[string]string{"DB_DSN": dsn, "DB_USER": "tomehub", "DB_PASSWORD": "secret", "TOMEHUB_DATA_DIR": t.TempDir()}
		var out, errs bytes.Buffer
		a := &app{stdout: &out, stderr: &errs, lookup: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
		code := a.run(t.Context(), append(strings.Fields(args), "--env-file="))
		if code != wantCode || !strings.Contains(out.String(), wantOut) || !strings.Contains(errs.String(), wantErr) || wantOut == "" && out.Len() > 0 {
			t.Errorf("tomehub %s: exit code %d, want %d with %q and %q\n%s\n%s", args, code, wantCode, wantOut, wantErr, out.String(), errs.String())
		}
		if strings.Contains(out.String()+errs.String(), "secret") {
			t.Errorf("tomehub %s shows the password", args)
		}
	}
	f(db.DSN(), "serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0", 1, "", "run tomehub migrate") // serving makes no schema
	f(db.DSN(), "migrate --dry-run", 0, "CREATE TABLE TOMEHUB_CONTENT (", "")
	f(db.DSN(), "migrate --dry-run", 0, "INDEXTYPE IS CTXSYS.CONTEXT", "") // nothing was changed by the first
	f(db.DSN(), "migrate", 0, "applied 0001_library\n", "")
	f(db.DSN(), "migrate", 0, "nothing to migrate\n", "")
	f(db.DSN(), "migrate --dry-run", 0, "", "nothing to migrate")
	f(db.DSN(), "ingest nothing.txt", 1, "0 passages stored", "were not stored") // it opens: the schema is there
	f(noText.DSN(), "migrate", 1, "", "ask the DBA: Oracle Text is not installed in this database")
}
