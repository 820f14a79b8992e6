package library

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/tomehub/tomehub/server/store"
)

// CacheConfig says what the query cache keeps and for how long. The zero
// CacheConfig keeps nothing: every call asks the store.
type CacheConfig struct {
	Enabled bool
	// MaxBytes bounds the keys and values kept, as estimated from the lengths of
	// their strings and the sizes of their structs. Default 64 MiB.
	MaxBytes int64
	// How long entries of a class live. The defaults are the plan's: concepts and
	// relations 60 min, content 10 min, everything else 5 min.
	ConceptsTTL, RelationsTTL, ContentTTL, DefaultTTL time.Duration
	// StaleFor is how long after its time an entry is kept for answers while the store cannot
	// be asked. With it, entries of the last few generations may answer then, too. 0: neither.
	StaleFor time.Duration
	// SecondLevel is a cache shared with other processes, or nil. The library closes it.
	SecondLevel SecondLevel
}

// Defaults of CacheConfig.
const (
	DefaultCacheBytes   = 64 << 20
	DefaultConceptsTTL  = 60 * time.Minute
	DefaultRelationsTTL = 60 * time.Minute
	DefaultContentTTL   = 10 * time.Minute
	DefaultDefaultTTL   = 5 * time.Minute
)

// minCacheBytes holds a few pages of 1,000 matches with details; below it the
// cache would evict what it has just loaded.
const minCacheBytes = 1 << 20

func (cfg CacheConfig) validate() error {
	var faults []error
	if cfg.Enabled && cfg.MaxBytes != 0 && cfg.MaxBytes < minCacheBytes {
		faults = append(faults, fmt.Errorf("cache bytes %d: must be at least %d", cfg.MaxBytes, minCacheBytes))
	}
	for c, ttl := range cfg.ttls() {
		if ttl < 0 {
			faults = append(faults, fmt.Errorf("cache time of class %s %v: must not be negative", class(c), ttl))
		}
	}
	if cfg.StaleFor < 0 {
		faults = append(faults, fmt.Errorf("time of stale answers %v: must not be negative", cfg.StaleFor))
	}
	return errors.Join(faults...)
}

func (cfg CacheConfig) ttls() [classes]time.Duration {
	return [classes]time.Duration{classDefault: cfg.DefaultTTL, classContent: cfg.ContentTTL, classConcepts: cfg.ConceptsTTL, classRelations: cfg.RelationsTTL}
}

// A class is a kind of data that changes at its own pace; the plan's names.
type class uint8

const (
	classDefault   class = iota
	classContent         // pages of matches, passages
	classConcepts        // concepts, and the relations that come in one statement with them
	classRelations       // relations that come in a statement of their own
	classes        = 4
)

func (c class) String() string {
	return [classes]string{"default", "content", "concepts", "relations"}[c]
}

// kind keeps keys of one class apart.
type kind uint8

const (
	kindPage      kind = iota // text: canonical query; a, b: page number and size
	kindAfter                 // text: canonical query; a, b, c: score bits, id, size
	kindRelated               // text: packed passage ids
	kindConcepts              // likewise
	kindRelations             // likewise
	kindPassage               // a: id
	kindBooks                 // a, b: page number and size
	kindBook                  // a: id
	kindTotals
)

// A key names one answer. It holds the generation of the library that the
// answer was asked of, read before the asking: after a write nobody asks for the
// old keys, so an entry cannot be stale, also not one whose load began before the
// write and ended after it. It holds the owner, so one user's entries are never
// another's, and outlive another's writes.
type key struct {
	class   class
	kind    kind
	details bool
	owner   string
	gen     int64
	text    string
	a, b, c int64
}

// keyOverhead is a key, its entry and its places in the cache's tables, measured
// by filling a cache with empty values; a bound in bytes that forgets it would
// let a million small entries take several times as much.
const keyOverhead = 320

func (k key) size() int { return keyOverhead + len(k.owner) + len(k.text) }

// sized values know their bytes, roughly.
type sized interface{ size() int }

// An entry is what the cache keeps. It is fresh until a moment counted from when the cache
// was made, and kept for CacheConfig.StaleFor longer.
type entry struct {
	value sized
	bytes uint32
	fresh time.Duration
}

// source says how a value was come by.
type source uint8

const (
	loaded     source = iota // by asking the store
	hit                      // from this cache
	joined                   // from another caller's asking, waited for
	fromSecond               // from the second level
	stale                    // from this cache, past its time or of an older generation
	skipped                  // not at all, to spare the store
)

// asked reports whether the caller waited for the store.
func (s source) asked() bool { return s == loaded || s == joined }

// A cache keeps answers within a bound of bytes and runs identical loads once.
type cache struct {
	cfg         CacheConfig
	ttl         [classes]time.Duration
	loadTimeout time.Duration
	began       time.Time
	entries     *otter.Cache[key, entry] // nil when not enabled
	counts      [classes]classCounts
	failed      atomic.Int64
	stale       atomic.Int64 // questions answered past an entry's time
	recent      generations
	taken       takenEntries
	condition   func() Condition // Config.Condition
	log         *slog.Logger
	traced      bool // Config.Traced
	flights     flights
}

type classCounts struct {
	hits, misses, joined atomic.Int64
	entries, bytes       atomic.Int64
	evicted              [5]atomic.Int64 // by otter.DeletionCause
}

func newCache(whole Config) (*cache, error) {
	cfg := whole.Cache
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultCacheBytes
	}
	c := &cache{
		cfg: cfg, ttl: cfg.ttls(), loadTimeout: whole.LoadTimeout, began: time.Now(), condition: whole.Condition, log: whole.Logger,
		traced: whole.Traced && cfg.Enabled,
	}
	for i, d := range [classes]time.Duration{classDefault: DefaultDefaultTTL, classContent: DefaultContentTTL, classConcepts: DefaultConceptsTTL, classRelations: DefaultRelationsTTL} {
		if c.ttl[i] == 0 {
			c.ttl[i] = d
		}
	}
	if !cfg.Enabled {
		return c, nil
	}
	entries, err := otter.New(&otter.Options[key, entry]{
		MaximumWeight: uint64(cfg.MaxBytes),
		Weigher:       c.weigh,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[key, entry]) time.Duration {
			return max(e.Value.fresh+cfg.StaleFor-c.now(), 1)
		}),
		OnAtomicDeletion: c.deleted,
		Logger:           cacheLog{c.log},
	})
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	c.entries = entries
	return c, nil
}

// weigh is called once per entry stored, which makes it the place to count them.
func (c *cache) weigh(k key, e entry) uint32 {
	c.counts[k.class].entries.Add(1)
	c.counts[k.class].bytes.Add(int64(e.bytes))
	return e.bytes
}

func (c *cache) deleted(e otter.DeletionEvent[key, entry]) {
	c.counts[e.Key.class].entries.Add(-1)
	c.counts[e.Key.class].bytes.Add(-int64(e.Value.bytes))
	c.counts[e.Key.class].evicted[e.Cause].Add(1)
}

func (c *cache) close() error {
	if c.entries != nil {
		c.entries.StopAllGoroutines()
	}
	if c.cfg.SecondLevel != nil {
		return c.cfg.SecondLevel.Close()
	}
	return nil
}

// now is the time that entries are dated by.
func (c *cache) now() time.Duration { return time.Since(c.began) }

// newEntry makes an entry that stays fresh for that long.
func (c *cache) newEntry(k key, value sized, fresh time.Duration) entry {
	return entry{value: value, bytes: uint32(min(k.size()+value.size(), 1<<32-1)), fresh: c.now() + fresh}
}

// isFresh is about an entry that the cache has returned; without CacheConfig.StaleFor it returns no others.
func (c *cache) isFresh(e entry) bool { return c.cfg.StaleFor == 0 || c.now() < e.fresh }

// lookup returns what the cache has; a caller that finds nothing goes on to
// fetch. It is apart from fetch so that a hit costs no closure.
func lookup[T sized](c *cache, k key) (value T, ok bool) {
	if c.entries == nil {
		return value, false
	}
	e, ok := c.entries.GetIfPresent(k)
	if !ok || !c.isFresh(e) {
		return value, false
	}
	c.counts[k.class].hits.Add(1)
	return e.value.(T), true
}

// fetch returns the answer of k: kept, loaded, or shared with a caller who is
// loading it. A load is cut off from its caller's context and runs under
// Config.LoadTimeout instead, so that a caller who leaves fails nobody; a caller
// who only waits leaves when its context ends. Errors are shared with those who
// wait, and not kept.
func fetch[T sized](ctx context.Context, c *cache, k key, codec *codec[T], load func(context.Context) (T, error)) (value T, from source, err error) {
	if !c.traced {
		return fetchOne(ctx, c, k, codec, load)
	}
	looked := c.beginLook(ctx, k)
	value, from, err = fetchOne(looked.within(ctx), c, k, codec, load)
	looked.end(from, err)
	return value, from, err
}

// fetchOne is fetch without a span.
func fetchOne[T sized](ctx context.Context, c *cache, k key, codec *codec[T], load func(context.Context) (T, error)) (value T, from source, err error) {
	if c.entries == nil {
		value, err = load(ctx)
		return value, loaded, err
	}
	e, ok := c.entries.GetIfPresent(k)
	if ok && c.isFresh(e) {
		c.count(k.class, hit, 1)
		return e.value.(T), hit, nil
	}
	if e := c.spareStore(k, e, ok); e != nil {
		return c.serveStale(ctx, *e).(T), stale, nil
	}
	var old *entry
	if ok {
		old = c.takeExpired(k)
		defer c.taken.forget(k, old)
	}
	from = joined
	e, err = c.entries.Get(ctx, k, otter.LoaderFunc[key, entry](func(ctx context.Context, k key) (entry, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.loadTimeout)
		defer cancel()
		from = loaded
		c.leads(ctx, k)
		if e, ok := recall(ctx, c, k, codec); ok {
			from = fromSecond
			return e, nil
		}
		value, err := load(ctx)
		if err != nil {
			if old != nil && couldNotAsk(err) {
				return *old, nil // which all who wait are given, and the cache keeps
			}
			return entry{}, err
		}
		remember(ctx, c, k, codec, value)
		c.recent.add(k.owner, k.gen)
		return c.newEntry(k, value, c.ttl[k.class]), nil
	}))
	c.count(k.class, from, 1)
	if err != nil {
		c.failed.Add(1)
		if e, ok := c.lastResort(k, old, err); ok {
			return c.serveStale(ctx, e).(T), stale, nil
		}
		return value, from, err
	}
	if !c.isFresh(e) {
		return c.serveStale(ctx, e).(T), stale, nil
	}
	return e.value.(T), from, nil
}

// fetchAll is fetch for keys that lookup has not found: those that nobody is
// loading are loaded by one call. Keys without a value are absent from the result.
func fetchAll[T sized](ctx context.Context, c *cache, keys []key, load func(context.Context, []key) (map[key]T, error)) (map[key]T, error) {
	if c.entries == nil {
		return load(ctx, keys)
	}
	old := c.takeAllExpired(keys)
	defer c.forgetAll(old)
	led := 0
	if c.traced {
		looked := c.beginLook(ctx, keys...)
		ctx = looked.within(ctx)
		defer func() { looked.endMany(led, len(keys)-led) }()
	}
	got, err := c.entries.BulkGet(ctx, keys, otter.BulkLoaderFunc[key, entry](func(ctx context.Context, keys []key) (map[key]entry, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.loadTimeout)
		defer cancel()
		led += len(keys)
		for _, k := range keys {
			c.leads(ctx, k)
		}
		values, err := load(ctx, keys)
		if err != nil {
			return nil, err
		}
		entries := make(map[key]entry, len(values))
		for k, v := range values {
			entries[k] = c.newEntry(k, v, c.ttl[k.class])
		}
		c.recent.add(keys[0].owner, keys[0].gen)
		return entries, nil
	}))
	c.count(keys[0].class, loaded, led)
	c.count(keys[0].class, joined, max(len(keys)-led, 0))
	if err != nil {
		c.failed.Add(1)
		var ok bool
		if got, ok = c.lastResortForAll(keys, old, err); !ok {
			return nil, err
		}
		store.MarkStale(ctx)
	}
	out := make(map[key]T, len(got))
	for k, e := range got {
		out[k] = e.value.(T)
	}
	return out, nil
}

func (c *cache) count(of class, from source, n int) {
	counts := &c.counts[of]
	switch from {
	case hit:
		counts.hits.Add(int64(n))
	case joined:
		counts.joined.Add(int64(n))
	default:
		counts.misses.Add(int64(n))
	}
}

// cacheLog keeps otter's messages out of the way: load errors are returned to
// those who asked, and what else it reports is for developers.
type cacheLog struct{ log *slog.Logger }

func (l cacheLog) Warn(ctx context.Context, msg string, err error) {
	l.log.LogAttrs(ctx, slog.LevelDebug, "cache warning", slog.String("what", msg), slog.Any("err", err))
}

func (l cacheLog) Error(ctx context.Context, msg string, err error) {
	l.log.LogAttrs(ctx, slog.LevelDebug, "cache error", slog.String("what", msg), slog.Any("err", err))
}
