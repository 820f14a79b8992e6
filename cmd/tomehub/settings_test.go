package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// resolveServe resolves the settings of serve from a command line, an environment and a .env file.
func resolveServe(t *testing.T, args []string, env map[string]string, dotenv string) (serveSettings, *settings, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(dotenv), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: io.Discard, stderr: io.Discard, envFile: file, lookup: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	a.shared = &settings{}
	cmd := &cobra.Command{Use: "serve"}
	var c serveSettings
	s := &settings{flags: cmd.Flags()}
	c.register(s)
	if err := cmd.ParseFlags(args); err != nil {
		return c, s, err
	}
	return c, s, a.loadServe(cmd, s, &c)
}

func TestPrecedence(t *testing.T) {
	f := func(name string, args []string, env map[string]string, dotenv string, want int, wantOrigin string) {
		t.Helper()
		c, s, err := resolveServe(t, args, env, dotenv)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		origin := ""
		for _, one := range s.list {
			if one.env == "DB_POOL_SIZE" {
				origin = filepath.Base(one.origin)
			}
		}
		if c.poolSize != want || origin != wantOrigin {
			t.Errorf("%s: DB_POOL_SIZE is %d from %q, want %d from %q", name, c.poolSize, origin, want, wantOrigin)
		}
	}
	baseline := []string{"--phase=baseline"}
	env := map[string]string{"DB_POOL_SIZE": "33"}
	f("default", nil, nil, "", 40, "default")
	f("preset over default", baseline, nil, "", 20, "phase baseline")
	f(".env over preset", baseline, nil, "DB_POOL_SIZE=32", 32, ".env")
	f("environment over .env", baseline, env, "DB_POOL_SIZE=32", 33, "environment")
	f("flag over environment", append(baseline, "--db-pool-size=34"), env, "DB_POOL_SIZE=32", 34, "flag")
	f("an empty variable counts as unset", baseline, map[string]string{"DB_POOL_SIZE": ""}, "", 20, "phase baseline")
	f("the phase itself may come from .env", nil, nil, "TOMEHUB_PHASE=baseline", 20, "phase baseline")
}

// The plan's own .env lines must be understood as they are written.
func TestPlansEnvironment(t *testing.T) {
	c, _, err := resolveServe(t, nil, nil, `
DB_POOL_SIZE=41              # Increased from 20
DB_POOL_TIMEOUT=31           # Wait max 30s for connection
DB_POOL_RECYCLE=3601         # Recycle connections every hour
RATE_LIMIT_GLOBAL=1001          # Requests per minute, total
RATE_LIMIT_SEARCH=101           # Searches per minute, per user
RATE_LIMIT_INGEST=11            # Ingestions per minute, per user
DB_POOL_READ_SIZE=51           # Large pool for searches
DB_POOL_WRITE_SIZE=12          # Small pool for ingestion
MAX_CONCURRENT_STREAMS=102     # Adjust based on memory capacity
DB_USER=ADMIN
DB_PASSWORD=tiger
`)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.poolSize, c.poolTimeout, c.poolRecycle, c.limitGlobal, c.limitSearch, c.limitIngest,
		c.readSize, c.writeSize, c.maxStreams, c.dbUser, c.dbPassword.reveal())
	want := fmt.Sprint(41, 31*time.Second, 3601*time.Second, 1001, 101, 11, 51, 12, 102, "ADMIN", "tiger")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, _, err := resolveServe(t, []string{"--listen=0.0.0.0:5001", "--admin-listen=0.0.0.0:5002", "--slow-query=soon", "--db-pool-queue=-1"}, map[string]string{
		"DB_POOL_SIZE": "many", "DB_POOL_TIMEOUT": "-1", "DB_POOL_READ_SIZE": "3", "RATE_LIMIT_SEARCH": "1.5",
		"TOMEHUB_TRUSTED_PROXIES": "10.0.0.0/99", "RATE_LIMIT_STORAGE": "redis:/:hunter2@nowhere",
	}, "")
	if exitCode(err) != exitUsage {
		t.Fatalf("exit code %d for %v, want %d", exitCode(err), err, exitUsage)
	}
	for _, want := range []string{
		`DB_POOL_SIZE (from environment) is "many": want a whole number from 1 to 10000`,
		`DB_POOL_TIMEOUT (from environment) is "-1": want a time from 1ms to 1h`,
		"DB_POOL_READ_MIN is 5, more than DB_POOL_READ_SIZE 3",
		`RATE_LIMIT_SEARCH (from environment) is "1.5"`,
		`--trusted-proxies: read trusted proxy "10.0.0.0/99"`,
		"--listen 0.0.0.0:5001 is reached by other machines and --auth is off",
		"--admin-listen 0.0.0.0:5002 is reached by other machines",
		"RATE_LIMIT_STORAGE (from environment)",
		`--slow-query is "soon"`,
		`--db-pool-queue is "-1"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the report gives a password away: %v", err)
	}
}

func TestAnswerSettings(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, s, err := resolveServe(t, []string{"--answer-timeout=9s"}, map[string]string{
		"ANSWER_URL": "http://127.0.0.1:11434/v1", "ANSWER_MODEL": "qwen3", "ANSWER_API_KEY_FILE": keyFile,
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	chat := c.answerConfig(nil).Chat
	if string(chat.APIKey) != "hunter2" || chat.Model != "qwen3" || chat.URL != "http://127.0.0.1:11434/v1" || chat.Timeout != 9*time.Second || chat.IdleTimeout != 5*time.Second || chat.Slots != 4 {
		t.Errorf("%+v", chat)
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	if fmt.Fprintf(&out, "%+v %#v", chat, chat); strings.Contains(out.String(), "hunter2") {
		t.Errorf("the key is printed:\n%s", out.String())
	}

	f := func(env map[string]string, want string) {
		t.Helper()
		_, s, err := resolveServe(t, nil, env, "")
		var out bytes.Buffer
		_ = s.print(&out)
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want a usage error with %q", env, err, want)
		} else if fmt.Fprint(&out, err); strings.Contains(out.String(), "hunter2") {
			t.Errorf("a secret is printed:\n%s", out.String())
		}
	}
	f(map[string]string{"ANSWER_URL": "http://127.0.0.1:11434/v1"}, "ANSWER_MODEL has 0 bytes")
	f(map[string]string{"ANSWER_MODEL": "m"}, "but ANSWER_URL is empty")
	f(map[string]string{"ANSWER_URL": "https://k:hunter2@example.org", "ANSWER_MODEL": "m"}, "the key belongs in ANSWER_API_KEY")
	f(map[string]string{"ANSWER_URL": "https://example.org/?key=hunter2", "ANSWER_MODEL": "m"}, "the key belongs in ANSWER_API_KEY")
	f(map[string]string{"TOMEHUB_ANSWER_TIMEOUT": "1s"}, "--answer-idle-timeout is 5s, longer than --answer-timeout 1s")
	f(map[string]string{"ANSWER_URL": "http://[::1", "ANSWER_MODEL": "m", "ANSWER_API_KEY": "hunter2\nX: y"}, "ANSWER_URL (from environment)")
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	passwordFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passwordFile, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(env map[string]string) {
		t.Helper()
		c, s, err := resolveServe(t, nil, env, "")
		if err != nil {
			t.Fatal(err)
		}
		if c.dbPassword.reveal() != "hunter2" {
			t.Errorf("password is %q, want hunter2 without the line's end", c.dbPassword.reveal())
		}
		var out bytes.Buffer
		if err := s.print(&out); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v %+v %#v %s %q", c.dbPassword, c.dbPassword, c.dbPassword, c.dbPassword, c.dbPassword)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "password", c.dbPassword)
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("the password is printed:\n%s", out.String())
		}
		if !strings.Contains(out.String(), masked) {
			t.Errorf("nothing says that the password is set:\n%s", out.String())
		}
	}
	f(map[string]string{"DB_PASSWORD": "hunter2"})
	f(map[string]string{"DB_PASSWORD_FILE": passwordFile})
	f(map[string]string{"DB_PASSWORD": "hunter2", "RATE_LIMIT_STORAGE": "redis://:hunter2@127.0.0.1:6379/0"})
}

// A value that a setting prints must be one that it takes: print-config can be pasted back.
func TestPrintedValuesParse(t *testing.T) {
	_, s, err := resolveServe(t, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range s.list {
		if one.flag == nil || one.shown() == "" {
			continue
		}
		before := one.shown()
		if err := one.value.Value.Set(before); err != nil || one.shown() != before {
			t.Errorf("%s prints %q and then reads it as %q, error %v", one.env, before, one.shown(), err)
		}
	}
}

// Every preset must name real settings and hold values that they take.
func TestPhasePresets(t *testing.T) {
	pools := map[string]string{}
	for _, phase := range phases {
		c, s, err := resolveServe(t, []string{"--phase", phase}, nil, "")
		if err != nil {
			t.Fatalf("phase %s: %v", phase, err)
		}
		for name := range phasePresets[phase] {
			if s.flags.Lookup(name) == nil {
				t.Errorf("phase %s presets --%s, which does not exist", phase, name)
			}
		}
		pools[phase] = fmt.Sprintf("split=%t size=%d access=%s cache=%t search=%d monitor=%t restart=%t heap=%v",
			c.poolSplit, c.poolSize, c.accessPath, c.cache, c.limitSearch, c.memoryMonitor, c.memoryRestart, c.memoryLimitRatio)
	}
	want := map[string]string{
		"baseline": "split=false size=20 access=five cache=false search=0 monitor=false restart=false heap=0",
		"A":        "split=false size=40 access=five cache=false search=100 monitor=true restart=false heap=0.75",
		"B":        "split=false size=40 access=two cache=true search=100 monitor=true restart=false heap=0.75",
		"C":        "split=true size=40 access=two cache=true search=100 monitor=true restart=true heap=0.75",
		"D":        "split=true size=40 access=two cache=true search=100 monitor=true restart=true heap=0.75",
	}
	if diff := cmp.Diff(want, pools); diff != "" {
		t.Error(diff)
	}
}

func TestValues(t *testing.T) {
	var d time.Duration
	var n int64
	var b bool
	f := func(set func(string) error, in, want string, get func() string) {
		t.Helper()
		err := set(in)
		got := get()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q gives %s, want %s", in, got, want)
		}
	}
	duration := durationValue{&d, 0, hour}
	f(duration.Set, "30", "30s", duration.String)
	f(duration.Set, "0.5", "500ms", duration.String)
	f(duration.Set, "60m", "1h", duration.String)
	f(duration.Set, "61m", "error", duration.String)
	f(duration.Set, "NaN", "error", duration.String)
	f(duration.Set, "1e300", "error", duration.String)
	f(duration.Set, "", "error", duration.String)
	size := bytesValue{&n, 1, 1 << 40}
	f(size.Set, "1024", "1KiB", size.String)
	f(size.Set, "64 MiB", "64MiB", size.String)
	f(size.Set, "9999999999GiB", "error", size.String)
	f(size.Set, "-1", "error", size.String)
	f(size.Set, "1.5GiB", "error", size.String)
	var u string
	storage := storageValue{&u}
	f(storage.Set, "memory://", "memory://", storage.String)
	f(storage.Set, "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0", storage.String)
	f(storage.Set, "redis://me:hunter2@127.0.0.1:6379", "redis://me:xxxxx@127.0.0.1:6379", storage.String)
	f(storage.Set, "http://127.0.0.1", "error", storage.String)
	boolean := boolValue{&b}
	f(boolean.Set, "on", "true", boolean.String)
	f(boolean.Set, "No", "false", boolean.String)
	f(boolean.Set, "maybe", "error", boolean.String)
}

func TestReachable(t *testing.T) {
	f := func(addr string, want bool) {
		t.Helper()
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %t, want %t", addr, got, want)
		}
	}
	f("127.0.0.1:5001", false)
	f("[::1]:5001", false)
	f("localhost:5001", false)
	f("127.8.8.8:1", false)
	f(":5001", true) // every address
	f("0.0.0.0:5001", true)
	f("[::]:5001", true)
	f("example.org:5001", true)
	f("nonsense", false) // refused as no address
}

// A faulty line of .env is told by its number alone, and hides neither the other lines nor their faults.
func TestFaultyEnvFile(t *testing.T) {
	c, s, err := resolveServe(t, []string{"--db-dsn=me/hunter2@db"}, nil, "DB_POOL_SIZE=31\nhunter2 is the password\n# fine\nRATE_LIMIT_GLOBAL=\"1000/minute\"\n=5\n")
	if err == nil || c.poolSize != 31 {
		t.Fatalf("DB_POOL_SIZE is %d, error %v", c.poolSize, err)
	}
	for _, want := range []string{".env:2 ", ".env:5 ", `RATE_LIMIT_GLOBAL (from`, `is "1000/minute"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil || !strings.Contains(out.String(), "1000/minute (refused)") {
		t.Errorf("print says of a refused value: %v\n%s", err, out.String())
	}
	if strings.Contains(err.Error()+out.String(), "hunter2") {
		t.Errorf("a password is printed: %v\n%s", err, out.String())
	}
}
