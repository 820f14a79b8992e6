package loadtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bytesAt are the moments at which a body of n bytes, whose first line has 10, is taken by a reader.
func bytesAt(t *testing.T, r SlowReader, n int, byLine bool) (first, end time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		text := strings.Repeat("x", 9) + "\n" + strings.Repeat("y", n-10)
		body := r.reads(t.Context(), io.NopCloser(strings.NewReader(text)), byLine)
		room := make([]byte, 4096)
		got := 0
		for {
			k, err := body.Read(room)
			if got < 10 && got+k >= 10 {
				first = time.Since(begin)
			}
			if got += k; err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if end = time.Since(begin); got != n {
			t.Errorf("%d bytes of %d", got, n)
		}
	})
	return first, end
}

func TestSlowReader(t *testing.T) {
	f := func(why string, r SlowReader, n int, byLine bool, wantFirst, wantEnd time.Duration) {
		t.Helper()
		if first, end := bytesAt(t, r, n, byLine); first != wantFirst || end.Round(time.Millisecond) != wantEnd {
			t.Errorf("%s: first line at %v, end at %v; want %v, %v", why, first, end, wantFirst, wantEnd)
		}
	}
	const ms = time.Millisecond
	f("1,000 bytes a second", SlowReader{Rate: 1000}, 5000, true, 0, 5000*ms)
	f("a byte at a time", SlowReader{Rate: 10}, 100, true, 9*100*ms, 10_000*ms)
	f("more than it reads at once", SlowReader{Rate: 4096_000}, 4096_0, true, 0, 10*ms)
	f("one pause", SlowReader{Pause: 2 * time.Second}, 50_000, true, 0, 2000*ms)
	f("a pause after the first line", SlowReader{Rate: 100, Pause: 2 * time.Second}, 100, true, 50*ms, 3000*ms)
	f("a pause after the first bytes", SlowReader{Rate: 100, Pause: 2 * time.Second}, 100, false, 2050*ms, 3000*ms)
}

// A slow reader stops with the run or with its timeout, also while it pauses.
func TestSlowReaderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		body := (&SlowReader{Pause: time.Hour}).reads(ctx, io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), false)
		room := make([]byte, 10)
		_, first := body.Read(room)
		if _, err := body.Read(room); first != nil || err != context.DeadlineExceeded || time.Since(begin) != time.Second {
			t.Errorf("%v, then %v after %v", first, err, time.Since(begin))
		}
	})
}

// A server that writes what a slow reader does not take must block, and can then send it away; the same server serves
// who reads.
func TestSlowReaderBlocksTheServer(t *testing.T) {
	t.Parallel()
	var blocked, patience atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // the observer, which finds no TomeHub
			http.NotFound(w, r)
			return
		}
		control := http.NewResponseController(w)
		for range 16 { // 160 KiB, which the buffers of an ordinary connection hold
			if err := control.SetWriteDeadline(time.Now().Add(time.Duration(patience.Load()))); err != nil {
				t.Error(err)
			}
			_, err := w.Write([]byte(strings.Repeat("x", 10<<10-1) + "\n"))
			if err == nil {
				err = control.Flush()
			}
			if err != nil {
				blocked.Add(1)
				panic(http.ErrAbortHandler)
			}
		}
		fmt.Fprintln(w, "done")
	}))
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10) // as TomeHub has it for streams
			_ = c.(*net.TCPConn).SetLinger(0)
		}
	}
	srv.Start()
	defer srv.Close()
	f := func(why, keys string, want Kind, sent bool) {
		t.Helper()
		blocked.Store(0)
		patience.Store(int64(50 * time.Millisecond))
		if sent {
			patience.Store(int64(time.Minute)) // a busy machine is not to look like a slow reader
		}
		r := short(t, srv.URL, keys)
		if f := r.of("s"); f.Completed == 0 || f.Kinds[want] != f.Completed || sent != (blocked.Load() == 0) {
			t.Errorf("%s: kinds %v, %+v; the server was blocked %d times", why, f.Kinds, r.Errors, blocked.Load())
		}
	}
	const last = "stream: {last: done}"
	f("who reads is served", last, OK, true)
	f("who reads slowly is not", last+", read_rate: 32KiB/s", RefusedSlowReader, false)
	f("who pauses is not", last+", read_pause: 300ms", RefusedSlowReader, false)
	f("as it should be", last+", read_pause: 300ms, slow_reader: refused", OK, false)
	f("of no stream", "read_rate: 32KiB/s", RefusedSlowReader, false)
	f("slow enough to be served", last+", read_rate: 100MiB/s", OK, true)
	f("served and should not be", last+", read_rate: 100MiB/s, slow_reader: refused", WrongAnswer, true)
}

// unending is a server whose streams go on until it is closed, a line every 20 ms, and counts those under way.
func unending(tb testing.TB) (target string, open *atomic.Int64) {
	tb.Helper()
	open = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		open.Add(1)
		defer open.Add(-1)
		control := http.NewResponseController(w)
		for r.Context().Err() == nil {
			fmt.Fprintln(w, strings.Repeat("x", 4<<10))
			if control.Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}))
	tb.Cleanup(srv.Close)
	return srv.URL, open
}

// abort starts a run of slow streams, ends it when they are all under way, and returns how long the run took to end.
func abort(tb testing.TB, streams int64) time.Duration {
	tb.Helper()
	target, open := unending(tb)
	s := mustParse(tb, fmt.Sprintf(`
duration: 5m
timeout: 9m
users: {count: %d}
flows:
  - name: f
    steps:
      - {name: s, get: /, stream: true, read_rate: 1KiB/s, read_pause: 5m}
`, streams))
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	var canceled time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for open.Load() < streams && ctx.Err() == nil {
			runtime.Gosched()
			time.Sleep(time.Millisecond)
		}
		canceled = time.Now()
		cancel()
	}()
	r, err := Run(ctx, Config{Scenario: s, Target: target})
	ended := time.Now()
	<-done
	if err != nil || !r.Interrupted || r.Canceled != streams {
		tb.Fatalf("%+v, %v; want %d streams cut off", r, err, streams)
	}
	return ended.Sub(canceled)
}

// A run that is stopped does not wait for streams that have minutes to go. The bound is that of a broken machine.
func TestAbortWithSlowStreams(t *testing.T) {
	if took := abort(t, 200); took > 10*time.Second {
		t.Errorf("the run ended %v after it was stopped", took)
	}
}

// BenchmarkAbort is how long a run with 500 slow streams under way takes to end.
func BenchmarkAbort(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(abort(b, 500))/float64(time.Millisecond), "ms/abort")
	}
}
