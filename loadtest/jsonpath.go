package loadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A jsonPath leads to values of a JSON document: "total_count", "results[0].id", "results[*].id".
type jsonPath []pathPart

type pathPart struct {
	key   string
	index int // everyItem for [*], notAnIndex for a key
}

const (
	everyItem  = -1
	notAnIndex = -2
)

// parsePath reads keys with dots between and indexes in brackets. Keys are letters, digits, _ and -.
func parsePath(text string) (jsonPath, error) {
	var path jsonPath
	rest := text
	for rest != "" {
		if rest[0] == '[' {
			inside, after, closed := strings.Cut(rest[1:], "]")
			index, err := strconv.Atoi(inside)
			if inside == "*" {
				index, err = everyItem, nil
			} else if index < 0 {
				err = strconv.ErrRange
			}
			if !closed || err != nil {
				return nil, fmt.Errorf("JSON path %q: [%s must be an index or [*]", text, inside)
			}
			path, rest = append(path, pathPart{index: index}), after
			continue
		}
		if len(path) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("JSON path %q: a dot is missing before %q", text, rest)
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		key := rest[:end]
		if key == "" || strings.ContainsFunc(key, notKeyRune) {
			return nil, fmt.Errorf("JSON path %q: a key must be letters, digits, _ and -", text)
		}
		path, rest = append(path, pathPart{key: key, index: notAnIndex}), rest[end:]
	}
	if len(path) == 0 {
		return nil, errors.New("JSON path is empty")
	}
	return path, nil
}

func notKeyRune(r rune) bool {
	return r < utf8.RuneSelf && !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
}

// single tells whether the path leads to one value at most.
func (p jsonPath) single() bool {
	for _, part := range p {
		if part.index == everyItem {
			return false
		}
	}
	return true
}

// maxDepth is how deep a document may nest; encoding/json has the same bound.
const maxDepth = 10_000

// scanJSON checks that data is one JSON value, by the same grammar as json.Valid, and on the way hands out every value
// that one of the paths leads to, as it stands in data. One pass over the document, and no memory but what found takes,
// because the generator's CPU is the scarce thing in a load test.
func scanJSON(data []byte, paths []jsonPath, found func(path int, value []byte)) error {
	s := scanner{data: data, paths: paths, found: found, live: make([]int, len(paths), 4*len(paths)+8)}
	for i := range paths {
		s.live[i] = i
	}
	s.space()
	s.value(s.live, 0)
	s.space()
	if !s.bad && s.at < len(data) {
		s.bad = true
	}
	if s.bad {
		return fmt.Errorf("not JSON: fault at byte %d of %d", min(s.at, len(data)), len(data))
	}
	return nil
}

// A scanner walks a document. Once bad is set every method returns at once, with at near the fault.
type scanner struct {
	data  []byte
	at    int
	bad   bool
	paths []jsonPath
	found func(int, []byte)
	live  []int // a stack: for each level of the document, the paths that led there
}

func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		if c := s.data[s.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		s.at++
	}
}

func (s *scanner) expect(c byte) {
	if s.peek() != c || s.at >= len(s.data) {
		s.bad = true
		return
	}
	s.at++
}

// value reads one value at depth. live holds the paths whose first depth parts led here.
func (s *scanner) value(live []int, depth int) {
	begin := s.at
	if depth > maxDepth {
		s.bad = true
		return
	}
	switch c := s.peek(); {
	case c == '{':
		s.object(live, depth)
	case c == '[':
		s.array(live, depth)
	case c == '"':
		s.text()
	case c == '-' || '0' <= c && c <= '9':
		s.number()
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	default:
		s.bad = true
	}
	if s.bad {
		return
	}
	for _, i := range live {
		if len(s.paths[i]) == depth {
			s.found(i, s.data[begin:s.at])
		}
	}
}

func (s *scanner) object(live []int, depth int) {
	s.at++
	s.space()
	if s.peek() == '}' {
		s.at++
		return
	}
	for !s.bad {
		begin := s.at
		s.text()
		if s.bad {
			return
		}
		key := s.data[begin:s.at]
		s.space()
		s.expect(':')
		s.space()
		base := len(s.live)
		for _, i := range live {
			if p := s.paths[i]; len(p) > depth && p[depth].index == notAnIndex && sameKey(key, p[depth].key) {
				s.live = append(s.live, i)
			}
		}
		s.value(s.live[base:], depth+1)
		s.live = s.live[:base]
		if !s.more('}') {
			return
		}
	}
}

func (s *scanner) array(live []int, depth int) {
	s.at++
	s.space()
	if s.peek() == ']' {
		s.at++
		return
	}
	for n := 0; !s.bad; n++ {
		base := len(s.live)
		for _, i := range live {
			if p := s.paths[i]; len(p) > depth && (p[depth].index == everyItem || p[depth].index == n) {
				s.live = append(s.live, i)
			}
		}
		s.value(s.live[base:], depth+1)
		s.live = s.live[:base]
		if !s.more(']') {
			return
		}
	}
}

// more reads what stands behind a member: a comma, or the closing bracket.
func (s *scanner) more(closing byte) bool {
	if s.bad {
		return false
	}
	s.space()
	switch s.peek() {
	case ',':
		s.at++
		s.space()
		return true
	case closing:
		s.at++
		return false
	}
	s.bad = true
	return false
}

// text reads a string.
func (s *scanner) text() {
	if s.peek() != '"' {
		s.bad = true
		return
	}
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return
		case c < ' ':
			s.bad = true
			return
		case c == '\\':
			s.at++
			if !s.escaped() {
				s.bad = true
				return
			}
		}
	}
	s.bad = true
}

// escaped checks what stands behind a backslash and stops on its last byte.
func (s *scanner) escaped() bool {
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			s.at++
			c := s.peek() | 0x20
			if !('0' <= s.peek() && s.peek() <= '9' || 'a' <= c && c <= 'f') {
				return false
			}
		}
		return true
	}
	return false
}

func (s *scanner) number() {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.at++
		s.digits()
	}
	if s.peek()|0x20 == 'e' {
		s.at++
		if s.peek() == '+' || s.peek() == '-' {
			s.at++
		}
		s.digits()
	}
}

// digits reads at least one.
func (s *scanner) digits() {
	begin := s.at
	for '0' <= s.peek() && s.peek() <= '9' {
		s.at++
	}
	s.bad = s.bad || s.at == begin
}

func (s *scanner) word(w string) {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		s.bad = true
		return
	}
	s.at += len(w)
}

// sameKey compares a key as it stands in the document, with its quotes, with want.
func sameKey(quoted []byte, want string) bool {
	inside := quoted[1 : len(quoted)-1]
	if string(inside) == want {
		return true
	}
	if !strings.Contains(string(inside), `\`) {
		return false
	}
	return unquote(quoted) == want
}

// unquote gives the text of a JSON string, and any other value as it stands.
func unquote(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return string(value)
	}
	if inside := value[1 : len(value)-1]; !strings.Contains(string(inside), `\`) {
		return string(inside)
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return string(value)
	}
	return text
}
