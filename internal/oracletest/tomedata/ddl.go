package tomedata

import (
	"slices"
	"strconv"
	"strings"
)

// parseDDL reads CREATE TABLE, INDEX, SEQUENCE and DROP TABLE, INDEX, SEQUENCE. What it returns runs
// with Data.mu held.
func (d *Data) parseDDL(s *scanner) (func(*Data) error, error) {
	switch {
	case s.skip("CREATE", "TABLE"):
		return parseTable(s)
	case s.skip("CREATE", "UNIQUE", "INDEX"):
		return d.parseIndex(s, true)
	case s.skip("CREATE", "INDEX"):
		return d.parseIndex(s, false)
	case s.skip("CREATE", "SEQUENCE"):
		name := s.next()
		return func(d *Data) error { return d.name(name, "SEQUENCE") }, nil
	case s.skip("DROP", "INDEX"):
		name := s.next()
		return func(d *Data) error { return d.dropIndex(name) }, nil
	case s.skip("DROP", "TABLE"):
		name := s.next()
		return func(d *Data) error {
			if d.tables[name] == nil {
				return ora(942, "table or view does not exist")
			}
			delete(d.tables, name)
			delete(d.names, name)
			return nil
		}, nil
	}
	return nil, d.oddly("no such DDL: %.80s", strings.Join(s.words, " "))
}

// runDDL runs what parseDDL returned.
func (d *Data) runDDL(do func(*Data) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return do(d)
}

// name takes a name in the schema. Callers hold d.mu.
func (d *Data) name(name, kind string) error {
	if d.names[name] != "" {
		return ora(955, "name is already used by an existing object")
	}
	d.names[name] = kind
	return nil
}

// parseTable reads CREATE TABLE after its first two words.
func parseTable(s *scanner) (func(*Data) error, error) {
	name := s.next()
	elements := s.list()
	if len(elements) == 0 {
		return nil, ora(906, "missing left parenthesis")
	}
	// Parsed anew at each run, so that a table has nothing of one that was dropped.
	build := func() (*table, error) {
		t := &table{name: name, at: map[string]int{}, rows: map[int64]row{}}
		var primary, others []*unique
		for _, e := range elements {
			primary2, others2, err := t.element(&scanner{words: e})
			if err != nil {
				return nil, err
			}
			primary, others = append(primary, primary2...), append(others, others2...)
		}
		t.uniques = append(primary, others...)
		for _, u := range t.uniques {
			t.addIndex(u.at[0])
		}
		return t, nil
	}
	if _, err := build(); err != nil {
		return nil, err
	}
	return func(d *Data) error {
		if err := d.name(name, "TABLE"); err != nil {
			return err
		}
		t, err := build()
		d.tables[name] = t
		return err
	}, nil
}

// element reads one element of CREATE TABLE: a column or a constraint.
func (t *table) element(s *scanner) (primary, others []*unique, err error) {
	name := t.name + "_C" + strconv.Itoa(len(t.columns))
	if s.skip("CONSTRAINT") {
		name = s.next()
	}
	switch {
	case s.skip("PRIMARY", "KEY"):
		u, err := t.key(name, s.names())
		return []*unique{u}, nil, err
	case s.skip("UNIQUE"):
		u, err := t.key(name, s.names())
		return nil, []*unique{u}, err
	case s.skip("CHECK"):
		return nil, nil, nil
	}
	c := column{name: s.next()}
	if err := s.dataType(&c); err != nil {
		return nil, nil, err
	}
	t.at[c.name] = len(t.columns)
	for len(s.words) > 0 {
		switch {
		case s.skip("NOT", "NULL"):
			c.notNull = true
		case s.skip("PRIMARY", "KEY"):
			c.notNull = true
			primary = []*unique{{name: name, at: []int{len(t.columns)}, rows: map[key]int64{}}}
		case s.skip("UNIQUE"):
			others = []*unique{{name: name, at: []int{len(t.columns)}, rows: map[key]int64{}}}
		case s.skip("DEFAULT"):
			c.fallback, _ = value(s.words[:1])
			s.next()
		case s.skip("GENERATED", "ALWAYS", "AS"):
			w := slices.Concat(s.list()...) // FLOOR ( id / 4294967296 )
			if len(w) != 6 || w[0] != "FLOOR" && w[0] != "TRUNC" || w[3] != "/" {
				return nil, nil, ora(54013, "tomedata knows FLOOR(column / number) as a virtual column, not %v", w)
			}
			c.base = w[2]
			if c.divisor, err = strconv.ParseInt(w[4], 10, 64); err != nil {
				return nil, nil, ora(1722, "invalid number")
			}
		default:
			s.next() // VIRTUAL, CONSTRAINT name, CHECK (…)
			s.list()
		}
	}
	t.columns = append(t.columns, c)
	return primary, others, nil
}

func (t *table) key(name string, columns []string) (*unique, error) {
	u := &unique{name: name, rows: map[key]int64{}}
	for _, c := range columns {
		at, ok := t.at[c]
		if !ok {
			return nil, ora(904, "%q: invalid identifier", c)
		}
		u.at = append(u.at, at)
	}
	return u, nil
}

// parseIndex reads CREATE [UNIQUE] INDEX after the word INDEX.
func (d *Data) parseIndex(s *scanner, isUnique bool) (func(*Data) error, error) {
	name := s.next()
	if !s.skip("ON") {
		return nil, ora(969, "missing ON keyword")
	}
	on, columns := s.next(), s.names()
	if len(columns) == 0 || len(columns) > len(key{}) {
		return nil, d.oddly("index %s: columns in parentheses, %d at most", name, len(key{}))
	}
	text := s.skip("INDEXTYPE", "IS", "CTXSYS", ".", "CONTEXT")
	if text && !slices.ContainsFunc(s.words, func(w string) bool { return strings.Contains(w, "SYNC (ON COMMIT)") }) {
		return nil, d.oddly("index %s: the model keeps text indexes with SYNC (ON COMMIT) only", name)
	}
	return func(d *Data) error {
		t, err := d.table(on)
		if err != nil {
			return err
		}
		u, err := t.key(name, columns)
		if err != nil {
			return err
		}
		if text && d.withoutText {
			return ora(29833, "indextype does not exist")
		}
		if err := d.name(name, "INDEX"); err != nil {
			return err
		}
		switch {
		case text:
			t.text = &textIndex{name: name, column: columns[0], at: u.at[0], words: map[string][]posting{}}
			texts := map[int64]string{}
			for _, r := range t.rows {
				if words, ok := t.text.of(r); ok {
					texts[r[0].(int64)] = words
				}
			}
			t.text.add(texts)
		case isUnique:
			for id, r := range t.rows {
				if k, ok := u.keyOf(r); ok {
					if _, there := u.rows[k]; there {
						delete(d.names, name)
						return ora(1452, "cannot CREATE UNIQUE INDEX; duplicate keys found")
					}
					u.rows[k] = id
				}
			}
			t.uniques = append(t.uniques, u)
			t.addIndex(u.at[0])
		default:
			t.addIndex(u.at[0])
		}
		return nil
	}, nil
}

// dropIndex forgets an index that nothing of the schema needs. Callers hold d.mu.
func (d *Data) dropIndex(name string) error {
	if d.names[name] != "INDEX" {
		return ora(1418, "specified index does not exist")
	}
	delete(d.names, name)
	for _, t := range d.tables {
		if t.text != nil && t.text.name == name {
			t.text = nil
		}
		t.uniques = slices.DeleteFunc(t.uniques, func(u *unique) bool { return u.name == name })
	}
	return nil
}
