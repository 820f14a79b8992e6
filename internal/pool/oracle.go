package pool

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// Password is printed as stars however it is formatted, logged or encoded.
type Password string

const masked = "********"

// String masks the password.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return masked
}

// GoString keeps %#v from printing it.
func (p Password) GoString() string { return p.String() }

// Format keeps every other verb, such as %x, from printing it.
func (p Password) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }

// LogValue keeps slog from printing it.
func (p Password) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText keeps encoders from printing it.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Oracle says which Oracle database to open and as whom.
type Oracle struct {
	User     string
	Password Password
	// DSN is host:port/service with or without // or oracle:// before it, several hosts separated by
	// commas, a full (DESCRIPTION=…), or a name in tnsnames.ora. It holds no user and no password.
	DSN string
	// TNSAdmin is the directory of tnsnames.ora and sqlnet.ora; empty: there is none.
	TNSAdmin string
	// Wallet is the directory of cwallet.sso, for addresses with TLS; empty: it is where the
	// address, sqlnet.ora or TNSAdmin say, or the system's certificates do.
	Wallet string
	// ConnectTimeout bounds each attempt to log in at one address; 0 means 10 s.
	ConnectTimeout time.Duration
	// Module is what a DBA sees in v$session.module; empty: "tomehub".
	Module string
	// Prefetch is how many rows come with each answer, 1 to MaxPrefetch; 0 means 100. The server and the driver hold
	// that many in memory.
	Prefetch int
	// Kinds says whether and how v$session.action shows the kind of work; see WithKind.
	Kinds Kinds

	roots *x509.CertPool // of a test, in place of the system's
}

const (
	defaultConnectTimeout = 10 * time.Second
	// idleProbe is how long a connection may have been idle before a write makes sure, by a round
	// trip, that the session is still there. Reads need no such care: they are asked again.
	idleProbe = time.Second
)

// Check reports every fault of the settings, joined, without connecting; each names its setting.
func (o Oracle) Check() error {
	_, err := o.resolve()
	return err
}

// resolve returns the places where the database may be, in order.
func (o Oracle) resolve() ([]endpoint, error) {
	var faults []error
	if o.User == "" {
		faults = append(faults, errors.New("DB_USER is empty: it names the user of the Oracle database at DB_DSN"))
	}
	if o.Password == "" {
		faults = append(faults, errors.New("DB_PASSWORD is empty: set it, or DB_PASSWORD_FILE to a file that holds it"))
	}
	if o.ConnectTimeout < 0 {
		faults = append(faults, fmt.Errorf("DB_CONNECT_TIMEOUT is %v: it must not be negative", o.ConnectTimeout))
	}
	if o.Prefetch < 0 || o.Prefetch > MaxPrefetch {
		faults = append(faults, fmt.Errorf("%d rows with each answer: want 0 to %d", o.Prefetch, MaxPrefetch))
	}
	places, alias, err := parseDSN(o.DSN)
	if err == nil && alias != "" {
		var folders []string
		for _, dir := range []string{o.TNSAdmin, o.Wallet} { // the wallets of Autonomous databases bring a tnsnames.ora
			if dir != "" {
				folders = append(folders, dir)
			}
		}
		places, err = resolveAlias(alias, folders...)
	}
	if err != nil {
		return nil, errors.Join(append(faults, err)...)
	}
	for _, e := range places {
		if !e.secure {
			continue
		}
		if _, err := o.tlsConfig(e); err != nil {
			faults = append(faults, err)
			break
		}
	}
	return places, errors.Join(faults...)
}

// OpenOracle opens pools of sessions at an Oracle database: a slot is a session, up to
// Read.Size for reading and Write.Size for changes, or Read.Size for both with Config.Single.
// The warm minimum is open when it returns. Config.Path is ignored. All faults of the settings
// are reported together; one in connecting is a *ConnectError of one line that says what to do.
// The caller must Close the pools.
//
// On these pools Conn.Query is for statements that only read: when their session turns out to be
// gone they are run once more on a new one.
func OpenOracle(ctx context.Context, cfg Config, o Oracle) (*Pools, error) {
	cfg, err := cfg.validate()
	places, oraErr := o.resolve()
	if err = errors.Join(err, oraErr); err != nil {
		return nil, err
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	if o.Module == "" {
		o.Module = "tomehub"
	}
	ps := &Pools{cfg: cfg, statement: newStatementBound(cfg), retryReads: true}
	ps.ctx, ps.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := ps.openOracle(ctx, o, places); err != nil {
		ps.stop()
		return nil, err
	}
	for _, l := range ps.linkSets {
		ps.keepers.Go(l.keep)
	}
	return ps, nil
}

// openOracle opens the sessions and puts the gates in front.
func (ps *Pools) openOracle(ctx context.Context, o Oracle, places []endpoint) error {
	cfg := ps.cfg
	dialer := &oraDialer{oracle: o, places: places, log: cfg.Logger}
	name := "read"
	if cfg.Single {
		name = "main"
	}
	read, err := ps.openSessions(ctx, dialer, name, cfg.Read)
	if err != nil {
		return err
	}
	write := read
	if !cfg.Single {
		if write, err = ps.openSessions(ctx, dialer, "write", cfg.Write); err != nil {
			return errors.Join(err, read.close())
		}
	}
	ps.front(read, write)
	if write != read {
		read.beside, write.beside = []*links{write}, []*links{read}
	}
	return nil
}

// openSessions opens one set of sessions with its minimum warm.
func (ps *Pools) openSessions(ctx context.Context, dialer *oraDialer, name string, b Bounds) (*links, error) {
	source := &connector{base: oraConnector{dialer, name}, setUp: sessionSetUp(dialer.oracle.Module, name), intercept: ps.cfg.Intercept}
	l := &links{
		name: name, size: b.Size, min: b.Min, recycle: ps.cfg.Recycle, lazy: true, idleProbe: idleProbe,
		source: source, db: sql.OpenDB(source), gate: gate.New(b.Size, b.Size),
		log: ps.cfg.Logger, ctx: ps.ctx, wake: make(chan struct{}, 1),
	}
	l.db.SetMaxIdleConns(-1) // a connection that links gives up is closed, not kept
	err := l.warm(ctx)
	if b.Min == 0 { // a wrong password should be known at the start all the same
		err = l.try(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// sessionSetUp are the statements that every session begins with. What the schema or the client
// machine would choose by default must not change an answer: formats of dates and numbers, order
// and comparison of text, and the zone. Module and action are for the DBA who looks at v$session;
// which statement runs is told by the tag in its text.
func sessionSetUp(module, action string) []setting {
	return []setting{
		{statement: `ALTER SESSION SET NLS_LANGUAGE='AMERICAN' NLS_TERRITORY='AMERICA' NLS_NUMERIC_CHARACTERS='.,'` +
			` NLS_DATE_FORMAT='YYYY-MM-DD HH24:MI:SS' NLS_TIMESTAMP_FORMAT='YYYY-MM-DD HH24:MI:SS.FF'` +
			` NLS_SORT='BINARY' NLS_COMP='BINARY' TIME_ZONE='UTC'`},
		{statement: fmt.Sprintf(`BEGIN DBMS_APPLICATION_INFO.SET_MODULE('%s', '%s'); END;`, module, action), spare: isAnswer},
	}
}

// isAnswer tells that the database said no, to what a schema may be without.
func isAnswer(err error) bool { return hasClass(err, Statement) }
