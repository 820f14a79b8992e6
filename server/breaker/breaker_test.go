package breaker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("connection reset")

func open(t *testing.T, cfg Config) *Breaker {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "database"
	}
	b, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call makes one call that ends at once with that outcome; it reports whether it went through.
func call(t *testing.T, b *Breaker, o Outcome) bool {
	t.Helper()
	done, err := b.Allow()
	if err != nil {
		if _, ok := errors.AsType[*OpenError](err); !ok {
			t.Fatalf("refused with %T: %v", err, err)
		}
		return false
	}
	done(o)
	return true
}

func calls(t *testing.T, b *Breaker, outcomes string) {
	t.Helper()
	for i, o := range outcomes {
		if !call(t, b, map[rune]Outcome{'.': Success, 'x': Failure, '-': Ignored}[o]) {
			t.Fatalf("call %d of %q refused", i+1, outcomes)
		}
	}
}

func TestOpens(t *testing.T) {
	f := func(outcomes string, want State) {
		t.Helper()
		b := open(t, Config{Failures: 5, Ratio: 0.5, MinCalls: 20})
		calls(t, b, outcomes)
		if got := b.State(); got != want {
			t.Errorf("after %q: %s, want %s", outcomes, got, want)
		}
	}
	f("xxxx", Closed)                // one fewer than the bound
	f("xxxxx", Open)                 // five in a row
	f("xxxx.xxxx.xxxx.", Closed)     // never five in a row, and too few calls for a ratio
	f("xxxx----x", Open)             // what taught nothing does not break the row
	f("-------------------", Closed) // nor does it make one: clients that leave are no failure
	f("xxxx.x.x.x.x.x.x.x.", Closed) // 19 calls: one too few for a ratio
	f("xxxx.x.x.x.x.x.x.x.x", Open)  // 20 calls, 12 failures
	f("..........xx.xx.xx.xx.", Closed)
}

func TestOldFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 100, Ratio: 0.5, MinCalls: 20, Window: 10 * time.Second})
		calls(t, b, "xxxxxxxxxx.........") // 10 of 19
		time.Sleep(12 * time.Second)
		calls(t, b, "........x")
		if got := b.State(); got != Closed {
			t.Errorf("failures before the window opened the breaker: %s", got)
		}
	})
}

func TestOpenRefusesUntilProbesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 1, OpenFor: 3 * time.Second, Probes: 2, Setting: "--breaker"})
		calls(t, b, "x")
		time.Sleep(time.Second)
		_, err := b.Allow()
		e, ok := errors.AsType[*OpenError](err)
		if !ok || e.RetryAfter != 2*time.Second || !strings.Contains(e.Error(), "database") || !strings.Contains(e.Error(), "--breaker") {
			t.Fatalf("refusal %v (%+v)", err, e)
		}
		if err := b.Ready(); err == nil {
			t.Error("ready while open")
		}
		time.Sleep(e.RetryAfter + time.Nanosecond) // a client that waits as told gets through
		if err := b.Ready(); err != nil {
			t.Fatalf("not ready when probes are due: %v", err)
		}
		one, err1 := b.Allow()
		two, err2 := b.Allow()
		if err1 != nil || err2 != nil {
			t.Fatalf("probes refused: %v, %v", err1, err2)
		}
		if _, err := b.Allow(); err == nil {
			t.Error("a third probe went through")
		} else if e, ok := errors.AsType[*OpenError](err); !ok || e.RetryAfter <= 0 {
			t.Errorf("a third probe is refused with %+v: want a moment to wait", err)
		}
		one(Success)
		if got := b.State(); got != HalfOpen {
			t.Errorf("one of two probes made it %s", got)
		}
		two(Success)
		if got := b.State(); got != Closed {
			t.Errorf("two probes left it %s", got)
		}
		s := b.Stats()
		if s.Opened != 1 || s.HalfOpened != 1 || s.Closed != 1 || s.Rejected != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestAProbeThatFailsOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 1, OpenFor: time.Second})
		calls(t, b, "x")
		time.Sleep(time.Second + time.Nanosecond)
		calls(t, b, "x")
		if got := b.State(); got != Open {
			t.Errorf("%s", got)
		}
		// A probe whose client left has told nothing: it neither opens nor closes, and its place is free.
		time.Sleep(time.Second + time.Nanosecond)
		calls(t, b, "----------")
		if got := b.State(); got != HalfOpen {
			t.Errorf("%s after clients left", got)
		}
		calls(t, b, "..")
		if got := b.State(); got != Closed {
			t.Errorf("%s", got)
		}
	})
}

// hang begins a call that ends with its context and then reports to ended.
func hang(t *testing.T, b *Breaker, ended chan<- error) {
	t.Helper()
	ctx, end, err := b.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-ctx.Done()
		err := context.Cause(ctx)
		end(err)
		ended <- err
	}()
}

func TestHangingCallsOpenAndAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 5, Slow: 2 * time.Second, OpenFor: 3 * time.Second})
		start := time.Now()
		ended := make(chan error, 3)
		for range 3 {
			hang(t, b, ended)
		}
		for range 3 {
			if _, ok := errors.AsType[*OpenError](<-ended); !ok {
				t.Error("cut without saying why")
			}
		}
		// Three failures after 2 s, three more after 3 s: the fifth opens it.
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("opened after %v, want 3s", got)
		}
		synctest.Wait()
		if s := b.Stats(); s.Slow != 3 || s.Cut != 3 || s.State != Open || s.Failures < 5 {
			t.Errorf("stats %+v", s)
		}
		if n := len(b.hanging); n != 0 {
			t.Errorf("%d calls are still remembered", n)
		}
	})
}

// A call that ends just when it turns slow is over before it is remembered, and nobody would forget it.
func TestACallThatIsOverIsNotHeld(t *testing.T) {
	b := open(t, Config{Slow: time.Hour})
	w := &watched{b: b, over: true}
	b.hold(w)
	if len(b.hanging) != 0 {
		t.Error("a call that is over is held")
	}
}

func TestAProbeThatHangsIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 1, Slow: 2 * time.Second, OpenFor: 3 * time.Second})
		calls(t, b, "x")
		time.Sleep(3*time.Second + time.Nanosecond)
		ended := make(chan error, 1)
		start := time.Now()
		hang(t, b, ended)
		<-ended
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("cut after %v", got)
		}
		if got := b.State(); got != Open {
			t.Errorf("%s", got)
		}
	})
}

func TestASlowCallThatEndsCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, Config{Failures: 2, Slow: 2 * time.Second})
		ctx, end, err := b.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		if ctx.Err() != nil {
			t.Error("a slow call was cut while the breaker is closed")
		}
		end(nil)
		time.Sleep(time.Minute)
		if s := b.Stats(); s.State != Closed || s.Failures != 1 || s.Successes != 0 || s.Slow != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestErrorsAreClassified(t *testing.T) {
	b := open(t, Config{Failures: 2, Slow: time.Hour, Classify: func(err error) Outcome {
		if errors.Is(err, errDown) {
			return Failure
		}
		return Success
	}})
	end := func(err error) {
		_, end, refused := b.Begin(t.Context())
		if refused != nil {
			t.Fatal(refused)
		}
		end(err)
	}
	end(errDown)
	end(errors.New("no such column")) // the database answered
	end(errDown)
	if got := b.State(); got != Closed {
		t.Fatalf("%s", got)
	}
	end(errDown)
	if s := b.Stats(); s.State != Open || s.LastError != errDown.Error() {
		t.Fatalf("%+v", s)
	}
	// Without a classifier a caller who left is no failure.
	b = open(t, Config{Failures: 1, Slow: time.Hour})
	end(context.Canceled)
	if got := b.State(); got != Closed {
		t.Errorf("%s after a caller left", got)
	}
}

func TestTransitionsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		b := open(t, Config{Failures: 1, OpenFor: time.Second, Probes: 1, Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		calls(t, b, "x")
		for range 3 { // probes that fail are no news
			time.Sleep(time.Second + time.Nanosecond)
			calls(t, b, "x")
		}
		time.Sleep(time.Second + time.Nanosecond)
		calls(t, b, ".")
		got := lines.String()
		if strings.Count(got, "circuit breaker opened") != 1 || strings.Count(got, "circuit breaker closed") != 1 {
			t.Errorf("log:\n%s", got)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	_, err := New(Config{Name: "x", Failures: -1, Ratio: 1.5, MinCalls: -2, Window: -1, Slow: 1, OpenFor: -3, Probes: -4})
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, want := range []string{"failures in a row is -1", "ratio is 1.5", "least calls is -2", "window", "slow call", "open time", "probes is -4"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a breaker without a name")
	}
}

// Many callers at once, with calls that hang and a state that flips: for the race detector, and
// for a deadlock between a breaker that opens and the calls it cuts.
func TestCrowd(t *testing.T) {
	b := open(t, Config{Failures: 3, Slow: time.Millisecond, OpenFor: time.Millisecond, Probes: 1})
	var crowd sync.WaitGroup
	for i := range 16 {
		crowd.Go(func() {
			for n := range 200 {
				ctx, end, err := b.Begin(t.Context())
				if err != nil {
					continue
				}
				if (n+i)%7 == 0 {
					select {
					case <-ctx.Done():
					case <-time.After(3 * time.Millisecond):
					}
				}
				end(nil)
			}
		})
	}
	crowd.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.hanging) != 0 {
		t.Errorf("%d calls are still remembered", len(b.hanging))
	}
}

func BenchmarkBegin(bench *testing.B) {
	b, err := New(Config{Name: "database", Slow: 2 * time.Second})
	if err != nil {
		bench.Fatal(err)
	}
	bench.ReportAllocs()
	for bench.Loop() {
		_, end, err := b.Begin(bench.Context())
		if err != nil {
			bench.Fatal(err)
		}
		end(nil)
	}
}
