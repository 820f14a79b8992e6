package limit

// pieces is into how many parts a window is cut: a bucket takes admissions for one part, so an admission is held at
// most one part longer than the window. 64 parts of 60 s are 0.94 s each.
const pieces = 64

// maxBuckets bounds a window's memory. Buckets begin at least one piece apart and live for one window after their last
// admission, which is less than a piece after their first, so 64 + 1 can live at once, and one more is being opened.
const maxBuckets = pieces + 2

// A bucket is a run of admissions. Times are nanoseconds since the Memory's epoch.
type bucket struct {
	start int64
	span  uint32 // from the first admission to the last, in microseconds, rounded up so that nothing is forgotten early
	n     uint32
}

func (b bucket) last() int64 { return b.start + int64(b.span)*1000 }

// A window is what is remembered of one client under one rule: oldest bucket first. The zero window is a new client's.
type window struct {
	buckets []bucket
	sum     uint32 // of all buckets
	blocked int64  // no room at the shared storage before this time; 0 when it has not refused
	ask     int64  // until then its refusal is repeated without asking it
}

// pieceOf returns the time for which a bucket takes admissions, in the unit of length; 0 gives each its own.
func pieceOf(limit int, length int64) int64 {
	if limit <= pieces {
		return 0
	}
	return length / pieces
}

// expire forgets buckets whose last admission is a whole window old.
func (w *window) expire(now, length int64) {
	i := 0
	for i < len(w.buckets) && w.buckets[i].last()+length <= now {
		w.sum -= w.buckets[i].n
		i++
	}
	if i > 0 {
		w.buckets = w.buckets[:copy(w.buckets, w.buckets[i:])]
	}
}

// admit counts one admission. A caller whose clock reading is older than the newest admission (it read the clock before
// another caller, and took the lock after it) counts as newest too: held a little longer, never shorter.
func (w *window) admit(now, piece int64) {
	w.sum++
	n := len(w.buckets)
	if n > 0 {
		newest := &w.buckets[n-1]
		now = max(now, newest.last())
		if now-newest.start < piece {
			newest.span = uint32((now - newest.start + 999) / 1000)
			newest.n++
			return
		}
		if n == maxBuckets { // only admissions recorded beyond the limit get here
			*newest = bucket{start: now, n: newest.n + 1}
			return
		}
	}
	if n == cap(w.buckets) { // append would double 64 to 128
		grown := make([]bucket, n, min(max(2*n, 1), maxBuckets))
		copy(grown, w.buckets)
		w.buckets = grown
	}
	w.buckets = append(w.buckets, bucket{start: now, n: 1})
}

// undo takes back one admission made at the given time or shortly after.
func (w *window) undo(at int64) {
	for i := len(w.buckets) - 1; i >= 0; i-- {
		if w.buckets[i].start > at && i > 0 {
			continue
		}
		w.sum--
		if w.buckets[i].n--; w.buckets[i].n == 0 {
			w.buckets = append(w.buckets[:i], w.buckets[i+1:]...)
		}
		return
	}
}

// wait returns how long until one more admission fits under limit; 0 when it does now.
func (w *window) wait(now, length int64, limit int) int64 {
	over := int64(w.sum) - int64(limit) + 1
	free := now
	for _, b := range w.buckets {
		if over <= 0 {
			break
		}
		over -= int64(b.n)
		free = max(free, b.last()+length)
	}
	return free - now
}

// reset returns how long until nothing is remembered if nothing more is admitted.
func (w *window) reset(now, length int64) int64 {
	if len(w.buckets) == 0 {
		return 0
	}
	return max(0, w.buckets[len(w.buckets)-1].last()+length-now)
}
