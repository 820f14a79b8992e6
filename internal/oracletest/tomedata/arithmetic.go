package tomedata

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// day is Oracle's unit of dates.
const day = 24 * time.Hour

// arithmetic is a sign between two terms: numbers, or a date and days, or two dates.
func arithmetic(sign string, a, b operand) (operand, error) {
	t := operand{typ: oracletest.Number}
	switch timeA, timeB := isTime(a.typ), isTime(b.typ); {
	case timeA && timeB && sign == "-" && a.typ == oracletest.Date && b.typ == oracletest.Date:
	case timeA && !timeB && !b.null && (sign == "-" || sign == "+") && classOf(b.typ) == aNumber && a.typ == oracletest.Date:
		t.typ = oracletest.Date
	case timeA || timeB:
		return t, ora(932, "inconsistent datatypes: tomedata knows a DATE + or - days, and the days between two DATEs")
	default:
		var err error
		if a, err = numeric(a); err != nil {
			return t, err
		}
		if b, err = numeric(b); err != nil {
			return t, err
		}
	}
	t.get = func() (oracletest.Value, error) {
		x, err := a.get()
		if err != nil || x == nil {
			return nil, err
		}
		y, err := b.get()
		if err != nil || y == nil {
			return nil, err
		}
		return calculate(sign, x, y)
	}
	return folded(t, a, b)
}

func calculate(sign string, a, b oracletest.Value) (oracletest.Value, error) {
	if at, ok := a.(time.Time); ok {
		if to, ok := b.(time.Time); ok {
			return float64(at.Sub(to)) / float64(day), nil
		}
		days, _ := bigOf(b).Float64()
		if sign == "-" {
			days = -days
		}
		if math.Abs(days) > 100_000 {
			return nil, ora(1841, "(full) year must be between -4713 and +9999, and not be 0")
		}
		return at.Add(time.Duration(math.Round(days*day.Seconds())) * time.Second), nil
	}
	x, xWhole := a.(int64)
	y, yWhole := b.(int64)
	small := xWhole && yWhole && max(x, -x, y, -y) < 1<<31
	fx, _ := bigOf(a).Float64()
	fy, _ := bigOf(b).Float64()
	switch {
	case sign == "/" && fy == 0:
		return nil, ora(1476, "divisor is equal to zero")
	case sign == "+":
		return plus(a, b), nil
	case sign == "-" && yWhole && y != math.MinInt64:
		return plus(a, -y), nil
	case sign == "*" && small:
		return x * y, nil
	case sign == "/" && small && x%y == 0:
		return x / y, nil
	}
	var f float64
	switch sign {
	case "-":
		f = fx - fy
	case "*":
		f = fx * fy
	case "/":
		f = fx / fy
	}
	if math.IsNaN(f) || math.Abs(f) >= 1e126 {
		return nil, ora(1426, "numeric overflow")
	}
	return f, nil
}

// The parts of a date's format. What is none of them must be punctuation.
var dateParts = []string{"YYYY", "HH24", "MON", "MM", "DD", "MI", "SS", "RR", "TZH", "TZM", "FF9", "FF6", "FF3", "FF"}

// nextPart cuts the first part off a format, in any case; ok is false for what is unknown.
func nextPart(format string) (part, rest string, ok bool) {
	for _, p := range dateParts {
		if len(format) >= len(p) && strings.EqualFold(format[:len(p)], p) {
			return p, format[len(p):], true
		}
	}
	return strings.ToUpper(format[:1]), format[1:], strings.Contains("-/:., ;Xx", format[:1])
}

var errFormat = ora(1821, "date format not recognized: tomedata knows %s and punctuation", strings.Join(dateParts, " "))

// formatTime is TO_CHAR of a date.
func formatTime(t time.Time, format string) (oracletest.Value, error) {
	var b strings.Builder
	for format != "" {
		part, rest, ok := nextPart(format)
		if !ok {
			return nil, errFormat
		}
		format = rest
		_, offset := t.Zone()
		switch part {
		case "YYYY":
			b.WriteString(t.Format("2006"))
		case "RR":
			b.WriteString(t.Format("06"))
		case "MON":
			b.WriteString(strings.ToUpper(t.Format("Jan")))
		case "MM":
			b.WriteString(t.Format("01"))
		case "DD":
			b.WriteString(t.Format("02"))
		case "HH24":
			b.WriteString(t.Format("15"))
		case "MI":
			b.WriteString(t.Format("04"))
		case "SS":
			b.WriteString(t.Format("05"))
		case "FF", "FF6":
			b.WriteString(t.Format(".000000")[1:])
		case "FF3":
			b.WriteString(t.Format(".000")[1:])
		case "FF9":
			b.WriteString(t.Format(".000000000")[1:])
		case "TZH":
			b.WriteString(map[bool]string{true: "-", false: "+"}[offset < 0] + two(max(offset, -offset)/3600))
		case "TZM":
			b.WriteString(two(max(offset, -offset) / 60 % 60))
		case "X": // the separator before a fraction
			b.WriteString(".")
		default:
			b.WriteString(part)
		}
	}
	return b.String(), nil
}

func two(n int) string { return string([]byte{byte('0' + n/10%10), byte('0' + n%10)}) }

// parseTime is TO_DATE: numbers of all their digits, and the punctuation of the format.
func parseTime(s, format string) (oracletest.Value, error) {
	date := [6]int{0, 1, 1}
	for format != "" {
		part, rest, ok := nextPart(format)
		if !ok {
			return nil, errFormat
		}
		format = rest
		at, digits := -1, 2
		switch part {
		case "YYYY":
			at, digits = 0, 4
		case "MM":
			at = 1
		case "DD":
			at = 2
		case "HH24":
			at = 3
		case "MI":
			at = 4
		case "SS":
			at = 5
		case "RR", "MON", "TZH", "TZM", "FF", "FF3", "FF6", "FF9":
			return nil, ora(1821, "date format not recognized: tomedata knows TO_DATE with YYYY MM DD HH24 MI SS")
		}
		if at < 0 {
			if !strings.HasPrefix(s, part) {
				return nil, ora(1861, "literal does not match format string")
			}
			s = s[len(part):]
			continue
		}
		if len(s) < digits || strings.Trim(s[:digits], "0123456789") != "" {
			return nil, ora(1861, "literal does not match format string")
		}
		date[at], _ = strconv.Atoi(s[:digits])
		s = s[digits:]
	}
	if s != "" {
		return nil, ora(1830, "date format picture ends before converting entire input string")
	}
	t := time.Date(date[0], time.Month(date[1]), date[2], date[3], date[4], date[5], 0, time.UTC)
	if date[0] < 1 || t.Month() != time.Month(date[1]) || date[3] > 23 || date[4] > 59 || date[5] > 59 {
		return nil, ora(1843, "not a valid month, day, hour, minute or second")
	}
	return t, nil
}
