package main

import (
	"strings"

	"github.com/antlr4-go/antlr/v4"
)

// bridge blanks what Oracle's reference has and the grammar lacks, each only in the one form that
// is written here, so that everything around it is still checked. Lines and columns stay.
//
//   - GENERATED ALWAYS AS (…) VIRTUAL of a column; its expression comes back to be checked by itself
//   - ORGANIZATION INDEX as the last words of CREATE TABLE, without further clauses
//   - OFFSET :name ROWS before FETCH in a subquery (the grammar knows it in the outermost query)
//   - FORCE as the last word of DROP INDEX
func bridge(text string, tokens []antlr.Token) (bridged string, expressions []statement) {
	runes := []rune(text)
	blank := func(from, to int) { // indices of tokens, to included
		for i := tokens[from].GetStart(); i <= tokens[to].GetStop(); i++ {
			if runes[i] != '\n' {
				runes[i] = ' '
			}
		}
	}
	are := func(at int, words ...string) bool {
		if at < 0 || at+len(words) > len(tokens) {
			return false
		}
		for i, w := range words {
			if w != "" && !strings.EqualFold(tokens[at+i].GetText(), w) {
				return false
			}
		}
		return true
	}
	depth, last := 0, len(tokens)-1
	for i := range tokens {
		switch {
		case are(i, "("):
			depth++
		case are(i, ")"):
			depth--
		case depth > 0 && are(0, "CREATE", "TABLE") && are(i, "GENERATED", "ALWAYS", "AS", "("):
			end := closing(tokens, i+3)
			if !are(end+1, "VIRTUAL") {
				continue
			}
			expressions = append(expressions, statement{tokens[i+3].GetLine(), "SELECT " + string([]rune(text)[tokens[i+3].GetStart():tokens[end].GetStop()+1]) + " FROM DUAL"})
			blank(i, end+1)
		case depth > 0 && are(i, "OFFSET", "", "ROWS", "FETCH") && strings.HasPrefix(tokens[i+1].GetText(), ":"):
			blank(i, i+2)
		case depth == 0 && i == last-1 && are(0, "CREATE", "TABLE") && are(i, "ORGANIZATION", "INDEX"):
			blank(i, last)
		case i == last && i == 3 && are(0, "DROP", "INDEX", "", "FORCE"):
			blank(i, i)
		}
	}
	return string(runes), expressions
}
