package server

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/internal/gate"
)

// StreamConfig bounds streamed answers. A stream holds its slot until its last byte is written
// or its client is gone.
type StreamConfig struct {
	Slots        int           // streams at once; 0 is no bound (MAX_CONCURRENT_STREAMS)
	Queue        int           // requests that wait for a slot; 0 is as many as slots
	Wait         time.Duration // longest such wait
	PerUser      int           // of one user's at once, those that wait included; 0 is no bound
	WriteTimeout time.Duration // a client that takes nothing for this long is cut
}

// streamRetry is the Retry-After of a request that finds too many streams; one takes seconds.
const streamRetry = 5 * time.Second

// streamSlots count the streams and bound them.
type streamSlots struct {
	cfg  StreamConfig
	gate *gate.Gate // nil: no bound

	active flights
	counts streamCounts
	waited prometheus.Observer // seconds; nil without metrics

	mu    sync.Mutex     // guards users
	users map[string]int // streams and waiting requests, with PerUser; nobody with none is in it
}

// streamCounts are lifetime totals.
type streamCounts struct {
	started, completed, failed, gone, stalled, perUser atomic.Int64
}

func newStreamSlots(cfg StreamConfig) *streamSlots {
	if cfg.Queue == 0 {
		cfg.Queue = cfg.Slots
	}
	s := &streamSlots{cfg: cfg, users: map[string]int{}}
	s.active.ended = make(chan struct{}, 1)
	if cfg.Slots > 0 {
		s.gate = gate.New(cfg.Slots, cfg.Queue)
	}
	return s
}

// enter waits for a slot on behalf of a user and returns how to give it back.
func (s *streamSlots) enter(ctx context.Context, user string) (leave func(), err error) {
	if !s.countUser(user) {
		s.counts.perUser.Add(1)
		return nil, shedStream("%d of your streams are under way or waiting, as many as one user may have (--streams-per-user)", s.cfg.PerUser)
	}
	if err := s.take(ctx); err != nil {
		s.uncountUser(user)
		return nil, err
	}
	s.active.begin()
	return func() {
		if s.gate != nil {
			s.gate.Release()
		}
		s.uncountUser(user)
		s.active.end()
	}, nil
}

// take takes a slot, if they are bounded.
func (s *streamSlots) take(ctx context.Context) error {
	if s.gate == nil {
		return nil
	}
	waited, got := s.gate.Acquire(ctx, s.cfg.Wait)
	if s.waited != nil {
		s.waited.Observe(waited.Seconds())
	}
	switch got {
	case gate.Granted:
		return nil
	case gate.QueueFull:
		return shedStream("all %d stream slots (MAX_CONCURRENT_STREAMS) are taken and %d requests wait for one (--stream-queue), as many as may", s.cfg.Slots, s.cfg.Queue)
	case gate.TimedOut:
		return shedStream("none of %d stream slots (MAX_CONCURRENT_STREAMS) came free within %v (--stream-wait)", s.cfg.Slots, s.cfg.Wait)
	case gate.Closed:
		return refuseLeaving()
	}
	return ctx.Err()
}

func shedStream(format string, args ...any) *refusal {
	r := refuse(http.StatusServiceUnavailable, "streams_exhausted", format, args...)
	r.retryAfter = streamRetry
	return r
}

func (s *streamSlots) countUser(user string) bool {
	if s.cfg.PerUser == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user] >= s.cfg.PerUser {
		return false
	}
	s.users[user]++
	return true
}

func (s *streamSlots) uncountUser(user string) {
	if s.cfg.PerUser == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user]--; s.users[user] == 0 {
		delete(s.users, user)
	}
}

// close refuses those that wait, as of now.
func (s *streamSlots) close() {
	if s.gate != nil {
		s.gate.Close()
	}
}

// wait returns when no stream is left, or after d.
func (s *streamSlots) wait(d time.Duration) { s.active.wait(d) }

// streamReport is the plan's answer of the stream limiter (C2.3), and more.
type streamReport struct {
	Active        int64         `json:"active_streams"`
	MaxConcurrent int           `json:"max_concurrent"` // 0 is no bound
	Utilization   float64       `json:"utilization"`    // 0 without a bound
	Waiting       int           `json:"waiting"`
	Queue         int           `json:"queue"`
	Started       int64         `json:"started"` // each ends as one of the next four
	Completed     int64         `json:"completed"`
	Failed        int64         `json:"failed"`      // ended with an error record, or cut by a panic
	ClientGone    int64         `json:"client_gone"` // left before the end
	Stalled       int64         `json:"stalled"`     // cut because the client did not read
	Refused       refusedReport `json:"refused"`
}

type refusedReport struct {
	QueueFull int64 `json:"queue_full"`
	TimedOut  int64 `json:"timed_out"`
	PerUser   int64 `json:"per_user"`
}

func (s *streamSlots) report() streamReport {
	out := streamReport{
		Active: s.active.now.Load(), MaxConcurrent: s.cfg.Slots, Queue: s.cfg.Queue,
		Started: s.counts.started.Load(), Completed: s.counts.completed.Load(), Failed: s.counts.failed.Load(),
		ClientGone: s.counts.gone.Load(), Stalled: s.counts.stalled.Load(),
		Refused: refusedReport{PerUser: s.counts.perUser.Load()},
	}
	if s.gate != nil {
		g := s.gate.Snapshot()
		out.Utilization = float64(g.InUse) / float64(g.Size)
		out.Waiting = g.Waiting
		out.Refused.QueueFull, out.Refused.TimedOut = g.QueueFull, g.TimedOut
	}
	return out
}

// criticalStreams is the utilization above which the plan calls the streams critical.
const criticalStreams = 0.9

// streamHealth answers GET /api/health/streams.
func (s *Server) streamHealth(c *gin.Context) {
	report, health := s.streams.report(), "ok"
	if report.Utilization > criticalStreams {
		health = "critical"
	}
	s.answer(c, http.StatusOK, map[string]any{"status": "ok", "streams": report, "health": health})
}
