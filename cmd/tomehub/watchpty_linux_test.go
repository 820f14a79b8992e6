package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo terminal of this test, with what was drawn on it.
type terminal struct {
	t           *testing.T
	ours, other *os.File

	mu    sync.Mutex // guards drawn
	drawn bytes.Buffer
	wake  chan struct{} // receives when something was drawn
}

func openTerminal(t *testing.T, columns, rows uint16) *terminal {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: needs /dev/ptmx to make a terminal: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIPPED: needs /dev/pts to make a terminal: %v", err)
	}
	t.Cleanup(func() { other.Close() })
	term := &terminal{t: t, ours: ours, other: other, wake: make(chan struct{}, 1)}
	term.resize(columns, rows)
	go func() {
		var buf [4096]byte
		for {
			n, err := ours.Read(buf[:])
			term.mu.Lock()
			term.drawn.Write(buf[:n])
			term.mu.Unlock()
			select {
			case term.wake <- struct{}{}:
			default:
			}
			if err != nil { // EIO or closed
				return
			}
		}
	}()
	return term
}

func (x *terminal) resize(columns, rows uint16) {
	x.t.Helper()
	if err := unix.IoctlSetWinsize(int(x.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) modes() unix.Termios {
	x.t.Helper()
	modes, err := unix.IoctlGetTermios(int(x.other.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *modes
}

// text is all that was drawn.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.drawn.String()
}

// await waits until, after the first from bytes, piece was drawn, and returns how much had been drawn then.
func (x *terminal) await(from int, piece string) int {
	x.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		if text := x.text(); strings.Contains(text[from:], piece) {
			return len(text)
		}
		select {
		case <-x.wake:
		case <-deadline:
			x.t.Fatalf("%q was never drawn:\n%q", piece, x.text()[from:])
		}
	}
}

// start runs tomehub on the terminal, as its foreground process.
func (x *terminal) start(args ...string) *exec.Cmd {
	x.t.Helper()
	self, err := os.Executable()
	if err != nil {
		x.t.Fatal(err)
	}
	cmd := &exec.Cmd{
		Path: self, Args: append([]string{"tomehub"}, args...), Env: append(os.Environ(), "TERM=xterm"),
		Stdin: x.other, Stdout: x.other, Stderr: x.other, SysProcAttr: &syscall.SysProcAttr{Setsid: true, Setctty: true},
	}
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// The live view on a real terminal: drawn, drawn anew when the size changes, and gone without a trace however it ends.
func TestWatchOnATerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t, demoLibrary(t), "--phase", "baseline", "--demo")
	const enter, leave = "\x1b[?1049h", "\x1b[?1049l" // the alternate screen
	f := func(name string, end func(x *terminal, cmd *exec.Cmd)) {
		t.Helper()
		x := openTerminal(t, 100, 30)
		before := x.modes()
		cmd := x.start("profile", "--url", s.admin, "--watch", "--interval", "500ms", "--env-file", "")
		at := x.await(0, enter)
		at = x.await(at, "every 500ms")
		s.search(t, "dasein", 50)
		at = x.await(at, "search_ids")
		if raw := x.modes(); raw.Lflag&unix.ICANON != 0 {
			t.Errorf("%s: keys are not read one by one", name)
		}
		x.resize(60, 12)
		at = x.await(at, "left out at this width")
		end(x, cmd)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: ended with %v", name, err)
		}
		x.await(at, leave)
		if after := x.modes(); after != before {
			t.Errorf("%s: the terminal is left as %+v, and was %+v", name, after, before)
		}
		if shown := strings.LastIndex(x.text(), "\x1b[?25h"); shown < strings.LastIndex(x.text(), "\x1b[?25l") {
			t.Errorf("%s: the cursor stays hidden", name)
		}
	}
	key := func(k string) func(*terminal, *exec.Cmd) {
		return func(x *terminal, _ *exec.Cmd) {
			if _, err := io.WriteString(x.ours, k); err != nil {
				t.Error(err)
			}
		}
	}
	signal := func(sig os.Signal) func(*terminal, *exec.Cmd) {
		return func(_ *terminal, cmd *exec.Cmd) {
			if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Error(err)
			}
		}
	}
	f("q", key("q"))
	f("Ctrl-C", key("\x03"))
	f("SIGINT", signal(os.Interrupt))
	f("SIGTERM", signal(syscall.SIGTERM))
}
