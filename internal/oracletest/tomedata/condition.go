package tomedata

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// class is what decides how values compare.
type class int

const (
	aText class = iota
	aNumber
	aTime
	other // CLOB, RAW: only LIKE (a CLOB) and IS NULL
)

func classOf(t oracletest.Type) class {
	switch t {
	case oracletest.Varchar2:
		return aText
	case oracletest.Number, oracletest.BinaryDouble:
		return aNumber
	}
	if isTime(t) {
		return aTime
	}
	return other
}

func isTime(t oracletest.Type) bool {
	return t == oracletest.Date || t == oracletest.Timestamp || t == oracletest.TimestampTZ
}

// condition reads one condition. NULL makes it neither true nor false, and then the row is not kept.
func (q *selection) condition() (func() (bool, error), error) {
	if len(q.words) == 0 {
		return nil, ora(936, "missing expression")
	}
	if q.is("NOT") || q.is("EXISTS") {
		return nil, q.ends()
	}
	left, err := q.expression()
	if err != nil {
		return nil, err
	}
	if q.skip("IS") {
		null := !q.skip("NOT")
		if !q.skip("NULL") {
			return nil, ora(908, "missing NULL keyword")
		}
		return func() (bool, error) {
			v, err := left.get()
			return (v == nil) == null, err
		}, nil
	}
	not := q.skip("NOT")
	switch {
	case q.skip("IN", "("):
		list, err := q.arguments("IN", 1, 1000)
		if err != nil {
			return nil, err
		}
		return in(left, list, not)
	case q.skip("LIKE"):
		return q.like(left, not)
	case not:
		return nil, q.ends()
	}
	sign := q.sign()
	if sign == "" {
		return nil, ora(920, "invalid relational operator: %s, not %.80q", known, strings.Join(q.words, " "))
	}
	right, err := q.expression()
	if err != nil {
		return nil, err
	}
	return comparison(sign, left, right)
}

// sign reads an operator, which the scanner gives as single characters.
func (q *selection) sign() string {
	for _, two := range []string{"<>", "!=", "<=", ">="} {
		if q.skip(two[:1], two[1:]) {
			return two
		}
	}
	for _, one := range []string{"=", "<", ">"} {
		if q.skip(one) {
			return one
		}
	}
	return ""
}

// aligned returns both sides as they compare: a text becomes a number beside one.
func aligned(a, b operand) (operand, operand, error) {
	if a.null || b.null {
		return a, b, nil
	}
	ca, cb := classOf(a.typ), classOf(b.typ)
	var err error
	switch {
	case ca == other || cb == other:
		return a, b, ora(932, "inconsistent datatypes: a CLOB and a RAW do not compare")
	case (a.typ == oracletest.TimestampTZ) != (b.typ == oracletest.TimestampTZ):
		return a, b, ora(932, "inconsistent datatypes: tomedata compares no time with a zone with one without; Oracle would use the session's zone")
	case ca == cb:
	case ca == aTime || cb == aTime:
		return a, b, ora(932, "inconsistent datatypes: tomedata compares a date with a date, by TO_DATE; Oracle would use NLS_DATE_FORMAT")
	case ca == aText:
		a, err = numeric(a)
	default:
		b, err = numeric(b)
	}
	return a, b, err
}

// numeric is a text as a number.
func numeric(t operand) (operand, error) {
	if classOf(t.typ) == aNumber {
		return t, nil
	}
	return folded(operand{typ: oracletest.Number, get: func() (oracletest.Value, error) {
		v, err := t.get()
		if err != nil || v == nil {
			return nil, err
		}
		return exact(v)
	}}, t)
}

// exact is number, but for whole numbers of up to 38 digits, which it does not round.
func exact(v oracletest.Value) (oracletest.Value, error) {
	n, err := number(v)
	if s, ok := v.(string); ok && err == nil && len(s) <= 38 && strings.Trim(s, "0123456789") == "" {
		if _, rounded := n.(float64); rounded {
			return oracletest.Decimal(s), nil
		}
	}
	return n, err
}

func comparison(sign string, a, b operand) (func() (bool, error), error) {
	a, b, err := aligned(a, b)
	if err != nil {
		return nil, err
	}
	return func() (bool, error) {
		x, err := a.get()
		if err != nil || x == nil {
			return false, err
		}
		y, err := b.get()
		if err != nil || y == nil {
			return false, err
		}
		switch order := compared(x, y); sign {
		case "=":
			return order == 0, nil
		case "<>", "!=":
			return order != 0, nil
		case "<":
			return order < 0, nil
		case "<=":
			return order <= 0, nil
		case ">":
			return order > 0, nil
		}
		return compared(x, y) >= 0, nil
	}, nil
}

func in(left operand, list []operand, not bool) (func() (bool, error), error) {
	var equals []func() (bool, error)
	for _, t := range list {
		equal, err := comparison("=", left, t)
		if err != nil {
			return nil, err
		}
		equals = append(equals, equal)
	}
	return func() (bool, error) {
		if v, err := left.get(); err != nil || v == nil {
			return false, err
		}
		unknown := false
		for i, equal := range equals {
			if found, err := equal(); err != nil || found {
				return found != not && err == nil, err
			}
			if not {
				v, err := list[i].get()
				if err != nil {
					return false, err
				}
				unknown = unknown || v == nil
			}
		}
		return not && !unknown, nil
	}, nil
}

func (q *selection) like(left operand, not bool) (func() (bool, error), error) {
	pattern, err := q.expression()
	if err != nil {
		return nil, err
	}
	escape := constant(oracletest.Varchar2, nil)
	if q.skip("ESCAPE") {
		if escape, err = q.expression(); err != nil {
			return nil, err
		}
	}
	return func() (bool, error) {
		s, ok, err := textOf(left)
		if err != nil || !ok {
			return false, err
		}
		p, ok, err := textOf(pattern)
		if err != nil || !ok {
			return false, err
		}
		e, _, err := textOf(escape)
		if err != nil {
			return false, err
		}
		steps, err := patternOf(p, e)
		return err == nil && steps.match([]rune(s)) != not, err
	}, nil
}

// A pattern is LIKE's: characters, and below zero what stands for them.
type pattern []rune

const (
	anyOne rune = -1
	anyRun rune = -2
)

func patternOf(text, escape string) (p pattern, err error) {
	e := []rune(escape)
	if len(e) > 1 {
		return nil, ora(1425, "escape character must be character string of length 1")
	}
	escaped := false
	for _, r := range text {
		switch {
		case escaped && r != '%' && r != '_' && r != e[0]:
			return nil, ora(1424, "missing or illegal character following the escape character")
		case escaped:
			p, escaped = append(p, r), false
		case len(e) == 1 && r == e[0]:
			escaped = true
		case r == '%':
			p = append(p, anyRun)
		case r == '_':
			p = append(p, anyOne)
		default:
			p = append(p, r)
		}
	}
	if escaped {
		return nil, ora(1424, "missing or illegal character following the escape character")
	}
	return p, nil
}

// match goes back to the last % only, so that no pattern takes more than len(p) × len(s) steps.
func (p pattern) match(s []rune) bool {
	at, back, from := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case at < len(p) && p[at] == anyRun:
			back, from = at, i
			at++
		case at < len(p) && (p[at] == anyOne || p[at] == s[i]):
			at++
			i++
		case back >= 0:
			from++
			at, i = back+1, from
		default:
			return false
		}
	}
	for at < len(p) && p[at] == anyRun {
		at++
	}
	return at == len(p)
}

// compared orders two values of one class, neither of them NULL.
func compared(a, b oracletest.Value) int {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	}
	return bigOf(a).Cmp(bigOf(b))
}

// bigOf holds every NUMBER of the model exactly: 64 bits, and more.
func bigOf(v oracletest.Value) *big.Float {
	f := new(big.Float).SetPrec(140)
	switch v := v.(type) {
	case int64:
		return f.SetInt64(v)
	case float64:
		if !math.IsNaN(v) {
			return f.SetFloat64(min(max(v, -1e126), 1e126)) // a BINARY_DOUBLE may be infinite
		}
	case oracletest.Decimal:
		if _, ok := f.SetString(string(v)); ok {
			return f
		}
	}
	return f
}

// digitsOf is a NUMBER as Oracle writes it without a format.
func digitsOf(v oracletest.Value) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'f', -1, 64)
		if rest, ok := strings.CutPrefix(s, "0."); ok {
			return "." + rest
		}
		if rest, ok := strings.CutPrefix(s, "-0."); ok {
			return "-." + rest
		}
		return s
	case oracletest.Decimal:
		return string(v)
	}
	return ""
}

// plus adds numbers, exactly while they are whole and fit 64 bits.
func plus(a, b oracletest.Value) oracletest.Value {
	x, xWhole := a.(int64)
	y, yWhole := b.(int64)
	if sum := x + y; xWhole && yWhole && (sum > x) == (y > 0) {
		return sum
	}
	sum := new(big.Float).SetPrec(140).Add(bigOf(a), bigOf(b))
	if whole, _ := sum.Int(nil); sum.IsInt() && whole.BitLen() < 126 {
		return oracletest.Decimal(whole.String())
	}
	f, _ := sum.Float64()
	return f
}
