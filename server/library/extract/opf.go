package extract

import (
	"encoding/xml"
	"io"
	"strings"
)

const (
	maxXMLDepth  = 256      // deepest nesting of an EPUB's own XML
	maxXMLBytes  = 16 << 20 // largest of these files, unpacked
	maxManifest  = 50_000   // most files named
	maxTOC       = 20_000   // most entries of a table of contents or of a list of pages
	containerXML = "META-INF/container.xml"
)

// walkXML calls visit for every element of data, with the names of those around it, outermost first, and the text directly
// before the next tag. No entity but XML's own and HTML's is ever expanded and nothing outside data is read, so neither
// external entities nor the billion laughs have any effect.
func walkXML(data []byte, lim Limits, visit func(path []string, el xml.StartElement, text string)) error {
	src, err := decode(data, lim)
	if err != nil {
		return err
	}
	d := xml.NewDecoder(strings.NewReader(src))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decoded already
	var names []string
	var open []xml.StartElement
	var text strings.Builder
	leaf := false
	for {
		tok, err := d.RawToken()
		if err == io.EOF && len(names) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if leaf {
				visit(names, open[len(open)-1], squeeze(text.String()))
			}
			if len(names) >= maxXMLDepth {
				return errDeep
			}
			names = append(names, strings.ToLower(tok.Name.Local))
			open = append(open, tok.Copy())
			text.Reset()
			leaf = true
		case xml.EndElement:
			// Some makers close what they never opened, or forget to close: the nearest element of the name ends.
			at := len(names) - 1
			for at >= 0 && names[at] != strings.ToLower(tok.Name.Local) {
				at--
			}
			if leaf && len(open) > 0 {
				visit(names, open[len(open)-1], squeeze(text.String()))
			}
			leaf = false
			if at >= 0 {
				names, open = names[:at], open[:at]
			}
		case xml.CharData:
			if text.Len() < 4096 {
				text.Write(tok[:min(len(tok), 4096)])
			}
		}
	}
}

var errDeep = &Error{Kind: BadArchive, Detail: "the EPUB's XML is nested too deep"}

func attr(el xml.StartElement, name string) string {
	for _, a := range el.Attr {
		if strings.EqualFold(a.Name.Local, name) {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// A bookPackage is what an EPUB says of itself in its package document (OPF).
type bookPackage struct {
	file            string // its name in the archive
	title, language string
	authors         []string
	items           map[string]item // by id
	spine           []string        // ids in reading order
	nav, ncx        string          // archive names of the tables of contents of EPUB 3 and 2
	contents        map[string]bool // sameName of pages that only list the contents
}

type item struct {
	name string // in the archive
	kind string // media type
}

// readPackage reads the OPF at name. Title is the first one given; authors are the creators whose role is author or not
// told, five at most.
func readPackage(data []byte, name string, lim Limits) (*bookPackage, error) {
	p := &bookPackage{file: name, items: make(map[string]item), contents: make(map[string]bool)}
	var tocID, navID string
	seen := make(map[string]bool)
	err := walkXML(data, lim, func(path []string, el xml.StartElement, text string) {
		parent := ""
		if len(path) > 1 {
			parent = path[len(path)-2]
		}
		switch path[len(path)-1] {
		case "title":
			if p.title == "" && parent != "guide" {
				p.title = clip(text, 300)
			}
		case "creator":
			role := attr(el, "role")
			if text != "" && (role == "" || role == "aut") && len(p.authors) < 5 {
				p.authors = append(p.authors, clip(text, 200))
			}
		case "language":
			if p.language == "" {
				p.language = languageTag(text)
			}
		case "item":
			id, href := attr(el, "id"), attr(el, "href")
			if id == "" || href == "" || len(p.items) >= maxManifest {
				return
			}
			file, _ := resolve(name, href)
			kind := strings.ToLower(attr(el, "media-type"))
			p.items[id] = item{file, kind}
			if strings.Contains(" "+attr(el, "properties")+" ", " nav ") {
				navID = id
			}
			if kind == "application/x-dtbncx+xml" && p.ncx == "" {
				p.ncx = file
			}
		case "spine":
			tocID = attr(el, "toc")
		case "itemref":
			// A file named twice is read once: the words of a book are counted once.
			if id := attr(el, "idref"); id != "" && !seen[id] {
				seen[id] = true
				p.spine = append(p.spine, id)
			}
		case "reference":
			if kind := strings.ToLower(attr(el, "type")); kind == "toc" {
				file, _ := resolve(name, attr(el, "href"))
				p.contents[sameName(file)] = true
			}
		}
	})
	if err != nil {
		return nil, refuse(BadArchive, "the EPUB's package document %q is damaged", clip(name, 100))
	}
	if it, ok := p.items[tocID]; ok {
		p.ncx = it.name
	}
	if it, ok := p.items[navID]; ok {
		p.nav = it.name
		p.contents[sameName(it.name)] = true
	}
	return p, nil
}

// packageFile returns the name of the package document, as the container says.
func packageFile(data []byte, lim Limits) (string, error) {
	var name string
	err := walkXML(data, lim, func(path []string, el xml.StartElement, _ string) {
		if path[len(path)-1] == "rootfile" && name == "" {
			if kind := attr(el, "media-type"); kind == "" || kind == "application/oebps-package+xml" {
				name = attr(el, "full-path")
			}
		}
	})
	if err != nil || name == "" {
		return "", refuse(BadArchive, "the EPUB is damaged: %s names no package document", containerXML)
	}
	file, _ := resolve("", name)
	return file, nil
}

// protectedFiles returns the sameName of the files that META-INF/encryption.xml says are encrypted. Fonts that are only
// obfuscated are not.
func protectedFiles(data []byte, lim Limits) (map[string]bool, error) {
	out := make(map[string]bool)
	algorithm := ""
	err := walkXML(data, lim, func(path []string, el xml.StartElement, _ string) {
		switch path[len(path)-1] {
		case "encrypteddata":
			algorithm = ""
		case "encryptionmethod":
			if len(path) > 1 && path[len(path)-2] == "encrypteddata" {
				algorithm = attr(el, "Algorithm")
			}
		case "cipherreference":
			font := algorithm == "http://www.idpf.org/2008/embedding" || algorithm == "http://ns.adobe.com/pdf/enc#RC"
			if !font && len(out) < maxManifest {
				name, _ := resolve("", attr(el, "URI"))
				out[sameName(name)] = true
			}
		}
	})
	if err != nil {
		return nil, refuse(BadArchive, "the EPUB is damaged: META-INF/encryption.xml cannot be read")
	}
	return out, nil
}
