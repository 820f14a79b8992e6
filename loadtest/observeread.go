package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of what a server may answer. A TomeHub is far below them; whatever else answers must not fill our memory.
const (
	maxHealthBytes = 1 << 20
	maxPools       = 16
	maxBreakers    = 64
	maxRoutes      = 500
	maxNameBytes   = 200
	maxCounter     = 1 << 53 // JSON's numbers are exact up to here
)

// errNotTomehub means that somebody answered who is no TomeHub.
var errNotTomehub = errors.New("is no TomeHub")

// A reading is what a server said at one moment. What it did not tell is nil.
type reading struct {
	at      time.Duration // since the run began: the middle of the poll
	started string        // when its process began; "" when it does not say
	version string        // of the admin listener, or of the first poll
	phase   string

	counts map[string]int64   // since the process began
	gauges map[string]float64 // now

	pools    []string          // their names, in the server's order
	breakers map[string]string // their states
	health   string            // of its memory
	admin    bool              // the admin listener told its part
}

// Prefixes and names of counts and gauges. Those of pools, breakers and routes have the name between.
const (
	keyHits, keyMisses, keyJoined           = "cache.hits", "cache.misses", "cache.joined"
	keyCacheBytes                           = "cache.bytes"
	keyStreams, keyStreamLimit              = "streams.active", "streams.limit"
	keyStarted, keyCompleted, keyFailed     = "streams.started", "streams.completed", "streams.failed"
	keyStalled, keyStreamsRefused           = "streams.stalled", "streams.refused"
	keyRSS, keyMemoryPercent, keyMemoryMost = "memory.rss", "memory.percent", "memory.limit"
	keyInFlight                             = "in_flight"
)

func poolKey(pool, what string) string       { return "pool." + pool + "\x00" + what }
func breakerKey(breaker, what string) string { return "breaker." + breaker + "\x00" + what }
func routeKey(route, what string) string     { return "route." + route + "\x00" + what }

func newReading() *reading {
	return &reading{counts: map[string]int64{}, gauges: map[string]float64{}, breakers: map[string]string{}}
}

// A serverReader asks a server how it fares, on connections of its own.
type serverReader struct {
	target, admin *url.URL // admin is nil when it is not known
	client        *http.Client
	asked, bytes  atomic.Int64
}

func newServerReader(target, admin *url.URL, transport http.RoundTripper) *serverReader {
	r := &serverReader{target: target, admin: admin}
	r.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r
}

// newObserverTransport bounds the observer's connections: a poll uses one to each listener, and at the edges of the
// measured time two polls may be under way.
func newObserverTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: pollTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext: dialer.DialContext, MaxConnsPerHost: 3, MaxIdleConnsPerHost: 3, IdleConnTimeout: 90 * time.Second,
		DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
}

// get reads the JSON answer of one route into v. A route that is not there leaves v as it is and returns false. Any status
// is read: a server in trouble answers 503 and still tells.
func (r *serverReader) get(ctx context.Context, base *url.URL, path string, v any) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path).String(), nil)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("Accept", "application/json")
	r.asked.Add(1)
	resp, err := r.client.Do(req)
	if err != nil {
		var fault *url.Error // its own text repeats the URL
		if errors.As(err, &fault) {
			err = fault.Err
		}
		return false, fmt.Errorf("ask %s: %w", path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxHealthBytes+1))
	r.bytes.Add(int64(len(data)))
	switch {
	case err != nil:
		return false, fmt.Errorf("read the answer of %s: %w", path, err)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return false, nil
	case len(data) > maxHealthBytes:
		return false, fmt.Errorf("%w: %s answers more than %d bytes", errNotTomehub, path, maxHealthBytes)
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable: // a proxy's word for a server that is away
		return false, fmt.Errorf("ask %s: answered %d", path, resp.StatusCode)
	case resp.StatusCode >= 300 && resp.StatusCode < 500:
		return false, fmt.Errorf("%w: %s answers %d", errNotTomehub, path, resp.StatusCode)
	}
	if err := json.Unmarshal(data, v); err != nil {
		if resp.StatusCode == http.StatusServiceUnavailable { // a proxy's too
			return false, fmt.Errorf("ask %s: answered 503", path)
		}
		return false, fmt.Errorf("%w: the answer of %s is not its JSON: %w", errNotTomehub, path, err)
	}
	return true, nil
}

// read asks every route once. The order is fixed, on one connection to each listener. The time of the process is asked
// first and last: an answer from two processes is no answer.
func (r *serverReader) read(ctx context.Context) (*reading, error) {
	out := newReading()
	admin := make(chan error, 1)
	var routes routesAnswer
	go func() { admin <- r.readRoutes(ctx, &routes) }()
	err := r.readPublic(ctx, out)
	adminErr := <-admin
	if err != nil {
		return nil, err
	}
	if r.admin == nil {
		return out, nil
	}
	if adminErr == nil {
		adminErr = out.join(&routes)
	}
	if adminErr != nil {
		return out, &adminError{adminErr}
	}
	return out, nil
}

// join puts the admin listener's part to the rest, whole or not at all.
func (out *reading) join(routes *routesAnswer) error {
	part := newReading()
	if err := routes.into(part); err != nil {
		return err
	}
	if out.started != "" && part.started != out.started {
		return fmt.Errorf("it belongs to another process: it began at %s, the target's at %s", part.started, out.started)
	}
	maps.Copy(out.counts, part.counts)
	maps.Copy(out.gauges, part.gauges)
	out.version, out.phase, out.admin, out.started = part.version, part.phase, true, part.started
	return nil
}

// An adminError says that only the admin listener's part is missing.
type adminError struct{ err error }

func (e *adminError) Error() string { return "read the admin listener: " + e.err.Error() }
func (e *adminError) Unwrap() error { return e.err }

func (r *serverReader) readRoutes(ctx context.Context, routes *routesAnswer) error {
	if r.admin == nil {
		return nil
	}
	found, err := r.get(ctx, r.admin, "/routes", routes)
	if err == nil && !found {
		return fmt.Errorf("%w: it has no /routes", errNotTomehub)
	}
	return err
}

func (r *serverReader) readPublic(ctx context.Context, out *reading) error {
	var first, last liveAnswer
	var pools poolsAnswer
	var cache cacheAnswer
	var streams streamsAnswer
	var memory memoryAnswer
	var breakers breakersAnswer
	found := map[string]bool{}
	for _, route := range []struct {
		path string
		v    any
	}{
		{"/api/health/live", &first}, {"/api/health/pools", &pools}, {"/api/health/cache", &cache}, {"/api/health/streams", &streams},
		{"/api/health/memory", &memory}, {"/api/health/circuit-breaker", &breakers}, {"/api/health/live", &last},
	} {
		ok, err := r.get(ctx, r.target, route.path, route.v)
		if err != nil {
			return err
		}
		found[route.path] = ok
		if route.path == "/api/health/pools" && (!ok || pools.Pools == nil) {
			return fmt.Errorf("%w: it has no /api/health/pools", errNotTomehub)
		}
	}
	if first.StartedAt != last.StartedAt {
		return errors.New("two processes answered: the server was being replaced")
	}
	out.started = clip(first.StartedAt, maxNameBytes)
	return errors.Join(pools.into(out), cache.into(out), streams.into(out), memory.into(out), breakers.into(out))
}

// describe asks for version and phase. It costs the server a statement, so it is asked once, before the run.
func (r *serverReader) describe(ctx context.Context) (version, phase string, err error) {
	var h healthAnswer
	if _, err := r.get(ctx, r.target, "/api/health", &h); err != nil {
		return "", "", err
	}
	return clip(h.Version, maxNameBytes), clip(h.Phase, maxNameBytes), nil
}

// count keeps a counter that is as it must be.
func (out *reading) count(key string, v int64) error {
	if v < 0 || v > maxCounter {
		return fmt.Errorf("%w: it counts %d %s", errNotTomehub, v, printable(key))
	}
	if _, twice := out.counts[key]; twice {
		return fmt.Errorf("%w: it tells %s twice", errNotTomehub, printable(key))
	}
	out.counts[key] = v
	return nil
}

// gauge keeps a gauge that is as it must be.
func (out *reading) gauge(key string, v float64) error {
	if !(v >= 0 && v <= maxCounter) {
		return fmt.Errorf("%w: it says %s is %v", errNotTomehub, printable(key), v)
	}
	out.gauges[key] = v
	return nil
}

func printable(key string) string { return strings.ReplaceAll(key, "\x00", ".") }
