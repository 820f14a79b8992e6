package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
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
