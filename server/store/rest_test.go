package store

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who stores books leaves half of a core to searches, and nothing when nobody searches.
func TestRests(t *testing.T) {
	f := func(why string, worked, searches, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			r := rester{since: time.Now()}
			time.Sleep(worked)
			begin := time.Now()
			r.searching = func() bool { return time.Since(begin) < searches }
			r.rest()
			if got := time.Since(begin); got != want {
				t.Errorf("%s: rests %v after %v of work while a search takes %v, want %v", why, got, worked, searches, want)
			}
			if want > 0 {
				r.rest()
				if got := time.Since(begin); got != want {
					t.Errorf("%s: rests again without work, %v in all", why, got)
				}
			}
		})
	}
	f("too little work", workSlice-1, time.Hour, 0)
	f("nobody searches", time.Second, 0, 0)
	f("as long as it worked", workSlice, time.Hour, workSlice)
	f("a long row", time.Second, time.Hour, restMost)
	f("no longer than the search", 2*time.Millisecond, 900*time.Microsecond, time.Millisecond)
}
