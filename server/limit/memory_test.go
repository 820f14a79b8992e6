package limit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

var (
	globalRule = Rule{Name: "global", Limit: 1000, Window: time.Minute, Setting: "RATE_LIMIT_GLOBAL"}
	searchRule = Rule{Name: "search", Limit: 100, Window: time.Minute, Setting: "RATE_LIMIT_SEARCH"}
	ingestRule = Rule{Name: "ingest", Limit: 10, Window: time.Minute, Setting: "RATE_LIMIT_INGEST"}
)

func newLimiter(t testing.TB, s Storage, rules ...Rule) *Limiter {
	t.Helper()
	l, err := New(Config{Rules: rules, Storage: s})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Exactly the limit is admitted whatever the interleaving, and exactly the limit again after the wait that was told.
func TestSixtyFourGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, newMemory(t, 1000), searchRule)
		round := func() (admitted int64, wait time.Duration) {
			var n, longest atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for range 20 {
						o := l.Allow(t.Context(), Charge{searchRule, "u"})
						if o.Allowed {
							n.Add(1)
						} else if d, _ := o.Refusal(); int64(d.RetryAfter) > longest.Load() {
							longest.Store(int64(d.RetryAfter))
						}
					}
				})
			}
			wg.Wait()
			return n.Load(), time.Duration(longest.Load())
		}
		for i := range 5 {
			admitted, wait := round()
			if admitted != 100 {
				t.Fatalf("round %d: %d admitted of 1280, want 100", i, admitted)
			}
			if wait != time.Minute {
				t.Fatalf("round %d: told to wait %v after a burst, want 1m", i, wait)
			}
			time.Sleep(wait - time.Nanosecond)
			if o := l.Allow(t.Context(), Charge{searchRule, "u"}); o.Allowed {
				t.Fatal("admitted before the window passed")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

// Each of 64 goroutines arrives at random and, when refused, half the time waits as told: then it must be admitted, unless others
// took the places that came free in the same instant.
func TestAnyWindowUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := Rule{Name: "search", Limit: 100, Window: time.Minute}
		l := newLimiter(t, newMemory(t, 1000), rule)
		var mu sync.Mutex
		var admitted []time.Time
		var wg sync.WaitGroup
		for g := range uint64(64) {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(g, 1))
				for range 60 {
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(20*time.Second)))
					o := l.Allow(t.Context(), Charge{rule, "shared"})
					if o.Allowed {
						mu.Lock()
						admitted = append(admitted, time.Now())
						mu.Unlock()
					} else if rng.IntN(2) == 0 {
						d, _ := o.Refusal()
						time.Sleep(d.RetryAfter)
					}
				}
			})
		}
		wg.Wait()
		if len(admitted) < 1000 {
			t.Fatalf("only %d admitted: the test lost its load", len(admitted))
		}
		for i := rule.Limit; i < len(admitted); i++ {
			if gap := admitted[i].Sub(admitted[i-rule.Limit]); gap < rule.Window {
				t.Fatalf("%d admitted within %v", rule.Limit+1, gap)
			}
		}
	})
}

func TestRetryAfterIsTrueForEveryClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, newMemory(t, 100_000), globalRule, searchRule)
		var refused, kept atomic.Int64
		var wg sync.WaitGroup
		for g := range uint64(64) {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(g, 2))
				address, user := fmt.Sprint("address", g), fmt.Sprint("user", g)
				for range 400 {
					time.Sleep(time.Duration(rng.ExpFloat64() * float64(200*time.Millisecond)))
					o := l.Allow(t.Context(), Charge{globalRule, address}, Charge{searchRule, user})
					if o.Allowed {
						continue
					}
					refused.Add(1)
					d, _ := o.Refusal()
					time.Sleep(time.Duration(Seconds(d.RetryAfter)) * time.Second)
					if o := l.Allow(t.Context(), Charge{globalRule, address}, Charge{searchRule, user}); o.Allowed {
						kept.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if refused.Load() == 0 || refused.Load() != kept.Load() {
			t.Errorf("%d of %d promises kept", kept.Load(), refused.Load())
		}
	})
}

// Requests that charge the same rules in different orders must not wait for each other for ever.
func TestChargesInAnyOrder(t *testing.T) {
	l := newLimiter(t, newMemory(t, 10), globalRule, searchRule, ingestRule)
	charges := []Charge{{globalRule, "a"}, {searchRule, "a"}, {ingestRule, "a"}}
	var wg sync.WaitGroup
	var admitted atomic.Int64
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 20_000 { // enough for two requests to meet between two locks, were those taken in any order
				own := append([]Charge(nil), charges...)
				rng.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
				if o := l.Allow(t.Context(), own...); o.Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if admitted.Load() != 10 {
		t.Errorf("%d admitted, want the 10 of ingest", admitted.Load())
	}
	st := l.Stats()
	if st.Refused["ingest"] != 8*20_000-10 || st.Refused["global"] != 0 || st.Allowed != 10 {
		t.Errorf("stats: %+v", st)
	}
}

func TestFullTable(t *testing.T) {
	const room = 200
	m := newMemory(t, room)
	s := st(m)
	now := time.Now()
	rule := Rule{Name: "search", Limit: 10, Window: time.Minute}
	for range 11 {
		s.take(now, Charge{rule, "greedy"})
	}
	for range 6 { // above half the limit
		s.take(now, Charge{rule, "busy"})
	}
	served := 0
	for i := range 20_000 {
		if o := s.take(now.Add(time.Duration(i)*time.Microsecond), Charge{rule, fmt.Sprint("newcomer", i)}); o.Allowed {
			served++
		}
	}
	if served != 20_000 {
		t.Errorf("%d of 20,000 newcomers served in a full table", served)
	}
	if o := s.take(now.Add(time.Second), Charge{rule, "greedy"}); o.Allowed {
		t.Error("a client at its limit was forgiven because others came")
	}
	if o := s.take(now.Add(time.Second), Charge{rule, "busy"}); o.Decisions()[0].Remaining != 3 {
		t.Errorf("a client above half its limit was forgiven: %d remain, want 3", o.Decisions()[0].Remaining)
	}
	stats := m.Stats()
	if stats.Clients["search"] > room {
		t.Errorf("%d clients held, bound %d", stats.Clients["search"], room)
	}
	if stats.Evicted == 0 {
		t.Error("evictions were not counted")
	}
}

// Nobody can be forgiven here, so newcomers are limited together; they are admitted again when a window has passed.
func TestTableFullOfBusyClients(t *testing.T) {
	const room = 50
	m := newMemory(t, room)
	s := st(m)
	now := time.Now()
	rule := Rule{Name: "search", Limit: 10, Window: time.Minute}
	for i := range room {
		for range 6 {
			s.take(now, Charge{rule, fmt.Sprint("busy", i)})
		}
	}
	served := 0
	for i := range 500 {
		if o := s.take(now, Charge{rule, fmt.Sprint("newcomer", i)}); o.Allowed {
			served++
		}
	}
	if served != rule.Limit {
		t.Errorf("%d of 500 newcomers served, want the %d of their shared budget", served, rule.Limit)
	}
	if got := m.Stats().Crowded; got != 500 {
		t.Errorf("%d crowded requests counted, want 500", got)
	}
	now = now.Add(time.Minute + time.Microsecond)
	for i := range 500 {
		if o := s.take(now, Charge{rule, fmt.Sprint("newcomer", i)}); !o.Allowed {
			t.Fatalf("newcomer %d refused after the busy clients' windows passed", i)
		}
	}
}

func TestClientsAreForgottenAfterTwoWindows(t *testing.T) {
	m := newMemory(t, 100_000)
	s := st(m)
	now := time.Now()
	for i := range 5000 {
		s.take(now, Charge{searchRule, fmt.Sprint(i)})
	}
	if got := m.Stats().Clients["search"]; got != 5000 {
		t.Fatalf("%d clients held, want 5000", got)
	}
	for range 2 {
		now = now.Add(time.Minute + time.Millisecond)
		for i := range 1000 { // enough to visit each of the 64 shards
			s.take(now, Charge{searchRule, fmt.Sprint("later", i)})
		}
	}
	if got := m.Stats().Clients["search"]; got != 1000 {
		t.Errorf("%d clients held two windows later, want the 1000 that are still there", got)
	}
}

// A client seen late in one generation and early in the next keeps its window across the turn.
func TestTurnKeepsLiveWindows(t *testing.T) {
	s := st(newMemory(t, 100))
	start := time.Now()
	rule := Rule{Name: "ingest", Limit: 10, Window: time.Minute}
	var admitted []time.Time
	for i := range 3000 {
		now := start.Add(time.Duration(i) * 137 * time.Millisecond)
		if o := s.take(now, Charge{rule, "a"}); o.Allowed {
			admitted = append(admitted, now)
		}
	}
	for i := 10; i < len(admitted); i++ {
		if gap := admitted[i].Sub(admitted[i-10]); gap < time.Minute {
			t.Fatalf("11 admitted within %v", gap)
		}
	}
	if len(admitted) < 60 {
		t.Errorf("%d admitted in 6 m 51 s, want 10 a minute", len(admitted))
	}
}

func TestWindowStaysSmall(t *testing.T) {
	var w window
	length := int64(time.Minute)
	rng := rand.New(rand.NewPCG(1, 1))
	now := int64(0)
	for range 200_000 { // far beyond any limit, as record may
		now += int64(rng.ExpFloat64() * float64(300*time.Millisecond))
		w.expire(now, length)
		w.admit(now, pieceOf(1000, length))
		if len(w.buckets) > maxBuckets || cap(w.buckets) > maxBuckets {
			t.Fatalf("%d buckets, room for %d; bound %d", len(w.buckets), cap(w.buckets), maxBuckets)
		}
	}
	for range 1000 {
		w.admit(now, 0)
	}
	var sum uint32
	for _, b := range w.buckets {
		sum += b.n
	}
	if sum != w.sum || len(w.buckets) > maxBuckets {
		t.Errorf("sum %d, buckets hold %d in %d", w.sum, sum, len(w.buckets))
	}
	if size := unsafe.Sizeof(w) + maxBuckets*unsafe.Sizeof(bucket{}); size > 1200 {
		t.Errorf("a window may take %d bytes, documented as about 1.2 KB", size)
	}
}

// A bucket's admissions may be nanoseconds apart; its end must not be rounded down.
func TestBucketsAreNotForgottenEarly(t *testing.T) {
	s := st(newMemory(t, 100))
	now := time.Now()
	rule := Rule{Name: "search", Limit: 65, Window: time.Minute}
	s.take(now, Charge{rule, "a"})
	for range 64 {
		s.take(now.Add(time.Nanosecond), Charge{rule, "a"})
	}
	if o := s.take(now.Add(time.Minute), Charge{rule, "a"}); o.Allowed {
		t.Error("66 admitted within one window and a nanosecond")
	}
}

// Newcomers to a full table share a budget, but not the refusal that shared storage gave to one of them.
func TestCrowdIsNotBlockedByOneOfThem(t *testing.T) {
	m := newMemory(t, 1)
	now := time.Now()
	rule := Rule{Name: "search", Limit: 10, Window: time.Minute}
	for range 10 {
		st(m).take(now, Charge{rule, "busy"})
	}
	one, other := []Charge{{rule, "one"}}, []Charge{{rule, "other"}}
	m.block(now, one, []Decision{{Rule: rule, RetryAfter: time.Minute}})
	if _, refused := m.repeat(now, other); refused {
		t.Error("another newcomer was refused for it")
	}
}

func TestUndo(t *testing.T) {
	m := newMemory(t, 100)
	s := st(m)
	now := time.Now()
	charge := []Charge{{searchRule, "a"}}
	s.take(now, charge[0])
	for range 500 {
		if o := s.take(now.Add(time.Second), charge[0]); !o.Allowed {
			t.Fatal("an undone request was remembered")
		}
		m.undo(now.Add(time.Second), charge)
	}
	if o := s.take(now.Add(2*time.Second), charge[0]); o.Decisions()[0].Remaining != 98 {
		t.Errorf("%d remain, want 98: two requests stand", o.Decisions()[0].Remaining)
	}
}

func TestOffAndFaults(t *testing.T) {
	m := newMemory(t, 100)
	off := Rule{Name: "off", Setting: "RATE_LIMIT_OFF"}
	l := newLimiter(t, m, off, searchRule)
	for range 5000 {
		if o := l.Allow(context.Background(), Charge{off, "a"}); !o.Allowed || len(o.Decisions()) != 0 {
			t.Fatalf("a rule that is off decided: %+v", o)
		}
	}
	if _, err := New(Config{Rules: []Rule{{Name: "Bad name", Limit: -1, Setting: "X"}, searchRule, searchRule}}); err == nil {
		t.Error("no fault found")
	} else {
		for _, part := range []string{"no storage", `"Bad name"`, "X is -1", `two rules are named "search"`} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	if _, err := New(Config{Storage: m, Rules: []Rule{{Name: "a", Limit: 1, Window: time.Millisecond}}}); err == nil {
		t.Error("a window of 1 ms was taken")
	}
	if _, err := NewMemory(MemoryConfig{MaxClients: -1, Setting: "RATE_LIMIT_CLIENTS"}); err == nil {
		t.Error("a negative bound was taken")
	}
	wantPanic(t, func() { l.Allow(context.Background(), Charge{searchRule, "a"}, Charge{searchRule, "b"}) })
}

func TestLongNames(t *testing.T) {
	a, b := make([]byte, 4000), make([]byte, 4000)
	b[3999] = 1
	if boundedKey(string(a)) == boundedKey(string(b)) || len(boundedKey(string(a))) > maxClientKey {
		t.Error("long names are not told apart within the bound")
	}
}

func wantPanic(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}
