package profiler

import (
	"cmp"
	"slices"
)

// shownVariants bounds Row.Variants.
const shownVariants = 20

// group counts statements that differ in their literals alone as one, which stands where the first of them stood. Statements
// without a signature stay as they are. It changes rows.
func group(rows []Row) []Row {
	first := make(map[string]int, len(rows)) // of a signature, in kept
	members := map[int][]Row{}               // of the row at that place, where there are several
	kept := rows[:0]
	for i := range rows {
		r := &rows[i]
		if unsigned(r.Signature) || r.SQLID == "" {
			kept = append(kept, *r)
			continue
		}
		at, known := first[r.Signature]
		if !known {
			first[r.Signature] = len(kept)
			kept = append(kept, *r)
			continue
		}
		if members[at] == nil {
			members[at] = []Row{kept[at]}
		}
		members[at] = append(members[at], *r)
	}
	clear(rows[len(kept):])
	for at, variants := range members {
		kept[at] = combine(variants)
	}
	return kept
}

// combine adds up variants of one statement. What they have in common is told of the one with most time.
func combine(variants []Row) Row {
	slices.SortFunc(variants, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Elapsed, a.Elapsed), cmp.Compare(b.Executions, a.Executions), cmp.Compare(a.SQLID, b.SQLID))
	})
	r := variants[0]
	r.Plans, r.Instances = slices.Clone(r.Plans), slices.Clone(r.Instances)
	isNew, versions := true, int64(0)
	for i := range variants {
		v := &variants[i]
		isNew = isNew && v.is(New)
		versions = max(versions, v.Versions)
		if i < shownVariants {
			r.Variants = append(r.Variants, v.SQLID)
		}
		if i > 0 {
			r.merge(*v)
		}
	}
	r.mark(New, isNew)
	r.VariantCount, r.Versions = len(variants), versions
	r.Was, r.Before = 0, nil // of one of them, which says nothing about the others
	return r
}
