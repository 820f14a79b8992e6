package library

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/maypok86/otter/v2"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/store"
)

// What a search does when the store is in trouble, rung by rung: everything; the matches alone;
// what the cache still has, however old; and only then an error.

// Mode says on which rung a search was answered.
type Mode string

// The rungs of an answered search, best first.
const (
	ModeFull    Mode = "full"         // everything that was asked for
	ModeKeyword Mode = "keyword_only" // the matches, without concepts and relations
	ModeCached  Mode = "cached_only"  // what the cache had, past its time
)

// Condition is how the store is.
type Condition int

// The conditions of a store.
const (
	Sound    Condition = iota
	Doubtful           // it failed, and a few questions find out whether it still does
	Down               // it would refuse whatever it is asked
)

// couldNotAsk tells whether the store did not answer at all, so that an older answer is better
// than none. What it answered, be it that there is nothing, is an answer.
func couldNotAsk(err error) bool {
	for _, answer := range []error{store.ErrNotFound, store.ErrNoTerms, store.ErrTooMany, store.ErrInvalid, pool.ErrClosed, context.Canceled} {
		if errors.Is(err, answer) {
			return false
		}
	}
	for _, trouble := range []error{pool.ErrUnavailable, pool.ErrExhausted, context.DeadlineExceeded} {
		if errors.Is(err, trouble) {
			return true
		}
	}
	return pool.Judge(err) == pool.Failed
}

// spareStore returns the entry past its time that answers k without the store being asked, if it is
// down, or in doubt and asked by somebody else already. e is the entry of k, if there is one.
func (c *cache) spareStore(k key, e entry, there bool) *entry {
	if c.cfg.StaleFor == 0 || c.condition == nil {
		return nil
	}
	switch c.condition() {
	case Sound:
		return nil
	case Down:
		if there {
			return &e
		}
	}
	return c.taken.of(k)
}

// takeExpired removes the entry of k if it is past its time, so that it can be loaded anew, and
// returns it for the case that it cannot. Until it is forgotten, it is found among c.taken. Another
// caller may have taken it already.
func (c *cache) takeExpired(k key) *entry {
	var old *entry
	c.entries.ComputeIfPresent(k, func(e entry) (entry, otter.ComputeOp) {
		if c.isFresh(e) {
			return e, otter.CancelOp
		}
		old = &e
		c.taken.add(k, old)
		return e, otter.InvalidateOp
	})
	return old
}

// takenEntries are those that somebody is replacing. It holds one entry for each load under way.
type takenEntries struct {
	mu    sync.Mutex // guards byKey
	byKey map[key]*entry
}

func (t *takenEntries) add(k key, e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKey == nil {
		t.byKey = make(map[key]*entry)
	}
	t.byKey[k] = e
}

func (t *takenEntries) of(k key) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byKey[k]
}

// forget removes e, and leaves what another caller has taken since.
func (t *takenEntries) forget(k key, e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e != nil && t.byKey[k] == e {
		delete(t.byKey, k)
	}
}

// takeAllExpired does that for each of keys, unless the store is down anyway.
func (c *cache) takeAllExpired(keys []key) map[key]*entry {
	if c.cfg.StaleFor == 0 || c.condition != nil && c.condition() == Down {
		return nil
	}
	var all map[key]*entry
	for _, k := range keys {
		if _, there := c.entries.GetEntryQuietly(k); !there {
			continue
		}
		if old := c.takeExpired(k); old != nil {
			if all == nil {
				all = make(map[key]*entry)
			}
			all[k] = old
		}
	}
	return all
}

// forgetAll ends the replacing of what takeAllExpired has taken.
func (c *cache) forgetAll(taken map[key]*entry) {
	for k, e := range taken {
		c.taken.forget(k, e)
	}
}

// serveStale counts an answer past its time, and marks the request that it is for.
func (c *cache) serveStale(ctx context.Context, e entry) sized {
	c.stale.Add(1)
	store.MarkStale(ctx)
	return e.value
}

// lastResort looks, after a load that ended in err, for what may be answered instead: old, which
// this caller has taken out to replace it; what another one has taken or put back; an older generation's.
func (c *cache) lastResort(k key, old *entry, err error) (entry, bool) {
	if c.cfg.StaleFor == 0 || !couldNotAsk(err) {
		return entry{}, false
	}
	if old != nil {
		c.entries.SetIfAbsent(k, *old)
		return *old, true
	}
	if e := c.taken.of(k); e != nil {
		return *e, true
	}
	if e, ok := c.entries.GetIfPresent(k); ok {
		return e, true
	}
	for _, gen := range c.recent.of(k.owner) {
		k.gen = gen
		if e, ok := c.entries.GetIfPresent(k); ok {
			return e, true
		}
	}
	return entry{}, false
}

// lastResortForAll is lastResort for a load of many: it has all of them, or none.
func (c *cache) lastResortForAll(keys []key, old map[key]*entry, err error) (map[key]entry, bool) {
	found := make(map[key]entry, len(keys))
	for _, k := range keys {
		if e, ok := c.lastResort(k, old[k], err); ok {
			found[k] = e
		}
	}
	if len(found) < len(keys) {
		return nil, false
	}
	c.stale.Add(int64(len(found)))
	return found, true
}

// generations remembers, for each owner, under which generations entries were kept last.
type generations struct {
	mu      sync.Mutex // guards byOwner
	byOwner map[string][keptGenerations]int64
}

const (
	keptGenerations = 4
	// maxRecentOwners bounds the owners remembered; beyond it one of them is forgotten, which costs
	// that one older answers in an outage, and nothing else.
	maxRecentOwners = 10_000
)

// add remembers that something was kept under gen.
func (g *generations) add(owner string, gen int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	recent, known := g.byOwner[owner]
	if known && recent[0] >= gen {
		return
	}
	if g.byOwner == nil {
		g.byOwner = make(map[string][keptGenerations]int64)
	}
	if !known && len(g.byOwner) >= maxRecentOwners {
		for other := range g.byOwner {
			delete(g.byOwner, other)
			break
		}
	}
	copy(recent[1:], recent[:])
	recent[0] = gen
	g.byOwner[owner] = recent
}

// of returns the generations of owner, newest first; those not there are 0, which no store gives
// to a library that holds anything.
func (g *generations) of(owner string) [keptGenerations]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byOwner[owner]
}

// sees narrows the scope to what it is worth, and returns the generation of that. An owner who has stored nothing sees the
// shared library alone, as everybody does who has stored nothing: they share what is cached, and the first
// of them to search has searched for all. What is loaded must be loaded under the narrowed scope, too: the owner may
// store a first book meanwhile, which must not get into what others share.
func (l *Library) sees(ctx context.Context, sc store.Scope) (store.Scope, int64, error) {
	if sc.Owner != "" && !l.store.Owns(ctx, sc.Owner) {
		sc = store.Scope{}
	}
	gen, err := l.generation(ctx, sc)
	return sc, gen, err
}

// generation asks the store for the generation of what the scope sees. When it cannot be asked,
// the one known last must do: answers under it are what there was before the trouble.
func (l *Library) generation(ctx context.Context, sc store.Scope) (int64, error) {
	gen, err := l.store.Generation(ctx, sc)
	if err == nil {
		return gen, nil
	}
	if l.cfg.Cache.StaleFor > 0 && couldNotAsk(err) {
		if last := l.cache.recent.of(sc.Owner)[0]; last != 0 {
			store.MarkStale(ctx)
			return last, nil
		}
	}
	return 0, fmt.Errorf("read the library's generation: %w", err)
}
