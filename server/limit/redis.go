package limit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

//go:embed take.lua
var takeScript string

// Defaults of RedisConfig.
const (
	DefaultRedisTimeout = 50 * time.Millisecond
	DefaultRedisProbe   = time.Second
	DefaultRedisPrefix  = "{tomehub}:limit:1:"
)

// redisConns bounds the connections of one replica. At 0.2 ms a request, 64 carry 300,000 requests a second.
const redisConns = 64

// RedisConfig says where the shared windows are.
type RedisConfig struct {
	URL     string // redis://, rediss:// or unix://, with a password if need be: never logged, never in an error
	Setting string // the setting that holds URL, named in errors, e.g. "LIMIT_STORAGE"
	// Prefix of all keys; "" means DefaultRedisPrefix. Its braces keep the keys of one request in one slot.
	Prefix  string
	Timeout time.Duration // longest wait for Redis in one request; 0 means DefaultRedisTimeout
	Probe   time.Duration // how often a lost Redis is tried again; 0 means DefaultRedisProbe
	Local   *Memory       // decides while Redis is lost, and records what this replica admits
	Logger  *slog.Logger
}

// Redis shares windows between replicas on one Redis server, version 5 or later (a script may read the server's clock and
// then write), or anything that speaks its protocol and has Lua scripts with cmsgpack. Create it with NewRedis; Run finds the
// way back after an outage.
//
// While Redis answers, it alone decides. Its refusals are repeated for up to a second without asking again, so that a
// client's flood ends here; Retry-After is exact but for another rule running out on other replicas within that second.
//
// A key takes at most about 1.3 KB and lives one window after the client's last admitted request.
type Redis struct {
	cfg    RedisConfig
	client *redis.Client
	script *redis.Script
	// clock replaces Redis's own clock where a test replays arrivals, and is nil otherwise.
	clock func(now time.Time) int64

	down       atomic.Bool
	generation atomic.Int64 // counts losses and recoveries: an answer from before one says nothing about the time after it
	back       atomic.Int64 // when Redis last came back, on Local's clock; 0 if it was never lost
	lost       chan struct{}

	mu        sync.Mutex // guards since and before
	since     time.Time  // when the present outage began
	before    int64      // fallbacks when it began
	outages   atomic.Int64
	fallbacks atomic.Int64
	repeated  atomic.Int64
}

// silence turns off go-redis's own log, which is global to the process and writes a line for every failed dial: during
// an outage, a flood. Redis logs an outage itself, once.
var silence = sync.OnceFunc(logging.Disable)

// NewRedis checks the configuration, reporting every fault at once. It does not connect: a server starts with Redis down.
func NewRedis(cfg RedisConfig) (*Redis, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultRedisTimeout
	}
	if cfg.Probe == 0 {
		cfg.Probe = DefaultRedisProbe
	}
	if cfg.Prefix == "" {
		cfg.Prefix = DefaultRedisPrefix
	}
	var faults []error
	opt, err := redis.ParseURL(cfg.URL)
	if err != nil { // the error may quote the URL, and with it the password
		faults = append(faults, fmt.Errorf("check rate limit storage: %s: want redis://host:port/number, rediss:// or unix://path", cfg.Setting))
	}
	if cfg.Local == nil || cfg.Logger == nil {
		faults = append(faults, errors.New("check rate limit storage: redis needs a local memory and a logger"))
	}
	if cfg.Timeout < 0 || cfg.Probe < 0 {
		faults = append(faults, fmt.Errorf("check rate limit storage: timeout %v, probe %v: want above 0", cfg.Timeout, cfg.Probe))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	silence()
	return &Redis{
		cfg:    cfg,
		client: redis.NewClient(bounded(opt, cfg.Timeout)),
		script: redis.NewScript(takeScript),
		lost:   make(chan struct{}, 1),
	}, nil
}

// bounded sets what makes a hung or absent Redis cost one timeout and no more. go-redis's defaults retry three times,
// dial five times and wait 5 s for an answer: 1.7 s when refused, 5 s when hung.
func bounded(opt *redis.Options, timeout time.Duration) *redis.Options {
	opt.ContextTimeoutEnabled = true
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = timeout, timeout, timeout, timeout
	opt.PoolSize, opt.MaxActiveConns = redisConns, redisConns
	opt.PipelinePoolSize = -1
	opt.ReadBufferSize, opt.WriteBufferSize = 4<<10, 4<<10
	// Fewer round trips while connecting, all of which count against the timeout.
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opt
}

// Take implements Storage. It waits at most Timeout, also when ctx would allow
// more or has ended: a client that leaves must not break a pooled connection, or leaving would be a way to cause outages.
func (r *Redis) Take(ctx context.Context, now time.Time, charges []Charge) Outcome {
	if o, refused := r.cfg.Local.repeat(now, charges); refused {
		r.repeated.Add(1)
		return o
	}
	if r.down.Load() {
		return r.fallBack(ctx, now, charges)
	}
	generation := r.generation.Load()
	var own Outcome
	recent := r.recentlyLost(now, charges)
	if recent {
		// Redis does not know what was admitted without it. The own record does, so both must agree.
		if own = r.cfg.Local.Take(ctx, now, charges); !own.Allowed {
			return own
		}
	}
	begin := time.Now()
	o, err := r.ask(ctx, now, charges)
	switch {
	case err != nil:
		r.lose(generation, err)
		if !recent {
			return r.fallBack(ctx, now, charges)
		}
		r.fallbacks.Add(1)
		own.Local = true
		return own
	case !o.Allowed:
		if recent {
			r.cfg.Local.undo(now, charges)
		}
		r.cfg.Local.block(now, charges, o.Decisions())
	case !recent:
		r.cfg.Local.record(now.Add(time.Since(begin)), charges)
	}
	return o
}

func (r *Redis) fallBack(ctx context.Context, now time.Time, charges []Charge) Outcome {
	r.fallbacks.Add(1)
	o := r.cfg.Local.Take(ctx, now, charges)
	o.Local = true
	return o
}

// recentlyLost reports whether admissions from an outage may still count in a window of these charges.
func (r *Redis) recentlyLost(now time.Time, charges []Charge) bool {
	back := r.back.Load()
	if back == 0 {
		return false
	}
	for _, c := range charges {
		if r.cfg.Local.since(now)-back < int64(c.Rule.Window) {
			return true
		}
	}
	return false
}

// ask runs the script.
func (r *Redis) ask(ctx context.Context, now time.Time, charges []Charge) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Timeout)
	defer cancel()
	keys := make([]string, 0, MaxCharges)
	args := make([]any, 1, 1+3*MaxCharges)
	args[0] = int64(0)
	if r.clock != nil {
		args[0] = r.clock(now)
	}
	for _, c := range charges {
		length := (c.Rule.Window + time.Microsecond - 1).Microseconds()
		keys = append(keys, r.cfg.Prefix+c.Rule.Name+":"+c.Client)
		args = append(args, int64(c.Rule.Limit), length, pieceOf(c.Rule.Limit, length))
	}
	reply, err := r.script.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return Outcome{}, fmt.Errorf("take from shared rate limits: %w", err)
	}
	if len(reply) != 1+4*len(charges) {
		return Outcome{}, fmt.Errorf("take from shared rate limits: %d numbers in the answer, want %d", len(reply), 1+4*len(charges))
	}
	o := Outcome{Allowed: reply[0] == 1}
	for i, c := range charges {
		v := reply[1+4*i:]
		o.add(Decision{
			Rule: c.Rule, Allowed: v[0] == 1, Limit: c.Rule.Limit, Remaining: int(v[1]),
			RetryAfter: time.Duration(v[2]) * time.Microsecond,
			Reset:      now.Add(time.Duration(v[3]) * time.Microsecond),
		})
	}
	return o, nil
}

// lose begins an outage, unless the failed request began before the last loss or recovery.
func (r *Redis) lose(generation int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.generation.Load() != generation {
		return
	}
	r.generation.Add(1)
	r.since, r.before = time.Now(), r.fallbacks.Load()
	r.outages.Add(1)
	r.down.Store(true)
	r.cfg.Logger.Warn("rate limits are local until redis answers again",
		"addr", r.client.Options().Addr, "setting", r.cfg.Setting, "error", err)
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// find ends the outage.
func (r *Redis) find() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.generation.Add(1)
	now := time.Now()
	r.back.Store(r.cfg.Local.since(now))
	r.down.Store(false)
	r.cfg.Logger.Info("rate limits are shared again", "addr", r.client.Options().Addr,
		"local_requests", r.fallbacks.Load()-r.before, "outage_ms", now.Sub(r.since).Milliseconds())
}

// Run asks Redis once, so that an absent one costs no request anything, then waits for an outage, and during one tries
// each Probe interval to find the way back. It returns nil when ctx ends; without it an outage lasts for ever.
func (r *Redis) Run(ctx context.Context) error {
	generation := r.generation.Load()
	if err := r.probe(ctx); err != nil && ctx.Err() == nil {
		r.lose(generation, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.lost:
		}
		for r.down.Load() {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(r.cfg.Probe):
			}
			if r.probe(ctx) == nil {
				r.find()
			}
		}
	}
}

// probe runs the script as a request does: a server that answers a PING may still refuse scripts or writes.
func (r *Redis) probe(ctx context.Context) error {
	probe := Rule{Name: "probe", Limit: maxLimit, Window: minWindow}
	_, err := r.ask(ctx, time.Now(), []Charge{{Rule: probe}})
	return err
}

// Close implements Storage.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close shared rate limits: %w", err)
	}
	return nil
}

// Stats implements Storage.
func (r *Redis) Stats() StorageStats {
	st := r.cfg.Local.Stats()
	st.Kind, st.Up = "redis", !r.down.Load()
	st.Outages, st.Fallbacks, st.Remembered = r.outages.Load(), r.fallbacks.Load(), r.repeated.Load()
	return st
}
