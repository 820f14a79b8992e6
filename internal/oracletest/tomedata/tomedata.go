// Package tomedata is a plain model of TomeHub's Oracle schema behind the wire double of package
// oracletest: it answers the product's own statements, told by their tags, from tables in memory.
//
// What the store relies on is modelled as Oracle does it: a session's changes are its own until it
// commits, rows and unique keys are locked until then and waited for, an empty text is NULL, VARCHAR2
// is measured as its DDL says and ends at 4000 bytes, a table exists once its DDL has run and refuses what the DDL forbids, and the text
// index follows at commit. The meaning of each SELECT and of each UPDATE is written by hand (see
// statements.go), not taken from its SQL: that the SQL says the same is for the grammar check and for
// a real server to show. What is read from the SQL is its DDL, its INSERTs, the names of its result's
// columns, and FOR UPDATE. v$ views are apart: an [Instance] has their rows, and the SQL over them is read (see select.go).
package tomedata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// Schema is the user who owns the tables, as it stands in error messages.
const Schema = "TOMEHUB"

// An Option changes what New returns.
type Option func(*Data)

// WithoutText makes the creation of a CTXSYS index fail as on a database without Oracle Text.
func WithoutText() Option { return func(d *Data) { d.withoutText = true } }

// WithViews answers statements over v$ views from v, and those over DUAL whose tag is not the product's. If an [Instance]
// stands behind it, every statement that the database executes is shown there.
func WithViews(v *Views) Option { return func(d *Data) { d.views = v } }

// Data is the database. It is an oracletest.TxHandler and safe for concurrent use.
type Data struct {
	withoutText bool
	views       *Views
	locks       locks
	rowIDs      atomic.Int64
	parsed      sync.Map // SQL text → *parsed

	mu     sync.RWMutex // guards the committed state: tables, what is in them, names
	tables map[string]*table
	names  map[string]string // every schema object's name → its kind

	sessions sync.Map // *oracletest.Session → *tx, while it has changes or locks

	oddMu sync.Mutex // guards odd
	odd   map[string]int
}

// New returns an empty schema, before any migration.
func New(options ...Option) *Data {
	d := &Data{tables: map[string]*table{}, names: map[string]string{}, odd: map[string]int{}}
	d.locks.held = map[lockKey]*lock{}
	for _, o := range options {
		o(d)
	}
	return d
}

// Odd returns what was asked that the model does not know, each with how often: unknown tags, wrong
// sets of binds, results that differ from the columns of the SQL. A test of the product wants none.
func (d *Data) Odd() map[string]int {
	d.oddMu.Lock()
	defer d.oddMu.Unlock()
	return maps.Clone(d.odd)
}

// oddly counts what the model does not know and returns it as an error.
func (d *Data) oddly(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	d.oddMu.Lock()
	d.odd[text]++
	d.oddMu.Unlock()
	return ora(900, "invalid SQL statement: tomedata: %s", text)
}

// ora is an error as Oracle words it.
func ora(code int, format string, args ...any) error {
	return &oracletest.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Serve answers one statement.
func (d *Data) Serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	return d.views.observe(c, func() (*oracletest.Result, error) { return d.serve(ctx, c) })
}

func (d *Data) serve(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	p, err := d.parse(c.SQL)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Tag == "migration_step":
		return d.step(ctx, c)
	case p.ddl != nil:
		if err := d.Commit(c.Session); err != nil { // DDL commits what was before it
			return nil, err
		}
		return &oracletest.Result{}, d.runDDL(p.ddl)
	case p.view && d.views != nil:
		return d.views.answer(c)
	}
	st, ok := statements[c.Tag]
	if !ok {
		if p.dual && d.views != nil {
			return d.views.answer(c)
		}
		if p.insert != nil {
			return d.insert(ctx, c, p.insert)
		}
		if p.merge != nil {
			return d.merge(ctx, c, p.merge)
		}
		return nil, d.oddly("no statement has the tag %q: %.80s", c.Tag, c.SQL)
	}
	if err := d.sameBinds(c, st.binds); err != nil {
		return nil, err
	}
	r := &call{ctx: ctx, d: d, tx: d.session(c.Session), Call: c, wait: p.wait}
	defer func() { d.keep(c.Session, r.tx) }()
	res, err := r.run(st)
	if err != nil {
		return nil, err
	}
	return res, d.sameColumns(c.Tag, p, res)
}

// run calls the statement until it has every lock that it wants.
func (r *call) run(st statement) (*oracletest.Result, error) {
	for {
		r.d.mu.RLock()
		res, err := st.serve(r)
		r.d.mu.RUnlock()
		var blocked *blockedError
		if !errors.As(err, &blocked) {
			return res, err
		}
		if err := r.d.locks.take(r.ctx, r.tx, blocked.key, r.wait); err != nil {
			return nil, err
		}
	}
}

// sameBinds holds that a statement was sent with the placeholders that its tag has.
func (d *Data) sameBinds(c *oracletest.Call, want string) error {
	got := map[string]bool{}
	for _, n := range c.Names {
		got[strings.ToLower(n)] = true
	}
	have := strings.Join(slices.Sorted(maps.Keys(got)), " ")
	wanted := strings.Fields(want)
	slices.Sort(wanted)
	if wants := strings.Join(wanted, " "); have != wants {
		return d.oddly("%s has the binds %q, want %q", c.Tag, have, wants)
	}
	return nil
}

// sameColumns holds that the model's result has the columns that the SQL names.
func (d *Data) sameColumns(tag string, p *parsed, res *oracletest.Result) error {
	if len(res.Columns) == 0 && p.columns == nil {
		return nil
	}
	if len(res.Columns) != len(p.columns) {
		return d.oddly("%s selects %d columns %v, the model has %d", tag, len(p.columns), p.columns, len(res.Columns))
	}
	for i, c := range res.Columns {
		if p.columns[i] != "" && !strings.EqualFold(p.columns[i], c.Name) {
			return d.oddly("%s selects %s as column %d, the model has %s", tag, p.columns[i], i+1, c.Name)
		}
	}
	return nil
}

// A call is one execution of a statement as its function sees it.
type call struct {
	*oracletest.Call
	ctx  context.Context
	d    *Data
	tx   *tx
	wait waitMode
}

// table returns a table that exists, else ORA-00942.
func (d *Data) table(name string) (*table, error) {
	t, ok := d.tables[name]
	if !ok {
		return nil, ora(942, "table or view does not exist")
	}
	return t, nil
}

// step runs a statement of a migration in a transaction of its own, as the block around it says.
func (d *Data) step(ctx context.Context, c *oracletest.Call) (*oracletest.Result, error) {
	if err := d.sameBinds(c, "step"); err != nil {
		return nil, err
	}
	step, _ := c.Arg(0, "step").(string)
	own := &oracletest.Session{ID: c.Session.ID, User: c.Session.User}
	_, err := d.serve(ctx, &oracletest.Call{Session: own, SQL: step, Rows: [][]oracletest.Value{nil}})
	if err != nil {
		d.Rollback(own)
		return nil, err
	}
	return &oracletest.Result{}, d.Commit(own)
}

// Open returns how many transactions have changes or locks now, and how many locks there are.
func (d *Data) Open() (transactions, held int) {
	d.sessions.Range(func(any, any) bool { transactions++; return true })
	d.locks.mu.Lock()
	defer d.locks.mu.Unlock()
	return transactions, len(d.locks.held)
}
