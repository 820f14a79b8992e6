package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// The faults of clients, over real connections: the kernel's buffers are part of them.

const (
	getStream  = "GET " + streamPath + "?q=a HTTP/1.1\r\nHost: x\r\n\r\n"
	postStream = "POST " + streamPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n" + `{"q":"a"}`
)

// idle answers never, and until returns when the client is gone.
var idle = answers(func(ctx context.Context, _ answer.Request, _ func(answer.Piece) error) (answer.Result, error) {
	<-ctx.Done()
	return answer.Result{}, ctx.Err()
})

// A flood answers with pieces without end, and remembers how long the client took nothing before it was cut.
type flood struct {
	longest atomic.Int64 // ns
	bytes   atomic.Int64 // written to all clients
}

func (f *flood) Answer(_ context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
	piece := answer.Piece{Text: strings.Repeat("water ", 1<<10)}
	for {
		last := time.Now()
		if err := emit(piece); err != nil {
			storeMax(&f.longest, int64(time.Since(last)))
			return answer.Result{}, err
		}
		f.bytes.Add(int64(len(piece.Text)))
	}
}

func streamConfig(slots int) Config {
	cfg := testConfig()
	cfg.Streams = StreamConfig{Slots: slots, Wait: 100 * time.Millisecond, WriteTimeout: time.Minute}
	cfg.DrainGrace = 0
	return cfg
}

// streams opens n connections that each begin a stream and read nothing of it.
func (r *running) streams(t testing.TB, n int, request string) []net.Conn {
	t.Helper()
	list := make([]net.Conn, n)
	for i := range list {
		list[i], _ = raw(t, r.url, request)
	}
	return list
}

func (r *running) active(t testing.TB, n int64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d streams", n), func() bool { return r.Server.streams.report().Active == n })
}

// rest reads what is left of a connection, and tells whether it ended as HTTP wants an answer to end.
func rest(conn net.Conn) (text []byte, clean bool, err error) {
	text, err = io.ReadAll(conn)
	return text, bytes.HasSuffix(text, []byte("\r\n0\r\n\r\n")), err
}

func TestFaultStalledReadersHoldTheirSlots(t *testing.T) {
	const slots = 100
	cfg := streamConfig(slots)
	cfg.Streams.Queue = 1
	listener := &listening{Listener: listenLocal(t)}
	r := run(t, cfg, Deps{Library: echo(), Answerer: new(flood), Listener: listener})
	before := inUse()
	stalled := r.streams(t, slots, getStream)
	r.active(t, slots)

	c := client(t)
	start := time.Now()
	res, err := c.Get(r.url + streamPath + "?q=a")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if took := time.Since(start); res.StatusCode != 503 || res.Header.Get("Retry-After") != "5" || took < cfg.Streams.Wait ||
		!strings.Contains(string(body), "none of 100 stream slots (MAX_CONCURRENT_STREAMS) came free within 100ms (--stream-wait)") {
		t.Errorf("the 101st: %d after %v: %s", res.StatusCode, took, body)
	}
	if code, _ := status(t, c, r.url+"/api/search?q=a"); code != 200 {
		t.Errorf("a search meanwhile: %d", code)
	}
	if res, err = c.Get(r.url + "/api/health/streams"); err != nil {
		t.Fatal(err)
	}
	body, _ = io.ReadAll(res.Body)
	res.Body.Close()
	if text := string(body); !strings.Contains(text, `"active_streams":100,"max_concurrent":100,"utilization":1,`) || !strings.Contains(text, `"health":"critical"`) {
		t.Errorf("health: %s", text)
	}
	t.Run("memory", func(t *testing.T) { checkStalledMemory(t, listener, before) })
	for _, conn := range stalled {
		conn.Close()
	}
	r.active(t, 0)
}

// listening remembers what was accepted.
type listening struct {
	net.Listener
	mu       sync.Mutex // guards accepted
	accepted []net.Conn
}

func (l *listening) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted = append(l.accepted, c)
	return c, err
}

func listenLocal(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// inUse is the memory of this process, both sides of every connection included.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// checkStalledMemory holds each stalled stream to 256 KiB: of this process, and of the kernel
// for the server's end of the connection.
func checkStalledMemory(t *testing.T, l *listening, before int64) {
	const most = 256 << 10
	l.mu.Lock()
	accepted := l.accepted[:100]
	l.mu.Unlock()
	var kernel int64
	eventually(t, "nothing moves any more", func() bool {
		last := kernel
		kernel = 0
		for _, c := range accepted {
			n, err := socketMemory(c)
			if err != nil {
				t.Skipf("NOT CHECKED: the kernel does not say what it holds for a socket: %v", err)
			}
			kernel += n
		}
		time.Sleep(50 * time.Millisecond)
		return kernel > 0 && kernel == last
	})
	kernel, own := kernel/100, (inUse()-before)/100
	t.Logf("a stalled stream holds %d KiB in the kernel and %d KiB in the process", kernel>>10, own>>10)
	if kernel+own > most {
		t.Errorf("a stalled stream holds %d KiB in the kernel and %d KiB in the process, more than %d together", kernel>>10, own>>10, most>>10)
	}
}

func TestFaultStalledReadersAreCut(t *testing.T) {
	const n = 100
	cfg := streamConfig(n)
	cfg.Streams.WriteTimeout = 500 * time.Millisecond
	water := new(flood)
	r := run(t, cfg, Deps{Library: echo(), Answerer: water})
	stalled := r.streams(t, n, getStream)
	eventually(t, "all are cut", func() bool {
		s := r.Server.streams.report()
		return s.Stalled == n && s.Active == 0 && s.Utilization == 0
	})
	if d := time.Duration(water.longest.Load()); d < cfg.Streams.WriteTimeout || d > cfg.Streams.WriteTimeout+time.Second {
		t.Errorf("cut after a silence of %v, want %v and at most a second more", d, cfg.Streams.WriteTimeout)
	}
	eventually(t, "their connections are closed", func() bool { return r.connections() == 0 })
	for _, conn := range stalled[:5] {
		text, clean, err := rest(conn)
		if clean || !errors.Is(err, syscall.ECONNRESET) || bytes.Contains(text, []byte(streamComplete)) {
			t.Errorf("a cut stream ends with %v, clean %t: %.80q", err, clean, text[max(0, len(text)-80):])
		}
	}
}

// Whoever reads gets all of it, however slowly: the deadline moves within a large record, too.
// Whoever stops is cut in the middle of it.
func TestFaultSlowReadersAreNotCut(t *testing.T) {
	cfg := streamConfig(2)
	cfg.Streams.WriteTimeout = 300 * time.Millisecond
	text := strings.Repeat("slowly ", 200<<10)
	lib := echo()
	found := lib.search
	lib.search = func(ctx context.Context, sc store.Scope, r library.SearchRequest) (library.SearchResult, error) {
		result, err := found(ctx, sc, r)
		result.Results = []library.Result{{ID: 1, Title: "A", Content: text}}
		return result, err
	}
	r := run(t, cfg, Deps{Library: lib})
	conn, in := raw(t, r.url, "")
	_ = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
	request := strings.Replace(getStream, "?q=a", "?q=a&answer=false&include=details", 1)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	stops := r.streams(t, 1, request)[0]
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var all bytes.Buffer
	start := time.Now()
	for err == nil {
		_, err = io.CopyN(&all, res.Body, 64<<10)
		time.Sleep(100 * time.Millisecond)
	}
	got, bad := readRecords(all.Bytes())
	if err != io.EOF || bad != nil || len(got) != 2 || got[0].Results[0].Content != text {
		t.Errorf("after %d bytes and %v: %v, %v", all.Len(), time.Since(start), err, bad)
	}
	if took := time.Since(start); took < 2*cfg.Streams.WriteTimeout {
		t.Errorf("took %v, which tests nothing", took)
	}
	r.active(t, 0)
	if s := r.Server.streams.report(); s.Stalled != 1 || s.Completed != 1 {
		t.Errorf("%+v", s)
	}
	if _, clean, err := rest(stops); clean || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("who stopped: %v, clean %t", err, clean)
	}
}

func TestFaultClientsThatLeaveFreeTheirSlots(t *testing.T) {
	for _, request := range []string{getStream, postStream} {
		method, _, _ := strings.Cut(request, " ")
		cfg := streamConfig(1)
		cfg.Streams.Wait = 10 * time.Second
		r := run(t, cfg, Deps{Library: echo(), Answerer: idle})
		first := r.streams(t, 1, request)[0]
		r.active(t, 1)
		waiting := r.streams(t, 1, request)[0]
		eventually(t, "one waits", func() bool { return r.Server.streams.report().Waiting == 1 })
		third, in := raw(t, r.url, request)
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != 503 {
			t.Fatalf("%s: the queue is full: %v %v", method, res, err)
		}
		third.Close()
		waiting.Close() // it leaves the queue
		eventually(t, "nobody waits", func() bool { return r.Server.streams.report().Waiting == 0 })
		start := time.Now()
		first.Close()
		r.active(t, 0)
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: the slot was free after %v", method, took)
		}
		if s := r.Server.streams.report(); s.ClientGone != 1 || s.Started != 1 || s.Utilization != 0 {
			t.Errorf("%s: %+v", method, s)
		}
	}
}

// 150 at once, for 100 slots: the others wait for their turn, and all are served.
func TestFaultMoreStreamsThanSlots(t *testing.T) {
	const slots, n = 100, 150
	var now, most atomic.Int64
	full := make(chan struct{})
	fill := sync.OnceFunc(func() { close(full) })
	busy := answers(func(_ context.Context, _ answer.Request, emit func(answer.Piece) error) (answer.Result, error) {
		at := now.Add(1)
		storeMax(&most, at)
		if at == slots {
			fill()
		}
		defer now.Add(-1)
		<-full
		return answer.Result{}, emit(answer.Piece{Text: "so it is"})
	})
	cfg := streamConfig(slots)
	cfg.Streams.Wait = 10 * time.Second
	r := run(t, cfg, Deps{Library: echo(), Answerer: busy})
	completeStreams(t, r, n)
	if most.Load() != slots || now.Load() != 0 {
		t.Errorf("%d streams at once, %d at the end", most.Load(), now.Load())
	}
	r.active(t, 0)
	if s := r.Server.streams.report(); s.Completed != n || s.Started != n {
		t.Errorf("%+v", s)
	}
}

// completeStreams reads n streams at once to their end.
func completeStreams(t *testing.T, r *running, n int) {
	t.Helper()
	c := client(t)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			res, err := c.Get(r.url + streamPath + "?q=a")
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			got, bad := readRecords(body)
			if err != nil || bad != nil || got[len(got)-1].Status != streamComplete {
				t.Errorf("%d %v %v: %.200s", res.StatusCode, err, bad, body)
			}
		})
	}
	wg.Wait()
}

// The plan's own test of its task C2: 101 concurrent streams by GET.
func TestThePlansHundredAndOneStreams(t *testing.T) {
	r := run(t, testConfig(), openHouse(t, 2, 40, cached).deps())
	completeStreams(t, r, 101)
	if s := r.Server.streams.report(); s.Completed != 101 || s.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func TestFaultAThousandAborts(t *testing.T) {
	const waves, n = 10, 100
	cfg := streamConfig(n)
	cfg.Streams.PerUser = n
	cfg.Streams.Wait = 10 * time.Second
	water := new(flood)
	r := run(t, cfg, Deps{Library: echo(), Answerer: water})
	before := runtime.NumGoroutine()
	for wave := range waves {
		for i, conn := range r.streams(t, n, []string{getStream, postStream}[wave%2]) {
			if i%2 == 0 { // the others leave without a look
				_, _ = bufio.NewReader(conn).ReadString('\n')
			}
			conn.Close()
		}
	}
	eventually(t, "all are gone", func() bool { return r.connections() == 0 && r.inFlight.now.Load() == 0 })
	s := r.Server.streams.report()
	if s.Active != 0 || s.Utilization != 0 || s.Waiting != 0 || s.Completed != 0 || len(r.Server.streams.users) != 0 {
		t.Errorf("%+v, users %v", s, r.Server.streams.users)
	}
	if s.Started < waves*n/2 {
		t.Errorf("only %d of %d streams began", s.Started, waves*n)
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}
