package profiler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// theSessions are one of each kind.
func theSessions() []tomedata.Session {
	return []tomedata.Session{
		{SID: 100, SQLID: "aaaaaaaaaaaaa", Module: "tomehub", Action: "search"}, // on CPU, with a stale event that is idle
		{SID: 101, SQLID: "bbbbbbbbbbbbb", Event: "db file sequential read", WaitClass: "User I/O", Wait: 3 * time.Millisecond},
		{SID: 102, SQLID: "ccccccccccccc", Event: "enq: TX - row lock contention", WaitClass: "Application", Wait: time.Second, Blocker: 100},
		{SID: 103, Event: "SQL*Net message from client", WaitClass: "Idle"},
		{SID: 104, Status: "INACTIVE", Event: "SQL*Net message from client", WaitClass: "Idle"},
		{SID: 105, Type: "BACKGROUND", Event: "db file parallel write", WaitClass: "System I/O"},
		{SID: 106, Module: ownModule, Action: ownAction, Event: "db file sequential read", WaitClass: "User I/O"}, // another profiler
	}
}

func activeOnes(waits bool) []ActiveSession {
	all := []ActiveSession{
		{SID: 100, Class: OnCPU, SQLID: "aaaaaaaaaaaaa", Module: "tomehub", Action: "search"},
		{SID: 101, Class: "User I/O", Event: "db file sequential read", SQLID: "bbbbbbbbbbbbb", WaitedUS: 3000},
		{SID: 102, Class: "Application", Event: "enq: TX - row lock contention", SQLID: "ccccccccccccc", WaitedUS: 1e6, BlockedBy: 100},
	}
	for i := range all {
		if !waits {
			all[i].WaitedUS = 0
		}
	}
	return all
}

func TestOracleSample(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	d.SetSessions(theSessions()...)
	o := d.source(t, OracleConfig{})
	if _, err := o.Snapshot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s, err := o.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(activeOnes(true), s.Active); diff != "" {
		t.Error(diff)
	}
	if off := s.At.Sub(theTime); off < 0 || off > time.Minute { // by the database's clock
		t.Errorf("at %v, and the database says %v", s.At, theTime)
	}
	second := d.Join(tomedata.InstanceConfig{Service: "SECOND"})
	second.SetSessions(tomedata.Session{SID: 7})
	s, err = d.source(t, OracleConfig{RAC: true}).Sample(t.Context())
	if n := len(s.Active); err != nil || n != 4 || s.Active[n-1].Instance != 2 {
		t.Errorf("%+v, %v", s.Active, err)
	}
}

// TestOracleHistory holds that the history gives a sample for each second, those without anybody in them too, and is read in
// place of the sampling, only when somebody says that it is paid for.
func TestOracleHistory(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{Zone: time.FixedZone("", 2*3600)})
	o := d.source(t, OracleConfig{DiagnosticsPack: true})
	before, err := o.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.SetSessions(theSessions()...)
	d.Sample() // at second 0
	d.Advance(3 * time.Second)
	d.Sample()
	d.SetSessions()
	d.Advance(2 * time.Second)
	samples, err := o.History(t.Context(), before.Now, d.Now())
	if err != nil || len(samples) != 5 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for i, s := range samples {
		want := activeOnes(false)
		if i != 0 && i != 3 {
			want = nil
		}
		if diff := cmp.Diff(want, s.Active); diff != "" || !s.At.Equal(theTime.Add(time.Duration(i)*time.Second)) {
			t.Errorf("second %d, %v: %s", i, s.At, diff)
		}
	}
	a := past(t.Context(), o, before.Now, d.Now())
	if aas, ok := a.AAS(""); !ok || aas != 6.0/5 || a.Origin != "v$active_session_history" || a.Missing != "" {
		t.Errorf("%v average active sessions: %+v", aas, a)
	}
	if s, err := o.History(t.Context(), theTime.Add(-time.Hour), d.Now()); err != nil || len(s) != 5 {
		t.Errorf("from before its begin: %d samples, %v", len(s), err)
	}
	if a := past(t.Context(), d.source(t, OracleConfig{}), before.Now, d.Now()); a != nil || d.Views().Reads("V$ACTIVE_SESSION_HISTORY") == 0 {
		t.Errorf("without the licence: %+v", a)
	}
}

// TestOracleUnlicensed holds that nothing of the Diagnostics Pack is read unless somebody said that it is paid for.
func TestOracleUnlicensed(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	d.SetClock(time.Time{})
	run := func(cfg OracleConfig) *Activity {
		t.Helper()
		p, err := Run(t.Context(), d.source(t, cfg), Options{Duration: time.Millisecond, Top: 5, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		return p.Activity
	}
	a := run(OracleConfig{})
	if n := d.Views().Reads("V$ACTIVE_SESSION_HISTORY"); n > 0 || a == nil || a.Origin != "v$session" {
		t.Errorf("read %d times; %+v", n, a)
	}
	a = run(OracleConfig{DiagnosticsPack: true})
	if n := d.Views().Reads("V$ACTIVE_SESSION_HISTORY"); n == 0 || a == nil || a.Origin != "v$active_session_history" || d.Views().Reads("V$SESSION") > 0 {
		t.Errorf("read %d times; %+v", n, a)
	}
}

// TestOracleUnsampled holds that without the grants for sessions the report goes on, and says what to ask for.
func TestOracleUnsampled(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	d.Views().Revoke("V$SESSION", "V$ACTIVE_SESSION_HISTORY")
	o := d.source(t, OracleConfig{DiagnosticsPack: true})
	if _, err := o.Snapshot(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	acc := newAccumulator(time.Minute)
	for range 2 {
		s, err := o.Sample(t.Context())
		if !errors.Is(err, ErrGrant) {
			t.Errorf("%v", err)
		}
		acc.add(s, err)
		if a := past(t.Context(), o, theTime, theTime.Add(time.Minute)); !strings.Contains(a.Missing, "GRANT SELECT ON SYS.V_$ACTIVE_SESSION_HISTORY TO TOMEHUB;") {
			t.Errorf("%+v", a)
		}
	}
	if a := acc.activity(); a.Failed > 0 || !strings.Contains(a.Missing, "GRANT SELECT ON SYS.V_$SESSION TO TOMEHUB;") {
		t.Errorf("%+v", a)
	}
	if n := d.server.Stats().Executions["profile_sessions"]; n != 1 {
		t.Errorf("asked %d times for what may not be read", n)
	}
}
