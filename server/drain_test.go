package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
