package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/server/store"
)

// TestPlans holds that no statement reads a whole table that grows with the
// passages: such a statement is fast in every other test and slow in a library.
func TestPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "library.db")
	open(t, path, store.Options{})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files, err := filepath.Glob("sql/sqlite/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`[^:](:[a-z_]+|\?\d+)`)
	whole := regexp.MustCompile(`^SCAN (c|m|l|r|s|TOMEHUB_(CONTENT|METADATA|CONCEPTS|CONCEPT_CHUNKS|RELATIONS))\b`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, statement, _ := strings.Cut(string(text), "*/")
		if strings.Contains(statement, "PRAGMA") {
			continue
		}
		seen := map[string]bool{}
		var args []any
		for _, m := range parameter.FindAllStringSubmatch(statement, -1) {
			if name := m[1]; !seen[name] {
				seen[name] = true
				if name[0] == ':' {
					args = append(args, sql.Named(name[1:], "1"))
				} else {
					args = append(args, "1")
				}
			}
		}
		rows, err := db.Query("EXPLAIN QUERY PLAN "+statement, args...)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if testing.Verbose() {
				t.Logf("%s: %s", filepath.Base(file), detail)
			}
			// Of a search, the two sides of the owners' OR must not be looked up apart.
			twice := strings.Contains(detail, "MULTI-INDEX") && strings.Contains(statement, "MATCH")
			if whole.MatchString(detail) || twice {
				t.Errorf("%s: %s", file, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}
