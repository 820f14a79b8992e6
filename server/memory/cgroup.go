package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// cgroupUse is the limit of one cgroup and what counts against it.
type cgroupUse struct {
	limit, used int64
	origin      string
}

// A cgroupReader finds the tightest limit of the cgroups that this process is in. A cgroup
// is bounded by those around it too, so that each is walked up to the root of its mount.
type cgroupReader struct {
	root   fs.FS   // "/"; a tree of testdata in tests
	mounts []mount // nil before the first look; mounts of cgroups do not move
}

// read returns the tightest limit; its limit is unlimited when there is none.
func (c *cgroupReader) read() (cgroupUse, error) {
	best := cgroupUse{limit: unlimited}
	data, err := fs.ReadFile(c.root, "proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return best, nil // a system without cgroups
	}
	if err != nil {
		return best, fmt.Errorf("read own cgroups: %w", err)
	}
	members, err := parseMembers(data)
	if err != nil {
		return best, fmt.Errorf("read own cgroups: /proc/self/cgroup: %w", err)
	}
	if err := c.findMounts(); err != nil {
		return best, err
	}
	tightest := level{}
	for _, m := range members {
		levels, err := c.levels(m)
		if err != nil {
			return best, err
		}
		for _, l := range levels {
			// Of equal limits the outer one is reached first: more counts against it.
			if l.limit <= best.limit && l.limit < unlimited {
				best.limit, best.origin, tightest = l.limit, l.origin(), l
			}
		}
	}
	if best.limit < unlimited {
		best.used, err = c.used(tightest)
	}
	return best, err
}

func (c *cgroupReader) findMounts() error {
	if c.mounts != nil {
		return nil
	}
	data, err := fs.ReadFile(c.root, "proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("find the mounts of cgroups: %w", err)
	}
	if c.mounts, err = parseMounts(data); err != nil {
		return fmt.Errorf("find the mounts of cgroups: /proc/self/mountinfo: %w", err)
	}
	return nil
}

// A level is one cgroup on the way from this process to the root.
type level struct {
	v2    bool
	dir   string // of its files, within the file system
	path  string // of the cgroup
	limit int64
}

func (l level) origin() string {
	if l.v2 {
		return "cgroup v2 " + l.path
	}
	return "cgroup v1 " + l.path
}

// levels are the cgroups of one hierarchy from the process's own outward.
func (c *cgroupReader) levels(m member) ([]level, error) {
	at, ok := c.mountFor(m)
	if !ok {
		return nil, nil // not mounted here: nothing can be known of it
	}
	// In a container the hierarchy's part may be mounted as its root; and a path outside of
	// what is mounted (a namespace entered later) leaves the root as the nearest known.
	within, ok := under(at.root, m.path)
	if !ok {
		within = "/"
	}
	var list []level
	for {
		l := level{v2: m.v2, dir: strings.TrimPrefix(path.Join(at.point, within), "/"), path: path.Join(at.root, within)}
		var err error
		if l.limit, err = c.limit(l, within == "/"); err != nil {
			return nil, err
		}
		list = append(list, l)
		if within == "/" {
			return list, nil
		}
		within = path.Dir(within)
	}
}

// mountFor prefers the mount that shows the most of the cgroups around the process.
func (c *cgroupReader) mountFor(m member) (best mount, found bool) {
	for _, at := range c.mounts {
		if at.v2 != m.v2 {
			continue
		}
		_, holds := under(at.root, m.path)
		_, held := under(best.root, m.path)
		if !found || holds && (!held || len(at.root) < len(best.root)) {
			best, found = at, true
		}
	}
	return best, found
}

// under returns p as it is seen from root, and whether it is within root at all.
func under(root, p string) (string, bool) {
	if root == "/" {
		return p, true
	}
	rest, ok := strings.CutPrefix(p, root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return path.Clean("/" + rest), true
}

// limit reads the limit of one cgroup. The outermost that can be seen may be bounded by
// others that cannot; version 1 says so in its statistics.
func (c *cgroupReader) limit(l level, outermost bool) (int64, error) {
	name := "memory.limit_in_bytes"
	if l.v2 {
		name = "memory.max"
	}
	data, err := fs.ReadFile(c.root, path.Join(l.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return unlimited, nil // the root of version 2, or a hierarchy without memory
	}
	if err != nil {
		return 0, fmt.Errorf("read limit of %s: %w", l.origin(), err)
	}
	limit, err := parseLimit(data)
	if err != nil {
		return 0, fmt.Errorf("read limit of %s: %s: %w", l.origin(), name, err)
	}
	if l.v2 || !outermost {
		return limit, nil
	}
	const around = "hierarchical_memory_limit"
	stat, err := c.stat(l, around)
	if err != nil {
		return 0, err
	}
	if n, ok := stat[around]; ok {
		limit = min(limit, n)
	}
	return limit, nil
}

// used is what counts against a cgroup's limit without what the kernel drops before it kills:
// pages of files, and on version 2 the part of its own tables that it can rebuild.
func (c *cgroupReader) used(l level) (int64, error) {
	name, droppable := "memory.usage_in_bytes", []string{"total_active_file", "total_inactive_file"}
	if l.v2 {
		name, droppable = "memory.current", []string{"active_file", "inactive_file", "slab_reclaimable"}
	}
	data, err := fs.ReadFile(c.root, path.Join(l.dir, name))
	if err != nil {
		return 0, fmt.Errorf("read use of %s: %w", l.origin(), err)
	}
	used, err := parseSize(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("read use of %s: %s: %w", l.origin(), name, err)
	}
	stat, err := c.stat(l, droppable...)
	if err != nil {
		return 0, err
	}
	for _, n := range stat {
		used -= min(n, used)
	}
	return used, nil
}

func (c *cgroupReader) stat(l level, names ...string) (map[string]int64, error) {
	data, err := fs.ReadFile(c.root, path.Join(l.dir, "memory.stat"))
	if err != nil {
		return nil, fmt.Errorf("read statistics of %s: %w", l.origin(), err)
	}
	stat, err := parseStat(data, names...)
	if err != nil {
		return nil, fmt.Errorf("read statistics of %s: memory.stat: %w", l.origin(), err)
	}
	return stat, nil
}
