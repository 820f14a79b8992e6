package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// profiledOracle is an Oracle database whose clock goes, and the environment by which the program finds it.
func profiledOracle(t *testing.T) (*tomedata.Instance, []string) {
	t.Helper()
	in := tomedata.NewInstance(tomedata.InstanceConfig{})
	s, err := oracletest.Start(oracletest.Config{Handler: in.Views(), Users: map[string]string{"TOME": hunter}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	in.Attach(s)
	return in, []string{"DB_DSN=" + s.DSN(), "DB_USER=TOME", "DB_PASSWORD=" + hunter}
}

// TestProfileOracle profiles a database as an operator does: a window, two saved snapshots, all since the start.
func TestProfileOracle(t *testing.T) {
	t.Parallel()
	in, env := profiledOracle(t)
	slow := in.Cursor(tomedata.Statement{Text: "SELECT title FROM books WHERE owner = :1", Module: "web"})
	slow.Run(1000, tomedata.Cost{Elapsed: time.Second})
	in.Views().Watch(func(view string, nth int) {
		if view == "V$SESSION" && nth == 1 {
			slow.Run(4, tomedata.Cost{Elapsed: 300 * time.Millisecond, Rows: 2})
		}
	})
	run := func(args ...string) (out string, code int) {
		return runProgram(t, env, append([]string{"profile", "--env-file", ""}, args...)...)
	}
	out, code := run("--duration", "1500ms", "--force", "--format", "json", "--log-level", "error")
	if code != 0 || !strings.Contains(out, slow.ID()) {
		t.Fatalf("exit %d: %s", code, out)
	}
	if out, code := run("--duration", "1500ms", "--force"); code != 0 || !strings.Contains(out, "Profiling Oracle at "+strings.TrimPrefix(env[0], "DB_DSN=")) {
		t.Errorf("exit %d: %s", code, out)
	}
	if out, code := run("--lifetime", "--view", "v$sql"); code != 0 || !strings.Contains(out, "SELECT title FROM books") {
		t.Errorf("exit %d: %s", code, out)
	}
	a, b := filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")
	if out, code := run("--save", a); code != 0 || !strings.Contains(out, "saved to "+a) {
		t.Errorf("exit %d: %s", code, out)
	}
	slow.Run(7, tomedata.Cost{Elapsed: time.Second})
	if out, code := run("--save", b); code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	env = nil // without the database
	if out, code := run("--from", a, "--to", b, "--force"); code != 0 || !strings.Contains(out, "SELECT title FROM books") || !strings.Contains(out, "7") {
		t.Errorf("exit %d: %s", code, out)
	}
}

// TestProfileOracleRefused holds what an operator is told when it cannot be.
func TestProfileOracleRefused(t *testing.T) {
	f := func(wantCode int, want string, change func(in *tomedata.Instance, env []string) []string, args ...string) {
		t.Helper()
		in, env := profiledOracle(t)
		if change != nil {
			env = change(in, env)
		}
		out, code := runProgram(t, env, append([]string{"profile", "--env-file", ""}, args...)...)
		if code != wantCode || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d, want %d and %q: %s", args, code, wantCode, want, out)
		}
	}
	revoke := func(views ...string) func(*tomedata.Instance, []string) []string {
		return func(in *tomedata.Instance, env []string) []string { in.Views().Revoke(views...); return env }
	}
	f(1, "\nGRANT SELECT ON SYS.V_$SQLSTATS_PLAN_HASH TO TOME;\n", revoke(), "--lifetime")
	f(0, "GRANT SELECT ON SYS.V_$SQLSTATS_PLAN_HASH TO TOME;", revoke("V$SQLSTATS_PLAN_HASH"), "--save", filepath.Join(t.TempDir(), "a.json"))
	f(1, "check DB_USER and DB_PASSWORD (ORA-01017)", func(_ *tomedata.Instance, env []string) []string { return append(env, "DB_PASSWORD=wrong") }, "--lifetime")
	f(1, "nothing listens there", func(_ *tomedata.Instance, env []string) []string { return append(env, "DB_DSN=127.0.0.1:1/x") }, "--lifetime")
	f(2, "--force", nil, "--duration", "5s")
	f(2, "DB_USER is empty", func(_ *tomedata.Instance, env []string) []string { return env[:1] })
	f(1, "--url", nil, "--url", "http://127.0.0.1:1", "--duration", "1s") // of the two, what is on the command line
}

// TestProfileSecrets holds that a password in the wrong place is not printed.
func TestProfileSecrets(t *testing.T) {
	out, code := runProgram(t, nil, "profile", "--env-file", "", "--db-dsn", "TOME/"+hunter+"@db/x")
	if code != 2 || !strings.Contains(out, "DB_DSN holds a user or a password") {
		t.Errorf("exit %d: %s", code, out)
	}
}
