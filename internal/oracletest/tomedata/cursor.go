package tomedata

import (
	"crypto/md5"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// A Statement is what an Instance is told of a text when it is loaded.
type Statement struct {
	ID     string // SQL_ID; "": as Oracle makes it of the text
	Text   string
	Schema string // PARSING_SCHEMA_NAME; "": TOMEHUB

	// Of the session that parsed it first.
	Module, Action string

	Command   int    // COMMAND_TYPE; 0: by the text's first word
	Signature uint64 // FORCE_MATCHING_SIGNATURE; 0: ForceMatching's
	Plan      uint64 // PLAN_HASH_VALUE; 0: one of its own, or none for PL/SQL
	Steps     []Step // of that plan
}

// Cost is what one execution takes, parse and fetch with it. The waits are parts of Elapsed, as Oracle has them.
type Cost struct {
	Elapsed, CPU                              time.Duration
	Application, Concurrency, Cluster, UserIO time.Duration // waits
	PLSQL                                     time.Duration
	Gets, Reads, Rows, Fetches, Sorts         int64
	Parses, HardParses                        int64
	HardParse                                 time.Duration // of all its HardParses
}

func (c *Cost) add(n int64, o *Cost) {
	times := time.Duration(n)
	c.Elapsed += times * o.Elapsed
	c.CPU += times * o.CPU
	c.Application += times * o.Application
	c.Concurrency += times * o.Concurrency
	c.Cluster += times * o.Cluster
	c.UserIO += times * o.UserIO
	c.PLSQL += times * o.PLSQL
	c.Gets += n * o.Gets
	c.Reads += n * o.Reads
	c.Rows += n * o.Rows
	c.Fetches += n * o.Fetches
	c.Sorts += n * o.Sorts
	c.Parses += n * o.Parses
	c.HardParses += n * o.HardParses
	c.HardParse += times * o.HardParse
}

// counters are a child's counters.
type counters struct {
	Cost
	executions, loads, invalidations int64
}

func (t *counters) add(o *counters) {
	t.Cost.add(1, &o.Cost)
	t.executions += o.executions
	t.loads += o.loads
	t.invalidations += o.invalidations
}

// The reasons of V$SQL_SHARED_CURSOR that the model has.
var sharedReasons = []string{
	"BIND_MISMATCH", "OPTIMIZER_MISMATCH", "ROLL_INVALID_MISMATCH", "LANGUAGE_MISMATCH", "BIND_EQUIV_FAILURE", "USE_FEEDBACK_STATS",
}

// A Child is another version of a cursor.
type Child struct {
	Plan           uint64   // PLAN_HASH_VALUE; 0: that of the child before
	Reasons        []string // why the versions before could not be shared, as columns of V$SQL_SHARED_CURSOR
	Module, Action string   // "": the statement's
	Schema         string
}

type child struct {
	Child
	number  int
	address int64
	loaded  bool // shown by V$SQL; V$SQLSTATS keeps the counters of those that are not
	counters

	// Times on the wall.
	firstLoad, lastLoad, lastActive time.Time
}

// A Cursor is one statement in the shared pool of one instance, with its children. What its methods do happens at the
// database's time.
type Cursor struct {
	in *Instance
	st Statement // does not change

	// Guarded by in.db.mu.
	there     bool // in in.cursors
	children  []*child
	current   *child
	plans     []plan
	firstLoad time.Time
}

type plan struct {
	hash  uint64
	steps []Step
}

// A Step is a row of V$SQL_PLAN.
type Step struct {
	ID, Parent, Depth         int // Parent below 0: NULL
	Operation, Options        string
	Owner, Object, ObjectType string
	Cardinality, Cost         int64
	Access, Filter            string
}

// alphabet is that of SQL_IDs: 5 bits each.
const alphabet = "0123456789abcdfghjkmnpqrstuvwxyz"

// SQLID makes a statement's SQL_ID as Oracle does: of the last 64 bits of the text's MD5, a zero byte behind the text.
func SQLID(text string) string {
	sum := md5.Sum(append([]byte(text), 0))
	n := uint64(binary.LittleEndian.Uint32(sum[8:]))<<32 | uint64(binary.LittleEndian.Uint32(sum[12:]))
	id := make([]byte, 13)
	for i := range id {
		id[12-i] = alphabet[n%32]
		n /= 32
	}
	return string(id)
}

func sumOf(s string) []byte {
	sum := md5.Sum([]byte(s))
	return sum[:]
}

// ForceMatching is the same for texts that differ in literals, blanks, comments and case only. It is 0, as Oracle has it,
// for PL/SQL and for an INSERT of literals. The number itself is not Oracle's.
func ForceMatching(text string) uint64 {
	w, err := tokens(text)
	if err != nil || len(w) == 0 {
		w = []string{text, ""}
	}
	literals := 0
	for i, t := range w {
		if t != "" && (t[0] == '\'' || t[0] >= '0' && t[0] <= '9') {
			w[i] = "?"
			literals++
		}
	}
	if isPLSQL(w[0]) || w[0] == "INSERT" && slices.Contains(w, "VALUES") && literals > 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(sumOf(strings.Join(w, " "))) | 1
}

func isPLSQL(word string) bool { return word == "BEGIN" || word == "DECLARE" || word == "CALL" }

// plsqlCommand is COMMAND_TYPE of a PL/SQL block, whose time has that of its statements in it.
const plsqlCommand = 47

func commandOf(text string) int {
	w, err := tokens(text)
	if err != nil || len(w) == 0 {
		return 3
	}
	if isPLSQL(w[0]) {
		return plsqlCommand
	}
	if n, ok := map[string]int{"INSERT": 2, "UPDATE": 6, "DELETE": 7, "MERGE": 189, "CREATE": 1, "DROP": 12, "ALTER": 15, "LOCK": 26}[w[0]]; ok {
		return n
	}
	return 3
}

func (st *Statement) fill() {
	if st.ID == "" {
		st.ID = SQLID(st.Text)
	}
	if st.Schema == "" {
		st.Schema = Schema
	}
	if st.Command == 0 {
		st.Command = commandOf(st.Text)
	}
	if st.Signature == 0 {
		st.Signature = ForceMatching(st.Text)
	}
	if st.Plan == 0 && st.Command != plsqlCommand {
		st.Plan = uint64(binary.LittleEndian.Uint32(sumOf(st.ID))) | 1
	}
}

// Cursor loads a statement, if it is not there yet, by its text and ID. Without executions it has rows with zeros.
func (in *Instance) Cursor(st Statement) *Cursor {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	return in.cursor(st)
}

// cursor is Cursor; db.mu is held.
func (in *Instance) cursor(st Statement) *Cursor {
	key := st.ID + "\x00" + st.Text
	c := in.byText[key]
	if c == nil {
		st.fill()
		c = &Cursor{in: in, st: st}
		in.byText[key] = c
	}
	c.load()
	return c
}

// load puts the cursor into the shared pool, if it is not there; db.mu is held.
func (c *Cursor) load() {
	now := c.in.db.wall(c.in.db.clock())
	if !c.there {
		c.there, c.firstLoad = true, now
		c.in.cursors = append(c.in.cursors, c)
		c.plans = []plan{{c.st.Plan, c.st.Steps}}
	}
	if c.current == nil || !c.current.loaded {
		hash := c.st.Plan
		if c.current != nil {
			hash = c.current.Plan
		}
		c.version(Child{Plan: hash}, now)
	}
}

// version makes a child and has it used from now on; db.mu is held.
func (c *Cursor) version(made Child, now time.Time) *child {
	c.in.children++
	n := &child{Child: made, address: c.in.children, loaded: true, firstLoad: now, lastLoad: now, lastActive: now}
	for _, old := range c.children {
		if old.loaded {
			n.number++
		}
	}
	n.loads = 1
	for _, s := range []struct{ set, as *string }{{&n.Module, &c.st.Module}, {&n.Action, &c.st.Action}, {&n.Schema, &c.st.Schema}} {
		if *s.set == "" {
			*s.set = *s.as
		}
	}
	c.children, c.current = append(c.children, n), n
	return n
}
