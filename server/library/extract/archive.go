package extract

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"
)

// An archive reads files out of a zip without believing what it declares: bytes are counted as they are unpacked.
// Nothing is ever written, so names that climb out of a directory lead nowhere; archives within it are not opened.
type archive struct {
	files    map[string]*zip.File
	folded   map[string]*zip.File // by lower-case name, for books made where case does not matter
	packed   int64                // bytes of the archive
	unpacked int64                // bytes read out of it so far
	lim      Limits
}

const (
	centralMark = "PK\x01\x02" // begins each file's record in a zip's directory
	ratioFloor  = 1 << 20      // bytes that may be unpacked whatever the ratio
)

func openArchive(data []byte, lim Limits) (*archive, error) {
	// The directory's own count has 16 bits and may lie; the reader would make an object for each record before anyone
	// could object. The mark turning up by chance in packed data is four bytes in 2^32.
	if n := bytes.Count(data, []byte(centralMark)); n > lim.MaxEntries {
		return nil, refuse(Bomb, "the archive has %d files, more than the %d allowed", n, lim.MaxEntries)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		what := "zip archive"
		if bytes.Contains(data[:min(len(data), 128)], []byte("mimetypeapplication/epub+zip")) {
			what = "EPUB"
		}
		return nil, refuse(BadArchive, "the %s is cut off or damaged: its list of files cannot be read", what)
	}
	a := &archive{
		files:  make(map[string]*zip.File, len(z.File)),
		folded: make(map[string]*zip.File, len(z.File)),
		packed: int64(len(data)),
		lim:    lim,
	}
	for _, f := range z.File {
		name := path.Clean(strings.ReplaceAll(f.Name, "\\", "/"))
		if _, ok := a.files[name]; !ok {
			a.files[name] = f
		}
		if low := sameName(name); a.folded[low] == nil {
			a.folded[low] = f
		}
	}
	return a, nil
}

func (a *archive) find(name string) *zip.File {
	if f := a.files[name]; f != nil {
		return f
	}
	return a.folded[sameName(name)]
}

func (a *archive) has(name string) bool { return a.find(name) != nil }

// read unpacks one file, which may have at most max bytes.
func (a *archive) read(name string, max int64) ([]byte, error) {
	f := a.find(name)
	if f == nil {
		return nil, refuse(BadArchive, "the EPUB is incomplete: %q is missing", clip(name, 100))
	}
	if f.Flags&1 != 0 {
		return nil, refuse(BadArchive, "the EPUB is encrypted with a password (%q); only books without copy protection can be read", clip(name, 100))
	}
	rc, err := f.Open()
	if err != nil {
		return nil, refuse(BadArchive, "the EPUB is damaged: %q cannot be unpacked", clip(name, 100))
	}
	defer rc.Close()
	bound := min(max, a.lim.MaxTextBytes-a.unpacked)
	var out bytes.Buffer
	guard := &ratioGuard{r: rc, archive: a, packed: int64(min(f.CompressedSize64, uint64(a.packed)))}
	n, err := io.Copy(&out, io.LimitReader(guard, bound+1))
	a.unpacked += n
	switch {
	case errors.Is(err, errRatio):
		return nil, refuse(Bomb, "the archive unpacks %q into more than %d times its packed size", clip(name, 100), a.lim.MaxRatio)
	case n > bound:
		return nil, refuse(Bomb, "the archive unpacks into more than %s, at %q", size(min(max, a.lim.MaxTextBytes)), clip(name, 100))
	case err != nil:
		return nil, refuse(BadArchive, "the EPUB is damaged: %q cannot be unpacked", clip(name, 100))
	}
	return out.Bytes(), nil
}

var errRatio = errors.New("unpacked beyond the ratio")

// A ratioGuard stops a file that unpacks into too many times its packed size, or the size of the whole archive: files may
// share their packed bytes.
type ratioGuard struct {
	r       io.Reader
	archive *archive
	packed  int64
	n       int64
}

func (g *ratioGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	ratio := int64(g.archive.lim.MaxRatio)
	if g.n > ratioFloor && g.n > ratio*max(g.packed, 1) || g.archive.unpacked+g.n > ratioFloor && g.archive.unpacked+g.n > ratio*g.archive.packed {
		return n, errRatio
	}
	return n, err
}

// zipName says what a zip archive that is no EPUB looks like.
func (a *archive) zipName() string {
	for _, known := range [...]struct{ file, name string }{
		{"word/document.xml", "a Word document (DOCX)"},
		{"xl/workbook.xml", "an Excel workbook (XLSX)"},
		{"ppt/presentation.xml", "a PowerPoint presentation (PPTX)"},
		{"AndroidManifest.xml", "an Android app"},
		{"META-INF/MANIFEST.MF", "a Java archive"},
		{"Index/Document.iwa", "an Apple Pages or Keynote document"},
	} {
		if a.has(known.file) {
			return known.name
		}
	}
	if kind, err := a.read("mimetype", 256); err == nil {
		if k := string(kind); strings.HasPrefix(k, "application/vnd.oasis.opendocument") {
			return "an OpenDocument file (ODT)"
		}
	}
	return "a ZIP archive"
}

// sameName is how names are compared: makers of books on systems where case does not matter mix it up.
func sameName(name string) string { return strings.ToLower(name) }

// resolve returns the archive's name for a reference in the file at base, and its fragment.
func resolve(base, ref string) (name, fragment string) {
	ref, fragment, _ = strings.Cut(ref, "#")
	if plain, err := url.PathUnescape(ref); err == nil {
		ref = plain
	}
	if plain, err := url.PathUnescape(fragment); err == nil {
		fragment = plain
	}
	if ref == "" {
		return base, fragment
	}
	if strings.HasPrefix(ref, "/") {
		return strings.TrimPrefix(path.Clean(ref), "/"), fragment
	}
	return path.Join(path.Dir(base), ref), fragment
}
