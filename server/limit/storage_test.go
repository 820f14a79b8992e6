package limit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMemory(t testing.TB, maxClients int) *Memory {
	t.Helper()
	m, err := NewMemory(MemoryConfig{MaxClients: maxClients, Setting: "RATE_LIMIT_CLIENTS"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemoryConforms(t *testing.T) {
	conform(t, func(t *testing.T) Storage { return newMemory(t, 1000) })
}

func TestRedisConforms(t *testing.T) {
	server := startRedis(t)
	conform(t, func(t *testing.T) Storage {
		r := newRedis(t, server.url(), func(c *RedisConfig) {
			c.Prefix = "conform:" + t.Name() + ":"
			c.Timeout = 5 * time.Second // the arrivals are virtual; a slow machine must not turn into an outage
		})
		r.clock = time.Time.UnixMicro
		return r
	})
}

// conform is what every Storage has to do. Arrivals are virtual: nothing waits.
func conform(t *testing.T, open func(t *testing.T) Storage) {
	t.Run("request 100 passes and 101 does not", func(t *testing.T) { conformLimit(t, open(t)) })
	t.Run("no window has more than the limit", func(t *testing.T) {
		st := open(t)
		for seed := range uint64(12) {
			conformAnyWindow(t, st, seed)
		}
	})
	t.Run("all rules are charged or none", func(t *testing.T) { conformAtomic(t, st(open(t))) })
	t.Run("reset means whole again", func(t *testing.T) { conformReset(t, open(t)) })
}

// st is a Storage with the request of a test in one line.
type storage struct{ Storage }

func st(s Storage) storage { return storage{s} }

func (s storage) take(now time.Time, charges ...Charge) Outcome {
	return s.Take(context.Background(), now, charges)
}

func conformLimit(t *testing.T, s Storage) {
	rule := Rule{Name: "search", Limit: 100, Window: time.Minute}
	now := time.Now().Truncate(time.Microsecond)
	for i := range 100 {
		o := st(s).take(now, Charge{rule, "a"})
		if d := o.Decisions()[0]; !o.Allowed || d.Remaining != 99-i || !d.Allowed {
			t.Fatalf("request %d: allowed %v, remaining %d", i+1, o.Allowed, d.Remaining)
		}
		now = now.Add(100 * time.Millisecond)
	}
	o := st(s).take(now, Charge{rule, "a"})
	d, refused := o.Refusal()
	if o.Allowed || !refused || d.Remaining != 0 {
		t.Fatalf("request 101: %+v", o)
	}
	if d.RetryAfter <= 50*time.Second || d.RetryAfter > 51*time.Second {
		t.Errorf("retry after %v, want 50 s (the oldest bucket) to 51 s (its last admission)", d.RetryAfter)
	}
	if o := st(s).take(now, Charge{rule, "b"}); !o.Allowed {
		t.Error("another client was refused")
	}
	if o := st(s).take(now.Add(d.RetryAfter), Charge{rule, "a"}); !o.Allowed {
		t.Errorf("refused after waiting the %v it was told", d.RetryAfter)
	}
}

// conformAnyWindow sends random arrivals of one client and checks all of them against the definition, by brute force.
func conformAnyWindow(t *testing.T, s Storage, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	rule := Rule{Name: fmt.Sprintf("r%d", seed), Limit: 1 + rng.IntN(20), Window: time.Minute}
	if seed%2 == 1 {
		rule.Limit = 65 + rng.IntN(150) // buckets shared by several admissions
	}
	piece := time.Duration(pieceOf(rule.Limit, int64(rule.Window)))
	mean := float64(rule.Window) / float64(rule.Limit) / 1.5 // half as much again as the limit allows
	now := time.Now().Truncate(time.Microsecond)
	var admitted []time.Time
	within := func(span time.Duration) (n int) {
		for i := len(admitted) - 1; i >= 0 && now.Sub(admitted[i]) < span; i-- {
			n++
		}
		return n
	}
	var promised time.Time
	for range 700 {
		o := st(s).take(now, Charge{rule, "client"})
		d := o.Decisions()[0]
		if o.Allowed {
			admitted = append(admitted, now)
			promised = time.Time{} // the place is taken
		}
		if n := within(rule.Window); n > rule.Limit {
			t.Fatalf("seed %d: %d admitted within %v, limit %d", seed, n, rule.Window, rule.Limit)
		}
		if !o.Allowed && within(rule.Window+piece) < rule.Limit {
			t.Fatalf("seed %d: refused with %d of %d within the window and one piece", seed, within(rule.Window+piece), rule.Limit)
		}
		if !o.Allowed && now.Equal(promised) {
			t.Fatalf("seed %d: refused at the promised time", seed)
		}
		if !o.Allowed && (d.Remaining != 0 || d.RetryAfter <= 0) {
			t.Fatalf("seed %d: refused without a wait: %+v", seed, d)
		}
		gap := time.Duration(rng.ExpFloat64() * mean)
		switch {
		case rng.IntN(4) == 0: // a burst
			gap = 0
		case rng.IntN(60) == 0: // a pause
			gap = time.Duration(rng.Int64N(int64(2 * rule.Window)))
		}
		next := now.Add(gap).Truncate(time.Microsecond)
		if !o.Allowed {
			promised = now.Add(d.RetryAfter)
			if early := promised.Add(-time.Microsecond); rng.IntN(2) == 0 && early.After(now) {
				now = early
				if o := st(s).take(now, Charge{rule, "client"}); o.Allowed {
					t.Fatalf("seed %d: admitted before the promised time: %v is longer than needed", seed, d.RetryAfter)
				}
				next = promised
			}
		}
		now = next
	}
}

func conformAtomic(t *testing.T, s storage) {
	now := time.Now().Truncate(time.Microsecond)
	global := Rule{Name: "global", Limit: 10, Window: time.Minute}
	search := Rule{Name: "search", Limit: 3, Window: 10 * time.Second}
	both := func() Outcome { return s.take(now, Charge{global, "10.0.0.1"}, Charge{search, "user:u"}) }
	for range 3 {
		if o := both(); !o.Allowed {
			t.Fatal("refused within both limits")
		}
	}
	for range 50 {
		o := both()
		if o.Allowed {
			t.Fatal("admitted beyond search's limit")
		}
		for _, d := range o.Decisions() { // a remembered refusal has search alone
			if d.Allowed != (d.Rule == global) || d.Allowed && d.Remaining != 7 {
				t.Fatalf("want refused by search alone with 7 of global left, got %+v", d)
			}
		}
		if r, _ := o.Refusal(); r.Rule.Name != "search" || r.RetryAfter != 10*time.Second {
			t.Fatalf("told of %s and %v, want search and 10s", r.Rule.Name, r.RetryAfter)
		}
	}
	for i := range 7 {
		if o := s.take(now, Charge{global, "10.0.0.1"}); !o.Allowed {
			t.Fatalf("refusals by search ate global's budget: request %d refused", i+1)
		}
	}
	o := s.take(now, Charge{search, "user:u"}, Charge{global, "10.0.0.1"}) // the other order
	if r, _ := o.Refusal(); o.Allowed || r.Rule.Name != "global" || r.RetryAfter != time.Minute {
		t.Fatalf("want told of the longest wait (global, 1m), got %s, %v", r.Rule.Name, r.RetryAfter)
	}
}

func conformReset(t *testing.T, s Storage) {
	now := time.Now().Truncate(time.Microsecond)
	rule := Rule{Name: "search", Limit: 80, Window: time.Minute}
	var o Outcome
	for range 30 {
		now = now.Add(time.Second)
		o = st(s).take(now, Charge{rule, "a"})
	}
	reset := o.Decisions()[0].Reset
	if want := now.Add(time.Minute); !reset.Equal(want) {
		t.Errorf("reset %v after the last admission, want one window", reset.Sub(now))
	}
	o = st(s).take(reset, Charge{rule, "a"})
	if d := o.Decisions()[0]; d.Remaining != 79 {
		t.Errorf("%d remain after the reset and one request, want 79", d.Remaining)
	}
}
