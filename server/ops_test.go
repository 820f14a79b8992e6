package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/store"
)

// opsOf is what /ops says.
func opsOf(t testing.TB, s *Server) opsReport {
	t.Helper()
	w := ask(t, s.AdminHandler(), "GET", "/ops", "")
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != noStore {
		t.Fatalf("/ops: %d, Cache-Control %q", w.Code, w.Header().Get("Cache-Control"))
	}
	return decoded[opsReport](t, w)
}

// Every request but those to health is counted, once, as what its client saw.
func TestOpsTellsHowRequestsEnded(t *testing.T) {
	lib := echo()
	cfg := testConfig()
	cfg.RateLimits = RateLimits{Search: 4}
	s := newServer(t, cfg, Deps{Library: lib})
	before := opsOf(t, s).Requests
	f := func(why, target string, err error, status int, want opsRequests) {
		t.Helper()
		lib.search = failing(err).search
		if err == nil {
			lib.search = echo().search
		}
		if w := ask(t, s.Handler(), "GET", target, ""); w.Code != status {
			t.Errorf("%s: %d, want %d", why, w.Code, status)
		}
		now := opsOf(t, s).Requests
		got := opsRequests{Total: now.Total - before.Total, Limited: now.Limited - before.Limited, Refused: now.Refused - before.Refused, Failed: now.Failed - before.Failed}
		if n := timesIn(now) - timesIn(before); n > 0 {
			got.Times = [][2]int64{{0, n}}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
		before = now
	}
	timed := [][2]int64{{0, 1}}
	f("a search", "/api/search?q=a", nil, 200, opsRequests{Total: 1, Times: timed})
	f("one that the database did not answer", "/api/search?q=a", &pool.OracleError{Code: 1033, Class: pool.Down}, 503, opsRequests{Total: 1, Failed: 1})
	f("one for which there was no connection", "/api/search?q=a", exhaust(t), 503, opsRequests{Total: 1, Refused: 1})
	f("one that failed", "/api/search?q=a", errors.New("disk on fire"), 500, opsRequests{Total: 1, Failed: 1})
	f("one above the limit", "/api/search?q=a", nil, 429, opsRequests{Total: 1, Limited: 1})
	f("a page that is not there, which says nothing of how quick the service is", "/nowhere", nil, 404, opsRequests{Total: 1})
	f("a probe", "/api/health/live", nil, 200, opsRequests{})
}

func timesIn(r opsRequests) (n int64) {
	for _, bucket := range r.Times {
		n += bucket[1]
	}
	return n
}

// A bucket holds what is below its end and not below that of the one before, and is a quarter wide at most.
func TestSpread(t *testing.T) {
	f := func(us int64) {
		t.Helper()
		i := bucketOf(time.Duration(us) * time.Microsecond)
		end, start := bucketEnd(i), int64(0)
		if i > 0 {
			start = bucketEnd(i - 1)
		}
		if us < start || us >= end || i > 0 && i < len(spread{})-1 && 4*(end-start) > start {
			t.Errorf("%d µs is in bucket %d, from %d to %d", us, i, start, end)
		}
	}
	for us := range int64(3000) {
		f(us)
	}
	for range 2000 {
		f(rand.Int64N(1 << (7 + rand.IntN(20))))
	}
	f(1<<27 - 1)
	f(1 << 27)
	if i := bucketOf(time.Hour); i != len(spread{})-1 || bucketOf(-time.Second) != 0 {
		t.Errorf("an hour is in bucket %d of %d, a time below 0 in %d", i, len(spread{}), bucketOf(-time.Second))
	}
	var s spread
	s.add(70 * time.Microsecond)
	s.add(75 * time.Microsecond)
	s.add(time.Second)
	if diff := cmp.Diff([][2]int64{{80, 2}, {1 << 20, 1}}, s.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// The page says what the health routes and the other reports of the admin listener say.
func TestOpsAgreesWithTheOthers(t *testing.T) {
	s, _ := fullServer(t)
	s.deps.Restarts = map[string]int64{"memory": 2}
	for range 3 {
		ask(t, s.Handler(), "GET", "/api/search?q=time", "")
	}
	got := opsOf(t, s)
	for of, h := range map[string]http.Handler{"/api/health/pools": s.Handler(), "/circuit-breakers": s.AdminHandler()} {
		part := of[strings.LastIndex(of, "/")+1:]
		part = strings.ReplaceAll(part, "-", "_")
		theirs := decoded[map[string]any](t, ask(t, h, "GET", of, ""))[part]
		ours := decoded[map[string]any](t, ask(t, s.AdminHandler(), "GET", "/ops", ""))[part]
		if diff := cmp.Diff(theirs, ours); diff != "" || ours == nil {
			t.Errorf("%s (-it +ops):\n%s", of, diff)
		}
	}
	cache := s.deps.Cache()
	if diff := cmp.Diff(&cache, got.Cache); diff != "" {
		t.Errorf("cache (-health +ops):\n%s", diff)
	}
	if diff := cmp.Diff(s.streams.report(), got.Streams); diff != "" {
		t.Errorf("streams (-health +ops):\n%s", diff)
	}
	if diff := cmp.Diff(s.memoryReport(), got.Memory.memoryReport, cmpopts.IgnoreFields(memoryUse{}, "Timestamp", "ProcessRSS", "ProcessPercent", "SystemUsed", "SystemAvailable", "SystemPercent", "Used", "Percent", "Growth")); diff != "" {
		t.Errorf("memory (-health +ops):\n%s", diff)
	}
	for i, st := range got.Statements {
		if st.Executions == 0 || i > 0 && st.ElapsedUS > got.Statements[i-1].ElapsedUS {
			t.Errorf("statement %d of the list is %+v", i, st)
		}
	}
	if got.Phase != "D" || got.Status != "ok" || got.Restarts["memory"] != 2 || len(got.Statements) == 0 || got.MaxConnections != s.cfg.MaxConnections {
		t.Errorf("%+v", got)
	}
	s.stage.Store(stageLeaving)
	if got := opsOf(t, s); got.Status != "draining" {
		t.Errorf("a server that leaves is %q", got.Status)
	}
}

// However much there is to say, the answer stays small: it is asked for each second.
func TestOpsIsBounded(t *testing.T) {
	long := strings.Repeat("<script>alert(1)</script>", 400)
	m := newScripted()
	m.state.Reason = long
	s := newServer(t, testConfig(), Deps{
		Library: echo(), Memory: m,
		Breakers: func() []breaker.Stats { return []breaker.Stats{{Name: "database", LastError: long}} },
		Statements: func() (list []store.StatementStats) {
			for i := range 1000 {
				list = append(list, store.StatementStats{Name: fmt.Sprint(i, long), SQL: long, Executions: 1, Elapsed: time.Duration(i) * time.Second})
			}
			return append(list, store.StatementStats{Name: "never ran"})
		},
	})
	for i := range s.tally.times {
		s.tally.times[i].Add(1 << 40)
	}
	w := ask(t, s.AdminHandler(), "GET", "/ops", "")
	if w.Body.Len() > 80<<10 {
		t.Errorf("%d bytes", w.Body.Len())
	}
	got := decoded[opsReport](t, w)
	if n := len(got.Statements); n != maxOpsStatements || !strings.HasPrefix(got.Statements[0].Name, "999<") || !strings.HasPrefix(got.Statements[n-1].Name, "900<") {
		t.Errorf("%d statements, from %.10s to %.10s", n, got.Statements[0].Name, got.Statements[n-1].Name)
	}
}

// A server that has only a library has a page, too, also one without metrics.
func TestOpsOfAlmostNothing(t *testing.T) {
	got := opsOf(t, newServer(t, testConfig(), Deps{Library: echo()}))
	if got.Cache != nil || got.Memory.Health != "off" || got.Database != dbUnknown {
		t.Errorf("%+v", got)
	}
	for what, list := range map[string]any{"pools": got.Pools, "breakers": got.Breakers, "statements": got.Statements, "times": got.Requests.Times, "restarts": got.Restarts} {
		if text, err := json.Marshal(list); err != nil || string(text) == "null" {
			t.Errorf("%s are %s, which the page would have to know: want an empty list (%v)", what, text, err)
		}
	}
}

// A database that hangs holds up neither the page nor its figures; what a ping found is said from then on.
func TestOpsWaitsForNoDatabase(t *testing.T) {
	pinged, end := make(chan struct{}), make(chan error)
	lib := echo()
	lib.ping = func(ctx context.Context) error {
		select {
		case pinged <- struct{}{}:
			return <-end
		case <-ctx.Done(): // a second one, on a slow machine
			return ctx.Err()
		}
	}
	r := run(t, testConfig(), Deps{Library: lib, Memory: newScripted()})
	if got := opsOf(t, r.Server).Database; got != dbUnknown {
		t.Errorf("before the first ping it is %q", got)
	}
	<-pinged
	if got := opsOf(t, r.Server).Database; got != dbUnknown {
		t.Errorf("during the first ping it is %q", got)
	}
	end <- errors.New("connection refused")
	eventually(t, "the ping's result", func() bool { return r.pinger.last() == dbDown })
	if got := opsOf(t, r.Server).Database; got != dbDown {
		t.Errorf("after a failed ping it is %q", got)
	}
}

func TestAdminServesThePage(t *testing.T) {
	admin := newServer(t, testConfig(), Deps{Library: echo()}).AdminHandler()
	f := func(method, target string, status int, contentType string) {
		t.Helper()
		w := ask(t, admin, method, target, "")
		if w.Code != status || w.Header().Get("Content-Type") != contentType {
			t.Errorf("%s %s: %d %q", method, target, w.Code, w.Header().Get("Content-Type"))
		}
	}
	f("GET", "/", 200, "text/html; charset=utf-8")
	f("HEAD", "/", 200, "text/html; charset=utf-8")
	f("GET", "/page/ops.js", 200, "text/javascript; charset=utf-8")
	f("GET", "/page/none.js", 404, "text/plain; charset=utf-8")
	f("GET", "/nowhere", 404, jsonType[0])
	f("POST", "/", 404, jsonType[0])
}
