// Package lab makes a server behave as if it worked against the plan's database, for load tests on one machine: every
// statement takes the time that the plan's own profile shows, and faults can be put in for a time.
//
// None of it belongs on a server that people use. cmd/tomehub makes a Lab only when told to, and says so in the log.
package lab

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/memory"
)

// Config says how long statements take.
type Config struct {
	// Statement is the mean time of a statement over the mix of the plan's profile; 0 adds nothing. At most one minute.
	Statement time.Duration
	Seed      uint64
	Logger    *slog.Logger // nil discards
}

const maxStatement = time.Minute

// A Lab is safe for concurrent use.
type Lab struct {
	cfg     Config
	log     *slog.Logger
	serving atomic.Bool

	mu     sync.Mutex // guards all below
	rng    [classes]*rand.Rand
	faults map[Name]*fault
	debt   time.Duration // by which statements took longer than drawn, and those to come take less
}

// New makes a lab without faults, in which statements do not take time yet.
func New(cfg Config) (*Lab, error) {
	if cfg.Statement < 0 || cfg.Statement > maxStatement {
		return nil, fmt.Errorf("configure lab: --lab-statement-time is %v: want 0s to %v", cfg.Statement, maxStatement)
	}
	l := &Lab{cfg: cfg, log: cfg.Logger, faults: map[Name]*fault{}}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	for c := range l.rng {
		l.rng[c] = rand.New(rand.NewPCG(cfg.Seed, uint64(c)))
	}
	return l, nil
}

// Start lets statements take their time, and faults work. What runs before, such as the filling of a demo library, is
// no part of an experiment.
func (l *Lab) Start() {
	l.serving.Store(true)
	l.log.Warn("lab: this server is for load tests, not for people: its statements take longer than they need and faults can be put in",
		"statement_ms", float64(l.cfg.Statement)/float64(time.Millisecond), "seed", l.cfg.Seed)
}

// class is what a statement reads. Each class has a mean of its own in the plan's profile.
type class int

const (
	unheld    class = iota // upkeep, and signs of life: no user waits for these
	content                // TOMEHUB_CONTENT
	concepts               // TOMEHUB_CONCEPTS
	relations              // TOMEHUB_RELATIONS
	classes
)

// The plan's profile (task B1, expected output): executions and average seconds of the three statements.
var profile = [classes]struct{ executions, seconds float64 }{
	content:   {500, 0.2510},
	concepts:  {300, 0.3173},
	relations: {200, 0.4008},
}

// overall is the mean of the profile, 0.3009 s.
var overall = func() float64 {
	sum, n := 0.0, 0.0
	for _, p := range profile {
		sum, n = sum+p.executions*p.seconds, n+p.executions
	}
	return sum / n
}()

// Mean is the mean time of a statement of that name when the mean over the plan's mix is statement.
func Mean(name string, statement time.Duration) time.Duration {
	return time.Duration(float64(statement) * profile[classOf(name)].seconds / overall)
}

// classOf sorts statements by the names of their files.
func classOf(name string) class {
	switch name {
	case "concepts":
		return concepts
	case "relations", "concepts_relations": // one statement for both takes as long as the longer of the two
		return relations
	case "passage", "passages", "titles", "count", "book", "books", "totals", "book_by_hash", transaction:
		return content
	}
	if strings.HasPrefix(name, "search_") {
		return content
	}
	return unheld
}

// transaction is what a transaction is called here: it takes the time of one statement, as its array binds would.
const transaction = "transaction"

// nameOf reads the tag that every statement's text begins with; "" is a transaction.
func nameOf(statement string) string {
	if statement == "" {
		return transaction
	}
	rest, ok := strings.CutPrefix(statement, "/* tomehub:")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, " */")
	return name
}

// Hold is a pool.Config.Hold: since its beginning, the statement takes a time drawn exponentially around the mean of its
// class. What it took by itself is part of that. What it took longer, because this machine was busy elsewhere and woke up
// late, the statements after it take less: a load test on a shared machine measures the database that was asked for.
func (l *Lab) Hold(ctx context.Context, statement string, since time.Time) {
	name := nameOf(statement)
	if l.cfg.Statement == 0 || !l.serving.Load() || classOf(name) == unheld {
		return
	}
	end := since.Add(l.draw(name))
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-timer.C:
		l.late(time.Since(end))
	case <-ctx.Done():
	}
}

// draw returns the time that a statement shall take.
func (l *Lab) draw(name string) time.Duration {
	c := classOf(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	d := float64(Mean(name, l.cfg.Statement)) * l.rng[c].ExpFloat64()
	if f := l.active(DatabaseSlow); f != nil {
		d *= f.Factor
	}
	drawn := time.Duration(min(d, float64(10*maxStatement)))
	less := min(l.debt, drawn/2) // so that no statement takes no time at all
	l.debt -= less
	return drawn - less
}

// maxDebt bounds, in mean times of a statement, what the statements to come may be spared.
const maxDebt = 100

// late notes by how much a statement took longer than it should have.
func (l *Lab) late(d time.Duration) {
	if d <= 0 {
		return
	}
	l.mu.Lock()
	l.debt = min(l.debt+d, maxDebt*l.cfg.Statement)
	l.mu.Unlock()
}

// errDown is what Oracle's listener says when the instance behind it is gone, so that the server does as it would then.
var errDown error = &pool.OracleError{Code: 12541, Class: pool.Down}

// Intercept is a pool.Config.Intercept: while the database is down, every statement fails at once.
func (l *Lab) Intercept(context.Context, string) error {
	if !l.serving.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active(DatabaseDown) == nil {
		return nil
	}
	return fmt.Errorf("lab: the database is down: %w", errDown)
}

// Memory changes what the memory monitor reads while the pressure fault is on: use of the limit as the fault says.
func (l *Lab) Memory(r memory.Reading) memory.Reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.active(MemoryPressure); f != nil {
		r.Used, r.Garbage = int64(f.Percent/100*float64(r.Limit)), 0
		if f.Own {
			r.RSS = r.Used
		}
	}
	return r
}

// State is what the lab does at the moment.
type State struct {
	StatementMS float64 `json:"statement_ms"` // mean over the plan's mix
	Seed        uint64  `json:"seed"`
	Faults      []Fault `json:"faults"` // that are on
}

// State returns the state.
func (l *Lab) State() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{StatementMS: float64(l.cfg.Statement) / float64(time.Millisecond), Seed: l.cfg.Seed, Faults: []Fault{}}
	for _, n := range names {
		if f := l.active(n); f != nil {
			shown := f.Fault
			shown.LeftMS = float64(time.Until(f.until)) / float64(time.Millisecond)
			s.Faults = append(s.Faults, shown)
		}
	}
	return s
}
