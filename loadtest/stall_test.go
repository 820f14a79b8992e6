package loadtest

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A stallServer answers in 6 ms, but for one second in every ten it answers nobody until that second is over.
type stallServer struct {
	began time.Time

	mu    sync.Mutex // guards times
	times []time.Duration
}

const stallService = 6 * time.Millisecond

// latency is the true time of a request that reaches the server at t.
func stallLatency(t time.Duration) time.Duration {
	if in := t % (10 * time.Second); in < time.Second {
		return time.Second - in + stallService
	}
	return stallService
}

func (s *stallServer) serve(*http.Request) (int, string) {
	took := stallLatency(time.Since(s.began))
	time.Sleep(took)
	s.mu.Lock()
	s.times = append(s.times, took)
	s.mu.Unlock()
	return 200, ""
}

// quantile is the exact one, by nearest rank.
func quantile(times []time.Duration, q float64) float64 {
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	return milliseconds(sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)])
}

func near(t *testing.T, what string, got, want, percent float64) {
	t.Helper()
	if math.Abs(got-want) > want*percent/100 {
		t.Errorf("%s is %.3f, want %.3f ± %v %%", what, got, want, percent)
	}
}

// A load tester that waits with its next request until the last one is answered sees the stall once per connection and
// reports a p99 of 7 ms where visitors waited 906 ms. Both models must tell the truth.
func TestStall(t *testing.T) {
	vegeta := func(testing.TB, fakeServer) func(*Config) { return func(*Config) {} }
	for name, road := range map[string]func(testing.TB, fakeServer) func(*Config){"crew": crewed, "vegeta": vegeta} {
		t.Run(name+", arrivals", func(t *testing.T) { stallOfArrivals(t, 10_000, road) })
		t.Run(name+", arrivals capped at 10", func(t *testing.T) { stallOfArrivals(t, 10, road) })
		t.Run(name+", users", func(t *testing.T) { stallOfUsers(t, road) })
	}
}

func stallOfArrivals(t *testing.T, visitors int, road func(testing.TB, fakeServer) func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		var truth []time.Duration
		for n := 1; n <= 200*60; n++ {
			truth = append(truth, stallLatency(time.Duration(n)*5*time.Millisecond))
		}
		server := &stallServer{began: time.Now()}
		r := virtual(context.Background(), t, `
duration: 60s
arrivals: {rate: 200/s, max_visitors: 10000}
`+oneStep, server.serve, road(t, server.serve), func(c *Config) { c.Scenario.Arrivals.MaxVisitors = visitors })
		got := r.Total.Response
		// The last arrival is due at the very end, and so not sent.
		if r.Total.Completed != 200*60-1 || r.Total.OK != r.Total.Completed {
			t.Errorf("completed %d, ok %d, want %d", r.Total.Completed, r.Total.OK, 200*60-1)
		}
		near(t, "p99", got.P99MS, quantile(truth, 0.99), 2)
		near(t, "p50", got.P50MS, quantile(truth, 0.50), 2)
		near(t, "max", got.MaxMS, quantile(truth, 1), 2)
		if capped := visitors < 200; capped != (r.Generator.Held > 0) {
			t.Errorf("%d visitors held, capped %v", r.Generator.Held, capped)
		}
		if len(r.Generator.Problems) > 0 {
			t.Errorf("the generator is blamed for the server's stall: %q", r.Generator.Problems)
		}
	})
}

func stallOfUsers(t *testing.T, road func(testing.TB, fakeServer) func(*Config)) {
	synctest.Test(t, func(t *testing.T) {
		server := &stallServer{began: time.Now()}
		r := virtual(context.Background(), t, `
duration: 60s
users: {count: 60}
think: {min: 200ms, max: 400ms}
`+oneStep, server.serve, road(t, server.serve))
		if got, want := r.Total.Completed, int64(len(server.times)); got != want {
			t.Errorf("completed %d, the server saw %d", got, want)
		}
		for _, q := range []struct {
			q   float64
			got float64
		}{{0.5, r.Total.Response.P50MS}, {0.95, r.Total.Response.P95MS}, {0.99, r.Total.Response.P99MS}, {0.999, r.Total.Response.P999MS}, {1, r.Total.Response.MaxMS}} {
			near(t, "quantile", q.got, quantile(server.times, q.q), 1)
		}
	})
}
