package server

import (
	"cmp"
	"context"
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/limit"
)

// opsReport is all that the operators' page shows, in one answer. It waits for nobody and asks nothing of the database, so
// that it comes while everything else hangs. Counts are since the start: whoever reads it twice has the rates between.
type opsReport struct {
	adminReport
	Status         string              `json:"status"`   // ok, draining or restarting
	Database       string              `json:"database"` // ok, saturated or down at the last ping; unknown before the first
	Restarts       map[string]int64    `json:"restarts"` // workers started in place of another by a supervisor, by reason
	Connections    int64               `json:"connections"`
	MaxConnections int                 `json:"max_connections"`
	Requests       opsRequests         `json:"requests"`
	Pools          []pool.Stats        `json:"pools"`
	Cache          *library.CacheStats `json:"cache"` // null without one
	Streams        streamReport        `json:"streams"`
	Ingests        library.IngestStats `json:"ingests"`
	Memory         opsMemory           `json:"memory"`
	Breakers       []breaker.Stats     `json:"circuit_breakers"`
	Limits         opsLimits           `json:"limits"`
	Statements     []opsStatement      `json:"statements"` // that ran, the one with the most time first, 100 at most
}

// opsRequests are those of all routes but health.
type opsRequests struct {
	Total      int64 `json:"total"`
	InFlight   int64 `json:"in_flight"`
	Limited    int64 `json:"limited"`     // refused with 429
	Refused    int64 `json:"refused"`     // with 503, by a bound or a drain
	Failed     int64 `json:"failed"`      // any other 5xx, and 503 for want of a database
	ClientGone int64 `json:"client_gone"` // the client left before the answer
	// Times are those of requests that neither failed nor were refused, streams and ingests left out: the upper bound of a
	// bucket in microseconds and how many there were, empty buckets left out.
	Times [][2]int64 `json:"times_us"`
}

type opsMemory struct {
	memoryReport
	Refused          int64  `json:"refused"` // streams and ingests
	RestartEnabled   bool   `json:"restart_enabled"`
	RestartRequested bool   `json:"restart_requested"`
	Reason           string `json:"reason"` // of the request
}

type opsLimits struct {
	limit.Stats
	PerMinute map[string]int `json:"per_minute"` // by rule; 0 is no limit
}

type opsStatement struct {
	Name          string `json:"name"`
	Executions    int64  `json:"executions"`
	Errors        int64  `json:"errors"`
	Rows          int64  `json:"rows"`
	ElapsedUS     int64  `json:"elapsed_us"`
	AcquireWaitUS int64  `json:"acquire_wait_us"`
}

// Bounds of an opsReport's parts that do not have one of their own.
const (
	maxOpsStatements = 100
	maxOpsText       = 300 // bytes of a name or a reason
)

// adminOps answers GET /ops.
func (s *Server) adminOps(w http.ResponseWriter, _ *http.Request) {
	select {
	case s.looked <- struct{}{}:
	default: // the database is being asked
	}
	s.adminAnswer(w, http.StatusOK, s.opsReport())
}

// watchDatabase pings the database once a second while somebody looks at its state: their answer must not wait for the ping.
func (s *Server) watchDatabase(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.looked:
			s.pinger.check(ctx)
		}
	}
}

func (s *Server) opsReport() opsReport {
	out := opsReport{
		adminReport: s.adminReport(), Status: "ok", Database: s.pinger.last(), Restarts: s.deps.Restarts,
		Connections: s.connections(), MaxConnections: s.cfg.MaxConnections,
		Requests: s.opsRequests(), Pools: []pool.Stats{}, Streams: s.streams.report(), Ingests: s.lib.IngestStats(),
		Memory: opsMemory{memoryReport: s.memoryReport(), Refused: s.shed.Load()}, Breakers: s.breakerStats(),
		Limits: opsLimits{s.limits.limiter.Stats(), map[string]int{
			"global": s.cfg.RateLimits.Global, "search": s.cfg.RateLimits.Search, "ingest": s.cfg.RateLimits.Ingest, "total": s.cfg.RateLimits.Total,
		}},
		Statements: s.opsStatements(),
	}
	if out.Restarts == nil {
		out.Restarts = map[string]int64{}
	}
	if state := s.leaving(); state != "" {
		out.Status = state
	}
	if s.deps.Pools != nil {
		out.Pools = s.deps.Pools()
	}
	if s.deps.Cache != nil {
		stats := s.deps.Cache()
		out.Cache = &stats
	}
	if s.deps.Memory != nil {
		state := s.deps.Memory.State()
		out.Memory.RestartEnabled, out.Memory.RestartRequested, out.Memory.Reason = state.RestartEnabled, state.RestartRequested, shortened(state.Reason)
	}
	for i := range out.Breakers {
		out.Breakers[i].LastError = shortened(out.Breakers[i].LastError)
	}
	return out
}

func shortened(text string) string {
	if len(text) <= maxOpsText {
		return text
	}
	return text[:maxOpsText] + "…"
}

func (s *Server) opsRequests() opsRequests {
	out := opsRequests{
		Limited: s.tally.limited.Load(), Refused: s.tally.refused.Load(), Failed: s.tally.failed.Load(), Times: s.tally.times.counts(),
	}
	for _, r := range s.routes {
		if r.kind == healthKind {
			continue
		}
		out.InFlight += r.inFlight.Load()
		out.ClientGone += r.gone.Load()
		out.Total += r.gone.Load()
		for class := range r.classes {
			out.Total += r.classes[class].Load()
		}
	}
	return out
}

func (s *Server) opsStatements() []opsStatement {
	out := []opsStatement{}
	if s.deps.Statements == nil {
		return out
	}
	for _, st := range s.deps.Statements() {
		if st.Executions > 0 {
			out = append(out, opsStatement{shortened(st.Name), st.Executions, st.Errors, st.Rows, st.Elapsed.Microseconds(), st.AcquireWait.Microseconds()})
		}
	}
	slices.SortFunc(out, func(a, b opsStatement) int {
		return cmp.Or(cmp.Compare(b.ElapsedUS, a.ElapsedUS), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(len(out), maxOpsStatements)]
}

// A tally counts the requests of all routes but health by how they ended. One that is answered from the cache costs one addition.
type tally struct {
	limited, refused, failed atomic.Int64
	times                    spread
}

// count adds a finished request with the code of its refusal, if it was refused.
func (t *tally) count(route *routeStats, status int, code string, elapsed time.Duration) {
	switch {
	case status == http.StatusTooManyRequests:
		t.limited.Add(1)
	case status == http.StatusServiceUnavailable && !strings.HasPrefix(code, "database_"):
		t.refused.Add(1)
	case status >= http.StatusInternalServerError:
		t.failed.Add(1)
	case status != statusClientGone && route.timed:
		t.times.add(elapsed)
	}
}

// A spread counts times in buckets of which four double the time, from 64 µs to 134 s: a percentile read from it is off by an
// eighth at most. What is shorter or longer has a bucket each.
type spread [1 + 4*spreadOctaves + 1]atomic.Int64

const spreadOctaves = 21

func (s *spread) add(d time.Duration) { s[bucketOf(d)].Add(1) }

// bucketOf is the bucket of times of at least bucketEnd of the one before, and less than its own.
func bucketOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 64 {
		return 0
	}
	octave := bits.Len64(us) - 7
	return min(1+4*octave+int(us>>(octave+4)&3), len(spread{})-1)
}

// bucketEnd is the end of a bucket in microseconds; the last one has none, and doubles the one before.
func bucketEnd(bucket int) int64 {
	if bucket == 0 {
		return 64
	}
	octave, quarter := (bucket-1)/4, (bucket-1)%4
	if octave == spreadOctaves {
		return 128 << spreadOctaves
	}
	return int64(5+quarter) << (octave + 4)
}

// counts are the buckets with something in them.
func (s *spread) counts() [][2]int64 {
	out := [][2]int64{}
	for i := range s {
		if n := s[i].Load(); n > 0 {
			out = append(out, [2]int64{bucketEnd(i), n})
		}
	}
	return out
}
