package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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
	requests     int64 // counted by the server
	own          int64 // right answers, as the tool counts; or unknown
	open         int64 // connections at the same time, at most, counted by the server
	user, system time.Duration
	rssMiB       float64 // at most
}

func (u usage) cpu() time.Duration { return u.user + u.system }

// perCPU is the work done in a second of CPU time.
func (u usage) perCPU() float64 { return float64(u.requests) / u.cpu().Seconds() }

// userEach and systemEach are microseconds of CPU time per request.
func (u usage) userEach() float64   { return u.user.Seconds() * 1e6 / float64(u.requests) }
func (u usage) systemEach() float64 { return u.system.Seconds() * 1e6 / float64(u.requests) }

// patience is how much longer than it should a generator may run before it is killed.
const patience = time.Minute

// run runs a generator to its end, which should come after long, and returns what it printed too. Requests are counted
// by the server, so that every tool is measured alike. The exit code says nothing here: a verdict about the server is one
// to some.
func run(ctx context.Context, s *server, core string, args []string, long time.Duration) (u usage, out []byte, err error) {
	before, err := s.seen()
	if err != nil {
		return u, nil, err
	}
	var printed bytes.Buffer
	cmd := pinned(core, args...)
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		return u, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	end := time.NewTimer(long + patience)
	defer end.Stop()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	var peak float64
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-look.C:
			if now, err := memoryOf(cmd.Process.Pid, "VmHWM:"); err == nil { // it may just have ended
				peak = now
			}
		case <-end.C:
			err = fmt.Errorf("%s ran %v longer than asked", args[0], patience)
			_ = cmd.Process.Kill() // Wait tells whether it has ended
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			<-ended
			return u, nil, ctx.Err()
		}
	}
	after, seenErr := s.seen()
	if err = errors.Join(err, seenErr); err != nil {
		return u, nil, err
	}
	u = usage{
		requests: after.answered - before.answered, own: unknown, open: after.open,
		user: cmd.ProcessState.UserTime(), system: cmd.ProcessState.SystemTime(), rssMiB: peakMiB(cmd.ProcessState, peak),
	}
	if u.requests == 0 {
		return u, nil, fmt.Errorf("%s sent nothing: %s", args[0], lastLine(printed.Bytes()))
	}
	return u, printed.Bytes(), nil
}

// peakMiB is the most memory that a process had resident. The kernel's account of an ended process begins with what its
// parent had when it started it, so that it says nothing of one that stayed below; of such a one the last look counts.
func peakMiB(ended *os.ProcessState, looked float64) float64 {
	most := looked
	if r, ok := ended.SysUsage().(*syscall.Rusage); ok {
		own, err := memoryOf(os.Getpid(), "VmHWM:")
		if all := float64(r.Maxrss) * 1024; err != nil || all > own {
			most = max(most, all)
		}
	}
	return most / (1 << 20)
}

// lastLine is the end of what a program printed, to say why it failed.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// growth runs a generator for so long and returns by how many bytes it grew per request after the first third.
func growth(s *server, core string, args []string, long time.Duration) (float64, error) {
	cmd := pinned(core, args...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	look := func() (rss float64, requests int64, err error) {
		if rss, err = memoryOf(cmd.Process.Pid, "VmRSS:"); err != nil {
			return 0, 0, err
		}
		now, err := s.seen()
		return rss, now.answered, err
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

// memoryOf is a field of a process's status, in bytes.
func memoryOf(pid int, field string) (float64, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), field); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d tells no %s", pid, field)
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
