package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/memory"
	"github.com/tomehub/tomehub/server/memory/memorytest"
)

// leaky is a tomehub, in the test binary alone, that leaks heap: as many MB per second as
// leakVar says, once it is ready, leakMost at most.
const (
	leaky    = "tomehub-leaky"
	leakVar  = "TOMEHUB_TEST_LEAK"
	leakMost = 1 << 30
)

var leaked [][]byte

func leakyMain() {
	if slices.Contains(os.Args, "--supervise") { // its workers leak
		main()
		return
	}
	rate, err := strconv.Atoi(os.Getenv(leakVar))
	if err != nil {
		panic(err)
	}
	ready := os.Args[slices.Index(os.Args, "--ready-file")+1]
	go func() {
		const tick = 50 * time.Millisecond
		piece := rate << 20 / int(time.Second/tick)
		for range time.Tick(tick) {
			if _, err := os.Stat(ready); err != nil {
				continue
			}
			if len(leaked)*piece >= leakMost {
				return
			}
			b := make([]byte, piece)
			for i := 0; i < len(b); i += 512 {
				b[i] = 1
			}
			leaked = append(leaked, b)
		}
	}()
	main()
}

func leaking(rate int) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Args[0] = leaky
		cmd.Env = append(os.Environ(), leakVar+"="+strconv.Itoa(rate))
	}
}

type memoryAnswer struct {
	Status, Health string
	Memory         struct {
		RSS    float64 `json:"process_rss_mb"`
		System float64 `json:"system_percent"`
		Limit  float64 `json:"limit_mb"`
		Used   float64 `json:"used_mb"`
		Share  float64 `json:"percent"`
		Origin string  `json:"limit_origin"`
	}
}

// searchUntilRefused searches on new connections until none is accepted; every answer before
// that must be good.
func searchUntilRefused(t *testing.T, s *served) (answers int) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for {
		res, err := c.Get(s.url + "/api/search?q=dasein")
		if errors.Is(err, syscall.ECONNREFUSED) {
			return answers
		}
		if err != nil {
			// Accepted by the system in the moment in which the listener closed.
			if errors.Is(err, syscall.ECONNRESET) || strings.HasSuffix(err.Error(), "EOF") {
				continue
			}
			t.Errorf("search %d: %v\n%s", answers, err, s.stderr)
			return answers
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("search %d: %s, %v: %s", answers, res.Status, err, body)
		}
		answers++
	}
}

// wantRestart waits for the end of a server and checks that it asks to be started again.
func wantRestart(t *testing.T, s *served) {
	t.Helper()
	err := s.wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != exitRestart {
		t.Errorf("the server ended with %v, want exit code %d", err, exitRestart)
	}
	for _, want := range []string{"restart requested", "tomehub: restart wanted: memory in use is", "drained"} {
		if !strings.Contains(s.stderr.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, s.stderr)
		}
	}
}

// A leak of 6 % of the limit per second in a real cgroup: the server leaves in good order,
// and the kernel has nothing to kill.
func TestRealCgroupLeak(t *testing.T) {
	t.Parallel()
	const limit = 256
	rate := limit * 6 / 100
	if testing.Short() {
		rate = limit / 100 // under the race detector each page leaks several of its shadow
	}
	g := memorytest.New(t, limit<<20)
	s := startProgram(t, func(cmd *exec.Cmd) { leaking(rate)(cmd); g.Command(cmd) }, t.TempDir(), "--rate-limit-global", "0", "--rate-limit-search", "0", "--drain-grace", "2500ms")
	var m memoryAnswer
	if code := s.get("/api/health/memory", &m); code != 200 || m.Memory.Limit != limit || m.Memory.Origin != g.Origin || m.Health != "ok" {
		t.Errorf("memory: %d %+v", code, m)
	}
	answers := searchUntilRefused(t, s)
	wantRestart(t, s)
	kills, err := g.Kills()
	if err != nil || kills != 0 {
		t.Errorf("%d OOM kills, %v", kills, err)
	}
	if want := fmt.Sprintf(`"heap_mb":%d,"limit_mb":%d,"limit_origin":%q`, limit*3/4, limit, g.Origin); !strings.Contains(s.stderr.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, s.stderr)
	}
	t.Logf("%d searches answered; %s", answers, lastLine(s.stderr.String()))
}

// Where there is no cgroup the machine's memory counts: the threshold lies a little above
// what is in use now, and the leak is this process's own.
func TestMemoryRestart(t *testing.T) {
	r, err := memory.NewReader().Read()
	if err != nil {
		t.Fatal(err)
	}
	critical := r.Percent() + 100*128*(1<<20)/float64(r.Limit)
	if critical > memory.MaxPercent {
		t.Skipf("SKIPPED: needs 128 MB of free memory: %.1f %% are in use", r.Percent())
	}
	s := startProgram(t, leaking(150), t.TempDir(), "--rate-limit-global", "0", "--rate-limit-search", "0", "--drain-grace", "2500ms",
		"--memory-warning", fmt.Sprint(critical/2), "--memory-critical", fmt.Sprint(critical))
	answers := searchUntilRefused(t, s)
	wantRestart(t, s)
	t.Logf("%d searches answered; %s", answers, lastLine(s.stderr.String()))
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// The answers of a real server, as the plan's curl lines ask for them (A2, C3).
func TestMemoryHealth(t *testing.T) {
	s := startServer(t, t.TempDir(), "--log-level", "debug", "--memory-interval", "100ms")
	var m memoryAnswer
	if code := s.get("/api/health/memory", &m); code != 200 || m.Status != "ok" || m.Health != "ok" || m.Memory.RSS < 5 || m.Memory.Limit < m.Memory.Used ||
		m.Memory.System <= 0 || m.Memory.System > 100 || math.Abs(m.Memory.Share-100*m.Memory.Used/m.Memory.Limit) > 0.01 {
		t.Errorf("memory: %d %+v", code, m)
	}
	var r struct {
		Status string
		Memory struct {
			Current   float64 `json:"current_percent"`
			Average   float64 `json:"recent_average"`
			Requested bool    `json:"restart_requested"`
			Critical  float64 `json:"critical_threshold"`
			Warning   float64 `json:"warning_threshold"`
		}
	}
	if code := s.get("/api/health/restart", &r); code != 200 || r.Status != "ok" || r.Memory.Requested || r.Memory.Critical != 85 || r.Memory.Warning != 70 ||
		r.Memory.Current <= 0 || r.Memory.Average <= 0 {
		t.Errorf("restart: %d %+v", code, r)
	}
	if log := stopped(t, s); !strings.Contains(log, "memory checked") {
		t.Errorf("the log lacks the checks:\n%s", log)
	}
}

func TestLimitHeap(t *testing.T) {
	old := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(old)
	group := memory.Reading{Limit: 1 << 30, Origin: "cgroup v2 /app", Cgroup: true}
	f := func(why, env string, ratio float64, r memory.Reading, err error, want int64, logged string) {
		t.Helper()
		debug.SetMemoryLimit(old)
		var log bytes.Buffer
		a := &app{lookup: func(name string) (string, bool) { return env, env != "" && name == "GOMEMLIMIT" }}
		a.limitHeap(&serveSettings{memoryLimitRatio: ratio}, slog.New(slog.NewTextHandler(&log, nil)), func() (memory.Reading, error) { return r, err })
		if got := debug.SetMemoryLimit(-1); got != want || !strings.Contains(log.String(), logged) {
			t.Errorf("%s: limit %d, want %d; log %q", why, got, want, &log)
		}
	}
	f("three quarters of the cgroup", "", 0.75, group, nil, 768<<20, "heap_mb=768")
	f("the operator's own", "1GiB", 0.75, group, nil, old, "")
	f("off", "", 0, group, nil, old, "")
	f("a machine that others use too", "", 0.75, memory.Reading{Limit: 1 << 30, Origin: "machine"}, nil, old, "")
	f("unreadable", "", 0.75, memory.Reading{}, errors.New("no such file"), old, "no such file")
}
