package library

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// startRedis runs a real redis-server on a free port, which keeps nothing on disk.
func startRedis(t *testing.T) (url string, stop func()) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("SKIPPED: needs redis-server on the PATH (Debian package redis-server); the second cache level is not tested against a real one")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() { once.Do(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) }
	t.Cleanup(stop)
	deadline := time.Now().Add(5 * time.Second)
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return "redis://" + addr + "/0", stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen on %s: %v", addr, err)
		}
	}
}

// patient is the timeout towards a Redis that works: a busy machine is no outage.
const patient = 10 * time.Second

func openRedis(t *testing.T, url, namespace string, timeout time.Duration, log *bytes.Buffer) *Redis {
	t.Helper()
	cfg := RedisConfig{URL: url, Namespace: namespace, Timeout: timeout}
	if log != nil {
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	r, err := OpenRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSecondLevelServesAnotherProcess(t *testing.T) {
	url, _ := startRedis(t)
	st := newFakeStore(60).owned("ada", "bob")
	// Two libraries with a memory of their own are two processes to Redis.
	cfg := func(namespace string) Config {
		return Config{Cache: CacheConfig{Enabled: true, SecondLevel: openRedis(t, url, namespace, patient, nil)}}
	}
	one, two, stranger := openFake(t, st, cfg("a")), openFake(t, st, cfg("a")), openFake(t, st, cfg("b"))
	for _, req := range []SearchRequest{ask("being"), {Query: "being", Page: 2, PageSize: 20, IncludeDetails: true}} {
		cold := mustSearch(t, one, "ada", req)
		calls := st.total()
		warm := mustSearch(t, two, "ada", req)
		if !warm.CacheHit || st.total() != calls {
			t.Errorf("the other process asked the store: hit %v, %v", warm.CacheHit, st.calls)
		}
		if diff := cmp.Diff(cold.Results, warm.Results); diff != "" {
			t.Errorf("results through Redis (-cold +warm):\n%s", diff)
		}
		if diff := cmp.Diff([]any{cold.Concepts, cold.Relations, cold.TotalCount}, []any{warm.Concepts, warm.Relations, warm.TotalCount}); diff != "" {
			t.Errorf("the rest through Redis (-cold +warm):\n%s", diff)
		}
		if r := mustSearch(t, two, "bob", req); r.CacheHit {
			t.Error("bob was answered from ada's entry")
		}
	}
	if r := mustSearch(t, stranger, "ada", ask("being")); r.CacheHit {
		t.Error("another library's entry was taken for ours")
	}
	st.add("ada", "being more")
	if r := mustSearch(t, two, "ada", ask("being")); r.CacheHit || r.TotalCount != 61 {
		t.Errorf("after a write: %d matches, hit %v", r.TotalCount, r.CacheHit)
	}
	s := two.CacheStats().SecondLevel
	if s == nil || !s.Up || s.Hits == 0 || s.Stores == 0 || s.Failed != 0 {
		t.Errorf("stats of the second level: %+v", s)
	}
}

func TestSecondLevelKilledAndBack(t *testing.T) {
	url, stop := startRedis(t)
	var log bytes.Buffer
	r := openRedis(t, url, "a", patient, &log)
	defer r.Close()
	r.Set(t.Context(), "k", []byte("v"), time.Minute)
	if v, ok := r.Get(t.Context(), "k"); !ok || string(v) != "v" {
		t.Fatalf("got %q %v", v, ok)
	}
	if _, ok := r.Get(t.Context(), "other"); ok {
		t.Fatal("a name that was never set is there")
	}
	stop()
	start := time.Now()
	for range 1000 {
		if _, ok := r.Get(t.Context(), "k"); ok {
			t.Fatal("a dead Redis answered")
		}
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("1,000 calls to a dead Redis took %v", took)
	}
	if s := r.Stats(); s.Up || s.Failed == 0 || s.Skipped < 900 {
		t.Errorf("stats while dead: %+v", s)
	}
	r.retryAt.Store(1) // the pause is over
	if _, ok := r.Get(t.Context(), "k"); ok || r.Stats().Up {
		t.Error("still dead, but called up")
	}
	if n := strings.Count(log.String(), "second cache level fails"); n != 1 {
		t.Errorf("the outage was logged %d times, want once:\n%s", n, log.String())
	}
}

// hang listens and never answers, as a Redis behind a broken network does.
func hang(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range held {
			c.Close()
		}
	})
	return "redis://" + l.Addr().String()
}

func TestHungSecondLevelAddsAtMost60ms(t *testing.T) {
	url := hang(t)
	// A busy machine may be late by itself, so the best of five outages counts.
	best := time.Hour
	for range 5 {
		r := openRedis(t, url, "a", 0, nil)
		l := openFake(t, newFakeStore(10), Config{Cache: CacheConfig{Enabled: true, SecondLevel: r}})
		slowest := time.Duration(0)
		for i := range 20 {
			start := time.Now()
			if res := mustSearch(t, l, fmt.Sprint("user", i), ask("being")); res.TotalCount != 10 {
				t.Errorf("%d matches, want 10", res.TotalCount)
			}
			slowest = max(slowest, time.Since(start))
		}
		if slowest < defaultRedisTimeout/2 {
			t.Errorf("the slowest search took %v: nobody asked Redis", slowest)
		}
		if s := r.Stats(); s.Failed != 1 || s.Up {
			t.Errorf("stats %+v, want one failure and the rest skipped", s)
		}
		best = min(best, slowest)
	}
	if best > 60*time.Millisecond {
		t.Errorf("beside a hung Redis the slowest search took %v, want at most 60ms", best)
	}
}

func TestSecondLevelRefusesNothingItNeedsNot(t *testing.T) {
	if _, err := OpenRedis(RedisConfig{URL: "http://user:hunter2@host", Namespace: "a"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad URL: %v", err)
	}
	if _, err := OpenRedis(RedisConfig{URL: "redis://127.0.0.1:1"}); err == nil {
		t.Error("no namespace, no error")
	}
	r := openRedis(t, "redis://127.0.0.1:1", "a", 0, nil) // nobody listens there
	l := openFake(t, newFakeStore(10), Config{Cache: CacheConfig{Enabled: true, SecondLevel: r}})
	if res := mustSearch(t, l, "", ask("being")); res.TotalCount != 10 {
		t.Errorf("%d matches, want 10", res.TotalCount)
	}
	if !mustSearch(t, l, "", ask("being")).CacheHit {
		t.Error("the first level does not work without the second")
	}
	r.retryAt.Store(0)
	r.Set(t.Context(), "long", make([]byte, redisMaxValue+1), time.Minute)
	if s := r.Stats(); s.TooLong != 1 {
		t.Errorf("stats %+v, want one value too long", s)
	}
}

// An old second-level entry lives on for what is left of its time, not for a whole new one.
func TestSecondLevelEntryKeepsItsAge(t *testing.T) {
	second := &memoryLevel{values: map[string][]byte{}}
	bubble(t, Config{Cache: CacheConfig{Enabled: true, SecondLevel: second}}, func(t *testing.T, l *Library, st *fakeStore) {
		mustSearch(t, l, "", ask("being"))
		time.Sleep(9 * time.Minute)
		l.cache.entries.InvalidateAll() // as in another process
		if !mustSearch(t, l, "", ask("being")).CacheHit {
			t.Error("not served by the second level")
		}
		time.Sleep(2 * time.Minute)
		mustSearch(t, l, "", ask("being"))
		if got := st.count("search_page"); got != 2 {
			t.Errorf("the page was asked for %d times in 11 min, want 2: its time is 10 min in all levels together", got)
		}
		for name := range second.values {
			second.values[name] = []byte("{not a record")
		}
		l.cache.entries.InvalidateAll()
		if r := mustSearch(t, l, "", ask("being")); r.CacheHit || r.TotalCount != 120 {
			t.Errorf("with broken records: hit %v, %d matches", r.CacheHit, r.TotalCount)
		}
	})
}

// memoryLevel is a second level that never fails and never forgets.
type memoryLevel struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (m *memoryLevel) Get(_ context.Context, name string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[name]
	return v, ok
}

func (m *memoryLevel) Set(_ context.Context, name string, value []byte, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = value
}

func (m *memoryLevel) Stats() SecondLevelStats { return SecondLevelStats{Up: true} }
func (m *memoryLevel) Close() error            { return nil }

// Names in a shared Redis must differ wherever keys do.
func TestSecondLevelNames(t *testing.T) {
	base := key{class: classContent, kind: kindPage, owner: "ada", gen: 3, text: "being", a: 1, b: 50}
	seen := map[string]key{}
	add := func(change func(*key)) {
		t.Helper()
		k := base
		change(&k)
		if other, ok := seen[k.name()]; ok {
			t.Errorf("%+v and %+v have one name", k, other)
		}
		seen[k.name()] = k
		if strings.Contains(k.name(), "being") || strings.Contains(k.name(), "ada") {
			t.Errorf("the name %s shows who asked what", k.name())
		}
	}
	add(func(*key) {})
	add(func(k *key) { k.class = classConcepts })
	add(func(k *key) { k.kind = kindAfter })
	add(func(k *key) { k.details = true })
	add(func(k *key) { k.owner = "bob" })
	add(func(k *key) { k.owner, k.text = "adab", "eing" }) // the same bytes, cut elsewhere
	add(func(k *key) { k.gen = 4 })
	add(func(k *key) { k.text = "time" })
	add(func(k *key) { k.a = 2 })
	add(func(k *key) { k.b = 51 })
	add(func(k *key) { k.c = 1 })
}
