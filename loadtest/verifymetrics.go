package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// planMetrics are the families that monitoring is built on, each with the labels that tell its series apart.
var planMetrics = map[string][]string{
	"tomehub_http_request_duration_seconds":     {"code", "method", "route"},
	"tomehub_http_requests_in_flight":           {"route"},
	"tomehub_http_db_queries_per_request":       {"route"},
	"go_sql_in_use_connections":                 {"db_name"},
	"go_sql_max_open_connections":               {"db_name"},
	"go_sql_wait_count_total":                   {"db_name"},
	"tomehub_db_acquire_seconds":                {"outcome", "pool"},
	"tomehub_db_query_duration_seconds":         {"op", "outcome"},
	"tomehub_db_slow_queries_total":             {"op"},
	"tomehub_cache_requests_total":              {"cache", "result"},
	"tomehub_cache_evictions_total":             {"cache", "reason"},
	"tomehub_cache_entries":                     {"cache"},
	"tomehub_cache_size_bytes":                  {"cache"},
	"tomehub_ratelimit_decisions_total":         {"decision", "limiter"},
	"tomehub_streams_active":                    nil,
	"tomehub_streams_limit":                     nil,
	"tomehub_streams_closed_total":              {"reason"},
	"tomehub_stream_wait_seconds":               nil,
	"tomehub_circuit_breaker_state":             {"name", "state"},
	"tomehub_circuit_breaker_transitions_total": {"from", "name", "to"},
	"tomehub_circuit_breaker_calls_total":       {"name", "result"},
	"tomehub_memory_used_ratio":                 nil,
	"tomehub_memory_limit_bytes":                nil,
	"tomehub_memory_state":                      {"state"},
	"tomehub_restarts_total":                    {"reason"},
	"tomehub_build_info":                        {"phase", "version"},
}

// A scrape is what /metrics said: its families, and the value of each series, of a histogram its count.
type scrape struct {
	families map[string]*dto.MetricFamily
	values   map[string]float64
}

// labelsOf are a metric's labels in alphabetical order, as names and as PromQL has them.
func labelsOf(m *dto.Metric) (names []string, text string) {
	var parts []string
	for _, l := range m.Label {
		names = append(names, l.GetName())
		parts = append(parts, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	slices.Sort(names)
	slices.Sort(parts)
	return names, strings.Join(parts, ",")
}

// parseMetrics reads the text format of Prometheus.
func parseMetrics(text []byte) (*scrape, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read /metrics: %w", err)
	}
	s := &scrape{families: families, values: map[string]float64{}}
	for name, f := range families {
		for _, m := range f.Metric {
			_, labels := labelsOf(m)
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(m.GetHistogram().GetSampleCount())
			s.values[name+"{"+labels+"}"] = value
		}
	}
	return s, nil
}

// metrics scrapes the admin listener.
func (b *bench) metrics(ctx context.Context) (*scrape, error) {
	if b.admin == "" {
		return nil, fmt.Errorf("%w: metrics are on the admin listener: name it with --admin", errUndecided)
	}
	a, err := b.do(ctx, http.MethodGet, b.admin+"/metrics", "", "")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("/metrics answers %d: %s", a.status, clip(strings.TrimSpace(string(a.body)), 200))
	}
	return parseMetrics(a.body)
}

func metricsServed(ctx context.Context, b *bench) (finding, error) {
	s, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	public, err := b.get(ctx, "/metrics")
	if err != nil {
		return finding{}, err
	}
	ok := len(s.families) > 0 && public.status == http.StatusNotFound
	return judge(ok, "%d families with %d series on the admin listener; the public one answers %d", len(s.families), len(s.values), public.status)
}

func metricsNamed(ctx context.Context, b *bench) (finding, error) {
	s, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	var faults []string
	for name, want := range planMetrics {
		f := s.families[name]
		if f == nil {
			faults = append(faults, name+" is not there")
			continue
		}
		if names, _ := labelsOf(f.Metric[0]); !slices.Equal(names, want) {
			faults = append(faults, fmt.Sprintf("%s has the labels %v, want %v", name, names, want))
		}
		if f.GetHelp() == "" {
			faults = append(faults, name+" has no help")
		}
	}
	slices.Sort(faults)
	if len(faults) > 0 {
		return judge(false, "%s", strings.Join(faults, "; "))
	}
	return judge(true, "all %d families, with their labels and help", len(planMetrics))
}

// Series of a search.
const (
	searchSeries  = `tomehub_http_request_duration_seconds{code="200",method="POST",route="/api/search"}`
	contentHits   = `tomehub_cache_requests_total{cache="content",result="hit"}`
	contentMisses = `tomehub_cache_requests_total{cache="content",result="miss"}`
)

func metricsMove(ctx context.Context, b *bench) (finding, error) {
	before, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	query := "dasein " + b.newUser()
	const twice = 2
	for range twice {
		if _, err := b.search(ctx, query, ""); err != nil {
			return finding{}, err
		}
	}
	after, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	moved := func(series string) float64 { return after.values[series] - before.values[series] }
	ok := moved(searchSeries) == twice && moved(contentMisses) == 1 && moved(contentHits) == 1
	if b.spawned == nil { // others search, too
		ok = moved(searchSeries) >= twice && moved(contentMisses) >= 1 && moved(contentHits) >= 1
	}
	return judge(ok, "the same search twice: %v requests, %v miss, %v hit", moved(searchSeries), moved(contentMisses), moved(contentHits))
}

// metricsBounded invents paths and methods. The first of them may make the series of what is unknown.
func metricsBounded(ctx context.Context, b *bench) (finding, error) {
	invent := func(n int) error {
		for i := range n {
			for _, method := range []string{http.MethodGet, "BREW" + fmt.Sprint(i)} {
				for _, path := range []string{fmt.Sprintf("/invented/%d", i), "/api/search"} {
					if method == http.MethodGet && path == "/api/search" {
						continue
					}
					if _, err := b.do(ctx, method, b.target+path, "", ""); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	if err := invent(1); err != nil {
		return finding{}, err
	}
	before, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	const paths = 20
	if err := invent(paths); err != nil {
		return finding{}, err
	}
	after, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	count := func(s *scrape) (n int) {
		for series := range s.values {
			if strings.HasPrefix(series, "tomehub_http_") {
				n++
			}
		}
		return n
	}
	return judge(count(before) > 0 && count(after) == count(before), "%d series of requests before %d invented paths and methods, %d after", count(before), paths, count(after))
}

func metricsAgree(ctx context.Context, b *bench) (finding, error) {
	s, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	pools, err := b.pools(ctx)
	if err != nil {
		return finding{}, err
	}
	streams, err := b.streamState(ctx)
	if err != nil {
		return finding{}, err
	}
	var faults []string
	same := func(series string, health float64) {
		if got, there := s.values[series]; !there || got != health {
			faults = append(faults, fmt.Sprintf("%s is %v, health says %v", series, got, health))
		}
	}
	for name, p := range pools {
		same(`go_sql_max_open_connections{db_name="`+name+`"}`, float64(p.Size))
		if b.spawned != nil { // nobody else uses it meanwhile
			same(`go_sql_wait_count_total{db_name="`+name+`"}`, float64(p.Waits))
			same(`tomehub_db_acquire_seconds{outcome="granted",pool="`+name+`"}`, float64(p.Acquired))
		}
	}
	same("tomehub_streams_limit{}", float64(streams.Limit))
	if len(faults) > 0 {
		return judge(false, "%s", strings.Join(faults, "; "))
	}
	return judge(len(pools) > 0, "the metrics of %d pools and of the streams say what /api/health/pools and /streams say", len(pools))
}

var breakerStates = []string{"closed", "half_open", "open"}

// breakerNames are the breakers that the metrics tell of.
func (s *scrape) breakerNames() []string {
	var names []string
	for _, m := range s.families["tomehub_circuit_breaker_state"].GetMetric() {
		for _, l := range m.Label {
			if l.GetName() == "name" && !slices.Contains(names, l.GetValue()) {
				names = append(names, l.GetValue())
			}
		}
	}
	slices.Sort(names)
	return names
}

// breakerState is the state whose series is 1, "" when it is not exactly one of the three.
func (s *scrape) breakerState(name string) string {
	in := ""
	for _, state := range breakerStates {
		v, there := s.values[fmt.Sprintf(`tomehub_circuit_breaker_state{name=%q,state=%q}`, name, state)]
		switch {
		case !there, v != 0 && v != 1, v == 1 && in != "":
			return ""
		case v == 1:
			in = state
		}
	}
	return in
}

func breakersTold(ctx context.Context, b *bench) (finding, error) {
	s, err := b.metrics(ctx)
	if err != nil {
		return finding{}, err
	}
	names := s.breakerNames()
	var told []string
	for _, name := range names {
		state := s.breakerState(name)
		if state == "" {
			return judge(false, "breaker %s is in no state, or in several", name)
		}
		told = append(told, name+" "+state)
	}
	return judge(slices.Contains(names, "database"), "%s", strings.Join(told, ", "))
}

// A breakerSeen is the database's breaker before, in and after an outage.
type breakerSeen struct {
	before, during, after *scrape
}

// change is by how much a series grew up to then.
func (s *breakerSeen) change(then *scrape, family, labels string) float64 {
	series := family + "{" + labels + "}"
	return then.values[series] - s.before.values[series]
}

// outage takes the database away for a moment, once for the bench.
func (b *bench) outage(ctx context.Context) (*breakerSeen, error) {
	if b.broken != nil {
		return b.broken, nil
	}
	seen := new(breakerSeen)
	var err error
	if seen.before, err = b.metrics(ctx); err != nil {
		return nil, err
	}
	a, err := b.do(ctx, http.MethodPut, b.admin+"/lab/fault/database_down", `{"for": "1500ms"}`, "")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("take the database away: the server answered %d: %s", a.status, clip(string(a.body), 200))
	}
	asked := 0
	reach := func(state string) (*scrape, error) {
		var s *scrape
		reached, err := until(ctx, 10*time.Second, func() (bool, error) {
			asked++
			if _, err := b.post(ctx, "/api/search", fmt.Sprintf(`{"query": %q}`, varied(asked))); err != nil {
				return false, err
			}
			var err error
			s, err = b.metrics(ctx)
			return err == nil && s.breakerState("database") == state && (state != "open" || s.values[`tomehub_circuit_breaker_calls_total{name="database",result="rejected"}`] > 0), err
		})
		if err == nil && !reached {
			err = errors.New("the database's breaker is never " + state + " in the metrics")
		}
		return s, err
	}
	if seen.during, err = reach("open"); err != nil {
		return nil, err
	}
	if seen.after, err = reach("closed"); err != nil {
		return nil, err
	}
	b.broken = seen
	return seen, nil
}

func breakerTransitions(ctx context.Context, b *bench) (finding, error) {
	seen, err := b.outage(ctx)
	if err != nil {
		return finding{}, err
	}
	n := func(from, to string) float64 {
		return seen.change(seen.after, "tomehub_circuit_breaker_transitions_total", fmt.Sprintf(`from=%q,name="database",to=%q`, from, to))
	}
	opened, half, reopened, closed := n("closed", "open"), n("open", "half_open"), n("half_open", "open"), n("half_open", "closed")
	return judge(opened == 1 && closed == 1 && half == reopened+closed,
		"an outage: open, then closed; closed → open %v, open → half_open %v, half_open → open %v, half_open → closed %v", opened, half, reopened, closed)
}

func breakerCalls(ctx context.Context, b *bench) (finding, error) {
	seen, err := b.outage(ctx)
	if err != nil {
		return finding{}, err
	}
	n := func(then *scrape, result string) float64 {
		return seen.change(then, "tomehub_circuit_breaker_calls_total", fmt.Sprintf(`name="database",result=%q`, result))
	}
	failures, rejected, successes := n(seen.during, "failure"), n(seen.during, "rejected"), n(seen.after, "success")-n(seen.during, "success")
	return judge(failures >= 1 && rejected >= 1 && successes >= 1, "%v failures and %v rejected in the outage, %v successes after it", failures, rejected, successes)
}
