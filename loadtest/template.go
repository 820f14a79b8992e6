package loadtest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A template is text with {{name}} in it. It is compiled once, with every name checked, so that rendering cannot fail:
// it can only find that a capture is empty, and whoever renders asks that beforehand.
//
// What is put in is escaped for where it stands, so a query with quotes or an & cannot break a body or a path:
//
//	path       as a path segment before the first ?, as a query value after it
//	json body  as the inside of a JSON string
//	header     without control characters
//	body       as it is
//
// {{text|64KiB}} puts in so many bytes of sentences, different ones each time.
//
// {{name|raw}}, {{name|json}}, {{name|query}} and {{name|path}} say otherwise. {{ids|all}} puts in every value of a
// capture as it stood in the JSON answer, with commas between.
type template struct{ parts []part }

// A part is literal text, or a reference.
type part struct {
	literal string
	kind    refKind // refLiteral for literal
	index   int     // of the feeder or the capture; of a text its bytes
	escape  escape
	all     bool
}

type refKind int

const (
	refLiteral   refKind = iota
	refUser              // number of the user, from 1
	refIteration         // how many flows this user began, from 1
	refRun               // letters and digits that differ from run to run
	refFeeder
	refCapture
	refText // generated sentences
)

type escape int

const (
	escapeNone escape = iota
	escapePath
	escapeQuery
	escapeJSON
	escapeHeader
)

// place is where a template stands.
type place int

const (
	inPath place = iota
	inJSON
	inHeader
	inBody
)

// scope is what templates of one step may name.
type scope struct {
	feeders  map[string]int
	captures map[string]int // those of earlier steps
}

func (s scope) find(name string) (refKind, int, bool) {
	switch name {
	case "user":
		return refUser, 0, true
	case "iteration":
		return refIteration, 0, true
	case "run":
		return refRun, 0, true
	case "text":
		return refText, 0, true
	}
	if i, ok := s.captures[name]; ok {
		return refCapture, i, true
	}
	i, ok := s.feeders[name]
	return refFeeder, i, ok
}

func (s scope) names() []string {
	all := []string{"user", "iteration", "run", "text"}
	for name := range s.captures {
		all = append(all, name)
	}
	for name := range s.feeders {
		all = append(all, name)
	}
	return sorted(all)
}

// compile reads text as it stands in p.
func compile(text string, p place, sc scope) (template, error) {
	var t template
	seen := ""
	for {
		before, rest, found := strings.Cut(text, "{{")
		if before != "" {
			t.parts = append(t.parts, part{literal: before})
			seen += before
		}
		if !found {
			if n := t.texts(); n > maxText {
				return t, fmt.Errorf("its texts have %d bytes together, at most %d are made for one request", n, maxText)
			}
			return t, nil
		}
		inside, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return t, fmt.Errorf("{{ without }}")
		}
		ref, err := compileRef(inside, p.escapeAfter(seen), sc)
		if err != nil {
			return t, err
		}
		t.parts = append(t.parts, ref)
		text = after
	}
}

func (p place) escapeAfter(seen string) escape {
	switch p {
	case inPath:
		if strings.Contains(seen, "?") {
			return escapeQuery
		}
		return escapePath
	case inJSON:
		return escapeJSON
	case inHeader:
		return escapeHeader
	case inBody:
	}
	return escapeNone
}

func compileRef(inside string, normal escape, sc scope) (part, error) {
	name, filter, _ := strings.Cut(inside, "|")
	name, filter = strings.TrimSpace(name), strings.TrimSpace(filter)
	kind, index, ok := sc.find(name)
	if kind == refText && ok {
		return compileText(filter, normal)
	}
	if !ok {
		return part{}, fmt.Errorf("{{%s}} is not known here; known: %s", name, strings.Join(sc.names(), ", "))
	}
	ref := part{kind: kind, index: index, escape: normal}
	switch filter {
	case "":
	case "raw":
		ref.escape = escapeNone
	case "json":
		ref.escape = escapeJSON
	case "query":
		ref.escape = escapeQuery
	case "path":
		ref.escape = escapePath
	case "all":
		if kind != refCapture {
			return part{}, fmt.Errorf("{{%s|all}}: only values taken from an answer can be given all at once", name)
		}
		ref.all = true
	default:
		return part{}, fmt.Errorf("{{%s|%s}}: the filters are raw, json, query, path, all", name, filter)
	}
	return ref, nil
}

// captures lists the captures the template uses.
func (t template) captures() []int {
	var all []int
	for _, p := range t.parts {
		if p.kind == refCapture {
			all = append(all, p.index)
		}
	}
	return all
}

// append renders the template for u behind dst.
func (t template) append(dst []byte, u *user) []byte {
	for _, p := range t.parts {
		switch p.kind {
		case refLiteral:
			dst = append(dst, p.literal...)
		case refUser:
			dst = strconv.AppendInt(dst, int64(u.identity), 10)
		case refIteration:
			dst = strconv.AppendInt(dst, int64(u.iteration), 10)
		case refRun:
			dst = append(dst, u.run.id...)
		case refFeeder:
			dst = p.escape.append(dst, u.fed(p.index))
		case refText:
			dst = p.text(dst, u)
		case refCapture:
			if p.all {
				dst = u.captures[p.index].appendAll(dst)
			} else {
				dst = p.escape.append(dst, u.captures[p.index].picked())
			}
		}
	}
	return dst
}

func (t template) render(u *user) string { return string(t.append(nil, u)) }

func (e escape) append(dst []byte, text string) []byte {
	switch e {
	case escapePath:
		return append(dst, url.PathEscape(text)...)
	case escapeQuery:
		return append(dst, url.QueryEscape(text)...)
	case escapeJSON:
		return appendJSON(dst, text)
	case escapeHeader:
		for i := range len(text) {
			if c := text[i]; c >= ' ' && c != 0x7f {
				dst = append(dst, c)
			}
		}
		return dst
	case escapeNone:
	}
	return append(dst, text...)
}

// appendJSON writes text as the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, as encoding/json does.
func appendJSON(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = append(dst, string(r)...)
		}
	}
	return dst
}
