package tomedata

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// maxDepth bounds how deep expressions nest.
const maxDepth = 50

// A operand is an expression that has been read.
type operand struct {
	typ   oracletest.Type
	size  int                              // of a VARCHAR2 in bytes, 0: 4000
	null  bool                             // NULL, which has every type
	fixed bool                             // the same for all rows
	get   func() (oracletest.Value, error) // for the row that is read now; '' is nil
}

func constant(typ oracletest.Type, v oracletest.Value) operand {
	if v == "" {
		v = nil
	}
	return operand{typ: typ, null: v == nil, fixed: true, get: func() (oracletest.Value, error) { return v, nil }}
}

// folded evaluates a operand of constants once.
func folded(t operand, from ...operand) (operand, error) {
	for _, f := range from {
		if !f.fixed {
			return t, nil
		}
	}
	v, err := t.get()
	if err != nil {
		return operand{}, err
	}
	c := constant(t.typ, v)
	c.size = t.size
	return c, nil
}

// expression reads sums of products.
func (q *selection) expression() (operand, error) {
	if q.depth++; q.depth > maxDepth {
		return operand{}, ora(913, "too many values: tomedata reads expressions %d deep", maxDepth)
	}
	defer func() { q.depth-- }()
	return q.operators(func() (operand, error) { return q.operators(q.primary, "*", "/") }, "+", "-")
}

// operators reads operands with operators of one rank between them, from the left.
func (q *selection) operators(read func() (operand, error), signs ...string) (operand, error) {
	left, err := read()
	for err == nil && len(q.words) > 0 && slices.Contains(signs, q.words[0]) {
		sign := q.next()
		var right operand
		if right, err = read(); err == nil {
			left, err = arithmetic(sign, left, right)
		}
	}
	return left, err
}

func (q *selection) primary() (operand, error) {
	if len(q.words) == 0 {
		return operand{}, ora(936, "missing expression")
	}
	w := q.next()
	switch {
	case w == "(":
		t, err := q.expression()
		if err == nil && !q.skip(")") {
			err = ora(907, "missing right parenthesis")
		}
		return t, err
	case w == "-":
		if q.depth++; q.depth > maxDepth {
			return operand{}, ora(936, "missing expression: tomedata reads expressions %d deep", maxDepth)
		}
		defer func() { q.depth-- }()
		t, err := q.primary()
		if err != nil {
			return t, err
		}
		return arithmetic("-", constant(oracletest.Number, int64(0)), t)
	case w[0] == '\'':
		return constant(oracletest.Varchar2, w[1:]), nil
	case w[0] == ':':
		return q.placeholder(w[1:])
	case w[0] >= '0' && w[0] <= '9':
		return q.number(w)
	case w == "NULL":
		return constant(oracletest.Varchar2, nil), nil
	case w == "SYSDATE":
		return constant(oracletest.Date, wallOf(q.now)), nil
	case w == "SYSTIMESTAMP":
		return constant(oracletest.TimestampTZ, q.now), nil
	case !isName(w) || reserved(w):
		return operand{}, ora(936, "missing expression")
	case q.skip("("):
		return q.function(w)
	}
	return q.column(w)
}

// number reads a literal, of which a fraction is a token of its own.
func (q *selection) number(w string) (operand, error) {
	if len(q.words) > 1 && q.words[0] == "." {
		q.next()
		w += "." + q.next()
	}
	if strings.Trim(w, "0123456789.") != "" || len(w) > 40 {
		return operand{}, ora(936, "missing expression: tomedata knows no number %.40q", w)
	}
	v, err := exact(w)
	return constant(oracletest.Number, v), err
}

// placeholder returns the bind: by position, as drivers send it, else by name.
func (q *selection) placeholder(name string) (operand, error) {
	at := q.binds
	q.binds++
	var v oracletest.Value
	switch c := q.call; {
	case name == "":
		return operand{}, ora(911, "invalid character")
	case at < len(c.Names) && at < len(c.Rows[0]) && strings.EqualFold(c.Names[at], name):
		v = c.Rows[0][at]
	case slices.ContainsFunc(c.Names, func(n string) bool { return strings.EqualFold(n, name) }):
		v = c.Arg(0, name)
	default:
		return operand{}, ora(1008, "not all variables bound: %s", name)
	}
	switch v := v.(type) {
	case int64, float64, oracletest.Decimal:
		return constant(oracletest.Number, v), nil
	case time.Time:
		return constant(oracletest.TimestampTZ, v), nil
	case nil, string:
		return constant(oracletest.Varchar2, v), nil
	}
	return operand{}, ora(932, "inconsistent datatypes: tomedata knows no bind of %T", v)
}

// column reads [alias.]name.
func (q *selection) column(w string) (operand, error) {
	full := strconv.Quote(w)
	if q.skip(".") {
		name := q.next()
		full += "." + strconv.Quote(name)
		if w != q.alias {
			return operand{}, ora(904, "%s: invalid identifier", full)
		}
		w = name
	}
	if w == "ROWNUM" && q.filter { // of the row that would be the next to be kept
		return operand{typ: oracletest.Number, get: func() (oracletest.Value, error) { return q.kept + 1, nil }}, nil
	}
	at := slices.IndexFunc(q.view.Columns, func(c oracletest.Column) bool { return c.Name == w })
	if at < 0 {
		return operand{}, ora(904, "%s: invalid identifier", full)
	}
	if !q.single {
		q.plain = true
	}
	col := q.view.Columns[at]
	return operand{typ: col.Type, size: col.Size, get: func() (oracletest.Value, error) {
		v := q.reading.value(at)
		if v == "" {
			v = nil
		}
		return v, nil
	}}, nil
}

// arguments reads what is behind a function's parenthesis.
func (q *selection) arguments(name string, least, most int) (all []operand, err error) {
	for {
		t, err := q.expression()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		if q.skip(")") {
			break
		}
		if !q.skip(",") {
			return nil, ora(907, "missing right parenthesis")
		}
	}
	switch {
	case len(all) < least:
		return nil, ora(909, "invalid number of arguments: tomedata knows %s with %d to %d", name, least, most)
	case len(all) > most:
		return nil, ora(939, "too many arguments for function: tomedata knows %s with %d to %d", name, least, most)
	}
	return all, nil
}
