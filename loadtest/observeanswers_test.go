package loadtest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Two processes behind one address have counters that nobody can tell apart.
func TestSeveralServers(t *testing.T) {
	n := 0
	r := observe(t, observed+"checks: [{metric: server.restarts, at_most: 0, why: w}]", func(f *fakeTomehub) {
		f.cut = func(r *http.Request) (bool, int) {
			if r.URL.Path == "/routes" {
				f.mu.Lock()
				n++
				f.process = n % 2
				f.mu.Unlock()
				time.Sleep(time.Millisecond)
			} else {
				time.Sleep(time.Microsecond)
			}
			return false, 0
		}
	})
	if want := "the answers about health come from several processes in turn, whose counters cannot be told apart"; r.Server != nil ||
		r.NoServer != want || r.Checks[0].Verdict != reports.Inconclusive || r.Checks[0].Reason != want {
		t.Errorf("%+v, %q, %+v", r.Server, r.NoServer, r.Checks[0])
	}
}

// A server that is being replaced while it is asked gives no reading, and one that was another's is refused.
func TestTornReadings(t *testing.T) {
	r := observe(t, observed, func(f *fakeTomehub) {
		began := time.Now()
		f.cut = func(r *http.Request) (bool, int) {
			if at := time.Since(began); at == 7*time.Second && r.URL.Path == "/api/health/streams" {
				f.restart()
			}
			return false, 0
		}
	})
	if s := r.Server; s.Polls.Failed != 1 || len(s.Restarts) != 1 || s.Statements.Requests != 90 {
		t.Errorf("polls %+v, restarts %v, %d requests", s.Polls, s.Restarts, s.Statements.Requests)
	}

	// Without an admin listener it is the public routes alone that tell.
	r = observe(t, observed, func(f *fakeTomehub) {
		began := time.Now()
		f.cut = func(r *http.Request) (bool, int) {
			if at := time.Since(began); at == 7*time.Second && r.URL.Path == "/api/health/streams" {
				f.restart()
			}
			return false, 0
		}
	}, func(c *Config) { c.AdminURL = "" })
	if s := r.Server; s.Polls.Failed != 1 || len(s.Restarts) != 1 || s.Cache.Hits != 1620 || s.Statements != nil || s.Version != "v9" ||
		s.Notes[0] != "Requests and statements are not known: no admin listener was named (--admin)." {
		t.Errorf("no admin listener: polls %+v, restarts %v, %+v, notes %q", s.Polls, s.Restarts, s.Cache, s.Notes)
	}

	r = observe(t, observed, func(f *fakeTomehub) {
		f.cut = func(r *http.Request) (bool, int) {
			if r.URL.Host == "admin" {
				r.URL.Path = "/elsewhere"
			}
			return false, 0
		}
	})
	if s := r.Server; s.Statements != nil || s.Cache.Hits != 1800 || len(s.Notes) != 1 ||
		s.Notes[0] != "Requests and statements are not known: read the admin listener: is no TomeHub: it has no /routes." {
		t.Errorf("%+v, notes %q", s.Statements, s.Notes)
	}
}

// A poll that only part of the server answers counts for nothing, and what is not ours for a moment is no other server.
func TestPartialAnswers(t *testing.T) {
	f := func(why, host string, status int) {
		t.Helper()
		r := observe(t, observed, func(f *fakeTomehub) {
			began := time.Now()
			f.cut = func(r *http.Request) (bool, int) {
				return time.Since(began) == 7*time.Second && r.URL.Host == host, status
			}
		})
		if s := r.Server; s == nil || s.Polls.Failed != 1 || s.Statements.Requests != 100 || len(s.Samples) != 12 {
			t.Fatalf("%s: %q, %+v", why, r.NoServer, s)
		}
		for _, x := range r.Server.Samples {
			if x.Requests == nil {
				t.Errorf("%s: the sample at %v s has no requests", why, x.AtS)
			}
		}
	}
	f("the admin listener is away", "admin", 502)
	f("a login page", "fake", 401)
}

// The admin listener of another server is no help.
func TestAnothersAdmin(t *testing.T) {
	r := observe(t, observed, nil, func(c *Config) {
		ours, other := c.observer, newFakeTomehub()
		other.process = 7
		c.observer = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "admin" {
				return other.RoundTrip(r)
			}
			return ours.RoundTrip(r)
		})
	})
	want := "Requests and statements are not known: read the admin listener: it belongs to another process: it began at 2000-01-01T07:00:00Z, the target's at 2000-01-01T00:00:00Z."
	if s := r.Server; s.Statements != nil || s.Cache.Hits != 1800 || s.Notes[0] != want {
		t.Errorf("%+v, notes %q", s.Statements, s.Notes)
	}
}

// When the reading at the end fails, those that come later are not taken for it.
func TestNothingAfterTheEnd(t *testing.T) {
	r := observe(t, observed, func(f *fakeTomehub) {
		began := time.Now()
		f.cut = func(r *http.Request) (bool, int) {
			return time.Since(began) > 11500*time.Millisecond && time.Since(began) < 13*time.Second, 502
		}
		later(11750*time.Millisecond, func() { f.mu.Lock(); f.work = 5 * time.Second; f.mu.Unlock() })
	})
	if s := r.Server; s.ToS != 11 || s.Statements.Requests != 90 || s.Samples[len(s.Samples)-1].AtS < 16 {
		t.Errorf("to %v, %+v", s.ToS, s.Statements)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	f := func(why, body, want string) {
		t.Helper()
		base := &url.URL{Scheme: "http", Host: "target"}
		r := newServerReader(base, nil, roundTrip(func(*http.Request) (*http.Response, error) { return answer(200, body), nil }))
		_, err := r.read(t.Context())
		if !errors.Is(err, errNotTomehub) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", why, err, want)
		}
	}
	f("a counter below 0", `{"pools":[],"cache":{"enabled":true,"hits":-1}}`, "it counts -1 cache.hits")
	f("one that no server reaches", `{"pools":[{"name":"a","acquired":9223372036854775807}]}`, "it counts 9223372036854775807 pool.a.acquired")
	f("a gauge below 0", `{"pools":[{"name":"a","in_use":-2}]}`, "it says pool.a.in_use is -2")
	f("an endless gauge", `{"pools":[],"memory":{"process_rss_mb":1e300}}`, "it says memory.rss is 1e+300")
	f("an endless wait", `{"pools":[{"name":"a","wait_total_ms":1e300}]}`, "it says wait_total_ms is 1e+300")
	f("the same pool twice", `{"pools":[{"name":"a"},{"name":"a"}]}`, "it tells pool.a.acquired twice")
	f("too many pools", `{"pools":[`+strings.Repeat("{},", maxPools)+`{}]}`, "it has 17 pools")
	f("too many breakers", `{"pools":[],"circuit_breakers":[`+strings.Repeat("{},", maxBreakers)+`{}]}`, "it has 65 circuit breakers")
	f("refused streams below 0", `{"pools":[],"streams":{"refused":{"a":-1}}}`, "it counts -1 refused streams")

	var many routesAnswer
	many.SchemaVersion, many.Routes = 1, slices.Grow(many.Routes, maxRoutes+1)[:maxRoutes+1]
	if err := newReading().join(&many); err == nil || !strings.Contains(err.Error(), "it has 501 routes") {
		t.Errorf("too many routes: %v", err)
	}
	if err := newReading().join(&routesAnswer{SchemaVersion: 2}); err == nil || !strings.Contains(err.Error(), "its schema_version is 2") {
		t.Errorf("another schema: %v", err)
	}
}

// A slow server costs polls, never time: none piles up, and the edges are read all the same.
func TestSlowPolls(t *testing.T) {
	slow := func(from, to, by time.Duration) func(*fakeTomehub) {
		return func(f *fakeTomehub) {
			began := time.Now()
			f.cut = func(r *http.Request) (bool, int) {
				if at := time.Since(began); r.URL.Path == "/api/health/pools" && at >= from && at < to {
					if by == 0 {
						return true, 0
					}
					time.Sleep(by)
				}
				return false, 0
			}
		}
	}
	r := observe(t, observed, slow(4500*time.Millisecond, 8500*time.Millisecond, 1500*time.Millisecond))
	// Those of 5 s and 7 s take 1.5 s, so those of 6 s and 8 s are left out.
	if s := r.Server; s.Polls.Skipped != 2 || s.Polls.Failed != 0 || s.Polls.MaxMS != 1500 || s.Statements.Requests != 100 {
		t.Errorf("slow: %+v, %+v", s.Polls, s.Statements)
	}
	r = observe(t, observed, slow(4500*time.Millisecond, 8500*time.Millisecond, 0))
	if s := r.Server; s.Polls.Failed != 2 || s.Statements.Requests != 100 || s.Polls.MaxMS != 1900 || s.Polls.Skipped != 2 ||
		!strings.Contains(strings.Join(s.Notes, " "), "2 of 12 polls of the server failed; the first: ask /api/health/pools: context deadline exceeded.") {
		t.Errorf("hanging: %+v, notes %q", s.Polls, s.Notes)
	}
	// At both edges it is slow: what was read is of another time, and the result says so.
	r = observe(t, observed, slow(1500*time.Millisecond, 3500*time.Millisecond, 0))
	if s := r.Server; s.FromS != 5 || s.Statements.Requests != 70 || !strings.Contains(strings.Join(s.Notes, " "), "were read from 5s to 12s of the run; the measured time is from 2s to 12s") {
		t.Errorf("late: from %v, %+v, notes %q", s.FromS, s.Statements, s.Notes)
	}
	r = observe(t, observed, slow(11500*time.Millisecond, time.Hour, 0))
	if s := r.Server; s.ToS != 11 || s.Statements.Requests != 90 {
		t.Errorf("early: to %v, %+v", s.ToS, s.Statements)
	}
	// A quick poll at an edge is not undone by a slow one that was sent before.
	for _, at := range []time.Duration{2 * time.Second, 12 * time.Second} {
		r = observe(t, strings.Replace(observed, "2s", "2500ms", 1), func(f *fakeTomehub) {
			began := time.Now()
			f.cut = func(r *http.Request) (bool, int) {
				if time.Since(began) == at && r.URL.Path == "/api/health/memory" {
					time.Sleep(600 * time.Millisecond)
				}
				return false, 0
			}
		})
		if s := r.Server; s.FromS != 2.5 || s.ToS != 12.5 || at == 2*time.Second && s.Polls.Skipped != 1 || s.Statements.Requests != 100 || s.Cache.Hits != 1800 {
			t.Errorf("overtaken at %v: from %v to %v, %+v, %+v, polls %+v", at, s.FromS, s.ToS, s.Statements, s.Cache, s.Polls)
		}
	}
}

func TestNoTomehub(t *testing.T) {
	f := func(why, want string, status int, body string, once bool) {
		t.Helper()
		var asked atomic.Int64
		r := observe(t, observed+"checks:\n  - {metric: server.cache_hit_rate, at_least: 70%, why: w}\n  - {metric: server.memory_used, window: 2s, below: 1GiB, why: w}", nil,
			func(c *Config) {
				c.AdminURL = ""
				c.observer = roundTrip(func(*http.Request) (*http.Response, error) {
					asked.Add(1)
					return answer(status, body), nil
				})
			})
		if r.Server != nil || r.NoServer != want {
			t.Errorf("%s: %q, want %q", why, r.NoServer, want)
		}
		for _, c := range r.Checks {
			if c.Verdict != reports.Inconclusive || c.Reason != want {
				t.Errorf("%s: %+v", why, c)
			}
		}
		if once && asked.Load() > 2 {
			t.Errorf("%s: asked %d times", why, asked.Load())
		}
		if n := strings.Count(strings.Join(r.Report().Notes, "\n"), want); n != 1 || r.Total.Completed != 100 {
			t.Errorf("%s: said %d times, %d requests", why, n, r.Total.Completed)
		}
	}
	f("another server", "the target is no TomeHub: it has no /api/health/pools", 404, "", true)
	f("a page for everything", "the target is no TomeHub: the answer of /api/health/live is not its JSON: invalid character '<' looking for beginning of value", 200, "<html>", true)
	f("JSON of another kind", "the target is no TomeHub: it has no /api/health/pools", 200, `{"pools":null,"status":"ok"}`, true)
	f("other JSON", "the target is no TomeHub: the answer of /api/health/live is not its JSON: json: cannot unmarshal array into Go value of type loadtest.liveAnswer", 200, "[]", true)
	f("closed to us", "the target is no TomeHub: /api/health/live answers 401", 401, "", true)
	f("an endless answer", "the target is no TomeHub: /api/health/live answers more than 1048576 bytes", 200, strings.Repeat(" ", 2<<20), true)
	f("a proxy whose server is away", "the server told nothing of itself: ask /api/health/live: answered 502", 502, "<html>", false)
	f("a server in trouble", "the server told nothing of itself: ask /api/health/live: answered 503", 503, "busy", false)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server that comes up late is observed from then on.
func TestObservedLate(t *testing.T) {
	r := observe(t, observed, func(f *fakeTomehub) {
		began := time.Now()
		f.cut = func(*http.Request) (bool, int) { return time.Since(began) < 4500*time.Millisecond, 502 }
	})
	if s := r.Server; s == nil || s.FromS != 5 || s.Statements.Requests != 70 {
		t.Errorf("%+v %s", s, r.NoServer)
	}
}
