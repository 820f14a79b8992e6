package limit

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxClients is how many clients Memory holds per rule unless told otherwise: at the very worst (all of them at a
// limit above 64 and busy throughout the window) about 115 MB per rule, with a handful of requests each about 24 MB.
const DefaultMaxClients = 100_000

// Shards split a table's lock. Small tables have fewer, so that a shard is never too small to sample from.
const (
	maxShards   = 64
	shardAtMin  = 128 // clients
	evictSample = 8   // clients looked at to make room
)

// MemoryConfig sets the bound of a Memory.
type MemoryConfig struct {
	MaxClients int    // most clients held per rule; 0 means DefaultMaxClients
	Setting    string // the setting that moves MaxClients, named in errors
}

// Memory keeps the windows in this process. Create it with NewMemory.
type Memory struct {
	epoch      time.Time // windows count nanoseconds from here, on the monotonic clock
	seed       maphash.Seed
	maxClients int
	mu         sync.Mutex // held to add a table
	tables     atomic.Pointer[map[string]*table]
}

// A table holds the clients of one rule.
type table struct {
	order  int // tables are locked in this order
	shards []shard
	room   int // clients per shard
}

// A shard remembers clients in two generations. A client moves to the young one whenever it is looked up; once a window has
// passed, the young become the old and the old, untouched for a whole window and thus expired, are dropped together.
// So nothing is ever searched for dead clients, and no timer runs.
type shard struct {
	mu      sync.Mutex // guards all fields below
	young   map[string]*window
	old     map[string]*window
	turned  int64  // when the young generation began
	crowd   window // shared by newcomers who find the shard full of clients that may not be forgotten
	evicted int64
	crowded int64
}

// NewMemory returns empty tables.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxClients == 0 {
		cfg.MaxClients = DefaultMaxClients
	}
	if cfg.MaxClients < 1 || cfg.MaxClients > 100_000_000 {
		return nil, fmt.Errorf("check rate limit storage: %s is %d: want 1 to 100,000,000 clients", cfg.Setting, cfg.MaxClients)
	}
	m := &Memory{epoch: time.Now(), seed: maphash.MakeSeed(), maxClients: cfg.MaxClients}
	m.tables.Store(&map[string]*table{})
	return m, nil
}

// Take implements Storage. It does not block on anything but other requests of the same shards, for well under a
// microsecond.
func (m *Memory) Take(_ context.Context, now time.Time, charges []Charge) Outcome {
	t := m.since(now)
	var h held
	m.lock(&h, charges, t)
	defer h.unlock()
	o := Outcome{Allowed: true}
	for i, c := range charges {
		w := h.windows[i]
		w.expire(t, int64(c.Rule.Window))
		if int(w.sum) >= c.Rule.Limit {
			o.Allowed = false
		}
	}
	for i, c := range charges {
		w, length := h.windows[i], int64(c.Rule.Window)
		room := int(w.sum) < c.Rule.Limit
		if o.Allowed {
			w.admit(t, pieceOf(c.Rule.Limit, length))
		}
		o.add(Decision{
			Rule: c.Rule, Allowed: room, Limit: c.Rule.Limit,
			Remaining:  max(0, c.Rule.Limit-int(w.sum)),
			RetryAfter: time.Duration(w.wait(t, length, c.Rule.Limit)),
			Reset:      now.Add(time.Duration(w.reset(t, length))),
		})
	}
	return o
}

// record counts an admission decided elsewhere, beyond the limit if need be.
func (m *Memory) record(now time.Time, charges []Charge) {
	t := m.since(now)
	var h held
	m.lock(&h, charges, t)
	defer h.unlock()
	for i, c := range charges {
		h.windows[i].expire(t, int64(c.Rule.Window))
		h.windows[i].admit(t, pieceOf(c.Rule.Limit, int64(c.Rule.Window)))
	}
}

// undo takes back what Take admitted at now.
func (m *Memory) undo(now time.Time, charges []Charge) {
	t := m.since(now)
	var h held
	m.lock(&h, charges, t)
	defer h.unlock()
	for _, w := range h.windows[:len(charges)] {
		w.undo(t)
	}
}

// repeatFor is how long a refusal of the shared storage is repeated without asking it again.
const repeatFor = time.Second

// block remembers for each refusing decision that its client has no room elsewhere before RetryAfter has passed. That
// stays true whatever happens elsewhere meanwhile, because admissions only ever age.
func (m *Memory) block(now time.Time, charges []Charge, decisions []Decision) {
	t := m.since(now)
	var h held
	m.lock(&h, charges, t)
	defer h.unlock()
	for i, d := range decisions {
		if w := h.windows[i]; !d.Allowed && w != &h.shards[i].crowd { // else one client's refusal would bar every newcomer
			w.blocked = t + int64(d.RetryAfter)
			w.ask = min(w.blocked, t+int64(repeatFor))
		}
	}
}

// repeat answers with a refusal remembered by block, if one still holds. Its wait would be too short if another rule has
// run out since, so it is not repeated when this process knows that, nor for longer than repeatFor, when others might.
func (m *Memory) repeat(now time.Time, charges []Charge) (o Outcome, refused bool) {
	t := m.since(now)
	var h held
	m.lock(&h, charges, t)
	defer h.unlock()
	for i, c := range charges {
		w := h.windows[i]
		if w.ask != 0 && w.ask > t {
			o.add(Decision{
				Rule: c.Rule, Limit: c.Rule.Limit,
				RetryAfter: time.Duration(w.blocked - t), Reset: now.Add(c.Rule.Window),
			})
			continue
		}
		if w.expire(t, int64(c.Rule.Window)); int(w.sum) >= c.Rule.Limit {
			return Outcome{}, false
		}
	}
	return o, o.n > 0
}

func (m *Memory) since(now time.Time) int64 { return int64(now.Sub(m.epoch)) }

// held is a set of locked shards and the windows the charges found there, in the order of the charges.
type held struct {
	shards  [MaxCharges]*shard
	windows [MaxCharges]*window
	n       int
}

// lock locks the shard of every charge, in the order of their tables, so that two requests cannot wait for each other.
// Each charge is of another rule (Storage demands it), so no shard is met twice.
func (m *Memory) lock(h *held, charges []Charge, now int64) {
	var tables [MaxCharges]*table
	var order [MaxCharges]int
	for i, c := range charges {
		tables[i] = m.table(c.Rule.Name)
		j := i
		for ; j > 0 && tables[order[j-1]].order > tables[i].order; j-- {
			order[j] = order[j-1]
		}
		order[j] = i
	}
	h.n = len(charges)
	for _, i := range order[:h.n] {
		c, t := &charges[i], tables[i]
		s := &t.shards[maphash.String(m.seed, c.Client)&uint64(len(t.shards)-1)]
		s.mu.Lock()
		h.shards[i] = s
		h.windows[i] = s.find(c, now, t.room)
	}
}

func (h *held) unlock() {
	for _, s := range h.shards[:h.n] {
		s.mu.Unlock()
	}
}

func (m *Memory) table(rule string) *table {
	if t := (*m.tables.Load())[rule]; t != nil {
		return t
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := *m.tables.Load()
	if t := now[rule]; t != nil {
		return t
	}
	shards := 1
	for shards < maxShards && m.maxClients/(2*shards) >= shardAtMin {
		shards *= 2
	}
	t := &table{order: len(now), shards: make([]shard, shards), room: max(1, m.maxClients/shards)}
	next := maps.Clone(now)
	next[rule] = t
	m.tables.Store(&next)
	return t
}

// find returns the window of a client, making one if need be.
func (s *shard) find(c *Charge, now int64, room int) *window {
	length := int64(c.Rule.Window)
	s.turn(now, length)
	if w := s.young[c.Client]; w != nil {
		return w
	}
	w := s.old[c.Client]
	switch {
	case w != nil:
		delete(s.old, c.Client)
	case len(s.young)+len(s.old) < room || s.makeRoom(now, length, c.Rule.Limit):
		w = new(window)
	default:
		s.crowded++
		return &s.crowd
	}
	if s.young == nil {
		s.young = make(map[string]*window)
	}
	s.young[c.Client] = w
	return w
}

// turn drops generations that have expired. A window's last admission may be recorded up to a microsecond late, so
// generations last that much longer.
func (s *shard) turn(now, length int64) {
	length += 1000
	switch age := now - s.turned; {
	case age < length:
	case age < 2*length:
		s.young, s.old, s.turned = nil, s.young, now
	default: // nobody came for a whole window: the young have expired too
		s.young, s.old, s.turned = nil, nil, now
	}
}

// makeRoom forgets clients until one place is free, and reports whether it could: expired ones of a random sample, else the one with
// the fewest remembered requests, if that is at most half the limit. The old generation comes first: it was seen longest ago.
func (s *shard) makeRoom(now, length int64, limit int) bool {
	for _, clients := range []map[string]*window{s.old, s.young} {
		var victim string
		least, looked, freed := limit/2+1, 0, false
		for client, w := range clients {
			w.expire(now, length)
			if w.sum == 0 && w.blocked <= now {
				delete(clients, client)
				freed = true
			} else if int(w.sum) < least && w.blocked <= now {
				victim, least = client, int(w.sum)
			}
			if looked++; looked == evictSample {
				break
			}
		}
		if freed {
			return true
		}
		if least <= limit/2 {
			delete(clients, victim)
			s.evicted++
			return true
		}
	}
	return false
}

// Run implements Storage: Memory has no background work.
func (m *Memory) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close implements Storage: there is nothing to release.
func (m *Memory) Close() error { return nil }

// Stats implements Storage. It locks the shards one after another.
func (m *Memory) Stats() StorageStats {
	st := StorageStats{Kind: "memory", Up: true, MaxClients: m.maxClients, Clients: map[string]int{}}
	for name, t := range *m.tables.Load() {
		for i := range t.shards {
			s := &t.shards[i]
			s.mu.Lock()
			st.Clients[name] += len(s.young) + len(s.old)
			st.Evicted += s.evicted
			st.Crowded += s.crowded
			s.mu.Unlock()
		}
	}
	return st
}
