package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/memory"
)

// Memory is what the server asks of the memory monitor. *memory.Monitor is one.
type Memory interface {
	Run(context.Context) error
	State() memory.State       // of the last look
	Look() memory.State        // at most memory.FreshFor old
	HandOver() <-chan struct{} // closed when the process shall be replaced
}

var _ Memory = (*memory.Monitor)(nil)

// ErrRestart is what Run returns when the process shall be replaced by a fresh one.
var ErrRestart = errors.New("restart wanted")

// pressureRetry is the Retry-After of work refused for want of memory: by then a fresh
// process serves, or a collection has helped.
const pressureRetry = 5 * time.Second

// handOver is closed when a restart is due; without a monitor it never is.
func (s *Server) handOver() <-chan struct{} {
	if s.deps.Memory == nil {
		return nil
	}
	return s.deps.Memory.HandOver()
}

// pressure refuses work that takes memory, an ingest or a stream, while memory is critical
// or the server leaves for want of it; nil is no refusal.
func (s *Server) pressure() *refusal {
	if s.deps.Memory == nil {
		return nil
	}
	state := s.deps.Memory.State()
	if state.Level != memory.Critical && !state.RestartRequested {
		return nil
	}
	s.shed.Add(1)
	next := "ask again later"
	if state.RestartRequested {
		next = "the server restarts: ask again, a fresh one will answer"
	}
	r := refuse(http.StatusServiceUnavailable, "memory_critical",
		"memory is short: %d of %d MB are in use (%.1f %%, %s), critical from %v %% (--memory-critical); %s",
		state.Used>>20, state.Limit>>20, state.Percent(), state.Origin, state.Critical, next)
	r.retryAfter = pressureRetry
	return r
}

// leaving is the name of the state in which the server goes, "" while it stays. A monitor that
// asked for a restart is believed before the drain has begun.
func (s *Server) leaving() string {
	switch {
	case s.restarting.Load(), s.deps.Memory != nil && s.stage.Load() == stageServing && s.deps.Memory.State().RestartRequested:
		return "restarting"
	case s.stage.Load() >= stageLeaving:
		return "draining"
	}
	return ""
}

// memoryUse is the plan's answer on memory (A2), with what it leaves open: which limit counts.
// Sizes are MiB, shares percent.
type memoryUse struct {
	ProcessRSS        float64   `json:"process_rss_mb"`
	ProcessPercent    float64   `json:"process_percent"` // of the machine
	SystemTotal       float64   `json:"system_total_mb"`
	SystemUsed        float64   `json:"system_used_mb"`
	SystemAvailable   float64   `json:"system_available_mb"`
	SystemPercent     float64   `json:"system_percent"`
	Timestamp         time.Time `json:"timestamp"`
	Limit             float64   `json:"limit_mb"`
	Used              float64   `json:"used_mb"`
	Percent           float64   `json:"percent"` // of the limit: what the thresholds are held against
	LimitOrigin       string    `json:"limit_origin"`
	Growth            float64   `json:"growth_mb_per_s"` // that lasts
	WarningThreshold  float64   `json:"warning_threshold"`
	CriticalThreshold float64   `json:"critical_threshold"`
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func newMemoryUse(m memory.State) *memoryUse {
	return &memoryUse{
		ProcessRSS: megabytes(m.RSS), ProcessPercent: share(m.RSS, m.Machine.Total),
		SystemTotal: megabytes(m.Machine.Total), SystemUsed: megabytes(m.Machine.Used),
		SystemAvailable: megabytes(m.Machine.Available), SystemPercent: share(m.Machine.Used, m.Machine.Total),
		Timestamp: m.At.UTC(),
		Limit:     megabytes(m.Limit), Used: megabytes(m.Used), Percent: m.Percent(), LimitOrigin: m.Origin,
		Growth: m.Growth / (1 << 20), WarningThreshold: m.Warning, CriticalThreshold: m.Critical,
	}
}

type memoryReport struct {
	Status string     `json:"status"` // of the answer; always ok
	Memory *memoryUse `json:"memory"` // null when it is not watched or cannot be read
	Health string     `json:"health"` // ok, warning, critical, unknown or off
}

func (s *Server) memoryReport() memoryReport {
	if s.deps.Memory == nil {
		return memoryReport{Status: "ok", Health: "off"}
	}
	state := s.deps.Memory.Look()
	out := memoryReport{Status: "ok", Health: state.Level.String()}
	if state.Level != memory.Unknown {
		out.Memory = newMemoryUse(state)
	}
	return out
}

// memory answers GET /api/health/memory.
func (s *Server) memory(c *gin.Context) { s.answer(c, http.StatusOK, s.memoryReport()) }

// restartUse is the plan's answer on the restart (C3); shares are percent of the limit.
type restartUse struct {
	CurrentPercent    float64 `json:"current_percent"`
	RecentAverage     float64 `json:"recent_average"` // of the last ten checks
	RestartRequested  bool    `json:"restart_requested"`
	CriticalThreshold float64 `json:"critical_threshold"`
	WarningThreshold  float64 `json:"warning_threshold"`
	RestartEnabled    bool    `json:"restart_enabled"`
	Reason            string  `json:"reason"` // of the request
}

type restartReport struct {
	Status string      `json:"status"` // ok or restarting
	Memory *restartUse `json:"memory"` // null when memory is not watched
}

// restart answers GET /api/health/restart.
func (s *Server) restart(c *gin.Context) {
	out := restartReport{Status: "ok"}
	if s.deps.Memory != nil {
		state := s.deps.Memory.Look()
		if state.RestartRequested {
			out.Status = "restarting"
		}
		out.Memory = &restartUse{
			CurrentPercent: state.Percent(), RecentAverage: state.RecentAverage, RestartRequested: state.RestartRequested,
			CriticalThreshold: state.Critical, WarningThreshold: state.Warning, RestartEnabled: state.RestartEnabled, Reason: state.Reason,
		}
	}
	s.answer(c, http.StatusOK, out)
}

// adminMemory shows the use of memory and how many requests were refused for want of it.
func (s *Server) adminMemory(w http.ResponseWriter, _ *http.Request) {
	s.adminAnswer(w, http.StatusOK, struct {
		adminReport
		memoryReport
		Refused map[string]int64 `json:"refused"`
	}{s.adminReport(), s.memoryReport(), map[string]int64{"memory_critical": s.shed.Load()}})
}
