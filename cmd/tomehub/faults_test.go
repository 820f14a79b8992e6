//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/supervisor"
	"github.com/tomehub/tomehub/server/memory/memorytest"
)

// The faults of processes: restarts, kills, loops, a dead supervisor. TOMEHUB_FAULTS=full (make faults)
// runs them as long as their figures ask for; otherwise a short form shows that they work.
func fullFaults() bool { return os.Getenv("TOMEHUB_FAULTS") == "full" && !testing.Short() }

// misled is a tomehub, in the test binary alone, whose workers end with the exit code that misledVar holds.
const (
	misled    = "tomehub-misled"
	misledVar = "TOMEHUB_TEST_EXIT"
)

func misledMain() {
	if _, worker := os.LookupEnv(supervisor.ParentVariable); worker {
		var code int
		fmt.Sscan(os.Getenv(misledVar), &code)
		os.Exit(code)
	}
	main()
}

// unlimited lets a crowd on one address ask as it likes.
var unlimited = []string{"--rate-limit-global", "0", "--rate-limit-search", "0", "--rate-limit-ingest", "0", "--rate-limit-total", "0"}

// supervised starts serve --supervise, in the full form with a demo library, which takes its time.
func supervised(t *testing.T, args ...string) *served {
	t.Helper()
	return startServer(t, t.TempDir(), slices.Concat([]string{"--supervise", fmt.Sprintf("--demo=%t", fullFaults())}, unlimited, args)...)
}

// worker is the process that serves now, by the ready file.
func (s *served) worker() int {
	var got struct {
		PID        int `json:"pid"`
		Supervisor int `json:"supervisor_pid"`
	}
	data, err := os.ReadFile(s.ready)
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil || got.Supervisor != s.cmd.Process.Pid {
		s.t.Fatalf("the ready file: %v, supervisor %d, want %d", err, got.Supervisor, s.cmd.Process.Pid)
	}
	return got.PID
}

// succeeds waits for another worker than that.
func (s *served) succeeds(pid int) {
	s.t.Helper()
	until(s.t, "a successor", 60*time.Second, func() bool { return s.worker() != pid })
}

// gone tells whether there is no such process, or only what its parent has not yet read of it.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// stopWell stops the server and returns its log.
func (s *served) stopWell() string {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		s.t.Errorf("the supervisor ended with %v\n%s", err, lastLines(s.stderr.String(), 40))
	}
	return s.stderr.String()
}

func lastLines(log string, n int) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Restarts under load lose nothing: no request, no stream, no client that kept its connection idle.
func TestFaultRestartsUnderLoad(t *testing.T) {
	restarts, requests, rest, grace := 3, int64(500), [2]time.Duration{50 * time.Millisecond, 200 * time.Millisecond}, "400ms"
	if fullFaults() {
		restarts, requests, rest, grace = 60, 180_000, [2]time.Duration{500 * time.Millisecond, 2 * time.Second}, "2500ms"
	}
	s := supervised(t, "--drain-grace", grace)
	c := gather(t, s.url, rest)
	n := 0
	for ; n < restarts || c.answered.Load() < requests; n++ {
		old := s.worker()
		s.cmd.Process.Signal(syscall.SIGHUP)
		s.succeeds(old)
		until(t, "the old worker has left", 60*time.Second, func() bool { return gone(old) })
	}
	report := c.disperse()
	log := s.stopWell()
	t.Logf("%d restarts: %s", n, report)
	if c.lost.Load()+c.again.Load() > 0 || c.idle.Load() == 0 || c.streams.Load() == 0 {
		t.Errorf("lost, or not tried: %s\n%s\n%s", report, strings.Join(c.examples, "\n"), lastLines(log, 40))
	}
	if strings.Contains(log, "not in good order") {
		t.Errorf("a worker did not leave in good order:\n%s", lastLines(log, 40))
	}
}

// A worker that leaves by itself, for want of memory or because somebody told it and not its
// supervisor, has a successor and loses nothing.
func TestFaultWorkerLeavesByItself(t *testing.T) {
	s := supervised(t, "--drain-grace", "400ms", "--supervise-well", "100ms", "--shutdown-delay", "0")
	c := gather(t, s.url, [2]time.Duration{50 * time.Millisecond, 200 * time.Millisecond})
	for range 2 {
		old := s.worker()
		// Enough answers for it to have been well.
		from := c.answered.Load()
		until(t, "answers", 30*time.Second, func() bool { return c.answered.Load() > from+500 })
		syscall.Kill(old, syscall.SIGTERM)
		s.succeeds(old)
		until(t, "the old worker has left", 60*time.Second, func() bool { return gone(old) })
	}
	report := c.disperse()
	log := s.stopWell()
	if c.lost.Load() > 0 {
		t.Errorf("%s\n%s\n%s", report, strings.Join(c.examples, "\n"), lastLines(log, 40))
	}
	if strings.Count(log, "worker leaves by itself") != 2 {
		t.Errorf("the log:\n%s", lastLines(log, 40))
	}
}

// A leak in a real cgroup, which the old and the fresh worker share: the worker hands over before the
// kernel has anything to kill, and nothing is lost.
func TestFaultLeakUnderSupervisor(t *testing.T) {
	t.Parallel()
	f := func(limit int64, percent float64, handOvers int, noKills bool, args ...string) {
		t.Helper()
		t.Run(fmt.Sprintf("%v %%/s", percent), func(t *testing.T) { leakUnderSupervisor(t, limit, percent, handOvers, noKills, args) })
	}
	if !fullFaults() {
		limit, percent := int64(512), 6.0
		if testing.Short() { // under the race detector a page that leaks takes several of its shadow with it
			limit, percent = 2048, 1
		}
		f(limit, percent, 1, true, "--memory-warning", "20", "--memory-critical", "30") // soon
		return
	}
	f(256, 1.5, 2, true)
	// Of 256 MB, what grows by 15 MB/s and a second process leave no room for certain: nobody may
	// be refused, and a kill shows in the figures.
	f(256, 6, 3, false)
}

// leakUnderSupervisor has workers leak percent of a limit of so many MB per second.
func leakUnderSupervisor(t *testing.T, limit int64, percent float64, handOvers int, noKills bool, args []string) {
	g := memorytest.New(t, limit<<20)
	args = slices.Concat([]string{"--supervise", fmt.Sprintf("--demo=%t", fullFaults()), "--drain-grace", "2500ms", "--supervise-well", "1s"}, unlimited, args)
	s := startProgram(t, func(cmd *exec.Cmd) { leaking(int(float64(limit) * percent / 100))(cmd); g.Command(cmd) }, t.TempDir(), args...)
	c := gather(t, s.url, [2]time.Duration{500 * time.Millisecond, 2 * time.Second})
	for range handOvers {
		old := s.worker()
		until(t, "a hand-over for want of memory", 5*time.Minute, func() bool { return s.worker() != old })
		until(t, "the old worker has left", 60*time.Second, func() bool { return gone(old) })
	}
	report := c.disperse()
	log := s.stopWell()
	kills, err := g.Kills()
	t.Logf("%d hand-overs at %.1f %%/s of %d MB: %s; %d OOM kills", handOvers, percent, limit, report, kills)
	if err != nil || c.refused.Load() > 0 || noKills && (kills > 0 || c.lost.Load() > 0) {
		t.Errorf("%d OOM kills, %v\n%s\n%s", kills, err, strings.Join(c.examples, "\n"), lastLines(log, 60))
	}
	if !strings.Contains(log, "restart requested") {
		t.Errorf("the log lacks the restart:\n%s", lastLines(log, 40))
	}
}

// A worker killed without warning is replaced at once. The socket queues whoever comes meanwhile: nobody is
// refused, and only what was in flight is lost.
func TestFaultKilledWorkers(t *testing.T) {
	kills := 2
	if fullFaults() {
		kills = 20
	}
	s := supervised(t, "--supervise-well", "500ms")
	c := gather(t, s.url, [2]time.Duration{500 * time.Millisecond, 2 * time.Second})
	probe := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	var back []time.Duration
	for range kills {
		from := c.answered.Load()
		until(t, "answers", 30*time.Second, func() bool { return c.answered.Load() > from+300 })
		<-time.After(600 * time.Millisecond) // until it counts as well again: that is a time of the supervisor's clock
		old := s.worker()
		at := time.Now()
		syscall.Kill(old, syscall.SIGKILL)
		until(t, "the worker is dead", 10*time.Second, func() bool { return gone(old) })
		until(t, "an answer after the kill", 30*time.Second, func() bool {
			_, err := c.ask(t.Context(), probe, http.MethodGet, "/api/search?q=dasein", "")
			if errors.Is(err, syscall.ECONNREFUSED) {
				c.lose(err)
			}
			return err == nil
		})
		back = append(back, time.Since(at))
		s.succeeds(old)
	}
	report := c.disperse()
	log := s.stopWell()
	slices.Sort(back)
	t.Logf("%d kills: serving again after %v (median), %v (longest); %s", kills, back[len(back)/2], back[len(back)-1], report)
	if c.refused.Load() > 0 {
		t.Errorf("%d connections were refused\n%s", c.refused.Load(), strings.Join(c.examples, "\n"))
	}
	if most := int64(kills * c.clients); c.lost.Load() > most {
		t.Errorf("%d requests were lost, more than the %d clients can have had in flight at %d kills:\n%s", c.lost.Load(), c.clients, kills, strings.Join(c.examples, "\n"))
	}
	if n := strings.Count(log, "worker failed; another one is started"); n != kills {
		t.Errorf("%d failures in the log, want %d:\n%s", n, kills, lastLines(log, 60))
	}
	if longest := back[len(back)-1]; fullFaults() && longest > time.Second {
		t.Errorf("serving again only after %v, want 1s at most", longest)
	}
}

// A worker that hangs as a whole is replaced too.
func TestFaultWedgedWorker(t *testing.T) {
	t.Parallel()
	s := supervised(t, "--supervise-watchdog", "1s", "--supervise-well", "100ms")
	old := s.worker()
	syscall.Kill(old, syscall.SIGSTOP)
	s.succeeds(old)
	if code := s.get("/api/search?q=dasein", nil); code != http.StatusOK {
		t.Errorf("a search after it: %d", code)
	}
	until(t, "the wedged worker is killed", 30*time.Second, func() bool { return gone(old) })
	if log := s.stopWell(); !strings.Contains(log, "worker is wedged") {
		t.Errorf("the log:\n%s", lastLines(log, 40))
	}
}

// SIGTERM on a plain server: readiness turns at once, connections are accepted through the delay, and the
// process ends with 0 in time.
func TestFaultSIGTERM(t *testing.T) {
	s := startServer(t, t.TempDir(), slices.Concat([]string{"--shutdown-delay", "1s"}, unlimited)...)
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	status := func(path string) int {
		res, err := once.Get(s.url + path)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := status("/api/health/ready"); code != 200 {
		t.Fatalf("ready at first: %d", code)
	}
	at := time.Now()
	s.cmd.Process.Signal(syscall.SIGTERM)
	until(t, "readiness is 503", 10*time.Second, func() bool { return status("/api/health/ready") == 503 })
	turned := time.Since(at)
	accepted := 0
	for {
		code := status("/api/search?q=dasein")
		if code != 200 {
			break
		}
		accepted++
	}
	if err := s.wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, s.stderr)
	}
	took := time.Since(at)
	t.Logf("readiness 503 after %v, %d new connections served after it, exit 0 after %v", turned, accepted, took)
	if accepted == 0 || took < time.Second || took > 30*time.Second {
		t.Errorf("%d connections served after readiness turned, exit after %v: want some, and 1 s to 30 s", accepted, took)
	}
}

// A worker that fails at every start ends the supervisor, which says why.
func TestFaultLoop(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, libraryFile), []byte(strings.Repeat("no library. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, log := superviseToTheEnd(t, "tomehub", "", "--data-dir", dir, "--supervise-failures", "3")
	if code != exitError || strings.Count(log, "tomehub: supervise: gave up after 3 failures in a row, the last: the worker ended: exit status 1") != 1 {
		t.Errorf("code %d\n%s", code, log)
	}
	for _, want := range []string{"library.sqlite", "with the same settings but --supervise", "--supervise-failures is 3"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestFaultUsageErrorPassesThrough(t *testing.T) {
	f := func(why, program, exit string, want int, args ...string) {
		t.Helper()
		if code, log := superviseToTheEnd(t, program, exit, append(args, "--data-dir", t.TempDir())...); code != want || strings.Count(log, "worker started") > 1 {
			t.Errorf("%s: code %d, want %d\n%s", why, code, want, log)
		}
	}
	f("the supervisor's own", "tomehub", "", exitUsage, "--db-pool-size", "many")
	f("the worker's", misled, "2", exitUsage)
}

// superviseToTheEnd runs a supervisor that ends by itself.
func superviseToTheEnd(t *testing.T, program, exit string, args ...string) (code int, log string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{Path: self, Args: append([]string{program, "serve", "--supervise", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--env-file", ""}, args...)}
	cmd.Env = append(os.Environ(), misledVar+"="+exit)
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// A supervisor killed without warning takes its worker with it: nobody would restart that one.
func TestFaultKilledSupervisor(t *testing.T) {
	s := supervised(t)
	pid := s.worker()
	s.cmd.Process.Kill()
	s.wait()
	until(t, "the worker is gone", 10*time.Second, func() bool { return gone(pid) && !reachableOnce(s.url) })
}
