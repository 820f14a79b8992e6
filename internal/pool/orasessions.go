package pool

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// MaxPrefetch bounds Oracle.Prefetch.
const MaxPrefetch = 10_000

// OpenOracleSessions opens plain sessions, at most n at a time, for what reads a database beside the library: no gate, no
// guard, nothing is asked twice, and no bound but the caller's contexts. Action is what a DBA sees in v$session.action. The
// first session is open when it returns; a fault in connecting, then or later, is a *ConnectError of one line.
//
// DATE and TIMESTAMP come as the database's own time of day, said to be in UTC. The caller must close the sessions.
func OpenOracleSessions(ctx context.Context, o Oracle, n int, action string) (*sql.DB, error) {
	places, err := o.resolve()
	if n < 1 {
		err = errors.Join(err, fmt.Errorf("%d sessions: want 1 or more", n))
	}
	if err != nil {
		return nil, err
	}
	o.ConnectTimeout, o.Module = cmp.Or(o.ConnectTimeout, defaultConnectTimeout), cmp.Or(o.Module, "tomehub")
	dialer := &oraDialer{oracle: o, places: places}
	db := sql.OpenDB(&connector{base: oraConnector{dialer, action}, setUp: sessionSetUp(o.Module, action)})
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
