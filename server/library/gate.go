package library

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// IngestConfig bounds the work and the memory of ingests. Zero numbers mean the defaults.
type IngestConfig struct {
	// Slots is how many documents are read and cut at once. Each takes a core, and
	// several times its bytes of memory. Default: the cores.
	Slots int
	// Queue is how many more may wait. Default 64.
	Queue int
	// Wait is the longest one waits, for a slot and again for bytes. Default 30 s.
	Wait time.Duration
	// MaxBytes bounds the books that are cut but not yet stored: many small ones, or
	// few large ones. A book larger than all of it is stored by itself. Default 256 MiB.
	MaxBytes int64
	// SlotsSetting, QueueSetting and BytesSetting are the settings that move the bounds, named in
	// refusals. Default INGEST_SLOTS, INGEST_QUEUE and INGEST_MAX_BYTES.
	SlotsSetting, QueueSetting, BytesSetting string
}

func (cfg IngestConfig) withDefaults() IngestConfig {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	name := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&cfg.Slots, runtime.GOMAXPROCS(0))
	set(&cfg.Queue, 64)
	if cfg.Wait == 0 {
		cfg.Wait = 30 * time.Second
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 256 << 20
	}
	name(&cfg.SlotsSetting, "INGEST_SLOTS")
	name(&cfg.QueueSetting, "INGEST_QUEUE")
	name(&cfg.BytesSetting, "INGEST_MAX_BYTES")
	return cfg
}

// IngestStats are the state and the lifetime counts of the bounds on ingests.
type IngestStats struct {
	Slots    int   `json:"slots"`
	InUse    int64 `json:"in_use"`
	Queue    int   `json:"queue"`
	Waiting  int64 `json:"waiting"` // for a slot or for bytes
	MaxBytes int64 `json:"max_bytes"`
	Bytes    int64 `json:"bytes"` // of books cut but not yet stored
	// Refused, by reason.
	QueueFull int64 `json:"queue_full"`
	TimedOut  int64 `json:"timed_out"`
}

// An ingestGate is what every ingest passes: first a slot, then its share of the
// bytes, taken before the slot is given back. Those who hold bytes wait for the
// store alone and never for a slot, so the two cannot block each other.
type ingestGate struct {
	cfg   IngestConfig
	slots *semaphore.Weighted
	bytes *semaphore.Weighted

	inUse, waiting, held atomic.Int64
	queueFull, timedOut  atomic.Int64
}

func newIngestGate(cfg IngestConfig) (*ingestGate, error) {
	if cfg.Slots < 0 || cfg.Queue < 0 || cfg.Wait < 0 || cfg.MaxBytes < 0 {
		return nil, fmt.Errorf("ingest slots %d, queue %d, wait %v, bytes %d: must not be negative", cfg.Slots, cfg.Queue, cfg.Wait, cfg.MaxBytes)
	}
	cfg = cfg.withDefaults()
	return &ingestGate{cfg: cfg, slots: semaphore.NewWeighted(int64(cfg.Slots)), bytes: semaphore.NewWeighted(cfg.MaxBytes)}, nil
}

// enter waits for a slot, in order, and returns how to give it back.
func (g *ingestGate) enter(ctx context.Context) (func(), error) {
	if !g.slots.TryAcquire(1) {
		if err := g.wait(ctx, g.slots, 1, BusyError{Bound: "ingest slots", Setting: g.cfg.SlotsSetting, Size: int64(g.cfg.Slots)}); err != nil {
			return nil, err
		}
	}
	g.inUse.Add(1)
	return func() { g.inUse.Add(-1); g.slots.Release(1) }, nil
}

// hold waits for n bytes, in order, and returns how to give them back.
func (g *ingestGate) hold(ctx context.Context, n int64) (func(), error) {
	n = min(n, g.cfg.MaxBytes)
	if !g.bytes.TryAcquire(n) {
		if err := g.wait(ctx, g.bytes, n, BusyError{Bound: "ingest bytes", Setting: g.cfg.BytesSetting, Size: g.cfg.MaxBytes}); err != nil {
			return nil, err
		}
	}
	g.held.Add(n)
	return func() { g.held.Add(-n); g.bytes.Release(n) }, nil
}

// wait waits behind the bounds of the queue and of time. Only who waits for a
// slot counts for the queue: who waits for bytes holds one.
func (g *ingestGate) wait(ctx context.Context, sem *semaphore.Weighted, n int64, busy BusyError) error {
	waiting := g.waiting.Add(1)
	defer g.waiting.Add(-1)
	if sem == g.slots && waiting > int64(g.cfg.Queue) {
		g.queueFull.Add(1)
		busy.Reason, busy.Waiting, busy.Setting, busy.Size = ReasonQueueFull, waiting-1, g.cfg.QueueSetting, int64(g.cfg.Queue)
		return &busy
	}
	start := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, g.cfg.Wait, ErrBusy)
	defer cancel()
	err := sem.Acquire(limited, n)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(limited), ErrBusy):
		g.timedOut.Add(1)
		busy.Reason, busy.Waiting, busy.Waited = ReasonTimeout, waiting-1, time.Since(start)
		return &busy
	}
	return fmt.Errorf("wait for %s: %w", busy.Bound, context.Cause(ctx))
}

// IngestStats returns the state of the bounds on ingests.
func (l *Library) IngestStats() IngestStats {
	g := l.ingest
	return IngestStats{
		Slots: g.cfg.Slots, InUse: g.inUse.Load(), Queue: g.cfg.Queue, Waiting: g.waiting.Load(),
		MaxBytes: g.cfg.MaxBytes, Bytes: g.held.Load(), QueueFull: g.queueFull.Load(), TimedOut: g.timedOut.Load(),
	}
}
