package oracletest

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	locatorSize  = 40
	lobChunk     = 8132
	maxKeptLobs  = 10_000 // values read by locator: the oldest are forgotten, as after a transaction
	maxTempLobs  = 10_000
	maxLobSize   = maxMessage
	lobTemporary = 0x40
)

// A lob is a CLOB's or BLOB's content. A CLOB's offsets and lengths count UTF-16 code units, as Oracle's do for
// AL32UTF8; its content goes over the wire as UTF-8.
type lob struct {
	id        uint64
	temporary bool
	binary    bool
	data      []byte
	ascii     bool
}

func newClob(text string) *lob { return &lob{data: []byte(text), ascii: isASCII([]byte(text))} }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// locator names the lob to the client: a bit for temporary ones, none for UTF-16.
func (l *lob) locator() []byte {
	b := make([]byte, locatorSize)
	b[1] = locatorSize - 2
	if l.temporary {
		b[4] |= lobTemporary
	}
	binary.BigEndian.PutUint64(b[10:], l.id)
	return b
}

// units is the length as the client counts it.
func (l *lob) units() int {
	if l.binary || l.ascii {
		return len(l.data)
	}
	n := 0
	for _, r := range string(l.data) {
		n += utf16.RuneLen(r)
	}
	return n
}

// offset turns a count of units into one of bytes.
func (l *lob) offset(units int) int {
	if l.binary || l.ascii {
		return min(units, len(l.data))
	}
	for i, r := range string(l.data) {
		if units <= 0 {
			return i
		}
		units -= utf16.RuneLen(r)
	}
	return len(l.data)
}

// write puts data at an offset in units, over what is there.
func (l *lob) write(at int, data []byte) {
	start := l.offset(at)
	over := &lob{binary: l.binary, data: data, ascii: isASCII(data)}
	end := l.offset(at + over.units())
	tail := append([]byte(nil), l.data[end:]...)
	l.data = append(append(l.data[:start], data...), tail...)
	l.ascii = l.ascii && over.ascii
}

// lobs are a session's locators.
type lobs struct {
	byID   map[uint64]*lob
	lastID uint64
	kept   []uint64 // not temporary, the oldest first
	temp   int
}

func (ls *lobs) add(l *lob) *lob {
	if ls.byID == nil {
		ls.byID = map[uint64]*lob{}
	}
	ls.lastID++
	l.id = ls.lastID
	ls.byID[l.id] = l
	return l
}

// keep gives a column's value a locator.
func (ls *lobs) keep(l *lob) *lob {
	if len(ls.kept) >= maxKeptLobs {
		delete(ls.byID, ls.kept[0])
		ls.kept = ls.kept[1:]
	}
	ls.add(l)
	ls.kept = append(ls.kept, l.id)
	return l
}

func (ls *lobs) temporary(isBinary bool) *lob {
	ls.temp++
	return ls.add(&lob{temporary: true, binary: isBinary, ascii: true})
}

func (ls *lobs) find(locator []byte) *lob {
	if len(locator) < 18 {
		return nil
	}
	return ls.byID[binary.BigEndian.Uint64(locator[10:])]
}

func (ls *lobs) free(locator []byte) bool {
	l := ls.find(locator)
	if l == nil || !l.temporary {
		return false
	}
	ls.temp--
	delete(ls.byID, l.id)
	return true
}

// value is what a bind with this locator means.
func (ls *lobs) value(locator []byte) (Value, bool) {
	l := ls.find(locator)
	switch {
	case l == nil:
		return nil, false
	case len(l.data) == 0:
		return nil, true
	case l.binary:
		return append([]byte(nil), l.data...), true
	}
	return string(l.data), true
}

// The LOB operations that the double knows.
const (
	lobLength     = 0x1
	lobRead       = 0x2
	lobTrim       = 0x20
	lobWrite      = 0x40
	lobCreateTemp = 0x110
	lobFreeTemp   = 0x111
	lobChunkSize  = 0x4000
	lobOpen       = 0x8000
	lobClose      = 0x10000
)

type lobRequest struct {
	op          int
	locator     []byte
	destination []byte
	destOffset  int
	charset     int
	hasCharset  bool
	hasNull     bool
	hasAmount   bool
	amount      int
	offset      int // 1-based
	data        []byte
}

// parseLobOp reads function 0x60.
func (c *conn) parseLobOp() lobRequest {
	const maxLocator = 1 << 10
	r := &c.r
	hasSource := r.u8() != 0
	sourceLength := r.count(maxLocator)
	hasDestination := r.u8() != 0
	destinationLength := r.count(maxLocator)
	r.skipUB(2)
	q := lobRequest{hasCharset: r.u8() != 0}
	r.skip(1)
	q.hasNull = r.u8() != 0
	q.op = r.ub()
	r.skip(1)
	changes := r.count(maxLocator)
	q.offset = r.ub()
	q.destOffset = r.ub()
	q.hasAmount = r.u8() != 0
	r.skip(6)
	if hasSource {
		q.locator = append(q.locator, r.bytes(sourceLength)...)
	}
	if hasDestination {
		q.destination = append(q.destination, r.bytes(destinationLength)...)
	}
	if q.hasCharset {
		q.charset = r.ub()
	}
	r.skipUB(changes)
	if q.hasAmount {
		q.amount = r.ub()
	}
	if q.op == lobWrite {
		if t := r.u8(); r.err == nil && t != 14 {
			r.fail(errMalformed("message type %d instead of a LOB's data", t))
		}
		q.data = append(q.data, r.clr()...)
	}
	return q
}

// lobOp answers function 0x60. Its answer ends in a summary: python waits for ever for one.
func (c *conn) lobOp(q lobRequest) error {
	locator, amount, data, err := c.lobDo(q)
	c.shown.tempLobs.Store(int64(c.lobs.temp))
	if err != nil {
		return err
	}
	w := &c.w
	if data != nil {
		w.put(14)
		w.clr(data)
	}
	w.put(8)
	w.put(locator...)
	w.put(q.destination...)
	if q.hasCharset {
		w.ub(q.charset)
	}
	if q.hasAmount {
		w.ub(amount)
	}
	if q.hasNull {
		w.put(0)
	}
	c.summary(summary{})
	return nil
}

func (c *conn) lobDo(q lobRequest) (locator []byte, amount int, data []byte, err error) {
	const blob = 0x71 // the type in the destination's offset of a new temporary LOB
	if q.op == lobCreateTemp {
		if c.lobs.temp >= maxTempLobs {
			return nil, 0, nil, &Error{Code: 1652}
		}
		return c.lobs.temporary(q.destOffset == blob).locator(), q.amount, nil, nil
	}
	l := c.lobs.find(q.locator)
	if l == nil {
		return nil, 0, nil, &Error{Code: 22922}
	}
	switch q.op {
	case lobLength:
		return q.locator, l.units(), nil, nil
	case lobChunkSize:
		return q.locator, lobChunk, nil, nil
	case lobOpen, lobClose:
		return q.locator, q.amount, nil, nil
	case lobRead:
		start := l.offset(max(q.offset-1, 0))
		end := len(l.data)
		if q.amount > 0 && q.amount < len(l.data) {
			end = max(start, l.offset(max(q.offset-1, 0)+q.amount))
		}
		part := &lob{binary: l.binary, data: l.data[start:end], ascii: l.ascii}
		if len(part.data) == 0 {
			return q.locator, 0, nil, nil
		}
		return q.locator, part.units(), part.data, nil
	case lobWrite:
		at := max(q.offset-1, 0)
		if len(l.data)+len(q.data) > maxLobSize || at > l.units() {
			return nil, 0, nil, &Error{Code: 22993, Message: "specified input amount is greater than actual source amount"}
		}
		l.write(at, q.data)
		return q.locator, q.amount, nil, nil
	case lobTrim:
		l.data = l.data[:l.offset(max(q.amount, 0))]
		return q.locator, q.amount, nil, nil
	case lobFreeTemp:
		c.lobs.free(q.locator)
		return q.locator, q.amount, nil, nil
	}
	return nil, 0, nil, &Error{Code: 3001}
}
