package loadtest

import (
	"maps"
	"slices"
	"strings"
)

// sample is a step as it stands in the result.
func (p *step) sample() ServerSample {
	r := p.now
	out := ServerSample{
		AtS: p.at.Seconds(), LengthS: p.length().Seconds(), Polls: 1,
		Hits: p.counts[keyHits], Misses: p.counts[keyMisses], Joined: p.counts[keyJoined],
		Streams: r.gauges[keyStreams], StreamsMax: int(r.gauges[keyStreams]), StreamsRefused: p.counts[keyStreamsRefused],
	}
	if r.admin {
		requests, statements := p.sum("route.", "requests"), p.sum("route.", "statements")
		inFlight := r.gauges[keyInFlight]
		out.Requests, out.Statements, out.InFlight = &requests, &statements, &inFlight
	}
	for _, name := range r.pools {
		inUse, waiting := r.gauges[poolKey(name, "in_use")], r.gauges[poolKey(name, "waiting")]
		out.Pools = append(out.Pools, PoolSample{
			Name: name, Size: int(r.gauges[poolKey(name, "size")]),
			InUse: inUse, InUseMax: int(inUse), Waiting: waiting, WaitingMax: int(waiting),
			Acquired: p.counts[poolKey(name, "acquired")], Waits: p.counts[poolKey(name, "waits")],
			Refused: p.counts[poolKey(name, "timed_out")] + p.counts[poolKey(name, "queue_full")] + p.counts[poolKey(name, "shed")],
		})
	}
	if rss, ok := r.gauges[keyRSS]; ok {
		percent := r.gauges[keyMemoryPercent]
		out.Memory = &MemorySample{RSSMiB: rss, RSSMaxMiB: rss, Percent: percent, PercentMax: percent, Health: r.health}
	}
	for _, name := range slices.Sorted(maps.Keys(r.breakers)) {
		switch r.breakers[name] {
		case breakerClosed:
		case "half-open":
			out.HalfOpen = append(out.HalfOpen, name)
		default:
			out.Open = append(out.Open, name)
		}
	}
	if p.restarted {
		out.Restarted = 1
	}
	return out
}

// sum adds up one counter of all pools, breakers or routes.
func (p *step) sum(prefix, what string) int64 { return sum(p.counts, prefix, what) }

func sum(counts map[string]int64, prefix, what string) int64 {
	total := int64(0)
	for key, v := range counts {
		if name, of, ok := strings.Cut(key, "\x00"); ok && of == what && strings.HasPrefix(name, prefix) {
			total += v
		}
	}
	return total
}

// together puts two samples that follow each other into one.
func together(a, b ServerSample) ServerSample {
	m := mixer{a.LengthS, b.LengthS}
	out := ServerSample{
		AtS: b.AtS, LengthS: a.LengthS + b.LengthS, Polls: a.Polls + b.Polls,
		Requests: both(a.Requests, b.Requests), Statements: both(a.Statements, b.Statements),
		Hits: a.Hits + b.Hits, Misses: a.Misses + b.Misses, Joined: a.Joined + b.Joined,
		Streams: m.mean(a.Streams, b.Streams), StreamsMax: max(a.StreamsMax, b.StreamsMax), StreamsRefused: a.StreamsRefused + b.StreamsRefused,
		Open: union(a.Open, b.Open), HalfOpen: union(a.HalfOpen, b.HalfOpen), Restarted: a.Restarted + b.Restarted,
	}
	switch {
	case a.InFlight == nil:
		out.InFlight = b.InFlight
	case b.InFlight == nil:
		out.InFlight = a.InFlight
	default:
		mean := m.mean(*a.InFlight, *b.InFlight)
		out.InFlight = &mean
	}
	out.Pools = m.pools(a.Pools, b.Pools)
	switch {
	case a.Memory == nil:
		out.Memory = b.Memory
	case b.Memory == nil:
		out.Memory = a.Memory
	default:
		x, y := a.Memory, b.Memory
		out.Memory = &MemorySample{
			RSSMiB: m.mean(x.RSSMiB, y.RSSMiB), RSSMaxMiB: max(x.RSSMaxMiB, y.RSSMaxMiB),
			Percent: m.mean(x.Percent, y.Percent), PercentMax: max(x.PercentMax, y.PercentMax), Health: worse(x.Health, y.Health),
		}
	}
	return out
}

// A mixer takes the mean of two gauges by how long each stood.
type mixer struct{ a, b float64 }

func (m mixer) mean(x, y float64) float64 {
	if m.a+m.b == 0 {
		return (x + y) / 2
	}
	return (x*m.a + y*m.b) / (m.a + m.b)
}

func (m mixer) pools(a, b []PoolSample) []PoolSample {
	out := slices.Clone(b)
	for i := range out {
		j := slices.IndexFunc(a, func(p PoolSample) bool { return p.Name == out[i].Name })
		if j < 0 {
			continue
		}
		p, q := &out[i], a[j]
		p.InUse, p.InUseMax = m.mean(q.InUse, p.InUse), max(q.InUseMax, p.InUseMax)
		p.Waiting, p.WaitingMax = m.mean(q.Waiting, p.Waiting), max(q.WaitingMax, p.WaitingMax)
		p.Acquired, p.Waits, p.Refused = q.Acquired+p.Acquired, q.Waits+p.Waits, q.Refused+p.Refused
	}
	for _, q := range a {
		if !slices.ContainsFunc(out, func(p PoolSample) bool { return p.Name == q.Name }) {
			out = append(out, q)
		}
	}
	return out
}

func both(a, b *int64) *int64 {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	total := *a + *b
	return &total
}

func union(a, b []string) []string {
	if len(a)+len(b) == 0 {
		return nil
	}
	return sorted(append(slices.Clone(a), b...))
}

// worse picks the worse of two states of the memory.
func worse(a, b string) string {
	for _, name := range []string{"critical", "warning"} {
		if a == name || b == name {
			return name
		}
	}
	return b
}
