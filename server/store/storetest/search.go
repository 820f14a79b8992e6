package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/tomehub/tomehub/server/store"
)

func testSearch(t *testing.T, s Store) {
	in := ingest(t, s, book("",
		"Being and time by Heidegger",
		"Time and being, said the other",
		"Nothing of either",
		"Being is time is being is time and being again, and then a long tail of words that say little more"))
	id := in.PassageIDs
	found := func(text string, want ...int64) {
		t.Helper()
		same(t, text, find(t, s, shared, text), want)
	}
	found("being", id[0], id[1], id[3])
	found("heidegger", id[0])
	found("being heidegger", id[0])        // every word is required
	found("heidegger being being", id[0])  // in any order, any number of times
	found("being unheard")                 // one that no passage has
	found(`"being and time"`, id[0])       // a phrase, in its order
	found(`"time being"`)                  // not in any order
	found(`"and time" heidegger`, id[0])   // a phrase and a word
	found(`“time and being” other`, id[1]) // quotes as word processors set them
	found(`being "and then`, id[3])        // a quote never closed is no quote
	found("BEING AND heidegger", id[0])    // AND is a word here, and in the passage
	found("being OR nothing")              // so is OR, and in no passage with the others
	found("being NOT time")                // and NOT
	found("heideg*")                       // and no star stands for letters
	found("content:being")                 // no columns: the words are content and being
	found("being -time", id[0], id[1], id[3])

	got, err := s.SearchPage(t.Context(), shared, query(t, "being time"), store.Page{Number: 1, Size: 10}, false)
	ok(t, err)
	for i := 1; i < len(got.Matches); i++ {
		if got.Matches[i-1].Score < got.Matches[i].Score {
			t.Errorf("match %d has score %v after %v: the best come first", i, got.Matches[i].Score, got.Matches[i-1].Score)
		}
	}
	for _, m := range got.Matches {
		if m.Score <= 0 {
			t.Errorf("score %v of passage %d, want more than 0", m.Score, m.ID)
		}
	}
}

func testFolding(t *testing.T, s Store) {
	found := func(content string, texts ...string) {
		t.Helper()
		id := ingest(t, s, book("", content)).PassageIDs[0]
		for _, text := range texts {
			if got := find(t, s, shared, text); len(got) != 1 || got[0] != id {
				t.Errorf("%q in %q: found %v, want passage %d", text, content, got, id)
			}
		}
		in, err := s.SearchPage(t.Context(), shared, query(t, texts[0]), store.Page{Number: 1, Size: 1}, false)
		ok(t, err)
		ok(t, s.DeleteBook(t.Context(), "", in.Matches[0].BookID))
	}
	found("düşünce özgürlüğü", "düşünce", "dusunce", "DÜŞÜNCE", "Dusunce", "özgürlüğü", "ozgurlugu", "ÖZGÜRLÜĞÜ", "düşünce")
	found("ışık ve İstanbul, ılık", "ışık", "isik", "IŞIK", "IŞİK", "istanbul", "İSTANBUL", "ISTANBUL", "ıstanbul", "ILIK")
	found("die Straße, weiß", "straße", "STRASSE", "strasse", "STRAẞE", "WEISS")
	found("ο λόγος της ψυχής", "λόγος", "ΛΌΓΟΣ", "ΛΟΓΟΣ", "λογος", "λογοσ", "ψυχης")
	found("Мой ёж — Йорк", "мой", "МОЙ", "ЕЖ", "ёж", "ЁЖ", "йорк", "Йорк")
	found("I don't; l'homme d’État", "don't", "DON’T", "don t", "l'homme", "homme", "état", "d'etat", `"l homme"`)
	found("a well-known fact of 1984-85", "well-known", "known", "1984", "1984-85", "85")
	found("電車で東京へ 안녕하세요", "電車", "東京", "京へ", "電車で東京へ", "안녕하세요", "안녕하세요")
	found("がっこう カラオケ", "がっこう", "がっ", "カラオケ", "ラオ")
	found("con\u00adscious\u00adness and of\ufb01ce ﬀ", "consciousness", "con\u00adsciousness", "office", "ff")
	found("before\x00after and 🤔between🦆emoji", "before", "after", "between", "emoji", `"before after"`)
	found("mc² ½ ① Ⅳ ｆｕｌｌ", "mc2", "mc²", "½", "iv", "full", "ⅳ")
	found("שָׁלוֹם مُحَمَّد", "שלום", "שָׁלוֹם", "محمد", "مُحَمَّد")
	found("हिन्दी भाषा ภาษาไทย", "हिन्दी", "भाषा", "ภาษาไทย")
	found("Łódź Øresund œuvre Æsir", "lodz", "ŁÓDŹ", "oresund", "OEUVRE", "aesir", "Æsir")
}

// scripts are alphabets from which testAnyWordIsFound makes words.
var scripts = []string{
	"abcxyz", "ABCXYZ", "çğışöüÇĞİŞÖÜâîû", "äöüßÄÖÜẞ", "éèêëàñõÉÈñø", "αβγδςσΣάέήίόύώϊΐ", "абвгёйжЁЙЩщ",
	"電車東京人", "ひらがなカタカナ", "안녕하세요", "0123456789", "²½①Ⅳ٣", "שלום", "محمد", "हिन्दी", "ภาษาไทย",
	"e\u0301a\u0308o\u0328s\u0327", "ﬁﬀﬃǆŉſ", "ꙮꚃⱥ", "𐐀𝒜𞤀", "აბგ", "Աբգ", "ሀለሐ",
}

// testAnyWordIsFound holds that each word of a text is found by itself, in upper
// case and without its diacritics, whatever separates it from the next.
func testAnyWordIsFound(t *testing.T, s Store) {
	rng := rand.New(rand.NewPCG(1, 2))
	separators := []string{" ", "\n", ", ", ". ", " — ", "\x00", " 🤔 ", "; ", "\u200b", "\u00a0", "(", ")", " \"", "\uFFFD"}
	var contents []string
	var all [][]string
	for range 60 {
		var text strings.Builder
		var words []string
		for range 20 {
			w := randomWord(rng)
			words = append(words, w)
			text.WriteString(w + separators[rng.IntN(len(separators))])
		}
		contents, all = append(contents, text.String()), append(all, words)
	}
	in := ingest(t, s, book("", contents...))
	for i, words := range all {
		for _, w := range words {
			for _, text := range []string{w, strings.ToUpper(w), strings.ToLower(w), withoutDiacritics(w), norm.NFD.String(w), norm.NFC.String(w)} {
				q, err := store.ParseQuery(text)
				if errors.Is(err, store.ErrNoTerms) {
					t.Fatalf("word %q as %q: %v", w, text, err)
				}
				ids, err := s.SearchIDs(t.Context(), shared, q, store.Page{Number: 1, Size: store.MaxPageSize})
				ok(t, err)
				if !contains(ids, in.PassageIDs[i]) {
					t.Errorf("word %q (%U) is not found as %q (%U)", w, []rune(w), text, []rune(text))
				}
			}
		}
	}
}

// randomWord returns a word of one script that begins with a letter or a digit,
// now and then of two with an apostrophe or hyphen between.
func randomWord(rng *rand.Rand) string {
	for {
		letters := []rune(scripts[rng.IntN(len(scripts))])
		word := make([]rune, 1+rng.IntN(7))
		for i := range word {
			word[i] = letters[rng.IntN(len(letters))]
		}
		if !unicode.IsLetter(word[0]) && !unicode.IsNumber(word[0]) {
			continue
		}
		if rng.IntN(8) == 0 {
			return string(word) + []string{"'", "’", "-", "_"}[rng.IntN(4)] + randomWord(rng)
		}
		return string(word)
	}
}

// withoutDiacritics is written apart from the code that it tests: it takes the
// combining diacritical marks off the decomposed letters.
func withoutDiacritics(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if r < 0x300 || r > 0x36F {
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

func contains(ms []store.Match, id int64) bool {
	for _, m := range ms {
		if m.ID == id {
			return true
		}
	}
	return false
}

// Hostile are query texts that have broken search boxes; none may give an error
// other than ErrNoTerms. Fuzz tests begin with them.
var Hostile = []string{
	"", " ", "\x00", `"`, `""`, `"""`, `'`, `"a`, `a"`, `"a" "b`, "AND", "OR", "NOT", "NEAR", "a AND", "AND b", "NOT NOT", "NEAR(a b, 2)", "a NEAR b",
	"*", "a*", "*a", "^a", "^", "a ^ b", "content:a", "a:b", "-a", "+a", "{a b}:c", "(a", "a)", "()", "a + b", "a || b", "a\\b", "%", "_", "?", "?1", ":query", ";",
	"'; DROP TABLE TOMEHUB_CONTENT; --", "🤔", "🦆🫠", "a🤔b", "\u0301", "e\u0301", "\xff\xfe", "a\xffb", "\xed\xa0\x80", "\ufeffa", "\u202ea", "ı", "İ", "ß", "\u00ad",
	"!?.,;:", "…—", "½", "\U000F0000", "\uE000", "a\x00b", "a\nb\tc", "𐐀", "𞤀", "\u3099", "が", "ᄀ", "ﷺ", "null", "NULL", "0", "-1", "1e9", "0x00", "a\u200db",
}

func testHostileQueries(t *testing.T, s Store) {
	id := ingest(t, s, book("", "a plain passage with a letter")).PassageIDs[0]
	texts := append([]string{
		strings.Repeat("word ", 2000), strings.Repeat("x", 10_000), strings.Repeat(`"`, 10_000), strings.Repeat("é", 5000), strings.Repeat("車", 3000),
		strings.Repeat("(", 10_000), strings.Repeat("a-", 5000), strings.Repeat("NOT ", 2500), strings.Repeat(`"a b" `, 1600), strings.Repeat("\x00", 10_000),
	}, Hostile...)
	for _, text := range texts {
		name := text
		if len(name) > 40 {
			name = fmt.Sprintf("%.40q… (%d bytes)", text, len(text))
		}
		q, err := store.ParseQuery(text)
		if err != nil {
			if err != store.ErrNoTerms {
				t.Errorf("ParseQuery(%q): %v", name, err)
			}
			continue
		}
		ids, err := s.SearchIDs(t.Context(), shared, q, store.Page{Number: 1, Size: 10})
		ok(t, err)
		n, err := s.Count(t.Context(), shared, q)
		ok(t, err)
		page, err := s.SearchPage(t.Context(), shared, q, store.Page{Number: 1, Size: 10}, true)
		ok(t, err)
		if len(ids) != n || page.Total != n || len(page.Matches) != n {
			t.Errorf("%q: %d ids, count %d, page of %d with total %d", name, len(ids), n, len(page.Matches), page.Total)
		}
	}
	same(t, "still there", find(t, s, shared, "plain"), []int64{id})
	// A query that no text parses to, as a caller might build it.
	for _, q := range []store.Query{{Terms: []store.Term{{Words: []string{`pl"ain`, "x\x00y"}}}}, {Terms: []store.Term{{Words: []string{"PLAIN"}}, {}}}} {
		_, err := s.SearchIDs(t.Context(), shared, q, store.Page{Number: 1, Size: 10})
		ok(t, err)
	}
	_, err := s.SearchIDs(t.Context(), shared, store.Query{}, store.Page{Number: 1, Size: 10})
	fails(t, "empty query", err, store.ErrNoTerms)
	_, err = s.Count(t.Context(), shared, store.Query{Terms: []store.Term{{Words: []string{"!"}}}})
	fails(t, "query without words", err, store.ErrNoTerms)
}
