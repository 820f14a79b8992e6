package profiler

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// What counts as a difference. Below these a change is noise, and noise is not judged.
const (
	fewExecutions  = 30   // on either side: an average of fewer says little
	expectedLeast  = 10   // executions that the other window would have seen, had nothing changed; seeing none of 10 is 1 in 20,000
	changedFactor  = 1.25 // of a time or of a rate
	deviations     = 3.0  // by which two rates must differ, each taken for a Poisson process
	worthPerSecond = 1e-4 // seconds of time per second, below which a statement is not worth a judgement
)

// Outcome is how a statement changed.
type Outcome string

// The outcomes.
const (
	Worse   Outcome = "worse"
	Better  Outcome = "better"
	Same    Outcome = "same"
	Mixed   Outcome = "mixed" // one of rate and time per execution is better, the other worse, and both together are the same
	Added   Outcome = "new"
	Gone    Outcome = "gone"
	Few     Outcome = "too few" // executions to tell
	Unknown Outcome = "not shown then"
)

// A Comparison holds one profile against an earlier one.
type Comparison struct {
	Sentence   string    `json:"sentence"` // the most important, in one
	Then       *Profile  `json:"then"`     // without its statements
	Now        *Profile  `json:"now"`
	Changes    []Change  `json:"changes"` // the Top with the largest change of time per second, the worst first
	Left       int       `json:"changes_left_out"`
	Solved     []Finding `json:"findings_gone"` // of then, with its evidence
	Arisen     []Finding `json:"findings_new"`
	Remaining  []Finding `json:"findings_still"`        // with the evidence of now
	Differ     []string  `json:"differences,omitempty"` // between the two, besides their statements: server, phase, view
	shown      int       // statements of then
	incomplete bool      // these are not all
}

// A Change is one statement in both profiles. What has the same name, SQLID or signature is the same statement.
type Change struct {
	Name    string  `json:"name"`
	SQL     string  `json:"sql"`
	SQLID   string  `json:"sql_id,omitempty"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`
	Then    *Load   `json:"then"` // nil: it did not run, or was not shown
	Now     *Load   `json:"now"`
}

// A Load is what a statement did in one of the windows.
type Load struct {
	Counters
	PerSecond     float64  `json:"executions_per_second"`
	TimePerSecond float64  `json:"time_per_second"` // seconds
	Share         float64  `json:"elapsed_share"`
	Plans         []uint64 `json:"plans,omitempty"`
}

// Compare tells what changed from then to now. It compares what both did per second, so that the windows may differ in length; that
// the same was asked of both servers is for the caller to know. Profiles of different kinds are refused.
func Compare(then, now *Profile) (*Comparison, error) {
	names := map[Kind]string{Tomehub: "a tomehub", Oracle: "an Oracle database"}
	switch {
	case then.Kind != now.Kind:
		return nil, errors.New("compare profiles: the earlier one is of " + names[then.Kind] + ", this one of " + names[now.Kind])
	case then.Lifetime != now.Lifetime:
		return nil, errors.New("compare profiles: one is of a window, the other --lifetime, since each statement was first seen")
	}
	for _, p := range []*Profile{then, now} {
		if err := p.check(); err != nil {
			return nil, errors.Join(ErrNotProfile, err)
		}
	}
	header := *then
	header.Statements, header.active, header.Activity = []Row{}, nil, nil
	c := &Comparison{Then: &header, Now: now, shown: len(then.rows()), incomplete: then.Active > len(then.rows())}
	all, g := match(then, now)
	for i := range all {
		c.judge(&all[i])
	}
	c.Changes = first(all, now.Top)
	c.Left = len(all) - len(c.Changes)
	c.Solved, _ = g.partition(then.Findings, now.Findings)
	c.Arisen, c.Remaining = g.partition(now.Findings, then.Findings)
	c.Differ = differences(then, now)
	c.Sentence = c.sentence()
	return c, nil
}

// rows are all statements of a profile, or those that are left of it in a file.
func (p *Profile) rows() []Row {
	if len(p.active) > 0 {
		return p.active
	}
	return p.Statements
}

// keys are what a statement is found again by.
func (r *Row) keys() []string {
	var keys []string
	if name, _ := split(r.Name, r.SQL); name != "" {
		keys = append(keys, "name "+name)
	}
	if r.SQLID != "" {
		keys = append(keys, "id "+r.SQLID)
	}
	for _, id := range r.Variants {
		keys = append(keys, "id "+id)
	}
	if r.Signature != "" {
		keys = append(keys, "signature "+r.Signature)
	}
	if _, text := split("", r.SQL); len(keys) == 0 && text != "" {
		keys = append(keys, "text "+text)
	}
	return keys
}

// groups puts rows together that share a key.
type groups struct {
	parent []int
	owner  map[string]int // of a key: a row that has it
}

func (g *groups) root(i int) int {
	for g.parent[i] != i {
		g.parent[i] = g.parent[g.parent[i]]
		i = g.parent[i]
	}
	return i
}

func (g *groups) add(r *Row) {
	at := len(g.parent)
	g.parent = append(g.parent, at)
	for _, k := range r.keys() {
		if other, known := g.owner[k]; known {
			g.parent[g.root(at)] = g.root(other)
		} else {
			g.owner[k] = at
		}
	}
}

// match pairs the statements of both, summed where one side has several of the same.
func match(then, now *Profile) ([]Change, *groups) {
	before, after := then.rows(), now.rows()
	g := &groups{owner: make(map[string]int, 2*(len(before)+len(after)))}
	for _, side := range [][]Row{before, after} {
		for i := range side {
			g.add(&side[i])
		}
	}
	var all []Change
	at := map[int]int{} // of a group, in all
	collect := func(p *Profile, rows []Row, offset int, load func(*Change) **Load) {
		for i := range rows {
			r := &rows[i]
			root := g.root(offset + i)
			n, known := at[root]
			if !known {
				n = len(all)
				at[root] = n
				all = append(all, Change{})
			}
			ch := &all[n]
			if name, _ := split(r.Name, r.SQL); name != "" {
				ch.Name = name
			}
			ch.SQL, ch.SQLID = cmp.Or(r.SQL, ch.SQL), cmp.Or(r.SQLID, ch.SQLID)
			l := load(ch)
			if *l == nil {
				*l = new(Load)
			}
			(*l).add(r, p)
		}
	}
	collect(then, before, 0, func(ch *Change) **Load { return &ch.Then })
	collect(now, after, len(before), func(ch *Change) **Load { return &ch.Now })
	return all, g
}

func (l *Load) add(r *Row, p *Profile) {
	l.Counters = l.Counters.plus(r.Counters)
	l.PerSecond = p.rate(l.Executions)
	l.TimePerSecond = l.Elapsed.Seconds() / p.WindowUS.Seconds()
	if p.Total.Elapsed > 0 && !r.is(Block) { // a block's time is that of its statements
		l.Share = float64(l.Elapsed) / float64(p.Total.Elapsed)
	}
	for _, w := range r.Plans {
		if w.Plan != 0 && !slices.Contains(l.Plans, w.Plan) {
			l.Plans = append(l.Plans, w.Plan)
		}
	}
}

// grown is by how much more time it takes per second now.
func (ch *Change) grown() float64 {
	var d float64
	if ch.Now != nil {
		d += ch.Now.TimePerSecond
	}
	if ch.Then != nil {
		d -= ch.Then.TimePerSecond
	}
	return d
}

// first takes the top changes, whichever way they went, and orders them: the worst first, the best last.
func first(all []Change, top int) []Change {
	by := func(of func(*Change) float64) func(a, b Change) int {
		return func(a, b Change) int {
			return cmp.Or(cmp.Compare(of(&b), of(&a)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.SQLID, b.SQLID), cmp.Compare(a.SQL, b.SQL))
		}
	}
	slices.SortFunc(all, by(func(ch *Change) float64 { return math.Abs(ch.grown()) }))
	if top > 0 && len(all) > top {
		all = all[:top]
	}
	shown := slices.Clone(all)
	slices.SortFunc(shown, by((*Change).grown))
	return append([]Change{}, shown...)
}

// subject is what a finding is about, the same word in both profiles: a statement keeps its place among the groups though its SQLID or
// its text is another now.
func (g *groups) subject(f Finding) string {
	for _, k := range []string{"id " + f.SQLID, "name " + f.Statement} {
		if at, known := g.owner[k]; known {
			return fmt.Sprintf("group %d", g.root(at))
		}
	}
	return cmp.Or(f.SQLID, f.Statement)
}

// partition parts the findings that other does not have, of the same kind about the same statement, from those that it has.
func (g *groups) partition(findings, other []Finding) (alone, both []Finding) {
	alone, both = []Finding{}, []Finding{}
	for _, f := range findings {
		if slices.ContainsFunc(other, func(o Finding) bool { return o.Kind == f.Kind && g.subject(o) == g.subject(f) }) {
			both = append(both, f)
		} else {
			alone = append(alone, f)
		}
	}
	return alone, both
}
