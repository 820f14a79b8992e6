package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func spawnFake(t *testing.T, behave string, change ...func(*SpawnConfig)) (*Spawned, string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := SpawnConfig{Binary: self, Args: []string{"--fake", behave}, Dir: dir}
	for _, f := range change {
		f(&cfg)
	}
	s, err := Spawn(context.Background(), cfg)
	return s, dir, err
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%s is left with %v, %v", dir, left, err)
	}
}

func TestSpawn(t *testing.T) {
	t.Setenv("DB_POOL_SIZE", "3") // somebody's shell
	s, dir, err := spawnFake(t, "", func(c *SpawnConfig) { c.Env = []string{"A=b"} })
	if err != nil {
		t.Fatal(err)
	}
	if s.PublicURL == s.AdminURL || s.PID == os.Getpid() {
		t.Errorf("spawned %+v", s)
	}
	if own, err := syscall.Getpgid(0); err != nil || own == mustGroup(t, s.PID) {
		t.Error("an interrupt at the terminal would reach the server too")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, url := range []string{s.PublicURL, s.AdminURL} {
		answer, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		var saw struct {
			Env, Args []string
			Dir, Data string
		}
		if err := json.NewDecoder(answer.Body).Decode(&saw); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if !slices.Equal(slices.DeleteFunc(saw.Env, func(e string) bool { return strings.HasPrefix(e, "PWD=") }), []string{"A=b"}) {
			t.Errorf("the server's environment is %q, want A=b and nothing of ours", saw.Env)
		}
		if !strings.HasPrefix(saw.Dir, dir) || !strings.HasPrefix(saw.Data, saw.Dir) || !slices.Contains(saw.Args, "--demo") {
			t.Errorf("the server runs in %s with %q", saw.Dir, saw.Args)
		}
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Errorf("Stop again: %v", err)
	}
	<-s.Exited()
	empty(t, dir)
}

func mustGroup(t *testing.T, pid int) int {
	t.Helper()
	group, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func TestSpawnFaults(t *testing.T) {
	f := func(behave, want string, change ...func(*SpawnConfig)) {
		t.Helper()
		s, dir, err := spawnFake(t, behave, change...)
		if err == nil {
			t.Errorf("%s: spawned %+v", behave, s)
			return
		}
		if got := err.Error(); got != want {
			t.Errorf("%s: error is\n%s\nwant\n%s", behave, got, want)
		}
		empty(t, dir)
	}
	var lines []string
	for i := 11; i < 30; i++ { // 19, and the one without an end
		lines = append(lines, "\n\tline "+strconv.Itoa(i+1))
	}
	f("fail", "the server ended before it was ready: exit status 1; its last lines:\n\tline 11"+strings.Join(lines, "")+"\n\tno end")
	f("leave", "the server ended before it was ready: exit status 0; it wrote nothing")
	f("garbage", `read the server's ready file: "nowhere" is no http URL`)
	soon := func(c *SpawnConfig) { c.ReadyTimeout = 300 * time.Millisecond }
	f("hang", "the server was not ready within 300ms; its last lines:\n\tstill loading", soon)
	f("", "start /nowhere/tomehub: fork/exec /nowhere/tomehub: no such file or directory", func(c *SpawnConfig) { c.Binary = "/nowhere/tomehub" })

	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("enough"))
	self, _ := os.Executable()
	dir := t.TempDir()
	if _, err := Spawn(ctx, SpawnConfig{Binary: self, Args: []string{"--fake", "hang"}, Dir: dir}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("Spawn with an ended context: %v", err)
	}
	empty(t, dir)
}

func TestSpawnStop(t *testing.T) {
	s, dir, err := spawnFake(t, "stubborn")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err == nil || err.Error() != "the server did not stop on SIGTERM and was killed" {
		t.Errorf("Stop of a stubborn server: %v", err)
	}
	empty(t, dir)

	s, dir, err = spawnFake(t, "die badly")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "stop the server: exit status 7; its last lines:\n\txxx") ||
		!strings.HasSuffix(err.Error(), "lost the library") || len(err.Error()) > maxLine+200 {
		t.Errorf("Stop of a server that fails: %.200v", err)
	}
	empty(t, dir)

	s, dir, err = spawnFake(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Exited()
	if err := s.Stop(context.Background()); err == nil || !strings.HasPrefix(err.Error(), "the server ended by itself: signal: killed") {
		t.Errorf("Stop of a dead server: %.200v", err)
	}
	empty(t, dir)
}

// A server must not outlive a load test that is killed. A second copy of this program spawns the server and is killed.
func TestSpawnLeavesNoOrphan(t *testing.T) {
	if os.Getenv("TOMEHUB_TEST_SPAWN") != "" {
		self, _ := os.Executable()
		s, err := Spawn(context.Background(), SpawnConfig{Binary: self, Dir: os.Getenv("TOMEHUB_TEST_SPAWN")})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid %d\n", s.PID)
		select {}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "-test.run=^TestSpawnLeavesNoOrphan$")
	parent.Env = append(os.Environ(), "TOMEHUB_TEST_SPAWN="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "pid %d", &pid)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed, and says so
	if pid == 0 {
		t.Fatal("the second program did not spawn a server")
	}
	deadline := time.After(5 * time.Second)
	for !gone(pid) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("server %d outlived its parent", pid)
		}
	}
}

// gone tells whether a process has ended; one that nobody waits for counts as ended.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}
