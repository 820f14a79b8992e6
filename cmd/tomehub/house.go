package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/internal/supervisor"
	"github.com/tomehub/tomehub/server"
	"github.com/tomehub/tomehub/server/answer"
	"github.com/tomehub/tomehub/server/breaker"
	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/lab"
	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/library/demo"
	"github.com/tomehub/tomehub/server/limit"
	"github.com/tomehub/tomehub/server/memory"
	"github.com/tomehub/tomehub/server/store"
)

// A house is an open library: its pools, its store, and what works on them.
type house struct {
	pools    *pool.Pools
	store    houseStore
	library  *library.Library
	breaker  *breaker.Breaker // before the database; nil when there is none
	lab      *lab.Lab         // nil unless this is a server for load tests
	watchers                  // none where nobody serves
	limits   limit.Storage    // nil until newServer, as are the next two

	answers   *answer.Answerer
	answering *breaker.Breaker // before the API that writes answers; nil when there is none
}

// houseStore is what a store of either dialect offers beyond what the library asks of it.
type houseStore interface {
	library.Store
	Statements() []store.StatementStats
	Optimize(ctx context.Context) error
}

// libraryFile is the name of the embedded library within --data-dir.
const libraryFile = "library.sqlite"

// openHouse opens the library at DB_DSN or, without one, that of c.dataDir, which it makes when there is none.
func openHouse(ctx context.Context, c *serveSettings, w watchers, logger *slog.Logger) (*house, error) {
	h := &house{watchers: w}
	var err error
	if h.breaker, err = c.databaseBreaker(logger); err != nil {
		return nil, err
	}
	if h.lab, err = c.openLab(logger); err != nil {
		return nil, err
	}
	if err = h.openDatabase(ctx, c, logger); err != nil {
		return nil, errors.Join(err, h.close())
	}
	libraryCfg, err := c.libraryConfig(logger)
	if err == nil {
		libraryCfg.Crowded, libraryCfg.Traced = h.pools.Read().Crowded, h.tracer != nil
		if h.breaker != nil {
			libraryCfg.Condition = h.condition
		}
		h.library, err = library.New(libraryCfg, h.store)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// openDatabase opens the pools and the store on them, in the dialect that the settings ask for.
func (h *house) openDatabase(ctx context.Context, c *serveSettings, logger *slog.Logger) (err error) {
	cfg := c.poolConfig(filepath.Join(c.dataDir, libraryFile), logger)
	if h.breaker != nil {
		cfg.Guard = h.breaker
	}
	if h.lab != nil {
		cfg.Hold, cfg.Intercept = h.lab.Hold, h.lab.Intercept
	}
	opts := store.Options{Logger: logger, SlowQuery: c.slowQuery}
	h.watch(&cfg, &opts, c.dbDSN != "")
	if c.dbDSN != "" {
		if h.pools, err = pool.OpenOracle(ctx, cfg, c.oracle()); err != nil {
			return err
		}
		s, err := store.OpenOracle(ctx, h.pools, opts) // the schema is changed by 'tomehub migrate' alone
		if err == nil {
			h.store = s
		}
		return err
	}
	if err := os.MkdirAll(c.dataDir, 0o755); err != nil {
		return fmt.Errorf("make the library's directory (--data-dir): %w", err)
	}
	if h.pools, err = pool.OpenSQLite(ctx, cfg); err != nil {
		return err
	}
	embedded, err := store.OpenSQLite(ctx, h.pools, opts)
	if err == nil {
		h.store = embedded
	}
	return err
}

// newMetrics returns the metrics of a server with these settings, or nil where they are off.
func (c *serveSettings) newMetrics(restarts map[string]int64) (*server.Metrics, error) {
	if !c.metrics {
		return nil, nil
	}
	dialect, pools := "sqlite", []string{"read", "write"}
	if c.dbDSN != "" {
		dialect = "oracle"
	}
	if !c.poolSplit {
		pools = []string{"main"}
	}
	return server.NewMetrics(prometheus.NewRegistry(), server.MetricsConfig{
		Version: buildVersion(), Phase: c.phase, Statements: store.StatementNames(dialect), Pools: pools, Restarts: restarts,
	})
}

// close closes what is open, in the order opposite to opening.
func (h *house) close() error {
	var faults []error
	if h.answers != nil {
		h.answers.Close()
	}
	if h.limits != nil {
		faults = append(faults, h.limits.Close())
	}
	if h.library != nil {
		faults = append(faults, h.library.Close())
	}
	if h.pools != nil {
		faults = append(faults, h.pools.Close())
	}
	return errors.Join(faults...)
}

// oracle is the database that DB_DSN names.
func (c *serveSettings) oracle() pool.Oracle {
	return pool.Oracle{
		User: c.dbUser, Password: pool.Password(c.dbPassword.reveal()), DSN: c.dbDSN,
		TNSAdmin: c.tnsAdmin, Wallet: c.dbWallet, ConnectTimeout: c.connectTimeout,
		Kinds: pool.Kinds(max(0, slices.Index(requestKinds, c.requestKind))), // the profiler has no such setting: its sessions show its name
	}
}

// poolConfig names the settings, so that a refusal can say which one moves its bound.
func (c *serveSettings) poolConfig(file string, logger *slog.Logger) pool.Config {
	cfg := pool.Config{
		Path: file, Single: !c.poolSplit, Timeout: c.poolTimeout, Recycle: c.poolRecycle, Logger: logger,
		QueryTimeout: c.statement, QueryTimeoutSetting: "--statement-timeout",
		Read:  pool.Bounds{Min: c.readMin, Size: c.readSize, Queue: c.poolQueue, SizeSetting: "DB_POOL_READ_SIZE"},
		Write: pool.Bounds{Min: c.writeMin, Size: c.writeSize, Queue: c.poolQueue, SizeSetting: "DB_POOL_WRITE_SIZE"},
	}
	if cfg.Single {
		cfg.Read = pool.Bounds{Min: c.poolMin, Size: c.poolSize, Queue: c.poolQueue, SizeSetting: "DB_POOL_SIZE"}
	}
	cfg.Read.MaxWait, cfg.Read.MaxWaitSetting = c.poolShedWait, "DB_POOL_SHED_WAIT"
	if c.poolQueue > 0 {
		cfg.Read.QueueSetting, cfg.Write.QueueSetting = "DB_POOL_QUEUE", "DB_POOL_QUEUE"
	}
	return cfg
}

func (c *serveSettings) libraryConfig(logger *slog.Logger) (library.Config, error) {
	cfg := library.Config{
		Access:  library.TwoStatements,
		Degrade: c.degrade,
		// A load that others join is cut from its client's context; it may take as long as a request may.
		LoadTimeout: c.requestTimeout,
		Logger:      logger,
		Ingest:      library.IngestConfig{Slots: c.maxIngests, Setting: "--max-concurrent-ingests"},
		Cache: library.CacheConfig{
			Enabled: c.cache, MaxBytes: c.cacheBytes,
			ConceptsTTL: c.ttlConcepts, RelationsTTL: c.ttlConcepts, ContentTTL: c.ttlContent, DefaultTTL: c.ttlDefault,
			StaleFor: c.staleFor,
		},
	}
	if c.accessPath == "five" {
		cfg.Access = library.FiveStatements
	}
	cfg.Extract.MaxBytes = c.maxIngestBytes
	if c.cache && c.cacheStorage != memoryStorage {
		second, err := library.OpenRedis(library.RedisConfig{URL: c.cacheStorage, Namespace: c.cacheNamespace, Logger: logger})
		if err != nil {
			return cfg, fmt.Errorf("open the cache's second level (--cache-storage): %w", err)
		}
		cfg.Cache.SecondLevel = second
	}
	return cfg, nil
}

// serverConfig has the settings in it; the bounds that no setting moves are the server's own.
func (c *serveSettings) serverConfig() server.Config {
	cfg := server.DefaultConfig()
	cfg.Listen, cfg.AdminListen = c.listen, c.adminListen
	cfg.Version, cfg.Phase = buildVersion(), c.phase
	cfg.RequestTimeout = c.requestTimeout
	cfg.WriteTimeout = max(cfg.WriteTimeout, c.requestTimeout+25*time.Second)
	cfg.MaxConnections = c.maxConnections
	cfg.ReadyWithoutDatabase = c.cache && c.staleFor > 0
	cfg.MaxIngestBytes = c.maxIngestBytes
	cfg.StreamTimeout = c.streamTimeout
	cfg.Streams = server.StreamConfig{
		Slots: c.maxStreams, Queue: c.streamQueue, Wait: c.streamWait, PerUser: c.streamsPerUser, WriteTimeout: c.streamWriteTimeout,
	}
	cfg.RateLimits = server.RateLimits{Global: c.limitGlobal, Search: c.limitSearch, Ingest: c.limitIngest, Total: c.limitTotal}
	cfg.ShutdownDelay, cfg.DrainGrace, cfg.DrainTimeout = c.shutdownDelay, c.drainGrace, c.drainTime
	cfg.SearchPage = c.searchPage
	cfg.CORSOrigins, cfg.AccessLog, cfg.SlowRequest = c.corsOrigins, c.accessLog, c.slowRequest
	return cfg
}

func (c *serveSettings) answerConfig(logger *slog.Logger) answer.Config {
	return answer.Config{Logger: logger, Chat: answer.Chat{
		URL: c.answerURL, Model: c.answerModel, APIKey: answer.Key(c.answerKey.reveal()),
		Timeout: c.answerTimeout, IdleTimeout: c.answerIdle, Slots: c.answerSlots, MaxTokens: c.answerTokens,
	}}
}

// verifier tells who callers are, as --auth says.
func (c *serveSettings) verifier(logger *slog.Logger) (identity.Verifier, error) {
	if c.auth == "off" {
		return identity.Off{}, nil
	}
	return identity.NewFirebase(identity.FirebaseConfig{
		Project: c.firebaseProject, KeyURL: c.firebaseKeys, Client: new(http.Client), Skew: c.clockSkew,
		Emulator: c.auth == "firebase-emulator", Logger: logger,
	})
}

// newServer puts the server before the house. It closes ready once the server answers.
func (h *house) newServer(a *app, c *serveSettings, k keeper, logger *slog.Logger, ready chan<- struct{}) (*server.Server, error) {
	cfg := c.serverConfig()
	var err error
	if cfg.TrustedProxies, err = c.proxies(); err != nil {
		return nil, err
	}
	verifier, err := c.verifier(logger)
	if err != nil {
		return nil, err
	}
	if err := h.openAnswers(c, logger); err != nil {
		return nil, err
	}
	deps := server.Deps{
		Library: h.library, Answerer: h.answers, Identity: verifier, Logger: logger, Level: &a.level,
		Pools: h.pools.Stats, Statements: h.store.Statements,
		Cache: h.library.CacheStats, Breakers: h.breakers, Metrics: h.metrics, Tracer: h.tracer, Lab: h.lab, Restarts: k.restarts,
		Listener: k.public, AdminListener: k.admin, Succession: k.supervised,
		Ready: func(public, admin net.Addr) {
			a.announce(c, k, logger, public, admin)
			k.say(supervisor.Ready+"\nSTATUS=Serving on "+public.String(), logger)
			close(ready)
		},
		Leaving: func() { k.say(supervisor.Stopping+"\nSTATUS=Finishing the last requests", logger) },
	}
	if c.memoryMonitor {
		if deps.Memory, err = memory.New(c.memoryConfig(k.alone), memoryReader(h.lab), logger); err != nil {
			return nil, err
		}
	}
	if c.limitStorage != memoryStorage {
		if h.limits, err = limit.NewRedis(limit.RedisConfig{URL: c.limitStorage, Logger: logger}); err != nil {
			return nil, fmt.Errorf("open the limits' storage (--limit-storage): %w", err)
		}
		deps.LimitStorage = h.limits
	}
	return server.New(cfg, deps)
}

// condition is how the breaker sees the database.
func (h *house) condition() library.Condition {
	switch h.breaker.State() {
	case breaker.Open:
		return library.Down
	case breaker.HalfOpen:
		return library.Doubtful
	}
	return library.Sound
}

// breakers are the states of all circuit breakers.
func (h *house) breakers() []breaker.Stats {
	list := []breaker.Stats{}
	if h.breaker != nil {
		list = append(list, h.breaker.Stats())
	}
	if b := h.answering; b != nil {
		list = append(list, b.Stats())
	}
	return list
}

// openAnswers makes what answers. Without an API there is nothing that a breaker could break.
func (h *house) openAnswers(c *serveSettings, logger *slog.Logger) (err error) {
	cfg := c.answerConfig(logger)
	if cfg.Chat.URL != "" {
		if h.answering, err = c.answerBreaker(logger); err != nil {
			return err
		}
		cfg.Chat.Breaker = h.answering
	}
	h.answers, err = answer.New(cfg)
	return err
}

// fillDemo fills an empty library with what is the same on every machine; one that holds
// anything is left as it is.
func (h *house) fillDemo(ctx context.Context, logger *slog.Logger) error {
	books, _, err := h.library.Totals(ctx, store.Scope{})
	if err != nil || books > 0 {
		return err
	}
	logger.Info("filling the demo library", "books", demo.DefaultBooks)
	started := time.Now()
	for b := range demo.Books(demo.DefaultSeed, demo.DefaultBooks, demo.DefaultPassages) {
		doc := library.Document{Title: b.Title, Author: b.Author, Body: strings.NewReader(b.Text)}
		if _, err := h.library.Ingest(ctx, "", doc); err != nil {
			return fmt.Errorf("fill the demo library: %w", err)
		}
	}
	if err := h.store.Optimize(ctx); err != nil {
		return fmt.Errorf("fill the demo library: %w", err)
	}
	books, passages, err := h.library.Totals(ctx, store.Scope{})
	logger.Info("demo library filled", "books", books, "passages", passages, "elapsed_ms", time.Since(started).Milliseconds())
	return err
}
