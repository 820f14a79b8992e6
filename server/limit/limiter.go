package limit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// MaxCharges is the most rules one request can be charged to.
const MaxCharges = 4

// Bounds of a rule, checked by New. The window's upper bound keeps a bucket's span within 32 bits of microseconds.
const (
	maxLimit  = 10_000_000
	minWindow = time.Second
	maxWindow = 24 * time.Hour
)

// maxClientKey bounds the bytes a client's name takes in a table; longer names are replaced by their SHA-256.
const maxClientKey = 128

// Rule is one limit: at most Limit requests of a client in any Window.
type Rule struct {
	Name    string        // in header fields, Redis keys and stats: a-z, 0-9, "_" and "-", at most 32 bytes
	Limit   int           // requests per Window, at most 10,000,000; 0 turns the rule off
	Window  time.Duration // 1 s to 24 h
	Setting string        // the setting that moves the limit, e.g. "RATE_LIMIT_SEARCH": named in refusals
}

// Charge is one request on the account of one client under one rule.
type Charge struct {
	Rule   Rule
	Client string // from ClientKey or UserKey; "" is a client like any other (a server-wide total has only that one)
}

// Decision is what one rule says about a request.
type Decision struct {
	Rule       Rule
	Allowed    bool          // this rule has room; the request is admitted only if every rule has
	Limit      int           // requests per window
	Remaining  int           // requests the client may still make now, after this one
	Reset      time.Time     // when the whole limit is available again if the client makes no further request
	RetryAfter time.Duration // how long until this rule has room for one more request; 0 when it has already
}

// Outcome is the answer to one request. The zero Outcome refuses.
type Outcome struct {
	Allowed   bool
	Local     bool // decided by this replica alone, because the shared storage could not be asked
	decisions [MaxCharges]Decision
	n         int
}

// Decisions returns one decision per rule that is on, in the order of the charges. A refusal that was remembered from
// an earlier one holds the refusing rule alone. It is empty when every rule is off.
func (o *Outcome) Decisions() []Decision { return o.decisions[:o.n] }

// Refusal returns the decision to tell the client of: of the rules that refused, the one with the longest wait. ok is
// false when the request was admitted.
func (o *Outcome) Refusal() (d Decision, ok bool) {
	if o.Allowed {
		return Decision{}, false
	}
	worst, ok := refusal(o.Decisions())
	if !ok {
		return Decision{}, false
	}
	return *worst, true
}

func refusal(decisions []Decision) (worst *Decision, ok bool) {
	for i := range decisions {
		if d := &decisions[i]; !d.Allowed && (!ok || d.RetryAfter > worst.RetryAfter) {
			worst, ok = d, true
		}
	}
	return worst, ok
}

func (o *Outcome) add(d Decision) {
	o.decisions[o.n] = d
	o.n++
}

// Storage keeps the windows. Take never fails: storage that cannot be reached decides from what the process knows.
type Storage interface {
	// Take admits the request and charges it to every rule, or refuses it and charges none. It is given at most
	// MaxCharges charges, each of another rule with a Limit above 0. It waits 50 ms at most, whatever ctx says.
	Take(ctx context.Context, now time.Time, charges []Charge) Outcome
	// Run does the storage's background work and returns nil when ctx ends.
	Run(ctx context.Context) error
	// Close releases connections. Requests taken afterwards are decided locally.
	Close() error
	Stats() StorageStats
}

// Config is what a Limiter is made of.
type Config struct {
	Rules   []Rule // every rule that will be charged
	Storage Storage
}

// Limiter admits or refuses requests. It is safe for concurrent use.
type Limiter struct {
	storage Storage
	rules   []Rule
	allowed atomic.Int64
	decided []ruleCounts // by rule; the list itself never changes after New
}

// ruleCounts are the requests that one rule was asked about. One that another rule refused is in
// neither count of this one.
type ruleCounts struct {
	name             string
	allowed, refused atomic.Int64
}

// counts returns those of the rule of that name, or nil. The rules are so few that a list is
// faster than a map, which matters because every request comes by here.
func (l *Limiter) counts(name string) *ruleCounts {
	for i := range l.decided {
		if l.decided[i].name == name {
			return &l.decided[i]
		}
	}
	return nil
}

// New checks the rules, reporting every fault at once.
func New(cfg Config) (*Limiter, error) {
	var faults []error
	if cfg.Storage == nil {
		faults = append(faults, errors.New("check rate limits: no storage given"))
	}
	l := &Limiter{storage: cfg.Storage, rules: cfg.Rules, decided: make([]ruleCounts, len(cfg.Rules))}
	for i, r := range cfg.Rules {
		faults = append(faults, r.validate())
		if l.counts(r.Name) != nil && r.Name != "" {
			faults = append(faults, fmt.Errorf("check rate limits: two rules are named %q", r.Name))
		}
		l.decided[i].name = r.Name
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return l, nil
}

func (r Rule) validate() error {
	var faults []error
	if !validName(r.Name) {
		faults = append(faults, fmt.Errorf("check rate limit: name %q: want 1 to 32 of a-z, 0-9, _ and -", r.Name))
	}
	if r.Limit < 0 || r.Limit > maxLimit {
		faults = append(faults, fmt.Errorf("check rate limit %s: %s is %d: want 0 (off) to %d requests", r.Name, r.Setting, r.Limit, maxLimit))
	}
	if r.Limit != 0 && (r.Window < minWindow || r.Window > maxWindow) {
		faults = append(faults, fmt.Errorf("check rate limit %s: window is %v: want %v to %v", r.Name, r.Window, minWindow, maxWindow))
	}
	return errors.Join(faults...)
}

// validName keeps names within what a structured header string (RFC 9651) and a Redis key can hold unescaped.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// Allow charges one request to every rule given, or to none: if any rule has no room, the request is refused and no
// budget is spent, in one atomic step. Rules with Limit 0 are left out; with none left the request is admitted.
//
// A server that must refuse a flood before it knows the user calls Allow twice: with the client's address first, with
// the user after identification. The first charge then stands even if the second refuses, which is fair, since the
// identification was paid for.
//
// Each rule may be charged once per call, and at most MaxCharges of them: more is a fault of the program and panics.
func (l *Limiter) Allow(ctx context.Context, charges ...Charge) Outcome {
	var on [MaxCharges]Charge
	n := 0
	for _, c := range charges {
		if c.Rule.Limit <= 0 {
			continue
		}
		if n == MaxCharges {
			panic(fmt.Sprintf("limit: %d rules charged at once, at most %d can be", len(charges), MaxCharges))
		}
		for _, earlier := range on[:n] {
			if earlier.Rule.Name == c.Rule.Name {
				panic(fmt.Sprintf("limit: rule %q charged twice for one request", c.Rule.Name))
			}
		}
		c.Client = boundedKey(c.Client)
		on[n] = c
		n++
	}
	if n == 0 {
		l.allowed.Add(1)
		return Outcome{Allowed: true}
	}
	o := l.take(ctx, on[:n])
	l.count(&o)
	return o
}

// take calls Memory directly, so that the charges stay on the stack: a quarter of the cost of a request.
func (l *Limiter) take(ctx context.Context, charges []Charge) Outcome {
	if m, ok := l.storage.(*Memory); ok {
		return m.Take(ctx, time.Now(), charges)
	}
	return l.storage.Take(ctx, time.Now(), slices.Clone(charges))
}

func (l *Limiter) count(o *Outcome) {
	if o.Allowed {
		l.allowed.Add(1)
	}
	for i := range o.n {
		d := &o.decisions[i]
		c := l.counts(d.Rule.Name)
		switch {
		case c == nil:
		case o.Allowed:
			c.allowed.Add(1)
		case !d.Allowed:
			c.refused.Add(1)
		}
	}
}

func boundedKey(client string) string {
	if len(client) <= maxClientKey {
		return client
	}
	sum := sha256.Sum256([]byte(client))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Run does the storage's background work (finding the way back to Redis) and returns nil when ctx ends.
func (l *Limiter) Run(ctx context.Context) error { return l.storage.Run(ctx) }

// Close releases the storage's connections. Call it when no more requests are admitted.
func (l *Limiter) Close() error { return l.storage.Close() }

// Stats are lifetime counters and present gauges.
type Stats struct {
	Allowed  int64            `json:"allowed"`
	Admitted map[string]int64 `json:"admitted"` // by rule: requests allowed that the rule was asked about
	Refused  map[string]int64 `json:"refused"`  // by rule; a request refused by two rules counts in both
	Storage  StorageStats     `json:"storage"`
}

// StorageStats are the counters and gauges of a Storage.
type StorageStats struct {
	Kind       string         `json:"kind"`        // "memory" or "redis"
	Clients    map[string]int `json:"clients"`     // by rule: clients this process holds, seen within the last two windows
	MaxClients int            `json:"max_clients"` // bound of each of them
	Evicted    int64          `json:"evicted"`     // clients forgotten early because their table was full
	Crowded    int64          `json:"crowded"`     // requests charged to a budget shared by newcomers to a full table
	Up         bool           `json:"up"`          // the shared storage answers (always true for memory)
	Outages    int64          `json:"outages"`     // times the shared storage was lost
	Fallbacks  int64          `json:"fallbacks"`   // requests decided locally during outages
	Remembered int64          `json:"remembered"`  // refusals answered without asking the shared storage again
}

// Stats returns the counters as they are now.
func (l *Limiter) Stats() Stats {
	s := Stats{Allowed: l.allowed.Load(), Admitted: make(map[string]int64, len(l.decided)), Refused: make(map[string]int64, len(l.decided)), Storage: l.storage.Stats()}
	for i := range l.decided {
		c := &l.decided[i]
		s.Admitted[c.name], s.Refused[c.name] = c.allowed.Load(), c.refused.Load()
	}
	return s
}
