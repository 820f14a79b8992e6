package loadtest

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// follow walks through the sessions: who asked for what after what, and with which pauses.
func (m *imported) follow() {
	type session struct {
		steps []int
		last  time.Time // when the request before was answered
	}
	open := map[string]*session{}
	all := map[string]*chain{}
	finish := func(s *session) {
		m.sessions++
		c := collapsed(s.steps)
		key := chainKey(c.steps)
		known := all[key]
		if known == nil {
			known = &chain{steps: c.steps, repeats: make([]float64, len(c.steps))}
			all[key] = known
		}
		known.sessions++
		for i, n := range c.repeats {
			known.repeats[i] += n
		}
	}
	var order []string
	for i := range m.requests {
		q, n := &m.requests[i], m.of[i]
		if n < 0 {
			continue
		}
		s := open[q.session]
		if s != nil && m.kind != "HAR file" && q.at.Sub(s.last) > sessionGap {
			finish(s)
			*s = session{}
		}
		if s == nil {
			s = &session{}
			open[q.session] = s
			order = append(order, q.session)
		}
		if k := len(s.steps); k > 0 {
			gap := max(0, q.at.Sub(s.last))
			m.gaps = append(m.gaps, gap)
			before := m.endpoints[s.steps[k-1]]
			before.gaps = append(before.gaps, gap)
		}
		s.steps = append(s.steps, n)
		if end := q.at.Add(max(q.took, 0)); end.After(s.last) {
			s.last = end
		}
	}
	for _, key := range order {
		if s := open[key]; len(s.steps) > 0 {
			finish(s)
		}
	}
	m.choose(all)
}

// collapsed is the row of steps with those that follow themselves as repeats.
func collapsed(steps []int) chain {
	var c chain
	for _, n := range steps {
		if k := len(c.steps); k > 0 && c.steps[k-1] == n {
			c.repeats[k-1]++
			continue
		}
		c.steps, c.repeats = append(c.steps, n), append(c.repeats, 1)
	}
	return c
}

func chainKey(steps []int) string {
	var b strings.Builder
	for _, n := range steps {
		b.WriteByte(byte(n))
	}
	return b.String()
}

// choose makes flows of the rows that several sessions walked through. All other requests become flows of one step each,
// as heavy as they were frequent, so that the mix of requests stays what it was.
func (m *imported) choose(all map[string]*chain) {
	var rows []*chain
	for _, c := range all {
		rows = append(rows, c)
	}
	slices.SortFunc(rows, func(a, b *chain) int {
		return cmp.Or(cmp.Compare(b.sessions, a.sessions), cmp.Compare(chainKey(a.steps), chainKey(b.steps)))
	})
	alone := make([]int, len(m.endpoints))
	for _, c := range rows {
		shared := c.sessions > 1 && len(c.steps) <= maxFlowSteps && len(m.chains) < maxFlows
		if m.kind == "HAR file" {
			if shared = true; len(c.steps) > maxHARSteps {
				c.steps, c.repeats = c.steps[:maxHARSteps], c.repeats[:maxHARSteps]
				m.leave("steps behind the 200th")
			}
		}
		for i := range c.repeats {
			if !shared {
				alone[c.steps[i]] += int(c.repeats[i])
			}
			c.repeats[i] /= float64(c.sessions)
		}
		if shared {
			m.chains = append(m.chains, *c)
		}
	}
	for n, requests := range alone {
		if requests > 0 {
			m.chains = append(m.chains, chain{steps: []int{n}, repeats: []float64{1}, sessions: requests})
		}
	}
}
