package pool

import (
	"context"
	"errors"

	"modernc.org/sqlite"
)

// A Guard keeps statements away from a database that does not answer. A circuit breaker is one.
//
// It judges the statements of Conn.Query and Conn.Exec by what they end with, and may cut them by
// the context that Begin returns. Transactions, and what runs under WithoutQueryTimeout, it only
// keeps out: what makes those slow or fail is mostly their own, such as the size of a book or a
// lock that another process holds. What it refuses or cuts with must match ErrUnavailable.
type Guard interface {
	// Ready returns an error while nothing should be asked. It is called before a slot is waited for.
	Ready() error
	// Begin lets a statement through under the context it returns, or refuses it. end is called
	// once, with what the statement ended with.
	Begin(ctx context.Context) (guarded context.Context, end func(error), err error)
}

// ready asks the guard before a wait.
func (ps *Pools) ready() error {
	if ps.cfg.Guard == nil {
		return nil
	}
	return ps.cfg.Guard.Ready()
}

func unjudged(error) {}

// guard begins a statement, or what b bounds as a whole, with the guard.
func (ps *Pools) guard(ctx context.Context, b statementBound) (context.Context, func(error), error) {
	g := ps.cfg.Guard
	if g == nil {
		return ctx, unjudged, nil
	}
	if b.whole || ctx.Value(unboundedKey{}) != nil {
		return ctx, unjudged, ps.ready()
	}
	return g.Begin(ctx)
}

// blame tells the guard of a database to which no connection could be opened. A wait that ended at
// a bound of the pool is none of its business.
func (ps *Pools) blame(ctx context.Context, err error) {
	if ps.cfg.Guard == nil || !NotAnswered(err) {
		return
	}
	if _, judge, err2 := ps.cfg.Guard.Begin(ctx); err2 == nil {
		judge(err)
	}
}

// A Verdict is what the end of a statement tells of the database.
type Verdict int

const (
	// NothingLearned: the caller left, waited in vain, misused its connection, or was cut by the guard.
	NothingLearned Verdict = iota
	// Answered: the database answered, if only that the statement is wrong.
	Answered
	// Failed: it did not, or not in time, or what it said cannot be trusted.
	Failed
)

// Judge says what the error of a statement tells of the database. An error it does not know counts
// as Failed: drivers report broken connections in many words.
func Judge(err error) Verdict {
	if err == nil {
		return Answered
	}
	if errors.Is(err, ErrQueryTimeout) { // which matches DeadlineExceeded as well
		return Failed
	}
	// Before the contexts' errors, which the net package's timeouts match.
	if oe, ok := errors.AsType[*OracleError](err); ok {
		return judgeOracle(oe)
	}
	if _, ok := errors.AsType[*ConnectError](err); ok {
		return Failed
	}
	for _, own := range []error{ErrBinds, ErrUnavailable, ErrExhausted, ErrClosed, ErrReleased, ErrBusy, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, own) {
			return NothingLearned
		}
	}
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		return judgeSQLite(se)
	}
	return Failed
}
