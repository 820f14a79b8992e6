package supervisor

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// Every worker is told of all restarts before it and of its own, by reason.
func TestRestartsAreCounted(t *testing.T) {
	cfg := testConfig()
	cfg.Watchdog, cfg.MaxFailures = 20*time.Second, 10
	play(t, cfg, func(st *stage) {
		f := func(why string, w *actor, want string) *actor {
			t.Helper()
			if w.counts != want {
				t.Errorf("%s: told %s, want %s", why, w.counts, want)
			}
			return w
		}
		first := f("the first", st.want(1, "start"), "handover=0,memory=0,crash=0,wedged=0,not_ready=0")
		first.says(msgReady)
		time.Sleep(15 * time.Second)
		st.s.HandOver()
		synctest.Wait()
		second := f("hand-over", st.want(2, "hand-over"), "handover=1,memory=0,crash=0,wedged=0,not_ready=0")
		second.says(msgReady)
		first.ends(0)
		time.Sleep(15 * time.Second)
		second.says(msgStopping)
		third := f("left by itself", st.want(3, "left"), "handover=1,memory=1,crash=0,wedged=0,not_ready=0")
		third.says(msgReady)
		second.ends(75)
		time.Sleep(15 * time.Second)
		third.ends(1)
		fourth := f("crash", st.want(4, "crash"), "handover=1,memory=1,crash=1,wedged=0,not_ready=0")
		time.Sleep(2 * time.Minute) // it is never ready, and killed for it
		synctest.Wait()
		fifth := f("not ready", st.want(5, "not ready"), "handover=1,memory=1,crash=1,wedged=0,not_ready=1")
		fifth.says(msgReady)
		time.Sleep(22 * time.Second) // it says nothing of its health
		synctest.Wait()
		f("wedged", st.want(6, "wedged"), "handover=1,memory=1,crash=1,wedged=1,not_ready=1")
		if !fourth.gone {
			t.Error("the one that was not ready lives")
		}
	})
}

func TestParseRestarts(t *testing.T) {
	f := func(why, text string, want map[string]int64) {
		t.Helper()
		all := map[string]int64{"handover": 0, "memory": 0, "crash": 0, "wedged": 0, "not_ready": 0}
		maps.Copy(all, want)
		if got := ParseRestarts(text); !maps.Equal(got, all) {
			t.Errorf("%s: %v, want %v", why, got, all)
		}
	}
	f("nothing", "", nil)
	f("what is written", formatRestarts(map[Reason]int64{Left: 7, Wedged: 1}), map[string]int64{"memory": 7, "wedged": 1})
	f("an unknown reason", "boredom=3,crash=1", map[string]int64{"crash": 1})
	f("no numbers", "crash=-1,memory=x,wedged", nil)
}
