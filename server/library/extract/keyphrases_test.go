package extract

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func passagesOf(contents ...string) []Passage {
	var out []Passage
	for _, c := range contents {
		out = append(out, Passage{Content: c, Words: countWords(c)})
	}
	return out
}

func names(ks []Keyphrase) []string {
	var out []string
	for _, k := range ks {
		out = append(out, k.Name)
	}
	return out
}

func find(t *testing.T, ks []Keyphrase, name string) Keyphrase {
	t.Helper()
	for _, k := range ks {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("no keyphrase %q among %q", name, names(ks))
	return Keyphrase{}
}

func englishLexicon() *lexicon {
	return &lexicon{spellings: map[string]entry{}, classes: map[string]uint32{}, language: "en", stops: englishStops}
}

// TestRakeScores checks the sums by hand, on one passage: deg(red)=2+2=4 freq 2, deg(light)=2+1=3 freq 2, deg(ray)=2 freq 1.
func TestRakeScores(t *testing.T) {
	r := newRake(englishLexicon())
	r.passage("The red light and the red ray are of the light, 17 ABC IV x.")
	want := map[string]float64{"light red": 4.0/2 + 3.0/2, "ray red": 4.0/2 + 2, "light": 3.0 / 2}
	got := make(map[string]float64)
	for p, score := range r.found {
		var ws []string
		for stem, class := range r.classes {
			if slices.Contains(p[:], class) {
				ws = append(ws, stem)
			}
		}
		slices.Sort(ws)
		got[strings.Join(ws, " ")] = score
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scores (-want +got):\n%s", diff)
	}
	for p, c := range r.candidates {
		if c.referenced != 1 || c.extracted != 1 != (r.found[p] < 4) {
			t.Errorf("candidate of score %v: %+v, want only the best of three content words extracted", r.found[p], c)
		}
	}
}

// TestEssentiality ranks by extracted²/referenced: what is seldom among the best of the passages it is in falls behind.
func TestEssentiality(t *testing.T) {
	r := newRake(newLexicon(nil))
	r.candidates = map[phrase]*candidate{
		{10}: {extracted: 5, referenced: 10, score: 99}, // 2.5
		{11}: {extracted: 4, referenced: 4, score: 1},   // 4
		{12}: {extracted: 1, referenced: 1, score: 99},  // in one passage only
		{13}: {extracted: 0, referenced: 50},
	}
	var got []float64
	for _, b := range r.best(10, 100) {
		got = append(got, b.essential)
	}
	if diff := cmp.Diff([]float64{4, 2.5}, got); diff != "" {
		t.Errorf("essentiality (-want +got):\n%s", diff)
	}
	if n := len(r.best(10, 5)); n != 3 {
		t.Errorf("in a short text %d candidates are left, want 3", n)
	}
}

func TestKeyphrasesFold(t *testing.T) {
	var contents []string
	for i := range 6 {
		contents = append(contents, []string{
			"We saw that the White Light was bent by the prism in the dark room.",
			"The white lights are then seen through it and the Prisms.",
			"It is white light again; the angle of incidence is what matters to the observer.",
			"They call it light white as the Angle of the Incidence was so.",
			"For the angles of incidence were the same for her and for him, IV and 12 and x and ABC.",
			"A WHITE LIGHT is then in the box, and the angle of incidence with it.",
		}[i])
	}
	ks := Keyphrases(passagesOf(contents...), 50)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 5}, find(t, ks, "white light").Passages); diff != "" {
		t.Errorf("passages of white light (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 3, 4, 5}, find(t, ks, "angle of incidence").Passages); diff != "" {
		t.Errorf("passages of angle of incidence (-want +got):\n%s", diff)
	}
	for _, k := range ks {
		if len(k.Name) < 3 || k.Name == "ABC" || strings.ContainsAny(k.Name, "0123456789") {
			t.Errorf("junk keyphrase %q", k.Name)
		}
		if k.Score <= 0 || k.Score > 1 || len(k.Passages) == 0 || !slices.IsSorted(k.Passages) {
			t.Errorf("keyphrase %+v", k)
		}
	}
	if ks[0].Score != 1 {
		t.Errorf("the best has score %v, want 1", ks[0].Score)
	}
}

func TestKeyphrasesTurkish(t *testing.T) {
	var contents []string
	for range 4 {
		contents = append(contents,
			"Bilinç, kendinde olan bir şey değildir; bilinç akışı her zaman bir şeye yönelir ve bu yönelim için dünya gerekir.",
			"Varlık sorusu ise çok eski bir sorudur, ama bilinç akışı olmadan varlık sorusu da sorulamaz, çünkü o zaman soran yoktur.",
			"Bilincin kendisi değil, BİLİNÇ AKIŞI ve onun zamanla ilgisi burada önemlidir.")
	}
	got := names(Keyphrases(passagesOf(contents...), 5))
	for _, want := range []string{"bilinç akışı", "Varlık sorusu"} {
		if !slices.Contains(got, want) && !slices.Contains(got, strings.ToLower(want)) {
			t.Errorf("keyphrases %q, want %q among them", got, want)
		}
	}
}

// TestKeyphrasesOtherLanguages reads German with stop words taken from the text itself.
func TestKeyphrasesOtherLanguages(t *testing.T) {
	var contents []string
	for i := range 30 {
		contents = append(contents, fmt.Sprintf("Und so ist das reine Bewusstsein in der Welt und der Mensch ist in ihr das Wesen%c, die Frage nach dem Sinn und dem Sein ist so alt", 'a'+i%26))
	}
	ks := Keyphrases(passagesOf(contents...), 20)
	for _, k := range ks {
		for w := range strings.FieldsSeq(k.Name) {
			if slices.Contains([]string{"und", "ist", "das", "der", "die", "in", "so", "dem"}, w) {
				t.Errorf("keyphrase %q has a stop word of German", k.Name)
			}
		}
	}
}

func TestKeyphrasesFewPassages(t *testing.T) {
	if ks := Keyphrases(nil, 10); len(ks) != 0 {
		t.Errorf("Keyphrases of nothing = %q", names(ks))
	}
	if ks := Keyphrases(passagesOf("12 34. --- IV x"), 10); len(ks) != 0 {
		t.Errorf("Keyphrases of junk = %q", names(ks))
	}
	if ks := Keyphrases(passagesOf("The pale horse came to the old town at night and nobody saw the pale horse leave it again."), 10); len(ks) == 0 || ks[0].Name != "pale horse" {
		t.Errorf("Keyphrases of one passage = %q", names(ks))
	}
	if ks := Keyphrases(passagesOf("red light, blue light, green light, dark light, old light, new light"), 2); len(ks) > 2 {
		t.Errorf("max 2 gave %q", names(ks))
	}
}

// TestKeyphrasesBounded makes a book in which no two words are the same.
func TestKeyphrasesBounded(t *testing.T) {
	var ps []Passage
	word := func(n int) string {
		b := []byte("q")
		for ; n > 0; n /= 20 {
			b = append(b, "bcdfghjklmnpqrstvwyz"[n%20])
		}
		return string(b)
	}
	n := 0
	for range 1500 {
		var b strings.Builder
		for range 120 {
			n++
			b.WriteString(word(n) + ". ")
		}
		b.WriteString("the purple velvet curtain was with it.")
		ps = append(ps, Passage{Content: b.String()})
	}
	r := newRake(englishLexicon())
	r.most = 5000
	for _, p := range ps {
		r.passage(p.Content)
		if len(r.candidates) > r.most {
			t.Fatalf("%d candidates, want %d at most", len(r.candidates), r.most)
		}
	}
	if best := r.best(1, len(ps)); len(best) != 1 || best[0].essential < 1000 {
		t.Errorf("the only phrase that comes back was forgotten: %+v", best)
	}
	start := time.Now()
	Keyphrases(ps, 10)
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("1,500 passages took %v", d)
	}
}

func TestCoOccurrences(t *testing.T) {
	every := func(step, of int) (out []int) {
		for i := 0; i < of; i += step {
			out = append(out, i)
		}
		return out
	}
	ks := []Keyphrase{
		{Name: "rays", Passages: every(2, 100)},
		{Name: "red rays", Passages: every(4, 100)},       // within "rays", left out
		{Name: "prism", Passages: every(4, 100)},          // always with "red rays"
		{Name: "salt", Passages: []int{1, 3, 5, 7, 9}},    // never with the above
		{Name: "tartar", Passages: []int{1, 3, 5, 7, 11}}, // nearly always with "salt"
		{Name: "all", Passages: every(1, 100)},            // with everything, so with nothing in particular
		{Name: "once", Passages: []int{1}},
	}
	got := CoOccurrences(ks, 100, 10)
	var pairs []string
	for _, p := range got {
		pairs = append(pairs, ks[p.A].Name+"+"+ks[p.B].Name)
		if p.Weight <= 0 || p.Weight > 1 || p.A >= p.B {
			t.Errorf("pair %+v", p)
		}
	}
	want := []string{"red rays+prism", "salt+tartar", "rays+prism"}
	if diff := cmp.Diff(want, pairs); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
	if n := len(CoOccurrences(ks, 100, 2)); n != 2 {
		t.Errorf("max 2 gave %d pairs", n)
	}
	if ps := CoOccurrences(ks, 0, 10); ps != nil {
		t.Errorf("no passages gave %v", ps)
	}
	if ps := CoOccurrences(ks, 5, 10); len(ps) == 0 {
		t.Error("passages beyond the count broke it")
	}
}

func TestCompanyWeight(t *testing.T) {
	// Two phrases in the same 10 of 100 passages: NPMI is 1, the discount (10/11)².
	if got, want := companyWeight(10, 10, 10, 100), 100.0/121; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("companyWeight = %v, want %v", got, want)
	}
	if got := companyWeight(1, 10, 10, 100); got > 1e-9 {
		t.Errorf("independent phrases weigh %v, want 0", got)
	}
	if got := companyWeight(100, 100, 100, 100); got != 0 {
		t.Errorf("phrases in every passage weigh %v, want 0", got)
	}
}
