package tomedata

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// owner returns the row of the owner named :owner; none has the name NULL.
func (r *call) owner() (*table, row, error) {
	t, err := r.d.table("TOMEHUB_OWNERS")
	if err != nil {
		return nil, nil, err
	}
	name, _ := text(r.Arg(0, "owner"))
	if name == "" {
		return t, nil, nil
	}
	_, found := r.get(t, t.uniques[1], keyed(name))
	return t, found, nil
}

func ownerNumber(r *call) (*oracletest.Result, error) {
	_, found, err := r.owner()
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: numbers("ID")}
	if found != nil {
		res.Rows = append(res.Rows, []oracletest.Value{found[0]})
	}
	return res, nil
}

func ownerAdd(r *call) (*oracletest.Result, error) {
	t, found, err := r.owner()
	if err != nil || found != nil {
		return &oracletest.Result{}, err
	}
	next := int64(0)
	for _, o := range r.all(t) {
		next = max(next, o[0].(int64)+1)
	}
	in, err := t.complete(map[string]oracletest.Value{"ID": next, "OWNER": r.Arg(0, "owner"), "GENERATION": int64(0)})
	if err == nil && (next > 2097151 || in[1] == nil) {
		err = ora(2290, "check constraint (%s.TOMEHUB_OWNERS_MOST) violated", Schema)
	}
	if err != nil {
		return nil, err
	}
	return &oracletest.Result{Affected: 1}, r.insert(t, []row{in})
}

func counterAdd(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_COUNTERS")
	if err != nil {
		return nil, err
	}
	_, owner, err := r.owner()
	if err != nil || owner == nil || r.byID(t, owner[0]) != nil {
		return &oracletest.Result{}, err
	}
	before := owner[0].(int64) * sharedEnd
	in, err := t.complete(map[string]oracletest.Value{"OWNER_ID": owner[0], "LAST_BOOK": before, "LAST_PASSAGE": before, "LAST_CONCEPT": before})
	if err != nil {
		return nil, err
	}
	return &oracletest.Result{Affected: 1}, r.insert(t, []row{in})
}

// locked answers SELECT … FOR UPDATE of one row by its primary key.
func (r *call) locked(name string, k any, columns []oracletest.Column) (*oracletest.Result, error) {
	t, err := r.d.table(name)
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: columns}
	id, found := r.get(t, t.uniques[0], keyed(k))
	if found == nil {
		return res, nil
	}
	if err := r.lock(t, id); err != nil {
		return nil, err
	}
	res.Rows = append(res.Rows, picked(t, columns, found))
	return res, nil
}

func ownerLock(r *call) (*oracletest.Result, error) {
	return r.locked("TOMEHUB_COUNTERS", r.int("owner"), numbers("OWNER_ID", "LAST_BOOK", "LAST_PASSAGE", "LAST_CONCEPT"))
}

func libraryLock(r *call) (*oracletest.Result, error) {
	return r.locked("TOMEHUB_LIBRARY", int64(1), numbers("GENERATION"))
}

// set answers UPDATE … SET of one row by its primary key.
func (r *call) set(name string, k any, values map[string]oracletest.Value) (*oracletest.Result, error) {
	t, err := r.d.table(name)
	if err != nil {
		return nil, err
	}
	n, err := r.update(t, keyed(k), values)
	return &oracletest.Result{Affected: n}, err
}

func ownerAdvance(r *call) (*oracletest.Result, error) {
	return r.set("TOMEHUB_COUNTERS", r.int("owner"), map[string]oracletest.Value{
		"LAST_BOOK": r.Arg(0, "book"), "LAST_PASSAGE": r.Arg(0, "passage"), "LAST_CONCEPT": r.Arg(0, "concept"),
	})
}

func libraryAdvance(r *call) (*oracletest.Result, error) {
	return r.set("TOMEHUB_LIBRARY", int64(1), map[string]oracletest.Value{"GENERATION": r.Arg(0, "generation")})
}

func ownerTouch(r *call) (*oracletest.Result, error) {
	return r.set("TOMEHUB_OWNERS", r.int("owner"), map[string]oracletest.Value{"GENERATION": r.Arg(0, "generation")})
}

func bookByHash(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_BOOKS")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: numbers("ID", "FIRST_PASSAGE", "PASSAGES")}
	hash, _ := text(r.Arg(0, "hash"))
	if _, found := r.get(t, t.uniques[1], keyed(r.int("owner"), hash)); found != nil {
		res.Rows = append(res.Rows, picked(t, res.Columns, found))
	}
	return res, nil
}

func conceptsKnown(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_CONCEPTS")
	if err != nil {
		return nil, err
	}
	list, _ := r.Arg(0, "folded").(string)
	var folded []string
	if json.Unmarshal([]byte(list), &folded) != nil {
		return nil, ora(40441, "JSON syntax error")
	}
	res := &oracletest.Result{Columns: numbers("ASKED.PLACE-1", "ID")}
	for i, f := range folded {
		if _, found := r.get(t, t.uniques[1], keyed(r.int("owner"), f)); found != nil {
			res.Rows = append(res.Rows, []oracletest.Value{int64(i), found[0]})
		}
	}
	return res, nil
}

// conceptAdd enters the concepts that the owner has none of the same folded name of.
func conceptAdd(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_CONCEPTS")
	if err != nil {
		return nil, err
	}
	var fresh []row
	seen := map[key]bool{}
	for i := range r.Rows {
		in, err := t.complete(map[string]oracletest.Value{"ID": r.Arg(i, "id"), "NAME": r.Arg(i, "name"), "FOLDED": r.Arg(i, "folded")})
		if err != nil {
			return nil, err
		}
		k, _ := t.uniques[1].keyOf(in)
		if _, there := r.get(t, t.uniques[1], k); there != nil || seen[k] {
			continue
		}
		seen[k] = true
		fresh = append(fresh, in)
	}
	return &oracletest.Result{Affected: int64(len(fresh))}, r.insert(t, fresh)
}

func bookSpan(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_BOOKS")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: numbers("FIRST_PASSAGE", "PASSAGES")}
	if b := r.byID(t, r.int("id")); b != nil && b[t.at["OWNER_ID"]] == r.int("owner") {
		res.Rows = append(res.Rows, picked(t, res.Columns, b))
	}
	return res, nil
}

func (r *call) deleted(t *table, ids []int64) (*oracletest.Result, error) {
	n, err := r.remove(t, ids)
	return &oracletest.Result{Affected: n}, err
}

func bookDelete(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_BOOKS")
	if err != nil {
		return nil, err
	}
	id, found := r.get(t, t.uniques[0], keyed(r.int("book")))
	if found == nil {
		return &oracletest.Result{}, nil
	}
	return r.deleted(t, []int64{id})
}

func relationsDelete(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_RELATIONS")
	if err != nil {
		return nil, err
	}
	var ids []int64
	for id := range r.by(t, "BOOK_ID", r.int("book")) {
		ids = append(ids, id)
	}
	return r.deleted(t, ids)
}

// within yields the numbers of :first to :last, of which there are no more than a book has passages.
func (r *call) within(yield func(int64) bool) {
	first := r.int("first")
	for id := first; id <= min(r.int("last"), first+math.MaxInt32); id++ {
		if !yield(id) {
			return
		}
	}
}

func deleteSpan(name string) func(*call) (*oracletest.Result, error) {
	return func(r *call) (*oracletest.Result, error) {
		t, err := r.d.table(name)
		if err != nil {
			return nil, err
		}
		var ids []int64
		for at := range r.within {
			if id, found := r.get(t, t.uniques[0], keyed(at)); found != nil {
				ids = append(ids, id)
			}
		}
		return r.deleted(t, ids)
	}
}

func linksDelete(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_CONCEPT_CHUNKS")
	if err != nil {
		return nil, err
	}
	var ids []int64
	for at := range r.within {
		for id := range r.by(t, "CONTENT_ID", at) {
			ids = append(ids, id)
		}
	}
	return r.deleted(t, ids)
}

// conceptsDelete deletes the concepts that only passages of the span carry.
func conceptsDelete(r *call) (*oracletest.Result, error) {
	t, err := r.tables("TOMEHUB_CONCEPTS", "TOMEHUB_CONCEPT_CHUNKS")
	if err != nil {
		return nil, err
	}
	named, links := t[0], t[1]
	carried := map[int64]bool{}
	for at := range r.within {
		for _, link := range r.by(links, "CONTENT_ID", at) {
			carried[link[links.at["CONCEPT_ID"]].(int64)] = true
		}
	}
	first, last := r.int("first"), r.int("last")
	var ids []int64
	for _, number := range slices.Sorted(maps.Keys(carried)) {
		elsewhere := false
		for _, link := range r.by(links, "CONCEPT_ID", number) {
			at := link[links.at["CONTENT_ID"]].(int64)
			elsewhere = elsewhere || at < first || at > last
		}
		if id, found := r.get(named, named.uniques[0], keyed(number)); found != nil && !elsewhere {
			ids = append(ids, id)
		}
	}
	return r.deleted(named, ids)
}
