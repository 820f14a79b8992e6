package store

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

//go:embed sql
var sqlFiles embed.FS

// statement is one file of SQL and what running it has cost so far.
type statement struct {
	name string
	text string // with its tag, as the database sees it

	executions, rows, errors      atomic.Int64
	elapsed, maxElapsed, acquired atomic.Int64 // nanoseconds; acquired: waited for a slot and a connection
}

// StatementStats is what one statement has cost since the store was opened.
type StatementStats struct {
	Name       string // of its file, and of its tag
	SQL        string
	Executions int64
	Rows       int64 // returned or changed
	Errors     int64
	// Elapsed is from when each execution has its connection to its last row
	// read, with what the reader did between the rows. AcquireWait, the waits for
	// a slot and for one of the few physical connections behind the slots, is not
	// in it; that of a transaction stands with the transaction's first statement.
	Elapsed, MaxElapsed, AcquireWait time.Duration
}

// statementJSON is StatementStats as the admin listener writes it.
type statementJSON struct {
	Name          string `json:"name"`
	SQL           string `json:"sql"`
	Executions    int64  `json:"executions"`
	Rows          int64  `json:"rows"`
	Errors        int64  `json:"errors"`
	ElapsedUS     int64  `json:"elapsed_us"`
	MaxUS         int64  `json:"max_us"`
	AcquireWaitUS int64  `json:"acquire_wait_us"`
}

// MarshalJSON writes the durations in whole microseconds, as v$sql counts them. The longest is rounded up: else one of less than a
// microsecond would be 0, and below the average.
func (s StatementStats) MarshalJSON() ([]byte, error) {
	return json.Marshal(statementJSON{
		Name: s.Name, SQL: s.SQL, Executions: s.Executions, Rows: s.Rows, Errors: s.Errors,
		ElapsedUS: s.Elapsed.Microseconds(), MaxUS: (s.MaxElapsed + time.Microsecond - 1).Microseconds(), AcquireWaitUS: s.AcquireWait.Microseconds(),
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *StatementStats) UnmarshalJSON(data []byte) error {
	var j statementJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = StatementStats{
		Name: j.Name, SQL: j.SQL, Executions: j.Executions, Rows: j.Rows, Errors: j.Errors,
		Elapsed:     time.Duration(j.ElapsedUS) * time.Microsecond,
		MaxElapsed:  time.Duration(j.MaxUS) * time.Microsecond,
		AcquireWait: time.Duration(j.AcquireWaitUS) * time.Microsecond,
	}
	return nil
}

// record adds one execution.
func (s *statement) record(elapsed, waited time.Duration, rows int64, failed bool) {
	s.executions.Add(1)
	s.rows.Add(rows)
	s.elapsed.Add(int64(elapsed))
	s.acquired.Add(int64(waited))
	if failed {
		s.errors.Add(1)
	}
	for {
		most := s.maxElapsed.Load()
		if int64(elapsed) <= most || s.maxElapsed.CompareAndSwap(most, int64(elapsed)) {
			return
		}
	}
}

// stats returns the counters. They are read one by one: an execution that ends
// meanwhile may be in some and not yet in others.
func (s *statement) stats() StatementStats {
	return StatementStats{
		Name: s.name, SQL: s.text,
		Executions: s.executions.Load(), Rows: s.rows.Load(), Errors: s.errors.Load(),
		Elapsed:     time.Duration(s.elapsed.Load()),
		MaxElapsed:  time.Duration(s.maxElapsed.Load()),
		AcquireWait: time.Duration(s.acquired.Load()),
	}
}

// statements are those of one dialect, by name.
type statements struct {
	byName map[string]*statement
	taken  map[string]bool // asked for by take
	faults []error
}

// loadStatements reads the files of sql/<dialect>. Each begins with its tag,
// which stays in the text that is sent: by it the database's own statistics lead back to the file.
func loadStatements(dialect string) (*statements, error) {
	files, err := fs.Glob(sqlFiles, path.Join("sql", dialect, "*.sql"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("load statements: no files for %q", dialect)
	}
	s := &statements{byName: make(map[string]*statement, len(files)), taken: make(map[string]bool, len(files))}
	for _, file := range files {
		text, err := sqlFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("load statements: %w", err)
		}
		name := strings.TrimSuffix(path.Base(file), ".sql")
		if !strings.HasPrefix(string(text), "/* tomehub:"+name+" */\n") {
			return nil, fmt.Errorf("load statements: %s does not begin with its tag /* tomehub:%s */", file, name)
		}
		s.byName[name] = &statement{name: name, text: strings.TrimSpace(string(text))}
	}
	return s, nil
}

// StatementNames returns the names of the statements of a dialect, "sqlite" or "oracle", in
// alphabetical order; none of any other.
func StatementNames(dialect string) []string {
	all, err := loadStatements(dialect)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(all.byName))
}

// take returns the statement of that name; done tells when there was none.
func (s *statements) take(name string) *statement {
	st, ok := s.byName[name]
	if !ok {
		s.faults = append(s.faults, fmt.Errorf("statement %q has no file", name))
		return &statement{name: name}
	}
	s.taken[name] = true
	return st
}

// done reports names without a file and files that nothing takes.
func (s *statements) done() error {
	for name := range s.byName {
		if !s.taken[name] {
			s.faults = append(s.faults, fmt.Errorf("statement %q is taken by nothing", name))
		}
	}
	return errors.Join(s.faults...)
}

// stats returns the counters of all statements that have run, by name.
func (s *statements) stats() []StatementStats {
	all := make([]StatementStats, 0, len(s.byName))
	for _, st := range s.byName {
		if one := st.stats(); one.Executions > 0 {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b StatementStats) int { return strings.Compare(a.Name, b.Name) })
	return all
}
