package store

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	_ "github.com/tomehub/tomehub/internal/pool" // registers the driver
	"github.com/tomehub/tomehub/server/words"
)

// TestWordsAreTheTokensOfTheIndex gives the index every character of Unicode,
// between letters, and reads back which words it has cut: they must be those
// that words.Split cuts, or a search would ask for words that the index does not have.
func TestWordsAreTheTokensOfTheIndex(t *testing.T) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE VIRTUAL TABLE t USING fts5(content, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2')")
	exec("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'instance')")
	exec("BEGIN")
	var want [][]string
	const block = 4096
	for start := rune(0); start <= unicode.MaxRune; start += block {
		var text strings.Builder
		for r := start; r < start+block; r++ {
			if words.IsRune(r) { // between others, at the start, at the end
				text.WriteString("q" + string(r) + "q " + string(r) + "\n")
			} else if r%64 == 0 || unicode.IsGraphic(r) {
				text.WriteString("q" + string(r) + "q ")
			}
		}
		var cut []string
		for w := range words.Split(words.Fold(text.String())) {
			cut = append(cut, w)
		}
		want = append(want, cut)
		if joined := strings.Join(cut, " "); joined != words.IndexText(text.String()) {
			t.Errorf("from %U: the index is given other words than those cut", start)
		}
		exec("INSERT INTO t (rowid, content) VALUES (?, ?)", len(want), words.IndexText(text.String()))
	}
	exec("COMMIT")
	got := make([][]string, len(want))
	rows, err := db.Query("SELECT doc, term FROM v ORDER BY doc, offset")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var doc int
		var term string
		if err := rows.Scan(&doc, &term); err != nil {
			t.Fatal(err)
		}
		got[doc-1] = append(got[doc-1], term)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for i := range want {
		if slices.Equal(want[i], got[i]) {
			continue
		}
		for j := range min(len(want[i]), len(got[i])) {
			if want[i][j] != got[i][j] && bad < 20 {
				t.Errorf("from %U: word %d is %q (%U), the index has %q (%U)", i*block, j, want[i][j], []rune(want[i][j]), got[i][j], []rune(got[i][j]))
				bad++
			}
		}
		if len(want[i]) != len(got[i]) {
			t.Errorf("from %U: %d words, the index has %d", i*block, len(want[i]), len(got[i]))
		}
	}
}

func TestParseQuery(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		q, err := ParseQuery(text)
		if err != nil {
			t.Errorf("ParseQuery(%q): %v", text, err)
		}
		if got := q.String(); got != want {
			t.Errorf("ParseQuery(%q) = %s, want %s", text, got, want)
		}
	}
	f("dasein", "dasein")
	f("  Dasein\n", "dasein")
	f("What is X?", "is what x")              // sorted: the same query however it is put
	f("x is what what IS", "is what x")       // each term once
	f(`"Being and Time"`, `"being and time"`) // phrase
	f(`time "being"`, "being time")           // a phrase of one word is a word
	f(`„Sein und Zeit“ «être»`, `etre "sein und zeit"`)
	f(`a "b c`, "a b c") // never closed
	f(`a"b c"d`, `a "b c" d`)
	f(`"" "!?" a`, "a")   // nothing between the quotes
	f("don't", `"don t"`) // in pieces in the index
	f(`"I don't"`, `"i don t"`)
	f("電車 a電b", `"a 電 b" "電 車"`)
	f("AND OR* NOT:near", `and "not near" or`)
	for _, text := range []string{"", " \n\t", "!?", `""`, "🤔", "\x00", "\xff", "\u0301", "\u00ad", "*"} {
		if q, err := ParseQuery(text); err != ErrNoTerms || len(q.Terms) > 0 {
			t.Errorf("ParseQuery(%q) = %v, %v, want ErrNoTerms", text, q, err)
		}
	}
}

func TestParseQueryBound(t *testing.T) {
	numbers := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("w" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + " ")
		}
		return b.String()
	}
	f := func(text string, terms int, truncated bool) {
		t.Helper()
		q, err := ParseQuery(text)
		if err != nil || len(q.Terms) != terms || q.Truncated != truncated {
			t.Errorf("ParseQuery(%.40q…): %d terms, truncated %v, error %v, want %d and %v", text, len(q.Terms), q.Truncated, err, terms, truncated)
		}
	}
	f(numbers(MaxQueryWords), MaxQueryWords, false)
	f(numbers(MaxQueryWords)+" !? ", MaxQueryWords, false)
	f(numbers(MaxQueryWords+1), MaxQueryWords, true)
	f(numbers(5*MaxQueryWords), MaxQueryWords, true)
	f(`"`+numbers(2*MaxQueryWords)+`" a b`, 1, true) // one phrase, cut short
	f(strings.Repeat("a ", 10_000), 1, true)
	f(strings.Repeat("a", 10_000), 1, false)
}

func TestFTS5(t *testing.T) {
	f := func(q Query, want string) {
		t.Helper()
		got, err := q.fts5()
		if err != nil || got != want {
			t.Errorf("%v: %s, %v, want %s", q, got, err, want)
		}
	}
	f(Query{Terms: []Term{{Words: []string{"a"}}}}, `"a"`)
	f(Query{Terms: []Term{{Words: []string{"a", "b"}}, {Words: []string{"c"}}}}, `"a b" "c"`)
	f(Query{Terms: []Term{{Words: []string{`a" OR "b`}}, {}}}, `"a or b"`) // made by hand
	if _, err := (Query{Terms: []Term{{}}}).fts5(); err != ErrNoTerms {
		t.Errorf("error %v, want ErrNoTerms", err)
	}
}

// FuzzParseQuery holds that any text gives a query or ErrNoTerms, that the
// query's words are as the index has them, and that its String is read back as itself.
func FuzzParseQuery(f *testing.F) {
	for _, text := range []string{
		"", `"`, `a "b c" d`, "AND OR NOT NEAR(a b)", "a* ^b c:d", "🤔 düşünce", "a\x00b", "\xff\xfe", "!?…", "İıßς", "がㄱㅏ", "don't 電車", "“x”", strings.Repeat("w ", 100),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text)
		if err != nil {
			if err != ErrNoTerms || len(q.Terms) != 0 {
				t.Fatalf("ParseQuery(%q) = %v, %v", text, q, err)
			}
			return
		}
		n := 0
		for _, term := range q.Terms {
			for _, w := range term.Words {
				n++
				if !utf8.ValidString(w) || words.Fold(w) != w || words.IndexText(w) != w {
					t.Errorf("ParseQuery(%q): word %q is not as the index has it: %q", text, w, words.IndexText(w))
				}
			}
		}
		if n == 0 || n > MaxQueryWords {
			t.Errorf("ParseQuery(%q): %d words", text, n)
		}
		again, err := ParseQuery(q.String())
		again.Truncated = q.Truncated
		if diff := cmp.Diff(q, again); err != nil || diff != "" {
			t.Errorf("ParseQuery(%q).String() = %q is read as another query, %v:\n%s", text, q, err, diff)
		}
	})
}
