package tomedata

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// tx is what a session has changed and locked since its last commit. Its calls come one at a time.
type tx struct {
	changes map[*table]map[int64]row // by row id; nil: deleted
	own     map[*unique]map[key]int64
	locked  []lockKey // guarded by locks.mu

	waitsFor *tx // guarded by locks.mu
}

// session returns the session's transaction, or a new one that keep remembers if it comes to anything.
func (d *Data) session(s *oracletest.Session) *tx {
	if t, ok := d.sessions.Load(s); ok {
		return t.(*tx)
	}
	return &tx{changes: map[*table]map[int64]row{}, own: map[*unique]map[key]int64{}}
}

func (d *Data) keep(s *oracletest.Session, t *tx) {
	if len(t.changes) > 0 || len(t.locked) > 0 {
		d.sessions.Store(s, t)
	}
}

// Commit makes the session's changes everybody's.
func (d *Data) Commit(s *oracletest.Session) error {
	t, ok := d.sessions.LoadAndDelete(s)
	if ok {
		d.apply(t.(*tx))
	}
	return nil
}

// Rollback forgets the session's changes.
func (d *Data) Rollback(s *oracletest.Session) {
	if t, ok := d.sessions.LoadAndDelete(s); ok {
		d.locks.free(t.(*tx))
	}
}

// apply enters the changes, brings the text indexes up to date and lets the locks go.
func (d *Data) apply(t *tx) {
	d.mu.Lock()
	for tab, rows := range t.changes {
		fresh, gone := map[int64]string{}, map[int64]string{}
		for id, r := range rows {
			old := tab.rows[id]
			if x := tab.text; x != nil {
				if text, ok := x.of(old); ok {
					gone[old[0].(int64)] = text
				}
				if text, ok := x.of(r); ok {
					fresh[r[0].(int64)] = text
				}
			}
			if r == nil { // first, so that its key is free for the rows that come
				tab.put(id, nil)
			}
		}
		for id, r := range rows {
			if r != nil {
				tab.put(id, r)
			}
		}
		if tab.text != nil {
			tab.text.remove(gone)
			tab.text.add(fresh)
		}
	}
	d.mu.Unlock()
	d.locks.free(t)
}

// of returns the indexed text of a row.
func (x *textIndex) of(r row) (string, bool) {
	if r == nil || r[x.at] == nil {
		return "", false
	}
	return r[x.at].(string), true
}

// get returns the row with that value of a unique key, as the transaction sees it; nil when there is none.
func (r *call) get(t *table, u *unique, k key) (id int64, found row) {
	if id, ok := r.tx.own[u][k]; ok {
		if id == 0 {
			return 0, nil
		}
		return id, r.tx.changes[t][id]
	}
	id, ok := u.rows[k]
	if !ok {
		return 0, nil
	}
	if changed, ok := r.tx.changes[t][id]; ok {
		return id, changed
	}
	return id, t.rows[id]
}

// byID returns the row with that primary key.
func (r *call) byID(t *table, values ...any) row {
	_, found := r.get(t, t.uniques[0], keyed(values...))
	return found
}

// by yields the rows that have v in a column that begins a key or an index.
func (r *call) by(t *table, column string, v any) iter.Seq2[int64, row] {
	at, changes := t.at[column], r.tx.changes[t]
	i := slices.IndexFunc(t.indexes, func(x *index) bool { return x.at == at })
	if i < 0 {
		panic(fmt.Sprintf("tomedata: no index on %s.%s", t.name, column))
	}
	return func(yield func(int64, row) bool) {
		for _, id := range t.indexes[i].rows[v] {
			if _, other := changes[id]; !other && !yield(id, t.rows[id]) {
				return
			}
		}
		for id, own := range changes {
			if own != nil && own[at] == v && !yield(id, own) {
				return
			}
		}
	}
}

// all yields every row.
func (r *call) all(t *table) iter.Seq2[int64, row] {
	changes := r.tx.changes[t]
	return func(yield func(int64, row) bool) {
		for id, committed := range t.rows {
			if _, other := changes[id]; !other && !yield(id, committed) {
				return
			}
		}
		for id, own := range changes {
			if own != nil && !yield(id, own) {
				return
			}
		}
	}
}

// lock takes a lock, or returns a blockedError: the statement must not have changed anything yet.
func (r *call) lock(of, k any) error {
	if key := (lockKey{of, k}); !r.d.locks.has(r.tx, key) {
		return &blockedError{key}
	}
	return nil
}

// insert enters rows: first all locks, then all checks, then the rows.
func (r *call) insert(t *table, rows []row) error {
	for _, in := range rows {
		for _, u := range t.uniques {
			if k, ok := u.keyOf(in); ok {
				if err := r.lock(u, k); err != nil {
					return err
				}
			}
		}
	}
	for _, in := range rows {
		for _, u := range t.uniques {
			if k, ok := u.keyOf(in); ok {
				if _, there := r.get(t, u, k); there != nil {
					return ora(1, "unique constraint (%s.%s) violated", Schema, u.name)
				}
			}
		}
		r.write(t, r.d.rowIDs.Add(1), in)
	}
	return nil
}

// remove deletes rows.
func (r *call) remove(t *table, ids []int64) (int64, error) {
	if err := r.lockRows(t, ids); err != nil {
		return 0, err
	}
	for _, id := range ids {
		r.write(t, id, nil)
	}
	return int64(len(ids)), nil
}

// lockRows locks rows with their keys, which a deletion frees for others only at its commit.
func (r *call) lockRows(t *table, ids []int64) error {
	for _, id := range ids {
		if err := r.lock(t, id); err != nil {
			return err
		}
		for _, u := range t.uniques {
			if k, ok := u.keyOf(r.now(t, id)); ok {
				if err := r.lock(u, k); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// now returns a row as the transaction sees it.
func (r *call) now(t *table, id int64) row {
	if own, ok := r.tx.changes[t][id]; ok {
		return own
	}
	return t.rows[id]
}

// update changes the row with that primary key, if there is one.
func (r *call) update(t *table, k key, values map[string]oracletest.Value) (int64, error) {
	id, found := r.get(t, t.uniques[0], k)
	if found == nil {
		return 0, nil
	}
	if err := r.lock(t, id); err != nil {
		return 0, err
	}
	next, err := t.changed(found, values)
	if err != nil {
		return 0, err
	}
	r.write(t, id, next)
	return 1, nil
}

// write notes a change.
func (r *call) write(t *table, id int64, next row) {
	if r.tx.changes[t] == nil {
		r.tx.changes[t] = map[int64]row{}
	}
	old := r.now(t, id)
	for _, u := range t.uniques {
		if r.tx.own[u] == nil {
			r.tx.own[u] = map[key]int64{}
		}
		if old != nil {
			if k, ok := u.keyOf(old); ok {
				r.tx.own[u][k] = 0
			}
		}
		if next != nil {
			if k, ok := u.keyOf(next); ok {
				r.tx.own[u][k] = id
			}
		}
	}
	r.tx.changes[t][id] = next
}

// insert runs an INSERT … VALUES, whose meaning is in its text.
func (d *Data) insert(ctx context.Context, c *oracletest.Call, in *insertion) (*oracletest.Result, error) {
	return d.onItsOwn(ctx, c, func(r *call) (*oracletest.Result, error) {
		t, rows, err := r.rowsOf(in)
		if err != nil {
			return nil, err
		}
		return &oracletest.Result{Affected: int64(len(rows))}, r.insert(t, rows)
	})
}

// merge runs the one form of MERGE that parseMerge knows.
func (d *Data) merge(ctx context.Context, c *oracletest.Call, m *merging) (*oracletest.Result, error) {
	return d.onItsOwn(ctx, c, func(r *call) (*oracletest.Result, error) {
		t, rows, err := r.rowsOf(&m.insertion)
		if err != nil {
			return nil, err
		}
		for _, there := range r.all(t) {
			same := true
			for _, name := range m.on {
				same = same && there[t.at[name]] == rows[0][t.at[name]]
			}
			if same {
				return &oracletest.Result{}, nil
			}
		}
		return &oracletest.Result{Affected: 1}, r.insert(t, rows)
	})
}

// onItsOwn runs a statement that has no function of its own.
func (d *Data) onItsOwn(ctx context.Context, c *oracletest.Call, do func(*call) (*oracletest.Result, error)) (*oracletest.Result, error) {
	r := &call{ctx: ctx, d: d, tx: d.session(c.Session), Call: c}
	defer func() { d.keep(c.Session, r.tx) }()
	return r.run(statement{serve: do})
}

// rowsOf makes the rows that an INSERT's values stand for.
func (r *call) rowsOf(in *insertion) (*table, []row, error) {
	t, err := r.d.table(in.table)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]row, len(r.Rows))
	for i := range rows {
		values := map[string]oracletest.Value{}
		for j, name := range in.columns {
			v := in.values[j]
			if b, ok := v.(bind); ok {
				v = r.Arg(i, string(b))
			}
			values[name] = v
		}
		if rows[i], err = t.complete(values); err != nil {
			return nil, nil, err
		}
	}
	return t, rows, nil
}
