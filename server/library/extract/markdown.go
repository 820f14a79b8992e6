package extract

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	gmhtml "github.com/yuin/goldmark/renderer/html"
)

const (
	pieceBytes     = 256 << 10 // Markdown is rendered in pieces of about this size, at most twice it,
	piecesMost     = 512 << 10 // since a syntax tree has a hundred times the bytes of its source
	maxContainers  = 64        // deepest quotation or list opened by one line
	delimiterWork  = 5e9       // sum over blocks of (delimiters)², about three seconds of goldmark's time
	maxEmptyCells  = 1_000_000 // table cells that are only there because the table is as wide as its widest row
	frontMatterMax = 64 << 10  // bytes of front matter looked at
)

// readMarkdown renders CommonMark with tables, strike-through and footnotes to HTML and reads that, so that HTML within
// Markdown is read by the same rules. A file whose marks would keep the renderer busy for longer than its size is worth
// (its inline parser is quadratic in nested emphasis and links within one block) is read as plain text.
func readMarkdown(src string, lim Limits) (Text, error) {
	front, body, _ := frontMatter(src)
	if tooTangled(body) {
		return readText(src, lim)
	}
	r := &htmlReader{b: newBuilder(lim), keepNav: navUnclosed(body)}
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Footnote),
		goldmark.WithRendererOptions(gmhtml.WithUnsafe()),
	)
	if err := r.read(&renderer{md: md, rest: body}); err != nil {
		return Text{}, err
	}
	if front.title != "" {
		r.title = front.title
	}
	if front.author != "" {
		r.author = front.author
	}
	if front.language != "" {
		r.language = front.language
	}
	return r.text(Markdown)
}

// A renderer is a stream of HTML made from Markdown piece by piece.
type renderer struct {
	md   goldmark.Markdown
	rest string
	out  bytes.Buffer
}

func (r *renderer) Read(p []byte) (int, error) {
	for r.out.Len() == 0 {
		if r.rest == "" {
			return 0, io.EOF
		}
		cut := pieceEnd(r.rest)
		r.out.Reset()
		if err := r.md.Convert([]byte(r.rest[:cut]), &r.out); err != nil {
			return 0, fmt.Errorf("render Markdown: %w", err)
		}
		r.rest = r.rest[cut:]
	}
	return r.out.Read(p)
}

// pieceEnd returns where a piece of s may end without changing what it means: before an unindented line that follows a blank
// one, outside code fences and comments. Where there is no such place the piece ends at a line, a space, or anywhere.
func pieceEnd(s string) int {
	if len(s) <= piecesMost {
		return len(s)
	}
	at, lineEnd := 0, 0
	fence := ""
	comment, blank := false, false
	for line := range strings.Lines(s[:piecesMost]) {
		trimmed := strings.TrimLeft(line, " ")
		if at >= pieceBytes && blank && fence == "" && !comment && len(trimmed) == len(line) && !isBlank(line) && strings.IndexByte("-*+>\t0123456789|", line[0]) < 0 {
			return at
		}
		if mark := fenceMark(trimmed); mark != "" && (fence == "" || strings.HasPrefix(mark, fence)) {
			if fence == "" {
				fence = mark
			} else {
				fence = ""
			}
		}
		if i := strings.LastIndex(line, "<!--"); i >= 0 {
			comment = !strings.Contains(line[i:], "-->")
		} else if comment && strings.Contains(line, "-->") {
			comment = false
		}
		blank = isBlank(line)
		at += len(line)
		if strings.HasSuffix(line, "\n") {
			lineEnd = at
		}
	}
	if lineEnd > 0 {
		return lineEnd
	}
	if i := strings.LastIndexByte(s[:piecesMost], ' '); i > 0 {
		return i + 1
	}
	end := piecesMost
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return max(end, 1)
}

// fenceMark returns the run of backticks or tildes that opens or closes a code fence.
func fenceMark(trimmed string) string {
	for _, c := range [...]string{"`", "~"} {
		n := len(trimmed) - len(strings.TrimLeft(trimmed, c))
		if n >= 3 {
			return trimmed[:n]
		}
	}
	return ""
}

// tooTangled estimates the renderer's work on src in one pass.
func tooTangled(src string) bool {
	work, delimiters := 0.0, 0.0
	columns, empty := 0, 0
	end := func() {
		work += delimiters * delimiters
		delimiters, columns = 0, 0
	}
	for line := range strings.Lines(src) {
		if isBlank(line) {
			end()
			continue
		}
		if containers(line) > maxContainers {
			return true
		}
		pipes := 0
		for i := range len(line) {
			switch line[i] {
			case '*', '_', '[', ']', '(', '~', '!', '<', '`':
				delimiters++
			case '|':
				pipes++
			}
		}
		if columns > 0 {
			empty += max(0, columns-pipes)
		}
		if pipes > columns && strings.Trim(line, " \t\r\n|:-") == "" {
			columns = pipes
		}
		if work+delimiters*delimiters > delimiterWork || empty > maxEmptyCells {
			return true
		}
	}
	end()
	return false
}

// containers counts the quotations and list items which one line opens.
func containers(line string) int {
	n := 0
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '>' || c == ')' || c == '.':
			n++
		case c == '-' || c == '*' || c == '+':
			if i+1 < len(line) && line[i+1] != ' ' && line[i+1] != '\t' {
				return n
			}
			n++
		case c == ' ' || c == '\t' || c >= '0' && c <= '9':
		case c == '\n' || c == '\r':
			if strings.Trim(line, " \t\r\n-") == "" || strings.Trim(line, " \t\r\n*") == "" {
				return 0 // a line across the page
			}
			return n
		default:
			return n
		}
	}
	return n
}

// frontMatter reads the title, author and language out of a leading block of "key: value" lines between "---" lines, as
// Pandoc, Jekyll and Hugo have it, or of Pandoc's "% Title" lines, and returns what follows.
func frontMatter(src string) (header, string, bool) {
	if strings.HasPrefix(src, "% ") {
		return percentTitle(src)
	}
	first, rest, ok := strings.Cut(src, "\n")
	if !ok || strings.TrimRight(first, " \t\r") != "---" {
		return header{}, src, false
	}
	var h header
	at, keys := 0, 0
	for line := range strings.Lines(rest[:min(len(rest), frontMatterMax)]) {
		at += len(line)
		bare := strings.TrimRight(line, " \t\r\n")
		if bare == "---" || bare == "..." {
			return h, rest[at:], keys > 0
		}
		key, value, ok := strings.Cut(bare, ":")
		if !ok || key == "" || strings.ContainsAny(key[:1], " \t-#") {
			continue
		}
		if strings.ContainsAny(key, " \t") {
			return header{}, src, false
		}
		keys++
		value = clip(squeeze(strings.Trim(strings.TrimSpace(value), `"'[]`)), 300)
		switch strings.ToLower(key) {
		case "title":
			h.title = value
		case "author", "creator":
			h.author = value
		case "lang", "language":
			h.language = languageTag(value)
		}
	}
	return header{}, src, false
}

func percentTitle(src string) (header, string, bool) {
	if _, next, _ := strings.Cut(src, "\n"); next == "" || next[0] != '\n' && next[0] != '\r' && next[0] != '%' {
		return header{}, src, false
	}
	var h header
	for i := range 3 {
		rest, ok := strings.CutPrefix(src, "%")
		if !ok {
			return h, src, i > 0
		}
		var line string
		line, src, _ = strings.Cut(rest, "\n")
		switch i {
		case 0:
			h.title = clip(squeeze(line), 300)
		case 1:
			h.author = clip(squeeze(line), 300)
		}
	}
	return h, src, true
}
