package server

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// cors lets pages of configured origins call the API. Closed (no origins) it sends nothing
// and refuses what a browser sends for a page of another origin: on a loopback address
// without authentication, any page the operator visits could otherwise write to the library.
type cors struct {
	origins []string
	all     bool
	guard   *http.CrossOriginProtection
}

func newCORS(origins []string) *cors {
	p := &cors{origins: origins, all: slices.Contains(origins, "*"), guard: http.NewCrossOriginProtection()}
	for _, o := range origins {
		if o != "*" {
			_ = p.guard.AddTrustedOrigin(o) // Config.Validate has checked its form
		}
	}
	return p
}

// allows tells whether pages of the origin may call the API.
func (p *cors) allows(origin string) bool { return p.all || slices.Contains(p.origins, origin) }

var (
	varyOrigin     = []string{"Origin"}
	corsMaxAge     = []string{"600"} // seconds; Chrome keeps a preflight two hours at most, Firefox a day
	requestHeaders = []string{"Authorization, Content-Type, X-Request-Id, X-Tomehub-User"}
	exposedHeaders = []string{"Location, RateLimit, RateLimit-Policy, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id, X-Tomehub-Statements"}
)

// crossOrigin guards the API against pages of origins that are not configured. Requests that
// no browser made carry neither Origin nor Sec-Fetch-Site and pass.
func (s *Server) crossOrigin(c *gin.Context) {
	r := c.Request
	if len(s.cors.origins) > 0 {
		c.Writer.Header()["Vary"] = varyOrigin
	}
	origin := r.Header["Origin"]
	if len(origin) == 1 && s.cors.allows(origin[0]) {
		h := c.Writer.Header()
		h["Access-Control-Allow-Origin"] = origin
		h["Access-Control-Expose-Headers"] = exposedHeaders
		return
	}
	if s.cors.all {
		return
	}
	if err := s.cors.guard.Check(r); err != nil {
		s.fail(c, refuse(http.StatusForbidden, "cross_origin", "a page of another origin may not do this (--cors-origins)"))
	}
}

// preflight answers OPTIONS: what may be done at a path, and by pages of which origin.
func (s *Server) preflight(c *gin.Context) {
	if c.Request.Method != http.MethodOptions {
		return
	}
	h := c.Writer.Header()
	if c.Request.Header.Get("Access-Control-Request-Method") != "" {
		if h["Access-Control-Allow-Origin"] == nil {
			s.fail(c, refuse(http.StatusForbidden, "cross_origin", "pages of origin %s may not call this server (--cors-origins)", quoted(c.Request.Header.Get("Origin"))))
			return
		}
		h["Access-Control-Allow-Methods"] = h["Allow"]
		h["Access-Control-Allow-Headers"] = requestHeaders
		h["Access-Control-Max-Age"] = corsMaxAge
	}
	c.Abort()
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}
