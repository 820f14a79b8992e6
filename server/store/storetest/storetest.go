// Package storetest holds the tests that every store must pass, whatever
// database is behind it.
package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tomehub/tomehub/server/store"
)

// Store is what a dialect implements.
type Store interface {
	SearchIDs(ctx context.Context, scope store.Scope, q store.Query, page store.Page) ([]store.Match, error)
	Count(ctx context.Context, scope store.Scope, q store.Query) (int, error)
	SearchPage(ctx context.Context, scope store.Scope, q store.Query, page store.Page, details bool) (store.MatchPage, error)
	SearchAfter(ctx context.Context, scope store.Scope, q store.Query, afterScore float64, afterID int64, size int, details bool) ([]store.Match, error)
	Titles(ctx context.Context, scope store.Scope, ids []int64) ([]store.Passage, error)
	Passage(ctx context.Context, scope store.Scope, id int64) (store.Passage, error)
	Passages(ctx context.Context, scope store.Scope, ids []int64) ([]store.Passage, error)
	Concepts(ctx context.Context, scope store.Scope, ids []int64, most int) ([]store.Concept, error)
	Relations(ctx context.Context, scope store.Scope, ids []int64, most int) ([]store.Relation, error)
	ConceptsRelations(ctx context.Context, scope store.Scope, ids []int64, most int) ([]store.Concept, []store.Relation, error)
	Books(ctx context.Context, scope store.Scope, page store.Page) ([]store.Book, int, error)
	Book(ctx context.Context, scope store.Scope, id int64) (store.Book, error)
	Ingest(ctx context.Context, b store.NewBook) (store.Ingested, error)
	DeleteBook(ctx context.Context, owner string, id int64) error
	Generation(ctx context.Context, scope store.Scope) (int64, error)
	Owns(ctx context.Context, owner string) bool
	Totals(ctx context.Context, scope store.Scope) (books, passages int, err error)
	Optimize(ctx context.Context) error
	Ping(ctx context.Context) error
	Statements() []store.StatementStats
}

// Conformance runs every test of this package, each on a new, empty store from open.
func Conformance(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"EmptyLibrary", testEmptyLibrary},
		{"RoundTrip", testRoundTrip},
		{"LongTexts", testLongTexts},
		{"ManyRows", testManyRows},
		{"InvalidBooks", testInvalidBooks},
		{"Duplicates", testDuplicates},
		{"DuplicatesTogether", testDuplicatesTogether},
		{"CancelledIngest", testCancelledIngest},
		{"Search", testSearch},
		{"Folding", testFolding},
		{"AnyWordIsFound", testAnyWordIsFound},
		{"HostileQueries", testHostileQueries},
		{"Paging", testPaging},
		{"PathsAgree", testPathsAgree},
		{"Batch", testBatch},
		{"Books", testBooks},
		{"Concepts", testConcepts},
		{"ConceptsMerge", testConceptsMerge},
		{"Owners", testOwners},
		{"DeleteBook", testDeleteBook},
		{"IDsAreNotReused", testIDsAreNotReused},
		{"Generation", testGeneration},
		{"GenerationFollowsCommit", testGenerationFollowsCommit},
		{"StatementsPerCall", testStatementsPerCall},
		{"Optimize", testOptimize},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

var (
	shared = store.Scope{}
	ada    = store.Scope{Owner: "ada"}
	bela   = store.Scope{Owner: "béla/ß 'quote'"}
)

// book returns a book of owner with these passages; its hash is that of its contents.
func book(owner string, contents ...string) store.NewBook {
	sum := sha256.Sum256([]byte(strings.Join(contents, "\x01")))
	b := store.NewBook{Owner: owner, Title: "About " + contents[0], Author: "An Author", SourceType: "text", Hash: hex.EncodeToString(sum[:])}
	for i, c := range contents {
		b.Passages = append(b.Passages, store.NewPassage{
			Content: c, PageNumber: i + 1, Chapter: fmt.Sprintf("Chapter %d", i/2+1),
			Metadata: map[string]any{"author": "An Author", "words": float64(len(strings.Fields(c)))},
		})
	}
	return b
}

func ingest(t testing.TB, s Store, b store.NewBook) store.Ingested {
	t.Helper()
	got, err := s.Ingest(t.Context(), b)
	if err != nil {
		t.Fatalf("Ingest(%q): %v", b.Title, err)
	}
	if got.Duplicate || len(got.PassageIDs) != len(b.Passages) {
		t.Fatalf("Ingest(%q) = %+v, want %d new passages", b.Title, got, len(b.Passages))
	}
	return got
}

func query(t testing.TB, text string) store.Query {
	t.Helper()
	q, err := store.ParseQuery(text)
	if err != nil {
		t.Fatalf("ParseQuery(%q): %v", text, err)
	}
	return q
}

// find returns the ids of the passages that match text, sorted.
func find(t testing.TB, s Store, scope store.Scope, text string) []int64 {
	t.Helper()
	got, err := s.SearchPage(t.Context(), scope, query(t, text), store.Page{Number: 1, Size: store.MaxPageSize}, false)
	if err != nil {
		t.Fatalf("SearchPage(%q): %v", text, err)
	}
	if got.Total != len(got.Matches) {
		t.Errorf("SearchPage(%q): total %d of %d matches", text, got.Total, len(got.Matches))
	}
	ids := matchIDs(got.Matches)
	slices.Sort(ids)
	return ids
}

func matchIDs(ms []store.Match) []int64 {
	var ids []int64
	for _, m := range ms {
		ids = append(ids, m.ID)
	}
	return ids
}

func passageIDs(ps []store.Passage) []int64 {
	var ids []int64
	for _, p := range ps {
		ids = append(ids, p.ID)
	}
	return ids
}

// same reports a difference between what a call gave and what was wanted.
func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func fails(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
