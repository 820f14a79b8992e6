package loadtest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tomehub/tomehub/reports"
)

// Why a metric of the server may be missing.
const (
	noStatements = "the server's statements are not known: name its admin listener (--admin)"
	noCache      = "the server has no query cache"
	noAsked      = "nobody asked the cache"
	noRequests   = "the server counted no request"
	noMemory     = "the server does not watch its memory (--memory-monitor)"
	noPools      = "the server has no pools"
)

// serverMetrics are the metrics that the server's own figures give.
func serverMetrics() map[string]metric {
	of := func(u unit, f func(*stretch) (float64, string)) metric { return metric{unit: u, server: f} }
	all := map[string]metric{
		"server.requests":               {unit: unitCount, server: (*stretch).requests, route: routeCount("requests")},
		"server.statements":             {unit: unitCount, server: (*stretch).statements, route: routeCount("statements")},
		"server.statements_per_request": {unit: unitCount, server: (*stretch).perRequest, route: perRoute("requests")},
		"server.statements_per_ok":      {unit: unitCount, server: (*stretch).perOK, route: perRoute("ok")},
		"server.cache_hit_rate":         of(unitPercent, (*stretch).hitRate),
		"server.pool_wait_share":        of(unitPercent, (*stretch).waitShare),
		"server.pool_wait_mean":         of(unitTime, (*stretch).waitMean),
		"server.pool_refused":           of(unitCount, (*stretch).poolRefused),
		"server.pool_use_mean":          of(unitPercent, (*stretch).poolUseMean),
		"server.pool_use_peak":          of(unitPercent, (*stretch).poolUsePeak),
		"server.pool_waiting_peak":      of(unitCount, (*stretch).poolWaitingPeak),
		"server.streams_peak":           of(unitCount, func(s *stretch) (float64, string) { return s.gauges[keyStreams].figures().Peak, "" }),
		"server.streams_refused":        of(unitCount, func(s *stretch) (float64, string) { return float64(s.counts[keyStreamsRefused]), "" }),
		"server.memory_used":            of(unitMemory, func(s *stretch) (float64, string) { return s.memory(keyRSS, false) }),
		"server.memory_peak":            of(unitMemory, func(s *stretch) (float64, string) { return s.memory(keyRSS, true) }),
		"server.memory_percent":         of(unitPercent, func(s *stretch) (float64, string) { return s.memory(keyMemoryPercent, true) }),
		"server.memory_growth":          of(unitGrowth, (*stretch).memoryGrowth),
		"server.breaker_open_seconds":   of(unitTime, (*stretch).breakerOpen),
		"server.breaker_opened":         of(unitCount, func(s *stretch) (float64, string) { return float64(sum(s.counts, "breaker.", "opened")), "" }),
		"server.restarts":               of(unitCount, func(s *stretch) (float64, string) { return float64(s.restarts), "" }),
		"server.in_flight_peak":         of(unitCount, (*stretch).inFlightPeak),
	}
	return all
}

func (s *stretch) admin() bool { return s.gauges[keyInFlight] != nil }

func (s *stretch) requests() (float64, string)   { return s.routes("requests") }
func (s *stretch) statements() (float64, string) { return s.routes("statements") }

func (s *stretch) routes(what string) (float64, string) {
	if !s.admin() {
		return 0, noStatements
	}
	return float64(sum(s.counts, "route.", what)), ""
}

func (s *stretch) perRequest() (float64, string) { return s.statementsPer("requests") }
func (s *stretch) perOK() (float64, string)      { return s.statementsPer("ok") }

func (s *stretch) statementsPer(what string) (float64, string) {
	n, reason := s.routes(what)
	if reason == "" && n == 0 {
		reason = noRequests
	}
	if reason != "" {
		return 0, reason
	}
	return float64(sum(s.counts, "route.", "statements")) / n, ""
}

// routeCount is one counter of the route that a step asks.
func routeCount(what string) func(*stretch, *Step) (float64, string) {
	return func(s *stretch, st *Step) (float64, string) {
		if !s.admin() {
			return 0, noStatements
		}
		route, ok := s.routeOf(st)
		if !ok {
			return 0, fmt.Sprintf("the server has no route for %s %s", st.Method, st.Path)
		}
		return float64(s.counts[routeKey(route, what)]), ""
	}
}

// perRoute is the statements of the route that a step asks, for each of its requests or right answers.
func perRoute(what string) func(*stretch, *Step) (float64, string) {
	return func(s *stretch, st *Step) (float64, string) {
		n, reason := routeCount(what)(s, st)
		if reason == "" && n == 0 {
			reason = noRequests
		}
		if reason != "" {
			return 0, reason
		}
		statements, _ := routeCount("statements")(s, st)
		return statements / n, ""
	}
}

// routeOf finds the server's route for a step. Steps that ask the same route share its figures.
func (s *stretch) routeOf(st *Step) (string, bool) {
	path, _, _ := strings.Cut(st.Path, "?")
	for key := range s.counts {
		name, what, _ := strings.Cut(key, "\x00")
		route, ok := strings.CutPrefix(name, "route.")
		if method, pattern, _ := strings.Cut(route, " "); ok && what == "requests" && method == st.Method && matches(pattern, path) {
			return route, true
		}
	}
	return "", false
}

// matches tells whether a path of a scenario, with {{values}} in it, is one of a route such as /api/content/:id.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if strings.HasPrefix(want[i], ":") {
			if !isValue(got[i]) {
				return false
			}
		} else if want[i] != got[i] {
			return false
		}
	}
	return true
}

// isValue tells what stands for an id, a value or a number, from a word of a path: /api/content/batch is a route of its own.
func isValue(s string) bool {
	return s != "" && (strings.Contains(s, "{{") || strings.Trim(s, "0123456789") == "")
}

func (s *stretch) hitRate() (float64, string) {
	hits, told := s.counts[keyHits]
	if !told {
		return 0, noCache
	}
	all := hits + s.counts[keyMisses] + s.counts[keyJoined]
	if all == 0 {
		return 0, noAsked
	}
	return percent(hits, all), ""
}

func percent(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// poolRefused counts who did not get a connection: the queue was full, the wait too long, or the pool shed.
func (s *stretch) poolRefused() (float64, string) {
	n := int64(0)
	for _, what := range []string{"timed_out", "queue_full", "shed"} {
		n += sum(s.counts, "pool.", what)
	}
	return float64(n), ""
}

// poolAsked counts everybody whose asking for a connection ended: with one, with a refusal, or because the asker left.
func (s *stretch) poolAsked() int64 {
	refused, _ := s.poolRefused()
	return sum(s.counts, "pool.", "acquired") + sum(s.counts, "pool.", "cancelled") + int64(refused)
}

func (s *stretch) waitShare() (float64, string) {
	all := s.poolAsked()
	if all == 0 {
		return 0, "nobody asked for a connection"
	}
	return percent(sum(s.counts, "pool.", "waits"), all), ""
}

// waitMean is the wait of everybody who asked for a connection, those who got one at once included.
func (s *stretch) waitMean() (float64, string) {
	all := s.poolAsked()
	if all == 0 {
		return 0, "nobody asked for a connection"
	}
	return float64(sum(s.counts, "pool.", "wait_us")) / 1000 / float64(all), ""
}

// eachPool gives the largest figure of all pools.
func (s *stretch) eachPool(f func(pool string) float64) (float64, string) {
	if s.last == nil || len(s.last.pools) == 0 {
		return 0, noPools
	}
	most := 0.0
	for _, pool := range s.last.pools {
		most = math.Max(most, f(pool))
	}
	return most, ""
}

// poolUse is percent of a pool's connections.
func (s *stretch) poolUse(pool string, of func(PeakMean) float64) float64 {
	size := s.gauges[poolKey(pool, "size")].figures().Peak
	if size == 0 {
		return 0
	}
	return 100 * of(s.gauges[poolKey(pool, "in_use")].figures()) / size
}

func (s *stretch) poolUseMean() (float64, string) {
	return s.eachPool(func(p string) float64 { return s.poolUse(p, func(m PeakMean) float64 { return m.Mean }) })
}

func (s *stretch) poolUsePeak() (float64, string) {
	return s.eachPool(func(p string) float64 { return s.poolUse(p, func(m PeakMean) float64 { return m.Peak }) })
}

func (s *stretch) poolWaitingPeak() (float64, string) {
	return s.eachPool(func(p string) float64 { return s.gauges[poolKey(p, "waiting")].figures().Peak })
}

func (s *stretch) memory(key string, peak bool) (float64, string) {
	g := s.gauges[key]
	if g == nil {
		return 0, noMemory
	}
	if peak {
		return g.figures().Peak, ""
	}
	return g.figures().Mean, ""
}

func (s *stretch) memoryGrowth() (float64, string) {
	if s.gauges[keyRSS] == nil {
		return 0, noMemory
	}
	slope, ok := s.growth.slope()
	if !ok {
		return 0, fmt.Sprintf("needs %d polls since the start or the last restart, there were %d", leastPoints, s.growth.n)
	}
	return slope, ""
}

// breakerOpen is how long the breaker that was open longest did not let everything through, in milliseconds.
func (s *stretch) breakerOpen() (float64, string) {
	var most time.Duration
	for _, d := range s.open {
		most = max(most, d)
	}
	return milliseconds(most), ""
}

func (s *stretch) inFlightPeak() (float64, string) {
	if !s.admin() {
		return 0, noStatements
	}
	return s.gauges[keyInFlight].figures().Peak, ""
}

// ofServer takes the metric from what the server said. st is nil for all steps, s is nil when there is nothing, for the
// reason that why gives.
func (m metric) ofServer(s *stretch, st *Step, why string) (float64, string) {
	switch {
	case s == nil:
		return 0, why
	case s.polls < 2 && s.length == 0:
		return 0, "the server was read only once"
	case st != nil:
		return m.route(s, st)
	}
	return m.server(s)
}

// A serverWatch judges a check of a server's metric in every window of its own length. A poll belongs to the window in
// which most of the time since the poll before lies, so a window is as exact as the distance of the polls.
type serverWatch struct {
	check  Check
	step   *Step // nil is all
	opened time.Duration
	now    *stretch
	judged int
	worst  reports.Check
	excess float64
	reason string // why the last window could not be judged
}

func newServerWatch(c Check, scn *Scenario) *serverWatch {
	return &serverWatch{check: c, step: scn.step(c.Step), opened: scn.WarmUp + c.After, now: newStretch(), excess: math.Inf(-1)}
}

// step finds a step by its name; nil for "".
func (s *Scenario) step(name string) *Step {
	for _, st := range s.steps {
		if st.Name == name && name != "" {
			return st
		}
	}
	return nil
}

func (w *serverWatch) add(s *step, every, end time.Duration, abort func(string)) {
	middle := s.at - min(every, s.length())/2
	for middle >= w.opened+w.check.Window && w.opened+w.check.Window <= end {
		w.close(abort)
	}
	if middle >= w.opened && w.opened+w.check.Window <= end {
		w.now.add(s)
	}
}

// finish closes the last window when it was seen whole.
func (w *serverWatch) finish(seen time.Duration, abort func(string)) {
	if seen >= w.opened+w.check.Window {
		w.close(abort)
	}
}

func (w *serverWatch) close(abort func(string)) {
	s := w.now
	w.now = newStretch()
	w.opened += w.check.Window
	v, reason := metrics[w.check.Metric].ofServer(s, w.step, "no poll in it")
	if reason != "" {
		w.reason = reason
		return
	}
	w.judged++
	judged := w.check.conclude(v, "")
	if excess := w.check.beyond(v); excess > w.excess {
		w.excess, w.worst = excess, judged
	}
	if !w.check.holds(v) && w.check.Abort {
		abort(w.check.name() + ": " + judged.Reason)
	}
}

// result is the check over all windows; why says why there are no figures, when there are none.
func (w *serverWatch) result(why string) reports.Check {
	switch {
	case why != "":
		return w.check.conclude(0, why)
	case w.judged > 0:
		return w.worst
	case w.reason != "":
		return w.check.conclude(0, w.reason)
	}
	return w.check.conclude(0, "no window was seen whole")
}
