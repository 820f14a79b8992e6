package server

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/limit"
)

// limits are the rules of A3 and what counts them.
type limits struct {
	limiter                       *limit.Limiter
	global, search, ingest, total limit.Rule
}

func newLimits(rates RateLimits, storage limit.Storage) (*limits, error) {
	if storage == nil {
		memory, err := limit.NewMemory(limit.MemoryConfig{})
		if err != nil {
			return nil, err
		}
		storage = memory
	}
	rule := func(name string, n int) limit.Rule {
		return limit.Rule{Name: name, Limit: n, Window: time.Minute, Setting: "RATE_LIMIT_" + upper[name]}
	}
	l := &limits{
		global: rule("global", rates.Global), search: rule("search", rates.Search),
		ingest: rule("ingest", rates.Ingest), total: rule("total", rates.Total),
	}
	var err error
	l.limiter, err = limit.New(limit.Config{Rules: []limit.Rule{l.global, l.search, l.ingest, l.total}, Storage: storage})
	return l, err
}

var upper = map[string]string{"global": "GLOBAL", "search": "SEARCH", "ingest": "INGEST", "total": "TOTAL"}

// admit finds out who asks, and lets the request through if every rate has room for it. A
// request whose identity is refused counts against its address all the same, so that guessing
// tokens is not free.
func (s *Server) admit(perUser *limit.Rule) gin.HandlerFunc {
	return func(c *gin.Context) {
		x := exchangeOf(c)
		x.client = s.clientOf(x, c.Request)
		caller, refused := s.identity.Identify(c.Request)
		charges := make([]limit.Charge, 2, limit.MaxCharges)
		charges[0] = limit.Charge{Rule: s.limits.global, Client: x.client}
		charges[1] = limit.Charge{Rule: s.limits.total}
		if refused == nil {
			x.owner = caller.Owner
			if perUser != nil {
				charges = append(charges, limit.Charge{Rule: *perUser, Client: limit.UserKey(x.owner, x.client)})
			}
		}
		if s.charge(c, x, charges) && refused != nil {
			s.fail(c, refused)
		}
	}
}

// admitAnyone counts the request against the general rates and asks nobody who they are.
func (s *Server) admitAnyone(c *gin.Context) {
	x := exchangeOf(c)
	x.client = s.clientOf(x, c.Request)
	s.charge(c, x, []limit.Charge{{Rule: s.limits.global, Client: x.client}, {Rule: s.limits.total}})
}

// charge tells whether every rate has room for the request. When one has none, it is refused.
func (s *Server) charge(c *gin.Context, x *exchange, charges []limit.Charge) bool {
	outcome := s.limits.limiter.Allow(c.Request.Context(), charges...)
	if x.conn != nil {
		x.conn.fields = limit.AppendFields(x.conn.fields, outcome.Decisions()...)
	} else {
		limit.WriteHeaders(c.Writer.Header(), outcome.Decisions()...)
	}
	d, over := outcome.Refusal()
	if over {
		s.fail(c, rateExceeded(d))
	}
	return !over
}

// clientOf names the client that a request comes from. Without proxies that is the same for
// all requests of a connection.
func (s *Server) clientOf(x *exchange, r *http.Request) string {
	if x.conn == nil || len(s.cfg.TrustedProxies) > 0 {
		return limit.ClientKey(r, s.cfg.TrustedProxies)
	}
	if x.conn.client == "" {
		x.conn.client = limit.ClientKey(r, nil)
	}
	return x.conn.client
}

// whose says on whose account a rule counts, in the words of its refusal.
var whose = map[string]string{
	"global": "requests from your address", "search": "searches of one user",
	"ingest": "ingests of one user", "total": "requests of all clients together",
}

func rateExceeded(d limit.Decision) error {
	r := refuse(http.StatusTooManyRequests, "rate_limited", "more than %d %s per minute (%s): wait %d s",
		d.Limit, whose[d.Rule.Name], d.Rule.Setting, limit.Seconds(d.RetryAfter))
	r.retryAfter = d.RetryAfter
	return r
}
