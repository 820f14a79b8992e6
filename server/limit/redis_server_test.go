package limit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// redisServer is a redis-server of a test's own, on a free port, keeping nothing.
type redisServer struct {
	t    testing.TB
	port int
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("SKIPPED, shared limits are NOT tested: needs redis-server on PATH (Debian: apt-get install redis-server; macOS: brew install redis)")
	}
	s := &redisServer{t: t, dir: t.TempDir()}
	for range 5 { // another process may take the free port first
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.port = l.Addr().(*net.TCPAddr).Port
		l.Close()
		if s.start() {
			t.Cleanup(s.kill)
			return s
		}
	}
	t.Fatal("redis-server did not start")
	return nil
}

// start returns once the server accepts connections.
func (s *redisServer) start() bool {
	s.cmd = exec.Command("redis-server", "--port", fmt.Sprint(s.port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", s.dir)
	s.cmd.SysProcAttr = dieWithTest
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			return true
		}
	}
	s.cmd.Wait()
	return false
}

func (s *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", s.port) }

func (s *redisServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *redisServer) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// journal is a log that tests count lines in.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), s)
}

const (
	lostLine  = "rate limits are local until redis answers again"
	foundLine = "rate limits are shared again"
)

func newRedis(t testing.TB, url string, change func(*RedisConfig)) *Redis {
	t.Helper()
	cfg := RedisConfig{URL: url, Setting: "LIMIT_STORAGE", Local: newMemory(t, 10_000), Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	r, err := NewRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// run runs r until the test ends.
func run(t testing.TB, r *Redis) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// until waits for a condition that another goroutine brings about.
func until(t testing.TB, bound time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if ok() {
			tick.Stop()
			return time.Since(start)
		}
		if time.Since(start) > bound {
			t.Fatalf("no sign within %v: %s", bound, what)
		}
	}
}

// patient gives a busy machine time, so that the test is about sharing and not about outages.
func patient(c *RedisConfig) { c.Timeout = 5 * time.Second }
