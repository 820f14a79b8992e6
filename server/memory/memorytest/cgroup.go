// Package memorytest makes real memory cgroups for tests.
package memorytest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Cgroup is a memory cgroup of one test, without swap where the kernel counts it.
type Cgroup struct {
	Dir    string
	Origin string // as a memory.Reading names it
	v2     bool
}

// New makes a cgroup with a limit in bytes, which the test's end removes. Where none can be
// made the test is skipped.
func New(t testing.TB, limit int64) *Cgroup {
	t.Helper()
	var faults []error
	for _, root := range []struct {
		dir, limit string
		v2         bool
	}{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", false}, {"/sys/fs/cgroup", "memory.max", true}} {
		dir, err := makeGroup(root.dir, root.limit, root.v2, limit)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		g := &Cgroup{Dir: dir, Origin: "cgroup v1 /" + filepath.Base(dir), v2: root.v2}
		if g.v2 {
			g.Origin = "cgroup v2 /" + filepath.Base(dir)
		}
		t.Cleanup(func() { g.remove(t) })
		return g
	}
	t.Skipf("SKIPPED: needs to make a memory cgroup (root, and /sys/fs/cgroup writable): %v", errors.Join(faults...))
	return nil
}

func makeGroup(root, limitFile string, v2 bool, limit int64) (string, error) {
	if v2 { // a controller is there for those below only when it is handed down
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0)
	}
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(root, "tomehub-test-")
	if err != nil {
		return "", err
	}
	write := func(name string, v int64) error {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(strconv.FormatInt(v, 10))
		return errors.Join(err, f.Close())
	}
	if err := write(limitFile, limit); err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	if v2 {
		_ = write("memory.swap.max", 0)
	} else {
		_ = write("memory.memsw.limit_in_bytes", limit)
	}
	return dir, nil
}

// Command has cmd, not yet started, run in the cgroup from its first moment.
func (g *Cgroup) Command(cmd *exec.Cmd) {
	script := `echo $$ >"$0" && name=$1 && shift && path=$1 && shift && exec -a "$name" "$path" "$@"`
	args := append([]string{"bash", "-c", script, filepath.Join(g.Dir, "cgroup.procs"), cmd.Args[0], cmd.Path}, cmd.Args[1:]...)
	bash, err := exec.LookPath("bash")
	cmd.Path, cmd.Args, cmd.Err = bash, args, err
}

// Usage is all that counts against the limit, page cache included, in bytes.
func (g *Cgroup) Usage() (int64, error) {
	name := "memory.usage_in_bytes"
	if g.v2 {
		name = "memory.current"
	}
	data, err := os.ReadFile(filepath.Join(g.Dir, name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
}

// Kills is how many processes the kernel has killed for the limit.
func (g *Cgroup) Kills() (int, error) {
	name := "memory.oom_control"
	if g.v2 {
		name = "memory.events"
	}
	data, err := os.ReadFile(filepath.Join(g.Dir, name))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return 0, fmt.Errorf("%s has no oom_kill", name)
}

// remove waits for the last process, which the kernel takes out a moment after it has ended.
func (g *Cgroup) remove(t testing.TB) {
	var err error
	for range 500 {
		if err = os.Remove(g.Dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Errorf("remove cgroup: %v", err)
}
