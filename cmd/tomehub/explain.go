package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tomehub/tomehub/internal/pool"
)

// boundParameter is a parameter of a statement of ours, :name or ?1.
var boundParameter = regexp.MustCompile(`[^:](:[a-z_]+|\?\d+)`)

// explainEmbedded tells how SQLite carries out a statement on the library in a directory, which a server may have open:
// one line for each step.
func explainEmbedded(ctx context.Context, dataDir, statement string) (steps []string, err error) {
	pools, err := pool.OpenSQLite(ctx, pool.Config{
		Path: filepath.Join(dataDir, libraryFile), Single: true, Timeout: 10 * time.Second, Recycle: time.Hour, QueryTimeout: 10 * time.Second,
		Read: pool.Bounds{Min: 1, Size: 1, SizeSetting: "read"},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pools.Close()) }()
	conn, err := pools.Read().Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, "EXPLAIN QUERY PLAN "+statement, anyArguments(statement)...)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			return nil, fmt.Errorf("read the plan: %w", err)
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

// anyArguments are values for the parameters of a statement; to a plan one is as good as another.
func anyArguments(statement string) (args []any) {
	seen := map[string]bool{}
	for _, m := range boundParameter.FindAllStringSubmatch(statement, -1) {
		name := m[1]
		if seen[name] {
			continue
		}
		seen[name] = true
		if name[0] == ':' {
			args = append(args, sql.Named(name[1:], "1"))
		} else {
			args = append(args, "1")
		}
	}
	return args
}
