//go:build unix

package supervisor

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// real is a supervisor whose workers are what the shell text says.
func real(t *testing.T, script string, change func(*Config)) (s *Supervisor, stdout *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Hold(l)
	if err != nil {
		t.Fatal(err)
	}
	stdout, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.Path, cfg.Args, cfg.Env, cfg.Stdout = "/bin/sh", []string{"sh", "-c", script}, []string{"PATH=" + "/usr/bin:/bin"}, w
	cfg.Sockets = []Socket{{PublicSocket, f}}
	if change != nil {
		change(&cfg)
	}
	if s, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); w.Close(); stdout.Close() })
	return s, stdout
}

// A worker gets its socket as 3 and its line as 4, and what was meant for the supervisor is kept from it.
func TestWhatAWorkerGets(t *testing.T) {
	s, stdout := real(t, `echo "$LISTEN_FDS $LISTEN_FDNAMES ${LISTEN_PID-none} $TOMEHUB_SUPERVISOR_PID $PPID $TOMEHUB_WORKER ${NOTIFY_SOCKET-none} $WATCHDOG_USEC ${WATCHDOG_PID-none} $KEPT"
		echo STOPPING=1 >&4; exit 2`, func(cfg *Config) {
		cfg.Watchdog = 20 * time.Second
		cfg.Env = append(cfg.Env, "KEPT=yes", "LISTEN_PID=1", "LISTEN_FDS=7", "NOTIFY_SOCKET=/run/x", "WATCHDOG_PID=1", "WATCHDOG_USEC=5", ParentVariable+"=1", WorkerVariable+"=9")
	})
	if err := s.Run(t.Context()); err != (ExitError{2}) {
		t.Errorf("Run: %v", err)
	}
	buf := make([]byte, 1000)
	n, _ := stdout.Read(buf)
	me := strconv.Itoa(os.Getpid())
	want := strings.Join([]string{"2", "public:supervisor", "none", me, me, "1", "none", "20000000", "none", "yes"}, " ")
	if got := strings.TrimSpace(string(buf[:n])); got != want {
		t.Errorf("the worker has\n%s, want\n%s", got, want)
	}
}

// What a worker says at last is heard before its end, however fast that comes.
func TestLastWordsComeFirst(t *testing.T) {
	for range 3 {
		s, _ := real(t, `printf 'READY=1\nSTOPPING=1\n' >&4; exit 75`, nil)
		p, err := s.startProcess(1)
		if err != nil {
			t.Fatal(err)
		}
		for p.signal(syscall.Signal(0)) == nil {
			<-time.After(time.Millisecond) // until it has ended, with nobody having listened
		}
		var got []event
		for !slices.ContainsFunc(got, func(e event) bool { return e.exited }) {
			got = append(got, <-s.events)
		}
		if len(got) != 3 || got[0].said != msgReady || got[1].said != msgStopping || got[2].code != 75 || p.pid() == 0 {
			t.Fatalf("events: %+v", got)
		}
	}
}

// A socket set to blocking mode in one process is so in all: a worker that accepts could not leave.
func TestSocketsStayNonBlocking(t *testing.T) {
	s, _ := real(t, `sleep 0`, nil)
	nonblocking := func() bool {
		raw, err := s.cfg.Sockets[0].File.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var flags int
		if err := raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFL, 0) }); err != nil {
			t.Fatal(err)
		}
		return flags&unix.O_NONBLOCK != 0
	}
	if !nonblocking() {
		t.Fatal("the socket held blocks")
	}
	if _, err := s.startProcess(1); err != nil {
		t.Fatal(err)
	}
	if !nonblocking() {
		t.Error("passing the socket made it block")
	}
	for e := range s.events {
		if e.exited {
			break
		}
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	s, _ := real(t, "", func(cfg *Config) { cfg.Path, cfg.MaxFailures = "/nowhere/tomehub", 1 })
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere/tomehub") {
		t.Errorf("Run: %v", err)
	}
}

// Clients queue in the socket while nobody accepts.
func TestHeldSocketsQueue(t *testing.T) {
	s, _ := real(t, "", nil)
	var d net.Dialer
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", s.cfg.Sockets[0].File.Name())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
