package supervisor

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCrashes(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.serving(time.Minute).ends(-1)
		var began []time.Duration
		for n := 2; n <= 5; n++ {
			time.Sleep(20 * time.Second) // longer than any wait here
			w := st.want(n, "after a crash")
			began = append(began, w.began)
			if n < 5 {
				w.ends(1)
			} else {
				w.says(msgReady)
			}
		}
		// The first at once, then 0.5, 1 and 2 s after the failure before.
		at := func(failures, ms int) time.Duration {
			return time.Minute + time.Duration(failures)*20*time.Second + time.Duration(ms)*time.Millisecond
		}
		if diff := cmp.Diff([]time.Duration{at(0, 0), at(1, 500), at(2, 1000), at(3, 2000)}, began); diff != "" {
			t.Errorf("restarts (-want +got):\n%s", diff)
		}
		time.Sleep(10 * time.Second) // well
		st.all()[4].ends(1)
		st.want(6, "after having been well, at once")
	})
}

func TestGivesUp(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		start := time.Now()
		for n := range 5 {
			for synctest.Wait(); len(st.all()) <= n; synctest.Wait() {
				time.Sleep(time.Millisecond)
			}
			st.all()[n].ends(1)
		}
		err := <-st.done
		if !errors.Is(err, ErrGaveUp) || !strings.Contains(err.Error(), "after 5 failures in a row, the last: the worker ended: exit status 1") {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(start).Truncate(time.Second / 2); took != 3500*time.Millisecond || len(st.all()) != 5 {
			t.Errorf("%d workers in %v, want 5 in 3.5 s", len(st.all()), took)
		}
	})
	play(t, testConfig(), func(st *stage) { // never ready
		err := <-st.done
		if !errors.Is(err, ErrGaveUp) || !strings.Contains(err.Error(), "was not ready within 1m0s (--supervise-ready-timeout)") {
			t.Errorf("Run: %v", err)
		}
	})
	play(t, testConfig(), func(st *stage) { // cannot even be started
		st.noStart = errors.New("no such file")
		st.want(1, "the first").ends(1)
		if err := <-st.done; !errors.Is(err, ErrGaveUp) || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestUsageErrorAtTheFirstStart(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.want(1, "the first").ends(2)
		if err := <-st.done; !errors.Is(err, ExitError{2}) {
			t.Errorf("Run: %v, want the worker's code", err)
		}
	})
	play(t, testConfig(), func(st *stage) {
		st.serving(time.Minute).ends(1)
		st.want(2, "after a crash").ends(2)
		time.Sleep(time.Second)
		st.want(3, "a usage error of a later one, which may have read a file in the making")
	})
}

func TestWorkerThatLeavesByItself(t *testing.T) {
	play(t, testConfig(), func(st *stage) { // after failures that its service made forgotten
		for n := 1; n < 5; n++ {
			st.want(n, "the next").ends(1)
			time.Sleep(20 * time.Second)
		}
		w := st.want(5, "the fifth")
		w.says(msgReady)
		time.Sleep(10 * time.Second)
		w.says(msgStopping)
		st.want(6, "its successor").ends(1)
		st.want(7, "the first failure since, at once")
	})
	play(t, testConfig(), func(st *stage) {
		old := st.serving(10 * time.Second)
		for n := 2; n < 12; n++ { // more often than MaxFailures
			old.says(msgStopping)
			fresh := st.want(n, "as soon as it is said")
			if len(old.got()) > 0 {
				t.Fatalf("it got %v", old.got())
			}
			fresh.says(msgReady)
			old.ends(75)
			time.Sleep(10 * time.Second)
			st.want(n, "after it has left")
			old = fresh
		}
	})
	play(t, testConfig(), func(st *stage) { // soon after its start: a loop
		for n := 1; ; n++ {
			w := st.want(n, "the next")
			w.says(msgReady)
			time.Sleep(time.Second)
			w.says(msgStopping)
			w.ends(75)
			if n == 5 {
				break
			}
			time.Sleep(2 * time.Second)
		}
		if err := <-st.done; !errors.Is(err, ErrGaveUp) || !strings.Contains(err.Error(), "left by itself within 10s (--supervise-well)") {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestWedgedWorker(t *testing.T) {
	cfg := testConfig()
	cfg.Watchdog = 20 * time.Second
	var lines bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&lines, nil))
	play(t, cfg, func(st *stage) {
		w := st.serving(19 * time.Second)
		w.says(msgAlive)
		time.Sleep(19 * time.Second)
		synctest.Wait()
		if len(w.got()) > 0 {
			t.Fatal("killed although it was heard")
		}
		time.Sleep(time.Second)
		fresh := st.want(2, "without a sign of life, at once")
		if !slices.Equal(w.got(), []os.Signal{syscall.SIGABRT}) {
			t.Errorf("the silent one got %v", w.got())
		}
		fresh.says(msgReady)
		time.Sleep(abortGrace)
		synctest.Wait()
		if !slices.Equal(w.got(), []os.Signal{syscall.SIGABRT, os.Kill}) {
			t.Errorf("then %v", w.got())
		}
		if log := lines.String(); !strings.Contains(log, "did not leave in time") || !strings.Contains(log, "bound=2s") {
			t.Errorf("the log does not name the bound that it ran into:\n%s", log)
		}
		st.want(2, "its end is not one more failure")
		if last := st.told[len(st.told)-1]; !strings.HasPrefix(last, Ready+"\nSTATUS=Serving with worker 2") {
			t.Errorf("told last: %q", last)
		}
	})
}

func TestStuckInLeaving(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		old := st.serving(time.Minute)
		old.deaf = true
		st.s.HandOver()
		st.want(2, "hand-over").says(msgReady)
		if !slices.Equal(old.got(), []os.Signal{syscall.SIGTERM}) {
			t.Errorf("one that cannot be told got %v", old.got())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !slices.Equal(old.got(), []os.Signal{syscall.SIGTERM, os.Kill}) {
			t.Errorf("after its bound: %v", old.got())
		}
	})
}

func TestStop(t *testing.T) {
	f := func(why string, code int, want func(error) bool) {
		t.Helper()
		play(t, testConfig(), func(st *stage) {
			w := st.serving(time.Minute)
			st.s.HandOver()
			starting := st.want(2, "hand-over")
			st.stop()
			synctest.Wait()
			for _, a := range st.all() {
				if !slices.Equal(a.got(), []os.Signal{syscall.SIGTERM}) {
					t.Errorf("%s: worker %d got %v", why, a.number, a.got())
				}
			}
			st.s.HandOver()
			starting.ends(-1) // before it could handle the signal
			if code >= 0 {
				w.ends(code)
			}
			if err := <-st.done; !want(err) {
				t.Errorf("%s: Run: %v", why, err)
			}
			st.want(2, "while stopping nothing is started")
		})
	}
	f("in good order", 0, func(err error) bool { return err == nil })
	f("requests were cut", 1, func(err error) bool { return errors.Is(err, ExitError{1}) })
	f("stuck, and killed", -1, func(err error) bool { return err != nil })
}

// A second SIGTERM would end a worker that drains at once.
func TestStopLeavesThoseThatDrainAlone(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		old := st.serving(time.Minute)
		st.s.HandOver()
		st.want(2, "hand-over").says(msgReady)
		st.stop()
		synctest.Wait()
		if got := old.got(); len(got) > 0 {
			t.Errorf("the one that drains got %v", got)
		}
	})
}

func TestStopBeforeAnybodyServed(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		w := st.want(1, "the first")
		st.stop()
		synctest.Wait()
		w.ends(-1) // by SIGTERM, before it could handle it
		if err := <-st.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestStopWhileWaitingForARestart(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.want(1, "the first").ends(1)
		st.want(2, "the second").ends(1)
		st.stop()
		if err := <-st.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Whoever asks for a hand-over between two attempts has mended something and waits no longer.
func TestHandOverEndsTheWaitForARestart(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.want(1, "the first").ends(1)
		st.want(2, "at once after one failure").ends(1)
		st.s.HandOver()
		synctest.Wait()
		if fresh := st.want(3, "asked for"); fresh.began != 0 {
			t.Errorf("started after %v, want at once", fresh.began)
		}
	})
}

func TestForwardsToTheServingWorker(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		w := st.serving(time.Minute)
		st.s.HandOver()
		starting := st.want(2, "hand-over")
		st.s.Forward(syscall.SIGHUP)
		synctest.Wait()
		if !slices.Equal(w.got(), []os.Signal{syscall.SIGHUP}) || len(starting.got()) > 0 {
			t.Errorf("serving %v, starting %v: one that starts would die of it", w.got(), starting.got())
		}
	})
}

func TestServiceManagerHearsOnlyOfAWellWorker(t *testing.T) {
	cfg := testConfig()
	cfg.Beat = 5 * time.Second
	play(t, cfg, func(st *stage) {
		beats := func() (n int) {
			synctest.Wait()
			for _, s := range st.told {
				if s == Alive {
					n++
				}
			}
			return n
		}
		time.Sleep(30 * time.Second)
		if n := beats(); n != 0 {
			t.Errorf("%d while it starts", n)
		}
		w := st.serving(60 * time.Second)
		if n := beats(); n != 12 {
			t.Errorf("%d in a minute, want 12", n)
		}
		w.ends(-1)
		time.Sleep(30 * time.Second)
		if n := beats(); n != 12 {
			t.Errorf("%d more without a worker", n-12)
		}
	})
}

func TestConfigFaultsAtOnce(t *testing.T) {
	_, err := New(Config{Watchdog: -1})
	if err == nil {
		t.Fatal("an empty configuration is taken")
	}
	for _, want := range []string{"no worker program", "no socket", "--supervise-ready-timeout", "--supervise-watchdog is -1ns", "--supervise-well", "--supervise-failures is 0: want 1 to 1000"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q: %v", want, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	var got []time.Duration
	for n := range 10 {
		got = append(got, backoff(n))
	}
	const s = time.Second
	if diff := cmp.Diff([]time.Duration{0, 0, s / 2, s, 2 * s, 4 * s, 8 * s, 15 * s, 15 * s, 15 * s}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if backoff(1000) != maxBackoff {
		t.Error("a thousand failures wait differently")
	}
}
