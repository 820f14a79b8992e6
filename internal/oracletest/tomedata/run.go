package tomedata

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// ID is the cursor's SQL_ID.
func (c *Cursor) ID() string { return c.st.ID }

// Text is the cursor's SQL_FULLTEXT.
func (c *Cursor) Text() string { return c.st.Text }

// Plan is the PLAN_HASH_VALUE that it runs with.
func (c *Cursor) Plan() uint64 {
	c.in.db.mu.RLock()
	defer c.in.db.mu.RUnlock()
	return c.current.Plan
}

// locked runs a change of the cursor, which is loaded first.
func (c *Cursor) locked(f func(now time.Time)) *Cursor {
	c.in.db.mu.Lock()
	defer c.in.db.mu.Unlock()
	c.load()
	f(c.in.db.wall(c.in.db.clock()))
	return c
}

// Run executes the statement n times, each at a cost, and has the time model count it. A cursor that has aged out or was
// unloaded is loaded again.
func (c *Cursor) Run(n int64, each Cost) *Cursor {
	return c.locked(func(now time.Time) { c.spend(n, n, &each, now) })
}

// Progress is what one execution spends that does not end: its counters grow, its executions do not.
func (c *Cursor) Progress(spent Cost) *Cursor {
	return c.locked(func(now time.Time) { c.spend(0, 1, &spent, now) })
}

// spend adds to the current child and to the time model; db.mu is held.
func (c *Cursor) spend(executions, times int64, each *Cost, now time.Time) {
	ch := c.current
	ch.executions += executions
	ch.loads += times * each.HardParses
	ch.Cost.add(times, each)
	ch.lastActive = now
	spent, micros := c.in.spent, func(d time.Duration) int64 { return times * d.Microseconds() }
	spent["PL/SQL execution elapsed time"] += micros(each.PLSQL)
	spent["hard parse elapsed time"] += micros(each.HardParse)
	spent["parse time elapsed"] += micros(each.HardParse)
	if c.st.Command == plsqlCommand { // its statements have counted the rest
		spent["DB time"] += micros(each.PLSQL)
		return
	}
	spent["DB time"] += micros(each.Elapsed)
	spent["DB CPU"] += micros(each.CPU)
	spent["sql execute elapsed time"] += micros(each.Elapsed)
}

// AddChild makes another child and has it used from now on; it returns its CHILD_NUMBER.
func (c *Cursor) AddChild(made Child) (number int) {
	c.locked(func(now time.Time) {
		if made.Plan == 0 {
			made.Plan = c.current.Plan
		}
		c.plan(made.Plan)
		number = c.version(made, now).number
	})
	return number
}

// Use has a child used from now on.
func (c *Cursor) Use(number int) *Cursor {
	return c.locked(func(time.Time) {
		i := slices.IndexFunc(c.children, func(ch *child) bool { return ch.loaded && ch.number == number })
		if i < 0 {
			panic(fmt.Sprintf("tomedata: cursor %s has no child %d", c.st.ID, number))
		}
		c.current = c.children[i]
	})
}

// Flip has the optimizer choose another plan: a new child runs with it from now on, and the old one is there still.
func (c *Cursor) Flip(hash uint64, steps ...Step) *Cursor {
	return c.locked(func(now time.Time) {
		c.plan(hash).steps = steps
		c.version(Child{Plan: hash, Reasons: []string{"ROLL_INVALID_MISMATCH"}}, now)
	})
}

// plan returns the plan of a hash, a new one without steps if need be; db.mu is held.
func (c *Cursor) plan(hash uint64) *plan {
	i := slices.IndexFunc(c.plans, func(p plan) bool { return p.hash == hash })
	if i < 0 {
		i = len(c.plans)
		c.plans = append(slices.Clone(c.plans), plan{hash: hash})
	}
	return &c.plans[i]
}

// Invalidate has the current child parsed again when it runs next: LOADS, INVALIDATIONS and LAST_LOAD_TIME move on.
func (c *Cursor) Invalidate() *Cursor {
	return c.locked(func(now time.Time) {
		c.current.invalidations++
		c.current.loads++
		c.current.lastLoad = now
	})
}

// Unload takes the children out of V$SQL, whose counters begin anew when the statement runs again; V$SQLSTATS, which
// outlives them, goes on.
func (c *Cursor) Unload() {
	c.locked(func(time.Time) {
		for _, ch := range c.children {
			ch.loaded = false
		}
	})
}

// AgeOut takes the cursor out of all views, until it runs again, from zero.
func (c *Cursor) AgeOut() {
	in := c.in
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	c.remove()
	in.cursors = slices.DeleteFunc(slices.Clone(in.cursors), func(o *Cursor) bool { return o == c })
}

// remove forgets all but the statement; db.mu is held.
func (c *Cursor) remove() { c.there, c.children, c.current, c.plans = false, nil, nil, nil }

// Reset flushes the cursor and loads it again at once: its counters begin anew, its load times are now.
func (c *Cursor) Reset() *Cursor {
	c.AgeOut()
	return c.locked(func(time.Time) {})
}

// Fill loads n cursors that have run a while and were last active an hour ago, ten of each text but for its literals.
// They differ in everything that a profile shows.
func (in *Instance) Fill(n int) []*Cursor {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	then := in.db.wall(in.db.clock().Add(-time.Hour))
	cursors, children, all := make([]Cursor, n), make([]child, n), make([]*Cursor, n)
	plans := make([]plan, n)
	first := len(in.cursors)
	for i := range n {
		c, ch := &cursors[i], &children[i]
		k := first + i
		text := fmt.Sprintf("SELECT b.id, b.title, b.author FROM books_%05d b WHERE b.owner = 'reader' AND b.page_number > %d AND b.seq < :1", k/10, k)
		c.in, c.there, c.firstLoad = in, true, then
		c.st = Statement{
			ID: SQLID(text), Text: text, Schema: Schema, Command: 3, Module: "tomehub", Action: "fill",
			Signature: 1<<63 + uint64(k/10)<<20, Plan: uint64(k)*7919%(1<<32) + 1,
		}
		plans[i].hash = c.st.Plan
		c.plans = plans[i : i+1 : i+1]
		in.children++
		runs := int64(1 + k%997)
		*ch = child{Child: Child{Plan: c.st.Plan, Schema: Schema, Module: "tomehub", Action: "fill"}, address: in.children, loaded: true}
		ch.firstLoad, ch.lastLoad, ch.lastActive = then, then, then
		ch.executions, ch.loads = runs, 1
		ch.Cost.add(runs, &Cost{
			Elapsed: time.Duration(100+k%5000) * time.Microsecond, CPU: time.Duration(80+k%3000) * time.Microsecond,
			UserIO: time.Duration(k%2000) * time.Microsecond, Gets: int64(3 + k%1000), Reads: int64(k % 50), Rows: int64(k % 20), Fetches: 1, Parses: 1,
		})
		c.children = []*child{ch}
		c.current = ch
		all[i] = c
	}
	in.cursors = slices.Concat(in.cursors, all)
	return all
}

// observe runs a statement that a session of the double sends, as a cursor of the session's instance, which is there
// from its begin. Its time is that of the double, and all of it CPU; while the clock stands it takes none. Rows count once
// they are fetched.
func (db *database) observe(call *oracletest.Call, run func() (*oracletest.Result, error)) (*oracletest.Result, error) {
	st := Statement{Text: call.SQL}
	if s := call.Session; s != nil {
		st.Schema, st.Module, st.Action = s.User, cmp.Or(s.Module, s.Program), s.Action
	}
	in := db.connected(call.Session)
	c := in.Cursor(st)
	c.locked(func(now time.Time) { c.current.lastActive = now })
	begin := time.Now()
	res, err := run()
	cost := Cost{Fetches: 1}
	if call.Parsed {
		cost.Parses = 1
	}
	if db.goes() {
		cost.Elapsed = time.Since(begin)
		cost.CPU = cost.Elapsed
	}
	if res != nil {
		cost.Rows = int64(len(res.Rows)) + res.Affected
		if res.Columns == nil {
			cost.Fetches = 0
		}
		if res.Next != nil {
			res.Next = c.counting(res.Next)
		}
	}
	c.Run(1, cost)
	return res, err
}

// counting counts the rows of a query that has given its last one.
func (c *Cursor) counting(next func() ([]oracletest.Value, error)) func() ([]oracletest.Value, error) {
	rows := int64(0)
	return func() ([]oracletest.Value, error) {
		row, err := next()
		if row != nil {
			rows++
		} else if rows > 0 {
			c.Progress(Cost{Rows: rows})
			rows = 0
		}
		return row, err
	}
}
