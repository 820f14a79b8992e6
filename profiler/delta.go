package profiler

import (
	"cmp"
	"regexp"
	"slices"
)

// State tells what is special about a statement's difference.
type State string

// The states; most statements have none. A statement with several has them in this order.
const (
	New     State = "NEW"     // nothing of it in the first snapshot, so that all it counts was counted in the window
	Reset   State = "RESET"   // a counter fell: it began anew within the window, and what came before that is lost
	Running State = "RUNNING" // time passed in it and no execution ended; it has no average
	Block   State = "PLSQL"   // a PL/SQL block or call: what its statements did they count again, so that it is in no sum
)

var states = []State{New, Reset, Running, Block}

// A Row is one statement's work within the window.
type Row struct {
	Name  string `json:"name"`
	SQL   string `json:"sql"`
	SQLID string `json:"sql_id,omitempty"`
	Counters
	// Max is the longest execution of the window, or 0 when it is unknown: the counter is the longest ever, so it tells
	// about the window only when it rose there.
	Max       Micros  `json:"max_us,omitempty"`
	Share     float64 `json:"elapsed_share"` // of the time of all statements in the window, 0 to 1; of a Block 0
	States    []State `json:"states,omitempty"`
	Signature string  `json:"signature,omitempty"`
	// Variants are the SQLIDs of statements that differ in their literals alone and are counted here, most time first, at most
	// shownVariants of VariantCount. SQL, SQLID and Detail are of the first.
	Variants     []string   `json:"variants,omitempty"`
	VariantCount int        `json:"variant_count,omitempty"` // 0 for a statement alone
	Plans        []PlanWork `json:"plans,omitempty"`         // its work by plan, most time first; Oracle only
	Was          uint64     `json:"was_plan,omitempty"`      // the plan of the first snapshot, where the second has another
	Before       *Counters  `json:"before,omitempty"`        // with Was: all that was counted until the first snapshot
	Instances    []int32    `json:"inst_ids,omitempty"`
	Versions     int64      `json:"versions,omitempty"`
	Detail       *Detail    `json:"detail,omitempty"`
}

// is tells whether the row has a state.
func (r *Row) is(s State) bool { return slices.Contains(r.States, s) }

// mark gives the row a state or takes it away.
func (r *Row) mark(s State, on bool) {
	if r.is(s) == on {
		return
	}
	r.States = slices.DeleteFunc(slices.Clone(r.States), func(x State) bool { return x == s })
	if on {
		r.States = append(r.States, s)
		slices.SortFunc(r.States, func(a, b State) int { return cmp.Compare(slices.Index(states, a), slices.Index(states, b)) })
	}
	if len(r.States) == 0 {
		r.States = nil
	}
}

// running marks a row whose time passed without an end.
func (r *Row) running() { r.mark(Running, r.Executions == 0 && r.Elapsed > 0) }

// PlanWork is what a statement did with one plan.
type PlanWork struct {
	Plan uint64 `json:"plan_hash_value"`
	Counters
}

// subtract fills the active rows, the totals and what vanished.
func (p *Profile) subtract(before []Statement, after *Snapshot) {
	earlier := make(map[key]*Statement, len(before))
	for i := range before {
		earlier[before[i].key()] = &before[i]
	}
	moved := 0 // rows are large: of a hundred thousand, growing their list would cost more than all the rest
	for i := range after.Statements {
		if old := earlier[after.Statements[i].key()]; old == nil || old.Counters != after.Statements[i].Counters {
			moved++
		}
	}
	f := &fold{rows: make([]Row, 0, moved), at: map[string]int{}}
	for i := range after.Statements {
		s := &after.Statements[i]
		row := s.since(earlier[s.key()])
		delete(earlier, s.key())
		if row.Counters != (Counters{}) {
			f.add(row)
		}
	}
	f.known(before)
	p.active = f.rows
	if !p.apart {
		p.active = group(p.active)
	}
	for i := range p.active {
		slices.SortFunc(p.active[i].Plans, func(a, b PlanWork) int {
			return cmp.Or(cmp.Compare(b.Elapsed, a.Elapsed), cmp.Compare(a.Plan, b.Plan))
		})
	}
	p.Active = len(p.active)
	p.sum()
	p.vanish(before, earlier, after.Gone)
}

// sum fills what is told about all statements together, and each one's share of it. Blocks are left out.
func (p *Profile) sum() {
	p.Total, p.Blocks, p.Coverage = Counters{}, 0, 0
	for i := range p.active {
		if p.active[i].is(Block) {
			p.Blocks++
		} else {
			p.Total = p.Total.plus(p.active[i].Counters)
		}
	}
	for i := range p.active {
		r := &p.active[i]
		if r.Share = 0; p.Total.Elapsed > 0 && !r.is(Block) {
			r.Share = float64(r.Elapsed) / float64(p.Total.Elapsed)
		}
	}
	if p.Time != nil && p.Time.DBTime > 0 {
		p.Coverage = float64(p.Total.Elapsed) / float64(p.Time.DBTime)
	}
}

// vanish counts the statements of the first snapshot that are not in the second. When that one left out what did nothing,
// nobody knows but of those that the source looked for.
func (p *Profile) vanish(before []Statement, earlier map[key]*Statement, gone []string) {
	left := func(s *Statement) bool { return earlier[s.key()] != nil }
	p.Vanished = len(earlier)
	if p.Partial {
		looked := make(map[string]bool, len(gone))
		for _, id := range gone {
			looked[id] = true
		}
		left = func(s *Statement) bool {
			is := looked[s.SQLID] && s.SQLID != ""
			delete(looked, s.SQLID) // its cursors are one statement
			return is
		}
		p.Vanished = len(looked)
	}
	for i := range before { // in their order, not the map's
		if s := &before[i]; len(p.VanishedEx) < 10 && left(s) {
			p.VanishedEx = append(p.VanishedEx, label(s.Name, cmp.Or(s.SQL, s.SQLID)))
		}
	}
}

// since is what happened to s after old, which is nil when there was no old one.
func (s *Statement) since(old *Statement) Row {
	row := Row{Name: s.Name, SQL: s.SQL, SQLID: s.SQLID, Signature: s.Signature, Versions: s.Versions}
	switch {
	case old == nil:
		row.Counters, row.Max = s.Counters, s.Max
		row.mark(New, true)
	case s.Counters.minus(old.Counters).fell() || s.Max < old.Max:
		row.Counters, row.Max = s.Counters, s.Max
		row.mark(Reset, true)
	default:
		row.Counters = s.Counters.minus(old.Counters)
		if s.Max > old.Max {
			row.Max = s.Max
		}
	}
	row.running()
	if s.SQLID != "" {
		row.Plans = []PlanWork{{Plan: s.Plan, Counters: row.Counters}}
		if old != nil && old.Plan != s.Plan {
			row.Was, row.Before = old.Plan, &old.Counters
		}
		row.mark(Block, isBlock(s.Command, s.SQL, s.Signature, s.Counters.PLSQL))
	}
	if s.Instance != 0 {
		row.Instances = []int32{s.Instance}
	}
	return row
}

var blockStart = regexp.MustCompile(`^(?is:\s|/\*.*?\*/|--[^\n]*\n|<<[^>]*>>)*(?i:BEGIN|DECLARE|CALL)\b`)

// isBlock tells a PL/SQL block or call: by Oracle's number of the command, else by its text. Of a statement whose text nobody
// has read it is taken for one when PL/SQL ran in it and it has no signature, which queries have.
func isBlock(command int, text, signature string, plsql Micros) bool {
	switch {
	case command != 0:
		return command == commandPLSQL || command == commandCall
	case text != "":
		return blockStart.MatchString(text)
	}
	return plsql > 0 && unsigned(signature)
}

// unsigned tells a statement without a signature: Oracle says 0 of PL/SQL and of some inserts.
func unsigned(signature string) bool { return signature == "" || signature == "0" }

// fold adds the differences of a statement's cursors: by instance, container, plan and child they were told apart only so
// that each is subtracted from its own.
type fold struct {
	rows []Row
	at   map[string]int // of a SQLID, in rows
}

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

// known takes New from the statements of which any cursor was there before: a new plan or child of theirs is counted whole,
// but they are not new.
func (f *fold) known(before []Statement) {
	for i := range before {
		if at, worked := f.at[before[i].SQLID]; worked && before[i].SQLID != "" {
			f.rows[at].mark(New, false)
		}
	}
}

// merge adds another part of the same statement.
func (r *Row) merge(o Row) {
	r.Counters = r.Counters.plus(o.Counters)
	r.Max = max(r.Max, o.Max)
	r.Versions += o.Versions
	r.Name, r.SQL, r.Signature = cmp.Or(r.Name, o.Name), cmp.Or(r.SQL, o.SQL), cmp.Or(r.Signature, o.Signature)
	switch {
	case r.Before == nil:
		r.Was, r.Before = o.Was, o.Before
	case o.Before != nil:
		both := r.Before.plus(*o.Before)
		r.Before = &both
	}
	for _, s := range o.States {
		r.mark(s, true)
	}
	r.running()
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
