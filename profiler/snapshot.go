// Package profiler tells which SQL statements cost the most within a window of time.
//
// It reads cumulative counters twice and reports the difference, never the lifetime sums. The counters come from a
// Source; the reports package writes what comes out.
package profiler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// SchemaVersion is that of a snapshot, as a tomehub answers it and as SaveSnapshot writes it.
const SchemaVersion = 1

// Bounds of one snapshot. A tomehub has some fifty statements; a large Oracle shared pool has tens of thousands.
const (
	MaxStatements    = 100_000
	MaxSnapshotBytes = 64 << 20
)

// ErrNotSnapshot means that the bytes are something else than a snapshot.
var ErrNotSnapshot = errors.New("not a snapshot of statements")

// A Source takes snapshots of a database's or a server's statement counters.
type Source interface {
	// Snapshot reads all counters once. It ends when ctx ends.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Name tells a reader of the report what was profiled. It holds no password.
	Name() string
}

// Micros is a time in microseconds, the unit in which statement counters come.
type Micros int64

// Seconds returns the time in seconds.
func (m Micros) Seconds() float64 { return float64(m) / 1e6 }

// A Snapshot holds the counters of all statements at one moment, summed since StartedAt or since the statement was first
// seen. The answer of a tomehub's admin listener at /statements, saved as it is, is a snapshot too.
type Snapshot struct {
	SchemaVersion int         `json:"schema_version"`
	Source        string      `json:"source,omitempty"` // Source.Name of the one that took it
	Server        string      `json:"server"`           // name and version
	Phase         string      `json:"phase,omitempty"`
	StartedAt     time.Time   `json:"started_at"` // of the server's process: another value means that all counters began anew
	Now           time.Time   `json:"now"`        // by the server's clock
	Statements    []Statement `json:"statements"`
}

// A Statement is the counters of one statement.
type Statement struct {
	Name        string `json:"name"` // of its file, from its tag; empty for statements that are not ours
	SQL         string `json:"sql"`
	Executions  int64  `json:"executions"`
	Rows        int64  `json:"rows"` // returned or changed
	Errors      int64  `json:"errors"`
	Elapsed     Micros `json:"elapsed_us"`      // running and fetching, without the wait for a connection
	Max         Micros `json:"max_us"`          // the longest single execution; 0 when the source does not know
	AcquireWait Micros `json:"acquire_wait_us"` // waiting for a connection before running
}

// key tells statements apart within a snapshot and finds them again in the next.
type key struct{ name, sql string }

func (s Statement) key() key {
	if s.Name != "" {
		return key{name: s.Name}
	}
	return key{sql: s.SQL}
}

func (s Statement) check() error {
	if s.key() == (key{}) {
		return errors.New("has neither name nor sql")
	}
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"executions", s.Executions}, {"rows", s.Rows}, {"errors", s.Errors},
		{"elapsed_us", int64(s.Elapsed)}, {"max_us", int64(s.Max)}, {"acquire_wait_us", int64(s.AcquireWait)},
	} {
		if c.value < 0 {
			return fmt.Errorf("has %s %d, and a counter is never negative", c.name, c.value)
		}
	}
	return nil
}

// SaveSnapshot writes a snapshot as JSON. The file appears whole or not at all, and only its owner may read it: SQL may
// hold literals.
func SaveSnapshot(path string, s Snapshot) error {
	s.SchemaVersion = SchemaVersion
	if s.Statements == nil {
		s.Statements = []Statement{}
	}
	body, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if len(body) >= MaxSnapshotBytes {
		return fmt.Errorf("save snapshot: %d bytes, more than LoadSnapshot's bound of %d", len(body), MaxSnapshotBytes)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".snapshot-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	_, err = tmp.Write(append(body, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save snapshot: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// LoadSnapshot reads what SaveSnapshot wrote, or the saved answer of a tomehub's /statements.
func LoadSnapshot(path string) (Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load snapshot: %w", err)
	}
	defer f.Close()
	s, err := decode(f)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load snapshot %s: %w", path, err)
	}
	return s, nil
}

// decode reads one snapshot and nothing behind it. It takes statement after statement, so that bytes which are not to be
// trusted cannot ask for more memory than the bounds allow. An error of reading is returned as it is, one of the bytes is
// an ErrNotSnapshot.
func decode(r io.Reader) (Snapshot, error) {
	in := &boundedReader{r: r, left: MaxSnapshotBytes}
	dec := json.NewDecoder(in)
	s, err := decodeObject(dec)
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			err = nil
		} else if err == nil {
			err = errors.New("there is more behind its end")
		}
	}
	if err == nil {
		err = s.check()
	}
	switch {
	case in.err != nil:
		return Snapshot{}, in.err
	case errors.Is(err, errBound):
		return Snapshot{}, err
	case err != nil:
		return Snapshot{}, fmt.Errorf("%w: %w", ErrNotSnapshot, err)
	}
	return s, nil
}

var errBound = errors.New("beyond the profiler's bound")

// boundedReader reads at most left bytes and keeps the error that ended the reading, unless it was the end.
type boundedReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		err = fmt.Errorf("%w: more than %d MiB", errBound, MaxSnapshotBytes>>20)
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func decodeObject(dec *json.Decoder) (Snapshot, error) {
	var s Snapshot
	switch start, err := dec.Token(); {
	case err != nil:
		return s, err
	case start != json.Delim('{'):
		return s, fmt.Errorf("%.40q where \"{\" is expected", fmt.Sprint(start))
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return s, err
		}
		var into any
		switch name {
		case "schema_version":
			into = &s.SchemaVersion
		case "source":
			into = &s.Source
		case "server":
			into = &s.Server
		case "phase":
			into = &s.Phase
		case "started_at":
			into = &s.StartedAt
		case "now":
			into = &s.Now
		case "statements":
			if err := decodeStatements(dec, &s); err != nil {
				return s, err
			}
			continue
		default: // of a newer server
			into = new(json.RawMessage)
		}
		if err := dec.Decode(into); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := dec.Token() // the closing brace
	return s, err
}

func decodeStatements(dec *json.Decoder, s *Snapshot) error {
	switch start, err := dec.Token(); {
	case err != nil:
		return err
	case start == nil: // null, as a server writes a list that was never made
		return nil
	case start != json.Delim('['):
		return fmt.Errorf("statements: %.40q where \"[\" is expected", fmt.Sprint(start))
	}
	for dec.More() {
		if len(s.Statements) == MaxStatements {
			return fmt.Errorf("%w: more than %d statements", errBound, MaxStatements)
		}
		var st Statement
		if err := dec.Decode(&st); err != nil {
			return fmt.Errorf("statement %d: %w", len(s.Statements)+1, err)
		}
		s.Statements = append(s.Statements, st)
	}
	_, err := dec.Token()
	return err
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
	seen := make(map[key]bool, len(s.Statements))
	for i, st := range s.Statements {
		if err := st.check(); err != nil {
			return fmt.Errorf("statement %d %w", i+1, err)
		}
		if seen[st.key()] {
			return fmt.Errorf("statement %d, %.60q, is there twice", i+1, st.Name+st.SQL)
		}
		seen[st.key()] = true
	}
	return nil
}
