package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/library/demo"
)

// TestPlanCommands types the shell tests of the plan as it prints them, not a character
// changed, at a server with the settings of the task's phase, and looks for what the plan
// says should be seen. Its times are those of another machine and are logged, not judged.
func TestPlanCommands(t *testing.T) {
	for _, program := range []string{"bash", "curl", "grep"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: needs %s to type the plan's commands (apt-get install bash curl grep)", program)
		}
	}
	dir := demoLibrary(t)
	t.Run("A1 and A3", func(t *testing.T) { planPhaseA(t, dir) })
	t.Run("B2", func(t *testing.T) { planCaching(t, dir) })
	t.Run("B3", func(t *testing.T) { planDetails(t, dir) })
	t.Run("B4", func(t *testing.T) { planPages(t, dir) })
	t.Run("C1", func(t *testing.T) { planPools(t, dir) })
}

func planPhaseA(t *testing.T, dir string) {
	s := startServer(t, dir, "--phase", "A", "--demo")
	sh := newPlanShell(t, s)

	answers := sh.answers(`
# 1. Send requests rapidly
for i in {1..101}; do curl http://localhost:5001/api/search; done

# Should get 429 on request 101+
`)
	if len(answers) != 101 {
		t.Fatalf("%d answers, want 101", len(answers))
	}
	for i, a := range answers[:100] {
		// The plan's request searches for nothing, which is a fault of its own and counts all the same.
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("X-RateLimit-Remaining") != strconv.Itoa(99-i) {
			t.Fatalf("request %d: %d, %s remaining; want 400 and %d", i+1, a.StatusCode, a.Header.Get("X-RateLimit-Remaining"), 99-i)
		}
	}
	refused := answers[100]
	var body struct {
		Error, Detail string
		RetryAfter    int `json:"retry_after"`
	}
	refused.decode(t, &body)
	if refused.StatusCode != http.StatusTooManyRequests || body.Error != "Rate limit exceeded" || body.Detail == "" ||
		body.RetryAfter < 1 || refused.Header.Get("Retry-After") != strconv.Itoa(body.RetryAfter) {
		t.Errorf("request 101: %d, Retry-After %q, %s", refused.StatusCode, refused.Header.Get("Retry-After"), refused.body)
	}

	shown := sh.run(`
# 2. Check rate limit headers
curl -i http://localhost:5001/api/search
# Should show: X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset
`)
	for _, want := range []string{"X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: ", "Retry-After: "} {
		if !strings.Contains(strings.ToLower(shown), strings.ToLower(want)) { // names of fields have no case
			t.Errorf("curl -i lacks %q:\n%s", want, shown)
		}
	}

	// # Check logs: "Database pool: min=5, max=40, timeout=30s"
	if log := stopped(t, s); !strings.Contains(log, `"Database pool: min=5, max=40, timeout=30s"`) {
		t.Errorf("the log lacks the pool of phase A:\n%s", log)
	}
}

func planCaching(t *testing.T, dir string) {
	s := startServer(t, dir, "--phase", "B", "--demo", "--log-level", "debug", "--log-format", "text")
	sh := newPlanShell(t, s)
	const command = `
# 1. Run same search twice
curl http://localhost:5001/api/search -d '{"query": "What is X?"}'
# First: Not cached, slow response
# Second: Cached, fast response
`
	first, second := sh.search(command), sh.search(command)
	if first.CacheHit || first.statements < 1 || first.statements > 2 || first.Total == 0 {
		t.Errorf("first: cache_hit %v, %d statements, %d matches; want a miss of 1 or 2 statements", first.CacheHit, first.statements, first.Total)
	}
	if !second.CacheHit || second.statements != 0 {
		t.Errorf("second: cache_hit %v, %d statements; want a hit of none", second.CacheHit, second.statements)
	}
	if diff := cmp.Diff(first.searchAnswer, second.searchAnswer); diff != "" {
		t.Errorf("the cached answer differs (-first +second):\n%s", diff)
	}
	sh.write("logs/app.log", stopped(t, s))
	got := strings.Count(sh.run(`
# 2. Check logs for cache hits
grep "Search cache" logs/app.log
`), "\n")
	if hits := strings.Count(sh.run(`grep "Search cache HIT" logs/app.log`), "\n"); got != 2 || hits != 1 {
		t.Errorf("the log tells of %d searches and %d hits, want 2 and 1", got, hits)
	}
}

func planDetails(t *testing.T, dir string) {
	// Without the cache, in which the hundred reads would leave everything for the batch.
	s := startServer(t, dir, "--phase", "B", "--demo", "--query-cache=false")
	sh := newPlanShell(t, s)
	singles := sh.answers(`
# Before optimization:
time for i in {1..100}; do 
  curl http://localhost:5001/api/content/$i 
done
# Time: 15-20 seconds (100 individual queries)
`)
	var one []map[string]any
	statements := 0
	for i, a := range singles {
		if a.StatusCode != http.StatusOK {
			t.Fatalf("passage %d: %d %s", i+1, a.StatusCode, a.body)
		}
		statements += a.statements(t)
		one = append(one, nil)
		a.decode(t, &one[i])
	}
	if len(singles) != 100 || statements != 100 {
		t.Errorf("%d reads took %d statements, want 100 and 100", len(singles), statements)
	}

	found := sh.search(`
# After optimization:
curl http://localhost:5001/api/search \
  -d '{"query":"dasein","include_details":true}'
# Time: 2-3 seconds (single query with JOIN)
`)
	if found.statements > 2 || len(found.Results) != 50 || found.Results[0].Content == "" {
		t.Errorf("search with details: %d statements, %d results; want 2 at most, 50, and their texts", found.statements, len(found.Results))
	}

	batch := sh.answers(`
# Or batch endpoint:
curl http://localhost:5001/api/content/batch \
  -d '{"ids":[1,2,3,...,100]}'
# Time: 500-800ms (single batch query)
`)[0]
	var got struct {
		Items   []map[string]any `json:"items"`
		Unknown []int64          `json:"unknown_ids"`
	}
	batch.decode(t, &got)
	if n := batch.statements(t); batch.StatusCode != http.StatusOK || n != 1 || len(got.Unknown) != 0 {
		t.Errorf("batch: %d, %d statements, unknown %v; want 200, 1 statement and none", batch.StatusCode, n, got.Unknown)
	}
	if diff := cmp.Diff(one, got.Items); diff != "" {
		t.Errorf("the batch differs from the hundred reads (-reads +batch):\n%s", diff)
	}
}

func planPages(t *testing.T, dir string) {
	s := startServer(t, dir, "--phase", "B", "--demo")
	sh := newPlanShell(t, s)
	first := sh.search(`
# Get first page
curl 'http://localhost:5001/api/search' \
  -d '{"query":"dasein","page":1,"page_size":50}'
`)
	second := sh.search(`
# Get second page
curl 'http://localhost:5001/api/search' \
  -d '{"query":"dasein","page":2,"page_size":50}'
`)
	var ids []int64
	for i, page := range []planSearch{first, second} {
		want := planPageFields{Page: i + 1, PageSize: 50, TotalPages: (first.Total + 49) / 50, HasNext: (i+1)*50 < first.Total}
		if diff := cmp.Diff(want, page.planPageFields); diff != "" || len(page.Results) != min(50, first.Total-50*i) {
			t.Errorf("page %d has %d of %d results (-want +got):\n%s", i+1, len(page.Results), page.Total, diff)
		}
		for _, r := range page.Results {
			ids = append(ids, r.ID)
		}
	}
	slices.Sort(ids)
	if n := len(ids); n <= 50 || len(slices.Compact(ids)) != n {
		t.Errorf("the pages share results: %v", ids)
	}
}

func planPools(t *testing.T, dir string) {
	s := startServer(t, dir, "--phase", "C", "--demo", "--rate-limit-ingest", "0")
	sh := newPlanShell(t, s)

	// # Terminal 1: Start ingestion (uses write pool)
	stop := ingestForever(t, s)
	before := s.poolStats()
	for tries := 0; before["write"].InUse == 0 && tries < 10_000; tries++ { // until the ingestion holds a connection
		before = s.poolStats()
	}
	codes := sh.run(`
# Terminal 2: Run searches (uses read pool)
for i in {1..100}; do
  curl http://localhost:5001/api/search -d '{"query":"test"}' &
done

# Observe: Searches don't block on ingestion
`, `output = "/dev/null"`, `write-out = "%{http_code}\n"`)
	after := s.poolStats()
	stored := stop()

	if n := strings.Count(codes, "200\n"); n != 100 || len(codes) != 400 {
		t.Errorf("%d of 100 searches answered 200: %q", n, codes)
	}
	read, write := after["read"], after["write"]
	if read.Acquired == before["read"].Acquired || read.TimedOut+read.QueueFull > 0 {
		t.Errorf("the searches did not use the read pool freely: before %+v, after %+v", before["read"], read)
	}
	if write.Acquired == 0 || stored == 0 {
		t.Errorf("the ingestion did not use the write pool: %+v, %d books stored", write, stored)
	}
	if log := stopped(t, s); !strings.Contains(log, "Database pools: read 5-50, write 2-10") {
		t.Errorf("the log lacks the two pools:\n%s", log)
	}
}

// ingestForever has two people send ever new books; stop lets them end the last ones and
// returns how many books were stored.
func ingestForever(t *testing.T, s *served) (stop func() int) {
	t.Helper()
	var texts []string
	for b := range demo.Books(7, 10, 2000) {
		texts = append(texts, b.Text)
	}
	enough := make(chan struct{})
	var people sync.WaitGroup
	var stored atomic.Int64
	for who := range 2 {
		people.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-enough:
					return
				default:
				}
				body := fmt.Sprintf("Copy %d of %d.\n\n%s", n, who, texts[n%len(texts)])
				resp, err := http.Post(s.url+"/api/ingest?title=Endless", "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusCreated {
					t.Errorf("ingest answered %d", resp.StatusCode)
					return
				}
				stored.Add(1)
			}
		})
	}
	return func() int { close(enough); people.Wait(); return int(stored.Load()) }
}

// planPool is what these tests read of a pool.
type planPool struct {
	Name      string `json:"name"`
	InUse     int    `json:"in_use"`
	Acquired  int64  `json:"acquired"`
	TimedOut  int64  `json:"timed_out"`
	QueueFull int64  `json:"queue_full"`
}

func (s *served) poolStats() map[string]planPool {
	s.t.Helper()
	var got struct {
		Pools []planPool `json:"pools"`
	}
	s.get("/api/health/pools", &got)
	pools := map[string]planPool{}
	for _, p := range got.Pools {
		pools[p.Name] = p
	}
	return pools
}

// stopped ends the server and returns what it logged.
func stopped(t *testing.T, s *served) string {
	t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	return s.stderr.String()
}
