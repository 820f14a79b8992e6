package loadtest

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// searchAndRead are the steps of a search whose answer is kept while its fields are read, and of one whose answer is not.
const searchAndRead = `
      - name: search
        post: /search
        json: '{"q":"{{q}}"}'
        take: {id: {path: "results[*].id", pick: random}}
      - {name: read, get: "/content/{{id}}"}
`

// slowStream is a step whose answer is read line by line and slowly.
const slowStream = `
      - {name: stream, get: "/?q={{q}}", stream: {last: results}, read_rate: 1000MiB/s, expect: {min_bytes: 10}}
`

// growth runs requests of the steps against nothing and returns how many bytes the heap grows with each, between the 10,000th and
// the last one.
func growth(tb testing.TB, requests int64, steps string) float64 {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // what the first one moved to the pools' victims goes now
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var n atomic.Int64
	var first, last int64
	serve := roundTripper(func(*http.Request) (*http.Response, error) {
		switch n.Add(1) {
		case 10_000:
			first = heap()
		case requests:
			last = heap()
			cancel()
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"results":[{"id":1},{"id":2}]}`))}, nil
	})
	// One user, so that the heap is read while nothing else happens.
	s := mustParse(tb, `
duration: 10m
users: {count: 1}
feeders: {q: {values: [a, b, c]}}
flows:
  - name: f
    steps:
`+steps)
	if _, err := Run(ctx, Config{Scenario: s, Target: "http://nowhere", transport: serve}); err != nil {
		tb.Fatal(err)
	}
	return float64(last-first) / float64(requests-10_000)
}

// roundTripper makes an http.RoundTripper of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Memory must not grow with the number of requests. The bound leaves room for what the runtime itself does meanwhile;
// what earlier tests of the process left behind may come and go within one measurement, a leak is in all of them.
func TestMemoryDoesNotGrow(t *testing.T) {
	f := func(name, steps string, most float64) {
		t.Helper()
		least := math.Inf(1)
		for tries := 0; tries < 3 && least > most; tries++ {
			least = min(least, growth(t, 30_000, steps))
		}
		if least > most {
			t.Errorf("%s: the heap grows by %.2f bytes per request, at most %v are allowed", name, least, most)
		}
	}
	f("searches", searchAndRead, 1)
	// The rooms that hold lines are kept in a pool, which the collector empties: a few of 64 KiB more or fewer are 10 bytes
	// for each of 20,000 requests. One word kept of each request is more.
	f("streams", slowStream, 12)
}

func BenchmarkMemoryPerRequest(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(growth(b, 510_000, searchAndRead), "B/request")
	}
}

// tinyServer answers every GET on a connection with the same few bytes and does no more, so that a benchmark in the same
// process measures the generator. It reads requests without a body whose head comes in one segment.
func tinyServer(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Type: application/json\r\n\r\n{\"results\":[1]}")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				room := make([]byte, 4096)
				for {
					if _, err := conn.Read(room); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkRequests reports what the generator does with a second of CPU. The CPU of the tiny server is in it.
func BenchmarkRequests(b *testing.B) {
	for _, load := range []string{"users: {count: 32}", "users: {count: 32}\nconnections: per_user", "arrivals: {rate: 5000/s}", "users: {count: 5000}\nthink: {mean: 1s}"} {
		b.Run(strings.ReplaceAll(load, "\n", ","), func(b *testing.B) {
			target := tinyServer(b)
			s := mustParse(b, "warm_up: 1s\nduration: 2s\n"+load+oneStep)
			for b.Loop() {
				before, _, err := readProcess()
				if err != nil {
					b.Fatal(err)
				}
				r, err := Run(context.Background(), Config{Scenario: s, Target: target})
				if err != nil {
					b.Fatal(err)
				}
				after, _, err := readProcess()
				if err != nil {
					b.Fatal(err)
				}
				if r.Total.OK != r.Total.Completed {
					b.Fatal(r.Errors)
				}
				b.ReportMetric(float64(r.Total.Completed+r.WarmUp)/(after-before).Seconds(), "requests/CPU-s")
				b.ReportMetric(1000*r.Generator.SendLag.P50MS, "lag-p50-µs")
				b.ReportMetric(1000*r.Generator.SendLag.P99MS, "lag-p99-µs")
				b.ReportMetric(r.Generator.RSSMiB, "RSS-MiB")
			}
		})
	}
}

// BenchmarkSchedule is what the agenda costs per request when 10,000 users think.
func BenchmarkSchedule(b *testing.B) {
	clock := time.Duration(0)
	a := &agenda{ctx: context.Background(), end: forever, last: forever, clock: func() time.Duration { return clock }, wait: newTimerWaiter()}
	s := mustParse(b, "users: {count: 1}\nthink: {mean: 3s}"+oneStep)
	run := newShared(s, "http://nowhere", "")
	for i := range 10_000 {
		u := newUser(i, run, 1)
		a.push(u, u.pause(s.steps[0]))
	}
	b.ReportAllocs()
	for b.Loop() {
		clock = a.queue[0].at
		u, ok := a.next()
		if !ok {
			b.Fatal("the agenda is over")
		}
		a.push(u, clock+u.pause(s.steps[0]))
	}
}

// BenchmarkPrepare is what it costs to make a request from its templates.
func BenchmarkPrepare(b *testing.B) {
	s := mustParse(b, `
users: {count: 1}
feeders: {query: {values: ["being and time", "düşünce", dasein], pick: zipf}}
flows:
  - {name: f, steps: [{name: s, post: "/api/search", json: '{"query": "{{query}}", "page_size": 20}'}]}
`)
	u := newUser(0, newShared(s, "http://127.0.0.1:5001", ""), 1)
	b.ReportAllocs()
	for b.Loop() {
		u.begin()
		if r := u.prepare(); len(r.body) == 0 {
			b.Fatal(fmt.Sprint(r))
		}
	}
}
