// Package profiler tells which SQL statements cost the most within a window of time.
//
// It reads cumulative counters twice and reports the difference, never the lifetime sums. The counters come from a
// Source; the reports package writes what comes out.
package profiler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// SchemaVersion is that of a snapshot, as a tomehub answers it and as SaveSnapshot writes it.
const SchemaVersion = 1

// Bounds of one snapshot. A tomehub has some fifty statements; a large Oracle shared pool has a hundred
// thousand and more.
const (
	MaxStatements    = 200_000
	MaxSnapshotBytes = 96 << 20
)

// ErrNotSnapshot means that the bytes are something else than a snapshot.
var ErrNotSnapshot = errors.New("not a snapshot of statements")

// A Source takes snapshots of a database's or a server's statement counters. It may also be a Describer or a Sampler.
type Source interface {
	// Snapshot reads the counters once. With since it may leave out statements that did nothing after since was taken, and
	// then says so by Snapshot.Since. It ends when ctx ends.
	Snapshot(ctx context.Context, since *Snapshot) (Snapshot, error)
	// Name tells a reader of the report what was profiled. It holds no password.
	Name() string
	// Kind says whose counters they are.
	Kind() Kind
}

// A Describer knows more about statements than their counters. It is asked only about those that a report shows.
type Describer interface {
	// Describe returns what it knows, by SQLID. What it cannot know is left empty, and said in the warnings.
	Describe(ctx context.Context, statements []Row) (details map[string]Detail, warnings []string, err error)
}

// A Sampler sees what the sessions of a database do at this moment.
type Sampler interface {
	Sample(ctx context.Context) (Sample, error)
}

// Kind says what the counters of a snapshot are of.
type Kind string

// The kinds.
const (
	Tomehub Kind = ""       // the server's own statistics, of the statements that it ran
	Oracle  Kind = "oracle" // v$sqlstats and its relatives, of all that the database ran
)

// Micros is a time in microseconds, the unit in which statement counters come.
type Micros int64

// Seconds returns the time in seconds.
func (m Micros) Seconds() float64 { return float64(m) / 1e6 }

// A Snapshot holds the counters of all statements at one moment, summed since StartedAt or since the statement was first
// seen. The answer of a tomehub's admin listener at /statements, saved as it is, is a snapshot too.
type Snapshot struct {
	SchemaVersion int        `json:"schema_version"`
	Kind          Kind       `json:"kind,omitempty"`
	Source        string     `json:"source,omitempty"` // Source.Name of the one that took it
	Server        string     `json:"server"`           // name and version
	Phase         string     `json:"phase,omitempty"`
	View          string     `json:"view,omitempty"`      // Oracle: the view that was read
	Instances     []Instance `json:"instances,omitempty"` // Oracle: those whose counters are in it
	StartedAt     time.Time  `json:"started_at"`          // of the server's process: another value means that all counters began anew
	Now           time.Time  `json:"now"`                 // by the server's clock
	// Since, unless it is zero, says that statements which were not active at or after it are left out.
	Since    time.Time  `json:"since,omitzero"`
	Gone     []string   `json:"gone,omitempty"`       // with Since: SQLIDs that the source looked for, of those busy before, and did not find any more
	Time     *TimeModel `json:"time_model,omitempty"` // Oracle: of all instances together; nil when it may not be read
	Warnings []string   `json:"warnings,omitempty"`   // what could not be read, and what to ask a DBA for
	// Own holds what the profiler itself cost the source so far: its statements are left out of Statements.
	Own        Counters          `json:"own,omitzero"`
	Statements []Statement       `json:"statements"`
	Details    map[string]Detail `json:"details,omitempty"` // by SQLID, of the first statements only, when it was saved
}

// An Instance is one server process of an Oracle database.
type Instance struct {
	ID        int32     `json:"inst_id"`
	Name      string    `json:"name"`
	StartedAt time.Time `json:"started_at"`
}

// TimeModel is what v$sys_time_model counts, since the instance's start.
type TimeModel struct {
	DBTime    Micros `json:"db_time_us"` // of all foreground sessions: running and waiting, idle waits left out
	DBCPU     Micros `json:"db_cpu_us"`
	Parse     Micros `json:"parse_us"`
	HardParse Micros `json:"hard_parse_us"`
}

// A Statement is the counters of one statement, or of one of its cursors: several of the same SQLID are told apart by
// instance, container, plan and child, and their differences are added.
type Statement struct {
	Name string `json:"name"`          // of its file, from its tag; empty for statements that are not ours
	SQL  string `json:"sql,omitempty"` // may be empty in Oracle's snapshots: Describe knows it

	SQLID     string `json:"sql_id,omitempty"`
	Instance  int32  `json:"inst_id,omitempty"`
	Container int32  `json:"con_id,omitempty"`
	Plan      uint64 `json:"plan_hash_value,omitempty"`
	// PlanIsKey says that Plan tells rows apart, as in v$sqlstats_plan_hash. In v$sqlstats it is only the latest plan, and
	// changes while the row stays.
	PlanIsKey bool `json:"plan_is_key,omitempty"`
	// Child tells the cursors of v$sql apart: its number and its address, because a number is given again.
	Child     string `json:"child,omitempty"`
	Signature string `json:"signature,omitempty"` // of the text without its literals, in decimal; empty when it has none
	Versions  int64  `json:"versions,omitempty"`  // child cursors that are there now
	// Command is Oracle's number of the kind of statement, where the source knows it without asking for more: 3 SELECT, 47
	// PL/SQL block, 170 CALL. 0: not known.
	Command    int       `json:"command_type,omitempty"`
	LastActive time.Time `json:"last_active,omitzero"`

	Counters
	Max Micros `json:"max_us"` // the longest single execution; 0 when the source does not know
}

// key tells statements apart within a snapshot and finds them again in the next.
type key struct {
	name, id  string // id: SQLID, or the text where there is none
	child     string
	plan      uint64
	inst, con int32
}

func (s *Statement) key() key {
	switch {
	case s.SQLID != "":
		k := key{id: s.SQLID, child: s.Child, inst: s.Instance, con: s.Container}
		if s.PlanIsKey {
			k.plan = s.Plan
		}
		return k
	case s.Name != "":
		return key{name: s.Name}
	}
	return key{id: s.SQL}
}

func (s *Statement) check() error {
	if s.key() == (key{}) {
		return errors.New("has neither name nor sql nor sql_id")
	}
	if err := s.Counters.check(); err != nil {
		return err
	}
	if s.Max < 0 {
		return fmt.Errorf("has max_us %d, and a counter is never negative", s.Max)
	}
	return nil
}

// check holds what the rest of the package relies on.
func (s Snapshot) check() error {
	switch {
	case s.SchemaVersion == 0:
		return errors.New("no schema_version")
	case s.SchemaVersion != SchemaVersion:
		return fmt.Errorf("schema_version is %d, and this tomehub reads %d", s.SchemaVersion, SchemaVersion)
	case s.StartedAt.IsZero() || s.Now.IsZero():
		return errors.New("no started_at or no now")
	}
	if err := s.Own.check(); err != nil {
		return fmt.Errorf("own %w", err)
	}
	if t := s.Time; t != nil && min(t.DBTime, t.DBCPU, t.Parse, t.HardParse) < 0 {
		return errors.New("time_model has a counter below 0, and a counter is never negative")
	}
	seen := make(map[key]bool, len(s.Statements))
	for i := range s.Statements {
		st := &s.Statements[i]
		if err := st.check(); err != nil {
			return fmt.Errorf("statement %d %w", i+1, err)
		}
		if seen[st.key()] {
			return fmt.Errorf("statement %d, %.60q, is there twice", i+1, cmp.Or(st.SQLID, st.Name+st.SQL))
		}
		seen[st.key()] = true
	}
	return nil
}
