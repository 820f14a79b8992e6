package loadtest

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"strconv"
	"sync"
)

// Bounds of an answer's frame. Its body may have any length.
const (
	maxHead      = 256 << 10 // bytes of the head, with all interim heads (1xx) before it
	maxChunkLine = 4 << 10   // bytes of the line before a chunk, and of the trailer behind the last one
)

// A badAnswer says why an answer is not HTTP/1.1.
type badAnswer string

func (e badAnswer) Error() string { return "malformed answer: " + string(e) }

// A filler reads once into a.space() and returns how many bytes came. It may wait without any space and ask for it when
// there is something to read.
type filler interface {
	fill(a *wireAnswer) (int, error)
}

// A wireAnswer is one answer of HTTP/1.1, read from a wire: first head, then the body through Read or WriteTo, which end in
// io.EOF when the whole answer was there and in io.ErrUnexpectedEOF when it was cut.
//
// Where RFC 9112 leaves a choice, it reads what net/http reads. It is stricter in the first line, which must name
// HTTP/1.0 or 1.1 and three digits.
type wireAnswer struct {
	from   filler
	method string // of the request
	little bool   // read a few KiB at a time, for a slow reader: what lies here has been taken from the server

	status int
	events bool // server-sent events
	frame  frame
	left   uint64 // bytes that are missing of the body, or of the chunk at hand
	keep   bool   // the server leaves the wire open
	began  bool   // at least one byte came
	ended  bool   // the whole answer was read

	buf     []byte // nil while nothing is in it
	r, w    int    // what was read from the wire and not yet from the answer is buf[r:w]
	slice   []byte // of buf: the part of the body that Read has not handed out yet
	overs   int64  // bytes of chunk lines beyond what a server needs
	inChunk bool   // the line end behind a chunk is still to come
}

// A frame says where a body ends.
type frame uint8

const (
	frameNone    frame = iota
	frameLength        // after left bytes
	frameChunked       // with the chunk of no bytes
	frameClose         // where the server closes the wire
)

// bufferSize takes most answers of an API at one go.
const (
	bufferSize = 16 << 10
	littleSize = 4 << 10
)

// buffers are lent to a wireAnswer only while there are bytes in them, so that thousands of requests that wait for their
// answers have none.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// space is where the next bytes from the wire go.
func (a *wireAnswer) space() []byte {
	switch {
	case a.buf == nil:
		a.buf = buffers.Get().(*[bufferSize]byte)[:]
		a.r, a.w = 0, 0
	case a.r == a.w:
		a.r, a.w = 0, 0
	case a.w == len(a.buf) && a.r > 0:
		a.w = copy(a.buf, a.buf[a.r:a.w])
		a.r = 0
	case a.w == len(a.buf):
		a.buf = append(a.buf, make([]byte, len(a.buf))...)
	}
	if room := a.buf[a.w:]; !a.little || len(room) <= littleSize {
		return room
	}
	return a.buf[a.w : a.w+littleSize]
}

// release gives the buffer back when nothing is in it.
func (a *wireAnswer) release() {
	if a.buf == nil || a.r != a.w {
		return
	}
	if len(a.buf) == bufferSize {
		buffers.Put((*[bufferSize]byte)(a.buf))
	}
	a.buf, a.slice, a.r, a.w = nil, nil, 0, 0
}

// drop gives the buffer back whatever is in it.
func (a *wireAnswer) drop() {
	a.r = a.w
	a.release()
}

// more reads from the wire until at least one byte came.
func (a *wireAnswer) more() error {
	a.release()
	for {
		n, err := a.from.fill(a)
		if n > 0 {
			a.w += n
			a.began = true
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// line returns the next line up to and without "\n". It is good until the next call of more.
func (a *wireAnswer) line(most int) ([]byte, error) {
	for seen := 0; ; {
		if i := bytes.IndexByte(a.buf[a.r+seen:a.w], '\n'); i >= 0 && seen+i < most {
			line := a.buf[a.r : a.r+seen+i]
			a.r += seen + i + 1
			return line, nil
		}
		if seen = a.w - a.r; seen >= most {
			return nil, badAnswer("a line or a head has more than " + strconv.Itoa(most) + " bytes")
		}
		if err := a.more(); err != nil {
			if err == io.EOF && a.began {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// head reads up to where the body begins, over interim heads. It returns io.EOF when the wire was closed before the first
// byte.
func (a *wireAnswer) head() error {
	room := maxHead
	for {
		line, err := a.line(room)
		if err != nil {
			return err
		}
		room -= len(line) + 1
		old, err := a.statusLine(trimEnd(line))
		if err != nil {
			return err
		}
		f := fields{old: old, length: -1}
		if room, err = a.fields(&f, room); err != nil {
			return err
		}
		if a.status < 100 || a.status > 199 || a.status == http.StatusSwitchingProtocols {
			return a.framed(&f)
		}
	}
}

// fields reads the header fields up to the empty line and returns what is left of room.
func (a *wireAnswer) fields(f *fields, room int) (int, error) {
	for first := true; ; first = false {
		line, err := a.line(room)
		if err != nil {
			return 0, err
		}
		room -= len(line) + 1
		text := trimEnd(line)
		if f.trailer && len(text) == len(line) {
			return 0, badField(line)
		}
		if len(text) == 0 {
			return room, nil
		}
		if err := f.take(text, first); err != nil {
			return 0, err
		}
	}
}

// trimEnd takes the "\r" from the end of a line.
func trimEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// statusLine reads "HTTP/1.1 200 OK"; old says that the server speaks HTTP/1.0.
func (a *wireAnswer) statusLine(line []byte) (old bool, err error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1."))
	if !ok || len(rest) < 2 || rest[1] != ' ' || rest[0] != '0' && rest[0] != '1' {
		return false, badAnswer("it begins with " + strconv.Quote(clip(string(line), 60)))
	}
	code, _, _ := bytes.Cut(bytes.TrimLeft(rest[2:], " "), []byte(" "))
	if len(code) != 3 || !digits(code) || code[0] == '0' {
		return false, badAnswer("its status is " + strconv.Quote(clip(string(code), 60)))
	}
	a.status = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	return rest[0] == '0', nil
}

// framed settles where the body ends (RFC 9112, 6.3).
func (a *wireAnswer) framed(f *fields) error {
	a.keep, a.events = f.keeps(), f.events
	chunked := f.encodings > 0 && !f.old // HTTP/1.0 knows no transfer encodings
	if chunked && (f.encodings > 1 || !f.chunked) {
		return badAnswer("its transfer encoding is not chunked")
	}
	switch {
	case a.method == http.MethodHead, a.status <= 199, a.status == http.StatusNoContent, a.status == http.StatusNotModified:
		a.frame = frameNone
		a.keep = a.keep && a.status > 199 // after a switch of protocols it is no wire of HTTP
	case chunked:
		a.frame = frameChunked
	case f.length >= 0:
		a.frame, a.left = frameLength, uint64(f.length)
	default:
		a.frame, a.keep = frameClose, false
	}
	return nil
}

// next returns the next part of the body, at least one byte, or an error.
func (a *wireAnswer) next() ([]byte, error) {
	if a.ended {
		return nil, io.EOF
	}
	switch a.frame {
	case frameChunked:
		if a.left == 0 {
			if err := a.chunk(); err != nil {
				return nil, err
			}
		}
	case frameClose:
		a.left = math.MaxUint64
	case frameNone, frameLength:
	}
	if a.left == 0 {
		a.ended = true
		return nil, io.EOF
	}
	if a.r == a.w {
		if err := a.more(); err == io.EOF && a.frame == frameClose {
			a.ended = true
			return nil, io.EOF
		} else if err != nil {
			return nil, cut(err)
		}
	}
	n := min(uint64(a.w-a.r), a.left)
	part := a.buf[a.r : a.r+int(n)]
	a.r, a.left = a.r+int(n), a.left-n
	return part, nil
}

// cut is the error of a body whose wire ended.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// chunk reads up to the bytes of the next chunk, or over the trailer when there is none. left is 0 then.
func (a *wireAnswer) chunk() error {
	if a.inChunk {
		line, err := a.line(2)
		if err != nil {
			return cut(err)
		}
		if len(line) != 1 || line[0] != '\r' {
			return badAnswer("a chunk is longer than its length")
		}
	}
	line, err := a.line(maxChunkLine)
	if err != nil {
		return cut(err)
	}
	if a.left, err = chunkLength(line); err != nil {
		return err
	}
	// As net/http does: 16 bytes a chunk are no burden, nor as many as twice the data.
	if a.overs += int64(len(line)) + 3 - 16 - 2*int64(min(a.left, 1<<40)); a.overs > 16<<10 {
		return badAnswer("its chunks have more around them than in them")
	}
	a.overs = max(a.overs, 0)
	if a.inChunk = a.left > 0; a.inChunk {
		return nil
	}
	_, err = a.fields(&fields{length: -1, trailer: true}, maxChunkLine)
	return cut(err)
}

// chunkLength reads the line before a chunk: hexadecimal digits, then maybe an extension behind a semicolon.
func chunkLength(line []byte) (uint64, error) {
	if n := len(line); n == 0 || bytes.IndexByte(line, '\r') != n-1 {
		return 0, badAnswer("the line before a chunk does not end in CR LF")
	}
	line, _, _ = bytes.Cut(line[:len(line)-1], []byte(";"))
	line = bytes.TrimRight(line, " \t")
	if len(line) == 0 || len(line) > 16 {
		return 0, badAnswer("the length of a chunk has " + strconv.Itoa(len(line)) + " digits")
	}
	var n uint64
	for _, c := range line {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, badAnswer("invalid length of a chunk")
		}
		n = n<<4 | uint64(c)
	}
	return n, nil
}

// Read implements io.Reader.
func (a *wireAnswer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(a.slice) == 0 {
		part, err := a.next()
		if err != nil {
			return 0, err
		}
		a.slice = part
	}
	n := copy(p, a.slice)
	a.slice = a.slice[n:]
	return n, nil
}

// WriteTo implements io.WriterTo, so that io.Copy copies nothing on its way to io.Discard.
func (a *wireAnswer) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		part := a.slice
		if a.slice = nil; len(part) == 0 {
			var err error
			if part, err = a.next(); err == io.EOF {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		n, err := w.Write(part)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// clean tells whether the wire can carry another request: the whole answer was read, nothing came behind it, and the
// server keeps the wire.
func (a *wireAnswer) clean() bool { return a.ended && a.keep && a.r == a.w && len(a.slice) == 0 }
