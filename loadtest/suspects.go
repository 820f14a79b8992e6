package loadtest

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A suspect is a resource and the share, from 0 to 1, of what broke the objectives that it explains at one load.
type suspect struct {
	resource string
	share    float64
	evidence string
}

// A scene is one step, beside a quiet one.
type scene struct {
	st, quiet *CapacityStep
	slos      []Check
	unit      string

	late, wrong float64 // how far times and errors count: less when objectives on them are kept
	cpu         float64 // how far the CPU explains what takes time
	mean        float64 // response, ms
	errors      float64 // requests not served, in the last run
}

// suspects looks at every resource.
func suspects(s *scene) []suspect {
	s.weigh()
	all := []suspect{s.rateLimit()}
	if f := s.st.Server; f != nil {
		var waits, holds, refused float64 // parts that the database must answer for
		for i := range f.Pools {
			own, db := s.pool(&f.Pools[i])
			all = append(all, own)
			waits, holds, refused = waits+db.waits, holds+db.holds, max(refused, db.refused)
		}
		all = append(all, s.database(waits, holds, refused), s.processor(), s.streams(), s.memory(), s.breaker())
		all = append(all, s.cache(all), s.refusals())
	}
	return slices.DeleteFunc(all, func(x suspect) bool { return x.resource == "" || !(x.share > 0) })
}

// weigh finds out which objectives are broken.
func (s *scene) weigh() {
	const kept = 0.3 // what breaks no objective is no bottleneck, but a reader wants to see it
	s.late, s.wrong = kept, kept
	for _, slo := range s.slos {
		m := metrics[slo.Metric]
		if m.unit == unitTime && !slo.holds(m.of(&Figures{Response: s.st.Response})) {
			s.late = 1
		}
		if m.unit == unitPercent && !slo.holds(m.of(&Figures{ErrorRate: s.st.ErrorRate, FailedRate: s.st.FailedRate, RefusedRate: s.st.RefusedRate})) {
			s.wrong = 1
		}
	}
	for k, n := range s.st.Kinds {
		if k.refused() || k.failed() {
			s.errors += float64(n)
		}
	}
	if late := float64(s.st.Kinds[Timeout] + s.st.Kinds[Slow]); s.wrong == 1 && late > s.errors/2 || s.st.Unanswered > 0 {
		s.late = 1
	}
	s.mean = s.st.Response.MeanMS
	if f := s.st.Server; f != nil && f.CPU != nil {
		s.cpu = math.Min(1, math.Max(0, (f.CPU.Percent-75)/20))
	}
}

// requests is how many the server answered between the readings of its counters.
func (s *scene) requests(st *CapacityStep) float64 {
	if f := st.Server; f.Statements != nil && f.Statements.Requests > 0 {
		return float64(f.Statements.Requests)
	}
	if st.MeasuredS == 0 {
		return 0
	}
	return float64(st.Completed) / st.MeasuredS * (st.Server.ToS - st.Server.FromS)
}

// ofErrors is a count as a share of all errors.
func (s *scene) ofErrors(n int64) float64 {
	if s.errors == 0 {
		return 0
	}
	return math.Min(1, float64(n)/s.errors)
}

func (s *scene) rateLimit() suspect {
	n := s.st.Kinds[RateLimited]
	completed := 0.0
	for k, n := range s.st.Kinds {
		if k != Canceled {
			completed += float64(n)
		}
	}
	return suspect{resourceRateLimit, s.wrong * s.ofErrors(n), fmt.Sprintf("rate limit: %s%% of the requests were refused with 429, and %s/s were served",
		formatNumber(100*float64(n)/max(completed, 1)), formatNumber(s.st.Goodput))}
}

// forDatabase is what of a pool's trouble is the database's: times in ms per request.
type forDatabase struct{ holds, waits, refused float64 }

// pool tells how much of a response is spent waiting for a connection. By Little's law a connection is held for so long as
// there are connections in use for each acquisition per second; where it is held longer than under a quiet load, the
// database has become slower, and that part of the waiting is its doing: more connections would not help.
func (s *scene) pool(p *PoolFigures) (own suspect, db forDatabase) {
	f := s.st.Server
	requests, seconds := s.requests(s.st), f.ToS-f.FromS
	if p.Size == 0 || requests == 0 || seconds <= 0 || p.Acquired == 0 {
		return suspect{}, db
	}
	wait := float64(p.Waits) * p.WaitMS / requests
	slower := s.slower(p)
	refused := s.wrong * s.ofErrors(p.Refused)
	db = forDatabase{holds: p.InUse.Mean * seconds * 1000 / requests, waits: wait * (1 - 1/slower), refused: refused * (1 - 1/slower)}
	own = suspect{resource: "pool " + p.Name}
	own.share = max(s.late*s.ofResponse(wait/slower)*(1-s.cpu), refused/slower*(1-s.cpu))
	full := p.FullShare
	own.evidence = fmt.Sprintf("%s pool: %d of %d in use %s%% of the time, %s%% of who asked had to wait, %s on average",
		p.Name, p.Size, p.Size, formatNumber(math.Round(full)), formatNumber(math.Round(p.WaitShare)), formatMS(p.WaitMS))
	if full == 0 {
		own.evidence = fmt.Sprintf("%s pool: %s of %d in use on average, %s%% of who asked had to wait, %s on average",
			p.Name, formatNumber(p.InUse.Mean), p.Size, formatNumber(math.Round(p.WaitShare)), formatMS(p.WaitMS))
	}
	if s.mean > 0 && wait > 0 {
		own.evidence += fmt.Sprintf(", which is %s of the mean response of %s", formatMS(min(wait, s.mean)), formatMS(s.mean))
	}
	if p.Refused > 0 {
		own.evidence += fmt.Sprintf("; %d were refused", p.Refused)
	}
	return own, db
}

// slower is how many times as long as under a quiet load a connection is held, at least 1. Of the quiet load a gauge that is
// read once a second tells next to nothing, so the hold there is taken as all of the response that was not waiting: it may
// be less, and the factor more.
func (s *scene) slower(p *PoolFigures) float64 {
	f := s.quiet.Server
	i := -1
	if f != nil {
		i = slices.IndexFunc(f.Pools, func(q PoolFigures) bool { return q.Name == p.Name && q.Acquired > 0 })
	}
	if i < 0 || p.Acquired == 0 {
		return 1
	}
	q := &f.Pools[i]
	quiet := (s.quiet.Response.MeanMS*s.requests(s.quiet) - float64(q.Waits)*q.WaitMS) / float64(q.Acquired)
	now := p.InUse.Mean * (s.st.Server.ToS - s.st.Server.FromS) * 1000 / float64(p.Acquired)
	if quiet <= 0 {
		return 1
	}
	return max(1, now/quiet)
}

// ofResponse is a time as a share of the mean response.
func (s *scene) ofResponse(ms float64) float64 {
	if s.mean == 0 {
		return 0
	}
	return math.Min(1, ms/s.mean)
}

func (s *scene) database(waits, holds, refused float64) suspect {
	out := suspect{resource: resourceDatabase, share: max(s.late*s.ofResponse(holds+waits), refused) * (1 - s.cpu)}
	out.evidence = fmt.Sprintf("database: requests spend %s of the mean response of %s in statements", formatMS(min(holds, s.mean)), formatMS(s.mean))
	for i := range s.st.Server.Pools {
		if slower := s.slower(&s.st.Server.Pools[i]); slower > 1.3 {
			out.evidence += fmt.Sprintf(", each %s times as long as at %s", formatNumber(math.Round(10*slower)/10), formatLoad(s.quiet.Load, s.unit))
			break
		}
	}
	for _, p := range s.st.Server.Pools {
		if p.Acquired > 0 && p.FullShare < 50 {
			out.evidence += fmt.Sprintf("; of the %s pool %s of %d connections are in use", p.Name, formatNumber(p.InUse.Mean), p.Size)
			break
		}
	}
	return out
}

func (s *scene) processor() suspect {
	c := s.st.Server.CPU
	if c == nil {
		return suspect{}
	}
	return suspect{resourceCPU, max(s.late, s.wrong) * s.cpu, fmt.Sprintf("CPU: the server kept %s cores busy, %s%% of all of the machine", formatNumber(c.Cores), formatNumber(math.Round(c.Percent)))}
}

func (s *scene) streams() suspect {
	f := s.st.Server.Streams
	if f == nil || f.Limit == 0 || f.Refused == 0 {
		return suspect{}
	}
	return suspect{resourceStreams, s.wrong * s.ofErrors(f.Refused), fmt.Sprintf("stream slots: up to %s of %d taken, %d streams refused",
		formatNumber(f.Active.Peak), f.Limit, f.Refused)}
}

func (s *scene) memory() suspect {
	f := s.st.Server.Memory
	restarts := len(s.st.Server.Restarts)
	if f == nil || f.CriticalSeconds == 0 && restarts == 0 {
		return suspect{}
	}
	out := suspect{resource: resourceMemory, share: 0.6 * max(s.late, s.wrong), evidence: fmt.Sprintf("memory: up to %s%% of %s MiB, critical for %s",
		formatNumber(math.Round(f.Percent.Peak)), formatNumber(math.Round(f.LimitMiB)), formatMS(1000*f.CriticalSeconds))}
	if restarts > 0 {
		out.share = 0.9 * max(s.late, s.wrong)
		out.evidence += fmt.Sprintf("; the server was restarted %s", times(restarts))
	}
	return out
}

func (s *scene) breaker() suspect {
	var out suspect
	for _, b := range s.st.Server.Breakers {
		if share := s.wrong * s.ofErrors(b.Rejected); b.Opened > 0 && share > out.share {
			out = suspect{resourceBreaker, share, fmt.Sprintf("circuit breaker %s: opened %s, %d calls rejected", b.Name, times(int(b.Opened)), b.Rejected)}
		}
	}
	return out
}

// cache is no place where anybody waits: it decides how much the database is asked. It is named behind what is.
func (s *scene) cache(others []suspect) suspect {
	most := 0.0
	for _, x := range others {
		if strings.HasPrefix(x.resource, "pool ") || x.resource == resourceDatabase {
			most = max(most, x.share)
		}
	}
	per := ""
	if f := s.st.Server.Statements; f != nil {
		if f.PerRequest < 0.5 {
			return suspect{}
		}
		per = fmt.Sprintf(", so that a request runs %s statements", formatNumber(f.PerRequest))
	}
	switch c := s.st.Server.Cache; {
	case c == nil:
		return suspect{resourceCache, 0.8 * most, "there is no query cache" + per}
	case c.Hits+c.Misses+c.Joined > 0 && c.HitRate < 30:
		return suspect{resourceCache, 0.5 * most, fmt.Sprintf("the query cache answers %s%% of what it is asked%s", formatNumber(math.Round(c.HitRate)), per)}
	}
	return suspect{}
}

// refusals are the 503 that nobody above answers for.
func (s *scene) refusals() suspect {
	f := s.st.Server
	known := int64(0)
	for _, p := range f.Pools {
		known += p.Refused
	}
	for _, b := range f.Breakers {
		known += b.Rejected
	}
	if f.Streams != nil {
		known += f.Streams.Refused
	}
	left := s.st.Kinds[Overloaded] - known
	if left <= 0 {
		return suspect{}
	}
	return suspect{resourceRefusals, s.wrong * s.ofErrors(left), fmt.Sprintf("%d requests were refused with 503, for a reason that is none of the server's pools, slots and breakers", left)}
}
