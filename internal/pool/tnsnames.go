package pool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxOraFile is the largest tnsnames.ora or sqlnet.ora that is read.
const maxOraFile = 4 << 20

// readOraFile returns a configuration file of Oracle Net without its comments.
func readOraFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxOraFile+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxOraFile {
		return "", fmt.Errorf("it has more than %d bytes", maxOraFile)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		head, _, commented := strings.Cut(line, "#")
		if commented && strings.Count(head, `"`)%2 == 0 {
			line = head + "\n"
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

// entries calls use for each name = (…) at the outermost level of an Oracle Net file; names
// separated by commas share a description. What cannot be read is skipped up to the next line
// that begins with a name: one damaged entry does not hide the others.
func entries(text string, use func(names []string, it item, err error) (more bool)) {
	r := descriptorReader{s: text}
	for {
		r.space()
		if r.at == len(text) {
			return
		}
		eq := strings.IndexByte(text[r.at:], '=')
		if eq < 0 {
			return
		}
		head := text[r.at : r.at+eq]
		if i := strings.LastIndexByte(strings.TrimRight(head, " \t\r\n"), '\n'); i >= 0 {
			head = head[i+1:] // what stands before on lines of its own is no part of the name
		}
		var names []string
		for n := range strings.SplitSeq(head, ",") {
			names = append(names, strings.TrimSpace(n))
		}
		r.at += eq + 1
		r.space()
		if r.at == len(text) || text[r.at] != '(' { // NAME = word
			end := strings.IndexByte(text[r.at:], '\n')
			if end < 0 {
				end = len(text) - r.at
			}
			value := strings.TrimSpace(text[r.at : r.at+end])
			r.at += end
			if !use(names, item{value: value}, nil) {
				return
			}
			continue
		}
		it, err := r.item(0)
		if !use(names, it, err) {
			return
		}
		if err != nil {
			r.at = nextEntry(text, r.at)
		}
	}
}

// nextEntry returns where the next line begins, at earliest here, that starts with neither white space nor a parenthesis.
func nextEntry(text string, at int) int {
	at = max(at-1, 0)
	for {
		nl := strings.IndexByte(text[at:], '\n')
		if nl < 0 {
			return len(text)
		}
		at += nl + 1
		if at < len(text) && strings.IndexByte(" \t\r\n()", text[at]) < 0 {
			return at
		}
	}
}

// lookUp returns the description of an alias in the text of a tnsnames.ora.
func lookUp(text, alias string) (places []endpoint, err error) {
	found, includes := false, false
	entries(text, func(names []string, it item, entryErr error) bool {
		for _, n := range names {
			includes = includes || strings.EqualFold(n, "IFILE")
			if !strings.EqualFold(n, alias) {
				continue
			}
			found = true
			if err = entryErr; err != nil {
				return false
			}
			if it.items == nil && it.key == "" {
				err = errDescriptor
				return false
			}
			places, err = endpointsOf(it)
			return false
		}
		return true
	})
	switch {
	case found:
		return places, err
	case includes:
		return nil, errors.New("it has no such name; its IFILE is not read: put the entry into the file itself")
	}
	return nil, errors.New("it has no such name")
}

// resolveAlias looks an alias up in the tnsnames.ora of the first folder that has one.
func resolveAlias(alias string, folders ...string) ([]endpoint, error) {
	if len(folders) == 0 {
		return nil, fmt.Errorf("DB_DSN %.80q has no service, so that it is a name in tnsnames.ora: set TNS_ADMIN to the directory of that file, or write host:port/service", alias)
	}
	var tried []string
	for _, dir := range folders {
		path := filepath.Join(dir, "tnsnames.ora")
		tried = append(tried, path)
		text, err := readOraFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var places []endpoint
		if err == nil {
			places, err = lookUp(text, alias)
		}
		if err != nil {
			return nil, fmt.Errorf("look DB_DSN %.80q up in %s: %w", alias, path, err)
		}
		return places, nil
	}
	return nil, fmt.Errorf("look DB_DSN %.80q up: there is no %s (TNS_ADMIN)", alias, strings.Join(tried, " and no "))
}
