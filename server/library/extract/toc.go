package extract

import (
	"bytes"
	"encoding/xml"
	"strings"

	"golang.org/x/net/html"
)

// A toc knows at which places of an EPUB's files chapters and pages begin.
type toc struct {
	chapters map[string][]chapterMark // by sameName of the file
	pages    map[string][]placeMark
	entries  int
}

type chapterMark struct {
	id   string   // fragment, "" for the start of the file
	path []string // titles, outermost first
}

type placeMark struct {
	id   string
	page int
}

func newTOC() *toc {
	return &toc{chapters: make(map[string][]chapterMark), pages: make(map[string][]placeMark)}
}

func (t *toc) addChapter(base, ref string, path []string) {
	if ref == "" || t.entries >= maxTOC || len(path) == 0 {
		return
	}
	t.entries++
	name, id := resolve(base, ref)
	name = sameName(name)
	t.chapters[name] = append(t.chapters[name], chapterMark{id, append([]string(nil), path...)})
}

func (t *toc) addPage(base, ref, label string) {
	if ref == "" || t.entries >= maxTOC {
		return
	}
	t.entries++
	name, id := resolve(base, ref)
	name = sameName(name)
	t.pages[name] = append(t.pages[name], placeMark{id, pageLabel(label)})
}

// readNav reads the navigation document of EPUB 3: the nav elements of type toc and page-list. Unlabelled ones of a damaged
// file are left alone.
func (t *toc) readNav(data []byte, name string) {
	n := navReader{toc: t, base: name}
	z := html.NewTokenizer(bytes.NewReader(data))
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
			if n.reading && n.text.Len() < 1024 {
				n.text.Write(z.Text())
			}
		case html.StartTagToken:
			tok := z.Token()
			n.start(tok)
		case html.EndTagToken:
			name, _ := z.TagName()
			n.end(localName(name))
		}
	}
}

type navReader struct {
	*toc
	base    string
	kind    string   // of the nav element being read: "toc", "page-list", or ""
	titles  []string // of the entries around the current one; the current one last
	depth   int      // of lists
	reading bool     // inside a label
	href    string
	text    strings.Builder
}

func (n *navReader) start(tok html.Token) {
	value := func(key string) string {
		for _, a := range tok.Attr {
			if a.Key == key {
				return a.Val
			}
		}
		return ""
	}
	switch localName([]byte(tok.Data)) {
	case "nav":
		n.kind, n.depth, n.titles = "", 0, nil
		kind := " " + value("epub:type") + " " + strings.TrimPrefix(value("role"), "doc-") + " "
		for _, k := range [...]string{"page-list", "pagelist", "toc"} {
			if strings.Contains(kind, " "+k+" ") {
				n.kind = strings.Replace(k, "pagelist", "page-list", 1)
				break
			}
		}
	case "ol", "ul":
		n.depth++
	case "a", "span":
		if n.kind != "" && n.depth > 0 && !n.reading {
			n.reading, n.href = true, value("href")
			n.text.Reset()
		}
	}
}

func (n *navReader) end(tag string) {
	switch tag {
	case "nav":
		n.kind = ""
	case "ol", "ul":
		n.depth = max(0, n.depth-1)
	case "a", "span":
		if !n.reading || tag == "span" && n.href != "" {
			return
		}
		n.reading = false
		label := clip(squeeze(n.text.String()), chapterRunes)
		if n.kind == "page-list" {
			n.addPage(n.base, n.href, label)
			return
		}
		level := min(n.depth, chapterLevels)
		n.titles = append(n.titles[:min(len(n.titles), level-1)], label)
		n.addChapter(n.base, n.href, n.titles)
	}
}

// readNCX reads the navigation of EPUB 2: navPoint and pageTarget.
func (t *toc) readNCX(data []byte, name string, lim Limits) {
	var titles []string
	var label, value string
	_ = walkXML(data, lim, func(path []string, el xml.StartElement, text string) {
		level, inPage := 0, false
		for _, p := range path {
			switch p {
			case "navpoint":
				level++
			case "pagetarget":
				inPage = true
			}
		}
		switch path[len(path)-1] {
		case "pagetarget":
			label, value = "", attr(el, "value")
		case "navpoint":
			label = ""
		case "text":
			if label == "" {
				label = clip(text, chapterRunes)
			}
		case "content":
			if inPage {
				if label == "" {
					label = value
				}
				t.addPage(name, attr(el, "src"), label)
			} else if level > 0 {
				level = min(level, chapterLevels)
				titles = append(titles[:min(len(titles), level-1)], label)
				t.addChapter(name, attr(el, "src"), titles)
			}
		}
	})
}
