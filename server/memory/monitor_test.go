package memory

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLeaksHandOverInTime(t *testing.T) {
	f := func(why string, p *simulated, most float64) {
		t.Helper()
		s, after, log := watch(t, p, DefaultConfig(), time.Hour)
		if !s.RestartRequested {
			t.Errorf("%s: no restart; %.1f %%, growth %.0f\n%s", why, s.Percent(), s.Growth, log)
			return
		}
		t.Logf("%s: after %v at %.1f %%, %d collections asked for: %s", why, after, s.Percent(), p.asked, s.Reason)
		if s.Percent() > most || s.Percent() < handOverFrom {
			t.Errorf("%s: it comes at %.1f %%, want %d to %v %%", why, s.Percent(), handOverFrom, most)
		}
		if strings.Count(log, "restart requested") != 1 {
			t.Errorf("%s: the log:\n%s", why, log)
		}
	}
	f("1.5 %/s of heap", &simulated{live: leak(10, 0.015, time.Minute)}, 65)
	f("1.5 %/s of heap, amid churn", &simulated{live: leak(10, 0.015, time.Minute), churn: 20}, 65)
	f("1.5 %/s outside of the heap", &simulated{live: constant(10), outside: leak(0, 0.015, time.Minute)}, 65)
	f("6 %/s of heap", &simulated{live: leak(10, 0.06, time.Minute)}, 75)
	f("6 %/s of heap, amid churn", &simulated{live: leak(10, 0.06, time.Minute), churn: 20}, 75)
	f("6 %/s outside of the heap", &simulated{live: constant(10), outside: leak(0, 0.06, time.Minute)}, 70)
	f("6 %/s of heap, amid churn, where a collection takes half a second", &simulated{live: leak(10, 0.06, time.Minute), churn: 20, cost: 500 * time.Millisecond}, 90)
	f("6 %/s in a process that is half full", &simulated{live: leak(110, 0.06, time.Minute)}, 85.5)
	f("1.5 %/s of the kernel's buffers, which are no pages of ours", &simulated{live: constant(10), others: leak(0, 0.015, time.Minute)}, 65)
	f("from the start", &simulated{live: leak(5, 0.015, 0)}, 65)
	f("on a machine", &simulated{live: leak(10, 0.015, time.Minute), machine: true}, 65)
	// Slow ones come near the critical threshold, and leave room for the fresh process.
	f("0.05 %/s", &simulated{live: leak(10, 0.0005, time.Minute), churn: 5}, 85.5)
	f("0.05 %/s of a process that takes a quarter when it is fresh", &simulated{live: leak(44, 0.0005, time.Minute), churn: 5}, 76)
	f("3 %/min, a cache of connections", &simulated{live: constant(10), outside: leak(0, 0.0005, time.Minute)}, 85.5)
}

func TestWhatIsNoLeakNeverRestarts(t *testing.T) {
	f := func(why string, p *simulated) {
		t.Helper()
		s, _, log := watch(t, p, DefaultConfig(), 20*time.Minute)
		t.Logf("%s: %.1f %%, peak %.1f %%, collections: %d natural, %d asked for", why, s.Percent(), 100*p.peak/simLimit, p.natural, p.asked)
		if s.RestartRequested {
			t.Errorf("%s: %s\n%s", why, s.Reason, log)
		}
		if p.asked > 20*60 {
			t.Errorf("%s: %d collections asked for in 20 minutes", why, p.asked)
		}
		if spent := time.Duration(p.asked) * p.cost; spent > 20*time.Minute/collectShare {
			t.Errorf("%s: %v of 20 minutes spent in collections that were asked for, more than one in %d", why, spent, collectShare)
		}
	}
	f("idle", &simulated{live: constant(10)})
	f("churn with 60 % live", &simulated{live: constant(0.6*simLimit - simBase), churn: 50})
	f("heavy churn with 60 % live", &simulated{live: constant(0.6*simLimit - simBase), churn: 400})
	f("a sawtooth to 75 %", &simulated{live: constant(80), churn: 30})
	f("a slow sawtooth", &simulated{live: constant(90), churn: 1})
	f("a jump of 40 % at once", &simulated{live: func(d time.Duration) float64 {
		if d > 3*time.Minute {
			return 130
		}
		return 30
	}})
	f("a cache that warms up within two seconds", &simulated{live: func(d time.Duration) float64 {
		return 40 + 80*min(1, max(0, (d-3*time.Minute).Seconds()/2))
	}, churn: 10})
	f("a cache that warms up within ten minutes", &simulated{live: func(d time.Duration) float64 { return 20 + 100*min(1, d.Minutes()/10) }, churn: 10})
	f("waves", &simulated{live: func(d time.Duration) float64 { return 90 + 30*math.Sin(d.Seconds()) }, churn: 10})
	f("garbage that costs a second to collect", &simulated{live: constant(60), lazy: true, churn: 10, cost: time.Second})
	f("others fill the machine while we have grown once", &simulated{machine: true, others: func(d time.Duration) float64 { return 60 + min(80, 4*max(0, (d-3*time.Minute).Seconds())) },
		live: func(d time.Duration) float64 { return 20 + 30*min(1, d.Minutes()) }})
	f("others fill the machine", &simulated{live: constant(20), machine: true, others: func(d time.Duration) float64 { return min(210, d.Seconds()) }})
	f("a bulk of heavy neighbours from the start", &simulated{live: constant(30), others: constant(175)})
}

func TestRestartIsASwitch(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Restart = false
	s, _, log := watch(t, &simulated{live: func(d time.Duration) float64 { return min(200, d.Seconds()) }}, cfg, 10*time.Minute)
	if s.RestartRequested || s.RestartEnabled || s.Level != Critical || !strings.Contains(log, "off (--memory-restart)") {
		t.Errorf("%+v\n%s", s, log)
	}
}

// Garbage beyond the critical threshold is collected, and then is no reason for anything.
func TestGarbageIsNotCritical(t *testing.T) {
	p := &simulated{live: constant(60), lazy: true}
	synctest.Test(t, func(t *testing.T) {
		m := simMonitor(t, p, DefaultConfig(), nil)
		m.Look()
		p.dead = 150 // 90 %, all at once
		p.marked = 60
		time.Sleep(time.Second)
		if s := m.Look(); s.Level != Warning || p.asked != 0 {
			t.Errorf("a look of a handler: %v, %d collections", s.Level, p.asked)
		}
		m.look(true)
		if s := m.State(); s.Level != OK || p.asked != 1 {
			t.Errorf("after the collection: %v at %.1f %%, %d collections", s.Level, s.Percent(), p.asked)
		}
	})
}

// One line for each crossing, and none for use that swings around a threshold.
func TestCrossingsAreLoggedOnce(t *testing.T) {
	level := 10.0
	p := &simulated{live: constant(0), outside: func(time.Duration) float64 { return level*simLimit/100 - simBase }}
	cfg := DefaultConfig()
	cfg.Restart = false
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		m := simMonitor(t, p, cfg, slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
		f := func(percent float64, want Level, logged ...string) {
			t.Helper()
			lines.Reset()
			level = percent
			for range 5 {
				time.Sleep(time.Second)
				m.look(true)
			}
			if got := m.State().Level; got != want {
				t.Errorf("at %v %%: %v, want %v", percent, got, want)
			}
			if n := strings.Count(lines.String(), "\n"); n != len(logged)/3 {
				t.Errorf("at %v %%: %d lines:\n%s", percent, n, lines.String())
			}
			for _, part := range logged {
				if !strings.Contains(lines.String(), part) {
					t.Errorf("at %v %%: the log lacks %q:\n%s", percent, part, lines.String())
				}
			}
		}
		f(10, OK)
		f(69.9, OK)
		f(70.1, Warning, "level=WARN", `msg="memory warning"`, `used_percent=70.1 used_mb=179 limit_mb=256 limit_origin="cgroup v2 /sim"`)
		f(68, Warning)
		f(71, Warning)
		f(84.9, Warning)
		f(85.1, Critical, "level=ERROR", `msg="memory critical"`, "threshold_percent=85")
		f(83, Critical)
		f(86, Critical)
		f(81.9, Warning, "level=INFO", `msg="memory eased"`, "level=warning")
		f(66.9, OK, "level=INFO", `msg="memory eased"`, "level=ok")
		f(90, Critical, "level=ERROR", `msg="memory critical"`, "rss_mb=230")
		f(10, OK, "level=INFO", `msg="memory eased"`, "level=ok")
	})
}

func TestChecksAreLoggedAndAveraged(t *testing.T) {
	p := &simulated{live: constant(0), outside: func(d time.Duration) float64 { return d.Minutes() }}
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		m := simMonitor(t, p, DefaultConfig(), slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer stop()
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(lines.String(), "memory checked"); n != 21 {
			t.Errorf("%d checks in ten minutes, want 21", n)
		}
		// Of minutes 5.5 to 10: 20 MB and 7.75 on average.
		if got := m.State().RecentAverage; math.Abs(got-100*27.75/256) > 0.05 {
			t.Errorf("average %.2f %%", got)
		}
	})
}

func TestUnreadableMemoryIsUnknown(t *testing.T) {
	p := &simulated{live: constant(10)}
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		m := simMonitor(t, p, DefaultConfig(), slog.New(slog.NewTextHandler(&lines, nil)))
		if s := m.State(); s.Level != Unknown {
			t.Errorf("before the first look: %v", s.Level)
		}
		f := func(want Level) {
			t.Helper()
			for range 3 {
				time.Sleep(time.Second)
				if s := m.Look(); s.Level != want || (s.Err != nil) != (want == Unknown) {
					t.Errorf("%v %v, want %v", s.Level, s.Err, want)
				}
			}
		}
		f(OK)
		p.err = errors.New("no such file")
		f(Unknown)
		p.err = nil
		f(OK)
		if strings.Count(lines.String(), "memory cannot be read") != 1 || strings.Count(lines.String(), "can be read again") != 1 {
			t.Errorf("the log:\n%s", lines.String())
		}
	})
}

// Who asks while the first look is under way waits for it: nothing else is known yet.
func TestFirstLookIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &simulated{live: constant(10)}
		m := simMonitor(t, p, DefaultConfig(), nil)
		m.read = func() (Reading, error) { time.Sleep(10 * time.Millisecond); return p.read() }
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- m.Run(ctx) }()
		time.Sleep(5 * time.Millisecond)
		if s := m.Look(); s.Level != OK {
			t.Errorf("the first answer is %v", s.Level)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// However many ask, the memory is read once in FreshFor.
func TestLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &simulated{live: constant(10)}
		m := simMonitor(t, p, DefaultConfig(), nil)
		reads := 0
		m.read = func() (Reading, error) { reads++; return p.read() }
		for range 10 {
			for range 1000 {
				m.Look()
			}
			time.Sleep(100 * time.Millisecond)
		}
		if reads != 4 { // at 0, 300, 600 and 900 ms
			t.Errorf("%d reads in a second", reads)
		}
		m.mu.Lock() // as during a collection
		time.Sleep(time.Second)
		if s := m.Look(); s.Level != OK || reads != 4 {
			t.Errorf("a look while another is under way: %v, %d reads", s.Level, reads)
		}
		m.mu.Unlock()
	})
}

// Use of one limit says nothing of growth towards another.
func TestAnotherLimitBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &simulated{live: constant(10), outside: leak(0, 0.06, 0)}
		cfg := DefaultConfig()
		cfg.Restart = false
		m := simMonitor(t, p, cfg, nil)
		look := func() float64 {
			time.Sleep(lookFast)
			m.look(true)
			return m.State().Growth
		}
		for range 6 * 4 {
			look()
		}
		if look() == 0 {
			t.Fatal("a leak of 6 s is not seen")
		}
		p.machine = true
		if g := look(); g != 0 {
			t.Errorf("growth %v at the first look at another limit", g)
		}
	})
}

func TestValidateReportsEveryFault(t *testing.T) {
	err := Config{Interval: time.Millisecond, Warning: math.NaN(), Critical: 100, HandOver: -1, FreshBytes: -1}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"--memory-interval is 1ms", "--memory-warning is NaN", "--memory-critical is 100", "HandOver is -1ns", "FreshBytes is -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q: %v", want, err)
		}
	}
	cfg := DefaultConfig()
	cfg.Warning = 85
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "not below --memory-critical") {
		t.Errorf("%v", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{}, NewReader(), nil); err == nil {
		t.Error("a zero Config makes a monitor")
	}
}

func FuzzTrend(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, steps []byte) {
		tr := trend{pace: paces[0]}
		now, highest, lowest := time.Unix(0, 0), int64(0), int64(math.MaxInt64)
		for i, step := range steps {
			now = now.Add(time.Duration(step) * 20 * time.Millisecond)
			v := int64(step) * int64(i) * mib
			tr.add(now, v)
			highest, lowest = max(highest, v), min(lowest, v)
			if g := tr.growth(gib); g < 0 || math.IsNaN(g) || g > float64(highest-lowest)+1 {
				t.Fatalf("growth %v of values from %d to %d", g, lowest, highest)
			}
		}
	})
}
