package server

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/trace"
)

// What a span says is named as in OpenTelemetry's conventions where they have a name. Nothing in it is a user's: no text,
// no path but the route's pattern, no address, no token.

// healthKind is the kind of the health routes. Probes come every few seconds and tell nothing of what users do.
const healthKind = "health"

// beginSpan begins the span of a request, below the caller's if there is one.
func (s *Server) beginSpan(r *http.Request, x *exchange) {
	if x.route.kind == any(healthKind) {
		return
	}
	method := r.Method
	if !slices.Contains(knownMethods, method) {
		method = methodOther
	}
	name, known := method, x.route.method != "*"
	if known {
		name += " " + x.route.path
	}
	x.span = s.deps.Tracer.Root(name, trace.Server, x.start, r.Header)
	if !x.span.Recorded() {
		return
	}
	x.span.Set(trace.String("http.request.method", method), trace.String("url.scheme", "http"), trace.String("tomehub.request_id", x.named.ID))
	if known {
		x.span.Set(trace.String("http.route", x.route.path))
	}
}

// endSpan says how the request ended. A 4xx is the client's failure and none of ours.
func (x *exchange) endSpan(status int) {
	if !x.span.Recorded() {
		return
	}
	x.span.Set(
		trace.Int("http.response.status_code", int64(status)), trace.Int("tomehub.statements", x.db.Statements.Load()),
		trace.Float("tomehub.acquire_wait_ms", float64(x.db.AcquireWaitNs.Load())/1e6),
	)
	if x.code != "" {
		x.span.Set(trace.String("tomehub.error_code", x.code))
	}
	if status >= http.StatusInternalServerError {
		kind := x.code
		if kind == "" {
			kind = strconv.Itoa(status)
		}
		x.span.Fail(kind, "")
	}
	x.span.End()
}

// found says how a search was answered.
func (x *exchange) found(r library.SearchResult) {
	if !x.span.Recorded() {
		return
	}
	x.span.Set(trace.Bool("tomehub.search.cache_hit", r.CacheHit), trace.String("tomehub.search.mode", string(r.Mode)),
		trace.Int("tomehub.search.matches", int64(r.TotalCount)))
}

// failure is the code of the refusal that err becomes, "" of nil.
func (s *Server) failure(ctx context.Context, err error) string {
	if err == nil {
		return ""
	}
	if r := s.refusalFor(ctx, err); r != nil {
		return r.code
	}
	return "client_gone"
}

// drawAnswer asks for an answer. Its span says when the first piece of it was handed out, and who wrote it.
func (s *Server) drawAnswer(ctx context.Context, r answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
	span := trace.From(ctx).Child("answer", trace.Internal)
	if span == nil {
		return s.answerer.Answer(ctx, r, emit)
	}
	defer span.End() // also when emit panics
	first, each := true, emit
	if emit != nil {
		each = func(p answer.Piece) error {
			if first {
				span.Event("first token")
				first = false
			}
			return emit(p)
		}
	}
	result, err := s.answerer.Answer(trace.With(ctx, span), r, each)
	span.Set(trace.Int("tomehub.answer.passages", int64(len(r.Passages))))
	if err != nil {
		span.Fail(s.failure(ctx, err), "")
		return result, err
	}
	span.Set(trace.String("tomehub.answer.source", string(result.Source)), trace.Bool("tomehub.answer.degraded", result.Degraded))
	if result.Reason != "" {
		span.Set(trace.String("tomehub.answer.reason", string(result.Reason)))
	}
	return result, nil
}

// SpanOfAcquire records how asking a pool for a slot ended; it fits pool.Config.Acquired.
func SpanOfAcquire(ctx context.Context, name, outcome string, waited time.Duration) {
	span := trace.From(ctx)
	if !span.Recorded() {
		return
	}
	failure := outcome
	if outcome == pool.Granted {
		failure = ""
	}
	span.Record("acquire "+name, trace.Internal, waited, failure,
		trace.String("db.client.connection.pool.name", name), trace.String("tomehub.pool.outcome", outcome))
}

// SpansOfStatements returns what records each statement; it fits store.Options.Executed. system is the database's name in
// OpenTelemetry's conventions, such as sqlite or oracle.db.
func SpansOfStatements(system string) func(context.Context, store.Execution) {
	return func(ctx context.Context, e store.Execution) {
		span := trace.From(ctx)
		if !span.Recorded() {
			return
		}
		failure := ""
		if e.Failed {
			failure = "_OTHER" // the request's span has the code
		}
		span.Record(e.Statement, trace.Client, e.Elapsed, failure,
			trace.String("db.system.name", system), trace.String("db.operation.name", e.Statement), trace.Int("db.response.returned_rows", e.Rows))
	}
}
