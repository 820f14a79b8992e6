package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/profiler"
)

// Into a pipe a watch is plain text, a block per interval: what it saw, what it could not see, and a clean end at SIGINT.
func TestWatchIntoAPipe(t *testing.T) {
	t.Parallel()
	s := startServer(t, demoLibrary(t), "--phase", "baseline", "--demo")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := &exec.Cmd{Path: self, Stderr: &stderr, Args: []string{"tomehub", "profile", "--url", s.admin, "--watch", "--interval", "500ms", "--env-file", ""}}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	await := func(piece string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), "\x1b") {
				t.Errorf("an escape code: %q", lines.Text())
			}
			if strings.Contains(lines.Text(), piece) {
				return
			}
		}
		t.Fatalf("the output ended before %q: %v\n%s", piece, lines.Err(), stderr.String())
	}
	await(" running at a time")
	s.search(t, "dasein", 50)
	await("search_ids")
	s.cmd.Process.Kill()
	s.wait()
	await("No figures, 2 so far: ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, readErr := io.ReadAll(out)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		t.Errorf("ended with %v\n%s\n%s", err, rest, stderr.String())
	}
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "Watching tomehub at ") {
		t.Errorf("said on stderr: %q", got)
	}
}

// A watch whose output goes nowhere ends instead of watching for nobody.
func TestWatchEndsWithItsOutput(t *testing.T) {
	s := startServer(t, t.TempDir())
	a := &app{stdin: strings.NewReader(""), stdout: broken{}, stderr: io.Discard, lookup: func(string) (string, bool) { return "", false }}
	src, err := profiler.NewServer(s.admin, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = a.watchProfile(t.Context(), src, profiler.WatchConfig{Interval: profiler.MinInterval, Options: profiler.Options{Top: 1}})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ended with %v", err)
	}
}

type broken struct{}

func (broken) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return 0, io.ErrClosedPipe
}

// --duration bounds a watch when it is given, and only then.
func TestWatchForADuration(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	if got := command(t, 0, "profile", "--url", s.admin, "--watch", "--interval", "500ms", "--duration", "1s"); strings.Count(got, " running at a time") != 2 {
		t.Errorf("wrote %q", got)
	}
	c := &profileSettings{duration: time.Hour, interval: time.Second}
	cmd := (&app{}).newProfileCommand()
	if got := c.watchConfig(cmd.Flags()).Duration; got != 0 {
		t.Errorf("without --duration it is bounded by %v", got)
	}
}

// A file that --out names is there whole, or is what it was before.
func TestWriteOut(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/report"
	read := func() string { body, _ := os.ReadFile(path); return string(body) }
	for _, want := range []string{"first", "second"} {
		if err := writeOut(path, []byte(want), 0o600); err != nil || read() != want {
			t.Errorf("%v, %q", err, read())
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	link := dir + "/link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := writeOut(link, []byte("third"), 0o600); err != nil || read() != "third" {
		t.Errorf("through a link: %v, %q", err, read())
	}
	blocked := dir + "/blocked"
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeOut(blocked, []byte("x"), 0o600); err == nil {
		t.Error("a directory was written")
	}
	for _, bad := range []string{blocked, dir + "/none/report"} {
		if err := checkOut(bad); exitCode(err) != exitUsage {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := checkOut(path); err != nil || read() != "third" {
		t.Errorf("asking changed it: %v, %q", err, read())
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	if err := writeOut("/dev/null", []byte("x"), 0o600); err != nil {
		t.Errorf("/dev/null: %v", err)
	}
}
