package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tomehub/tomehub/server/library"
)

// A source says where a parameter was written, in the words of a refusal.
type source string

const (
	inURL  source = "URL parameter"
	inForm source = "form field"
	inBody source = "body field"
)

// A setting holds one parameter of a request that may be written in several places and
// under several names, as long as they agree.
type setting[T comparable] struct {
	value T
	from  source // where it was written; empty when it was not
	name  string // under which name
}

func (f *setting[T]) isSet() bool { return f.from != "" }

// set takes a value, or refuses one that contradicts an earlier one.
func (f *setting[T]) set(value T, from source, name string) error {
	if f.isSet() && f.value != value {
		if from == f.from && name == f.name {
			return badRequest(library.CodeConflict, "%s is both %s and %s in the %s %s: give it once",
				canonical(name), quoted(f.value), quoted(value), from, name)
		}
		return badRequest(library.CodeConflict, "%s is %s in the %s %s, but %s in the %s %s: give it once",
			canonical(name), quoted(f.value), f.from, f.name, quoted(value), from, name)
	}
	f.value, f.from, f.name = value, from, name
	return nil
}

// canonical is the first name of a parameter that has several.
func canonical(name string) string {
	switch name {
	case "q":
		return "query"
	case "max_results":
		return "page_size"
	case "include":
		return "include_details"
	}
	return name
}

// quoted shows a value in a refusal: strings in quotes, cut to a length that can be read.
func quoted(v any) string {
	text, ok := v.(string)
	if !ok {
		out, _ := json.Marshal(v)
		return string(out)
	}
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

// drainBeyond and drainTime bound what is read, and thrown away, of a body beyond its
// bound: a client that sends without reading would otherwise see a reset instead of the 413.
const (
	drainBeyond = 32 << 20
	drainTime   = 5 * time.Second
)

// readBody reads a whole body of at most bound bytes. setting moves the bound, and is named in
// the refusal; it is empty when none does.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, bound int64, setting string) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "unsupported_encoding", "a body with Content-Encoding %s is not understood: send it unpacked", quoted(enc))
	}
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	var buf bytes.Buffer
	if r.ContentLength > bound {
		return nil, s.tooLarge(w, r, bound, setting)
	}
	if r.ContentLength > 0 {
		// The extra room lets ReadFrom see the end without growing the buffer.
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, bound+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if n > bound {
		return nil, s.tooLarge(w, r, bound, setting)
	}
	return buf.Bytes(), nil
}

// tooLarge makes the refusal of a body beyond its bound, after it let the client finish
// sending a bounded rest of it.
func (s *Server) tooLarge(w http.ResponseWriter, r *http.Request, bound int64, setting string) error {
	size := byteSize(bound)
	if setting != "" {
		size += " (" + setting + ")"
	}
	refusal := refuse(http.StatusRequestEntityTooLarge, "body_too_large", "the body is larger than %s", size)
	refusal.closes = true
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") && r.ContentLength > bound {
		return refusal
	}
	body := io.Reader(r.Body)
	if p, ok := body.(*pacedBody); ok {
		body = p.ReadCloser // which would move the deadline with every read
	}
	// A recorder in a test has no deadline to set; the bound on bytes still holds.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, body, drainBeyond)
	return refusal
}

// byteSize writes a bound the way its setting is written.
func byteSize(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// bodyError says why a body could not be read.
func bodyError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		r := refuse(http.StatusRequestTimeout, "request_timeout", "the body did not arrive in the time this server allows")
		r.closes = true
		return r
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errClientGone
	}
	r := badRequest("unreadable_body", "the body could not be read: %v", err)
	r.closes = true
	return r
}

// mediaType is the type of the body in lower case, without its parameters.
func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && kind == "" {
		return ""
	}
	return kind
}

// walkValues calls take with every parameter of a query string or a form, in order. What
// net/url would drop silently is refused under the code.
func walkValues(raw, code string, take func(name, value string) error) error {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if strings.Contains(pair, ";") {
			return badRequest(code, "the parameters cannot be read: write a semicolon in a value as %%3B")
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := unescape(name, code)
		if err != nil {
			return err
		}
		if value, err = unescape(value, code); err != nil {
			return err
		}
		if !utf8.ValidString(value) {
			return badRequest("invalid_utf8", "parameter %s is not valid UTF-8", quoted(strings.ToValidUTF8(name, "?")))
		}
		if err := take(name, value); err != nil {
			return err
		}
	}
	return nil
}

func unescape(text, code string) (string, error) {
	if !strings.ContainsAny(text, "%+") {
		return text, nil
	}
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return "", badRequest(code, "the parameters cannot be read: %v (write a percent sign as %%25)", err)
	}
	return plain, nil
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// checkJSON refuses a body that is not one JSON value and nothing else, saying where.
func checkJSON(body []byte) ([]byte, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, byteOrderMark))
	if len(body) == 0 {
		return nil, badRequest("empty_body", "the body is empty: send a JSON object")
	}
	if !utf8.Valid(body) {
		return nil, badRequest("invalid_utf8", "the body is not valid UTF-8")
	}
	if json.Valid(body) {
		return body, nil
	}
	err := json.Unmarshal(body, new(json.RawMessage))
	where := ""
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line, column := position(body, syntax.Offset)
		where = " at line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column)
	}
	return nil, badRequest("malformed_json", "the body is not JSON%s: %v", where, err)
}

// position turns the number of bytes read into a line and a column, both from 1, the column in characters.
func position(body []byte, offset int64) (line, column int) {
	before := body[:max(0, min(int(offset), len(body)))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte{'\n'}) + 1, max(1, utf8.RuneCount(before[start:]))
}

// walkObject calls field with every member of a JSON object that checkJSON passed, in order.
func walkObject(body []byte, field func(name string, raw json.RawMessage) error) error {
	if body[0] != '{' {
		return badRequest("wrong_type", "the body is %s: want a JSON object", jsonKind(body))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return badRequest("malformed_json", "the body is not JSON: %v", err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return badRequest("malformed_json", "the body is not JSON: %v", err)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return badRequest("malformed_json", "the body is not JSON: %v", err)
		}
		if string(raw) == "null" {
			continue // as if it were not there
		}
		if err := field(name.(string), raw); err != nil {
			return err
		}
	}
	return nil
}

// jsonKind names the type of a JSON value in a refusal.
func jsonKind(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

func wrongType(name, want string, raw []byte) error {
	return badRequest("wrong_type", "%s is %s: want %s", name, jsonKind(raw), want)
}

func jsonString(name string, raw json.RawMessage) (v string, err error) {
	if raw[0] != '"' {
		return "", wrongType(name, "a string", raw)
	}
	return v, json.Unmarshal(raw, &v)
}

func jsonBool(name string, raw json.RawMessage) (bool, error) {
	if raw[0] != 't' && raw[0] != 'f' {
		return false, wrongType(name, "true or false", raw)
	}
	return raw[0] == 't', nil
}

func jsonInt(name string, raw json.RawMessage) (int64, error) {
	if kind := jsonKind(raw); kind != "a number" {
		return 0, wrongType(name, "an integer", raw)
	}
	return parseInt(name, string(raw))
}

// parseInt reads page, page_size or max_results, written in digits; 1.0 and 1e3 are none.
func parseInt(name, text string) (int64, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, outOfRange(name, cut(text))
	}
	if err != nil {
		return 0, badRequest("wrong_type", "%s is %s: want an integer", name, quoted(text))
	}
	return v, nil
}

// cut shortens a number of unbounded length.
func cut(digits string) string {
	if len(digits) > 30 {
		return digits[:30] + "…"
	}
	return digits
}

// parseBool reads a boolean of a URL or a form; a name without a value says yes.
func parseBool(name, text string) (bool, error) {
	switch strings.ToLower(text) {
	case "", "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off":
		return false, nil
	}
	return false, badRequest("wrong_type", "%s is %s: want true or false", name, quoted(text))
}
