// Package server offers the library over HTTP: the API on one listener, and what only the
// operator may see (statements, pprof, the log level) on another.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/lab"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/limit"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// Library is what the server asks of the library. *library.Library is one.
type Library interface {
	Search(context.Context, store.Scope, library.SearchRequest) (library.SearchResult, error)
	Content(ctx context.Context, scope store.Scope, id int64) (store.Passage, error)
	Batch(ctx context.Context, scope store.Scope, ids []int64) (found []store.Passage, unknown []int64, err error)
	Books(ctx context.Context, scope store.Scope, page, pageSize int) (library.BookPage, error)
	Book(ctx context.Context, scope store.Scope, id int64) (store.Book, error)
	DeleteBook(ctx context.Context, owner string, id int64) error
	// EnterIngest waits for one of the slots that bound the books in memory. It is held from
	// before the body of an ingest is read until Ingest has returned.
	EnterIngest(ctx context.Context) (release func(), err error)
	Ingest(ctx context.Context, owner string, doc library.Document) (library.IngestResult, error)
	IngestStats() library.IngestStats
	Totals(context.Context, store.Scope) (books, passages int, err error)
	Ping(context.Context) error
}

var _ Library = (*library.Library)(nil)

// Deps are the parts a server works with. Library is required; the rest may be left out.
type Deps struct {
	Library Library
	Logger  *slog.Logger   // nil logs nothing
	Level   *slog.LevelVar // of Logger; the admin listener reads and changes it

	// Identity says who sent a request; an anonymous caller sees the shared library alone.
	// Nil is identity.Off, which is right only where every caller is trusted. Run does its
	// background work, if it has any.
	Identity identity.Verifier

	// LimitStorage counts requests for Config.RateLimits; nil counts in this process. Run does
	// its background work; closing it is the caller's.
	LimitStorage limit.Storage

	// Answerer answers searches that want an answer; nil answers with sentences of the passages.
	// Closing it is the caller's.
	Answerer Answerer

	// The sources of what the health routes and the admin listener show.
	Pools      func() []pool.Stats
	Cache      func() library.CacheStats
	Statements func() []store.StatementStats
	Breakers   func() []breaker.Stats // nil: there are none

	// Restarts are the workers that a supervisor has started in place of another, this one's own start among them, by reason;
	// nil without one. The operators' page shows them.
	Restarts map[string]int64

	// Metrics are shown at /metrics of the admin listener; nil shows none. They are this server's alone.
	Metrics *Metrics

	// Tracer records spans of all requests but those to the health routes; nil records none. Running it is the caller's.
	Tracer *trace.Tracer

	// Memory says when memory is short; nil is never. Run runs it.
	Memory Memory

	// Lab, when set, makes this a server for load tests: health says so, and the admin listener
	// takes faults. Nil on every server that people use.
	Lab *lab.Lab

	// Listener and AdminListener, when set, are served instead of opening Config.Listen and
	// Config.AdminListen. Run closes them. Succession says that whoever gave them holds their
	// sockets and starts a successor when Leaving is called: a restart needs no delay then,
	// and new clients wait in the socket's queue.
	Listener, AdminListener net.Listener
	Succession              bool
	// Ready is called once both listeners answer, with their real addresses; admin is nil
	// without an admin listener.
	Ready func(public, admin net.Addr)
	// Leaving is called once, when a drain begins: whoever keeps the service up may start a
	// successor now. It must not block.
	Leaving func()
}

// ErrHandedOver is the cause with which Run's context ends when another process accepts from the
// same socket already. The service as a whole is ready then: nobody needs time to look
// elsewhere, and readiness does not turn.
var ErrHandedOver = errors.New("another process has taken over")

// Server answers the API. Make it with New and run it once.
type Server struct {
	cfg      Config
	deps     Deps
	lib      Library
	log      *slog.Logger
	identity identity.Verifier
	answerer Answerer
	limits   *limits
	pinger   *pinger
	cors     *cors
	engine   *gin.Engine
	routes   []*routeStats // fixed after New
	listing  string        // of all routes, for answers to unknown paths
	started  time.Time
	lines    lineGate

	stage      atomic.Int32 // one of the stage constants
	restarting atomic.Bool  // the drain is one for a restart
	handed     atomic.Bool  // the drain is for ErrHandedOver
	shed       atomic.Int64 // requests refused for want of memory
	inFlight   flights
	tally      tally
	looked     chan struct{} // somebody wants to know how the database is; see watchDatabase
	streams    *streamSlots
	conns      atomic.Pointer[listener] // nil before Run

	mu            sync.Mutex // guards public and admin
	public, admin net.Addr
}

// New checks the configuration, reporting every fault at once, and builds the routes. It
// opens nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	faults := []error{cfg.Validate()}
	if deps.Library == nil {
		faults = append(faults, errors.New("no library given"))
	}
	limits, err := newLimits(cfg.RateLimits, deps.LimitStorage)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, fmt.Errorf("configure server: %w", err)
	}
	s := &Server{
		cfg: cfg, deps: deps, lib: deps.Library, log: deps.Logger, identity: deps.Identity, answerer: deps.Answerer,
		limits: limits, cors: newCORS(cfg.CORSOrigins), started: time.Now(), looked: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.identity == nil {
		s.identity = identity.Off{}
	}
	if s.answerer == nil {
		if s.answerer, err = answer.New(answer.Config{}); err != nil {
			return nil, fmt.Errorf("configure server: %w", err)
		}
	}
	s.inFlight.ended = make(chan struct{}, 1)
	s.streams = newStreamSlots(cfg.Streams)
	s.pinger = newPinger(deps.Library.Ping)
	s.buildRoutes()
	if m := deps.Metrics; m != nil {
		s.streams.waited = m.streamWait
		if err := m.registry.Register(newStateCollector(s)); err != nil {
			return nil, fmt.Errorf("configure server: register metrics: %w", err)
		}
	}
	return s, nil
}

// Handler returns the API without listeners, for tests and for embedding. Connections,
// draining and the bound on a request's head are Run's.
func (s *Server) Handler() http.Handler { return s.engine }

// Addrs returns the addresses of the API and the admin listener, nil before Run has opened them.
func (s *Server) Addrs() (public, admin net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.public, s.admin
}

// Run serves until ctx ends, then leaves in the order of drain and returns nil when every
// request was answered. It returns an error when a listener cannot be opened or fails, or when
// requests had to be cut at Config.DrainTimeout. When Deps.Memory asks for a restart it leaves in
// the same order and returns an error that is ErrRestart. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	public, admin, err := s.open(ctx)
	if err != nil {
		return err
	}
	// Requests live on after ctx ends; what bounds them is the drain.
	work, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	api := s.apiServer(work)
	operator := s.adminServer(work)

	var running sync.WaitGroup
	failed := make(chan error, 2)
	serve := func(srv *http.Server, l net.Listener, what string) (ended chan struct{}) {
		ended = make(chan struct{})
		running.Go(func() {
			defer close(ended)
			// A listener closed by the drain is an end; any other error is a failure.
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.stage.Load() < stageClosed {
				failed <- fmt.Errorf("serve %s: %w", what, err)
			}
		})
		return ended
	}
	bounded := newListener(public, s.cfg.MaxConnections)
	bounded.slack = s.cfg.deadlineSlack()
	s.conns.Store(bounded)
	accepting := serve(api, bounded, "the API")
	if admin != nil {
		serve(operator, admin, "the admin listener")
	}
	background, stop := context.WithCancel(work)
	running.Go(func() { _ = s.limits.limiter.Run(background) }) // returns nil when background ends
	running.Go(func() { s.watchDatabase(background) })
	if keeper, ok := s.identity.(interface{ Run(context.Context) error }); ok {
		running.Go(func() { _ = keeper.Run(background) }) // keeps the keys of tokens fresh; nil likewise
	}
	if s.deps.Memory != nil {
		running.Go(func() { _ = s.deps.Memory.Run(background) }) // nil likewise; goes on during a drain
	}
	if s.deps.Ready != nil {
		s.deps.Ready(s.Addrs())
	}

	var result error
	leave := departure{api: api, listener: bounded, accepting: accepting, cut: cut, operator: operator, admin: admin}
	select {
	case <-ctx.Done():
		result = s.drain(ctx, leave)
	case <-s.handOver():
		s.restarting.Store(true)
		result = s.drain(ctx, leave)
		if ctx.Err() == nil { // who was told to stop meanwhile shall not be started again
			result = errors.Join(fmt.Errorf("%w: %s", ErrRestart, s.deps.Memory.State().Reason), result)
		}
	case result = <-failed:
		s.stage.Store(stageStopped)
		cut(result)
		result = errors.Join(result, api.Close())
	}
	s.stage.Store(stageStopped)
	stop()
	result = errors.Join(result, operator.Close())
	running.Wait()
	return result
}

// open opens the listeners, both or none.
func (s *Server) open(ctx context.Context) (public, admin net.Listener, err error) {
	var listen net.ListenConfig
	if public = s.deps.Listener; public == nil {
		if public, err = listen.Listen(ctx, "tcp", s.cfg.Listen); err != nil {
			return nil, nil, fmt.Errorf("open the API's listener (--listen): %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.public = public.Addr()
	if admin = s.deps.AdminListener; admin == nil {
		if s.cfg.AdminListen == "" {
			return public, nil, nil
		}
		if admin, err = listen.Listen(ctx, "tcp", s.cfg.AdminListen); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("open the admin listener (--admin-listen): %w", err), public.Close())
		}
	}
	s.admin = admin.Addr()
	return public, admin, nil
}

// connections is the number of open connections of the API.
func (s *Server) connections() int64 {
	if l := s.conns.Load(); l != nil {
		return l.open.Load()
	}
	return 0
}

func (s *Server) apiServer(work context.Context) *http.Server {
	return &http.Server{
		Handler:           s.engine,
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.WriteTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // clients' faults
		BaseContext:       func(net.Listener) context.Context { return work },
		ConnContext:       withConn,
		// OPTIONS * is the router's, like any other request.
		DisableGeneralOptionsHandler: true,
	}
}
