package library

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig says where a second level is kept.
type RedisConfig struct {
	URL string // redis://[user:password@]host:port/db, or rediss:// with TLS; never shown
	// Namespace keeps libraries apart that share a Redis: replicas of one library
	// name the same, everybody else another.
	Namespace string
	// Timeout bounds each call, from taking a connection to the last byte. Default 50 ms.
	Timeout time.Duration
	Logger  *slog.Logger // nil discards
}

const (
	defaultRedisTimeout = 50 * time.Millisecond
	// redisPause is how long a Redis that failed is left alone, so that a dead one
	// costs one call per second and not one per search.
	redisPause = time.Second
	// redisMaxValue bounds what is sent: a page of 1,000 matches with details has
	// about 1.5 MB, more than is worth the way.
	redisMaxValue = 2 << 20
	redisPoolSize = 16
)

// Redis is a SecondLevel. Its calls take at most RedisConfig.Timeout each; after
// a failure it is asked at most once per second until it answers again.
type Redis struct {
	client  *redis.Client
	prefix  string
	timeout time.Duration
	log     *slog.Logger
	// retryAt is 0 while Redis is up, else when the next call may try it, in Unix nanoseconds.
	retryAt atomic.Int64

	hits, misses, stores, failed, skipped, tooLong atomic.Int64
}

// OpenRedis returns a second level on cfg.URL. It connects on first use: a Redis
// that is down does not keep a server from starting. An error names no part of
// the URL, which may hold a password.
func OpenRedis(cfg RedisConfig) (*Redis, error) {
	opt, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, errors.New("open second cache level: its URL must have the form redis://[user:password@]host:port/db")
	}
	if cfg.Namespace == "" {
		return nil, errors.New("open second cache level: the namespace must not be empty")
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("open second cache level: the timeout is %v, but must not be negative", cfg.Timeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultRedisTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	// The client's own patience is 1.7 s with a Redis that refuses and 5 s with one
	// that hangs; a cache that is slower than the database is none.
	opt.ContextTimeoutEnabled = true
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
	opt.PoolSize = redisPoolSize
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	quietRedis()
	return &Redis{client: redis.NewClient(opt), prefix: "tomehub:" + cfg.Namespace + ":", timeout: cfg.Timeout, log: cfg.Logger}, nil
}

// quietRedis keeps the client library from writing to stderr, past slog and in a
// form of its own, each time it cannot connect: broke says it once. The library
// has one logger for all clients of a process.
var quietRedis = sync.OnceFunc(func() { redis.SetLogger(noLog{}) })

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// Get returns the value under name. Trouble counts as a miss.
func (r *Redis) Get(ctx context.Context, name string) ([]byte, bool) {
	if !r.mayTry() {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	value, err := r.client.Get(ctx, r.prefix+name).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		r.worked()
		r.misses.Add(1)
		return nil, false
	case err != nil:
		r.broke(ctx, err)
		return nil, false
	}
	r.worked()
	r.hits.Add(1)
	return value, true
}

// Set keeps value under name for ttl, unless there is trouble or it is too long.
func (r *Redis) Set(ctx context.Context, name string, value []byte, ttl time.Duration) {
	if len(value) > redisMaxValue {
		r.tooLong.Add(1)
		return
	}
	if !r.mayTry() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if err := r.client.Set(ctx, r.prefix+name, value, ttl).Err(); err != nil {
		r.broke(ctx, err)
		return
	}
	r.worked()
	r.stores.Add(1)
}

// mayTry is true while Redis is up, and for one caller per pause while it is not.
func (r *Redis) mayTry() bool {
	at := r.retryAt.Load()
	if at == 0 {
		return true
	}
	now := time.Now().UnixNano()
	if now >= at && r.retryAt.CompareAndSwap(at, now+int64(redisPause)) {
		return true
	}
	r.skipped.Add(1)
	return false
}

func (r *Redis) worked() {
	if r.retryAt.Load() != 0 && r.retryAt.Swap(0) != 0 {
		r.log.Info("second cache level answers again")
	}
}

// broke begins a pause, and logs the first failure of an outage only.
func (r *Redis) broke(ctx context.Context, err error) {
	r.failed.Add(1)
	if r.retryAt.Swap(time.Now().Add(redisPause).UnixNano()) == 0 {
		r.log.WarnContext(ctx, "second cache level fails", "bound_ms", r.timeout.Milliseconds(), "retry_ms", redisPause.Milliseconds(), "error", err)
	}
}

// Stats returns the lifetime counts.
func (r *Redis) Stats() SecondLevelStats {
	return SecondLevelStats{
		Up: r.retryAt.Load() == 0, Hits: r.hits.Load(), Misses: r.misses.Load(), Stores: r.stores.Load(),
		Failed: r.failed.Load(), Skipped: r.skipped.Load(), TooLong: r.tooLong.Load(),
	}
}

// Close closes the connections.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close second cache level: %w", err)
	}
	return nil
}
