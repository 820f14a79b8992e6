package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tomehub/tomehub/reports"
)

// resultFiles are the files that a load test leaves, beside the report on standard output.
type resultFiles struct{ out, html, dir string }

// dirFiles are what --out-dir holds. A report without checks has no JUnit form.
var dirFiles = []struct {
	name   string
	format reports.Format
}{
	{"report.html", reports.HTML}, {"report.csv", reports.CSV}, {"summary.md", reports.Markdown}, {"junit.xml", reports.JUnit},
}

func (f *resultFiles) addFiles(s *settings) {
	s.add(textValue{&f.out}, "out", "TOMEHUB_LOADTEST_OUT", "file to write the result to, as JSON")
	s.add(textValue{&f.html}, "html", "TOMEHUB_LOADTEST_HTML", "file to write the report to, as a page that opens anywhere")
	s.add(textValue{&f.dir}, "out-dir", "TOMEHUB_LOADTEST_OUT_DIR", "directory for result.json, report.html, report.csv, summary.md and junit.xml; it is made")
}

// checkFiles finds out before a long run whether its files, and these beside them, can be written.
func (f *resultFiles) checkFiles(more ...namedFile) error {
	files := append([]namedFile{{"--out", f.out}, {"--html", f.html}}, more...)
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o777); err != nil {
			return errors.Join(checkNamed(files), usageError{fmt.Errorf("make the directory for the result (--out-dir): %w", err)})
		}
		for _, name := range f.names() {
			files = append(files, namedFile{"--out-dir", name})
		}
	}
	return checkNamed(files)
}

// names are the paths of all files in the directory.
func (f *resultFiles) names() []string {
	all := []string{filepath.Join(f.dir, "result.json")}
	for _, one := range dirFiles {
		all = append(all, filepath.Join(f.dir, one.name))
	}
	return all
}

// writeFiles writes every file that was asked for, each whole or not at all. One that cannot be written does not keep
// the others from it. Of the run before, a directory keeps nothing: without checks there is no junit.xml.
func (a *app) writeFiles(f *resultFiles, r reports.Report, result any) error {
	var faults []error
	if f.out != "" {
		faults = append(faults, writeResult(f.out, result))
	}
	if f.html != "" {
		faults = append(faults, a.writeForm("--html", f.html, r, reports.HTML))
	}
	if f.dir == "" {
		return errors.Join(faults...)
	}
	faults = append(faults, writeJSON("--out-dir", filepath.Join(f.dir, "result.json"), result))
	for _, one := range dirFiles {
		path := filepath.Join(f.dir, one.name)
		if one.format == reports.JUnit && len(r.Checks) == 0 {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				faults = append(faults, fmt.Errorf("remove what an earlier run left (--out-dir): %w", err))
			}
			continue
		}
		faults = append(faults, a.writeForm("--out-dir", path, r, one.format))
	}
	return errors.Join(faults...)
}

func (a *app) writeForm(flag, path string, r reports.Report, format reports.Format) error {
	var body bytes.Buffer
	if err := a.writeReport(&body, r, string(format)); err != nil {
		return err
	}
	return writeFile(flag, path, body.Bytes(), 0o666)
}

// writeResult writes the file that --out names.
func writeResult(path string, result any) error { return writeJSON("--out", path, result) }

func writeJSON(flag, path string, result any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	if err := enc.Encode(result); err != nil {
		return fmt.Errorf("write result (%s): %w", flag, err)
	}
	return writeFile(flag, path, body.Bytes(), 0o666)
}
