// Package trace tells an OpenTelemetry collector what one request went through: a span for the request, and
// below it one for each look into the cache, each wait for a connection, each statement.
//
// It is not OpenTelemetry's SDK but the part of it that a server needs, behind the same variables and on the same
// wire; docs/decisions/0030-traces.md says why. A nil *Tracer and a nil *Span do nothing, so that whoever is off
// pays for a comparison.
package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Bounds of the settings, as Validate holds them.
const (
	MaxQueue = 1 << 20
	MaxDelay = time.Hour
)

// Config says what is traced and how spans leave. Start from DefaultConfig.
type Config struct {
	Sampler Sampler

	Queue         int           // most finished spans that wait to be sent; more are dropped and counted (OTEL_BSP_MAX_QUEUE_SIZE)
	Batch         int           // most of them in one export, at most Queue (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)
	Delay         time.Duration // longest wait for a full batch (OTEL_BSP_SCHEDULE_DELAY)
	ExportTimeout time.Duration // longest time of one export (OTEL_BSP_EXPORT_TIMEOUT)
	LeaveTimeout  time.Duration // longest time, after Run's context has ended, for sending what is left

	Propagate bool         // read and write traceparent
	Logger    *slog.Logger // nil logs nothing
}

// DefaultConfig has the defaults that OpenTelemetry specifies, and two seconds to leave.
func DefaultConfig() Config {
	return Config{
		Sampler: ParentBased(Ratio(1)), Queue: 2048, Batch: 512, Delay: 5 * time.Second,
		ExportTimeout: 30 * time.Second, LeaveTimeout: 2 * time.Second, Propagate: true,
	}
}

// Validate reports every fault at once, each naming the variable that mends it.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Queue < 1 || c.Queue > MaxQueue {
		fault("OTEL_BSP_MAX_QUEUE_SIZE is %d: want 1 to %d", c.Queue, MaxQueue)
	}
	if c.Batch < 1 || c.Batch > c.Queue {
		fault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE is %d: want 1 to OTEL_BSP_MAX_QUEUE_SIZE, which is %d", c.Batch, c.Queue)
	}
	for _, d := range []struct {
		setting string
		value   time.Duration
	}{{"OTEL_BSP_SCHEDULE_DELAY", c.Delay}, {"OTEL_BSP_EXPORT_TIMEOUT", c.ExportTimeout}, {"the time to leave", c.LeaveTimeout}} {
		if d.value < time.Millisecond || d.value > MaxDelay {
			fault("%s is %v: want 1 ms to %v, in whole milliseconds", d.setting, d.value, MaxDelay)
		}
	}
	if c.Sampler == nil {
		fault("no sampler given (OTEL_TRACES_SAMPLER)")
	}
	return errors.Join(faults...)
}

// An Exporter sends finished spans. *OTLP and *Console are the two.
type Exporter interface {
	// Export sends a batch within ctx, and returns how many of it the other side has refused. With an error it has
	// taken none. It is called by one goroutine.
	Export(ctx context.Context, batch []*Span) (refused int, err error)
	Close()
}

// Tracer makes spans and sends them in batches. Nothing waits for it: a span that finds the queue full is dropped.
// It is safe for concurrent use; nil is a tracer that is off.
type Tracer struct {
	cfg      Config
	exporter Exporter
	queue    chan *Span
	log      *slog.Logger

	exported, full, failed, refused atomic.Int64
	dropping                        atomic.Bool // said so in the log
	down                            bool        // likewise of the exporter; Run's alone
}

// New checks cfg, reporting every fault at once, and returns a tracer whose spans leave once Run runs. It closes the
// exporter when Run returns.
func New(cfg Config, exporter Exporter) (*Tracer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure traces: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Tracer{cfg: cfg, exporter: exporter, queue: make(chan *Span, cfg.Queue), log: cfg.Logger}, nil
}

// Stats are the counts of a tracer's spans since it was made.
type Stats struct {
	Waiting, Queue                      int // to be sent, and the most that may wait
	Exported                            int64
	DroppedFull, DroppedFailed, Refused int64 // for the queue, with exports that failed, by the collector
}

// Stats returns the counts; of a nil Tracer they are 0.
func (t *Tracer) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	return Stats{
		Waiting: len(t.queue), Queue: t.cfg.Queue, Exported: t.exported.Load(),
		DroppedFull: t.full.Load(), DroppedFailed: t.failed.Load(), Refused: t.refused.Load(),
	}
}

// Root begins the span of a request that came with these headers: below the caller's span when they name one, else of
// a new trace. It is never nil, but of a nil Tracer; one that is not sampled has ids, for logs and for those it calls,
// and records nothing.
func (t *Tracer) Root(name string, kind Kind, start time.Time, h http.Header) *Span {
	if t == nil {
		return nil
	}
	s := &Span{tracer: t, name: name, kind: kind, start: start}
	var parent SpanContext
	if t.cfg.Propagate {
		parent = Extract(h)
	}
	if parent.Valid() {
		s.at, s.parent, s.remote = parent, parent.Span, true
	} else {
		s.at = SpanContext{Trace: newTraceID()}
	}
	s.at.Span = newSpanID()
	s.at.Sampled = t.cfg.Sampler(parent, s.at.Trace)
	return s
}

// put hands a finished span to Run, or drops it.
func (t *Tracer) put(s *Span) {
	select {
	case t.queue <- s:
		return
	default:
	}
	t.full.Add(1)
	if !t.dropping.Swap(true) {
		t.log.Warn("spans are dropped, because more wait to be sent than may", "bound", t.cfg.Queue, "setting", "OTEL_BSP_MAX_QUEUE_SIZE")
	}
}
