package memory

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// tree makes a file system of names and contents.
func tree(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i+1 < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1] + "\n")}
	}
	return fsys
}

const (
	mountV2     = "30 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
	mountV1     = "29 22 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n30 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n34 29 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
	mountHybrid = mountV1 + "\n40 29 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
	noLimitV1   = "9223372036854771712"
	statV1      = "cache 5\ninactive_file 7\ntotal_cache 9\ntotal_inactive_file 104857600\ntotal_active_file 52428800\nhierarchical_memory_limit "
	statV2      = "anon 1\nfile 2\nactive_file 10485760\ninactive_file 104857600\nslab_reclaimable 5242880\nslab 9999999"
)

// found is what a reader tells of the memory that can kill.
type found struct {
	Limit, Used int64
	Origin      string
}

// thisMachine is the one that the groups below are on, and onMachine what is found where no group is tighter.
var (
	thisMachine = Machine{Total: 8 * gib, Used: 2 * gib, Available: 6 * gib}
	onMachine   = found{8 * gib, 2 * gib, "machine"}
)

func finds(t *testing.T, why string, fsys fstest.MapFS, want found) {
	t.Helper()
	got, err := newReaderAt(fsys, thisMachine).Read()
	if err != nil {
		t.Errorf("%s: %v", why, err)
		return
	}
	if diff := cmp.Diff(want, found{got.Limit, got.Used, got.Origin}); diff != "" || got.Cgroup != (got.Origin != "machine") || got.Machine != thisMachine {
		t.Errorf("%s: %+v (-want +got):\n%s", why, got, diff)
	}
}

func TestReaderFindsWhatCanKill(t *testing.T) {
	f := func(why string, fsys fstest.MapFS, want found) { t.Helper(); finds(t, why, fsys, want) }
	f("no cgroups at all", tree("etc/hosts", ""), onMachine)
	f("version 2, own limit; page cache and reclaimable slab are subtracted", tree(
		"proc/self/cgroup", "0::/app", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/app/memory.max", "536870912", "sys/fs/cgroup/app/memory.current", "314572800", "sys/fs/cgroup/app/memory.stat", statV2,
	), found{512 * mib, 185 * mib, "cgroup v2 /app"})
	f("version 2, the slice around is tighter", tree(
		"proc/self/cgroup", "0::/sys.slice/app.service/worker", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/sys.slice/app.service/worker/memory.max", "max",
		"sys/fs/cgroup/sys.slice/app.service/memory.max", "1073741824",
		"sys/fs/cgroup/sys.slice/memory.max", "536870912", "sys/fs/cgroup/sys.slice/memory.current", "209715200", "sys/fs/cgroup/sys.slice/memory.stat", "anon 1",
	), found{512 * mib, 200 * mib, "cgroup v2 /sys.slice"})
	f("version 2, equal limits: the outer one is reached first", tree(
		"proc/self/cgroup", "0::/pod/app", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/pod/app/memory.max", "1048576", "sys/fs/cgroup/pod/app/memory.current", "1", "sys/fs/cgroup/pod/app/memory.stat", "anon 1",
		"sys/fs/cgroup/pod/memory.max", "1048576", "sys/fs/cgroup/pod/memory.current", "1024", "sys/fs/cgroup/pod/memory.stat", "anon 1",
	), found{mib, 1024, "cgroup v2 /pod"})
	f("version 2 in a container with a namespace: the root is its own cgroup", tree(
		"proc/self/cgroup", "0::/", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/memory.max", "1048576", "sys/fs/cgroup/memory.current", "1024", "sys/fs/cgroup/memory.stat", "anon 1",
	), found{mib, 1024, "cgroup v2 /"})
	f("version 2 without a limit", tree("proc/self/cgroup", "0::/app", "proc/self/mountinfo", mountV2, "sys/fs/cgroup/app/memory.max", "max"), onMachine)
	f("a limit beyond the machine is none", tree("proc/self/cgroup", "0::/app", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/app/memory.max", "17179869184", "sys/fs/cgroup/app/memory.current", "1", "sys/fs/cgroup/app/memory.stat", "anon 1"), onMachine)
	f("more cache than use, read a moment apart", tree("proc/self/cgroup", "0::/app", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/app/memory.max", "536870912", "sys/fs/cgroup/app/memory.current", "1048576", "sys/fs/cgroup/app/memory.stat", statV2), found{512 * mib, 0, "cgroup v2 /app"})
	f("the mount that shows most of the way", tree(
		"proc/self/cgroup", "0::/a/b", "proc/self/mountinfo", "1 1 0:1 /a/b /inner rw - cgroup2 c rw\n2 1 0:1 / /outer\\040one rw - cgroup2 c rw\n3 1 0:1 /z /z rw - cgroup2 c rw",
		"inner/memory.max", "max", "outer one/a/memory.max", "1048576", "outer one/a/memory.current", "1024", "outer one/a/memory.stat", "anon 1"), found{mib, 1024, "cgroup v2 /a"})
	f("a hierarchy that is not mounted", tree("proc/self/cgroup", "4:memory:/a", "proc/self/mountinfo", "29 22 0:26 / /tmp ro - tmpfs tmpfs ro"), onMachine)
}

func TestReaderFindsVersion1(t *testing.T) {
	f := func(why string, fsys fstest.MapFS, want found) { t.Helper(); finds(t, why, fsys, want) }
	v1 := []string{"proc/self/cgroup", "5:devices:/\n4:memory:/process_api/xyz\n0::/", "proc/self/mountinfo", mountV1}
	root1 := []string{"sys/fs/cgroup/memory/memory.limit_in_bytes", noLimitV1, "sys/fs/cgroup/memory/memory.stat", statV1 + noLimitV1}
	f("version 1 without a limit", tree(append(append(v1, root1...), "sys/fs/cgroup/memory/process_api/xyz/memory.limit_in_bytes", noLimitV1)...), onMachine)
	own1 := []string{"sys/fs/cgroup/memory/process_api/xyz/memory.limit_in_bytes", "536870912", "sys/fs/cgroup/memory/process_api/xyz/memory.usage_in_bytes", "314572800",
		"sys/fs/cgroup/memory/process_api/xyz/memory.stat", statV1 + "536870912"}
	f("version 1 in a sub-path; totals count, own pages do not", tree(append(append(v1, root1...), own1...)...), found{512 * mib, 150 * mib, "cgroup v1 /process_api/xyz"})
	around := []string{"sys/fs/cgroup/memory/process_api/memory.limit_in_bytes", "268435456", "sys/fs/cgroup/memory/process_api/memory.usage_in_bytes", "262144000",
		"sys/fs/cgroup/memory/process_api/memory.stat", statV1 + "268435456"}
	f("version 1, the group around is tighter", tree(append(append(append(v1, root1...), own1...), around...)...), found{256 * mib, 100 * mib, "cgroup v1 /process_api"})
	f("version 1 in a container: the part is mounted as the root, and a bound around it shows in the statistics", tree(
		"proc/self/cgroup", "4:cpu,memory:/docker/abc/inner", "proc/self/mountinfo", strings.Replace(mountV1, "0:31 /", "0:31 /docker/abc", 1),
		"sys/fs/cgroup/memory/memory.limit_in_bytes", noLimitV1, "sys/fs/cgroup/memory/memory.stat", statV1+"536870912", "sys/fs/cgroup/memory/memory.usage_in_bytes", "314572800",
		"sys/fs/cgroup/memory/inner/memory.limit_in_bytes", noLimitV1,
	), found{512 * mib, 150 * mib, "cgroup v1 /docker/abc"})
	f("version 1, a path outside of what is mounted: the root is the nearest known", tree(
		"proc/self/cgroup", "4:memory:/../elsewhere", "proc/self/mountinfo", strings.Replace(mountV1, "0:31 /", "0:31 /docker/abc", 1),
		"sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576", "sys/fs/cgroup/memory/memory.stat", "total_cache 1", "sys/fs/cgroup/memory/memory.usage_in_bytes", "4096",
	), found{mib, 4096, "cgroup v1 /docker/abc"})
	hybrid := append([]string{"proc/self/cgroup", "4:memory:/process_api/xyz\n0::/app", "proc/self/mountinfo", mountHybrid}, root1...)
	f("hybrid: memory is version 1's, version 2 has no memory", tree(append(hybrid, own1...)...), found{512 * mib, 150 * mib, "cgroup v1 /process_api/xyz"})
	f("hybrid: the tighter of both", tree(append(append(hybrid, own1...),
		"sys/fs/cgroup/unified/app/memory.max", "1048576", "sys/fs/cgroup/unified/app/memory.current", "1024", "sys/fs/cgroup/unified/app/memory.stat", "anon 1")...), found{mib, 1024, "cgroup v2 /app"})
}

// What cannot be understood is an error that names the file, never the machine's memory instead.
func TestReaderTellsWhatIsMalformed(t *testing.T) {
	good := []string{"proc/self/cgroup", "0::/app", "proc/self/mountinfo", mountV2,
		"sys/fs/cgroup/app/memory.max", "536870912", "sys/fs/cgroup/app/memory.current", "1048576", "sys/fs/cgroup/app/memory.stat", statV2}
	f := func(file, content, want string) {
		t.Helper()
		fsys := tree(good...)
		if content == "" {
			delete(fsys, file)
		} else {
			fsys[file] = &fstest.MapFile{Data: []byte(content)}
		}
		got, err := newReaderAt(fsys, Machine{Total: 8 * gib}).Read()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of %q: %+v, error %v, want %q", file, content, got, err, want)
		}
	}
	f("proc/self/cgroup", "nonsense", `/proc/self/cgroup: line "nonsense"`)
	f("proc/self/cgroup", "0::app", "/proc/self/cgroup")
	f("proc/self/mountinfo", "1 2 3", `/proc/self/mountinfo: line "1 2 3"`)
	f("proc/self/mountinfo", "", "find the mounts")
	f("sys/fs/cgroup/app/memory.max", "lots", `read limit of cgroup v2 /app: memory.max: "lots"`)
	f("sys/fs/cgroup/app/memory.max", "-5", "memory.max")
	f("sys/fs/cgroup/app/memory.current", "", "read use of cgroup v2 /app")
	f("sys/fs/cgroup/app/memory.current", "1e9", `memory.current: "1e9"`)
	f("sys/fs/cgroup/app/memory.stat", "", "read statistics of cgroup v2 /app")
	f("sys/fs/cgroup/app/memory.stat", "active_file", "memory.stat")
	f("sys/fs/cgroup/app/memory.stat", "active_file many", "active_file")
}

func TestThisMachineCanBeRead(t *testing.T) {
	r, err := NewReader().Read()
	if err != nil {
		t.Fatal(err)
	}
	if r.RSS < mib || r.Limit < r.RSS || r.Used <= 0 || r.Machine.Total < r.Limit || r.Machine.Used+r.Machine.Available != r.Machine.Total || r.Garbage < 0 {
		t.Errorf("%+v", r)
	}
}

func FuzzParseMembers(f *testing.F) {
	f.Add([]byte("5:devices:/\n4:cpu,memory:/process_api/xyz\n0::/a:b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := parseMembers(data)
		if err != nil && members != nil {
			t.Error("both an error and members")
		}
		for _, m := range members {
			if !strings.HasPrefix(m.path, "/") || strings.Contains(m.path+"/", "/../") {
				t.Errorf("path %q leaves the hierarchy", m.path)
			}
		}
	})
}

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte(mountHybrid))
	f.Add([]byte("1 1 0:1 / /a\\040b\\134 rw shared:1 - cgroup2 c rw"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mounts, err := parseMounts(data)
		if err != nil && mounts != nil {
			t.Error("both an error and mounts")
		}
		for _, m := range mounts {
			for _, p := range []string{m.root, m.point} {
				if !strings.HasPrefix(p, "/") || strings.Contains(p+"/", "/../") {
					t.Errorf("path %q", p)
				}
			}
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte(statV2))
	f.Add([]byte("active_file 99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		stat, _ := parseStat(data, "active_file", "inactive_file")
		for name, n := range stat {
			if n < 0 || name != "active_file" && name != "inactive_file" {
				t.Errorf("%s %d", name, n)
			}
		}
		if n, err := parseLimit(data); err == nil && (n < 0 || n > unlimited) {
			t.Errorf("limit %d", n)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	r := NewReader()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(); err != nil {
			b.Fatal(err)
		}
	}
}
