package profiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of what is read about statements.
const (
	maxTexts     = 2000   // statements whose text is read
	maxDetailed  = 400    // statements about whose plans and children is read
	maxFullTexts = 100    // statements of more than 1000 characters that are read whole
	maxPlanRows  = 50_000 // per list of statements: each child cursor has its own copy of a plan
	maxChildren  = 20_000 // per list of statements
	manyChildren = 5      // child cursors from which on the reasons are asked for
	savedText    = 8 << 10
	firstText    = 1000 // bytes that SQL_TEXT has at most
)

// Describe reads texts, and for the first 400 plans, owners and the reasons of child cursors. What may not be read, or takes too
// long, is a warning.
func (o *OracleSource) Describe(ctx context.Context, statements []Row) (map[string]Detail, []string, error) {
	d := describing{o: o, ctx: ctx, found: map[string]*Detail{}}
	many := []string{}
	for i := range statements {
		r := &statements[i]
		if r.SQLID == "" || d.found[r.SQLID] != nil || len(d.ids) == maxTexts {
			continue
		}
		d.ids, d.found[r.SQLID] = append(d.ids, r.SQLID), &Detail{}
		if r.Versions >= manyChildren && len(d.ids) <= maxDetailed {
			many = append(many, r.SQLID)
		}
	}
	if len(d.ids) == 0 || len(o.views) != 1 {
		return nil, nil, nil
	}
	first := d.ids[:min(len(d.ids), maxDetailed)]
	d.part("their texts are unknown", func() error { return d.texts(d.ids) })
	d.part("schemas and modules are unknown", func() error { return d.parsedBy(first) })
	d.part("plans, full scans among them, are unknown", func() error { return d.plans(first) })
	if len(many) > 0 {
		d.part("why their cursors are not shared is unknown", func() error { return d.mismatches(many) })
	}
	details := make(map[string]Detail, len(d.found))
	for id, one := range d.found {
		details[id] = *one
	}
	return details, d.warnings, ctx.Err()
}

// describing collects details, one kind after the other.
type describing struct {
	o        *OracleSource
	ctx      context.Context
	ids      []string
	found    map[string]*Detail
	warnings []string
	over     bool // something took too long: the database has better things to do
}

// part reads one kind of details; a fault costs this kind alone.
func (d *describing) part(lack string, read func() error) {
	if d.over || d.ctx.Err() != nil {
		return
	}
	err := read()
	if sessionLost(d.ctx, err) {
		err = read()
	}
	var missing *missingView
	switch {
	case err == nil:
	case errors.As(err, &missing):
		d.warnings = append(d.warnings, d.o.without(missing.view, lack))
	default:
		d.over = errors.Is(err, errOracleSlow)
		d.warnings = append(d.warnings, fmt.Sprintf("%s: %v", lack, err))
	}
}

// missingView is a view that may not be read.
type missingView struct{ view string }

func (m *missingView) Error() string { return m.view + " may not be read" }

// lists reads a file over a view for all ids.
func (d *describing) lists(name, view string, largest int, ids []string, dest []any, row func() bool) error {
	if d.o.missing[view] {
		return &missingView{view}
	}
	for _, q := range d.o.texts.listed(name, view, largest, ids) {
		err := d.o.each(d.ctx, q, dest, row)
		if refused(err) {
			d.o.missing[view] = true
			return &missingView{view}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *describing) texts(ids []string) error {
	var inst number
	var id, body text
	view := d.o.views[0]
	err := d.lists("texts", view, 100, ids, d.o.dest(&inst, &id, &body), func() bool {
		if one := d.found[string(id)]; one != nil && one.Text == "" {
			one.Text = string(body)
		}
		return true
	})
	if err != nil {
		return err
	}
	whole := 0
	for _, id := range ids {
		one := d.found[id]
		if len(one.Text) < firstText-3 { // a character that did not fit is cut whole
			continue
		}
		if whole++; whole > maxFullTexts {
			break
		}
		q := d.o.texts.over("fulltext", view, id)
		if err := d.o.each(d.ctx, q, d.o.dest(&inst, &body), func() bool { one.Text = shorten(string(body), MaxText); return false }); err != nil {
			return err
		}
	}
	return nil
}

// shorten cuts to at most n bytes and a dot more, without leaving half a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

func (d *describing) parsedBy(ids []string) error {
	var inst, command number
	var id, schema, module, action text
	rows := 0
	return d.lists("parsed_by", ViewSQL, 10, ids, d.o.dest(&inst, &id, &schema, &module, &action, &command), func() bool {
		one := d.found[string(id)]
		if one == nil {
			return true
		}
		if one.Children == 0 {
			one.Schema, one.Module, one.Action, one.Command = string(schema), string(module), string(action), int(command)
		}
		one.Children++
		rows++
		return rows%maxChildren != 0
	})
}

func (d *describing) plans(ids []string) error {
	var inst, plan, child, step, depth, rows, cost number
	var id, operation, options, owner, object, access, filter text
	type source struct {
		id         string
		plan, inst number
	}
	from := map[source]number{} // the child whose copy is taken
	read := 0
	dest := d.o.dest(&inst, &id, &plan, &child, &step, &depth, &operation, &options, &owner, &object, &rows, &cost, &access, &filter)
	return d.lists("plans", "v$sql_plan", 10, ids, dest, func() bool {
		one := d.found[string(id)]
		if one == nil {
			return true
		}
		src := source{string(id), plan, 0}
		taken, known := from[src]
		key := inst<<32 | child
		if !known {
			taken = key
			from[src] = key
		}
		if taken == key {
			if one.Plans == nil {
				one.Plans = map[uint64][]PlanStep{}
			}
			one.Plans[uint64(plan)] = insertStep(one.Plans[uint64(plan)], PlanStep{
				ID: int(step), Depth: int(depth), Operation: string(operation), Options: string(options),
				Object: strings.TrimPrefix(string(owner)+"."+string(object), "."), Rows: int64(rows), Cost: int64(cost), Access: string(access), Filter: string(filter),
			})
		}
		read++
		return read%maxPlanRows != 0
	})
}

// insertStep keeps the steps in the order of their ids. A step that is there stays: two plans may share a number, or one be read twice.
func insertStep(steps []PlanStep, s PlanStep) []PlanStep {
	s.Object = strings.TrimSuffix(s.Object, ".")
	at, known := slices.BinarySearchFunc(steps, s.ID, func(t PlanStep, id int) int { return cmp.Compare(t.ID, id) })
	if known {
		return steps
	}
	return slices.Insert(steps, at, s)
}

// mismatchNames are the columns of profile_children behind the id.
var mismatchNames = []string{
	"BIND_MISMATCH", "OPTIMIZER_MISMATCH", "ROLL_INVALID_MISMATCH", "LANGUAGE_MISMATCH", "BIND_EQUIV_FAILURE", "USE_FEEDBACK_STATS",
}

func (d *describing) mismatches(ids []string) error {
	var inst number
	var id text
	flags := make([]text, len(mismatchNames))
	dest := d.o.dest(&inst, &id)
	for i := range flags {
		dest = append(dest, &flags[i])
	}
	rows := 0
	return d.lists("children", "v$sql_shared_cursor", 10, ids, dest, func() bool {
		one := d.found[string(id)]
		for i, flag := range flags {
			if one == nil || flag != "Y" {
				continue
			}
			if one.Mismatches == nil {
				one.Mismatches = map[string]int{}
			}
			one.Mismatches[mismatchNames[i]]++
		}
		rows++
		return rows%maxChildren != 0
	})
}

// detail has a snapshot hold what a later report wants to know of its hottest statements: nobody can tell yet which will be
// the first of a window, but those that have done much so far likely are.
func (o *OracleSource) detail(ctx context.Context, s *Snapshot) error {
	sums := map[string]*Row{}
	var rows []*Row
	for i := range s.Statements {
		st := &s.Statements[i]
		r := sums[st.SQLID]
		if r == nil {
			r = &Row{SQLID: st.SQLID}
			sums[st.SQLID], rows = r, append(rows, r)
		}
		r.Counters, r.Versions = r.Counters.plus(st.Counters), r.Versions+st.Versions
	}
	var hot []Row
	taken := map[string]bool{}
	for _, by := range []func(r *Row) int64{
		func(r *Row) int64 { return int64(r.Elapsed) },
		func(r *Row) int64 { return r.Executions },
		func(r *Row) int64 { return r.Gets },
	} {
		slices.SortFunc(rows, func(a, b *Row) int { return cmp.Or(cmp.Compare(by(b), by(a)), cmp.Compare(a.SQLID, b.SQLID)) })
		for _, r := range rows[:min(len(rows), maxDetailed/2)] {
			if len(hot) < maxDetailed && !taken[r.SQLID] {
				taken[r.SQLID] = true
				hot = append(hot, *r)
			}
		}
	}
	details, warnings, err := o.Describe(ctx, hot)
	for id, one := range details {
		one.Text = shorten(one.Text, savedText)
		details[id] = one
	}
	s.Details, s.Warnings = details, append(s.Warnings, warnings...)
	return err
}
