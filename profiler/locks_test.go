package profiler

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sample(active ...ActiveSession) Sample { return Sample{At: time.Unix(1, 0), Active: active} }

// TestLocks: of a queue the session at its head is named, whether it works or sits idle.
func TestLocks(t *testing.T) {
	acc := newAccumulator(10 * time.Second)
	waits := func(inst int32, sid, by int64, sql string) ActiveSession {
		return ActiveSession{Instance: inst, SID: sid, Class: "Application", Event: "enq: TX", SQLID: sql, BlockedBy: by}
	}
	works := ActiveSession{Instance: 1, SID: 1, Class: OnCPU, SQLID: "update", Module: "tomehub", Action: "ingest"}
	acc.add(sample(waits(1, 3, 2, "w"), waits(1, 2, 1, "w"), works, waits(2, 5, 1, "v")), nil) // 3 waits for 2, 2 for 1; on instance 2 session 1 is another
	acc.add(sample(waits(1, 2, 1, "w"), works), nil)
	acc.add(sample(waits(1, 8, 9, "x"), waits(1, 9, 8, "x")), nil) // a deadlock ends here, too
	a := acc.activity()
	want := []Lock{
		{Waiting: "w", Event: "enq: TX", Holder: 1, Instance: 1, SQLID: "update", Module: "tomehub ingest", Samples: 3},
		{Waiting: "v", Event: "enq: TX", Holder: 1, Instance: 2, Idle: true, Samples: 1},
	}
	if diff := cmp.Diff(want, a.Locks[:min(2, len(a.Locks))]); diff != "" {
		t.Error(diff)
	}
	deadlocked := 0
	for _, l := range a.Locks {
		if l.Waiting == "x" {
			deadlocked += l.Samples
		}
	}
	if deadlocked != 2 {
		t.Errorf("%d sessions of the deadlock", deadlocked)
	}
	if want := map[string]int{"w": 3, "v": 1, "x": 2}; !cmp.Equal(a.Blocked, want) {
		t.Errorf("blocked %v, want %v", a.Blocked, want)
	}
	if a.ClassOf["enq: TX"] != "Application" {
		t.Errorf("classes of events: %v", a.ClassOf)
	}
}

func TestLocksAreBounded(t *testing.T) {
	acc := newAccumulator(10 * time.Second)
	for i := range maxNames + 50 {
		acc.add(sample(ActiveSession{SID: int64(i + 1), Class: "Application", Event: "e", SQLID: fmt.Sprint(i), BlockedBy: 1e6}), nil)
	}
	a := acc.activity()
	if len(acc.locks) != maxNames || len(a.Locks) != shownLocks || len(a.Blocked) != maxNames {
		t.Errorf("%d kept, %d shown, %d blocked", len(acc.locks), len(a.Locks), len(a.Blocked))
	}
}

// TestWhoHolds: the finding names who is waited for, and what to do about it.
func TestWhoHolds(t *testing.T) {
	f := func(row Row, lock Lock, evidence, advice string) {
		t.Helper()
		a := &Activity{Samples: 10, Blocked: map[string]int{"a": 5}, Locks: []Lock{lock}}
		_, found := trial{kind: Oracle, rows: []Row{row, ora("holding", 1, 1, 10)}, act: a}.found(t)
		if len(found) != 1 || found[0].Evidence != evidence || !strings.Contains(found[0].Advice, advice) || found[0].AtStake != 5e6 {
			t.Errorf("%+v, want %q, %q", found, evidence, advice)
		}
	}
	f(ora("a", 1, 1, 10), Lock{Waiting: "a", Event: "enq: TX", Holder: 7, Instance: 2, SQLID: "holding", Module: "app", Samples: 4},
		"0.50 sessions stood blocked on average (enq: TX), most often by session 7 of instance 2, app, which ran holding: 4 samples", "transactions")
	f(ora("a", 1, 1, 10), Lock{Waiting: "a", Holder: 7, Idle: true, Samples: 1},
		"0.50 sessions stood blocked on average, most often by session 7, which did nothing itself: 1 sample", "KILL SESSION")
	library := ora("library_lock", 1, 1, 10)
	library.SQLID = "a"
	f(library, Lock{Waiting: "a", Holder: 7, SQLID: "gone", Samples: 4},
		"0.50 sessions stood blocked on average, most often by session 7, which ran gone: 4 samples", "DB_POOL_WRITE_SIZE")
	f(ora("a", 1, 1, 10), Lock{Waiting: "other", Holder: 7, Samples: 4}, "0.50 sessions stood blocked on average", "shorter")
}

// TestActivityInTheReport: what was sampled, what was not, and that nothing happened.
func TestActivityInTheReport(t *testing.T) {
	f := func(a *Activity, wantTable, wantNote string) {
		t.Helper()
		r := (&Profile{Kind: Oracle, WindowUS: 1e6, Activity: a}).Report()
		table, notes := "", strings.Join(r.Notes, "\n")
		for _, x := range r.Tables {
			if x.Name == "activity" {
				table = x.Caption
				for _, row := range x.Rows {
					table += "|" + strings.Join(row, ",")
				}
			}
		}
		if table != wantTable || notes != wantNote {
			t.Errorf("table %q, notes %q; want %q, %q", table, notes, wantTable, wantNote)
		}
	}
	f(nil, "", "")
	f(&Activity{Missing: "ORA-00942: ask for GRANT SELECT ON SYS.V_$SESSION"}, "", "Sessions were not sampled: ORA-00942: ask for GRANT SELECT ON SYS.V_$SESSION")
	f(&Activity{}, "", "Sessions were not sampled: the window was too short for it.")
	f(&Activity{Failed: 1, Err: "no"}, "", "None of 1 sample of the sessions could be taken: no")
	f(&Activity{Origin: "v$session", Samples: 4}, "Average active sessions, of 4 samples of v$session: none, the database was idle", "")
	acc := newAccumulator(10 * time.Second)
	acc.add(sample(ActiveSession{Class: OnCPU}, ActiveSession{Class: "User I/O", Event: "read", WaitedUS: 2e6}, ActiveSession{Class: "User I/O", Event: "write"}), nil)
	acc.add(sample(ActiveSession{Class: "User I/O", Event: "read", WaitedUS: 1e6}), nil)
	acc.add(Sample{}, errors.New("broken"))
	f(acc.activity(), "Average active sessions, of 2 samples of v$session|User I/O,1.50,75.0,read (67 %),2.00|CPU,0.50,25.0,,|all,2.00,100.0,,",
		"1 of 3 samples of the sessions could not be taken: broken")
}
