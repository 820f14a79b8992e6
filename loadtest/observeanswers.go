package loadtest

import (
	"errors"
	"fmt"
	"strings"
)

// answers are what the health routes of a TomeHub say, as far as it matters here.
type (
	liveAnswer struct {
		StartedAt string `json:"started_at"`
	}
	healthAnswer struct {
		Version string `json:"version"`
		Phase   string `json:"phase"`
	}
	poolsAnswer struct {
		Pools []struct {
			Name        string  `json:"name"`
			Size        int64   `json:"size"`
			InUse       int64   `json:"in_use"`
			Waiting     int64   `json:"waiting"`
			Acquired    int64   `json:"acquired"`
			Waits       int64   `json:"waits"`
			TimedOut    int64   `json:"timed_out"`
			QueueFull   int64   `json:"queue_full"`
			Shed        int64   `json:"shed"`
			Cancelled   int64   `json:"cancelled"`
			WaitTotalMS float64 `json:"wait_total_ms"`
		} `json:"pools"`
	}
	cacheAnswer struct {
		Cache *struct {
			Enabled bool  `json:"enabled"`
			Bytes   int64 `json:"bytes"`
			Hits    int64 `json:"hits"`
			Misses  int64 `json:"misses"`
			Joined  int64 `json:"joined"`
		} `json:"cache"`
	}
	streamsAnswer struct {
		Streams *struct {
			Active    int64            `json:"active_streams"`
			Limit     int64            `json:"max_concurrent"`
			Started   int64            `json:"started"`
			Completed int64            `json:"completed"`
			Failed    int64            `json:"failed"`
			Stalled   int64            `json:"stalled"`
			Refused   map[string]int64 `json:"refused"`
		} `json:"streams"`
	}
	memoryAnswer struct {
		Memory *struct {
			RSS     float64 `json:"process_rss_mb"`
			Limit   float64 `json:"limit_mb"`
			Percent float64 `json:"percent"`
		} `json:"memory"`
		Health string `json:"health"`
	}
	breakersAnswer struct {
		Breakers []struct {
			Name       string `json:"name"`
			State      string `json:"state"`
			Rejected   int64  `json:"rejected"`
			Opened     int64  `json:"opened"`
			HalfOpened int64  `json:"half_opened"`
			Closed     int64  `json:"closed"`
		} `json:"circuit_breakers"`
	}
	routesAnswer struct {
		SchemaVersion int    `json:"schema_version"`
		Server        string `json:"server"`
		Phase         string `json:"phase"`
		StartedAt     string `json:"started_at"`
		Routes        []struct {
			Method      string           `json:"method"`
			Route       string           `json:"route"`
			Requests    int64            `json:"requests"`
			InFlight    int64            `json:"in_flight"`
			Statuses    map[string]int64 `json:"statuses"`
			Statements  int64            `json:"statements_total"`
			AcquireWait int64            `json:"acquire_wait_us"`
			Elapsed     int64            `json:"elapsed_us"`
		} `json:"routes"`
	}
)

func (a *poolsAnswer) into(out *reading) error {
	if len(a.Pools) > maxPools {
		return fmt.Errorf("%w: it has %d pools", errNotTomehub, len(a.Pools))
	}
	var errs []error
	for _, p := range a.Pools {
		name := clip(p.Name, maxNameBytes)
		out.pools = append(out.pools, name)
		if !(p.WaitTotalMS >= 0 && p.WaitTotalMS < maxCounter/1000) {
			errs = append(errs, fmt.Errorf("%w: it says wait_total_ms is %v", errNotTomehub, p.WaitTotalMS))
			continue
		}
		errs = append(errs,
			out.count(poolKey(name, "acquired"), p.Acquired), out.count(poolKey(name, "waits"), p.Waits),
			out.count(poolKey(name, "timed_out"), p.TimedOut), out.count(poolKey(name, "queue_full"), p.QueueFull),
			out.count(poolKey(name, "shed"), p.Shed), out.count(poolKey(name, "cancelled"), p.Cancelled), out.count(poolKey(name, "wait_us"), int64(1000*p.WaitTotalMS)),
			out.gauge(poolKey(name, "size"), float64(p.Size)), out.gauge(poolKey(name, "in_use"), float64(p.InUse)),
			out.gauge(poolKey(name, "waiting"), float64(p.Waiting)))
	}
	return errors.Join(errs...)
}

func (a *cacheAnswer) into(out *reading) error {
	if a.Cache == nil || !a.Cache.Enabled {
		return nil
	}
	return errors.Join(out.count(keyHits, a.Cache.Hits), out.count(keyMisses, a.Cache.Misses),
		out.count(keyJoined, a.Cache.Joined), out.gauge(keyCacheBytes, float64(a.Cache.Bytes)))
}

func (a *streamsAnswer) into(out *reading) error {
	if a.Streams == nil {
		return nil
	}
	refused := int64(0)
	for _, n := range a.Streams.Refused {
		if n < 0 || n > maxCounter || refused > maxCounter {
			return fmt.Errorf("%w: it counts %d refused streams", errNotTomehub, n)
		}
		refused += n
	}
	s := a.Streams
	return errors.Join(out.gauge(keyStreams, float64(s.Active)), out.gauge(keyStreamLimit, float64(s.Limit)),
		out.count(keyStarted, s.Started), out.count(keyCompleted, s.Completed), out.count(keyFailed, s.Failed),
		out.count(keyStalled, s.Stalled), out.count(keyStreamsRefused, refused))
}

func (a *memoryAnswer) into(out *reading) error {
	if a.Memory == nil {
		return nil
	}
	out.health = clip(a.Health, 20)
	return errors.Join(out.gauge(keyRSS, a.Memory.RSS), out.gauge(keyMemoryPercent, a.Memory.Percent), out.gauge(keyMemoryMost, a.Memory.Limit))
}

func (a *breakersAnswer) into(out *reading) error {
	if len(a.Breakers) > maxBreakers {
		return fmt.Errorf("%w: it has %d circuit breakers", errNotTomehub, len(a.Breakers))
	}
	var errs []error
	for _, b := range a.Breakers {
		name := clip(b.Name, maxNameBytes)
		out.breakers[name] = clip(b.State, 20)
		errs = append(errs, out.count(breakerKey(name, "rejected"), b.Rejected), out.count(breakerKey(name, "opened"), b.Opened),
			out.count(breakerKey(name, "half_opened"), b.HalfOpened), out.count(breakerKey(name, "closed"), b.Closed))
	}
	return errors.Join(errs...)
}

func (a *routesAnswer) into(out *reading) error {
	switch {
	case a.SchemaVersion != 1:
		return fmt.Errorf("%w: its schema_version is %d, and this tomehub reads 1", errNotTomehub, a.SchemaVersion)
	case len(a.Routes) > maxRoutes:
		return fmt.Errorf("%w: it has %d routes", errNotTomehub, len(a.Routes))
	}
	inFlight := 0.0
	var errs []error
	for _, r := range a.Routes {
		if strings.HasPrefix(r.Route, "/api/health") {
			continue // ours among them
		}
		name := clip(r.Method+" "+r.Route, maxNameBytes)
		inFlight += float64(r.InFlight)
		errs = append(errs, out.count(routeKey(name, "requests"), r.Requests), out.count(routeKey(name, "ok"), r.Statuses["2xx"]),
			out.count(routeKey(name, "statements"), r.Statements), out.count(routeKey(name, "wait_us"), r.AcquireWait),
			out.count(routeKey(name, "elapsed_us"), r.Elapsed))
	}
	out.version, out.phase = clip(strings.TrimPrefix(a.Server, "tomehub "), maxNameBytes), clip(a.Phase, maxNameBytes)
	out.started = clip(a.StartedAt, maxNameBytes)
	return errors.Join(append(errs, out.gauge(keyInFlight, inFlight))...)
}
