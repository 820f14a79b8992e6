package library

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// IngestConfig bounds the memory and the work of ingests. Zero values mean the defaults.
type IngestConfig struct {
	// Slots is how many documents are in memory at once, from the reading of their bytes
	// to the commit. Each takes a core, and several times its bytes. Default: the cores.
	Slots int
	// Queue is how many more may wait. Default 8 × Slots.
	Queue int
	// Wait is the longest one waits. Default 30 s.
	Wait time.Duration
	// Setting moves Slots, and with it the default of Queue. It is named in refusals.
	// Default --max-concurrent-ingests.
	Setting string
}

const (
	defaultIngestWait    = 30 * time.Second
	defaultIngestSetting = "--max-concurrent-ingests"
	waitersPerIngest     = 8
)

func (cfg IngestConfig) withDefaults() IngestConfig {
	if cfg.Slots == 0 {
		cfg.Slots = runtime.GOMAXPROCS(0)
	}
	if cfg.Queue == 0 {
		cfg.Queue = waitersPerIngest * cfg.Slots
	}
	if cfg.Wait == 0 {
		cfg.Wait = defaultIngestWait
	}
	if cfg.Setting == "" {
		cfg.Setting = defaultIngestSetting
	}
	return cfg
}

// IngestStats are the state and the lifetime counts of the bound on ingests.
type IngestStats struct {
	Slots   int   `json:"slots"`
	InUse   int64 `json:"in_use"`
	Queue   int   `json:"queue"`
	Waiting int64 `json:"waiting"`
	Entered int64 `json:"entered"`
	// Refused, by reason.
	QueueFull int64 `json:"queue_full"`
	TimedOut  int64 `json:"timed_out"`
	Cancelled int64 `json:"cancelled"` // by their own context
}

// An ingestGate is what every ingest on behalf of a client passes.
type ingestGate struct {
	cfg   IngestConfig
	slots *gate.Gate
}

func newIngestGate(cfg IngestConfig) (*ingestGate, error) {
	if cfg.Slots < 0 || cfg.Queue < 0 || cfg.Wait < 0 {
		return nil, fmt.Errorf("ingest slots %d, queue %d, wait %v: must not be negative", cfg.Slots, cfg.Queue, cfg.Wait)
	}
	cfg = cfg.withDefaults()
	return &ingestGate{cfg: cfg, slots: gate.New(cfg.Slots, cfg.Queue)}, nil
}

// EnterIngest waits for one of the ingest slots, first come first served, and returns how to
// give it back, which may be done more than once. Memory is what the slots bound, so a slot is
// taken before the document is read and held until Ingest has returned. A *BusyError says
// which bound was hit: the queue was full, or the wait too long.
func (l *Library) EnterIngest(ctx context.Context) (release func(), err error) {
	return l.ingest.enter(ctx)
}

func (g *ingestGate) enter(ctx context.Context) (func(), error) {
	waited, got := g.slots.Acquire(ctx, g.cfg.Wait)
	busy := &BusyError{Setting: g.cfg.Setting, Slots: g.cfg.Slots, Queue: g.cfg.Queue}
	switch got {
	case gate.Granted:
		return sync.OnceFunc(g.slots.Release), nil
	case gate.QueueFull:
		busy.Reason = ReasonQueueFull
		return nil, busy
	case gate.TimedOut:
		busy.Reason, busy.Waited = ReasonTimeout, waited
		return nil, busy
	}
	return nil, fmt.Errorf("wait for an ingest slot: %w", context.Cause(ctx)) // nobody closes the gate
}

// IngestStats returns the state of the bound on ingests.
func (l *Library) IngestStats() IngestStats { return l.ingest.stats() }

func (g *ingestGate) stats() IngestStats {
	s := g.slots.Snapshot()
	return IngestStats{
		Slots: s.Size, InUse: int64(s.InUse), Queue: s.Queue, Waiting: int64(s.Waiting), Entered: s.Acquired,
		QueueFull: s.QueueFull, TimedOut: s.TimedOut, Cancelled: s.Cancelled,
	}
}
