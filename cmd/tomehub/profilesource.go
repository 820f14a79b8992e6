package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/profiler"
)

// prefetchedRows come with each answer to the profiler, which reads a shared pool of a hundred thousand statements at once:
// decision 0019 has the measurements.
const prefetchedRows = 1000

// oracleSettings are those of `tomehub profile` for an Oracle database.
type oracleSettings struct {
	view        string
	rac         bool
	timeout     time.Duration
	diagnostics bool
	db          serveSettings // the settings of reaching the database

	oracle bool // it, and not a tomehub, is profiled
}

// viewValue is a choice whose words are too many for a column of the help.
type viewValue struct{ choiceValue }

// Type is the word in the help.
func (viewValue) Type() string { return "view" }

// onlyOracle are the flags that mean nothing to a running tomehub.
var onlyOracle = []string{"view", "rac", "statement-timeout", "i-have-diagnostics-pack"}

func (c *oracleSettings) register(s *settings) {
	c.db.registerOracle(s, "empty profiles the tomehub at --url")
	c.view, c.timeout = profiler.ViewAuto, profiler.DefaultOracleTimeout
	s.add(viewValue{choiceValue{&c.view, profiler.OracleViews()}}, "view", "TOMEHUB_PROFILE_VIEW",
		"Oracle view that the statements are read from: "+strings.Join(profiler.OracleViews(), ", ")+"; auto is the first that may be read")
	s.add(boolValue{&c.rac}, "rac", "TOMEHUB_PROFILE_RAC", "read all instances of an Oracle cluster, by gv$ views")
	s.add(durationValue{&c.timeout, profiler.MinOracleTimeout, profiler.MaxOracleTimeout}, "statement-timeout", "TOMEHUB_PROFILE_STATEMENT_TIMEOUT",
		"longest time of each of the profiler's own statements at an Oracle database")
	s.add(boolValue{&c.diagnostics}, "i-have-diagnostics-pack", "TOMEHUB_PROFILE_DIAGNOSTICS_PACK",
		"read v$active_session_history instead of sampling v$session: the database must be licensed for Oracle's Diagnostics Pack")
}

// choose decides whose statistics are read, and refuses flags that have no meaning then. saved: those of files.
func (c *profileSettings) choose(s *settings, saved bool) error {
	url, dsn := s.only("url")[0], s.only("db-dsn")[0]
	c.oracle = c.db.dbDSN != "" && (url.origin == "default" || dsn.flag.Changed && !url.flag.Changed)
	var faults []error
	if url.flag.Changed && dsn.flag.Changed {
		faults = append(faults, errors.New("--url profiles a running tomehub and --db-dsn an Oracle database: give one of the two"))
	}
	for _, name := range onlyOracle {
		if s.only(name)[0].flag.Changed && (saved || !c.oracle) {
			faults = append(faults, fmt.Errorf("--%s is for an Oracle database, and none is profiled: set DB_DSN (--db-dsn), without --url, --from and --to", name))
		}
	}
	if c.oracle && !saved {
		faults = append(faults, c.db.oracle().Check())
		if c.save == "" && !c.watch && !c.lifetime { // better now than after a login
			faults = append(faults, c.options().CheckWindow(profiler.Oracle, c.duration))
		}
	}
	return errors.Join(faults...)
}

// source opens what is profiled. end closes it.
func (c *profileSettings) source(ctx context.Context) (src profiler.Source, end func() error, err error) {
	if !c.oracle {
		src, err := profiler.NewServer(c.url, nil)
		if err != nil {
			return nil, nil, usageError{err}
		}
		return src, func() error { return nil }, nil
	}
	cfg := profiler.OracleConfig{
		Place: c.db.dbDSN, View: c.view, RAC: c.rac, Timeout: c.timeout, DiagnosticsPack: c.diagnostics, Standalone: c.save != "",
	}
	login := c.db.oracle()
	login.Prefetch = prefetchedRows
	db, err := pool.OpenOracleSessions(ctx, login, 1, "profile")
	if err != nil {
		return nil, nil, err
	}
	oracle, err := profiler.NewOracle(cfg, db)
	if err != nil {
		return nil, nil, errors.Join(usageError{err}, db.Close())
	}
	return oracle, db.Close, nil
}
