package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tomehub/tomehub/reports"
)

// However long a run, its samples are bounded, and putting them together loses no count and no peak.
func TestSamplesAreBounded(t *testing.T) {
	var s sampler
	var requests, acquired int64
	const polls = 10_000
	for i := range polls {
		n := int64(i % 7)
		requests, acquired = requests+n, acquired+2*n
		x := ServerSample{AtS: float64(i), LengthS: 1, Polls: 1, Requests: &n, Hits: n, Streams: 2, Pools: []PoolSample{{Name: "read", InUse: float64(n), InUseMax: int(n), Acquired: 2 * n}}}
		if i == 4321 {
			x.Pools[0].InUseMax, x.StreamsMax, x.Restarted, x.Open = 99, 77, 1, []string{"database"}
			x.Memory = &MemorySample{RSSMaxMiB: 55, Health: "critical"}
		}
		s.add(x)
		if len(s.all) > maxSamples {
			t.Fatalf("%d samples", len(s.all))
		}
	}
	if len(s.all) < maxSamples/2 || s.per != 16 {
		t.Errorf("%d samples of %d polls", len(s.all), s.per)
	}
	var total ServerSample
	for i, x := range s.all {
		if i == 0 {
			total = x
			continue
		}
		if want := s.all[i-1].AtS + x.LengthS; x.AtS != want {
			t.Errorf("sample %d ends at %v, want %v", i, x.AtS, want)
		}
		total = together(total, x)
	}
	p := total.Pools[0]
	if total.Polls != polls || total.LengthS != polls || *total.Requests != requests || total.Hits != requests || p.Acquired != acquired ||
		p.InUseMax != 99 || math.Abs(p.InUse-float64(requests)/polls) > 1e-9 || total.StreamsMax != 77 || total.Streams != 2 ||
		total.Restarted != 1 || !cmp.Equal(total.Open, []string{"database"}) || total.Memory.RSSMaxMiB != 55 || total.Memory.Health != "critical" {
		t.Errorf("all together: %+v %+v", total, p)
	}
}

func TestTogether(t *testing.T) {
	one, two := int64(1), 2.0
	a := ServerSample{AtS: 1, LengthS: 1, Polls: 1, Memory: &MemorySample{RSSMiB: 10, RSSMaxMiB: 10, Percent: 1, PercentMax: 1, Health: "warning"}, InFlight: &two, Pools: []PoolSample{{Name: "main", Waits: 1}}}
	b := ServerSample{AtS: 4, LengthS: 3, Polls: 1, Requests: &one, Memory: &MemorySample{RSSMiB: 20, RSSMaxMiB: 20, Percent: 5, PercentMax: 5, Health: "ok"}, Streams: 4, Pools: []PoolSample{{Name: "read"}}}
	got := together(a, b)
	want := ServerSample{AtS: 4, LengthS: 4, Polls: 2, Requests: &one, InFlight: &two, Streams: 3,
		Memory: &MemorySample{RSSMiB: 17.5, RSSMaxMiB: 20, Percent: 4, PercentMax: 5, Health: "warning"}, Pools: []PoolSample{{Name: "read"}, {Name: "main", Waits: 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A server that makes up new counters with each answer fills no memory.
func TestLedgerIsBounded(t *testing.T) {
	var l ledger
	for i := range 20 {
		r := newReading()
		for j := range 500 {
			r.counts[fmt.Sprint(i, j)] = 1
		}
		r.started = fmt.Sprint(i)
		l.add(r)
	}
	if len(l.known) > maxCounters || !l.overflow {
		t.Errorf("%d counters, overflow %v", len(l.known), l.overflow)
	}
}

// What a counter stood at when it was first seen is not of this run; in a fresh process it is.
func TestLedgerBegins(t *testing.T) {
	var l ledger
	add := func(at int, started string, counts map[string]int64) map[string]int64 {
		return l.add(&reading{at: time.Duration(at), started: started, counts: counts}).counts
	}
	for i, x := range []struct {
		started      string
		counts, want map[string]int64
	}{
		{"a", map[string]int64{"x": 70}, map[string]int64{"x": 0}},
		{"a", map[string]int64{"x": 75, "y": 9}, map[string]int64{"x": 5, "y": 0}},
		{"b", map[string]int64{"x": 80, "y": 2, "z": 3}, map[string]int64{"x": 80, "y": 2, "z": 3}},
		{"b", map[string]int64{"x": 1, "y": 2, "z": 4}, map[string]int64{"x": 1, "y": 0, "z": 1}},
	} {
		if diff := cmp.Diff(x.want, add(i, x.started, x.counts)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// The bounds of a scaled run: memory is not scaled, its growth is.
func TestScaledServerBounds(t *testing.T) {
	f := func(metric string, want float64) {
		t.Helper()
		if got := (Check{Metric: metric, High: &Bound{Value: 100}}).scaled(0.1).High.Value; got != want {
			t.Errorf("%s: 100 becomes %v, want %v", metric, got, want)
		}
	}
	f("server.memory_growth", 1000)
	f("server.memory_peak", 100)
	f("server.cache_hit_rate", 100)
	f("server.breaker_open_seconds", 10)
	f("server.requests", 100)
}

func TestSlope(t *testing.T) {
	var l line
	for i := range leastPoints {
		if _, ok := l.slope(); ok {
			t.Errorf("a slope of %d points", i)
		}
		l.add(1e6+float64(i), 3*float64(i)+float64(i%2))
	}
	if got, ok := l.slope(); !ok || math.Abs(got-3) > 0.05 {
		t.Errorf("slope %v %v, want about 3", got, ok)
	}
	flat := line{}
	for range 20 {
		flat.add(1, 5)
	}
	if _, ok := flat.slope(); ok {
		t.Error("a slope without time")
	}
}

func TestRoutesMatchSteps(t *testing.T) {
	f := func(pattern, path string, want bool) {
		t.Helper()
		if got := matches(pattern, path); got != want {
			t.Errorf("%s and %s: %v", pattern, path, got)
		}
	}
	f("/api/search", "/api/search", true)
	f("/api/search", "/api/search/stream", false)
	f("/api/content/:id", "/api/content/{{id}}", true)
	f("/api/content/:id", "/api/content/17", true)
	f("/api/content/:id", "/api/content/batch", false)
	f("/api/content/batch", "/api/content/batch", true)
	f("/api/content/:id", "/api/content/", false)
}

// What the server did not tell is told as such, never as 0.
func TestServerMetricsWithoutFigures(t *testing.T) {
	bare := newStretch()
	r := newReading()
	bare.see(r, 0)
	bare.see(r, time.Second)
	bare.length = time.Second
	asked := &Step{Name: "s", Method: "GET", Path: "/"}
	for name, want := range map[string]string{
		"server.requests": noStatements, "server.statements": noStatements, "server.statements_per_request": noStatements,
		"server.statements_per_ok": noStatements, "server.in_flight_peak": noStatements, "server.cache_hit_rate": noCache,
		"server.pool_wait_share": "nobody asked for a connection", "server.pool_wait_mean": "nobody asked for a connection",
		"server.pool_use_mean": noPools, "server.pool_use_peak": noPools, "server.pool_waiting_peak": noPools,
		"server.memory_used": noMemory, "server.memory_peak": noMemory, "server.memory_percent": noMemory, "server.memory_growth": noMemory,
	} {
		if _, got := metrics[name].ofServer(bare, nil, ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, s := range []*stretch{nil, newStretch()} {
		if _, got := metrics["server.restarts"].ofServer(s, nil, "none"); got == "" {
			t.Error("restarts of a stretch without polls")
		}
	}
	idle := newStretch()
	r.gauges[keyInFlight], r.counts[keyHits], r.counts[routeKey("POST /", "requests")] = 0, 0, 0
	idle.add(&step{at: time.Second, counts: r.counts, now: r})
	for name, want := range map[string]string{"server.statements_per_request": noRequests, "server.cache_hit_rate": noAsked} {
		if _, got := metrics[name].ofServer(idle, nil, ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if _, got := metrics["server.requests"].ofServer(idle, asked, ""); got != "the server has no route for GET /" {
		t.Errorf("%q", got)
	}
}

func TestServerMetricValues(t *testing.T) {
	s := newStretch()
	r := newReading()
	r.pools = []string{"read", "write"}
	r.health = "warning"
	r.gauges = map[string]float64{
		keyInFlight: 7, keyStreams: 3, keyRSS: 200, keyMemoryPercent: 40,
		poolKey("read", "size"): 20, poolKey("read", "in_use"): 5, poolKey("read", "waiting"): 2,
		poolKey("write", "size"): 4, poolKey("write", "in_use"): 3, poolKey("write", "waiting"): 1,
	}
	r.breakers = map[string]string{"database": "open", "answers": "closed"}
	s.add(&step{since: 0, at: 2 * time.Second, now: r, counts: map[string]int64{
		routeKey("GET /a", "requests"): 10, routeKey("GET /a", "ok"): 5, routeKey("GET /a", "statements"): 60,
		routeKey("GET /b", "requests"): 30, routeKey("GET /b", "ok"): 25, routeKey("GET /b", "statements"): 60,
		keyHits: 6, keyMisses: 3, keyJoined: 1, keyStreamsRefused: 4,
		poolKey("read", "acquired"): 90, poolKey("read", "waits"): 30, poolKey("read", "timed_out"): 4, poolKey("read", "queue_full"): 3,
		poolKey("read", "shed"): 2, poolKey("write", "acquired"): 1, poolKey("read", "wait_us"): 500_000, breakerKey("database", "opened"): 2,
	}})
	for name, want := range map[string]float64{
		"server.requests": 40, "server.statements": 120, "server.statements_per_request": 3, "server.statements_per_ok": 4,
		"server.cache_hit_rate": 60, "server.pool_refused": 9, "server.pool_wait_share": 30, "server.pool_wait_mean": 5,
		"server.pool_use_mean": 75, "server.pool_use_peak": 75, "server.pool_waiting_peak": 2, "server.streams_peak": 3,
		"server.streams_refused": 4, "server.memory_used": 200, "server.memory_peak": 200, "server.memory_percent": 40,
		"server.breaker_open_seconds": 2000, "server.breaker_opened": 2, "server.in_flight_peak": 7, "server.restarts": 0,
	} {
		if got, reason := metrics[name].ofServer(s, nil, ""); got != want || reason != "" {
			t.Errorf("%s is %v %q, want %v", name, got, reason, want)
		}
	}
	b := &Step{Method: "GET", Path: "/b?page=1"}
	for name, want := range map[string]float64{
		"server.requests": 30, "server.statements": 60, "server.statements_per_request": 2, "server.statements_per_ok": 2.4,
	} {
		if got, reason := metrics[name].ofServer(s, b, ""); got != want || reason != "" {
			t.Errorf("%s of /b is %v %q, want %v", name, got, reason, want)
		}
	}
	for name, m := range metrics {
		if m.server != nil && !strings.HasPrefix(name, "server.") || m.server == nil && m.of == nil && m.result == nil {
			t.Errorf("%s has no source", name)
		}
	}
}

// Whatever a server answers, an observer neither breaks nor believes nonsense, and the result can be written.
func FuzzServerAnswers(f *testing.F) {
	fake := newFakeTomehub()
	for _, target := range []string{"http://target/api/health/pools", "http://target/api/health/cache", "http://target/api/health/streams",
		"http://target/api/health/memory", "http://target/api/health/circuit-breaker", "http://target/api/health/live", "http://admin/routes"} {
		req, _ := http.NewRequest("GET", target, nil)
		data, err := json.Marshal(fake.answer(req))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	f.Add([]byte(`{"pools":[{"name":"a"},{"name":"a"}]}`), []byte(`{"pools":[],"cache":{"enabled":true,"hits":-1}}`))
	f.Add([]byte(`{"pools":[],"memory":{"process_rss_mb":1e300}}`), []byte(`{"pools":[],"streams":{"refused":{"a":9e15,"b":9e15}}}`))
	f.Add([]byte(`{"pools":[],"schema_version":1,"routes":[{"method":"GET","route":"/","requests":9223372036854775807}]}`), []byte(`null`))
	base := &url.URL{Scheme: "http", Host: "target"}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var s seen
		measured := newStretch()
		for i, data := range [][]byte{first, second, first} {
			r := newServerReader(base, base, roundTrip(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: body{bytes.NewReader(data)}}, nil
			}))
			got, err := r.read(t.Context())
			if got != nil {
				got.at = time.Duration(i) * time.Second
			}
			if !s.account(got, err, time.Millisecond) {
				continue
			}
			measured.add(s.step(got))
		}
		if s.noServer() != "" {
			return
		}
		out := &Result{Server: &ServerFigures{Samples: s.samples.all, Transitions: s.transitions}}
		measured.fill(out.Server)
		if _, err := json.Marshal(out); err != nil {
			t.Fatal(err)
		}
		for name, m := range metrics {
			if m.server == nil {
				continue
			}
			if v, reason := m.ofServer(measured, nil, ""); name != "server.memory_growth" && (v < 0 || math.IsNaN(v) || math.IsInf(v, 0)) {
				t.Errorf("%s is %v %q", name, v, reason)
			}
		}
		if err := out.Report().Write(&bytes.Buffer{}, reports.Text, reports.TextOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }
