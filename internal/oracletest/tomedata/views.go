package tomedata

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// Views stands in for v$ views: it answers SELECT column, … FROM view [WHERE column = value [AND …]],
// and SELECT COUNT(*), from rows that functions give. Its zero value knows no view.
type Views struct {
	mu     sync.RWMutex // guards tables
	tables map[string]View
}

// A View is one of them: its columns, and the rows of now, each as long as Columns.
type View struct {
	Columns []oracletest.Column
	Rows    func() [][]oracletest.Value
}

// NewViews returns V$SESSION from the double's sessions, and V$SQLSTATS and V$SQL from what it has executed.
// server is asked at each statement, so that it may be started later.
func NewViews(server func() *oracletest.Server) *Views {
	v := &Views{}
	v.Set("V$SESSION", View{
		Columns: slices.Concat(numbers("SID", "SERIAL#"), texts("USERNAME", "STATUS", "PROGRAM", "MODULE", "ACTION", "TYPE")),
		Rows: func() (rows [][]oracletest.Value) {
			for _, s := range server().Sessions() {
				status := "INACTIVE"
				if s.Running != "" {
					status = "ACTIVE"
				}
				rows = append(rows, []oracletest.Value{s.ID, int64(1), s.User, status, s.Program, s.Module, s.Action, "USER"})
			}
			return rows
		},
	})
	executed := func() (rows [][]oracletest.Value) {
		all := server().Stats().Executions
		for _, tag := range slices.Sorted(maps.Keys(all)) {
			rows = append(rows, []oracletest.Value{fmt.Sprintf("%013x", hash(tag)), "/* tomehub:" + tag + " */", all[tag], Schema})
		}
		return rows
	}
	for _, name := range []string{"V$SQLSTATS", "V$SQL"} {
		v.Set(name, View{
			Columns: slices.Concat(texts("SQL_ID", "SQL_TEXT"), numbers("EXECUTIONS"), texts("PARSING_SCHEMA_NAME")),
			Rows:    executed,
		})
	}
	return v
}

// hash is FNV-1a, cut to the 13 digits of a SQL_ID.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h >> 12
}

// Set adds a view, or puts another in its place.
func (v *Views) Set(name string, view View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tables == nil {
		v.tables = map[string]View{}
	}
	v.tables[strings.ToUpper(name)] = view
}

// Serve answers a statement over one view.
func (v *Views) Serve(_ context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	w, err := tokens(c.SQL)
	if err != nil {
		return nil, err
	}
	from := slices.Index(w, "FROM")
	if from < 0 || from+1 >= len(w) {
		return nil, ora(923, "FROM keyword not found where expected")
	}
	v.mu.RLock()
	view, ok := v.tables[w[from+1]]
	v.mu.RUnlock()
	if !ok {
		return nil, ora(942, "table or view does not exist")
	}
	keep, err := view.where(w[from+2:], c)
	if err != nil {
		return nil, err
	}
	rows := slices.DeleteFunc(view.Rows(), func(r []oracletest.Value) bool { return !keep(r) })
	if slices.Equal(w[:from], []string{"SELECT", "COUNT", "(", "*", ")"}) {
		return &oracletest.Result{Columns: numbers("COUNT(*)"), Rows: [][]oracletest.Value{{int64(len(rows))}}}, nil
	}
	return view.picked(selected(w), rows)
}

func (v View) at(name string) (int, error) {
	i := slices.IndexFunc(v.Columns, func(c oracletest.Column) bool { return c.Name == name })
	if i < 0 {
		return 0, ora(904, "%q: invalid identifier", name)
	}
	return i, nil
}

// picked returns the columns of these names.
func (v View) picked(names []string, rows [][]oracletest.Value) (*oracletest.Result, error) {
	res := &oracletest.Result{}
	var places []int
	for _, n := range names {
		at, err := v.at(n)
		if err != nil {
			return nil, err
		}
		places = append(places, at)
		res.Columns = append(res.Columns, v.Columns[at])
	}
	for _, r := range rows {
		one := make([]oracletest.Value, len(places))
		for i, at := range places {
			one[i] = r[at]
		}
		res.Rows = append(res.Rows, one)
	}
	return res, nil
}

// where reads the conditions behind the view's name.
func (v View) where(w []string, c *oracletest.Call) (func([]oracletest.Value) bool, error) {
	keep := func([]oracletest.Value) bool { return true }
	for word := "WHERE"; len(w) > 0; word = "AND" {
		if len(w) < 4 || w[0] != word || w[2] != "=" {
			return nil, ora(933, "SQL command not properly ended: tomedata knows WHERE column = value [AND …], not %q", strings.Join(w, " "))
		}
		at, err := v.at(w[1])
		if err != nil {
			return nil, err
		}
		want, ok := value(w[3:4])
		if !ok {
			return nil, ora(936, "missing expression")
		}
		if b, isBind := want.(bind); isBind {
			want = c.Arg(0, string(b))
		}
		before := keep
		keep = func(r []oracletest.Value) bool { return before(r) && r[at] == want }
		w = w[4:]
	}
	return keep, nil
}
