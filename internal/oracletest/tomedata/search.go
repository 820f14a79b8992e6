package tomedata

import (
	"cmp"
	"slices"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// matches returns what :query finds in the span, by id, and the table of the passages. The index
// knows what is committed; what the session has deleted is gone for it.
func (r *call) matches() (*table, []scored, error) {
	t, err := r.d.table("TOMEHUB_CONTENT")
	if err != nil {
		return nil, nil, err
	}
	if t.text == nil {
		return nil, nil, ora(20000, "Oracle Text error:\nDRG-10599: column is not indexed")
	}
	query, _ := r.Arg(0, "query").(string)
	terms, err := parseText(query)
	if err != nil {
		return nil, nil, err
	}
	found := t.text.search(terms, r.span())
	if r.tx.changes[t] != nil {
		found = slices.DeleteFunc(found, func(m scored) bool { return r.byID(t, m.id) == nil })
	}
	return t, found, nil
}

func searchIDs(r *call) (*oracletest.Result, error) {
	_, found, err := r.matches()
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: numbers("ID", "SCORE")}
	for _, m := range part(byScore(found), r.int("offset"), r.int("page_size")) {
		res.Rows = append(res.Rows, []oracletest.Value{m.id, m.score})
	}
	return res, nil
}

func count(r *call) (*oracletest.Result, error) {
	_, found, err := r.matches()
	if err != nil {
		return nil, err
	}
	return &oracletest.Result{Columns: numbers("COUNT(*)"), Rows: [][]oracletest.Value{{int64(len(found))}}}, nil
}

var (
	afterColumns        = slices.Concat(numbers("ID", "SCORE"), matchColumns)
	afterDetailsColumns = slices.Concat(afterColumns, detailColumns)
	pageColumns         = slices.Concat(numbers("MATCHES"), afterColumns)
	pageDetailsColumns  = slices.Concat(pageColumns, detailColumns)
)

// match returns the columns of a match behind its id and score.
func (r *call) match(t *table, id int64, details bool) ([]oracletest.Value, error) {
	p := r.byID(t, id)
	values := picked(t, matchColumns, p)
	if !details {
		return values, nil
	}
	metadata, err := r.d.table("TOMEHUB_METADATA")
	if err != nil {
		return nil, err
	}
	values = append(values, t.pick(p, "CONTENT")...)
	return append(values, metadata.pick(r.byID(metadata, id), "METADATA")...), nil
}

func searchPage(details bool) func(*call) (*oracletest.Result, error) {
	return func(r *call) (*oracletest.Result, error) {
		t, found, err := r.matches()
		if err != nil {
			return nil, err
		}
		res := &oracletest.Result{Columns: pageColumns}
		if details {
			res.Columns = pageDetailsColumns
		}
		total := int64(len(found))
		for _, m := range part(byScore(found), r.int("offset"), r.int("page_size")) {
			rest, err := r.match(t, m.id, details)
			if err != nil {
				return nil, err
			}
			res.Rows = append(res.Rows, append([]oracletest.Value{total, m.id, m.score}, rest...))
		}
		if len(res.Rows) == 0 {
			empty := make([]oracletest.Value, len(res.Columns))
			empty[0] = total
			res.Rows = append(res.Rows, empty)
		}
		return res, nil
	}
}

func searchAfter(details bool) func(*call) (*oracletest.Result, error) {
	return func(r *call) (*oracletest.Result, error) {
		t, found, err := r.matches()
		if err != nil {
			return nil, err
		}
		res := &oracletest.Result{Columns: afterColumns}
		if details {
			res.Columns = afterDetailsColumns
		}
		afterID := r.int("after_id")
		score, err := number(r.Arg(0, "after_score"))
		if err != nil {
			return nil, err
		}
		seen := float(score)
		if i, ok := slices.BinarySearchFunc(found, afterID, func(m scored, id int64) int { return cmp.Compare(m.id, id) }); ok {
			seen = float64(found[i].score)
		}
		behind := slices.DeleteFunc(byScore(found), func(m scored) bool {
			return float64(m.score) > seen || float64(m.score) == seen && m.id <= afterID
		})
		for _, m := range part(behind, 0, r.int("page_size")) {
			rest, err := r.match(t, m.id, details)
			if err != nil {
				return nil, err
			}
			res.Rows = append(res.Rows, append([]oracletest.Value{m.id, m.score}, rest...))
		}
		return res, nil
	}
}

func float(v oracletest.Value) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// concept is a keyphrase with what it weighs in the passages asked about.
type concept struct {
	id           int64
	name, folded string
	score        float64
	passages     map[int64]bool
}

// topConcepts returns the first :most concepts of :ids.
func (r *call) topConcepts() ([]*concept, error) {
	ids, err := r.ids()
	if err != nil {
		return nil, err
	}
	t, err := r.tables("TOMEHUB_CONCEPT_CHUNKS", "TOMEHUB_CONCEPTS")
	if err != nil {
		return nil, err
	}
	links, named := t[0], t[1]
	byFolded := map[string]*concept{}
	var all []*concept
	for _, id := range ids {
		if !r.span().has(id) {
			continue
		}
		for _, link := range r.by(links, "CONTENT_ID", id) {
			number := link[links.at["CONCEPT_ID"]].(int64)
			c := r.byID(named, number)
			if c == nil {
				continue
			}
			folded, name := c[named.at["FOLDED"]].(string), c[named.at["NAME"]].(string)
			one := byFolded[folded]
			if one == nil {
				one = &concept{id: number, name: name, folded: folded, passages: map[int64]bool{}}
				byFolded[folded] = one
				all = append(all, one)
			}
			if number < one.id {
				one.id, one.name = number, name
			}
			one.score += float(link[links.at["WEIGHT"]])
			one.passages[id] = true
		}
	}
	slices.SortFunc(all, func(a, b *concept) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.folded, b.folded)) })
	return part(all, 0, r.int("most")), nil
}

func concepts(r *call) (*oracletest.Result, error) {
	top, err := r.topConcepts()
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: conceptColumns}
	for _, c := range top {
		res.Rows = append(res.Rows, []oracletest.Value{c.id, c.name, c.score, int64(len(c.passages))})
	}
	return res, nil
}

// tie is a relation between two of the concepts.
type tie struct {
	source, target *concept
	typ            string
	weight         float64
}

// ties returns the first :most relations among concepts, those of :owner and of the shared library.
func (r *call) ties(top []*concept) ([]*tie, error) {
	t, err := r.tables("TOMEHUB_CONCEPTS", "TOMEHUB_RELATIONS")
	if err != nil {
		return nil, err
	}
	named, tied := t[0], t[1]
	i := slices.IndexFunc(named.uniques, func(u *unique) bool { return u.name == "TOMEHUB_CONCEPTS_FOLDED" })
	if i < 0 {
		return nil, r.d.oddly("TOMEHUB_CONCEPTS has no index TOMEHUB_CONCEPTS_FOLDED")
	}
	members := map[int64]*concept{}
	for _, c := range top {
		for _, owner := range []int64{0, r.int("owner")} {
			if _, member := r.get(named, named.uniques[i], keyed(owner, c.folded)); member != nil {
				members[member[0].(int64)] = c
			}
		}
	}
	type pair struct {
		source, target *concept
		typ            string
	}
	byPair := map[pair]*tie{}
	var all []*tie
	for id, source := range members {
		for _, one := range r.by(tied, "SOURCE_ID", id) {
			target := members[one[tied.at["TARGET_ID"]].(int64)]
			if target == nil || source.folded >= target.folded {
				continue
			}
			p := pair{source, target, one[tied.at["TYPE"]].(string)}
			if byPair[p] == nil {
				byPair[p] = &tie{source: source, target: target, typ: p.typ}
				all = append(all, byPair[p])
			}
			byPair[p].weight += float(one[tied.at["WEIGHT"]])
		}
	}
	slices.SortFunc(all, func(a, b *tie) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.source.folded, b.source.folded),
			cmp.Compare(a.target.folded, b.target.folded), cmp.Compare(a.typ, b.typ))
	})
	return part(all, 0, r.int("most")), nil
}

func relations(r *call) (*oracletest.Result, error) {
	top, err := r.topConcepts()
	if err != nil {
		return nil, err
	}
	all, err := r.ties(top)
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: tiedColumns}
	for _, t := range all {
		res.Rows = append(res.Rows, []oracletest.Value{t.source.name, t.target.name, t.typ, t.weight})
	}
	return res, nil
}

func conceptsRelations(r *call) (*oracletest.Result, error) {
	top, err := r.topConcepts()
	if err != nil {
		return nil, err
	}
	all, err := r.ties(top)
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: slices.Concat(texts("KIND"), numbers("ID"), texts("NAME", "TARGET", "TYPE"), numbers("WEIGHT", "PASSAGES"))}
	for _, c := range top {
		res.Rows = append(res.Rows, []oracletest.Value{"concept", c.id, c.name, nil, nil, c.score, int64(len(c.passages))})
	}
	for _, t := range all {
		res.Rows = append(res.Rows, []oracletest.Value{"relation", int64(0), t.source.name, t.target.name, t.typ, t.weight, int64(0)})
	}
	return res, nil
}
