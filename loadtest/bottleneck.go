package loadtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tomehub/tomehub/reports"
)

// A Bottleneck is what kept a server from carrying more, by its own figures.
type Bottleneck struct {
	Resource string  `json:"resource"`       // "pool read", "database", "cpu", "rate_limit", "cache", …; "none" and "unknown" too
	Share    float64 `json:"share"`          // percent of what broke the objectives that it explains
	From     float64 `json:"from,omitempty"` // the load from which it does
	Evidence string  `json:"evidence"`
	Sentence string  `json:"sentence,omitempty"` // the evidence with where it begins and what drives it; of the first alone
}

// Resources that are no pool.
const (
	resourceDatabase  = "database"
	resourceCPU       = "cpu"
	resourceRateLimit = "rate_limit"
	resourceCache     = "cache"
	resourceStreams   = "stream_slots"
	resourceMemory    = "memory"
	resourceBreaker   = "breaker"
	resourceRefusals  = "refusals"
	resourceGenerator = "generator"
	resourceNone      = "none"
	resourceUnknown   = "unknown"
)

// leastShare is the share of the trouble that a resource must explain to be named at all, leastNamed to be named first.
const (
	leastShare = 0.1
	leastNamed = 0.25
)

// findBottlenecks ranks what kept the server from carrying more. It looks at the smallest load that was not carried, and
// asks of each resource what part of the response time was spent waiting for it, or what part of the errors was its doing.
// So the ranking needs no bound on how full a pool may be.
func findBottlenecks(steps []CapacityStep, slos []Check, unit string) []Bottleneck {
	edge, broken, blind := edgeOf(steps)
	switch {
	case broken:
	case blind != nil:
		return []Bottleneck{{Resource: resourceGenerator, Share: 100, From: blind.Load, Evidence: "the generator's side: " + strings.Join(blind.Reasons, "; ")}}
	case edge != nil:
		return []Bottleneck{{Resource: resourceNone, Evidence: "none was reached" + nearestToEnd(edge, unit)}}
	default:
		return []Bottleneck{}
	}
	look := func(st *CapacityStep) []suspect {
		q := quietStep(steps, st)
		return suspects(&scene{st: st, quiet: q, slos: slos, unit: unit})
	}
	var out []Bottleneck
	for _, s := range look(edge) {
		if s.share >= leastShare {
			out = append(out, Bottleneck{Resource: s.resource, Share: 100 * s.share, From: edge.Load, Evidence: s.evidence})
		}
	}
	slices.SortStableFunc(out, func(a, b Bottleneck) int { return cmp.Compare(b.Share, a.Share) })
	if len(out) == 0 || out[0].Share < 100*leastNamed {
		out = slices.Insert(out, 0, Bottleneck{Resource: resourceUnknown, From: edge.Load, Evidence: unknownText(edge)})
	}
	for i := range out {
		out[i].begin(steps, edge, look)
	}
	out[0].Sentence = out[0].Evidence
	if out[0].From < edge.Load && out[0].Resource != resourceUnknown {
		out[0].Sentence += ", from " + formatLoad(out[0].From, unit) + " on"
	}
	if i := slices.IndexFunc(out, func(b Bottleneck) bool { return b.Resource == resourceCache }); i > 0 {
		out[0].Sentence += "; " + out[i].Evidence
	}
	return out
}

// edgeOf is the smallest load that was not carried, above all that were; or, when there is none, the largest that was.
// blind is the smallest load above it at which nothing could be seen.
func edgeOf(steps []CapacityStep) (edge *CapacityStep, broken bool, blind *CapacityStep) {
	for i := range steps {
		switch st := &steps[i]; {
		case st.Verdict == reports.Pass:
			edge, broken, blind = st, false, nil
		case st.Verdict == reports.Fail && !broken:
			edge, broken = st, true
		case st.Verdict == reports.Inconclusive && blind == nil:
			blind = st
		}
	}
	return edge, broken, blind
}

// quietStep is the smallest load of which the server told something.
func quietStep(steps []CapacityStep, otherwise *CapacityStep) *CapacityStep {
	for i := range steps {
		if steps[i].Server != nil && steps[i].Verdict != reports.Inconclusive {
			return &steps[i]
		}
	}
	return otherwise
}

// begin finds the smallest load from which on, up to the edge, the resource explains at least half of what it does there.
func (b *Bottleneck) begin(steps []CapacityStep, edge *CapacityStep, look func(*CapacityStep) []suspect) {
	for i := len(steps) - 1; i >= 0; i-- {
		st := &steps[i]
		if st.Load >= edge.Load || st.Verdict == reports.Inconclusive {
			continue
		}
		all := look(st)
		j := slices.IndexFunc(all, func(s suspect) bool { return s.resource == b.Resource })
		if j < 0 || 100*all[j].share < max(b.Share/2, 100*leastNamed) {
			return
		}
		b.From = st.Load
	}
}

func unknownText(st *CapacityStep) string {
	if st.Server == nil {
		return "not known: the server told nothing of itself (a TomeHub does; --admin names its admin listener)"
	}
	return "not known: none of the server's pools, slots, limits and caches explains it, and neither does what is known of its CPU" + cpuKnown(st)
}

func cpuKnown(st *CapacityStep) string {
	if st.Server.CPU == nil {
		return " (nothing: only the process of a server on this machine can be read, and --spawn knows it)"
	}
	return fmt.Sprintf(" (%s of all cores)", formatNumber(st.Server.CPU.Percent)+"%")
}

// nearestToEnd says which pool, or the CPU, came nearest to its end.
func nearestToEnd(st *CapacityStep, unit string) string {
	if st.Server == nil {
		return fmt.Sprintf(" up to %s", formatLoad(st.Load, unit))
	}
	most, text := 0.0, ""
	for _, p := range st.Server.Pools {
		if share := p.InUse.Mean / float64(max(p.Size, 1)); share > most {
			most, text = share, fmt.Sprintf("the %s pool, with %s of %d in use on average", p.Name, formatNumber(p.InUse.Mean), p.Size)
		}
	}
	if c := st.Server.CPU; c != nil && c.Percent/100 > most {
		text = fmt.Sprintf("the CPU, with %s cores busy (%s%%)", formatNumber(c.Cores), formatNumber(c.Percent))
	}
	out := fmt.Sprintf(" up to %s", formatLoad(st.Load, unit))
	if text != "" {
		out += "; nearest to its end is " + text
	}
	return out
}
