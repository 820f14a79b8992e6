package store

import (
	"context"
	"database/sql"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// How owners and generations are kept.
//
// A generation is the number of a commit: one count for all owners, raised
// inside each writing transaction, so generations are in the order of the
// commits. What a scope sees has changed exactly when the larger of the two
// generations in it, the shared library's and the owner's own, has.
//
// The numbers are held in memory and a new one is published only after its
// commit. A reader who gets it therefore reads the new library, and what it
// keeps under that number is never older than the number says; published before
// the commit, an answer loaded in between would be kept as new for ever.
//
// Another process may write the same library, and nothing in SQL tells of that without holding a
// connection. SQLite's file is looked at, at most every changeInterval; Oracle is asked as often.

// changeInterval bounds how old the memory of owners and generations may be:
// a commit of another process is seen by the first call that begins this long
// after it, provided a statement can be run then. Commits of this process are
// seen at once.
const changeInterval = 200 * time.Millisecond

// How long a search may wait for the news of another process, when no connection is free or the
// database is slow. The next call after changeInterval tries again. Oracle may be far away, and a
// statement that is cut off costs its session.
const (
	refreshTimeout       = 100 * time.Millisecond
	oracleRefreshTimeout = time.Second
)

// owner is what is known of one owner.
type owner struct {
	number     int64
	generation int64
}

// owners remembers every owner with a row, at most 2^21 of them by the schema. A
// name that is not there has stored nothing yet.
type owners struct {
	mu     sync.RWMutex // guards byName
	byName map[string]owner
	seen   int64 // largest generation read from the table; guarded by watch.mu
	watch  watch
}

// publish remembers a committed generation, unless a newer one is known.
func (o *owners) publish(name string, number, generation int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.byName[name]; ok && known.generation >= generation {
		return
	}
	o.byName[name] = owner{number: number, generation: generation}
}

// of returns what is known of the shared library and of name.
func (o *owners) of(name string) (shared, own owner, known bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	own, known = o.byName[name]
	return o.byName[""], own, known
}

// watch tells whether the library file may have changed since it was last asked.
//
// It asks the file system for sizes and times and never opens the files: a
// process that closes any descriptor of a file loses all its POSIX locks on it,
// SQLite's among them.
type watch struct {
	files []string // none: the database has no file to look at
	began time.Time
	next  atomic.Int64 // when to look again, in nanoseconds after began

	mu   sync.Mutex // held by who looks; guards last
	last stamp
}

// stamp is the state of the library file and its write-ahead log.
type stamp [2]struct {
	size, modified int64
}

// due reports whether it is time to look, for one caller at a time, who must then call w.mu.Unlock.
func (w *watch) due() bool {
	now := int64(time.Since(w.began))
	if now < w.next.Load() || !w.mu.TryLock() {
		return false
	}
	w.next.Store(now + int64(changeInterval))
	return true
}

// look returns the present state. Times have the grain of the kernel's clock
// tick, so a state in which something was written just now may hide a later
// write of the same size: it is no state to compare with, and ok is false. Nor is that of no file.
func (w *watch) look() (now stamp, ok bool) {
	ok = len(w.files) > 0
	for i, file := range w.files {
		info, err := os.Stat(file)
		if err != nil {
			continue // no log: nothing written since it was last emptied
		}
		now[i].size, now[i].modified = info.Size(), info.ModTime().UnixNano()
		if time.Since(info.ModTime()) < changeInterval/2 {
			ok = false
		}
	}
	return now, ok
}

// catchUp reads what other processes have changed, when it is time and nothing says that there is no change.
func (s *core) catchUp(ctx context.Context) {
	w := &s.owners.watch
	if !w.due() {
		return
	}
	defer w.mu.Unlock()
	now, ok := w.look()
	if ok && now == w.last {
		return
	}
	// Housekeeping: not a statement of the request that happened to come by.
	ctx, cancel := context.WithTimeout(WithRequest(ctx, nil, ""), s.refresh)
	defer cancel()
	// An error is in the counters of the statement or of the pool; what is in
	// memory stays, and stays due.
	if err := s.readOwners(ctx); err != nil || !ok {
		now = stamp{}
	}
	w.last = now
}

// readOwners reads the owners that changed since it was last called. Callers hold watch.mu, or are alone.
func (s *core) readOwners(ctx context.Context) error {
	type change struct {
		name string
		owner
	}
	var changes []change
	err := s.read(ctx, s.reads.owners, "", func(r *pool.Rows) error {
		var c change
		err := r.Scan(&c.number, (*text)(&c.name), &c.generation)
		changes = append(changes, c)
		return err
	}, sql.Named("seen", s.owners.seen))
	if err != nil {
		return err
	}
	for _, c := range changes {
		s.owners.publish(c.name, c.number, c.generation)
		s.owners.seen = max(s.owners.seen, c.generation)
	}
	return nil
}

// Generation returns a number that changes whenever anything that scope sees has
// changed, and only grows. It is answered from memory: a change by this process
// is in it as soon as the method that made it returns and never before it is
// committed; a change by another process within 200 ms.
func (s *core) Generation(ctx context.Context, scope Scope) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.catchUp(ctx)
	shared, own, _ := s.owners.of(scope.Owner)
	return max(shared.generation, own.generation), nil
}

// Owns tells whether owner has ever stored anything, from memory: a first book stored by this process counts as soon as
// the method that stored it returns, one stored by another process within 200 ms.
func (s *core) Owns(ctx context.Context, owner string) bool {
	s.catchUp(ctx)
	_, _, known := s.owners.of(owner)
	return known
}

// span returns the first and last id that belong to the scope's owner beside the
// shared library, and the owner's number; an empty range when there are none.
func (s *core) span(ctx context.Context, scope Scope) (lo, hi, number int64) {
	s.catchUp(ctx)
	_, own, known := s.owners.of(scope.Owner)
	if !known || own.number == 0 {
		return 1, 0, 0
	}
	return own.number << ownerShift, (own.number+1)<<ownerShift - 1, own.number
}

// ownerShift makes room in an id for an owner's own count.
const ownerShift = 32

// ownerOf returns whose the id is, of those that scope sees.
func (scope Scope) ownerOf(id int64) string {
	if id>>ownerShift == 0 {
		return ""
	}
	return scope.Owner
}
