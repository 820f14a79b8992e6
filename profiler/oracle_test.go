package profiler

import (
	"context"
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

var _ = slices.Contains[[]string]
var _ = strings.Contains
var _ context.Context
