package loadtest

import (
	"regexp"
	"time"

	"go.yaml.in/yaml/v4"
)

// server reads what --spawn starts.
func (p *parser) server(n *yaml.Node) {
	if n == nil {
		return
	}
	s := p.section(n, "server")
	p.s.Server = Server{Phase: s.word("phase", "", "baseline", "A", "B", "C", "D"), Args: s.texts("args")}
	if lab := s.get("lab"); lab != nil {
		l := p.section(lab, "server lab")
		l.need("statement_time")
		p.s.Server.Lab = &Lab{
			StatementTime: l.duration("statement_time", 0, 0, time.Minute),
			Seed:          l.integer("seed", 1, 0, 1_000_000_000),
		}
		l.close()
	}
	if answers := s.get("answers"); answers != nil {
		p.s.Server.Answers = p.answers(p.section(answers, "server answers"))
	}
	s.close()
}

// maxAnswerLines bounds the pieces of one answer.
const maxAnswerLines = 10_000

// answers reads how the API behaves that a server asks for its answers.
func (p *parser) answers(s *section) *Answers {
	share := map[string]float64{"%": 1}
	a := &Answers{
		FirstLine: s.duration("first_line", 0, 0, maxTimeout),
		Lines:     s.integer("lines", 1, 1, maxAnswerLines),
		Every:     s.duration("every", 0, 0, maxTimeout),
		Fail:      s.quantity("fail", 0, 0, 100, share),
		Hang:      s.quantity("hang", 0, 0, 100, share),
	}
	s.need("first_line")
	if a.Fail+a.Hang > 100 {
		p.faultf(s.node, "%s: fail and hang are more than all questions together", s.name)
	}
	s.close()
	return a
}

// alertName is what Prometheus takes for the name of an alert in the rules of this program.
var alertName = regexp.MustCompile(`^[A-Za-z_]\w{0,99}$`)

// injected reads what is put into the server during the run.
func (p *parser) injected(s *section) {
	items := s.list("faults")
	if len(items) > maxFaults {
		p.faultf(s.values["faults"], "scenario: has %d faults, at most %d", len(items), maxFaults)
	}
	for _, n := range items {
		c := p.section(n, "fault")
		f := Fault{Fault: c.word("fault", "", faultNames...)}
		c.need("fault")
		c.need("at")
		c.need("for")
		f.At = c.duration("at", 0, 0, maxDuration)
		f.For = c.duration("for", 0, 100*time.Millisecond, maxTimeout)
		f.Factor = c.quantity("factor", 0, 1, 1000, map[string]float64{"": 1})
		f.Percent = c.quantity("percent", 0, 1, 100, map[string]float64{"%": 1})
		if f.Alert = c.text("alert"); f.Alert != "" && !alertName.MatchString(f.Alert) {
			p.faultf(n, "fault %s: alert is %.40q, must be the name of an alert such as CircuitBreakerOpen", f.Fault, f.Alert)
		}
		f.Own = c.word("own", "false", "true", "false") == "true"
		if f.Own && f.Fault != "memory_pressure" {
			p.faultf(n, "fault %s: own belongs to memory_pressure", f.Fault)
		}
		if c.has("factor") != (f.Fault == "database_slow") && f.Fault != "" {
			p.faultf(n, "fault %s: factor belongs to database_slow, which needs it", f.Fault)
		}
		if c.has("percent") != (f.Fault == "memory_pressure") && f.Fault != "" {
			p.faultf(n, "fault %s: percent belongs to memory_pressure, which needs it", f.Fault)
		}
		if p.s.Duration > 0 && f.At+f.For > p.s.Duration {
			p.faultf(n, "fault %s: ends after %v, the measured time is %v", f.Fault, f.At+f.For, p.s.Duration)
		}
		c.close()
		p.s.Faults = append(p.s.Faults, f)
	}
}
