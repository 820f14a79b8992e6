package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// refusal is an answer that is not the one asked for: a status, a code that clients may
// branch on and that never changes, and a sentence for people.
type refusal struct {
	status     int
	code       string
	detail     string
	retryAfter time.Duration // 0 sends no Retry-After
	challenge  string        // of a 401: WWW-Authenticate
	closes     bool          // the connection ends with the answer: its body was not read
}

func (r *refusal) Error() string { return r.code + ": " + r.detail }

// refuse makes a refusal from a code and a sentence.
func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, detail: fmt.Sprintf(format, args...)}
}

// badRequest is the refusal of something the client wrote.
func badRequest(code, format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, code, format, args...)
}

// errClientGone stands for a request whose client left or whose connection the server is
// closing: there is nobody to answer.
var errClientGone = errors.New("client gone")

// statusClientGone is how such a request is counted; it is never sent.
const statusClientGone = 499

// poolRetry is the Retry-After of a request shed for want of a connection. Slots turn over
// in less than a second, so waiting longer would only idle the server.
const poolRetry = time.Second

// ingestRetry is that of a book that finds too many others being read; one takes seconds.
const ingestRetry = 5 * time.Second

// refusalFor is the only place where an error becomes a status. A nil refusal means that the
// client is gone. Faults of our own are 500s whose cause goes to the log, never to the client.
func (s *Server) refusalFor(ctx context.Context, err error) *refusal {
	// Before the context: net/http cancels it, too, when a body does not arrive in time.
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	// A deadline of ours reads DeadlineExceeded instead.
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, errClientGone) {
		return nil
	}
	if r := refusalOfInput(err); r != nil {
		return r
	}
	if e, ok := errors.AsType[*identity.Error](err); ok {
		r := refuse(e.Status(), string(e.Code), "%s", e.Message)
		r.retryAfter, r.challenge = e.RetryAfter, e.Challenge()
		return r
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return refuse(http.StatusNotFound, "not_found", "there is nothing with this id in the shared library or in your own")
	case errors.Is(err, library.ErrNotYours):
		return refuse(http.StatusForbidden, "not_yours", "this book is in the shared library, which you can read but not change: only books of your own can be deleted")
	case errors.Is(err, pool.ErrExhausted):
		r := refuse(http.StatusServiceUnavailable, "pool_exhausted", "%s", acquireDetail(err))
		r.retryAfter = poolRetry
		return r
	case errors.Is(err, pool.ErrUnavailable):
		r := refuse(http.StatusServiceUnavailable, "database_unavailable", "the database does not answer, and this was not asked before: %s", breakerDetail(err))
		r.retryAfter = breakerRetry(err)
		return r
	case errors.Is(err, pool.ErrClosed):
		r := refuse(http.StatusServiceUnavailable, "draining", "the server is closing its database; ask again, another one will answer")
		r.retryAfter = poolRetry
		return r
	case pool.NotAnswered(err): // before the deadlines, which the net package's timeouts match
		r := refuse(http.StatusServiceUnavailable, "database_unavailable", "the database could not be asked, or broke off: ask again in a moment")
		r.retryAfter = poolRetry
		return r
	case pool.IsConflict(err):
		r := refuse(http.StatusServiceUnavailable, "database_busy", "another change was in the way of this one, which was undone: ask again in a moment")
		r.retryAfter = poolRetry
		return r
	case errors.Is(err, pool.ErrQueryTimeout): // which matches DeadlineExceeded as well
		return refuse(http.StatusGatewayTimeout, "statement_timeout", "a statement of the database took longer than this server allows one (--statement-timeout)")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusGatewayTimeout, "deadline_exceeded", "the answer took longer than this server allows (--request-timeout %v; an ingest %v)", s.cfg.RequestTimeout, s.cfg.IngestTimeout)
	}
	return refuse(http.StatusInternalServerError, "internal", "the server failed; its log has the cause under this request id")
}

// refusalOfInput maps what the library says of a caller's input. What is wrong with a file is
// 422: the request was understood, its content cannot be a book.
func refusalOfInput(err error) *refusal {
	if in, ok := errors.AsType[*library.BadInput](err); ok {
		status := http.StatusBadRequest
		switch in.Code {
		case library.CodeFileTooLarge:
			status = http.StatusRequestEntityTooLarge
		case library.CodeFileUnsupported:
			status = http.StatusUnsupportedMediaType
		case library.CodeFileEmpty, library.CodeFileNotText, library.CodeArchiveBroken, library.CodeArchiveBomb, library.CodeNoText:
			status = http.StatusUnprocessableEntity
		}
		return refuse(status, in.Code, "%s", in.Message)
	}
	switch {
	case errors.Is(err, store.ErrNoTerms):
		return badRequest(library.CodeQueryNoWords, "the query has neither a letter nor a digit to search for")
	case errors.Is(err, store.ErrTooMany):
		return badRequest("too_many", "the request asks for more than one answer may hold (page_size and ids: at most %d)", store.MaxPageSize)
	case errors.Is(err, library.ErrBusy):
		r := refuse(http.StatusServiceUnavailable, "ingest_busy", "%s", busyDetail(err))
		r.retryAfter = ingestRetry
		return r
	}
	return nil
}

// acquireDetail says which bound of which pool was hit, without the path the error took.
func acquireDetail(err error) string {
	if e, ok := errors.AsType[*pool.AcquireError](err); ok {
		return e.Error()
	}
	return err.Error()
}

// busyDetail likewise says which bound on ingests was hit.
func busyDetail(err error) string {
	if e, ok := errors.AsType[*library.BusyError](err); ok {
		return e.Error() + "; try again later"
	}
	return err.Error()
}

// breakerDetail says which breaker is open and for how long.
func breakerDetail(err error) string {
	if e, ok := errors.AsType[*breaker.OpenError](err); ok {
		return e.Error()
	}
	return "it is asked again in a moment"
}

// breakerRetry is when an open breaker lets the first probes through.
func breakerRetry(err error) time.Duration {
	if e, ok := errors.AsType[*breaker.OpenError](err); ok {
		return max(e.RetryAfter, poolRetry)
	}
	return poolRetry
}
