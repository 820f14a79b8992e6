package extract

import (
	"strings"
	"unicode"
)

// A header is what a plain text says of itself before the book begins.
type header struct {
	title, author, language string
}

// trimLicence returns the book between the lines with which Project Gutenberg marks its beginning and end, and the header
// that its licence begins with. A text without those lines is returned whole.
func trimLicence(src string) (body string, h header) {
	const searched = 64 << 10
	head := src[:min(len(src), searched)]
	start, after := markLine(head, "START OF")
	if start < 0 {
		if start, after = markLine(head, "END THE SMALL PRINT"); start < 0 {
			return src, header{}
		}
	}
	h = readHeader(src[:start])
	body = src[after:]
	tail := max(0, len(body)-searched)
	if end, _ := markLine(body[tail:], "END OF"); end >= 0 {
		body = body[:tail+end]
	}
	return body, h
}

// markLine finds the first line that begins with asterisks and says what, and returns where it starts and where the next
// line does; -1 when there is none. A title too long for one line may carry the mark on to the next.
func markLine(s, what string) (start, after int) {
	at := 0
	for line := range strings.Lines(s) {
		rest, ok := strings.CutPrefix(line, "*")
		rest = strings.ToUpper(strings.Trim(rest, "* \t\r\n"))
		if ok && strings.HasPrefix(strings.ReplaceAll(rest, "*", " "), what) && (what == "END THE SMALL PRINT" || strings.Contains(rest, "GUTENBERG")) {
			after = at + len(line)
			if !strings.HasSuffix(strings.TrimRight(line, " \t\r\n"), "*") {
				if next, _, ok := strings.Cut(s[after:], "\n"); ok && strings.HasSuffix(strings.TrimRight(next, " \t\r"), "***") {
					after += len(next) + 1
				}
			}
			return at, after
		}
		at += len(line)
	}
	return -1, -1
}

// readHeader reads lines such as "Title: Opticks". A line that goes on is indented.
func readHeader(s string) header {
	var h header
	var last *string
	for line := range strings.Lines(s) {
		if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			last = nil
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "title":
				last = &h.title
			case "author":
				last = &h.author
			case "language":
				last = &h.language
			}
			if last != nil && *last == "" {
				*last = squeeze(value)
			} else {
				last = nil
			}
			continue
		}
		if rest := squeeze(line); rest == "" {
			last = nil
		} else if last != nil && strings.HasPrefix(line, " ") {
			*last = clip(*last+" "+rest, 300)
		}
	}
	h.language = languageTag(h.language)
	return h
}

// isCredit reports whether a paragraph thanks those who typed the book in: it is not part of the book.
func isCredit(p string) bool {
	low := strings.ToLower(p[:min(len(p), 1000)])
	made := strings.HasPrefix(low, "produced by") || strings.HasPrefix(low, "e-text prepared by") || strings.HasPrefix(low, "etext prepared by") || strings.HasPrefix(low, "this etext was")
	return made && len(p) < 1000
}

var languageTags = map[string]string{
	"english": "en", "turkish": "tr", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
	"dutch": "nl", "latin": "la", "greek": "el", "russian": "ru", "finnish": "fi", "swedish": "sv", "danish": "da",
	"norwegian": "no", "polish": "pl", "hungarian": "hu", "chinese": "zh", "japanese": "ja", "arabic": "ar", "persian": "fa",
}

// languageTag returns a BCP 47 tag for the name of a language or for a tag, or "".
func languageTag(s string) string {
	s = strings.TrimSpace(s)
	if tag, ok := languageTags[strings.ToLower(s)]; ok {
		return tag
	}
	if len(s) < 2 || len(s) > 35 || strings.IndexFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_'
	}) >= 0 {
		return ""
	}
	primary, rest, _ := strings.Cut(strings.ReplaceAll(s, "_", "-"), "-")
	if len(primary) > 3 {
		return ""
	}
	if tag := strings.ToLower(primary); rest == "" {
		return tag
	} else if tag != "und" {
		return tag + "-" + rest
	}
	return ""
}
