package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/server/identity"
	"github.com/tomehub/tomehub/server/limit"
	"github.com/tomehub/tomehub/server/memory"
)

// serveSettings are the settings of `tomehub serve`. The names in capitals are the plan's.
type serveSettings struct {
	phase       string
	listen      string
	adminListen string
	dataDir     string
	readyFile   string
	demo        bool

	dbUser, dbDSN                        string
	dbPassword                           secret
	tnsAdmin, dbWallet, requestKind      string
	connectTimeout                       time.Duration
	poolSplit                            bool
	poolSize, poolMin                    int
	readSize, readMin, writeSize         int
	writeMin, poolQueue                  int
	poolTimeout, poolRecycle, statement  time.Duration
	poolShedWait                         time.Duration
	slowQuery                            time.Duration
	accessPath                           string
	cache                                bool
	cacheBytes                           int64
	ttlConcepts, ttlContent, ttlDefault  time.Duration
	cacheStorage, cacheNamespace         string
	limitGlobal, limitSearch             int
	limitIngest, limitTotal              int
	limitStorage                         string
	maxStreams, streamQueue              int
	streamsPerUser                       int
	streamWait, streamWriteTimeout       time.Duration
	streamTimeout                        time.Duration
	answerURL, answerModel               string
	answerKey                            secret
	answerTimeout, answerIdle            time.Duration
	answerSlots, answerTokens            int
	auth                                 string
	insecureNoAuth                       bool
	firebaseProject, firebaseKeys        string
	clockSkew                            time.Duration
	trustedProxies, corsOrigins          []string
	maxIngestBytes                       int64
	maxIngests                           int
	shutdownDelay, drainGrace, drainTime time.Duration
	requestTimeout, slowRequest          time.Duration
	maxConnections                       int
	searchPage, accessLog, metrics       bool
	supervise                            bool
	superviseFailures                    int
	superviseReady, superviseWell        time.Duration
	superviseWatchdog                    time.Duration
	memoryMonitor, memoryRestart         bool
	memoryInterval                       time.Duration
	memoryWarning, memoryCritical        float64
	memoryLimitRatio                     float64

	breakerSettings
	labSettings
	traces traceSettings
}

// requestKinds are the ways to show kinds, in the order of pool.Kinds.
var requestKinds = []string{"off", "free", "always"}

// memoryStorage counts and caches in this process alone.
const memoryStorage = "memory://"

const (
	minute = time.Minute
	hour   = time.Hour
	day    = 24 * time.Hour
)

// register makes every setting, with its default: the values of phase D.
func (c *serveSettings) register(s *settings) {
	c.phase = "D"
	s.add(choiceValue{&c.phase, phases}, "phase", "TOMEHUB_PHASE", "preset: a phase of the plan; every other setting overrides it")
	c.listen, c.adminListen = "127.0.0.1:5001", "127.0.0.1:5002"
	s.add(textValue{&c.listen}, "listen", "TOMEHUB_LISTEN", "address of the API; port 0 takes a free one")
	s.add(textValue{&c.adminListen}, "admin-listen", "TOMEHUB_ADMIN_LISTEN", "address of the operator's listener (metrics, statements, pprof, log level); keep it private")
	s.add(boolValue{&c.demo}, "demo", "TOMEHUB_DEMO", "fill an empty library with about 100 generated books")
	s.add(textValue{&c.readyFile}, "ready-file", "TOMEHUB_READY_FILE", "file to write the real addresses to, as JSON, once the server answers")
	c.registerLibrary(s)
	c.registerCache(s)
	c.breakerSettings.register(s)
	c.registerLimits(s)
	c.registerAnswers(s)
	c.registerIdentity(s)
	c.registerLife(s)
	c.registerSupervisor(s)
	c.registerMemory(s)
	c.labSettings.register(s)
	c.traces.register(s)
}

// registerLibrary makes the settings of opening a library, which `tomehub ingest` has too.
func (c *serveSettings) registerLibrary(s *settings) {
	c.dataDir = "./tomehub-data"
	s.add(textValue{&c.dataDir}, "data-dir", "TOMEHUB_DATA_DIR", "directory of the embedded library")
	c.registerDatabase(s)
	c.maxIngestBytes = 50 << 20
	s.add(bytesValue{&c.maxIngestBytes, 1 << 10, 1 << 30}, "max-ingest-size", "TOMEHUB_MAX_INGEST_SIZE", "largest book accepted")
}

func (c *serveSettings) registerDatabase(s *settings) {
	c.registerOracle(s, "empty is the embedded library")
	c.registerPools(s)
}

// registerOracle makes the settings of reaching an Oracle database, which `tomehub profile` has too. without says what an
// empty DB_DSN means.
func (c *serveSettings) registerOracle(s *settings, without string) {
	s.add(textValue{&c.dbUser}, "db-user", "DB_USER", "user of the Oracle database; the embedded library has none")
	s.addSecret(&c.dbPassword, "DB_PASSWORD", "password of the Oracle database; the embedded library has none")
	s.add(dsnValue{&c.dbDSN}, "db-dsn", "DB_DSN", "address of the Oracle database: host:port/service, a (DESCRIPTION=…), or a name in tnsnames.ora, without user and password; "+without)
	s.add(textValue{&c.tnsAdmin}, "tns-admin", "TNS_ADMIN", "directory of tnsnames.ora and sqlnet.ora, for a --db-dsn that is a name")
	s.add(textValue{&c.dbWallet}, "db-wallet", "DB_WALLET", "directory of the wallet (cwallet.sso) for a --db-dsn with tcps; empty looks where the address, sqlnet.ora or --tns-admin say")
	c.connectTimeout = 10 * time.Second
	s.add(durationValue{&c.connectTimeout, 100 * time.Millisecond, 10 * minute}, "db-connect-timeout", "DB_CONNECT_TIMEOUT", "longest time of logging in at one address of the Oracle database")
}

func (c *serveSettings) registerPools(s *settings) {
	c.requestKind = "free"
	s.add(choiceValue{&c.requestKind, requestKinds}, "db-request-kind", "DB_REQUEST_KIND",
		"whether v$session.action of the Oracle database shows the kind of a request (search, ingest, …): off, free (where it costs no round trip), or always (elsewhere two of them whenever the kind of a session changes)")
	c.poolSplit = true
	s.add(boolValue{&c.poolSplit}, "db-pool-split", "DB_POOL_SPLIT", "a read and a write pool instead of one for both")
	c.poolSize, c.poolMin = 40, 5
	s.add(intValue{&c.poolSize, 1, 10000}, "db-pool-size", "DB_POOL_SIZE", "connections of the single pool")
	s.add(intValue{&c.poolMin, 0, 10000}, "db-pool-min", "DB_POOL_MIN", "connections of the single pool kept open when idle")
	c.readSize, c.readMin, c.writeSize, c.writeMin = 50, 5, 10, 2
	s.add(intValue{&c.readSize, 1, 10000}, "db-pool-read-size", "DB_POOL_READ_SIZE", "connections of the read pool")
	s.add(intValue{&c.readMin, 0, 10000}, "db-pool-read-min", "DB_POOL_READ_MIN", "connections of the read pool kept open when idle")
	s.add(intValue{&c.writeSize, 1, 10000}, "db-pool-write-size", "DB_POOL_WRITE_SIZE", "connections of the write pool")
	s.add(intValue{&c.writeMin, 0, 10000}, "db-pool-write-min", "DB_POOL_WRITE_MIN", "connections of the write pool kept open when idle")
	s.add(intValue{&c.poolQueue, 0, 1000000}, "db-pool-queue", "DB_POOL_QUEUE", "most requests waiting for a connection; 0 is 8 times the pool")
	c.poolTimeout, c.poolRecycle = 30*time.Second, hour
	s.add(durationValue{&c.poolTimeout, time.Millisecond, hour}, "db-pool-timeout", "DB_POOL_TIMEOUT", "longest wait for a connection")
	s.add(durationValue{&c.poolRecycle, time.Second, 7 * day}, "db-pool-recycle", "DB_POOL_RECYCLE", "age at which a connection is replaced (±10 %)")
	c.poolShedWait = 500 * time.Millisecond
	s.add(durationValue{&c.poolShedWait, 0, hour}, "db-pool-shed-wait", "DB_POOL_SHED_WAIT",
		"a request is refused at once when, as fast as connections come free at the moment, it would wait longer than this for its first one; 0 refuses none for that")
	c.statement, c.slowQuery = 30*time.Second, time.Second
	s.add(durationValue{&c.statement, 0, hour}, "statement-timeout", "TOMEHUB_STATEMENT_TIMEOUT", "longest time of one query, waits for a connection not counted; 0 is no bound")
	s.add(durationValue{&c.slowQuery, 0, hour}, "slow-query", "TOMEHUB_SLOW_QUERY", "statements slower than this are logged; 0 logs none")
	c.accessPath = "two"
	s.add(choiceValue{&c.accessPath, []string{"five", "two"}}, "access-path", "TOMEHUB_ACCESS_PATH",
		"statements of a search: five and one per detail (as before the plan), or two (B3)")
}

func (c *serveSettings) registerCache(s *settings) {
	c.cache, c.cacheBytes = true, 64<<20
	s.add(boolValue{&c.cache}, "query-cache", "TOMEHUB_QUERY_CACHE", "keep answers of the database (B2)")
	s.add(bytesValue{&c.cacheBytes, 1 << 20, 1 << 40}, "query-cache-size", "TOMEHUB_QUERY_CACHE_SIZE", "most memory of the query cache")
	c.ttlConcepts, c.ttlContent, c.ttlDefault = hour, 10*minute, 5*minute
	s.add(durationValue{&c.ttlConcepts, time.Second, 30 * day}, "cache-ttl-concepts", "TOMEHUB_CACHE_TTL_CONCEPTS", "time to keep concepts and relations")
	s.add(durationValue{&c.ttlContent, time.Second, 30 * day}, "cache-ttl-content", "TOMEHUB_CACHE_TTL_CONTENT", "time to keep passages and search pages")
	s.add(durationValue{&c.ttlDefault, time.Second, 30 * day}, "cache-ttl-default", "TOMEHUB_CACHE_TTL_DEFAULT", "time to keep everything else")
	c.cacheStorage = memoryStorage
	s.add(storageValue{&c.cacheStorage}, "cache-storage", "TOMEHUB_CACHE_STORAGE", "memory://, or the redis:// URL of a second level that replicas share")
	s.add(textValue{&c.cacheNamespace}, "cache-namespace", "TOMEHUB_CACHE_NAMESPACE", "name of this library within the redis:// of --cache-storage; replicas of one library share it, no two libraries may")
}

func (c *serveSettings) registerLimits(s *settings) {
	c.limitGlobal, c.limitSearch, c.limitIngest = 1000, 100, 10
	const most = 1000000000
	s.add(intValue{&c.limitGlobal, 0, most}, "rate-limit-global", "RATE_LIMIT_GLOBAL", "requests per minute of one client address; 0 is no limit")
	s.add(intValue{&c.limitSearch, 0, most}, "rate-limit-search", "RATE_LIMIT_SEARCH", "searches per minute of one user; 0 is no limit")
	s.add(intValue{&c.limitIngest, 0, most}, "rate-limit-ingest", "RATE_LIMIT_INGEST", "ingests per minute of one user; 0 is no limit")
	s.add(intValue{&c.limitTotal, 0, most}, "rate-limit-total", "RATE_LIMIT_TOTAL", "requests per minute of all clients together; 0 is no limit")
	c.limitStorage = memoryStorage
	s.add(storageValue{&c.limitStorage}, "limit-storage", "RATE_LIMIT_STORAGE", "memory://, or the redis:// URL in which replicas count together")
	c.registerStreams(s)
}

func (c *serveSettings) registerStreams(s *settings) {
	c.maxStreams = 100
	s.add(intValue{&c.maxStreams, 0, 1000000}, "max-concurrent-streams", "MAX_CONCURRENT_STREAMS", "streamed answers at the same time; 0 is no bound (C2)")
	s.add(intValue{&c.streamQueue, 0, 1000000}, "stream-queue", "TOMEHUB_STREAM_QUEUE", "most requests waiting for a stream; 0 is as many as streams")
	s.add(intValue{&c.streamsPerUser, 0, 1000000}, "streams-per-user", "TOMEHUB_STREAMS_PER_USER", "streams of one user at the same time, waiting ones included; 0 is no bound")
	c.streamWait, c.streamWriteTimeout, c.streamTimeout = 5*time.Second, 10*time.Second, 5*minute
	s.add(durationValue{&c.streamWait, time.Millisecond, hour}, "stream-wait", "TOMEHUB_STREAM_WAIT", "longest wait for a stream")
	s.add(durationValue{&c.streamWriteTimeout, time.Millisecond, hour}, "stream-write-timeout", "TOMEHUB_STREAM_WRITE_TIMEOUT", "a stream is cut when its client takes nothing for this long")
	s.add(durationValue{&c.streamTimeout, time.Second, day}, "stream-timeout", "TOMEHUB_STREAM_TIMEOUT", "longest life of a stream")
}

func (c *serveSettings) registerAnswers(s *settings) {
	s.add(endpointValue{&c.answerURL}, "answer-url", "ANSWER_URL", "chat-completions API that writes answers, such as http://127.0.0.1:11434/v1; empty answers with sentences of the passages")
	s.add(textValue{&c.answerModel}, "answer-model", "ANSWER_MODEL", "model that --answer-url is asked for")
	s.addSecret(&c.answerKey, "ANSWER_API_KEY", "key of --answer-url, sent as a bearer token; empty sends none")
	c.answerTimeout, c.answerIdle = 20*time.Second, 5*time.Second
	s.add(durationValue{&c.answerTimeout, 10 * time.Millisecond, hour}, "answer-timeout", "TOMEHUB_ANSWER_TIMEOUT", "longest time of one answer; sentences of the passages stand in for one that is not done")
	s.add(durationValue{&c.answerIdle, 10 * time.Millisecond, hour}, "answer-idle-timeout", "TOMEHUB_ANSWER_IDLE_TIMEOUT", "longest silence of --answer-url before or within an answer")
	c.answerSlots, c.answerTokens = 4, 512
	s.add(intValue{&c.answerSlots, 1, 10000}, "answer-concurrency", "TOMEHUB_ANSWER_CONCURRENCY", "answers that --answer-url writes at the same time; as many more wait 100ms, the rest are not sent")
	s.add(intValue{&c.answerTokens, 1, 32768}, "answer-max-tokens", "TOMEHUB_ANSWER_MAX_TOKENS", "longest answer asked of the model, tokens")
}

func (c *serveSettings) registerIdentity(s *settings) {
	c.auth = "off"
	s.add(choiceValue{&c.auth, []string{"off", "firebase", "firebase-emulator"}}, "auth", "TOMEHUB_AUTH", "who a caller is: off believes X-Tomehub-User, firebase verifies ID tokens, firebase-emulator takes unsigned ones")
	s.add(boolValue{&c.insecureNoAuth}, "insecure-no-auth", "TOMEHUB_INSECURE_NO_AUTH", "allow an --auth that verifies nothing, and an admin listener, on addresses that other machines reach")
	s.add(textValue{&c.firebaseProject}, "firebase-project", identity.SettingProject, "project whose ID tokens are accepted")
	s.add(textValue{&c.firebaseKeys}, "firebase-keys-url", identity.SettingKeyURL, "where the public keys are; empty is Firebase's own")
	c.clockSkew = minute
	s.add(durationValue{&c.clockSkew, 0, 10 * minute}, "auth-clock-skew", identity.SettingSkew, "clock difference forgiven in a token's times")
	s.add(listValue{&c.trustedProxies}, "trusted-proxies", "TOMEHUB_TRUSTED_PROXIES", "addresses or CIDRs whose X-Forwarded-For is believed; empty believes none")
	s.add(listValue{&c.corsOrigins}, "cors-origins", "TOMEHUB_CORS_ORIGINS", "origins whose pages may call the API; empty is none")
}

func (c *serveSettings) registerLife(s *settings) {
	c.maxIngests = 2
	s.add(intValue{&c.maxIngests, 1, 1000}, "max-concurrent-ingests", "TOMEHUB_MAX_CONCURRENT_INGESTS", "books read at the same time; each may take several times its size in memory")
	c.drainGrace, c.drainTime = 2500*time.Millisecond, 25*time.Second
	s.add(durationValue{&c.shutdownDelay, 0, 10 * minute}, "shutdown-delay", "TOMEHUB_SHUTDOWN_DELAY", "after SIGTERM, go on accepting for this long while readiness says 503")
	s.add(durationValue{&c.drainGrace, 0, minute}, "drain-grace", "TOMEHUB_DRAIN_GRACE", "then let idle keep-alive clients learn, for this long, that the connection closes")
	s.add(durationValue{&c.drainTime, time.Second, hour}, "drain-timeout", "TOMEHUB_DRAIN_TIMEOUT", "then wait this long at most for requests in flight")
	c.requestTimeout, c.maxConnections = 65*time.Second, 10000
	s.add(durationValue{&c.requestTimeout, 100 * time.Millisecond, hour}, "request-timeout", "TOMEHUB_REQUEST_TIMEOUT", "longest work on one request; ingests have five minutes")
	s.add(intValue{&c.maxConnections, 1, 1000000}, "max-connections", "TOMEHUB_MAX_CONNECTIONS", "connections of clients open at the same time; more wait in the system's queue")
	c.searchPage = true
	s.add(boolValue{&c.searchPage}, "search-page", "TOMEHUB_SEARCH_PAGE", "show people a page to search from at / of --listen; its files are in the binary")
	c.slowRequest = 2 * time.Second
	s.add(durationValue{&c.slowRequest, 0, hour}, "slow-request", "TOMEHUB_SLOW_REQUEST", "requests slower than this are logged; 0 logs none")
	s.add(boolValue{&c.accessLog}, "access-log", "TOMEHUB_ACCESS_LOG", "log every request")
	c.metrics = true
	s.add(boolValue{&c.metrics}, "metrics", "TOMEHUB_METRICS", "count for Prometheus, at /metrics of the admin listener (D1, D4)")
}

func (c *serveSettings) registerMemory(s *settings) {
	d := memory.DefaultConfig()
	c.memoryMonitor, c.memoryRestart, c.memoryInterval = true, d.Restart, d.Interval
	s.add(boolValue{&c.memoryMonitor}, "memory-monitor", "TOMEHUB_MEMORY_MONITOR", "watch the memory, and refuse ingests and streams while it is critical (A2)")
	s.add(boolValue{&c.memoryRestart}, "memory-restart", "TOMEHUB_MEMORY_RESTART", "leave in good order with exit code 75 before memory runs out (C3); needs --memory-monitor and a supervisor that starts the server again")
	s.add(durationValue{&c.memoryInterval, 100 * time.Millisecond, 10 * minute}, "memory-interval", "TOMEHUB_MEMORY_INTERVAL", "time between the checks of memory that are logged; looks in between are more frequent")
	c.memoryWarning, c.memoryCritical, c.memoryLimitRatio = d.Warning, d.Critical, 0.75
	s.add(numberValue{&c.memoryWarning, memory.MinPercent, memory.MaxPercent}, "memory-warning", "TOMEHUB_MEMORY_WARNING", "percent of the memory limit (the cgroup's, else the machine's) from which a warning is logged")
	s.add(numberValue{&c.memoryCritical, memory.MinPercent, memory.MaxPercent}, "memory-critical", "TOMEHUB_MEMORY_CRITICAL", "percent of the memory limit from which ingests and streams are refused and a restart is due")
	s.add(numberValue{&c.memoryLimitRatio, 0, 1}, "memory-limit-ratio", "TOMEHUB_MEMORY_LIMIT_RATIO", "share of the cgroup's limit at which the garbage collector works harder, as GOMEMLIMIT does, which wins when it is set; 0 is off")
}

func (c *serveSettings) registerSupervisor(s *settings) {
	s.add(boolValue{&c.supervise}, "supervise", "TOMEHUB_SUPERVISE", "hold the sockets in a small parent that restarts the server without losing a request (C3); SIGHUP starts a fresh one")
	c.superviseReady, c.superviseWatchdog = minute, 20*time.Second
	s.add(durationValue{&c.superviseReady, 100 * time.Millisecond, day}, "supervise-ready-timeout", "TOMEHUB_SUPERVISE_READY_TIMEOUT", "longest time from a worker's start until it answers; migrations and --demo are part of it")
	s.add(durationValue{&c.superviseWatchdog, 0, day}, "supervise-watchdog", "TOMEHUB_SUPERVISE_WATCHDOG", "a worker that has not found itself well for this long is killed and replaced; 0 never")
	c.superviseWell, c.superviseFailures = 10*time.Second, 5
	s.add(durationValue{&c.superviseWell, 100 * time.Millisecond, day}, "supervise-well", "TOMEHUB_SUPERVISE_WELL", "a worker that served for this long makes failures before it forgotten")
	s.add(intValue{&c.superviseFailures, 1, 1000}, "supervise-failures", "TOMEHUB_SUPERVISE_FAILURES", "failures of workers in a row after which the parent gives up")
}

// validateDatabase reports every fault in the settings of opening a library, joined.
func (c *serveSettings) validateDatabase() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.dbDSN != "" {
		if err := c.oracle().Check(); err != nil {
			faults = append(faults, err)
		}
		if c.demo {
			fault("--demo fills the embedded library with generated books, and DB_DSN (--db-dsn) names an Oracle database, where they do not belong: unset one of the two")
		}
	}
	if c.dbDSN == "" && c.dataDir == "" {
		fault("--data-dir is empty: want a directory")
	}
	switch {
	case !c.poolSplit && c.poolMin > c.poolSize:
		fault("DB_POOL_MIN is %d, more than DB_POOL_SIZE %d", c.poolMin, c.poolSize)
	case c.poolSplit && c.readMin > c.readSize:
		fault("DB_POOL_READ_MIN is %d, more than DB_POOL_READ_SIZE %d", c.readMin, c.readSize)
	}
	if c.poolSplit && c.writeMin > c.writeSize {
		fault("DB_POOL_WRITE_MIN is %d, more than DB_POOL_WRITE_SIZE %d", c.writeMin, c.writeSize)
	}
	return errors.Join(faults...)
}

// validate reports every fault that lies between settings, joined.
func (c *serveSettings) validate() error {
	faults := []error{c.validateDatabase(), c.serverConfig().Validate(), c.breakerSettings.validate(c.statement), c.labSettings.validate(c.dbDSN), c.traces.validate()}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.listen == c.adminListen && !strings.HasSuffix(c.listen, ":0") {
		fault("--listen and --admin-listen are both %s: the admin listener needs an address of its own", c.listen)
	}
	if c.auth != "firebase" && !c.insecureNoAuth && reachable(c.listen) {
		fault("--listen %s is reached by other machines and --auth is %s: set --auth firebase, or --insecure-no-auth if that is meant", c.listen, c.auth)
	}
	if !c.insecureNoAuth && reachable(c.adminListen) {
		fault("--admin-listen %s is reached by other machines, and the admin listener (pprof, statements, log level) asks nobody who they are: use a loopback address, or --insecure-no-auth if that is meant", c.adminListen)
	}
	faults = append(faults, c.answerConfig(nil).Validate())
	if err := c.memoryConfig(nil).Validate(); err != nil && c.memoryMonitor {
		faults = append(faults, err)
	}
	if _, err := c.verifier(slog.New(slog.DiscardHandler)); err != nil {
		faults = append(faults, err)
	}
	if c.cacheStorage != memoryStorage && c.cacheNamespace == "" {
		fault("--cache-storage needs --cache-namespace (TOMEHUB_CACHE_NAMESPACE): two libraries in one Redis would read each other's answers")
	}
	if _, err := c.proxies(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// proxies parses the trusted proxies; a bare address is a network of one.
func (c *serveSettings) proxies() ([]netip.Prefix, error) {
	list, err := limit.ParsePrefixes(strings.Join(c.trustedProxies, ","))
	if err != nil {
		return nil, fmt.Errorf("--trusted-proxies: %w", err)
	}
	return list, nil
}

// reachable tells whether other machines may reach the address. A name other than localhost
// counts as reachable, whatever it resolves to today; what is no address at all does not.
func reachable(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.IsLoopback()
}

// loadServe resolves and validates; a configuration with faults is a usage error that names all of them.
func (a *app) loadServe(cmd *cobra.Command, s *settings, c *serveSettings) error {
	err := a.load(cmd, s, func() (map[string]string, string) { return phasePresets[c.phase], c.phase })
	if err = errors.Join(err, c.validate()); err != nil {
		return usageError{err}
	}
	c.scaleForLab()
	return nil
}
