package profiler

import (
	"cmp"
	"slices"
	"strings"
)

// A Lock is a session that held what others waited for, by the statement that waited.
type Lock struct {
	Waiting  string `json:"waiting_sql_id,omitempty"`
	Event    string `json:"event"`
	Holder   int64  `json:"holder_sid"` // the session at the head of the queue
	Instance int32  `json:"inst_id,omitempty"`
	SQLID    string `json:"holder_sql_id,omitempty"` // what the holder ran when it was seen
	Module   string `json:"holder_module,omitempty"` // and for whom, "tomehub ingest"
	Idle     bool   `json:"holder_idle,omitempty"`   // the holder was not among the active sessions: it sits in an open transaction
	Samples  int    `json:"samples"`                 // sessions that were seen waiting so
}

// lock is a Lock without its count.
type lock struct {
	waiting, event string
	holder         session
	sql, module    string
	idle           bool
}

type session struct {
	instance int32
	sid      int64
}

// shownLocks bounds Activity.Locks.
const shownLocks = 20

// addLocks finds the head of the queue in which each blocked session of one sample stands. A holder that is not among the
// active ones does nothing at the moment. Of a deadlock, which Oracle ends within seconds, some member is named.
func (a *accumulator) addLocks(active []ActiveSession) {
	at := make(map[session]*ActiveSession, len(active))
	for i := range active {
		at[session{active[i].Instance, active[i].SID}] = &active[i]
	}
	for i := range active {
		x := &active[i]
		if x.BlockedBy == 0 {
			continue
		}
		l := lock{waiting: x.SQLID, event: x.Event, holder: session{x.Instance, x.BlockedBy}}
		for range active {
			h := at[l.holder]
			if h == nil || h.BlockedBy == 0 {
				break
			}
			l.holder.sid = h.BlockedBy
		}
		if h := at[l.holder]; h != nil {
			l.sql, l.module = h.SQLID, strings.TrimSpace(h.Module+" "+h.Action)
		} else {
			l.idle = true
		}
		if _, told := a.locks[l]; told || len(a.locks) < maxNames {
			a.locks[l]++
		}
	}
}

func strongest(counts map[lock]int) []Lock {
	var all []Lock
	for l, n := range counts {
		all = append(all, Lock{
			Waiting: l.waiting, Event: l.event, Holder: l.holder.sid, Instance: l.holder.instance,
			SQLID: l.sql, Module: l.module, Idle: l.idle, Samples: n,
		})
	}
	slices.SortFunc(all, func(a, b Lock) int {
		return cmp.Or(cmp.Compare(b.Samples, a.Samples), cmp.Compare(a.Holder, b.Holder), strings.Compare(a.Waiting, b.Waiting),
			strings.Compare(a.SQLID, b.SQLID), strings.Compare(a.Event, b.Event), strings.Compare(a.Module, b.Module), cmp.Compare(a.Instance, b.Instance))
	})
	return all[:min(len(all), shownLocks)]
}
