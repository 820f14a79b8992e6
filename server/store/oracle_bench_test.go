package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

// benchBook is a book of that many passages of the usual 120 words.
func benchBook(hash string, passages int) store.NewBook {
	b := store.NewBook{Title: "A book", Hash: hash}
	for i := range passages {
		b.Passages = append(b.Passages, store.NewPassage{
			Content: strings.Repeat("being and time again, ", 29) + fmt.Sprint("the passage ", i), PageNumber: i / 3,
			Metadata: map[string]any{"words": 119.0},
		})
	}
	for i := range passages / 4 {
		b.Concepts = append(b.Concepts, store.NewConcept{Name: fmt.Sprint("concept ", i), Score: 1, Passages: []int{i, i + 1, i + 2}})
	}
	for i := range len(b.Concepts) - 1 {
		b.Relations = append(b.Relations, store.NewRelation{Source: i, Target: i + 1, Weight: 1})
	}
	return b
}

// BenchmarkOracleSearch measures a search's two statements over the wire: what the double and the
// model take is part of ns/op, the round trips are the product's own.
func BenchmarkOracleSearch(b *testing.B) {
	db := startOracle(b)
	s := db.open(b, store.Options{})
	db.ingest(b, s, benchBook("1", 200))
	q, err := store.ParseQuery("being 100")
	if err != nil {
		b.Fatal(err)
	}
	db.server.ResetStats()
	statements := int64(0)
	for b.Loop() {
		var stats store.RequestStats
		ctx := store.WithRequest(b.Context(), &stats, "")
		page, err := s.SearchPage(ctx, store.Scope{}, q, store.Page{Number: 1, Size: 20}, true)
		if err != nil || page.Total == 0 {
			b.Fatal(page.Total, err)
		}
		ids := make([]int64, len(page.Matches))
		for i, m := range page.Matches {
			ids[i] = m.ID
		}
		if _, _, err := s.ConceptsRelations(ctx, store.Scope{}, ids, 20); err != nil {
			b.Fatal(err)
		}
		statements += stats.Statements.Load()
	}
	st := db.server.Stats()
	b.ReportMetric(float64(statements)/float64(b.N), "statements/op")
	b.ReportMetric(float64(st.PacketsOut)/float64(b.N), "roundtrips/op")
}

// BenchmarkOracleIngest compares arrays with a statement for each row.
func BenchmarkOracleIngest(b *testing.B) {
	for _, c := range []struct {
		name string
		rows int
	}{{"arrays", 0}, {"single", 1}} {
		b.Run(c.name, func(b *testing.B) {
			db := startOracle(b)
			s := db.open(b, store.Options{})
			store.SetArrayRows(s, c.rows)
			db.server.ResetStats()
			n := 0
			for b.Loop() {
				n++
				db.ingest(b, s, benchBook(fmt.Sprint(n), 400))
			}
			st := db.server.Stats()
			b.ReportMetric(float64(400*b.N)/b.Elapsed().Seconds(), "passages/s")
			b.ReportMetric(float64(st.PacketsOut)/float64(b.N), "roundtrips/op")
		})
	}
}
