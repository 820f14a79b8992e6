package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/limit"
	"github.com/tomehub/tomehub/server/page"
	"github.com/tomehub/tomehub/server/store"
)

// The admin listener has no authentication: it belongs on a private address. It has what an
// operator needs while the API is in trouble, so it shares no pool, limit or slot with it.

// adminSchema is the version of what the admin listener writes.
const adminSchema = 1

func (s *Server) adminServer(work context.Context) *http.Server {
	return &http.Server{
		Handler:           s.AdminHandler(),
		ReadHeaderTimeout: s.cfg.ReadHeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      10 * time.Minute, // a CPU profile or a trace takes as long as it was asked to
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return work },
	}
}

// AdminHandler returns the operator's routes without a listener, for tests and for embedding.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	operators := page.Ops()
	mux.Handle("GET /{$}", operators)
	mux.Handle("GET /page/", operators)
	mux.HandleFunc("GET /ops", s.adminOps)
	mux.HandleFunc("GET /metrics", s.adminMetrics)
	mux.HandleFunc("GET /statements", s.adminStatements)
	mux.HandleFunc("GET /routes", s.adminRoutes)
	mux.HandleFunc("GET /limits", s.adminLimits)
	mux.HandleFunc("GET /ingests", s.adminIngests)
	mux.HandleFunc("GET /circuit-breakers", s.adminBreakers)
	mux.HandleFunc("GET /memory", s.adminMemory)
	mux.HandleFunc("GET /health", s.adminHealth)
	mux.HandleFunc("GET /loglevel", s.adminLevel)
	mux.HandleFunc("PUT /loglevel", s.adminSetLevel)
	if s.deps.Lab != nil {
		mux.HandleFunc("GET /lab", s.adminLab)
		mux.HandleFunc("PUT /lab/fault/{fault}", s.adminPutFault)
		mux.HandleFunc("DELETE /lab/fault/{fault}", s.adminClearFault)
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.adminAnswer(w, http.StatusNotFound, errorBody{Error: "no_such_route",
			Detail: "the admin listener has GET / (a page), /ops, /metrics, /statements, /routes, /limits, /ingests, /circuit-breakers, /memory, /health and /debug/pprof/, GET and PUT /loglevel"})
	})
	// A page in the operator's browser must not change the log level.
	return s.onlyLocalHosts(http.NewCrossOriginProtection().Handler(mux))
}

func (s *Server) adminAnswer(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.log.Error("encode admin answer", "error", err)
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = jsonType, []string{noStore}, []string{noSniff}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only when the client is gone
}

// adminReport is what every report of the admin listener says of its origin.
type adminReport struct {
	SchemaVersion int       `json:"schema_version"`
	Server        string    `json:"server"`
	Phase         string    `json:"phase"`
	Lab           bool      `json:"lab,omitempty"` // it is a server for load tests
	StartedAt     time.Time `json:"started_at"`
	Now           time.Time `json:"now"`
}

func (s *Server) adminReport() adminReport {
	return adminReport{
		SchemaVersion: adminSchema, Server: "tomehub " + s.cfg.Version, Phase: s.cfg.Phase, Lab: s.deps.Lab != nil,
		StartedAt: s.started.UTC(), Now: time.Now().UTC(),
	}
}

// adminStatements shows what each statement has cost since the start; two of these, some time
// apart, are a profile.
func (s *Server) adminStatements(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		adminReport
		Statements []store.StatementStats `json:"statements"`
	}{s.adminReport(), []store.StatementStats{}}
	if s.deps.Statements != nil {
		out.Statements = s.deps.Statements()
	}
	s.adminAnswer(w, http.StatusOK, out)
}

// adminRoutes shows the requests of each route and the statements they ran.
func (s *Server) adminRoutes(w http.ResponseWriter, _ *http.Request) {
	out := struct {
		adminReport
		Connections    int64         `json:"connections"`
		MaxConnections int           `json:"max_connections"`
		Routes         []routeReport `json:"routes"`
	}{s.adminReport(), s.connections(), s.cfg.MaxConnections, nil}
	for _, r := range s.routes {
		out.Routes = append(out.Routes, r.report())
	}
	s.adminAnswer(w, http.StatusOK, out)
}

func (s *Server) adminLimits(w http.ResponseWriter, _ *http.Request) {
	s.adminAnswer(w, http.StatusOK, struct {
		adminReport
		Limits limit.Stats `json:"limits"`
	}{s.adminReport(), s.limits.limiter.Stats()})
}

// adminIngests shows the bound on the books in memory: its use, and refusals by reason.
func (s *Server) adminIngests(w http.ResponseWriter, _ *http.Request) {
	s.adminAnswer(w, http.StatusOK, struct {
		adminReport
		Ingests library.IngestStats `json:"ingests"`
	}{s.adminReport(), s.lib.IngestStats()})
}

// adminBreakers shows the circuit breakers with what failed last.
func (s *Server) adminBreakers(w http.ResponseWriter, _ *http.Request) {
	s.adminAnswer(w, http.StatusOK, struct {
		adminReport
		Breakers []breaker.Stats `json:"circuit_breakers"`
	}{s.adminReport(), s.breakerStats()})
}

func (s *Server) adminHealth(w http.ResponseWriter, r *http.Request) {
	out := struct {
		adminReport
		Status   string `json:"status"`
		Database string `json:"database"`
		InFlight int64  `json:"in_flight"`
	}{s.adminReport(), "ok", s.pinger.check(r.Context()), s.inFlight.now.Load()}
	status := http.StatusOK
	switch state := s.leaving(); {
	case state != "":
		out.Status = state
	case out.Database == dbDown:
		out.Status, status = "unavailable", http.StatusServiceUnavailable
	}
	s.adminAnswer(w, status, out)
}

type levelBody struct {
	Level string `json:"level"`
}

func (s *Server) adminLevel(w http.ResponseWriter, _ *http.Request) {
	if s.deps.Level == nil {
		s.adminAnswer(w, http.StatusNotFound, errorBody{Error: "no_log_level", Detail: "this server's log level cannot be changed while it runs"})
		return
	}
	s.adminAnswer(w, http.StatusOK, levelBody{strings.ToLower(s.deps.Level.Level().String())})
}

// adminSetLevel takes the level as {"level":"debug"}, as the bare word, or as ?level=debug.
func (s *Server) adminSetLevel(w http.ResponseWriter, r *http.Request) {
	if s.deps.Level == nil {
		s.adminLevel(w, r)
		return
	}
	name := r.URL.Query().Get("level")
	if name == "" {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
		if err != nil {
			s.adminAnswer(w, http.StatusBadRequest, errorBody{Error: "unreadable_body", Detail: err.Error()})
			return
		}
		var in levelBody
		if json.Unmarshal(body, &in) == nil {
			name = in.Level
		} else {
			name = strings.TrimSpace(string(body))
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		s.adminAnswer(w, http.StatusBadRequest, errorBody{Error: "bad_level", Detail: "the level is " + quoted(name) + ": want debug, info, warn or error"})
		return
	}
	old := s.deps.Level.Level()
	s.deps.Level.Set(level)
	s.log.Info("log level changed", "from", old.String(), "to", level.String())
	s.adminLevel(w, r)
}
