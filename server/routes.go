package server

import (
	_ "embed"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/limit"
)

//go:embed openapi.yaml
var openAPI []byte

const (
	ingestPath = "/api/ingest"
	streamPath = "/api/search/stream"
)

// quietGin sets gin's one process-wide switch, without which it prints its routes to stdout.
var quietGin = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// buildRoutes makes the route table. Every handler chain stands whole at its route: what a
// request passes through is what is written here.
func (s *Server) buildRoutes() {
	quietGin()
	e := gin.New()
	e.RedirectTrailingSlash = false // a redirect loses the body of a POST in most clients
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = false // limit.ClientKey tells clients apart
	_ = e.SetTrustedProxies(nil)  // nil cannot be malformed
	s.engine = e

	s.open_(http.MethodGet, "/api/health", s.health)
	s.open_(http.MethodGet, "/api/health/live", s.live)
	s.open_(http.MethodGet, "/api/health/ready", s.ready)
	s.open_(http.MethodGet, "/api/health/pools", s.pools)
	s.open_(http.MethodGet, "/api/health/cache", s.cache)
	s.open_(http.MethodGet, "/api/health/streams", s.streamHealth)
	s.open_(http.MethodGet, "/api/health/circuit-breaker", s.breakers)
	s.open_(http.MethodGet, "/api/health/memory", s.memory)
	s.open_(http.MethodGet, "/api/health/restart", s.restart)
	s.limited("", http.MethodGet, "/api/openapi.yaml", nil, s.describe)
	s.limited("search", http.MethodGet, "/api/search", &s.limits.search, s.search)
	s.limited("search", http.MethodPost, "/api/search", &s.limits.search, s.search)
	s.limited("stream", http.MethodGet, streamPath, &s.limits.search, s.stream)
	s.limited("stream", http.MethodPost, streamPath, &s.limits.search, s.stream)
	s.limited("content", http.MethodGet, "/api/content/:id", nil, s.content)
	s.limited("batch", http.MethodPost, "/api/content/batch", nil, s.batch)
	s.limited("books", http.MethodGet, "/api/books", nil, s.books)
	s.limited("books", http.MethodGet, "/api/books/:id", nil, s.book)
	s.limited("delete", http.MethodDelete, "/api/books/:id", nil, s.deleteBook)
	s.limited("ingest", http.MethodPost, ingestPath, &s.limits.ingest, s.ingest)

	s.routeSearchPage()

	var list []string
	for _, r := range s.routes {
		list = append(list, r.name())
	}
	s.listing = strings.Join(list, ", ")
	e.NoRoute(s.chain(s.count("", "*", "unknown path"), s.admit(nil), s.noRoute)...)
	e.NoMethod(s.chain(s.count("", "*", "unknown method"), s.preflight, s.admit(nil), s.noMethod)...)
}

func (s *Server) count(kind, method, path string) *routeStats {
	r := &routeStats{method: method, path: path, kind: kind, timeout: s.cfg.RequestTimeout}
	switch path {
	case ingestPath:
		r.timeout = s.cfg.IngestTimeout
	case streamPath:
		r.timeout = s.cfg.StreamTimeout
	default:
		r.timed = kind != "" && kind != healthKind
	}
	if s.deps.Metrics != nil {
		r.metrics = s.deps.Metrics.route(path, method)
	}
	s.routes = append(s.routes, r)
	return r
}

func (s *Server) chain(r *routeStats, handlers ...gin.HandlerFunc) []gin.HandlerFunc {
	return append([]gin.HandlerFunc{s.begin(r), s.recover, s.crossOrigin}, handlers...)
}

// open_ adds a health route: no identity and no limits, and it is answered while draining.
func (s *Server) open_(method, path string, h gin.HandlerFunc) {
	s.add(method, path, s.chain(s.count(healthKind, method, path), h))
}

// limited adds a route that needs an identity and counts against rates: the general ones,
// and perUser if there is one. The kind is what an Oracle database shows its statements to be for.
func (s *Server) limited(kind, method, path string, perUser *limit.Rule, h gin.HandlerFunc) {
	s.add(method, path, s.chain(s.count(kind, method, path), s.draining, s.admit(perUser), h))
}

// add registers a route; whatever answers GET answers HEAD, for which net/http drops the body.
func (s *Server) add(method, path string, chain []gin.HandlerFunc) {
	s.engine.Handle(method, path, chain...)
	if method == http.MethodGet {
		s.engine.Handle(http.MethodHead, path, chain...)
	}
}

// draining refuses what arrives after the drain's grace.
func (s *Server) draining(c *gin.Context) {
	if s.stage.Load() >= stageStopped {
		s.fail(c, refuseLeaving())
	}
}

// refuseLeaving is the refusal of a server that drains.
func refuseLeaving() *refusal {
	r := refuse(http.StatusServiceUnavailable, "draining", "this server is leaving: ask again, another one will answer")
	r.retryAfter, r.closes = poolRetry, true
	return r
}

func (s *Server) noRoute(c *gin.Context) {
	hint := ""
	if path := c.Request.URL.Path; len(path) > 1 && strings.HasSuffix(path, "/") {
		hint = " (without the slash at the end)"
	}
	s.fail(c, refuse(http.StatusNotFound, "no_such_route", "there is nothing at %s%s; this server has %s", quoted(c.Request.URL.Path), hint, s.listing))
}

func (s *Server) noMethod(c *gin.Context) {
	s.fail(c, refuse(http.StatusMethodNotAllowed, "method_not_allowed", "%s is not possible at %s, only %s; this server has %s",
		quoted(c.Request.Method), quoted(c.Request.URL.Path), c.Writer.Header().Get("Allow"), s.listing))
}

// describe answers GET /api/openapi.yaml.
func (s *Server) describe(c *gin.Context) { s.answerBytes(c, http.StatusOK, yamlType, openAPI) }
