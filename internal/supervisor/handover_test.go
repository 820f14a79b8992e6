package supervisor

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestHandOver(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		old := st.serving(time.Minute)
		st.s.HandOver()
		fresh := st.want(2, "hand-over")
		if old.told || len(old.got()) > 0 {
			t.Error("the old worker is to leave before the fresh one is ready")
		}
		fresh.says(msgReady)
		if !old.told || len(old.got()) > 0 {
			t.Errorf("the old worker was told %t and got %v, want it told alone", old.told, old.got())
		}
		old.says(msgStopping) // as asked
		if !old.alone || fresh.alone {
			t.Errorf("told to be alone: the old worker %t, the fresh one %t while the old one lives", old.alone, fresh.alone)
		}
		old.ends(1) // a request was cut: no failure of the service
		if !fresh.alone {
			t.Error("the fresh worker was not told that the old one is gone")
		}
		time.Sleep(time.Hour)
		st.want(2, "after the old one has left")
		if len(st.told) != 3 {
			t.Errorf("the service manager was told %q", st.told)
		}
		want := []string{
			"READY=1\nSTATUS=Serving with worker 1 (pid 1001)", "RELOADING=1", "READY=1\nSTATUS=Serving with worker 2 (pid 1002)",
		}
		for i, w := range want {
			if i >= len(st.told) || !strings.HasPrefix(st.told[i], w) {
				t.Errorf("the service manager was told %q, want %q", st.told, want)
				break
			}
		}
		st.stop()
		synctest.Wait()
		if !slices.Equal(fresh.got(), []os.Signal{syscall.SIGTERM}) {
			t.Errorf("at the stop the worker got %v", fresh.got())
		}
		fresh.ends(0)
		if err := <-st.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestHandOverThatFailsLeavesTheOldWorker(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		old := st.serving(time.Minute)
		for n := 2; n < 10; n++ { // more often than MaxFailures: the service is well
			st.s.HandOver()
			fresh := st.want(n, "hand-over")
			time.Sleep(59 * time.Second)
			synctest.Wait()
			if len(fresh.got()) > 0 {
				t.Fatal("killed before its time")
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if !slices.Equal(fresh.got(), []os.Signal{os.Kill}) {
				t.Fatalf("a worker that is not ready got %v", fresh.got())
			}
		}
		if old.told || len(old.got()) > 0 {
			t.Error("the old worker was sent away")
		}
		if last := st.told[len(st.told)-1]; !strings.HasPrefix(last, Ready+"\nSTATUS=Hand-over failed") {
			t.Errorf("told last: %q", last)
		}
		st.noStart = errors.New("text file busy")
		st.s.HandOver()
		synctest.Wait()
		st.noStart = nil
		st.s.HandOver()
		st.want(10, "hand-over once it can start")
	})
}

func TestHandOversAskedMeanwhileAreOne(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.serving(time.Minute)
		for range 100 {
			st.s.HandOver()
			synctest.Wait()
		}
		st.want(2, "a hundred requests")
		st.all()[1].says(msgReady)
		st.want(3, "what was asked after the second had begun")
		st.all()[2].says(msgReady)
		st.want(3, "and no more")
	})
}

func TestTooManyLeaving(t *testing.T) {
	play(t, testConfig(), func(st *stage) {
		st.serving(time.Minute)
		for n := 2; n <= maxLeaving+1; n++ {
			st.s.HandOver()
			st.want(n, "hand-over").says(msgReady)
		}
		st.s.HandOver()
		st.want(maxLeaving+1, "with that many leaving, a hand-over waits")
		st.all()[0].ends(0)
		st.want(maxLeaving+2, "until one has left").says(msgReady)
		if got := st.all()[1].got(); len(got) > 0 {
			t.Errorf("one within the bound got %v", got)
		}
		time.Sleep(10 * time.Second)
		st.all()[maxLeaving+1].says(msgStopping) // by itself: no room, and no asking
		if got := st.all()[1].got(); !slices.Equal(got, []os.Signal{os.Kill}) {
			t.Errorf("the oldest got %v", got)
		}
	})
}
