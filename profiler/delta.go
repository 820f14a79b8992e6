package profiler

import (
	"cmp"
	"slices"
)

// State tells what is special about a statement's difference.
type State string

// The states; most statements have none.
const (
	New     State = "NEW"     // not in the first snapshot, so that all it counts was counted in the window
	Reset   State = "RESET"   // a counter fell: it began anew within the window, and what came before that is lost
	Running State = "RUNNING" // time passed in it and no execution ended; it has no average
)

// A Row is one statement's work within the window.
type Row struct {
	Name  string `json:"name"`
	SQL   string `json:"sql"`
	SQLID string `json:"sql_id,omitempty"`
	Counters
	// Max is the longest execution of the window, or 0 when it is unknown: the counter is the longest ever, so it tells
	// about the window only when it rose there.
	Max       Micros     `json:"max_us,omitempty"`
	Share     float64    `json:"elapsed_share"` // of the time of all statements in the window, 0 to 1
	States    []State    `json:"states,omitempty"`
	Signature string     `json:"signature,omitempty"`
	Variants  []string   `json:"variants,omitempty"` // SQLIDs of statements that differ in their literals alone and are counted here
	Plans     []PlanWork `json:"plans,omitempty"`    // its work by plan, most time first; Oracle only
	Was       uint64     `json:"was_plan,omitempty"` // the plan of the first snapshot, where the second has another
	Instances []int32    `json:"inst_ids,omitempty"`
	Versions  int64      `json:"versions,omitempty"`
	Detail    *Detail    `json:"detail,omitempty"`
}

// PlanWork is what a statement did with one plan.
type PlanWork struct {
	Plan uint64 `json:"plan_hash_value"`
	Counters
}

// subtract fills the active rows, the totals and what vanished.
func (p *Profile) subtract(before, after []Statement) {
	earlier := make(map[key]*Statement, len(before))
	for i := range before {
		earlier[before[i].key()] = &before[i]
	}
	f := newFold()
	for i := range after {
		s := &after[i]
		row := s.since(earlier[s.key()])
		delete(earlier, s.key())
		if row.Counters != (Counters{}) {
			f.add(row)
		}
	}
	p.active = f.rows
	for i := range p.active {
		p.Total = p.Total.plus(p.active[i].Counters)
	}
	p.Active = len(p.active)
	if p.Partial { // those that did nothing are not in the second snapshot: nobody knows which of them are gone
		clear(earlier)
	}
	p.Vanished = len(earlier)
	for i := range before { // in their order, not the map's
		if s := &before[i]; earlier[s.key()] != nil && len(p.VanishedEx) < 10 {
			p.VanishedEx = append(p.VanishedEx, label(s.Name, cmp.Or(s.SQL, s.SQLID)))
		}
	}
	for i := range p.active {
		if p.Total.Elapsed > 0 {
			p.active[i].Share = float64(p.active[i].Elapsed) / float64(p.Total.Elapsed)
		}
	}
}

// since is what happened to s after old, which is nil when there was no old one.
func (s *Statement) since(old *Statement) Row {
	row := Row{Name: s.Name, SQL: s.SQL, SQLID: s.SQLID, Signature: s.Signature, Versions: s.Versions}
	switch {
	case old == nil:
		row.Counters, row.Max = s.Counters, s.Max
		row.States = append(row.States, New)
	case s.Counters.minus(old.Counters).fell() || s.Max < old.Max:
		row.Counters, row.Max = s.Counters, s.Max
		row.States = append(row.States, Reset)
	default:
		row.Counters = s.Counters.minus(old.Counters)
		if s.Max > old.Max {
			row.Max = s.Max
		}
	}
	if row.Executions == 0 && row.Elapsed > 0 {
		row.States = append(row.States, Running)
	}
	if s.SQLID != "" {
		row.Plans = []PlanWork{{Plan: s.Plan, Counters: row.Counters}}
		if old != nil && old.Plan != s.Plan {
			row.Was = old.Plan
		}
	}
	if s.Instance != 0 {
		row.Instances = []int32{s.Instance}
	}
	return row
}

// fold adds the differences of a statement's cursors: by instance, container, plan and child they were told apart only so
// that each is subtracted from its own.
type fold struct {
	rows []Row
	at   map[string]int // of a SQLID, in rows
}

func newFold() *fold { return &fold{at: map[string]int{}} }

func (f *fold) add(r Row) {
	if r.SQLID == "" {
		f.rows = append(f.rows, r)
		return
	}
	at, known := f.at[r.SQLID]
	if !known {
		f.at[r.SQLID] = len(f.rows)
		f.rows = append(f.rows, r)
		return
	}
	f.rows[at].merge(r)
}

// merge adds another part of the same statement.
func (r *Row) merge(o Row) {
	r.Counters = r.Counters.plus(o.Counters)
	r.Max = max(r.Max, o.Max)
	r.Versions += o.Versions
	r.Was = cmp.Or(r.Was, o.Was)
	for _, s := range o.States {
		if s != Running && !slices.Contains(r.States, s) {
			r.States = append(r.States, s)
		}
	}
	r.States = slices.DeleteFunc(r.States, func(s State) bool { return s == Running })
	if r.Executions == 0 && r.Elapsed > 0 {
		r.States = append(r.States, Running)
	}
	for _, p := range o.Plans {
		if i := slices.IndexFunc(r.Plans, func(q PlanWork) bool { return q.Plan == p.Plan }); i >= 0 {
			r.Plans[i].Counters = r.Plans[i].Counters.plus(p.Counters)
		} else {
			r.Plans = append(r.Plans, p)
		}
	}
	for _, inst := range o.Instances {
		if !slices.Contains(r.Instances, inst) {
			r.Instances = append(r.Instances, inst)
		}
	}
}
