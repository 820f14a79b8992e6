package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// searched are searches that nothing but the database answers.
const searched = `
version: 1
title: Searches
warm_up: 1s
duration: 5s
users: {count: 20}
think: {mean: 500ms}
identity: none
headers:
  X-Forwarded-For: "2001:db8:0:{{user}}::1"
feeders:
  query: {values: [being, time, light, river, stone, house, letter, word, sea, night, king, garden]}
flows:
  - name: search
    steps:
      - {name: search, get: "/api/search?q={{query}}+{{iteration}}+{{user}}&page_size=5"}
`

// capacityOf searches the capacity of a server that is started with these arguments.
func capacityOf(t *testing.T, to float64, args ...string) *loadtest.CapacityResult {
	t.Helper()
	file := filepath.Join(t.TempDir(), "search.yaml")
	if err := os.WriteFile(file, []byte(searched), 0o600); err != nil {
		t.Fatal(err)
	}
	sc, err := loadtest.Load(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, t.TempDir(), append([]string{"--demo"}, args...)...)
	slo, err := loadtest.ParseSLO("p95<=400ms")
	if err != nil {
		t.Fatal(err)
	}
	r, err := loadtest.Capacity(t.Context(), loadtest.CapacityConfig{
		Scenario: sc, SLO: []loadtest.Check{slo}, Target: s.url, AdminURL: s.admin, From: to / 8, To: to, Precision: 1, Repeats: 2,
		WarmUp: 500 * time.Millisecond, Step: time.Second, MaxTime: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Report().Summary; s == "" {
		t.Error("the report says nothing")
	}
	t.Log(r.Report().Summary)
	return r
}

// A real server with a bottleneck put in: a small pool. (A limit of rates is planted in fakes only: what one step used up of a real
// minute is missing in the next.) Five places that a search holds for about 0.1 s
// carry some 45 users who think for half a second, and not 160.
func TestCapacitySpawned(t *testing.T) {
	slow(t)
	f := func(resource string, args ...string) {
		t.Helper()
		r := capacityOf(t, 160, args...)
		named := slices.ContainsFunc(r.Bottlenecks, func(b loadtest.Bottleneck) bool { return b.Resource == resource })
		if r.Verdict == reports.Inconclusive && strings.Contains(strings.Join(r.Reasons, " "), "nothing could be seen") {
			t.Skipf("SKIPPED: this machine is too busy to load a server: %q", r.Reasons)
		}
		if r.Capacity >= 160 || len(r.Bottlenecks) == 0 || r.Bottlenecks[0].Resource != resource {
			t.Errorf("%q: %v carried, %+v (named at all: %v)", args, r.Capacity, r.Bottlenecks, named)
		}
	}
	f("pool read", "--phase", "C", "--db-pool-read-size", "5", "--lab-statement-time", "50ms", "--query-cache=false", "--rate-limit-search", "0", "--rate-limit-global", "0")
}
