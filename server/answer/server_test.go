package answer

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tomehub/tomehub/server/breaker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A wire joins a client and a server by pipes, so that both live in one bubble of synctest and
// time in it is exact.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (w *wire) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case w.conns <- there:
		return here, nil
	case <-w.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: io.ErrClosedPipe}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 11434} }

// api starts a chat server of one handler and an answerer that asks it.
func api(t *testing.T, cfg Chat, h http.HandlerFunc) *Answerer {
	t.Helper()
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{})}
	var running sync.WaitGroup
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Done()
		body, _ := io.ReadAll(r.Body) // until then net/http does not see that the client is gone
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	})}
	running.Go(func() { _ = srv.Serve(w) })
	if cfg.Breaker == nil {
		cfg.Breaker = opensAfter(t, 5)
	}
	cfg.URL, cfg.Model = "http://127.0.0.1:11434/v1", "m"
	a := open(t, Config{Chat: cfg})
	a.chat.client.Transport.(*http.Transport).DialContext = w.dial
	t.Cleanup(func() {
		a.Close()
		_ = srv.Close()
		running.Wait()
	})
	return a
}

func opensAfter(t *testing.T, failures int) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(breaker.Config{Name: "answer service", Failures: failures, OpenFor: 10 * time.Second, Probes: 1, Classify: Judge})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, cfg Config) *Answerer {
	t.Helper()
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stream writes events and flushes each.
func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		_, _ = io.WriteString(w, "data: "+e+"\n\n")
		w.(http.Flusher).Flush()
	}
}

func delta(text string) string {
	return `{"choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":null}]}`
}

const (
	stop = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	done = "[DONE]"
)

// twoPassages are a question and what was found for it.
func twoPassages() Request {
	return Request{Query: "dasein", Passages: []Passage{
		{ID: 11, BookID: 1, Title: "Being and Time", Content: "Dasein is the being that asks about being. It is always in a world.", Score: 2},
		{ID: 22, BookID: 2, Title: "Notes", Content: "Some say that dasein means existence. Others disagree with them.", Score: 1},
	}}
}

// A reader keeps what a client sees: the text since the last restart.
type reader struct {
	text     strings.Builder
	pieces   []Piece
	restarts int
}

func (r *reader) emit(p Piece) error {
	r.pieces = append(r.pieces, p)
	if p.Restart {
		r.text.Reset()
		r.restarts++
	}
	r.text.WriteString(p.Text)
	return nil
}

// stopped is a timer that does nothing.
func stopped() *time.Timer {
	t := time.AfterFunc(time.Hour, func() {})
	t.Stop()
	return t
}
