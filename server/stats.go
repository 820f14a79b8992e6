package server

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/server/store"
)

// routeStats counts the requests of one route since the start. Routes are few and known
// when the server is made, so that these numbers need no bound of their own.
type routeStats struct {
	method, path string
	kind         any           // a string: what the database shows as the kind of its statements
	timeout      time.Duration // of the work for one request
	metrics      *routeMetrics // nil without metrics
	timed        bool          // how long its requests take tells how quick the service is
	page         bool          // a page's file, which says itself how it may be kept and what it may load

	inFlight atomic.Int64
	panics   atomic.Int64
	gone     atomic.Int64    // clients that left before the answer
	classes  [6]atomic.Int64 // answers by the first digit of their status; 0 is unused

	statements, statementsMax atomic.Int64
	rows                      atomic.Int64
	acquireWaitNs             atomic.Int64
	elapsedNs, elapsedMaxNs   atomic.Int64
}

func (r *routeStats) name() string { return r.method + " " + r.path }

// count adds one finished request.
func (r *routeStats) count(status int, elapsed time.Duration, db *store.RequestStats) {
	if status == statusClientGone {
		r.gone.Add(1)
	} else if class := status / 100; class < len(r.classes) {
		r.classes[class].Add(1)
	}
	if n := db.Statements.Load(); n > 0 {
		r.statements.Add(n)
		r.rows.Add(db.Rows.Load())
		r.acquireWaitNs.Add(db.AcquireWaitNs.Load())
		storeMax(&r.statementsMax, n)
	}
	r.elapsedNs.Add(int64(elapsed))
	storeMax(&r.elapsedMaxNs, int64(elapsed))
}

func storeMax(at *atomic.Int64, v int64) {
	for {
		old := at.Load()
		if v <= old || at.CompareAndSwap(old, v) {
			return
		}
	}
}

// routeReport is what the admin listener shows of one route.
type routeReport struct {
	Method             string           `json:"method"`
	Route              string           `json:"route"`
	Requests           int64            `json:"requests"`
	InFlight           int64            `json:"in_flight"`
	Statuses           map[string]int64 `json:"statuses"`
	ClientGone         int64            `json:"client_gone"`
	Panics             int64            `json:"panics"`
	StatementsTotal    int64            `json:"statements_total"`
	StatementsMax      int64            `json:"statements_max"`
	StatementsPerQuery float64          `json:"statements_per_request"`
	Rows               int64            `json:"rows"`
	AcquireWaitUS      int64            `json:"acquire_wait_us"`
	ElapsedUS          int64            `json:"elapsed_us"`
	MaxUS              int64            `json:"max_us"`
}

func (r *routeStats) report() routeReport {
	out := routeReport{
		Method: r.method, Route: r.path,
		InFlight: r.inFlight.Load(), Statuses: map[string]int64{},
		ClientGone: r.gone.Load(), Panics: r.panics.Load(),
		StatementsTotal: r.statements.Load(), StatementsMax: r.statementsMax.Load(),
		Rows: r.rows.Load(), AcquireWaitUS: r.acquireWaitNs.Load() / 1000,
		ElapsedUS: r.elapsedNs.Load() / 1000, MaxUS: r.elapsedMaxNs.Load() / 1000,
	}
	out.Requests = out.ClientGone
	for class := range r.classes {
		if n := r.classes[class].Load(); n > 0 {
			out.Statuses[strconv.Itoa(class)+"xx"] = n
			out.Requests += n
		}
	}
	if out.Requests > 0 {
		out.StatementsPerQuery = float64(out.StatementsTotal) / float64(out.Requests)
	}
	return out
}

// lineGate lets at most slowLines log lines through in each second and counts the others.
type lineGate struct {
	mu         sync.Mutex // guards all below
	second     int64
	admitted   int
	suppressed int64
}

const slowLines = 20

// admit tells whether a line may be written now and, if so, how many were not since the last one.
func (g *lineGate) admit(now time.Time) (suppressed int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if second := now.Unix(); second != g.second {
		g.second, g.admitted = second, 0
	}
	if g.admitted == slowLines {
		g.suppressed++
		return 0, false
	}
	g.admitted++
	suppressed, g.suppressed = g.suppressed, 0
	return suppressed, true
}
