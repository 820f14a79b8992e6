package tomedata

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// Views stands in for v$ views: it answers a SELECT over one of them, as far as select.go knows SQL, and refuses the
// rest. Its zero value knows DUAL and what Set gives it; [Instance.Views] has those of a database. It is an
// oracletest.Handler, and safe for concurrent use.
type Views struct {
	base *database // nil: no instance stands behind

	mu      sync.RWMutex // guards what follows
	tables  map[string]View
	revoked map[string]bool
	reads   map[string]int
	watch   func(name string, nth int)
}

// A View is one of them: its columns, and the rows of now, each as long as Columns.
type View struct {
	Columns []oracletest.Column
	Rows    func() [][]oracletest.Value

	open func(*oracletest.Session) reading // in the place of Rows, for what would be too much at once
}

// A reading goes once through a view's rows.
type reading struct {
	next  func() bool                   // goes to the next row, if there is one
	value func(at int) oracletest.Value // of that row's column
}

// read begins a reading.
func (v View) read(s *oracletest.Session) reading {
	if v.open != nil {
		return v.open(s)
	}
	rows, at := v.Rows(), -1
	return reading{
		next:  func() bool { at++; return at < len(rows) },
		value: func(i int) oracletest.Value { return rows[at][i] },
	}
}

// Set adds a view by the name of its synonym, V$SESSION, or puts another in its place.
func (v *Views) Set(name string, view View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tables == nil {
		v.tables = map[string]View{}
	}
	v.tables[strings.ToUpper(name)] = view
}

// Revoke takes the grant on views, by the names of their synonyms, V$SQL and GV$SQL apart: reading them is ORA-00942.
// Without names it takes all.
func (v *Views) Revoke(names ...string) { v.grant(true, names) }

// Grant gives back what Revoke took, everything without names.
func (v *Views) Grant(names ...string) { v.grant(false, names) }

func (v *Views) grant(revoke bool, names []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.revoked == nil {
		v.revoked = map[string]bool{}
	}
	if len(names) == 0 {
		for name := range v.tables {
			v.revoked[name] = revoke
		}
	}
	for _, name := range names {
		name, _ = synonym(strings.ToUpper(name))
		v.revoked[name] = revoke
	}
}

// Watch has f called before each reading of a view, with its name and how many there were, this one included. What f
// changes is seen by that reading. A new f takes the place of the last.
func (v *Views) Watch(f func(name string, nth int)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watch = f
}

// Reads returns how often each view was read.
func (v *Views) Reads(name string) int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.reads[strings.ToUpper(name)]
}

// synonym returns V$SQL for V_$SQL.
func synonym(name string) (string, bool) {
	for _, prefix := range []string{"V", "GV"} {
		if rest, ok := strings.CutPrefix(name, prefix+"_$"); ok {
			return prefix + "$" + rest, true
		}
	}
	return name, false
}

var dual = View{
	Columns: []oracletest.Column{{Name: "DUMMY", Size: 1}},
	Rows:    func() [][]oracletest.Value { return [][]oracletest.Value{{"X"}} },
}

// find returns a view that exists and is granted, and counts the reading. As in Oracle, V$SQL is a public synonym, the
// view itself is SYS.V_$SQL, and SYS.V$SQL is nobody's but SYS's.
func (v *Views) find(owner, name string) (View, error) {
	missing := ora(942, "table or view does not exist")
	known, underlined := synonym(name)
	if owner != "" && owner != "SYS" || underlined != (owner == "SYS") && name != "DUAL" {
		return View{}, missing
	}
	v.mu.Lock()
	view, ok := v.tables[known]
	if !ok && known == "DUAL" {
		v.mu.Unlock()
		return dual, nil
	}
	if !ok || v.revoked[known] {
		v.mu.Unlock()
		return View{}, missing
	}
	if v.reads == nil {
		v.reads = map[string]int{}
	}
	v.reads[known]++
	watch, nth := v.watch, v.reads[known]
	v.mu.Unlock()
	if watch != nil {
		watch(known, nth)
	}
	return view, nil
}

// Serve answers a statement over one view, and counts it among those that the instance has executed.
func (v *Views) Serve(_ context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	return v.observe(c, func() (*oracletest.Result, error) { return v.answer(c) })
}

// observe runs a statement so that the instance's own views show it.
func (v *Views) observe(c *oracletest.Call, run func() (*oracletest.Result, error)) (*oracletest.Result, error) {
	if v == nil || v.base == nil {
		return run()
	}
	return v.base.observe(c, run)
}

func (v *Views) answer(c *oracletest.Call) (*oracletest.Result, error) {
	w, err := tokens(c.SQL)
	if err != nil {
		return nil, err
	}
	q := &selection{scanner: scanner{w}, call: c, views: v}
	if err := q.compile(); err != nil {
		return nil, err
	}
	return q.run()
}

// overView tells whether a SELECT is over v$ views.
func overView(w []string) bool {
	return slices.ContainsFunc(w, func(t string) bool {
		name, _ := synonym(t)
		return strings.HasPrefix(name, "V$") || strings.HasPrefix(name, "GV$")
	})
}
