package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Config holds every bound and address of the HTTP server. Start from DefaultConfig: a zero
// bound is refused by Validate, because net/http would read it as "no bound at all".
type Config struct {
	// Listen is the address of the API and AdminListen that of the operator's listener,
	// host:port; port 0 takes a free one. An empty AdminListen opens no admin listener.
	Listen, AdminListen string

	// Version and Phase are shown by /api/health and the admin listener.
	Version, Phase string

	ReadHeaderTimeout time.Duration // longest time for a request's head
	ReadTimeout       time.Duration // longest time for a whole request, ingests excepted
	WriteTimeout      time.Duration // longest time from the end of the head to the end of the answer
	IdleTimeout       time.Duration // a kept-alive connection without a request is closed after this
	RequestTimeout    time.Duration // deadline of the work for one request, ingests excepted
	IngestTimeout     time.Duration // deadline of one ingest: reading the book and storing it

	// ReadyWithoutDatabase keeps the server ready while its database is down, because its cache
	// still answers. Without it a load balancer that sees no replica ready answers nothing at all.
	ReadyWithoutDatabase bool

	MaxHeaderBytes int   // largest request head, bytes; net/http answers 431 beyond it
	MaxBodyBytes   int64 // largest body of a search or a batch, bytes
	MaxIngestBytes int64 // largest book, bytes; the wrapping of a multipart form comes on top
	MaxConnections int   // connections open at the same time; more wait in the listen queue of the system

	Streams       StreamConfig
	StreamTimeout time.Duration // longest life of a stream, with its wait for a slot

	// RateLimits are counted per minute, as the plan does. Deps.Limits counts them.
	RateLimits RateLimits

	ShutdownDelay time.Duration // after the end of Run's context: go on accepting while readiness says 503
	DrainGrace    time.Duration // then: answer with Connection: close, so that idle clients learn of it
	DrainTimeout  time.Duration // then: wait this long at most for requests in flight

	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For is believed
	CORSOrigins    []string       // origins whose pages may call the API; "*" is all

	// SearchPage shows people a page at / from which they can search.
	SearchPage bool

	AccessLog   bool          // log every request
	SlowRequest time.Duration // without AccessLog, log requests that took at least this; 0 logs none
}

// RateLimits are numbers of requests in any 60 seconds; 0 is no limit.
type RateLimits struct {
	Global int // per client address, every route but health (RATE_LIMIT_GLOBAL)
	Search int // searches per user (RATE_LIMIT_SEARCH)
	Ingest int // ingests per user (RATE_LIMIT_INGEST)
	Total  int // all clients together (RATE_LIMIT_TOTAL)
}

// DefaultConfig listens on this machine alone, with the bounds the service is measured with
// and the plan's rate limits.
func DefaultConfig() Config {
	return Config{
		Listen:            "127.0.0.1:5001",
		AdminListen:       "127.0.0.1:5002",
		Version:           "unversioned",
		Phase:             "D",
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       120 * time.Second,
		RequestTimeout:    65 * time.Second,
		IngestTimeout:     5 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		MaxBodyBytes:      64 << 10,
		MaxIngestBytes:    50 << 20,
		MaxConnections:    10_000,
		Streams:           StreamConfig{Slots: 100, Wait: 5 * time.Second, WriteTimeout: 10 * time.Second},
		StreamTimeout:     5 * time.Minute,
		RateLimits:        RateLimits{Global: 1000, Search: 100, Ingest: 10},
		DrainGrace:        2500 * time.Millisecond,
		DrainTimeout:      25 * time.Second,
		SearchPage:        true,
		SlowRequest:       2 * time.Second,
	}
}

// maxPage keeps (page-1) × page_size far inside int64; no library has 10¹² matches.
const maxPage = 1_000_000_000

// Validate reports every fault at once, each naming the setting, its value and the range.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, l := range []struct {
		setting, addr string
		optional      bool
	}{{"--listen", c.Listen, false}, {"--admin-listen", c.AdminListen, true}} {
		if l.addr == "" && l.optional {
			continue
		}
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			fault("%s is %q: want host:port, such as 127.0.0.1:5001", l.setting, l.addr)
		}
	}
	for _, d := range c.durations() {
		if d.value < d.min || d.value > d.max {
			fault("%s is %v: want %v to %v", d.setting, d.value, d.min, d.max)
		}
	}
	if c.WriteTimeout <= c.RequestTimeout {
		fault("WriteTimeout is %v, not longer than --request-timeout %v: an answer at the deadline could not be written", c.WriteTimeout, c.RequestTimeout)
	}
	if c.Streams.Slots >= c.MaxConnections {
		fault("MAX_CONCURRENT_STREAMS is %d, and --max-connections is %d: want fewer streams than connections, or all else would wait for them", c.Streams.Slots, c.MaxConnections)
	}
	for _, n := range c.counts() {
		if n.value < n.min || n.value > n.max {
			fault("%s is %d: want %d to %d", n.setting, n.value, n.min, n.max)
		}
	}
	for _, o := range c.CORSOrigins {
		if err := checkOrigin(o); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

type durationSetting struct {
	setting         string
	value, min, max time.Duration
}

func (c Config) durations() []durationSetting {
	const ms, hour = time.Millisecond, time.Hour
	return []durationSetting{
		{"ReadHeaderTimeout", c.ReadHeaderTimeout, ms, hour},
		{"ReadTimeout", c.ReadTimeout, ms, hour},
		{"WriteTimeout", c.WriteTimeout, ms, hour},
		{"IdleTimeout", c.IdleTimeout, ms, hour},
		{"--request-timeout", c.RequestTimeout, ms, hour},
		{"IngestTimeout", c.IngestTimeout, ms, 24 * hour},
		{"--stream-wait", c.Streams.Wait, ms, hour},
		{"--stream-write-timeout", c.Streams.WriteTimeout, ms, hour},
		{"--stream-timeout", c.StreamTimeout, ms, 24 * hour},
		{"--slow-request", c.SlowRequest, 0, hour},
		{"--shutdown-delay", c.ShutdownDelay, 0, 10 * time.Minute},
		{"--drain-grace", c.DrainGrace, 0, time.Minute},
		{"--drain-timeout", c.DrainTimeout, ms, hour},
	}
}

type countSetting struct {
	setting         string
	value, min, max int64
}

func (c Config) counts() []countSetting {
	const most = 1_000_000_000
	return []countSetting{
		{"MaxHeaderBytes", int64(c.MaxHeaderBytes), 4 << 10, 16 << 20},
		{"MaxBodyBytes", c.MaxBodyBytes, 1 << 10, 16 << 20},
		{"--max-ingest-size", c.MaxIngestBytes, 1 << 10, 1 << 30},
		{"--max-connections", int64(c.MaxConnections), 1, 1_000_000},
		{"MAX_CONCURRENT_STREAMS", int64(c.Streams.Slots), 0, 1_000_000},
		{"--stream-queue", int64(c.Streams.Queue), 0, 1_000_000},
		{"--streams-per-user", int64(c.Streams.PerUser), 0, 1_000_000},
		{"RATE_LIMIT_GLOBAL", int64(c.RateLimits.Global), 0, most},
		{"RATE_LIMIT_SEARCH", int64(c.RateLimits.Search), 0, most},
		{"RATE_LIMIT_INGEST", int64(c.RateLimits.Ingest), 0, most},
		{"RATE_LIMIT_TOTAL", int64(c.RateLimits.Total), 0, most},
	}
}

// checkOrigin accepts "*" and what a browser sends as Origin: scheme, host and, maybe, port.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("--cors-origins has %q: want origins such as https://app.example.org, or *", origin)
	}
	return nil
}

// deadlineSlack is how much later than configured the timeouts of a connection may end, so that
// they need not be moved with every request: a 64th of the shortest, and a quarter of a second at most.
func (c Config) deadlineSlack() time.Duration {
	return min(c.ReadHeaderTimeout/64, c.ReadTimeout/64, c.WriteTimeout/64, c.IdleTimeout/64, 250*time.Millisecond)
}
