package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Header values are shared between requests: net/http only reads them.
var (
	jsonType = []string{"application/json; charset=utf-8"}
	yamlType = []string{"application/yaml; charset=utf-8"}

	staleAnswer = []string{"true"}
)

// buffers hold answers while they are encoded, so that a value that cannot be encoded
// becomes a 500 and not half an answer. A large one is left to the collector.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBuffer = 1 << 20

// answer writes v as JSON.
func (s *Server) answer(c *gin.Context, status int, v any) {
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		s.fail(c, err)
		return
	}
	s.answerBytes(c, status, jsonType, buf.Bytes())
}

func release(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooledBuffer {
		buf.Reset()
		buffers.Put(buf)
	}
}

// answerBytes writes a whole body with its length, so that the client can tell a cut
// answer from a complete one.
func (s *Server) answerBytes(c *gin.Context, status int, contentType []string, body []byte) {
	h := c.Writer.Header()
	h["Content-Type"] = contentType
	x := exchangeOf(c)
	x.length[0] = strconv.Itoa(len(body))
	h["Content-Length"] = x.length[:]
	x.field(h, "X-Tomehub-Statements", strconv.FormatInt(x.db.Statements.Load(), 10))
	if x.db.Stale.Load() {
		h["X-Tomehub-Stale"] = staleAnswer
	}
	if x.conn != nil && c.Request.Method != http.MethodHead {
		x.conn.body = len(body)
	}
	c.Status(status)
	// A write fails only when the client is gone; the next read of its connection says so too.
	_, _ = c.Writer.Write(body)
}

type errorBody struct {
	Error     string `json:"error"`
	Detail    string `json:"detail"`
	RequestID string `json:"request_id"`
}

// limitBody is the plan's answer to a client that exceeds its rate (A3).
type limitBody struct {
	Error      string `json:"error"`
	Detail     string `json:"detail"`
	RetryAfter int    `json:"retry_after"` // seconds
}

// fail answers err and ends the chain of handlers.
func (s *Server) fail(c *gin.Context, err error) {
	c.Abort()
	x := exchangeOf(c)
	r := s.refusalFor(c.Request.Context(), err)
	if r == nil {
		x.status = statusClientGone
		// Returning would have net/http send an empty 200, which a client that closed
		// only its sending side would read as an answer.
		panic(http.ErrAbortHandler)
	}
	x.code = r.code
	if r.status >= http.StatusInternalServerError {
		x.err = err
	}
	h := c.Writer.Header()
	retry := int((r.retryAfter + time.Second - 1) / time.Second)
	if retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(retry)}
	}
	if r.challenge != "" {
		h["Www-Authenticate"] = []string{r.challenge}
	}
	if r.closes {
		h["Connection"] = closeConnection
	}
	if x.route.page { // the other routes have them from the beginning
		h["X-Content-Type-Options"], h["Cache-Control"], h["Content-Security-Policy"] = []string{noSniff}, []string{noStore}, []string{closedPolicy}
	}
	if r.status == http.StatusTooManyRequests {
		s.answer(c, r.status, limitBody{Error: "Rate limit exceeded", Detail: r.detail, RetryAfter: retry})
		return
	}
	s.answer(c, r.status, errorBody{Error: r.code, Detail: r.detail, RequestID: x.named.ID})
}

var errPanicked = errors.New("handler panicked")
