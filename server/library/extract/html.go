package extract

import (
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken is the longest tag, comment or run of text in HTML. The tokenizer keeps a tag's attributes in 32 bytes each,
// so a file of nothing but attributes would otherwise cost sixteen times its size.
const maxToken = 8 << 20

const headingRank = 10 // rank of <h1>; the levels of an EPUB's table of contents come before it

// skipped are the elements whose text is not the book's.
var skipped = words("script style nav template noscript iframe noembed noframes object svg canvas audio video select datalist button textarea rp rt annotation annotation-xml")

// blockTags are the elements before and after which a paragraph ends.
var blockTags = words("p div section article main header footer aside blockquote pre ul ol li dl dt dd table thead tbody tfoot tr caption figure figcaption " +
	"h1 h2 h3 h4 h5 h6 hr address fieldset form details summary center body html head title hgroup menu")

// readHTML reads a page of HTML. It reads tags as they come and never builds a tree, so depth costs nothing.
func readHTML(src string, lim Limits) (Text, error) {
	r := &htmlReader{
		b:       newBuilder(lim),
		xhtml:   strings.HasPrefix(strings.TrimSpace(src[:min(len(src), 256)]), "<?xml"),
		keepNav: navUnclosed(src),
	}
	if err := r.read(strings.NewReader(src)); err != nil {
		return Text{}, err
	}
	return r.text(HTML)
}

// navUnclosed reports whether a <nav> is never closed, so that leaving it out would leave out the book.
func navUnclosed(src string) bool {
	return strings.Count(src, "<nav") > strings.Count(src, "</nav")
}

// An htmlReader feeds a builder with the headings, paragraphs and page breaks of one page, or of one file of an EPUB.
type htmlReader struct {
	b       *builder
	xhtml   bool
	keepNav bool

	title, author, language string

	anchor func(id string)           // called at an element's id, nil when nobody listens
	head   func(level int, s string) // called for a heading instead of builder.heading

	z       *html.Tokenizer
	buf     []byte // text of the current block
	level   int    // of the heading being read, 0 outside
	skip    string // element being skipped
	depth   int    // how deep it nests in itself
	label   []byte // a page break's own text
	isBreak bool   // what is being skipped is a page break
	inTitle bool
	tops    int // <h1> seen
	top     string
}

// read consumes src. Errors are *Error.
func (r *htmlReader) read(src io.Reader) error {
	r.z = html.NewTokenizer(src)
	r.z.SetMaxBuf(maxToken)
	r.z.AllowCDATA(r.xhtml)
	for {
		switch r.z.Next() {
		case html.ErrorToken:
			if err := r.z.Err(); err != io.EOF {
				if err == html.ErrBufferExceeded {
					return refuse(TooLarge, "a single tag, comment or run of text in the HTML is longer than %s (an embedded picture?)", size(maxToken))
				}
				return refuse(NotText, "the HTML cannot be read: %v", err)
			}
			r.flush()
			return nil
		case html.TextToken:
			r.textToken()
		case html.StartTagToken:
			r.start(false)
		case html.SelfClosingTagToken:
			r.start(true)
		case html.EndTagToken:
			r.end()
		}
		if err := r.b.overflow(); err != nil {
			return err
		}
	}
}

func (r *htmlReader) textToken() {
	switch {
	case r.isBreak:
		if len(r.label) < 32 {
			text := r.z.Text()
			r.label = append(r.label, text[:min(len(text), 32)]...)
		}
	case r.skip != "":
	case r.inTitle:
		if r.title == "" {
			r.title = clip(squeeze(string(r.z.Text())), 300)
		}
	default:
		r.buf = append(r.buf, r.z.Text()...)
	}
}

// attributes are those which a reader of books looks at.
type attributes struct {
	id, class, role, kind, title, label, lang, name, content, property string
}

func (r *htmlReader) attributes(tag string, more bool) attributes {
	var a attributes
	for more {
		var key, val []byte
		key, val, more = r.z.TagAttr()
		if len(val) > 1024 {
			continue
		}
		switch string(key) {
		case "id", "xml:id":
			a.id = string(val)
		case "class":
			a.class = string(val)
		case "role":
			a.role = string(val)
		case "epub:type":
			a.kind = string(val)
		case "title":
			a.title = string(val)
		case "aria-label":
			a.label = string(val)
		case "lang", "xml:lang":
			a.lang = string(val)
		case "name":
			a.name = string(val)
		case "content":
			a.content = string(val)
		case "property":
			a.property = string(val)
		}
	}
	if tag == "a" && a.id == "" {
		a.id = a.name
	}
	return a
}

// localName drops a namespace prefix, which some XHTML has.
func localName(name []byte) string {
	s := string(name)
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		return s[i+1:]
	}
	return s
}

func (r *htmlReader) start(closed bool) {
	name, more := r.z.TagName()
	tag := localName(name)
	raw := tag == "script" || tag == "style" || tag == "title" || tag == "textarea" || tag == "iframe" || tag == "noembed" || tag == "noframes" || tag == "xmp"
	if closed && raw {
		if r.xhtml {
			r.z.NextIsNotRawText()
		} else {
			closed = false // in HTML the slash means nothing
		}
	}
	if r.skip != "" {
		if tag == r.skip && !closed {
			r.depth++
		}
		return
	}
	a := r.attributes(tag, more)
	if r.anchor != nil && a.id != "" {
		r.anchor(a.id)
	}
	if closed = closed || isVoid(tag); r.pageBreak(tag, a, closed) {
		return
	}
	if !closed && (skipped[tag] && !(r.keepNav && tag == "nav") || isBoilerplate(a) || tag == "a" && isNoteRef(a)) {
		r.skipTo(tag)
		return
	}
	switch tag {
	case "html", "body":
		if r.language == "" {
			r.language = languageTag(a.lang)
		}
	case "meta":
		r.meta(a)
	case "title":
		r.inTitle = !closed
	case "br", "td", "th", "wbr":
		if tag != "wbr" {
			r.buf = append(r.buf, ' ')
		}
	}
	if blockTags[tag] {
		r.flush()
		if len(tag) == 2 && tag[0] == 'h' && tag[1] >= '1' && tag[1] <= '6' && !closed {
			r.level = int(tag[1] - '0')
		}
	}
}

func (r *htmlReader) end() {
	name, _ := r.z.TagName()
	tag := localName(name)
	if r.skip != "" {
		if tag != r.skip {
			return
		}
		if r.depth--; r.depth > 0 {
			return
		}
		r.skip = ""
		if r.isBreak {
			r.isBreak = false
			r.turnPage(string(r.label))
		}
		return
	}
	switch {
	case tag == "title":
		r.inTitle = false
	case tag == "td" || tag == "th":
		r.buf = append(r.buf, ' ')
	case blockTags[tag]:
		r.flush()
	}
}

func (r *htmlReader) skipTo(tag string) {
	r.skip, r.depth = tag, 1
	if blockTags[tag] || tag == "nav" {
		r.flush()
	}
}

func isVoid(tag string) bool {
	switch atom.Lookup([]byte(tag)) {
	case atom.Br, atom.Hr, atom.Img, atom.Meta, atom.Link, atom.Input, atom.Area, atom.Base, atom.Col, atom.Embed, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

// isBoilerplate reports the licence that Project Gutenberg puts around its HTML.
func isBoilerplate(a attributes) bool {
	return a.id == "pg-header" || a.id == "pg-footer" || strings.Contains(a.class, "pg-boilerplate")
}

// isNoteRef reports the mark that refers to a note, or back from it: "word¹" must be found as "word". EPUB 3 says so by
// type or role; the classes are those of Pandoc and goldmark.
func isNoteRef(a attributes) bool {
	for _, mark := range [...]string{"noteref", "backlink"} {
		if strings.Contains(a.kind, mark) || a.role == "doc-"+mark {
			return true
		}
	}
	return strings.Contains(a.class, "footnote-ref") || strings.Contains(a.class, "footnote-back") || strings.Contains(a.class, "noteref")
}

// flush ends the current block.
func (r *htmlReader) flush() {
	level := r.level
	r.level = 0
	if len(r.buf) == 0 {
		return
	}
	s := squeeze(string(r.buf))
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
	r.buf = r.buf[:0]
	switch {
	case s == "" || isRule(s):
	case level == 0:
		r.b.paragraph(s)
	default:
		if level == 1 {
			if r.tops++; r.tops == 1 && len(r.b.sections) == 0 {
				r.top = s
			}
		}
		if r.head != nil {
			r.head(level, s)
		} else {
			r.b.heading(headingRank+level, s)
		}
	}
}

// text returns what was read. Without a <title>, an <h1> that is the only one and comes first is the book's title.
func (r *htmlReader) text(f Format) (Text, error) {
	if r.title == "" && r.tops >= 1 {
		r.title = r.top
	}
	strip := r.title
	if r.tops == 1 && r.top != "" {
		strip = r.top
	}
	sections, err := r.b.finish(strip)
	if err != nil {
		return Text{}, err
	}
	t := Text{Format: f, Title: r.title, Author: r.author, Language: r.language, Sections: sections}
	if t.Language == "" {
		t.Language = guessLanguage(t)
	}
	return t, nil
}
