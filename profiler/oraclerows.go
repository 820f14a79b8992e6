package profiler

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"time"
)

// number scans an Oracle NUMBER, which drivers give in many ways. NULL is 0; a fraction is cut off. What is beyond 63 bits or
// negative is 0 as well: Oracle's counters are, after some of its faults, a little less than nothing.
type number int64

// Scan implements sql.Scanner: database/sql's own conversion costs several times as much, by reflection.
func (n *number) Scan(src any) error {
	*n = 0
	switch v := src.(type) {
	case nil:
	case int64:
		*n = number(max(v, 0))
	case float64:
		if v > 0 && v < math.MaxInt64 {
			*n = number(v)
		}
	case string:
		return n.parse(v)
	case []byte:
		return n.parse(string(v))
	default:
		return fmt.Errorf("a number came as %T", src)
	}
	return nil
}

func (n *number) parse(s string) error {
	var sum uint64
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			if sum > (math.MaxInt64-9)/10 {
				return nil
			}
			sum = sum*10 + uint64(c-'0')
		case c == '.' && i > 0 && !strings.ContainsAny(s, "eE"):
			*n = number(sum)
			return nil
		case c == '-' && i == 0:
			return nil
		default:
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return fmt.Errorf("a number came as %.40q", s)
			}
			return n.Scan(f)
		}
	}
	*n = number(sum)
	return nil
}

// text scans a VARCHAR2; NULL is empty.
type text string

// Scan implements sql.Scanner.
func (t *text) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case []byte:
		*t = text(v)
	default:
		return fmt.Errorf("a text came as %T", src)
	}
	return nil
}

// address scans a RAW; NULL is empty.
type address []byte

// Scan implements sql.Scanner.
func (a *address) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*a = nil
	case []byte:
		*a = append((*a)[:0], v...)
	case string:
		*a = append((*a)[:0], v...)
	default:
		return fmt.Errorf("an address came as %T", src)
	}
	return nil
}

// moment scans a DATE; NULL is the zero time.
type moment time.Time

// Scan implements sql.Scanner.
func (m *moment) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*m = moment{}
	case time.Time:
		*m = moment(v)
	default:
		return fmt.Errorf("a date came as %T", src)
	}
	return nil
}

// in is the moment that a clock in zone shows as m.
func (m moment) in(zone *time.Location) time.Time {
	t := time.Time(m)
	if t.IsZero() {
		return t
	}
	_, offset := t.Zone()
	_, want := t.In(zone).Zone()
	return t.Add(time.Duration(offset-want) * time.Second).UTC()
}

// dest puts the instance before the columns, where all instances are read.
func (o *OracleSource) dest(inst *number, columns ...any) []any {
	if o.cfg.RAC {
		return append([]any{inst}, columns...)
	}
	return columns
}

// statementRow is one row of the big pass.
type statementRow struct {
	id, signature             text
	inst, plan, con, versions number
	child, command            number
	childAt                   address
	active                    moment
	counts                    [16]number
}

// dest are the columns of profile_statements or, with children, of profile_cursors.
func (r *statementRow) dest(o *OracleSource, children bool) []any {
	dest := o.dest(&r.inst, &r.id, &r.plan, &r.con, &r.signature, &r.active)
	if children {
		dest = append(dest, &r.child, &r.childAt, &r.command)
	} else {
		dest = append(dest, &r.versions)
	}
	for i := range r.counts {
		dest = append(dest, &r.counts[i])
	}
	return dest
}

func (r *statementRow) counters() Counters {
	n := &r.counts
	return Counters{
		Executions: int64(n[0]), Rows: int64(n[1]), Elapsed: Micros(n[2]), CPU: Micros(n[3]), UserIO: Micros(n[4]), Concurrency: Micros(n[5]),
		Application: Micros(n[6]), Cluster: Micros(n[7]), PLSQL: Micros(n[8]), Gets: int64(n[9]), Reads: int64(n[10]), Fetches: int64(n[11]),
		Sorts: int64(n[12]), Parses: int64(n[13]), Loads: int64(n[14]), Invalid: int64(n[15]),
	}
}

// readStatements makes the big pass.
func (o *OracleSource) readStatements(ctx context.Context, s *Snapshot, view string) error {
	name := "statements"
	if view == ViewSQL {
		name = "cursors"
	}
	q := o.texts.over(name, view, s.Since.In(o.zone).Format(wallFormat))
	if s.Since.IsZero() {
		q.text, q.args = unfiltered(q.text), nil
	}
	s.Own = Counters{}
	found := newPile()
	var r statementRow
	full := false
	err := o.each(ctx, q, r.dest(o, view == ViewSQL), func() bool {
		if o.texts.own[string(r.id)] {
			s.Own = s.Own.plus(r.counters())
			return true
		}
		if full = found.n == MaxStatements; full {
			return false
		}
		st := Statement{
			SQLID: string(r.id), Instance: int32(r.inst), Container: int32(r.con), Plan: uint64(r.plan), PlanIsKey: view == ViewPlanHash,
			Versions: int64(r.versions), LastActive: r.active.in(o.zone), Counters: r.counters(),
		}
		if r.signature != "0" {
			st.Signature = string(r.signature)
		}
		if view == ViewSQL {
			st.Versions, st.Command = 1, int(r.command)
			st.Child = strconv.FormatInt(int64(r.child), 10) + "/" + hex.EncodeToString(r.childAt)
		}
		found.add(&st)
		return true
	})
	s.Statements = found.list()
	if full {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s has more than %d rows: the others are left out", o.shown(view), MaxStatements))
	}
	return err
}

// A pile collects statements without copying them each time that it grows, and finds those that came before: a pass over a v$
// view holds no lock, so that a cursor that moves meanwhile may be met again. It remembers hashes, a tenth of the keys' size.
type pile struct {
	seed   maphash.Seed
	places map[uint64]int32
	parts  [][]Statement // all but the last are full
	n      int
}

const pilePart = 4096

func newPile() *pile { return &pile{seed: maphash.MakeSeed(), places: map[uint64]int32{}} }

// add puts st on the pile, or in the place of an earlier reading of the same cursor.
func (p *pile) add(st *Statement) {
	h := maphash.Comparable(p.seed, st.key())
	if at, known := p.places[h]; known {
		if old := &p.parts[at/pilePart][at%pilePart]; old.key() == st.key() {
			if st.Elapsed >= old.Elapsed {
				*old = *st
			}
			return
		}
	}
	p.places[h] = int32(p.n)
	if p.n%pilePart == 0 {
		p.parts = append(p.parts, make([]Statement, 0, pilePart))
	}
	last := &p.parts[len(p.parts)-1]
	*last = append(*last, *st)
	p.n++
}

// list returns the statements in the order in which they came, and empties the pile.
func (p *pile) list() []Statement {
	p.places = nil
	all := make([]Statement, 0, p.n)
	for i, part := range p.parts {
		all = append(all, part...)
		p.parts[i] = nil
	}
	return all
}
