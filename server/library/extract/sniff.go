package extract

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// isZip reports whether data begins as a zip archive, an empty one included.
func isZip(data []byte) bool {
	return bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("PK\x05\x06"))
}

// magics are the beginnings of formats that people mistake for books. Those made of printable characters only count when
// the file is not text as a whole, since "GIF89a is a picture format" is a sentence.
var magics = []struct {
	at        int
	magic     string
	name      string
	printable bool
}{
	{0, "\x89PNG\r\n", "a PNG picture", false},
	{0, "\xff\xd8\xff", "a JPEG picture", false},
	{0, "GIF8", "a GIF picture", true},
	{0, "BM", "a BMP picture", true},
	{8, "WEBP", "a WebP picture", true},
	{0, "II*\x00", "a TIFF picture", false},
	{0, "MM\x00*", "a TIFF picture", false},
	{0, "AT&TFORM", "a DjVu file", true},
	{0, "\x1f\x8b", "a gzip file", false},
	{0, "BZh", "a bzip2 file", true},
	{0, "\xfd7zXZ\x00", "an xz file", false},
	{0, "\x28\xb5\x2f\xfd", "a Zstandard file", false},
	{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive", false},
	{0, "Rar!\x1a\x07", "a RAR archive", false},
	{257, "ustar", "a tar archive", true},
	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Microsoft Office document", false},
	{60, "BOOKMOBI", "a Mobipocket or Kindle book", true},
	{60, "TEXtREAd", "a PalmDoc book", true},
	{0, "ITOLITLS", "a Microsoft Reader book", true},
	{0, "SQLite format 3\x00", "an SQLite database", false},
	{0, "\x7fELF", "a program", false},
	{0, "MZ", "a program", true},
	{0, "ID3", "an MP3 recording", true},
	{4, "ftyp", "a video or audio file", true},
	{0, "OggS", "an Ogg recording", true},
	{0, "RIFF", "a RIFF sound, video or picture file", true},
}

// binaryName says what data looks like when it begins as a known format that is not read, or "".
func binaryName(data []byte) string {
	// PDF readers look for the mark within the first KiB, so files with junk before it exist; in a text it would stand
	// in mid-sentence, hence the line start.
	if at := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-")); at == 0 || at > 0 && (data[at-1] == '\n' || data[at-1] == '\r') {
		return "a PDF document"
	}
	if bytes.HasPrefix(data, []byte("{\\rtf")) {
		return "an RTF document"
	}
	if bytes.HasPrefix(data, []byte("%!PS")) {
		return "a PostScript document"
	}
	for _, m := range magics {
		if len(data) < m.at+len(m.magic) || string(data[m.at:m.at+len(m.magic)]) != m.magic {
			continue
		}
		if m.printable && utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 {
			continue
		}
		return m.name
	}
	return ""
}

// skipProlog returns s after leading white space, comments, processing instructions and a doctype, and the doctype's name.
func skipProlog(s string) (rest, doctype string) {
	for range 64 {
		s = strings.TrimLeft(s, " \t\r\n\f\ufeff")
		var end string
		switch {
		case strings.HasPrefix(s, "<!--"):
			end = "-->"
		case strings.HasPrefix(s, "<?"):
			end = "?>"
		case hasPrefixFold(s, "<!doctype"):
			fields := strings.FieldsFunc(s[9:min(len(s), 200)], func(r rune) bool { return r == ' ' || r == '\n' || r == '\r' || r == '\t' || r == '>' })
			if len(fields) > 0 {
				doctype = strings.ToLower(fields[0])
			}
			end = ">"
		default:
			return s, doctype
		}
		at := strings.Index(s, end)
		if at < 0 {
			return s, doctype
		}
		s = s[at+len(end):]
	}
	return s, doctype
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// firstTag returns the lower-case name, without a namespace prefix, of the tag with which s begins, or "".
func firstTag(s string) string {
	if len(s) < 2 || s[0] != '<' {
		return ""
	}
	end := 1
	for end < len(s) && end < 64 && (s[end] == ':' || s[end] == '-' || s[end] == '_' || s[end]|0x20 >= 'a' && s[end]|0x20 <= 'z' || s[end] >= '0' && s[end] <= '9') {
		end++
	}
	if end == len(s) || end == 1 || !strings.ContainsRune(" \t\r\n\f/>", rune(s[end])) {
		return ""
	}
	return strings.ToLower(localName([]byte(s[1:end])))
}

// foreignXML returns the root element's name when src is XML of another vocabulary than HTML.
func foreignXML(src string) string {
	rest, doctype := skipProlog(src)
	root := firstTag(rest)
	if root == "html" || doctype == "html" {
		return ""
	}
	known := root == "fictionbook" || root == "svg" || root == "rss" || root == "feed" || root == "ncx" || root == "package"
	if known || root != "" && strings.HasPrefix(strings.TrimLeft(src, " \t\r\n\ufeff"), "<?xml") {
		return root
	}
	return ""
}

// htmlStarts are the tags which open a page, and htmlParts those which may also open a Markdown file.
var (
	htmlStarts = words("html head body title meta link base style script frameset")
	htmlParts  = words("div p h1 h2 h3 h4 h5 h6 table ul ol dl section article main header nav blockquote pre center font span b i em strong a br hr img form address figure details aside footer")
)

func words(list string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}

// sniff tells HTML, Markdown and plain text apart, by the head of the file only.
func sniff(src string) Format {
	rest, doctype := skipProlog(src)
	tag := firstTag(rest)
	if doctype == "html" || htmlStarts[tag] {
		return HTML
	}
	if looksMarkdown(src[:min(len(src), 256<<10)]) {
		return Markdown
	}
	if htmlParts[tag] {
		return HTML
	}
	return PlainText
}

// marks counts the signs of Markdown in the head of a file.
type marks struct {
	lines, headings, underlined, fences, links, strong, bullets int
	first                                                       bool // the first line is a heading
}

// looksMarkdown decides by signs that plain prose does not have: front matter, a heading in the first line, headings at
// least every 500 lines, a closed code fence, links. One stray "# 12" in a novel is not enough.
func looksMarkdown(src string) bool {
	if _, _, ok := frontMatter(src); ok {
		return true
	}
	m := countMarks(src)
	headings := m.headings + m.underlined
	other := m.links + m.strong + m.fences/2
	switch {
	case m.first, m.links >= 2, headings > 0 && headings*500 >= m.lines:
		return true
	case headings > 0 && other > 0, m.fences >= 2:
		return true
	}
	return m.strong >= 3 && m.bullets >= 3
}

func countMarks(src string) marks {
	var m marks
	prev, before := "", ""
	fenced := false
	for line := range strings.Lines(src) {
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimLeft(line, " ")
		if len(line)-len(trimmed) > 3 {
			prev, before = line, prev
			continue
		}
		if strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fenced = !fenced
			m.fences++
		}
		if fenced || trimmed == "" {
			prev, before = line, prev
			continue
		}
		m.lines++
		if isATX(trimmed) && (prev == "" || isATX(prev)) {
			m.headings++
			m.first = m.first || m.lines == 1
		}
		if len(trimmed) >= 3 && strings.Trim(trimmed, "=") == "" && prev != "" && before == "" && len(prev) <= 120 {
			m.underlined++
		}
		if at := strings.Index(trimmed, "]("); at > 0 && strings.IndexByte(trimmed[:at], '[') >= 0 && strings.IndexByte(trimmed[at:], ')') > 0 {
			m.links++
		}
		if at := strings.Index(trimmed, "**"); at >= 0 && strings.Index(trimmed[at+2:], "**") > 0 {
			m.strong++
		}
		if len(trimmed) > 2 && strings.IndexByte("-*+", trimmed[0]) >= 0 && trimmed[1] == ' ' && hasWord(trimmed) {
			m.bullets++
		}
		prev, before = line, prev
	}
	return m
}

// isATX reports whether line is a Markdown heading of the "## Text" form.
func isATX(line string) bool {
	n := 0
	for n < len(line) && line[n] == '#' {
		n++
	}
	return n >= 1 && n <= 6 && n+1 < len(line) && line[n] == ' ' && hasWord(line[n:])
}
