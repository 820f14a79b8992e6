package main

import (
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tomehub/tomehub/server/memory"
)

// startTime is how long a fresh process takes, at most, until it serves a library that exists.
const startTime = 2 * time.Second

func (c *serveSettings) memoryConfig(alone <-chan struct{}) memory.Config {
	cfg := memory.DefaultConfig()
	cfg.Interval, cfg.Warning, cfg.Critical, cfg.Restart = c.memoryInterval, c.memoryWarning, c.memoryCritical, c.memoryRestart
	cfg.Alone = alone
	cfg.HandOver = startTime + c.shutdownDelay + c.drainGrace + c.drainTime
	return cfg
}

// limitHeap has the collector keep the heap within its share of a cgroup's limit, which Go
// does not know of by itself. Where the operator set GOMEMLIMIT, that stands.
func (a *app) limitHeap(c *serveSettings, logger *slog.Logger, read func() (memory.Reading, error)) {
	if set, ok := a.lookup("GOMEMLIMIT"); ok && set != "" || c.memoryLimitRatio == 0 {
		return
	}
	r, err := read()
	if err != nil {
		logger.Error("limit of the heap not set", "error", err)
		return
	}
	if !r.Cgroup {
		return // of a whole machine, others have a share that we do not know
	}
	limit := int64(c.memoryLimitRatio * float64(r.Limit))
	debug.SetMemoryLimit(limit)
	logger.Info("limit of the heap set", "heap_mb", limit>>20, "limit_mb", r.Limit>>20, "limit_origin", r.Origin)
}
