package profiler

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The views that an Oracle source reads statements from.
const (
	ViewAuto     = "auto" // the first of the others that may be read, in their order
	ViewPlanHash = "v$sqlstats_plan_hash"
	ViewStats    = "v$sqlstats"
	ViewSQL      = "v$sql"
)

// Bounds of OracleConfig.Timeout.
const (
	DefaultOracleTimeout = 30 * time.Second
	MinOracleTimeout     = 100 * time.Millisecond
	MaxOracleTimeout     = time.Hour
)

// OracleConfig says how an Oracle database is read.
type OracleConfig struct {
	Place   string        // names the database in reports: host:port/service. It holds no password
	View    string        // ViewAuto, or one of the views, also as gv$…; empty is ViewAuto
	RAC     bool          // the gv$ form of every view: all instances, not only the one logged in to
	Timeout time.Duration // of each statement; 0 is DefaultOracleTimeout
	// DiagnosticsPack says that the database is licensed for it: the sessions' past is then read from
	// v$active_session_history. The database itself does not know whether it is.
	DiagnosticsPack bool
	// Standalone has a snapshot hold what is known of its hottest statements, for a report without the database.
	Standalone bool
}

// Validate reports every fault at once, each by the name of its flag.
func (c OracleConfig) Validate() error {
	var faults []error
	if _, _, err := c.views(); err != nil {
		faults = append(faults, err)
	}
	if c.Timeout != 0 && (c.Timeout < MinOracleTimeout || c.Timeout > MaxOracleTimeout) {
		faults = append(faults, fmt.Errorf("--statement-timeout %v is not within %v and %v", c.Timeout, MinOracleTimeout, MaxOracleTimeout))
	}
	return errors.Join(faults...)
}

// OracleViews lists what --view takes, the default first.
func OracleViews() []string {
	return []string{ViewAuto, ViewPlanHash, ViewStats, ViewSQL, "g" + ViewPlanHash, "g" + ViewStats, "g" + ViewSQL}
}

// views are the candidates in order, in their v$ form, and whether all instances are read.
func (c OracleConfig) views() (list []string, rac bool, err error) {
	name := strings.ToLower(c.View)
	if name == "" || name == ViewAuto {
		return []string{ViewPlanHash, ViewStats, ViewSQL}, c.RAC, nil
	}
	short, all := strings.CutPrefix(name, "g")
	switch short {
	case ViewPlanHash, ViewStats, ViewSQL:
		return []string{short}, c.RAC || all, nil
	}
	return nil, false, fmt.Errorf("--view %q is not one of %s", c.View, strings.Join(OracleViews(), ", "))
}

// OracleSource reads what an Oracle database counts of its statements, with SELECTs over its v$ views alone. It is a
// Source, a Describer, and a Sampler or, with OracleConfig.DiagnosticsPack, a Historian. It is not safe for concurrent use.
//
// DATE columns must come from the driver as the database's own time of day, whatever zone they are said to be in.
type OracleSource struct {
	cfg   OracleConfig
	db    *sql.DB
	texts *oracleTexts

	views   []string        // that are still to be tried; one, once a snapshot was taken
	missing map[string]bool // views that may not be read: they are not asked for again
	user    string          // who is logged in, for the grants
	zone    *time.Location  // the database's clock, as it was at the first snapshot
	skew    time.Duration   // the database's clock is ahead of ours by this
	slow    int             // samples in a row that took too long
}

var (
	_ Source    = (*OracleSource)(nil)
	_ Describer = (*OracleSource)(nil)
	_ Sampler   = (*OracleSource)(nil)
	_ Historian = (*OracleSource)(nil)
)

// NewOracle prepares to read the database behind db, which is asked for one session at a time. Nothing is sent yet.
func NewOracle(cfg OracleConfig, db *sql.DB) (*OracleSource, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultOracleTimeout
	}
	o := &OracleSource{cfg: cfg, db: db, missing: map[string]bool{}}
	o.views, o.cfg.RAC, _ = cfg.views()
	var err error
	o.texts, err = newOracleTexts(o.cfg.RAC)
	return o, err
}

// Name returns "Oracle at " and the address.
func (o *OracleSource) Name() string { return "Oracle at " + o.cfg.Place }

// Kind returns Oracle.
func (o *OracleSource) Kind() Kind { return Oracle }

// shown is a view's name as it is read: gv$ with RAC.
func (o *OracleSource) shown(view string) string {
	if o.cfg.RAC && strings.HasPrefix(view, "v$") {
		return "g" + view
	}
	return view
}

// each runs one statement and has row called for each of its rows, which it scans into dest. It ends early, without an
// error, when row says so.
func (o *OracleSource) each(ctx context.Context, q oracleQuery, dest []any, row func() bool) (err error) {
	q.bound = min(o.cfg.Timeout, cmp.Or(q.bound, o.cfg.Timeout))
	bounded, cancel := context.WithTimeoutCause(ctx, q.bound, errOracleSlow)
	defer cancel()
	defer func() {
		if err != nil {
			err = o.explain(ctx, bounded, q, err)
		}
	}()
	rows, err := o.db.QueryContext(bounded, q.text, q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if !row() {
			return nil
		}
	}
	return rows.Err()
}
