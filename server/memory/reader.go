package memory

import (
	"fmt"
	"io/fs"
	"os"
	"runtime/metrics"
	"time"

	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/process"
)

// A Reader looks at the memory of this process. It is not for concurrent use.
type Reader struct {
	cgroups cgroupReader
	machine func() (Machine, error)
	rss     func() (int64, error)
	garbage func() int64
	alter   func(Reading) Reading // nil changes nothing
}

// NewAlteredReader reads this machine and passes on what alter makes of each reading. Load tests put in memory
// pressure by it.
func NewAlteredReader(alter func(Reading) Reading) *Reader {
	r := NewReader()
	r.alter = alter
	return r
}

// NewReader reads this machine.
func NewReader() *Reader {
	return &Reader{
		cgroups: cgroupReader{root: os.DirFS("/")},
		machine: readMachine, rss: readRSS, garbage: newHeap().garbage,
	}
}

// newReaderAt reads cgroups in a tree of its own.
func newReaderAt(root fs.FS, machine Machine) *Reader {
	return &Reader{
		cgroups: cgroupReader{root: root},
		machine: func() (Machine, error) { return machine, nil },
		rss:     func() (int64, error) { return 0, nil }, garbage: func() int64 { return 0 },
	}
}

// Read looks once. A cgroup limit that is not below the machine's memory cannot be reached
// before the machine's own, which is the limit then. An error means that what is known is not
// enough to say how near the limit is.
func (r *Reader) Read() (Reading, error) {
	out, err := r.read()
	if err == nil && r.alter != nil {
		out = r.alter(out)
	}
	return out, err
}

func (r *Reader) read() (Reading, error) {
	out := Reading{At: time.Now(), Garbage: r.garbage()}
	var err error
	if out.Machine, err = r.machine(); err != nil {
		return out, fmt.Errorf("read the machine's memory: %w", err)
	}
	if out.RSS, err = r.rss(); err != nil {
		return out, fmt.Errorf("read own memory: %w", err)
	}
	group, err := r.cgroups.read()
	if err != nil {
		return out, err
	}
	if group.limit < out.Machine.Total {
		out.Limit, out.Used, out.Origin, out.Cgroup = group.limit, group.used, group.origin, true
		return out, nil
	}
	out.Limit, out.Used, out.Origin = out.Machine.Total, out.Machine.Used, "machine"
	return out, nil
}

func readMachine() (Machine, error) {
	v, err := mem.VirtualMemory()
	if err != nil {
		return Machine{}, err
	}
	total, available := int64(v.Total), int64(min(v.Available, v.Total))
	return Machine{Total: total, Available: available, Used: total - available}, nil
}

func readRSS() (int64, error) {
	self := process.Process{Pid: int32(os.Getpid())}
	m, err := self.MemoryInfo()
	if err != nil {
		return 0, err
	}
	return int64(m.RSS), nil
}

// A heap asks the runtime what its collector has not given back.
type heap struct{ samples []metrics.Sample }

func newHeap() heap {
	return heap{[]metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, // alive or not yet known to be dead
		{Name: "/gc/heap/live:bytes"},                // alive at the last collection
		{Name: "/memory/classes/heap/free:bytes"},    // empty and not yet returned to the system
	}}
}

func (h heap) garbage() int64 {
	metrics.Read(h.samples)
	var n [3]int64
	for i, s := range h.samples {
		if s.Value.Kind() == metrics.KindUint64 {
			n[i] = int64(s.Value.Uint64())
		}
	}
	return max(0, n[0]-n[1]) + n[2]
}
