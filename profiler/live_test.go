package profiler

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
	"github.com/tomehub/tomehub/internal/oracletest/tomedata"
	"github.com/tomehub/tomehub/internal/pool"
)

// liveSetting names a real Oracle database: user/password@host:port/service. Nothing is changed there; the user wants the
// grants of docs/oracle-grants.sql.
const liveSetting = "TOMEHUB_TEST_ORACLE"

// liveSessions logs in where value, of liveSetting, says. The last @ divides, because a password may hold one.
func liveSessions(t *testing.T, value, action string) *sql.DB {
	t.Helper()
	at := strings.LastIndexByte(value, '@')
	user, password, ok := strings.Cut(value[:max(at, 0)], "/")
	if !ok {
		t.Fatalf("%s is not of the form user/password@host:port/service", liveSetting)
	}
	db, err := pool.OpenOracleSessions(t.Context(), pool.Oracle{
		User: user, Password: pool.Password(password), DSN: value[at+1:], Module: "tomehub", Prefetch: 1000,
	}, 1, action)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// working is a source that has some work done within the window, at the first sample.
type working struct {
	*OracleSource
	work func()
}

func (w *working) Sample(ctx context.Context) (Sample, error) {
	if w.work != nil {
		w.work()
		w.work = nil
	}
	return w.OracleSource.Sample(ctx)
}

func TestLiveOracleProfile(t *testing.T) {
	value := os.Getenv(liveSetting)
	if value == "" {
		t.Skipf("NOT RUN: wants a real Oracle database. Start one with `make oracle`, then `make live`; or set %s=user/password@host:port/service to a user with the grants of docs/oracle-grants.sql", liveSetting)
	}
	for _, cfg := range liveConfigs {
		t.Run(cfg.View, func(t *testing.T) { liveWindow(t, value, MinOracleWindow+2*time.Second, cfg) })
	}
}

// TestLiveProfileOnDouble proves that the test above can run: against a double of the server, which says nothing of Oracle.
func TestLiveProfileOnDouble(t *testing.T) {
	for _, cfg := range liveConfigs {
		t.Run(cfg.View, func(t *testing.T) {
			t.Parallel()
			in := tomedata.NewInstance(tomedata.InstanceConfig{})
			server, err := oracletest.Start(oracletest.Config{Handler: in.Views()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			in.Attach(server)
			liveWindow(t, "TOMEHUB/secret@"+server.DSN(), sampleEvery+100*time.Millisecond, cfg)
		})
	}
}

var liveConfigs = []OracleConfig{{View: ViewAuto}, {View: ViewStats}, {View: ViewSQL}, {View: "g" + ViewPlanHash}}

// liveWindow holds that what one session does in a window is what the report says.
func liveWindow(t *testing.T, value string, window time.Duration, cfg OracleConfig) {
	const probe, block, times = "/* tomehub:live_probe */\nSELECT COUNT(*) FROM v$instance", "BEGIN FOR r IN (SELECT 1 FROM v$instance) LOOP NULL; END LOOP; END;", 50
	worker := liveSessions(t, value, "live")
	blocks := false
	cfg.Place = "live"
	o, err := NewOracle(cfg, liveSessions(t, value, ownAction))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Run(t.Context(), &working{o, func() {
		for range times {
			var n int
			if err := worker.QueryRowContext(t.Context(), probe).Scan(&n); err != nil {
				t.Error(err)
			}
		}
		_, err := worker.ExecContext(t.Context(), block)
		blocks = err == nil
	}}, Options{Duration: window, Top: MaxTop, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) > 0 {
		t.Errorf("warnings: %s", strings.Join(p.Warnings, "\n"))
	}
	r := p.of(oracleSQLID(probe))
	switch {
	case r == nil:
		t.Errorf("the probe, which ran %d times, is not among %d statements", times, p.Active)
	case r.Executions != times || r.Rows != times || r.Elapsed <= 0 || r.Name != "live_probe" || r.Detail == nil || r.Detail.Module != "tomehub" || len(r.Detail.Plans) == 0 && r.Plans[0].Plan != 0 && blocks:
		t.Errorf("the probe, which ran %d times: %+v", times, r)
	}
	if i := slices.IndexFunc(p.active, func(r Row) bool { return r.SQLID == oracleSQLID(block) }); blocks && (i < 0 || p.active[i].Detail == nil || p.active[i].Detail.Command != commandPLSQL) {
		t.Error("the PL/SQL block is not told from SQL")
	}
	for _, r := range p.active {
		if strings.Contains(r.SQL, "tomehub:profile_") {
			t.Errorf("our own statement is shown: %s", r.SQL)
		}
	}
	if p.Own.Executions < 3 || p.Time == nil || p.Time.DBTime <= 0 || p.Activity == nil || p.Activity.Samples == 0 || len(p.Instances) == 0 {
		t.Errorf("own %+v, time model %+v, activity %+v, instances %+v", p.Own, p.Time, p.Activity, p.Instances)
	}
	if off := time.Until(p.To).Abs(); off > time.Hour {
		t.Errorf("the database's clock says %v", p.To)
	}
}
