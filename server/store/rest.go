package store

import "time"

// A rester has storing books rest between rows while a search runs: after workSlice of work, as long as it has
// worked, at most restMost, and no longer than the search takes. It so leaves searches half of its core, and takes twice as
// long at worst.
type rester struct {
	since     time.Time // the begin of work, or the end of the last rest
	searching func() bool
}

const (
	workSlice = time.Millisecond
	restMost  = 3 * time.Millisecond
	restLook  = 200 * time.Microsecond // how often it looks whether the search is over
)

// rest is called before each row.
func (r *rester) rest() {
	now := time.Now()
	worked := now.Sub(r.since)
	if worked < workSlice {
		return
	}
	for end := now.Add(min(worked, restMost)); r.searching() && time.Now().Before(end); {
		time.Sleep(restLook)
	}
	r.since = time.Now()
}
