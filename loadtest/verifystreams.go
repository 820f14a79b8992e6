package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// streamsSeen is what a flood of streams showed.
type streamsSeen struct {
	active        int // told by health while all were open
	activeAfter   int
	completed     int // of the 100
	status        int // of the one more
	took          time.Duration
	retryAfter    int
	percent, rss  float64 // of memory, while all were open
	faults        []string
	started, want int
}

// A held answer service lets no answer go before it is told to. It speaks the chat-completions API, streamed.
type heldService struct {
	listener net.Listener
	server   *http.Server
	release  chan struct{}
	asked    atomic.Int64
	done     sync.WaitGroup
}

func holdAnswers() (*heldService, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the answers: %w", err)
	}
	h := &heldService{listener: l, release: make(chan struct{})}
	h.server = &http.Server{Handler: http.HandlerFunc(h.answer), ReadHeaderTimeout: 10 * time.Second}
	h.done.Go(func() { _ = h.server.Serve(l) })
	return h, nil
}

func (h *heldService) answer(w http.ResponseWriter, r *http.Request) {
	h.asked.Add(1)
	select {
	case <-h.release:
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprint(w, "data: {\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"Dasein is [1].\"}, \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]\n\n")
}

func (h *heldService) close() {
	_ = h.server.Close()
	h.done.Wait()
}

const floodSize = 100

// flood opens 100 streams and one more, once for the bench.
func (b *bench) flood(ctx context.Context) (*streamsSeen, error) {
	if b.streams != nil {
		return b.streams, nil
	}
	service, err := holdAnswers()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUndecided, err)
	}
	defer service.close()
	server, err := b.v.start(ctx, slices.Concat([]string{
		"--phase", "C", "--answer-url", "http://" + service.listener.Addr().String() + "/v1", "--answer-model", "held", "--answer-concurrency", "200",
		"--answer-timeout", "60s", "--answer-idle-timeout", "60s", "--stream-wait", "300ms", "--db-pool-shed-wait", "0",
	}, unlimited), nil)
	if err != nil {
		return nil, err
	}
	seen, err := server.floodOf(ctx, service)
	if err = errors.Join(err, server.close(ctx)); err != nil {
		return nil, err
	}
	b.streams = seen
	return seen, nil
}

func (b *bench) floodOf(ctx context.Context, service *heldService) (*streamsSeen, error) {
	seen := &streamsSeen{want: floodSize}
	var mu sync.Mutex // guards seen.completed and seen.faults
	var wg sync.WaitGroup
	for i := range floodSize {
		wg.Go(func() {
			a, err := b.get(ctx, "/api/search/stream?page_size=5&q="+url.QueryEscape(varied(i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				seen.faults = append(seen.faults, err.Error())
			case a.status == http.StatusOK && strings.Contains(string(a.body), `"status":"complete"`):
				seen.completed++
			default:
				seen.faults = append(seen.faults, fmt.Sprintf("%d %s", a.status, clip(string(a.body), 120)))
			}
		})
	}
	err := b.oneMore(ctx, service, seen)
	close(service.release)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	_, err = until(ctx, 2*time.Second, func() (bool, error) {
		s, err := b.streamState(ctx)
		seen.activeAfter = s.Active
		return s.Active == 0, err
	})
	return seen, err
}

// oneMore waits until all streams are open, looks at the server, and sends one more.
func (b *bench) oneMore(ctx context.Context, service *heldService, seen *streamsSeen) error {
	if _, err := until(ctx, 8*time.Second, func() (bool, error) { return service.asked.Load() >= floodSize, nil }); err != nil {
		return err
	}
	seen.started = int(service.asked.Load())
	state, err := b.streamState(ctx)
	if err != nil {
		return err
	}
	m, err := b.memory(ctx)
	if err != nil {
		return err
	}
	seen.active, seen.percent, seen.rss = state.Active, m.Memory.Percent, m.Memory.RSS
	short, cancel := context.WithTimeout(ctx, 3*time.Second) // one that is let in is held, and shows that by then
	defer cancel()
	a, err := b.get(short, "/api/search/stream?q=dasein&page_size=5")
	switch {
	case err == nil:
		seen.status, seen.took, seen.retryAfter = a.status, a.took, a.number("Retry-After")
	case short.Err() != nil && ctx.Err() == nil:
		seen.status = http.StatusOK
	default:
		return err
	}
	return nil
}

func stream100(ctx context.Context, b *bench) (finding, error) {
	s, err := b.flood(ctx)
	if err != nil {
		return finding{}, err
	}
	if len(s.faults) > 0 {
		return judge(false, "%d of %d complete; %s", s.completed, s.want, s.faults[0])
	}
	return judge(s.started >= s.want && s.completed == s.want, "%d open at once, %d complete", s.started, s.completed)
}

func stream101(ctx context.Context, b *bench) (finding, error) {
	s, err := b.flood(ctx)
	if err != nil {
		return finding{}, err
	}
	if s.status == http.StatusOK {
		return judge(false, "number %d was let in", s.want+1)
	}
	return judge(s.status == http.StatusServiceUnavailable && s.took >= 295*time.Millisecond && s.retryAfter >= 1, "waited %v, then %d with Retry-After %d", s.took.Round(time.Millisecond), s.status, s.retryAfter)
}

func streamMemory(ctx context.Context, b *bench) (finding, error) {
	s, err := b.flood(ctx)
	if err != nil {
		return finding{}, err
	}
	return judge(s.percent < 85 && s.rss > 0 && s.rss < 512 && s.started >= s.want, "%d streams open: process %.0f MB, %.1f %% of the limit in use", s.started, s.rss, s.percent)
}

func streamCount(ctx context.Context, b *bench) (finding, error) {
	s, err := b.flood(ctx)
	if err != nil {
		return finding{}, err
	}
	return judge(s.active == s.want && s.activeAfter == 0, "active_streams %d, afterwards %d", s.active, s.activeAfter)
}
