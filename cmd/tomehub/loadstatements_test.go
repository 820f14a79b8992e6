package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/loadtest"
)

const observedScenario = `
version: 1
warm_up: 300ms
duration: 2s
users: {count: 2}
think: 20ms
feeders:
  word: {values: [time, memory, light], pick: in_order}
flows:
  - name: search-and-read
    steps:
      - name: search
        post: /api/search
        json: '{"query": "{{word}}", "page_size": 5}'
        take: {id: {path: "results[*].id", pick: next}}
      - {name: read, get: "/api/content/{{id}}", repeat: 2}
checks:
  - {metric: server.statements_per_request, step: search, at_most: 5.1, why: the plan's five}
  - {metric: server.cache_hit_rate, at_least: 50%, why: three words are asked again and again}
`

// The observer reads a real server: five statements per search and one per detail in the baseline, none from the cache later.
func TestObserveARealServer(t *testing.T) {
	run := func(phase string) *loadtest.Result {
		t.Helper()
		srv := startServer(t, demoLibrary(t), "--phase", phase, "--demo", "--rate-limit-search", "100000", "--rate-limit-global", "100000", "--rate-limit-total", "100000")
		sc, err := loadtest.Parse("observed.yaml", []byte(observedScenario))
		if err != nil {
			t.Fatal(err)
		}
		r, err := loadtest.Run(t.Context(), loadtest.Config{Scenario: sc, Target: srv.url, AdminURL: srv.admin, TopStatements: topStatements(srv.admin)})
		if err != nil {
			t.Fatal(err)
		}
		if r.Server == nil || r.Server.Statements == nil || r.Server.Top == nil {
			t.Fatalf("%s: no figures of the server: %q %+v", phase, r.NoServer, r.Server)
		}
		if r.Server.Phase != phase || len(r.Server.Notes) > 0 || r.Server.Statements.Requests == 0 {
			t.Errorf("phase %q, notes %q, %+v", r.Server.Phase, r.Server.Notes, r.Server.Statements)
		}
		return r
	}
	route := func(r *loadtest.Result, name string) loadtest.RouteFigures {
		i := slices.IndexFunc(r.Server.Statements.Routes, func(f loadtest.RouteFigures) bool { return f.Route == name })
		if i < 0 {
			t.Fatalf("no route %s in %+v", name, r.Server.Statements.Routes)
		}
		return r.Server.Statements.Routes[i]
	}
	// A request counts before its statements do, so an edge may part them: two users, one request each.
	about := func(what string, f loadtest.RouteFigures, per int64) {
		t.Helper()
		if off := f.Statements - per*f.Requests; off > 2*per || off < -2*per || f.Requests == 0 {
			t.Errorf("%s: %d statements in %d requests, want %d each", what, f.Statements, f.Requests, per)
		}
	}
	r := run("baseline")
	about("search", route(r, "POST /api/search"), 5)
	about("details", route(r, "GET /api/content/:id"), 1)
	if top := r.Server.Top; len(top.Statements) != 6 || top.Statements[0].PerRequest <= 0 || top.Executions == 0 {
		t.Errorf("top statements: %+v", top)
	}
	if r.Server.Cache != nil || r.Checks[0].Verdict.String() != "pass" || r.Checks[1].Verdict.String() != "inconclusive" {
		t.Errorf("cache %+v, checks %+v", r.Server.Cache, r.Checks)
	}
	r = run("D")
	if c := r.Server.Cache; c == nil || c.Hits == 0 || c.HitRate < 50 || r.Server.Memory == nil || r.Server.Memory.RSS.Peak == 0 || r.Verdict.String() != "pass" {
		t.Errorf("cache %+v, memory %+v, %v", r.Server.Cache, r.Server.Memory, r.Checks)
	}
}

// The wrong admin listener costs the figures that only it has, and says so.
func TestObserveWithAWrongAdmin(t *testing.T) {
	t.Parallel()
	srv := startServer(t, demoLibrary(t), "--demo")
	sc, err := loadtest.Parse("observed.yaml", []byte(strings.Replace(observedScenario, "duration: 2s", "duration: 1s", 1)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := loadtest.Run(t.Context(), loadtest.Config{Scenario: sc, Target: srv.url, AdminURL: srv.url, TopStatements: topStatements(srv.url)})
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(r.Server.Notes, "\n")
	if r.Server.Statements != nil || r.Server.Cache == nil || !strings.Contains(notes, "it has no /routes") || !strings.Contains(notes, "The statements of the measured time are not known") {
		t.Errorf("%+v\n%s", r.Server.Statements, notes)
	}
}
