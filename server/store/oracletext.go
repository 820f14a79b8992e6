package store

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxTokenBytes is how long a word stands as it is in the text index of Oracle. Oracle Text cuts
// what it indexes after 64 bytes and refuses a longer word in a query (DRG-50943); with this bound
// MaxQueryWords of them, their braces and operators are below the 4000 bytes of a bind, too.
const maxTokenBytes = 57

// oracleText returns the query in the language of Oracle Text: every word in braces, inside of
// which nothing is an operator or a reserved word, those of a phrase side by side, an & between
// the terms.
func (q Query) oracleText() (string, error) {
	var b strings.Builder
	for w, first := range q.pieces() {
		switch {
		case !first:
			b.WriteByte(' ')
		case b.Len() > 0:
			b.WriteString(" & ")
		}
		b.WriteByte('{')
		b.WriteString(braced.Replace(oracleToken(w)))
		b.WriteByte('}')
	}
	if b.Len() == 0 {
		return "", ErrNoTerms
	}
	return b.String(), nil
}

// braced doubles the brace that would end the escape, should ever a word hold one.
var braced = strings.NewReplacer("}", "}}")

// oracleToken returns a word as it is in the index. A long one stands as a digest of itself, so
// that two that begin alike are still two.
func oracleToken(word string) string {
	if len(word) <= maxTokenBytes {
		return word
	}
	sum := sha256.Sum256([]byte(word))
	return "x" + hex.EncodeToString(sum[:16])
}

// oracleWords returns folded words, one space apart, as they go into the index.
func oracleWords(folded string) string {
	long := false
	for start, i := 0, 0; i <= len(folded); i++ {
		if i == len(folded) || folded[i] == ' ' {
			long = long || i-start > maxTokenBytes
			start = i + 1
		}
	}
	if !long {
		return folded
	}
	all := strings.Split(folded, " ")
	for i, w := range all {
		all[i] = oracleToken(w)
	}
	return strings.Join(all, " ")
}
