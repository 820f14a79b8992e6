package loadtest

import (
	"fmt"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// CPUFigures tell what the server's process used in the measured time. They are there for a server on this machine whose
// process is known.
type CPUFigures struct {
	Cores   float64 `json:"cores"`   // busy, on average
	Percent float64 `json:"percent"` // of all cores of the machine
}

// A cpuWatch reads the CPU time of one process at the ends of the measured time.
type cpuWatch struct {
	warm, end time.Duration
	cpus      int
	read      func() (time.Duration, error)

	mu          sync.Mutex // guards all below
	first, last usage      // first.at is -1 before
	lost        bool       // the process is gone, or cannot be read: what it used is not known
}

// newCPUWatch watches what read tells; nil when there is nothing to read.
func newCPUWatch(read func() (time.Duration, error), warm, end time.Duration, cpus int) *cpuWatch {
	if read == nil {
		return nil
	}
	return &cpuWatch{warm: warm, end: end, cpus: cpus, first: usage{at: -1}, read: read}
}

// cpuOf reads the CPU time of the process with this id; nil when it is 0.
func cpuOf(pid int) func() (time.Duration, error) {
	if pid == 0 {
		return nil
	}
	return func() (time.Duration, error) {
		p, err := process.NewProcess(int32(pid))
		if err != nil {
			return 0, fmt.Errorf("find process %d: %w", pid, err)
		}
		times, err := p.Times()
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		return time.Duration((times.User + times.System) * float64(time.Second)), nil
	}
}

// sample is called often; it keeps the first and the last reading of the measured time.
func (w *cpuWatch) sample(now time.Duration) {
	if w == nil || now < w.warm || now > w.end {
		return
	}
	used, err := w.read()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.lost = true
		return
	}
	w.last = usage{at: now, cpu: used}
	if w.first.at < 0 {
		w.first = w.last
	}
}

// figures is nil when nothing is known.
func (w *cpuWatch) figures() *CPUFigures {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	over := w.last.at - w.first.at
	if w.lost || w.first.at < 0 || over <= 0 || w.last.cpu < w.first.cpu {
		return nil
	}
	cores := (w.last.cpu - w.first.cpu).Seconds() / over.Seconds()
	return &CPUFigures{Cores: cores, Percent: 100 * cores / float64(w.cpus)}
}
