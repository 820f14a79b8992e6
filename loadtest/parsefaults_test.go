package loadtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is sound of the files below, which lack or have one thing each.
const (
	soundRest  = "users: {count: 5}\nduration: 10s\n"
	soundFlows = "flows:\n  - name: f\n    steps:\n      - {name: s, get: /}\n"
)

// parseFaults holds the faults of scenarios against those that are wanted.
type parseFaults struct{ *testing.T }

// file is a whole file.
func (p parseFaults) file(text string, want ...string) {
	p.Helper()
	s, err := Parse("x.yaml", []byte(text))
	if err == nil {
		p.Errorf("%s\nis taken for sound: %+v", text, s)
		return
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), err.Error()); diff != "" {
		p.Errorf("%s\n(-want +got):\n%s", text, diff)
	}
}

// step is the only one; its first line is line 7.
func (p parseFaults) step(step string, want ...string) {
	p.Helper()
	p.file("version: 1\n"+soundRest+"flows:\n  - name: f\n    steps:\n      - "+strings.ReplaceAll(step, "\n", "\n        "), want...)
}

// top is lines from line 8 on.
func (p parseFaults) top(lines string, want ...string) {
	p.Helper()
	p.file("version: 1\n"+soundRest+soundFlows+lines, want...)
}

// users is lines from line 3 on, in place of the users.
func (p parseFaults) users(users string, want ...string) {
	p.Helper()
	p.file("version: 1\nduration: 10s\n"+users+"\n"+soundFlows, want...)
}

// check is on line 9.
func (p parseFaults) check(check string, want ...string) {
	p.Helper()
	p.top("checks:\n  - "+check+"\n", want...)
}

func TestParseFaultsOfFiles(t *testing.T) {
	p := parseFaults{t}
	p.file("", "x.yaml:1: not YAML: yaml: no documents in stream")
	p.file("a: [1", "x.yaml:2: not YAML: did not find expected ',' or ']'")
	p.file("- 1", "x.yaml:1: scenario must be a mapping of keys to values")
	p.file("version: 1\n---\nversion: 1\n", "x.yaml:1: not YAML: yaml: expected single document, found multiple")
	p.file(soundRest+soundFlows, "x.yaml:1: scenario: version is missing")
	p.file("version: 2\n"+soundRest+soundFlows, `x.yaml:1: scenario: version is "2", must be a whole number from 1 to 1`)
	p.file("version: 1\n"+soundRest, "x.yaml:1: scenario: flows is missing")
	p.file("version: 1\nusers: {count: 1}\n"+soundFlows, "x.yaml:1: scenario: duration is missing")
	p.file("version: 1\nduration: 1s\n"+soundFlows, "x.yaml:1: scenario: users or arrivals is missing")
	// Several faults at once, by line.
	p.file("version: 1\nduraton: 5s\nusers: {count: 0}\nflows: []\nchecks:\n  - {metric: p97, below: 1s}\n",
		"x.yaml:1: scenario: duration is missing",
		`x.yaml:2: scenario: unknown key "duraton", is it "duration"?`,
		`x.yaml:3: users: count is "0", must be a whole number from 1 to 100000`,
		"x.yaml:4: scenario: has no flows",
		`x.yaml:6: check: unknown metric "p97", is it "p90"?`,
		"x.yaml:6: check of p97: why is missing: say where the bound comes from")
}

func TestParseFaultsAtTheTop(t *testing.T) {
	p := parseFaults{t}
	p.top("users: {count: 5}\n", `x.yaml:8: scenario: key "users" is there twice`)
	p.top("arrivals: {rate: 5/s}\n", "x.yaml:8: scenario: users and arrivals exclude each other")
	p.top("surprise: 1\n", `x.yaml:8: scenario: unknown key "surprise"; known: arrivals, checks, connections, description, duration, expected, `+
		"faults, feeders, flows, generator, headers, identity, pace, server, slow_after, think, timeout, title, users, version, warm_up")
	p.top("warm_up: 5\n", `x.yaml:8: scenario: warm_up is "5", must be a time with a unit, such as 30s or 1m30s`)
	p.top("warm_up: -5s\n", "x.yaml:8: scenario: warm_up is -5s, must be from 0s to 168h0m0s")
	p.top("warm_up: [5s]\n", "x.yaml:8: scenario: warm_up must be a time with a unit, such as 30s")
	p.top("warm_up:\n", "x.yaml:8: scenario: warm_up must be a time with a unit, such as 30s")
	p.top("connections: none\n", `x.yaml:8: scenario: connections is "none", must be one of shared, per_user`)
	p.top("identity: all\n", "x.yaml:8: identity must be none, or a mapping of header and value")
	p.top("identity: {header: \"a b\"}\n", `x.yaml:8: "a b" is no name of a header`)
	p.top("identity: {value: \"{{query}}\"}\n", "x.yaml:8: identity: {{query}} is not known here; known: iteration, run, text, user")
	p.top("headers: {A: \"{{\"}\n", "x.yaml:8: scenario headers: {{ without }}")
	p.top("server: {phase: E, port: 1}\n",
		`x.yaml:8: server: phase is "E", must be one of baseline, A, B, C, D`,
		`x.yaml:8: server: unknown key "port"; known: answers, args, lab, phase`)
	p.top("server: {answers: {lines: 0, fail: 60%, hang: 50%}}\n", `x.yaml:8: server answers: lines is "0", must be a whole number from 1 to 10000`,
		"x.yaml:8: server answers: first_line is missing",
		"x.yaml:8: server answers: fail and hang are more than all questions together")
	p.top("server: {phase: A, lab: {seed: -1}}\n", "x.yaml:8: server lab: statement_time is missing",
		`x.yaml:8: server lab: seed is "-1", must be a whole number from 0 to 1000000000`)
	p.top("pace: {min: 2s, max: 1s}\n", "x.yaml:8: pace: min must not be above max")
	p.top("generator: {max_cpu: 120%}\n", `x.yaml:8: generator: max_cpu is "120%", must be a number with % from 1 to 100`)
	p.top("think: {min: 2s, max: 1s}\n", "x.yaml:8: think: min must not be above max")
	p.top("think: {min: 2s, mean: 1s}\n", "x.yaml:8: think: give min and max, or mean")
	p.top("think: soon\n", `x.yaml:8: think: think is "soon", must be a time with a unit, such as 30s or 1m30s`)
	p.top("feeders: {user: {values: [a]}}\n", `x.yaml:8: feeders: "user" must be a name of letters, digits and _, and not user, iteration, run or text`)
	p.top("feeders: {q: {values: []}}\n", "x.yaml:8: feeder q: no values")
	p.top("feeders: {q: {}}\n", "x.yaml:8: feeder q: give either file or values")
	p.top("feeders: {q: {values: [a], zipf: 1}}\n", "x.yaml:8: feeder q: zipf is the exponent of pick: zipf")
	p.top("feeders: {q: {file: q.txt}}\n", "x.yaml:8: feeder q: read q.txt: this scenario was not read from a directory; give values in place of the file")
	p.top("a: &x 1\nb: *x\n", `x.yaml:8: scenario: unknown key "a"; known: arrivals, checks, connections, description, duration, expected, `+
		"faults, feeders, flows, generator, headers, identity, pace, server, slow_after, think, timeout, title, users, version, warm_up",
		"x.yaml:9: scenario: aliases and merges are not part of a scenario file")
	p.top("expected: [{metric: p95}]\n", "x.yaml:8: expected: figure is missing")
}

func TestParseFaultsOfInjectedFaults(t *testing.T) {
	p := parseFaults{t}
	p.top("faults: [{fault: fire, at: 1s, for: 1s}]\n", `x.yaml:8: fault: fault is "fire", must be one of database_down, database_slow, memory_pressure`)
	p.top("faults: [{fault: database_down}]\n", "x.yaml:8: fault: at is missing", "x.yaml:8: fault: for is missing")
	p.top("faults: [{fault: database_down, at: 8s, for: 3s}]\n", "x.yaml:8: fault database_down: ends after 11s, the measured time is 10s")
	p.top("faults: [{fault: database_down, at: 1s, for: 1s, factor: 2}]\n", "x.yaml:8: fault database_down: factor belongs to database_slow, which needs it")
	p.top("faults: [{fault: database_slow, at: 1s, for: 1s}]\n", "x.yaml:8: fault database_slow: factor belongs to database_slow, which needs it")
	p.top("faults: [{fault: memory_pressure, at: 1s, for: 1s}]\n", "x.yaml:8: fault memory_pressure: percent belongs to memory_pressure, which needs it")
	p.top("faults: [{fault: database_down, at: 1s, for: 1s, alert: not a name}]\n", "x.yaml:8: fault database_down: alert is \"not a name\", must be the name of an alert such as CircuitBreakerOpen")
	p.top("checks: [{metric: fault.seen, at_most: 1s, why: w}]\n", "x.yaml:8: check: fault.seen is of faults, and the scenario has none")
	p.top("faults: [{fault: database_down, at: 1s, for: 1s}]\nchecks: [{metric: fault.seen, at_most: 1s, window: 1s, why: w}]\n",
		"x.yaml:9: check: fault.seen is of the whole run and has neither step nor window")
}

func TestParseFaultsOfLoads(t *testing.T) {
	p := parseFaults{t}
	p.users("users: {count: 1, stages: [{for: 1s, to: 5}]}", "x.yaml:3: users: give either count (and ramp_up) or stages")
	p.users("users: {ramp_up: 1s, stages: [{for: 1s, to: 5}]}", "x.yaml:3: users: ramp_up belongs to count; stages have their own ramps")
	p.users("users: {count: 5, ramp_up: 11s}", "x.yaml:3: users: its ramp and stages take 11s, but warm_up and duration are 10s together")
	p.users("users: {stages: [{for: 1s}]}", "x.yaml:3: users stage: to is missing")
	p.users("users: {stages: [{for: 1s, to: 0.5}]}", "x.yaml:3: users: no stage has a user")
	p.users("users: {stages: {for: 1s}}", "x.yaml:3: users: stages must be a list")
	p.users("users: 5", "x.yaml:3: users must be a mapping of keys to values")
	p.users("connections: per_user\nusers: {count: 10001}", "x.yaml:4: users: connections: per_user is for at most 10000 users")
	p.users("arrivals: {}", "x.yaml:3: arrivals: give a rate, or stages with one")
	p.users("arrivals: {rate: 5}", `x.yaml:3: arrivals: rate is "5", must be a number with /min or /s from 0 to 1000000`)
	p.users("connections: per_user\narrivals: {rate: 5/s}", "x.yaml:4: arrivals: connections: per_user is for users")
	p.users("arrivals: {rate: 5/s, spacing: odd}", `x.yaml:3: arrivals: spacing is "odd", must be one of even, poisson`)
	p.step("{name: s, get: /, pace: soon}", `x.yaml:7: pace: pace is "soon", must be a time with a unit, such as 30s or 1m30s`)
}

func TestParseFaultsOfFlows(t *testing.T) {
	p := parseFaults{t}
	p.top("  - name: g\n    steps: [{name: s, get: /}]\n", "x.yaml:9: step s: another step has this name; figures stand under the name")
	p.top("  - {name: g, steps: []}\n", "x.yaml:8: flow g: has no steps")
	p.top("  - {name: g, weight: 0, steps: [{name: x, get: /}]}\n", `x.yaml:8: flow g: weight is "0", must be a whole number from 1 to 1000000`)
}

func TestParseFaultsOfSteps(t *testing.T) {
	p := parseFaults{t}
	p.step("{name: s}", "x.yaml:7: step s: a method with its path is missing, such as get: /")
	p.step("{name: s, get: /, post: /}", "x.yaml:7: step s: has both get and post")
	p.step("{get: /}", "x.yaml:7: step: name is missing")
	p.step("{name: s, get: s}", `x.yaml:7: step s: the path "s" must begin with / and have no blanks and no #`)
	p.step("{name: s, get: /a b#c}", `x.yaml:7: step s: the path "/a b#c" must begin with / and have no blanks and no #`)
	p.step("{name: s, get: /, json: a, body: b}", "x.yaml:7: step s: json and body exclude each other")
	p.step("{name: s, get: '/{{nobody}}'}", "x.yaml:7: step s: {{nobody}} is not known here; known: iteration, run, text, user")
	p.step("{name: s, get: '/{{user|upper}}'}", "x.yaml:7: step s: {{user|upper}}: the filters are raw, json, query, path, all")
	p.step("{name: s, get: '/{{user|all}}'}", "x.yaml:7: step s: {{user|all}}: only values taken from an answer can be given all at once")
	p.step("{name: s, get: /, repeat: 1001}", `x.yaml:7: step s: repeat is "1001", must be a whole number from 1 to 1000`)
	p.step("{name: s, get: /, timeout: 0s}", "x.yaml:7: step s: timeout is 0s, must be from 1ms to 10m0s")
	p.step("name: s\nget: /\nexpect: {status: 99}", `x.yaml:9: step s expect: status is "99", must be a whole number from 100 to 599`)
	p.step("name: s\nget: /\nexpect: {status: [200, ok]}", `x.yaml:9: step s expect: status "ok" must be from 100 to 599`)
	p.step("name: s\nget: /\nexpect: {json: [{path: a}]}", "x.yaml:9: step s expect json: give either equals or exists")
	p.step("name: s\nget: /\nexpect: {json: [{path: a, equals: [1]}]}", "x.yaml:9: step s expect json: equals must be a text, a number, true, false or null")
	p.step("name: s\nget: /\nexpect: {json: [{path: 'a[*]', exists: true}]}", "x.yaml:9: step s expect json: a[*] leads to many values; name one, such as [0]")
	p.step("name: s\nget: /\nexpect: {json: [{path: 'a..b', exists: true}]}", `x.yaml:9: step s expect json: JSON path "a..b": a key must be letters, digits, _ and -`)
	p.step("name: s\nget: /\nexpect: {jsn: []}", `x.yaml:9: step s expect: unknown key "jsn", is it "json"?`)
	p.step("name: s\nhead: /\ntake: {id: {path: id}}", "x.yaml:7: step s: the answer to HEAD has no body to read")
	p.step("name: s\nget: /\ntake: {id: {path: 'a[x]'}}", `x.yaml:9: step s take id: JSON path "a[x]": [x must be an index or [*]`)
	p.step("name: s\nget: /\ntake: {run: {path: a}}", `x.yaml:9: step s take: "run" must be a name of its own, of letters, digits and _`)
	p.step("name: s\nget: /{{id}}\ntake: {id: {path: a}}", "x.yaml:8: step s: {{id}} is not known here; known: iteration, run, text, user")
	p.step("name: s\nget: /\ntake: {id: {path: a, pick: last}}", `x.yaml:9: step s take id: pick is "last", must be one of first, random, next`)
	p.step("{name: s, post: /, body: '{{text}}'}", "x.yaml:7: step s: {{text|}}: the size must be from 1B to 16MiB, such as {{text|64KiB}}")
	p.step("{name: s, post: /, body: '{{text|17MiB}}'}", "x.yaml:7: step s: {{text|17MiB}}: the size must be from 1B to 16MiB, such as {{text|64KiB}}")
	p.step("{name: s, post: /, body: '{{text|9MiB}}{{text|9MiB}}'}", "x.yaml:7: step s: its texts have 18874368 bytes together, at most 16777216 are made for one request")
	p.step("name: s\nget: /\ntake: {text: {path: a}}", `x.yaml:9: step s take: "text" must be a name of its own, of letters, digits and _`)
}

func TestParseFaultsOfStreams(t *testing.T) {
	p := parseFaults{t}
	p.step("{name: s, get: /, stream: maybe}", `x.yaml:7: step s: stream is "maybe", must be one of true, false`)
	p.step("{name: s, get: /, stream: [a]}", "x.yaml:7: step s stream must be a mapping of keys to values")
	p.step("name: s\nget: /\nstream: {first_line: 2s}", `x.yaml:9: step s stream: unknown key "first_line"; known: failed, first_line_within, last, refused`)
	p.step("name: s\nget: /\nstream: {first_line_within: soon}", `x.yaml:9: step s stream: first_line_within is "soon", must be a time with a unit, such as 30s or 1m30s`)
	p.step("name: s\nget: /\nstream: {last: ''}", "x.yaml:9: step s stream: a text to look for has 0 bytes, must have 1 to 200")
	p.step("name: s\nget: /\nstream: {refused: [a, '']}", "x.yaml:9: step s stream: a text to look for has 0 bytes, must have 1 to 200")
	p.step("name: s\nget: /\nstream: {failed: "+strings.Repeat("x", 201)+"}", "x.yaml:9: step s stream: a text to look for has 201 bytes, must have 1 to 200")
	p.step("name: s\nget: /\nstream: {failed: [x"+strings.Repeat(", x", 31)+"]}", "x.yaml:9: step s stream: looks for 33 texts, at most 32 are looked for")
	p.step("name: s\nget: /\ntake: {id: {path: a}}\nstream: true", "x.yaml:10: step s: fields are read of whole answers; a stream has neither take nor expect.json")
	p.step("name: s\nhead: /\nstream: true", "x.yaml:9: step s: the answer to HEAD has no lines")
	p.step("{name: s, get: /, read_rate: 8}", `x.yaml:7: step s: read_rate is "8", must be a number with B/s or KiB/s or MiB/s from 1 to 2147483647`)
	p.step("{name: s, get: /, read_pause: 30s}", "x.yaml:7: step s: read_pause is 30s, and the timeout of 30s would end it")
	p.step("{name: s, get: /, slow_reader: refused}", "x.yaml:7: step s: slow_reader is of a step with read_rate or read_pause")
	p.step("{name: s, get: /, read_rate: 8B/s, slow_reader: late}", `x.yaml:7: step s: slow_reader is "late", must be one of served, refused`)
}

func TestParseFaultsOfChecks(t *testing.T) {
	p := parseFaults{t}
	p.check("{metric: p95, why: w}", "x.yaml:9: check of p95: a bound is missing: below, at_most, above or at_least")
	p.check("{metric: p95, below: 5s}", "x.yaml:9: check of p95: why is missing: say where the bound comes from")
	p.check("{metric: p95, below: 5s, why: ' '}", "x.yaml:9: check of p95: why is missing: say where the bound comes from")
	p.check("{below: 5s, why: w}", "x.yaml:9: check: metric is missing")
	p.check("{metric: p95, below: 5, why: w}", `x.yaml:9: check of p95: below is "5", must be a number with m or ms or s or us from 0 to 1000000000000000`)
	p.check("{metric: error_rate, below: 0.1, why: w}", `x.yaml:9: check of error_rate: below is "0.1", must be a number with % from 0 to 1000000000000000`)
	p.check("{metric: p95, below: 5s, at_most: 6s, why: w}", "x.yaml:9: check of p95: two bounds on the same side")
	p.check("{metric: p95, below: 5s, above: 6s, why: w}", "x.yaml:9: check of p95: its bounds exclude each other")
	p.check("{metric: p95, step: q, below: 5s, why: w}", `x.yaml:9: check: there is no step "q"`)
	p.check("{metric: p95, below: 5s, why: w, window: 11s}", "x.yaml:9: check of p95: its window is longer than the duration")
	p.check("{metric: p95, below: 5s, why: w, window: 6s, after: 5s}", "x.yaml:9: check of p95: its window is longer than the duration")
	p.check("{metric: p95, below: 5s, why: w, after: 5s}", "x.yaml:9: check of p95: after needs a window to be judged in")
	p.check("{metric: p95_drift, at_most: 5%, why: w, window: 5s}", "x.yaml:9: check: p95_drift is of the whole run and has neither step nor window")
	p.check("{metric: p95, below: 5s, why: w, abort: true}", "x.yaml:9: check of p95: abort needs a window to be judged in")
	p.check("{metric: server.cache_hit_rate, step: s, below: 5%, why: w}", "x.yaml:9: check: the server knows no steps; only server.requests and server.statements… can be of the route that a step asks")
	p.check("{metric: server.memory_peak, below: 5s, why: w}", `x.yaml:9: check of server.memory_peak: below is "5s", must be a number with GiB or KiB or MiB from 0 to 1000000000000000`)
	p.check("{metric: server.memory_grown, below: 5s, why: w}", `x.yaml:9: check: unknown metric "server.memory_grown", is it "server.memory_growth"?`)
	p.check("{metric: latency, below: 5s, why: w}", `x.yaml:9: check: unknown metric "latency"; known: `+strings.Join(Metrics(), ", "))
	p.check("{metric: first_line_p95, below: 5s, why: w}", "x.yaml:9: check: first_line_p95 is of streams, and no step is one (stream: true)")
	p.check("{metric: complete_p95, step: s, below: 5s, why: w}", "x.yaml:9: check: complete_p95 is of streams, and this step is none (stream: true)")
}
