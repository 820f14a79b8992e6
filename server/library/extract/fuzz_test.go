package extract

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// fuzzLimits are small, so that a fuzzer's bombs are cheap.
var fuzzLimits = Limits{MaxBytes: 1 << 20, MaxTextBytes: 4 << 20, MaxEntries: 100}

func FuzzRead(f *testing.F) {
	for _, s := range []string{
		"", " ", "Hello.", "CHAPTER I\n\nThe\n\nSECOND BOOK\n\nOF\n\nLIGHT\n\n[Pg 3] text_ _a_ re-\nfraction\n\f12\n",
		"Title: A\n*** START OF THE PROJECT GUTENBERG EBOOK ***\nx\n*** END OF", "# A\n\n[b](c) **d**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[^1]: n\n",
		"---\ntitle: x\n---\n> > - 1) a\n", "% T\n% A\n\nx", "<!doctype html><title>t<nav><p>a<h1>b<span class=pagenum>[Pg 2]</span></nav>",
		`<?xml version="1.0" encoding="latin1"?><html><title/><script/><p>x` + "\xe9", "%PDF-1", "\x1f\x8b", "PK\x03\x04", "PK\x05\x06",
		encode16(binary.BigEndian, "Ünïcode 𝔄"), "\xff\xfea", "a\x00b", "\xef\xbb\xbf\xff", "<a " + strings.Repeat("b ", 100),
	} {
		f.Add([]byte(s))
	}
	f.Add(packEPUB(f, spineOf("a.xhtml"), file{"OEBPS/a.xhtml", page("<h1>A</h1><p>b</p>")}))
	f.Add(packEPUB(f, strings.Replace(spineOf("a.xhtml", "n.xhtml"), "<itemref idref=\"i1\"/>", "", 1), file{"OEBPS/a.xhtml", page("<p id=x>b</p>")},
		file{"OEBPS/n.xhtml", `<nav epub:type="toc"><ol><li><a href="a.xhtml#x">T</a></li></ol></nav>`}))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		text, err := Read(data, fuzzLimits)
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("%d bytes took %v", len(data), d)
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Kind < Empty || e.Kind > Unsupported || e.Detail == "" {
				t.Fatalf("error %#v, want a whole *Error", err)
			}
			if !utf8.ValidString(e.Detail) {
				t.Errorf("detail %q is not UTF-8", e.Detail)
			}
			return
		}
		checkText(t, text)
		ps := Passages(text, 20)
		checkPassages(t, text, ps)
		ks := Keyphrases(ps, 20)
		for _, k := range ks {
			for _, i := range k.Passages {
				if i < 0 || i >= len(ps) {
					t.Fatalf("keyphrase %q in passage %d of %d", k.Name, i, len(ps))
				}
			}
		}
		CoOccurrences(ks, len(ps), 20)
	})
}

// checkText holds what Text and Section promise.
func checkText(t *testing.T, text Text) {
	t.Helper()
	if !text.hasWords() {
		t.Error("a text without words")
	}
	for _, s := range text.Sections {
		if len(s.Paragraphs) == 0 || s.Page < 0 || utf8.RuneCountInString(s.Chapter) > chapterLevels*(chapterRunes+4) {
			t.Errorf("section %+v", s)
		}
		for _, p := range s.Paragraphs {
			if p == "" || p != squeeze(p) || !utf8.ValidString(p) {
				t.Errorf("paragraph %q is not one squeezed line", p)
			}
		}
	}
}

// checkPassages holds that no word is lost and none invented, that none is longer than promised, and that no passage spans
// chapters.
func checkPassages(t *testing.T, text Text, ps []Passage) {
	t.Helper()
	var whole, cut strings.Builder
	endless := false
	chapter := make(map[string]bool)
	for _, s := range text.Sections {
		chapter[s.Chapter] = true
		for _, p := range s.Paragraphs {
			whole.WriteString(p + "\n")
		}
	}
	for _, p := range ps {
		cut.WriteString(p.Content + "\n")
		if !chapter[p.Chapter] || p.Words <= 0 || p.Content != strings.TrimSpace(p.Content) {
			t.Errorf("passage %+v", p)
		}
	}
	for w := range strings.FieldsSeq(whole.String()) {
		endless = endless || countWords(w) > 1 || strings.ContainsAny(w, "。！？，、；：")
	}
	if !endless {
		a, b := strings.Fields(whole.String()), strings.Fields(cut.String())
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("word %d of the text is %q, of the passages %q", i, a[i], b[i])
			}
		}
		if len(a) != len(b) {
			t.Fatalf("the text has %d words, the passages %d", len(a), len(b))
		}
		return
	}
	// A word counted as several, or with a stop that needs no space after it, may be cut, and then only its characters are kept together.
	solid := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, s)
	}
	if a, b := solid(whole.String()), solid(cut.String()); a != b {
		t.Fatalf("the passages have other characters than the text:\n%q\n%q", b, a)
	}
}

func FuzzPassages(f *testing.F) {
	f.Add("One. Two! Three?\nFour... five", uint8(3))
	f.Add("#A\nMr. B. said \"no.\" He left.[1]\n#B\nlower goes on", uint8(2))
	f.Add("光是光。影是影！\nthe 光 of", uint8(1))
	f.Add("@7\nThe light that comes from\n@8\nthe Sun is white.", uint8(100))
	f.Add(strings.Repeat("clause of words, and more; ", 40), uint8(4))
	f.Add(strings.Repeat("a", 5000)+" \u00a0 b", uint8(2))
	f.Fuzz(func(t *testing.T, src string, target uint8) {
		// A line that begins with # opens a chapter, one with @ a page.
		text := Text{Sections: []Section{{}}}
		for line := range strings.SplitSeq(strings.ToValidUTF8(src, "?"), "\n") {
			last := &text.Sections[len(text.Sections)-1]
			switch {
			case strings.HasPrefix(line, "#"):
				text.Sections = append(text.Sections, Section{Chapter: line, Page: last.Page})
			case strings.HasPrefix(line, "@"):
				text.Sections = append(text.Sections, Section{Chapter: last.Chapter, Page: len(line)})
			default:
				last.Paragraphs = append(last.Paragraphs, line)
			}
		}
		ps := Passages(text, int(target))
		checkPassages(t, text, ps)
		goal := int(target)
		if goal == 0 {
			goal = 120
		}
		for _, p := range ps {
			if p.Words > goal*5/2+1 {
				t.Errorf("a passage of %d words, target %d", p.Words, goal)
			}
		}
	})
}
