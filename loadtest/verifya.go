package loadtest

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// pools reads the pools by name.
func (b *bench) pools(ctx context.Context) (map[string]poolFigures, error) {
	var a struct {
		Pools []poolFigures `json:"pools"`
	}
	if err := b.health(ctx, "pools", &a); err != nil {
		return nil, err
	}
	pools := map[string]poolFigures{}
	for _, p := range a.Pools {
		pools[p.Name] = p
	}
	return pools, nil
}

type poolFigures struct {
	Name     string `json:"name"`
	Min      int    `json:"min"`
	Size     int    `json:"size"`
	Acquired int64  `json:"acquired"`
	Waiting  int64  `json:"waiting"`
	Waits    int64  `json:"waits"`
	TimedOut int64  `json:"timed_out"`
}

// poolsText tells pools as "read 5-50, write 2-10".
func poolsText(pools map[string]poolFigures) string {
	var parts []string
	for _, p := range pools {
		parts = append(parts, fmt.Sprintf("%s %d-%d", p.Name, p.Min, p.Size))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func poolOf40(ctx context.Context, b *bench) (finding, error) {
	pools, err := b.pools(ctx)
	if err != nil {
		return finding{}, err
	}
	seen := poolsText(pools)
	if b.spawned == nil {
		largest := 0
		for _, p := range pools {
			largest = max(largest, p.Size)
		}
		return judge(largest >= 40, "%s", seen)
	}
	const want = "Database pool: min=5, max=40, timeout=30s"
	line := b.logged(`"` + want + `"`)
	if line == "" {
		seen += "; no such line in the log"
		if other := b.logged("Database pool"); other != "" {
			seen += `, but "` + message(other) + `"`
		}
	} else {
		seen += `; logged "` + want + `"`
	}
	ok := len(pools) == 1 && line != ""
	for _, p := range pools {
		ok = ok && p.Min == 5 && p.Size == 40
	}
	return judge(ok, "%s", seen)
}

func quietStart(_ context.Context, b *bench) (finding, error) {
	lines := b.spawned.Lines()
	for _, level := range []string{`"level":"ERROR"`, `"level":"WARN"`} {
		if line := b.logged(level); line != "" {
			return judge(false, "%s", message(line))
		}
	}
	return judge(b.logged(`"msg":"listening"`) != "", "%d lines, none of them a warning or an error", len(lines))
}

func queriesWork(ctx context.Context, b *bench) (finding, error) {
	s, err := b.searchAs(ctx, b.newUser(), "dasein", "")
	if err != nil {
		return finding{}, err
	}
	if len(s.Results) == 0 {
		return judge(false, `a search for "dasein" finds nothing`)
	}
	a, err := b.get(ctx, fmt.Sprintf("/api/content/%d", s.Results[0].ID))
	if err != nil {
		return finding{}, err
	}
	var passage struct {
		ID      int64  `json:"id"`
		Content string `json:"content"`
	}
	if err := a.into(&passage); err != nil {
		return finding{}, err
	}
	return judge(passage.ID == s.Results[0].ID && passage.Content != "", `%d matches for "dasein"; passage %d has %d bytes`, s.Total, passage.ID, len(passage.Content))
}

func connectionTimeout(ctx context.Context, b *bench) (finding, error) {
	const searches, timeout = 12, 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	refused := make(chan *reply, searches)
	var wg sync.WaitGroup
	for i := range searches {
		wg.Go(func() {
			a, err := b.post(ctx, "/api/search", fmt.Sprintf(`{"query": %q}`, varied(i)))
			if err == nil && a.status != http.StatusOK {
				refused <- a
			}
		})
	}
	wg.Wait()
	close(refused)
	n, early, shortest := 0, 0, time.Hour
	for a := range refused {
		if a.status != http.StatusServiceUnavailable {
			continue
		}
		n++
		shortest = min(shortest, a.took)
		if a.took < timeout-5*time.Millisecond {
			early++
		}
	}
	if n == 0 {
		return judge(false, "none of %d searches was refused within 8 s", searches)
	}
	pools, err := b.pools(context.WithoutCancel(ctx))
	if err != nil {
		return finding{}, err
	}
	timedOut := int64(0)
	for _, p := range pools {
		timedOut += p.TimedOut
	}
	return judge(early == 0 && timedOut > 0, "%d of %d searches refused with 503, the first after %v; timed_out is %d", n, searches, shortest.Round(time.Millisecond), timedOut)
}

// poolScenario is 100 users who do not think, so that connections ÷ (statements × time) is the rate.
const poolScenario = `
version: 1
title: A pool for 100 users
server:
  phase: A
  lab: {statement_time: 300ms}
  args: ["--rate-limit-global", "0", "--rate-limit-search", "0"]
warm_up: 10s
duration: 20s
users: {count: 100, ramp_up: 4s}
timeout: 60s
flows:
  - name: look-up
    steps:
      - {name: search, post: /api/search, json: '{"query": "dasein", "page_size": 5}'}
`

func pool20Against40(ctx context.Context, b *bench) (finding, error) {
	const scale = 0.25
	var mean [2]float64
	for i, size := range []string{"20", "40"} {
		sc, err := Parse("pool.yaml", []byte(poolScenario))
		if err != nil {
			return finding{}, err
		}
		server, err := b.v.start(ctx, append(sc.Server.ServeArgs(scale), "--db-pool-size", size), nil)
		if err != nil {
			return finding{}, err
		}
		r, err := Run(ctx, Config{Scenario: sc, Target: server.target, TimeScale: scale})
		closing := server.close(ctx)
		switch {
		case err != nil:
			return finding{}, err
		case closing != nil:
			return finding{}, closing
		case r.Interrupted:
			return finding{}, fmt.Errorf("%w: interrupted", errUndecided)
		case len(r.Generator.Problems) > 0:
			return finding{}, fmt.Errorf("%w: the load generator was the bottleneck: %s", errUndecided, r.Generator.Problems[0])
		case r.Total.ErrorRate > 1:
			return judge(false, "%.0f %% of the requests to the pool of %s failed", r.Total.ErrorRate, size)
		}
		mean[i] = r.Total.Response.MeanMS / scale
	}
	better := 100 * (1 - mean[1]/mean[0])
	return judge(better >= 40, "mean answer %s with 20 connections, %s with 40 (unscaled): %.0f %% better", formatMS(mean[0]), formatMS(mean[1]), better)
}

// A memoryFigures is the whole of /api/health/memory.
type memoryFigures struct {
	Health string `json:"health"`
	Memory *struct {
		RSS         float64   `json:"process_rss_mb"`
		SystemTotal float64   `json:"system_total_mb"`
		SystemUsed  float64   `json:"system_used_mb"`
		SystemShare float64   `json:"system_percent"`
		Limit       float64   `json:"limit_mb"`
		Used        float64   `json:"used_mb"`
		Percent     float64   `json:"percent"`
		Origin      string    `json:"limit_origin"`
		Timestamp   time.Time `json:"timestamp"`
		Warning     float64   `json:"warning_threshold"`
		Critical    float64   `json:"critical_threshold"`
	} `json:"memory"`
}

// memory reads it; a server that does not watch its memory is an error.
func (b *bench) memory(ctx context.Context) (*memoryFigures, error) {
	var m memoryFigures
	if err := b.health(ctx, "memory", &m); err != nil {
		return nil, err
	}
	if m.Memory == nil {
		return nil, fmt.Errorf("the memory is not watched: /api/health/memory says %q", m.Health)
	}
	return &m, nil
}

func memoryReader(ctx context.Context, b *bench) (finding, error) {
	m, err := b.memory(ctx)
	if err != nil {
		return finding{}, err
	}
	if b.spawned == nil {
		return judge(m.Memory.RSS > 1, "process_rss_mb is %.0f", m.Memory.RSS)
	}
	p, err := process.NewProcess(int32(b.spawned.PID))
	if err != nil {
		return finding{}, fmt.Errorf("%w: find the server's process: %w", errUndecided, err)
	}
	info, err := p.MemoryInfo()
	if err != nil {
		return finding{}, fmt.Errorf("%w: read the memory of the server's process: %w", errUndecided, err)
	}
	system := float64(info.RSS) / (1 << 20)
	return judge(math.Abs(m.Memory.RSS-system) <= max(10, 0.25*system), "process_rss_mb is %.0f, the system says %.0f", m.Memory.RSS, system)
}

func memoryEndpoint(ctx context.Context, b *bench) (finding, error) {
	f, err := b.memory(ctx)
	if err != nil {
		return finding{}, err
	}
	m := f.Memory
	ok := m.RSS > 0 && m.SystemTotal > 0 && m.SystemUsed > 0 && m.SystemUsed <= m.SystemTotal && m.Limit > 0 && m.Limit <= m.SystemTotal+1 &&
		math.Abs(m.Percent-100*m.Used/m.Limit) < 0.1 && math.Abs(m.SystemShare-100*m.SystemUsed/m.SystemTotal) < 0.1 &&
		m.Warning > 0 && m.Warning < m.Critical && m.Critical <= 100 && slices.Contains([]string{"ok", "warning", "critical"}, f.Health)
	return judge(ok, "health %q, %.1f %% of %.0f MB (%s) in use, warning at %v %%, critical at %v %%", f.Health, m.Percent, m.Limit, m.Origin, m.Warning, m.Critical)
}

func memoryLog(ctx context.Context, b *bench) (finding, error) {
	n := 0
	enough, err := until(ctx, 3*time.Second, func() (bool, error) {
		n = 0
		for _, line := range b.spawned.Lines() {
			if strings.Contains(line, `"msg":"memory checked"`) {
				n++
			}
		}
		return n >= 5, nil
	})
	if err != nil {
		return finding{}, err
	}
	return judge(enough, `%d lines "memory checked"`, n)
}

func memoryWarning(ctx context.Context, b *bench) (finding, error) {
	return b.thresholdLogged(ctx, "memory warning", "WARN", 70, 68, 72)
}

func memoryCritical(ctx context.Context, b *bench) (finding, error) {
	return b.thresholdLogged(ctx, "memory critical", "ERROR", 85, 83, 87)
}

// thresholdLogged demands that a line with that threshold is logged above it, and not below.
func (b *bench) thresholdLogged(ctx context.Context, msg, level string, threshold, below, above float64) (finding, error) {
	line := func() string {
		for _, end := range []string{",", "}"} {
			if l := b.logged(`"level":"`+level+`"`, `"msg":"`+msg+`"`, fmt.Sprintf(`"threshold_percent":%v`, threshold)+end); l != "" {
				return l
			}
		}
		return ""
	}
	if err := b.pressure(ctx, below, 5*time.Second); err != nil {
		return finding{}, err
	}
	if err := b.pause(ctx, 300*time.Millisecond); err != nil { // a few checks of the monitor
		return finding{}, err
	}
	if early := b.logged(`"msg":"` + msg + `"`); early != "" {
		return judge(false, "%q is logged at %v %% already", msg, below)
	}
	if err := b.pressure(ctx, above, 2*time.Second); err != nil {
		return finding{}, err
	}
	logged, err := until(ctx, 2*time.Second, func() (bool, error) { return line() != "", nil })
	if err != nil {
		return finding{}, err
	}
	if !logged {
		return judge(false, "%q with a threshold of %v %% is not logged at %v %%", msg, threshold, above)
	}
	return judge(true, "nothing at %v %%, %s %q with threshold_percent %v at %v %%", below, level, msg, threshold, above)
}

// searchNothing is the plan's own request, which asks for nothing and counts all the same.
func (b *bench) searchNothing(ctx context.Context, user string) (*reply, error) {
	return b.do(ctx, http.MethodGet, b.target+"/api/search", "", user)
}

func limitsCount(ctx context.Context, b *bench) (finding, error) {
	user := b.newUser()
	var remaining [2]int
	limit := 0
	for i := range remaining {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return finding{}, err
		}
		limit, remaining[i] = a.number("X-RateLimit-Limit"), a.number("X-RateLimit-Remaining")
		if a.number("X-RateLimit-Reset") < 0 {
			return judge(false, "the answer has no X-RateLimit-Reset")
		}
	}
	return judge(limit > 0 && remaining[0] == limit-1 && remaining[1] == limit-2, "limit %d, %d and %d remaining", limit, remaining[0], remaining[1])
}

// mostLimit is the largest limit that is tried out.
const mostLimit = 2000

// exhaust uses up the searches of a user, once for the bench, and returns the first refusal.
func (b *bench) exhaust(ctx context.Context) (*reply, error) {
	if b.limited != nil {
		return b.limited, nil
	}
	user := b.newUser()
	for b.asked = 1; ; b.asked++ {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return nil, err
		}
		limit := a.number("X-RateLimit-Limit")
		switch {
		case a.status == http.StatusTooManyRequests:
			a.header.Set("X-Verify-User", user)
			b.limited = a
			return a, nil
		case limit > mostLimit:
			return nil, fmt.Errorf("%w: the limit of %d is too high to use it up here", errUndecided, limit)
		case limit < 0 || b.asked > limit+1:
			return nil, fmt.Errorf("none of %d searches was refused (X-RateLimit-Limit: %q)", b.asked, a.header.Get("X-RateLimit-Limit"))
		}
	}
}

func limitExceeded(ctx context.Context, b *bench) (finding, error) {
	a, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	limit := a.number("X-RateLimit-Limit")
	return judge(b.asked == limit+1, "%d searches pass, number %d gets 429", b.asked-1, b.asked)
}

func limitsPerRoute(ctx context.Context, b *bench) (finding, error) {
	refused, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	user := refused.header.Get("X-Verify-User")
	read, err := b.do(ctx, http.MethodGet, b.target+"/api/content/1", "", user)
	if err != nil {
		return finding{}, err
	}
	put, err := b.do(ctx, http.MethodPost, b.target+"/api/ingest", "{}", user)
	if err != nil {
		return finding{}, err
	}
	search, ingest, other := refused.number("X-RateLimit-Limit"), put.number("X-RateLimit-Limit"), read.number("X-RateLimit-Limit")
	ok := read.status != http.StatusTooManyRequests && put.status != http.StatusTooManyRequests && ingest > 0 && ingest != search && other != search
	return judge(ok, "per minute: search %d, ingest %d, everything %d; searches refused, a read gets %d, an empty ingest %d", search, ingest, other, read.status, put.status)
}

func limitsByEnvironment(ctx context.Context, b *bench) (finding, error) {
	user := b.newUser()
	limit, passed := 0, 0
	for range 8 {
		a, err := b.searchNothing(ctx, user)
		if err != nil {
			return finding{}, err
		}
		limit = a.number("X-RateLimit-Limit")
		if a.status != http.StatusTooManyRequests {
			passed++
		}
	}
	pools, err := b.pools(ctx)
	if err != nil {
		return finding{}, err
	}
	ok := limit == 7 && passed == 7 && len(pools) == 1
	for _, p := range pools {
		ok = ok && p.Size == 13
	}
	return judge(ok, "X-RateLimit-Limit is %d, %d of 8 searches pass; pools: %s", limit, passed, poolsText(pools))
}

func retryAfter(ctx context.Context, b *bench) (finding, error) {
	a, err := b.exhaust(ctx)
	if err != nil {
		return finding{}, err
	}
	after := a.number("Retry-After")
	return judge(after >= 1 && after <= 60 && strings.Contains(string(a.body), fmt.Sprintf(`"retry_after":%d`, after)),
		"Retry-After: %q; the body is %s", a.header.Get("Retry-After"), clip(string(a.body), 150))
}
