package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/library"
)

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
	cfg.MaxConnections, cfg.Streams.Slots = 2, 1
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

// So does one that sends all of it before it reads a byte.
func TestTooLargeIsReadToItsEnd(t *testing.T) {
	cfg := testConfig()
	cfg.MaxIngestBytes = 1 << 20
	r := run(t, cfg, Deps{Library: echo()})
	const size = 20 << 20
	conn, in := raw(t, r.url, "POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: "+strconv.Itoa(size)+"\r\n\r\n")
	<-time.After(time.Second) // longer than net/http lingers on a connection it closes
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 413 || !res.Close {
		t.Errorf("%s, closes %t", res.Status, res.Close)
	}
}

// An upload may take longer than ReadTimeout as long as it keeps coming.
func TestUploadsThatKeepComingHaveTime(t *testing.T) {
	cfg := testConfig()
	cfg.ReadHeaderTimeout, cfg.ReadTimeout = 300*time.Millisecond, 300*time.Millisecond
	var got atomic.Int64
	lib := echo()
	lib.ingest = func(_ context.Context, _ string, doc library.Document) (r library.IngestResult, err error) {
		n, err := io.Copy(io.Discard, doc.Body)
		got.Store(n)
		return r, err
	}
	r := run(t, cfg, Deps{Library: lib})
	const parts, size = 10, 32 << 10 // half a second's worth each
	conn, in := raw(t, r.url, "POST /api/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: "+strconv.Itoa(parts*size)+"\r\n\r\n")
	for range parts {
		<-time.After(60 * time.Millisecond)
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 201 || got.Load() != parts*size {
		t.Errorf("%s, %d bytes of %d", res.Status, got.Load(), parts*size)
	}
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
