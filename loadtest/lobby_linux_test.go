package loadtest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// A holdingServer answers no request before all that it wants are there.
type holdingServer struct {
	*httptest.Server
	came    atomic.Int64
	release chan struct{}
}

func holding(t *testing.T) *holdingServer {
	s := &holdingServer{release: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.came.Add(1)
		select {
		case <-s.release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(s.Close)
	return s
}

// has waits until n requests are there.
func (s *holdingServer) has(t *testing.T, n int64) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); s.came.Load() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d of %d requests after 20 s", s.came.Load(), n)
			return
		}
	}
}

const manyUsers = "users: {count: %d}\nthink: 1m\ntimeout: %s\nduration: %s\nconnections: per_user\nflows: [{name: f, steps: [{name: s, get: /}]}]\n"

// Users beyond a bound wait for their answers without a goroutine, and each gets its own.
func TestLobbyHoldsMany(t *testing.T) {
	const users, waiting = 500, 100
	srv := holding(t)
	before := runtime.NumGoroutine()
	most := 0
	go func() {
		srv.has(t, users)
		// The server has two goroutines for each connection.
		most = runtime.NumGoroutine() - before - 2*users
		close(srv.release)
	}()
	r, err := Run(t.Context(), Config{
		Target: srv.URL, gauge: idle, dial: newDialer().DialContext, waiting: waiting,
		Scenario: mustParse(t, fmt.Sprintf(manyUsers, users, "30s", "100ms")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.OK != users || r.Total.BytesIn != 4*users {
		t.Errorf("%+v", r.Total)
	}
	if most < waiting || most > waiting+maxIdle+30 {
		t.Errorf("%d goroutines for %d requests that wait, want %d, at most %d that rest, and a few", most, users, waiting, maxIdle)
	}
}

// A request that nobody answers is over after its own time, also when it was asked after one with more.
func TestLobbyTimeouts(t *testing.T) {
	srv := holding(t)
	r, err := Run(t.Context(), Config{
		Target: srv.URL, gauge: idle, dial: newDialer().DialContext, waiting: -1,
		Scenario: mustParse(t, "users: {count: 20}\nduration: 500ms\nthink: 1m\nflows: [{name: f, steps: [{name: long, get: /, timeout: 300ms}]}, {name: g, steps: [{name: brief, get: /, timeout: 50ms}]}]\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.Completed != 20 || r.Total.Kinds[Timeout] != 20 {
		t.Errorf("%+v", r.Total)
	}
	for i, want := range []float64{300, 50} {
		if got := r.Steps[i].Response; got.Count == 0 || got.P50MS < want {
			t.Errorf("%s: %d were given up after %v ms, want %v", r.Steps[i].Step, got.Count, got.P50MS, want)
		}
	}
	if brief := r.Steps[1].Response.P50MS; brief >= 300 {
		t.Errorf("who had 50 ms was given up after %v", brief)
	}
}

// A run that is stopped leaves nobody behind in the lobby.
func TestLobbyIsEmptied(t *testing.T) {
	const users = 50
	began := time.Now()
	srv := holding(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		srv.has(t, users)
		cancel()
	}()
	r, err := Run(ctx, Config{
		Target: srv.URL, gauge: idle, dial: newDialer().DialContext, waiting: -1,
		Scenario: mustParse(t, fmt.Sprintf(manyUsers, users, "9m", "1m")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); r.Total.Completed != 0 || r.Total.Failed != 0 || took > time.Minute {
		t.Errorf("ended after %v with %+v", took, r.Total)
	}
}

// Whoever waits is called once, for a reason of its own: its answer begins or its time is over.
func TestLobbyCalls(t *testing.T) {
	began := time.Now()
	clock := func() time.Duration { return time.Since(began) }
	ls := &wires{began: began, clock: clock, open: map[*wire]struct{}{}}
	defer ls.close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func(limit time.Duration) (*wire, net.Conn) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		its, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { its.Close() })
		w := ls.add(c)
		w.limit = limit
		return w, its
	}
	called := make(chan waits, 10)
	b, err := newLobby(began, clock, func(w waits) { called <- w })
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	enter := func(slot int, w *wire, want bool) {
		t.Helper()
		if got := b.enter(waits{u: &user{slot: slot}, wire: w}); got != want {
			t.Fatalf("user %d enters: %v, want %v", slot, got, want)
		}
	}
	next := func(want int) {
		t.Helper()
		select {
		case w := <-called:
			if w.u.slot != want {
				t.Fatalf("user %d is called, want %d", w.u.slot, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("user %d is not called", want)
		}
	}
	first, toFirst := pair(time.Hour)
	silent, toSilent := pair(time.Hour)
	third, toThird := pair(time.Hour)
	fmt.Fprint(toFirst, "a")
	enter(1, first, true)
	next(1)
	enter(2, silent, true) // in the place of the first, whose byte nobody has read
	fmt.Fprint(toThird, "a")
	enter(3, third, true)
	next(3)
	enter(3, third, true) // again, with its byte
	next(3)

	brief, _ := pair(clock() + 20*time.Millisecond)
	enter(4, brief, true)
	next(4)
	if at := clock(); at < brief.limit-time.Millisecond {
		t.Errorf("called after %v, its time is over after %v", at, brief.limit)
	}
	fmt.Fprint(toSilent, "a")
	next(2)

	last, _ := pair(time.Hour)
	enter(5, last, true)
	b.empty()
	next(5)
	enter(6, silent, false)
	if len(called) != 0 {
		t.Errorf("user %d is called once more", (<-called).u.slot)
	}
}

// A place that the kernel tells of late may be another request's; nobody is called twice, and nobody is lost.
func TestLobbyPlaces(t *testing.T) {
	b := &lobby{places: []waits{{u: &user{slot: 1}}, {}, {u: &user{slot: 2}}}, free: []int32{1}}
	if w := b.take(1); w.u != nil || len(b.free) != 1 {
		t.Errorf("a free place gave %v", w)
	}
	if w := b.take(2); w.u == nil || w.u.slot != 2 || len(b.free) != 2 {
		t.Errorf("place 2 gave %v", w)
	}
	if w := b.take(2); w.u != nil || len(b.free) != 2 {
		t.Errorf("place 2 gave %v a second time", w)
	}
}

// What waits in a lobby costs little garbage.
func BenchmarkLobby(b *testing.B) {
	for _, waiting := range []int{0, -1} {
		b.Run(map[int]string{0: "goroutines", -1: "lobby"}[waiting], func(b *testing.B) {
			target := tinyServer(b)
			b.ReportAllocs()
			r, err := Run(b.Context(), Config{
				Target: target, gauge: idle, dial: newDialer().DialContext, waiting: waiting,
				Scenario: mustParse(b, "duration: 2s\nusers: {count: 64}"+oneStep),
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(r.Total.Rate, "requests/s")
		})
	}
}
