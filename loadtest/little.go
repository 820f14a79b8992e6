package loadtest

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Expectation is what queueing theory says of a scenario in the lab, before anything is measured. As long as the pool
// is the bottleneck, statements pass at the rate at which its connections turn, and Little's law gives the rest: users =
// rate × (response + time between). Once it is not, answers take what their statements take.
type Expectation struct {
	Users       int     `json:"users"`
	Connections int     `json:"connections"`            // that searches share
	Statements  float64 `json:"statements_per_request"` // without what the cache answers
	StatementMS float64 `json:"statement_ms"`           // mean, of these
	HitRate     float64 `json:"hit_rate"`               // percent, as measured; 0 without a cache
	Rate        float64 `json:"rate_per_s"`
	MeanMS      float64 `json:"mean_ms"` // of the response
	WaitMS      float64 `json:"wait_ms"` // of each statement for its connection
	Use         float64 `json:"pool_use"`
}

// The plan's profile (task B1): means by what a statement reads, at an overall mean of 0.30085 s. The server's lab draws
// from the same; statements of one search in the order in which they run.
const (
	profileContent, profileConcepts, profileRelations = 0.2510, 0.3173, 0.4008
	profileOverall                                    = (500*profileContent + 300*profileConcepts + 200*profileRelations) / 1000
)

// phasePool is what a phase of the plan has before its database.
type phasePool struct {
	connections int  // that searches share
	five        bool // five statements for a search, one more for each passage with details
	cache       bool
}

var phasePools = map[string]phasePool{
	"baseline": {connections: 20, five: true},
	"A":        {connections: 40, five: true},
	"B":        {connections: 40, cache: true},
	"C":        {connections: 50, cache: true},
	"D":        {connections: 50, cache: true},
}

// pool is the phase's, as far as the server's arguments do not say otherwise.
func (s Server) pool() (phasePool, bool) {
	p, known := phasePools[s.Phase]
	size := "--db-pool-size"
	if s.Phase == "C" || s.Phase == "D" {
		size = "--db-pool-read-size"
	}
	for i, arg := range s.Args {
		name, value, joined := strings.Cut(arg, "=")
		if !joined && i+1 < len(s.Args) {
			value = s.Args[i+1]
		}
		switch name {
		case size:
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				p.connections = n
			}
		case "--query-cache":
			p.cache = value != "false"
		}
	}
	return p, known
}

// demand is what one request of a step asks of the database without a cache: so many statements, of so many seconds all
// together, relative to an overall mean of one.
func (p phasePool) demand(st *Step) (statements, seconds float64) {
	path, query, _ := strings.Cut(st.Path, "?")
	switch {
	case strings.HasPrefix(path, "/api/search") && p.five:
		statements, seconds = 5, 3*profileContent+profileConcepts+profileRelations
		if strings.Contains(query, "include=details") {
			k := pageSize(query)
			statements, seconds = statements+k, seconds+k*profileContent
		}
	case strings.HasPrefix(path, "/api/search"):
		statements, seconds = 2, profileContent+profileRelations
	case strings.HasPrefix(path, "/api/content"):
		statements, seconds = 1, profileContent
	}
	return statements, seconds / profileOverall
}

// pageSize reads page_size of a query; the server's own is 50.
func pageSize(query string) float64 {
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, _ := strings.Cut(pair, "="); name == "page_size" {
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				return float64(n)
			}
		}
	}
	return 50
}

// load is one step's share of all requests.
type stepLoad struct {
	share               float64
	statements, seconds float64 // asked of the pool, in the mean
	think, pace         float64
}

// response is the mean when each statement waits that long.
func (p stepLoad) response(wait float64) float64 { return p.seconds + p.statements*wait }

// Expect returns what theory says of the scenario on its own server, with its cache answering hitRate percent of what is
// asked. ok is false where theory has nothing to say: without a lab, without a known phase, in the open model.
func (s *Scenario) Expect(hitRate float64) (e Expectation, ok bool) {
	pool, known := s.Server.pool()
	if s.Server.Lab == nil || s.Users == nil || !known {
		return e, false
	}
	if !pool.cache {
		hitRate = 0
	}
	parts := s.parts(pool, hitRate)
	users := s.Users.curve.most()
	rate := func(wait float64) float64 {
		cycle := 0.0
		for _, p := range parts {
			r := p.response(wait)
			cycle += p.share * math.Max(r+p.think, p.pace)
		}
		return users / cycle
	}
	work := weighed(parts, func(p stepLoad) float64 { return p.seconds })
	e = Expectation{Users: int(users), Connections: pool.connections, HitRate: hitRate}
	// The wait is the least at which the statements that users ask for are as many as the connections can run.
	low, high := 0.0, 3600.0
	if rate(0)*work > float64(pool.connections) {
		for range 100 {
			if mid := (low + high) / 2; rate(mid)*work > float64(pool.connections) {
				low = mid
			} else {
				high = mid
			}
		}
	} else {
		high = 0
	}
	e.Rate, e.WaitMS = rate(high), 1000*high
	e.MeanMS = 1000 * weighed(parts, func(p stepLoad) float64 { return p.response(high) })
	e.Use = 100 * e.Rate * work / float64(pool.connections)
	if e.Statements = weighed(parts, func(p stepLoad) float64 { return p.statements }); e.Statements > 0 {
		e.StatementMS = 1000 * work / e.Statements
	}
	return e, true
}

// parts lists the steps as shares of all requests.
func (s *Scenario) parts(pool phasePool, hitRate float64) []stepLoad {
	var parts []stepLoad
	all := 0.0
	miss := 1 - hitRate/100
	for _, f := range s.Flows {
		for _, st := range f.Steps {
			statements, seconds := pool.demand(st)
			p := stepLoad{share: float64(f.Weight * st.Repeat), statements: miss * statements, seconds: miss * seconds * s.Server.Lab.StatementTime.Seconds()}
			think, pace := s.Think, s.Pace
			if st.Think != nil {
				think = *st.Think
			}
			if st.Pace != nil {
				pace = *st.Pace
			}
			p.think, p.pace = think.mean().Seconds(), pace.mean().Seconds()
			all += p.share
			parts = append(parts, p)
		}
	}
	for i := range parts {
		parts[i].share /= all
	}
	return slices.Clip(parts)
}

func (p Pause) mean() time.Duration {
	if p.Mean > 0 {
		return p.Mean
	}
	return (p.Min + p.Max) / 2
}

func weighed(parts []stepLoad, of func(stepLoad) float64) (all float64) {
	for _, p := range parts {
		all += p.share * of(p)
	}
	return all
}
