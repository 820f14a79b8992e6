package extract

import "strings"

// meta takes the author, the language, and a title when <title> gives none.
func (r *htmlReader) meta(a attributes) {
	value := clip(squeeze(a.content), 300)
	if value == "" {
		return
	}
	key := strings.ToLower(a.name)
	if key == "" {
		key = strings.ToLower(a.property)
	}
	switch key {
	case "author", "dc.creator", "dcterms.creator", "citation_author", "article:author", "book:author":
		if r.author == "" && !strings.HasPrefix(value, "http") {
			r.author = value
		}
	case "dc.title", "dcterms.title", "og:title", "citation_title":
		if r.title == "" {
			r.title = value
		}
	case "dc.language", "dcterms.language", "content-language":
		if r.language == "" {
			r.language = languageTag(value)
		}
	}
}

// pageBreak handles an element that marks where a page begins: epub:type="pagebreak", role="doc-pagebreak", and the
// class "pagenum" of Project Gutenberg. The number is in its title or label, or else in its text, which is not the book's.
func (r *htmlReader) pageBreak(tag string, a attributes, closed bool) bool {
	kind := strings.Contains(a.kind, "pagebreak") || a.role == "doc-pagebreak"
	if !kind && !strings.Contains(a.class, "pagenum") && !strings.Contains(a.class, "pageno") && !strings.Contains(a.class, "page-number") {
		return false
	}
	label := a.title
	if label == "" {
		label = a.label
	}
	if label == "" && closed && a.id != "" {
		label = strings.TrimLeft(a.id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
	}
	if closed {
		if label != "" {
			r.turnPage(label)
		}
		return true
	}
	r.skipTo(tag)
	r.isBreak, r.label = true, append(r.label[:0], label...)
	if label != "" {
		r.isBreak = false
		r.turnPage(label)
	}
	return true
}

// turnPage begins a page. A label without an Arabic number, such as "xii", leaves the page unknown.
func (r *htmlReader) turnPage(label string) {
	if r.level == 0 {
		r.flush()
	}
	r.b.setPage(pageLabel(label))
}

// pageLabel reads "12", "Page 12", "[Pg 12]", "p. 12"; 0 when there is no single number in it.
func pageLabel(label string) int {
	digits := strings.FieldsFunc(label, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) != 1 {
		return 0
	}
	n, ok := smallNumber(digits[0])
	if !ok {
		return 0
	}
	return n
}
