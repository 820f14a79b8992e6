package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
	"github.com/tomehub/tomehub/server/store/storetest"
)

// FuzzSearch holds that any text gives matches, none, or ErrNoTerms, and that a
// passage made of the text is found by it.
func FuzzSearch(f *testing.F) {
	for _, text := range storetest.Hostile {
		f.Add(text)
	}
	f.Add(strings.Repeat("düşünce ", 1250))
	f.Add(strings.Repeat("x", 10_000))
	s := open(f, filepath.Join(f.TempDir(), "library.db"), store.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		q, err := store.ParseQuery(text)
		if errors.Is(err, store.ErrNoTerms) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SearchPage(t.Context(), store.Scope{}, q, store.Page{Number: 1, Size: 10}, true); err != nil {
			t.Fatalf("%q as %s: %v", text, q, err)
		}
		in, err := s.Ingest(t.Context(), store.NewBook{Owner: "fuzz", Hash: "x", Passages: []store.NewPassage{{Content: text}}})
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.Count(t.Context(), store.Scope{Owner: "fuzz"}, q)
		if err != nil || n != 1 {
			t.Errorf("%q as %s: found in %d of one passage, %v", text, q, n, err)
		}
		if err := s.DeleteBook(t.Context(), "fuzz", in.BookID); err != nil {
			t.Fatal(err)
		}
	})
}
