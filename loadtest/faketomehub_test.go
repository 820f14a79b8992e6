package loadtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A fakeTomehub has counters that a test turns. It is the target of the load, its health routes and its admin listener.
type fakeTomehub struct {
	work time.Duration                   // of one request
	per  func(at time.Duration) int64    // statements of one request
	cut  func(*http.Request) (bool, int) // takes a question about health away: status 0 hangs until the asker leaves

	mu       sync.Mutex // guards all below
	began    time.Time
	process  int
	silent   bool // says nothing of when it began, as an older server
	requests int64
	ok       int64
	stmts    int64
	hits     int64
	misses   int64
	inUse    int64
	rss      float64
	breaker  string
	opened   int64
	half     int64
	closed   int64
	asked    map[string]int
}

func newFakeTomehub() *fakeTomehub {
	return &fakeTomehub{
		work: 30 * time.Millisecond, per: func(time.Duration) int64 { return 6 }, began: time.Now(), inUse: 3, rss: 100, breaker: "closed",
		asked: map[string]int{},
	}
}

// serve answers a request of the load.
func (f *fakeTomehub) serve(*http.Request) (int, string) {
	f.mu.Lock()
	work := f.work
	f.mu.Unlock()
	time.Sleep(work)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	f.ok++
	n := f.per(time.Since(f.began))
	f.stmts += n
	f.misses += n
	f.hits += 3 * n
	return 200, "{}"
}

// restart makes all counters begin anew.
func (f *fakeTomehub) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.process++
	f.requests, f.ok, f.stmts, f.hits, f.misses, f.opened, f.half, f.closed = 0, 0, 0, 0, 0, 0, 0, 0
}

// RoundTrip answers the observer.
func (f *fakeTomehub) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.asked[r.URL.Path]++
	f.mu.Unlock()
	if f.cut != nil {
		if taken, status := f.cut(r); taken {
			if status == 0 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(status, "<html>no</html>"), nil
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.answer(r)
	if v == nil {
		return answer(404, `{"error":"no_such_route"}`), nil
	}
	return jsonAnswer(v)
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}
}

type object = map[string]any

// answer is what a route says. The caller holds mu.
func (f *fakeTomehub) answer(r *http.Request) any {
	started := f.began.Add(time.Duration(f.process) * time.Hour).UTC().Format(time.RFC3339Nano)
	if f.silent {
		started = ""
	}
	switch path := strings.TrimPrefix(r.URL.Path, "/api/health"); {
	case r.URL.Host == "admin" && path == "/routes":
		return object{
			"schema_version": 1, "server": "tomehub v9", "phase": "B", "started_at": started,
			"routes": []object{
				{"method": "GET", "route": "/api/health/pools", "requests": 1e6, "statements_total": 1e6},
				{"method": "GET", "route": "/", "requests": f.requests, "in_flight": f.inUse, "statuses": object{"2xx": f.ok},
					"statements_total": f.stmts, "acquire_wait_us": 1000 * f.requests, "elapsed_us": 2000 * f.requests},
				{"method": "GET", "route": "/never", "requests": 0, "statuses": object{}},
			},
		}
	case r.URL.Host == "admin":
		return nil
	case path == "":
		return object{"status": "ok", "version": "v9", "phase": "B"}
	case path == "/live":
		return object{"status": "ok", "started_at": started}
	case path == "/pools":
		return object{"pools": []object{
			{"name": "read", "size": 20, "in_use": f.inUse, "waiting": 2 * f.inUse, "acquired": f.stmts, "waits": f.stmts / 2,
				"timed_out": f.requests, "cancelled": f.requests, "wait_total_ms": 5 * f.stmts},
			{"name": "write", "size": 5},
		}}
	case path == "/cache":
		return object{"cache": object{"enabled": true, "bytes": 3 << 20, "hits": f.hits, "misses": f.misses, "joined": 0}}
	case path == "/streams":
		return object{"streams": object{"active_streams": 1, "max_concurrent": 100, "started": f.requests, "completed": f.requests,
			"refused": object{"queue_full": f.requests, "per_user": 0}}}
	case path == "/memory":
		return object{"health": "ok", "memory": object{"process_rss_mb": f.rss, "limit_mb": 1000, "percent": f.rss / 10}}
	case path == "/circuit-breaker":
		return object{"circuit_breakers": []object{{"name": "database", "state": f.breaker, "opened": f.opened, "half_opened": f.half,
			"closed": f.closed, "rejected": 3 * f.opened}}}
	}
	return nil
}

// jsonAnswer is an answer with v as its body.
func jsonAnswer(v any) (*http.Response, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return answer(200, string(text)), nil
}
