package trace

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Kind is how a span stands to other services.
type Kind uint8

// The kinds, with OTLP's numbers.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
)

// Bounds of one span. What is beyond them is left out.
const (
	maxAttrs  = 64
	maxEvents = 32
	maxLinks  = 32
)

// An Attr is a fact about a span. Make it with String, Int, Float or Bool.
type Attr struct {
	Key   string
	value any // string, int64, float64 or bool
}

// String, Int, Float and Bool make attributes.
func String(key, value string) Attr        { return Attr{key, value} }
func Int(key string, value int64) Attr     { return Attr{key, value} }
func Float(key string, value float64) Attr { return Attr{key, value} }
func Bool(key string, value bool) Attr     { return Attr{key, value} }

// An event is something that happened at one moment of a span.
type event struct {
	name  string
	at    time.Time
	attrs []Attr
}

// Span is one piece of work. Its methods may be called by several goroutines, and on nil, where they do nothing. After
// End nothing changes it.
type Span struct {
	tracer *Tracer
	at     SpanContext
	parent SpanID
	remote bool // the parent is another service's
	kind   Kind
	name   string
	start  time.Time

	mu     sync.Mutex // guards the fields below until ended
	attrs  []Attr
	events []event
	links  []SpanContext
	failed bool
	why    string // with failed
	ended  bool
	end    time.Time
}

type spanKey struct{}

// Key is the key under which a context carries its *Span.
var Key any = spanKey{}

// From returns the span that ctx belongs to, or nil.
func From(ctx context.Context) *Span {
	s, _ := ctx.Value(Key).(*Span)
	return s
}

// With returns a context that belongs to s.
func With(ctx context.Context, s *Span) context.Context {
	if s == nil {
		return ctx
	}
	return context.WithValue(ctx, Key, s)
}

// Recorded reports whether s will be sent, so that what is told of it is worth putting together.
func (s *Span) Recorded() bool { return s != nil && s.at.Sampled }

// Context is what others must know of s to refer to it.
func (s *Span) Context() SpanContext {
	if s == nil {
		return SpanContext{}
	}
	return s.at
}

// TraceID is the id of the trace in hexadecimal digits, "" of nil. Logs show it.
func (s *Span) TraceID() string {
	if s == nil {
		return ""
	}
	return s.at.Trace.String()
}

// Child begins a span below s. It is nil when s is not recorded.
func (s *Span) Child(name string, kind Kind) *Span { return s.childAt(name, kind, time.Now()) }

func (s *Span) childAt(name string, kind Kind, start time.Time) *Span {
	if !s.Recorded() {
		return nil
	}
	at := s.at
	at.Span = newSpanID()
	return &Span{tracer: s.tracer, at: at, parent: s.at.Span, kind: kind, name: name, start: start}
}

// Record adds a span below s that took so long and is over now. What it waited for has failed when failure is not "".
func (s *Span) Record(name string, kind Kind, took time.Duration, failure string, attrs ...Attr) {
	if !s.Recorded() {
		return
	}
	now := time.Now()
	c := s.childAt(name, kind, now.Add(-took))
	c.attrs, c.end, c.ended = attrs, now, true
	if failure != "" {
		c.failed = true
		c.attrs = append(c.attrs, String(errorType, failure))
	}
	s.tracer.put(c)
}

// errorType is the attribute by which failed spans are told apart.
const errorType = "error.type"

// change runs do unless s is not recorded or has ended.
func (s *Span) change(do func()) {
	if !s.Recorded() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		do()
	}
}

// Set adds attributes, at most 64 in all.
func (s *Span) Set(attrs ...Attr) {
	s.change(func() { s.attrs = append(s.attrs, attrs[:min(len(attrs), max(0, maxAttrs-len(s.attrs)))]...) })
}

// Event adds something that happens now, at most 32 in all.
func (s *Span) Event(name string, attrs ...Attr) {
	s.change(func() {
		if len(s.events) < maxEvents {
			s.events = append(s.events, event{name, time.Now(), attrs})
		}
	})
}

// Link refers to a span of another request, at most 32 in all; one that is not valid is left out.
func (s *Span) Link(to SpanContext) {
	s.change(func() {
		if to.Valid() && len(s.links) < maxLinks {
			s.links = append(s.links, to)
		}
	})
}

// Fail marks the work as failed: kind is one of few words, why is for people and holds nothing of a user's.
func (s *Span) Fail(kind, why string) {
	s.change(func() {
		s.failed, s.why = true, why
		s.attrs = append(s.attrs, String(errorType, kind))
	})
}

// End ends the work and sends the span. Calling it again does nothing.
func (s *Span) End() {
	if !s.Recorded() {
		return
	}
	s.mu.Lock()
	again := s.ended
	s.ended, s.end = true, time.Now()
	s.mu.Unlock()
	if !again {
		s.tracer.put(s)
	}
}

// Inject writes the fields by which a service that is called finds the span, recorded or not.
func (s *Span) Inject(h http.Header) {
	if s == nil || !s.tracer.cfg.Propagate {
		return
	}
	h[parentField] = []string{s.at.parent()}
	if s.at.State != "" {
		h[stateField] = []string{s.at.State}
	}
}
