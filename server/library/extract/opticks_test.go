package extract

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var opticksOnce = sync.OnceValues(func() ([]byte, error) {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, err
		}
		root = strings.TrimSpace(string(out))
	}
	return os.ReadFile(filepath.Join(root, "src", "testdata", "Isaac.Newton-Opticks.txt"))
})

// opticks returns Newton's Opticks, which every Go distribution carries as test data.
func opticks(t testing.TB) []byte {
	t.Helper()
	data, err := opticksOnce()
	if err != nil {
		t.Skipf("SKIPPED: needs a Go distribution with src/testdata/Isaac.Newton-Opticks.txt under `go env GOROOT`: %v", err)
	}
	return data
}

func readOpticks(t testing.TB) Text {
	t.Helper()
	text, err := Read(opticks(t), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOpticks(t *testing.T) {
	text := readOpticks(t)
	if text.Format != PlainText || text.Title != "OPTICKS" || text.Author != "Sir ISAAC NEWTON, Knt" || text.Language != "en" {
		t.Errorf("Read = %s %q by %q in %q", text.Format, text.Title, text.Author, text.Language)
	}
	ps := Passages(text, 120)
	if len(ps) < 750 || len(ps) > 950 {
		t.Errorf("%d passages of 100,000 words", len(ps))
	}
	f := func(words, chapter string) {
		t.Helper()
		for _, p := range ps {
			if strings.Contains(p.Content, words) {
				if p.Chapter != chapter {
					t.Errorf("%q is in %q, want %q", words, p.Chapter, chapter)
				}
				if p.Page != 0 {
					t.Errorf("%q is on page %d of a file that marks no pages", words, p.Page)
				}
				return
			}
		}
		t.Errorf("no passage has %q", words)
	}
	f("By the Rays of Light I understand its least Parts, and those as well Successive in the same Lines", "THE FIRST BOOK OF OPTICKS / PART I / DEFINITIONS / DEFIN. I")
	f("The Angle of Reflexion is equal to the Angle of Incidence.", "THE FIRST BOOK OF OPTICKS / PART I / AXIOMS / AX. II")
	f("Lights which differ in Colour, differ also in Degrees of Refrangibility.", "THE FIRST BOOK OF OPTICKS / PART I / PROPOSITIONS / PROP. I. THEOR. I")
	f("The Phænomena of Colours in refracted or reflected Light are not caused by new Modifications", "THE FIRST BOOK OF OPTICKS / PART II / PROP. I. THEOR. I")
	f("PROP. XII.\n\nEvery Ray of Light in its passage through any refracting Surface is put into a certain transient Constitution", "THE SECOND BOOK OF OPTICKS / PART III / PROP. XII")
	f("Is not Fire a Body heated so hot as to emit Light copiously?", "THE THIRD BOOK OF OPTICKS / PART I")
	for _, p := range ps {
		for _, no := range []string{"pgdp.net", "Proofreading", "[Illustration", " _", "_ "} {
			if strings.Contains(p.Content, no) {
				t.Errorf("%q was left in %.80q", no, p.Content)
			}
		}
		if p.Words > 300 {
			t.Errorf("a passage of %d words: %.80q", p.Words, p.Content)
		}
	}
}

func TestOpticksKeyphrases(t *testing.T) {
	ps := Passages(readOpticks(t), 120)
	ks := Keyphrases(ps, 100)
	t.Logf("keyphrases: %s", strings.Join(names(ks), ", "))
	got := make(map[string]bool)
	for _, k := range ks {
		got[k.Name] = true
	}
	for _, want := range []string{"refrangible Rays", "thin Plates", "easy Transmission", "homogeneal Light", "Angle of Incidence", "Rings of Colours", "Sun's Light", "Prism"} {
		if !got[want] {
			t.Errorf("no keyphrase %q", want)
		}
	}
	pairs := CoOccurrences(ks, len(ps), 20)
	found := false
	for _, p := range pairs {
		t.Logf("%.2f %s – %s", p.Weight, ks[p.A].Name, ks[p.B].Name)
		found = found || ks[p.A].Name == "Sine of Incidence" && ks[p.B].Name == "Sine of Refraction"
	}
	if !found {
		t.Error("the sines of incidence and refraction are no pair")
	}
}
