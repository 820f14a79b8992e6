package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func hash(seed uint64, n, passages int) string {
	h := sha256.New()
	for b := range Books(seed, n, passages) {
		fmt.Fprintf(h, "%q %q %q\n", b.Title, b.Author, b.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The books are part of published measurements: they must never change by accident.
func TestGolden(t *testing.T) {
	queries := sha256.Sum256([]byte(strings.Join(Queries(1, 1000), "\n")))
	got := fmt.Sprintf("books 1 100 5000 %s\nbooks 2 7 100 %s\nqueries 1 1000 %s\n",
		hash(1, 100, 5000), hash(2, 7, 100), hex.EncodeToString(queries[:]))
	for b := range Books(1, 3, 3) {
		got += fmt.Sprintf("\n%s, by %s\n\n%s", b.Title, b.Author, b.Text)
	}
	const golden = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the demo library changed (-want +got):\n%s", diff)
	}
}

func TestBooksOfAnotherSeedDiffer(t *testing.T) {
	if hash(1, 3, 30) == hash(2, 3, 30) {
		t.Error("seeds 1 and 2 give the same books")
	}
}

// Longer and larger libraries contain the smaller ones, which Queries builds on.
func TestBooksOnlyGrow(t *testing.T) {
	small, large := slices.Collect(Books(5, 10, 20)), slices.Collect(Books(5, 40, 2000))
	for i, b := range small {
		if b.Title != large[i].Title || b.Author != large[i].Author {
			t.Errorf("book %d is %q by %q in the small library, %q by %q in the large", i, b.Title, b.Author, large[i].Title, large[i].Author)
		}
		if !strings.HasPrefix(large[i].Text, b.Text) {
			t.Errorf("book %d: the large library does not begin with the small one's text", i)
		}
	}
}

func TestBooksCounts(t *testing.T) {
	f := func(n, passages, wantBooks int) {
		t.Helper()
		count, wordCount := 0, 0
		for b := range Books(1, n, passages) {
			count++
			wordCount += len(strings.Fields(b.Text))
			if !utf8.ValidString(b.Text) || b.Title == "" || b.Author == "" {
				t.Errorf("book %d is not whole: %q by %q", count, b.Title, b.Author)
			}
		}
		if count != wantBooks {
			t.Errorf("Books(1, %d, %d) gave %d books, want %d", n, passages, count, wantBooks)
		}
		// A paragraph more per book is the least that a book can overshoot by.
		if want := max(passages, wantBooks) * wordsPerPassage; wordCount < want || wordCount > want+want/10+wantBooks*120 {
			t.Errorf("Books(1, %d, %d) has %d words, want about %d", n, passages, wordCount, want)
		}
	}
	f(100, 5000, 100) // the default
	f(7, 100, 7)      // does not divide
	f(3, 1, 3)        // fewer passages than books
	f(0, 0, 1)        // out of range counts as 1
	f(-5, -5, 1)      // so does this
}

// A reader who stops early stops the writer.
func TestBooksStops(t *testing.T) {
	for range Books(1, 1<<30, 1<<40) {
		break
	}
}

func TestTitlesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for b := range Books(DefaultSeed, DefaultBooks, DefaultBooks) {
		key := b.Title + " / " + b.Author
		if seen[key] {
			t.Errorf("two books are %s", key)
		}
		seen[key] = true
	}
}

func frequencies() map[string]int {
	count := map[string]int{}
	for b := range Books(DefaultSeed, DefaultBooks, DefaultPassages) {
		for _, word := range strings.FieldsFunc(strings.ToLower(b.Text), func(r rune) bool { return !unicode.IsLetter(r) && r != '-' }) {
			count[word]++
		}
	}
	return count
}

// The searches of the documentation must find something, and enough of it to page through.
func TestTriedWordsOccur(t *testing.T) {
	count := frequencies()
	f := func(word string, least int) {
		t.Helper()
		if count[word] < least {
			t.Errorf("%q occurs %d times, want at least %d", word, count[word], least)
		}
	}
	f("dasein", 500)
	f("test", 500)
	f("x", 300)
	f("consciousness", 500)
	f("düşünce", 200)
	f("bilinç", 200)
	f("time", 2000)
	f("being", 1000)
	f("memory", 1000)
}

// Over ranks 1 to 5,000 the log of the frequency falls about as the log of the
// rank (slope -1 in English prose; templates flatten the head a little).
func TestZipf(t *testing.T) {
	var counts []float64
	for _, c := range frequencies() {
		counts = append(counts, float64(c))
	}
	if len(counts) < 10000 {
		t.Errorf("the vocabulary has %d words, want at least 10,000", len(counts))
	}
	sort.Sort(sort.Reverse(sort.Float64Slice(counts)))
	var n, sx, sy, sxx, sxy float64
	for rank := 1.0; rank <= 5000; rank *= 1.2 { // even steps of the logarithm
		x, y := math.Log(rank), math.Log(counts[int(rank)-1])
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	if slope := (n*sxy - sx*sy) / (n*sxx - sx*sx); slope > -0.8 || slope < -1.4 {
		t.Errorf("log frequency over log rank has slope %.2f, want between -1.4 and -0.8", slope)
	} else {
		t.Logf("slope %.2f over %d words", slope, len(counts))
	}
}

func TestQueries(t *testing.T) {
	var text strings.Builder
	for b := range Books(3, DefaultBooks, DefaultPassages) {
		text.WriteString(b.Text)
	}
	whole := text.String()
	log := Queries(3, 4000)
	if len(log) != 4000 {
		t.Fatalf("Queries(3, 4000) gave %d", len(log))
	}
	kinds, distinct := map[string]int{}, map[string]int{}
	for _, q := range log {
		distinct[q]++
	}
	for q := range distinct {
		fields := strings.Fields(q)
		switch {
		case strings.HasPrefix(q, `"`):
			kinds["phrase"]++
			if !strings.Contains(whole, strings.Trim(q, `"`)) {
				t.Errorf("the phrase %s does not occur", q)
			}
		case len(fields) <= 3 && len(fields) > 0:
			kinds[fmt.Sprint(len(fields))]++
		default:
			t.Errorf("odd query %q", q)
		}
	}
	share := func(kind string, want float64) {
		t.Helper()
		if got := float64(kinds[kind]) / float64(len(distinct)); math.Abs(got-want) > 0.1 {
			t.Errorf("share of kind %s is %.2f, want about %.2f", kind, got, want)
		}
	}
	share("1", 0.4)
	share("2", 0.3)
	share("3", 0.2)
	share("phrase", 0.1)
	if top := distinct["dasein"]; top < 100 {
		t.Errorf("the most popular query comes %d times in 4,000, want a repetition a cache can use", top)
	}
	if Queries(3, 0) != nil || len(Queries(3, 1)) != 1 {
		t.Error("a log of 0 or 1 queries has another length")
	}
}

func TestInflection(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(plural("lens"), "lenses")
	f(plural("diary"), "diaries")
	f(plural("key"), "keys")
	f(plural("leaf"), "leaves")
	f(thirdPerson("carry"), "carries")
	f(thirdPerson("touch"), "touches")
	f(past("deny"), "denied")
	f(past("delay"), "delayed")
	f(past("move"), "moved")
	f(articleOf("hour"), "an")
	f(articleOf("unit"), "a")
	f(articleOf("old"), "an")
	f(roman(1994), "MCMXCIV")
}

func BenchmarkBooks(b *testing.B) {
	for b.Loop() {
		for range Books(DefaultSeed, DefaultBooks, DefaultPassages) {
		}
	}
}
