package profiler

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
)

// TestOracleGrants takes each grant away. The report goes on with what is left, and says what to ask for.
func TestOracleGrants(t *testing.T) {
	f := func(cfg OracleConfig, wantView string, warnings []string, revoked ...string) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		if len(revoked) > 0 { // without names it is all of them
			d.Views().Revoke(revoked...)
		}
		c := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM t", Steps: []tomedata.Step{{ID: 0, Operation: "SELECT STATEMENT"}}})
		o := d.source(t, cfg)
		p := d.window(t, o, func() {
			c.Run(2, tomedata.Cost{Elapsed: time.Second})
			for range manyChildren {
				c.AddChild(tomedata.Child{Reasons: []string{"BIND_MISMATCH"}})
			}
			c.Run(1, tomedata.Cost{Elapsed: time.Second})
		})
		if r := p.of(c.ID()); r == nil || r.Executions != 3 || p.View != wantView {
			t.Errorf("without %v: view %s, %+v", revoked, p.View, r)
		}
		all := strings.Join(p.Warnings, "\n")
		for _, want := range warnings {
			if !strings.Contains(all, want) {
				t.Errorf("without %v: %q is not in\n%s", revoked, want, all)
			}
		}
		if len(p.Warnings) > len(warnings) {
			t.Errorf("without %v: more warnings than %q:\n%s", revoked, warnings, all)
		}
	}
	auto := OracleConfig{}
	f(auto, "v$sqlstats_plan_hash", nil)
	f(auto, "v$sqlstats", []string{"GRANT SELECT ON SYS.V_$SQLSTATS_PLAN_HASH TO TOMEHUB;"}, "V$SQLSTATS_PLAN_HASH")
	f(auto, "v$sql", []string{"SYS.V_$SQLSTATS_PLAN_HASH TO TOMEHUB;", "SYS.V_$SQLSTATS TO TOMEHUB;"}, "V$SQLSTATS_PLAN_HASH", "V$SQLSTATS")
	f(OracleConfig{RAC: true}, "gv$sqlstats", []string{"GRANT SELECT ON SYS.GV_$SQLSTATS_PLAN_HASH TO TOMEHUB;"}, "GV$SQLSTATS_PLAN_HASH")
	f(auto, "v$sqlstats_plan_hash", []string{"GRANT SELECT ON SYS.V_$INSTANCE TO TOMEHUB;"}, "V$INSTANCE")
	f(auto, "v$sqlstats_plan_hash", []string{"GRANT SELECT ON SYS.V_$SYS_TIME_MODEL TO TOMEHUB;"}, "V$SYS_TIME_MODEL")
	f(auto, "v$sqlstats_plan_hash", []string{"GRANT SELECT ON SYS.V_$SQL_PLAN TO TOMEHUB;"}, "V$SQL_PLAN")
	f(auto, "v$sqlstats_plan_hash", []string{"GRANT SELECT ON SYS.V_$SQL_SHARED_CURSOR TO TOMEHUB;"}, "V$SQL_SHARED_CURSOR")
	f(auto, "v$sqlstats_plan_hash", []string{"GRANT SELECT ON SYS.V_$SQL TO TOMEHUB;"}, "V$SQL")
}

// TestOracleNoView holds that without any view of statements one error has all there is to ask for.
func TestOracleNoView(t *testing.T) {
	f := func(cfg OracleConfig, revoked []string, want ...string) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		d.Views().Revoke(revoked...)
		_, err := d.source(t, cfg).Snapshot(t.Context(), nil)
		if !errors.Is(err, ErrGrant) {
			t.Fatalf("without %v: %v", revoked, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("without %v: %q is not in: %v", revoked, w, err)
			}
		}
	}
	all := []string{"GRANT SELECT_CATALOG_ROLE TO TOMEHUB"}
	for _, view := range grantedViews {
		all = append(all, "\nGRANT SELECT ON "+behindSynonym(view)+" TO TOMEHUB;")
	}
	f(OracleConfig{}, nil, all...) // without names: all
	f(OracleConfig{View: ViewSQL}, []string{"V$SQL"}, "read v$sql:", "--view 'auto'", "V_$SQL TO")
	f(OracleConfig{RAC: true}, nil, "\nGRANT SELECT ON SYS.GV_$SESSION TO TOMEHUB;")
}

func TestOracleGrantee(t *testing.T) {
	f := func(user, want string) {
		t.Helper()
		if got := grantee(user); got != want {
			t.Errorf("%q: %s, want %s", user, got, want)
		}
	}
	f("TOMEHUB", "TOMEHUB")
	f("C##MON$1", "C##MON$1")
	f("tome", `"tome"`)
	f(`a" TO PUBLIC;`, `"a TO PUBLIC;"`)
	f("", "<the user of DB_USER>")
}

// TestOracleTimeout holds that each statement ends within its bound, and that the error names the setting that moves it.
func TestOracleTimeout(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	o := d.source(t, OracleConfig{Timeout: MinOracleTimeout})
	d.server.DeafToBreaks(true)
	d.server.Latency(time.Hour)
	_, err := o.Snapshot(t.Context(), nil)
	if !errors.Is(err, errOracleSlow) || !strings.Contains(err.Error(), "100ms (--statement-timeout)") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	d.server.Latency(0)
	o.cfg.Timeout = DefaultOracleTimeout // a login is within the bound, and may take longer on a busy machine
	if _, err := o.Snapshot(t.Context(), nil); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestOracleInterrupt holds that the end of the context in the middle of a window reports the window until then.
func TestOracleInterrupt(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	d.SetClock(time.Time{}) // goes
	c := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM t"})
	ctx, cancel := context.WithCancel(t.Context())
	d.Views().Watch(func(view string, _ int) {
		if view == "V$SESSION" {
			c.Run(3, tomedata.Cost{Elapsed: time.Second})
			cancel()
		}
	})
	p, err := Run(ctx, d.source(t, OracleConfig{}), Options{Duration: time.Hour, Top: 20})
	if err != nil {
		t.Fatal(err)
	}
	if r := p.of(c.ID()); !p.Interrupted || r == nil || r.Executions != 3 || p.WindowUS >= micros(time.Hour) {
		t.Errorf("interrupted %t after %v: %+v", p.Interrupted, p.WindowUS, r)
	}
	before, cancelled := context.WithCancel(t.Context())
	cancelled()
	if _, err := Run(before, d.source(t, OracleConfig{}), Options{Duration: time.Hour, Top: 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("before the first snapshot: %v", err)
	}
}

// TestOracleLostSession holds that a session which is lost within the window is replaced for the second snapshot, once.
func TestOracleLostSession(t *testing.T) {
	f := func(lose func(d *oracleDouble)) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		c := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM t"})
		p := d.window(t, d.source(t, OracleConfig{}), func() {
			c.Run(3, tomedata.Cost{Elapsed: time.Second})
			lose(d)
		})
		if r := p.of(c.ID()); r == nil || r.Executions != 3 {
			t.Errorf("%+v", r)
		}
		if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "the session was lost and opened anew") {
			t.Errorf("warnings %q", p.Warnings)
		}
	}
	f(func(d *oracleDouble) { d.server.KillSessions() })
	f(func(d *oracleDouble) { d.server.DropSessions() })

	d := newOracleDouble(t, tomedata.InstanceConfig{})
	o := d.source(t, OracleConfig{})
	d.server.FailTag("profile_statements", 28) // whoever asks is killed
	if _, err := o.Snapshot(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "read v$sqlstats_plan_hash: ") {
		t.Errorf("%v", err)
	}
	if n := d.server.Stats().Executions["profile_clock"]; n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// TestOracleSlowSamples holds that a sample that hangs ends, and that after a few no more are taken.
func TestOracleSlowSamples(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	o := d.source(t, OracleConfig{})
	if _, err := o.Sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.server.Latency(time.Hour)
	o.cfg.Timeout = MinOracleTimeout
	for range maxSlowSamples {
		if _, err := o.Sample(t.Context()); !errors.Is(err, errOracleSlow) {
			t.Errorf("%v", err)
		}
	}
	opened := d.server.Stats().SessionsOpened
	if _, err := o.Sample(t.Context()); !errors.Is(err, errSamplesOver) || d.server.Stats().SessionsOpened != opened {
		t.Errorf("%v, %d sessions more", err, d.server.Stats().SessionsOpened-opened)
	}
	d.server.Latency(0)
	o.cfg.Timeout = DefaultOracleTimeout
	if _, err := o.Snapshot(t.Context(), nil); err != nil {
		t.Errorf("the snapshot: %v", err)
	}
}

// TestOracleErrors holds that an error says in one line what to do.
func TestOracleErrors(t *testing.T) {
	f := func(code int, want string) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		d.server.FailTag("profile_statements", code)
		_, err := d.source(t, OracleConfig{View: ViewStats}).Snapshot(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "v$sqlstats") || codeOf(err) != code && code != 1031 {
			t.Errorf("ORA-%05d: %v", code, err)
		}
	}
	f(904, "19c or later")
	f(4031, "the database has no memory for it")
	f(1031, "GRANT SELECT ON SYS.V_$SQLSTATS")
	f(600, "read v$sqlstats: ORA-00600")
}

func TestOracleConfig(t *testing.T) {
	f := func(cfg OracleConfig, want string) {
		t.Helper()
		_, err := NewOracle(cfg, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", cfg, err, want)
		}
	}
	f(OracleConfig{}, "")
	f(OracleConfig{View: "GV$SQL"}, "")
	f(OracleConfig{View: "v$sqlarea", Timeout: time.Millisecond}, `--view "v$sqlarea" is not one of auto, v$sqlstats_plan_hash`)
	f(OracleConfig{View: "v$sqlarea", Timeout: time.Millisecond}, "--statement-timeout 1ms is not within 100ms and 1h0m0s")
	f(OracleConfig{View: "gauto"}, "--view")
	if views := OracleViews(); views[0] != ViewAuto || !slices.Contains(views, "gv$sql") {
		t.Errorf("%v", views)
	}
}

// TestOracleGrantsScript holds the script for DBAs against what the program asks for.
func TestOracleGrantsScript(t *testing.T) {
	script, err := os.ReadFile("../docs/oracle-grants.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, rac := range []bool{false, true} {
		for want := range strings.Lines(OracleGrants("TOMEHUB", rac)) {
			if !strings.Contains(string(script), "\n"+want) {
				t.Errorf("docs/oracle-grants.sql lacks %s", want)
			}
		}
	}
}
