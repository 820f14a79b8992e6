package tomedata

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// A field is a column of a view over rows of type R.
type field[R any] struct {
	oracletest.Column
	get func(*R) oracletest.Value
}

func numberOf[R any](name string, get func(*R) int64) field[R] {
	return field[R]{oracletest.Column{Name: name, Type: oracletest.Number}, func(r *R) oracletest.Value { return get(r) }}
}

func textField[R any](name string, size int, get func(*R) string) field[R] {
	return field[R]{oracletest.Column{Name: name, Size: size}, func(r *R) oracletest.Value { return get(r) }}
}

func clobOf[R any](name string, get func(*R) string) field[R] {
	return field[R]{oracletest.Column{Name: name, Type: oracletest.Clob}, func(r *R) oracletest.Value { return get(r) }}
}

func dateOf[R any](name string, get func(*R) time.Time) field[R] {
	return field[R]{oracletest.Column{Name: name, Type: oracletest.Date}, func(r *R) oracletest.Value { return get(r) }}
}

// setView adds V$name, of the session's instance, and GV$name, of all of them with INST_ID. each goes through the rows
// of one instance and fills in the row it is given.
func setView[R any](db *database, name string, each func(*Instance) func(*R) bool, fields ...field[R]) {
	local, global := View{}, View{Columns: numbers("INST_ID")}
	for _, f := range fields {
		local.Columns = append(local.Columns, f.Column)
		global.Columns = append(global.Columns, f.Column)
	}
	local.open = func(s *oracletest.Session) reading {
		row, next := new(R), each(db.connected(s))
		return reading{func() bool { return next(row) }, func(at int) oracletest.Value { return fields[at].get(row) }}
	}
	global.open = func(*oracletest.Session) reading {
		db.mu.RLock()
		instances := db.instances
		db.mu.RUnlock()
		row, at := new(R), 0
		next := each(instances[0])
		return reading{
			next: func() bool {
				for {
					if next(row) {
						return true
					}
					if at++; at >= len(instances) {
						return false
					}
					next = each(instances[at])
				}
			},
			value: func(i int) oracletest.Value {
				if i == 0 {
					return int64(instances[at].number)
				}
				return fields[i-1].get(row)
			},
		}
	}
	db.views.Set("V$"+name, local)
	db.views.Set("GV$"+name, global)
}

// A sqlRow is a row of the views of cursors: a copy, so that all its columns are of one moment.
type sqlRow struct {
	counters
	c          *Cursor
	child      *child // its last one; of V$SQL, the one
	plan       uint64
	versions   int64
	lastActive time.Time
}

// sum adds the children of a cursor, those of one plan or all of them, and tells whether there were any.
func (r *sqlRow) sum(c *Cursor, plan uint64, all bool) bool {
	r.c, r.child, r.counters, r.versions, r.lastActive = c, nil, counters{}, 0, time.Time{}
	for _, ch := range c.children {
		if !all && ch.Plan != plan {
			continue
		}
		r.child = ch
		r.counters.add(&ch.counters)
		if ch.loaded {
			r.versions++
		}
		if ch.lastActive.After(r.lastActive) {
			r.lastActive = ch.lastActive
		}
	}
	if r.child == nil {
		return false
	}
	if r.plan = plan; all {
		r.child, r.plan = c.current, c.current.Plan
	}
	return true
}

// pool is the list of cursors of now.
func (in *Instance) pool() []*Cursor {
	in.db.mu.RLock()
	defer in.db.mu.RUnlock()
	return in.cursors
}

// eachParent goes through V$SQLSTATS: a row for each cursor.
func (in *Instance) eachParent() func(*sqlRow) bool {
	rest := in.pool()
	return func(r *sqlRow) bool {
		in.db.mu.RLock()
		defer in.db.mu.RUnlock()
		for len(rest) > 0 {
			c := rest[0]
			if rest = rest[1:]; r.sum(c, 0, true) {
				return true
			}
		}
		return false
	}
}

// eachPlan goes through V$SQLSTATS_PLAN_HASH: a row for each plan of a cursor.
func (in *Instance) eachPlan() func(*sqlRow) bool {
	rest, at := in.pool(), 0
	return func(r *sqlRow) bool {
		in.db.mu.RLock()
		defer in.db.mu.RUnlock()
		for len(rest) > 0 {
			c := rest[0]
			if at >= len(c.plans) {
				rest, at = rest[1:], 0
				continue
			}
			if at++; r.sum(c, c.plans[at-1].hash, false) {
				return true
			}
		}
		return false
	}
}

// eachChild goes through V$SQL: a row for each child that is loaded.
func (in *Instance) eachChild() func(*sqlRow) bool {
	rest, at := in.pool(), 0
	return func(r *sqlRow) bool {
		in.db.mu.RLock()
		defer in.db.mu.RUnlock()
		for len(rest) > 0 {
			c := rest[0]
			if at >= len(c.children) {
				rest, at = rest[1:], 0
				continue
			}
			ch := c.children[at]
			if at++; ch.loaded {
				*r = sqlRow{counters: ch.counters, c: c, child: ch, plan: ch.Plan, lastActive: ch.lastActive}
				return true
			}
		}
		return false
	}
}

func container(r *sqlRow) int64 { return r.c.in.cfg.Container }

// counterFields are what all views of cursors have.
func counterFields() []field[sqlRow] {
	count := numberOf[sqlRow]
	micros := func(name string, get func(*sqlRow) time.Duration) field[sqlRow] {
		return count(name, func(r *sqlRow) int64 { return get(r).Microseconds() })
	}
	return []field[sqlRow]{
		textField("SQL_ID", 13, func(r *sqlRow) string { return r.c.st.ID }),
		textField("SQL_TEXT", 1000, func(r *sqlRow) string { return firstThousand(r.c.st.Text) }),
		clobOf("SQL_FULLTEXT", func(r *sqlRow) string { return r.c.st.Text }),
		dateOf("LAST_ACTIVE_TIME", func(r *sqlRow) time.Time { return r.lastActive }),
		count("PLAN_HASH_VALUE", func(r *sqlRow) int64 { return int64(r.plan) }),
		count("PARSE_CALLS", func(r *sqlRow) int64 { return r.Parses }),
		count("DISK_READS", func(r *sqlRow) int64 { return r.Reads }),
		count("BUFFER_GETS", func(r *sqlRow) int64 { return r.Gets }),
		count("ROWS_PROCESSED", func(r *sqlRow) int64 { return r.Rows }),
		count("FETCHES", func(r *sqlRow) int64 { return r.Fetches }),
		count("EXECUTIONS", func(r *sqlRow) int64 { return r.executions }),
		count("LOADS", func(r *sqlRow) int64 { return r.loads }),
		count("INVALIDATIONS", func(r *sqlRow) int64 { return r.invalidations }),
		count("SORTS", func(r *sqlRow) int64 { return r.Sorts }),
		micros("CPU_TIME", func(r *sqlRow) time.Duration { return r.CPU }),
		micros("ELAPSED_TIME", func(r *sqlRow) time.Duration { return r.Elapsed }),
		micros("APPLICATION_WAIT_TIME", func(r *sqlRow) time.Duration { return r.Application }),
		micros("CONCURRENCY_WAIT_TIME", func(r *sqlRow) time.Duration { return r.Concurrency }),
		micros("CLUSTER_WAIT_TIME", func(r *sqlRow) time.Duration { return r.Cluster }),
		micros("USER_IO_WAIT_TIME", func(r *sqlRow) time.Duration { return r.UserIO }),
		micros("PLSQL_EXEC_TIME", func(r *sqlRow) time.Duration { return r.PLSQL }),
		{oracletest.Column{Name: "FORCE_MATCHING_SIGNATURE", Type: oracletest.Number}, func(r *sqlRow) oracletest.Value { return unsigned(r.c.st.Signature) }},
		count("CON_ID", container),
	}
}

// firstThousand cuts a text to 1000 bytes, between characters.
func firstThousand(s string) string {
	if len(s) <= 1000 {
		return s
	}
	n := 0
	for at := range s {
		if at > 1000 {
			break
		}
		n = at
	}
	return s[:n]
}

// unsigned is a NUMBER of 64 bits.
func unsigned(n uint64) oracletest.Value {
	if n > math.MaxInt64 {
		return oracletest.Decimal(strconv.FormatUint(n, 10))
	}
	return int64(n)
}

// setCursorViews adds the views of the shared pool.
func (db *database) setCursorViews() {
	stats := append(counterFields(),
		numberOf("VERSION_COUNT", func(r *sqlRow) int64 { return r.versions }),
		numberOf("AVG_HARD_PARSE_TIME", func(r *sqlRow) int64 { return r.HardParse.Microseconds() / max(r.HardParses, 1) }))
	setView(db, "SQLSTATS", (*Instance).eachParent, stats...)
	setView(db, "SQLSTATS_PLAN_HASH", (*Instance).eachPlan, stats...)

	loaded := func(t time.Time) string { return t.Format("2006-01-02/15:04:05") }
	setView(db, "SQL", (*Instance).eachChild, append(counterFields(),
		numberOf("CHILD_NUMBER", func(r *sqlRow) int64 { return int64(r.child.number) }),
		field[sqlRow]{oracletest.Column{Name: "CHILD_ADDRESS", Type: oracletest.Raw, Size: 8}, func(r *sqlRow) oracletest.Value {
			return binary.BigEndian.AppendUint64(nil, 0x7F00_0000_0000+uint64(r.child.address)*0x1000)
		}},
		textField("MODULE", 64, func(r *sqlRow) string { return r.child.Module }),
		textField("ACTION", 64, func(r *sqlRow) string { return r.child.Action }),
		textField("PARSING_SCHEMA_NAME", 128, func(r *sqlRow) string { return r.child.Schema }),
		numberOf("COMMAND_TYPE", func(r *sqlRow) int64 { return int64(r.c.st.Command) }),
		textField("FIRST_LOAD_TIME", 76, func(r *sqlRow) string { return loaded(r.c.firstLoad) }),
		textField("LAST_LOAD_TIME", 76, func(r *sqlRow) string { return loaded(r.child.lastLoad) }),
		textField("IS_OBSOLETE", 1, func(*sqlRow) string { return "N" }),
	)...)
	setPlanViews(db)
}

// A stepRow is a row of V$SQL_PLAN.
type stepRow struct {
	sqlRow
	Step
}

func setPlanViews(db *database) {
	wrap := func(name string, get func(*stepRow) int64) field[stepRow] { return numberOf(name, get) }
	words := func(name string, size int, get func(*stepRow) string) field[stepRow] {
		return textField(name, size, get)
	}
	setView(db, "SQL_PLAN", (*Instance).eachStep,
		words("SQL_ID", 13, func(r *stepRow) string { return r.c.st.ID }),
		wrap("PLAN_HASH_VALUE", func(r *stepRow) int64 { return int64(r.plan) }),
		wrap("CHILD_NUMBER", func(r *stepRow) int64 { return int64(r.child.number) }),
		wrap("ID", func(r *stepRow) int64 { return int64(r.ID) }),
		field[stepRow]{oracletest.Column{Name: "PARENT_ID", Type: oracletest.Number}, func(r *stepRow) oracletest.Value {
			if r.Parent < 0 {
				return nil
			}
			return int64(r.Parent)
		}},
		wrap("DEPTH", func(r *stepRow) int64 { return int64(r.Depth) }),
		words("OPERATION", 120, func(r *stepRow) string { return r.Operation }),
		words("OPTIONS", 120, func(r *stepRow) string { return r.Options }),
		words("OBJECT_OWNER", 128, func(r *stepRow) string { return r.Owner }),
		words("OBJECT_NAME", 128, func(r *stepRow) string { return r.Object }),
		words("OBJECT_TYPE", 80, func(r *stepRow) string { return r.ObjectType }),
		wrap("CARDINALITY", func(r *stepRow) int64 { return r.Step.Cardinality }),
		wrap("COST", func(r *stepRow) int64 { return r.Step.Cost }),
		words("ACCESS_PREDICATES", 4000, func(r *stepRow) string { return r.Access }),
		words("FILTER_PREDICATES", 4000, func(r *stepRow) string { return r.Filter }),
		wrap("CON_ID", func(r *stepRow) int64 { return container(&r.sqlRow) }),
	)
	shared := []field[sqlRow]{
		textField("SQL_ID", 13, func(r *sqlRow) string { return r.c.st.ID }),
		numberOf("CHILD_NUMBER", func(r *sqlRow) int64 { return int64(r.child.number) }),
	}
	for _, reason := range sharedReasons {
		shared = append(shared, textField(reason, 1, func(r *sqlRow) string { return yes(r.child.has(reason)) }))
	}
	shared = append(shared, clobOf("REASON", func(r *sqlRow) string { return r.child.reason() }), numberOf("CON_ID", container))
	setView(db, "SQL_SHARED_CURSOR", (*Instance).eachChild, shared...)
}

// eachStep goes through the plans of the children that are loaded.
func (in *Instance) eachStep() func(*stepRow) bool {
	next := in.eachChild()
	var of sqlRow
	var steps []Step
	return func(r *stepRow) bool {
		for len(steps) == 0 {
			if !next(&of) {
				return false
			}
			steps = in.steps(of.c, of.plan)
		}
		r.sqlRow, r.Step, steps = of, steps[0], steps[1:]
		return true
	}
}

func (in *Instance) steps(c *Cursor, hash uint64) []Step {
	in.db.mu.RLock()
	defer in.db.mu.RUnlock()
	for _, p := range c.plans {
		if p.hash == hash {
			return p.steps
		}
	}
	return nil
}
