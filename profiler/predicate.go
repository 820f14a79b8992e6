package profiler

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// predicate is what an index could do for the filter of a plan's step.
type predicate struct {
	equal     []string // columns or expressions compared for equality
	ranged    []string // compared otherwise; an index can use one of them, behind the equal ones
	converted []string // columns that the comparison converts first, so that no plain index on them is of use
}

const columnPattern = `(?:"[^"]+"\.)?"([^"]+)"`

var (
	plainTest = regexp.MustCompile(`^` + columnPattern + `\s*(=|<>|!=|<=|>=|<|>|LIKE\b|BETWEEN\b|IN\b)\s*(.+)$`)
	funcTest  = regexp.MustCompile(`^([A-Z_0-9]+)\(` + columnPattern + `\)\s*(=|<>|!=|<=|>=|<|>|LIKE\b|BETWEEN\b|IN\b)\s*(.+)$`)
	hiddenCol = regexp.MustCompile(`^SYS_(NC|STU|STS)[A-Z0-9_#$]*\$$`) // what stands for an expression of an index that is there
	plainName = regexp.MustCompile(`^[A-Z][A-Z0-9_$#]*$`)
)

// conversions are the functions that Oracle itself puts around a column to compare it with a value of another type.
var conversions = []string{"TO_NUMBER", "TO_CHAR", "TO_DATE", "TO_TIMESTAMP", "INTERNAL_FUNCTION", "SYS_OP_C2C", "TO_BINARY_DOUBLE", "TO_BINARY_FLOAT", "RAWTOHEX", "HEXTORAW"}

// parsePredicate reads filter predicates as v$sql_plan writes them. What it does not understand it leaves out.
func parsePredicate(filter string) predicate {
	var p predicate
	for _, part := range splitTop(filter, "AND") {
		p.add(part, 0)
	}
	p.ranged = slices.DeleteFunc(p.ranged, func(c string) bool { return slices.Contains(p.equal, c) })
	return p
}

// deepest bounds the brackets that are opened.
const deepest = 8

func (p *predicate) add(part string, depth int) {
	part = strings.TrimSpace(part)
	if inner, ok := bracketed(part); ok && depth < deepest {
		if alternatives := splitTop(inner, "OR"); len(alternatives) > 1 {
			p.addAlternatives(alternatives)
			return
		}
		for _, x := range splitTop(inner, "AND") {
			p.add(x, depth+1)
		}
		return
	}
	if m := plainTest.FindStringSubmatch(part); m != nil {
		if !hiddenCol.MatchString(m[1]) {
			p.compare(identifier(m[1]), m[2], m[3])
		}
		return
	}
	if m := funcTest.FindStringSubmatch(part); m != nil && !hiddenCol.MatchString(m[2]) {
		if slices.Contains(conversions, m[1]) {
			p.converted = appendNew(p.converted, identifier(m[2]))
		} else {
			p.compare(m[1]+"("+identifier(m[2])+")", m[3], m[4])
		}
	}
}

// addAlternatives takes a list of values for one column, which Oracle writes as comparisons joined by OR.
func (p *predicate) addAlternatives(alternatives []string) {
	var all predicate
	for _, a := range alternatives {
		all.add(a, deepest)
	}
	if len(all.equal) == 1 && len(all.ranged) == 0 && len(all.converted) == 0 && !slices.ContainsFunc(alternatives, func(a string) bool {
		return !plainTest.MatchString(strings.TrimSpace(a))
	}) {
		p.equal = appendNew(p.equal, all.equal[0])
	}
}

// compare takes one comparison with a value. One with another column joins tables, and is no filter.
func (p *predicate) compare(column, operator, value string) {
	plain := unquoted(value)
	switch {
	case strings.Contains(plain, `"`) || operator == "<>" || operator == "!=":
	case operator == "LIKE" && (strings.HasPrefix(value, "'%") || strings.HasPrefix(value, "'_")):
	case operator == "=" || operator == "IN":
		p.equal = appendNew(p.equal, column)
	default:
		p.ranged = appendNew(p.ranged, column)
	}
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// columns are those of a candidate index: equality first, then one range.
func (p predicate) columns() []string {
	const most = 3
	columns := slices.Clone(p.equal[:min(len(p.equal), most)])
	if len(p.ranged) > 0 && len(columns) < most {
		columns = append(columns, p.ranged[0])
	}
	return columns
}

// splitTop splits at a word that stands outside of quotes and brackets.
func splitTop(s, word string) []string {
	var parts []string
	depth, from := 0, 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0 && c == ' ' && strings.HasPrefix(s[i+1:], word+" "):
			parts = append(parts, s[from:i])
			from = i + len(word) + 2
			i = from - 1
		}
	}
	return append(parts, s[from:])
}

// bracketed returns what stands between a bracket and its partner, when these are the first and the last character.
func bracketed(s string) (string, bool) {
	if len(s) < 2 || s[0] != '(' || s[len(s)-1] != ')' {
		return "", false
	}
	depth := 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 && i < len(s)-1 {
				return "", false
			}
		}
	}
	return s[1 : len(s)-1], depth == 0
}

// unquoted is a text without what stands between apostrophes.
func unquoted(s string) string {
	parts := strings.Split(s, "'")
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		b.WriteString(parts[i])
	}
	return b.String()
}

// identifier writes a name as SQL needs it.
func identifier(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, "") + `"`
}

// quoted writes a text as SQL needs it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// createIndex is the statement that makes a candidate index; the name is one that every version takes.
func createIndex(table string, columns []string) string {
	owner, name, ok := strings.Cut(table, ".")
	if !ok {
		owner, name = "", table
	}
	on := identifier(name)
	if owner != "" {
		on = identifier(owner) + "." + on
	}
	short := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, strings.ToUpper(strings.TrimPrefix(name, "TOMEHUB_")+"_"+columns[0]))
	short = strings.Trim(short[:min(len(short), 24)], "_")
	return fmt.Sprintf("CREATE INDEX IX_%s ON %s (%s)", short, on, strings.Join(columns, ", "))
}
