package pool

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/configurations"
)

// credentialPause is how long after the database refused the user nobody asks it again: every
// attempt with a wrong password counts towards locking the account.
const credentialPause = time.Minute

// prefetchRows is how many rows come with the answer to a query; a page has at most a hundred.
const prefetchRows = 100

// ConnectError says in one line why no session could be opened, and what to do about it.
type ConnectError struct {
	User  string
	Place string // host:port/service, or several
	Code  int    // ORA code; 0 when none was told
	what  string
	cause error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("connect to the Oracle database at %s as %s: %s", e.Place, e.User, e.what)
}

// Unwrap returns what the driver or the network said.
func (e *ConnectError) Unwrap() error { return e.cause }

// oraDialer logs in. It is shared by the sets of sessions.
type oraDialer struct {
	oracle Oracle
	places []endpoint
	log    *slog.Logger

	mu      sync.Mutex // guards the fields below
	refused error      // what the database said when it last refused the user; nil: it did not
	until   time.Time  // when somebody may ask it again
	labels  verdict    // whether the database takes labels
}

// oraConnector makes a dialer a driver.Connector, for the sessions of one pool.
type oraConnector struct {
	dialer *oraDialer
	pool   string
}

// Connect opens one session.
func (c oraConnector) Connect(ctx context.Context) (driver.Conn, error) {
	return c.dialer.connect(ctx, c.pool)
}

// Driver returns the driver behind.
func (oraConnector) Driver() driver.Driver { return ora.NewDriver() }

// connect opens a session, unless the user was refused a short while ago.
func (d *oraDialer) connect(ctx context.Context, pool string) (driver.Conn, error) {
	if err := d.refusal(); err != nil {
		return nil, err
	}
	c, err := d.connectAnywhere(ctx, pool)
	d.learn(err)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// refusal returns what the database said of the user when it is too early to ask again. Then the
// caller is the one who asks, while all others are told the same.
func (d *oraDialer) refusal() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused == nil {
		return nil
	}
	now := time.Now()
	if now.Before(d.until) {
		return d.refused
	}
	d.until = now.Add(credentialPause)
	return nil
}

// learn remembers what an attempt tells of the user.
func (d *oraDialer) learn(err error) {
	ce, _ := errors.AsType[*ConnectError](err)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.refused = nil
	case ce != nil && refusesUser(ce.Code):
		d.refused, d.until = ce, time.Now().Add(credentialPause)
	default: // it was not asked, which is left to the next
		d.until = time.Time{}
	}
}

// connectAnywhere tries the places in order. A refusal of the user is final: the next place is the same database.
func (d *oraDialer) connectAnywhere(ctx context.Context, pool string) (*oraConn, error) {
	var faults []error
	for _, e := range d.places {
		c, err := d.connectShowing(ctx, e, pool)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		ce := d.explain(e, err)
		if refusesUser(ce.Code) {
			return nil, ce
		}
		faults = append(faults, ce)
	}
	if len(faults) == 1 {
		return nil, faults[0]
	}
	return nil, d.several(faults)
}

// several puts the faults of all places into one line.
func (d *oraDialer) several(faults []error) *ConnectError {
	all := &ConnectError{User: d.oracle.User, cause: errors.Join(faults...)}
	var places, whats []string
	for i, f := range faults {
		ce, ok := f.(*ConnectError)
		if !ok {
			continue
		}
		places = append(places, ce.Place)
		whats = append(whats, fmt.Sprintf("at %s %s", d.places[i].address(), ce.what))
		all.Code = ce.Code
	}
	all.Place, all.what = strings.Join(places, ", "), strings.Join(whats, "; ")
	return all
}

// connectTo opens a session at one place, within Oracle.ConnectTimeout.
func (d *oraDialer) connectTo(ctx context.Context, e endpoint) (_ *oraConn, err error) {
	cfg, err := d.config(e)
	if err != nil {
		return nil, err
	}
	c := &oraConn{}
	last := time.Now().Add(d.oracle.ConnectTimeout)
	unwatch := func() bool { return true }
	defer func() { unwatch() }()
	cfg.RegisterDial(func(_ context.Context, network, address string) (net.Conn, error) {
		tcp, err := (&net.Dialer{Deadline: last}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if c.wire != nil {
			unwatch()
			c.wire.kill() // a redirection leaves the first socket behind
		}
		c.wire = &wire{Conn: tcp, sealed: e.secure}
		c.wire.bound(last)
		unwatch = context.AfterFunc(ctx, c.wire.kill)
		return c.wire, nil
	})
	if c.base, err = ora.NewConnection("", cfg); err != nil {
		return nil, err
	}
	if err := c.logIn(ctx); err != nil {
		if c.wire != nil {
			c.wire.kill() // the driver leaves it open
		}
		return nil, err
	}
	if !unwatch() { // too late: the socket is being closed
		c.wire.kill()
		return nil, context.Cause(ctx)
	}
	c.wire.bound(time.Time{})
	return c, nil
}

// logIn runs the driver's part, with a context that does not end: what the driver does then races with itself.
func (c *oraConn) logIn(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver stumbled over an answer: %v", p)
		}
	}()
	return c.base.OpenWithContext(context.WithoutCancel(ctx))
}

// config is the driver's configuration for one place.
func (d *oraDialer) config(e endpoint) (*configurations.ConnectionConfig, error) {
	// Only the driver's own parser fills in everything that it later relies on.
	cfg, err := configurations.ParseConfig("oracle://user:password@localhost:1521/service")
	if err != nil {
		return nil, err
	}
	cfg.UserID, cfg.DatabaseInfo.Password = d.oracle.User, string(d.oracle.Password)
	protocol := "tcp"
	if e.secure {
		protocol = "tcps"
		if cfg.TLSConfig, err = d.oracle.tlsConfig(e); err != nil {
			return nil, err
		}
	}
	cfg.Protocol, cfg.SSL = protocol, e.secure
	cfg.Servers = []configurations.ServerAddr{{Protocol: protocol, Addr: e.host, Port: e.port}}
	cfg.ServiceName, cfg.SID, cfg.InstanceName = e.service, e.sid, e.instance
	cfg.ProgramName = d.oracle.Module
	host, _ := os.Hostname()
	cfg.Cid = fmt.Sprintf("(CID=(PROGRAM=%s)(HOST=%s)(USER=%s))%s", plainName(d.oracle.Module), plainName(host), plainName(cfg.OSUserName), e.extra)
	// With a location the driver does not ask for SYSTIMESTAMP at login, whose cursor it never
	// closes, and DATE and TIMESTAMP are UTC, which is what is stored.
	cfg.Location = "UTC"
	cfg.Timeout = 0 // wire bounds everything
	cfg.PrefetchRows = cmp.Or(d.oracle.Prefetch, prefetchRows)
	return cfg, nil
}

// plainName keeps what would end the item out of a descriptor.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if notInName(r) {
			return '_'
		}
		return r
	}, s)
}
