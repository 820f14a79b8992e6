package tomedata

import (
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// function reads the arguments of a function and returns its value.
func (q *selection) function(name string) (operand, error) {
	switch name {
	case "COUNT", "SUM", "MIN", "MAX":
		return q.group(name)
	case "TO_CHAR", "TO_DATE", "SUBSTR", "NVL", "SYS_CONTEXT":
	default:
		return operand{}, ora(904, "%q: invalid identifier: tomedata knows the functions TO_CHAR, TO_DATE, SUBSTR, NVL, SYS_CONTEXT, COUNT, SUM, MIN, MAX", name)
	}
	limits := map[string][2]int{"TO_CHAR": {1, 2}, "TO_DATE": {2, 2}, "SUBSTR": {2, 3}, "NVL": {2, 2}, "SYS_CONTEXT": {2, 2}}[name]
	args, err := q.arguments(name, limits[0], limits[1])
	if err != nil {
		return operand{}, err
	}
	var t operand
	switch name {
	case "TO_CHAR":
		t, err = q.toChar(args)
	case "TO_DATE":
		t, err = toDate(args)
	case "SUBSTR":
		t, err = substr(args)
	case "NVL":
		t, err = nvl(args)
	case "SYS_CONTEXT":
		t, err = q.sysContext(args)
	}
	if err != nil {
		return operand{}, err
	}
	return folded(t, args...)
}

// textOf returns the value of a operand as text; ok is false for NULL.
func textOf(t operand) (s string, ok bool, err error) {
	v, err := t.get()
	if err != nil || v == nil {
		return "", false, err
	}
	switch v := v.(type) {
	case string:
		return v, true, nil
	case time.Time, []byte:
		return "", false, ora(932, "inconsistent datatypes: tomedata turns a %T into text with TO_CHAR and a format only", v)
	}
	return digitsOf(v), true, nil
}

// toChar is TO_CHAR of a number, of a text, and of a date with a format; NLS_DATE_FORMAT stands in for a missing one.
func (q *selection) toChar(args []operand) (operand, error) {
	a := args[0]
	t := operand{typ: oracletest.Varchar2}
	switch {
	case isTime(a.typ):
		format := constant(oracletest.Varchar2, q.dateFormat())
		if len(args) > 1 {
			format = args[1]
		}
		t.get = func() (oracletest.Value, error) {
			v, err := a.get()
			if err != nil || v == nil {
				return nil, err
			}
			f, _, err := textOf(format)
			if err != nil {
				return nil, err
			}
			return formatTime(v.(time.Time), f)
		}
	case len(args) > 1:
		return t, ora(1481, "invalid number format model: tomedata knows TO_CHAR of numbers without a format")
	default:
		t.get = func() (oracletest.Value, error) {
			s, ok, err := textOf(a)
			if err != nil || !ok {
				return nil, err
			}
			if len(s) > 4000 {
				return nil, ora(22835, "Buffer too small for CLOB to CHAR or BLOB to RAW conversion (actual: %d, maximum: 4000)", len(s))
			}
			return s, nil
		}
	}
	return t, nil
}

// dateFormat is the session's.
func (q *selection) dateFormat() string {
	if q.call.Session != nil && q.call.Session.Settings["NLS_DATE_FORMAT"] != "" {
		return q.call.Session.Settings["NLS_DATE_FORMAT"]
	}
	return "DD-MON-RR"
}

func toDate(args []operand) (operand, error) {
	for _, a := range args {
		if isTime(a.typ) || a.typ == oracletest.Clob {
			return operand{}, ora(932, "inconsistent datatypes: tomedata knows TO_DATE of a text")
		}
	}
	return operand{typ: oracletest.Date, get: func() (oracletest.Value, error) {
		s, ok, err := textOf(args[0])
		if err != nil || !ok {
			return nil, err
		}
		format, _, err := textOf(args[1])
		if err != nil {
			return nil, err
		}
		return parseTime(s, format)
	}}, nil
}

// substr counts characters from 1, or from the end below 0. Of a CLOB it is a CLOB.
func substr(args []operand) (operand, error) {
	typ := oracletest.Varchar2
	if args[0].typ == oracletest.Clob {
		typ = oracletest.Clob
	}
	return operand{typ: typ, size: args[0].size, get: func() (oracletest.Value, error) {
		s, ok, err := textOf(args[0])
		if err != nil || !ok {
			return nil, err
		}
		numbers := []int64{1, 1 << 40}
		for i, a := range args[1:] {
			v, err := a.get()
			if err != nil || v == nil {
				return nil, err
			}
			if v, err = number(v); err != nil {
				return nil, err
			}
			switch v := v.(type) {
			case int64:
				numbers[i] = min(max(v, -1<<40), 1<<40)
			case float64:
				numbers[i] = int64(min(max(v, -1<<40), 1<<40))
			}
		}
		return cut(s, numbers[0], numbers[1]), nil
	}}, nil
}

func cut(s string, from, n int64) oracletest.Value {
	r := []rune(s)
	size := int64(len(r))
	switch {
	case from < 0:
		from = size + from
	case from > 0:
		from--
	}
	if from < 0 || from >= size || n < 1 {
		return nil
	}
	return string(r[from:min(size, from+n)])
}

func nvl(args []operand) (operand, error) {
	a, b := args[0], args[1]
	if a.null {
		return b, nil
	}
	if !b.null && classOf(a.typ) != classOf(b.typ) {
		return operand{}, ora(932, "inconsistent datatypes: tomedata knows NVL of two values of one kind")
	}
	return operand{typ: a.typ, size: max(a.size, b.size), get: func() (oracletest.Value, error) {
		if v, err := a.get(); err != nil || v != nil {
			return v, err
		}
		return b.get()
	}}, nil
}

func (q *selection) sysContext(args []operand) (operand, error) {
	return operand{typ: oracletest.Varchar2, size: 256, get: func() (oracletest.Value, error) {
		space, _, err := textOf(args[0])
		if err != nil {
			return nil, err
		}
		name, _, err := textOf(args[1])
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(space, "USERENV") {
			return nil, nil
		}
		v, ok := q.views.base.userenv(q.call.Session, strings.ToUpper(name))
		if !ok {
			return nil, ora(2003, "invalid USERENV parameter")
		}
		return v, nil
	}}, nil
}

// A group is a group function over all rows.
type group struct {
	add  func() error
	seen int64
	v    oracletest.Value
}

// group reads COUNT(*), or a function of one expression, whose NULLs do not count.
func (q *selection) group(name string) (operand, error) {
	switch {
	case q.filter:
		return operand{}, ora(934, "group function is not allowed here")
	case q.single:
		return operand{}, ora(935, "group function is nested too deeply")
	}
	g := &group{}
	q.groups = append(q.groups, g)
	if name == "COUNT" && q.skip("*", ")") {
		g.add = func() error { g.seen++; return nil }
		return operand{typ: oracletest.Number, get: func() (oracletest.Value, error) { return g.seen, nil }}, nil
	}
	q.single = true
	args, err := q.arguments(name, 1, 1)
	q.single = false
	if err != nil {
		return operand{}, err
	}
	a := args[0]
	if name == "SUM" && classOf(a.typ) != aNumber || name != "COUNT" && classOf(a.typ) == other {
		return operand{}, ora(932, "inconsistent datatypes: tomedata knows no %s of that", name)
	}
	g.add = func() error {
		v, err := a.get()
		if err != nil || v == nil {
			return err
		}
		if g.seen++; g.seen == 1 {
			g.v = v
			return nil
		}
		if name == "SUM" {
			g.v = plus(g.v, v)
			return nil
		}
		if order := compared(v, g.v); name == "MIN" && order < 0 || name == "MAX" && order > 0 {
			g.v = v
		}
		return nil
	}
	if name == "COUNT" {
		return operand{typ: oracletest.Number, get: func() (oracletest.Value, error) { return g.seen, nil }}, nil
	}
	return operand{typ: a.typ, size: a.size, get: func() (oracletest.Value, error) { return g.v, nil }}, nil
}
