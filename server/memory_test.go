package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/memory"
)

// scripted is a monitor that says what a test says.
type scripted struct {
	mu       sync.Mutex // guards state
	state    memory.State
	handOver chan struct{}
	running  atomic.Bool
}

const mib = 1 << 20

func newScripted() *scripted {
	return &scripted{handOver: make(chan struct{}), state: memory.State{
		Reading: memory.Reading{
			At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Limit: 512 * mib, Used: 128 * mib, Origin: "cgroup v2 /app", Cgroup: true, RSS: 100 * mib,
			Machine: memory.Machine{Total: 1000 * mib, Used: 300 * mib, Available: 700 * mib},
		},
		Level: memory.OK, RecentAverage: 20, Growth: 2 * mib, Warning: 70, Critical: 85, RestartEnabled: true,
	}}
}

func (m *scripted) Run(ctx context.Context) error {
	m.running.Store(true)
	defer m.running.Store(false)
	<-ctx.Done()
	return nil
}

func (m *scripted) State() memory.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

func (m *scripted) Look() memory.State        { return m.State() }
func (m *scripted) HandOver() <-chan struct{} { return m.handOver }

func (m *scripted) use(percent int64, level memory.Level) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Used, m.state.Level = 512*mib*percent/100, level
}

func (m *scripted) request(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.RestartRequested, m.state.Reason = true, reason
	close(m.handOver)
}

// noDatabase is a library that fails the test when its database is asked.
func noDatabase(t *testing.T) *fake {
	return &fake{
		ping: func(context.Context) error { t.Error("the database was asked"); return nil },
		ingest: func(context.Context, string, library.Document) (library.IngestResult, error) {
			return library.IngestResult{BookID: 1}, nil
		},
	}
}

func TestMemoryAnswers(t *testing.T) {
	m := newScripted()
	s := newServer(t, testConfig(), Deps{Library: noDatabase(t), Memory: m})
	f := func(path, want string) {
		t.Helper()
		for _, stage := range []int32{stageServing, stageLeaving, stageClosed, stageStopped} {
			s.stage.Store(stage)
			w := ask(t, s.Handler(), "GET", path, "")
			var got, wanted any
			if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &got), json.Unmarshal([]byte(want), &wanted)); err != nil || w.Code != 200 {
				t.Errorf("%s: %d %v %s", path, w.Code, err, w.Body)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("%s in stage %d (-want +got):\n%s", path, stage, diff)
			}
		}
		s.stage.Store(stageServing)
	}
	f("/api/health/memory", `{"status":"ok","memory":{"process_rss_mb":100,"process_percent":10,"system_total_mb":1000,"system_used_mb":300,
		"system_available_mb":700,"system_percent":30,"timestamp":"2026-01-02T03:04:05Z","limit_mb":512,"used_mb":128,"percent":25,
		"limit_origin":"cgroup v2 /app","growth_mb_per_s":2,"warning_threshold":70,"critical_threshold":85},"health":"ok"}`)
	f("/api/health/restart", `{"status":"ok","memory":{"current_percent":25,"recent_average":20,"restart_requested":false,
		"critical_threshold":85,"warning_threshold":70,"restart_enabled":true,"reason":""}}`)
	m.state.Level, m.state.Err = memory.Unknown, errors.New("no such file")
	f("/api/health/memory", `{"status":"ok","memory":null,"health":"unknown"}`)
	m.state.Level = memory.Critical
	m.request("a leak")
	f("/api/health/restart", `{"status":"restarting","memory":{"current_percent":25,"recent_average":20,"restart_requested":true,
		"critical_threshold":85,"warning_threshold":70,"restart_enabled":true,"reason":"a leak"}}`)
	s = newServer(t, testConfig(), Deps{Library: noDatabase(t)})
	f("/api/health/memory", `{"status":"ok","memory":null,"health":"off"}`)
	f("/api/health/restart", `{"status":"ok","memory":null}`)
}

func TestCriticalMemoryRefusesIngestsAndStreams(t *testing.T) {
	m := newScripted()
	lib := echo()
	lib.ingest = noDatabase(t).ingest
	s := newServer(t, testConfig(), Deps{Library: lib, Memory: m})
	f := func(percent int64, level memory.Level, refused bool) {
		t.Helper()
		m.use(percent, level)
		w := ask(t, s.Handler(), "POST", "/api/ingest", `{"content":"a book"}`)
		if refused {
			wantError(t, w, 503, "memory_critical", "460 of 512 MB are in use (90.0 %, cgroup v2 /app), critical from 85 % (--memory-critical)")
			if w.Header().Get("Retry-After") != "5" {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
		} else if w.Code != 201 {
			t.Errorf("at %d %%: %d %s", percent, w.Code, w.Body)
		}
		w = ask(t, s.Handler(), "GET", streamPath+"?q=a", "")
		if refused {
			wantError(t, w, 503, "memory_critical", "460 of 512 MB are in use")
		} else {
			records(t, w)
		}
		// Everything else goes on, and a load balancer need not look elsewhere.
		for _, path := range []string{"/api/search?q=a", "/api/health", "/api/health/ready", "/api/health/live"} {
			if w := ask(t, s.Handler(), "GET", path, ""); w.Code != 200 {
				t.Errorf("%s at %d %%: %d %s", path, percent, w.Code, w.Body)
			}
		}
		got := decoded[memoryReport](t, ask(t, s.Handler(), "GET", "/api/health/memory", ""))
		if got.Health != level.String() || got.Memory.Percent < float64(percent)-1 || got.Memory.Percent > float64(percent) {
			t.Errorf("at %d %%: %+v", percent, got)
		}
	}
	f(50, memory.OK, false)
	f(75, memory.Warning, false)
	f(90, memory.Critical, true)
	f(90, memory.Critical, true)
	f(80, memory.Warning, false)
	w := ask(t, s.AdminHandler(), "GET", "/memory", "")
	admin := decoded[struct {
		Health  string
		Refused map[string]int64
	}](t, w)
	if w.Code != 200 || admin.Health != "warning" || admin.Refused["memory_critical"] != 4 {
		t.Errorf("admin: %d %s", w.Code, w.Body)
	}
}

func TestHandOverDrainsAndAsksForARestart(t *testing.T) {
	lib, entered, release := held()
	lib.ingest = noDatabase(t).ingest
	m := newScripted()
	cfg := testConfig()
	cfg.ShutdownDelay, cfg.DrainGrace, cfg.DrainTimeout = 0, 10*time.Second, 10*time.Second
	r := run(t, cfg, Deps{Library: lib, Memory: m})
	once := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	kept := client(t)
	if code, _ := status(t, kept, r.url+"/api/health/ready"); code != 200 {
		t.Fatalf("ready at first: %d", code)
	}
	inFlight := make(chan int, 1)
	go func() {
		code, _ := status(t, once, r.url+"/api/search?q=held")
		inFlight <- code
	}()
	<-entered
	m.use(60, memory.OK) // growth asks for it, before anything is critical
	m.request("memory in use is 307 of 512 MB")

	// The very next answers know, on the connection that is kept.
	h := r.Handler()
	if w := ask(t, h, "GET", "/api/health/ready", ""); w.Code != 503 || decoded[readiness](t, w).Status != "restarting" {
		t.Errorf("readiness: %d %s", w.Code, w.Body)
	}
	if got := decoded[healthReport](t, ask(t, h, "GET", "/api/health", "")); got.Status != "restarting" {
		t.Errorf("health: %+v", got)
	}
	if got := decoded[struct{ Status string }](t, ask(t, r.AdminHandler(), "GET", "/health", "")); got.Status != "restarting" {
		t.Errorf("admin health: %+v", got)
	}
	wantError(t, ask(t, h, "POST", "/api/ingest", `{"content":"a book"}`), 503, "memory_critical", "the server restarts")
	eventually(t, "the listener is closed", func() bool { return r.stage.Load() >= stageClosed })
	if w := ask(t, h, "GET", "/api/health/ready", ""); w.Code != 503 || decoded[readiness](t, w).Status != "restarting" {
		t.Errorf("readiness during the drain: %d %s", w.Code, w.Body)
	}
	if code, closes := status(t, kept, r.url+"/api/search?q=a"); code != 200 || !closes {
		t.Errorf("on a kept connection: %d, connection closed %t", code, closes)
	}
	if !m.running.Load() {
		t.Error("the monitor does not watch the drain")
	}
	close(release)
	if code := <-inFlight; code != 200 {
		t.Errorf("the request in flight: %d", code)
	}
	if err := r.ended(t); !errors.Is(err, ErrRestart) || !strings.Contains(err.Error(), "memory in use is 307 of 512 MB") {
		t.Errorf("Run: %v", err)
	}
	if m.running.Load() {
		t.Error("the monitor outlives Run")
	}
}

// A server that is told to stop while it leaves for a restart shall not be started again.
func TestStopWinsOverRestart(t *testing.T) {
	lib, entered, release := held()
	m := newScripted()
	cfg := testConfig()
	cfg.DrainGrace = 0
	r := run(t, cfg, Deps{Library: lib, Memory: m})
	go status(t, client(t), r.url+"/api/search?q=held")
	<-entered
	m.request("a leak")
	eventually(t, "the drain has begun", func() bool { return r.restarting.Load() })
	r.stop()
	close(release)
	if err := r.ended(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}
