package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tomehub/tomehub/internal/pool"
)

// splitSlashes splits a script at its lines of a slash alone, as SQL*Plus does.
func splitSlashes(script string) (statements []string) {
	var b strings.Builder
	end := func() {
		if text := strings.TrimSpace(b.String()); text != "" {
			statements = append(statements, text)
		}
		b.Reset()
	}
	for line := range strings.Lines(script) {
		if strings.TrimSpace(line) == "/" {
			end()
			continue
		}
		b.WriteString(line)
	}
	end()
	return statements
}

// PendingOracle returns the steps that the schema behind pools lacks. It changes nothing.
func PendingOracle(ctx context.Context, pools *pool.Pools, opt Options) ([]Step, error) {
	o, err := newOracle(pools, opt)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	pending, err := o.pending(pool.WithoutQueryTimeout(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", err)
	}
	return stepsOf("oracle", pending), nil
}

// MigrateOracle brings the schema behind pools to this program's and returns the steps it took. It
// needs no more than a normal user of the database has: CREATE SESSION, CREATE TABLE, room in a
// tablespace, and Oracle Text installed. A step that breaks off half-way is taken up again by the
// next call; of two that run at once one waits for the other, step by step.
func MigrateOracle(ctx context.Context, pools *pool.Pools, opt Options) ([]Step, error) {
	o, err := newOracle(pools, opt)
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	ctx = pool.WithoutQueryTimeout(ctx) // indexing a large library takes its time
	var taken []migration
	for {
		pending, err := o.pending(ctx)
		if err != nil {
			return stepsOf("oracle", taken), fmt.Errorf("migrate: %w", err)
		}
		if len(pending) == 0 {
			return stepsOf("oracle", taken), nil
		}
		next := pending[0]
		took, err := o.takeMigration(ctx, next)
		if err != nil {
			return stepsOf("oracle", taken), fmt.Errorf("apply migration %s: %w", next.name, explainDDL(err))
		}
		if took {
			taken = append(taken, next)
		}
	}
}

// pending returns the migrations that the schema has not taken, all for a new one.
func (o *Oracle) pending(ctx context.Context) ([]migration, error) {
	all, err := loadMigrations("oracle")
	if err != nil {
		return nil, err
	}
	taken, err := o.recordedMigrations(ctx)
	if pool.OracleCode(err) == oraNoTable {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	if err := checkMigrations(all, taken); err != nil {
		return nil, err
	}
	return all[len(taken):], nil
}

// takeMigration applies m unless another process has meanwhile.
//
// DDL commits what came before it, so the lock and the record stand in one transaction and each
// statement of the step in another of its own, within the same session. A step that another
// process was in when it died is repeated from its start: what exists is passed over.
func (o *Oracle) takeMigration(ctx context.Context, m migration) (took bool, err error) {
	err = o.write(ctx, o.writes.migrationsCreate, func(tx *pool.Tx) error {
		if err := o.create(ctx, tx, o.writes.migrationsCreate); err != nil {
			return err
		}
		if err := o.trace.exec(ctx, tx, o.st.migrationsLock); err != nil {
			return err
		}
		n := 0
		count := func(*pool.Rows) error { n++; return nil }
		if err := o.trace.query(ctx, tx, nil, o.reads.migrations, "", count); err != nil {
			return err
		}
		if n >= m.version {
			return errNothingToDo
		}
		if err := o.dropBrokenIndex(ctx, tx); err != nil {
			return err
		}
		for _, statement := range splitSlashes(m.text) {
			if err := o.create(ctx, tx, o.st.migrationStep, statement); err != nil {
				return fmt.Errorf("%s: %w", firstLine(statement), err)
			}
		}
		took = true
		return o.trace.exec(ctx, tx, o.writes.migrationAdd, migrationRecord(m)...)
	})
	return took && err == nil, err
}

// create runs DDL; what it would create may be there already.
func (o *Oracle) create(ctx context.Context, tx *pool.Tx, st *statement, args ...any) error {
	err := o.trace.exec(ctx, tx, st, args...)
	if pool.OracleCode(err) == oraExists {
		return nil
	}
	return err
}

// dropBrokenIndex drops a text index whose creation failed: it exists, refuses every search, and
// would be passed over as there.
func (o *Oracle) dropBrokenIndex(ctx context.Context, tx *pool.Tx) error {
	broken := false
	err := o.trace.query(ctx, tx, nil, o.st.textIndex, "", func(r *pool.Rows) error {
		var status, operation text
		err := r.Scan(&status, &operation)
		broken = status != "VALID" || operation != "VALID"
		return err
	})
	if err != nil || !broken {
		return err
	}
	return o.trace.exec(ctx, tx, o.st.migrationStep, o.st.textIndexDrop.text)
}

var leadingComment = regexp.MustCompile(`(?s)^(\s*/\*.*?\*/)*\s*`)

// firstLine names a statement of a migration.
func firstLine(statement string) string {
	line, _, _ := strings.Cut(leadingComment.ReplaceAllString(statement, ""), "\n")
	return strings.TrimSuffix(strings.TrimSpace(line), " (")
}

// ErrGrant is matched when the user of the database may not do what a migration needs, or when
// the database lacks a part of itself: a case for its DBA.
var ErrGrant = errors.New("ask the DBA")

// remedies are what an error in DDL asks for, by the code in its text: those of Oracle Text come
// wrapped in ORA-29855 and ORA-20000, which say nothing.
var remedies = []struct {
	code   *regexp.Regexp
	remedy string
}{
	{regexp.MustCompile(`ORA-29833|ORA-29850|ORA-04045.*CTXSYS|PLS-00201.*CTX|ORA-00439`), "Oracle Text is not installed in this database: install it (catctx.sql, or CONTEXT in DBCA); tomehub needs no more of it than the index type CTXSYS.CONTEXT"},
	{regexp.MustCompile(`DRG-10700`), "Oracle Text lacks one of its own preferences in CTXSYS: its installation is incomplete (see DBA_REGISTRY, component CONTEXT)"},
	{regexp.MustCompile(`ORA-01950|ORA-01536`), "the user has no room in its tablespace: ALTER USER <user> QUOTA UNLIMITED ON <tablespace>"},
	{regexp.MustCompile(`ORA-01652|ORA-01653|ORA-01658|ORA-01659|ORA-03233`), "the tablespace is full: add a data file or let it grow"},
	{regexp.MustCompile(`ORA-01031`), "the user may not create this: GRANT CREATE TABLE TO <user>"},
	{regexp.MustCompile(`ORA-30006|ORA-00054`), "another session holds the schema's lock: another tomehub migrate is at work, or was cut off and its session lives on"},
}

// explainDDL says what a DBA must do about an error in DDL.
func explainDDL(err error) error {
	for _, r := range remedies {
		if r.code.MatchString(err.Error()) {
			return &grantError{remedy: r.remedy, cause: err}
		}
	}
	return err
}

// grantError is an error in DDL with its remedy, on one line.
type grantError struct {
	remedy string
	cause  error
}

func (e *grantError) Error() string {
	return ErrGrant.Error() + ": " + e.remedy + " (" + strings.Join(strings.Fields(e.cause.Error()), " ") + ")"
}

func (e *grantError) Unwrap() []error { return []error{ErrGrant, e.cause} }
