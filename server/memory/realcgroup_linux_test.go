package memory

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tomehub/tomehub/server/memory/memorytest"
)

// childVar makes this test binary the child of TestRealCgroup; it names the file to read.
const childVar = "TOMEHUB_TEST_MEMORY_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVar); file != "" {
		if err := child(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type childReport struct {
	Before, After Reading
	Level         string
}

// child looks at its own memory before and after it has read a file, prints what it saw, and
// waits until its input ends.
func child(file string) error {
	m, err := New(DefaultConfig(), NewReader(), nil)
	if err != nil {
		return err
	}
	m.look(true)
	r := childReport{Before: m.State().Reading}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return err
	}
	m.look(true)
	s := m.State()
	if s.Err != nil {
		return s.Err
	}
	r.After, r.Level = s.Reading, s.Level.String()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// In a real cgroup the reader finds the limit, and page cache of twice the limit is not use.
func TestRealCgroup(t *testing.T) {
	const limit = 64 * mib
	g := memorytest.New(t, limit)
	dir := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil || fs.Type == unix.TMPFS_MAGIC {
		t.Skipf("SKIPPED: needs a temporary directory on a disk, not in memory (TMPDIR): %v", err)
	}
	file := filepath.Join(dir, "big")
	big := make([]byte, 2*limit)
	for i := range big {
		big[i] = byte(i >> 12)
	}
	if err := os.WriteFile(file, big, 0o600); err != nil {
		t.Fatal(err)
	}
	// Pages that this process wrote are charged to it: drop them, so that the child's reading charges its own group.
	if f, err := os.Open(file); err != nil {
		t.Fatal(err)
	} else {
		_ = f.Sync()
		err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childVar+"="+file)
	cmd.Stderr = os.Stderr
	g.Command(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var r childReport
	decodeErr := json.NewDecoder(out).Decode(&r)
	charged, usageErr := g.Usage()
	in.Close()
	if err := cmd.Wait(); err != nil || decodeErr != nil || usageErr != nil {
		t.Fatalf("the child ended with %v; %v; %v", err, decodeErr, usageErr)
	}
	t.Logf("%s: %d MB used, %d MB RSS, before; %d MB used of %d MB charged, after", r.After.Origin, r.Before.Used>>20, r.Before.RSS>>20, r.After.Used>>20, charged>>20)
	for _, one := range []Reading{r.Before, r.After} {
		if one.Limit != limit || one.Origin != g.Origin || !one.Cgroup || one.Used <= 0 || one.Used > limit/2 {
			t.Errorf("%+v, want the limit of %s", one, g.Origin)
		}
	}
	if charged < limit*7/10 {
		t.Errorf("only %d MB are charged: the file is not in the cache, so this test shows nothing", charged>>20)
	}
	if r.Level != "ok" {
		t.Errorf("page cache makes it %s", r.Level)
	}
}
