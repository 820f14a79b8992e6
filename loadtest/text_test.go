package loadtest

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// rendered renders a template for a user of the seed, twice in a row.
func rendered(t *testing.T, text string, in place, seed uint64) (first, second string) {
	t.Helper()
	tpl, err := compile(text, in, scope{})
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(3, newShared(&Scenario{}, "http://x", "r1"), seed)
	return tpl.render(u), tpl.render(u)
}

// A generated text has the bytes asked for, wherever it stands, and differs from request to request and from user to user
// but not from run to run.
func TestGeneratedText(t *testing.T) {
	for _, n := range []string{"1B", "2B", "59B", "64B", "900B", "1KiB", "4001B", "64KiB", "1MiB"} {
		size, _ := parseQuantity(n, textUnits)
		first, second := rendered(t, "{{text|"+n+"}}", inBody, 7)
		again, _ := rendered(t, "{{text|"+n+"}}", inBody, 7)
		if len(first) != int(size) || first != again || size > 10 && first == second {
			t.Errorf("%s: %d bytes, the same as in another run: %v, as in the next request: %v", n, len(first), first == again, first == second)
		}
		body, _ := rendered(t, `{"content": "{{text|`+n+`}}"}`, inJSON, 7)
		var v struct{ Content string }
		if err := json.Unmarshal([]byte(body), &v); err != nil || v.Content != first {
			t.Errorf("%s in JSON: %v, %d bytes", n, err, len(v.Content))
		}
		if header, _ := rendered(t, "{{text|"+n+"}}", inHeader, 7); len(header) != int(size) || strings.ContainsAny(header, "\r\n") {
			t.Errorf("%s in a header: %d bytes", n, len(header))
		}
	}
}

// The text reads as sentences: capitals, full stops, single blanks, paragraphs.
func TestGeneratedTextIsReadable(t *testing.T) {
	text, _ := rendered(t, "{{text|8KiB}}", inBody, 1)
	paragraphs := strings.Split(text, "\n\n")
	if len(paragraphs) < 10 {
		t.Errorf("%d paragraphs", len(paragraphs))
	}
	words := map[string]bool{}
	for _, p := range paragraphs[:len(paragraphs)-1] {
		sentences := strings.SplitAfter(p, ". ")
		if len(sentences) != sentencesPerParagraph {
			t.Errorf("%d sentences in %q", len(sentences), p)
		}
		for _, s := range sentences {
			if !unicode.IsUpper(rune(s[0])) || !strings.HasSuffix(strings.TrimSpace(s), ".") || strings.Contains(s, "  ") || len(strings.Fields(s)) < 8 {
				t.Errorf("no sentence: %q", s)
			}
			for _, w := range strings.Fields(s) {
				words[w] = true
			}
		}
	}
	if len(words) < 100 {
		t.Errorf("%d different words", len(words))
	}
}

// BenchmarkText is what an upload of 64 KiB costs the generator.
func BenchmarkText(b *testing.B) {
	tpl, err := compile(`{"content": "{{text|64KiB}}"}`, inJSON, scope{})
	if err != nil {
		b.Fatal(err)
	}
	u := newUser(0, newShared(&Scenario{}, "http://x", ""), 1)
	b.SetBytes(64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		tpl.append(make([]byte, 0, tpl.room()), u)
	}
}
