// Package pool opens the library's database and rations its connections.
//
// Callers acquire a slot from a gate that serves them in order, bounds how many
// wait and for how long, and names the bound when it refuses. Behind the slots
// stand the physical connections: on SQLite a few of them, on Oracle one for
// each slot, borrowed for one statement or one transaction at a time; every
// connection is set up alike, replaced when it is old or has had a fault, and a
// warm minimum of them is always open.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/tomehub/tomehub/internal/gate"
)

// Bounds are the limits of one pool.
type Bounds struct {
	Min, Size    int    // warm minimum, most connections (slots) held at once
	Queue        int    // most callers waiting; 0 means 8 × Size
	SizeSetting  string // the setting of Size, named in errors, e.g. "DB_POOL_READ_SIZE"
	QueueSetting string // the setting of Queue; empty when it follows from Size

	// MaxWait refuses at once who would probably wait longer, as fast as slots turn at the
	// moment; 0 refuses nobody. Pool.AcquireStarted is exempt.
	MaxWait        time.Duration
	MaxWaitSetting string // the setting of MaxWait
}

// Config says what to open and within which bounds. Its zero durations mean:
// Timeout must be set, Recycle 0 keeps connections for ever, QueryTimeout 0 sets no bound.
type Config struct {
	Path        string // the SQLite library file; its directory must exist
	Single      bool   // one pool for reads and writes, bounded by Read; Write is ignored
	Read, Write Bounds
	Timeout     time.Duration // longest wait for a slot, and for a physical connection
	Recycle     time.Duration // a connection older than this, ±10 % by chance, is replaced

	// QueryTimeout bounds every statement, from when it has a physical connection
	// until its rows are closed, except under WithoutQueryTimeout.
	QueryTimeout        time.Duration
	QueryTimeoutSetting string // the setting of QueryTimeout, named in errors, e.g. "--statement-timeout"

	Guard Guard // nil lets every statement through

	// Hold, when set, is called at the end of every statement that succeeded, and while it waits the statement keeps its
	// slot, as if it took so much longer: Guard sees it, and QueryTimeout ends ctx. statement is the text, "" for a whole
	// transaction; since is when the statement, or its wait for a connection, began within the slot.
	Hold func(ctx context.Context, statement string, since time.Time)
	// Intercept, when set, runs before each statement, on its connection: by it a test has a
	// statement wait or fail as in a database in trouble.
	Intercept func(ctx context.Context, statement string) error
	// Acquired, when set, is told how every Acquire and AcquireStarted ended: Granted or one of the
	// Reason constants, after how long a wait. It runs on the path of a request.
	Acquired func(ctx context.Context, pool, outcome string, waited time.Duration)
	Logger   *slog.Logger // nil discards
}

// Pools are the open pools of one database.
type Pools struct {
	cfg         Config
	statement   statementBound
	read, write *Pool
	linkSets    []*links        // readers, writer; or one for both
	retryReads  bool            // a Conn.Query whose session was gone is run once more on a new one
	ctx         context.Context // ends at Close
	stop        context.CancelFunc
	keepers     sync.WaitGroup
	closeOnce   sync.Once
	closeErr    error
}

// front puts the gates before the physical connections, one gate for both pools with Config.Single.
// read and write may be the same links.
func (ps *Pools) front(read, write *links) {
	cfg := ps.cfg
	ps.linkSets = []*links{read}
	if write != read {
		ps.linkSets = append(ps.linkSets, write)
	}
	ps.read = &Pool{name: "read", bounds: cfg.Read, gate: gate.New(cfg.Read.Size, cfg.Read.Queue), links: read, pools: ps}
	if cfg.Single {
		ps.read.name = "main"
		ps.write = &Pool{name: "main", bounds: cfg.Read, gate: ps.read.gate, links: write, pools: ps}
		return
	}
	ps.write = &Pool{name: "write", bounds: cfg.Write, gate: gate.New(cfg.Write.Size, cfg.Write.Queue), links: write, pools: ps}
}

// Read returns the pool for reading statements.
func (ps *Pools) Read() *Pool { return ps.read }

// Write returns the pool for changes. With Config.Single it takes its slots from the gate of Read.
func (ps *Pools) Write() *Pool { return ps.write }

// String describes the pools in one line, for the log at start.
func (ps *Pools) String() string {
	timeout := strconv.FormatFloat(ps.cfg.Timeout.Seconds(), 'f', -1, 64) + "s"
	r, w := ps.cfg.Read, ps.cfg.Write
	if ps.cfg.Single {
		return fmt.Sprintf("Database pool: min=%d, max=%d, timeout=%s", r.Min, r.Size, timeout)
	}
	return fmt.Sprintf("Database pools: read %d-%d, write %d-%d, timeout=%s", r.Min, r.Size, w.Min, w.Size, timeout)
}

// Stats returns one entry per gate: read and write, or main alone.
func (ps *Pools) Stats() []Stats {
	if ps.cfg.Single {
		s := ps.read.stats()
		if ps.write.links != ps.read.links {
			s.addPhysical(ps.write.links)
		}
		return []Stats{s}
	}
	return []Stats{ps.read.stats(), ps.write.stats()}
}

// Close refuses all waiters and everything later with ErrClosed and closes the
// connections. It does not wait for statements under way: their connections
// close as they are given back. Calling it again does nothing.
func (ps *Pools) Close() error {
	ps.closeOnce.Do(func() {
		ps.stop()
		ps.read.gate.Close()
		ps.write.gate.Close()
		ps.keepers.Wait()
		for _, l := range ps.linkSets {
			ps.closeErr = errors.Join(ps.closeErr, l.close())
		}
	})
	return ps.closeErr
}

// Pool rations the slots of one gate. It is safe for concurrent use.
type Pool struct {
	name   string
	bounds Bounds
	gate   *gate.Gate
	links  *links
	pools  *Pools
}

// Acquire waits in line for a slot, at most Config.Timeout or until ctx ends; when Bounds.Queue
// callers wait already, the wait would probably exceed Bounds.MaxWait, or Config.Guard says so, it
// is refused at once. A refusal is an *AcquireError, ErrClosed, or one that matches ErrUnavailable.
// The Conn must be released. ctx bounds the wait only: it may end while the Conn is in use.
func (p *Pool) Acquire(ctx context.Context) (*Conn, error) {
	return p.acquire(ctx, p.bounds.MaxWait)
}

// AcquireStarted is Acquire without Bounds.MaxWait, for work that has begun: refusing it would
// throw away what it has cost already.
func (p *Pool) AcquireStarted(ctx context.Context) (*Conn, error) { return p.acquire(ctx, 0) }

func (p *Pool) acquire(ctx context.Context, soon time.Duration) (*Conn, error) {
	if err := p.pools.ready(); err != nil {
		p.acquired(ctx, ReasonUnavailable, 0)
		return nil, err
	}
	waited, got := p.gate.AcquireSoon(ctx, p.pools.cfg.Timeout, soon)
	if got == gate.Granted {
		p.acquired(ctx, Granted, waited)
		return &Conn{pool: p, waited: waited}, nil
	}
	err := p.refusal(ctx, got, waited, soon)
	outcome, spent := ReasonClosed, waited
	if e := (*AcquireError)(nil); errors.As(err, &e) {
		outcome, spent = e.Reason, e.Waited
	}
	p.acquired(ctx, outcome, spent)
	return nil, err
}

// acquired tells Config.Acquired, if it is set.
func (p *Pool) acquired(ctx context.Context, outcome string, waited time.Duration) {
	if tell := p.pools.cfg.Acquired; tell != nil {
		tell(ctx, p.name, outcome, waited)
	}
}

// refusal is the error of an acquisition that ended without a slot.
func (p *Pool) refusal(ctx context.Context, got gate.Outcome, waited, soon time.Duration) error {
	e := AcquireError{Pool: p.name, Setting: p.bounds.SizeSetting, Size: p.bounds.Size, Queue: p.bounds.Queue, Waited: waited}
	switch {
	case got == gate.QueueFull && p.bounds.QueueSetting != "":
		e.Setting = p.bounds.QueueSetting
	case got == gate.TooSlow:
		e.Setting, e.MaxWait, e.Predicted, e.Waited = p.bounds.MaxWaitSetting, soon, waited, 0
	}
	return acquireError(ctx, got, e)
}

// Crowded reports that at least half as many callers wait as there are slots: whoever asks now
// waits for about half a turn of them all.
func (p *Pool) Crowded() bool {
	waiting := p.gate.Snapshot().Waiting
	return waiting > 0 && 2*waiting >= p.bounds.Size
}

// Busy reports that a statement or a transaction has one of the connections behind the pool.
func (p *Pool) Busy() bool { return p.links.gate.Snapshot().InUse > 0 }

// stats returns the state of the gate and of the connections behind it.
func (p *Pool) stats() Stats {
	g := p.gate.Snapshot()
	s := Stats{
		Name: p.name, Min: p.bounds.Min, Size: p.bounds.Size, Queue: p.bounds.Queue,
		InUse: g.InUse, Idle: p.bounds.Size - g.InUse, Waiting: g.Waiting,
		Acquired: g.Acquired, Waits: g.Waits, TimedOut: g.TimedOut, QueueFull: g.QueueFull, Shed: g.TooSlow, Cancelled: g.Cancelled,
		WaitTotal: g.WaitTotal, WaitMax: g.WaitMax,
	}
	s.addPhysical(p.links)
	return s
}

// validate reports every fault of cfg at once and returns it with defaults filled in.
func (cfg Config) validate() (Config, error) {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	bounds := func(name string, b *Bounds) {
		if b.SizeSetting == "" {
			b.SizeSetting = name + " size"
		}
		if b.Size < 1 {
			add("%s is %d: it must be at least 1", b.SizeSetting, b.Size)
		}
		if b.Min < 0 || b.Min > max(b.Size, 0) {
			add("warm minimum of the %s pool is %d: it must be 0 to %d (%s)", name, b.Min, b.Size, b.SizeSetting)
		}
		if b.Queue < 0 {
			add("queue of the %s pool is %d: it must not be negative", name, b.Queue)
		}
		if b.Queue == 0 {
			b.Queue = 8 * b.Size
		}
		if b.MaxWaitSetting == "" {
			b.MaxWaitSetting = name + " max wait"
		}
		if b.MaxWait < 0 {
			add("%s is %v: it must not be negative", b.MaxWaitSetting, b.MaxWait)
		}
	}
	if cfg.Single {
		bounds("main", &cfg.Read)
	} else {
		bounds("read", &cfg.Read)
		bounds("write", &cfg.Write)
	}
	if cfg.Timeout <= 0 {
		add("DB_POOL_TIMEOUT is %v: it must be more than 0", cfg.Timeout)
	}
	if cfg.Recycle < 0 {
		add("DB_POOL_RECYCLE is %v: it must not be negative", cfg.Recycle)
	}
	if cfg.QueryTimeoutSetting == "" {
		cfg.QueryTimeoutSetting = "query timeout"
	}
	if cfg.QueryTimeout < 0 {
		add("%s is %v: it must not be negative", cfg.QueryTimeoutSetting, cfg.QueryTimeout)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, errors.Join(faults...)
}
