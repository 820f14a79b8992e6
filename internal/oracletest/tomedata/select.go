package tomedata

import (
	"slices"
	"strings"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// A selection is a SELECT over one view while it is read and run:
//
//	SELECT expression [[AS] alias], … FROM [SYS.]view [alias] [WHERE condition AND …]
//
// An expression has columns, literals, binds, SYSDATE, SYSTIMESTAMP, + - * /, TO_CHAR, TO_DATE, SUBSTR, NVL, SYS_CONTEXT
// of USERENV, and COUNT, SUM, MIN, MAX over all rows. A condition is a comparison, [NOT] IN, [NOT] LIKE, IS [NOT] NULL.
type selection struct {
	scanner
	call  *oracletest.Call
	views *Views
	view  View
	alias string    // the view's, or its name
	now   time.Time // SYSDATE with its fraction, in the database's zone

	reading reading
	binds   int // placeholders met so far
	depth   int // of the expression being read

	items  []item
	where  []func() (bool, error)
	groups []*group
	filter bool  // behind WHERE
	single bool  // in a group function, whose columns are not those of a row
	plain  bool  // a column stands outside group functions
	kept   int64 // rows so far
}

type item struct {
	operand
	name string
}

const known = "tomedata knows SELECT expressions FROM [SYS.]one view [alias] [WHERE condition AND …]"

// ends is ORA-00933 for what is not known of SQL.
func (q *selection) ends() error {
	rest := strings.Join(q.words[:min(len(q.words), 8)], " ")
	return ora(933, "SQL command not properly ended: %s, not %.80q", known, rest)
}

// compile reads the statement. Expressions without columns have their values then.
func (q *selection) compile() error {
	if !q.skip("SELECT") {
		return ora(900, "invalid SQL statement: %s", known)
	}
	from := slices.Index(q.words, "FROM")
	if from < 0 {
		return ora(923, "FROM keyword not found where expected")
	}
	rest, err := q.source(q.words[from+1:])
	if err != nil {
		return err
	}
	q.words = q.words[:from]
	if err := q.readItems(); err != nil {
		return err
	}
	q.words, q.filter = rest, true
	for word := "WHERE"; len(q.words) > 0; word = "AND" {
		if !q.skip(word) {
			return q.ends()
		}
		keep, err := q.condition()
		if err != nil {
			return err
		}
		q.where = append(q.where, keep)
	}
	return nil
}

// source reads what is behind FROM up to the view's alias, and returns the rest.
func (q *selection) source(w []string) ([]string, error) {
	owner := ""
	if len(w) > 2 && w[1] == "." {
		owner, w = w[0], w[2:]
	}
	if len(w) == 0 || !isName(w[0]) {
		return nil, ora(903, "invalid table name")
	}
	view, err := q.views.find(owner, w[0])
	if err != nil {
		return nil, err
	}
	q.view, q.alias, q.now = view, w[0], q.views.base.sysdate()
	if w = w[1:]; len(w) > 0 && w[0] != "WHERE" && !reserved(w[0]) && isName(w[0]) {
		q.alias, w = w[0], w[1:]
	}
	return w, nil
}

func isName(w string) bool { return w != "" && (w[0] >= 'A' && w[0] <= 'Z' || w[0] == '_') }

// reserved tells the words of Oracle that no alias can be.
func reserved(w string) bool {
	return slices.Contains([]string{
		"AND", "AS", "BETWEEN", "BY", "CONNECT", "FETCH", "FOR", "FROM", "GROUP", "HAVING", "IN", "INTERSECT", "IS", "JOIN", "LIKE",
		"MINUS", "NOT", "NULL", "OFFSET", "ON", "OR", "ORDER", "SAMPLE", "SELECT", "START", "UNION", "WHERE", "WITH",
	}, w)
}

func (q *selection) readItems() error {
	for {
		begin := q.words
		t, err := q.expression()
		if err != nil {
			return err
		}
		name := spelled(begin[:len(begin)-len(q.words)])
		if q.skip("AS") && (len(q.words) == 0 || !isName(q.words[0])) {
			return ora(923, "FROM keyword not found where expected")
		}
		if len(q.words) > 0 && isName(q.words[0]) && !reserved(q.words[0]) {
			name = q.next()
		}
		q.items = append(q.items, item{t, name})
		if len(q.words) == 0 {
			break
		}
		if !q.skip(",") {
			return ora(923, "FROM keyword not found where expected: %s, not %.80q", known, strings.Join(q.words, " "))
		}
	}
	if len(q.groups) > 0 && q.plain {
		return ora(937, "not a single-group group function")
	}
	return nil
}

// spelled is Oracle's name of an expression without an alias; of a column, the column's.
func spelled(w []string) string {
	if len(w) == 3 && w[1] == "." {
		return w[2]
	}
	var b strings.Builder
	for _, t := range w {
		b.WriteString(t)
		if strings.HasPrefix(t, "'") {
			b.WriteString("'")
		}
	}
	return b.String()
}

// run reads the rows: at once for group functions, else as they are fetched.
func (q *selection) run() (*oracletest.Result, error) {
	q.reading = q.view.read(q.call.Session)
	res := &oracletest.Result{}
	for _, i := range q.items {
		res.Columns = append(res.Columns, oracletest.Column{Name: i.name, Type: i.typ, Size: i.size, Nullable: true})
	}
	if len(q.groups) == 0 {
		res.Next = q.row
		return res, nil
	}
	for {
		found, err := q.find()
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		for _, g := range q.groups {
			if err := g.add(); err != nil {
				return nil, err
			}
		}
	}
	row, err := q.values()
	res.Rows = [][]oracletest.Value{row}
	return res, err
}

// find goes to the next row that the conditions keep.
func (q *selection) find() (bool, error) {
next:
	for q.reading.next() {
		for _, keep := range q.where {
			if ok, err := keep(); err != nil {
				return false, err
			} else if !ok {
				continue next
			}
		}
		q.kept++
		return true, nil
	}
	return false, nil
}

func (q *selection) row() ([]oracletest.Value, error) {
	if found, err := q.find(); !found {
		return nil, err
	}
	return q.values()
}

func (q *selection) values() ([]oracletest.Value, error) {
	row := make([]oracletest.Value, len(q.items))
	for i := range q.items {
		var err error
		if row[i], err = q.items[i].get(); err != nil {
			return nil, err
		}
	}
	return row, nil
}
