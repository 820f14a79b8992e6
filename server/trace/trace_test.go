package trace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var begun = time.Unix(1_700_000_000, 0)

// A kept exporter keeps names, and does in each export what a test wants.
type kept struct {
	do func(ctx context.Context) (refused int, err error)

	mu     sync.Mutex // guards the rest
	sizes  []int
	names  []string
	closed bool
}

func (k *kept) Export(ctx context.Context, batch []*Span) (int, error) {
	if k.do != nil {
		if refused, err := k.do(ctx); err != nil || refused > 0 {
			return refused, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sizes = append(k.sizes, len(batch))
	for _, s := range batch {
		k.names = append(k.names, s.name)
	}
	return 0, nil
}

func (k *kept) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
}

// seen are the sizes of the exports so far and the names in them.
func (k *kept) seen() (sizes, names string, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprint(k.sizes), fmt.Sprint(k.names), k.closed
}

// A sharedLog is written by a tracer while a test reads it.
type sharedLog struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newTestTracer(t testing.TB, cfg Config, e Exporter) *Tracer {
	t.Helper()
	tracer, err := New(cfg, e)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// running runs a tracer in a bubble until end is called, which returns after how long Run did.
func running(t *testing.T, tracer *Tracer) (end func() time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := tracer.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() time.Duration {
		start := time.Now()
		cancel()
		<-done
		return time.Since(start)
	}
}

func spans(tracer *Tracer, n int) {
	for i := range n {
		tracer.Root(fmt.Sprint(i), Server, time.Now(), nil).End()
	}
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, e := DefaultConfig(), &kept{}
		cfg.Batch = 3
		tracer := newTestTracer(t, cfg, e)
		end := running(t, tracer)
		spans(tracer, 7)
		synctest.Wait()
		if got, _, _ := e.seen(); got != "[3 3]" {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(cfg.Delay + time.Millisecond)
		if got, _, _ := e.seen(); got != "[3 3 1]" {
			t.Errorf("after the delay: %s", got)
		}
		spans(tracer, 4)
		took := end()
		if _, names, closed := e.seen(); took != 0 || names != "[0 1 2 3 4 5 6 0 1 2 3]" || !closed {
			t.Errorf("left after %v with %v, closed %v", took, names, closed)
		}
		if s := tracer.Stats(); s.Exported != 11 || s.DroppedFull+s.DroppedFailed+s.Refused != 0 || s.Queue != 2048 {
			t.Errorf("%+v", s)
		}
	})
}

// A collector that hangs costs spans, which are counted and said once, and nobody's time; leaving waits for it no longer than said.
func TestCollectorHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log sharedLog
		var hanging atomic.Bool
		hanging.Store(true)
		e := &kept{do: func(ctx context.Context) (int, error) {
			if hanging.Load() {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return 0, nil
		}}
		cfg := DefaultConfig()
		cfg.Queue, cfg.Batch, cfg.Logger = 4, 2, slog.New(slog.NewTextHandler(&log, nil))
		tracer := newTestTracer(t, cfg, e)
		end := running(t, tracer)
		spans(tracer, 2)
		synctest.Wait() // these are being sent
		start := time.Now()
		spans(tracer, 10)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("a request waited %v", waited)
		}
		if s := tracer.Stats(); s.Waiting != 4 || s.DroppedFull != 6 {
			t.Errorf("%+v", s)
		}
		time.Sleep(cfg.ExportTimeout + time.Second)
		synctest.Wait()
		if s := tracer.Stats(); s.DroppedFailed != 2 {
			t.Errorf("after an export's time: %+v", s)
		}
		spans(tracer, 10)
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "OTEL_BSP_MAX_QUEUE_SIZE") {
			t.Errorf("%d lines: %s", n, log.String())
		}
		hanging.Store(false)
		time.Sleep(2 * cfg.ExportTimeout)
		synctest.Wait()
		if s := tracer.Stats(); s.Exported == 0 || s.Waiting != 0 || !strings.Contains(log.String(), "sent again") {
			t.Errorf("when it is back: %+v, %s", s, log.String())
		}
		hanging.Store(true)
		spans(tracer, 5)
		synctest.Wait()
		if took := end(); took != cfg.LeaveTimeout {
			t.Errorf("left after %v, want %v", took, cfg.LeaveTimeout)
		}
	})
}

func TestRefusedSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []error{errors.New("down"), nil}
		e := &kept{do: func(context.Context) (int, error) {
			err := answers[0]
			answers = answers[1:]
			return 2, err
		}}
		cfg := DefaultConfig()
		cfg.Batch = 3
		tracer := newTestTracer(t, cfg, e)
		end := running(t, tracer)
		spans(tracer, 6)
		end()
		if s := tracer.Stats(); s.Exported != 1 || s.Refused != 2 || s.DroppedFailed != 3 {
			t.Errorf("%+v", s)
		}
	})
}

// What is off costs nothing: neither a tracer that is nil nor spans that are.
func TestOffAllocatesNothing(t *testing.T) {
	var off *Tracer
	ctx := t.Context()
	n := testing.AllocsPerRun(100, func() {
		s := off.Root("r", Server, begun, nil)
		c := From(With(ctx, s)).Child("c", Internal)
		c.Record("x", Client, time.Second, "")
		c.Event("e")
		c.Link(s.Context())
		c.Fail("k", "w")
		c.Inject(nil)
		c.End()
		if c.Recorded() || s.TraceID() != "" || off.Stats() != (Stats{}) {
			t.Error("nil does something")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNotSampledRecordsNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Sampler = Ratio(0)
	tracer := newTestTracer(t, cfg, &kept{})
	s := tracer.Root("r", Server, begun, nil)
	h := http.Header{}
	s.Inject(h)
	if c := s.Child("c", Internal); c != nil || !s.Context().Valid() || !strings.HasSuffix(h.Get("traceparent"), "-00") || len(s.TraceID()) != 32 {
		t.Errorf("%v %v %v", c, s.Context(), h)
	}
	s.Record("x", Internal, 0, "")
	s.End()
	if got := tracer.Stats().Waiting; got != 0 {
		t.Errorf("%d spans", got)
	}
}

func TestSpansAreBounded(t *testing.T) {
	tracer := newTestTracer(t, DefaultConfig(), &kept{})
	s := tracer.Root("r", Server, begun, nil)
	for range 100 {
		s.Set(String("a", "b"), Int("c", 1))
		s.Event("e")
		s.Link(s.Context())
		s.Link(SpanContext{})
	}
	s.Fail("k", "")
	s.Set(String("late", ""))
	s.End()
	s.End()
	s.Event("after")
	if len(s.attrs) != maxAttrs+1 || len(s.events) != maxEvents || len(s.links) != maxLinks || tracer.Stats().Waiting != 1 {
		t.Errorf("%d attributes, %d events, %d links, %d spans", len(s.attrs), len(s.events), len(s.links), tracer.Stats().Waiting)
	}
}

func TestValidate(t *testing.T) {
	_, err := New(Config{Queue: MaxQueue + 1, Delay: 2 * MaxDelay}, &kept{})
	for _, name := range []string{"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_TRACES_SAMPLER"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
