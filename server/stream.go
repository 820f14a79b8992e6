package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/limit"
	"github.com/tomehub/tomehub/server/trace"
)

// The statuses of a stream's records, which are the plan's. The first record is chunks_loaded
// and the last one is complete or error; a stream that ends with another one was cut.
const (
	streamLoaded   = "chunks_loaded"
	streamAnswer   = "answer"
	streamComplete = "complete"
	streamError    = "error"
)

type answerRecord struct {
	Status     string        `json:"status"`
	Text       string        `json:"text"`
	PassageIDs []int64       `json:"passage_ids"`
	Restart    bool          `json:"restart,omitempty"` // what came before is void
	Reason     answer.Reason `json:"reason,omitempty"`  // of a restart
}

type completeRecord struct {
	Status          string         `json:"status"`
	Answer          *answer.Result `json:"answer,omitempty"`
	ExecutionTimeMS float64        `json:"execution_time_ms"`
}

type errorRecord struct {
	Status string `json:"status"`
	errorBody
}

// stream answers GET and POST /api/search/stream: a search whose matches come at once and whose
// answer comes as it is written, a JSON record in each line. What fails before the first record
// is an answer with a status, as of any route.
func (s *Server) stream(c *gin.Context) {
	if s.stage.Load() >= stageClosed && !s.handed.Load() {
		s.fail(c, refuseLeaving())
		return
	}
	if r := s.pressure(); r != nil {
		s.fail(c, r)
		return
	}
	req, err := s.decodeSearch(c.Writer, c.Request, true)
	if err != nil {
		s.fail(c, err)
		return
	}
	x := exchangeOf(c)
	if c.Request.Method == http.MethodHead {
		s.beginStream(c)
		return
	}
	asked := time.Now()
	leave, err := s.streams.enter(c.Request.Context(), limit.UserKey(x.owner, x.client))
	x.span.Record("wait for stream slot", trace.Internal, time.Since(asked), s.failure(c.Request.Context(), err))
	if err != nil {
		s.fail(c, err)
		return
	}
	defer leave()
	result, err := s.searchForStream(c, req)
	if err != nil {
		if r := s.streamCut(c.Request.Context()); r != nil {
			err = r
		}
		s.fail(c, err)
		return
	}
	x.found(result)
	s.pour(c, req, result)
}

// searchForStream searches under the deadline of any search.
func (s *Server) searchForStream(c *gin.Context, req searchRequest) (library.SearchResult, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.cfg.RequestTimeout)
	defer cancel()
	asked := req.SearchRequest
	asked.IncludeDetails = asked.IncludeDetails || req.answer
	return s.lib.Search(ctx, exchangeOf(c).scope(), asked)
}

// pour writes the records. It returns when the last one is written; a stream that cannot have
// one is cut, so that no client takes it for whole.
func (s *Server) pour(c *gin.Context, req searchRequest, result library.SearchResult) {
	x := exchangeOf(c)
	out := s.beginStream(c)
	s.streams.counts.started.Add(1)
	panicked := true
	defer func() {
		if panicked {
			s.streams.counts.failed.Add(1)
		}
	}()
	begun := time.Now()
	last := completeRecord{Status: streamComplete}
	err := out.matches(req, result)
	if err == nil && req.answer {
		var answered answer.Result
		answered, err = s.drawAnswer(c.Request.Context(), answerRequest(req.Query, result), out.piece)
		last.Answer = &answered
	}
	x.answering = time.Since(begun)
	if err == nil {
		last.ExecutionTimeMS = float64(time.Since(x.start).Microseconds()) / 1000
		err = out.record(last)
	}
	panicked = false
	if err == nil {
		s.streams.counts.completed.Add(1)
		out.whole()
		return
	}
	s.endFailed(c, out, err)
}

// endFailed ends a stream with an error record, or cuts it when none can be written.
func (s *Server) endFailed(c *gin.Context, out *outlet, err error) {
	x := exchangeOf(c)
	if out.err == nil {
		r := s.streamCut(c.Request.Context())
		if r == nil {
			r = s.refusalFor(c.Request.Context(), err)
		}
		if r != nil { // else the client is gone
			x.status, x.code = r.status, r.code
			if r.status >= http.StatusInternalServerError {
				x.err = err
			}
			if out.record(errorRecord{streamError, errorBody{Error: r.code, Detail: r.detail, RequestID: x.named.ID}}) == nil {
				s.streams.counts.failed.Add(1)
				out.whole()
				return
			}
		}
	}
	if errors.Is(out.err, os.ErrDeadlineExceeded) {
		s.streams.counts.stalled.Add(1)
	} else {
		s.streams.counts.gone.Add(1)
	}
	x.status = statusClientGone
	panic(http.ErrAbortHandler)
}

// streamCut says why the server has ended the context of a stream, if it has.
func (s *Server) streamCut(ctx context.Context) *refusal {
	switch {
	case errors.Is(context.Cause(ctx), errDrained):
		return refuseLeaving()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return refuse(http.StatusGatewayTimeout, "deadline_exceeded", "the stream took longer than this server allows one (--stream-timeout %v)", s.cfg.StreamTimeout)
	}
	return nil
}

// An outlet writes the records of one stream.
type outlet struct {
	to      gin.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	buf     bytes.Buffer // of a small record; the pooled ones may be large, and a stalled client keeps it
	err     error        // of writing: the client is gone, or does not read
	whole   func()       // says that the last record is written
}

var (
	ndjsonType  = []string{"application/x-ndjson"}
	notBuffered = []string{"no"} // by nginx, which would keep the records together
)

// beginStream writes the head.
func (s *Server) beginStream(c *gin.Context) *outlet {
	x, h := exchangeOf(c), c.Writer.Header()
	h["Content-Type"], h["X-Accel-Buffering"] = ndjsonType, notBuffered
	x.field(h, "X-Tomehub-Statements", strconv.FormatInt(x.db.Statements.Load(), 10))
	if x.db.Stale.Load() {
		h["X-Tomehub-Stale"] = staleAnswer
	}
	out := &outlet{to: c.Writer, timeout: s.cfg.Streams.WriteTimeout, whole: func() {}}
	// gin's own Flush has no error.
	under := http.ResponseWriter(c.Writer)
	if w, ok := under.(interface{ Unwrap() http.ResponseWriter }); ok {
		under = w.Unwrap()
	}
	out.control = http.NewResponseController(under)
	if x.conn != nil {
		out.whole = x.conn.streaming()
	}
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	return out
}

// matches writes the first record: the status, the count, and the fields of a search's answer.
// Without details, the ones that the answer is drawn from are left out.
func (o *outlet) matches(req searchRequest, result library.SearchResult) error {
	if !req.IncludeDetails && req.answer {
		result = result.WithoutDetails()
	}
	head, list, rest, err := result.JSONParts()
	if err != nil {
		return err
	}
	o.buf.Reset()
	o.buf.WriteString(`{"status":"` + streamLoaded + `","count":`)
	o.buf.WriteString(strconv.Itoa(len(result.Results)))
	o.buf.WriteByte(',')
	o.buf.Write(head[1:])
	return o.send(o.buf.Bytes(), list, append(rest, '\n'))
}

// piece writes a piece of the answer.
func (o *outlet) piece(p answer.Piece) error {
	ids := p.PassageIDs
	if ids == nil {
		ids = []int64{}
	}
	return o.record(answerRecord{Status: streamAnswer, Text: p.Text, PassageIDs: ids, Restart: p.Restart, Reason: p.Reason})
}

// record writes v as a line.
func (o *outlet) record(v any) error {
	o.buf.Reset()
	enc := json.NewEncoder(&o.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return o.send(o.buf.Bytes())
}

// portion is what a client must take within the write timeout; a record has one or more.
const portion = 32 << 10

// send writes a record and flushes it.
func (o *outlet) send(parts ...[]byte) error {
	for _, part := range parts {
		for len(part) > 0 && o.err == nil {
			n := min(len(part), portion)
			o.move()
			_, o.err = o.to.Write(part[:n])
			part = part[n:]
		}
	}
	if o.err == nil {
		o.err = o.control.Flush()
	}
	return o.err
}

// move gives the client another write timeout. A recorder in a test has no deadline to move.
func (o *outlet) move() { _ = o.control.SetWriteDeadline(time.Now().Add(o.timeout)) }
