// Package page holds the pages that the server shows to people. Their files are written by hand and go into the binary as they
// are: there is no build step, and a page asks nothing of any other host.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed base.css ops search
var files embed.FS

// policy lets a page load its own files and ask its own server, and nothing else: no inline script, no other host, no frame
// around it. Whatever a statement or a book might manage to say, it is not run.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// A Site is one page with the files that it needs. It answers GET and HEAD of its paths; make it with Ops.
type Site struct {
	files map[string]file // by path
}

// types are fixed here: those of the system may differ from one machine to the next, and a browser runs no script of another type.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
}

type file struct {
	name, contentType, etag string
	body                    []byte
}

// Ops returns the operators' page. It asks for ops and health beside itself, on the listener that it came from.
func Ops() *Site { return open("ops") }

// Search returns the page from which people search. It asks for api/search and its like beside itself, as the reader whose name
// (byName) or ID token it has asked for.
func Search(byName bool) *Site {
	s := open("search")
	if byName {
		return s
	}
	index := s.files["/"]
	s.files["/"] = index.with(bytes.Replace(index.body, []byte(`data-identity="name"`), []byte(`data-identity="token"`), 1))
	return s
}

// open reads the page of a directory: index.html stands at /, everything else and base.css at /page/.
func open(dir string) *Site {
	s := &Site{files: map[string]file{}}
	entries, err := files.ReadDir(dir)
	if err != nil {
		panic(fmt.Sprintf("page: %v", err)) // the directory is not in the binary: a fault of this package
	}
	s.add("/page/base.css", "base.css")
	for _, e := range entries {
		at := "/page/" + e.Name()
		if e.Name() == "index.html" {
			at = "/"
		}
		s.add(at, path.Join(dir, e.Name()))
	}
	return s
}

func (s *Site) add(at, name string) {
	body, err := files.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("page: %v", err)) // as above
	}
	s.files[at] = file{name: name, contentType: types[path.Ext(name)]}.with(body)
}

// with returns the file with another body.
func (f file) with(body []byte) file {
	sum := sha256.Sum256(body)
	f.body, f.etag = body, `"`+hex.EncodeToString(sum[:8])+`"`
	return f
}

// Paths returns the paths that ServeHTTP answers, in order: "/" is the page.
func (s *Site) Paths() []string {
	var paths []string
	for p := range s.files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// ServeHTTP sends a file. Browsers ask each time whether theirs is still the one, which after an upgrade it is not.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", strings.Join([]string{http.MethodGet, http.MethodHead}, ", "))
		http.Error(w, "this is a page to be read", http.StatusMethodNotAllowed)
		return
	}
	for name, value := range map[string]string{
		"Content-Type": f.contentType, "ETag": f.etag, "Cache-Control": "no-cache",
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		w.Header().Set(name, value)
	}
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.body))
}
