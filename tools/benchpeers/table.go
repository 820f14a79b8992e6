package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// ratioTo is the peer that the others are held against.
const ratioTo = "vegeta"

// table writes what was measured as Markdown, one row for each peer.
func (b *bench) table(w io.Writer) {
	fmt.Fprintf(w, "\n%d connections, medians of %d shuffled rounds of %d s, in brackets the least and the most; server on core %s, generator on core %s. "+
		"A: a server of net/http; B: one that does next to nothing. Requests are counted by the server; the last column is what the tool counted of them itself.\n\n",
		b.connections, b.rounds, b.seconds, b.serverCore, b.core)
	head := []string{"tool"}
	for _, t := range []*target{b.a, b.b} {
		head = append(head, t.name+": requests per CPU second", t.name+", of "+ratioTo, t.name+": µs of CPU per request, user + system")
	}
	head = append(head, fmt.Sprintf("MiB at most, %d connections", b.connections))
	if b.users > 0 {
		head = append(head, fmt.Sprintf("MiB at most, %s users", thousands(float64(b.users))), "B of growth per request")
	}
	head = append(head, "counted itself")
	row(w, head)
	row(w, slices.Repeat([]string{"---"}, len(head)))
	for _, p := range b.peers {
		row(w, b.cells(p))
	}
}

// cells are the row of p.
func (b *bench) cells(p *peer) []string {
	out := []string{p.title()}
	most := 0.0
	for _, t := range []*target{b.a, b.b} {
		runs := t.runs[p.name]
		out = append(out, thousands(median(runs, usage.perCPU)), t.ratio(p.name, ratioTo).String(),
			fmt.Sprintf("%.2f + %.2f", median(runs, usage.userEach), median(runs, usage.systemEach)))
		for _, u := range runs {
			most = max(most, u.rssMiB)
		}
	}
	out = append(out, fmt.Sprintf("%.0f", most))
	if b.users > 0 {
		out = append(out, b.crowded(p.name), b.growth(p.name))
	}
	return append(out, fmt.Sprintf("%.2f %%", 100*float64(b.own[p.name])/float64(b.seen[p.name])))
}

func row(w io.Writer, cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

// A ratio is a median with the least and the most. The zero ratio is not known.
type ratio struct{ middle, least, most float64 }

// ratio holds the work per CPU second of one peer against that of another, round by round.
func (t *target) ratio(name, other string) ratio {
	mine, others := t.runs[name], t.runs[other]
	if len(mine) == 0 || len(mine) != len(others) {
		return ratio{}
	}
	var all []float64
	for i := range mine {
		all = append(all, mine[i].perCPU()/others[i].perCPU())
	}
	return ratio{median(all, func(v float64) float64 { return v }), slices.Min(all), slices.Max(all)}
}

func (r ratio) String() string {
	switch {
	case r == ratio{}:
		return "n/a"
	case r == ratio{1, 1, 1}:
		return "1"
	case r.least == r.most: // of one round
		return fmt.Sprintf("%.2f", r.middle)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.middle, r.least, r.most)
}

// median is 0 of nothing.
func median[T any](list []T, of func(T) float64) float64 {
	if len(list) == 0 {
		return 0
	}
	var v []float64
	for _, x := range list {
		v = append(v, of(x))
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// crowded is the memory of a peer with many users. Where it never had their connections open at the same time, it says how
// many it had.
func (b *bench) crowded(name string) string {
	u, ok := b.crowd[name]
	switch {
	case !ok:
		return "n/a"
	case u.open < int64(b.users)*95/100:
		return fmt.Sprintf("%.0f, with %s connections", u.rssMiB, thousands(float64(u.open)))
	}
	return fmt.Sprintf("%.0f", u.rssMiB)
}

func (b *bench) growth(name string) string {
	if v, ok := b.perAnswer[name]; ok {
		return fmt.Sprintf("%.2f", v)
	}
	return "n/a"
}

// thousands is a whole number that is not below 0, with commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
