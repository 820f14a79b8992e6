package loadtest

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

// A planted server is a TomeHub with a bottleneck that a test puts in: places for statements, cores, a rate limit. It
// lives by the clock of a test's bubble, as the load and as its own health routes.
type planted struct {
	size       int                             // of the pool
	hold       func(inUse int) time.Duration   // of a statement
	statements int                             // of a request without a cache
	cache      bool                            // whether there is one; it answers nine of ten requests
	work       time.Duration                   // on a core, beside the statements
	limit      int                             // requests in any window; 0 has none
	window     time.Duration                   // of the limit; 0 is a second
	queue      int                             // how many may wait for the pool; 0 is any number
	hang       func(n int64, under int64) bool // of the n-th request, with so many under way
	places     chan struct{}                   // of the pool
	cores      chan struct{}                   // of the machine
	mu         sync.Mutex                      // guards all below
	began      time.Time                       //
	passed     []time.Time                     // requests within the window before the last
	under      int64                           // requests under way
	counts     struct{ requests, ok, stmts, acquired, waits, full, hits, misses int64 }
	waited     time.Duration
	burnt      time.Duration // CPU time
	waiting    int64
}

func (p *planted) start() {
	p.places, p.cores = make(chan struct{}, p.size), make(chan struct{}, runtime.NumCPU())
	p.began = time.Now()
}

func (p *planted) serve(r *http.Request) (int, string) {
	p.mu.Lock()
	p.under++
	n := p.counts.requests
	p.counts.requests++
	refused := !p.passes()
	hang := p.hang != nil && p.hang(n, p.under)
	asks := p.statements
	if p.cache {
		if p.counts.misses++; n%10 != 0 {
			p.counts.misses--
			p.counts.hits++
			asks = 0
		}
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.under--
	}()
	if hang {
		<-r.Context().Done()
		return 0, ""
	}
	if refused {
		return 429, ""
	}
	for range asks {
		if !p.statement() {
			return 503, ""
		}
	}
	if p.work > 0 {
		p.cores <- struct{}{}
		time.Sleep(p.work)
		<-p.cores
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.burnt += p.work
	p.counts.ok++
	return 200, "{}"
}

func (p *planted) statement() bool {
	from := time.Now()
	p.mu.Lock()
	if p.queue > 0 && p.waiting >= int64(p.queue) {
		p.counts.full++
		p.mu.Unlock()
		return false
	}
	p.waiting++
	p.mu.Unlock()
	p.places <- struct{}{}
	p.mu.Lock()
	p.waiting--
	if d := time.Since(from); d > 0 {
		p.waited += d
		p.counts.waits++
	}
	p.counts.acquired++
	p.counts.stmts++
	hold := p.hold(len(p.places))
	p.mu.Unlock()
	time.Sleep(hold)
	<-p.places
	return true
}

func (p *planted) cpu() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.burnt, nil
}

// RoundTrip answers the observer.
func (p *planted) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts
	started := p.began.UTC().Format(time.RFC3339Nano)
	body := object{}
	switch path := strings.TrimPrefix(r.URL.Path, "/api/health"); {
	case r.URL.Host == "admin" && path == "/routes":
		body = object{"schema_version": 1, "server": "tomehub v9", "phase": "D", "started_at": started, "routes": []object{
			{"method": "GET", "route": "/", "requests": c.requests, "in_flight": p.under, "statuses": object{"2xx": c.ok}, "statements_total": c.stmts},
		}}
	case r.URL.Host == "admin":
		return answer(404, `{"error":"no_such_route"}`), nil
	case path == "/live":
		body = object{"status": "ok", "started_at": started}
	case path == "/pools":
		body = object{"pools": []object{{"name": "read", "size": p.size, "in_use": len(p.places), "waiting": p.waiting, "acquired": c.acquired,
			"waits": c.waits, "queue_full": c.full, "wait_total_ms": p.waited.Milliseconds()}}}
	case path == "/cache":
		body = object{"cache": object{"enabled": p.cache, "hits": c.hits, "misses": c.misses}}
	}
	return jsonAnswer(body)
}

// passes is the rate limit. mu is held.
func (p *planted) passes() bool {
	if p.limit == 0 {
		return true
	}
	now := time.Now()
	gone := 0
	for gone < len(p.passed) && now.Sub(p.passed[gone]) >= max(p.window, time.Second) {
		gone++
	}
	if p.passed = p.passed[gone:]; len(p.passed) >= p.limit {
		return false
	}
	p.passed = append(p.passed, now)
	return true
}
