package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of fetching keys.
const (
	fetchTimeout   = 5 * time.Second
	maxKeyBody     = 1 << 20
	unknownKeyGap  = 30 * time.Second // between two fetches for keys that are not known
	firstRetry     = time.Second      // doubled with each failure
	lastRetry      = 30 * time.Second
	minKeyLife     = time.Minute // a max-age below this would fetch too often
	maxKeyLife     = 24 * time.Hour
	defaultKeyLife = time.Hour // without a max-age
)

// keySet is one answer of the key URL. It never changes.
type keySet struct {
	keys    map[string]*key
	fetched time.Time
	fresh   time.Time // until then it need not be asked again
	until   time.Time // until then the keys serve while it cannot be
}

// keySource keeps the keys of a URL.
type keySource struct {
	url    string
	client *http.Client
	grace  time.Duration
	logger *slog.Logger

	set     atomic.Pointer[keySet] // the last good answer; nil before the first
	running atomic.Bool            // run refreshes, so requests need not
	fetches atomic.Int64
	faults  atomic.Int64

	mu      sync.Mutex    // guards the fields below
	flight  chan struct{} // closed when the fetch under way ends; nil when none is
	failed  int           // failures since the last good answer
	err     error         // of the last fetch; nil when that was good
	retry   time.Time     // after a failure, no fetch for a request before
	unknown time.Time     // when a fetch for an unknown key last began
}

func newKeySource(cfg FirebaseConfig) *keySource {
	return &keySource{url: cfg.KeyURL, client: cfg.Client, grace: cfg.KeyGrace, logger: cfg.Logger}
}

// holds reports whether k is a key of the last good answer, however old.
func (s *keySource) holds(k *key) bool {
	set := s.set.Load()
	return set != nil && set.keys[k.id] == k
}

// find returns the key with an id, fetching if that may help.
func (s *keySource) find(ctx context.Context, id string) (*key, *Error) {
	now := time.Now()
	set := s.set.Load()
	if set == nil || !now.Before(set.until) || !now.Before(set.fresh) && !s.running.Load() {
		s.fetchFor(ctx, false)
		set = s.set.Load()
		if now = time.Now(); set == nil || !now.Before(set.until) {
			return nil, s.unavailable(ctx, now)
		}
	}
	if k := set.keys[id]; k != nil {
		return k, nil
	}
	s.fetchFor(ctx, true)
	if k := s.set.Load().keys[id]; k != nil {
		return k, nil
	}
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil || ctx.Err() != nil { // it may be a new key: say that this server does not know, not that the token is forged
		return nil, s.unavailable(ctx, time.Now())
	}
	return nil, refuse(TokenSignature, "The ID token is signed by a key that its issuer does not publish.")
}

func (s *keySource) unavailable(ctx context.Context, now time.Time) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := refuse(KeysUnavailable, "The keys that ID tokens are checked with cannot be fetched at present: try again later.")
	e.RetryAfter = max(time.Second, s.retry.Sub(now))
	if e.cause = s.err; s.err == nil {
		e.cause = context.Cause(ctx)
	}
	return e
}

// fetchFor fetches for a request, or waits for the fetch under way, or does neither when one was made too recently.
func (s *keySource) fetchFor(ctx context.Context, unknownKey bool) {
	now := time.Now()
	s.mu.Lock()
	if flight := s.flight; flight != nil {
		s.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		return
	}
	if now.Before(s.retry) || unknownKey && now.Before(s.unknown.Add(unknownKeyGap)) {
		s.mu.Unlock()
		return
	}
	if unknownKey {
		s.unknown = now
	}
	s.flight = make(chan struct{})
	s.mu.Unlock()
	// Others wait for this fetch, so the request that happens to make it does not end it by leaving.
	s.fly(context.WithoutCancel(ctx))
}

// fly fetches and settles s.flight, which the caller has set.
func (s *keySource) fly(ctx context.Context) {
	defer func() { // also when the client panics
		s.mu.Lock()
		close(s.flight)
		s.flight = nil
		s.mu.Unlock()
	}()
	set, err := s.fetch(ctx)
	s.fetches.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.failed
	if s.err = err; err != nil {
		s.faults.Add(1)
		s.failed++
		pause := min(lastRetry, firstRetry<<min(before, 10))
		s.retry = time.Now().Add(pause - rand.N(pause/5))
		if before == 0 && ctx.Err() == nil {
			s.logger.Warn("token keys cannot be fetched", "setting", SettingKeyURL, "error", err)
		}
		return
	}
	s.failed, s.retry = 0, time.Time{}
	if s.set.Swap(set) == nil || before > 0 {
		s.logger.Info("token keys fetched", "keys", len(set.keys), "max_age_s", set.fresh.Sub(set.fetched).Seconds(), "failures", before)
	}
}

// run keeps the keys fresh.
func (s *keySource) run(ctx context.Context) error {
	s.running.Store(true)
	defer s.running.Store(false)
	for {
		s.mu.Lock()
		flight := s.flight
		if flight == nil {
			s.flight = make(chan struct{})
		}
		s.mu.Unlock()
		if flight == nil {
			s.fly(ctx)
		} else {
			select {
			case <-flight:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.pause(time.Now())):
		}
	}
}

// pause returns how long run waits: until the retry after a failure, else until 80 to 90 % of the max-age has passed, at
// random, so that replicas do not ask together.
func (s *keySource) pause(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set.Load()
	if s.err != nil || set == nil {
		return max(firstRetry/2, s.retry.Sub(now))
	}
	life := set.fresh.Sub(set.fetched)
	return max(firstRetry/2, set.fetched.Add(life*9/10-rand.N(life/10)).Sub(now))
}

// fetch asks the key URL once. Keys that were known before keep their identity, so that tokens stay remembered.
func (s *keySource) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch token keys (%s): %w", SettingKeyURL, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch token keys (%s): %w", SettingKeyURL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch token keys (%s): status %d", SettingKeyURL, resp.StatusCode)
	}
	if req.URL.Scheme == "https" && resp.Request != nil && resp.Request.URL.Scheme != "https" {
		return nil, fmt.Errorf("fetch token keys (%s): led away from https", SettingKeyURL)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeyBody+1))
	if err == nil && len(body) > maxKeyBody {
		err = errors.New("answer longer than 1 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("fetch token keys (%s): %w", SettingKeyURL, err)
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("read token keys (%s): %w", SettingKeyURL, err)
	}
	if old := s.set.Load(); old != nil {
		for id, k := range keys {
			if o := old.keys[id]; o != nil && o.public.Equal(k.public) {
				keys[id] = o
			}
		}
	}
	now := time.Now()
	life := keyLife(resp.Header)
	return &keySet{keys: keys, fetched: now, fresh: now.Add(life), until: now.Add(life + s.grace)}, nil
}

// keyLife returns how long an answer may be kept: its max-age less the Age it came with (RFC 9111, section 4.2), within
// bounds.
func keyLife(h http.Header) time.Duration {
	life := defaultKeyLife
	for _, value := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(value, ",") {
			name, arg, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch {
			case strings.EqualFold(name, "no-store"), strings.EqualFold(name, "no-cache"):
				return minKeyLife
			case strings.EqualFold(name, "max-age"):
				life = wholeSeconds(strings.Trim(arg, `"`))
			}
		}
	}
	return min(maxKeyLife, max(minKeyLife, life-wholeSeconds(h.Get("Age"))))
}

// wholeSeconds reads a delta-seconds (RFC 9111, section 1.2.2), 0 when it is none, at most ten years.
func wholeSeconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, 10*365*24*3600)) * time.Second
}
