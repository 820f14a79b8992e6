package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pinned is a command that runs on one core.
func pinned(core string, args ...string) *exec.Cmd {
	return exec.Command("taskset", append([]string{"-c", core}, args...)...)
}

// A usage is what one run of a generator took.
type usage struct {
	requests int64
	cpu      time.Duration // user and system
	rssMiB   float64       // at most
	took     time.Duration
}

// perCPU is the work done in a second of CPU time.
func (u usage) perCPU() float64 { return float64(u.requests) / u.cpu.Seconds() }

// run runs a generator to its end. Requests are counted by the server, so that every tool is measured alike. The exit
// code says nothing here: a verdict about the server is one to some.
func run(ctx context.Context, s *server, core string, args []string) (usage, error) {
	before, err := s.answered()
	if err != nil {
		return usage{}, err
	}
	cmd := pinned(core, args...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Kill() // Wait tells whether it has ended
		<-ended
		return usage{}, ctx.Err()
	}
	after, err := s.answered()
	if err != nil {
		return usage{}, err
	}
	u := usage{requests: after - before, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), took: time.Since(began)}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rssMiB = float64(r.Maxrss) / 1024
	}
	if u.requests == 0 {
		return u, fmt.Errorf("%s sent nothing", args[0])
	}
	return u, nil
}

// growth runs a generator for so long and returns by how many bytes it grew per request after the first third.
func growth(s *server, core string, args []string, long time.Duration) (float64, error) {
	cmd := pinned(core, args...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	look := func() (rss float64, requests int64, err error) {
		if rss, err = residentBytes(cmd.Process.Pid); err == nil {
			requests, err = s.answered()
		}
		return rss, requests, err
	}
	time.Sleep(long / 3)
	rss1, n1, err1 := look()
	time.Sleep(long / 2)
	rss2, n2, err2 := look()
	_ = cmd.Wait() // its verdict is no matter here
	if err1 != nil || err2 != nil || n2 == n1 {
		return 0, fmt.Errorf("%s ended too soon: %v, %v", args[0], err1, err2)
	}
	return max(0, rss2-rss1) / float64(n2-n1), nil
}

func residentBytes(pid int) (float64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d tells no VmRSS", pid)
}

// stopping is how long a generator runs on after it was interrupted while all its requests wait for an answer.
func stopping(core string, args []string) (time.Duration, error) {
	cmd := pinned(core, args...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	time.Sleep(2 * time.Second)
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, err
	}
	_ = cmd.Wait() // interrupted: its exit code says so
	return time.Since(began), nil
}
