package extract

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSentences(t *testing.T) {
	// A bar shows where a sentence ends.
	f := func(why, marked string, turkish bool) {
		t.Helper()
		want := strings.Split(marked, "|")
		p := strings.ReplaceAll(marked, "|", "")
		var got []string
		sentences(p, turkish, func(start, end int) { got = append(got, p[start:end]) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", why, diff)
		}
	}
	f("plain", "It bends. |It breaks! |Does it? |Yes.", false)
	f("no stop at all", "It bends", false)
	f("title", "Mr. Newton met Dr. Wallis and St. Paul. |They spoke.", false)
	f("such as", "Metals, e.g. Gold, i.e. Aurum, are dense. |So is Lead.", false)
	f("figure", "See Fig. 3. and Fig. 4 there. |Then Prop. II. shows it.", false)
	f("a figure at the end", "This is in Fig. 3. |The Ray bends.", false)
	f("heading of Newton", "PROP. I. THEOR. I.", false)
	f("initials", "By J. S. Bach and G. W. F. Hegel. |He wrote.", false)
	f("a letter that ends the sentence", "Let it fall on the point C. |Then it bends.", false)
	f("a letter before a name", "Harry S. Truman won.", false)
	f("I", "It was he and I. |We left.", false)
	f("decimals", "It is 3.14 or 2.72. |More is not known.", false)
	f("numbered item", "1. Light is here. |2. Dark is there.", false)
	f("no and no.", "He said no. |Then No. 5 came, on p. 12 of vol. IV.", false)
	f("and so on, in the middle and at the end", "Gold, Lead, etc. are metals. |Air, Water, etc. |They are not.", false)
	f("ellipsis", "He thought... and left. |But then... |It rained. |Well… |Perhaps.", false)
	f("quotation after the stop", `"It bends." |"Why?" he asked. |He said "so."`, false)
	f("typographic quotes", "“It bends.” |“It breaks!” she said. |‘No.’ |Yes.", false)
	f("brackets", "It bends (as we saw.) |It breaks. |[So it is.] |Yes.", false)
	f("note marks", "We made it.[J] |Let it be.[12] |And so on.", false)
	f("lower case goes on", "The Sun. shone on us, viz. on me.", false)
	f("degrees", "It is 31 deg. 15 min. and more, at 5 sec. 3 of them.", false)
	f("hours", "At 5 p.m. the U.S. Navy left. |At 6 a.m. |They came back.", false)
	f("stop without a space", "see file.txt or example.com.au. |Yes", false)
	f("dash", "It bends. |— Why? |— It does.", false)
	f("Spanish", "Es así. |¿Por qué? |¡No!", false)
	f("Chinese", "光是光。|影是影！|是吗？|是。", false)
	f("Turkish titles", "Prof. Dr. Kaya ile Av. Demir geldi. |Gittiler.", true)
	f("Turkish and so on", "Elma, armut vb. |Sonra gittik. |Elma vb. meyveler var.", true)
	f("Turkish ordinals", "II. Mehmed 19. Yüzyılda değil, 15. yüzyılda yaşadı. |Bu doğru.", true)
	f("year in English", "It was in 1704. |Queen Anne reigned.", false)
	f("Turkish abbreviation", "Bkz. Heidegger, s. 12. |Orada yazar.", true)
	f("no letter after", "It ends. * * *", false)
	f("stop and spaces at the end", "It ends.  ", false)
}

func TestTerminated(t *testing.T) {
	for _, s := range []string{"a.", "a?", `a."`, "a.)", "a.[12]", "a:", "a…", "a.” "} {
		if !terminated(s) {
			t.Errorf("terminated(%q) = false", s)
		}
	}
	for _, s := range []string{"", "a", "a,", "a (b)", "a [12]", `"a"`, "-"} {
		if terminated(s) {
			t.Errorf("terminated(%q) = true", s)
		}
	}
}

func TestCountWords(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got := countWords(s); got != want {
			t.Errorf("countWords(%.20q) = %d, want %d", s, got, want)
		}
	}
	f("", 0)
	f("  one  two\n\nthree ", 3)
	f("düşünce bir şeydir", 3)
	f("one\u00a0two", 2)
	f("光是光", 2) // two characters are a word
	f("光是光影", 2)
	f("the 光", 2)
	f(strings.Repeat("a", 255), 1)
	f(strings.Repeat("a", 1024), 5) // so that no passage grows without bound
}

func TestSentencesOfAPassage(t *testing.T) {
	f := func(passage string, want ...string) {
		t.Helper()
		var got []string
		for s := range Sentences(passage) {
			got = append(got, s)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", passage, got, want)
		}
	}
	f("")
	f("\n\n \n\n")
	f("One. Two.\n\nThree without a stop\n\nFour.", "One.", "Two.", "Three without a stop", "Four.")
	f("Bu, 19. Yüzyıl için çok önemli bir konu olarak görülür ve daha sonra da öyle kalır; çünkü her şey ona göre olur. Sonra ne oldu?",
		"Bu, 19. Yüzyıl için çok önemli bir konu olarak görülür ve daha sonra da öyle kalır; çünkü her şey ona göre olur.", "Sonra ne oldu?")
	for s := range Sentences("One. Two. Three.\n\nFour.") {
		if s == "Two." {
			break // must not be yielded to again
		}
	}
}
