package library

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/tomehub/tomehub/server/store"
)

// A cursor is a place in the matches of one query: the last match seen, its rank
// and the generation that the rank and the total hold for. It is handed out
// sealed with a code over its bytes, the page size, the query and the user, so
// that damage, and use for another query or by another user, shows.
type cursor struct {
	gen      int64
	position int64 // matches up to and with the last one seen, a multiple of the page size
	total    int64
	score    float64
	id       int64
}

const (
	cursorVersion = 1
	cursorFields  = 1 + 5*8
	cursorSeal    = 16 // bytes of HMAC-SHA-256 that are kept
)

func (c cursor) scoreBits() int64 { return int64(math.Float64bits(c.score)) }

func (c cursor) fields() []byte {
	b := make([]byte, 0, cursorFields+cursorSeal)
	b = append(b, cursorVersion)
	for _, field := range []int64{c.gen, c.position, c.total, c.scoreBits(), c.id} {
		b = binary.BigEndian.AppendUint64(b, uint64(field))
	}
	return b
}

// sealCursor writes c in letters that need no escaping in a URL.
func (l *Library) sealCursor(c cursor, s search) string {
	b := c.fields()
	return base64.RawURLEncoding.EncodeToString(append(b, l.seal(b, s)...))
}

// openCursor reads a cursor of the same query and user. One from before a write
// is refused and not reinterpreted: ranks and total have changed with the
// library, so the next page might repeat matches or leave some out unsaid.
func (l *Library) openCursor(text string, s search) (*cursor, error) {
	invalid := badInput(CodeCursorInvalid, "cursor is not the next_cursor of a page of this query and page_size: want it unchanged, with both the same")
	expired := badInput(CodeCursorExpired, "the library has changed since this cursor was handed out: start again from page 1")
	if base64.RawURLEncoding.DecodedLen(len(text)) != cursorFields+cursorSeal {
		return nil, invalid
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != cursorFields+cursorSeal || b[0] != cursorVersion {
		return nil, invalid
	}
	fields, seal := b[:cursorFields], b[cursorFields:]
	if !hmac.Equal(seal, l.seal(fields, s)) {
		everybodys := s
		everybodys.scope = store.Scope{}
		if hmac.Equal(seal, l.seal(fields, everybodys)) { // from before the caller's first book
			return nil, expired
		}
		return nil, invalid
	}
	var numbers [5]int64
	for i := range numbers {
		numbers[i] = int64(binary.BigEndian.Uint64(fields[1+8*i:]))
	}
	c := &cursor{gen: numbers[0], position: numbers[1], total: numbers[2], score: math.Float64frombits(uint64(numbers[3])), id: numbers[4]}
	// Without a CursorKey anybody can compute the seal, so the numbers are checked as any input is.
	if c.position < 1 || c.position%int64(s.size) != 0 || c.total < c.position || c.total > math.MaxInt32 || c.id < 1 || math.IsNaN(c.score) || math.IsInf(c.score, 0) {
		return nil, invalid
	}
	if c.gen != s.gen {
		return nil, expired
	}
	return c, nil
}

func (l *Library) seal(fields []byte, s search) []byte {
	mac := hmac.New(sha256.New, l.cfg.CursorKey)
	mac.Write(fields)
	mac.Write(binary.BigEndian.AppendUint32(nil, uint32(s.size)))
	// Lengths in front keep ("ab", "c") and ("a", "bc") apart.
	var lengths bytes.Buffer
	for _, part := range []string{s.scope.Owner, s.canonical} {
		lengths.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		lengths.WriteString(part)
	}
	mac.Write(lengths.Bytes())
	return mac.Sum(nil)[:cursorSeal]
}
