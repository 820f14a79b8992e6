package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tomehub/tomehub/server/library"
)

func TestReadinessFollowsTheDatabase(t *testing.T) {
	exhausted := exhaust(t)
	synctest.Test(t, func(t *testing.T) {
		var err error
		lib := &fake{ping: func(context.Context) error { return err }}
		s := newServer(t, testConfig(), Deps{Library: lib})
		f := func(why string, status int, state, database string) {
			t.Helper()
			w := ask(t, s.Handler(), "GET", "/api/health/ready", "")
			if got := decoded[readiness](t, w); w.Code != status || got.Status != state || got.Database != database {
				t.Errorf("%s: %d %+v", why, w.Code, got)
			}
			if w := ask(t, s.Handler(), "GET", "/api/health/live", ""); w.Code != 200 {
				t.Errorf("%s: liveness %d", why, w.Code)
			}
			time.Sleep(probeAge) // in the bubble: the next one asks again
		}
		f("at first", 200, "ready", "ok")
		err = errors.New("no route to host")
		f("database gone", 503, "unavailable", "down")
		err = fmt.Errorf("ping: %w", exhausted)
		f("pool full", 200, "ready", "saturated")
		err = nil
		f("cured", 200, "ready", "ok")
		s.stage.Store(stageLeaving)
		f("leaving", 503, "draining", "not asked")
	})
}

func TestProbesAreNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings atomic.Int64
		lib := &fake{ping: func(ctx context.Context) error {
			pings.Add(1)
			<-ctx.Done() // a database that hangs
			return ctx.Err()
		}}
		s := newServer(t, testConfig(), Deps{Library: lib})
		start := time.Now()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if w := ask(t, s.Handler(), "GET", "/api/health/ready", ""); w.Code != 503 {
					t.Errorf("%d", w.Code)
				}
			})
		}
		wg.Wait()
		if pings.Load() != 1 || time.Since(start) != probeTimeout {
			t.Errorf("%d pings in %v, want 1 in %v", pings.Load(), time.Since(start), probeTimeout)
		}
	})
}

func TestHealthShowsTheHouse(t *testing.T) {
	h := openHouse(t, 3, 30, cached)
	cfg := testConfig()
	cfg.Version, cfg.Phase = "v1.2.3", "B"
	s := newServer(t, cfg, h.deps()).Handler()
	got := decoded[healthReport](t, ask(t, s, "GET", "/api/health", ""))
	if got.Status != "ok" || got.Version != "v1.2.3" || got.Phase != "B" || got.Library == nil || got.Library.Books != 3 || got.Library.Passages < 3 || got.InFlight != 1 {
		t.Errorf("%+v", got)
	}
	var pools struct {
		Pools []struct {
			Name string
			Size int
		}
	}
	if err := json.Unmarshal(ask(t, s, "GET", "/api/health/pools", "").Body.Bytes(), &pools); err != nil || len(pools.Pools) != 2 || pools.Pools[0].Name != "read" || pools.Pools[0].Size != 8 {
		t.Errorf("pools: %+v %v", pools, err)
	}
	ask(t, s, "GET", "/api/search?q=time", "")
	ask(t, s, "GET", "/api/search?q=time", "")
	cache := decoded[struct{ Cache library.CacheStats }](t, ask(t, s, "GET", "/api/health/cache", "")).Cache
	if !cache.Enabled || cache.Hits == 0 || cache.Misses == 0 {
		t.Errorf("cache: %+v", cache)
	}
	bare := newServer(t, testConfig(), Deps{Library: echo()}).Handler()
	for _, path := range []string{"/api/health/pools", "/api/health/cache"} {
		if w := ask(t, bare, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s of a server without: %d", path, w.Code)
		}
	}
}

func TestAdminListener(t *testing.T) {
	h := openHouse(t, 3, 30, cached)
	cfg := testConfig()
	cfg.Version, cfg.Phase = "v1.2.3", "D"
	deps := h.deps()
	deps.Level = new(slog.LevelVar)
	s := newServer(t, cfg, deps)
	admin := s.AdminHandler()
	ask(t, s.Handler(), "GET", "/api/search?q=time", "")
	ask(t, s.Handler(), "GET", "/api/search?q=time", "")

	var report struct {
		SchemaVersion int `json:"schema_version"`
		Server, Phase string
		StartedAt     time.Time `json:"started_at"`
		Now           time.Time
		Statements    []struct {
			Name, SQL  string
			Executions int64
			ElapsedUS  int64 `json:"elapsed_us"`
		}
		Routes []routeReport
	}
	read := func(path string) {
		t.Helper()
		if err := json.Unmarshal(ask(t, admin, "GET", path, "").Body.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		if report.SchemaVersion != 1 || report.Server != "tomehub v1.2.3" || report.Phase != "D" || report.StartedAt.After(report.Now) || report.Now.IsZero() {
			t.Errorf("%s: %+v", path, report)
		}
	}
	read("/statements")
	ran := int64(0)
	for _, st := range report.Statements {
		if strings.Contains(st.SQL, "tomehub:"+st.Name) {
			ran += st.Executions
		}
	}
	if ran == 0 {
		t.Errorf("no statement ran: %+v", report.Statements)
	}
	read("/routes")
	for _, r := range report.Routes {
		if r.Method+r.Route == "GET/api/search" && (r.Requests != 2 || r.StatementsMax != 2 || r.StatementsTotal != 2 || r.StatementsPerQuery != 1 || r.Statuses["2xx"] != 2) {
			t.Errorf("search: %+v", r)
		}
	}
	for _, path := range []string{"/health", "/limits", "/ingests", "/memory", "/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline"} {
		if w := ask(t, admin, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := ask(t, admin, "GET", "/api/search?q=time", ""); w.Code != 404 || !strings.Contains(w.Body.String(), "/statements") {
		t.Errorf("the API on the admin listener: %d %s", w.Code, w.Body)
	}
}

func TestLogLevelChangesWhileRunning(t *testing.T) {
	level := new(slog.LevelVar)
	s := newServer(t, testConfig(), Deps{Library: echo(), Level: level})
	admin := s.AdminHandler()
	f := func(why, method, target, body string, status int, want slog.Level) {
		t.Helper()
		w := ask(t, admin, method, target, body)
		if w.Code != status || level.Level() != want {
			t.Errorf("%s: %d, level %v: %s", why, w.Code, level.Level(), w.Body)
		}
	}
	f("as it is", "GET", "/loglevel", "", 200, slog.LevelInfo)
	f("JSON", "PUT", "/loglevel", `{"level":"debug"}`, 200, slog.LevelDebug)
	f("a word", "PUT", "/loglevel", "WARN\n", 200, slog.LevelWarn)
	f("the URL", "PUT", "/loglevel?level=error", "", 200, slog.LevelError)
	f("nonsense", "PUT", "/loglevel", "loud", 400, slog.LevelError)
	f("nothing", "PUT", "/loglevel", "", 400, slog.LevelError)
	f("too much", "PUT", "/loglevel", strings.Repeat("x", 2000), 400, slog.LevelError)
	w := ask(t, admin, "PUT", "/loglevel", "debug", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if w.Code != 403 || level.Level() != slog.LevelError {
		t.Errorf("a page of another origin: %d, level %v", w.Code, level.Level())
	}
	fixed := newServer(t, testConfig(), Deps{Library: echo()}).AdminHandler()
	if w := ask(t, fixed, "PUT", "/loglevel", "debug"); w.Code != 404 {
		t.Errorf("a level that cannot change: %d", w.Code)
	}
}
