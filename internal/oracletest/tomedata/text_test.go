package tomedata

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestParseText(t *testing.T) {
	good := func(query, want string) {
		t.Helper()
		terms, err := parseText(query)
		if got := fmt.Sprint(terms); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", query, got, err, want)
		}
	}
	good("{time}", "[[TIME]]")
	good("{being} {and} {time} & {heidegger}", "[[BEING AND TIME] [HEIDEGGER]]")
	good("{being and time}&{a}", "[[BEING AND TIME] [A]]")
	good("{a} AND {b} and{c}", "[[A] [B] [C]]")
	for _, bad := range []string{
		"", "time", "{time", "time}", "{}", "{!}", "{a} &", "& {a}", "{a} | {b}", "{a} b", "{a}%", "-{a}", "{a} ANDY", "({a})", "{a}} {b}", "{a} AND", "{a},{b}",
	} {
		_, err := parseText(bad)
		wantCode(t, err, 29902)
		if err != nil && !strings.Contains(err.Error(), "DRG-50901") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The index finds what looking at every text finds, whatever was added and removed, in whatever order.
func TestIndexAgreesWithLooking(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"A", "B", "C", "D", "E", "F"}
	x := &textIndex{words: map[string][]posting{}}
	texts := map[int64]string{}
	for round := range 60 {
		fresh, gone := map[int64]string{}, map[int64]string{}
		for id, text := range texts {
			if rng.IntN(10) == 0 {
				gone[id] = text
			}
		}
		for range 5 {
			id := rng.Int64N(40) + rng.Int64N(3)*sharedEnd
			if texts[id] != "" {
				continue
			}
			var text []string
			for range 1 + rng.IntN(8) {
				text = append(text, words[rng.IntN(len(words))])
			}
			fresh[id] = strings.Join(text, " ")
		}
		x.remove(gone)
		x.add(fresh)
		for id := range gone {
			delete(texts, id)
		}
		for id, text := range fresh {
			texts[id] = text
		}
		for range 20 {
			var phrase term
			for range 1 + rng.IntN(3) {
				phrase = append(phrase, words[rng.IntN(len(words))])
			}
			other := term{words[rng.IntN(len(words))]}
			in := span{sharedEnd, 2*sharedEnd - 1}
			var want []int64
			for id, text := range texts {
				padded := " " + text + " "
				if in.has(id) && strings.Contains(padded, " "+strings.Join(phrase, " ")+" ") && strings.Contains(padded, " "+other[0]+" ") {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			var got []int64
			for _, m := range x.search([]term{phrase, other}, in) {
				got = append(got, m.id)
				if m.score < 1 || m.score > 100 {
					t.Errorf("score %d", m.score)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("round %d, %v and %v: found %v, want %v", round, phrase, other, got, want)
			}
		}
	}
}

func TestScores(t *testing.T) {
	x := &textIndex{words: map[string][]posting{}}
	texts := map[int64]string{}
	for id := range int64(100) {
		texts[id] = "common"
	}
	texts[7], texts[9] = "common rare rare rare", "common rare"
	x.add(texts)
	f := func(word string, want ...scored) {
		t.Helper()
		got := byScore(x.search([]term{{word}}, span{1, 0}))
		if len(got) > len(want) {
			got = got[:len(want)]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", word, got, want)
		}
	}
	f("RARE", scored{7, 24}, scored{9, 8})                // 3f(1 + log10(100/2))
	f("COMMON", scored{0, 3}, scored{1, 3}, scored{2, 3}) // the same scores in the order of ids
	for _, terms := range [][]term{{{"RARE"}, {"COMMON"}}, {{"COMMON"}, {"RARE"}}} {
		if got := x.search(terms, span{1, 0}); len(got) != 2 || got[0].score != 3 {
			t.Errorf("of both: %v, want the lower score of each", got)
		}
	}
	texts = map[int64]string{1000: strings.Repeat("many ", 90)}
	x.add(texts)
	f("MANY", scored{1000, 100}) // at most
}

func FuzzParseText(f *testing.F) {
	for _, seed := range []string{"{a} & {b}", "{a} {b}", "{", "}", "{a}}", "{é車} AND {x}", "\xff{a}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		terms, err := parseText(query)
		if err == nil && len(terms) == 0 {
			t.Errorf("%q: no terms and no error", query)
		}
		if err == nil && strings.ContainsAny(query, "()|-%_,;") && !strings.Contains(query, "{") {
			t.Errorf("%q passed", query)
		}
	})
}

func FuzzTokens(f *testing.F) {
	for _, seed := range []string{"SELECT a FROM b", "/* x", "'it''s'", ":bind = 'x' -- c\n(", "\xff\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		w, err := tokens(sql)
		if err != nil {
			return
		}
		for _, word := range w {
			if word == "" {
				t.Errorf("%q has an empty token", sql)
			}
		}
		_, _ = New().parseText(sql)
	})
}

// 5,000 passages, a search for two words of which each is in a third of them.
func BenchmarkSearch(b *testing.B) {
	d := migrated(b)
	c := d.client(b)
	rng := rand.New(rand.NewPCG(1, 2))
	for id := range 5000 {
		var words []string
		for range 120 {
			words = append(words, fmt.Sprintf("w%d", int(300*rng.Float64()*rng.Float64())))
		}
		addPassage(b, c, id+1, strings.Join(words, " "))
	}
	c.commit()
	for name, query := range map[string]string{"word": "{w20}", "two": "{w20} & {w50}", "phrase": "{w1} {w2}"} {
		b.Run(name, func(b *testing.B) {
			text := file(b, "search_page_details")
			for b.Loop() {
				c.must(text, "query", query, "lo", 1, "hi", 0, "offset", 0, "page_size", 50)
			}
		})
	}
}
