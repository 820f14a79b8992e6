package store

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/tomehub/tomehub/server/words"
)

func TestOracleText(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		q, err := ParseQuery(text)
		if err != nil {
			t.Fatalf("ParseQuery(%q): %v", text, err)
		}
		if got, err := q.oracleText(); err != nil || got != want {
			t.Errorf("%q is written %q, %v, want %q", text, got, err, want)
		}
	}
	f("Being", "{being}")
	f("time being", "{being} & {time}")
	f(`"being and time" heidegger`, "{being} {and} {time} & {heidegger}") // a phrase binds closer than &
	f("NOT near WITHIN about", "{about} & {near} & {not} & {within}")     // reserved words are words
	f("a% $b -c {d} (e) f_g ?h !i", "{a} & {b} & {c} & {d} & {e} & {f} {g} & {h} & {i}")
	f("don't", "{don} {t}")
	f(strings.Repeat("x", 57), "{"+strings.Repeat("x", 57)+"}") // the longest that stands as it is
	f(strings.Repeat("x", 58), "{x"+"5ef8b2e5e7a040f31df9cf316b81c923"+"}")

	for _, q := range []Query{{}, {Terms: []Term{{}}}, {Terms: []Term{{Words: []string{"!", "{}"}}}}} {
		if got, err := q.oracleText(); !errors.Is(err, ErrNoTerms) {
			t.Errorf("%v is written %q, %v", q, got, err)
		}
	}
	byHand := Query{Terms: []Term{{Words: []string{"a} or {b", "C"}}}}
	if got, err := byHand.oracleText(); err != nil || got != "{a} {or} {b} {c}" {
		t.Errorf("a query made by hand is written %q, %v", got, err)
	}
}

// TestOracleTextFits holds that the longest query is a plain bind.
func TestOracleTextFits(t *testing.T) {
	var text strings.Builder
	for i := range MaxQueryWords + 3 {
		text.WriteString(strings.Repeat("x", maxTokenBytes-2) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + " ")
	}
	q, err := ParseQuery(text.String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := q.oracleText()
	if err != nil || len(q.Terms) != MaxQueryWords || len(got) < 3900 || len(got) > 4000 {
		t.Errorf("%d terms are %d bytes, %v, want at most 4000", len(q.Terms), len(got), err)
	}
}

// TestOracleWords holds that a text's words and a query's are the same, whatever their length.
func TestOracleWords(t *testing.T) {
	long, other := strings.Repeat("д", 40), strings.Repeat("д", 40)+"x"
	text := oracleWords(words.IndexText("short " + long + ", " + other + " end"))
	for _, w := range []string{"short", long, other, "end"} {
		q, err := ParseQuery(w)
		if err != nil {
			t.Fatal(err)
		}
		query, err := q.oracleText()
		if err != nil || strings.Count(" "+text+" ", " "+strings.Trim(query, "{}")+" ") != 1 {
			t.Errorf("%q, written %q, is not once in %q (%v)", w, query, text, err)
		}
	}
	if got := oracleWords("a few short words"); got != "a few short words" {
		t.Errorf("short words became %q", got)
	}
}

// FuzzOracleText holds that whatever was typed, a query is words in braces and nothing else: a
// DRG-50901 would be a syntax error made by a user.
func FuzzOracleText(f *testing.F) {
	for _, seed := range []string{"being", `"a b" c`, "}", "{", "}}", "{a}b{", "a & b | c ~ d", "a}} OR {{b", "%", "\\{", "a\x00b", "İ", "ß", "電車", "\xff", strings.Repeat("x", 70)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text)
		if err != nil {
			return
		}
		// Also as a caller who has not cut it into words.
		for _, q := range []Query{q, {Terms: []Term{{Words: []string{text}}}}} {
			got, err := q.oracleText()
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			for term := range strings.SplitSeq(got, " & ") {
				for w := range strings.SplitSeq(term, " ") {
					inner, ok := strings.CutPrefix(w, "{")
					inner, closed := strings.CutSuffix(inner, "}")
					if !ok || !closed || inner == "" || len(inner) > maxTokenBytes || strings.ContainsFunc(inner, isOperator) {
						t.Fatalf("%q is written %q", text, got)
					}
				}
			}
		}
	})
}

func isOperator(r rune) bool {
	return r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}
