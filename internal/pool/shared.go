package pool

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Share says how much a caller of Conn.Join brings, and with how much others may bring it.
type Share struct {
	Weight int           // of the caller's own part, in a unit that all callers share
	Most   int           // weight of a transaction to which no further part is added; a heavier one has it to itself
	Within time.Duration // since its beginning, after which a transaction takes no further part
}

// shared is a transaction that several callers fill, one after the other, each in a savepoint of
// its own, and that is committed once for all of them. It stays with its connection: whoever
// borrows that next goes on with it, or ends it. Its holder alone touches what is not done or err.
type shared struct {
	tx     *sql.Tx
	ctx    context.Context // of its own statements; never ends
	cancel context.CancelFunc
	began  time.Time
	parts  int // kept so far
	weight int // of all of them
	ending []ending

	done chan struct{} // closed at its end
	err  error         // what became of it; set before done is closed
}

// ending is what a part has left to the end of its transaction.
type ending struct {
	order int64
	ctx   context.Context // of the part
	do    func(context.Context, *Tx) error
}

// part is what a Tx has beyond others when it is one caller's share of a transaction.
type part struct {
	shared *shared
	share  Share
	ending []ending

	turn sync.Mutex // held during each statement, and while the part ends
}

// Join begins the caller's part of a transaction on the write pool of SQLite: in the one that the
// last holder of the connection has left open, if the caller's share has room in it, else in a new
// one. Commit returns when the whole is committed, which is when nobody waits for the connection any more, or a bound
// of Share is reached: a caller who is alone waits for nobody. Rollback undoes the caller's part and no other.
// Other uses of the connection commit what was left open before they begin.
//
// SQLite undoes a whole transaction when a change in it is interrupted, so the end of ctx does not
// cut a statement off: it is noticed before the next one, and by Commit, which then undoes the part.
// Once Commit has kept the part, nothing but a fault undoes it. Config.QueryTimeout does not hold.
func (c *Conn) Join(ctx context.Context, share Share) (*Tx, error) {
	u, err := c.begin(ctx, statementBound{whole: true}, joins)
	if err != nil {
		return nil, err
	}
	k := u.link
	if k.shared != nil && !k.shared.admits(share) {
		k.commitShared()
	}
	if k.shared == nil {
		tx, cancel, err := u.beginTx(ctx)
		if err != nil {
			return nil, u.fail(err)
		}
		k.shared = &shared{tx: tx, ctx: context.WithoutCancel(ctx), cancel: cancel, began: time.Now(), done: make(chan struct{})}
	}
	s := k.shared
	if err := s.run("SAVEPOINT part"); err != nil {
		k.shared = nil
		s.undo(err)
		return nil, u.fail(err)
	}
	t := &Tx{tx: s.tx, ctx: u.ctx, use: u, cancel: func() {}, part: &part{shared: s, share: share}}
	c.setOpen(t)
	return t, nil
}

// AtEnd has do run at the end of the transaction, after the last part and in the ascending order of order, on the Tx
// that it is given; ctx never ends, unless no other caller has a part. An error of it undoes all parts. It is for
// changes that are cheaper together, and that have nothing to fail at that is the caller's own. In a
// transaction without parts it runs at once.
func (t *Tx) AtEnd(order int64, do func(context.Context, *Tx) error) error {
	if t.part == nil {
		return do(t.ctx, t)
	}
	t.part.ending = append(t.part.ending, ending{order, t.ctx, do})
	return nil
}

// start readies a statement of a part, until end is called.
func (t *Tx) start(ctx context.Context) (unending context.Context, end context.CancelFunc, err error) {
	p := t.part
	p.turn.Lock()
	t.mu.Lock()
	over := t.over
	t.mu.Unlock()
	switch {
	case over:
		err = sql.ErrTxDone
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case t.ctx.Err() != nil:
		err = context.Cause(t.ctx)
	}
	if err != nil {
		p.turn.Unlock()
		return nil, nil, err
	}
	return context.WithoutCancel(ctx), p.turn.Unlock, nil
}

// commitPart keeps the part and returns what became of the whole.
func (t *Tx) commitPart() error {
	p, s := t.part, t.part.shared
	p.turn.Lock()
	defer p.turn.Unlock()
	if t.ctx.Err() != nil {
		t.undoPart()
		return context.Cause(t.ctx)
	}
	if err := s.run("RELEASE part"); err != nil {
		t.use.link.shared = nil
		s.undo(err)
		return err
	}
	s.parts++
	s.weight += p.share.Weight
	s.ending = append(s.ending, p.ending...)
	t.leave()
	<-s.done
	return s.err
}

// rollbackPart undoes the part.
func (t *Tx) rollbackPart() error {
	t.part.turn.Lock()
	defer t.part.turn.Unlock()
	t.undoPart()
	return nil
}

// undoPart undoes the part, and all of a transaction that has no other or that SQLite has given up.
func (t *Tx) undoPart() {
	s, k := t.part.shared, t.use.link
	err := errors.New("no part was kept")
	if s.parts > 0 {
		err = errors.Join(s.run("ROLLBACK TO part"), s.run("RELEASE part"))
	}
	if err != nil {
		k.shared = nil
		s.undo(err)
		return
	}
	t.leave()
}

// leave hands the transaction to whoever waits for the connection, if there is room in it, else commits it.
func (t *Tx) leave() {
	p, l := t.part, t.use.conn.pool.links
	if p.shared.open(p.share) && l.gate.Snapshot().Waiting > 0 {
		k := t.use.link
		t.use.link = nil
		l.giveBack(k)
		return
	}
	t.use.link.commitShared()
}

// open reports whether a further part may be added.
func (s *shared) open(share Share) bool {
	return s.weight < share.Most && time.Since(s.began) < share.Within
}

// admits reports whether a part of that share may be added.
func (s *shared) admits(share Share) bool {
	return s.open(share) && s.weight+share.Weight <= share.Most
}

// run runs one of the statements that part the transaction.
func (s *shared) run(statement string) error {
	_, err := s.tx.ExecContext(s.ctx, statement)
	return err
}

// end runs what was left to the end.
func (s *shared) end() error {
	slices.SortStableFunc(s.ending, func(a, b ending) int { return cmp.Compare(a.order, b.order) })
	t := &Tx{tx: s.tx, ctx: s.ctx}
	for _, e := range s.ending {
		ctx := e.ctx
		if s.parts > 1 {
			ctx = context.WithoutCancel(ctx)
		}
		if err := e.do(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// commit ends the transaction. All whose parts are in it are told how.
func (s *shared) commit() {
	if err := s.end(); err != nil {
		s.undo(err)
		return
	}
	s.over(s.tx.Commit())
}

// undo undoes all parts for that reason.
func (s *shared) undo(why error) {
	_ = s.tx.Rollback() // SQLite may have done so
	if s.parts > 1 {
		why = fmt.Errorf("undone with the transaction that it shared: %w", why)
	}
	s.over(why)
}

func (s *shared) over(err error) {
	s.err, s.ending = err, nil
	s.cancel()
	close(s.done)
}

// commitShared commits the transaction that is open on the connection, if one is.
func (k *link) commitShared() {
	if s := k.shared; s != nil {
		k.shared = nil
		s.commit()
	}
}

// tend commits a transaction that was left open for somebody who then gave up waiting. It is called after whatever
// may have freed the connection.
func (l *links) tend() {
	if !l.gate.TryAcquire() {
		return // whoever has the connection sees to it
	}
	l.mu.Lock()
	i := slices.IndexFunc(l.free, func(k *link) bool { return k.shared != nil })
	if i < 0 {
		l.mu.Unlock()
		l.gate.Release()
		return
	}
	k := l.free[i]
	l.free = slices.Delete(l.free, i, i+1)
	l.mu.Unlock()
	k.commitShared()
	l.giveBack(k)
}
