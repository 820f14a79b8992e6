// Package memory watches what can kill this process for its memory: the limit of its cgroup
// when there is one, else the memory of the machine. It warns, says when work must be
// refused, and asks for a restart while there is still room to leave in good order.
package memory

import "time"

// A Reading is one look at the memory. Sizes are bytes.
type Reading struct {
	At time.Time

	// Limit is where the kernel kills, and Used what counts against it and cannot simply be
	// dropped: page cache is not in it.
	Limit, Used int64
	Origin      string // of the limit: "cgroup v2 /path", "cgroup v1 /path" or "machine"
	Cgroup      bool   // the limit is a cgroup's

	RSS     int64 // of this process
	Garbage int64 // heap that a collection would give back, at most: what was allocated since the last one may live
	Machine Machine
}

// Machine is the memory of the whole machine, bytes. Used is what programs cannot get: all
// but Available.
type Machine struct {
	Total, Used, Available int64
}

// Percent is the share of the limit in use; 0 when there is no limit.
func (r Reading) Percent() float64 { return percent(r.Used, r.Limit) }

// own is what is counted to this process when growth is sought: on a machine, the use of
// other processes is noise.
func (r Reading) own() int64 {
	if r.Cgroup {
		return r.Used
	}
	return r.RSS
}

// live is what is surely not garbage; between two collections it is too low, never too high.
func (r Reading) live() int64 { return max(0, r.own()-r.Garbage) }

func percent(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// A Level says how near the limit is.
type Level int

// The zero Level is Unknown, so that memory that nobody could read is never taken for free.
const (
	Unknown Level = iota
	OK
	Warning
	Critical
)

func (l Level) String() string {
	switch l {
	case OK:
		return "ok"
	case Warning:
		return "warning"
	case Critical:
		return "critical"
	}
	return "unknown"
}
