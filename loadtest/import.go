package loadtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// ImportOptions say what Import takes from a recording.
type ImportOptions struct {
	// Host is the one host whose requests are kept; "" is the one that most requests went to. Access logs name none.
	Host string
	// Static keeps what is served from files as well: pictures, fonts, scripts and style sheets.
	Static bool
}

// Bounds of a recording.
const (
	maxRecordingSize = 512 << 20 // bytes
	maxRecordedLine  = 64 << 10
	maxRecorded      = 1_000_000 // requests kept
	sessionGap       = 10 * time.Minute
)

// recorded is one request of a recording.
type recorded struct {
	session string        // who asked; kept in memory only
	at      time.Time     // when it began
	took    time.Duration // below 0 when unknown
	method  string
	path    string // as it was on the wire, without the query
	query   string
	status  int
	media   string // of the body
	body    string
}

// A recording is what was read of a file, and what of it was left out.
type recording struct {
	kind     string // "HAR file" or "access log"
	requests []recorded
	values   bool           // paths and queries have their values; the log of tomehub has routes alone
	tomehub  bool           // of this program's own server
	left     map[string]int // what was left out, and how often
	secrets  map[string]int // secrets that were not copied
}

func (r *recording) leave(what string) { r.left[what]++ }

// Import makes a scenario of what a browser (a HAR file) or a server (an access log: common, combined, combined with
// nginx's request time, or lines of JSON) recorded: who asked for what in which order and how often, with how much time
// between, and checks that hold what was seen. The format is told by the first bytes. The scenario is returned as the
// text of its file; it is always a valid one, which Parse accepts.
//
// Hosts, clients' addresses and the log's column of users are not copied, nor cookies, headers, and whatever looks like a secret in
// queries, paths and bodies; the text says what was left out. A name in a path or a query does not look like one. Errors name the line that could not be read.
func Import(name string, in io.Reader, opt ImportOptions) ([]byte, error) {
	r := &recording{values: true, left: map[string]int{}, secrets: map[string]int{}}
	bounded := &io.LimitedReader{R: in, N: maxRecordingSize}
	buffered := bufio.NewReaderSize(bounded, 64<<10)
	head, _ := buffered.Peek(4 << 10)
	var err error
	if isHAR(head) {
		r.kind = "HAR file"
		err = r.readHAR(buffered, opt)
	} else {
		r.kind = "access log"
		err = r.readLog(buffered)
	}
	switch {
	case bounded.N <= 0:
		err = fmt.Errorf("has more than %d MiB: give a part of it", maxRecordingSize>>20)
	case err == nil && len(r.requests) == 0:
		err = fmt.Errorf("has no request to keep%s", r.told())
	}
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", name, err)
	}
	if !opt.Static {
		r.requests = slices.DeleteFunc(r.requests, func(q recorded) bool {
			static := isStatic(q.path)
			if static {
				r.leave("of files such as pictures and scripts (--static keeps them)")
			}
			return static
		})
	}
	if len(r.requests) == 0 {
		return nil, fmt.Errorf("import %s: has no request to keep%s", name, r.told())
	}
	slices.SortStableFunc(r.requests, func(a, b recorded) int { return a.at.Compare(b.at) })
	text := newImported(r).write(name)
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("import %s: its scenario would have more than %d KiB: give a part of the recording", name, maxFileSize>>10)
	}
	if _, err := Parse("imported.yaml", text); err != nil {
		return nil, fmt.Errorf("import %s: the scenario made of it is not valid, please report this: %w", name, err)
	}
	return text, nil
}

// told lists what was left out, for an error.
func (r *recording) told() string {
	var all []string
	for what, n := range r.left {
		all = append(all, fmt.Sprintf("%d %s", n, what))
	}
	if len(all) == 0 {
		return ""
	}
	return ": left out " + strings.Join(sorted(all), ", ")
}

// isHAR tells a HAR file by its beginning: one object with "log" in it; lines of a JSON log are whole objects.
func isHAR(head []byte) bool {
	head = bytes.TrimLeft(head, "\ufeff \t\r\n")
	if len(head) == 0 || head[0] != '{' {
		return false
	}
	rest := bytes.TrimLeft(head[1:], " \t\r\n")
	return bytes.HasPrefix(rest, []byte(`"log"`))
}

// staticFiles are the endings of what browsers load besides.
var staticFiles = []string{
	".css", ".js", ".mjs", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".avif", ".woff", ".woff2", ".ttf", ".eot", ".otf", ".mp4", ".webm",
}

func isStatic(p string) bool { return slices.Contains(staticFiles, strings.ToLower(path.Ext(p))) }

// keep adds a request, unless no scenario can send it.
func (r *recording) keep(q recorded) error {
	if len(r.requests) == maxRecorded {
		return fmt.Errorf("has more than %d requests: give a part of it", maxRecorded)
	}
	q.method = strings.ToUpper(q.method)
	switch {
	case !slices.Contains(methods, strings.ToLower(q.method)):
		r.leave("with a method that scenarios do not have")
	case !strings.HasPrefix(q.path, "/") || len(q.path)+len(q.query) > 8<<10:
		r.leave("without a path, or with one of more than 8 KiB")
	case q.status < 100 || q.status > 599:
		r.leave("that got no answer")
	default:
		r.requests = append(r.requests, q)
	}
	return nil
}

// A brokenLines collects lines that could not be read.
type brokenLines struct {
	first []error
	count int
}

func (b *brokenLines) add(line int, err error) {
	if b.count++; len(b.first) < 3 {
		b.first = append(b.first, fmt.Errorf("line %d: %w", line, err))
	}
}

// judge is an error when too many of all lines are broken to be an accident.
func (b *brokenLines) judge(all int) error {
	if b.count > 0 && b.count*20 > all {
		return fmt.Errorf("%d of %d lines are of no known form:\n%w", b.count, all, errors.Join(b.first...))
	}
	return nil
}
