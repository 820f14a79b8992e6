package oracletest

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// The data types on the wire.
const (
	wireVarchar     = 1
	wireNumber      = 2
	wireLong        = 8
	wireDate        = 12
	wireRaw         = 23
	wireLongRaw     = 24
	wireLongVarchar = 94
	wireLongVarRaw  = 95
	wireChar        = 96
	wireFloat       = 100
	wireDouble      = 101
	wireRefCursor   = 102
	wireClob        = 112
	wireBlob        = 113
	wireTimestamp   = 180
	wireTimestampTZ = 181
	wireTimestampLT = 231
	wireBoolean     = 252

	charsetUTF8  = 873
	charsetUTF16 = 2000
	formNational = 2
)

func isLong(wire byte) bool {
	return wire == wireLong || wire == wireLongRaw || wire == wireLongVarchar || wire == wireLongVarRaw
}

func isLob(wire byte) bool { return wire == wireClob || wire == wireBlob }

// wireType is how a column's type is called on the wire.
func (t Type) wireType() byte {
	switch t {
	case Number:
		return wireNumber
	case Clob:
		return wireClob
	case Date:
		return wireDate
	case Timestamp:
		return wireTimestamp
	case TimestampTZ:
		return wireTimestampTZ
	case Raw:
		return wireRaw
	case BinaryDouble:
		return wireDouble
	}
	return wireVarchar
}

// maxNumberDigits is how many digits to the base of 100 a NUMBER has.
const maxNumberDigits = 20

// encodeNumber gives Oracle's form of digits × 10^exp: an exponent byte, then digits to the base of 100.
func encodeNumber(negative bool, digits string, exp int) []byte {
	digits = strings.TrimRight(digits, "0")
	trimmed := strings.TrimLeft(digits, "0")
	point := exp + len(trimmed) // digits before the point
	digits = trimmed
	if digits == "" {
		return []byte{0x80}
	}
	if point&1 != 0 {
		digits, point = "0"+digits, point+1
	}
	if len(digits)%2 != 0 {
		digits += "0"
	}
	digits = digits[:min(len(digits), 2*maxNumberDigits)]
	b := make([]byte, 0, 2+len(digits)/2)
	if negative {
		b = append(b, byte(0x3F-point/2))
	} else {
		b = append(b, byte(0xC0+point/2))
	}
	for i := 0; i < len(digits); i += 2 {
		d := (digits[i]-'0')*10 + digits[i+1] - '0'
		if negative {
			b = append(b, 101-d)
		} else {
			b = append(b, d+1)
		}
	}
	if negative && len(digits)/2 < maxNumberDigits {
		b = append(b, 102)
	}
	return b
}

// wholeNumber writes a whole NUMBER with its length, as encodeDecimal would give it: the commonest value there is.
func (w *writer) wholeNumber(n int64) {
	u := uint64(n)
	if n < 0 {
		u = -u
	}
	if u == 0 {
		w.put(1, 0x80)
		return
	}
	var digits [10]byte // to the base of 100, the last one first
	count := 0
	for ; u > 0; u /= 100 {
		digits[count] = byte(u % 100)
		count++
	}
	last := 0
	for digits[last] == 0 {
		last++
	}
	w.put(byte(1+count-last), byte(0xC0+count))
	sign := len(w.b) - 1
	for i := count - 1; i >= last; i-- {
		w.put(digits[i] + 1)
	}
	if n >= 0 {
		return
	}
	w.b[sign] = byte(0x3F - count)
	for i := sign + 1; i < len(w.b); i++ {
		w.b[i] = 102 - w.b[i]
	}
	w.b[sign-1]++
	w.put(102)
}

// encodeDecimal parses "-12.5e3" into a NUMBER. Its range is 1e-130 up to 1e126.
func encodeDecimal(s string) ([]byte, error) {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	exp := 0
	if exponent != "" {
		var err error
		if exp, err = strconv.Atoi(exponent); err != nil {
			return nil, fmt.Errorf("%q is not a number", s)
		}
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	whole, part, _ := strings.Cut(mantissa, ".")
	digits := whole + part
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return nil, fmt.Errorf("%q is not a number", s)
	}
	exp -= len(part)
	trimmed := strings.TrimRight(digits, "0")
	exp += len(digits) - len(trimmed)
	if n := len(strings.TrimLeft(trimmed, "0")) + exp; trimmed != "" && (n > 126 || n < -129) {
		return nil, fmt.Errorf("%q is outside NUMBER's range", s)
	}
	return encodeNumber(negative, trimmed, exp), nil
}

// decodeDecimal is the opposite of encodeDecimal: digits × 10^exp.
func decodeDecimal(b []byte) (negative bool, digits string, exp int, err error) {
	if len(b) == 0 || len(b) > 2+maxNumberDigits {
		return false, "", 0, errMalformed("a NUMBER of %d bytes", len(b))
	}
	if len(b) == 1 {
		return false, "0", 0, nil
	}
	negative = b[0] < 0x80
	point := int(b[0]) - 0xC0
	body := b[1:]
	if negative {
		point = 0x3F - int(b[0])
		if body[len(body)-1] == 102 {
			body = body[:len(body)-1]
		}
	}
	text := make([]byte, 0, 2*len(body))
	for _, d := range body {
		if negative {
			d = 101 - d
		} else {
			d--
		}
		if d > 99 {
			return false, "", 0, errMalformed("a NUMBER with digit %d", d)
		}
		text = append(text, '0'+d/10, '0'+d%10)
	}
	return negative, string(text), 2 * (point - len(body)), nil
}

// decodeNumber gives int64 for what is whole and fits, float64 for the rest.
func decodeNumber(b []byte) (Value, error) {
	negative, digits, exp, err := decodeDecimal(b)
	if err != nil {
		return nil, err
	}
	sign := ""
	if negative {
		sign = "-"
	}
	for exp < 0 && strings.HasSuffix(digits, "0") {
		digits, exp = digits[:len(digits)-1], exp+1
	}
	if exp >= 0 && len(digits)+exp <= 40 {
		if whole, err := strconv.ParseInt(sign+digits+strings.Repeat("0", exp), 10, 64); err == nil {
			return whole, nil
		}
	}
	f, err := strconv.ParseFloat(sign+digits+"e"+strconv.Itoa(exp), 64)
	if err != nil {
		return nil, errMalformed("a NUMBER out of range")
	}
	return f, nil
}

// encodeClock writes DATE's seven bytes, and four of nanoseconds when asked.
func encodeClock(t time.Time, nanoseconds bool) []byte {
	b := []byte{
		byte(t.Year()/100 + 100), byte(t.Year()%100 + 100), byte(t.Month()), byte(t.Day()),
		byte(t.Hour() + 1), byte(t.Minute() + 1), byte(t.Second() + 1),
	}
	if nanoseconds {
		b = binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
	}
	return b
}

func encodeTimestampTZ(t time.Time) []byte {
	_, offset := t.Zone()
	return append(encodeClock(t.UTC(), true), byte(offset/3600+20), byte(offset/60%60+60))
}

// decodeTime reads DATE (7 bytes), TIMESTAMP (11) and TIMESTAMP WITH TIME ZONE (13).
func decodeTime(b []byte) (Value, error) {
	if len(b) != 7 && len(b) != 11 && len(b) != 13 {
		return nil, errMalformed("a date of %d bytes", len(b))
	}
	nanoseconds := 0
	if len(b) > 7 {
		nanoseconds = int(binary.BigEndian.Uint32(b[7:]))
	}
	year := (int(b[0])-100)*100 + int(b[1]) - 100
	t := func(zone *time.Location) time.Time {
		return time.Date(year, time.Month(b[2]), int(b[3]), int(b[4])-1, int(b[5])-1, int(b[6])-1, nanoseconds, zone)
	}
	if len(b) < 13 {
		return t(time.UTC), nil
	}
	if b[11]&0x80 != 0 { // a region's number: go-ora has one for every zone with a name, UTC too
		if b[12]&1 != 0 {
			return nil, errMalformed("a local time in a region that the double has no table of")
		}
		return t(time.UTC), nil
	}
	offset := (int(b[11]&0x3F)-20)*3600 + (int(b[12])-60)*60
	zone := time.UTC
	if offset != 0 {
		zone = time.FixedZone("", offset)
	}
	if b[11]&0x40 != 0 { // the clock is local
		return t(zone), nil
	}
	return t(time.UTC).In(zone), nil
}

// encodeDouble makes IEEE bits sort as bytes do.
func encodeDouble(f float64) []byte {
	bits := math.Float64bits(f)
	if bits>>63 == 0 {
		bits |= 1 << 63
	} else {
		bits = ^bits
	}
	return binary.BigEndian.AppendUint64(nil, bits)
}

func decodeDouble(b []byte) (Value, error) {
	switch len(b) {
	case 8:
		bits := binary.BigEndian.Uint64(b)
		if bits>>63 == 1 {
			bits &^= 1 << 63
		} else {
			bits = ^bits
		}
		return math.Float64frombits(bits), nil
	case 4:
		bits := binary.BigEndian.Uint32(b)
		if bits>>31 == 1 {
			bits &^= 1 << 31
		} else {
			bits = ^bits
		}
		return float64(math.Float32frombits(bits)), nil
	}
	return nil, errMalformed("a binary float of %d bytes", len(b))
}

// decodeValue reads a bind by its type. LOBs are not among them.
func decodeValue(wire, form byte, b []byte) (Value, error) {
	if len(b) == 0 {
		return nil, nil // '' is NULL
	}
	switch wire {
	case wireNumber:
		return decodeNumber(b)
	case wireDate, wireTimestamp, wireTimestampTZ, wireTimestampLT:
		return decodeTime(b)
	case wireFloat, wireDouble:
		return decodeDouble(b)
	case wireRaw, wireLongRaw, wireLongVarRaw:
		return append([]byte(nil), b...), nil
	case wireBoolean:
		return int64(b[len(b)-1]), nil
	}
	if form == formNational {
		return decodeUTF16(b), nil
	}
	return string(b), nil
}

func decodeUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// encodeValue writes a column's value. LOBs are not among them.
func encodeValue(t Type, v Value) ([]byte, error) {
	switch t {
	case Number:
		return encodeNumeric(v)
	case Date, Timestamp, TimestampTZ:
		at, ok := v.(time.Time)
		switch {
		case !ok:
			return nil, fmt.Errorf("%T is not a time", v)
		case at.UTC().Year() < 1 || at.UTC().Year() > 9999:
			return nil, fmt.Errorf("year %d; 1 to 9999 are dates", at.UTC().Year())
		case t == TimestampTZ:
			return encodeTimestampTZ(at), nil
		}
		return encodeClock(at.UTC(), t == Timestamp), nil
	case Raw:
		if b, ok := v.([]byte); ok {
			return b, nil
		}
	case BinaryDouble:
		switch n := v.(type) {
		case float64:
			return encodeDouble(n), nil
		case int64:
			return encodeDouble(float64(n)), nil
		case int:
			return encodeDouble(float64(n)), nil
		}
	default:
		if s, ok := v.(string); ok {
			if len(s) > 32767 {
				return nil, fmt.Errorf("%d bytes; a VARCHAR2 has 32767 at most", len(s))
			}
			return []byte(s), nil
		}
	}
	return nil, fmt.Errorf("%T does not fit its type", v)
}

func encodeNumeric(v Value) ([]byte, error) {
	switch n := v.(type) {
	case int64:
		return encodeDecimal(strconv.FormatInt(n, 10))
	case int:
		return encodeDecimal(strconv.Itoa(n))
	case float64:
		return encodeDecimal(strconv.FormatFloat(n, 'e', -1, 64))
	case bool:
		if n {
			return encodeDecimal("1")
		}
		return encodeDecimal("0")
	case Decimal:
		return encodeDecimal(string(n))
	}
	return nil, fmt.Errorf("%T is not a number", v)
}
