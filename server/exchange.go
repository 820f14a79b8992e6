package server

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// An exchange is what the server knows of one request while it runs, and the context of it. It
// is not pooled: a search that others joined may count statements in db after its own client has left.
type exchange struct {
	requestContext
	start time.Time
	route *routeStats
	conn  *conn // nil when the server does not own the connection
	db    store.RequestStats
	named store.Request // what the store knows of it: db, and its id

	client string // key of the client's address
	owner  string // who the caller is; "" is the shared library alone

	// Spent in Deps.Answerer, which may wait for another service, and in writing to the client of a stream.
	answering time.Duration

	status int    // set when it differs from the one written: statusClientGone, or that of a stream that failed
	code   string // of a refusal
	err    error  // cause of a 5xx

	length [1]string // the list of Content-Length

	span *trace.Span // nil while nobody traces
}

// field adds a field to the head of the answer, and is for those that net/http does not have to
// know. They go straight into the connection's next head, where the map of the handlers neither
// shows nor replaces them; without a connection they go into the map h.
func (x *exchange) field(h http.Header, name, value string) {
	if x.conn != nil {
		x.conn.addField(name, value)
		return
	}
	h[name] = []string{value}
}

type exchangeKey struct{}

// Value makes the exchange, and what the store knows of it, found in every context derived from it.
func (x *exchange) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return x
	case store.RequestKey:
		return &x.named
	case pool.KindKey:
		return x.route.kind
	case trace.Key:
		return x.span
	}
	return x.requestContext.Value(key)
}

func exchangeOf(c *gin.Context) *exchange {
	return c.Request.Context().Value(exchangeKey{}).(*exchange)
}

// scope is what the caller may read.
func (x *exchange) scope() store.Scope { return store.Scope{Owner: x.owner} }

// closeConnection is shared between requests: net/http only reads it.
var closeConnection = []string{"close"}

const (
	noSniff = "nosniff"
	noStore = "no-store"
	// The API has nothing a browser should render, run or frame.
	closedPolicy = "default-src 'none'; frame-ancestors 'none'"
)

// begin gives a request its exchange and its standing headers, and counts it when it ends.
func (s *Server) begin(route *routeStats) gin.HandlerFunc {
	return func(c *gin.Context) {
		r := c.Request
		x := &exchange{start: time.Now(), route: route}
		x.requestContext = requestContext{parent: r.Context(), deadline: x.start.Add(route.timeout)}
		defer x.stop()
		x.named = store.Request{Stats: &x.db, ID: requestID(r.Header)}
		if s.deps.Tracer != nil {
			s.beginSpan(r, x)
		}
		c.Request = r.WithContext(x)
		if x.conn, _ = r.Context().Value(connKey{}).(*conn); x.conn != nil {
			x.conn.fields, x.conn.body = x.conn.fields[:0], 0
		}
		h := c.Writer.Header()
		x.field(h, "X-Request-Id", x.named.ID)
		if !route.page { // whose own headers say these, unless it is refused
			x.field(h, "X-Content-Type-Options", noSniff)
			x.field(h, "Cache-Control", noStore)
			x.field(h, "Content-Security-Policy", closedPolicy)
		}
		if s.stage.Load() >= stageClosed {
			h["Connection"] = closeConnection
		}
		route.inFlight.Add(1)
		s.inFlight.begin()
		defer s.end(c, x)
		c.Next()
	}
}

// end runs when the answer is written, or when the chain panicked.
func (s *Server) end(c *gin.Context, x *exchange) {
	status := c.Writer.Status()
	if x.status != 0 {
		status = x.status
	}
	elapsed := time.Since(x.start)
	x.route.inFlight.Add(-1)
	x.route.count(status, elapsed, &x.db)
	if x.route.kind != healthKind {
		s.tally.count(x.route, status, x.code, elapsed)
	}
	if m := x.route.metrics; m != nil {
		m.count(c.Request.Method, status, elapsed, x.db.Statements.Load(), x.named.ID)
	}
	if x.span != nil {
		x.endSpan(status)
	}
	s.logExchange(c, x, status, elapsed)
	s.inFlight.end()
}

// recover answers 500 to a panic. Once bytes are written there is no honest status left:
// it lets net/http cut the connection, because a clean end would look like a whole answer.
func (s *Server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler)
		}
		x := exchangeOf(c)
		x.route.panics.Add(1)
		log := s.log
		if x.span != nil {
			log = log.With("trace_id", x.span.TraceID())
		}
		log.Error("handler panicked", "request_id", x.named.ID, "route", x.route.name(), "panic", p, "stack", string(debug.Stack()))
		if c.Writer.Written() {
			panic(http.ErrAbortHandler)
		}
		s.fail(c, errPanicked)
	}()
	c.Next()
}

// logExchange writes the line of a request: every request when the access log is on, else
// failures of our own and slow ones, at most slowLines per second of those. Requests that were
// shed are counted by the route statistics alone: an overload is no reason to write more.
func (s *Server) logExchange(c *gin.Context, x *exchange, status int, elapsed time.Duration) {
	failed := status == http.StatusInternalServerError || status == http.StatusServiceUnavailable && pool.NotAnswered(x.err)
	slow := s.cfg.SlowRequest > 0 && elapsed-x.answering >= s.cfg.SlowRequest && status != http.StatusServiceUnavailable
	level, message := slog.LevelInfo, "request"
	switch {
	case failed:
		level, message = slog.LevelError, "request failed"
	case slow:
		level, message = slog.LevelWarn, "slow request"
	}
	suppressed := int64(0)
	if !s.cfg.AccessLog {
		if !failed && !slow {
			return
		}
		var ok bool
		if suppressed, ok = s.lines.admit(time.Now()); !ok {
			return
		}
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.named.ID),
		slog.String("route", x.route.name()),
		slog.Int("status", status),
		slog.Float64("elapsed_ms", float64(elapsed.Microseconds())/1000),
		slog.Int64("statements", x.db.Statements.Load()),
		slog.Float64("acquire_wait_ms", float64(x.db.AcquireWaitNs.Load())/1e6),
		slog.Int("bytes", max(c.Writer.Size(), 0)),
		slog.String("client", x.client),
	}
	if x.span != nil {
		attrs = append(attrs, slog.String("trace_id", x.span.TraceID()))
	}
	if x.answering > 0 {
		attrs = append(attrs, slog.Int64("answering_ms", x.answering.Milliseconds()))
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	if x.err != nil {
		attrs = append(attrs, slog.Any("error", x.err))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64("suppressed", suppressed))
	}
	s.log.LogAttrs(c.Request.Context(), level, message, attrs...)
}

// maxRequestID bounds an accepted X-Request-Id, which is written to every log line of its request.
const maxRequestID = 128

// requestID takes the caller's id when it is one that can stand in a log and a header
// unquoted, else makes one of 64 random bits.
func requestID(h http.Header) string {
	if v := h["X-Request-Id"]; len(v) == 1 && saneID(v[0]) {
		return v[0]
	}
	var raw [8]byte
	var text [16]byte
	binary.BigEndian.PutUint64(raw[:], rand.Uint64())
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

func saneID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '-', b == '_', b == '.', b == ':', b == '/', b == '+', b == '=', b == '@':
		default:
			return false
		}
	}
	return true
}
