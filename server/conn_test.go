package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a connection that remembers what was written to it, one entry per write.
type wire struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
	fail   error
	closed bool
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}

func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) Close() error                     { w.closed = true; return nil }

func (w *wire) sizes() (list []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.writes {
		list = append(list, len(p))
	}
	return list
}

// onWire runs one case in a bubble of time and looks that Close leaves nothing behind.
func onWire(t *testing.T, why string, do func(t *testing.T, c *conn, w *wire)) {
	t.Helper()
	t.Run(why, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{}
			c := &conn{Conn: w, release: func() {}}
			do(t, c, w)
			_ = c.Close()
			if c.held != nil || !w.closed {
				t.Error("something is held, or open, after Close")
			}
		})
	})
}

func writeSize(t *testing.T, c *conn, n int) {
	t.Helper()
	if got, err := c.Write(bytes.Repeat([]byte{byte(n)}, n)); got != n || err != nil {
		t.Errorf("Write of %d: %d, %v", n, got, err)
	}
}

func wantSizes(t *testing.T, w *wire, sizes ...int) {
	t.Helper()
	got := w.sizes()
	if len(got) != len(sizes) {
		t.Errorf("writes of %v, want %v", got, sizes)
		return
	}
	for i := range got {
		if got[i] != sizes[i] {
			t.Errorf("writes of %v, want %v", got, sizes)
		}
	}
}

func TestFullBuffersWaitForTheRest(t *testing.T) {
	f := func(why string, do func(t *testing.T, c *conn, w *wire)) { t.Helper(); onWire(t, why, do) }
	f("other sizes go at once", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer-1)
		writeSize(t, c, httpBuffer+1)
		wantSizes(t, w, httpBuffer-1, httpBuffer+1)
	})
	f("a full buffer goes with the rest", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		wantSizes(t, w)
		writeSize(t, c, 7)
		wantSizes(t, w, httpBuffer, 7) // one system call on TCP, in this order
	})
	f("two full buffers", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		writeSize(t, c, httpBuffer)
		wantSizes(t, w, httpBuffer, httpBuffer)
	})
	f("nothing follows", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		time.Sleep(holdTime)
		synctest.Wait()
		wantSizes(t, w, httpBuffer)
		writeSize(t, c, httpBuffer)
		writeSize(t, c, 7)
		wantSizes(t, w, httpBuffer, httpBuffer, 7)
	})
	f("closed before anything follows", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		_ = c.Close()
		wantSizes(t, w, httpBuffer)
		time.Sleep(holdTime)
		synctest.Wait()
		wantSizes(t, w, httpBuffer)
	})
	f("half closed before anything follows", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		_ = c.CloseWrite()
		wantSizes(t, w, httpBuffer)
	})
	f("a broken connection", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		w.fail = errors.New("reset")
		if n, err := c.Write([]byte("rest")); n != 0 || err == nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		w.fail = nil
		writeSize(t, c, 7)
		wantSizes(t, w, 7)
	})
}

// sentWithFields writes the parts on a connection with two fields of its own.
func sentWithFields(t *testing.T, c *conn, w *wire, parts []string, want string) {
	t.Helper()
	c.addField("X-A", "1")
	c.addField("X-B", "2")
	for _, p := range parts {
		if n, err := c.Write([]byte(p)); n != len(p) || err != nil {
			t.Errorf("Write of %d: %d, %v", len(p), n, err)
		}
	}
	time.Sleep(holdTime)
	synctest.Wait()
	if got := string(bytes.Join(w.writes, nil)); got != want {
		t.Errorf("sent %.200q, want %.200q", got, want)
	}
}

func TestFieldsGoUnderTheStatusLine(t *testing.T) {
	f := func(why string, do func(t *testing.T, c *conn, w *wire)) { t.Helper(); onWire(t, why, do) }
	const head, more = "HTTP/1.1 200 OK\r\nDate: now\r\n\r\n", "X-A: 1\r\nX-B: 2\r\n"
	const whole = "HTTP/1.1 200 OK\r\n" + more + "Date: now\r\n\r\n"
	filled := head + strings.Repeat("b", httpBuffer-len(head))
	f("fields go under the status line", func(t *testing.T, c *conn, w *wire) {
		sentWithFields(t, c, w, []string{head, head}, whole+head)
	})
	f("fields go into a held buffer", func(t *testing.T, c *conn, w *wire) {
		sentWithFields(t, c, w, []string{filled, "rest"}, whole+filled[len(head):]+"rest")
	})
	f("fields go into a full buffer that nothing follows", func(t *testing.T, c *conn, w *wire) {
		sentWithFields(t, c, w, []string{filled}, whole+filled[len(head):])
	})
	f("the body is known to follow", func(t *testing.T, c *conn, w *wire) {
		c.body = httpBuffer - len(head) + 1
		sentWithFields(t, c, w, []string{filled}, "")
		sentWithFields(t, c, w, []string{"b"}, whole+filled[len(head):]+"b")
	})
	f("no more body is known to follow", func(t *testing.T, c *conn, w *wire) {
		c.body = httpBuffer - len(head)
		sentWithFields(t, c, w, []string{filled}, whole+filled[len(head):])
	})
	f("fields go behind what is held", func(t *testing.T, c *conn, w *wire) {
		writeSize(t, c, httpBuffer)
		sentWithFields(t, c, w, []string{head + "body"}, strings.Repeat("\x00", httpBuffer)+whole+"body")
	})
	f("more fields than a held buffer has room for", func(t *testing.T, c *conn, w *wire) {
		c.addField("X-L", strings.Repeat("l", maxHeldFields))
		sentWithFields(t, c, w, []string{filled}, "HTTP/1.1 200 OK\r\nX-L: "+strings.Repeat("l", maxHeldFields)+"\r\n"+more+filled[len("HTTP/1.1 200 OK\r\n"):])
	})
	f("fields wait for the answer behind a head of 1xx", func(t *testing.T, c *conn, w *wire) {
		sentWithFields(t, c, w, []string{"HTTP/1.1 100 Continue\r\n\r\n", head}, "HTTP/1.1 100 Continue\r\n\r\n"+whole)
	})
	f("a broken connection under fields", func(t *testing.T, c *conn, w *wire) {
		w.fail = errors.New("reset")
		c.addField("X-A", "1")
		if n, err := c.Write([]byte(head)); n != 0 || err == nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	})
}

// onPipe runs one case in a bubble of time.
func onPipe(t *testing.T, why string, do func(t *testing.T, c *conn, peer net.Conn)) {
	t.Helper()
	t.Run(why, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, peer := net.Pipe()
			c := &conn{Conn: ours, release: func() {}}
			defer peer.Close()
			defer c.Close()
			do(t, c, peer)
		})
	})
}

// readsLate reads, and the deadline must end it after so long.
func readsLate(t *testing.T, c *conn, after time.Duration) {
	t.Helper()
	start := time.Now()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != after {
		t.Errorf("read %d, %v after %v, want the deadline after %v", n, err, time.Since(start), after)
	}
}

func TestReadDeadlines(t *testing.T) {
	f := func(why string, do func(t *testing.T, c *conn, peer net.Conn)) { t.Helper(); onPipe(t, why, do) }
	f("set before a read", func(t *testing.T, c *conn, _ net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		readsLate(t, c, time.Second)
		readsLate(t, c, 0)
	})
	f("replaced before a read", func(t *testing.T, c *conn, _ net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		readsLate(t, c, time.Minute)
	})
	f("replaced during a read", func(t *testing.T, c *conn, _ net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		go func() {
			time.Sleep(time.Second)
			_ = c.SetReadDeadline(time.Unix(1, 0)) // as net/http calls a read off
		}()
		readsLate(t, c, time.Second)
	})
	f("lifted", func(t *testing.T, c *conn, peer net.Conn) {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		readsLate(t, c, 0)
		_ = c.SetReadDeadline(time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_, _ = peer.Write([]byte("x"))
		}()
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}

func TestDeadlinesAreSeldomSet(t *testing.T) {
	f := func(why string, do func(t *testing.T, c *conn, peer net.Conn)) { t.Helper(); onPipe(t, why, do) }
	f("moved by less than the slack", func(t *testing.T, c *conn, _ net.Conn) {
		c.slack = time.Second
		counted := &counting{Conn: c.Conn}
		c.Conn = counted
		for range 10 {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute))
			c.deadlines.Lock()
			_ = c.arm()
			c.deadlines.Unlock()
			_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
			time.Sleep(99 * time.Millisecond)
		}
		if counted.reads != 1 || counted.writes != 1 {
			t.Errorf("%d read and %d write deadlines set, want 1 each", counted.reads, counted.writes)
		}
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(2 * time.Second)) // nearer by far
		readsLate(t, c, 3*time.Second)
		_ = c.SetWriteDeadline(start.Add(2 * time.Second))
		if counted.writes != 2 {
			t.Error("a write deadline that is nearer by far was not set")
		}
	})
	f("called off before it began", func(t *testing.T, c *conn, _ net.Conn) {
		counted := &counting{Conn: c.Conn}
		c.Conn = counted
		_ = c.SetReadDeadline(time.Unix(1, 0))
		readsLate(t, c, 0)
		if counted.reads != 0 {
			t.Error("the system was told of a read that nobody began")
		}
	})
}

// counting counts how often deadlines are set.
type counting struct {
	net.Conn
	reads, writes int
}

func (c *counting) SetReadDeadline(t time.Time) error  { c.reads++; return c.Conn.SetReadDeadline(t) }
func (c *counting) SetWriteDeadline(t time.Time) error { c.writes++; return c.Conn.SetWriteDeadline(t) }

// Every size of answer arrives whole, whether its length is known or not, flushed or not.
func TestAnswersArriveWhole(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(tcp, 10)
	text := make([]byte, 40<<10)
	for i := range text {
		text[i] = byte('a' + i%23)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		for part := text[:n]; len(part) > 0; {
			k := min(len(part), 5000)
			_, _ = w.Write(part[:k])
			if part = part[k:]; r.URL.Path == "/flush" {
				w.(http.Flusher).Flush()
			}
		}
	})}
	done := make(chan struct{})
	go func() { _ = srv.Serve(l); close(done) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	c := client(t)
	for _, path := range []string{"/length", "/chunks", "/flush"} {
		for n := 0; n < len(text); n = max(n+1, n*9/8) {
			for k := max(0, n-2); k <= n; k++ {
				res, err := c.Get("http://" + tcp.Addr().String() + path + "?n=" + strconv.Itoa(k))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || !bytes.Equal(body, text[:k]) {
					t.Fatalf("%s of %d bytes: %d bytes, %v", path, k, len(body), err)
				}
			}
		}
	}
	// Around the size at which head and body just fill the buffer.
	for n := 3700; n <= httpBuffer; n++ {
		start := time.Now()
		if code, _ := status(t, c, "http://"+tcp.Addr().String()+"/length?n="+strconv.Itoa(n)); code != 200 {
			t.Fatalf("%d bytes: status %d", n, code)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("%d bytes took %v", n, took)
		}
	}
}

func TestListenerCountsAndFreesSlots(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(tcp, 1)
	dialed, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	first, err := l.Accept()
	if err != nil || l.open.Load() != 1 {
		t.Fatal(err, l.open.Load())
	}
	refused := make(chan error, 1)
	go func() {
		_, err := l.Accept() // waits for the slot
		refused <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-refused; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
	_ = first.Close()
	_ = first.Close()
	if l.open.Load() != 0 || len(l.slots) != 0 {
		t.Errorf("%d open, %d slots taken", l.open.Load(), len(l.slots))
	}
}
