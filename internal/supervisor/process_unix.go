//go:build unix

package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Hold returns a file of the listener's socket that may be passed to processes, and closes the
// listener; the socket goes on queueing clients. The file that net's own File method returns must
// not be passed: the passing sets it to blocking mode, and that is a property of the socket in all
// processes, so a worker that accepts from it could no longer close its listener.
func Hold(l net.Listener) (*os.File, error) {
	conn, ok := l.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("hold the socket %v: it is a %T", l.Addr(), l)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("hold the socket %v: %w", l.Addr(), err)
	}
	var fd int
	var dupErr error
	err = raw.Control(func(ours uintptr) {
		fd, dupErr = unix.FcntlInt(ours, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("hold the socket %v: %w", l.Addr(), err)
	}
	f := os.NewFile(uintptr(fd), l.Addr().String())
	if err := l.Close(); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the socket %v: %w", l.Addr(), err), f.Close())
	}
	return f, nil
}

// osProcess is a worker of this system.
type osProcess struct {
	cmd     *exec.Cmd
	control net.Conn
}

func (p *osProcess) pid() int                   { return p.cmd.Process.Pid }
func (p *osProcess) signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }
func (p *osProcess) tell(line string) error     { return say(p.control, line) }

// startProcess starts a worker, with the sockets as file descriptors from 3 on and its line to us last.
func (s *Supervisor) startProcess(number int) (process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("make the worker's line to its supervisor: %w", err)
	}
	var names []string
	cmd := &exec.Cmd{Path: s.cfg.Path, Args: s.cfg.Args, SysProcAttr: tie()}
	for _, socket := range s.cfg.Sockets {
		cmd.ExtraFiles = append(cmd.ExtraFiles, socket.File)
		names = append(names, socket.Name)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, theirs)
	cmd.Env = append(workerEnv(s.cfg.Env),
		"LISTEN_FDS="+strconv.Itoa(len(cmd.ExtraFiles)),
		"LISTEN_FDNAMES="+strings.Join(append(names, ControlSocket), ":"),
		ParentVariable+"="+strconv.Itoa(os.Getpid()),
		WorkerVariable+"="+strconv.Itoa(number),
		RestartsVariable+"="+formatRestarts(s.restarts))
	if s.cfg.Watchdog > 0 {
		cmd.Env = append(cmd.Env, "WATCHDOG_USEC="+strconv.FormatInt(s.cfg.Watchdog.Microseconds(), 10))
	}
	// A nil *os.File in the interface would not be nil.
	if s.cfg.Stdout != nil {
		cmd.Stdout = s.cfg.Stdout
	}
	if s.cfg.Stderr != nil {
		cmd.Stderr = s.cfg.Stderr
	}
	p := &osProcess{cmd: cmd, control: ours}
	if err := s.run(number, p, theirs); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.cfg.Path, err), ours.Close())
	}
	return p, nil
}

// workerEnv is env without what was meant for the supervisor itself.
func workerEnv(env []string) []string {
	var kept []string
	for _, e := range env {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", ParentVariable, WorkerVariable, RestartsVariable:
		default:
			kept = append(kept, e)
		}
	}
	return kept
}

// lastWords is how long messages are read after a worker's end, should somebody else hold its line open.
const lastWords = time.Second

// run starts the process on a thread of its own that lives as long as the process does: Linux sends the
// parent-death signal when the thread that started a child ends, not when the process does
// (golang/go#27505). Everything that the worker said comes before the event of its end.
func (s *Supervisor) run(number int, p *osProcess, theirs io.Closer) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		err = errors.Join(err, theirs.Close())
		started <- err
		if err != nil {
			return
		}
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			// How the line ends tells nothing that the process's end does not.
			_ = listen(p.control, func(m message) { s.events <- event{worker: number, said: m} })
		}()
		err = p.cmd.Wait()
		_ = p.control.SetReadDeadline(time.Now().Add(lastWords))
		<-heard
		_ = p.control.Close()
		s.events <- event{worker: number, exited: true, code: p.cmd.ProcessState.ExitCode(), how: how(err)}
	}()
	return <-started
}

func how(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// socketPair returns a connection and the file of its other end, to be passed on.
func socketPair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock() // or a child started meanwhile inherits both
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), ControlSocket), os.NewFile(uintptr(fds[1]), ControlSocket)
	conn, err := net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// reloading begins a notification that the service goes over to a fresh worker.
func reloading() string {
	return daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()
}
