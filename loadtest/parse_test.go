package loadtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseWhole(t *testing.T) {
	fsys := fstest.MapFS{
		"own/all.yaml": {Data: []byte(`
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
`)},
		"own/q.txt": {Data: []byte("# a log\n3\tbeing and time\n\n\"to be\"\r\n")},
	}
	s, err := Load(fsys, "own/all.yaml")
	if err != nil {
		t.Fatal(err)
	}
	value := func(text string) *string { return &text }
	second := time.Second
	want := Scenario{
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
	exported := cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && field.Name()[0] >= 'a'
	}, cmp.Ignore())
	if diff := cmp.Diff(want, *s, exported); diff != "" {
		t.Errorf("scenario (-want +got):\n%s", diff)
	}
	if got := s.feeders[0].values; !cmp.Equal(got, []string{"being and time", `"to be"`}) {
		t.Errorf("feeder has %q", got)
	}
	if got := s.Load(); got != "10 users (all after 5s)" {
		t.Errorf("load is %q", got)
	}
}

// Each file lacks or has one thing; the rest of it is sound.
func TestParseFaults(t *testing.T) {
	const rest = "users: {count: 5}\nduration: 10s\n"
	const flows = "flows:\n  - name: f\n    steps:\n      - {name: s, get: /}\n"
	f := func(text string, want ...string) {
		t.Helper()
		s, err := Parse("x.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s\nis taken for sound: %+v", text, s)
			return
		}
		if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", text, diff)
		}
	}
	step := func(step string, want ...string) { // its first line is line 7
		t.Helper()
		f("version: 1\n"+rest+"flows:\n  - name: f\n    steps:\n      - "+strings.ReplaceAll(step, "\n", "\n        "), want...)
	}
	top := func(lines string, want ...string) { // lines begin at line 8
		t.Helper()
		f("version: 1\n"+rest+flows+lines, want...)
	}

	f("", "x.yaml:1: not YAML: yaml: no documents in stream")
	f("a: [1", "x.yaml:2: not YAML: did not find expected ',' or ']'")
	f("- 1", "x.yaml:1: scenario must be a mapping of keys to values")
	f("version: 1\n---\nversion: 1\n", "x.yaml:1: not YAML: yaml: expected single document, found multiple")
	f(rest+flows, "x.yaml:1: scenario: version is missing")
	f("version: 2\n"+rest+flows, `x.yaml:1: scenario: version is "2", must be a whole number from 1 to 1`)
	f("version: 1\n"+rest, "x.yaml:1: scenario: flows is missing")
	f("version: 1\nusers: {count: 1}\n"+flows, "x.yaml:1: scenario: duration is missing")
	f("version: 1\nduration: 1s\n"+flows, "x.yaml:1: scenario: users or arrivals is missing")
	// Several faults at once, by line.
	f("version: 1\nduraton: 5s\nusers: {count: 0}\nflows: []\nchecks:\n  - {metric: p97, below: 1s}\n",
		"x.yaml:1: scenario: duration is missing",
		`x.yaml:2: scenario: unknown key "duraton", is it "duration"?`,
		`x.yaml:3: users: count is "0", must be a whole number from 1 to 100000`,
		"x.yaml:4: scenario: has no flows",
		`x.yaml:6: check: unknown metric "p97", is it "p90"?`,
		"x.yaml:6: check of p97: why is missing: say where the bound comes from")
	top("users: {count: 5}\n", `x.yaml:8: scenario: key "users" is there twice`)
	top("arrivals: {rate: 5/s}\n", "x.yaml:8: scenario: users and arrivals exclude each other")
	top("surprise: 1\n", `x.yaml:8: scenario: unknown key "surprise"; known: arrivals, checks, connections, description, duration, expected, `+
		"faults, feeders, flows, generator, headers, identity, pace, server, slow_after, think, timeout, title, users, version, warm_up")
	top("warm_up: 5\n", `x.yaml:8: scenario: warm_up is "5", must be a time with a unit, such as 30s or 1m30s`)
	top("warm_up: -5s\n", "x.yaml:8: scenario: warm_up is -5s, must be from 0s to 168h0m0s")
	top("warm_up: [5s]\n", "x.yaml:8: scenario: warm_up must be a time with a unit, such as 30s")
	top("warm_up:\n", "x.yaml:8: scenario: warm_up must be a time with a unit, such as 30s")
	top("connections: none\n", `x.yaml:8: scenario: connections is "none", must be one of shared, per_user`)
	top("identity: all\n", "x.yaml:8: identity must be none, or a mapping of header and value")
	top("identity: {header: \"a b\"}\n", `x.yaml:8: "a b" is no name of a header`)
	top("identity: {value: \"{{query}}\"}\n", "x.yaml:8: identity: {{query}} is not known here; known: iteration, run, text, user")
	top("headers: {A: \"{{\"}\n", "x.yaml:8: scenario headers: {{ without }}")
	top("server: {phase: E, port: 1}\n",
		`x.yaml:8: server: phase is "E", must be one of baseline, A, B, C, D`,
		`x.yaml:8: server: unknown key "port"; known: answers, args, lab, phase`)
	top("server: {answers: {lines: 0, fail: 60%, hang: 50%}}\n", `x.yaml:8: server answers: lines is "0", must be a whole number from 1 to 10000`,
		"x.yaml:8: server answers: first_line is missing",
		"x.yaml:8: server answers: fail and hang are more than all questions together")
	top("server: {phase: A, lab: {seed: -1}}\n", "x.yaml:8: server lab: statement_time is missing",
		`x.yaml:8: server lab: seed is "-1", must be a whole number from 0 to 1000000000`)
	top("pace: {min: 2s, max: 1s}\n", "x.yaml:8: pace: min must not be above max")
	step("{name: s, get: /, pace: soon}", `x.yaml:7: pace: pace is "soon", must be a time with a unit, such as 30s or 1m30s`)
	top("faults: [{fault: fire, at: 1s, for: 1s}]\n", `x.yaml:8: fault: fault is "fire", must be one of database_down, database_slow, memory_pressure`)
	top("faults: [{fault: database_down}]\n", "x.yaml:8: fault: at is missing", "x.yaml:8: fault: for is missing")
	top("faults: [{fault: database_down, at: 8s, for: 3s}]\n", "x.yaml:8: fault database_down: ends after 11s, the measured time is 10s")
	top("faults: [{fault: database_down, at: 1s, for: 1s, factor: 2}]\n", "x.yaml:8: fault database_down: factor belongs to database_slow, which needs it")
	top("faults: [{fault: database_slow, at: 1s, for: 1s}]\n", "x.yaml:8: fault database_slow: factor belongs to database_slow, which needs it")
	top("faults: [{fault: memory_pressure, at: 1s, for: 1s}]\n", "x.yaml:8: fault memory_pressure: percent belongs to memory_pressure, which needs it")
	top("faults: [{fault: database_down, at: 1s, for: 1s, alert: not a name}]\n", "x.yaml:8: fault database_down: alert is \"not a name\", must be the name of an alert such as CircuitBreakerOpen")
	top("checks: [{metric: fault.seen, at_most: 1s, why: w}]\n", "x.yaml:8: check: fault.seen is of faults, and the scenario has none")
	top("faults: [{fault: database_down, at: 1s, for: 1s}]\nchecks: [{metric: fault.seen, at_most: 1s, window: 1s, why: w}]\n",
		"x.yaml:9: check: fault.seen is of the whole run and has neither step nor window")
	top("generator: {max_cpu: 120%}\n", `x.yaml:8: generator: max_cpu is "120%", must be a number with % from 1 to 100`)
	top("think: {min: 2s, max: 1s}\n", "x.yaml:8: think: min must not be above max")
	top("think: {min: 2s, mean: 1s}\n", "x.yaml:8: think: give min and max, or mean")
	top("think: soon\n", `x.yaml:8: think: think is "soon", must be a time with a unit, such as 30s or 1m30s`)
	top("feeders: {user: {values: [a]}}\n", `x.yaml:8: feeders: "user" must be a name of letters, digits and _, and not user, iteration, run or text`)
	top("feeders: {q: {values: []}}\n", "x.yaml:8: feeder q: no values")
	top("feeders: {q: {}}\n", "x.yaml:8: feeder q: give either file or values")
	top("feeders: {q: {values: [a], zipf: 1}}\n", "x.yaml:8: feeder q: zipf is the exponent of pick: zipf")
	top("feeders: {q: {file: q.txt}}\n", "x.yaml:8: feeder q: read q.txt: this scenario was not read from a directory; give values in place of the file")
	top("a: &x 1\nb: *x\n", `x.yaml:8: scenario: unknown key "a"; known: arrivals, checks, connections, description, duration, expected, `+
		"faults, feeders, flows, generator, headers, identity, pace, server, slow_after, think, timeout, title, users, version, warm_up",
		"x.yaml:9: scenario: aliases and merges are not part of a scenario file")

	users := func(users string, want ...string) {
		t.Helper()
		f("version: 1\nduration: 10s\n"+users+"\n"+flows, want...)
	}
	users("users: {count: 1, stages: [{for: 1s, to: 5}]}", "x.yaml:3: users: give either count (and ramp_up) or stages")
	users("users: {ramp_up: 1s, stages: [{for: 1s, to: 5}]}", "x.yaml:3: users: ramp_up belongs to count; stages have their own ramps")
	users("users: {count: 5, ramp_up: 11s}", "x.yaml:3: users: its ramp and stages take 11s, but warm_up and duration are 10s together")
	users("users: {stages: [{for: 1s}]}", "x.yaml:3: users stage: to is missing")
	users("users: {stages: [{for: 1s, to: 0.5}]}", "x.yaml:3: users: no stage has a user")
	users("users: {stages: {for: 1s}}", "x.yaml:3: users: stages must be a list")
	users("users: 5", "x.yaml:3: users must be a mapping of keys to values")
	users("connections: per_user\nusers: {count: 10001}", "x.yaml:4: users: connections: per_user is for at most 10000 users")
	users("arrivals: {}", "x.yaml:3: arrivals: give a rate, or stages with one")
	users("arrivals: {rate: 5}", `x.yaml:3: arrivals: rate is "5", must be a number with /min or /s from 0 to 1000000`)
	users("connections: per_user\narrivals: {rate: 5/s}", "x.yaml:4: arrivals: connections: per_user is for users")
	users("arrivals: {rate: 5/s, spacing: odd}", `x.yaml:3: arrivals: spacing is "odd", must be one of even, poisson`)

	step("{name: s}", "x.yaml:7: step s: a method with its path is missing, such as get: /")
	step("{name: s, get: /, post: /}", "x.yaml:7: step s: has both get and post")
	step("{get: /}", "x.yaml:7: step: name is missing")
	step("{name: s, get: s}", `x.yaml:7: step s: the path "s" must begin with / and have no blanks and no #`)
	step("{name: s, get: /a b#c}", `x.yaml:7: step s: the path "/a b#c" must begin with / and have no blanks and no #`)
	step("{name: s, get: /, json: a, body: b}", "x.yaml:7: step s: json and body exclude each other")
	step("{name: s, get: '/{{nobody}}'}", "x.yaml:7: step s: {{nobody}} is not known here; known: iteration, run, text, user")
	step("{name: s, get: '/{{user|upper}}'}", "x.yaml:7: step s: {{user|upper}}: the filters are raw, json, query, path, all")
	step("{name: s, get: '/{{user|all}}'}", "x.yaml:7: step s: {{user|all}}: only values taken from an answer can be given all at once")
	step("{name: s, get: /, repeat: 1001}", `x.yaml:7: step s: repeat is "1001", must be a whole number from 1 to 1000`)
	step("{name: s, get: /, timeout: 0s}", "x.yaml:7: step s: timeout is 0s, must be from 1ms to 10m0s")
	step("name: s\nget: /\nexpect: {status: 99}", `x.yaml:9: step s expect: status is "99", must be a whole number from 100 to 599`)
	step("name: s\nget: /\nexpect: {status: [200, ok]}", `x.yaml:9: step s expect: status "ok" must be from 100 to 599`)
	step("name: s\nget: /\nexpect: {json: [{path: a}]}", "x.yaml:9: step s expect json: give either equals or exists")
	step("name: s\nget: /\nexpect: {json: [{path: a, equals: [1]}]}", "x.yaml:9: step s expect json: equals must be a text, a number, true, false or null")
	step("name: s\nget: /\nexpect: {json: [{path: 'a[*]', exists: true}]}", "x.yaml:9: step s expect json: a[*] leads to many values; name one, such as [0]")
	step("name: s\nget: /\nexpect: {json: [{path: 'a..b', exists: true}]}", `x.yaml:9: step s expect json: JSON path "a..b": a key must be letters, digits, _ and -`)
	step("name: s\nget: /\nexpect: {jsn: []}", `x.yaml:9: step s expect: unknown key "jsn", is it "json"?`)
	step("name: s\nhead: /\ntake: {id: {path: id}}", "x.yaml:7: step s: the answer to HEAD has no body to read")
	step("name: s\nget: /\ntake: {id: {path: 'a[x]'}}", `x.yaml:9: step s take id: JSON path "a[x]": [x must be an index or [*]`)
	step("name: s\nget: /\ntake: {run: {path: a}}", `x.yaml:9: step s take: "run" must be a name of its own, of letters, digits and _`)
	step("name: s\nget: /{{id}}\ntake: {id: {path: a}}", "x.yaml:8: step s: {{id}} is not known here; known: iteration, run, text, user")
	step("name: s\nget: /\ntake: {id: {path: a, pick: last}}", `x.yaml:9: step s take id: pick is "last", must be one of first, random, next`)
	step("{name: s, get: /, stream: maybe}", `x.yaml:7: step s: stream is "maybe", must be one of true, false`)
	step("{name: s, get: /, stream: [a]}", "x.yaml:7: step s stream must be a mapping of keys to values")
	step("name: s\nget: /\nstream: {first_line: 2s}", `x.yaml:9: step s stream: unknown key "first_line"; known: failed, first_line_within, last, refused`)
	step("name: s\nget: /\nstream: {first_line_within: soon}", `x.yaml:9: step s stream: first_line_within is "soon", must be a time with a unit, such as 30s or 1m30s`)
	step("name: s\nget: /\nstream: {last: ''}", "x.yaml:9: step s stream: a text to look for has 0 bytes, must have 1 to 200")
	step("name: s\nget: /\nstream: {refused: [a, '']}", "x.yaml:9: step s stream: a text to look for has 0 bytes, must have 1 to 200")
	step("name: s\nget: /\nstream: {failed: "+strings.Repeat("x", 201)+"}", "x.yaml:9: step s stream: a text to look for has 201 bytes, must have 1 to 200")
	step("name: s\nget: /\nstream: {failed: [x"+strings.Repeat(", x", 31)+"]}", "x.yaml:9: step s stream: looks for 33 texts, at most 32 are looked for")
	step("name: s\nget: /\ntake: {id: {path: a}}\nstream: true", "x.yaml:10: step s: fields are read of whole answers; a stream has neither take nor expect.json")
	step("name: s\nhead: /\nstream: true", "x.yaml:9: step s: the answer to HEAD has no lines")
	step("{name: s, get: /, read_rate: 8}", `x.yaml:7: step s: read_rate is "8", must be a number with B/s or KiB/s or MiB/s from 1 to 2147483647`)
	step("{name: s, get: /, read_pause: 30s}", "x.yaml:7: step s: read_pause is 30s, and the timeout of 30s would end it")
	step("{name: s, get: /, slow_reader: refused}", "x.yaml:7: step s: slow_reader is of a step with read_rate or read_pause")
	step("{name: s, get: /, read_rate: 8B/s, slow_reader: late}", `x.yaml:7: step s: slow_reader is "late", must be one of served, refused`)
	step("{name: s, post: /, body: '{{text}}'}", "x.yaml:7: step s: {{text|}}: the size must be from 1B to 16MiB, such as {{text|64KiB}}")
	step("{name: s, post: /, body: '{{text|17MiB}}'}", "x.yaml:7: step s: {{text|17MiB}}: the size must be from 1B to 16MiB, such as {{text|64KiB}}")
	step("{name: s, post: /, body: '{{text|9MiB}}{{text|9MiB}}'}", "x.yaml:7: step s: its texts have 18874368 bytes together, at most 16777216 are made for one request")
	step("name: s\nget: /\ntake: {text: {path: a}}", `x.yaml:9: step s take: "text" must be a name of its own, of letters, digits and _`)
	top("  - name: g\n    steps: [{name: s, get: /}]\n", "x.yaml:9: step s: another step has this name; figures stand under the name")
	top("  - {name: g, steps: []}\n", "x.yaml:8: flow g: has no steps")
	top("  - {name: g, weight: 0, steps: [{name: x, get: /}]}\n", `x.yaml:8: flow g: weight is "0", must be a whole number from 1 to 1000000`)

	check := func(check string, want ...string) { // on line 9
		t.Helper()
		top("checks:\n  - "+check+"\n", want...)
	}
	check("{metric: p95, why: w}", "x.yaml:9: check of p95: a bound is missing: below, at_most, above or at_least")
	check("{metric: p95, below: 5s}", "x.yaml:9: check of p95: why is missing: say where the bound comes from")
	check("{metric: p95, below: 5s, why: ' '}", "x.yaml:9: check of p95: why is missing: say where the bound comes from")
	check("{below: 5s, why: w}", "x.yaml:9: check: metric is missing")
	check("{metric: p95, below: 5, why: w}", `x.yaml:9: check of p95: below is "5", must be a number with m or ms or s or us from 0 to 1000000000000000`)
	check("{metric: error_rate, below: 0.1, why: w}", `x.yaml:9: check of error_rate: below is "0.1", must be a number with % from 0 to 1000000000000000`)
	check("{metric: p95, below: 5s, at_most: 6s, why: w}", "x.yaml:9: check of p95: two bounds on the same side")
	check("{metric: p95, below: 5s, above: 6s, why: w}", "x.yaml:9: check of p95: its bounds exclude each other")
	check("{metric: p95, step: q, below: 5s, why: w}", `x.yaml:9: check: there is no step "q"`)
	check("{metric: p95, below: 5s, why: w, window: 11s}", "x.yaml:9: check of p95: its window is longer than the duration")
	check("{metric: p95, below: 5s, why: w, window: 6s, after: 5s}", "x.yaml:9: check of p95: its window is longer than the duration")
	check("{metric: p95, below: 5s, why: w, after: 5s}", "x.yaml:9: check of p95: after needs a window to be judged in")
	check("{metric: p95_drift, at_most: 5%, why: w, window: 5s}", "x.yaml:9: check: p95_drift is of the whole run and has neither step nor window")
	check("{metric: p95, below: 5s, why: w, abort: true}", "x.yaml:9: check of p95: abort needs a window to be judged in")
	check("{metric: server.cache_hit_rate, step: s, below: 5%, why: w}", "x.yaml:9: check: the server knows no steps; only server.requests and server.statements… can be of the route that a step asks")
	check("{metric: server.memory_peak, below: 5s, why: w}", `x.yaml:9: check of server.memory_peak: below is "5s", must be a number with GiB or KiB or MiB from 0 to 1000000000000000`)
	check("{metric: server.memory_grown, below: 5s, why: w}", `x.yaml:9: check: unknown metric "server.memory_grown", is it "server.memory_growth"?`)
	check("{metric: latency, below: 5s, why: w}", `x.yaml:9: check: unknown metric "latency"; known: `+strings.Join(Metrics(), ", "))
	check("{metric: first_line_p95, below: 5s, why: w}", "x.yaml:9: check: first_line_p95 is of streams, and no step is one (stream: true)")
	check("{metric: complete_p95, step: s, below: 5s, why: w}", "x.yaml:9: check: complete_p95 is of streams, and this step is none (stream: true)")
	top("expected: [{metric: p95}]\n", "x.yaml:8: expected: figure is missing")
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
