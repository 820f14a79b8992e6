package pool

import (
	"encoding/json"
	"time"
)

// Stats are the state and the lifetime totals of one gate of slots and of the
// connections behind it. On SQLite the physical connections are fewer than the
// slots; waiting for one of them happens inside a held slot and is shown apart.
type Stats struct {
	Name             string // "read", "write", or "main" for a single pool
	Min, Size, Queue int    // warm minimum, slots, most callers waiting

	InUse, Idle, Waiting int // slots taken, slots free, callers waiting now

	Acquired, Waits, TimedOut, QueueFull, Shed, Cancelled int64 // Waits counts callers that had to wait at all, when the wait is over
	WaitTotal, WaitMax                                    time.Duration

	Recycled, Opened int64 // connections replaced for their age or a fault; connections opened in all

	Physical                           int // most physical connections
	PhysicalOpen                       int // open now
	PhysicalInUse, PhysicalWaiting     int // running a statement or a transaction; statements waiting for one now
	PhysicalWaits                      int64
	PhysicalWaitTotal, PhysicalWaitMax time.Duration
}

// MarshalJSON writes snake_case names; times are milliseconds with a fraction.
func (s Stats) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name                string  `json:"name"`
		Min                 int     `json:"min"`
		Size                int     `json:"size"`
		Queue               int     `json:"queue"`
		InUse               int     `json:"in_use"`
		Idle                int     `json:"idle"`
		Waiting             int     `json:"waiting"`
		Acquired            int64   `json:"acquired"`
		Waits               int64   `json:"waits"`
		TimedOut            int64   `json:"timed_out"`
		QueueFull           int64   `json:"queue_full"`
		Shed                int64   `json:"shed"`
		Cancelled           int64   `json:"cancelled"`
		WaitTotalMS         float64 `json:"wait_total_ms"`
		WaitMaxMS           float64 `json:"wait_max_ms"`
		Recycled            int64   `json:"recycled"`
		Opened              int64   `json:"opened"`
		Physical            int     `json:"physical"`
		PhysicalOpen        int     `json:"physical_open"`
		PhysicalInUse       int     `json:"physical_in_use"`
		PhysicalWaiting     int     `json:"physical_waiting"`
		PhysicalWaits       int64   `json:"physical_waits"`
		PhysicalWaitTotalMS float64 `json:"physical_wait_total_ms"`
		PhysicalWaitMaxMS   float64 `json:"physical_wait_max_ms"`
	}{
		s.Name, s.Min, s.Size, s.Queue, s.InUse, s.Idle, s.Waiting,
		s.Acquired, s.Waits, s.TimedOut, s.QueueFull, s.Shed, s.Cancelled,
		milliseconds(s.WaitTotal), milliseconds(s.WaitMax), s.Recycled, s.Opened,
		s.Physical, s.PhysicalOpen, s.PhysicalInUse, s.PhysicalWaiting, s.PhysicalWaits,
		milliseconds(s.PhysicalWaitTotal), milliseconds(s.PhysicalWaitMax),
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// addPhysical adds the state of one set of physical connections.
func (s *Stats) addPhysical(l *links) {
	g := l.gate.Snapshot()
	s.Physical += l.size
	s.PhysicalOpen += int(l.source.live.Load())
	s.PhysicalInUse += g.InUse
	s.PhysicalWaiting += g.Waiting
	s.PhysicalWaits += g.Waits
	s.PhysicalWaitTotal += g.WaitTotal
	s.PhysicalWaitMax = max(s.PhysicalWaitMax, g.WaitMax)
	s.Opened += l.source.opened.Load()
	s.Recycled += l.recycled.Load()
}
