package trace

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
)

// TraceID names all spans of one trace, and SpanID one span. Of zeros they name nothing.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

func newTraceID() (t TraceID) {
	binary.BigEndian.PutUint64(t[:8], rand.Uint64())
	binary.BigEndian.PutUint64(t[8:], rand.Uint64()|1) // never all zeros
	return t
}

func newSpanID() (s SpanID) {
	for s == (SpanID{}) {
		binary.BigEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}

// SpanContext is what others must know of a span to refer to it. The zero SpanContext refers to none.
type SpanContext struct {
	Trace   TraceID
	Span    SpanID
	Sampled bool
	State   string // tracestate, which is passed on as it came
}

// Valid reports whether it refers to a span.
func (c SpanContext) Valid() bool { return c.Trace != TraceID{} && c.Span != SpanID{} }

// The fields of W3C Trace Context. The names are in the form that net/http has them in.
const (
	parentField = "Traceparent"
	stateField  = "Tracestate"
)

// maxState bounds a tracestate that is passed on, bytes: W3C asks for 512 at least. A longer one is left out.
const maxState = 512

// parentLength is that of version 00: 00-<trace id>-<span id>-<flags>.
const parentLength = 2 + 1 + 32 + 1 + 16 + 1 + 2

// Extract reads the caller's span from the headers of a request; one that is not valid by W3C Trace Context is none.
func Extract(h http.Header) SpanContext {
	v := h[parentField]
	if len(v) != 1 {
		return SpanContext{}
	}
	c, ok := parseParent(strings.TrimSpace(v[0]))
	if !ok {
		return SpanContext{}
	}
	c.State = joinedState(h[stateField])
	return c
}

// parseParent takes any version but ff: of those to come W3C promises that they begin as version 00 does.
func parseParent(s string) (c SpanContext, ok bool) {
	if len(s) < parentLength || s[2] != '-' || s[35] != '-' || s[52] != '-' || strings.ToLower(s) != s {
		return c, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		into []byte
		text string
	}{{version[:], s[:2]}, {c.Trace[:], s[3:35]}, {c.Span[:], s[36:52]}, {flags[:], s[53:55]}} {
		if _, err := hex.Decode(part.into, []byte(part.text)); err != nil {
			return SpanContext{}, false
		}
	}
	if version[0] == 0xff || version[0] == 0 && len(s) != parentLength || len(s) > parentLength && s[parentLength] != '-' {
		return SpanContext{}, false
	}
	c.Sampled = flags[0]&1 != 0
	return c, c.Valid()
}

// joinedState is the list of all tracestate fields, "" when it is too long or has what a header may not hold.
func joinedState(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	state := strings.Join(lines, ",")
	if len(state) > maxState {
		return ""
	}
	for i := range len(state) {
		if state[i] < ' ' || state[i] > '~' {
			return ""
		}
	}
	return state
}

// parent is the traceparent that refers to the span.
func (c SpanContext) parent() string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, parentLength)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, c.Trace[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, c.Span[:])
	b = append(b, '-', '0', digits[0])
	if c.Sampled {
		b[len(b)-1] = digits[1]
	}
	return string(b)
}
