package server

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/store"
)

// probeTimeout bounds the database's part of a health answer; probes commonly wait a second or more.
const probeTimeout = 900 * time.Millisecond

// A pinger asks the database for a sign of life at most once at a time and once per
// probeAge, however many probes come: a probe must not be a load of its own.
type pinger struct {
	ping func(context.Context) error

	turn  chan struct{} // holds a token while somebody asks; guards the rest
	at    time.Time
	state string

	seen atomic.Pointer[sign] // the same two, for who may not wait; nil before the first
}

// A sign is what a ping found, and when.
type sign struct {
	state string
	at    time.Time
}

func newPinger(ping func(context.Context) error) *pinger {
	return &pinger{ping: ping, turn: make(chan struct{}, 1)}
}

const probeAge = time.Second

// The states of the database in a health answer.
const (
	dbOK        = "ok"
	dbSaturated = "saturated" // up, but every connection is taken and the queue for them is full or slow
	dbDown      = "down"
	dbUnknown   = "unknown" // not asked lately; of last alone
)

// check returns the state of the database, at most probeAge old.
func (p *pinger) check(ctx context.Context) string {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return dbDown // nobody reads it
	}
	if !p.at.IsZero() && time.Since(p.at) < probeAge {
		return p.state
	}
	// The answer serves other probes too, so the one that asked may leave.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	err := p.ping(ctx)
	waited, acquiring := errors.AsType[*pool.AcquireError](err)
	switch {
	case err == nil:
		p.state = dbOK
	case errors.Is(err, pool.ErrExhausted), acquiring && waited != nil:
		p.state = dbSaturated
	default:
		p.state = dbDown
	}
	p.at = time.Now()
	p.seen.Store(&sign{p.state, p.at})
	return p.state
}

// last returns what the last ping found, without one of its own.
func (p *pinger) last() string {
	if s := p.seen.Load(); s != nil && time.Since(s.at) < 10*probeAge {
		return s.state
	}
	return dbUnknown
}

type liveness struct {
	Status    string    `json:"status"` // always ok
	StartedAt time.Time `json:"started_at"`
}

// live answers GET /api/health/live: the process answers. It never asks the database, because
// restarting a server does not mend its database. When the process began tells whoever reads the
// counters of the other health routes that they began anew.
func (s *Server) live(c *gin.Context) {
	s.answer(c, http.StatusOK, liveness{Status: "ok", StartedAt: s.started.UTC()})
}

type readiness struct {
	Status   string `json:"status"` // ready, degraded, draining, restarting or unavailable
	Database string `json:"database"`
}

// ready answers GET /api/health/ready: whether a load balancer should send requests here. A
// saturated pool is ready: its bounded queue sheds by itself, and taking one overloaded
// replica out would only overload the others. So is, with Config.ReadyWithoutDatabase, one
// whose database is down, and one that another process behind the same address has taken over
// from: a probe's kept connection must not take the address out.
func (s *Server) ready(c *gin.Context) {
	if state := s.leaving(); state != "" && !s.handed.Load() {
		c.Writer.Header()["Retry-After"] = []string{"1"}
		s.answer(c, http.StatusServiceUnavailable, readiness{Status: state, Database: "not asked"})
		return
	}
	switch state := s.pinger.check(c.Request.Context()); {
	case state == dbDown && s.cfg.ReadyWithoutDatabase:
		s.answer(c, http.StatusOK, readiness{Status: "degraded", Database: state})
	case state == dbDown:
		c.Writer.Header()["Retry-After"] = []string{"1"}
		s.answer(c, http.StatusServiceUnavailable, readiness{Status: "unavailable", Database: state})
	default:
		s.answer(c, http.StatusOK, readiness{Status: "ready", Database: state})
	}
}

type healthReport struct {
	Status      string      `json:"status"` // ok, draining, restarting or unavailable
	Version     string      `json:"version"`
	Phase       string      `json:"phase"`
	Lab         bool        `json:"lab,omitempty"` // it is a server for load tests
	UptimeS     float64     `json:"uptime_s"`
	Database    string      `json:"database"`
	Library     *totalsItem `json:"library"` // of the shared library; null when it could not be counted
	InFlight    int64       `json:"in_flight"`
	Connections int64       `json:"connections"`
}

type totalsItem struct {
	Books    int `json:"books"`
	Passages int `json:"passages"`
}

// health answers GET /api/health: everything a person asks first, 503 when the database is down.
func (s *Server) health(c *gin.Context) {
	out := healthReport{
		Status: "ok", Version: s.cfg.Version, Phase: s.cfg.Phase, Lab: s.deps.Lab != nil,
		UptimeS:  time.Since(s.started).Seconds(),
		Database: s.pinger.check(c.Request.Context()),
		InFlight: s.inFlight.now.Load(), Connections: s.connections(),
	}
	status := http.StatusOK
	if out.Database == dbDown {
		out.Status, status = "unavailable", http.StatusServiceUnavailable
	} else {
		ctx, cancel := context.WithTimeout(c.Request.Context(), probeTimeout)
		defer cancel()
		if books, passages, err := s.lib.Totals(ctx, store.Scope{}); err == nil {
			out.Library = &totalsItem{Books: books, Passages: passages}
		}
	}
	if state := s.leaving(); state != "" {
		out.Status = state
	}
	s.answer(c, status, out)
}

// pools answers GET /api/health/pools: in use, idle, waiting and waited, for each pool.
func (s *Server) pools(c *gin.Context) {
	list := []pool.Stats{}
	if s.deps.Pools != nil {
		list = s.deps.Pools()
	}
	s.answer(c, http.StatusOK, map[string]any{"status": "ok", "pools": list})
}

// cache answers GET /api/health/cache.
func (s *Server) cache(c *gin.Context) {
	out := map[string]any{"status": "ok", "cache": nil}
	if s.deps.Cache != nil {
		out["cache"] = s.deps.Cache()
	}
	s.answer(c, http.StatusOK, out)
}

// breakers answers GET /api/health/circuit-breaker. What failed last may name hosts, so that is
// on the admin listener alone.
func (s *Server) breakers(c *gin.Context) {
	out := struct {
		Status   string          `json:"status"`
		Breakers []breaker.Stats `json:"circuit_breakers"`
		Health   string          `json:"health"` // ok, or degraded while one is not closed
	}{"ok", []breaker.Stats{}, "ok"}
	for _, b := range s.breakerStats() {
		b.LastError = ""
		out.Breakers = append(out.Breakers, b)
		if b.State != breaker.Closed {
			out.Health = "degraded"
		}
	}
	s.answer(c, http.StatusOK, out)
}

func (s *Server) breakerStats() []breaker.Stats {
	if s.deps.Breakers == nil {
		return []breaker.Stats{}
	}
	return s.deps.Breakers()
}
