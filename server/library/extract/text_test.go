package extract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chapters returns the chapters of a text in order, each once.
func chapters(t Text) []string {
	var out []string
	for i, s := range t.Sections {
		if i == 0 || s.Chapter != t.Sections[i-1].Chapter {
			out = append(out, s.Chapter)
		}
	}
	return out
}

func paragraphs(t Text) []string {
	var out []string
	for _, s := range t.Sections {
		out = append(out, s.Paragraphs...)
	}
	return out
}

func TestKeywordHeadline(t *testing.T) {
	f := func(line string, rank int) {
		t.Helper()
		h, ok := keywordHeadline(line)
		if ok != (rank > 0) || h.rank != rank {
			t.Errorf("keywordHeadline(%q) = %+v, %v; want rank %d", line, h, ok, rank)
		}
	}
	f("CHAPTER I", rankChapter)
	f("CHAPTER I.", rankChapter)
	f("Chapter 12: The Whale", rankChapter)
	f("Chapter One", rankChapter)
	f("CHAP. IV. Of Ideas", rankChapter)
	f("BOOK TWO", rankBook)
	f("THE FIRST BOOK OF OPTICKS", rankBook)
	f("PART III", rankPart)
	f("Part Three — The Sea", rankPart)
	f("SECT. II.", rankScene)
	f("PROP. I. THEOR. I.", rankArticle)
	f("DEFIN. VIII.", rankArticle)
	f("DEFINITION.", rankArticle)
	f("Bölüm 3", rankChapter)
	f("BÖLÜM 3: Varlık", rankChapter)
	f("3. Bölüm", rankChapter)
	f("III. BÖLÜM", rankChapter)
	f("BİRİNCİ BÖLÜM", rankChapter)
	f("Birinci Kısım", rankPart)
	f("Kapitel 7", rankChapter)
	f("PREFACE", rankChapter)
	f("Preface to the Second Edition", rankChapter)
	f("ÖNSÖZ", rankChapter)
	f("Advertisement to this Fourth Edition", rankChapter)

	f("Chapter 3 describes how light bends.", 0)
	f("Part of it was lost.", 0)
	f("Part I of the plan was never done.", 0)
	f("The first book I read was long.", 0)
	f("Book me a room", 0)
	f("chapter 3", 0)
	f("Act I saw with my own eyes, and was not moved at all by what I saw there then, sir.", 0)
	f("Introduction of new rules", 0)
	f("The second part", 0)
	f("", 0)
	f("I", 0)
}

func TestRoman(t *testing.T) {
	for n := 1; n < 4000; n++ {
		if got := roman(writeRoman(n)); got != n {
			t.Fatalf("roman(%q) = %d, want %d", writeRoman(n), got, n)
		}
	}
	for _, s := range []string{"", "IIII", "VV", "IC", "CIVIL", "DIM", "iv", "MMMM", "XIIV"} {
		if got := roman(s); got != 0 {
			t.Errorf("roman(%q) = %d, want none", s, got)
		}
	}
}

func TestTextChapters(t *testing.T) {
	const body = "\n\nIt was a bright cold day in April, and the clocks were striking.\n\n"
	f := func(name, src string, want ...string) {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, chapters(mustRead(t, src))); diff != "" {
				t.Errorf("chapters (-want +got):\n%s", diff)
			}
		})
	}
	f("levels", "BOOK ONE\n\nCHAPTER I"+body+"CHAPTER II"+body+"BOOK TWO\n\nCHAPTER I"+body,
		"BOOK ONE / CHAPTER I", "BOOK ONE / CHAPTER II", "BOOK TWO / CHAPTER I")
	f("title on the next line", "CHAPTER I.\nDown the Rabbit-Hole"+body, "CHAPTER I. Down the Rabbit-Hole")
	f("title after a blank line", "CHAPTER I\n\nLOOMINGS"+body, "CHAPTER I. LOOMINGS")
	f("first sentence is no title", "CHAPTER I\n\nIt was he."+body, "CHAPTER I")
	f("one heading on four lines", "THE\n\nSECOND BOOK\n\nOF\n\nOPTICKS\n\n_PART I._"+body+"_a_ and _b_"+body, "THE SECOND BOOK OF OPTICKS / PART I")
	f("capitals", body+"THE END OF THE WORLD"+body, "", "THE END OF THE WORLD")
	f("initials are no heading", body+"I. N."+body, "")
	f("a speaker is no heading", strings.Repeat("HAMLET."+body, 20)+strings.Repeat(body, 60), "")
	f("a book all in capitals has no headings in capitals", strings.Repeat("IT WAS HE\n\nAND NOT SHE\n\n", 20), "")
	f("Roman numerals count on", "I"+body+"II"+body+"III"+body, "I", "II", "III")
	f("a numeral out of order is none", body+"VII"+body, "")
	f("a sentence that begins like a heading", body+"Part I of the plan was never done."+body, "")
	f("Turkish", "BİRİNCİ KISIM\n\nBÖLÜM 1"+body+"BÖLÜM 2"+body, "BİRİNCİ KISIM / BÖLÜM 1", "BİRİNCİ KISIM / BÖLÜM 2")
}

func TestTextHeadingsAreText(t *testing.T) {
	got := mustRead(t, "BOOK ONE\n\nCHAPTER I\n\nIt was he.\n\nCHAPTER II\n\nCHAPTER III")
	want := []Section{
		{Chapter: "BOOK ONE / CHAPTER I", Paragraphs: []string{"BOOK ONE", "CHAPTER I", "It was he."}},
		{Chapter: "BOOK ONE / CHAPTER III", Paragraphs: []string{"CHAPTER II", "CHAPTER III"}},
	}
	if diff := cmp.Diff(want, got.Sections); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

func TestTextParagraphs(t *testing.T) {
	f := func(name, src string, want ...string) {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, paragraphs(mustRead(t, src))); diff != "" {
				t.Errorf("paragraphs (-want +got):\n%s", diff)
			}
		})
	}
	f("lines are joined", "one two\nthree\n\nfour", "one two three", "four")
	f("line ends of other systems", "one\r\ntwo\r\n\r\nthree\rfour", "one two", "three four")
	f("blank lines with spaces", "one\n  \t\ntwo", "one", "two")
	f("rules are drawn, not written", "one\n\n* * *\n\n-----+----\n\ntwo", "one", "two")
	f("bullets", "List:\n- one\n  more\n- two", "List:", "- one more", "- two")
	f("long lines are paragraphs", strings.Repeat("word ", 60)+"\n"+strings.Repeat("term ", 60), strings.TrimSpace(strings.Repeat("word ", 60)), strings.TrimSpace(strings.Repeat("term ", 60)))
	f("indented first lines", "  One a\nb\nc\nd\n  Two e\nf\ng", "One a b c d", "Two e f g")
	f("a word cut at the line's end", "This re-\nfraction and the refraction", "This refraction and the refraction")
	f("a hyphen that is the word's own", "The Royal-\nSociety and a well-\nknown man", "The Royal-Society and a well-known man")
	f("a dash is no hyphen", "He went --\nand came", "He went -- and came")
	f("emphasis", "_The_ first\n\n_One_ and _two words_, max_size and __init__ stay.", "The first", "One and two words, max_size and __init__ stay.")
	f("underscores without emphasis", "call max_size of _private", "call max_size of _private")
	f("pictures", "one [x]\n\n[Illustration]\n\n[Illustration: FIG. 3.]\n\n[Illustration: The Queen of Hearts]\n\ntwo", "one [x]", "The Queen of Hearts", "two")
}

func TestTextTitlePage(t *testing.T) {
	f := func(src, title, author string) {
		t.Helper()
		got := mustRead(t, src)
		if got.Title != title || got.Author != author {
			t.Errorf("Read(%.40q): title %q author %q, want %q, %q", src, got.Title, got.Author, title, author)
		}
	}
	f("MOBY-DICK;\n\nor, THE WHALE\n\nBy Herman Melville\n\nCHAPTER 1. Loomings.\n\nCall me Ishmael.", "MOBY-DICK", "Herman Melville")
	f("It was he.\n\nAnd by the sea.", "", "")
	f("CHAPTER I\n\nBy the sea.", "", "")
	f("First line of several\nsecond line\n\nBy and by he came home to us all, and we were glad of it.", "", "")
}

func TestGutenberg(t *testing.T) {
	const src = "\ufeffThe Project Gutenberg eBook of Opticks, by Isaac Newton\r\n\r\nThis eBook is for the use of anyone anywhere.\r\n\r\n" +
		"Title: Opticks\r\n       or, a Treatise of Light\r\n\r\nAuthor: Isaac Newton\r\n\r\nRelease Date: August 23, 2010\r\n\r\nLanguage: English\r\n\r\n" +
		"*** START OF THE PROJECT GUTENBERG EBOOK OPTICKS ***\r\n\r\nProduced by Suzanne and others at http://www.pgdp.net\r\n\r\nCHAPTER I\r\n\r\nLight is Light.\r\n\r\n" +
		"*** END OF THE PROJECT GUTENBERG EBOOK OPTICKS ***\r\n\r\nUpdated editions will replace the previous one.\r\n"
	want := Text{
		Format: PlainText, Title: "Opticks or, a Treatise of Light", Author: "Isaac Newton", Language: "en",
		Sections: []Section{{Chapter: "CHAPTER I", Paragraphs: []string{"CHAPTER I", "Light is Light."}}},
	}
	if diff := cmp.Diff(want, mustRead(t, src)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	old := strings.Replace(src, "*** START OF THE PROJECT GUTENBERG EBOOK OPTICKS ***", "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*", 1)
	if got := mustRead(t, old); got.Title != want.Title || len(got.Sections) != 1 {
		t.Errorf("old licence: %+v", got)
	}
	split := strings.Replace(src, "EBOOK OPTICKS ***\r\n\r\nProduced", "EBOOK OPTICKS OR, A\r\nTREATISE OF LIGHT ***\r\n\r\nProduced", 1)
	if diff := cmp.Diff(want, mustRead(t, split)); diff != "" {
		t.Errorf("mark on two lines (-want +got):\n%s", diff)
	}
	if got := mustRead(t, "*** START OF the day\n\nText of it."); len(paragraphs(got)) != 2 {
		t.Errorf("a line of asterisks is no licence: %+v", got)
	}
}

// pagesOfWords returns the page of the first section that has each word.
func pageOf(t Text, word string) int {
	for _, s := range t.Sections {
		for _, p := range s.Paragraphs {
			if strings.Contains(p, word) {
				return s.Page
			}
		}
	}
	return -1
}

func TestTextPages(t *testing.T) {
	page := func(n int) string { return fmt.Sprintf("Words of page w%d here and\nthere are more of them.", n) }
	f := func(name, src string, want map[string]int) {
		t.Run(name, func(t *testing.T) {
			text := mustRead(t, src)
			for word, n := range want {
				if got := pageOf(text, word); got != n {
					t.Errorf("%s is on page %d, want %d", word, got, n)
				}
			}
			for _, p := range paragraphs(text) {
				if _, ok := pageNumber(p); ok && !strings.HasSuffix(name, "are no pages") {
					t.Errorf("page number %q was left in the text", p)
				}
			}
		})
	}
	var feeds, footers, headers, running, inline []string
	for n := 1; n <= 9; n++ {
		feeds = append(feeds, page(n))
		footers = append(footers, page(n+20)+fmt.Sprintf("\n\n              - %d -\n", n+20))
		headers = append(headers, fmt.Sprintf("%d\n\n", n+20)+page(n+20))
		running = append(running, fmt.Sprintf("THE BOOK OF WORDS    %d\n", n+3)+page(n+3))
		inline = append(inline, fmt.Sprintf("[Pg %d] ", n+6)+page(n+6))
	}
	f("form feeds", strings.Join(feeds, "\f"), map[string]int{"w1 ": 1, "w2 ": 2, "w9 ": 9})
	f("form feeds with printed numbers", strings.Join(footers, "\f"), map[string]int{"w21 ": 21, "w29 ": 29})
	f("form feeds with running heads", strings.Join(running, "\f"), map[string]int{"w4 ": 4, "w12 ": 12})
	f("numbers below the page", strings.Join(footers, "\n"), map[string]int{"w21 ": 21, "w25 ": 25, "w29 ": 29})
	f("numbers above the page", strings.Join(headers, "\n\n"), map[string]int{"w21 ": 21, "w25 ": 25, "w29 ": 29})
	f("marks in the text", strings.Join(inline, "\n\n"), map[string]int{"w7 ": 7, "w15 ": 15})
	f("a mark within a sentence", "The light [Pg 3] bends here.\n\nAnd there.", map[string]int{"light": 0, "bends": 3, "there": 3})
	f("years are no pages", "Chronicle here\n\n1066\n\nNormans came.\n\n1215\n\nCharter signed.\n\n1492\n\nSailed west.\n\n1776\n\nDeclared it.", map[string]int{"Normans": 0})
	var figures []string
	for n := range 20 {
		figures = append(figures, fmt.Sprintf("%d\n\nFigure f%d here.", []int{7, 7, 8, 3, 3, 4, 90, 90, 91, 12}[n%10], n))
	}
	f("figures that now and then count on are no pages", strings.Join(figures, "\n\n"), map[string]int{"f3": 0, "f12": 0})
	f("no pages", "One.\n\nTwo.", map[string]int{"One": 0})
}
