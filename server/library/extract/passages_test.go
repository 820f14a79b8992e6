package extract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// prose makes n sentences of size words each, every word different.
func prose(n, size int, prefix string) string {
	var b strings.Builder
	for i := range n {
		for j := range size {
			if j == 0 {
				fmt.Fprintf(&b, "S%s%d", prefix, i)
			} else {
				fmt.Fprintf(&b, " %s%dx%d", prefix, i, j)
			}
		}
		b.WriteString(". ")
	}
	return strings.TrimSpace(b.String())
}

func TestPassagesSize(t *testing.T) {
	text := Text{Sections: []Section{{Chapter: "One", Paragraphs: []string{prose(100, 13, "a"), prose(3, 40, "b"), prose(40, 7, "c")}}}}
	for _, target := range []int{0, 30, 120, 400} {
		ps := Passages(text, target)
		if target == 0 {
			target = 120
		}
		for i, p := range ps {
			if i < len(ps)-1 && (p.Words < target/2 || p.Words > target*3/2) {
				t.Errorf("target %d: passage %d has %d words", target, i, p.Words)
			}
			if p.Words != len(strings.Fields(p.Content)) {
				t.Errorf("passage %d says %d words, has %d", i, p.Words, len(strings.Fields(p.Content)))
			}
			if !strings.HasSuffix(p.Content, ".") || !strings.HasPrefix(p.Content, "S") {
				t.Errorf("passage %d cuts a sentence: %q … %q", i, p.Content[:20], p.Content[len(p.Content)-20:])
			}
		}
	}
}

func TestPassagesLongSentence(t *testing.T) {
	clause := strings.TrimSuffix(prose(1, 95, "a"), ".") + ", "
	text := Text{Sections: []Section{{Paragraphs: []string{strings.TrimSuffix(strings.Repeat(clause, 6), ", ") + "."}}}}
	ps := Passages(text, 120)
	if len(ps) < 3 {
		t.Fatalf("got %d passages of a sentence of 570 words", len(ps))
	}
	for i, p := range ps {
		if p.Words > 240 || i < len(ps)-1 && !strings.HasSuffix(p.Content, ",") {
			t.Errorf("passage %d of %d words ends in %q, want a clause within 240 words", i, p.Words, p.Content[len(p.Content)-10:])
		}
	}
	mixed := "one two three four five six; seven eight, nine 12:30,5 ten eleven twelve thirteen"
	if cut := cutPoint(mixed, 10); mixed[:cut] != "one two three four five six;" {
		t.Errorf("cut after %q, want it after the semicolon", mixed[:cut])
	}
	ps = Passages(Text{Sections: []Section{{Paragraphs: []string{strings.Repeat("word ", 1000)}}}}, 120)
	for _, p := range ps {
		if p.Words > 240 {
			t.Errorf("passage of %d words without a stop, want 240 at most", p.Words)
		}
	}
	ps = Passages(Text{Sections: []Section{{Paragraphs: []string{strings.Repeat("a", 1<<20)}}}}, 120)
	for _, p := range ps {
		if len(p.Content) > 300*256 {
			t.Errorf("passage of %d bytes out of one endless word", len(p.Content))
		}
	}
}

func TestPassagesChaptersAndPages(t *testing.T) {
	text := Text{Sections: []Section{
		{Chapter: "One", Page: 7, Paragraphs: []string{"First. Second."}},
		{Chapter: "One", Page: 8, Paragraphs: []string{prose(9, 13, "a"), "The light that comes from"}},
		{Chapter: "One", Page: 9, Paragraphs: []string{"the Sun is white. Then more.", prose(9, 13, "b")}},
		{Chapter: "Two", Page: 9, Paragraphs: []string{"Third."}},
		{Chapter: "Two", Page: 10, Paragraphs: []string{"It has every"}},
		{Chapter: "Three", Page: 10, Paragraphs: []string{"new day."}},
	}}
	ps := Passages(text, 120)
	var got []string
	for _, p := range ps {
		words := strings.Fields(p.Content)
		got = append(got, fmt.Sprintf("%s p.%d %s…%s", p.Chapter, p.Page, words[0], words[len(words)-1]))
	}
	want := []string{
		"One p.7 First.…a8x12.",
		"One p.8 The…b8x12.", // the sentence begins on page 8
		"Two p.9 Third.…every",
		"Three p.10 new…day.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("passages (-want +got):\n%s", diff)
	}
	if !strings.Contains(ps[1].Content, "comes from the Sun is white. Then more.\n\nSb0") {
		t.Errorf("the sentence over the page's end is not whole: %q", ps[1].Content[:80])
	}
}

func TestPassagesKeepSpacing(t *testing.T) {
	f := func(want string, paras ...string) {
		t.Helper()
		ps := Passages(Text{Sections: []Section{{Paragraphs: paras}}}, 120)
		if len(ps) != 1 || ps[0].Content != want {
			t.Errorf("Passages(%q) = %+v, want %q", paras, ps, want)
		}
	}
	f("One. Two.\n\nThree.", "One. Two.", "Three.")
	f("光是光。影是影。\n\n是。", "光是光。影是影。", "是。")
	f("The list:\n\n- one\n\n- two", "The list:", "- one", "- two")
	f("A Heading\n\nwords begin small.", "A Heading", "words begin small.")
	f("The ray that falls on the glass is bent by it.", "The ray that falls on the glass", "is bent by it.") // parted by a picture
}

func TestPassagesRemnantJoins(t *testing.T) {
	ps := Passages(Text{Sections: []Section{{Paragraphs: []string{prose(10, 12, "a"), "A last word."}}}}, 120)
	if len(ps) != 1 || !strings.HasSuffix(ps[0].Content, "\n\nA last word.") || ps[0].Words != 123 {
		t.Errorf("got %d passages, want the remnant with the passage before it", len(ps))
	}
}

func TestPassagesOfNothing(t *testing.T) {
	if ps := Passages(Text{}, 120); len(ps) != 0 {
		t.Errorf("Passages of an empty text = %+v", ps)
	}
	if ps := Passages(Text{Sections: []Section{{Paragraphs: []string{"", " "}}}}, 120); len(ps) != 0 {
		t.Errorf("Passages of white space = %+v", ps)
	}
}
