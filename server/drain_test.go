package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// held is a library whose searches wait until release is closed.
func held() (lib *fake, entered chan struct{}, release chan struct{}) {
	entered, release = make(chan struct{}, 100), make(chan struct{})
	lib = echo()
	answer := lib.search
	lib.search = func(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		if r.Query != "held" {
			return answer(ctx, sc, r)
		}
		entered <- struct{}{}
		select {
		case <-release:
			return answer(ctx, sc, r)
		case <-ctx.Done():
			return library.SearchResult{}, context.Cause(ctx)
		}
	}
	return lib, entered, release
}

// eventually asks until ok, which a server in another goroutine reaches in its own time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatal("never: " + what)
}

// status asks and returns the status, 0 without an answer, and whether the connection ends with it.
func status(t testing.TB, c *http.Client, url string) (code int, closes bool) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		return 0, false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Close
}

func TestDrainInOrder(t *testing.T) {
	lib, entered, release := held()
	cfg := testConfig()
	cfg.ShutdownDelay, cfg.DrainGrace, cfg.DrainTimeout = 300*time.Millisecond, 10*time.Second, 10*time.Second
	r := run(t, cfg, Deps{Library: lib})
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	kept := client(t) // keeps one connection through all of it
	if code, _ := status(t, kept, r.url+"/api/health/ready"); code != 200 {
		t.Fatalf("ready at first: %d", code)
	}
	inFlight := make(chan int, 1)
	go func() {
		code, _ := status(t, once, r.url+"/api/search?q=held")
		inFlight <- code
	}()
	<-entered
	r.stop()

	eventually(t, "readiness is 503", func() bool {
		code, _ := status(t, once, r.url+"/api/health/ready")
		return code == 503
	})
	if r.stage.Load() == stageLeaving {
		// Still accepting, on new connections too, and keeping them alive.
		if code, closes := status(t, kept, r.url+"/api/search?q=a"); code != 200 || closes {
			t.Errorf("within the delay: %d, connection closed %t", code, closes)
		}
		if code, _ := status(t, once, r.url+"/api/search?q=a"); code != 200 {
			t.Errorf("a new connection within the delay: %d", code)
		}
		if code, _ := status(t, once, r.url+"/api/health/live"); code != 200 {
			t.Errorf("liveness within the delay: %d", code)
		}
	}
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			return true
		}
		conn.Close()
		return false
	})
	// Within the grace a client that kept its connection is answered, and told.
	if code, closes := status(t, kept, r.url+"/api/search?q=a"); code != 200 || !closes {
		t.Errorf("on a kept connection: %d, connection closed %t", code, closes)
	}
	close(release)
	if code := <-inFlight; code != 200 {
		t.Errorf("the request in flight: %d", code)
	}
	if err := r.ended(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestDrainTimeoutCutsWhatIsLeft(t *testing.T) {
	lib, entered, _ := held()
	cfg := testConfig()
	cfg.DrainGrace, cfg.DrainTimeout = 0, 50*time.Millisecond
	r := run(t, cfg, Deps{Library: lib})
	failed := make(chan error, 1)
	go func() {
		res, err := client(t).Get(r.url + "/api/search?q=held")
		if err == nil {
			res.Body.Close()
			err = fmt.Errorf("answered with %s", res.Status)
		}
		failed <- err
	}()
	<-entered
	start := time.Now()
	r.stop()
	err := r.ended(t)
	if err == nil || !strings.Contains(err.Error(), "finish 1 requests within 50ms (--drain-timeout)") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := <-failed; strings.HasPrefix(err.Error(), "answered") {
		t.Errorf("the client was %v", err)
	}
	if left := r.inFlight.now.Load(); left != 0 {
		t.Errorf("%d requests outlived Run", left)
	}
}

func TestIdleServerStopsAtOnce(t *testing.T) {
	r := run(t, testConfig(), Deps{Library: echo()}) // grace 2.5 s
	start := time.Now()
	r.stop()
	if err := r.ended(t); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("without a connection it took %v", took)
	}
}

// Clients that reuse connections lose nothing while a server leaves behind a listener that
// another one takes over.
func TestNoRequestIsLostByKeptConnections(t *testing.T) {
	cfg := testConfig()
	cfg.DrainGrace = 300 * time.Millisecond
	deps := Deps{Library: echo()}
	r := run(t, cfg, deps)
	addr := strings.TrimPrefix(r.url, "http://")
	var lost, answered atomic.Int64
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 8 {
		c := client(t)
		wg.Go(func() {
			for ctx.Err() == nil {
				res, err := c.Get(r.url + "/api/search?q=a")
				switch {
				case err == nil && res.StatusCode == 200:
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					answered.Add(1)
				case err == nil:
					res.Body.Close()
					lost.Add(1)
				case strings.Contains(err.Error(), "connection refused"):
					return // a new connection: the listener is closed, as it should be
				default:
					t.Log(err)
					lost.Add(1)
				}
				<-time.After(time.Millisecond)
			}
		})
	}
	eventually(t, "traffic", func() bool { return answered.Load() > 100 })
	r.stop()
	if err := r.ended(t); err != nil {
		t.Error(err)
	}
	stop()
	wg.Wait()
	if lost.Load() > 0 {
		t.Errorf("%d of %d requests to %s were lost", lost.Load(), answered.Load(), addr)
	}
}

func TestLateRequestsAreRefusedOnceStopped(t *testing.T) {
	s := newServer(t, testConfig(), Deps{Library: echo()})
	s.stage.Store(stageStopped)
	w := ask(t, s.Handler(), "GET", "/api/search?q=a", "")
	wantError(t, w, 503, "draining", "another one")
	if w.Header().Get("Retry-After") == "" || w.Header().Get("Connection") != "close" {
		t.Errorf("headers: %v", w.Header())
	}
	if w := ask(t, s.Handler(), "GET", "/api/health/live", ""); w.Code != 200 {
		t.Errorf("liveness: %d", w.Code)
	}
}

// raw opens a connection and sends bytes as they are.
func raw(t testing.TB, url, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func TestSlowClientsAreCut(t *testing.T) {
	cfg := testConfig()
	cfg.ReadHeaderTimeout, cfg.ReadTimeout, cfg.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond
	h := openHouse(t, 0, 0, library.Config{})
	r := run(t, cfg, h.deps())
	f := func(why, text string, status int) {
		t.Helper()
		start := time.Now()
		_, in := raw(t, r.url, text)
		res, err := http.ReadResponse(in, nil)
		switch {
		case err == nil && res.StatusCode != status:
			t.Errorf("%s: %s, want %d", why, res.Status, status)
		case err != nil && status != 0:
			t.Errorf("%s: %v, want %d", why, err, status)
		}
		if res != nil {
			res.Body.Close()
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %v", why, took)
		}
	}
	f("a head that never ends", "GET /api/health/live HTTP/1.1\r\nHost: x\r\nX-A: ", 0)
	f("a connection that says nothing", "", 0)
	f("a search whose body never comes", "POST /api/search HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", 408)
	f("a batch whose body never comes", "POST /api/content/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[", 408)
	f("a book whose body never comes", "POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nA", 408)
	f("a form whose body never comes", "POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b\r\n", 408)
	if now, gate := r.inFlight.now.Load(), h.library.IngestStats(); now != 0 || gate.InUse != 0 || gate.Waiting != 0 {
		t.Errorf("%d requests left, ingests %+v", now, gate)
	}
}

func TestHeadsAreBounded(t *testing.T) {
	r := run(t, testConfig(), Deps{Library: echo()})
	conn, in := raw(t, r.url, "GET /api/health/live HTTP/1.1\r\nHost: x\r\n")
	var sent int
	block := "X-Filler: " + strings.Repeat("a", 8<<10) + "\r\n"
	for sent < 10<<20 {
		n, err := io.WriteString(conn, block)
		sent += n
		if err != nil {
			break // the server had enough
		}
	}
	if sent > 8<<20 {
		t.Errorf("the server took %d bytes of a head", sent)
	}
	if res, err := http.ReadResponse(in, nil); err == nil {
		res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("answered %s", res.Status)
		}
	}
	if code, _ := status(t, client(t), r.url+"/api/health/live"); code != 200 {
		t.Errorf("afterwards: %d", code)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	cfg := testConfig()
	cfg.MaxConnections = 2
	r := run(t, cfg, Deps{Library: echo()})
	first, _ := raw(t, r.url, "")
	raw(t, r.url, "")
	eventually(t, "both are counted", func() bool { return r.connections() == 2 })
	_, in := raw(t, r.url, "GET /api/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
	if r.connections() != 2 {
		t.Errorf("%d connections of 2", r.connections())
	}
	first.Close() // the third one's turn
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// A client that is still sending sees the 413, not a reset connection.
func TestTooLargeIsSeenByARealClient(t *testing.T) {
	cfg := testConfig()
	cfg.MaxIngestBytes = 1 << 20
	r := run(t, cfg, Deps{Library: echo()})
	big := strings.Repeat("sixteen letters ", 12<<16) // 12 MiB
	for _, length := range []bool{true, false} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/ingest", strings.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "text/plain")
		if !length {
			req.ContentLength = -1 // chunked
		}
		res, err := client(t).Do(req)
		if err != nil {
			t.Errorf("length known %t: %v", length, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 413 || !strings.Contains(string(body), "1 MiB (--max-ingest-size)") {
			t.Errorf("length known %t: %s %s", length, res.Status, body)
		}
	}
}

// heldIngests is a library whose ingests wait to be released.
type heldIngests struct {
	*library.Library
	entered, release chan struct{}
	most, now        atomic.Int64
}

func (l *heldIngests) Ingest(context.Context, string, library.Document) (r library.IngestResult, err error) {
	storeMax(&l.most, l.now.Add(1))
	defer l.now.Add(-1)
	l.entered <- struct{}{}
	<-l.release
	return r, nil
}

// unread fails the test when a body is read before its turn.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a book was read without a slot for it")
	return 0, io.EOF
}

func TestIngestSlotsAreBounded(t *testing.T) {
	const queue = 3
	h := openHouse(t, 0, 0, library.Config{Ingest: library.IngestConfig{Slots: 1, Queue: queue}})
	lib := &heldIngests{Library: h.library, entered: make(chan struct{}), release: make(chan struct{})}
	s := newServer(t, testConfig(), Deps{Library: lib})
	var wg sync.WaitGroup
	var stored atomic.Int64
	post := func() {
		if w := ask(t, s.Handler(), "POST", "/api/ingest", `{"text":"a"}`); w.Code != 201 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		stored.Add(1)
	}
	wg.Go(post)
	<-lib.entered
	for range queue {
		wg.Go(post)
	}
	eventually(t, "the queue is full", func() bool { return h.library.IngestStats().Waiting == queue })
	w := httptest.NewRecorder() // beyond the queue: refused at once
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/api/ingest", unread{t}))
	wantError(t, w, 503, "ingest_busy", "all 1 ingest slots (--max-concurrent-ingests) are taken and 3 ingests wait")
	gate := decoded[struct{ Ingests library.IngestStats }](t, ask(t, s.AdminHandler(), "GET", "/ingests", "")).Ingests
	if want := (library.IngestStats{Slots: 1, InUse: 1, Queue: queue, Waiting: queue, Entered: 1, QueueFull: 1}); gate != want {
		t.Errorf("the admin listener shows %+v, want %+v", gate, want)
	}
	close(lib.release)
	for range queue {
		<-lib.entered
	}
	wg.Wait()
	if stored.Load() != queue+1 || lib.most.Load() != 1 || h.library.IngestStats().InUse != 0 {
		t.Errorf("%d stored, %d at once, afterwards %+v", stored.Load(), lib.most.Load(), h.library.IngestStats())
	}
}
