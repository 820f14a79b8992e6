package loadtest

import (
	"bytes"
	"strconv"
	"strings"
)

// fields are those of an answer's head that say where its body ends.
type fields struct {
	old       bool  // HTTP/1.0
	trailer   bool  // they stand behind a body and are only read over; each line must end in CR LF
	length    int64 // -1 when it was not said
	digits    int   // with which length was written
	encodings int   // Transfer-Encoding fields
	chunked   bool
	closes    bool // Connection: close
	keep      bool // Connection: keep-alive
	typed     bool // Content-Type was there
	events    bool // and says that these are server-sent events

	framing bool // the field before was one of these
}

// take reads one line of a head or a trailer.
func (f *fields) take(line []byte, first bool) error {
	if line[0] == ' ' || line[0] == '\t' { // the field before goes on
		if first || f.framing || !validValue(line) {
			return badField(line)
		}
		return nil
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || !validKey(line[:colon]) || !validValue(line[colon+1:]) {
		return badField(line)
	}
	if f.framing = false; f.trailer {
		return nil
	}
	switch key, value := line[:colon], bytes.Trim(line[colon+1:], " \t"); {
	case is(key, "content-length"):
		f.framing = true
		return f.takeLength(value)
	case is(key, "transfer-encoding"):
		f.framing = true
		f.encodings++
		f.chunked = is(value, "chunked")
	case is(key, "content-type") && !f.typed:
		f.typed, f.events = true, isEvents(value)
	case is(key, "connection"):
		f.framing = true
		for token := range bytes.SplitSeq(value, []byte(",")) {
			token = bytes.Trim(token, " \t")
			f.closes = f.closes || is(token, "close")
			f.keep = f.keep || is(token, "keep-alive")
		}
	}
	return nil
}

func (f *fields) takeLength(value []byte) error {
	n, err := strconv.ParseUint(string(value), 10, 63)
	if err != nil || !digits(value) {
		return badAnswer("its Content-Length is " + strconv.Quote(clip(string(value), 60)))
	}
	if f.length >= 0 && (f.length != int64(n) || f.digits != len(value)) {
		return badAnswer("it has two Content-Lengths, " + strconv.FormatInt(f.length, 10) + " and " + string(value))
	}
	f.length, f.digits = int64(n), len(value)
	return nil
}

// keeps tells whether the server leaves the wire open (RFC 9112, 9.3).
func (f *fields) keeps() bool { return !f.closes && (f.keep || !f.old) }

func badField(line []byte) error {
	return badAnswer("a field of its head is " + strconv.Quote(clip(string(line), 60)))
}

// is compares text with lower-case letters, whatever case it has.
func is(text []byte, lower string) bool {
	return len(text) == len(lower) && strings.EqualFold(string(text), lower)
}

func digits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// tokens are the bytes that the name of a field may have (RFC 9110, 5.6.2).
var tokens = func() (set [256]bool) {
	for c := range 256 {
		set[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			c < 0x80 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return set
}()

// validKey accepts blanks as well, as net/http does: such a field is none that we know.
func validKey(key []byte) bool {
	for _, c := range key {
		if !tokens[c] && c != ' ' {
			return false
		}
	}
	return true
}

// validValue refuses control characters but the tabulator.
func validValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
