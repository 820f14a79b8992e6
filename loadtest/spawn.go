package loadtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SpawnConfig says which server to start.
type SpawnConfig struct {
	Binary string   // the tomehub program
	Args   []string // further arguments of "serve"
	// Env is the server's whole environment. Nothing is inherited, so that a DB_POOL_SIZE in somebody's shell does not
	// change what a checkpoint proves.
	Env    []string
	Dir    string       // where its temporary directory is made; "" is the system's place
	Logger *slog.Logger // gets what the server writes to standard error, at debug level; may be nil
	// Answers, unless nil, is an API of answers that is started beside the server and that the server asks.
	Answers *Answers
	// Library is a directory whose files are copied to become the server's library; "" is a new demo library.
	Library string
	// KeepLines is how many of the last lines of the server's log are kept. 0 is 20.
	KeepLines int
	// ReadyTimeout bounds the wait for the server to be ready. 0 is 30 s.
	ReadyTimeout time.Duration
}

// stopGrace is how long Stop lets the server drain before it kills it.
const stopGrace = 35 * time.Second

// A Spawned is a running server of our own, on free ports of the loopback address and with a library of its own.
type Spawned struct {
	PublicURL string
	AdminURL  string
	PID       int // of the process that serves, as it says itself

	cmd    *exec.Cmd
	dir    string
	api    *AnswerAPI // nil without one
	output *lastLines
	exited chan struct{} // closed when the process has ended and err is set
	err    error
	stop   sync.Once
	result error
}

// readyFile is what the server writes, at once and whole, when it is ready.
type readyFile struct {
	PublicURL string `json:"public_url"`
	AdminURL  string `json:"admin_url"`
	PID       int    `json:"pid"`
}

// Spawn starts a server and returns once it is ready. Its library, its ready file and its working directory are in a new
// temporary directory, so neither a library nor a .env file of the caller is touched or read. The server does not
// outlive this process on Linux, even when this process is killed. The caller must call Stop.
func Spawn(ctx context.Context, cfg SpawnConfig) (*Spawned, error) {
	dir, err := os.MkdirTemp(cfg.Dir, "tomehub-loadtest-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the server: %w", err)
	}
	s := &Spawned{dir: dir, output: &lastLines{most: cmp.Or(cfg.KeepLines, 20), logger: cfg.Logger}, exited: make(chan struct{})}
	if cfg.Library != "" {
		if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(cfg.Library)); err != nil {
			return nil, errors.Join(fmt.Errorf("copy the library for the server: %w", err), s.remove())
		}
	}
	file := filepath.Join(dir, "ready.json")
	args := append([]string{
		"serve", "--demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", filepath.Join(dir, "data"), "--ready-file", file,
	}, cfg.Args...)
	if cfg.Answers != nil {
		if s.api, err = ServeAnswers(*cfg.Answers, 1); err != nil {
			return nil, errors.Join(err, s.remove())
		}
		args = append(args, "--answer-url", s.api.URL, "--answer-model", "load-test")
	}
	s.cmd = exec.Command(cfg.Binary, args...)
	s.cmd.Dir, s.cmd.Env = dir, append([]string{}, cfg.Env...)
	s.cmd.Stderr = s.output
	s.cmd.WaitDelay = 5 * time.Second // a grandchild that keeps the pipe must not keep us
	tie(s.cmd)
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", cfg.Binary, err), s.remove())
	}
	timeout := cfg.ReadyTimeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	if err := s.waitReady(ctx, file, timeout); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// start starts the process from a thread that lives as long as the process does: Linux sends the parent-death signal when
// the thread that started a child ends, not when the process does (golang/go#27505).
func (s *Spawned) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	return <-started
}

// waitReady polls for the ready file.
func (s *Spawned) waitReady(ctx context.Context, file string, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		ready, err := readReady(file)
		if err != nil {
			return err
		}
		if ready != nil {
			s.PublicURL, s.AdminURL, s.PID = ready.PublicURL, ready.AdminURL, ready.PID
			return nil
		}
		select {
		case <-poll.C:
		case <-s.exited:
			return fmt.Errorf("the server ended before it was ready: %w%s", s.exit(), s.output.quoted())
		case <-deadline.C:
			return fmt.Errorf("the server was not ready within %v%s", timeout, s.output.quoted())
		case <-ctx.Done():
			return fmt.Errorf("wait for the server to be ready: %w", context.Cause(ctx))
		}
	}
}

// readReady returns nil while the file is not there.
func readReady(file string) (*readyFile, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the server's ready file: %w", err)
	}
	var r readyFile
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read the server's ready file: %w", err)
	}
	for _, u := range []string{r.PublicURL, r.AdminURL} {
		if parsed, err := url.Parse(u); err != nil || parsed.Scheme != "http" || parsed.Host == "" {
			return nil, fmt.Errorf("read the server's ready file: %q is no http URL", u)
		}
	}
	return &r, nil
}

// exit is how the process ended.
func (s *Spawned) exit() error {
	if s.err == nil {
		return errors.New("exit status 0")
	}
	return s.err
}

// DataDir is where the server's library is until Stop.
func (s *Spawned) DataDir() string { return filepath.Join(s.dir, "data") }

// Lines are the last lines that the server wrote to its log, the oldest first.
func (s *Spawned) Lines() []string {
	s.output.mu.Lock()
	defer s.output.mu.Unlock()
	return slices.Clone(s.output.lines)
}

// ExitCode is the code with which the server ended, -1 when a signal ended it. It may be called once Exited is closed.
func (s *Spawned) ExitCode() int { return s.cmd.ProcessState.ExitCode() }

// Exited is closed when the server has ended, also when it ended by itself.
func (s *Spawned) Exited() <-chan struct{} { return s.exited }

// Stop asks the server to leave (SIGTERM), waits for it, and kills it when ctx ends or 35 s have passed. Then it removes
// the temporary directory. The error says when the server had to be killed, or had ended before with a failure, with the
// last lines it wrote. Calling it again returns the same.
func (s *Spawned) Stop(ctx context.Context) error {
	s.stop.Do(func() { s.result = s.leave(ctx) })
	return s.result
}

func (s *Spawned) leave(ctx context.Context) error {
	select {
	case <-s.exited:
		return errors.Join(fmt.Errorf("the server ended by itself: %w%s", s.exit(), s.output.quoted()), s.remove())
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil { // Windows has no such signal
		return s.kill()
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-s.exited:
		var err error
		if s.err != nil && !endedBySignal(s.err) {
			err = fmt.Errorf("stop the server: %w%s", s.err, s.output.quoted())
		}
		return errors.Join(err, s.remove())
	case <-grace.C:
	case <-ctx.Done():
	}
	return errors.Join(errors.New("the server did not stop on SIGTERM and was killed"), s.kill())
}

// kill ends the process without asking.
func (s *Spawned) kill() error {
	err := s.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-s.exited
	return errors.Join(err, s.remove())
}

// remove takes away what was made for the process, which has ended.
func (s *Spawned) remove() error {
	var faults []error
	if s.api != nil {
		faults = append(faults, s.api.Close())
	}
	if err := os.RemoveAll(s.dir); err != nil {
		faults = append(faults, fmt.Errorf("remove the server's directory: %w", err))
	}
	return errors.Join(faults...)
}

// endedBySignal tells a process that SIGTERM ended before it could handle it.
func endedBySignal(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && !exit.Exited()
}

// lastLines keeps the last lines written to it.
type lastLines struct {
	most   int
	logger *slog.Logger

	mu    sync.Mutex // guards all below
	lines []string
	open  []byte // a line without its end yet
}

var _ io.Writer = (*lastLines)(nil)

// maxLine bounds one kept line.
const maxLine = 4 << 10

func (l *lastLines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := data; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if room := maxLine - len(l.open); len(line) > room {
			line = line[:max(0, room)]
		}
		l.open = append(l.open, line...)
		if !whole {
			break
		}
		l.keep(string(l.open))
		l.open, rest = l.open[:0], after
	}
	return len(data), nil
}

// keep adds a line. The caller holds mu.
func (l *lastLines) keep(line string) {
	if l.logger != nil {
		l.logger.Debug("server output", "line", line)
	}
	if len(l.lines) == l.most {
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, line)
}

// quoted is "; its last lines:" and the lines, or nothing.
func (l *lastLines) quoted() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	if len(l.open) > 0 {
		lines = append(lines[:len(lines):len(lines)], string(l.open))
	}
	if len(lines) == 0 {
		return "; it wrote nothing"
	}
	return "; its last lines:\n\t" + strings.Join(lines, "\n\t")
}
