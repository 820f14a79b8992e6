package tomedata

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// statement is what the model knows of one file of sql/oracle: its binds, and its meaning.
type statement struct {
	binds string // names, in any order
	serve func(*call) (*oracletest.Result, error)
}

// statements are by tag. An INSERT … VALUES needs no entry.
var statements = map[string]statement{
	"ping":                 {"", ping},
	"owners":               {"seen", owners},
	"totals":               {"lo hi", totals},
	"books":                {"lo hi offset page_size", books},
	"book":                 {"id lo hi", book},
	"passage":              {"id lo hi", passage},
	"passages":             {"ids lo hi", passages},
	"titles":               {"ids lo hi", titles},
	"search_ids":           {"query lo hi offset page_size", searchIDs},
	"count":                {"query lo hi", count},
	"search_page":          {"query lo hi offset page_size", searchPage(false)},
	"search_page_details":  {"query lo hi offset page_size", searchPage(true)},
	"search_after":         {"query lo hi after_id after_score page_size", searchAfter(false)},
	"search_after_details": {"query lo hi after_id after_score page_size", searchAfter(true)},
	"concepts":             {"ids lo hi most", concepts},
	"relations":            {"ids lo hi owner most", relations},
	"concepts_relations":   {"ids lo hi owner most", conceptsRelations},

	"owner_number":    {"owner", ownerNumber},
	"owner_add":       {"owner", ownerAdd},
	"counter_add":     {"owner", counterAdd},
	"owner_lock":      {"owner", ownerLock},
	"owner_advance":   {"book passage concept owner", ownerAdvance},
	"library_lock":    {"", libraryLock},
	"library_advance": {"generation", libraryAdvance},
	"owner_touch":     {"generation owner", ownerTouch},
	"book_by_hash":    {"owner hash", bookByHash},
	"concepts_known":  {"folded owner", conceptsKnown},
	"concept_add":     {"id name folded", conceptAdd},

	"book_span":        {"id owner", bookSpan},
	"relations_delete": {"book", relationsDelete},
	"concepts_delete":  {"first last", conceptsDelete},
	"links_delete":     {"first last", linksDelete},
	"metadata_delete":  {"first last", deleteSpan("TOMEHUB_METADATA")},
	"content_delete":   {"first last", deleteSpan("TOMEHUB_CONTENT")},
	"book_delete":      {"book", bookDelete},

	"migrations":      {"", migrations},
	"migrations_lock": {"", migrationsLock},
	"text_index":      {"", textIndexState},
}

// The columns of results.
func numbers(names ...string) []oracletest.Column { return columnsOf(oracletest.Number, names) }
func texts(names ...string) []oracletest.Column   { return columnsOf(oracletest.Varchar2, names) }
func clobs(names ...string) []oracletest.Column   { return columnsOf(oracletest.Clob, names) }

func columnsOf(t oracletest.Type, names []string) (all []oracletest.Column) {
	for _, n := range names {
		all = append(all, oracletest.Column{Name: n, Type: t, Nullable: true})
	}
	return all
}

var (
	matchColumns   = slices.Concat(numbers("BOOK_ID", "SEQ", "PAGE_NUMBER"), texts("TITLE", "SOURCE_TYPE", "CHAPTER"))
	detailColumns  = clobs("CONTENT", "METADATA")
	passageColumns = slices.Concat(numbers("ID"), matchColumns, detailColumns)
	bookColumns    = slices.Concat(numbers("ID"), texts("TITLE", "AUTHOR", "SOURCE_TYPE", "HASH"), numbers("PASSAGES", "WORDS", "CREATED_AT_MS"))
	conceptColumns = slices.Concat(numbers("ID"), texts("NAME"), numbers("SCORE", "PASSAGES"))
	tiedColumns    = slices.Concat(texts("SOURCE", "TARGET", "TYPE"), numbers("WEIGHT"))
)

// int returns a whole-number bind.
func (r *call) int(name string) int64 {
	n, _ := number(r.Arg(0, name))
	switch n := n.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

// span returns the binds :lo and :hi.
func (r *call) span() span { return span{r.int("lo"), r.int("hi")} }

// ids reads the JSON array in :ids.
func (r *call) ids() (ids []int64, err error) {
	s, _ := r.Arg(0, "ids").(string)
	if err := json.Unmarshal([]byte(s), &ids); err != nil {
		return nil, ora(40441, "JSON syntax error")
	}
	return ids, nil
}

// tables returns tables that must all be there.
func (r *call) tables(names ...string) ([]*table, error) {
	all := make([]*table, len(names))
	for i, n := range names {
		var err error
		if all[i], err = r.d.table(n); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pick returns some columns of a row, all NULL when there is no row.
func (t *table) pick(from row, names ...string) []oracletest.Value {
	values := make([]oracletest.Value, len(names))
	for i, n := range names {
		if from != nil {
			values[i] = from[t.at[n]]
		}
	}
	return values
}

func picked(t *table, columns []oracletest.Column, from row) []oracletest.Value {
	values := make([]oracletest.Value, len(columns))
	for i, c := range columns {
		if from != nil {
			values[i] = from[t.at[c.Name]]
		}
	}
	return values
}

func ping(*call) (*oracletest.Result, error) {
	return &oracletest.Result{Columns: numbers("1"), Rows: [][]oracletest.Value{{int64(1)}}}, nil
}

func owners(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_OWNERS")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: slices.Concat(numbers("ID"), texts("OWNER"), numbers("GENERATION"))}
	for _, o := range r.all(t) {
		if o[t.at["GENERATION"]].(int64) > r.int("seen") {
			res.Rows = append(res.Rows, picked(t, res.Columns, o))
		}
	}
	return res, nil
}

// seenBooks returns the books of the span and their table.
func (r *call) seenBooks() (t *table, seen []row, err error) {
	t, err = r.d.table("TOMEHUB_BOOKS")
	if err != nil {
		return nil, nil, err
	}
	for _, b := range r.all(t) {
		if r.span().has(b[0].(int64)) {
			seen = append(seen, b)
		}
	}
	return t, seen, nil
}

func totals(r *call) (*oracletest.Result, error) {
	t, seen, err := r.seenBooks()
	if err != nil {
		return nil, err
	}
	passages := int64(0)
	for _, b := range seen {
		passages += b[t.at["PASSAGES"]].(int64)
	}
	return &oracletest.Result{
		Columns: numbers("COUNT(*)", "COALESCE(SUM(B.PASSAGES),0)"),
		Rows:    [][]oracletest.Value{{int64(len(seen)), passages}},
	}, nil
}

func books(r *call) (*oracletest.Result, error) {
	t, seen, err := r.seenBooks()
	if err != nil {
		return nil, err
	}
	at := t.at["CREATED_AT_MS"]
	slices.SortFunc(seen, func(a, b row) int {
		return cmp.Or(cmp.Compare(b[at].(int64), a[at].(int64)), cmp.Compare(b[0].(int64), a[0].(int64)))
	})
	res := &oracletest.Result{Columns: slices.Concat(numbers("BOOKS"), bookColumns)}
	for _, b := range part(seen, r.int("offset"), r.int("page_size")) {
		res.Rows = append(res.Rows, append([]oracletest.Value{int64(len(seen))}, picked(t, bookColumns, b)...))
	}
	if len(res.Rows) == 0 {
		res.Rows = append(res.Rows, append([]oracletest.Value{int64(len(seen))}, picked(t, bookColumns, nil)...))
	}
	return res, nil
}

// part returns what OFFSET and FETCH leave of a list.
func part[T any](all []T, offset, size int64) []T {
	from := min(max(offset, 0), int64(len(all)))
	return all[from : from+min(max(size, 0), int64(len(all))-from)]
}

func book(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_BOOKS")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: bookColumns}
	if b := r.byID(t, r.int("id")); b != nil && r.span().has(r.int("id")) {
		res.Rows = append(res.Rows, picked(t, bookColumns, b))
	}
	return res, nil
}

func passage(r *call) (*oracletest.Result, error) { return r.passages([]int64{r.int("id")}) }

func passages(r *call) (*oracletest.Result, error) {
	ids, err := r.ids()
	if err != nil {
		return nil, err
	}
	return r.passages(ids)
}

func (r *call) passages(ids []int64) (*oracletest.Result, error) {
	t, err := r.tables("TOMEHUB_CONTENT", "TOMEHUB_METADATA")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: passageColumns}
	for _, id := range ids {
		if p := r.byID(t[0], id); p != nil && r.span().has(id) {
			values := picked(t[0], passageColumns[:len(passageColumns)-1], p)
			res.Rows = append(res.Rows, append(values, t[1].pick(r.byID(t[1], id), "METADATA")...))
		}
	}
	return res, nil
}

func titles(r *call) (*oracletest.Result, error) {
	ids, err := r.ids()
	if err != nil {
		return nil, err
	}
	t, err := r.d.table("TOMEHUB_CONTENT")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: slices.Concat(numbers("ID", "BOOK_ID"), texts("TITLE"), numbers("PAGE_NUMBER"))}
	for _, id := range ids {
		if p := r.byID(t, id); p != nil && r.span().has(id) {
			res.Rows = append(res.Rows, picked(t, res.Columns, p))
		}
	}
	return res, nil
}

func migrations(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_MIGRATIONS")
	if err != nil {
		return nil, err
	}
	res := &oracletest.Result{Columns: slices.Concat(numbers("VERSION"), texts("NAME", "CHECKSUM"))}
	for _, m := range r.all(t) {
		res.Rows = append(res.Rows, picked(t, res.Columns, m))
	}
	slices.SortFunc(res.Rows, func(a, b []oracletest.Value) int { return cmp.Compare(a[0].(int64), b[0].(int64)) })
	return res, nil
}

func migrationsLock(r *call) (*oracletest.Result, error) {
	t, err := r.d.table("TOMEHUB_MIGRATIONS")
	if err != nil {
		return nil, err
	}
	return &oracletest.Result{}, r.lock(t, "table")
}

func textIndexState(r *call) (*oracletest.Result, error) {
	res := &oracletest.Result{Columns: texts("DOMIDX_STATUS", "DOMIDX_OPSTATUS")}
	if t := r.d.tables["TOMEHUB_CONTENT"]; t != nil && t.text != nil && t.text.name == "TOMEHUB_CONTENT_WORDS" {
		res.Rows = append(res.Rows, []oracletest.Value{"VALID", "VALID"})
	}
	return res, nil
}
