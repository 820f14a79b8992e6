package profiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	wallFormat = time.DateTime // as 'YYYY-MM-DD HH24:MI:SS'
	// activeSlack goes before the first snapshot's begin: DATE has whole seconds, the instances of a RAC have clocks of their
	// own, and counters may move up to 5 s after the work.
	activeSlack = 5 * time.Second
	// A statement that was active so shortly before the window, and is not in the filtered second pass, is looked for.
	hotSpan = time.Minute
	maxHot  = 1000
	// maxUnsigned bounds how many statements without a signature are asked whether they are PL/SQL.
	maxUnsigned = 1000
)

// Snapshot reads the counters once. With since, which this source must have taken, statements that were last active
// before it are left out, and those of them that left the shared pool are told by Gone.
//
// A session that is lost is replaced once; the warnings say so.
func (o *OracleSource) Snapshot(ctx context.Context, since *Snapshot) (Snapshot, error) {
	s, err := o.snapshot(ctx, since)
	if sessionLost(ctx, err) {
		lost := err
		if s, err = o.snapshot(ctx, since); err == nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("the session was lost and opened anew: %v", lost))
		}
	}
	return s, err
}

func (o *OracleSource) snapshot(ctx context.Context, since *Snapshot) (Snapshot, error) {
	s := Snapshot{SchemaVersion: SchemaVersion, Kind: Oracle, Source: o.Name()}
	if err := o.readClock(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if err := o.readInstances(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if since != nil && (!s.StartedAt.Equal(since.StartedAt) || !sameInstances(s.Instances, since.Instances)) {
		s.View = since.View
		return s, nil // the counters are of no use: the caller says why
	}
	if since != nil {
		s.Since = since.Now.Add(-activeSlack).Truncate(time.Second)
	}
	if err := o.readView(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if err := o.readTimeModel(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if since != nil {
		if err := o.findGone(ctx, &s, since); err != nil {
			return Snapshot{}, err
		}
	}
	if since != nil || o.cfg.Standalone {
		if err := o.markPLSQL(ctx, &s); err != nil {
			return Snapshot{}, err
		}
	}
	if o.cfg.Standalone {
		return s, o.detail(ctx, &s)
	}
	return s, nil
}

// readClock fills in the database's name and time.
func (o *OracleSource) readClock(ctx context.Context, s *Snapshot) error {
	var now, user, database text
	asked := time.Now()
	err := o.each(ctx, o.texts.query("clock"), []any{&now, &user, &database}, func() bool { return false })
	if err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999999 -07:00", string(now))
	if err != nil {
		return fmt.Errorf("read the database's clock: %w", err)
	}
	if o.zone == nil { // a change to summer time within the window must not move the start of the instance
		_, offset := at.Zone()
		o.zone = time.FixedZone("", offset)
	}
	o.user, o.skew = string(user), at.Sub(asked)
	s.Now = at.UTC()
	s.Server = "Oracle, database " + string(database)
	return nil
}

// readInstances fills in who counts, and since when.
func (o *OracleSource) readInstances(ctx context.Context, s *Snapshot) error {
	const view = "v$instance"
	var inst, id number
	var name, version, started text
	err := o.optional(ctx, s, o.texts.query("instance"), "a restart of the database is not noticed", o.dest(&inst, &id, &name, &version, &started), func() bool {
		at, err := time.ParseInLocation(wallFormat, string(started), o.zone)
		if err != nil {
			at = time.Unix(0, 0)
		}
		s.Instances = append(s.Instances, Instance{ID: int32(id), Name: string(name), StartedAt: at.UTC()})
		s.Server = "Oracle " + string(version) + strings.TrimPrefix(s.Server, "Oracle") // of the last: they differ during an upgrade only
		return true
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", o.shown(view), err)
	}
	slices.SortFunc(s.Instances, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	s.StartedAt = time.Unix(0, 0).UTC()
	for i, inst := range s.Instances {
		if i == 0 || inst.StartedAt.Before(s.StartedAt) {
			s.StartedAt = inst.StartedAt
		}
	}
	return nil
}

// readTimeModel fills in the time of all sessions together.
func (o *OracleSource) readTimeModel(ctx context.Context, s *Snapshot) error {
	var inst, value number
	var name text
	var m TimeModel
	found := false
	err := o.optional(ctx, s, o.texts.query("time_model"), "how much of the database's time the statements cover is unknown", o.dest(&inst, &name, &value), func() bool {
		found = true
		switch name {
		case "DB time":
			m.DBTime += Micros(value)
		case "DB CPU":
			m.DBCPU += Micros(value)
		case "parse time elapsed":
			m.Parse += Micros(value)
		case "hard parse elapsed time":
			m.HardParse += Micros(value)
		}
		return true
	})
	if found {
		s.Time = &m
	}
	return err
}

// optional reads a view that the report can do without: that it may not be read is a warning.
func (o *OracleSource) optional(ctx context.Context, s *Snapshot, q oracleQuery, lack string, dest []any, row func() bool) error {
	if !o.missing[q.view] {
		err := o.each(ctx, q, dest, row)
		if !refused(err) {
			return err
		}
		o.missing[q.view] = true
	}
	s.Warnings = append(s.Warnings, o.without(q.view, lack))
	return nil
}

// readView reads the statements from the first view that may be read.
func (o *OracleSource) readView(ctx context.Context, s *Snapshot) error {
	tried := o.views
	for i, view := range tried {
		err := o.readStatements(ctx, s, view)
		if refused(err) {
			continue
		}
		if err != nil {
			return err
		}
		s.View, o.views = o.shown(view), o.views[i:i+1]
		for _, refusedView := range tried[:i] {
			o.missing[refusedView] = true
		}
		for _, candidate := range []string{ViewPlanHash, ViewStats} {
			if o.missing[candidate] {
				s.Warnings = append(s.Warnings, o.without(candidate, "the statements are read from "+s.View+" instead"+loss[view]))
			}
		}
		return nil
	}
	return o.noView(tried)
}

// loss is what a view cannot tell that the default can.
var loss = map[string]string{
	ViewStats: ", which tells the latest plan of each and not what each plan did",
	ViewSQL:   ", which costs the database more and forgets statements as soon as their cursors leave the shared pool",
}

// findGone looks for the statements that were active shortly before the window and not in it: the second pass leaves out
// those that did nothing, and those that are gone.
func (o *OracleSource) findGone(ctx context.Context, s, since *Snapshot) error {
	there := make(map[string]bool, len(s.Statements))
	for i := range s.Statements {
		there[s.Statements[i].SQLID] = true
	}
	var hot []*Statement
	for i := range since.Statements {
		st := &since.Statements[i]
		if !there[st.SQLID] && !st.LastActive.Before(since.Now.Add(-hotSpan)) {
			hot = append(hot, st)
		}
	}
	slices.SortStableFunc(hot, func(a, b *Statement) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	var ids []string
	for _, st := range hot {
		if len(ids) < maxHot && !there[st.SQLID] {
			there[st.SQLID] = true
			ids = append(ids, st.SQLID)
		}
	}
	found := map[string]bool{}
	var inst number
	var id text
	for _, q := range o.texts.listed("present", o.views[0], 100, ids) {
		if err := o.each(ctx, q, o.dest(&inst, &id), func() bool { found[string(id)] = true; return true }); err != nil {
			return err
		}
	}
	s.Gone = slices.DeleteFunc(ids, func(id string) bool { return found[id] })
	return nil
}

// markPLSQL finds the blocks among the statements: their time is that of the statements that they run, over again. Only v$sql
// knows the command, and only what has no signature can be one, so few are asked for.
func (o *OracleSource) markPLSQL(ctx context.Context, s *Snapshot) error {
	const view = ViewSQL
	if o.views[0] == ViewSQL || o.missing[view] {
		return nil
	}
	var unsigned []*Statement
	for i := range s.Statements {
		if s.Statements[i].Signature == "" {
			unsigned = append(unsigned, &s.Statements[i])
		}
	}
	slices.SortStableFunc(unsigned, func(a, b *Statement) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	var ids []string
	commands := map[string]int{}
	for _, st := range unsigned {
		if _, twice := commands[st.SQLID]; !twice && len(ids) < maxUnsigned {
			commands[st.SQLID] = 0
			ids = append(ids, st.SQLID)
		}
	}
	var inst, command number
	var id text
	for _, q := range o.texts.listed("commands", view, 100, ids) {
		err := o.each(ctx, q, o.dest(&inst, &id, &command), func() bool { commands[string(id)] = int(command); return true })
		if refused(err) || errors.Is(err, errOracleSlow) {
			s.Warnings = append(s.Warnings, fmt.Sprintf("PL/SQL blocks are not told from SQL, so that their time may be counted twice: %v", err))
			o.missing[view] = o.missing[view] || refused(err)
			return nil
		}
		if err != nil {
			return err
		}
	}
	for _, st := range unsigned {
		st.Command = commands[st.SQLID]
	}
	return nil
}
