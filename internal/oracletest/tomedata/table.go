package tomedata

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tomehub/tomehub/internal/oracletest"
)

type (
	// row holds a value per column. It is never changed once it is in a table: an update puts another in its place.
	row []oracletest.Value

	// key is a value of a unique key of up to four columns.
	key [4]any
)

// column is what the DDL says of one.
type column struct {
	name     string
	typ      oracletest.Type
	size     int  // of Varchar2, in bytes or characters; digits of a whole Number, 0: any number
	chars    bool // size counts characters
	notNull  bool
	divisor  int64 // of a virtual column FLOOR(base / divisor); 0: a plain column
	base     string
	fallback oracletest.Value // DEFAULT
}

// unique is a primary key, a unique constraint or a unique index.
type unique struct {
	name string
	at   []int
	rows map[key]int64 // → row id, of committed rows
}

// index finds rows by one column: the first of any key or index.
type index struct {
	at   int
	rows map[any][]int64 // committed
}

// table is one table with its committed rows, guarded by Data.mu.
type table struct {
	name    string
	columns []column
	at      map[string]int // column by name
	uniques []*unique      // the primary key first
	indexes []*index
	text    *textIndex // nil: no CTXSYS index, which a table here has one of at most
	rows    map[int64]row
}

// keyOf returns the row's value of a unique key; ok is false when all of it is NULL, which is in no index.
func (u *unique) keyOf(r row) (k key, ok bool) {
	for i, at := range u.at {
		k[i] = r[at]
		ok = ok || r[at] != nil
	}
	return k, ok
}

// keyed returns a key of these values.
func keyed(values ...any) (k key) {
	copy(k[:], values)
	return k
}

// put enters, changes or, with nil, takes away a committed row. Callers hold Data.mu.
func (t *table) put(id int64, r row) {
	if old := t.rows[id]; old != nil {
		for _, u := range t.uniques {
			if k, ok := u.keyOf(old); ok && u.rows[k] == id {
				delete(u.rows, k)
			}
		}
		for _, x := range t.indexes {
			if r != nil && r[x.at] == old[x.at] {
				continue
			}
			list := x.rows[old[x.at]]
			if i := slices.Index(list, id); i >= 0 {
				list[i] = list[len(list)-1]
				x.rows[old[x.at]] = list[:len(list)-1]
			}
			if len(list) <= 1 {
				delete(x.rows, old[x.at])
			}
		}
		if r == nil {
			delete(t.rows, id)
			return
		}
		t.rows[id] = r
		for _, x := range t.indexes {
			if r[x.at] != old[x.at] {
				x.rows[r[x.at]] = append(x.rows[r[x.at]], id)
			}
		}
	} else {
		if r == nil {
			return
		}
		t.rows[id] = r
		for _, x := range t.indexes {
			x.rows[r[x.at]] = append(x.rows[r[x.at]], id)
		}
	}
	for _, u := range t.uniques {
		if k, ok := u.keyOf(r); ok {
			u.rows[k] = id
		}
	}
}

// addIndex lets rows be found by a column. Callers hold Data.mu.
func (t *table) addIndex(at int) {
	if slices.ContainsFunc(t.indexes, func(x *index) bool { return x.at == at }) {
		return
	}
	x := &index{at: at, rows: map[any][]int64{}}
	for id, r := range t.rows {
		x.rows[r[at]] = append(x.rows[r[at]], id)
	}
	t.indexes = append(t.indexes, x)
}

// complete makes a row of values by column name: defaults, virtual columns, and what the DDL forbids.
func (t *table) complete(values map[string]oracletest.Value) (row, error) {
	r := make(row, len(t.columns))
	for name := range values {
		if _, ok := t.at[name]; !ok {
			return nil, ora(904, "%q: invalid identifier", name)
		}
	}
	for i, c := range t.columns {
		v, given := values[c.name]
		if !given {
			v = c.fallback
		}
		if c.divisor != 0 {
			continue
		}
		var err error
		if r[i], err = t.fit(c, v); err != nil {
			return nil, err
		}
		if r[i] == nil && c.notNull {
			return nil, ora(1400, "cannot insert NULL into (%s)", t.full(c))
		}
	}
	for i, c := range t.columns {
		if c.divisor != 0 {
			if base, ok := r[t.at[c.base]].(int64); ok {
				r[i] = int64(math.Floor(float64(base) / float64(c.divisor)))
			}
		}
	}
	return r, nil
}

// changed returns the row with other values in some columns.
func (t *table) changed(r row, values map[string]oracletest.Value) (row, error) {
	next := slices.Clone(r)
	for name, v := range values {
		c := t.columns[t.at[name]]
		fitting, err := t.fit(c, v)
		if err != nil {
			return nil, err
		}
		if fitting == nil && c.notNull {
			return nil, ora(1407, "cannot update (%s) to NULL", t.full(c))
		}
		next[t.at[name]] = fitting
	}
	return next, nil
}

func (t *table) full(c column) string { return fmt.Sprintf("%q.%q.%q", Schema, t.name, c.name) }

// fit returns v as the column holds it: an empty text is NULL, numbers are int64 or float64.
func (t *table) fit(c column, v oracletest.Value) (oracletest.Value, error) {
	if v == nil || v == "" {
		return nil, nil
	}
	switch c.typ {
	case oracletest.Varchar2:
		s, ok := text(v)
		if !ok {
			return nil, ora(932, "inconsistent datatypes: expected CHAR got %T", v)
		}
		n, most := len(s), c.size
		if c.chars {
			n = utf8.RuneCountInString(s)
		}
		if n > most || len(s) > 4000 { // whatever the characters, VARCHAR2 ends at 4000 bytes
			if len(s) > 4000 && n <= most {
				n, most = len(s), 4000
			}
			return nil, ora(12899, "value too large for column %s (actual: %d, maximum: %d)", t.full(c), n, most)
		}
		return s, nil
	case oracletest.Clob:
		s, ok := text(v)
		if !ok {
			return nil, ora(932, "inconsistent datatypes: expected CLOB got %T", v)
		}
		return s, nil
	case oracletest.Number, oracletest.BinaryDouble:
		n, err := number(v)
		if err != nil {
			return nil, err
		}
		if c.size > 0 {
			whole, ok := n.(int64)
			if f, isFloat := n.(float64); isFloat {
				whole, ok = int64(math.Round(f)), math.Abs(f) < 1<<62
			}
			if !ok || math.Abs(float64(whole)) >= math.Pow10(c.size) {
				return nil, ora(1438, "value larger than specified precision allowed for this column")
			}
			return whole, nil
		}
		return n, nil
	default:
		return v, nil
	}
}

func text(v oracletest.Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	}
	return "", false
}

// number returns an int64 when v is whole, else a float64.
func number(v oracletest.Value) (oracletest.Value, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
		return v, nil
	case oracletest.Decimal:
		return number(string(v))
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return number(f)
		}
	}
	return nil, ora(1722, "invalid number")
}
