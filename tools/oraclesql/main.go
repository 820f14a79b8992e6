// Oraclesql says whether the SQL files of TomeHub are Oracle's SQL, as far as a grammar can:
//
//	oraclesql ROOT
//
// reads every *.sql below ROOT that lies in a directory sql/oracle (one statement a file) or migrations/oracle
// (statements ended by a line "/"), prints each fault as file:line: message, and ends with 1
// when there is one or when either kind of file is missing.
//
// It is a module of its own because its parser takes a minute and some gigabytes to
// compile, which nobody who builds the server should pay.
package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: oraclesql ROOT")
		os.Exit(2)
	}
	faults, err := run(os.DirFS(os.Args[1]), os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oraclesql:", err)
		os.Exit(1)
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// A kind is where files of Oracle SQL lie, and whether one may hold several statements.
type kind struct {
	dir  string
	many bool
}

var kinds = []kind{{dir: "sql/oracle"}, {dir: "migrations/oracle", many: true}}

// run checks the tree, prints what it found and returns the number of faults. Finding no
// file of a kind is an error: a check that reads nothing would always pass.
func run(tree fs.FS, out io.Writer) (faults int, err error) {
	found := make([]int, len(kinds))
	statements := 0
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		for i, k := range kinds {
			if dir := path.Dir(name); path.Ext(name) != ".sql" || dir != k.dir && !strings.HasSuffix(dir, "/"+k.dir) {
				continue
			}
			text, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			found[i]++
			n, bad := checkFile(string(text), k.many)
			statements += n
			for _, f := range bad {
				fmt.Fprintf(out, "%s:%d: %s\n", name, f.line, f.message)
			}
			faults += len(bad)
		}
		return nil
	})
	if err != nil {
		return faults, err
	}
	for i, k := range kinds {
		if found[i] == 0 {
			return faults, fmt.Errorf("no *.sql in a directory %s: nothing was checked", k.dir)
		}
	}
	fmt.Fprintf(out, "%d statements in %d files, %d faults\n", statements, found[0]+found[1], faults)
	return faults, nil
}
