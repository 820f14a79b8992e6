package loadtest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// methods are the keys that name a step's method, and each has the path as its value.
var methods = []string{"get", "post", "put", "patch", "delete", "head"}

func (p *parser) flows(s *section) {
	s.need("flows")
	for _, n := range s.list("flows") {
		f := p.section(n, "flow")
		flow := Flow{Name: f.text("name")}
		if f.need("name"); flow.Name != "" {
			f.name = "flow " + flow.Name
		}
		flow.Weight = f.integer("weight", 1, 1, 1_000_000)
		f.need("steps")
		known := map[string]int{} // captures of the steps so far
		var picks []pick
		for _, item := range f.list("steps") {
			flow.Steps = append(flow.Steps, p.step(p.section(item, "step"), known, &picks))
		}
		flow.picks = picks
		if f.has("steps") && len(flow.Steps) == 0 {
			p.faultf(n, "%s: has no steps", f.name)
		}
		f.close()
		p.s.Flows = append(p.s.Flows, flow)
	}
	if s.has("flows") && len(p.s.Flows) == 0 {
		p.faultf(s.values["flows"], "scenario: has no flows")
	}
}

func (p *parser) step(s *section, known map[string]int, picks *[]pick) *Step {
	st := &Step{Name: s.text("name"), index: len(p.s.steps)}
	if s.need("name"); st.Name != "" {
		s.name = "step " + st.Name
		if p.stepAt[st.Name] != nil {
			p.faultf(s.node, "%s: another step has this name; figures stand under the name", s.name)
		}
		p.stepAt[st.Name] = s.node
	}
	sc := scope{feeders: p.feederScope(), captures: known}
	p.request(s, st, sc)
	st.Repeat = s.integer("repeat", 1, 1, maxRepeat)
	st.Timeout = s.duration("timeout", p.timeout, time.Millisecond, maxTimeout)
	st.SlowAfter = s.duration("slow_after", p.slow, time.Millisecond, maxTimeout)
	if n := s.get("think"); n != nil {
		pause := p.pause(n, "think")
		st.Think = &pause
	}
	if n := s.get("pace"); n != nil {
		pause := p.pause(n, "pace")
		st.Pace = &pause
		if p.s.Arrivals != nil {
			p.faultf(n, "%s: pace belongs to users: visitors come at the rate of arrivals", s.name)
		}
	}
	p.expect(s.get("expect"), st)
	p.takes(s.get("take"), st, known, picks)
	p.reading(s, st)
	if st.Method == http.MethodHead && len(st.reads) > 0 {
		p.faultf(s.node, "%s: the answer to HEAD has no body to read", s.name)
	}
	s.close()
	p.s.steps = append(p.s.steps, st)
	return st
}

// request reads the method, path, headers and body of a step.
func (p *parser) request(s *section, st *Step, sc scope) {
	for _, m := range methods {
		n := s.get(m)
		if n == nil {
			continue
		}
		if st.Method != "" {
			p.faultf(n, "%s: has both %s and %s", s.name, strings.ToLower(st.Method), m)
		}
		st.Method = strings.ToUpper(m)
		st.Path = s.text(m)
		if !strings.HasPrefix(st.Path, "/") || strings.ContainsAny(st.Path, "# \t\n") {
			p.faultf(n, "%s: the path %q must begin with / and have no blanks and no #", s.name, st.Path)
		}
		st.path = p.compile(n, s.name, st.Path, inPath, sc)
	}
	if st.Method == "" && s.node.Kind == yaml.MappingNode {
		p.faultf(s.node, "%s: a method with its path is missing, such as get: /", s.name)
	}
	st.headers = p.headers(s, sc)
	json, body := s.get("json"), s.get("body")
	switch {
	case json != nil && body != nil:
		p.faultf(body, "%s: json and body exclude each other", s.name)
	case json != nil:
		text, _ := s.scalar(json, "json", "the JSON as text")
		st.body, st.isJSON = p.compile(json, s.name, text, inJSON, sc), true
	case body != nil:
		text, _ := s.scalar(body, "body", "text")
		st.body = p.compile(body, s.name, text, inBody, sc)
	}
	templates := []template{st.path, st.body}
	for _, h := range st.headers {
		templates = append(templates, h.value)
	}
	for _, t := range templates {
		st.needs = append(st.needs, t.captures()...)
	}
}

func (p *parser) expect(n *yaml.Node, st *Step) {
	if n == nil {
		return
	}
	s := p.section(n, "step "+st.Name+" expect")
	if v := s.values["status"]; v != nil && v.Kind == yaml.ScalarNode {
		st.Expect.Status = []int{s.integer("status", 200, 100, 599)}
	} else {
		for _, text := range s.texts("status") {
			status, err := strconv.Atoi(text)
			if err != nil || status < 100 || status > 599 {
				p.faultf(v, "%s: status %q must be from 100 to 599", s.name, text)
			}
			st.Expect.Status = append(st.Expect.Status, status)
		}
	}
	st.Expect.MinBytes = int64(s.integer("min_bytes", 0, 0, 1<<30))
	for _, item := range s.list("json") {
		p.field(p.section(item, s.name+" json"), st)
	}
	s.close()
}

// field reads one of expect.json: {path, equals} or {path, exists}.
func (p *parser) field(s *section, st *Step) {
	f := FieldCheck{Path: s.text("path")}
	s.need("path")
	path, err := parsePath(f.Path)
	if err != nil && f.Path != "" {
		p.faultf(s.node, "%s: %v", s.name, err)
	} else if !path.single() {
		p.faultf(s.node, "%s: %s leads to many values; name one, such as [0]", s.name, f.Path)
	}
	equals, exists := s.get("equals"), s.word("exists", "", "true", "false")
	switch {
	case (equals != nil) == s.has("exists"):
		p.faultf(s.node, "%s: give either equals or exists", s.name)
	case equals != nil && equals.Kind != yaml.ScalarNode:
		p.faultf(equals, "%s: equals must be a text, a number, true, false or null", s.name)
	case equals != nil:
		value := equals.Value
		switch equals.ShortTag() {
		case "!!str":
			f.text = true
		case "!!null":
			value = "null"
		case "!!bool":
			value = strings.ToLower(value)
		}
		f.Equals = &value
	default:
		f.Absent = exists == "false"
	}
	s.close()
	st.Expect.JSON = append(st.Expect.JSON, f)
	st.reads = append(st.reads, path)
}

// takes reads what a step keeps of its answer: name: {path, pick, max}.
func (p *parser) takes(n *yaml.Node, st *Step, known map[string]int, picks *[]pick) {
	if n == nil {
		return
	}
	s := p.section(n, "step "+st.Name+" take")
	for _, key := range s.keys {
		t := p.section(s.get(key.Value), s.name+" "+key.Value)
		if _, _, taken := (scope{feeders: p.feederScope(), captures: known}).find(key.Value); taken || !isName(key.Value) {
			p.faultf(key, "%s: %q must be a name of its own, of letters, digits and _", s.name, key.Value)
		}
		text := t.text("path")
		t.need("path")
		path, err := parsePath(text)
		if err != nil && text != "" {
			p.faultf(key, "%s: %v", t.name, err)
		}
		how := map[string]pick{"first": pickFirst, "random": pickRandom, "next": pickNext}[t.word("pick", "first", "first", "random", "next")]
		most := t.integer("max", 100, 1, maxRepeat)
		t.close()
		known[key.Value] = len(*picks)
		st.takes = append(st.takes, take{capture: len(*picks), path: path, pick: how, max: most})
		*picks = append(*picks, how)
		st.reads = append(st.reads, path)
	}
	s.close()
}

func (p *parser) checks(s *section) {
	for _, n := range s.list("checks") {
		c := p.section(n, "check")
		var out Check
		var known bool
		if out.Metric, out.Step, known = p.metric(c); out.Metric != "" {
			c.name = "check of " + out.Metric
		}
		out.Why = c.text("why")
		if out.Why == "" {
			p.faultf(n, "%s: why is missing: say where the bound comes from", c.name)
		}
		for _, b := range []struct {
			key       string
			to        **Bound
			inclusive bool
		}{{"below", &out.High, false}, {"at_most", &out.High, true}, {"above", &out.Low, false}, {"at_least", &out.Low, true}} {
			p.bound(c, b.key, b.to, b.inclusive, known, out.Metric)
		}
		if out.Low == nil && out.High == nil {
			p.faultf(n, "%s: a bound is missing: below, at_most, above or at_least", c.name)
		}
		if out.Low != nil && out.High != nil && out.Low.Value > out.High.Value && known {
			p.faultf(n, "%s: its bounds exclude each other", c.name)
		}
		out.Window = c.duration("window", 0, time.Second, maxDuration)
		out.After = c.duration("after", 0, 0, maxDuration)
		out.Abort = c.word("abort", "false", "true", "false") == "true"
		if out.After+out.Window > p.s.Duration && p.s.Duration > 0 {
			p.faultf(n, "%s: its window is longer than the duration", c.name)
		}
		if out.After > 0 && out.Window == 0 {
			p.faultf(n, "%s: after needs a window to be judged in", c.name)
		}
		if out.Abort && out.Window == 0 {
			p.faultf(n, "%s: abort needs a window to be judged in", c.name)
		}
		c.close()
		p.s.Checks = append(p.s.Checks, out)
	}
}

func (p *parser) bound(s *section, key string, to **Bound, inclusive, known bool, name string) {
	n := s.get(key)
	if n == nil {
		return
	}
	if *to != nil {
		p.faultf(n, "%s: two bounds on the same side", s.name)
	}
	*to = &Bound{Inclusive: inclusive}
	if !known {
		return
	}
	(*to).Value = s.quantity(key, 0, 0, 1e15, metrics[name].units())
}
