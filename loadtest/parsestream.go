package loadtest

import (
	"math"
	"net/http"
	"time"

	"go.yaml.in/yaml/v4"
)

// reading reads how a step takes its answer: stream, read_rate, read_pause and slow_reader.
func (p *parser) reading(s *section, st *Step) {
	if n := s.get("stream"); n != nil {
		st.Stream = p.stream(s, n)
	}
	if st.Stream != nil {
		st.marks = st.Stream.marks()
		if len(st.reads) > 0 {
			p.faultf(s.values["stream"], "%s: fields are read of whole answers; a stream has neither take nor expect.json", s.name)
		}
		if st.Method == http.MethodHead {
			p.faultf(s.values["stream"], "%s: the answer to HEAD has no lines", s.name)
		}
	}
	slow := SlowReader{
		Rate:    s.quantity("read_rate", 0, 1, math.MaxInt32, map[string]float64{"B/s": 1, "KiB/s": 1 << 10, "MiB/s": 1 << 20}),
		Pause:   s.duration("read_pause", 0, time.Millisecond, maxTimeout),
		Refused: s.word("slow_reader", "served", "served", "refused") == "refused",
	}
	switch {
	case s.has("read_rate") || s.has("read_pause"):
		st.Slow = &slow
	case s.has("slow_reader"):
		p.faultf(s.values["slow_reader"], "%s: slow_reader is of a step with read_rate or read_pause", s.name)
	}
	if slow.Pause >= st.Timeout {
		p.faultf(s.values["read_pause"], "%s: read_pause is %v, and the timeout of %v would end it", s.name, slow.Pause, st.Timeout)
	}
}

// stream reads true, false or {first_line_within, last, refused, failed}; false is nil.
func (p *parser) stream(step *section, n *yaml.Node) *Stream {
	if n.Kind == yaml.ScalarNode {
		if step.word("stream", "false", "true", "false") == "true" {
			return &Stream{}
		}
		return nil
	}
	s := p.section(n, step.name+" stream")
	out := &Stream{
		FirstLineWithin: s.duration("first_line_within", 0, time.Millisecond, maxTimeout),
		Last:            s.text("last"),
		Refused:         s.oneOrMore("refused"),
		Failed:          s.oneOrMore("failed"),
	}
	s.close()
	all := out.marks()
	if len(all) > maxMarks {
		p.faultf(n, "%s: looks for %d texts, at most %d are looked for", s.name, len(all), maxMarks)
	}
	for i, m := range all {
		if len(m) > maxMarkSize || len(m) == 0 && (i > 0 || s.has("last")) {
			p.faultf(n, "%s: a text to look for has %d bytes, must have 1 to %d", s.name, len(m), maxMarkSize)
		}
	}
	return out
}

// oneOrMore reads a text, or a list of them.
func (s *section) oneOrMore(key string) []string {
	if n := s.values[key]; n != nil && n.Kind == yaml.ScalarNode {
		return []string{s.text(key)}
	}
	return s.texts(key)
}
