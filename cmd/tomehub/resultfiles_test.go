package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tomehub/tomehub/reports"
)

func TestResultFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	f := resultFiles{out: filepath.Join(t.TempDir(), "r.json"), html: filepath.Join(t.TempDir(), "r.html"), dir: dir}
	if err := f.checkFiles(); err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: io.Discard, stderr: io.Discard, lookup: func(string) (string, bool) { return "", false }}
	write := func(checks ...reports.Check) {
		t.Helper()
		r := reports.Report{Title: "A run", Judged: len(checks) > 0, Checks: checks}
		if err := a.writeFiles(&f, r, map[string]int{"schema_version": 1}); err != nil {
			t.Fatal(err)
		}
	}
	names := func() string {
		var all []string
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			all = append(all, f.Name())
		}
		return strings.Join(all, " ")
	}
	write(reports.Check{Name: "all", Metric: "p95", Verdict: reports.Pass})
	if got := names(); got != "junit.xml report.csv report.html result.json summary.md" {
		t.Errorf("the directory has %s", got)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "junit.xml"): "<testsuites", filepath.Join(dir, "report.csv"): "table,", filepath.Join(dir, "report.html"): "<!doctype html>",
		filepath.Join(dir, "result.json"): "{", filepath.Join(dir, "summary.md"): "# A run", f.out: "{", f.html: "<!doctype html>",
	} {
		body, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(body), want) || strings.HasSuffix(name, "json") && !json.Valid(body) {
			t.Errorf("%s: %v, begins with %.40q", name, err, body)
		}
	}
	write() // nothing was judged: an old junit.xml would tell of another run
	if got := names(); got != "report.csv report.html result.json summary.md" {
		t.Errorf("without checks the directory has %s", got)
	}
}

// What cannot be written is told before the run, by the flag that named it.
func TestResultFilesAreTriedFirst(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", "report.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	f := func(r resultFiles, want ...string) {
		t.Helper()
		err := r.checkFiles()
		if err == nil || exitCode(err) != exitUsage {
			t.Fatalf("%+v: %v", r, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%v, want %q in it", err, w)
			}
		}
	}
	f(resultFiles{html: dir}, "--html", "is a directory")
	f(resultFiles{out: filepath.Join(dir, "none", "x"), html: filepath.Join(dir, "none", "y")}, "--out", "--html") // both at once
	f(resultFiles{dir: filepath.Join(file, "sub")}, "--out-dir")
	f(resultFiles{dir: filepath.Join(dir, "taken")}, "--out-dir", "report.csv is a directory")
	entries, err := os.ReadDir(filepath.Join(dir, "taken"))
	if err != nil || len(entries) != 1 {
		t.Errorf("asking left %v, %v", entries, err)
	}
	if !slices.Contains((&resultFiles{dir: "d"}).names(), filepath.Join("d", "result.json")) {
		t.Error("result.json is not among the files of a directory")
	}
}
