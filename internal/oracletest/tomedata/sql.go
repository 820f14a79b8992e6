package tomedata

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// bind is a placeholder's name in a parsed statement, in upper case.
type bind string

// parsed is what the model reads from a statement's text.
type parsed struct {
	ddl     func(*Data) error
	insert  *insertion
	merge   *merging
	view    bool     // reads v$ views
	dual    bool     // reads DUAL
	columns []string // of the outermost SELECT, in upper case; "" for an expression without a name; nil: no SELECT
	wait    waitMode
}

// insertion is INSERT INTO table (columns) VALUES (values): binds, or literals.
type insertion struct {
	table   string
	columns []string
	values  []any
}

// merging is MERGE INTO table USING (SELECT literals FROM DUAL) ON (the same columns) WHEN NOT MATCHED THEN INSERT.
type merging struct {
	insertion
	on []string
}

// parse returns what is known of a text, from memory when it has been here before.
func (d *Data) parse(sql string) (*parsed, error) {
	if p, ok := d.parsed.Load(sql); ok {
		return p.(*parsed), nil
	}
	p, err := d.parseText(sql)
	if err == nil {
		d.parsed.Store(sql, p)
	}
	return p, err
}

func (d *Data) parseText(sql string) (*parsed, error) {
	w, err := tokens(sql)
	if err != nil {
		return nil, err
	}
	s := &scanner{words: w}
	p := &parsed{}
	switch {
	case s.is("CREATE"), s.is("DROP"):
		p.ddl, err = d.parseDDL(s)
	case s.is("INSERT"):
		p.insert = parseInsert(s)
	case s.is("MERGE"):
		p.merge = parseMerge(s)
	case s.is("SELECT"), s.is("WITH"):
		p.columns = selected(w)
		p.view, p.dual = overView(w), slices.Contains(w, "DUAL")
	}
	p.wait = waiting(w)
	return p, err
}

// tokens cuts SQL into names and numbers (in upper case), 'texts' (as they are, with the first
// quote), :BINDS and signs. Comments are left out.
func tokens(sql string) (all []string, err error) {
	inName := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '$' || r == '#'
	}
	for sql != "" {
		switch {
		case strings.HasPrefix(sql, "/*"):
			_, after, ok := strings.Cut(sql, "*/")
			if !ok {
				return nil, ora(1742, "comment not terminated properly")
			}
			sql = after
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case sql[0] == '\'':
			end := 1
			for ; end < len(sql); end++ {
				if sql[end] != '\'' {
					continue
				}
				if end+1 < len(sql) && sql[end+1] == '\'' {
					end++
					continue
				}
				break
			}
			if end >= len(sql) {
				return nil, ora(1756, "quoted string not properly terminated")
			}
			all = append(all, "'"+strings.ReplaceAll(sql[1:end], "''", "'"))
			sql = sql[end+1:]
		case strings.ContainsRune(" \t\r\n", rune(sql[0])):
			sql = sql[1:]
		default:
			n := strings.IndexFunc(sql[1:], func(r rune) bool { return !inName(r) }) + 1
			if n == 0 {
				n = len(sql)
			}
			if first := rune(sql[0]); !inName(first) && first != ':' {
				n = 1
			}
			all = append(all, strings.ToUpper(sql[:n]))
			sql = sql[n:]
		}
	}
	return all, nil
}

// scanner goes through tokens.
type scanner struct {
	words []string
}

func (s *scanner) is(word string) bool { return len(s.words) > 0 && s.words[0] == word }

func (s *scanner) next() string {
	if len(s.words) == 0 {
		return ""
	}
	w := s.words[0]
	s.words = s.words[1:]
	return w
}

// skip goes past word if it comes next.
func (s *scanner) skip(words ...string) bool {
	if len(s.words) < len(words) || !slices.Equal(s.words[:len(words)], words) {
		return false
	}
	s.words = s.words[len(words):]
	return true
}

// list reads a list in parentheses and returns the tokens of each element; nil when there is none.
func (s *scanner) list() [][]string {
	if !s.skip("(") {
		return nil
	}
	all, depth := [][]string{nil}, 0
	for len(s.words) > 0 {
		w := s.next()
		switch {
		case w == ")" && depth == 0:
			return all
		case w == "," && depth == 0:
			all = append(all, nil)
			continue
		case w == "(":
			depth++
		case w == ")":
			depth--
		}
		all[len(all)-1] = append(all[len(all)-1], w)
	}
	return nil
}

// names returns a list in parentheses of single names.
func (s *scanner) names() (all []string) {
	for _, one := range s.list() {
		if len(one) != 1 {
			return nil
		}
		all = append(all, one[0])
	}
	return all
}

// value reads a literal or a bind; ok is false for anything else.
func value(w []string) (v any, ok bool) {
	sign := ""
	if len(w) == 2 && w[0] == "-" {
		sign, w = "-", w[1:]
	}
	if len(w) != 1 {
		return nil, false
	}
	if n, err := strconv.ParseInt(sign+w[0], 10, 64); err == nil {
		return n, true
	}
	switch {
	case w[0] == "NULL":
		return nil, true
	case strings.HasPrefix(w[0], "'"):
		return w[0][1:], true
	case strings.HasPrefix(w[0], ":"):
		return bind(w[0][1:]), true
	}
	return nil, false
}

// parseInsert returns nil for any other kind of INSERT.
func parseInsert(s *scanner) *insertion {
	if !s.skip("INSERT", "INTO") {
		return nil
	}
	in := &insertion{table: s.next()}
	in.columns = s.names()
	if in.columns == nil || !s.skip("VALUES") {
		return nil
	}
	for _, one := range s.list() {
		v, ok := value(one)
		if !ok {
			return nil
		}
		in.values = append(in.values, v)
	}
	if len(in.values) != len(in.columns) || len(s.words) > 0 {
		return nil
	}
	return in
}

// parseMerge reads the one form of MERGE by which a migration enters a row that is not there yet.
func parseMerge(s *scanner) *merging {
	if !s.skip("MERGE", "INTO") {
		return nil
	}
	m := &merging{insertion: insertion{table: s.next()}}
	target := s.next()
	if !s.skip("USING") {
		return nil
	}
	source := map[string]any{}
	inner := s.list()
	if len(inner) == 0 || len(inner[0]) == 0 || inner[0][0] != "SELECT" {
		return nil
	}
	inner[0] = inner[0][1:]
	last := inner[len(inner)-1]
	if len(last) < 2 || last[len(last)-2] != "FROM" || last[len(last)-1] != "DUAL" {
		return nil
	}
	inner[len(inner)-1] = last[:len(last)-2]
	for _, one := range inner {
		if len(one) != 3 || one[1] != "AS" {
			return nil
		}
		v, ok := value(one[:1])
		if !ok {
			return nil
		}
		source[one[2]] = v
	}
	from := s.next()
	if !s.skip("ON") {
		return nil
	}
	for _, w := range s.list() {
		if len(w) != 7 || w[0] != target || w[4] != from || w[2] != w[6] || w[3] != "=" {
			return nil
		}
		m.on = append(m.on, w[2])
	}
	if !s.skip("WHEN", "NOT", "MATCHED", "THEN", "INSERT") {
		return nil
	}
	m.columns = s.names()
	if !s.skip("VALUES") {
		return nil
	}
	for _, one := range s.list() {
		if len(one) == 3 && one[0] == from {
			m.values = append(m.values, source[one[2]])
			continue
		}
		v, ok := value(one)
		if !ok {
			return nil
		}
		m.values = append(m.values, v)
	}
	if len(m.values) != len(m.columns) || len(s.words) > 0 {
		return nil
	}
	return m
}

// selected returns the names of the columns of the outermost SELECT.
func selected(w []string) []string {
	depth, start := 0, -1
	for i, t := range w {
		switch t {
		case "(":
			depth++
		case ")":
			depth--
		case "SELECT":
			if depth == 0 && start < 0 {
				start = i + 1
			}
		case "FROM":
			if depth == 0 && start >= 0 {
				s := &scanner{words: append(append([]string{"("}, w[start:i]...), ")")}
				columns := []string{}
				for _, one := range s.list() {
					columns = append(columns, columnName(one))
				}
				return columns
			}
		}
	}
	return []string{""}
}

// columnName returns "" for an expression without a name.
func columnName(w []string) string {
	switch n := len(w); {
	case n >= 2 && w[n-2] == "AS":
		return w[n-1]
	case n == 1 && !strings.ContainsAny(w[0][:1], "0123456789:'"):
		return w[0]
	case n == 3 && w[1] == ".":
		return w[2]
	}
	return ""
}

// waiting reads FOR UPDATE and LOCK TABLE.
func waiting(w []string) (mode waitMode) {
	n := len(w)
	switch {
	case n >= 1 && w[n-1] == "NOWAIT":
		mode.noWait = true
	case n >= 2 && w[n-2] == "WAIT":
		if seconds, err := strconv.Atoi(w[n-1]); err == nil {
			mode.most = time.Duration(seconds) * time.Second
			mode.noWait = seconds == 0
		}
	}
	return mode
}

// dataType reads a column's type.
func (s *scanner) dataType(c *column) error {
	name := s.next()
	args := s.list()
	size := 0
	if len(args) > 0 && len(args[0]) > 0 {
		size, _ = strconv.Atoi(args[0][0])
	}
	switch name {
	case "VARCHAR2", "NVARCHAR2", "CHAR":
		if size < 1 || size > 4000 {
			return ora(910, "specified length too long for its datatype")
		}
		c.typ, c.size, c.chars = oracletest.Varchar2, size, len(args[0]) > 1 && args[0][1] == "CHAR" || name == "NVARCHAR2"
	case "NUMBER", "INTEGER", "FLOAT":
		c.typ = oracletest.Number
		if name == "NUMBER" && len(args) == 1 {
			c.size = size
		}
	case "BINARY_DOUBLE":
		c.typ = oracletest.BinaryDouble
	case "CLOB":
		c.typ = oracletest.Clob
	case "DATE":
		c.typ = oracletest.Date
	case "TIMESTAMP":
		c.typ = oracletest.Timestamp
		if s.skip("WITH", "TIME", "ZONE") {
			c.typ = oracletest.TimestampTZ
		}
	case "RAW":
		c.typ, c.size = oracletest.Raw, size
	default:
		return ora(902, "invalid datatype")
	}
	return nil
}
