package answer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func extracted(t *testing.T, query string, contents ...string) Result {
	t.Helper()
	r := Request{Query: query}
	for i, c := range contents {
		r.Passages = append(r.Passages, Passage{ID: int64(i + 1), Content: c})
	}
	a := open(t, Config{})
	var seen reader
	got, err := a.Answer(t.Context(), r, seen.emit)
	if err != nil {
		t.Fatal(err)
	}
	if seen.text.String() != got.Text {
		t.Errorf("pieces %q are not the text %q", seen.text.String(), got.Text)
	}
	again, _ := a.Answer(t.Context(), r, nil)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("asked twice: %s", diff)
	}
	return got
}

func TestExtractive(t *testing.T) {
	f := func(why, query string, contents []string, text string, ids ...int64) {
		t.Helper()
		got := extracted(t, query, contents...)
		if got.Text != text || !slices.Equal(got.PassageIDs, ids) || got.Source != SourceExtractive || got.Degraded {
			t.Errorf("%s: %+v\nwant %q from %d", why, got, text, ids)
		}
	}
	f("the sentence with the word", "dasein", []string{"Nothing here at all to see. Dasein asks about its own being."}, "Dasein asks about its own being. [1]", 1)
	f("folded as searches are", "DÜŞÜNCE ışık", []string{"Burada hiçbir şey yok gibi görünüyor. DUSUNCE bir ISIK olarak gelir bize."}, "DUSUNCE bir ISIK olarak gelir bize. [1]", 1)
	f("in the order of the passages", "colour", []string{"A colour is a ray of light.", "White is every colour mixed at once."},
		"A colour is a ray of light. [1]\nWhite is every colour mixed at once. [2]", 1, 2)
	f("two of one passage are one source", "colour", []string{"A colour is a ray of light. White is every colour mixed at once."},
		"A colour is a ray of light. [1]\nWhite is every colour mixed at once. [1]", 1)
	f("said once", "colour", []string{"A colour is a ray of the light.", "Surely a colour is a ray of light!"}, "A colour is a ray of the light. [1]", 1)
	f("a note mark is no citation", "colour", []string{"A colour [3] is a ray of light.[12]"}, "A colour is a ray of light. [1]", 1)
	f("a title matched, no sentence does", "opticks", []string{"A colour is a ray. White is all.", "Other."}, "A colour is a ray. [1]", 1)
	f("line breaks of the source", "colour", []string{"A colour\nis a ray\tof  light."}, "A colour is a ray of light. [1]", 1)
	f("empty passages", "colour", []string{"", " \n\n "}, "")
}

// A rare word weighs more than several that are in every sentence.
func TestRareWordsWeighMore(t *testing.T) {
	const filler = "The ray is in the glass of the window. The ray is on the wall and the floor. The ray is what we see of the light."
	r := Request{Query: "is the ray refraction", Passages: []Passage{{ID: 1, Content: filler + " Refraction bends whatever passes between two media."}}}
	for i := range 4 {
		r.Passages = append(r.Passages, Passage{ID: int64(i + 2), Content: filler})
	}
	got, err := open(t, Config{MaxSentences: 1}).Answer(t.Context(), r, nil)
	if err != nil || got.Text != "Refraction bends whatever passes between two media. [1]" {
		t.Errorf("%q, %v", got.Text, err)
	}
}

func TestExtractiveBounds(t *testing.T) {
	var contents []string
	for i := range 200 {
		contents = append(contents, strings.Repeat(fmt.Sprintf("Colour number%d is one%d of many%d things that I saw. ", i, i, i), 3))
	}
	got := extracted(t, "colour", contents...)
	if n := strings.Count(got.Text, "\n") + 1; n != 5 {
		t.Errorf("%d sentences, want 5", n)
	}
	if slices.Max(got.PassageIDs) > MaxPassages {
		t.Errorf("drawn from %v, beyond the bound", got.PassageIDs)
	}
	// Text without a full stop is quoted in parts, and never beyond the bound.
	got = extracted(t, "colour", strings.Repeat("ğüzel colour ", 20_000))
	if len(got.Text) > 2048 || !strings.Contains(got.Text, "…") || !utf8.ValidString(got.Text) {
		t.Errorf("%d bytes: %.100q", len(got.Text), got.Text)
	}
	got = extracted(t, "ğ", strings.Repeat("ğ", 50_000))
	if len(got.Text) > 2048 || !utf8.ValidString(got.Text) {
		t.Errorf("%d bytes: %.100q", len(got.Text), got.Text)
	}
	// More words than there are bits for.
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "w%d ", i)
	}
	if got = extracted(t, many.String(), many.String()+"."); got.Text == "" {
		t.Error("no answer to a long question")
	}
}

func TestNothingFound(t *testing.T) {
	for _, cfg := range []Config{{}, {Chat: Chat{URL: "http://127.0.0.1:1", Model: "m"}}} {
		a := open(t, cfg)
		got, err := a.Answer(t.Context(), Request{Query: "dasein"}, func(Piece) error { t.Error("a piece of nothing"); return nil })
		if diff := cmp.Diff(Result{PassageIDs: []int64{}, Source: SourceNone}, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		a.Close()
	}
}

// BenchmarkExtractive answers from a page of matches as the library cuts them.
func BenchmarkExtractive(b *testing.B) {
	r := Request{Query: "what is the light of the sun"}
	for i := range 50 {
		var text strings.Builder
		for j := range 8 { // sentences of 15 words
			fmt.Fprintf(&text, "The light number%d of the sun is in part%d a ray that I saw there%d. ", i*8+j, j, i)
		}
		r.Passages = append(r.Passages, Passage{ID: int64(i + 1), Content: text.String()})
	}
	a := open(b, Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Answer(b.Context(), r, nil); err != nil {
			b.Fatal(err)
		}
	}
}
