package loadtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wholeScenario has every key.
const wholeScenario = `
version: 1
title: Everything
description: All keys
server: {phase: C, args: [--db-pool-size, "7"], answers: {first_line: 500ms, lines: 20, every: 100ms, fail: 5%, hang: 1%}}
warm_up: 5s
duration: 1m
timeout: 9s
slow_after: 4s
connections: per_user
users: {stages: [{for: 5s, to: 10}, {for: 20s, to: 10}, {for: 0s, to: 4}]}
think: {mean: 2s}
identity: {header: x-who, value: "u{{user}}"}
generator: {max_send_lag: 5ms, max_send_lag_share: 3%, max_cpu: 70%}
headers: {accept: "application/json"}
feeders:
  query: {file: q.txt, pick: zipf, zipf: 1.2}
  name: {values: [ada, bob], pick: in_order}
flows:
  - name: one
    weight: 3
    steps:
      - name: search
        post: /s
        json: '{"q": "{{query}}"}'
        headers: {X-Run: "{{run}}"}
        repeat: 2
        think: 1s
        timeout: 2s
        slow_after: 1s
        expect:
          status: [200, 206]
          min_bytes: 10
          json: [{path: page, equals: 1}, {path: error, exists: false}]
        take:
          id: {path: "results[*].id", pick: random, max: 20}
  - name: two
    steps:
      - {name: put, put: "/x/{{name}}?i={{iteration}}", body: "{{name}}", think: {min: 1s, max: 2s}}
checks:
  - {metric: p95, step: search, below: 1500ms, why: a}
  - {metric: error_rate, at_least: 1%, at_most: 2.5%, why: b, window: 10s, abort: true}
  - {metric: goodput, above: 600/min, why: c}
  - {metric: p99, below: 1s, why: d, window: 5s, after: 50s}
expected:
  - {metric: p99, figure: "5-7 s", step: put}
`

// whole is what wholeScenario says.
func whole() Scenario {
	value := func(text string) *string { return &text }
	second := time.Second
	return Scenario{
		File: "own/all.yaml", Name: "all", Title: "Everything", Description: "All keys",
		Server: Server{
			Phase: "C", Args: []string{"--db-pool-size", "7"},
			Answers: &Answers{FirstLine: second / 2, Lines: 20, Every: second / 10, Fail: 5, Hang: 1},
		},
		WarmUp: 5 * second, Duration: time.Minute,
		Users: &Users{Stages: []Stage{{5 * second, 10}, {20 * second, 10}, {0, 4}}}, Think: Pause{Mean: 2 * second},
		PerUser: true, Identity: Identity{Header: "X-Who"}, Generator: GeneratorBounds{5 * time.Millisecond, 3, 70},
		Checks: []Check{
			{Metric: "p95", Step: "search", High: &Bound{Value: 1500}, Why: "a"},
			{Metric: "error_rate", Low: &Bound{1, true}, High: &Bound{2.5, true}, Why: "b", Window: 10 * second, Abort: true},
			{Metric: "goodput", Low: &Bound{Value: 10}, Why: "c"},
			{Metric: "p99", High: &Bound{Value: 1000}, Why: "d", Window: 5 * second, After: 50 * second},
		},
		Expected: []Expected{{"p99", "put", "5-7 s"}},
		Flows: []Flow{
			{Name: "one", Weight: 3, Steps: []*Step{{
				Name: "search", Method: "POST", Path: "/s", Repeat: 2, Think: &Pause{Min: second, Max: second},
				Timeout: 2 * second, SlowAfter: second, Expect: Expect{
					Status: []int{200, 206}, MinBytes: 10,
					JSON: []FieldCheck{{Path: "page", Equals: value("1")}, {Path: "error", Absent: true}},
				},
			}}},
			{Name: "two", Weight: 1, Steps: []*Step{{
				Name: "put", Method: "PUT", Path: "/x/{{name}}?i={{iteration}}", Repeat: 1,
				Think: &Pause{Min: second, Max: 2 * second}, Timeout: 9 * second, SlowAfter: 4 * second,
			}}},
		},
	}
}

func TestParseWhole(t *testing.T) {
	fsys := fstest.MapFS{
		"own/all.yaml": {Data: []byte(wholeScenario)},
		"own/q.txt":    {Data: []byte("# a log\n3\tbeing and time\n\n\"to be\"\r\n")},
	}
	s, err := Load(fsys, "own/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exported := cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && field.Name()[0] >= 'a'
	}, cmp.Ignore())
	if diff := cmp.Diff(whole(), *s, exported); diff != "" {
		t.Errorf("scenario (-want +got):\n%s", diff)
	}
	if got := s.feeders[0].values; !cmp.Equal(got, []string{"being and time", `"to be"`}) {
		t.Errorf("feeder has %q", got)
	}
	if got := s.Load(); got != "10 users (all after 5s)" {
		t.Errorf("load is %q", got)
	}
}

func TestLoadFaults(t *testing.T) {
	fsys := fstest.MapFS{
		"a.yaml":    {Data: []byte("version: 1\nduration: 1s\nusers: {count: 1}\nfeeders: {q: {file: none.txt}, r: {file: bad.txt}, e: {file: empty.txt}}" + oneStep)},
		"bad.txt":   {Data: []byte("fine\nx\tbad weight\n")},
		"empty.txt": {Data: []byte("# nothing\n")},
		"big.yaml":  {Data: make([]byte, maxFileSize+1)},
	}
	f := func(name, want string) {
		t.Helper()
		_, err := Load(fsys, name)
		if err == nil || err.Error() != want {
			t.Errorf("Load(%s) = %v, want %s", name, err, want)
		}
	}
	f("a.yaml", "a.yaml:4: feeder q: read none.txt: open none.txt: file does not exist\n"+
		"a.yaml:4: feeder r: read bad.txt: line 2: \"x\" before the tab must be a weight above 0\n"+
		"a.yaml:4: feeder e: read empty.txt: no values")
	f("big.yaml", "read scenario: big.yaml: has 1048577 bytes, at most 1048576 are read")
	f("none.yaml", "read scenario: open none.yaml: file does not exist")
	all, err := List(fsys)
	if len(all) != 0 || err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("List = %v, %v; want no scenario and the faults of both files", all, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"checkpoint-a.yaml", "smoke.yaml", "plain-http.yaml"} {
		data, err := os.ReadFile("../scenarios/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("version: 1\nduration: 1s\nusers: {count: 1, ramp_up: 1s}\nthink: {mean: 1s}" + oneStep)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("fuzz.yaml", []byte(text))
		if (s == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", s, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz.yaml:") {
				t.Fatalf("a fault without file and line: %v", err)
			}
			return
		}
		c := s.scaled(0.5)
		if len(c.steps) != len(s.steps) || len(s.steps) == 0 || s.slots() < 1 || s.longestTimeout() <= 0 {
			t.Fatalf("an unsound scenario passed: %+v", s)
		}
		// Every user must be able to make its first request.
		u := newUser(0, newShared(s, "http://fake", "run"), 1)
		u.begin()
		u.prepare()
	})
}
