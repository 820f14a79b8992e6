package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

const hunter = "hunter2-is-secret"

// oracleDouble is an Oracle database with an empty schema.
func oracleDouble(t *testing.T) *oracletest.Server {
	t.Helper()
	s, err := oracletest.Start(oracletest.Config{Handler: tomedata.New(), Users: map[string]string{"TOME": hunter}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// runProgram runs a command that ends by itself and returns what it wrote.
func runProgram(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	cmd := &exec.Cmd{Path: self, Args: append([]string{"tomehub"}, args...), Env: append(os.Environ(), env...), Stdout: &b, Stderr: &b}
	_ = cmd.Run()
	if strings.Contains(b.String(), hunter) {
		t.Errorf("the password is printed: %s", b.String())
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// The library in Oracle, with the commands that an operator runs.
func TestOracleFromMigrationToSearch(t *testing.T) {
	db := oracleDouble(t)
	// The address is a name, and the password in a file, as in a container.
	tns, password, book := t.TempDir(), filepath.Join(t.TempDir(), "password"), filepath.Join(t.TempDir(), "walden.txt")
	host, port, _ := strings.Cut(db.Addr(), ":")
	for file, text := range map[string]string{
		filepath.Join(tns, "tnsnames.ora"): "TOME = (DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=" + host + ")(PORT=" + port + "))(CONNECT_DATA=(SERVICE_NAME=FREEPDB1)))\n",
		password:                           hunter + "\n",
		book:                               "Walden\n\nI went to the woods because I wished to live deliberately.\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"DB_DSN=tome", "TNS_ADMIN=" + tns, "DB_USER=TOME", "DB_PASSWORD_FILE=" + password}
	if out, code := runProgram(t, env, "ingest", "--env-file", "", book); code != 1 || !strings.Contains(out, "tomehub migrate") {
		t.Errorf("ingest into an empty schema: exit %d: %s", code, out)
	}
	if out, code := runProgram(t, env, "migrate", "--env-file", ""); code != 0 {
		t.Fatalf("migrate: exit %d: %s", code, out)
	}
	if out, code := runProgram(t, env, "ingest", "--env-file", "", book); code != 0 {
		t.Fatalf("ingest: exit %d: %s", code, out)
	}
	data := t.TempDir()
	s := startProgram(t, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), env...) }, data)
	search := func(query string) (status, total int) {
		var got searchAnswer
		status = s.get("/api/search?q="+query, &got)
		return status, got.Total
	}
	if status, total := search("woods"); status != 200 || total != 1 {
		t.Errorf("search: %d, %d matches\n%s", status, total, s.stderr)
	}
	if db.KillSessions() == 0 {
		t.Error("nobody was logged in")
	}
	if status, total := search("deliberately"); status != 200 || total != 1 {
		t.Errorf("search after all sessions were killed: %d, %d matches\n%s", status, total, s.stderr)
	}
	if err := db.ListenerDown(true); err != nil {
		t.Fatal(err)
	}
	db.DropSessions()
	var refusal struct {
		Error string `json:"error"`
	}
	if status := s.get("/api/search?q=wished", &refusal); status != 503 || refusal.Error != "database_unavailable" {
		t.Errorf("without a database: %d %+v", status, refusal)
	}
	if err := db.ListenerDown(false); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(); err != nil {
		t.Errorf("the server left with %v", err)
	}
	if log := s.stderr.String() + s.stdout.String(); strings.Contains(log, hunter) || !strings.Contains(log, "Database pools") {
		t.Errorf("the log lacks the pools, or has the password:\n%s", log)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) != 0 {
		t.Errorf("the embedded library's directory was used: %v %v", left, err)
	}
}

func TestOracleSettings(t *testing.T) {
	f := func(why string, env map[string]string, args []string, parts ...string) {
		t.Helper()
		_, _, err := resolveServe(t, args, env, "")
		if len(parts) == 0 && err != nil {
			t.Errorf("%s: %v", why, err)
		}
		for _, p := range parts {
			if err == nil || !strings.Contains(err.Error(), p) || strings.Contains(err.Error(), hunter) {
				t.Errorf("%s: %v lacks %q, or has the password", why, err, p)
			}
		}
	}
	set := func(pairs ...string) map[string]string {
		env := map[string]string{"DB_DSN": "db:1521/svc", "DB_USER": "TOME", "DB_PASSWORD": hunter}
		for i := 0; i < len(pairs); i += 2 {
			env[pairs[i]] = pairs[i+1]
		}
		return env
	}
	f("all that is needed", set(), nil)
	f("neither user nor password", map[string]string{"DB_DSN": "db:1521/svc"}, nil, "DB_USER", "DB_PASSWORD")
	f("no service", set("DB_DSN", "db:1521"), nil, "DB_DSN", "service")
	f("credentials in the address", set("DB_DSN", "oracle://tome:"+hunter+"@db:1521/svc"), nil, "DB_DSN holds a user")
	f("a name without TNS_ADMIN", set("DB_DSN", "tome"), nil, "TNS_ADMIN")
	f("a wallet that is not there", set("DB_DSN", "tcps://db/svc", "DB_WALLET", "/nonexistent"), nil, "DB_WALLET")
	f("a demo in the database", set(), []string{"--demo"}, "--demo", "DB_DSN")
	f("no data directory", set(), []string{"--data-dir", ""})
	f("a user of a database that is not there", map[string]string{"DB_USER": "ADMIN"}, nil) // the plan's .env has one
}
