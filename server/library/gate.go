package library

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
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
	slots *semaphore.Weighted

	inUse, waiting, entered        atomic.Int64
	queueFull, timedOut, cancelled atomic.Int64
}

func newIngestGate(cfg IngestConfig) (*ingestGate, error) {
	if cfg.Slots < 0 || cfg.Queue < 0 || cfg.Wait < 0 {
		return nil, fmt.Errorf("ingest slots %d, queue %d, wait %v: must not be negative", cfg.Slots, cfg.Queue, cfg.Wait)
	}
	cfg = cfg.withDefaults()
	return &ingestGate{cfg: cfg, slots: semaphore.NewWeighted(int64(cfg.Slots))}, nil
}

// EnterIngest waits for one of the ingest slots, first come first served, and returns how to
// give it back, which may be done more than once. Memory is what the slots bound, so a slot is
// taken before the document is read and held until Ingest has returned. A *BusyError says
// which bound was hit: the queue was full, or the wait too long.
func (l *Library) EnterIngest(ctx context.Context) (release func(), err error) {
	return l.ingest.enter(ctx)
}

func (g *ingestGate) enter(ctx context.Context) (func(), error) {
	if !g.slots.TryAcquire(1) {
		if err := g.wait(ctx); err != nil {
			return nil, err
		}
	}
	g.inUse.Add(1)
	g.entered.Add(1)
	return sync.OnceFunc(func() { g.inUse.Add(-1); g.slots.Release(1) }), nil
}

// wait takes a slot behind the bounds of the queue and of time.
func (g *ingestGate) wait(ctx context.Context) error {
	waiting := g.waiting.Add(1)
	defer g.waiting.Add(-1)
	busy := &BusyError{Setting: g.cfg.Setting, Slots: g.cfg.Slots, Queue: g.cfg.Queue}
	if waiting > int64(g.cfg.Queue) {
		g.queueFull.Add(1)
		busy.Reason = ReasonQueueFull
		return busy
	}
	start := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, g.cfg.Wait, ErrBusy)
	defer cancel()
	err := g.slots.Acquire(limited, 1)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(limited), ErrBusy):
		g.timedOut.Add(1)
		busy.Reason, busy.Waited = ReasonTimeout, time.Since(start)
		return busy
	}
	g.cancelled.Add(1)
	return fmt.Errorf("wait for an ingest slot: %w", context.Cause(ctx))
}

// IngestStats returns the state of the bound on ingests.
func (l *Library) IngestStats() IngestStats {
	g := l.ingest
	return IngestStats{
		Slots: g.cfg.Slots, InUse: g.inUse.Load(), Queue: g.cfg.Queue, Waiting: g.waiting.Load(), Entered: g.entered.Load(),
		QueueFull: g.queueFull.Load(), TimedOut: g.timedOut.Load(), Cancelled: g.cancelled.Load(),
	}
}
