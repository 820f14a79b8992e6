package oracletest

import (
	"encoding/binary"
	"fmt"
	"io"
)

// A reader takes TTC's primitives from DATA packets. Nothing on the wire marks the end of a message, so it asks for the
// next packet whenever it runs dry. The first error sticks; after it every read returns zero.
type reader struct {
	buf  []byte
	pos  int
	took int // bytes of this message
	err  error
	more func() ([]byte, error) // the next packet's payload
}

// begin starts a new message behind the last one, which may share its packet.
func (r *reader) begin() { r.took, r.err = 0, nil }

// drop forgets what was read ahead.
func (r *reader) drop() { r.buf, r.pos, r.err = nil, 0, nil }

// ask makes n bytes available.
func (r *reader) ask(n int) bool {
	if r.err != nil {
		return false
	}
	if n < 0 || n > maxMessage-r.took {
		r.err = errTooLarge
		return false
	}
	for len(r.buf)-r.pos < n {
		payload, err := r.more()
		if err != nil {
			r.err = err
			return false
		}
		if r.pos == len(r.buf) {
			r.buf, r.pos = payload, 0
		} else {
			r.buf, r.pos = append(r.buf[r.pos:len(r.buf):len(r.buf)], payload...), 0
		}
	}
	r.took += n
	return true
}

// bytes returns n bytes that stay valid until the next read.
func (r *reader) bytes(n int) []byte {
	if !r.ask(n) {
		return nil
	}
	b := r.buf[r.pos : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) skip(n int) { r.bytes(n) }

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() int {
	if b := r.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// ub reads TTC's ub2, ub4 or ub8: a length, then that many bytes, big end first.
func (r *reader) ub() int {
	n := r.u8()
	negative := n&0x80 != 0
	if n &= 0x7F; n > 8 {
		r.fail(errMalformed("a number of %d bytes", n))
		return 0
	}
	var v uint64
	for _, b := range r.bytes(int(n)) {
		v = v<<8 | uint64(b)
	}
	if negative {
		return -int(v)
	}
	return int(v)
}

// count reads a number that says how much follows.
func (r *reader) count(limit int) int {
	n := r.ub()
	if n < 0 || n > limit {
		r.fail(errMalformed("a count of %d; 0 to %d are taken", n, limit))
		return 0
	}
	return n
}

// skipUB passes over n numbers.
func (r *reader) skipUB(n int) {
	for range n {
		r.ub()
	}
}

// clr reads counted bytes; nil is NULL. They stay valid until the next read.
func (r *reader) clr() []byte {
	switch n := r.u8(); n {
	case 0, 0xFF, 0xFD:
		return nil
	case 0xFE:
		var b []byte
		for {
			n := r.ub()
			if n <= 0 || r.err != nil {
				if b == nil {
					b = []byte{}
				}
				return b
			}
			b = append(b, r.bytes(n)...)
		}
	default:
		return r.bytes(int(n))
	}
}

// dlc reads a length and, when it is not zero, counted bytes.
func (r *reader) dlc() []byte {
	if r.ub() == 0 {
		return nil
	}
	return r.clr()
}

// A writer puts together one answer.
type writer struct{ b []byte }

func (w *writer) reset()         { w.b = w.b[:0] }
func (w *writer) put(b ...byte)  { w.b = append(w.b, b...) }
func (w *writer) text(s string)  { w.b = append(w.b, s...) }
func (w *writer) u16(v int)      { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) u16le(v int)    { w.b = binary.LittleEndian.AppendUint16(w.b, uint16(v)) }
func (w *writer) u32(v int)      { w.b = binary.BigEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) zeros(n int)    { w.b = append(w.b, make([]byte, n)...) }
func (w *writer) number(v int64) { w.b = appendUB(w.b, v) }

func (w *writer) ub(values ...int) {
	for _, v := range values {
		w.b = appendUB(w.b, int64(v))
	}
}

func appendUB(b []byte, v int64) []byte {
	if v == 0 {
		return append(b, 0)
	}
	sign := byte(0)
	u := uint64(v)
	if v < 0 {
		sign, u = 0x80, uint64(-v)
	}
	n := 1
	for x := u >> 8; x != 0; x >>= 8 {
		n++
	}
	b = append(b, sign|byte(n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(u>>(8*i)))
	}
	return b
}

const (
	shortCLR = 252
	chunkCLR = 32767
)

// clr writes counted bytes, in chunks when they are many; none is NULL.
func (w *writer) clr(v []byte) {
	if len(v) <= shortCLR {
		w.put(byte(len(v)))
		w.put(v...)
		return
	}
	w.put(0xFE)
	for len(v) > 0 {
		n := min(chunkCLR, len(v))
		w.ub(n)
		w.put(v[:n]...)
		v = v[n:]
	}
	w.put(0)
}

func (w *writer) clrText(s string) {
	if len(s) <= shortCLR {
		w.put(byte(len(s)))
		w.text(s)
		return
	}
	w.clr([]byte(s))
}

func (w *writer) dlc(s string) {
	w.ub(len(s))
	if s != "" {
		w.clrText(s)
	}
}

func (w *writer) keyValue(key, value string, flag int) {
	w.dlc(key)
	w.dlc(value)
	w.ub(flag)
}

// overBytes is a reader of one message that is there as a whole.
func overBytes(b []byte) *reader {
	return &reader{buf: b, more: func() ([]byte, error) { return nil, io.ErrUnexpectedEOF }}
}

type malformedError struct{ text string }

func (e malformedError) Error() string { return "malformed message: " + e.text }

func errMalformed(format string, args ...any) error {
	return malformedError{fmt.Sprintf(format, args...)}
}
