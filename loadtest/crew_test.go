package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeListener makes a server of net/http and a crew meet inside a bubble, where no sockets are.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, its := net.Pipe()
	select {
	case l.conns <- its:
		return ours, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
}

// crewed makes virtual run a crew against a server of net/http, in place of vegeta and a fake transport.
func crewed(t testing.TB, server fakeServer) func(*Config) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := server(r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return func(c *Config) { c.transport, c.dial = nil, l.dial }
}

// What users do must not depend on who sends for them.
func TestCrewDoesAsVegeta(t *testing.T) {
	f := func(text string) {
		t.Helper()
		run := func(change func(testing.TB, fakeServer) func(*Config)) (r *Result, lines []string) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatcher(20 * time.Millisecond)
				w.answer = func(*http.Request) (int, string) { return 200, `{"id": [1, 2, 3]}` }
				changes := []func(*Config){func(c *Config) { c.Seed = 7 }}
				if change != nil {
					changes = append(changes, change(t, w.serve))
				}
				r = virtual(context.Background(), t, text, w.serve, changes...)
				lines = slices.Sorted(slices.Values(w.lines))
			})
			return r, lines
		}
		want, wantLines := run(nil)
		got, gotLines := run(crewed)
		if !slices.Equal(gotLines, wantLines) {
			t.Errorf("%s: the server saw %d requests, from vegeta %d, and not the same", text, len(gotLines), len(wantLines))
		}
		g, w := got.Total, want.Total
		if g.Completed != w.Completed || !maps.Equal(g.Kinds, w.Kinds) || g.BytesIn != w.BytesIn || got.WarmUp != want.WarmUp ||
			g.Response.MaxMS != w.Response.MaxMS || g.Response.P50MS != w.Response.P50MS || got.Generator.Asked != want.Generator.Asked ||
			got.Generator.Held != want.Generator.Held {
			t.Errorf("%s: %+v, vegeta %+v", text, g, w)
		}
	}
	const flow = `
feeders: {q: {values: [a, b, c, d], pick: random}}
flows:
  - name: f
    steps:
      - {name: list, post: /list, json: '{"q": "{{q}}"}', take: {id: {path: "id[*]", pick: random}}}
      - {name: read, get: "/read/{{id}}", repeat: 2}
  - {name: g, weight: 2, steps: [{name: other, get: "/other?q={{q}}"}]}
`
	f("warm_up: 1s\nusers: {count: 20}\nthink: {min: 100ms, max: 900ms}" + flow)
	f("users: {count: 20, ramp_up: 4s}\nthink: {mean: 300ms}\nconnections: per_user" + flow)
	f("users: {count: 3}\npace: 250ms" + flow)
	f("arrivals: {rate: 40/s}\nthink: 50ms" + flow)
}

// Whatever the seed, an agenda that is asked from many sides gives each user at most once.
func TestCrewWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(10 * time.Millisecond)
		r := virtual(context.Background(), t, "users: {count: 7}"+oneStep, w.serve, crewed(t, w.serve))
		if w.most != 7 || r.Total.Completed != 7*1000 || r.Total.OK != 7000 {
			t.Errorf("at most %d at once, %d completed; want 7 and 7000", w.most, r.Total.Completed)
		}
	})
}

// The deadline of a wire is seldom moved; it must cut neither too soon nor too late.
func TestCrewTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		serve := func(r *http.Request) (int, string) {
			if time.Since(began) >= 7*time.Second {
				<-r.Context().Done()
				return 200, ""
			}
			time.Sleep(900 * time.Millisecond)
			return 200, ""
		}
		r := virtual(context.Background(), t, "timeout: 1s\nusers: {count: 1}\nthink: 100ms"+oneStep, serve, crewed(t, serve))
		if r.Total.Kinds[OK] != 7 || r.Total.Kinds[Timeout] == 0 || r.Total.Failed != r.Total.Kinds[Timeout] {
			t.Errorf("kinds %v, want 7 right and then timeouts", r.Total.Kinds)
		}
		near(t, "the longest", r.Total.Response.MaxMS, 1000, 0.1)
	})
}

func TestCrewIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		serve := func(r *http.Request) (int, string) { <-r.Context().Done(); return 200, "" }
		began := time.Now()
		r := virtual(ctx, t, "users: {count: 50}\ntimeout: 1m"+oneStep, serve, crewed(t, serve))
		if took := time.Since(began); took != 3*time.Second || r.Total.Completed != 0 || r.Total.Failed != 0 {
			t.Errorf("ended after %v with %+v", took, r.Total)
		}
	})
}

// bothRoads runs one user against target for a moment, with a crew, with one whose users all wait in a lobby, and with
// vegeta over net/http, which must agree on the kinds of answers and their sizes. It returns the first crew's result.
func bothRoads(t *testing.T, why, target, step string) *Result {
	t.Helper()
	// With a dialer of its own no run is observed, which would wait for a server that says nothing.
	got := short(t, target, step, func(c *Config) { c.dial = newDialer().DialContext })
	lobby := short(t, target, step, func(c *Config) { c.dial = newDialer().DialContext; c.waiting = -1 })
	var transport *http.Transport
	want := short(t, target, step, func(c *Config) { transport = newTransport(1); c.transport = transport })
	transport.CloseIdleConnections()
	per := func(r *Result) map[Kind]float64 { // what is left when one run had more requests than the other
		m := map[Kind]float64{}
		for k := range r.Total.Kinds {
			m[k] = 1
		}
		if r.Total.Completed > 0 {
			m[Kind(kinds)] = float64(r.Total.BytesIn) / float64(r.Total.Completed)
		}
		return m
	}
	if !maps.Equal(per(got), per(want)) {
		t.Errorf("%s: the crew has %v and %d bytes, net/http %v and %d", why, got.Total.Kinds, got.Total.BytesIn, want.Total.Kinds, want.Total.BytesIn)
	}
	if !maps.Equal(per(lobby), per(want)) {
		t.Errorf("%s: from the lobby %v and %d bytes, net/http %v and %d", why, lobby.Total.Kinds, lobby.Total.BytesIn, want.Total.Kinds, want.Total.BytesIn)
	}
	return got
}

func TestRoadsAgree(t *testing.T) {
	say := func(text string, after func(net.Conn)) string {
		return raw(t, func(c net.Conn) {
			fmt.Fprint(c, strings.ReplaceAll(text, "\n", "\r\n"))
			if after != nil {
				after(c)
			}
		})
	}
	stop := make(chan struct{})
	defer close(stop)
	stay := func(net.Conn) { <-stop }
	f := func(why, target, step string, want Kind) {
		t.Helper()
		if r := bothRoads(t, why, target, step); r.Total.Kinds[want] == 0 {
			t.Errorf("%s: %v, want %v", why, r.Total.Kinds, want)
		}
	}
	const head = "HTTP/1.1 200 OK\n"
	f("a length", say(head+"Content-Length: 3\n\nabc", nil), "timeout: 5s", OK)
	f("bytes behind an answer", say(head+"Content-Length: 3\n\nabcdef", stay), "timeout: 5s", OK)
	f("until it is closed", say(head+"\nabc", nil), "timeout: 5s", OK)
	f("an interim head", say("HTTP/1.1 103 Hints\n\n"+head+"Content-Length: 1\n\na", nil), "timeout: 5s", OK)
	f("chunks and a trailer", say(head+"Transfer-Encoding: chunked\n\n3\nabc\n0\nA: b\n\n", nil), "timeout: 5s", OK)
	f("a bad chunk", say(head+"Transfer-Encoding: chunked\n\nx\n", stay), "timeout: 5s", BadHTTP)
	f("another encoding", say(head+"Transfer-Encoding: br\n\n", stay), "timeout: 5s", BadHTTP)
	f("two lengths", say(head+"Content-Length: 1\nContent-Length: 2\n\nab", stay), "timeout: 5s", BadHTTP)
	f("a head without end", say(head+"A: "+strings.Repeat("x", 2*maxHead)+"\n\n", stay), "timeout: 5s", BadHTTP)
	f("a cut head", say(head+"A: b\n", nil), "timeout: 5s", Closed)
	f("a chunk without end", say(head+"Transfer-Encoding: chunked\n\n3\nab", stay), "timeout: 30ms", Timeout)
	f("a reset in the body", say(head+"Content-Length: 9\n\nabc", func(c net.Conn) {
		time.Sleep(5 * time.Millisecond) // so that the head is read before the reset throws it away
		_ = c.(*net.TCPConn).SetLinger(0)
	}), "timeout: 5s", Reset)
}

// A server that closes its wires between two requests must cost no request that can be sent again, and one that closes
// them on a request must cost one.
func TestCrewSendsAgain(t *testing.T) {
	server := func(answers int, pause time.Duration) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				all.Go(func() {
					defer conn.Close()
					in := bufio.NewReader(conn)
					for n := 0; n < answers || pause > 0 && n <= answers; n++ {
						r, err := http.ReadRequest(in)
						if err != nil || n == answers {
							return // having read the request
						}
						_, _ = io.Copy(io.Discard, r.Body)
						fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
					}
				})
			}
		})
		t.Cleanup(func() { l.Close(); all.Wait() })
		return "http://" + l.Addr().String()
	}
	run := func(why, target, step string, waiting int, fails, resent bool) {
		t.Helper()
		r, err := Run(t.Context(), Config{Target: target, gauge: idle, waiting: waiting, Scenario: mustParse(t, "duration: 200ms\nusers: {count: 1}\nthink: 10ms\nflows: [{name: f, steps: [{name: s, "+step+"}]}]\n")})
		if err != nil {
			t.Fatal(err)
		}
		if failed := r.Total.Failed > 0; failed != fails || fails && r.Total.Kinds[Closed] != r.Total.Failed {
			t.Errorf("%s: kinds %v", why, r.Total.Kinds)
		}
		if again := r.Generator.Resent > 0; again != resent {
			t.Errorf("%s: %d sent again", why, r.Generator.Resent)
		}
	}
	f := func(why, target, step string, fails, resent bool) {
		t.Helper()
		run(why, target, step, 0, fails, resent)
		run(why+", from the lobby", target, step, -1, fails, resent)
	}
	f("closed while it rests", server(3, 0), "post: /, body: a", false, false)
	f("closed on a GET", server(3, 1), "get: /", false, true)
	f("closed on a POST", server(3, 1), "post: /, body: a", true, false)
	f("closed on a POST that says it may be done twice", server(3, 1), "post: /, body: a, headers: {Idempotency-Key: x}", false, true)
	f("closed on the first request", server(0, 1), "get: /", true, false)
}

// A server may answer before it has read all of a long request.
func TestCrewLongRequests(t *testing.T) {
	var read atomic.Int64
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/whole" {
			n, _ := io.Copy(io.Discard, r.Body)
			read.Store(n)
			return
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	f := func(path string, want Kind) {
		t.Helper()
		const size = 16 << 20
		cfg := Config{Target: "http://" + l.Addr().String(), gauge: idle, Scenario: mustParse(t, "duration: 100ms\nusers: {count: 1}\nthink: 1s\ntimeout: 10s\nflows: [{name: f, steps: [{name: s, post: "+path+", body: a}]}]\n")}
		cfg.Scenario.steps[0].body = template{parts: []part{{literal: strings.Repeat("x", size)}}}
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Total.Completed != 1 || r.Total.Kinds[want] != 1 || path == "/whole" && read.Load() != size {
			t.Errorf("%s: %v, %d bytes read, %+v", path, r.Total.Kinds, read.Load(), r.Errors)
		}
	}
	f("/whole", OK)
	f("/refused", ClientError)
}

// Goroutines that wait to lead are bounded, and whoever is asked to lead gets to.
func TestCrewRests(t *testing.T) {
	c := &crew{lead: make(chan struct{}), over: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(context.Background())
	var led atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		c.lead, c.over = make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		for range maxIdle + 5 {
			all.Go(func() {
				if c.rests() {
					led.Add(1)
				}
			})
		}
		synctest.Wait()
		if c.rest != maxIdle {
			t.Errorf("%d rest, want %d", c.rest, maxIdle)
		}
		for range 3 {
			c.pass(ctx)
		}
		close(c.over)
		all.Wait()
	})
	cancel(errors.New("done"))
	if led.Load() != 3 {
		t.Errorf("%d led, want 3", led.Load())
	}
}

// What a crew does for a request must leave no garbage: at tens of thousands of requests a second, collecting it would be
// what the generator does.
func TestCrewLeavesNoGarbage(t *testing.T) {
	type look struct{ mallocs, requests uint64 }
	var looks []look
	_, err := Run(t.Context(), Config{
		Target: tinyServer(t), gauge: idle, dial: newDialer().DialContext,
		Scenario: mustParse(t, "duration: 1s\nusers: {count: 4}"+oneStep),
		Progress: func(p Progress) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			looks = append(looks, look{m.Mallocs, uint64(p.Completed)})
		},
	})
	if err != nil || len(looks) < 3 {
		t.Fatalf("%d looks, %v", len(looks), err)
	}
	first, last := looks[1], looks[len(looks)-1] // before the first the connections were made
	requests := last.requests - first.requests
	const perSecond = 3000                                                             // objects of the windows that end and of those who look on, whatever number of requests there are
	if n := last.mallocs - first.mallocs; requests < 100 || n > 2*requests+perSecond { // the race detector adds some
		t.Errorf("%d objects for %d requests, want none", n, requests)
	}
}
