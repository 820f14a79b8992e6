package loadtest

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// A parser turns the nodes of one file into a Scenario.
type parser struct {
	decoder
	readFile func(name string) ([]byte, error)
	s        *Scenario
	timeout  time.Duration // the scenario's, for steps without one
	slow     time.Duration
	stepAt   map[string]*yaml.Node // where each step's name stands
	sum      hash.Hash             // of all files that were read
}

func parse(name string, data []byte, readFile func(string) ([]byte, error)) (*Scenario, error) {
	p := &parser{
		decoder:  decoder{file: name},
		readFile: readFile,
		s:        &Scenario{File: name, Name: baseName(name)},
		stepAt:   map[string]*yaml.Node{},
		sum:      sha256.New(),
	}
	p.sum.Write(data)
	if top := p.parseYAML(data); top != nil {
		p.scenario(p.section(top, "scenario"))
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	p.s.digest = fmt.Sprintf("%x", p.sum.Sum(nil)[:8])
	return p.s, nil
}

func (p *parser) scenario(s *section) {
	s.need("version")
	s.integer("version", FormatVersion, FormatVersion, FormatVersion)
	p.s.Title = s.text("title")
	if p.s.Title == "" {
		p.s.Title = p.s.Name
	}
	p.s.Description = s.text("description")
	p.s.WarmUp = s.duration("warm_up", 0, 0, maxDuration)
	s.need("duration")
	p.s.Duration = s.duration("duration", 0, 100*time.Millisecond, maxDuration)
	p.timeout = s.duration("timeout", 30*time.Second, time.Millisecond, maxTimeout)
	p.slow = s.duration("slow_after", 0, time.Millisecond, maxTimeout)
	p.s.PerUser = s.word("connections", "shared", "shared", "per_user") == "per_user"
	p.s.Think = p.pause(s.get("think"), "think")
	if n := s.get("pace"); n != nil {
		p.s.Pace = p.pause(n, "pace")
		if s.has("arrivals") {
			p.faultf(n, "pace belongs to users: visitors come at the rate of arrivals")
		}
	}
	p.server(s.get("server"))
	p.load(s)
	p.identity(s.get("identity"))
	p.generator(s.get("generator"))
	p.feeders(s.get("feeders"))
	p.s.headers = p.headers(s, scope{feeders: p.feederScope()})
	p.flows(s)
	p.injected(s)
	p.checks(s)
	p.expected(s)
	s.close()
}

// load reads users or arrivals.
func (p *parser) load(s *section) {
	users, arrivals := s.get("users"), s.get("arrivals")
	switch {
	case users != nil && arrivals != nil:
		p.faultf(arrivals, "scenario: users and arrivals exclude each other")
	case users != nil:
		p.users(p.section(users, "users"))
	case arrivals != nil:
		p.arrivals(p.section(arrivals, "arrivals"))
	case s.node.Kind == yaml.MappingNode:
		p.faultf(s.node, "scenario: users or arrivals is missing")
	}
}

func (p *parser) users(s *section) {
	before := len(p.faults)
	count := s.integer("count", 0, 1, maxUsers)
	ramp := s.duration("ramp_up", 0, 0, maxDuration)
	stages := p.stages(s, 0, maxUsers, map[string]float64{"": 1})
	switch {
	case s.node.Kind != yaml.MappingNode:
		return
	case s.has("count") == s.has("stages"):
		p.faultf(s.node, "users: give either count (and ramp_up) or stages")
	case s.has("stages") && s.has("ramp_up"):
		p.faultf(s.node, "users: ramp_up belongs to count; stages have their own ramps")
	case s.has("count"):
		stages = []Stage{{For: ramp, To: float64(count)}}
	}
	u := &Users{Stages: stages, curve: newCurve(0, stages)}
	if u.curve.most() < 1 && len(p.faults) == before {
		p.faultf(s.node, "users: no stage has a user")
	}
	p.fits(s, stages)
	p.s.Users = u
	if p.s.PerUser && u.curve.most() > 10_000 {
		p.faultf(s.node, "users: connections: per_user is for at most 10000 users")
	}
	s.close()
}

func (p *parser) arrivals(s *section) {
	before := len(p.faults)
	units := map[string]float64{"/s": 1, "/min": 1.0 / 60}
	a := &Arrivals{
		Rate:        s.quantity("rate", 0, 0, maxRate, units),
		Stages:      p.stages(s, 0, maxRate, units),
		Poisson:     s.word("spacing", "even", "even", "poisson") == "poisson",
		MaxVisitors: s.integer("max_visitors", 10_000, 1, maxUsers),
		Identities:  s.integer("identities", 1000, 1, 1_000_000_000),
	}
	a.curve = newCurve(a.Rate, a.Stages)
	if a.curve.most() == 0 && len(p.faults) == before {
		p.faultf(s.node, "arrivals: give a rate, or stages with one")
	}
	if p.s.PerUser {
		p.faultf(s.node, "arrivals: connections: per_user is for users")
	}
	p.fits(s, a.Stages)
	p.s.Arrivals = a
	s.close()
}

// fits reports stages that would never be reached.
func (p *parser) fits(s *section, stages []Stage) {
	var sum time.Duration
	for _, st := range stages {
		sum += st.For
	}
	if total := p.s.Total(); sum > total && p.s.Duration > 0 {
		p.faultf(s.node, "%s: its ramp and stages take %v, but warm_up and duration are %v together", s.name, sum, total)
	}
}

func (p *parser) stages(s *section, least, most float64, units map[string]float64) []Stage {
	var all []Stage
	for _, n := range s.list("stages") {
		st := p.section(n, s.name+" stage")
		st.need("for")
		st.need("to")
		all = append(all, Stage{
			For: st.duration("for", 0, 0, maxDuration),
			To:  st.quantity("to", 0, least, most, units),
		})
		st.close()
	}
	return all
}

// pause reads "2s", {min, max} or {mean}.
func (p *parser) pause(n *yaml.Node, name string) Pause {
	if n == nil {
		return Pause{}
	}
	if n.Kind == yaml.ScalarNode {
		holder := &section{d: &p.decoder, node: n, name: name, values: map[string]*yaml.Node{name: n}}
		d := holder.duration(name, 0, 0, maxDuration)
		return Pause{Min: d, Max: d}
	}
	s := p.section(n, name)
	t := Pause{
		Min:  s.duration("min", 0, 0, maxDuration),
		Max:  s.duration("max", 0, 0, maxDuration),
		Mean: s.duration("mean", 0, 0, maxDuration),
	}
	switch {
	case s.has("mean") == (s.has("min") || s.has("max")):
		p.faultf(n, "%s: give min and max, or mean", name)
	case !s.has("mean") && (!s.has("max") || t.Min > t.Max):
		p.faultf(n, "%s: min must not be above max", name)
	}
	s.close()
	return t
}

// identity reads {header, value}, or none.
func (p *parser) identity(n *yaml.Node) {
	header, value := "X-Tomehub-User", "load-{{user}}"
	if n != nil && n.Kind == yaml.ScalarNode {
		if n.Value != "none" {
			p.faultf(n, "identity must be none, or a mapping of header and value")
		}
		return
	}
	if n != nil {
		s := p.section(n, "identity")
		if t := s.text("header"); t != "" {
			header = t
		}
		if t := s.text("value"); t != "" {
			value = t
		}
		s.close()
	} else {
		n = &yaml.Node{}
	}
	p.s.Identity = Identity{
		Header: p.headerName(n, header),
		value:  p.compile(n, "identity", value, inHeader, scope{}),
	}
}

func (p *parser) generator(n *yaml.Node) {
	p.s.Generator = GeneratorBounds{MaxSendLag: 50 * time.Millisecond, MaxSendLagShare: 2, MaxCPU: 90}
	if n == nil {
		return
	}
	s := p.section(n, "generator")
	p.s.Generator.MaxSendLag = s.duration("max_send_lag", p.s.Generator.MaxSendLag, time.Microsecond, maxTimeout)
	p.s.Generator.MaxSendLagShare = s.quantity("max_send_lag_share", p.s.Generator.MaxSendLagShare, 0, 50, map[string]float64{"%": 1})
	p.s.Generator.MaxCPU = s.quantity("max_cpu", p.s.Generator.MaxCPU, 1, 100, map[string]float64{"%": 1})
	s.close()
}

func (p *parser) feeders(n *yaml.Node) {
	if n == nil {
		return
	}
	s := p.section(n, "feeders")
	for _, key := range s.keys {
		value := s.get(key.Value)
		if !isName(key.Value) || slices.Contains([]string{"user", "iteration", "run", "text"}, key.Value) {
			p.faultf(key, "feeders: %q must be a name of letters, digits and _, and not user, iteration, run or text", key.Value)
		}
		if f := p.feeder(p.section(value, "feeder "+key.Value), key.Value); f != nil {
			p.s.feeders = append(p.s.feeders, f)
		}
	}
	s.close()
}

func (p *parser) feeder(s *section, name string) *feeder {
	order := s.word("pick", "random", "random", "zipf", "in_order")
	exponent := s.quantity("zipf", 1, 0.1, 5, map[string]float64{"": 1})
	if s.has("zipf") && order != "zipf" {
		p.faultf(s.values["zipf"], "%s: zipf is the exponent of pick: zipf", s.name)
	}
	file, values := s.text("file"), s.texts("values")
	s.close()
	if s.has("file") == s.has("values") {
		p.faultf(s.node, "%s: give either file or values", s.name)
		return nil
	}
	weights := make([]float64, len(values))
	for i := range weights {
		weights[i] = 1
	}
	if s.has("file") {
		data, err := p.readFile(file)
		if err == nil {
			p.sum.Write(data)
			values, weights, err = readFeed(data)
		}
		if err != nil {
			p.faultf(s.values["file"], "%s: read %s: %v", s.name, file, err)
			return nil
		}
	}
	if len(values) == 0 {
		p.faultf(s.node, "%s: no values", s.name)
		return nil
	}
	switch order {
	case "in_order":
		weights = nil
		exponent = 0
	case "random":
		exponent = 0
	}
	return newFeeder(name, values, weights, exponent)
}

func (p *parser) feederScope() map[string]int {
	known := map[string]int{}
	for i, f := range p.s.feeders {
		known[f.name] = i
	}
	return known
}

// headers reads a mapping of header names to templates.
func (p *parser) headers(s *section, sc scope) []headerTemplate {
	n := s.get("headers")
	if n == nil {
		return nil
	}
	h := p.section(n, s.name+" headers")
	var all []headerTemplate
	for _, key := range h.keys {
		value, ok := h.scalar(h.get(key.Value), key.Value, "text")
		if !ok {
			continue
		}
		all = append(all, headerTemplate{
			key:   p.headerName(key, key.Value),
			value: p.compile(key, h.name, value, inHeader, sc),
		})
	}
	h.close()
	return all
}

func (p *parser) headerName(n *yaml.Node, name string) string {
	bad := strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if bad || name == "" {
		p.faultf(n, "%q is no name of a header", name)
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

func (p *parser) compile(n *yaml.Node, what, text string, in place, sc scope) template {
	t, err := compile(text, in, sc)
	if err != nil {
		p.faultf(n, "%s: %v", what, err)
	}
	return t
}

func (p *parser) expected(s *section) {
	for _, n := range s.list("expected") {
		e := p.section(n, "expected")
		metric, step, _ := p.metric(e)
		e.need("figure")
		p.s.Expected = append(p.s.Expected, Expected{Metric: metric, Step: step, Figure: e.text("figure")})
		e.close()
	}
}

// metric reads metric and step of a check or an expected figure.
func (p *parser) metric(s *section) (name, step string, known bool) {
	s.need("metric")
	name, step = s.text("metric"), s.text("step")
	if _, known = metrics[name]; !known && name != "" {
		text := fmt.Sprintf("%s: unknown metric %q", s.name, name)
		if near := nearest(name, Metrics()); near != "" {
			text += fmt.Sprintf(", is it %q?", near)
		} else {
			text += "; known: " + strings.Join(Metrics(), ", ")
		}
		p.faultf(s.values["metric"], "%s", text)
	}
	if step != "" && p.stepAt[step] == nil {
		p.faultf(s.values["step"], "%s: there is no step %q", s.name, step)
	}
	if m := metrics[name]; step != "" && m.server != nil && m.route == nil {
		p.faultf(s.values["step"], "%s: the server knows no steps; only server.requests and server.statements… can be of the route that a step asks", s.name)
	}
	if metrics[name].ofStreams && !slices.ContainsFunc(p.s.steps, func(st *Step) bool { return st.Stream != nil && (step == "" || step == st.Name) }) {
		p.faultf(s.values["metric"], "%s: %s is of streams, and %s", s.name, name, map[bool]string{true: "no step is one (stream: true)", false: "this step is none (stream: true)"}[step == ""])
	}
	if metrics[name].result != nil {
		if strings.HasPrefix(name, "fault.") && len(p.s.Faults) == 0 {
			p.faultf(s.values["metric"], "%s: %s is of faults, and the scenario has none", s.name, name)
		}
		if step != "" || s.has("window") {
			p.faultf(s.node, "%s: %s is of the whole run and has neither step nor window", s.name, name)
		}
	}
	return name, step, known
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_')
	})
}
