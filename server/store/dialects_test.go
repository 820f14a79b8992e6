package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parametersOf returns the parameters of a statement by name, sorted, each once.
func parametersOf(text string) (names []string) {
	text = regexp.MustCompile(`(?s)/\*.*?\*/|--[^\n]*|'[^']*'`).ReplaceAllString(text, " ")
	for _, m := range regexp.MustCompile(`:([A-Za-z_]+)`).FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestDialectsAgree holds that a statement which both dialects have, and the shared methods run,
// has the same parameters in both.
func TestDialectsAgree(t *testing.T) {
	// These are run by methods of the dialects' own.
	own := []string{"owner_add", "owner_lock", "owner_touch", "book_span", "content_add", "metadata_add", "concept_add", "link_add", "relation_add"}
	both := 0
	for name, oracle := range texts(t, "oracle") {
		sqlite, ok := texts(t, "sqlite")[name]
		if !ok || slices.Contains(own, name) {
			continue
		}
		both++
		if diff := cmp.Diff(parametersOf(sqlite), parametersOf(oracle)); diff != "" {
			t.Errorf("%s: parameters (-sqlite +oracle):\n%s", name, diff)
		}
	}
	if both < 30 {
		t.Errorf("%d statements in both dialects", both)
	}
}

func texts(t *testing.T, dialect string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob("sql/" + dialect + "/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("statements of %s: %d, %v", dialect, len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".sql")] = string(text)
	}
	return all
}

// reserved are Oracle's reserved words, none of which may name a parameter (ORA-01745).
const reserved = `ACCESS ADD ALL ALTER AND ANY AS ASC AUDIT BETWEEN BY CHAR CHECK CLUSTER COLUMN COLUMN_VALUE COMMENT COMPRESS CONNECT CREATE
CURRENT DATE DECIMAL DEFAULT DELETE DESC DISTINCT DROP ELSE EXCLUSIVE EXISTS FILE FLOAT FOR FROM GRANT GROUP HAVING IDENTIFIED IMMEDIATE
IN INCREMENT INDEX INITIAL INSERT INTEGER INTERSECT INTO IS LEVEL LIKE LOCK LONG MAXEXTENTS MINUS MLSLABEL MODE MODIFY NESTED_TABLE_ID
NOAUDIT NOCOMPRESS NOT NOWAIT NULL NUMBER OF OFFLINE ON ONLINE OPTION OR ORDER PCTFREE PRIOR PUBLIC RAW RENAME RESOURCE REVOKE ROW ROWID
ROWNUM ROWS SELECT SESSION SET SHARE SIZE SMALLINT START SUCCESSFUL SYNONYM SYSDATE TABLE THEN TO TRIGGER UID UNION UNIQUE UPDATE USER
VALIDATE VALUES VARCHAR VARCHAR2 VIEW WHENEVER WHERE WITH`

// TestOracleStatements holds what neither go-ora nor Oracle forgives.
func TestOracleStatements(t *testing.T) {
	words := strings.Fields(reserved)
	comment := regexp.MustCompile(`(?s)/\*.*?\*/`)
	for name, text := range texts(t, "oracle") {
		for _, p := range parametersOf(text) {
			if slices.Contains(words, strings.ToUpper(p)) {
				t.Errorf("%s: parameter :%s has the name of a reserved word", name, p)
			}
			if p != strings.ToLower(p) {
				t.Errorf("%s: parameter :%s: names are told apart by case", name, p)
			}
		}
		for _, c := range comment.FindAllString(text, -1) {
			if strings.ContainsAny(c, `'":\`) && c != fmt.Sprintf("/* tomehub:%s */", name) {
				t.Errorf("%s: the driver takes a quote or a colon in a comment for one of the statement: %s", name, c)
			}
		}
		rest := comment.ReplaceAllString(text, "")
		if strings.Contains(rest, "--") {
			t.Errorf("%s: line comment", name)
		}
		if strings.Contains(rest, "CONTAINS(") != strings.Contains(rest, ") > 0") {
			t.Errorf("%s: CONTAINS is a score: compare it with 0", name)
		}
		if strings.Contains(rest, "OFFSET") && !regexp.MustCompile(`ORDER BY [^\n]*\bid\b[^\n]*\s+OFFSET`).MatchString(rest) {
			t.Errorf("%s: pages overlap without the id in their order", name)
		}
		if regexp.MustCompile(`(?i)\b(FROM|JOIN)\s+TOMEHUB_\w+\s+AS\b|\bLIMIT\b|\bRETURNING\b`).MatchString(rest) {
			t.Errorf("%s: not Oracle's SQL", name)
		}
	}
}

func TestSplitSlashes(t *testing.T) {
	f := func(script string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, splitSlashes(script)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", script, diff)
		}
	}
	f("")
	f("/\n/\n")
	f("A\n", "A")
	f("A\n/\nB\n/\n", "A", "B")
	f("A / 2\n/ 3\n/\n/* B\n*/ B", "A / 2\n/ 3", "/* B\n*/ B") // a slash with something beside it divides
}

// TestOracleSchema holds that each statement of the schema can be run again, and names itself.
func TestOracleSchema(t *testing.T) {
	steps, err := Steps("oracle")
	if err != nil || len(steps) == 0 {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	text := 0
	for _, s := range steps {
		for _, statement := range s.Statements {
			line := firstLine(statement)
			if !regexp.MustCompile(`^(CREATE (TABLE|INDEX|UNIQUE INDEX)|MERGE INTO) TOMEHUB_`).MatchString(line) {
				t.Errorf("%s: %q cannot be passed over when it is there", s.Name, line)
			}
			if strings.HasSuffix(statement, ";") || len(statement) > 32767 {
				t.Errorf("%s: %q is no single statement", s.Name, line)
			}
			if strings.Contains(statement, "INDEXTYPE IS CTXSYS.CONTEXT") {
				text++
				if !strings.Contains(statement, "SYNC (ON COMMIT)") || !strings.Contains(statement, "STOPLIST CTXSYS.EMPTY_STOPLIST") {
					t.Errorf("%s: words would be found late, or not at all: %s", s.Name, statement)
				}
			}
		}
	}
	if text != 1 {
		t.Errorf("%d text indexes", text)
	}
}

func TestExplainDDL(t *testing.T) {
	f := func(from, want string) {
		t.Helper()
		cause := errors.New(from)
		err := explainDDL(fmt.Errorf("CREATE INDEX X: %w", cause))
		if want == "" {
			if errors.Is(err, ErrGrant) {
				t.Errorf("%q is explained: %v", from, err)
			}
			return
		}
		if !errors.Is(err, ErrGrant) || !errors.Is(err, cause) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q gives %q, want one line with %q", from, err, want)
		}
	}
	f("ORA-29833: indextype does not exist", "Oracle Text is not installed")
	f("ORA-29855: error occurred in the execution of ODCIINDEXCREATE routine\nORA-20000: Oracle Text error:\nDRG-10700: preference does not exist: CTXSYS.BASIC_LEXER", "lacks one of its own preferences")
	f("ORA-01950: no privileges on tablespace 'USERS'", "QUOTA")
	f("ORA-01031: insufficient privileges\nORA-06512: at line 4", "GRANT CREATE TABLE")
	f("ORA-01653: unable to extend table TOMEHUB.TOMEHUB_CONTENT by 128 in tablespace USERS", "tablespace is full")
	f("ORA-30006: resource busy; acquire with WAIT timeout expired", "another session")
	f("ORA-00900: invalid SQL statement", "")
}
