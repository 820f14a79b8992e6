package answer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
)

// Bounds on what is read of one answer.
const (
	maxLine     = 256 << 10 // one line of a stream, bytes
	maxResponse = 4 << 20   // a whole answer as it comes over the wire, bytes
	maxText     = 64 << 10  // the text of an answer, bytes
)

var errTooLarge = errors.New("larger than its bound")

// events reads the JSON messages of an answer one by one. Its error is io.EOF when there are no
// more. A message is valid until the next call.
type events interface {
	next() ([]byte, error)
}

// eventsOf returns the reader for a Content-Type, nil when no API would send that.
func eventsOf(contentType string, body io.Reader) events {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil && kind == "" {
		return nil
	}
	body = &bounded{r: body, left: maxResponse}
	switch kind {
	case "text/event-stream":
		return &sse{r: bufio.NewReader(body)}
	case "application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json":
		return &values{dec: json.NewDecoder(body)}
	}
	return nil
}

// bounded fails, other than io.LimitReader, when there is more than it lets through.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// values reads JSON values that follow each other: one for an API that does not stream, one a
// line for one that streams so.
type values struct {
	dec *json.Decoder
	raw json.RawMessage
}

func (v *values) next() ([]byte, error) {
	v.raw = v.raw[:0]
	err := v.dec.Decode(&v.raw)
	if _, malformed := errors.AsType[*json.SyntaxError](err); malformed {
		return nil, fail(ReasonMalformed, "the answer is not JSON")
	}
	return v.raw, err // io.ErrUnexpectedEOF within a value
}

// sse reads server-sent events as the HTML standard describes them: lines end in LF, CR or both;
// data in several lines is joined; other fields and comments say nothing here. Beyond the
// standard, data that the end of the stream cuts from its empty line counts, and so does a line
// that is a JSON object.
type sse struct {
	r       *bufio.Reader
	line    []byte
	data    []byte
	hasData bool
	skipLF  bool // the line before ended in CR
	begun   bool
	ended   error
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func (s *sse) next() ([]byte, error) {
	s.data, s.hasData = s.data[:0], false
	for s.ended == nil {
		line, err := s.readLine()
		if err != nil {
			s.ended = err
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
		}
		if !s.begun {
			line, s.begun = bytes.TrimPrefix(line, byteOrderMark), true
		}
		switch {
		case len(line) == 0:
			if s.hasData {
				return s.data, nil
			}
		case line[0] == '{' && !s.hasData:
			s.data, s.hasData = append(s.data, line...), true
			if s.ended == nil {
				return s.data, nil
			}
		default:
			if err := s.field(line); err != nil {
				s.ended = err
				return nil, err
			}
		}
	}
	if s.hasData && errors.Is(s.ended, io.EOF) && complete(s.data) {
		s.hasData = false
		return s.data, nil
	}
	return nil, s.ended
}

// complete tells a message from the beginning of one, after which the stream broke off.
func complete(data []byte) bool { return json.Valid(data) || bytes.Equal(data, endOfStream) }

func (s *sse) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte{':'})
	if string(name) != "data" {
		return nil
	}
	value = bytes.TrimPrefix(value, []byte{' '})
	if len(s.data)+len(value) >= maxLine {
		return errTooLarge
	}
	if s.hasData {
		s.data = append(s.data, '\n')
	}
	s.data, s.hasData = append(s.data, value...), true
	return nil
}

// readLine returns the next line without its end. At the end of the stream the rest of it comes
// with the error.
func (s *sse) readLine() ([]byte, error) {
	s.line = s.line[:0]
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			return s.line, err
		}
		if c == '\n' && s.skipLF {
			s.skipLF = false
			continue
		}
		s.skipLF = c == '\r'
		if c == '\n' || c == '\r' {
			return s.line, nil
		}
		if len(s.line) == maxLine {
			return nil, errTooLarge
		}
		s.line = append(s.line, c)
	}
}
