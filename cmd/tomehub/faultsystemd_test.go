//go:build unix

package main

import (
	"errors"
	"net"
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
)

// A manager plays systemd: it reads what is said to its NOTIFY_SOCKET.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
	path string
	said []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "tomehub") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &manager{t: t, path: filepath.Join(dir, "notify")}
	if m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.conn.Close() })
	return m
}

// hears reads on until somebody says what begins with want.
func (m *manager) hears(want string) string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buf)
		if err != nil {
			m.t.Fatalf("systemd waits for %q: %v; it heard %q", want, err, m.said)
		}
		m.said = append(m.said, string(buf[:n]))
		if strings.HasPrefix(string(buf[:n]), want) {
			return string(buf[:n])
		}
	}
}

// stays reads what comes within d, and fails on what begins with unwanted.
func (m *manager) stays(d time.Duration, unwanted string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 4096)
	for {
		n, err := m.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil || strings.HasPrefix(string(buf[:n]), unwanted) {
			m.t.Fatalf("systemd hears %q, %v", buf[:n], err)
		}
	}
}

func (m *manager) env(more ...string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+m.path), more...) }
}

// What systemd hears of a plain server.
func TestFaultSystemdHearsTheServer(t *testing.T) {
	m := newManager(t)
	s := startProgram(t, m.env("WATCHDOG_USEC=400000"), t.TempDir())
	if first := m.hears("READY=1"); !strings.Contains(first, "STATUS=Serving on "+strings.TrimPrefix(s.url, "http://")) {
		t.Errorf("ready with %q", first)
	}
	m.hears("WATCHDOG=1")
	m.hears("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGSTOP) // as wedged as can be
	m.stays(100*time.Millisecond, "READY")
	m.stays(500*time.Millisecond, "WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGCONT)
	m.hears("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
	if err := s.wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, s.stderr)
	}
}

// Under a supervisor it is the supervisor that systemd hears, and the watchdog only while the worker is well.
func TestFaultSystemdHearsTheSupervisor(t *testing.T) {
	m := newManager(t)
	s := startProgram(t, m.env("WATCHDOG_USEC=200000"), t.TempDir(), "--supervise", "--supervise-watchdog", "0")
	m.hears("READY=1\nSTATUS=Serving with worker 1 ")
	m.hears("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGHUP)
	if reload := m.hears("RELOADING=1\n"); !strings.Contains(reload, "\nMONOTONIC_USEC=") {
		t.Errorf("reloading with %q; Type=notify-reload wants the time", reload)
	}
	m.hears("READY=1\nSTATUS=Serving with worker 2 ")
	m.hears("WATCHDOG=1")
	pid := s.worker()
	syscall.Kill(pid, syscall.SIGKILL)
	m.hears("STATUS=Restarting: the worker ended: signal: killed")
	m.hears("READY=1\nSTATUS=Serving with worker 3 ")
	m.hears("WATCHDOG=1")
	s.cmd.Process.Signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
	if err := s.wait(); err != nil {
		t.Errorf("ended with %v\n%s", err, lastLines(s.stderr.String(), 40))
	}
	if slices.ContainsFunc(m.said, func(said string) bool { return strings.Contains(said, "Serving on") }) {
		t.Errorf("a worker spoke to systemd itself: %q", m.said)
	}
}

// activated runs the program as systemd does: sockets from 3 on, LISTEN_PID the process itself, which only the
// process after the fork can know, so that a shell that becomes the program sets it.
func activated(t *testing.T, names string, listeners ...net.Listener) func(*exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "tomehub") // TestMain runs the command that the program's name says
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0" "$@"`, link}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		cmd.Env = append(os.Environ(), "LISTEN_FDNAMES="+names, "LISTEN_FDS="+string('0'+rune(len(listeners))))
		for _, l := range listeners {
			f, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
	}
}

func listenOn(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestFaultSocketActivation(t *testing.T) {
	f := func(why string, args ...string) {
		t.Helper()
		public, admin := listenOn(t, "127.0.0.1:0"), listenOn(t, "127.0.0.1:0")
		s := startProgram(t, activated(t, "tomehub.socket:"+supervisor.AdminSocket, public, admin), t.TempDir(), append(args, "--listen", "127.0.0.1:1", "--admin-listen", "127.0.0.1:2")...)
		if s.url != "http://"+public.Addr().String() || s.admin != "http://"+admin.Addr().String() {
			t.Errorf("%s: serving on %s and %s, want %v and %v", why, s.url, s.admin, public.Addr(), admin.Addr())
		}
		if code := s.get("/api/health/ready", nil); code != http.StatusOK {
			t.Errorf("%s: readiness %d", why, code)
		}
		if res, err := http.Get(s.admin + "/health"); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: the admin listener: %v", why, err)
		} else {
			res.Body.Close()
		}
		if log := s.stopWell(); strings.Contains(log, "LISTEN_") {
			t.Errorf("%s:\n%s", why, log)
		}
	}
	f("a server")
	f("a supervisor", "--supervise")
}

// Sockets that the program cannot use are refused as what they are, a wrong configuration.
func TestFaultWrongSocketsPassed(t *testing.T) {
	f := func(why, want, names string, listeners ...net.Listener) {
		t.Helper()
		cmd := &exec.Cmd{Args: []string{"tomehub", "serve", "--env-file", "", "--admin-listen", "127.0.0.1:0", "--data-dir", t.TempDir()}}
		activated(t, names, listeners...)(cmd)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(string(out), want) {
			t.Errorf("%s: code %d, want %d and %q:\n%s", why, code, exitUsage, want, out)
		}
	}
	f("reached by other machines, with nobody asked who he is", "is reached by other machines and --auth is off", "web", listenOn(t, "0.0.0.0:0"))
	f("two for the API", "FileDescriptorName=admin", "web:web", listenOn(t, "127.0.0.1:0"), listenOn(t, "127.0.0.1:0"))
}
