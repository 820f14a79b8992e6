package words

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestFold(t *testing.T) {
	f := func(input, want string) {
		t.Helper()
		if got := Fold(input); got != want {
			t.Errorf("Fold(%q) = %q, want %q", input, got, want)
		}
	}
	f("", "")
	f("plain", "plain")
	f("Plain TEXT, with 1 dot.", "plain text, with 1 dot.")
	f("Düşünce ĞIŞÖÇ ığışöç", "dusunce gisoc igisoc")
	f("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul")
	f("e\u0301 É \u0301", "e e ") // a mark alone leaves nothing
	f("Straße STRASSE STRAẞE", "strasse strasse strasse")
	f("ΛΌΓΟΣ λόγος", "λογοσ λογοσ")
	f("Ёлка, йод", "елка, иод")
	f("con\u00adscious", "conscious")    // soft hyphen of a typesetter
	f("na\u200dme \ufeff", "name ")      // joiner, byte order mark
	f("ﬁne ｆｕｌｌ ² ½", "fine full 2 1⁄2") // compatibility forms
	f("がか\u3099", "がが")                  // voiced kana is another letter, however it is encoded
	f("ㄱㅏ", "ㄱㅏ")                        // letters shown apart do not become a syllable
	f("é안", "e안")
	f("हिन्दी", "हिन्दी") // vowel signs spell, they are no diacritics
	f("Łódź Ø œ", "lodz o oe")
	f("don’t donʼt", "don’t don't")
	f("a\xffb", "a\uFFFDb")
	f("a\x00B", "a\x00b")
}

// TestFoldProperties holds for every character that its cases fold alike and that folding twice changes nothing.
func TestFoldProperties(t *testing.T) {
	bad := 0
	for r := rune(0); r <= unicode.MaxRune && bad < 20; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Cf) {
			continue // not assigned: no cases
		}
		if r == 0x345 {
			continue // a mark under a letter, whose upper case is a letter
		}
		folded := Fold(string(r))
		for what, other := range map[string]string{
			"upper case": string(unicode.ToUpper(r)), "lower case": string(unicode.ToLower(r)), "title case": string(unicode.ToTitle(r)),
			"its fold": folded, "decomposed": norm.NFD.String(string(r)), "composed": norm.NFC.String(string(r)),
		} {
			if got := Fold(other); got != folded {
				t.Errorf("%U %q folds to %q, its %s %q to %q", r, r, folded, what, other, got)
				bad++
			}
		}
	}
}

// FuzzFold holds that folding twice changes nothing, in whatever form of Unicode a text comes.
func FuzzFold(f *testing.F) {
	for _, text := range []string{"Düşünce", "e\u0301\u0345", "ᄀ\u1161ᆨ", "ㄱㅏ", "か\u3099", "ﷺ ǆ ŉ ẞ ſ", "\xff\xc3", "a\u0315\u0300\u05ae\u0062"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		folded := Fold(text)
		for what, other := range map[string]string{"twice": folded, "NFC": norm.NFC.String(text), "NFD": norm.NFD.String(text)} {
			if got := Fold(other); got != folded {
				t.Errorf("%q folds to %q, %s to %q", text, folded, what, got)
			}
		}
		if !utf8.ValidString(folded) {
			t.Errorf("%q folds to %q, which is not UTF-8", text, folded)
		}
	})
}
