package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/antlr4-go/antlr/v4"
)

// foreign are functions of other databases. To the grammar they are calls of somebody's
// function; Oracle would answer ORA-00904.
var foreign = []string{
	"ARRAY_AGG", "BM25", "DATETIME", "GROUP_CONCAT", "IFNULL", "JSON_EACH", "JULIANDAY", "LAST_INSERT_ID", "LAST_INSERT_ROWID",
	"NOW", "RANDOM", "STRFTIME", "STRING_AGG", "UNIXEPOCH",
}

// foreignTypes are to the grammar the names of somebody's object types; Oracle 19c would answer ORA-00902.
var foreignTypes = []string{
	"BIGINT", "BIGSERIAL", "BOOL", "BOOLEAN", "BYTEA", "DATETIME", "DOUBLE", "INT8", "JSONB", "LONGTEXT", "MEDIUMTEXT", "SERIAL", "TEXT",
	"TIMESTAMPTZ", "TINYINT", "UUID",
}

// dialect refuses what the grammar lets through and Oracle 19c or its drivers do not, or
// understand in a way that nobody means.
func dialect(tokens []antlr.Token, block bool) []fault {
	var faults []fault
	text := func(i int) string {
		if i < 0 || i >= len(tokens) {
			return ""
		}
		return strings.ToUpper(tokens[i].GetText())
	}
	table := (text(0) == "CREATE" || text(0) == "ALTER") && slices.Contains([]string{text(1), text(2), text(3)}, "TABLE")
	for i := range tokens {
		message := ""
		switch word := text(i); {
		case word == "?":
			message = "the placeholder ?: write :name"
		case word == "IN" && strings.HasPrefix(text(i+1), ":"):
			message = "IN over one bind: no Oracle driver binds a list; write JSON_TABLE over the bind"
		case word == "''" && slices.Contains([]string{"=", "<>", "!=", "^=", "<", ">"}, text(i-1)):
			message = "a comparison with '': in Oracle that is NULL, and the comparison never true"
		case (word == "TRUE" || word == "FALSE") && !block && text(i+1) != "ON":
			message = fmt.Sprintf("%s: SQL has no booleans before 23ai", word)
		case text(i+1) == "(" && text(i-1) != "." && slices.Contains(foreign, word):
			message = fmt.Sprintf("%s: not a function of Oracle (ORA-00904)", word)
		case table && slices.Contains(foreignTypes, word) && slices.Contains([]string{"(", ",", "ADD"}, text(i-2)):
			message = fmt.Sprintf("%s: not a type of Oracle 19c (ORA-00902)", word)
		case word == "CONTAINS" && text(i+1) == "(" && (text(closing(tokens, i+1)+1) != ">" || text(closing(tokens, i+1)+2) != "0"):
			message = "CONTAINS gives a score from 0 to 100: compare it with > 0"
		}
		if message != "" {
			faults = append(faults, fault{tokens[i].GetLine(), message})
		}
	}
	return faults
}

// closing returns the index of the parenthesis that closes the one at open.
func closing(tokens []antlr.Token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		switch tokens[i].GetText() {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tokens)
}
