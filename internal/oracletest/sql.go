package oracletest

import (
	"regexp"
	"slices"
	"strings"
)

// kind is what a statement's first word makes it.
type kind int

const (
	other kind = iota // DDL, ALTER SESSION: no placeholders
	query
	dml
	plsql
)

// A statement is what the double knows of a text: no more than its words.
type statement struct {
	text  string
	kind  kind
	tag   string
	names []string // one per position, in upper case
}

var tagComment = regexp.MustCompile(`/\*\s*tomehub:([A-Za-z0-9_]+)`)

func parseStatement(text string) statement {
	s := statement{text: text}
	if m := tagComment.FindStringSubmatch(text); m != nil {
		s.tag = m[1]
	}
	word := ""
	sc := scanner{text: text}
	for {
		token := sc.next()
		if token == "" {
			break
		}
		if word == "" && token != "(" {
			word = strings.ToUpper(token)
			s.kind = kindOf(word)
		}
		if name, ok := strings.CutPrefix(token, ":"); ok && name != "" && s.kind != other {
			name = strings.ToUpper(name)
			if s.kind != plsql || !slices.Contains(s.names, name) {
				s.names = append(s.names, name)
			}
		}
	}
	return s
}

func kindOf(word string) kind {
	switch word {
	case "SELECT", "WITH":
		return query
	case "INSERT", "UPDATE", "DELETE", "MERGE":
		return dml
	case "BEGIN", "DECLARE", "CALL":
		return plsql
	}
	return other
}

// A scanner walks over SQL outside comments, literals and quoted names: words, placeholders with their colon, and
// single other characters.
type scanner struct {
	text string
	pos  int
}

func (sc *scanner) next() string {
	for sc.pos < len(sc.text) {
		rest := sc.text[sc.pos:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "--"):
			sc.skipPast(rest, "\n", 2)
		case strings.HasPrefix(rest, "/*"):
			sc.skipPast(rest, "*/", 2)
		case (c == 'q' || c == 'Q') && len(rest) > 2 && rest[1] == '\'':
			sc.skipPast(rest, closing(rest[2])+"'", 3)
		case c == '\'' || c == '"':
			sc.skipPast(rest, string(c), 1)
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			sc.pos++
		case c == ':' || isWord(c):
			n := 1
			for n < len(rest) && isWord(rest[n]) {
				n++
			}
			sc.pos += n
			return rest[:n]
		default:
			sc.pos++
			return rest[:1]
		}
	}
	return ""
}

// skipPast moves behind the next end, at the earliest from bytes in.
func (sc *scanner) skipPast(rest, end string, from int) {
	if i := strings.Index(rest[from:], end); i >= 0 {
		sc.pos += from + i + len(end)
		return
	}
	sc.pos = len(sc.text)
}

// closing is the delimiter that ends q'[ and its like.
func closing(open byte) string {
	switch open {
	case '[':
		return "]"
	case '(':
		return ")"
	case '{':
		return "}"
	case '<':
		return ">"
	}
	return string(open)
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '#' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

var setting = regexp.MustCompile(`(?i)\b([A-Z_]+)\s*=\s*('(?:[^']|'')*'|[^\s']+)`)

var setModule = regexp.MustCompile(`(?i)SET_MODULE\s*\(\s*'([^']*)'\s*,\s*'([^']*)'\s*\)`)

var setAction = regexp.MustCompile(`(?i)SET_ACTION\s*\(\s*'([^']*)'\s*\)`)

// announced reads DBMS_APPLICATION_INFO.SET_MODULE('a', 'b') and SET_ACTION('b').
func announced(sql, module, action string) (string, string) {
	if m := setModule.FindStringSubmatch(sql); m != nil {
		return m[1], m[2]
	}
	if m := setAction.FindStringSubmatch(sql); m != nil {
		return module, m[1]
	}
	return module, action
}

// settings reads ALTER SESSION SET a = b c = 'd'.
func settings(text string) map[string]string {
	_, list, _ := strings.Cut(strings.ToUpper(text), "SET")
	list = text[len(text)-len(list):]
	set := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(list, -1) {
		set[strings.ToUpper(m[1])] = strings.Trim(m[2], "'")
	}
	return set
}

// words folds a statement for comparison: comments and blanks do not matter.
func words(text string) string {
	var b strings.Builder
	sc := scanner{text: text}
	for token := sc.next(); token != "" && b.Len() < 64; token = sc.next() {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToUpper(token))
	}
	return b.String()
}
