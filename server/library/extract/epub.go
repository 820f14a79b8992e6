package extract

import "strings"

// readEPUB reads a book of EPUB 2 or 3 in the order of its spine. Chapters are those of its table of contents, with the
// headings below them; pages those of its page list or the page breaks marked in the text.
func readEPUB(data []byte, lim Limits) (Text, error) {
	a, err := openArchive(data, lim)
	if err != nil {
		return Text{}, err
	}
	if !a.has(containerXML) {
		if kind, err := a.read("mimetype", 256); err == nil && strings.HasPrefix(string(kind), "application/epub+zip") {
			return Text{}, refuse(BadArchive, "the EPUB is incomplete: %s is missing", containerXML)
		}
		return Text{}, refuse(Unsupported, "the file looks like %s; %s", a.zipName(), accepted)
	}
	pkg, err := a.openPackage()
	if err != nil {
		return Text{}, err
	}
	if err := a.checkProtection(pkg); err != nil {
		return Text{}, err
	}
	e := &epubReader{archive: a, pkg: pkg, toc: a.readTOC(pkg), builder: newBuilder(lim), read: make(map[string]bool)}
	for _, id := range pkg.spine {
		if err := e.document(id); err != nil {
			return Text{}, err
		}
	}
	sections, err := e.finish(pkg.title)
	if err != nil {
		return Text{}, err
	}
	t := Text{Format: EPUB, Title: pkg.title, Author: strings.Join(pkg.authors, ", "), Language: pkg.language, Sections: sections}
	if t.Language == "" {
		t.Language = guessLanguage(t)
	}
	return t, nil
}

func (a *archive) openPackage() (*bookPackage, error) {
	raw, err := a.read(containerXML, maxXMLBytes)
	if err != nil {
		return nil, err
	}
	name, err := packageFile(raw, a.lim)
	if err != nil {
		return nil, err
	}
	if raw, err = a.read(name, maxXMLBytes); err != nil {
		return nil, err
	}
	pkg, err := readPackage(raw, name, a.lim)
	if err != nil {
		return nil, err
	}
	if len(pkg.spine) == 0 {
		return nil, refuse(BadArchive, "the EPUB is incomplete: its package document lists nothing to read")
	}
	return pkg, nil
}

// checkProtection refuses a book of which a file in reading order is encrypted.
func (a *archive) checkProtection(pkg *bookPackage) error {
	const name = "META-INF/encryption.xml"
	if !a.has(name) {
		return nil
	}
	raw, err := a.read(name, maxXMLBytes)
	if err != nil {
		return err
	}
	protected, err := protectedFiles(raw, a.lim)
	if err != nil {
		return err
	}
	for _, id := range pkg.spine {
		if protected[sameName(pkg.items[id].name)] {
			return refuse(BadArchive, "the EPUB is encrypted (copy protection, DRM); only books without it can be read")
		}
	}
	return nil
}

// readTOC reads the table of contents of EPUB 3, or else of EPUB 2. A damaged one costs the book its chapters, no more.
func (a *archive) readTOC(pkg *bookPackage) *toc {
	t := newTOC()
	if pkg.nav != "" {
		if raw, err := a.read(pkg.nav, maxXMLBytes); err == nil {
			t.readNav(raw, pkg.nav)
		}
	}
	if len(t.chapters) == 0 && pkg.ncx != "" {
		if raw, err := a.read(pkg.ncx, maxXMLBytes); err == nil {
			t.readNCX(raw, pkg.ncx, a.lim)
		}
	}
	return t
}

type epubReader struct {
	*archive
	*builder
	pkg   *bookPackage
	toc   *toc
	read  map[string]bool // files already read, by sameName
	title string          // folded title of the chapter just opened by the table of contents
	fresh int             // paragraphs there were when it was opened
}

// document reads one file of the spine. Pictures are passed over; a file that only lists the contents is, too.
func (e *epubReader) document(id string) error {
	it, ok := e.pkg.items[id]
	if !ok {
		return refuse(BadArchive, "the EPUB is incomplete: its reading order names %q, which its list of files has not", clip(id, 100))
	}
	if it.kind != "application/xhtml+xml" && it.kind != "text/html" && it.kind != "application/xml" && it.kind != "text/x-oeb1-document" || e.pkg.contents[sameName(it.name)] {
		return nil
	}
	key := sameName(it.name)
	if e.read[key] {
		return nil // the words of a book are counted once
	}
	e.read[key] = true
	raw, err := e.archive.read(it.name, e.archive.lim.MaxTextBytes)
	if err != nil {
		return err
	}
	src, derr := decode(raw, e.archive.lim)
	if derr != nil {
		return refuse(BadArchive, "the EPUB is damaged: in %q, %v", clip(it.name, 100), derr)
	}
	r := e.reader(key)
	r.keepNav = navUnclosed(src)
	e.place(key, "")
	return r.read(strings.NewReader(src))
}

func (e *epubReader) reader(name string) *htmlReader {
	r := &htmlReader{b: e.builder, xhtml: true}
	if ids := e.ids(name); len(ids) > 0 {
		r.anchor = func(id string) {
			if ids[id] {
				if r.level == 0 {
					r.flush()
				}
				e.place(name, id)
			}
		}
	}
	r.head = e.head
	return r
}

// ids returns the fragments within a file at which something begins.
func (e *epubReader) ids(name string) map[string]bool {
	ids := make(map[string]bool)
	for _, c := range e.toc.chapters[name] {
		ids[c.id] = c.id != ""
	}
	for _, p := range e.toc.pages[name] {
		ids[p.id] = p.id != ""
	}
	return ids
}

// place opens the chapters and pages which begin at a place.
func (e *epubReader) place(name, id string) {
	for _, c := range e.toc.chapters[name] {
		if c.id == id {
			e.openPath(c.path)
			e.title, e.fresh = fold(c.path[len(c.path)-1]), e.paragraphs()
		}
	}
	for _, p := range e.toc.pages[name] {
		if p.id == id {
			e.setPage(p.page)
		}
	}
}

// head takes a heading in the text. The one that repeats the title which the table of contents gave the chapter opens
// nothing; others open a chapter below it.
func (e *epubReader) head(level int, s string) {
	if e.title != "" && e.fresh == e.paragraphs() && contains(e.title, fold(s)) {
		e.headingText(s)
		return
	}
	e.heading(headingRank+level, s)
}

// contains reports whether the words of part follow one another in whole: "Loomings" in "Chapter 1. Loomings".
func contains(whole, part string) bool {
	plain := func(s string) string { return " " + strings.Join(strings.FieldsFunc(s, notAlphanumeric), " ") + " " }
	return strings.Contains(plain(whole), plain(part)) || strings.Contains(plain(part), plain(whole))
}
