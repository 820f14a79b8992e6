package loadtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func scanAll(doc string, paths ...string) ([]string, error) {
	var parsed []jsonPath
	for _, p := range paths {
		path, err := parsePath(p)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, path)
	}
	var got []string
	err := scanJSON([]byte(doc), parsed, func(i int, value []byte) {
		got = append(got, fmt.Sprintf("%d:%s", i, value))
	})
	return got, err
}

func TestScanJSON(t *testing.T) {
	const doc = ` {"total_count": 2, "deep":{"a":{"b":[10,[20,21]]}}, "r\u0065sults":[{"id":1,"title":"x\"y"},{"id":-2.5e3},{}],"null":null } `
	f := func(want []string, paths ...string) {
		t.Helper()
		got, err := scanAll(doc, paths...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", paths, diff)
		}
	}
	f([]string{"0:2"}, "total_count")
	f([]string{"0:1", "0:-2.5e3"}, "results[*].id") // also under a key with escapes
	f([]string{"0:-2.5e3"}, "results[1].id")
	f(nil, "results[7].id")
	f(nil, "results.id") // an array has no keys
	f(nil, "deep[0]")
	f([]string{"1:21", "0:[20,21]"}, "deep.a.b[1]", "deep.a.b[1][1]") // inner values first
	f([]string{`0:{"a":{"b":[10,[20,21]]}}`}, "deep")
	f([]string{"0:null"}, "null")
	f([]string{"0:2", `2:"x\"y"`}, "total_count", "title", "results[0].title")
	if got, err := scanAll(`[[1],[2,3]]`, "[*][0]", "[1][1]"); err != nil || !cmp.Equal(got, []string{"0:1", "0:2", "1:3"}) {
		t.Errorf("an array at the top gives %q, %v", got, err)
	}
	if got := unquote([]byte(`"a\u00fcb\n"`)); got != "aüb\n" {
		t.Errorf("unquote gives %q", got)
	}
}

func TestScanJSONFaults(t *testing.T) {
	f := func(doc, why string) {
		t.Helper()
		if _, err := scanAll(doc, "a"); err == nil {
			t.Errorf("%s: %q is taken for JSON", why, doc)
		}
	}
	f("", "nothing")
	f("{", "cut")
	f(`{"a":1`, "cut behind a member")
	f(`{"a":1,}`, "a comma too many")
	f(`{"a" 1}`, "no colon")
	f(`{a:1}`, "no quotes")
	f(`[1 2]`, "no comma")
	f(`"a`, "no closing quote")
	f("\"a\nb\"", "a line break in a string")
	f(`"\x41"`, "an escape JSON has not")
	f(`"\u12g4"`, "a hex digit that is none")
	f("01", "a leading zero")
	f("1.", "no digit behind the point")
	f("-", "no digit")
	f("1e+", "no exponent")
	f("tru", "a cut word")
	f("{} {}", "two values")
	f("<html>", "a page")
	f(strings.Repeat("[", maxDepth+2)+strings.Repeat("]", maxDepth+2), "too deep")
}

func FuzzScanJSON(f *testing.F) {
	for _, doc := range []string{`{"results":[{"id":1},{"id":"x"}],"a":{"b":[true,false,null]}}`, `[1.5e-3,"\u00e9\\"]`, "{", " 7 ", `{"a":1,}`} {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		values, err := scanAll(doc, "results[*].id", "a.b[0]", "[1]", "a")
		if valid := json.Valid([]byte(doc)); valid != (err == nil) {
			t.Fatalf("scanJSON(%q) = %v, json.Valid says %v", doc, err, valid)
		}
		for _, v := range values {
			if !json.Valid([]byte(v[2:])) && err == nil {
				t.Fatalf("%q: found %q, which is no JSON", doc, v)
			}
		}
	})
}

func BenchmarkScanJSON(b *testing.B) {
	var results []map[string]any
	for i := range 20 {
		results = append(results, map[string]any{"id": i, "title": "Being and Time", "content": strings.Repeat("words of a passage ", 40)})
	}
	doc, err := json.Marshal(map[string]any{"total_count": 20, "results": results})
	if err != nil {
		b.Fatal(err)
	}
	var paths []jsonPath
	for _, p := range []string{"total_count", "results[*].id"} {
		path, err := parsePath(p)
		if err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			if err := scanJSON(doc, paths, func(int, []byte) {}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			json.Valid(doc)
		}
	})
}
