package profiler

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
)

// theTime is where the clocks of the doubles stand.
var theTime = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// oracleDouble is a double of an Oracle database with somebody logged in.
type oracleDouble struct {
	*tomedata.Instance
	server *oracletest.Server
	db     *sql.DB
}

func newOracleDouble(t testing.TB, cfg tomedata.InstanceConfig) *oracleDouble {
	t.Helper()
	if cfg.Time.IsZero() {
		cfg.Time = theTime
	}
	in := tomedata.NewInstance(cfg)
	server, err := oracletest.Start(oracletest.Config{Handler: in.Views()})
	if err != nil {
		t.Fatal(err)
	}
	in.Attach(server)
	d := &oracleDouble{Instance: in, server: server}
	d.db, err = pool.OpenOracleSessions(t.Context(), pool.Oracle{User: "TOMEHUB", Password: "secret", DSN: server.DSN(), Prefetch: 1000}, 1, "profile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.db.Close(), server.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *oracleDouble) source(t testing.TB, cfg OracleConfig) *OracleSource {
	t.Helper()
	cfg.Place = "double/FREEPDB1"
	o, err := NewOracle(cfg, d.db)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// window is a profile of what happens between two snapshots, ten seconds of the database's apart.
func (d *oracleDouble) window(t testing.TB, o *OracleSource, work func()) *Profile {
	t.Helper()
	p, err := d.tryWindow(t, o, work)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (d *oracleDouble) tryWindow(t testing.TB, o *OracleSource, work func()) (*Profile, error) {
	t.Helper()
	before, err := o.Snapshot(t.Context(), nil)
	if err != nil {
		return nil, err
	}
	if err := before.check(); err != nil {
		t.Fatal(err)
	}
	d.Advance(10 * time.Second)
	work()
	after, err := o.Snapshot(t.Context(), &before)
	if err != nil {
		return nil, err
	}
	if err := after.check(); err != nil {
		t.Fatal(err)
	}
	p, err := difference(before, after, after.Now.Sub(before.Now), Options{Top: 100})
	if err != nil {
		return nil, err
	}
	return p, p.complete(t.Context(), o)
}

func (p *Profile) of(id string) *Row {
	for i := range p.Statements {
		if p.Statements[i].SQLID == id {
			return &p.Statements[i]
		}
	}
	return nil
}

// TestOracleCounters holds that each counter of the views ends where it belongs, through each view.
func TestOracleCounters(t *testing.T) {
	f := func(view, want string, rac bool) {
		t.Helper()
		t.Run(view, func(t *testing.T) {
			d := newOracleDouble(t, tomedata.InstanceConfig{Container: 3, Zone: time.FixedZone("", 3600)})
			c := d.Cursor(tomedata.Statement{Text: "SELECT x FROM t WHERE id = :1", Plan: 77, Signature: 1<<63 + 5})
			c.Run(1000, tomedata.Cost{Elapsed: time.Second, Gets: 7})
			o := d.source(t, OracleConfig{View: view, RAC: rac})
			p := d.window(t, o, func() {
				c.Run(10, tomedata.Cost{
					Elapsed: 100 * time.Millisecond, CPU: 10 * time.Millisecond, UserIO: 20 * time.Millisecond, Concurrency: 3 * time.Millisecond,
					Application: 4 * time.Millisecond, Cluster: 5 * time.Millisecond, PLSQL: 6 * time.Millisecond,
					Gets: 100, Reads: 10, Rows: 3, Fetches: 2, Sorts: 1, Parses: 1,
				})
			})
			r := p.of(c.ID())
			if r == nil {
				t.Fatalf("the statement is not among %+v", p.Statements)
			}
			if d := cmp.Diff(Counters{
				Executions: 10, Rows: 30, Elapsed: 1e6, CPU: 1e5, UserIO: 2e5, Concurrency: 3e4, Application: 4e4, Cluster: 5e4, PLSQL: 6e4,
				Gets: 1000, Reads: 100, Fetches: 20, Sorts: 10, Parses: 10,
			}, r.Counters); d != "" {
				t.Error(d)
			}
			if p.View != want || r.Plans[0].Plan != 77 || r.Signature != "9223372036854775813" || len(r.States) > 0 {
				t.Errorf("view %s, %+v", p.View, r)
			}
			if !p.From.Equal(theTime) || !p.To.Equal(theTime.Add(10*time.Second)) || !p.StartedAt.Equal(theTime.Add(-24*time.Hour)) {
				t.Errorf("from %v to %v, up since %v", p.From, p.To, p.StartedAt)
			}
			if p.Time == nil || p.Time.DBTime != 1e6 || p.Time.DBCPU != 1e5 {
				t.Errorf("time model %+v", p.Time)
			}
			if p.Server != "Oracle 19.0.0.0.0, database TOMEHUB" || len(p.Warnings) > 0 || !p.Partial {
				t.Errorf("%q, partial %t, warnings %q", p.Server, p.Partial, p.Warnings)
			}
		})
	}
	f("", "v$sqlstats_plan_hash", false)
	f("V$SQLSTATS", "v$sqlstats", false)
	f("v$sql", "v$sql", false)
	f("auto", "gv$sqlstats_plan_hash", true)
	f("gv$sqlstats", "gv$sqlstats", false)
	f("gv$sql", "gv$sql", false)
}

// TestOracleChanges holds what the deltas say of cursors that do not simply go on.
func TestOracleChanges(t *testing.T) {
	f := func(view string) {
		t.Helper()
		t.Run(view, func(t *testing.T) {
			d := newOracleDouble(t, tomedata.InstanceConfig{})
			each := tomedata.Cost{Elapsed: time.Millisecond}
			cursor := func(text string) *tomedata.Cursor {
				return d.Cursor(tomedata.Statement{Text: text, Plan: 1}).Run(100, each)
			}
			reset, running, flips, gone, idle := cursor("SELECT 1 FROM a"), cursor("SELECT 1 FROM b"), cursor("SELECT 1 FROM c"), cursor("SELECT 1 FROM d"), cursor("SELECT 1 FROM e")
			var fresh *tomedata.Cursor
			p := d.window(t, d.source(t, OracleConfig{View: view}), func() {
				fresh = d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM f"}).Run(5, each)
				reset.Reset().Run(3, each)
				running.Progress(tomedata.Cost{Elapsed: 5 * time.Second})
				flips.Run(2, each).Flip(2).Run(4, each)
				gone.AgeOut()
			})
			if r := p.of(fresh.ID()); r == nil || r.Executions != 5 || !slices.Contains(r.States, New) {
				t.Errorf("a new cursor: %+v", r)
			}
			if r := p.of(reset.ID()); r == nil || r.Executions != 3 || (!slices.Contains(r.States, Reset) && view != ViewSQL) {
				t.Errorf("a cursor that began anew: %+v", r)
			}
			if r := p.of(running.ID()); r == nil || r.Executions != 0 || r.Elapsed != 5e6 || !slices.Equal(r.States, []State{Running}) {
				t.Errorf("a cursor that runs: %+v", r)
			}
			r := p.of(flips.ID())
			if r == nil || r.Executions != 6 {
				t.Fatalf("a cursor with another plan: %+v", r)
			}
			switch {
			case view == ViewStats && r.Was != 1:
				t.Errorf("v$sqlstats tells the latest plan: %+v", r)
			case view != ViewStats && (len(r.Plans) != 2 || r.Plans[0].Executions+r.Plans[1].Executions != 6 || r.Plans[0].Executions%2 != 0):
				t.Errorf("work by plan: %+v", r.Plans)
			}
			if p.of(idle.ID()) != nil || p.of(gone.ID()) != nil {
				t.Error("what did nothing is shown")
			}
		})
	}
	f(ViewPlanHash)
	f(ViewStats)
	f(ViewSQL)
}

// TestOracleGone holds that of the statements that the second pass leaves out the source looks for those that were busy just
// before, and for no others.
func TestOracleGone(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{Zone: time.FixedZone("", -5*3600)})
	old := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM old"}).Run(1, tomedata.Cost{Elapsed: time.Second})
	d.Advance(2 * time.Minute)
	gone := d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM gone"}).Run(1, tomedata.Cost{Elapsed: time.Second})
	d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM here"}).Run(1, tomedata.Cost{Elapsed: time.Second})
	d.Advance(20 * time.Second) // more than the slack, so that all three are left out of the second pass
	o := d.source(t, OracleConfig{})
	before, err := o.Snapshot(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	old.AgeOut()
	gone.AgeOut()
	d.Advance(10 * time.Second)
	after, err := o.Snapshot(t.Context(), &before)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after.Gone, []string{gone.ID()}) {
		t.Errorf("gone: %v, want %s", after.Gone, gone.ID())
	}
	if len(after.Statements) != 0 || !after.Since.Equal(before.Now.Add(-activeSlack)) {
		t.Errorf("since %v: %+v", after.Since, after.Statements)
	}
}

// TestOracleRestart holds that a window over the start of an instance is refused.
func TestOracleRestart(t *testing.T) {
	f := func(rac bool, which int) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		all := []*tomedata.Instance{d.Instance, d.Join(tomedata.InstanceConfig{Service: "SECOND"})}
		_, err := d.tryWindow(t, d.source(t, OracleConfig{RAC: rac}), all[which].Restart)
		if noticed := errors.Is(err, ErrRestarted); noticed != (rac || which == 0) {
			t.Errorf("rac %t, instance %d: %v", rac, which+1, err)
		}
	}
	f(false, 0)
	f(false, 1) // another instance is none of ours
	f(true, 0)
	f(true, 1)
}

// TestOracleCluster holds that the work of all instances is added, each told from its own counters.
func TestOracleCluster(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	second := d.Join(tomedata.InstanceConfig{Service: "SECOND"})
	st := tomedata.Statement{Text: "SELECT 1 FROM t", Plan: 9}
	a, b := d.Cursor(st), second.Cursor(st)
	a.Run(1000, tomedata.Cost{Elapsed: time.Millisecond})
	p := d.window(t, d.source(t, OracleConfig{RAC: true}), func() {
		a.Run(1, tomedata.Cost{Elapsed: time.Second})
		b.Run(2, tomedata.Cost{Elapsed: time.Second})
	})
	r := p.of(a.ID())
	if r == nil || r.Executions != 3 || len(r.Instances) != 2 || p.Time.DBTime != 3e6 || len(p.Instances) != 2 || p.Instances[1].Name != "tomehub2" {
		t.Errorf("%+v, %+v, %+v", r, p.Time, p.Instances)
	}
}

// TestOracleVariants holds that signatures, which are unsigned and 64 bits wide, arrive whole.
func TestOracleVariants(t *testing.T) {
	d := newOracleDouble(t, tomedata.InstanceConfig{})
	p := d.window(t, d.source(t, OracleConfig{}), func() {
		for _, text := range []string{"SELECT 1 FROM t WHERE id = 1", "SELECT 1 FROM t WHERE id = 2"} {
			d.Cursor(tomedata.Statement{Text: text, Signature: 1<<64 - 1}).Run(1, tomedata.Cost{Elapsed: time.Millisecond})
		}
	})
	if len(p.active) == 0 || p.active[0].Signature != "18446744073709551615" {
		t.Errorf("%+v", p.active)
	}
}

// TestOracleBlocks holds that PL/SQL is told from SQL, by v$sql, or that it is said why not.
func TestOracleBlocks(t *testing.T) {
	f := func(view string, revoked bool) {
		t.Helper()
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		if revoked {
			d.Views().Revoke("V$SQL")
		}
		o := d.source(t, OracleConfig{View: view})
		before, err := o.Snapshot(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		block := d.Cursor(tomedata.Statement{Text: "BEGIN work(:1); END;", Command: commandPLSQL}).Run(1, tomedata.Cost{Elapsed: time.Second})
		d.Cursor(tomedata.Statement{Text: "SELECT 1 FROM t"}).Run(1, tomedata.Cost{Elapsed: time.Second})
		after, err := o.Snapshot(t.Context(), &before)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(after.Statements, func(s Statement) bool { return s.SQLID == block.ID() })
		if i < 0 || (after.Statements[i].Command == commandPLSQL) == revoked {
			t.Errorf("%s, revoked %t: %+v", view, revoked, after.Statements)
		}
		if said := strings.Contains(strings.Join(after.Warnings, "\n"), "GRANT SELECT ON SYS.V_$SQL TO TOMEHUB;"); said != revoked {
			t.Errorf("revoked %t, warnings %q", revoked, after.Warnings)
		}
	}
	f(ViewPlanHash, false)
	f(ViewStats, false)
	f(ViewSQL, false)
	f(ViewStats, true)
}

// TestOracleOwn holds that every statement of the profiler's is known by its SQL_ID, and counted apart.
func TestOracleOwn(t *testing.T) {
	for _, cfg := range []OracleConfig{{}, {View: ViewStats, RAC: true}, {View: ViewSQL, Standalone: true}, {DiagnosticsPack: true}} {
		d := newOracleDouble(t, tomedata.InstanceConfig{})
		long := d.Cursor(tomedata.Statement{Text: "SELECT " + strings.Repeat("1 + ", 500) + "1 FROM t"})
		o := d.source(t, cfg)
		work := func() {
			if _, err := o.Sample(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := o.History(t.Context(), theTime, theTime.Add(time.Second)); err != nil {
				t.Error(err)
			}
			for range manyChildren {
				long.AddChild(tomedata.Child{Reasons: []string{"BIND_MISMATCH"}})
				long.Run(1, tomedata.Cost{Elapsed: time.Second})
			}
		}
		_ = d.window(t, o, work)
		p := d.window(t, o, work) // by now all of them were there before
		if p.Own.Executions < 5 {
			t.Errorf("%+v: our own statements were run %d times", cfg, p.Own.Executions)
		}
		for _, r := range p.active {
			if strings.Contains(r.SQL, "profile_") {
				t.Errorf("%+v: our own statement is shown: %s", cfg, r.SQL)
			}
		}
		sent := d.server.Stats().Executions
		for tag := range sent {
			if tag != "" && o.texts.files[strings.TrimPrefix(tag, "profile_")] == "" {
				t.Errorf("%+v: %q was sent", cfg, tag)
			}
		}
		for _, want := range []string{"clock", "plans", "fulltext", "children", "sessions"} {
			if sent["profile_"+want] == 0 {
				t.Errorf("%+v: %s was never sent", cfg, want)
			}
		}
	}
}

// TestOracleSQLID has the vector that every DBA knows, and the double's own reckoning.
func TestOracleSQLID(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := oracleSQLID(text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	f("select * from dual", "a5ks9fhw2v9s1")
	for i := range 100 {
		text := strings.Repeat("x", i)
		f(text, tomedata.SQLID(text))
	}
}
