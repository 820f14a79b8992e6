package storetest

import (
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

func testConcepts(t *testing.T, s Store) {
	ctx := t.Context()
	b := book("", "p0", "p1", "p2", "p3")
	b.Concepts = []store.NewConcept{
		{Name: "Zeit", Score: 2, Passages: []int{0, 1}},
		{Name: "Dasein", Score: 4, Passages: []int{1}},
		{Name: "Angst", Score: 2, Passages: []int{0, 2}},
		{Name: "Welt", Score: 9, Passages: []int{3}},
		{Name: "nirgends", Score: 9},                   // in no passage: not stored
		{Name: "?!", Score: 9, Passages: []int{0}},     // no word to tell it by: not stored
		{Name: " ZEIT ", Score: 5, Passages: []int{1}}, // the same as the first, heavier in p1
	}
	b.Relations = []store.NewRelation{
		{Source: 0, Target: 1, Weight: 1}, {Source: 1, Target: 6, Weight: 2}, // both directions and spellings are one
		{Source: 2, Target: 0, Weight: 4}, {Source: 0, Target: 6, Weight: 7}, // the second ties Zeit to itself
		{Source: 3, Target: 0, Weight: 9}, {Source: 4, Target: 0, Weight: 9}, {Source: 5, Target: 0, Weight: 9},
	}
	in := ingest(t, s, b)
	id := in.PassageIDs
	check := func(ids []int64, most int, concepts []store.Concept, relations []store.Relation) {
		t.Helper()
		cs, rs, err := s.ConceptsRelations(ctx, shared, ids, most)
		ok(t, err)
		for i := range cs {
			if cs[i].ID < 1 {
				t.Errorf("concept %q has id %d", cs[i].Name, cs[i].ID)
			}
			cs[i].ID = 0
		}
		same(t, "concepts", cs, concepts)
		same(t, "relations", rs, relations)
		agreeOnConcepts(t, s, shared, ids)
	}
	zeit := func(score float64, n int) store.Concept {
		return store.Concept{Name: "Zeit", Score: score, Passages: n}
	}
	dasein := store.Concept{Name: "Dasein", Score: 4, Passages: 1}
	angstZeit := store.Relation{Source: "Angst", Target: "Zeit", Type: store.RelationCoOccurs, Weight: 4}
	daseinZeit := store.Relation{Source: "Dasein", Target: "Zeit", Type: store.RelationCoOccurs, Weight: 3}
	check(id[:3], 10, []store.Concept{zeit(7, 2), {Name: "Angst", Score: 4, Passages: 2}, dasein}, []store.Relation{angstZeit, daseinZeit})
	check(id[:3], 2, []store.Concept{zeit(7, 2), {Name: "Angst", Score: 4, Passages: 2}}, []store.Relation{angstZeit}) // equal weights: by name
	check(id[:2], 10, []store.Concept{zeit(7, 2), dasein, {Name: "Angst", Score: 2, Passages: 1}}, []store.Relation{angstZeit, daseinZeit})
	check(id[1:2], 10, []store.Concept{zeit(5, 1), dasein}, []store.Relation{daseinZeit})
	check([]int64{id[1], id[1]}, 10, []store.Concept{zeit(5, 1), dasein}, []store.Relation{daseinZeit}) // an id twice weighs once
	check([]int64{1 << 40}, 10, nil, nil)
	if _, err := s.Concepts(ctx, shared, id, 0); err == nil {
		t.Error("no concepts asked for: no error")
	}
}

// testConceptsMerge holds that concepts are one within a library, and shown as
// one when the shared library and the owner's both have them.
func testConceptsMerge(t *testing.T, s Store) {
	ctx := t.Context()
	add := func(owner, hash, a, b string, score, weight float64) store.Ingested {
		n := book(owner, "the passage "+hash)
		n.Concepts = []store.NewConcept{{Name: a, Score: score, Passages: []int{0}}, {Name: b, Score: score, Passages: []int{0}}}
		n.Relations = []store.NewRelation{{Source: 0, Target: 1, Weight: weight}}
		return ingest(t, s, n)
	}
	one := add("", "1", "Düşünce", "Zaman", 1, 1)
	two := add("", "2", "zaman", "dusunce", 2, 2)
	own := add(ada.Owner, "3", "ZAMAN", "DÜŞÜNCE", 4, 4)
	ids := append(append(one.PassageIDs, two.PassageIDs...), own.PassageIDs...)
	check := func(scope store.Scope, score float64, passages int, weight float64) {
		t.Helper()
		cs, rs, err := s.ConceptsRelations(ctx, scope, ids, 10)
		ok(t, err)
		for i := range cs {
			cs[i].ID = 0
		}
		same(t, "concepts of "+scope.Owner, cs, []store.Concept{{Name: "Düşünce", Score: score, Passages: passages}, {Name: "Zaman", Score: score, Passages: passages}})
		same(t, "relations of "+scope.Owner, rs, []store.Relation{{Source: "Düşünce", Target: "Zaman", Type: store.RelationCoOccurs, Weight: weight}})
		agreeOnConcepts(t, s, scope, ids)
	}
	check(shared, 3, 2, 3)
	check(bela, 3, 2, 3)
	check(ada, 7, 3, 7)
	ok(t, s.DeleteBook(ctx, "", two.BookID)) // takes its own part of the weight with it
	check(shared, 1, 1, 1)
	check(ada, 5, 2, 5)
}
